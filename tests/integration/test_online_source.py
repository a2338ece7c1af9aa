"""The online source against a real HTTP server that speaks wordpress.org's API: offers, downloads, checksums, and every way to fail."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from served import Handler, served

from updater import edits, sources
from updater.cms import wordpress
from updater.errors import ExitCode
from updater.log import Silent
from updater.model import Component, Hold, Inventory, Plan, Platform, Policy, Server, Site, Sources, Update

PLATFORM = Platform("8.2.10", (), {}, "10.11", "mariadb", "", "utf8mb4", "utf8mb4_general_ci")
CORE = Component("core", "wordpress", "WordPress", "6.1.9", True, "")
AKISMET = Component(
    "plugin", "akismet", "Akismet", "5.0.2", True, "wp-content/plugins/akismet", file="akismet/akismet.php"
)
OWN = Component(
    "plugin", "our-shop", "Our Shop", "1.0", True, "wp-content/plugins/our-shop", file="our-shop/our-shop.php"
)
OAK = Component("theme", "oak", "Oak", "1.0", True, "wp-content/themes/oak")

CHECK_CORE, CHECK_PLUGINS, CHECK_THEMES = (
    "/core/version-check/1.7/",
    "/plugins/update-check/1.1/",
    "/themes/update-check/1.1/",
)
PLUGIN_INFO = "/plugins/info/1.2/"
CORE_SUMS = "/core/checksums/1.0/"
CORE_ZIP, AKISMET_ZIP, OAK_ZIP = "/release/wordpress-6.8.3.zip", "/plugin/akismet.5.5.zip", "/theme/oak.2.0.zip"
AKISMET_SUMS = "/plugin-checksums/akismet/5.5.json"

CORE_FILES = {
    "wp-includes/version.php": b"<?php\n$wp_version = '6.8.3';\n$required_php_version = '7.2.24';\n",
    "wp-load.php": b"<?php // load\n",
    "wp-settings.php": b"<?php // settings\n",
    "wp-admin/includes/update-core.php": b"<?php // update\n",
    "wp-includes/functions.php": b"<?php // functions\n",
}
AKISMET_FILES = {
    "akismet.php": b"<?php\n/* Plugin Name: Akismet\n * Version: 5.5\n * Requires PHP: 7.2\n * Requires at least: 5.8\n */\n",
    "class.akismet.php": b"<?php class Akismet {}\n",
    "views/notice.php": b"<?php echo 'notice';\n",
    "readme.txt": b"=== Akismet ===\n",
}
OAK_FILES = {"style.css": b"/*\nTheme Name: Oak\nVersion: 2.0\n*/", "index.php": b"<?php // oak\n"}


def zipped(top: str, files: Mapping[str, bytes]) -> bytes:
    """As downloads.wordpress.org builds them: one top folder, with entries of its own for folders."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"": b"", **files}.items():
            entry = zipfile.ZipInfo(f"{top}/{name}", (2025, 1, 2, 3, 4, 6))  # else two builds of one package may differ
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return into.getvalue()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def plugin_sums(files: Mapping[str, bytes]) -> dict[str, Any]:
    """One file was re-published under the same version: such a file has a list of accepted sums."""
    sums: dict[str, Any] = {name: {"md5": md5(data), "sha256": sha256(data)} for name, data in files.items()}
    first = next(iter(sums))
    sums[first] = {"md5": [md5(b"earlier"), sums[first]["md5"]], "sha256": [sha256(b"earlier"), sums[first]["sha256"]]}
    # readme.txt is edited in place on wordpress.org: its published sum is often an older one.
    return {"plugin": "akismet", "version": "5.5", "files": sums | {"readme.txt": {"md5": md5(b"older")}}}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class WordPressOrg:
    """api. and downloads.wordpress.org on one loopback port. What it was not told of answers 404 and fails the test."""

    address: str = ""
    answers: dict[str, Callable[[Request], Any]] = field(default_factory=dict)
    """path → what to answer: bytes as they are, anything else as JSON"""
    broken: dict[str, Answer] = field(default_factory=dict)
    """path → what to do in place of answering"""
    asked: list[Request] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    plugin: dict[str, Any] = field(default_factory=dict)
    core: dict[str, Any] = field(default_factory=dict)
    released: datetime = datetime(2025, 7, 15, 16, 30, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.plugin = {
            "id": "w.org/plugins/akismet",
            "slug": "akismet",
            "plugin": "akismet/akismet.php",
            "new_version": "5.5",
            "url": "https://wordpress.org/plugins/akismet/",
            "package": f"https://downloads.wordpress.org{AKISMET_ZIP}",
            "tested": "6.8.3",
            "requires": "5.8",
            "requires_php": "7.2",
        }
        full = f"https://downloads.wordpress.org{CORE_ZIP}"
        self.core = {
            "response": "upgrade",
            "download": full,
            "locale": "en_US",
            "packages": {"full": full, "no_content": False, "new_bundled": False, "partial": False, "rollback": False},
            "current": "6.8.3",
            "version": "6.8.3",
            "php_version": "7.2.24",
            "mysql_version": "5.5.5",
        }
        self.answers = {
            CHECK_CORE: self._check_core,
            CHECK_PLUGINS: self._check_plugins,
            CHECK_THEMES: self._check_themes,
            PLUGIN_INFO: self._plugin_info,
            CORE_SUMS: self._core_sums,
            AKISMET_SUMS: lambda _request: plugin_sums(AKISMET_FILES),
            CORE_ZIP: lambda _request: zipped("wordpress", CORE_FILES),
            AKISMET_ZIP: lambda _request: zipped("akismet", AKISMET_FILES),
            OAK_ZIP: lambda _request: zipped("oak", OAK_FILES),
        }

    def serve(self, path: str, answer: Any) -> None:
        self.answers[path] = lambda _request: answer

    @property
    def taken(self) -> list[str]:
        """Packages and checksums that were asked for."""
        return [request.path for request in self.asked if "-check/" not in request.path and request.path != PLUGIN_INFO]

    def _check_core(self, request: Request) -> Any:
        assert request.method == "GET"
        assert request.query["php"] == "8.2.10"
        newest = request.query["version"] == self.core["version"]
        return {"offers": [{**self.core, "response": "latest" if newest else "upgrade"}], "translations": []}

    def _check_plugins(self, request: Request) -> Any:
        assert request.method == "POST"
        sent = json.loads(request.form["plugins"])
        versions = {file: header["Version"] for file, header in sent["plugins"].items()}
        assert set(sent["active"]) <= set(versions)
        known = versions.get("akismet/akismet.php")
        # An empty map is a list in PHP's JSON.
        offer: Any = {"akismet/akismet.php": self.plugin}
        newer = known is not None and known != self.plugin["new_version"]
        return {
            "plugins": offer if newer else [],
            "translations": [],
            "no_update": offer if known and not newer else [],
        }

    def _check_themes(self, request: Request) -> Any:
        assert request.method == "POST"
        sent = json.loads(request.form["themes"])
        package = f"https://downloads.wordpress.org{OAK_ZIP}"
        offer = {"theme": "oak", "new_version": "2.0", "package": package, "requires": False, "requires_php": False}
        newer = sent["themes"]["oak"]["Version"] != "2.0"
        return {"themes": {"oak": offer} if newer else [], "no_update": [], "translations": []}

    def _plugin_info(self, request: Request) -> Any:
        assert request.query["action"] == "plugin_information"
        assert request.query["request[slug]"] == "akismet"
        changed = f"{self.released:%Y-%m-%d} {self.released.hour % 12 or 12}:{self.released:%M%p}".lower()
        return {"slug": "akismet", "version": self.plugin["new_version"], "last_updated": f"{changed} GMT"}

    def _core_sums(self, request: Request) -> Any:
        known = request.query == {"version": "6.8.3", "locale": "en_US"}
        return {"checksums": {name: md5(data) for name, data in CORE_FILES.items()} if known else False}


def handler(org: WordPressOrg) -> type[Handler]:
    class Org(Handler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(parse_qs(body))

        def _answer(self, form: Mapping[str, list[str]]) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            request = Request(self.command, url.path, query, {name: values[0] for name, values in form.items()})
            org.asked.append(request)
            if url.path in org.broken:
                org.broken[url.path](self)
            elif url.path not in org.answers:
                org.unexpected.append(self.path)
                self.send_error(404)
            else:
                answer = org.answers[url.path](request)
                say(self, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    return Org


def say(to: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = None) -> None:
    to.send_response(status)
    to.send_header("Content-Length", str(len(body) if length is None else length))
    to.end_headers()
    to.wfile.write(body)


@pytest.fixture
def org() -> Iterator[WordPressOrg]:
    told = WordPressOrg()
    with served(handler(told)) as port:
        told.address = f"http://127.0.0.1:{port}"
        yield told
        told.closing.set()
    assert told.unexpected == []


@dataclass
class Shop:
    """A site that asks this server, with WordPress 6.1.9, akismet 5.0.2, a plugin of its own and a theme."""

    root: Path
    org: WordPressOrg
    components: tuple[Component, ...] = (CORE, AKISMET, OWN, OAK)
    policy: Policy = field(default_factory=Policy)

    @property
    def site(self) -> Site:
        return Site(
            "shop",
            Server("h", "u"),
            "/srv",
            "https://shop.example",
            self.root / "site.yml",
            sources=Sources((self.root / "packages",), online=True, api=self.org.address, downloads=self.org.address),
            policy=self.policy,
        )

    def plan(self, fetch: Any = None) -> Plan:
        """`fetch` None: the product's own."""
        (self.root / "packages").mkdir(exist_ok=True)
        inventory = Inventory("wordpress", self.components[0].version, "8.2.10", self.components)
        return sources.plan(self.site, inventory, wordpress, PLATFORM, self.root / "cache", Silent(), fetch)

    def cached(self) -> set[str]:
        """sha256 of every package in the cache. Notes of addresses and versions are beside them; anything else fails."""
        files = list((self.root / "cache").iterdir()) if (self.root / "cache").is_dir() else []
        assert {file.suffix for file in files} <= {".zip", ".address", ".release"}
        assert not [file for file in files if file.name.startswith("incoming-")]
        return {sha256(file.read_bytes()) for file in files if file.suffix == ".zip"}


@pytest.fixture
def shop(tmp_path: Path, org: WordPressOrg) -> Shop:
    return Shop(tmp_path, org)


def only_akismet(shop: Shop) -> Shop:
    """Nothing but akismet has an update."""
    shop.components = (replace(CORE, version="6.8.3"), AKISMET, OWN, replace(OAK, version="2.0"))
    return shop


def versions(plan: Plan) -> list[tuple[str, str, str]]:
    return [(update.slug, update.from_version, update.to_version) for update in plan.updates]


EVERYTHING = [("wordpress", "6.1.9", "6.8.3"), ("oak", "1.0", "2.0"), ("akismet", "5.0.2", "5.5")]


# ------------------------------------------------------------------------------------------------------------- what is offered


def test_newer_core_theme_and_plugin_are_downloaded_and_verified(shop: Shop) -> None:
    plan = shop.plan()
    assert versions(plan) == EVERYTHING
    assert plan.held == ()
    core, oak, akismet = plan.updates
    assert core.package.read_bytes() == zipped("wordpress", CORE_FILES)
    assert akismet.package.read_bytes() == zipped("akismet", AKISMET_FILES)
    assert (akismet.package.name, akismet.sha256) == (f"{akismet.sha256}.zip", sha256(akismet.package.read_bytes()))
    assert (akismet.requires_php, akismet.requires_core) == ("7.2", "5.8")
    assert {core.source, oak.source, akismet.source} == {urlsplit(shop.org.address).netloc}
    assert sorted(shop.org.taken) == sorted([CORE_ZIP, CORE_SUMS, OAK_ZIP, AKISMET_ZIP, AKISMET_SUMS])


def test_a_release_of_this_morning_waits_and_says_until_when(shop: Shop) -> None:
    shop.org.released = datetime.now(UTC) - timedelta(hours=5)
    plan = only_akismet(shop).plan()
    assert plan.updates == ()
    (held,) = plan.held
    assert held.reason.startswith("released 5 h ago, policy.minimum_age is 24 h; old enough on ")
    assert shop.org.taken == [], "what waits is not downloaded"


def test_a_component_that_money_passes_through_waits_a_week(shop: Shop) -> None:
    shop.org.released = datetime.now(UTC) - timedelta(days=3)
    assert versions(only_akismet(shop).plan()) == [("akismet", "5.0.2", "5.5")]
    shop.policy = Policy(critical=("akismet",))
    assert [held.reason.partition(";")[0] for held in shop.plan().held] == [
        "released 3 days ago, policy.critical_age is 7 days"
    ]


FEED = {
    "8f5f5a37": {
        "id": "8f5f5a37",
        "title": "Akismet < 5.5 - Unauthenticated SQL Injection",
        "cve": "CVE-2026-0001",
        "cvss": {"score": 9.8, "rating": "Critical"},
        "software": [
            {
                "type": "plugin",
                "slug": "akismet",
                "affected_versions": {
                    "* - 5.4": {"from_version": "*", "from_inclusive": True, "to_version": "5.4", "to_inclusive": True}
                },
                "patched": True,
                "patched_versions": ["5.5"],
            }
        ],
    }
}


def test_a_security_fix_known_from_the_feed_does_not_wait_and_says_what_it_mends(shop: Shop) -> None:
    shop.org.released = datetime.now(UTC) - timedelta(hours=1)
    shop.org.serve("/feed.json", FEED)
    shop.policy = Policy(critical=("akismet",), advisories=f"{shop.org.address}/feed.json")
    (update,) = only_akismet(shop).plan().updates
    assert update.security == ("CVE-2026-0001 Akismet < 5.5 - Unauthenticated SQL Injection (Critical)",)
    assert update.released == shop.org.released.replace(second=0, microsecond=0)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"1": {"title": "x"}}'])
def test_a_feed_that_cannot_be_read_is_told_and_nothing_is_taken_for_a_security_fix(shop: Shop, answer: bytes) -> None:
    shop.org.released = datetime.now(UTC) - timedelta(hours=1)
    shop.org.serve("/feed.json", answer)
    shop.policy = Policy(advisories=f"{shop.org.address}/feed.json")
    plan = only_akismet(shop).plan()
    assert plan.updates == ()
    (note,) = plan.notes
    assert note.startswith(f"security fixes are not known: {urlsplit(shop.org.address).netloc}: ")


def test_a_date_that_cannot_be_had_holds_nothing_and_is_told(shop: Shop) -> None:
    shop.org.broken[PLUGIN_INFO] = lambda handler: handler.send_error(503)
    plan = only_akismet(shop).plan()
    assert versions(plan) == [("akismet", "5.0.2", "5.5")]
    host = urlsplit(shop.org.address).netloc
    assert plan.notes == (f"Akismet 5.5: {host} gives no release date, its age is not known",)


def test_a_second_plan_downloads_nothing(shop: Shop) -> None:
    first = shop.plan()
    shop.org.asked.clear()
    assert shop.plan() == first
    assert shop.org.taken == []
    assert [request.path for request in shop.org.asked] == [CHECK_CORE, CHECK_PLUGINS, PLUGIN_INFO, CHECK_THEMES]


def test_a_shop_that_is_up_to_date_has_an_empty_plan(shop: Shop) -> None:
    shop.components = (
        *only_akismet(shop).components[:1],
        replace(AKISMET, version="5.5"),
        OWN,
        replace(OAK, version="2.0"),
    )
    plan = shop.plan()
    assert (plan.updates, plan.held) == ((), ())
    assert shop.org.taken == []


def test_a_plugin_that_wordpress_org_does_not_know_is_left_alone(shop: Shop) -> None:
    shop.components = (replace(CORE, version="6.8.3"), OWN)
    assert shop.plan() == Plan(Inventory("wordpress", "6.8.3", "8.2.10", shop.components), ())


def test_an_offer_for_what_is_not_installed_is_left_alone(shop: Shop) -> None:
    shop.components = (replace(CORE, version="6.8.3"), OWN)
    shop.org.serve(CHECK_PLUGINS, {"plugins": {"akismet/akismet.php": shop.org.plugin}, "no_update": []})
    assert shop.plan().updates == ()
    assert shop.org.taken == []


# ------------------------------------------------------------------------------------------- held before anything is downloaded


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"requires_php": "8.4"}, "requires PHP 8.4, the server has 8.2.10"),
        ({"requires": "6.9"}, "requires core 6.9, this plan ends at 6.8.3"),
    ],
)
def test_what_the_api_says_does_not_fit_is_held_before_the_download(
    shop: Shop, change: dict[str, str], reason: str
) -> None:
    only_akismet(shop).org.plugin |= change
    plan = shop.plan()
    assert plan.updates == ()
    assert [(held.slug, held.to_version, held.reason) for held in plan.held] == [("akismet", "5.5", reason)]
    assert shop.org.taken == []


