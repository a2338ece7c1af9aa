"""All sites of this machine: found below a folder, what waits on them, what is due; each one's fault its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from updater import config, export, notify, pipeline, repository, samples, schedule
from updater.errors import ApprovalRefused, ExitCode, SiteLocked, UpdaterError
from updater.journal import Journal, now, site_lock, write_atomically
from updater.model import Approve, Inventory, Site
from updater.report.fleet_page import Line, ordered, render
from updater.report.record import RunRecord
from updater.secrets import redact
from updater.versions import compare_versions

_NOT_SITES = {".updater", ".git", ".venv", "node_modules", "baselines", "packages", "smoke_tests"}
"""Folders that hold no site of their own; a clone of production is none either."""


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that a person can approve, with the site it belongs to."""

    site: Site
    run: str
    since: datetime
    what: pipeline.Waiting
    superseded: bool
    """A newer run of the same site waits as well."""

    @property
    def age(self) -> timedelta:
        return now() - self.since


@dataclass(frozen=True, slots=True)
class Trouble:
    """A site, or a run of one, that could not be looked at. Never hides the others."""

    where: Path
    message: str
    elsewhere: bool = False
    """Nothing is wrong: a run waits, but not on this machine."""


def sites_below(folder: Path) -> list[Path]:
    """Every site.yml in this folder and below it, by path; a file is itself."""
    if folder.is_file():
        return [folder]
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NOT_SITES)
        if "site.yml" in files:
            found.append(Path(root, "site.yml"))
    return found


def waiting_below(folder: Path) -> tuple[list[WaitingRun], list[Trouble]]:
    """What waits for a person, oldest first, and what could not be read or waited too long."""
    found: list[WaitingRun] = []
    troubles: list[Trouble] = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            with opened(site) as journal:
                runs, expired = _waiting(site, journal)
                troubles += _tested_elsewhere(site, journal)
        except UpdaterError as error:
            troubles.append(Trouble(path, str(error)))
        else:
            found += runs
            troubles += expired
    return sorted(found, key=lambda it: it.since), troubles


def _tested_elsewhere(site: Site, journal: Journal) -> list[Trouble]:
    """Runs of the CI that wait on a branch of the client's repository, as last fetched: they can be approved once imported."""
    known = {row.run for row in journal.runs(limit=10_000)}
    return [
        Trouble(
            site.config,
            f"run {run} waits in CI (branch {branch}): download its export, then approve --import FILE",
            elsewhere=True,
        )
        for run, branch in repository.waiting(site).items()
        if run not in known
    ]


def waiting_run(site: Site, run: str) -> WaitingRun:
    """The run of this site with that id or beginning. ApprovalRefused when it does not wait."""
    with opened(site) as journal:
        row = journal.find(run)
        what = pipeline.waiting(site, journal, row.run)
    return WaitingRun(site, row.run, row.finished or row.started, what, superseded=False)


def find_waiting(folder: Path, run: str) -> WaitingRun:
    """The run with that id or beginning, of whichever site below the folder."""
    found = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            with opened(site) as journal:
                found += [(site, row.run) for row in journal.runs(limit=10_000) if row.run.startswith(run)]
        except UpdaterError:  # `waiting_below` tells of it; here another site's fault is no answer
            continue
    if len(found) != 1:
        raise UpdaterError(
            f"{'more than one run begins' if found else 'there is no run'} with {run!r}",
            where=str(folder),
            hint="`updater approve` lists what waits",
        )
    return waiting_run(*found[0])


def site_of_export(folder: Path, file: Path) -> Path:
    """The site.yml that an export is for: the folder's own, else the one of that name below it."""
    found = sites_below(folder)
    if folder.is_file() or (folder / "site.yml") in found:
        return found[0]
    with export.opened(file) as (about, _sha256, _stream):
        named = [path for path in found if _name(path) == about.site]
    if len(named) != 1:
        raise UpdaterError(
            f"{'more than one site' if named else 'no site'} here is called {about.site}",
            where=str(folder),
            cause=f"{file} is of {about.site} ({about.url})",
            hint="name its folder: updater approve --import FILE --site FOLDER",
        )
    return named[0]


def _name(path: Path) -> str:
    try:
        return config.load(path).name
    except UpdaterError:  # another site's fault is no answer
        return ""


@contextmanager
def opened(site: Site) -> Iterator[Journal]:
    """The site's journal for a moment."""
    journal = Journal(site.state)
    try:
        yield journal
    finally:
        journal.close()


