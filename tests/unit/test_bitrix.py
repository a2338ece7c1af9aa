"""What the 1C-Bitrix driver decides without a Bitrix: credentials, the console's words, when it may not be called, what is refused."""

from __future__ import annotations

import base64
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import waiting_run

from updater import cms, config, fleet, pipeline, sources
from updater.cms import bitrix
from updater.cms.base import Listing, Offer, PackageInfo
from updater.errors import (
    ApprovalRefused,
    CommandFailed,
    PackageRefused,
    PromotionRefused,
    UnsupportedSite,
    UpdateFailed,
    VendorSilent,
)
from updater.log import Silent
from updater.model import (
    Component,
    Database,
    Held,
    Hold,
    Installation,
    Inventory,
    MigrationStep,
    Plan,
    Platform,
    Policy,
    Server,
    Site,
    Sources,
    Update,
)
from updater.report.record import RunRecord
from updater.shell import Completed

BITRIX = Installation(
    "bitrix", "24.0.0", "/srv/shop", "php", "https://shop.example", Database("d", "u", "a secret"), {"cache": "files"}
)
MAIN = Component("core", "main", "main", "24.0.0", True, "bitrix/modules/main")
CATALOG = Component("plugin", "catalog", "catalog", "24.0.0", True, "bitrix/modules/catalog")
SALE = Component("plugin", "sale", "sale", "24.0.0", True, "bitrix/modules/sale")
BANNER = Component("plugin", "acme.banner", "acme.banner", "1.0.0", True, "bitrix/modules/acme.banner")
INVENTORY = Inventory("bitrix", "24.0.0", "8.2.1", (MAIN, BANNER, CATALOG, SALE))


class Console:
    """A shop whose console knows these updates: module → (version, what it brings along). Fails on what nobody expected."""

    where = "staging"

    def __init__(
        self, updates: Mapping[str, tuple[str, Sequence[str]]], *, flag: bool = True, says: str = "", restarts: int = 0
    ) -> None:
        self.updates = updates
        self.flag = flag
        self.says = says
        """What it ends with exit code 1 for"""
        self.restarts = restarts
        self.stands_still = False
        self.versions = {"main": "24.0.0", "catalog": "24.0.0", "sale": "24.0.0", "acme.banner": "1.0.0"}
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, ...]] = []

    def read(self, path: str) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self.files[path] = data

    def stream(self, argv: Sequence[str], into: BinaryIO, *, stdin: BinaryIO | None = None, timeout: float = 0) -> None:
        raise AssertionError(argv)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 0,
        check: bool = True,
    ) -> Completed:
        if argv[0] == "php":
            return self._php(argv, stdin)
        if argv[:2] == ["rm", "-f"]:
            del self.files[argv[2]]
            return Completed(tuple(argv), 0, b"", "")
        assert argv[:2] == ["sh", "-c"], argv
        assert stdin == b"", "the answer is given on the place itself"
        assert '"$php" -d display_errors=stderr bitrix.php' in argv[2]
        assert 'yes "$answer"' in argv[2]
        root, answer, php = argv[4:7]
        assert (root, php) == ("/srv/shop", "php")
        code, text, errors = self._console(answer, *argv[7:])
        return Completed(tuple(argv), code, text.encode(), errors)

    def _php(self, argv: Sequence[str], stdin: bytes) -> Completed:
        found = re.search(rb"base64_decode\('([^']+)'\)", stdin)
        assert found is not None
        request = json.loads(base64.b64decode(found[1]))
        answers: dict[str, Any] = {
            "developer": {"flag": self.flag, "site": "updates.example"},
            "versions": dict(self.versions),
        }
        text = f"\n--updater-answer--\n{json.dumps(answers[request['action']])}\n--updater-end--\n"
        return Completed(tuple(argv), 0, text.encode(), "")

    def _console(self, answer: str, command: str, *options: str) -> tuple[int, str, str]:
        self.asked.append((answer, command, *options))
        assert command != "update:versions"
        if command == "list":
            return 0, "  update:modules  Updates modules\n", ""
        assert command == "update:modules"
        if self.says:
            return 1, "", self.says
        if self.restarts:
            self.restarts -= 1
            return 0, "The update system has been updated. Restart the command.", ""
        wanted = [options[options.index("-m") + 1]] if "-m" in options else list(self.updates)
        bundle = [each for module in wanted if module in self.updates for each in (*self.updates[module][1], module)]
        due = {it: self.updates[it][0] for it in dict.fromkeys(bundle) if self.versions[it] != self.updates[it][0]}
        if not due:
            return 0, "No updates found.\n", ""
        if answer == "yes" and not self.stands_still:
            self.versions.update(due)
        return 0, "Available updates\n=====\n\n" + "".join(f" * {it} ({to})\n" for it, to in due.items()), ""