def test_a_core_that_needs_a_newer_php_holds_what_needs_that_core(shop: Shop) -> None:
    shop.components = (CORE, AKISMET)
    shop.org.core["php_version"] = "8.3"
    shop.org.plugin["requires"] = "6.5"
    plan = shop.plan()
    assert plan.updates == ()
    assert [held.reason for held in plan.held] == [
        "requires PHP 8.3, the server has 8.2.10",
        "requires core 6.5, this plan ends at 6.1.9",
    ]
    assert shop.org.taken == []


def test_the_package_s_own_header_counts_where_the_api_names_no_php(shop: Shop) -> None:
    files = AKISMET_FILES | {"akismet.php": AKISMET_FILES["akismet.php"].replace(b"PHP: 7.2", b"PHP: 8.4")}
    only_akismet(shop).org.plugin["requires_php"] = False
    shop.org.serve(AKISMET_ZIP, zipped("akismet", files))
    shop.org.serve(AKISMET_SUMS, plugin_sums(files))
    for _downloaded_then_cached in range(2):
        plan = shop.plan()
        assert plan.updates == ()
        assert [held.reason for held in plan.held] == ["requires PHP 8.4, the server has 8.2.10"]


def test_what_the_policy_holds_is_not_downloaded(shop: Shop) -> None:
    shop.policy = Policy(hold={"akismet": Hold("spam is in season"), "core:wordpress": Hold("after the sale")})
    plan = shop.plan()
    assert versions(plan) == [("oak", "1.0", "2.0")]
    assert {(held.slug, held.to_version, held.reason) for held in plan.held} == {
        ("akismet", "5.5", "held by policy: spam is in season"),
        ("wordpress", "6.8.3", "held by policy: after the sale"),
    }
    assert shop.org.taken == [OAK_ZIP]


