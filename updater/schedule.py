"""When a site's next run and backup are due, and who starts them: systemd timers, or cron where there is none.

Every ten minutes `updater fleet run --due` and `updater fleet backup --due` ask this module about each site. So nothing has to be
remembered over a reboot, a night that was slept through is made up for, and sixty sites that share one line in agency.yml do not
start at the same minute.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn, Protocol
from zoneinfo import ZoneInfo

from updater.errors import ExitCode, UpdaterError
from updater.journal import RunRow, write_atomically
from updater.model import BackupEvent, Schedule, Window
from updater.secrets import ENV_FILE

MINUTES = 10
"""Between two looks at what is due."""
AGAIN = timedelta(hours=20)
"""After a run that could not know, or could not begin: the next night, not the next week."""
_EARLY = timedelta(hours=6)
"""A weekly run may begin that much before its week is over: its night is the same one, its minute differs."""
_SPREAD = 0.75
"""Share of a night in which runs begin; the rest is for the last of them to end in."""
BACKUP, PROOF = timedelta(days=1), timedelta(days=30)
"""How often a site is backed up, and how often a backup is restored and bought in."""
PAUSE = timedelta(hours=2)
"""After a backup or a proof was begun, whatever became of it: a place that is away is not asked every ten minutes."""
_KNOWN = (ExitCode.DONE, ExitCode.REJECTED, ExitCode.AWAITING_APPROVAL, ExitCode.ROLLED_BACK, ExitCode.UNKNOWN_STATE)
"""Ends after which the same run again would tell nothing new."""


# ------------------------------------------------------------------------------------------------- which site is due


def due(name: str, schedule: Schedule, runs: Sequence[RunRow], at: datetime) -> bool:
    """Whether the site's next run should begin at this moment. `runs`: its newest ones, newest first; none of them under way.

    A run that was killed counts as none, twice in a row as one: what kills the machine must not do so all night.
    """
    night = _night(schedule.nights, at)
    if night is None:
        return False
    begins, ends = night
    earliest = _earliest(schedule, runs, at)
    if (
        earliest is None or at - earliest > schedule.every
    ):  # never, or a whole turn was missed: no more waiting for a minute
        return True
    return at >= earliest and at >= begins + (ends - begins) * _SPREAD * _share(name)


def next_due(name: str, schedule: Schedule, runs: Sequence[RunRow], at: datetime) -> datetime | None:
    """The first look, `at` or later, at which the site will be due; None: not within a turn."""
    moment = at
    while moment - at <= schedule.every + timedelta(days=8):
        if due(name, schedule, runs, moment):
            return moment
        moment += timedelta(minutes=MINUTES)
    return None


def backup_due(
    name: str, schedule: Schedule, events: Sequence[BackupEvent], tried: datetime | None, at: datetime
) -> tuple[str, ...]:
    """What of `make` and `verify` should begin at this moment, in this order: in the hours of `nights`, on every day.

    `events`: all that is known of the site's backups. `tried`: when one of the two began last.
    """
    night = _night([replace(window, days=tuple(range(7))) for window in schedule.nights], at)
    if night is None or (tried is not None and timedelta() <= at - tried < PAUSE):
        return ()
    begins, ends = night
    if at < begins + (ends - begins) * _SPREAD * _share(name):
        return ()
    past = [event for event in events if event.ok and event.at <= at]  # not what a clock noted that was set back since
    made, proven = ([event.at for event in past if event.kind == kind] for kind in ("made", "restored"))
    due = []
    if not made or at - max(made) > BACKUP - _EARLY:
        due.append("make")
    if not proven or at - max(proven) > PROOF - _EARLY:
        due.append("verify")
    return tuple(due)


def _earliest(schedule: Schedule, runs: Sequence[RunRow], at: datetime) -> datetime | None:
    """When the next run may begin at all; None: at once."""
    killed = 0
    for row in runs:
        if row.started > at:  # the clock was set back since: what it says of then is worth nothing
            continue
        if row.state == "running" and killed == 0:
            killed += 1
            continue
        wait = schedule.every - _EARLY if row.exit_code in _KNOWN or row.state == "running" else AGAIN
        return row.started + min(wait, schedule.every)
    return None


def _night(nights: Sequence[Window], at: datetime) -> tuple[datetime, datetime] | None:
    """The beginning and the end of the window that `at` lies in, in UTC-safe arithmetic of its own zone."""
    for window in nights:
        zone = ZoneInfo(window.zone)
        local = at.astimezone(zone)
        for day in (local.date(), local.date() - timedelta(days=1)):
            begins = datetime.combine(day, window.start, zone)
            ends = datetime.combine(day + timedelta(days=window.end <= window.start), window.end, zone)
            if begins.weekday() in window.days and begins <= local < ends:
                return begins, ends
    return None


def _share(name: str) -> float:
    """A site's own place in the night, 0..1: spread over sites, the same each week."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32


