"""Which pictures, films and documents a clone takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from updater.model import CloneSettings, Layout, Media, Server, Site
from updater.production import media
from updater.production.patterns import excluded

LAYOUT = Layout(("wp-content/uploads", "img[1]"), ("wp-content/cache",), (), {}, "wordpress", ())
SITE = Site("shop", Server("h", "u"), "/srv", "https://shop.example", Path("/x/site.yml"))


def left_out(how: Media, *paths: str) -> list[str]:
    site = replace(SITE, clone=CloneSettings(media=how))
    out = excluded(media.left_out(site, LAYOUT.media))
    return [path for path in paths if out(path)]


def test_all_leaves_nothing_out() -> None:
    assert left_out(Media.ALL, "wp-content/uploads/2024/01/tea.jpg") == []


@pytest.mark.parametrize("how", [Media.REFERENCED, Media.NONE])
def test_what_draws_a_page_comes_whatever_the_folder(how: Media) -> None:
    large = (
        "wp-content/uploads/2024/01/tea.jpg",
        "wp-content/uploads/A.JPEG",
        "wp-content/uploads/x/f.mp4",
        "img[1]/a.webp",
    )
    small = (
        "wp-content/uploads/elementor/css/post-1.css",
        "wp-content/uploads/fonts/a.woff2",
        "wp-content/uploads/.htaccess",
        "wp-content/uploads/logo.svg",
        "wp-content/plugins/tea/cup.jpg",
        "img1/a.webp",
    )
    assert left_out(how, *large, *small) == list(large)


def test_a_page_brings_its_pictures_in_all_their_sizes_and_their_original() -> None:
    listed = [
        "wp-content/uploads/2024/01/tea.jpg",
        "wp-content/uploads/2024/01/tea-300x200.jpg",
        "wp-content/uploads/2024/01/tea-1024x683.jpg.webp",
        "wp-content/uploads/2024/01/tea-cup.jpg",
        "wp-content/uploads/2024/01/Чайник 5.png",
        "image/catalog/tea.jpg",
        "wp-content/uploads/tea.css",
        "wp-content/uploads/price.pdf",
    ]
    seen = [
        "https://shop.example/wp-content/uploads/2024/01/tea-150x150.jpg?ver=2",
        "https://shop.example/x/%D0%A7%D0%B0%D0%B9%D0%BD%D0%B8%D0%BA%205.png",
    ]
    assert media.shown(listed, seen, "https://shop.example") == [*listed[:3], *listed[4:6]]
    assert media.shown(listed, [], "https://shop.example") == []


def test_only_media_that_is_not_there_is_no_failure() -> None:
    gone = "GET /wp-content/uploads/tea.jpg?x=1: HTTP 404"
    others = (
        "GET /wp-content/uploads/tea.css: HTTP 404",
        "GET /wp-content/uploads/tea.jpg: HTTP 500",
        "GET /wp-content/plugins/tea.jpg: HTTP 404",
        "POST /checkout/: net::ERR_FAILED",
    )
    assert media.without_missing([gone, *others], LAYOUT) == others


def test_a_link_of_the_server_leads_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "uploads").symlink_to(tmp_path)
    assert not media._inside(tmp_path / "mirror", "uploads/tea.jpg")
    assert not media._inside(tmp_path / "mirror", "../tea.jpg")
    assert media._inside(tmp_path / "mirror", "other/tea.jpg")