def update(tmp_path: Path, slug: str = "sale", to: str = "25.1.0") -> Update:
    return Update("plugin", slug, slug, "24.0.0", to, tmp_path / "x.zip", "sha", "folder")


def with_package(console: Console, module: str = "sale", pins: Mapping[str, str] | None = None) -> Console:
    console.files["/tmp/x.zip"] = bitrix.write_pins(module, pins or {"sale": "25.1.0", "catalog": "25.1.0"})
    return console


TWO = {"sale": ("25.1.0", ("catalog",)), "catalog": ("25.1.0", ())}

# ------------------------------------------------------------------------------------------------------- credentials

OLD: dict[str, str | None] = {"host": "localhost", "user": "u", "password": "it's \\ secret", "name": "shop"}


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("localhost", ("localhost", 3306, None)),
        ("db.example:3307", ("db.example", 3307, None)),
        ("p:localhost:/run/my.sock", ("localhost", 3306, "/run/my.sock")),
    ],
)
def test_the_database_is_read_from_either_file(host: str, found: tuple[str, int, str | None]) -> None:
    nothing: dict[str, str | None] = dict.fromkeys(OLD)
    for old, new in (({**OLD, "host": host}, nothing), (nothing, {**OLD, "host": host}), ({**OLD, "host": host},) * 2):
        database = bitrix.reconcile("here", old, new)
        assert (database.host, database.port, database.socket) == found
        assert (database.name, database.user, database.password, database.prefix) == ("shop", "u", OLD["password"], "")


def test_two_files_that_name_two_databases_are_refused_without_showing_a_password() -> None:
    with pytest.raises(UnsupportedSite) as caught:
        bitrix.reconcile("here", OLD, {**OLD, "password": "another secret", "name": "test"})
    assert "differ in: name, password" in caught.value.cause
    assert "secret" not in str(caught.value)


def test_files_that_name_no_database_say_what_is_missing() -> None:
    with pytest.raises(CommandFailed, match="how to reach its database") as caught:
        bitrix.reconcile("here", {"host": "localhost"}, {"user": "u"})
    assert "name, password" in caught.value.cause


# ------------------------------------------------------------------------------------------------------- the console's words


def test_the_list_is_what_stands_below_the_headline() -> None:
    text = "Note: php (8.2)\n\nAvailable updates\n=====\n\n * main (25.100.0)\n   catalog (25.0.300)\n\n Install? [yes]:\n > "
    assert bitrix.parse_list(text) == {"main": "25.100.0", "catalog": "25.0.300"}
    assert bitrix.parse_list("\nNo updates found.\n") == {}


@pytest.mark.parametrize("text", ["", "Обновлений нет", "Available updates\nnone that this page knows", "Continue?"])
def test_words_that_nobody_knows_are_no_list(text: str) -> None:
    with pytest.raises(CommandFailed, match="not known here"):
        bitrix.parse_list(text)


# ------------------------------------------------------------------------------------------------------------ packages


def test_a_package_is_a_note_of_versions(tmp_path: Path) -> None:
    path = tmp_path / "any name.zip"
    path.write_bytes(bitrix.write_pins("sale", {"sale": "25.1.0", "main": "25.0.0", "catalog": "25.1.0"}))
    needs = {"core:main": "25.0.0", "plugin:catalog": "25.1.0"}
    assert bitrix.read_package(path) == PackageInfo("plugin", "sale", "sale", "25.1.0", needs=needs)
    path.write_bytes(bitrix.write_pins("main", {"main": "25.0.0"}))
    assert bitrix.read_package(path) == PackageInfo("core", "main", "main", "25.0.0")


