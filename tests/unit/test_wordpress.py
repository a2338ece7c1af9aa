"""What the WordPress driver decides without a WordPress: addresses, units, the gate's data, wordpress.org's formats."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from updater import pipeline
from updater.cms import wordpress
from updater.cms.base import Offer, PackageInfo
from updater.errors import CommandFailed, PackageRefused, PromotionRefused
from updater.model import Component, Database, Installation, Inventory, Server, Site, Update

INSTALLATION = Installation(
    "wordpress", "6.1", "/srv/shop", "php", "https://shop.example", Database("d", "u", "secret", prefix="wq_")
)
INVENTORY = Inventory(
    "wordpress",
    "6.1",
    "8.2.1",
    (
        Component("core", "wordpress", "WordPress", "6.1", True, ""),
        Component(
            "plugin", "akismet", "Akismet", "5.0", True, "wp-content/plugins/akismet", file="akismet/akismet.php"
        ),
        Component("theme", "oak", "Oak", "1.0", True, "wp-content/themes/oak"),
    ),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("localhost", ("localhost", 3306, None)),
        ("db.example:3307", ("db.example", 3307, None)),
        ("localhost:/run/mysqld/mysqld.sock", ("localhost", 3306, "/run/mysqld/mysqld.sock")),
        (":/tmp/my.sock", ("localhost", 3306, "/tmp/my.sock")),
        ("", ("localhost", 3306, None)),
        ("::1", ("::1", 3306, None)),
        ("[::1]:3307", ("::1", 3307, None)),
        ("localhost:3307:/tmp/my.sock", ("localhost", 3307, "/tmp/my.sock")),
    ],
)
def test_db_host_is_read_as_wordpress_reads_it(value: str, expected: tuple[str, int, str | None]) -> None:
    assert wordpress.parse_db_host(value) == expected


def test_units_cover_every_changed_path_exactly_once() -> None:
    changed = [
        "index.php",
        "wp-admin/index.php",
        "wp-admin/js/a.js",
        "wp-includes/version.php",
        "wp-content/index.php",
        "wp-content/plugins/akismet/akismet.php",
        "wp-content/plugins/akismet/views/a.php",
        "wp-content/plugins/hello.php",
        "wp-content/themes/oak/style.css",
        "wp-content/languages/ru_RU.mo",
        "wp-content/fonts",
        "wp-content/fonts/new.woff",
    ]
    units = wordpress.units((), INVENTORY, changed)
    for path in changed:
        assert sum(path == unit or path.startswith(f"{unit}/") for unit in units) == 1, path
    assert {"wp-admin", "wp-includes", "wp-content/plugins/akismet", "wp-content/plugins/hello.php"} <= set(units)


def test_the_guard_never_becomes_part_of_a_release() -> None:
    assert wordpress.staging_only() == ("wp-content/mu-plugins/00-updater-staging.php",)


def test_the_gate_reads_its_token_from_a_file_and_holds_no_literal() -> None:
    gate = wordpress.gate(INSTALLATION)
    text = gate.files[".maintenance"]
    assert gate.token_file in text
    assert gate.cookie in text
    assert "hash_equals" in text


def test_the_last_migration_step_verifies_the_versions() -> None:
    update = Update("plugin", "tea", "Tea", "1.0", "1.1", Path("x"), "", "")
    steps = wordpress.migration(INSTALLATION, (update,))
    assert steps[-1].name == "verify"
    assert len({step.name for step in steps}) == len(steps)


def test_secrets_in_migration_steps_are_not_in_their_repr() -> None:
    assert "secret" not in repr(wordpress.migration(INSTALLATION, ()))


class FakeApi:
    """wordpress.org, answering what it was given, and failing on any other address."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Mapping[str, str] | None]] = []

    def __call__(self, url: str, form: Mapping[str, str] | None) -> bytes:
        self.asked.append((url, form))
        for start, answer in self.answers.items():
            if url.startswith(start):
                return json.dumps(answer).encode()
        raise AssertionError(f"unexpected request: {url}")


