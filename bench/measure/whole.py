"""A whole run and its deploy, step by step, beside what an engineer types who does the same by hand; memory and disk at peak.

By hand there is a staging server of the same make. The person who buys something there, looks at the pictures and writes the
report is not measured: what the commands take is a lower bound.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import docker

from measure import backstop, filling, npm
from measure.footprint import Footprint, Peak
from measure.photographer import VIEWPORTS
from measure.table import Line, Row, amount
from updater.demo_shop import DOCROOT, PACKAGES, URL, DemoShop
from updater.errors import ExitCode

ABOUT = "a whole run and its deploy on the demo shop, step by step, beside the same by hand"
FILES, PICTURES, MEGABYTES = 9_000, 1_500, 303
CLOSED_LOOK = "look: closed"
SMALL = "The demo shop"
ALONE = "The demo shop, one update that migrates nothing"
OFFERED = ("wordpress", "akismet", "demo-gallery-1.1", "demo-shop-1.1")
PAGES = ("/", "/shop/", "/about/", "/product/samovar-tula/", "/cart/", "/checkout/")
"""What BackstopJS photographs by hand: the pages that site.yml names, and those that a customer comes by."""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the table: which of a run's steps, and which of those by hand."""

    what: str
    ours: tuple[str, ...]
    by_hand: tuple[str, ...] = ()


STEPS = (
    Step(
        "copied and staged, beside `rsync` and `mariadb-dump | ssh | mariadb`",
        ("clone", "stage"),
        ("files", "database"),
    ),
    Step("production looked at, which staging must be like", ("look at production",)),
    Step("planned", ("plan",)),
    Step("looked at before, an order placed; beside BackstopJS `reference`", ("look: before",), ("reference",)),
    Step("looked at again, for what moves by itself", ("look: noise",)),
    Step("looked at with a known fault, which must be seen", ("look: known fault",)),
    Step("updated and rehearsed, beside `unzip`, `cp`, `wp_upgrade()`", ("update",), ("update",)),
    Step("looked at after, compared, judged; beside BackstopJS `test`", ("look: after", "compare", "judge"), ("test",)),
)


SUMS = (
    Step(
        "**the whole run**, beside the sum by hand", ("whole",), tuple(name for step in STEPS for name in step.by_hand)
    ),
    Step("**the deploy**, with a comparison before and a watch of 4 s after", ("deploy",), ("deploy",)),
    Step("of that, the shop closed", ("closed",), ("closed",)),
    Step("of that, looked at by a browser before it opens", (CLOSED_LOOK,)),
)


@dataclass(slots=True)
class Done:
    """One way from production as it was to production updated. Seconds by step; `whole` and `deploy` are whole commands."""

    seconds: dict[str, float] = field(default_factory=dict)
    run: Peak = field(default_factory=Peak)
    deploy: Peak = field(default_factory=Peak)
    wrong: list[str] = field(default_factory=list)

    def of(self, steps: Sequence[str]) -> float:
        return sum(self.seconds.get(step, 0.0) for step in steps)


Both = tuple[Done, Done]
"""Ours, and by hand"""


def run() -> Row:
    npm.modules()
    with TemporaryDirectory(prefix="updater-bench-") as temporary:
        shop = both(Path(temporary) / "shop", OFFERED)
        alone = both(Path(temporary) / "alone", ("demo-gallery-1.1",), closed_only=True)
    return row("A whole run and its deploy", SMALL, shop, alone)


def row(title: str, group: str, shop: Both, alone: Both | None = None) -> Row:
    """`alone` is the deploy of one update that migrates nothing."""
    every = [*shop, *(alone or ())]
    return Row(
        title=title,
        peer="by hand",
        how="Four updates (the core and three plugins; the core and the shop plugin migrate), once, ours first. It is a site's first run: "
        "nothing was copied before. By hand are the commands alone, on a staging server that exists already: nobody's time, no order "
        f"placed, no second look, no test of the deployed shop. BackstopJS takes {len(PAGES)} pages in {len(VIEWPORTS)} viewports; a run goes "
        "through the whole purchase in both, photographs the pages of site.yml, and fetches all of the sitemap. The deploy by hand closes "
        "the shop, dumps and packs it for the way back, unpacks, migrates and opens; ours waits up to a minute before closing until the "
        "server's cron was seen to start the watchdog. Production and staging share these cores.",
        lines=(*_lines(group, shop), *(_alone_lines(*alone) if alone else ())),
        wrong=tuple(what for done in every for what in done.wrong),
        versions={"BackstopJS": npm.version("backstopjs")} if npm.installed() else {},
    )


def _alone_lines(ours: Done, by_hand: Done) -> Iterator[Line]:
    closed, seen = ours.seconds["closed"], ours.seconds[CLOSED_LOOK]
    why = (
        f"{amount(seen, 's')} of it a browser goes through the closed shop to the checkout and looks at its pages before anybody else may; "
        f"the exchange itself is {amount(closed - seen, 's')}"
    )
    yield Line("the shop closed", closed, "s", goal=5.0, why=why, group=ALONE)
    yield Line("the same, beside dump, `tar`, `unzip` by hand", closed, "s", by_hand.seconds["closed"], group=ALONE)
    yield Line("of that, looked at by a browser before it opens", seen, "s", group=ALONE)


