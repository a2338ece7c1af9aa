"""When a site is due, and the timer that asks: at its own minute of the night, once a turn, made up for after a reboot."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
import waiting_run

from updater import config, schedule
from updater.errors import ConfigError, ExitCode, UpdaterError
from updater.journal import RunRow
from updater.model import BackupEvent, Schedule, Window
from updater.schedule import due
from updater.secrets import ENV_FILE

MOSCOW = ZoneInfo("Europe/Moscow")
TUESDAY = datetime(2026, 11, 24, tzinfo=MOSCOW)
NIGHTS = (
    Window((0, 1, 2, 3), datetime.min.time().replace(hour=1), datetime.min.time().replace(hour=6), "Europe/Moscow", ""),
)
WEEKLY = Schedule(timedelta(days=7), NIGHTS)
DAILY = Schedule(timedelta(days=1), NIGHTS)


def ended(ago: timedelta, at: datetime, code: int | None = 3, state: str = "awaiting approval") -> RunRow:
    started = (at - ago).astimezone(UTC)
    return RunRow("20261101-000000-aaaa", "tea", started, started, state, code)


def begins(name: str, runs: Sequence[RunRow], start: datetime, plan: Schedule = WEEKLY) -> datetime | None:
    """The first of the looks from `start` on, over two weeks, at which the site is due."""
    looks = (start + timedelta(minutes=schedule.MINUTES * n) for n in range(14 * 144))
    return next((at for at in looks if due(name, plan, runs, at)), None)


def test_a_weekly_site_is_due_a_week_later_in_its_night_and_not_before() -> None:
    last = ended(timedelta(), TUESDAY + timedelta(hours=3))
    at = begins("tea", [last], TUESDAY + timedelta(hours=4))
    assert at is not None
    assert timedelta(days=6, hours=18) <= at - last.started <= timedelta(days=8)
    assert 1 <= at.astimezone(MOSCOW).hour < 6


def test_the_same_site_keeps_its_minute_and_does_not_wander_through_the_week() -> None:
    at, seen = TUESDAY, []
    for _ in range(8):
        found = begins("tea", [ended(timedelta(), at)] if seen else [], at)
        assert found is not None
        seen.append(found.astimezone(MOSCOW))
        at = found
    assert len({(it.weekday(), it.hour, it.minute) for it in seen[2:]}) == 1, seen


def test_sixty_sites_are_spread_over_the_night() -> None:
    at = TUESDAY + timedelta(hours=2)
    runs = [ended(timedelta(days=7), at)]
    starts = Counter(begins(f"shop-{n}", runs, TUESDAY) for n in range(60))
    assert max(starts.values()) <= 10
    assert len(starts) >= 15
    last = max(start for start in starts if start)
    assert last.astimezone(MOSCOW).hour < 5, "the last of them has time to end"


def test_a_site_that_was_never_tested_or_missed_a_turn_begins_with_the_night() -> None:
    opens = TUESDAY + timedelta(hours=1)
    assert begins("tea", [], TUESDAY) == opens
    assert begins("tea", [ended(timedelta(days=15), TUESDAY)], TUESDAY) == opens


def test_nothing_begins_by_day_or_on_other_days() -> None:
    friday = TUESDAY + timedelta(days=3)
    assert begins("tea", [], TUESDAY + timedelta(hours=6)) == TUESDAY + timedelta(days=1, hours=1)
    assert begins("tea", [], friday) == friday + timedelta(days=3, hours=1), "Monday"


def test_a_night_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    late = Schedule(timedelta(days=7), (config._window("Mon 22:00-04:00 Europe/Moscow"),))
    assert begins("tea", [], TUESDAY, late) == TUESDAY, "Monday's night goes on into Tuesday"
    assert begins("tea", [], TUESDAY + timedelta(hours=4), late) == TUESDAY + timedelta(days=6, hours=22)


@pytest.mark.parametrize("code", [ExitCode.INCONCLUSIVE, ExitCode.USAGE, ExitCode.LOCKED, ExitCode.BUG])
def test_what_could_not_be_known_is_tried_the_next_night_not_the_next_week(code: ExitCode) -> None:
    failed = TUESDAY + timedelta(hours=2)
    at = begins("tea", [ended(timedelta(), failed, int(code), "inconclusive")], failed)
    assert at is not None
    assert timedelta(hours=20) <= at - failed <= timedelta(hours=28)


def test_a_run_that_a_reboot_cut_off_begins_again_and_twice_in_a_row_counts() -> None:
    at = TUESDAY + timedelta(hours=3)
    killed, good = ended(timedelta(minutes=20), at, None, "running"), ended(timedelta(days=7), at)
    assert (
        due("tea", WEEKLY, [killed, good], at + timedelta(minutes=90)) or begins("tea", [killed, good], at) is not None
    )
    assert begins("tea", [killed], at) == at, "there was none before it: at once"
    again = ended(timedelta(minutes=10), at, None, "running")
    later = begins("tea", [again, killed, good], at)
    assert later is None or later - at > timedelta(days=5), "what kills the machine does not do so all night"


def test_a_clock_that_was_set_back_stops_no_site() -> None:
    from_the_future = ended(timedelta(days=-400), TUESDAY)
    assert begins("tea", [from_the_future], TUESDAY) == TUESDAY + timedelta(hours=1)


def test_a_night_in_which_the_clocks_change_has_its_hours_by_the_wall() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    nights = Schedule(timedelta(days=1), (config._window("Sun 01:00-06:00 Europe/Berlin"),))
    spring = datetime(2027, 3, 28, tzinfo=berlin)
    hours = [at for at in (spring + timedelta(minutes=10 * n) for n in range(60)) if due("x", nights, [], at)]
    assert {at.astimezone(berlin).date() for at in hours} == {spring.date()}
    assert all(1 <= at.astimezone(berlin).hour < 6 for at in hours)
    assert hours


# ------------------------------------------------------------------------------------------------------- site.yml


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("every: 6h", "must be between 1d and 90d"),
        ("every: weekly", "must be a time with its unit"),
        ("nights: ['0 2 * * 2']", "must be days, hours and a time zone"),
        ("nights: ['Mon-Thu 01:00-06:00 Europe/Moskow']", "did you mean Europe/Moscow?"),
        ("nights: []", "must not be empty"),
        ("cron: '0 2 * * 2'", "unknown key"),
    ],
)
def test_a_wrong_schedule_is_told_with_its_line(tmp_path: Path, line: str, mistake: str) -> None:
    path = waiting_run.a_site(tmp_path, "tea", f"schedule:\n  {line}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert "site.yml:6: schedule" in caught.value.what
    assert mistake in caught.value.what


def test_the_schedule_of_the_agency_holds_for_its_sites(tmp_path: Path) -> None:
    (tmp_path / "agency.yml").write_text("schedule: {every: 14d, nights: ['Sat 22:00-04:00 Europe/Kyiv']}\n")
    site = config.load(waiting_run.a_site(tmp_path / "tea", "tea"))
    assert site.schedule.every == timedelta(days=14)
    assert ("tested", "every 14d, Sat 22:00-04:00 Europe/Kyiv") in config.describe(site)


# ---------------------------------------------------------------------------------------------------------- backups


def event(kind: Literal["made", "restored"], at: datetime, *, ok: bool = True) -> BackupEvent:
    return BackupEvent(at, kind, "20261124-010000-abcd", "away", ok, at)


def test_a_site_is_backed_up_every_night_also_on_days_without_runs_and_proven_each_month() -> None:
    plan = Schedule(timedelta(days=7), (Window((0, 1), time(1), time(5), "UTC", ""),))
    events: list[BackupEvent] = []
    began: list[tuple[datetime, tuple[str, ...]]] = []
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    while moment < datetime(2026, 12, 15, tzinfo=UTC):
        due = schedule.backup_due("tea", plan, events, None, moment)
        if due:
            began.append((moment, due))
            events += [event("made" if task == "make" else "restored", moment) for task in due]
        moment += timedelta(minutes=schedule.MINUTES)
    assert [at.date() for at, _ in began] == [began[0][0].date() + timedelta(days=n) for n in range(44)]
    assert {at.time() for at, _ in began} == {began[0][0].time()}, "its own minute"
    assert time(1) <= began[0][0].time() < time(5)
    assert [at for at, due in began if "verify" in due] == [began[0][0], began[30][0]]
    assert began[0][1] == ("make", "verify"), "what is proven is the newest"


def test_a_place_that_is_away_is_asked_again_two_hours_later_and_not_every_ten_minutes() -> None:
    at = datetime(2026, 11, 24, 5, 50, tzinfo=MOSCOW)
    lost = [event("made", at - timedelta(minutes=50), ok=False), event("restored", at - timedelta(days=3))]
    assert schedule.backup_due("tea", WEEKLY, lost, at - timedelta(minutes=50), at) == ()
    assert schedule.backup_due("tea", WEEKLY, lost, at - timedelta(hours=3), at) == ("make",)


def test_a_clock_that_was_set_back_keeps_no_backup_from_being_made() -> None:
    at = datetime(2026, 11, 24, 5, 50, tzinfo=MOSCOW)
    later = [event("made", at + timedelta(days=300)), event("restored", at + timedelta(days=300))]
    assert schedule.backup_due("tea", WEEKLY, later, at + timedelta(days=300), at) == ("make", "verify")


# ------------------------------------------------------------------------------------------------- systemd and cron


class Recorder:
    """A machine that notes what it was told, and has a crontab. Anything else than what it knows is an error of the test."""

    def __init__(self, crontab: str | None = "") -> None:
        self.crontab = crontab
        self.told: list[str] = []

    def run(self, argv: Sequence[str], stdin: str = "") -> tuple[int, str]:
        self.told.append(" ".join(argv))
        match list(argv):
            case ["crontab", _] if self.crontab is None:
                return 127, "there is no crontab"
            case ["crontab", "-l"]:
                return (0, self.crontab) if self.crontab else (1, "no crontab for anna")
            case ["crontab", "-"]:
                self.crontab = stdin
                return 0, ""
            case ["systemctl", *rest] if rest[-1].endswith((".timer", "daemon-reload")):
                return 0, "active\n"
            case ["loginctl", "enable-linger"]:
                return 0, ""
        raise AssertionError(f"nobody should run {argv}")


@pytest.fixture
def timer(tmp_path: Path) -> schedule.Timer:
    (tmp_path / "our 100% clients").mkdir()
    return schedule.Timer(tmp_path / "our 100% clients", tmp_path / "units", system=True)


def test_installing_writes_a_timer_twice_is_once_and_removing_leaves_nothing(timer: schedule.Timer) -> None:
    machine = Recorder()
    for _ in range(2):
        schedule.install(timer, machine, systemd=True)
    assert sorted(unit.suffix for unit in timer.units.iterdir()) == [".service", ".timer"]
    assert machine.told[-1] == f"systemctl enable --now {timer.name}.timer"
    assert "active" in schedule.shown(timer, machine)
    assert schedule.remove(timer, machine)
    assert list(timer.units.iterdir()) == []
    assert f"systemctl disable --now {timer.name}.timer" in machine.told
    assert schedule.remove(timer, machine) == []
    assert schedule.shown(timer, machine) == ""


def test_runs_backups_and_looks_are_started_each_by_itself_and_removed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    timers = [replace(timer, units=tmp_path / "units") for timer in schedule.timers_of(tmp_path)]
    assert [timer.command[1:] for timer in timers] == [
        ["fleet", "run", "--due", str(tmp_path)],
        ["fleet", "backup", "--due", str(tmp_path)],
        ["watch", "--all", str(tmp_path)],
    ]
    machine = Recorder("17 3 * * * backup\n")
    for timer in timers:
        schedule.install(timer, machine, systemd=False)
    assert machine.crontab is not None
    assert len(machine.crontab.splitlines()) == 4
    schedule.remove(timers[0], machine)
    assert [bool(schedule.shown(timer, machine)) for timer in timers] == [False, True, True]
    for timer in timers:
        schedule.install(timer, machine, systemd=True)
    assert len(list((tmp_path / "units").iterdir())) == 6


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd to ask")
def test_the_units_are_what_systemd_understands(timer: schedule.Timer) -> None:
    schedule.install(timer, Recorder(), systemd=True)
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(timer.units.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert timer.name not in done.stderr, done.stderr
    assert subprocess.run(["systemd-analyze", "calendar", "*:0/10"], capture_output=True, check=False).returncode == 0


def test_without_systemd_a_line_in_the_crontab_does_it_and_other_lines_stay(timer: schedule.Timer) -> None:
    machine = Recorder("17 3 * * * backup\n")
    for _ in range(2):
        schedule.install(timer, machine, systemd=False)
    assert machine.crontab is not None
    lines = machine.crontab.splitlines()
    assert lines[0] == "17 3 * * * backup"
    assert len(lines) == 2
    assert schedule.shown(timer, machine) == "a line in your crontab"
    schedule.remove(timer, machine)
    assert machine.crontab == "17 3 * * * backup\n"


def test_a_crontab_that_cannot_be_read_is_not_written_over(timer: schedule.Timer) -> None:
    class Ill(Recorder):
        def run(self, argv: Sequence[str], stdin: str = "") -> tuple[int, str]:
            return (1, "cannot open the spool") if argv[-1] == "-l" else super().run(argv, stdin)

    machine = Ill("17 3 * * * backup\n")
    with pytest.raises(UpdaterError, match="cannot open the spool"):
        schedule.install(timer, machine, systemd=False)
    assert machine.crontab == "17 3 * * * backup\n"


def test_the_crontab_line_runs_in_the_folder_with_its_secrets(timer: schedule.Timer, tmp_path: Path) -> None:
    """As cron does: everything after the fifth blank, with \\% made %, given to sh."""
    (timer.folder / ENV_FILE).write_text("TELEGRAM_URL='tgram://a b'\n")
    command = schedule.crontab_line(timer).split(" ", 5)[5].replace("\\%", "%")
    program = timer.command[0]
    shown = tmp_path / "bin" / Path(program).name
    shown.parent.mkdir()
    shown.write_text('#!/bin/sh\nprintf "%s|" "$PWD" "$TELEGRAM_URL" "$@"\n')
    shown.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", command.replace(program, str(shown))], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.split("|")[:6] == [
        str(timer.folder), "tgram://a b", "fleet", "run", "--due", str(timer.folder),
    ]  # fmt: skip


def test_a_machine_with_neither_says_what_to_do_instead(timer: schedule.Timer) -> None:
    with pytest.raises(UpdaterError) as caught:
        schedule.install(timer, Recorder(None), systemd=False)
    assert "updater fleet run --due" in caught.value.hint