CORE_OFFERS = {
    "offers": [
        {
            "response": "upgrade",
            "locale": "en_US",
            "download": "https://downloads.wordpress.org/release/wordpress-6.8.3.zip",
            "packages": {"full": "https://downloads.wordpress.org/release/wordpress-6.8.3.zip", "partial": False},
            "current": "6.8.3",
            "version": "6.8.3",
            "php_version": "7.2.24",
        },
        {"response": "latest", "version": "6.1", "packages": {"full": "https://downloads.wordpress.org/x.zip"}},
    ]
}
PLUGIN_OFFERS = {
    "plugins": {
        "akismet/akismet.php": {
            "slug": "akismet",
            "new_version": "5.5",
            "package": "https://downloads.wordpress.org/plugin/akismet.5.5.zip",
            "requires": "5.8",
            "requires_php": "7.2",
        },
        "stranger/stranger.php": {"slug": "stranger", "new_version": "9", "package": "https://evil.example/x.zip"},
    }
}


def test_offers_are_read_as_wordpress_org_writes_them() -> None:
    base = "http://api.test"
    api = FakeApi(
        {
            f"{base}/core/version-check/1.7/": CORE_OFFERS,
            f"{base}/plugins/update-check/1.1/": PLUGIN_OFFERS,
            f"{base}/themes/update-check/1.1/": {"themes": {}, "no_update": {}},
            f"{base}/plugins/info/1.2/": {"version": "5.5", "last_updated": "2025-07-15 4:30pm GMT"},
        }
    )
    core, plugin = wordpress.offers(INVENTORY, api, base, "http://downloads.test")
    assert (core.info.kind, core.info.version, core.info.requires_php) == ("core", "6.8.3", "7.2.24")
    assert core.url == "http://downloads.test/release/wordpress-6.8.3.zip"
    assert (plugin.info.slug, plugin.info.version, plugin.info.requires_core) == ("akismet", "5.5", "5.8")
    assert (core.released, plugin.released) == (None, datetime(2025, 7, 15, 16, 30, tzinfo=UTC))
    assert plugin.checksums_url == "http://downloads.test/plugin-checksums/akismet/5.5.json"
    assert plugin.changelog == "https://wordpress.org/plugins/akismet/#developers"
    assert core.changelog == "https://wordpress.org/documentation/wordpress-version/version-6-8-3/"
    sent = json.loads(next(form for url, form in api.asked if "plugins" in url)["plugins"])
    assert sent["plugins"]["akismet/akismet.php"]["Version"] == "5.0"


def test_an_answer_that_is_no_json_is_an_error_and_not_no_updates() -> None:
    with pytest.raises(CommandFailed, match="no JSON"):
        wordpress.offers(INVENTORY, lambda _url, _form: b"<html>blocked</html>", None, None)


def _zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _offer() -> Offer:
    return Offer(PackageInfo("plugin", "tea", "Tea", "1.1"), "http://d/tea.zip", checksums_url="http://d/sums.json")


def test_a_download_with_the_published_checksums_is_accepted(tmp_path: Path) -> None:
    sums = {"files": {"tea.php": {"md5": "x", "sha256": ["other", hashlib.sha256(b"code").hexdigest()]}}}
    package = _zip(tmp_path / "t.zip", {"tea/tea.php": b"code", "tea/readme.txt": b"edited later"})
    wordpress.verify_download(package, _offer(), FakeApi({"http://d/sums.json": sums}))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"tea/tea.php": b"c0de"}, "differs from what was published"),
        ({"tea/tea.php": b"code", "tea/shell.php": b"x"}, "never published"),
    ],
)
def test_a_download_that_was_altered_is_refused(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    sums = {"files": {"tea.php": {"md5": hashlib.md5(b"code").hexdigest()}}}
    with pytest.raises(PackageRefused, match=reason):
        wordpress.verify_download(_zip(tmp_path / "t.zip", files), _offer(), FakeApi({"http://d/sums.json": sums}))


def test_what_other_sites_may_share_is_updated_only_where_a_person_says_that_none_does() -> None:
    linked = replace(INSTALLATION, elsewhere={"wp-content/plugins": "/srv/plugins"})
    site = Site("shop", "https://shop.example", Server("h", "u"), "/srv/shop", config=Path("site.yml"))
    for restore in (False, True):
        with pytest.raises(PromotionRefused, match=r"wp-content/plugins \(/srv/plugins\), which other sites may share"):
            pipeline.refuse_advice_only(site, linked, restore=restore)
        pipeline.refuse_advice_only(replace(site, switches=frozenset({"wordpress.own_links"})), linked, restore=restore)
        pipeline.refuse_advice_only(site, INSTALLATION, restore=restore)