def _lines(group: str, both: Both) -> Iterator[Line]:
    ours, by_hand = both
    for step in (*STEPS, *SUMS):
        theirs = by_hand.of(step.by_hand) if step.by_hand else None
        yield Line(step.what, ours.of(step.ours), "s", theirs, group=group)
    for what, bytes_of in _PEAKS.items():
        yield Line(what, bytes_of(ours) / 1e6, "MB", group=group)


_PEAKS: Mapping[str, Callable[[Done], int]] = {
    "memory at peak: the updater's processes, browser included": lambda done: done.run.processes,
    "memory at peak: the stack's containers": lambda done: done.run.containers,
    "memory at peak: the deploy's processes": lambda done: done.deploy.processes,
    "disk at peak: `.updater/` with the copy of production": lambda done: done.run.folder,
    "disk at peak: the stack's volumes, with their checkpoints": lambda done: done.run.volumes,
}


def both(folder: Path, offered: Sequence[str], *, fill: bool = False, closed_only: bool = False) -> Both:
    """Each on a production of its own. `closed_only`: by hand only the deploy."""
    done = []
    for whose in ("ours", "by hand"):
        place = folder / whose.replace(" ", "-")
        with DemoShop.start(place / "shop") as production:
            if fill:
                _fill(production)
            done.append(
                _ours(production, place, offered)
                if whose == "ours"
                else _by_hand(production, place, offered, closed_only)
            )
        told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done[-1].seconds.items())
        print(f"bench: {whose}: {told}; {done[-1].run}, {done[-1].deploy}", flush=True)
    return done[0], done[1]


def _fill(shop: DemoShop) -> None:
    there = int(_typed(shop, f"find {DOCROOT} -type f | wc -l", "root")[0])
    code = FILES - PICTURES - there
    _typed(shop, filling.files(DOCROOT, code, PICTURES, "wp-content/plugins", "wp-content/uploads/2026"), "root")
    _typed(shop, filling.tables("sh_bench_", MEGABYTES), "root")


# ---------------------------------------------------------------------------------------------------------------- ours


def _ours(shop: DemoShop, folder: Path, offered: Sequence[str]) -> Done:
    done = Done()
    site = shop.write_site(folder / "site", offered).parent
    whole, done.run, code = _updater(site, "run")
    record = _record(site)
    if code != ExitCode.AWAITING_APPROVAL:
        done.wrong.append(f"the run ended as {record['state']}: {record['reasons'] or record.get('error')}")
    deploy, done.deploy, code = _updater(site, "approve", "--yes", "--person", "the bench", "--max-closed", "900")
    record = _record(site)
    if code != ExitCode.DONE:
        done.wrong.append(f"the deploy ended as {record['state']}: {record.get('error')}")
    log = (_newest(site) / "run.log").read_text(encoding="utf-8")
    done.seconds = {**steps(record["timings"]), "whole": whole, "deploy": deploy, CLOSED_LOOK: closed_look(log)}
    return done


def closed_look(log: str) -> float:
    """Seconds from a run's log: how long the closed shop was looked at. 0 where it never was."""
    begun = None
    for line in log.splitlines():
        told = json.loads(line)
        at = datetime.fromisoformat(told["timestamp"])
        if told.get("message") == "checking the closed shop":
            begun = at
        elif begun is not None and told.get("message", "").startswith("decided"):
            return (at - begun).total_seconds()
    return 0.0


def steps(timings: Mapping[str, float]) -> dict[str, float]:
    """A run's own timings; looks that it took because pages differed are further noise."""
    known = {name for step in STEPS for name in step.ours}
    told: dict[str, float] = {}
    for name, seconds in timings.items():
        kept = "look: noise" if name.startswith("look: ") and name not in known else name
        told[kept] = told.get(kept, 0.0) + seconds
    return told


