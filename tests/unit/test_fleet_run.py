"""A night over many sites: as many at once as the machine takes, none stops another, one digest, one page."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import waiting_run
from prompt import typed
from webhook import listening

from updater import config, fleet, notify, samples
from updater.errors import ExitCode, SiteLocked
from updater.journal import now, site_lock
from updater.model import BackupEvent
from updater.report.fleet_page import Line, ordered

NIGHT = "schedule: {nights: ['Mon-Sun 00:00-24:00 UTC']}\n"


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    for name in ("books", "pets", "tea"):
        waiting_run.a_site(tmp_path / name, name, NIGHT)
    return tmp_path


def told(site: Path, code: int, state: str, reasons: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """What `updater run --json` of this site prints."""
    update = {"name": "Shop", "from": "1.0", "to": "1.1", "outcome": "tested"}
    answer = {"site": site.parent.name, "state": state, "updates": [update], "reasons": reasons, "error": "",
              "report": str(site.parent / "report.html")}  # fmt: skip
    return code, json.dumps(answer), ""


def by_name(answers: dict[str, tuple[int, str, str] | Exception]) -> Callable[[Path], tuple[int, str, str]]:
    def start(site: Path) -> tuple[int, str, str]:
        answer = answers[site.parent.name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return start


def test_one_site_that_fails_stops_no_other_and_what_needs_somebody_stands_first(clients: Path) -> None:
    sites = fleet.sites_below(clients)
    start = by_name(
        {
            "books": told(sites[0], 3, "awaiting approval"),
            "pets": told(sites[1], 1, "rejected", ("the checkout broke",)),
            "tea": (70, "", "bug: Traceback …"),
        }
    )
    said: list[str] = []
    night = fleet.run_all(clients, sites, [], start, 2, said.append)
    assert [(line.site, line.state, line.exit_code) for line in night.lines] == [
        ("pets", "rejected", 1),
        ("tea", "not run", 70),
        ("books", "awaiting approval", 3),
    ]
    assert [line.detail for line in night.lines] == ["the checkout broke", "bug: Traceback …", "Shop 1.0 → 1.1: tested"]
    assert sorted(line.partition(":")[0] for line in said) == ["books", "pets", "tea"]
    assert night.exit_code == ExitCode.BUG, "the worst of them"
    assert night.page is not None
    page = night.page.read_text()
    assert page.index("pets") < page.index("tea") < page.index("books")
    assert "the checkout broke" in page
    assert (clients / ".updater" / "fleet" / "newest.html").read_text() == page


def test_a_site_whose_site_yml_is_broken_is_a_line_and_the_others_run(clients: Path) -> None:
    (clients / "tea" / "site.yml").write_text("site: tea\n")
    sites, troubles = fleet.due_below(clients, now())
    assert [path.parent.name for path in sites] == ["books", "pets"]
    start = by_name({name: told(clients / name / "site.yml", 0, "nothing to do") for name in ("books", "pets")})
    night = fleet.run_all(clients, sites, troubles, start, 1, lambda _line: None)
    assert [(line.site, line.exit_code) for line in night.lines] == [("tea", 2), ("books", 0), ("pets", 0)]
    assert "server: missing" in night.lines[0].detail
    assert night.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_as_many_runs_at_once_as_there_is_room_for_and_no_more(clients: Path, at_once: int) -> None:
    lock, full, under_way, most = threading.Lock(), threading.Event(), 0, 0

    def start(site: Path) -> tuple[int, str, str]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            if under_way == at_once:
                full.set()
        assert full.wait(10), "the first waits until the room is full"
        with lock:
            under_way -= 1
        return told(site, 0, "nothing to do")

    fleet.run_all(clients, fleet.sites_below(clients), [], start, at_once, lambda _line: None)
    assert most == at_once


def test_room_is_bounded_by_memory_and_by_cpus(clients: Path) -> None:
    sites, gib = fleet.sites_below(clients), 1 << 30
    assert fleet.room(sites, 24 * gib, 2) == 2, "CPUs"
    assert fleet.room(sites, 7 * gib, 8) == 2, "a stack of 1 GiB and 2 GiB beside it"
    assert fleet.room(sites, 1 * gib, 8) == 1, "one is always tried"
    waiting_run.a_site(clients / "tea", "tea", "stack: {memory: 4g}\n")
    assert fleet.room(sites, 12 * gib, 8) == 2, "the largest of them counts"
    assert fleet.free_memory() > 100 << 20


def test_a_night_that_goes_on_when_the_next_begins_is_left_alone(
    clients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(_site: Path) -> tuple[int, str, str]:
        raise AssertionError("a second night must not start a run")

    with site_lock(clients / ".updater" / "fleet", "over 60 sites"):
        with pytest.raises(SiteLocked):
            fleet.run_all(clients, fleet.sites_below(clients), [], never, 1, lambda _line: None)
        assert typed("fleet", "run", "--due", str(clients)) == ExitCode.DONE, "a timer's unit does not fail for that"
        assert "still at work" in capsys.readouterr().err
        assert typed("fleet", "run", str(clients)) == ExitCode.LOCKED


def test_a_site_at_work_or_tested_this_week_is_not_due(clients: Path) -> None:
    for name, age in (("books", timedelta(days=1)), ("pets", timedelta(days=20))):
        with fleet.opened(config.load(clients / name / "site.yml")) as journal:
            run = waiting_run.leave(journal, name, age=age).run
            started = (now() - age).isoformat()
            with journal._engine.begin() as connection:
                connection.exec_driver_sql("UPDATE runs SET started = ? WHERE run = ?", (started, run))
    assert [path.parent.name for path in fleet.due_below(clients, now())[0]] == ["tea", "pets"], "never tested: first"
    with site_lock(clients / "tea" / ".updater", "20261125-000000-abcd"):
        assert [path.parent.name for path in fleet.due_below(clients, now())[0]] == ["pets"]


def test_the_look_every_ten_minutes_says_again_what_is_urgent_and_not_what_is_not(
    clients: Path,
) -> None:
    with listening() as channel:
        (clients / "agency.yml").write_text(
            f"notify: ['{channel.url}']\nschedule: {{nights: ['Mon 00:00-00:01 UTC']}}\n"
        )
        for name in ("books", "tea"):
            (clients / name / "site.yml").write_text((clients / name / "site.yml").read_text().replace(NIGHT, ""))
            state = config.load(clients / name / "site.yml").state
            notify.put(state, "urgent", f"{name}: rolled back", "body")
            notify.put(state, "work", f"{name}: waits", "body")
        (clients / "pets" / "site.yml").write_text("site: pets\n")
        for _ in range(2):
            typed("fleet", "run", "--due", str(clients))
    assert channel.titles == ["books: rolled back", "tea: rolled back"], "each once: it is not yet time to say it again"


def test_what_else_waits_is_one_digest_and_never_in_the_middle_of_a_night(clients: Path) -> None:
    """The look at all shops ends with it: it would tear the night's own digest apart."""
    with listening() as channel:
        (clients / "agency.yml").write_text(f"notify: ['{channel.url}']\n")
        for name in ("books", "tea"):
            notify.put(config.load(clients / name / "site.yml").state, "work", f"{name}: waits", "body")
        for night in ("fleet", "fleet-backup"):
            with site_lock(clients / ".updater" / night, "over 3 sites"):
                assert fleet.say_rest(clients) == ()
        assert channel.titles == []
        assert fleet.say_rest(clients) == ()
    assert channel.titles == ["2 sites: 2 messages"]