def _waiting(site: Site, journal: Journal) -> tuple[list[WaitingRun], list[Trouble]]:
    found: list[WaitingRun] = []
    troubles: list[Trouble] = []
    if site.policy.approve is Approve.NEVER:  # its runs are only reported on, and none of them waits for anybody
        return found, troubles
    for row in journal.runs(limit=1_000):  # newest first
        if row.state != pipeline.AWAITING:
            continue
        try:
            what = pipeline.waiting(site, journal, row.run)
        except ApprovalRefused as error:
            if not journal.output(row.run, "record", RunRecord).advised:
                troubles.append(Trouble(site.config, str(error)))
        else:
            found.append(WaitingRun(site, row.run, row.finished or row.started, what, superseded=bool(found)))
    return found, troubles


# ------------------------------------------------------------------------------------------- updater fleet inventory


@dataclass(frozen=True, slots=True)
class Installed:
    """What one site runs. `kind` is core, plugin, theme or `php`; `run`: the one that saw it, '' for the first look of `init`."""

    site: str
    kind: str
    slug: str
    name: str
    version: str
    active: bool
    run: str


def installed_below(folder: Path) -> tuple[list[Installed], list[Trouble]]:
    """What every site in this folder and below it runs, as far as this machine knows, and the sites of which it knows nothing."""
    found: list[Installed] = []
    troubles: list[Trouble] = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            known = _newest_inventory(site)
        except UpdaterError as error:
            troubles.append(Trouble(path, str(error)))
            continue
        if known is None:
            troubles.append(
                Trouble(path, "nothing is known of what it runs: it was never tested and has no inventory.yml")
            )
            continue
        inventory, run = known
        found.append(Installed(site.name, "php", "php", "PHP", inventory.php, True, run))
        found += [
            Installed(site.name, it.kind, it.slug, it.name, it.version, it.active, run)
            for it in sorted(inventory.components, key=lambda it: (it.kind, it.slug))
        ]
    return found, troubles


def _newest_inventory(site: Site) -> tuple[Inventory, str] | None:
    """Of the newest run that saw it, here or (by inventory.yml) elsewhere, and that run. Run ids sort by time."""
    written = repository.read_inventory(site)
    with opened(site) as journal:
        for row in journal.runs(limit=1_000):
            if written and written[1] > row.run:
                return written
            record = journal.output(row.run, "record", RunRecord) if journal.has(row.run, "record") else None
            if record is not None and record.inventory is not None:
                deployed = record.state == pipeline.PROMOTED
                inventory = repository.inventory_after(record) if deployed else record.inventory
                return (inventory or record.inventory), row.run
    return written


def running(
    installed: Sequence[Installed], component: str = "", below: str = "", at_least: str = ""
) -> list[Installed]:
    """Those that are this component (a slug, or `theme:oak` where two share one), of a version below or at least another."""
    return [
        it
        for it in installed
        if component in ("", it.slug, f"{it.kind}:{it.slug}")
        and (not below or compare_versions(it.version, below) < 0)
        and (not at_least or compare_versions(it.version, at_least) >= 0)
    ]


# ------------------------------------------------------------------------------------------------- updater fleet run

_NIGHTS = ("fleet", "fleet-backup")
"""Below the `.updater/` of the clients' folder: who works there over many sites, runs or backups, holds its lock."""
RUN_BYTES = 2 << 30
"""Memory that a run takes beside its stack's web server: database, browser, pictures."""
WORST = (
    ExitCode.UNKNOWN_STATE,
    ExitCode.ROLLED_BACK,
    ExitCode.BUG,
    ExitCode.REJECTED,
    ExitCode.INCONCLUSIVE,
    ExitCode.USAGE,
    ExitCode.INTERRUPTED,
    ExitCode.LOCKED,
    ExitCode.AWAITING_APPROVAL,
    ExitCode.DONE,
)
"""The exit code of a night is the first of these that a site ended with."""


def worst(codes: Iterable[int]) -> ExitCode:
    ended = set(codes)
    return next((code for code in WORST if code in ended), ExitCode.BUG if ended else ExitCode.DONE)


@dataclass(frozen=True, slots=True)
class Night:
    """What became of each site, and the page that shows it."""

    lines: tuple[Line, ...]
    page: Path | None
    untold: tuple[str, ...] = ()
    """Channels that could not be reached; what they were to say waits in the outbox."""

    @property
    def exit_code(self) -> ExitCode:
        return worst(line.exit_code for line in self.lines)