# ----------------------------------------------------------------------------------------------- who looks at the time


class Machine(Protocol):
    """What starts programs by the clock here."""

    def run(self, argv: Sequence[str], stdin: str = "") -> tuple[int, str]:
        """Exit code and what was said. 127 when there is no such program."""


class ThisMachine:
    def run(self, argv: Sequence[str], stdin: str = "") -> tuple[int, str]:
        try:
            done = subprocess.run(
                argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
            )
        except FileNotFoundError:
            return 127, f"there is no {argv[0]}"
        return done.returncode, done.stdout


JOBS = {
    "run": (("fleet", "run", "--due"), "test what is due"),
    "backup": (("fleet", "backup", "--due"), "back up what is due, and prove a backup each month"),
    "watch": (("watch", "--all"), "look at every shop"),
}
"""What is started every ten minutes, each by itself: a night of runs must not keep anybody from looking. Command, and what for."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Where the units of one job over a folder of sites belong. `system`: root's own systemd, not a user's."""

    folder: Path
    units: Path
    system: bool
    job: str = "run"

    @property
    def name(self) -> str:
        """One folder and job, one timer: the path is in the name."""
        job = "" if self.job == "run" else f"-{self.job}"
        return f"updater-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}{job}"

    @property
    def command(self) -> list[str]:
        program = shutil.which("updater") or str(Path(sys.executable).with_name("updater"))
        return [program, *JOBS[self.job][0], str(self.folder)]

    @property
    def purpose(self) -> str:
        return JOBS[self.job][1]

    @property
    def systemctl(self) -> list[str]:
        return ["systemctl"] if self.system else ["systemctl", "--user"]


def timers_of(folder: Path) -> list[Timer]:
    """One for each job."""
    system = os.getuid() == 0
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    units = Path("/etc/systemd/system") if system else home / "systemd" / "user"
    return [Timer(folder.resolve(), units, system, job) for job in JOBS]


def service_unit(timer: Timer) -> str:
    """`Type=oneshot` never overlaps itself; killing it reaches the runs, which leave production whole."""
    command = " ".join(_unit_word(word) for word in timer.command)
    return f"""\
[Unit]
Description=updater: {timer.purpose}, of the sites in {timer.folder}
After=network-online.target docker.service
Wants=network-online.target

[Service]
Type=oneshot
WorkingDirectory={str(timer.folder).replace("%", "%%")}
EnvironmentFile=-{str(timer.folder / ENV_FILE).replace("%", "%%")}
ExecStart={command}
Nice=10
TimeoutStartSec=infinity
"""


def timer_unit(timer: Timer) -> str:
    return f"""\
[Unit]
Description=updater: every {MINUTES} minutes {timer.purpose}, of the sites in {timer.folder}

[Timer]
OnCalendar=*:0/{MINUTES}
Persistent=true
AccuracySec=1min

[Install]
WantedBy=timers.target
"""


def _unit_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(' "') & set(word) else escaped


