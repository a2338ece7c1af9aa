"""The plan: the newest version of each component that fits, and what is held with which reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from updater import sources
from updater.cms.base import Fetch, Offer, PackageInfo
from updater.errors import ConfigError, ExitCode, PackageRefused
from updater.log import Silent
from updater.model import Component, Hold, Inventory, Pin, Plan, Platform, Policy, Server, Site, Sources, Update
from updater.versions import compare_versions, is_patch

PLATFORM = Platform("8.2.10", (), {}, "10.11", "mariadb", "", "utf8mb4", "utf8mb4_general_ci")
INVENTORY = Inventory(
    "fake",
    "6.1",
    "8.2.10",
    (
        Component("plugin", "tea", "Tea", "1.0", True, "plugins/tea"),
        Component("core", "cms", "CMS", "6.1", True, ""),
        Component("plugin", "cake", "Cake", "1.0", True, "plugins/cake"),
    ),
)


@dataclass
class FakeDriver:
    """Packages are JSON. Anything but these functions is an error."""

    online: Sequence[Offer] = ()
    verified: list[str] = field(default_factory=list)
    refuse: str = ""

    def refuses(self, component: Component, version: str) -> str:
        return "another program" if version.startswith("9.") else ""

    def leap(self, component: Component, version: str) -> str:
        return "a leap" if version.startswith("7.") else ""

    def read_package(self, path: Path, name: str = "") -> PackageInfo:
        try:
            return PackageInfo(**json.loads(path.read_bytes()))
        except ValueError:
            raise PackageRefused("package refused: truncated", where=str(path)) from None

    def offers(self, inventory: Inventory, fetch: Fetch, api: str | None, downloads: str | None) -> Sequence[Offer]:
        fetch("http://api.test/check", None)
        return self.online

    def verify_download(self, package: Path, offer: Offer, fetch: Fetch) -> None:
        self.verified.append(offer.url)
        if self.refuse:
            raise PackageRefused(f"package refused: {self.refuse}", where=str(package))


def content(slug: str, version: str, kind: str = "plugin", **more: str) -> bytes:
    return json.dumps({"kind": kind, "slug": slug, "name": slug.title(), "version": version, **more}).encode()


@dataclass
class Shelf:
    """A folder of packages and a site that points at it."""

    root: Path

    def put(self, name: str, data: bytes) -> None:
        (self.root / "packages").mkdir(exist_ok=True)
        (self.root / "packages" / name).write_bytes(data)

    def plan(self, driver: Any = None, policy: Policy | None = None, online: bool = False, **more: Any) -> Plan:
        (self.root / "packages").mkdir(exist_ok=True)
        site = Site(
            "shop",
            Server("h", "u"),
            "/srv",
            "https://shop.example",
            self.root / "site.yml",
            sources=Sources(folders=(self.root / "packages",), online=online),
            policy=policy or Policy(),
        )
        return sources.plan(site, INVENTORY, driver or FakeDriver(), PLATFORM, self.root / "cache", Silent(), **more)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def versions(plan: Plan) -> list[tuple[str, str]]:
    return [(update.slug, update.to_version) for update in plan.updates]


def test_the_newest_version_of_each_component_is_planned_core_first(shelf: Shelf) -> None:
    for version in ("1.9", "1.10", "0.9"):
        shelf.put(f"tea-{version}.zip", content("tea", version))
    shelf.put("a-core.zip", content("cms", "6.8", "core"))
    shelf.put("cake.zip", content("cake", "1.1"))
    plan = shelf.plan()
    assert versions(plan) == [("cms", "6.8"), ("cake", "1.1"), ("tea", "1.10")]
    assert plan.held == ()


def test_a_package_changed_after_the_plan_is_not_what_is_applied(shelf: Shelf) -> None:
    shelf.put("tea.zip", content("tea", "1.1"))
    update = shelf.plan().updates[0]
    shelf.put("tea.zip", b"something else")
    assert update.package.read_bytes() == content("tea", "1.1")
    assert update.package.name == f"{update.sha256}.zip"


def test_a_version_that_needs_a_newer_php_is_held_and_the_next_one_taken(shelf: Shelf) -> None:
    shelf.put("new.zip", content("tea", "2.0", requires_php="8.3"))
    shelf.put("old.zip", content("tea", "1.1", requires_php="8.2"))
    plan = shelf.plan()
    assert versions(plan) == [("tea", "1.1")]
    assert plan.held[0].to_version == "2.0"
    assert plan.held[0].reason == "requires PHP 8.3, the server has 8.2.10"


def test_a_leap_is_taken_only_where_no_ordinary_version_is_left(shelf: Shelf) -> None:
    shelf.put("leap.zip", content("cms", "7.0", "core"))
    assert versions(shelf.plan()) == [("cms", "7.0")]
    shelf.put("ordinary.zip", content("cms", "6.8", "core"))
    assert versions(shelf.plan()) == [("cms", "6.8")]


def test_a_version_that_cannot_follow_is_held_and_the_next_one_taken(shelf: Shelf) -> None:
    shelf.put("other.zip", content("cms", "9.0", "core"))
    shelf.put("ordinary.zip", content("cms", "6.8", "core"))
    plan = shelf.plan()
    assert versions(plan) == [("cms", "6.8")]
    assert (plan.held[0].to_version, plan.held[0].reason) == ("9.0", "another program")


def test_a_plugin_may_ask_for_the_core_of_the_same_plan(shelf: Shelf) -> None:
    shelf.put("tea.zip", content("tea", "1.1", requires_core="6.5"))
    assert shelf.plan().held[0].reason == "requires core 6.5, this plan ends at 6.1"
    shelf.put("z-core.zip", content("cms", "6.8", "core"))
    assert versions(shelf.plan()) == [("cms", "6.8"), ("tea", "1.1")]


def test_what_needs_the_new_core_is_known_and_what_runs_on_the_old_one_needs_nothing(shelf: Shelf) -> None:
    shelf.put("tea.zip", content("tea", "1.1", requires_core="6.5"))
    shelf.put("cake.zip", content("cake", "1.1", requires_core="6.0"))
    shelf.put("z-core.zip", content("cms", "6.8", "core"))
    assert sources.needs(shelf.plan()) == {"plugin:tea": frozenset(["core:cms"])}


def test_a_held_core_holds_what_needs_it(shelf: Shelf) -> None:
    shelf.put("tea.zip", content("tea", "1.1", requires_core="6.5"))
    shelf.put("core.zip", content("cms", "6.8", "core"))
    plan = shelf.plan(policy=Policy(hold={"cms": Hold("waits for the theme")}))
    assert plan.updates == ()
    assert [held.reason for held in plan.held] == [
        "held by policy: waits for the theme",
        "requires core 6.5, this plan ends at 6.1",
    ]


def test_a_pinned_component_goes_up_to_its_pin_and_no_further(shelf: Shelf) -> None:
    for version in ("1.1", "1.2", "2.0"):
        shelf.put(f"tea-{version}.zip", content("tea", version))
    pinned = Policy(pin={"plugin:tea": Pin("1.2", "2.0 drops the old templates", date(2027, 1, 31))})
    plan = shelf.plan(policy=pinned, at=datetime(2027, 1, 31, 23, tzinfo=UTC))
    assert versions(plan) == [("tea", "1.2")]
    assert [(held.to_version, held.reason) for held in plan.held] == [
        ("2.0", "pinned to 1.2 by policy until 2027-01-31: 2.0 drops the old templates")
    ]
    assert versions(shelf.plan(policy=pinned, at=datetime(2027, 2, 1, tzinfo=UTC))) == [("tea", "2.0")]


def test_a_hold_ends_by_itself_on_its_day(shelf: Shelf) -> None:
    shelf.put("tea.zip", content("tea", "1.1"))
    policy = Policy(hold={"tea": Hold("waits for its licence", date(2027, 1, 31))})
    held = shelf.plan(policy=policy, at=datetime(2027, 1, 31, tzinfo=UTC))
    assert [it.reason for it in held.held] == ["held by policy until 2027-01-31: waits for its licence"]
    assert versions(shelf.plan(policy=policy, at=datetime(2027, 2, 1, tzinfo=UTC))) == [("tea", "1.1")]


def test_a_file_that_a_person_put_there_has_no_age(shelf: Shelf) -> None:
    shelf.put("tea.zip", content("tea", "1.1"))
    plan = shelf.plan(policy=Policy(minimum_age=timedelta(days=300)))
    assert (versions(plan), plan.notes) == ([("tea", "1.1")], ())


def test_a_refused_package_is_held_by_file_and_reason(shelf: Shelf) -> None:
    shelf.put("broken.zip", b"\0")
    shelf.put("tea.zip", content("tea", "1.1"))
    plan = shelf.plan()
    assert versions(plan) == [("tea", "1.1")]
    assert plan.held[0].slug == "broken.zip"
    assert "truncated" in plan.held[0].reason


def test_an_update_that_was_asked_for_and_has_no_package_is_an_error(shelf: Shelf) -> None:
    shelf.put("cake.zip", content("cake", "1.1"))
    with pytest.raises(ConfigError, match="no package for plugin:tea"):
        shelf.plan(only=("plugin:tea",))
    assert versions(shelf.plan(only=("cake",))) == [("cake", "1.1")]


def test_a_folder_that_does_not_exist_is_an_error(shelf: Shelf, tmp_path: Path) -> None:
    site = Site(
        "s", Server("h", "u"), "/", "https://s", tmp_path / "site.yml", sources=Sources((tmp_path / "no",), False)
    )
    with pytest.raises(ConfigError, match="does not exist"):
        sources.plan(site, INVENTORY, FakeDriver(), PLATFORM, tmp_path / "c", Silent())  # type: ignore[arg-type]


OFFER = Offer(PackageInfo("plugin", "tea", "Tea", "1.2"), "http://downloads.test/tea.zip")


@dataclass
class Web:
    answers: Mapping[str, bytes | Exception]
    asked: list[str] = field(default_factory=list)

    def __call__(self, url: str, form: Mapping[str, str] | None) -> bytes:
        self.asked.append(url)
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_download_is_verified_once_and_then_taken_from_the_cache(shelf: Shelf) -> None:
    driver = FakeDriver((OFFER,))
    web = Web({"http://api.test/check": b"", OFFER.url: content("tea", "1.2")})
    first = shelf.plan(driver, online=True, fetch=web)
    second = shelf.plan(driver, online=True, fetch=web)
    assert versions(first) == versions(second) == [("tea", "1.2")]
    assert first.updates[0].source == "downloads.test"
    assert web.asked.count(OFFER.url) == 1
    assert driver.verified == [OFFER.url]


def test_a_damaged_cache_is_downloaded_again(shelf: Shelf) -> None:
    web = Web({"http://api.test/check": b"", OFFER.url: content("tea", "1.2")})
    shelf.plan(FakeDriver((OFFER,)), online=True, fetch=web).updates[0].package.write_bytes(b"rotten")
    plan = shelf.plan(FakeDriver((OFFER,)), online=True, fetch=web)
    assert plan.updates[0].package.read_bytes() == content("tea", "1.2")


def test_a_download_that_is_refused_is_held_and_not_cached(shelf: Shelf) -> None:
    web = Web({"http://api.test/check": b"", OFFER.url: content("tea", "1.2")})
    for _ in range(2):
        plan = shelf.plan(FakeDriver((OFFER,), refuse="wrong checksum"), online=True, fetch=web)
        assert plan.updates == ()
        assert "wrong checksum" in plan.held[0].reason
    assert list((shelf.root / "cache").iterdir()) == []


def test_a_download_of_another_component_is_held(shelf: Shelf) -> None:
    web = Web({"http://api.test/check": b"", OFFER.url: content("cake", "1.2")})
    assert "not what was offered" in shelf.plan(FakeDriver((OFFER,)), online=True, fetch=web).held[0].reason


def test_a_silent_api_is_inconclusive_and_never_no_updates(shelf: Shelf) -> None:
    web = Web({"http://api.test/check": httpx.ConnectError("refused")})
    with pytest.raises(sources.SourceUnreachable) as caught:
        shelf.plan(FakeDriver(), online=True, fetch=web)
    assert caught.value.exit_code is ExitCode.INCONCLUSIVE
    assert "api.test" in str(caught.value)


def test_with_packages_in_a_folder_a_silent_api_is_listed(shelf: Shelf) -> None:
    shelf.put("tea.zip", content("tea", "1.1"))
    plan = shelf.plan(FakeDriver(), online=True, fetch=Web({"http://api.test/check": httpx.ConnectError("refused")}))
    assert versions(plan) == [("tea", "1.1")]
    assert plan.held[0].kind == "source"


# Each line as PHP 8.2's version_compare() answered it.
@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("1.0", "1.0.0", -1),
        ("1.10", "1.9", 1),
        ("1.0-beta1", "1.0", -1),
        ("1.0beta2", "1.0-RC1", -1),
        ("1.0rc2", "1.0-RC1", 1),
        ("1.0pl1", "1.0", 1),
        ("1.0-dev", "1.0a", -1),
        ("1.0.foo", "1.0-dev", -1),
        ("1.0+build", "1.0", -1),
        ("6.8", "6.8", 0),
        ("2", "1.10", 1),
    ],
)
def test_versions_are_ordered_as_php_orders_them(left: str, right: str, expected: int) -> None:
    assert compare_versions(left, right) == expected
    assert compare_versions(right, left) == -expected


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [("6.8", "6.8.1", True), ("6.8.1", "6.8.2", True), ("6.8", "6.9", False), ("1.0", "2", False)],
)
def test_a_patch_raises_the_third_number_only(old: str, new: str, patch: bool) -> None:
    update = Update("plugin", "x", "X", "0", "0", Path("x"), "", "")
    assert is_patch(replace(update, from_version=old, to_version=new)) is patch