@pytest.mark.parametrize(
    "files",
    [
        {"sale.json": '{"sale": "25.1.0"}', "more.php": "<?php"},
        {"sale.json": '{"catalog": "25.1.0"}'},
        {"sale.json": '{"sale": ["25.1.0"]}'},
        {"sale.json": '["sale"]'},
        {"sale.json": "no json"},
        {"sale.json": '{"sale": "25.1.0 -n"}'},
        {"acme.banner.json": '{"acme.banner": "1.1.0"}'},
        {"index.php": "<?php"},
    ],
)
def test_anything_else_is_no_package(tmp_path: Path, files: Mapping[str, str]) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as package:
        for name, text in files.items():
            package.writestr(name, text)
    with pytest.raises(PackageRefused, match="no note of a version"):
        bitrix.read_package(tmp_path / "x.zip")


# ------------------------------------------------------------------------------------------------- when it may be called


@pytest.mark.parametrize("answer", ["no", "yes"])
def test_the_console_is_not_called_by_a_copy_that_does_not_say_that_it_is_one(answer: str) -> None:
    console = Console(TWO, flag=False)
    with pytest.raises(VendorSilent, match="does not say that it is one"):
        bitrix.console(console, BITRIX, answer, "update:modules")
    assert console.asked == []


def test_a_wrong_code_is_never_tried_again() -> None:
    console = Console(TWO, says="[ERROR_WRONG_CODE] used by another")
    with pytest.raises(VendorSilent) as caught:
        bitrix.apply(with_package(console), BITRIX, update(Path()), "/tmp/x.zip")
    assert "ERROR_WRONG_CODE" in caught.value.cause
    assert "do not try again" in caught.value.hint
    assert [asked[0] for asked in console.asked] == ["no"]


# ------------------------------------------------------------------------------------------------------------- an update


def test_an_update_is_looked_at_before_it_is_let_in(tmp_path: Path) -> None:
    console = with_package(Console(TWO))
    assert bitrix.apply(console, BITRIX, update(tmp_path), "/tmp/x.zip") == "25.1.0"
    asked = ("update:modules", "-m", "sale", "-i", "/tmp/x.zip.json")
    assert console.asked == [("no", *asked), ("yes", *asked), ("no", *asked)]
    assert console.versions == {"main": "24.0.0", "catalog": "25.1.0", "sale": "25.1.0", "acme.banner": "1.0.0"}
    assert list(console.files) == ["/tmp/x.zip"], "the note beside the package is gone"


def test_a_console_that_renews_itself_is_asked_again(tmp_path: Path) -> None:
    console = with_package(Console(TWO, restarts=3))
    assert bitrix.apply(console, BITRIX, update(tmp_path), "/tmp/x.zip") == "25.1.0"


def test_a_console_that_only_renews_itself_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(UpdateFailed, match="could not be updated") as caught:
        bitrix.apply(with_package(Console(TWO, restarts=1000)), BITRIX, update(tmp_path), "/tmp/x.zip")
    assert "10 times" in caught.value.cause


def test_nothing_that_was_not_asked_for_is_let_in(tmp_path: Path) -> None:
    console = with_package(Console(TWO), pins={"sale": "25.1.0"})
    with pytest.raises(UpdateFailed, match="not in its package") as caught:
        bitrix.apply(console, BITRIX, update(tmp_path), "/tmp/x.zip")
    assert "catalog 25.1.0" in caught.value.cause
    assert console.versions["catalog"] == "24.0.0"


def test_a_console_that_says_done_and_changes_nothing_is_a_failure(tmp_path: Path) -> None:
    console = with_package(Console(TWO))
    console.stands_still = True
    with pytest.raises(UpdateFailed, match="did not change"):
        bitrix.apply(console, BITRIX, update(tmp_path), "/tmp/x.zip")


def test_a_version_that_is_not_offered_is_not_reached(tmp_path: Path) -> None:
    with pytest.raises(UpdateFailed, match=r"is not at 25\.1\.0"):
        bitrix.apply(with_package(Console({})), BITRIX, update(tmp_path), "/tmp/x.zip")


def test_a_package_of_another_module_is_refused(tmp_path: Path) -> None:
    console = with_package(Console(TWO), "catalog", {"catalog": "25.1.0"})
    with pytest.raises(UpdateFailed, match="another one"):
        bitrix.apply(console, BITRIX, update(tmp_path), "/tmp/x.zip")
    assert console.asked == []


