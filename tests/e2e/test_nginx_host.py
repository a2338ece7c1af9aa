"""A server of one's own: nginx, PHP-FPM that never looks whether a file changed, Redis, a page cache, four names and a password in
front of all. Of two updates one breaks the shop under one of its names only, and is held back; the other goes through the whole pipeline
and back again while customers keep every cache warm. Each test goes on from where the one before it ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import broken_gallery
import pytest
from prompt import Prompt

from updater.demo_shop import DemoShop
from updater.errors import ExitCode

ENGLISH = "en.shop.example"
BREAKS_IN_ENGLISH = (
    "add_action('wp_footer', function () { if (strpos(home_url(), '//en.')) { demo_gallery_greeting(); } });"
)
"""What the plugin calls where only the English shop goes, and is not there"""
CUSTOMERS = "while [ ! -e /tmp/enough ]; do for name in shop.example en.shop.example; do curl -sku guest:demo-Guest-2208 https://$name/; done; done"


@pytest.fixture(scope="module")
def server(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoShop]:
    with DemoShop.start(tmp_path_factory.mktemp("shop"), kind="nginx") as started:
        yield started


@pytest.fixture(scope="module")
def prompt(server: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Prompt:
    folder = tmp_path_factory.mktemp("site")
    site = server.write_site(folder, ["demo-shop-1.0", "demo-shop-1.1"])
    (good,) = server.packages(folder / "other", ["demo-gallery-1.1"])
    broken_gallery.write(good, folder / "packages", BREAKS_IN_ENGLISH)
    promote = "promote:\n  keep_tables: 3d\n  without_restarter: true\n"
    site.write_text(site.read_text().replace("promote:\n", promote) + "viewports: {mobile: 375x812}\ndiscover: false\n")
    return Prompt(folder)


@contextmanager
def customers(server: DemoShop) -> Iterator[None]:
    """Somebody is always looking: whatever is emptied is full again a moment later."""
    server.exec(["sh", "-c", f"rm -f /tmp/enough; setsid sh -c '{CUSTOMERS}' >/dev/null 2>&1 &"])
    try:
        yield
    finally:
        server.exec(["touch", "/tmp/enough"])


def versions(server: DemoShop, name: str = "shop.example") -> str:
    """Of the plugin's code and of its tables, as a page shows them that stands in Redis and in the page cache."""
    found = re.search(r'name="shop-version" content="([^"]+)"', server.get("/", name).text)
    return found[1] if found else ""


def code_of(server: DemoShop) -> bytes:
    """A hash of each file but the page cache's."""
    listing = f"cd {server.docroot} && find . -path ./wp-content/cache -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum"
    return server.exec(["sh", "-c", listing])[1]


def test_the_table_says_what_this_server_is(prompt: Prompt) -> None:
    code, out, err = prompt.type("check", "site.yml", "--connect")
    assert code == ExitCode.DONE, err
    table = " ".join(out.split())
    for said in (
        "the web (fpm-fcgi) are both PHP 8.2",
        "validate_timestamps=0",
        "after a reset over HTTP changed code was seen to run",
        "Redis at 127.0.0.1:6379 answers",
        "came back over HTTP, 10 of 10 times",
    ):
        assert said in table, out


def test_without_its_password_the_server_is_refused_in_plain_words(prompt: Prompt) -> None:
    site = prompt.folder / "site.yml"
    whole = site.read_text()
    site.write_text(re.sub(r"basic_auth: .*\n", "", whole))
    code, _, err = prompt.type("run")
    site.write_text(whole)
    assert code != ExitCode.DONE
    assert "asks for a password" in err
    assert 'Basic realm="The shop opens soon"' in err
    assert "basic_auth in site.yml" in err