def crontab_line(timer: Timer) -> str:
    """% ends a command in crontab, and its shell is /bin/sh."""
    folder, secrets = shlex.quote(str(timer.folder)), shlex.quote(f"./{ENV_FILE}")
    command = " ".join(shlex.quote(word) for word in timer.command)
    line = f"cd {folder} && {{ [ ! -f {secrets} ] || {{ set -a; . {secrets}; set +a; }}; {command}; }} # {timer.name}"
    return f"*/{MINUTES} * * * * " + line.replace("%", "\\%")


def install(timer: Timer, machine: Machine, *, systemd: bool | None = None) -> list[str]:
    """Start the job every ten minutes from now on. Twice is once. Returns what was done, for people."""
    if Path("/run/systemd/system").is_dir() if systemd is None else systemd:
        write_atomically(timer.units / f"{timer.name}.service", service_unit(timer).encode())
        write_atomically(timer.units / f"{timer.name}.timer", timer_unit(timer).encode())
        _must(machine, [*timer.systemctl, "daemon-reload"])
        _must(machine, [*timer.systemctl, "enable", "--now", f"{timer.name}.timer"])
        said = [f"every {MINUTES} minutes {timer.purpose}: {timer.units / timer.name}.timer"]
        if not timer.system and machine.run(["loginctl", "enable-linger"])[0] != 0:
            said.append("it stops when you log out: ask root for `loginctl enable-linger` with your name")
        return said
    lines = [line for line in _crontab(machine) if not line.endswith(f"# {timer.name}")]
    _must(machine, ["crontab", "-"], "\n".join([*lines, crontab_line(timer), ""]))
    return [f"every {MINUTES} minutes {timer.purpose}: a line in your crontab, as there is no systemd"]


def remove(timer: Timer, machine: Machine) -> list[str]:
    """The job is not started any more. What is under way goes on. Returns what was removed; twice is once."""
    said = []
    units = [timer.units / f"{timer.name}.{kind}" for kind in ("timer", "service")]
    if units[0].exists():
        _must(machine, [*timer.systemctl, "disable", "--now", units[0].name])
        for unit in units:
            unit.unlink(missing_ok=True)
        _must(machine, [*timer.systemctl, "daemon-reload"])
        said.append(f"removed {units[0]}")
    lines = _crontab(machine)
    others = [line for line in lines if not line.endswith(f"# {timer.name}")]
    if others != lines:
        _must(machine, ["crontab", "-"], "\n".join([*others, ""]) if others else "")
        said.append("removed the line from your crontab")
    return said


def shown(timer: Timer, machine: Machine) -> str:
    """What starts the job by itself here; '' when nothing does."""
    unit = timer.units / f"{timer.name}.timer"
    if unit.exists():
        code, said = machine.run([*timer.systemctl, "is-active", unit.name])
        return f"{unit} ({said.strip()})" + ("" if code == 0 else f"; start it: systemctl start {unit.name}")
    return "a line in your crontab" if any(it.endswith(f"# {timer.name}") for it in _crontab(machine)) else ""


def _crontab(machine: Machine) -> list[str]:
    """UpdaterError when it cannot be read: what is then written would be all that is left of it."""
    code, said = machine.run(["crontab", "-l"])
    if code == 0:
        return said.splitlines()
    none_yet = re.search("no crontab|no such file", said, re.IGNORECASE)  # as Debian's and busybox's say it
    if code != 127 and not none_yet:  # 127: no cron here
        _failed(["crontab", "-l"], said)
    return []


def _must(machine: Machine, argv: Sequence[str], stdin: str = "") -> None:
    code, said = machine.run(argv, stdin)
    if code != 0:
        _failed(argv, said)


def _failed(argv: Sequence[str], said: str) -> NoReturn:
    raise UpdaterError(
        "runs cannot be started by themselves",
        where=shlex.join(argv),
        cause=" ".join(said.split())[-300:],
        hint="`updater fleet run --due FOLDER` every ten minutes is all there is to it (and `fleet backup --due`, `watch --all`): "
        "start them by what you have",
    )