# ---------------------------------------------------------------------------------------------------------- what is offered


def test_the_list_asks_what_each_module_brings_along_and_installs_nothing() -> None:
    console = Console(TWO)
    listed = bitrix.listing(console, BITRIX, INVENTORY)
    assert {it.info.slug: dict(it.info.needs) for it in listed.offers} == {
        "sale": {"plugin:catalog": "25.1.0"},
        "catalog": {},
    }
    assert {asked[0] for asked in console.asked} == {"no"}
    assert console.versions["sale"] == "24.0.0"
    assert [(it.slug, it.from_version) for it in listed.held] == [("acme.banner", "1.0.0")]
    assert "a partner's module" in listed.held[0].reason


def test_a_silent_server_is_said_and_is_no_empty_list() -> None:
    listed = bitrix.listing(Console(TWO, says="[ESOCKET] no connection"), BITRIX, INVENTORY)
    assert listed.offers == ()
    assert listed.held[0].slug == "1C-Bitrix's update server"
    assert listed.held[0].reason.startswith("cannot be tested without the vendor's server")
    assert "ESOCKET" in listed.held[0].reason


def plan(tmp_path: Path, listing: Callable[[], Listing], online: bool = True, policy: Policy | None = None) -> Plan:
    site = Site(
        "s", Server("h", "u"), "/srv/shop", "https://s.example", tmp_path / "site.yml", sources=Sources((), online)
    )
    site = replace(site, policy=policy or Policy())
    platform = Platform("8.2.1", (), {}, "10.11", "mariadb", "", "utf8mb4", "utf8mb4_unicode_ci")

    def no_fetch(url: str, form: Mapping[str, str] | None) -> bytes:
        raise AssertionError(url)

    return sources.plan(site, INVENTORY, bitrix, platform, tmp_path / "cache", Silent(), no_fetch, listing=listing)


def offer(module: str, pins: Mapping[str, str]) -> Offer:
    needs = {f"plugin:{it}": version for it, version in pins.items() if it != module}
    info = PackageInfo("plugin", module, module, pins[module], needs=needs)
    return Offer(info, "the server", content=bitrix.write_pins(module, pins))


BOTH = Listing(
    (offer("catalog", {"catalog": "25.1.0"}), offer("sale", {"sale": "25.1.0", "catalog": "25.1.0"})),
    (Held("plugin", "acme.banner", "1.0.0", "", "a partner's module"),),
)


def test_what_the_console_offers_becomes_the_plan_with_what_comes_together(tmp_path: Path) -> None:
    found = plan(tmp_path, lambda: BOTH)
    assert [(it.id, it.to_version, it.needs) for it in found.updates] == [
        ("plugin:catalog", "25.1.0", ()),
        ("plugin:sale", "25.1.0", ("plugin:catalog",)),
    ]
    assert sources.needs(found) == {"plugin:sale": frozenset({"plugin:catalog"})}
    assert found.held == BOTH.held
    assert bitrix.read_pins(found.updates[1].package.read_bytes()) == ("sale", {"sale": "25.1.0", "catalog": "25.1.0"})


def test_a_module_whose_companion_is_held_is_held_too(tmp_path: Path) -> None:
    found = plan(tmp_path, lambda: BOTH, policy=Policy(hold={"catalog": Hold("the exchange with 1C")}))
    assert found.updates == ()
    assert "comes only together with catalog" in {it.slug: it.reason for it in found.held}["sale"]


def test_offline_the_console_is_not_asked(tmp_path: Path) -> None:
    def asked() -> Listing:
        raise AssertionError("asked")

    assert plan(tmp_path, asked, online=False).updates == ()


# --------------------------------------------------------------------------------------------------- production and units


def test_it_is_tested_and_advised_on_unless_site_yml_wants_more() -> None:
    assert "bitrix.promote is off" in bitrix.forbids_promotion(frozenset(), restore=False)
    on = frozenset({"bitrix.promote"})
    assert bitrix.forbids_promotion(on, restore=False, installation=BITRIX) == ""
    memory = replace(BITRIX, places={"cache": "redis"})
    assert "keeps its cache in redis" in bitrix.forbids_promotion(on, restore=False, installation=memory)


