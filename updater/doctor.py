"""The health of the tool itself: what a run on this machine would stumble over, and what was left lying. Asks no shop."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from updater import config, fleet, notify, pipeline, policy, schedule
from updater.checks.browser import find_chromium
from updater.errors import ExitCode, SiteLocked, UpdaterError
from updater.journal import Journal, RunRow, now, site_lock
from updater.model import Site
from updater.report.record import RunRecord
from updater.secrets import ENV_FILE
from updater.staging import daemon, names

Health = Literal["good", "attention", "ill"]

LITTLE_DISK = 10 << 30
"""Bytes: a shop's copy, its checkpoint and its pictures, several times over."""
NO_DISK = 2 << 30
_CLOCK = timedelta(minutes=5)
_PROGRAMS = {
    "ssh": "connects nothing by itself, but rsync goes through it: apt-get install openssh-client",
    "rsync": "without it every clone copies all files anew: apt-get install rsync",
    "git": "without it client repositories are not kept: apt-get install git",
    "restic": "only needed for `updater backup`: apt-get install restic",
}
_NEEDED = {"ssh"}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at. `hint`: what to type when it is not good."""

    name: str
    health: Health
    detail: str
    hint: str = ""


def look(folder: Path, machine: schedule.Machine) -> list[Row]:
    """This machine, then each site below the folder. A look that fails is itself a row and hides no other."""
    rows = [
        _row("docker", _docker),
        _row("chromium", _chromium),
        *(_program(name, why) for name, why in _PROGRAMS.items()),
        _row("memory", _memory),
        _row("disk", lambda: _disk(folder)),
        _row("left behind", _left_behind),
        _row("schedule", lambda: _schedule(folder, machine)),
        *_secrets(folder),
    ]
    return [*rows, *_once([row for path in fleet.sites_below(folder) for row in _site(path)])]


def _once(rows: Sequence[Row]) -> Iterator[Row]:
    """What ails several sites alike, like a mistake in the agency.yml around them, is one row."""
    sites, told = Counter(row.detail for row in rows if row.health == "ill"), set()
    for row in rows:
        if row.health != "ill" or sites[row.detail] == 1:
            yield row
        elif row.detail not in told:
            told.add(row.detail)
            yield replace(row, name=f"{sites[row.detail]} sites")


def _row(name: str, see: Callable[[], Row]) -> Row:
    try:
        return see()
    except (UpdaterError, OSError, subprocess.SubprocessError) as error:
        what = error.what if isinstance(error, UpdaterError) else str(error)
        return Row(name, "ill", what, error.hint if isinstance(error, UpdaterError) else "")


# ------------------------------------------------------------------------------------------------------ this machine


def _docker() -> Row:
    with closing(daemon.connect()) as client:
        return Row("docker", "good", f"version {client.version()['Version']}")


def _chromium() -> Row:
    program = find_chromium()
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        return Row(
            "chromium",
            "ill",
            f"{program} does not start: {done.stderr.strip()[-200:]}",
            "apt-get install chromium-headless-shell",
        )
    return Row("chromium", "good", done.stdout.strip())


def _program(name: str, why: str) -> Row:
    found = shutil.which(name)
    if found:
        return Row(name, "good", found)
    return Row(name, "ill" if name in _NEEDED else "attention", "is not installed", why)


def _memory() -> Row:
    free, needed = fleet.free_memory(), fleet.RUN_BYTES + (1 << 30)
    told = f"{free / (1 << 30):.1f} GiB are free, a run takes about {needed >> 30}"
    return Row(
        "memory", "good" if free >= needed else "attention", told, "" if free >= needed else "end other programs"
    )


def _disk(folder: Path) -> Row:
    free = shutil.disk_usage(folder).free
    health: Health = "good" if free >= LITTLE_DISK else "attention" if free >= NO_DISK else "ill"
    hint = "" if health == "good" else "updater clean SITE removes copies of production; docker image prune, old images"
    return Row("disk", health, f"{free / (1 << 30):.1f} GiB are free at {folder}", hint)


def _left_behind() -> Row:
    with closing(daemon.connect()) as client:
        left = names.left_behind(client)
    if left:
        return Row("left behind", "attention", f"of killed runs: {', '.join(left[:5])}", "the next run removes them")
    return Row("left behind", "good", "nothing of killed runs")


def _secrets(folder: Path) -> Iterator[Row]:
    file = folder / ENV_FILE
    if file.is_file():
        private = not file.stat().st_mode & 0o077
        told = "only you can read it" if private else "others on this machine can read the secrets in it"
        yield Row(ENV_FILE, "good" if private else "attention", told, "" if private else f"chmod 600 {file}")


def _schedule(folder: Path, machine: schedule.Machine) -> Row:
    timers = schedule.timers_of(folder)
    installed = {timer.job: schedule.shown(timer, machine) for timer in timers}
    missing = [job for job, where in installed.items() if not where]
    found = "; ".join(f"{job}: {where}" for job, where in installed.items() if where)
    if missing:
        detail = f"not begun by itself on this machine: {', '.join(missing)}"
        hint = f"updater schedule install {folder}"
        return Row("schedule", "attention", f"{detail} ({found})" if found else detail, hint)
    return Row("schedule", "attention" if "start it" in found else "good", found)


# ------------------------------------------------------------------------------------------------------- each site


def _site(path: Path) -> list[Row]:
    try:
        site = config.load(path)
    except UpdaterError as error:
        return [Row(path.absolute().parent.name, "ill", error.what.splitlines()[0], f"updater check {path}")]
    if not site.state.exists():
        return [Row(site.name, "attention", "was never tested", f"updater run {path}")]
    try:
        with fleet.opened(site) as journal:
            damage = journal.damage()
            if damage:
                hint = f"move {site.state / 'journal.db'} away: the runs themselves lie in {site.state / 'runs'}"
                return [Row(site.name, "ill", f"its journal is damaged: {damage}", hint)]
            found = [*_runs(site, journal), *_outbox(site)]
    except UpdaterError as error:
        return [Row(site.name, "ill", error.what, error.hint)]
    return found or [Row(site.name, "good", "nothing to see to")]


def _runs(site: Site, journal: Journal) -> Iterator[Row]:
    rows, at = journal.runs(limit=1_000), now()
    if not rows:
        yield Row(site.name, "attention", "was never tested", f"updater run {site.config}")
        return
    newest = rows[0]
    if newest.started - at > _CLOCK:
        told = f"run {newest.run} began {newest.started:%Y-%m-%d %H:%M} UTC, which is yet to come"
        yield Row(site.name, "ill", told, "set this machine's clock")
    elif at - newest.started > 2 * site.schedule.every:
        yield Row(site.name, "attention", f"was not tested since {newest.started:%Y-%m-%d}", "updater schedule show")
    if newest.exit_code == ExitCode.UNKNOWN_STATE:
        yield Row(
            site.name, "ill", f"run {newest.run} left production in an unknown state", f"updater recover {site.config}"
        )
    if newest.state == "running" and not _at_work(site):
        told = f"run {newest.run} was cut off; production is whole"
        yield Row(site.name, "attention", told, f"updater run {site.config}, or wait for its hour")
    yield from _waiting(site, journal, rows, at)


def _waiting(site: Site, journal: Journal, rows: list[RunRow], at: datetime) -> Iterator[Row]:
    if policy.forbids_approval(site.policy):
        return
    passed = [row for row in rows if row.state == pipeline.AWAITING]
    advice = {row.run: journal.output(row.run, "record", RunRecord).advice for row in passed}
    if advice.get(rows[0].run):  # an older one was installed since, or is superseded
        told = f"run {rows[0].run} passed, and its updates are to be installed by hand: {advice[rows[0].run]}"
        yield Row(site.name, "attention", told, f"updater report {rows[0].run} --site {site.config}")
    waiting = [row for row in passed if not advice[row.run]]
    if not waiting:
        return
    ended = waiting[0].finished or waiting[0].started
    left = ended + site.policy.expires - at
    if left < timedelta():
        told = f"run {waiting[0].run} waited longer than policy.expires: what it tested is not deployed"
        yield Row(site.name, "attention", told, f"updater run {site.config}")
    else:
        told = f"run {waiting[0].run} waits for an approval, {left.days} days are left"
        yield Row(site.name, "attention", told, f"updater approve {waiting[0].run} --site {site.config}")


def _at_work(site: Site) -> bool:
    try:
        with site_lock(site.state, "doctor"):
            return False
    except SiteLocked:
        return True


def _outbox(site: Site) -> Iterator[Row]:
    for line in notify.waiting_lines(site.state):
        yield Row(site.name, "attention", line, f"updater tell {site.config}, updater ack {site.config}")
