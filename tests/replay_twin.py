"""The twin of 1C-Bitrix with a release that its own console made: what a replay is tested on, with its sshd, MariaDB and a server like the vendor's.

docs/bitrix.md says what a twin proves.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from updater import cms, config
from updater.cms import bitrix
from updater.demo_shop import DOCROOT, DemoShop
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
    Update,
)
from updater.production.database import read_schema
from updater.production.host import connect
from updater.production.transaction import Checks, promote, state
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

    def promote(
        self, *switches: str, check: Checks | None = None, sh: Sequence[str] = ("sh",), **settings: object
    ) -> Outcome:
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
                loose=(*self.layout.media, *self.layout.caches), sh=sh,
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

    def is_stopped(self) -> None:
        """It waits for a person: said so in its journal, nothing of ours runs, the crontab is the owner's, and the lock stays."""
        assert self.journal()[-2:] == ["begin stopped", "done stopped"]
        assert self.root("crontab -l -u deploy") == CRONTAB
        self.root("timeout 10 sh -c \"while pgrep -f 'transaction[.]sh'; do sleep 0.1; done\"")
        with connect(self.site.server) as server:
            left = state(server, self.site)
        assert (left.lock["run"], left.unfinished) == (self.run, (self.run,))

    def is_what_was_tested(self) -> None:
        """Every file of the release, and no other file."""
        after = self.files()
        pairs = {it: (self.old.get(it), after.get(it)) for it in self.old.keys() | after.keys()}
        assert {it: pair for it, pair in pairs.items() if pair[0] != pair[1]} == dict(self.release.changed)
        assert self.status() == 200
        self.nothing_left()

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
    code, said = shop.exec(["mariadb-dump", "--no-data", "--compact", "shop"])
    assert code == 0, said
    found = re.finditer(r"^CREATE TABLE `(\w+)` .*?;$", said.decode(), re.MULTILINE | re.DOTALL)
    defined = {it[1]: re.sub(r" AUTO_INCREMENT=\d+", "", it[0]) for it in found}
    for name in [it for it in defined if it in ("b_user_session", "b_agent") or it.startswith("updater_")]:
        del defined[name]
    sums = dict(line.split("\t") for line in shop.sql(f"CHECKSUM TABLE {', '.join(defined)}").splitlines())
    sums["shop.b_option"] = shop.sql("SELECT * FROM b_option WHERE NAME <> 'crc_code' ORDER BY MODULE_ID, NAME")
    return {name: text + sums[f"shop.{name}"] for name, text in defined.items()}


@contextmanager
def with_a_release(folder: Path) -> Iterator[Twin]:
    """A running twin, and the release that its own console made of it."""
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