def with_backups(site: Path) -> None:
    waiting_run.a_site(site, site.name, NIGHT + "backup: {password: {file: word}, places: {here: backups}}\n")
    (site / "word").write_text("a long password")
    (site / "word").chmod(0o600)


def made(place: str, *, ok: bool) -> str:
    return json.dumps(
        {
            "backup": "b",
            "taken": "t",
            "places": [{"place": place, "ok": ok, "bytes": 1, "detail": "" if ok else "away"}],
        }
    )


def test_what_is_due_to_be_backed_up_is_and_one_that_fails_stops_no_other(clients: Path) -> None:
    for name in ("books", "tea"):
        with_backups(clients / name)
    due, troubles = fleet.backups_due(clients, now().replace(hour=23))
    assert [(path.parent.name, tasks) for path, tasks in due] == [
        ("books", ("make", "verify")),
        ("tea", ("make", "verify")),
    ], "pets names no place"
    assert troubles == []
    began: list[tuple[str, ...]] = []

    def start(path: Path, *words: str) -> tuple[int, str, str]:
        began.append((path.parent.name, *words))
        if path.parent.name == "books":
            return 7, made("here", ok=False), ""
        proof = {"place": "here", "detail": "", "seconds": {"restored": 31.4}}
        return (0, made("here", ok=True), "") if words[1] == "make" else (0, json.dumps(proof), "")

    said: list[str] = []
    ended, untold = fleet.back_up(clients, due, start, said.append)
    assert began == [("books", "backup", "make"), ("tea", "backup", "make"), ("tea", "backup", "verify")], (
        "a backup that failed is not proven in its stead"
    )
    assert said == [
        "books: make (7) here: away",
        "tea: make (0) in here",
        "tea: verify (0) restored from here in 31 s, and it sells",
    ]
    assert fleet.worst(it.exit_code for it in ended) == ExitCode.INCONCLUSIVE
    assert untold == ()


