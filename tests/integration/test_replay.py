"""A release that production's own updater installs anew: on the twin of 1C-Bitrix with its sshd, MariaDB and a server like the vendor's.

The release is made once, of what the console did to this very shop; each test begins with the shop as it was before. docs/bitrix.md says what a
twin proves.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from updater import cms, config
from updater.cms import bitrix
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import PromotionRefused, StateUnknown
from updater.log import Silent
from updater.model import (
    Approval,
    ApprovedRelease,
    Check,
    Installation,
    Layout,
    Migration,
    Outcome,
    PromoteSettings,
    Release,
    Site,
    Status,
    Stopped,
    Update,
)
from updater.production.database import read_schema
from updater.production.host import connect
from updater.production.transaction import Checks, promote, recover, state
from updater.shell import code_manifest

SERVER = "/srv/update-server"
PINS = {
    "main": {"main": "25.100.0"},
    "catalog": {"catalog": "25.100.0"},
    "sale": {"sale": "25.100.0", "catalog": "25.100.0"},
}
RETURNS = "bitrix.allow_database_rollback"
PROMOTES = frozenset({"bitrix.promote"})
GATE = (".updater-gate-token", ".updater-gate-refused.php", bitrix.KEPT, "bitrix/php_interface/dbconn.php")
CRONTAB = "# mine\n0 5 * * * /bin/true\n"


@dataclass
class Twin:
    shop: DemoShop
    site: Site
    installation: Installation
    layout: Layout
    release: Release
    old: dict[str, str]
    tables: dict[str, str]
    """Of before; those that any visit writes are left out, and the vendor's code"""
    run: str = ""

    def root(self, script: str, stdin: bytes | None = None) -> str:
        code, said = self.shop.exec(["sh", "-c", script], stdin=stdin)
        assert code == 0, said[-500:]
        return said.decode("utf-8", "replace")

    def files(self, *aside: str) -> dict[str, str]:
        with connect(self.site.server) as server:
            return code_manifest(server, "php", DOCROOT, (*self.layout.media, *self.layout.caches, *aside))

    def rows(self) -> dict[str, str]:
        return tables(self.shop)

    def answers(self, mode: str) -> None:
        self.root(f"printf '%s' '{mode}' > {SERVER}/mode")

    def requests(self) -> list[dict[str, str]]:
        said = self.root(f"cat {SERVER}/requests.log 2>/dev/null || true")
        return [json.loads(line) for line in said.splitlines()]

    def status(self) -> int:
        return self.shop.get("/catalog/?SECTION_ID=1").status_code

    @property
    def folder(self) -> str:
        return f"/home/deploy/.updater/runs/{self.run}"

    def journal(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.root(f"cat {self.folder}/journal").splitlines()]

    def reset(self) -> None:
        """The shop, its database and the vendor's memory as they were before the release was made."""
        self.root(
            f"rm -rf /home/deploy/.updater {SERVER}/codes.json {SERVER}/requests.log"
            f" && cd {DOCROOT} && find . -mindepth 1 -delete && tar -xpf /root/old.tar"
            " && mariadb -e 'DROP DATABASE shop; CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci'"
            " && mariadb shop < /root/old.sql && apachectl graceful"
        )
        self.root("crontab -u deploy -", CRONTAB.encode())
        self.answers("ok")

    def promote(self, *switches: str, check: Checks | None = None, **settings: object) -> Outcome:
        self.run = f"run-{time.time_ns()}"
        site = replace(
            self.site,
            switches=PROMOTES | set(switches),
            promote=PromoteSettings(**{"drain": 5, "deadline": 120, "without_restarter": True, **settings}),
        )
        release = replace(self.release, run=self.run)
        at = datetime.now(UTC)
        approval = Approval(self.run, "ann", at, at + timedelta(days=1), "e", release.sha256)
        driver = cms.driver("bitrix")
        with connect(site.server) as server:
            return promote(
                server, site, self.installation, ApprovedRelease(release, approval), check or passes, Silent(),
                gate=driver.gate(self.installation), purge=driver.purge(self.installation),
                loose=(*self.layout.media, *self.layout.caches),
            )  # fmt: skip

    def as_before(self) -> None:
        """Files, tables, gate, crontab and locks: nothing is left of the try; and the vendor still knows the shop."""
        assert self.files() == self.old
        assert self.rows() == self.tables
        assert self.status() == 200
        self.nothing_left()
        self.answers("ok")
        _, said = self.shop.exec(
            ["sh", "-c", f"cd {DOCROOT}/bitrix && yes no | php bitrix.php update:modules"], user="deploy"
        )
        assert "sale (25.100.0)" in said.decode(), said

    def nothing_left(self) -> None:
        assert self.root("crontab -l -u deploy") == CRONTAB
        assert "updater_" not in self.shop.sql("SHOW TABLES")
        with connect(self.site.server) as server:
            left = state(server, self.site)
        assert (left.lock, left.unfinished) == ({}, ())

    def ended(self, verb: str) -> str:
        """What a person is told to type."""
        code, said = self.shop.exec(["sh", f"{self.folder}/transaction.sh", verb], user="deploy")
        assert code == 0, said
        return said.decode().strip()