class Start(Protocol):
    """Runs one site to its end, in a process of its own."""

    def __call__(self, site: Path) -> tuple[int, str, str]:
        """Exit code, what `updater run --json` printed, and what it said beside."""


def due_below(folder: Path, at: datetime) -> tuple[list[Path], list[Trouble]]:
    """The sites whose run is due, most overdue first, and those that could not be read. A site that is at work is not due."""
    found: list[tuple[datetime, Path]] = []
    troubles: list[Trouble] = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            with site_lock(site.state, "fleet"), opened(site) as journal:
                runs = journal.runs(limit=5)
                if schedule.due(site.name, site.schedule, runs, at):
                    found.append((runs[0].started if runs else datetime.min.replace(tzinfo=at.tzinfo), path))
        except SiteLocked:
            continue
        except UpdaterError as error:
            troubles.append(Trouble(path, str(error)))
    return [path for _, path in sorted(found)], troubles


def calendar(folder: Path, at: datetime) -> list[dict[str, str]]:
    """`site`, when it was `tested` last and how that ended, when it is `due` and was `backed up`, in words; a site that cannot
    be read too. `backed up` is empty where site.yml names no place for backups."""
    rows = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            with opened(site) as journal:
                runs = journal.runs(limit=5)
        except UpdaterError as error:
            rows.append({"site": path.absolute().parent.name, "tested": "", "due": _first(str(error)), "backed up": ""})
            continue
        moment = schedule.next_due(site.name, site.schedule, runs, at)
        zone = ZoneInfo(site.schedule.nights[0].zone)
        tested = f"{runs[0].started.astimezone(zone):%a %Y-%m-%d %H:%M}, {runs[0].state}" if runs else "never"
        due = f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}" if moment else "not within a turn: see schedule.nights"
        made = [it.at for it in samples.backups(site.state) if it.kind == "made" and it.ok]
        backed_up = f"{max(made).astimezone(zone):%a %Y-%m-%d %H:%M}" if made else "never"
        rows.append({"site": site.name, "tested": tested, "due": due, "backed up": backed_up if site.backup else ""})
    return rows


def say_again(folder: Path) -> tuple[str, ...]:
    """Urgent messages of all sites that are due again, or could not be sent before. One line for each channel that failed."""
    return notify.deliver([site for site in map(_loaded, sites_below(folder)) if site], only_urgent=True)


def say_rest(folder: Path) -> tuple[str, ...]:
    """What else waits to be told of all sites, as one digest; left to a night that is at work, which says it at its end."""
    home = (folder.parent if folder.is_file() else folder) / ".updater"
    try:
        with ExitStack() as nights:
            for name in _NIGHTS:
                nights.enter_context(site_lock(home / name, "a digest"))
            return notify.deliver([site for site in map(_loaded, sites_below(folder)) if site])
    except SiteLocked:
        return ()


def run_all(
    folder: Path,
    sites: Sequence[Path],
    troubles: Sequence[Trouble],
    start: Start,
    at_once: int,
    say: Callable[[str], None],
) -> Night:
    """Run these sites, `at_once` at a time; none stops another. Then one digest for everybody, and the page of the night.

    SiteLocked when a run over this folder is under way.
    """
    home, begun = folder / ".updater" / _NIGHTS[0], now()
    with site_lock(home, f"over {len(sites)} sites"):
        lines = [
            Line(it.where.absolute().parent.name, "not run", int(ExitCode.USAGE), 0.0, _first(it.message))
            for it in troubles
        ]
        said = threading.Lock()

        def one(path: Path) -> Line:
            line = _one(path, start)
            with said:
                say(f"{line.site}: {line.state} ({line.exit_code}) {line.detail}")
            return line

        with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
            lines += pool.map(one, sites)
        untold = notify.deliver([site for site in map(_loaded, sites) if site])
        page = home / f"{begun:%Y-%m-%d-%H%M%S}.html"
        write_atomically(page, render(lines, begun, now()).encode(), mode=0o600)
        write_atomically(home / "newest.html", page.read_bytes(), mode=0o600)
    return Night(tuple(ordered(lines)), page, untold)


