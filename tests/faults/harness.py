"""One case: a promotion is hurt at a point while customers order; then the shop is looked at from every side."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import injuries
import points
from customers import ACKNOWLEDGED, MIXED, REFUSED, UNKNOWN, Customers, Order
from hosting import DOCROOT, HOME, Hosting
from injuries import Scene
from points import Point
from shops import Shop, Version, packed

from updater.errors import UpdaterError
from updater.log import Silent
from updater.model import ApprovedRelease, Check, PromoteSettings, Site, Status
from updater.production.host import connect
from updater.production.transaction import promote, recover

CRONTAB = "# mine\n0 5 * * * /bin/true 100\\%  \n"
DEADLINE, LONG_DEADLINE, CRON_DEADLINE = 32, 60, 150
"""Seconds: short, for a case that must go on in time, and for one in which cron is waited for."""
BETWEEN = "between"
LATE = "closed after the deadline"
ENOUGH = 5
"""Orders acknowledged before closing and after opening, or the case is void."""


@dataclass(frozen=True)
class Case:
    """`point` None and `seconds` set: at that time after the start; neither: the fault lies in `migration`, `check` or `confirm`."""

    fault: str
    point: Point | None = None
    seconds: float | None = None
    migration: str | None = ""
    """how it ends (`Shop.release`), None for code only"""
    check: str = "passes"
    """or `fails`, `breaks`"""
    confirm: float | None = None
    """seconds after the deadline that the server set itself"""
    revalidates: bool = False
    """opcache.validate_timestamps"""
    slow: float = 1.2
    """seconds that the orders of two customers take in the shop"""
    expects: str = ""
    """`old` or `new` where only that is right"""

    @property
    def name(self) -> str:
        where = self.point.name if self.point else f"after {self.seconds:.2f} s" if self.seconds is not None else ""
        when = f"{self.confirm:+.2f} s" if self.confirm is not None else ""
        kind = (
            "code only"
            if self.migration is None
            else f"a migration that {self.migration}"
            if self.migration
            else "with migration"
        )
        check = f"the check {self.check}" if self.check != "passes" else ""
        return ", ".join(
            word for word in (self.fault, where, when, kind, check, "opcache revalidates" * self.revalidates) if word
        )

    @property
    def deadline(self) -> int:
        if self.fault in injuries.CRON_MENDS:
            return CRON_DEADLINE
        return LONG_DEADLINE if self.expects == "new" and self.confirm is None else DEADLINE


@dataclass(frozen=True)
class Result:
    case: Case
    end: str
    """old, new or between"""
    wrong: tuple[str, ...]
    void: bool
    """too few orders came for it to prove anything"""
    closed: float
    """seconds"""
    orders: Mapping[str, int]
    """outcome → number of them"""
    lost: int
    evidence: str
    """what the server and the updater wrote, where something is wrong"""


class Bench:
    """One server that cases are run on, one after the other; each begins from the same state."""

    def __init__(self, host: Hosting, shop: Shop) -> None:
        self.host = host
        self.shop = shop
        work = f"{HOME}/.updater"
        self.work = work
        server = replace(host.server, work=work)
        self.site = Site("shop", server, DOCROOT, shop.url, host.folder / "site.yml", address="127.0.0.1")
        self.reset(revalidates=False)
        self.schemas = {shop.old.tables: self._schema()}
        self._lay(shop.new)
        shop.migrate(host)
        self.schemas[shop.new.tables] = self._schema()

    def reset(self, revalidates: bool) -> None:
        host = self.host
        points.prepare(host.signals)
        # Else what is younger than two seconds is not cached, and on a quick machine a missing reset would not show.
        ini = f"opcache.validate_timestamps={int(revalidates)}\nopcache.enable=1\nopcache.file_update_protection=0"
        # The last run's watchdog looks once more, and must not do so in a folder that is being deleted.
        assert host.holds("! pgrep -f 'transaction[.]sh' >/dev/null", 20), "a process of the last case is left"
        host.root(f"rm -rf {self.work}")
        self._lay(self.shop.old)
        host.root(f"printf '{ini}\n' > /etc/php/8.2/apache2/conf.d/99-opcache.ini; apachectl graceful")
        host.root("mariadb shop", self.shop.tables)
        host.root("crontab -u deploy -", CRONTAB.encode())
        asked = f"curl -sf -H 'Host: shop.test' 'http://127.0.0.1{self.shop.page}' | grep -q '{self.shop.old.says[0]}'"
        assert host.holds(asked, 20), (
            f"the shop does not come up: {host.root(asked.partition(' |')[0], check=False)[:300]}"
        )

    def _lay(self, version: Version) -> None:
        folders = " ".join(self.shop.folders)
        self.host.root(
            f"cd {DOCROOT} && rm -rf {DOCROOT}/* {DOCROOT}/.[!.]* && tar -xf - && mkdir -p . {folders} && chown -R deploy: .",
            packed(version.files),
        )

    def _schema(self) -> str:
        """Every definition, and the content of all that customers do not write."""
        names = self.host.root("mariadb -N shop -e 'SHOW TABLES'").split()
        still = ",".join(name for name in names if name not in self.shop.from_customers)
        definitions = self.host.root("mariadb-dump --no-data --skip-comments shop | sed 's/ AUTO_INCREMENT=[0-9]*//'")
        return definitions + self.host.root(f"mariadb -N shop -e 'CHECKSUM TABLE {still}'")

    def tree(self) -> dict[str, str]:
        aside = " ".join(f"-not -path './{folder}/*'" for folder in self.shop.restless)
        said = self.host.root(f"cd {DOCROOT} && find . -type f {aside} -print0 | xargs -0 sha256sum -z --")
        rows = (row.split("  ", 1) for row in said.split("\0") if row)
        return {path.removeprefix("./"): sha for sha, path in rows}

    def _after(self, case: Case) -> Version:
        return self.shop.new_code if case.migration is None else self.shop.new

    # -------------------------------------------------------------------------------------------------- one case

    def run(self, case: Case, program: Path | None = None) -> Result:
        """`program`: a folder with another copy of the `updater` package, which has a fault planted."""
        self.reset(case.revalidates)
        approved, order = self._order(case)
        with Customers(partial(self.shop.place, self.host.address), case.slow) as customers:
            assert _until(lambda: customers.acknowledged() >= ENOUGH, 30), "the shop takes no orders to begin with"
            updater = self._start(order, program, case)
            scene = Scene(self.host, updater, f"{self.work}/runs/{approved.release.run}", exact=case.point is not None)
            wrong = [] if self._hurt(case, scene) else ["the point was never reached"]
            wrong += [] if self._await_end(case, scene) else ["it did not come to an end"]
            injuries.mend(case.fault, self.host)
            ended = time.time()
            _until(lambda: customers.acknowledged(since=ended) >= ENOUGH, 15)
            said = _outcome(updater)
        return self._judge(case, scene, customers.orders, said, ended, wrong, order.with_suffix(".log"))

    def _order(self, case: Case) -> tuple[ApprovedRelease, Path]:
        """The release, and the file that tells `promoter.py` what to do."""
        run = f"run-{time.time_ns()}"
        shop, after = self.shop, self._after(case)
        approved = shop.release(run, shop.old, after, self.host.folder, case.migration)
        order = {
            "site": replace(self.site, promote=PromoteSettings(drain=5, deadline=case.deadline)),
            "approved": approved,
            "installation": shop.installation,
            "gate": shop.gate,
            "purge": list(shop.purge),
            "page": shop.page,
            "signals": str(self.host.signals),
            "check": case.check,
            "confirm": case.confirm,
            "expected": after.says,
            "sh": list(points.SHELL),
        }
        path = self.host.folder / f"{run}.pickle"
        path.write_bytes(pickle.dumps(order))
        return approved, path

    def _start(self, path: Path, program: Path | None, case: Case) -> subprocess.Popen[str]:
        if case.point is not None:
            case.point.arm(self.host.signals)
        environment = dict(os.environ)
        if program is not None:
            environment["PYTHONPATH"] = str(program)
        log = path.with_suffix(".log").open("w")
        command = [sys.executable, str(Path(__file__).with_name("promoter.py")), str(path)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, env=environment
        )

    def _hurt(self, case: Case, scene: Scene) -> bool:
        """Whether the point was reached, or the time came."""
        signals = self.host.signals
        if case.point is None:
            if case.seconds is not None:
                time.sleep(case.seconds)
                injuries.INFLICT[case.fault](scene)
                injuries.afterwards(case.fault, scene)
            return True
        if not _until(case.point.reached(signals).exists, 60):
            return False
        injuries.INFLICT[case.fault](scene)
        (signals / "go").touch()
        injuries.afterwards(case.fault, scene)
        return True

    def _await_end(self, case: Case, scene: Scene) -> bool:
        """Finished on the server, or never begun there and the updater gone."""
        done = f"[ -e {scene.run_folder}/finished ] && [ ! -d {scene.run_folder}/../../lock ]"
        if case.fault == injuries.DISK_FULL:  # until the deadline: then the hosting makes room
            if self.host.holds(done, case.deadline):
                return True
            injuries.mend(case.fault, self.host)
        limit = time.monotonic() + case.deadline + 60
        while time.monotonic() < limit:
            if self.host.holds(done, 3):
                return True
            if scene.updater.poll() is not None and not self.host.holds(f"[ -e {scene.run_folder}/journal ]", 1):
                return True
        return False

    # ---------------------------------------------------------------------------------------------- what is left

    def _judge(
        self,
        case: Case,
        scene: Scene,
        orders: list[Order],
        said: dict[str, str],
        ended: float,
        wrong: list[str],
        log: Path,
    ) -> Result:
        ends = {"old": self.shop.old, "new": self._after(case)}
        end = self._which(ends)
        wrong += self._one_shop(end, ends) + self._leftovers()
        if case.expects and end != case.expects:
            wrong.append(f"it is {end} and must be {case.expects}")
        closed_at, opened_at = (self._stamp(scene, name) for name in ("closed-at", "opened-at"))
        gate = [it.ended for it in orders if it.gate]
        if closed_at and gate and max(gate) > closed_at + case.deadline:
            wrong.append(f"{LATE} by {max(gate) - closed_at - case.deadline:.1f} s")
        wrong += self._decisions(scene, said, end)
        if any(it.version == MIXED for it in orders):
            wrong.append("a customer met two versions at once")
        lost = self._count_orders(orders, wrong)
        evidence = self._evidence(scene, said, log)  # before recover and another promotion write there
        with connect(self.site.server) as server:
            try:
                recover(server, self.site, None, Silent())
            except UpdaterError as failure:
                wrong.append(f"recover: {failure}")
        wrong += self._follow_up(end, ends)
        before = closed_at or ended - 1
        taken = [it for it in orders if it.outcome == ACKNOWLEDGED]
        enough = (sum(it.ended < before for it in taken), sum(it.sent > (opened_at or before) for it in taken))
        outcomes = {kind: sum(it.outcome == kind for it in orders) for kind in (ACKNOWLEDGED, REFUSED, UNKNOWN)}
        closed = opened_at - closed_at if closed_at and opened_at else 0.0
        return Result(case, end, tuple(wrong), min(enough) < ENOUGH, closed, outcomes, lost, evidence if wrong else "")

    def _which(self, ends: Mapping[str, Version]) -> str:
        tree = self.tree()
        for name, version in ends.items():
            if tree == version.sums:
                return name
        return BETWEEN

    def _one_shop(self, end: str, ends: Mapping[str, Version]) -> list[str]:
        """Files, tables and what HTTP answers are of one and the same shop."""
        if end == BETWEEN:
            return ["the files are neither the old nor the new ones"]
        wrong = []
        if self._schema() != self.schemas[ends[end].tables]:
            wrong.append("the tables are not those of the code")
        asked = f"curl -s -m 10 -H 'Host: shop.test' -w '\n%{{http_code}}' 'http://127.0.0.1{self.shop.page}'"
        page = self.host.root(asked, check=False)
        said = (*ends[end].says, "\n200")
        if not all(text in page for text in said):
            wrong.append(f"the shop does not answer from its code: {page[:90]!r}")
        return wrong

    def _evidence(self, scene: Scene, said: dict[str, str], log: Path) -> str:
        files = "reason latest decided finished deadline closed-at opened-at journal log"
        there = self.host.root(
            f'cd {scene.run_folder} 2>/dev/null && for file in {files}; do echo "== $file"; tail -n 40 $file; done; '
            "ps -eo pid,ppid,pgid,etimes,args | grep '[t]ransaction'",
            check=False,
        )
        return f"{there}\n== the updater\n{log.read_text()[-2000:]}\n{said}"

    def _stamp(self, scene: Scene, name: str) -> float:
        return float(self.host.root(f"cat {scene.run_folder}/{name} 2>/dev/null || true").strip() or 0)

    def _leftovers(self) -> list[str]:
        wrong = []
        if not self.host.holds("! pgrep -f 'transaction[.]sh' >/dev/null", 10):
            wrong.append("a watchdog or its process is left")
        looked = {
            "a gate or a one-time file is left": f"ls -A {DOCROOT} | grep -E '^[.]|updater-' | grep -vxF '{self._dotted()}' || true",
            "the lock is left": f"cat {self.work}/lock/owner 2>/dev/null || true",
            "a copy of a table is left": "mariadb -N shop -e 'SHOW TABLES' | grep updater_ || true",
            "a database thread is left": "mariadb -N -e \"SELECT INFO FROM information_schema.PROCESSLIST WHERE USER = 'shop'\"",
        }
        wrong += [
            f"{what}: {' '.join(said.split())[:200]}"
            for what, script in looked.items()
            if (said := self.host.root(script).strip())
        ]
        if self.host.root("crontab -l -u deploy") != CRONTAB:
            wrong.append("the crontab is not what it was")
        return wrong

    def _dotted(self) -> str:
        """The shop's own files whose names look like a gate's."""
        return "\n".join(sorted({path for path in self.shop.old.files if path.startswith(".")} or {" "}))

    def _decisions(self, scene: Scene, said: dict[str, str], end: str) -> list[str]:
        """One decision, in time, that is what came and what the updater was told."""
        journal = self.host.root(f"cat {scene.run_folder}/journal 2>/dev/null || true").splitlines()
        made = [line.split() for line in journal if " decided " in line]
        wrong = []
        if len(made) > 1:
            wrong.append("decided twice")
        for stamp, _, what in made:
            if what != end:
                wrong.append(f"decided for {what}, and it is {end}")
            if what == "new" and float(stamp) > self._stamp(scene, "deadline") + 1:
                wrong.append("committed after the deadline")
        if said.get("decided") in ("old", "new") and said["decided"] != end:
            wrong.append(f"the updater was told {said['decided']}, and it is {end}")
        told = {"promoted": "new", "rolled_back": "old", "Drifted": "old", "Interrupted": "old"}.get(
            said.get("ended", "")
        )
        if told and told != end:
            wrong.append(f"the updater says {said['ended']}, and it is {end}")
        if said.get("ended") == "hangs":
            wrong.append("the updater hangs")
        return wrong

    def _count_orders(self, orders: list[Order], wrong: list[str]) -> int:
        rows = self.host.root(f"mariadb -N shop -e '{self.shop.placed}'").splitlines()
        there = {token: int(count) for token, count in (row.split("\t") for row in rows)}
        lost = sum(it.outcome == ACKNOWLEDGED and there.get(it.token, 0) == 0 for it in orders)
        if lost:
            wrong.append(f"{lost} acknowledged orders are lost")
        if any(there.get(it.token, 0) > 1 for it in orders):
            wrong.append("an order is there twice")
        if any(it.outcome == REFUSED and it.token in there for it in orders):
            wrong.append("a refused order is there")
        earlier = sum(token.startswith("earlier-") for token in there)
        if earlier != 500:
            wrong.append(f"{500 - earlier} orders of before are lost")
        return lost

    def _follow_up(self, end: str, ends: Mapping[str, Version]) -> list[str]:
        """A following promotion succeeds."""
        if end == BETWEEN:
            return []
        shop = self.shop
        after = shop.follow(ends[end])
        approved = shop.release(f"run-{time.time_ns()}", ends[end], after, self.host.folder)
        site = replace(self.site, promote=PromoteSettings(drain=5, deadline=60))
        passes = (Check("home", "production", Status.PASSED, ""),)
        with connect(site.server) as server:
            try:
                outcome = promote(
                    server, site, shop.installation, approved, lambda _: passes, Silent(),
                    gate=shop.gate, purge=shop.purge,
                )  # fmt: skip
            except UpdaterError as failure:
                return [f"a following promotion fails: {failure}"]
        if outcome.state != "promoted" or self.tree() != after.sums:
            return [f"a following promotion fails: {outcome.reason}"]
        return []


def _outcome(updater: subprocess.Popen[str]) -> dict[str, str]:
    try:
        out, _ = updater.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        updater.kill()
        updater.communicate()
        return {"ended": "hangs"}
    with suppress(ValueError):
        return dict(json.loads(out))
    return {}


def _until(condition, seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True