# --------------------------------------------------------------------------------------------------- a download that is not it

WHOLE = zipped("akismet", AKISMET_FILES)
ONE_BYTE = bytearray(WHOLE)
ONE_BYTE[WHOLE.index(b"akismet/class.akismet.php") + len(b"akismet/class.akismet.php") + 3] ^= 1
REPACKED = zipped("akismet", AKISMET_FILES | {"class.akismet.php": b"<?php class Akismit {}\n"})
WITH_SHELL = zipped("akismet", AKISMET_FILES | {"views/shell.php": b"<?php eval($_GET[0]);"})
WITHOUT_CLASS = zipped("akismet", {name: data for name, data in AKISMET_FILES.items() if name != "class.akismet.php"})
OLDER = zipped("akismet", AKISMET_FILES | {"akismet.php": AKISMET_FILES["akismet.php"].replace(b"5.5", b"5.4")})
SHORT_LIST = plugin_sums({name: data for name, data in AKISMET_FILES.items() if name != "views/notice.php"})

BAD = [
    pytest.param(AKISMET_ZIP, bytes(ONE_BYTE), "class.akismet.php", id="one byte of the zip differs"),
    pytest.param(AKISMET_ZIP, REPACKED, "differs from what was published (class.akismet.php", id="one byte, repacked"),
    pytest.param(AKISMET_ZIP, WHOLE[: len(WHOLE) // 2], "truncated or not a zip", id="truncated"),
    pytest.param(AKISMET_ZIP, b"", "truncated or not a zip", id="empty"),
    pytest.param(AKISMET_ZIP, b"<html>Sign in</html>", "truncated or not a zip", id="a page in place of a zip"),
    pytest.param(AKISMET_ZIP, WITH_SHELL, "never published (views/shell.php)", id="a file more"),
    pytest.param(AKISMET_ZIP, WITHOUT_CLASS, "lacks a file that was published (class.akismet.php)", id="a file less"),
    pytest.param(AKISMET_ZIP, zipped("oak", OAK_FILES), "received theme oak 2.0", id="another component"),
    pytest.param(AKISMET_ZIP, OLDER, "received plugin akismet 5.4", id="another version"),
    pytest.param(AKISMET_SUMS, SHORT_LIST, "never published (views/notice.php)", id="the list lacks a file"),
    pytest.param(AKISMET_SUMS, {"files": []}, "no checksums are published", id="an empty list"),
    pytest.param(AKISMET_SUMS, {"error": "unknown"}, "no checksums are published", id="no list"),
]


@pytest.mark.parametrize(("path", "served", "reason"), BAD)
def test_a_download_that_is_not_what_was_published_is_held_and_never_used(
    shop: Shop, path: str, served: Any, reason: str
) -> None:
    right = shop.org.answers[path]
    shop.org.serve(path, served)
    plan = shop.plan()
    assert versions(plan) == EVERYTHING[:2]
    (held,) = plan.held
    assert (held.kind, held.slug, held.from_version, held.to_version) == ("plugin", "akismet", "5.0.2", "5.5")
    assert held.reason.startswith("akismet.5.5.zip: package refused: ")
    assert reason in held.reason
    assert shop.cached() == {update.sha256 for update in plan.updates}
    shop.org.answers[path] = right
    assert versions(shop.plan()) == EVERYTHING


def test_a_core_that_is_not_what_was_published_is_held(shop: Shop) -> None:
    changed = CORE_FILES | {"wp-load.php": b"<?php // l0ad\n"}
    shop.org.serve(CORE_ZIP, zipped("wordpress", changed))
    plan = shop.plan()
    assert versions(plan) == EVERYTHING[1:]
    assert plan.held[0].reason.startswith(
        "wordpress-6.8.3.zip: package refused: a file differs from what was published (wp-load.php"
    )


def test_a_core_without_published_checksums_is_held(shop: Shop) -> None:
    shop.org.serve(CORE_SUMS, {"checksums": False})
    plan = shop.plan()
    assert versions(plan) == EVERYTHING[1:]
    assert "no checksums are published" in plan.held[0].reason


@pytest.mark.parametrize("path", [AKISMET_ZIP, AKISMET_SUMS])
def test_a_package_or_list_that_does_not_exist_is_held(shop: Shop, path: str) -> None:
    only_akismet(shop).org.broken[path] = lambda to: say(to, b"not found", 404)
    plan = shop.plan()
    assert plan.updates == ()
    assert plan.held[0].reason.startswith("akismet.5.5.zip: package refused: it, or its checksums, are not there")
    assert path in plan.held[0].reason
    assert shop.cached() == set()


# ------------------------------------------------------------------------------------------------------ a source that fails


def hang(org: WordPressOrg) -> Answer:
    def wait(_to: BaseHTTPRequestHandler) -> None:
        org.closing.wait(60)

    return wait


def trickle(org: WordPressOrg) -> Answer:
    """A space at a time, for as long as somebody listens: no single wait is long."""

    def drip(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "100000")
        to.end_headers()
        while not org.closing.wait(0.02):
            try:
                to.wfile.write(b" ")
            except OSError:
                return

    return drip


def break_off(_org: WordPressOrg) -> Answer:
    return lambda to: say(to, WHOLE[: len(WHOLE) // 2], length=len(WHOLE))


def status(code: int) -> Callable[[WordPressOrg], Answer]:
    return lambda _org: lambda to: say(to, b"<html>sorry</html>", code)


def body(data: bytes) -> Callable[[WordPressOrg], Answer]:
    return lambda _org: lambda to: say(to, data)


IMPATIENT = partial(sources.http_fetch, silence=0.3, whole=0.6)
FAULTS = {
    "500": status(500),
    "503": status(503),
    "429": status(429),
    "HTML": body(b"<html>Sign in to the guest network</html>"),
    "empty": body(b""),
    "half": body(b'{"offers": [{"resp'),
    "another map": body(b"{}"),
    "an error": body(b'{"error": "Invalid request"}'),
    "a list": body(b"[]"),
    "null": body(b"null"),
    "null offers": body(b'{"offers": null, "plugins": null, "themes": null}'),
    "text offers": body(b'{"offers": ["6.8"], "plugins": ["x"], "themes": ["x"]}'),
    "hang": hang,
    "trickle": trickle,
    "broken off": break_off,
}


@pytest.mark.parametrize("path", [CHECK_CORE, CHECK_PLUGINS, CHECK_THEMES])
@pytest.mark.parametrize("fault", FAULTS)
def test_an_api_that_fails_is_never_no_updates(shop: Shop, path: str, fault: str) -> None:
    shop.org.broken[path] = FAULTS[fault](shop.org)
    with pytest.raises(sources.SourceUnreachable) as caught:
        shop.plan(IMPATIENT)
    assert caught.value.exit_code is ExitCode.INCONCLUSIVE
    assert caught.value.where == urlsplit(shop.org.address).netloc
    assert path in caught.value.cause
    assert "sources.online: false" in caught.value.hint
    assert shop.org.taken == []


def test_an_api_that_nobody_serves_is_never_no_updates(shop: Shop) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        shop.org.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(sources.SourceUnreachable, match="does not answer") as caught:
            shop.plan()
    assert caught.value.exit_code is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize("address", ["http://[nowhere/x.zip", "file:///etc/passwd", "akismet.5.5.zip"])
def test_a_package_without_a_web_address_is_held_and_inconclusive_when_alone(shop: Shop, address: str) -> None:
    shop.org.plugin["package"] = address
    plan = shop.plan()
    assert versions(plan) == EVERYTHING[:2]
    assert address in plan.held[0].reason
    only_akismet(shop)
    with pytest.raises(sources.SourceUnreachable):
        shop.plan()


@pytest.mark.parametrize("fault", ["500", "HTML", "an error", "hang"])
def test_with_a_package_in_a_folder_the_plan_goes_on_and_says_who_was_silent(shop: Shop, fault: str) -> None:
    (shop.root / "packages").mkdir()
    own = b"<?php\n/* Plugin Name: Our Shop\n * Version: 1.1\n */\n"
    (shop.root / "packages" / "our-shop.zip").write_bytes(zipped("our-shop", {"our-shop.php": own}))
    shop.org.broken[CHECK_PLUGINS] = FAULTS[fault](shop.org)
    plan = shop.plan(IMPATIENT)
    assert versions(plan) == [("our-shop", "1.0", "1.1")]
    (held,) = plan.held
    assert (held.kind, held.slug) == ("source", urlsplit(shop.org.address).netloc)
    assert CHECK_PLUGINS in held.reason


@pytest.mark.parametrize("path", [AKISMET_ZIP, AKISMET_SUMS])
@pytest.mark.parametrize("fault", ["500", "hang", "trickle", "broken off"])
def test_a_download_that_does_not_come_is_held_and_inconclusive_when_alone(shop: Shop, path: str, fault: str) -> None:
    shop.org.broken[path] = FAULTS[fault](shop.org)
    plan = shop.plan(IMPATIENT)
    assert versions(plan) == EVERYTHING[:2]
    assert [(held.slug, held.to_version) for held in plan.held] == [("akismet", "5.5")]
    assert path in plan.held[0].reason
    assert shop.cached() == {update.sha256 for update in plan.updates}
    only_akismet(shop)
    with pytest.raises(sources.SourceUnreachable) as caught:
        shop.plan(IMPATIENT)
    assert caught.value.exit_code is ExitCode.INCONCLUSIVE
    assert path in caught.value.cause


def test_checksums_that_cannot_be_read_hold_the_package(shop: Shop) -> None:
    shop.org.serve(AKISMET_SUMS, b"<html>Sign in</html>")
    plan = shop.plan()
    assert versions(plan) == EVERYTHING[:2]
    assert "cannot be read" in plan.held[0].reason
    assert AKISMET_SUMS in plan.held[0].reason


def test_a_package_in_the_cache_is_used_while_downloads_are_down(shop: Shop) -> None:
    shop.plan()
    for path in (CORE_ZIP, CORE_SUMS, OAK_ZIP, AKISMET_ZIP, AKISMET_SUMS):
        shop.org.broken[path] = status(500)(shop.org)
    assert versions(shop.plan()) == EVERYTHING


# ------------------------------------------------------------------------------------------------------- what is installed now


def known(shop: Shop, plan: Plan, root: Path) -> dict[str, edits.Known]:
    return sources.releases(shop.site, plan.inventory, plan.updates, wordpress, root, shop.root / "cache", Silent())


def installed(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / "wp-content/plugins/akismet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_an_installed_plugin_is_compared_with_its_published_checksums(shop: Shop, tmp_path: Path) -> None:
    plan = only_akismet(shop).plan()
    old = {name: data.replace(b"5.5", b"5.0.2") for name, data in AKISMET_FILES.items()}
    shop.org.serve("/plugin-checksums/akismet/5.0.2.json", {**plugin_sums(old), "version": "5.0.2"})
    root = installed(tmp_path / "docroot", {**old, "views/notice.php": b"<?php echo 'ours';\n", "readme.txt": b"ours"})
    plan = edits.respect(plan, root, known(shop, plan, root), {}, tmp_path / "edits")
    assert plan.updates == ()
    assert plan.held[0].reason.startswith("edited by hand, and the update would overwrite it: views/notice.php.")
    assert plan.notes == ()


def test_a_readme_that_differs_is_neither_an_edit_nor_foreign(shop: Shop, tmp_path: Path) -> None:
    plan = only_akismet(shop).plan()
    shop.org.serve("/plugin-checksums/akismet/5.0.2.json", {**plugin_sums(AKISMET_FILES), "version": "5.0.2"})
    root = installed(tmp_path / "docroot", AKISMET_FILES | {"readme.txt": b"as of today", "ours.php": b"ours"})
    plan = edits.respect(plan, root, known(shop, plan, root), {}, tmp_path / "edits")
    assert [update.carry for update in plan.updates] == [("wp-content/plugins/akismet/ours.php",)]


def test_a_version_that_an_earlier_run_fetched_is_known_without_asking(shop: Shop, tmp_path: Path) -> None:
    only_akismet(shop).plan()
    shop.components = (*shop.components[:1], replace(AKISMET, version="5.5"), *shop.components[2:])
    shop.org.asked.clear()
    newer = replace(only_update(shop), from_version="5.5", to_version="5.6")
    found = sources.releases(
        shop.site, Inventory("wordpress", "6.8.3", "8.2.10", shop.components), [newer], wordpress, tmp_path, shop.root / "cache", Silent()
    )  # fmt: skip
    assert found["plugin:akismet"].files["class.akismet.php"] == (
        f"sha256:{sha256(AKISMET_FILES['class.akismet.php'])}",
    )
    assert shop.org.asked == []


def test_a_version_whose_checksums_are_not_published_is_not_known_and_stops_nothing(shop: Shop, tmp_path: Path) -> None:
    plan = only_akismet(shop).plan()
    shop.org.broken["/plugin-checksums/akismet/5.0.2.json"] = lambda to: to.send_error(404)
    assert known(shop, plan, tmp_path) == {}


def test_core_is_asked_for_in_the_language_it_was_installed_in(shop: Shop, tmp_path: Path) -> None:
    plan = shop.plan()
    version = tmp_path / "docroot/wp-includes/version.php"
    version.parent.mkdir(parents=True)
    version.write_text("<?php\n$wp_version = '6.1.9';\n$wp_local_package = 'ru_RU';\n")
    asked: list[Mapping[str, str]] = []

    def sums(request: Request) -> Any:
        asked.append(request.query)
        return {
            "checksums": {
                "wp-includes/version.php": md5(version.read_bytes()),
                "wp-content/index.php": "0",
                "readme.html": "0",
            }
        }

    shop.org.answers[CORE_SUMS] = sums
    shop.org.broken["/plugin-checksums/akismet/5.0.2.json"] = lambda to: to.send_error(404)
    found = known(shop, plan, tmp_path / "docroot")
    assert asked == [{"version": "6.1.9", "locale": "ru_RU"}]
    assert found["core:wordpress"].files == {
        "wp-includes/version.php": (f"md5:{md5(version.read_bytes())}",),
        "wp-content/index.php": (),
        "readme.html": (),
    }
    assert "theme:oak" not in found, "nothing is published for themes"


def only_update(shop: Shop) -> Update:
    return Update("plugin", "akismet", "Akismet", "5.0.2", "5.5", shop.root / "akismet.zip", "0" * 64, "wordpress.org")