def room(sites: Sequence[Path], memory: int, cpus: int) -> int:
    """How many runs this machine takes at once: by its free memory in bytes, and no more than one for each CPU."""
    needs = [RUN_BYTES + _bytes(site.stack.memory) for site in map(_loaded, sites) if site]
    return max(1, min(cpus, memory // max(needs, default=RUN_BYTES)))


def free_memory() -> int:
    """Bytes that new processes can have, by /proc/meminfo."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def in_a_process(site: Path, *words: str) -> tuple[int, str, str]:
    """`updater run` of this site, or what the words say: what kills it kills no other. Its digest is left to the night's own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "updater.cli", *(words or ("run",)), str(site), "--json", "--later"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        printed, said = process.communicate()
    except BaseException:
        process.terminate()  # it leaves production whole, then ends
        process.wait()
        raise
    return process.returncode, printed, said


# ---------------------------------------------------------------------------------------------- updater fleet backup


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What became of a site's backup (`make`) or of the proof of one (`verify`)."""

    site: str
    task: str
    exit_code: int
    detail: str


StartBackup = Callable[[Path, str, str], tuple[int, str, str]]
"""`in_a_process`: site.yml, "backup", the task"""


def backups_due(folder: Path, at: datetime | None) -> tuple[list[tuple[Path, tuple[str, ...]]], list[Trouble]]:
    """(site.yml, what of `make` and `verify` is due) of each site that names places for backups; `at` None: a backup now.

    A site that is at work is not due: its turn comes ten minutes later.
    """
    found: list[tuple[Path, tuple[str, ...]]] = []
    troubles: list[Trouble] = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            with site_lock(site.state, "fleet"):
                due = ("make",) if at is None else _backup_due(site, at)
        except SiteLocked:
            continue
        except UpdaterError as error:
            troubles.append(Trouble(path, str(error)))
            continue
        if site.backup is not None and due:
            found.append((path, due))
    return found, troubles


def _backup_due(site: Site, at: datetime) -> tuple[str, ...]:
    logs = [log.stat().st_mtime for log in (site.state / "backups").glob("*.log")]
    tried = datetime.fromtimestamp(max(logs), at.tzinfo) if logs else None
    return schedule.backup_due(site.name, site.schedule, samples.backups(site.state), tried, at)


def back_up(
    folder: Path, due: Sequence[tuple[Path, tuple[str, ...]]], start: StartBackup, say: Callable[[str], None]
) -> tuple[list[BackedUp], tuple[str, ...]]:
    """One after the other, none stops another; then one digest. Returns what became of each, and channels that were not reached.

    A backup that failed is not proven in its stead. SiteLocked when backups of this folder are under way.
    """
    ended = []
    with site_lock(folder / ".updater" / _NIGHTS[1], f"over {len(due)} sites"):
        for path, tasks in due:
            for task in tasks:
                code, printed, said = start(path, "backup", task)
                ended.append(BackedUp(path.absolute().parent.name, task, code, _told_of_backup(code, printed, said)))
                say(f"{ended[-1].site}: {task} ({code}) {ended[-1].detail}")
                if code != ExitCode.DONE:
                    break
        untold = notify.deliver([site for site in (_loaded(path) for path, _ in due) if site])
    return ended, untold


def _told_of_backup(code: int, printed: str, said: str) -> str:
    try:
        told = json.loads(printed)
    except ValueError:  # it never began
        return _first(said)
    if "places" in told:
        lost = [f"{it['place']}: {it['detail']}" for it in told["places"] if not it["ok"]]
        return _first("; ".join(lost)) or f"in {', '.join(it['place'] for it in told['places'])}"
    seconds = told["seconds"]["restored"]
    return _first(told["detail"]) if code else f"restored from {told['place']} in {seconds:.0f} s, and it sells"


def _one(path: Path, start: Start) -> Line:
    begun = time.monotonic()
    code, printed, said = start(path)
    seconds = time.monotonic() - begun
    try:
        told = json.loads(printed)
    except ValueError:  # it never began
        return Line(path.absolute().parent.name, "not run", code, seconds, _first(said))
    updates = ", ".join(f"{it['name']} {it['from']} → {it['to']}: {it['outcome']}" for it in told["updates"])
    reasons = [told["error"], *told["reasons"]] if code not in (ExitCode.DONE, ExitCode.AWAITING_APPROVAL) else []
    detail = next((_first(reason) for reason in reasons if reason), updates)
    return Line(told["site"], told["state"], code, seconds, redact(detail), Path(told["report"]))


def _first(message: str) -> str:
    """An error on one line."""
    return redact(" ".join(message.split()))[:300]


def _loaded(path: Path) -> Site | None:
    try:
        return config.load(path)
    except UpdaterError:  # its own run has said so
        return None


def _bytes(size: str) -> int:
    return int(size[:-1]) << {"k": 10, "m": 20, "g": 30}[size[-1]]