def test_on_a_twin_with_nginx_and_redis_the_good_update_passes_and_the_broken_one_is_held(
    prompt: Prompt, server: DemoShop
) -> None:
    before = code_of(server)
    code, _, err = prompt.type("run", "--json")
    record = prompt.newest()
    assert code == ExitCode.AWAITING_APPROVAL, (record["reasons"], err)
    assert {(it["slug"], it["outcome"]) for it in record["updates"]} == {
        ("demo-shop", "passed"),
        ("demo-gallery", "held"),
    }
    (gallery,) = [it for it in record["updates"] if it["slug"] == "demo-gallery"]
    assert ENGLISH in gallery["reason"], gallery
    log = (prompt.run_folder / "run.log").read_text()
    assert "staging answers by nginx and PHP-FPM" in log
    assert "staging has an empty Redis at 127.0.0.1:6379" in log
    assert f"https://{ENGLISH}/" in (prompt.run_folder / "after" / "seen.jsonl").read_text()
    assert code_of(server) == before


def test_only_the_pictures_that_its_pages_show_were_cloned(prompt: Prompt, server: DemoShop) -> None:
    def pictures(listing: str) -> set[str]:
        return set(re.findall(r"wp-content/uploads/\S+\.(?:jpg|png)", listing))

    there = pictures(server.exec(["find", server.docroot, "-name", "*.*g"])[1].decode())
    here = pictures(" ".join(map(str, (prompt.state / "mirror").rglob("*.*g"))))
    assert here < there
    named = {Path(it).name for it in here}
    for line in (prompt.run_folder / "after" / "seen.jsonl").read_text().splitlines():
        assert "uploads" not in " ".join(json.loads(line).get("failed", [])), "no picture is missing in staging"
    assert any("samovar" in name for name in named)
    assert f"{len(here)} that the checked pages show were cloned" in " ".join(prompt.newest()["notes"])


def test_it_is_deployed_and_no_cache_shows_the_shop_of_before(prompt: Prompt, server: DemoShop) -> None:
    assert versions(server) == "1.0 on 1.0"
    with customers(server):
        code, _, err = prompt.type("approve", "--yes", "--person", "Anna")
        assert code == ExitCode.DONE, err
        assert (versions(server), versions(server, ENGLISH)) == ("1.1 on 1.1", "1.1 on 1.1")
    assert prompt.newest()["state"] == "promoted"


def test_the_closed_shop_was_looked_at_and_no_page_kept_from_before(server: DemoShop) -> None:
    first: dict[str, str] = {}
    for line in server.exec(["cat", "/var/log/nginx/cached.log"])[1].decode().splitlines():
        looked = re.fullmatch(r'(\S+) "GET (\S+) [^"]*" 200 page=(\S+) bypass=([^-].*)', line)
        if looked:
            first.setdefault(looked[1] + looked[2], looked[3])
    assert {"shop.example/", f"{ENGLISH}/"} <= first.keys()
    assert {page for page, kept in first.items() if kept == "hit"} == set()


def test_nothing_of_the_password_stays_on_the_server(server: DemoShop) -> None:
    script = "grep -rl -e demo-Guest-2208 -e Z3Vlc3Q6 /home/deploy /tmp /var/www/shop.example 2>/dev/null"
    assert server.exec(["sh", "-c", script])[1] == b""


def test_back_again_no_cache_shows_the_shop_that_was_taken_away(prompt: Prompt, server: DemoShop) -> None:
    refused = prompt.type("rollback")[2]
    since = re.search(r"--discard-orders-since '([^']+)'", " ".join(refused.split()))
    assert since, refused
    assert ": not rolled back: the database migrated with run" in prompt.newest()["notes"][-1]
    with customers(server):
        code, _, err = prompt.type("rollback", "--discard-orders-since", since[1])
        assert code == ExitCode.DONE, err
        assert (versions(server), versions(server, ENGLISH)) == ("1.0 on 1.0", "1.0 on 1.0")
    assert "demo_shop_order_notes" not in server.sql("SHOW TABLES")