def passes(cookie: tuple[str, str]) -> tuple[Check, ...]:
    return (Check("home", "production", Status.PASSED, ""),)


def fails(cookie: tuple[str, str]) -> tuple[Check, ...]:
    return (Check("home", "production", Status.FAILED, "the page is blank"),)


def tables(shop: DemoShop) -> dict[str, str]:
    """Table → its definition and the checksum of its rows."""
    aside = ("b_user_session", "b_agent")
    names = [it for it in shop.sql("SHOW TABLES").split() if it not in aside and not it.startswith("updater_")]
    sums = dict(line.split("\t") for line in shop.sql(f"CHECKSUM TABLE {', '.join(names)}").splitlines())
    sums["shop.b_option"] = shop.sql("SELECT * FROM b_option WHERE NAME <> 'crc_code' ORDER BY MODULE_ID, NAME")
    return {
        it: re.sub(r" AUTO_INCREMENT=\d+", "", shop.sql(f"SHOW CREATE TABLE {it}")) + sums[f"shop.{it}"] for it in names
    }


@pytest.fixture(scope="module")
def made(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    folder = tmp_path_factory.mktemp("twin")
    with DemoShop.start(folder / "shop", Silent(), kind="bitrix") as shop:
        site = config.load(shop.write_site(folder / "site", ()))
        updates = []
        for module, pins in PINS.items():
            package = folder / f"{module}.zip"
            package.write_bytes(bitrix.write_pins(module, pins))
            kind = "core" if module == "main" else "plugin"
            updates.append(Update(kind, module, module, "24.0.0", pins[module], package, "", "the vendor"))
        with connect(site.server) as server:
            installation = cms.detect(server, DOCROOT, "php", "bitrix")
            layout = bitrix.layout(server, installation)
            loose = (*layout.media, *layout.caches)
            before, rows = code_manifest(server, "php", DOCROOT, loose), tables(shop)
            shop.exec(["sh", "-c", f"cd {DOCROOT} && tar -cf /root/old.tar . && mariadb-dump shop > /root/old.sql"])
            shop.typed(f"cd {DOCROOT}/bitrix && yes | php bitrix.php update:modules -m main,catalog,sale")
            after, then = code_manifest(server, "php", DOCROOT, loose), tables(shop)
            paths = sorted(it for it in before.keys() | after.keys() if before.get(it) != after.get(it))
            changed_tables = tuple(sorted(it for it in rows if rows[it] != then[it]))
            schema = read_schema(server, installation, sorted(then))
            archive = folder / "release.tar"
            _, packed = shop.exec(["tar", "-C", DOCROOT, "-cf", "-", *(it for it in paths if it in after)])
            archive.write_bytes(packed)
        migration = Migration(
            tuple(bitrix.migration(installation, updates)), changed_tables, tuple(sorted(then.keys() - rows.keys())),
            schema=schema,
        )  # fmt: skip
        release = Release(
            "run", "shop", datetime.now(UTC), tuple(updates), tuple(bitrix.units(updates, None, paths)),
            {it: (before.get(it), after.get(it)) for it in paths}, archive, migration, {}, {}, 1.0, "sha",
            bitrix.replay(installation, updates),
        )  # fmt: skip
        yield Twin(shop, site, installation, layout, release, before, rows)


@pytest.fixture
def twin(made: Twin) -> Twin:
    made.reset()
    return made


def test_the_shops_own_console_brings_what_was_tested(twin: Twin) -> None:
    outcome = twin.promote()
    assert outcome.state == "promoted", outcome.reason
    after = twin.files()
    changed = {it: (twin.old.get(it), after.get(it)) for it in twin.old.keys() | after.keys()}
    assert {it: pair for it, pair in changed.items() if pair[0] != pair[1]} == dict(twin.release.changed)
    assert twin.status() == 200
    assert "b_catalog_store_move" in twin.rows()
    twin.nothing_left()
    asked = twin.requests()
    assert not any(it["development"] for it in asked), "production never says that it is a copy"
    journal = twin.journal()
    before = journal[: journal.index("begin closed")]
    assert "note asking: whether the vendor still offers what was tested" in before


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("sale is withdrawn", "does not offer what was tested"),
        ("wrong code", "ERROR_WRONG_CODE"),
        ("restart", "renewed itself"),
    ],
)
def test_what_the_vendor_does_not_give_is_refused_before_the_shop_is_closed(twin: Twin, mode: str, why: str) -> None:
    twin.answers(mode)
    with pytest.raises(PromotionRefused) as caught:
        twin.promote()
    assert why in caught.value.cause
    assert not any("closed" in line for line in twin.journal())
    assert len(twin.requests()) == 1
    if mode == "restart":
        twin.root(f"rm {DOCROOT}/bitrix/modules/main/classes/general/update_client_new.php")
    twin.as_before()