def test_a_site_at_work_is_backed_up_ten_minutes_later_and_one_that_was_tried_two_hours(clients: Path) -> None:
    with_backups(clients / "tea")
    at = now().replace(hour=23)
    with site_lock(clients / "tea" / ".updater", "20261125-000000-abcd"):
        assert fleet.backups_due(clients, at) == ([], [])
    log = clients / "tea" / ".updater" / "backups" / "20261125-000000-abcd.log"
    log.parent.mkdir(parents=True)
    log.write_text("the place is away")
    os.utime(log, (at.timestamp() - 60, at.timestamp() - 60))
    assert fleet.backups_due(clients, at) == ([], [])
    os.utime(log, (at.timestamp() - 3 * 3600,) * 2)
    assert [path.parent.name for path, _ in fleet.backups_due(clients, at)[0]] == ["tea"]


def test_without_a_place_for_backups_that_is_said(clients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("fleet", "backup", "--due", str(clients)) == ExitCode.DONE
    assert typed("fleet", "backup", str(clients)) == ExitCode.USAGE
    assert "names places for backups" in capsys.readouterr().err


def test_nothing_due_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("fleet", "run", "--due", str(tmp_path)) == ExitCode.DONE
    assert "no site is due" in capsys.readouterr().err
    assert typed("fleet", "run", str(tmp_path)) == ExitCode.USAGE


def test_the_calendar_shows_every_site(clients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clients / "tea" / "site.yml").write_text("site: tea\n")
    with_backups(clients / "pets")
    made = datetime(2026, 11, 23, 2, 40, tzinfo=UTC)
    samples.add_backup(clients / "pets" / ".updater", BackupEvent(made, "made", "b", "here", True, made))
    failed = replace(samples.backups(clients / "pets" / ".updater")[0], at=made + timedelta(hours=3), ok=False)
    samples.add_backup(clients / "pets" / ".updater", failed)
    rows = fleet.calendar(clients, datetime(2026, 11, 24, tzinfo=UTC))
    assert rows[0] == {"site": "books", "tested": "never", "due": "Tue 2026-11-24 00:00 UTC", "backed up": ""}
    assert rows[1]["backed up"] == "Mon 2026-11-23 02:40", "the last one that is anywhere"
    assert "server: missing" in rows[2]["due"]
    assert typed("schedule", "show", str(clients)) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "books" in shown
    assert "updater schedule install" in shown


def test_names_from_a_site_cannot_become_markup_of_the_page(tmp_path: Path) -> None:
    from updater.report.fleet_page import render

    line = Line("<script>alert(1)</script>", "rejected", 1, 3.0, "<img src=x>")
    page = render(ordered([line, replace(line, exit_code=0)]), now(), now())
    assert "<script>" not in page
    assert "<img" not in page