def _updater(site: Path, *words: str) -> tuple[float, Peak, int]:
    """Seconds, what it took at its peak, and its exit code."""
    state = site / ".updater"

    def label() -> str:
        runs = sorted(it.name for it in (state / "runs").glob("*"))
        return f"updater.run={runs[-1]}" if runs else ""

    begun = time.monotonic()
    with (site / f"{words[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "updater.cli", *words], cwd=site, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        with Footprint(process.pid, state, label) as footprint:
            code = process.wait()
            seconds = time.monotonic() - begun
    return seconds, footprint.peak, code


def _record(site: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((_newest(site) / "run.json").read_text(encoding="utf-8"))
    return told


def _newest(site: Path) -> Path:
    return max((site / ".updater" / "runs").iterdir())


# ------------------------------------------------------------------------------------------------------------- by hand


def _by_hand(production: DemoShop, folder: Path, offered: Sequence[str], closed_only: bool) -> Done:
    done = Done()
    _password_file(production)
    if not closed_only:
        with _staging(production, folder / "staging") as staging:
            there = f"{production.user}@{production.address}"
            ssh = "ssh -o StrictHostKeyChecking=accept-new"
            copied = f"rsync -az -e '{ssh}' {there}:{DOCROOT}/ {DOCROOT}/"
            dumped = f"{ssh} {there} mariadb-dump --single-transaction shop | mariadb shop"
            done.seconds["files"] = _typed(staging, copied)[1]
            done.seconds["database"] = _typed(staging, dumped)[1]
            done.seconds["reference"] = _photographed("reference", folder, staging)
            done.seconds["update"] = _typed(staging, _update(offered))[1] + _visited(staging)
            done.seconds["test"] = _photographed("test", folder, staging)
            done.wrong += _not_updated(staging, offered)
    closing = f"cd {DOCROOT} && echo '<?php $upgrading = time();' > .maintenance"
    keeping = f"mariadb-dump --single-transaction shop | gzip -1 > ~/before.sql.gz; tar -czf ~/before.tgz --exclude=wp-content/uploads -C {DOCROOT} ."
    opening = f"rm {DOCROOT}/.maintenance"
    closed = _typed(production, f"{closing}; {keeping}; {_update(offered)}; {opening}")[1]
    done.seconds |= {"closed": closed, "deploy": closed + _visited(production)}
    done.wrong += _not_updated(production, offered)
    return done


@contextmanager
def _staging(production: DemoShop, folder: Path) -> Iterator[DemoShop]:
    """A server of the same make without a shop, which reaches production with the deploy key."""
    with ExitStack() as lifetime:
        client = lifetime.enter_context(_docker())
        staging = lifetime.enter_context(DemoShop.start(folder))
        network = client.networks.get(production.name)
        network.connect(staging.name)
        lifetime.callback(network.disconnect, staging.name, force=True)
        staging.exec(
            ["sh", "-c", "umask 077; cat > ~/.ssh/id_ed25519"], user=staging.user, stdin=production.key.read_bytes()
        )
        _password_file(staging)
        _typed(
            staging,
            f"find {DOCROOT} -mindepth 1 -delete; mariadb -e 'DROP DATABASE shop; CREATE DATABASE shop'",
            "root",
        )
        yield staging


@contextmanager
def _docker() -> Iterator[Any]:
    client = docker.from_env()
    try:
        yield client
    finally:
        client.close()


def _password_file(shop: DemoShop) -> None:
    config = f"{DOCROOT}/wp-config.php"
    password = f"$(sed -n \"s/.*'DB_PASSWORD', '\\(.*\\)'.*/\\1/p\" {config})"
    _typed(shop, f'umask 077; printf \'[client]\\nuser=shop\\npassword="%s"\\n\' "{password}" > ~/.my.cnf')


def _update(offered: Sequence[str]) -> str:
    """Unpack what is offered over what is there, and bring the core's tables up to date."""
    lines = [f"cd {DOCROOT}"]
    for name in offered:
        if name == "wordpress":
            lines.append(
                f"unzip -q {PACKAGES}/wordpress-*.zip -d /tmp/new; cp -r /tmp/new/wordpress/. .; rm -r /tmp/new"
            )
        else:
            lines.append(f"unzip -qo {PACKAGES}/{name}*.zip -d wp-content/plugins")
    upgrade = (
        'define("WP_INSTALLING", true); require "wp-load.php"; require "wp-admin/includes/upgrade.php"; wp_upgrade();'
    )
    lines.append(f"php -r '{upgrade}'")
    return "; ".join(lines)


def _visited(shop: DemoShop) -> float:
    """Seconds of the first visit, at which plugins migrate."""
    begun = time.monotonic()
    shop.get("/").raise_for_status()
    return time.monotonic() - begun


def _photographed(command: str, folder: Path, staging: DemoShop) -> float:
    scenarios = [(path, f"{URL}{path}", f"{URL}{path}") for path in PAGES]
    resolved = f"--host-resolver-rules=MAP *shop.example {staging.address}"
    cost, _ = backstop.spent_on(command, folder, scenarios, VIEWPORTS, (resolved, "--ignore-certificate-errors"))
    return cost.wall


def _not_updated(shop: DemoShop, offered: Sequence[str]) -> list[str]:
    """What the commands should have done and did not."""
    wrong = []
    if "wordpress" in offered and "'6.8" not in _typed(shop, f"grep wp_version {DOCROOT}/wp-includes/version.php")[0]:
        wrong.append("by hand: the core was not updated")
    if "demo-shop-1.1" in offered and not shop.sql("SHOW TABLES LIKE 'sh_demo_shop_order_notes'").strip():
        wrong.append("by hand: the shop plugin did not migrate")
    return wrong


def _typed(shop: DemoShop, script: str, user: str = DemoShop.user) -> tuple[str, float]:
    """What a script said in the server's shell, and its seconds. Fails with it."""
    begun = time.monotonic()
    command = [
        "docker",
        "exec",
        "-i",
        "-u",
        user,
        "-e",
        f"HOME={'/root' if user == 'root' else f'/home/{user}'}",
        shop.name,
    ]
    done = subprocess.run(
        [*command, "bash", "-c", f"set -euo pipefail; {script}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout.strip(), time.monotonic() - begun