def test_a_replay_asks_for_all_at_once_and_installs_in_the_order_of_the_test(tmp_path: Path) -> None:
    updates = []
    for slug, pins in {"catalog": {"catalog": "25.1.0"}, "sale": {"sale": "25.2.0", "catalog": "25.1.0"}}.items():
        package = tmp_path / f"{slug}.zip"
        package.write_bytes(bitrix.write_pins(slug, pins))
        updates.append(replace(update(tmp_path, slug, pins[slug]), package=package))
    replay = bitrix.replay(BITRIX, updates)
    asked, installs = (request(step) for step in (replay.ask, *replay.steps))
    assert asked["action"] == "ask"
    assert asked["pins"] == {"catalog": "25.1.0", "sale": "25.2.0"}
    assert [it["module"] for it in installs["updates"]] == ["catalog", "sale"]
    assert installs["updates"][1]["pins"] == {"sale": "25.2.0", "catalog": "25.1.0"}
    assert replay.returns == "bitrix.allow_database_rollback"
    assert "a secret" not in replay.ask.script + replay.steps[0].script, "the release is kept with the run"


def request(step: MigrationStep) -> dict[str, Any]:
    found = re.search(r"base64_decode\('([^']+)'\)", step.script)
    assert found is not None
    return dict(json.loads(base64.b64decode(found[1])))


def test_a_database_goes_back_only_where_site_yml_accepts_what_that_may_cost() -> None:
    on = frozenset({"bitrix.allow_database_rollback"})
    assert "ERROR_WRONG_CODE" in bitrix.forbids_promotion(frozenset({"bitrix.promote"}), restore=True)
    assert bitrix.forbids_promotion(on, restore=True, installation=BITRIX) == ""
    memory = replace(BITRIX, places={"cache": "redis"})
    assert "keeps its cache in redis" in bitrix.forbids_promotion(on, restore=True, installation=memory)


@pytest.mark.parametrize("more", ["", "bitrix: {allow_database_rollback: true}\n"])
def test_nobody_can_approve_what_is_only_advice(tmp_path: Path, more: str) -> None:
    path = waiting_run.a_site(tmp_path / "tea", "tea", more)
    run = waiting_run.waits(path)
    site = config.load(path)
    with fleet.opened(site) as journal:
        record = journal.output(run, "record", RunRecord)
        journal.keep(run, "record", replace(record, cms="bitrix"))
        with pytest.raises(ApprovalRefused, match="cannot be approved") as caught:
            pipeline.waiting(site, journal, run)
    assert "install the versions of the report by the site's own updater" in caught.value.cause


def test_a_restore_is_refused_before_anything_is_tested_and_allowed_by_site_yml(tmp_path: Path) -> None:
    site = config.load(waiting_run.a_site(tmp_path / "a", "a"))
    with pytest.raises(PromotionRefused, match="production is not touched") as caught:
        pipeline.refuse_advice_only(site, BITRIX, restore=True)
    assert "allow_database_rollback" in caught.value.cause
    site = config.load(waiting_run.a_site(tmp_path / "b", "b", "bitrix: {allow_database_rollback: true}\n"))
    pipeline.refuse_advice_only(site, BITRIX, restore=True)
    with pytest.raises(PromotionRefused):
        pipeline.refuse_advice_only(site, BITRIX, restore=False)


def test_units_cover_each_path_once_and_never_the_gate() -> None:
    changed = [
        "bitrix/modules/sale/install/version.php",
        "bitrix/modules/sale/lib/order.php",
        "bitrix/components/bitrix/sale.order.ajax/class.php",
        "bitrix/php_interface/init.php",
        "bitrix/bitrix.php",
        "local/templates/shop/header.php",
        "index.php",
    ]
    assert bitrix.units((), INVENTORY, changed) == (
        "bitrix/bitrix.php",
        "bitrix/components/bitrix/sale.order.ajax",
        "bitrix/modules/sale",
        "bitrix/php_interface/init.php",
        "index.php",
        "local/templates/shop",
    )
    gate = bitrix.gate(BITRIX)
    assert not any(
        name == unit or name.startswith(f"{unit}/")
        for name in (*gate.files, *gate.kept.values())
        for unit in bitrix.units((), INVENTORY, changed)
    )


def test_it_is_among_the_drivers() -> None:
    assert cms.driver("bitrix").NAME == "bitrix"