def stopped(twin: Twin, **how: object) -> StateUnknown:
    with pytest.raises(StateUnknown, match="waits for a person") as caught:
        twin.promote(**how)
    assert f"sh {twin.folder}/transaction.sh keep" in caught.value.hint
    assert f"sh {twin.folder}/transaction.sh back" in caught.value.hint
    assert twin.journal()[-2:] == ["begin stopped", "done stopped"]
    assert twin.root("crontab -l -u deploy") == CRONTAB
    twin.root("timeout 10 sh -c \"while pgrep -f 'transaction[.]sh'; do sleep 0.1; done\"")
    return caught.value


def test_a_vendor_who_fails_before_anything_was_written_costs_nothing(twin: Twin) -> None:
    """Half an archive of the first module: files and tables say that nothing was written, so both stay or go back without a switch."""
    twin.answers("half an archive")
    outcome = twin.promote()
    assert (outcome.state, "UUGZA01" in outcome.reason) == ("rolled_back", True), outcome.reason
    twin.as_before()


def test_a_console_that_fails_half_way_goes_back_where_the_database_may(twin: Twin) -> None:
    twin.answers("half of sale")
    outcome = twin.promote(RETURNS)
    assert (outcome.state, "UUGZA01" in outcome.reason) == ("rolled_back", True), outcome.reason
    twin.as_before()


@pytest.mark.parametrize("verb", ["keep", "back"])
def test_a_console_that_fails_half_way_stops_where_the_database_may_not_go_back(twin: Twin, verb: str) -> None:
    twin.answers("half of sale")
    error = stopped(twin)
    assert "UUGZA01" in error.cause
    assert "files that were written: bitrix/modules/" in error.cause
    assert twin.status() == 503, "closed, as promote.stopped says when it says nothing"
    left, tables = twin.files(*GATE), twin.rows()
    assert left.keys() >= twin.old.keys() - {*GATE, "bitrix/modules/main/classes/general/old_agent.php"}
    assert left["bitrix/modules/main/lib/stepper.php"] != twin.old.get("bitrix/modules/main/lib/stepper.php")
    with connect(twin.site.server) as server, pytest.raises(StateUnknown) as again:
        recover(server, twin.site, None, Silent())
    assert f"{twin.folder}/transaction.sh' back" in again.value.cause
    assert twin.status() == 503
    assert (twin.files(*GATE), twin.rows()) == (left, tables), "recover decides nothing that is a person's"

    assert twin.ended(verb) == {"keep": "kept", "back": "rolled_back"}[verb]
    if verb == "back":
        twin.as_before()
        return
    assert twin.status() == 200
    connection = "bitrix/php_interface/dbconn.php"
    assert twin.files() == {**left, connection: twin.old[connection]}
    twin.nothing_left()


@pytest.mark.parametrize("mode", ["sale is rebuilt", "sale writes beside"])
def test_files_that_were_not_tested_are_taken_back(twin: Twin, mode: str) -> None:
    twin.answers(mode)
    outcome = twin.promote(RETURNS)
    assert outcome.state == "rolled_back"
    path = {"sale is rebuilt": "bitrix/modules/sale/include.php", "sale writes beside": "bitrix/admin/sale_new.php"}
    assert path[mode] in outcome.reason
    twin.as_before()


def test_a_shop_that_fails_its_checks_stops_open_where_policy_says_so(twin: Twin) -> None:
    error = stopped(twin, check=fails, stopped=Stopped.OPEN)
    assert "the page is blank" in error.cause
    assert "the shop is open" in error.hint
    assert twin.status() == 200
    after = twin.files()
    assert {it: after.get(it) for it in twin.release.changed} == {
        it: new for it, (_, new) in twin.release.changed.items()
    }
    twin.shop.sql("INSERT INTO b_event (EVENT_NAME, C_FIELDS, DATE_INSERT) VALUES ('X', '{}', NOW())")
    assert twin.ended("back") == "rolled_back"
    twin.as_before()
    assert "b_event.csv" in twin.root(f"ls {twin.folder}/since"), "what came while it was open is not lost"


@pytest.mark.parametrize("switches", [(), (RETURNS,)], ids=["it may not go back", "it may"])
def test_a_replay_that_is_killed_is_ended_by_the_watchdog(twin: Twin, switches: tuple[str, ...]) -> None:
    """Main and catalog are written, and the console waits for sale: everything of ours but the watchdog is killed."""
    twin.answers("sale is slow")
    killer = f"""until grep -q '"load".*"sale"' {SERVER}/requests.log 2>/dev/null; do sleep 0.1; done
        run=$(ls -d /home/deploy/.updater/runs/*); kill -9 -$(cat $run/actor.pid) -$(cat $run/job.pid)"""
    twin.shop.exec(
        ["sh", "-c", f"setsid sh -c '{killer.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}' >/dev/null 2>&1 &"]
    )
    if switches:
        outcome = twin.promote(*switches)
        assert (outcome.state, outcome.reason) == ("rolled_back", "the process on the server was gone")
        twin.as_before()
    else:
        error = stopped(twin)
        assert "the process on the server was gone" in error.cause
        assert "tables that were written: " in error.cause
        assert twin.status() == 503
