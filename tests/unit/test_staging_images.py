"""Which images a production gets, and when an image is built anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater.model import Platform, StackSettings
from updater.staging.images import content_tag, match


def platform(php: str = "8.2.29", database: str = "10.11.14", flavour: str = "mariadb") -> Platform:
    return Platform(php, (), {}, database, flavour, "", "utf8mb4", "utf8mb4_general_ci")


@pytest.mark.parametrize(
    ("php", "database", "suites"),
    [
        ("7.4.33", "10.5.29", ("bullseye", "bullseye")),
        ("8.2.29", "10.11.14", ("bookworm", "bookworm")),
        ("8.4.1", "11.8.3", ("trixie", "trixie")),
        ("8.4.1", "10.5.1", ("trixie", "bullseye")),
    ],
)
def test_the_same_series_match_and_nothing_is_said(php: str, database: str, suites: tuple[str, str]) -> None:
    matched = match(platform(php, database), StackSettings(), accept_nearest=False)
    assert (matched.php_suite.name, matched.database_suite.name) == suites
    assert matched.matched
    assert matched.mismatch == ""


@pytest.mark.parametrize(
    ("php", "nearest"),
    [("5.6.40", "7.4"), ("7.2.1", "7.4"), ("8.0.30", "8.2"), ("8.1.2", "8.2"), ("8.3.0", "8.4"), ("8.5.0", "8.4")],
)
def test_another_php_gets_the_nearest_and_is_not_matched(php: str, nearest: str) -> None:
    matched = match(platform(php), StackSettings(), accept_nearest=False)
    assert not matched.matched
    assert matched.mismatch == f"PHP {nearest} instead of production's {php}"


def test_accepting_the_nearest_still_says_what_differs() -> None:
    matched = match(platform("8.1.2", "10.6.1"), StackSettings(), accept_nearest=True)
    assert matched.matched
    assert "PHP 8.2" in matched.mismatch
    assert "10.6.1" in matched.mismatch


def test_mysql_is_never_taken_for_mariadb() -> None:
    matched = match(platform(database="10.11.14", flavour="mysql"), StackSettings(), accept_nearest=False)
    assert not matched.matched
    assert "mysql 10.11.14" in matched.mismatch


def test_an_image_of_one_s_own_replaces_the_web_s() -> None:
    matched = match(platform("8.3.1"), StackSettings(image="registry.example/shop:1"), accept_nearest=False)
    assert (matched.image, matched.matched) == ("registry.example/shop:1", True)


def test_a_tag_changes_with_bytes_names_modes_and_arguments_only(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x")
    first = content_tag("web", tmp_path, SUITE="a")
    (tmp_path / "Dockerfile").touch()
    assert content_tag("web", tmp_path, SUITE="a") == first
    others = {first, content_tag("web", tmp_path, SUITE="b")}
    (tmp_path / "Dockerfile").chmod(0o755)
    others.add(content_tag("web", tmp_path, SUITE="a"))
    (tmp_path / "Dockerfile").write_text("FROM y")
    others.add(content_tag("web", tmp_path, SUITE="a"))
    assert len(others) == 4
