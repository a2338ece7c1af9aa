"""Is this machine well? What is ill has its line and what to type, and hides nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import waiting_run

from updater import cli, config, doctor, fleet, notify
from updater.doctor import Row
from updater.errors import ExitCode
from updater.journal import new_run_id, now, site_lock


class Bare:
    """A machine with neither systemd's nor cron's programs."""

    def run(self, argv: Sequence[str], stdin: str = "") -> tuple[int, str]:
        assert argv[0] in ("systemctl", "crontab"), f"nobody should run {argv}"
        return 127, ""


def rows(folder: Path, name: str) -> list[Row]:
    return [row for row in doctor.look(folder, Bare()) if row.name == name]


def change(site: Path, statement: str, *values: str) -> None:
    with fleet.opened(config.load(site)) as journal, journal._engine.begin() as connection:
        connection.exec_driver_sql(statement, values)


@pytest.fixture
def tea(tmp_path: Path) -> Path:
    return waiting_run.a_site(tmp_path / "tea", "tea", "policy: {windows: ['Mon-Sun 00:00-24:00 UTC']}\n")


def left(site: Path, age: timedelta = timedelta(hours=1)) -> str:
    with fleet.opened(config.load(site)) as journal:
        return waiting_run.leave(journal, "tea", age=age).run


def test_a_machine_without_docker_or_browser_says_so_and_goes_on(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    monkeypatch.setenv("UPDATER_CHROMIUM", "/nowhere/chromium")
    monkeypatch.setenv("PATH", "/nowhere")
    seen = {row.name: row for row in doctor.look(tea.parents[1], Bare())}
    assert (seen["docker"].health, seen["docker"].detail) == ("ill", "Docker does not answer")
    assert "systemctl start docker" in seen["docker"].hint
    assert seen["chromium"].health == "ill"
    assert (seen["ssh"].health, seen["restic"].health) == ("ill", "attention")
    assert seen["left behind"].health == "ill"
    assert seen["schedule"].hint == f"updater schedule install {tea.parents[1]}"
    assert seen["tea"].detail == "was never tested"
    assert {row.health for row in seen.values()} <= {"good", "attention", "ill"}
    assert all(row.hint for row in seen.values() if row.health == "ill")


def test_a_broken_site_yml_and_a_damaged_journal_hide_no_other_site(tea: Path, tmp_path: Path) -> None:
    books = waiting_run.a_site(tmp_path / "books", "books")
    pets = waiting_run.a_site(tmp_path / "pets", "pets")
    left(books)
    journal = books.parent / ".updater" / "journal.db"
    data = bytearray(journal.read_bytes())
    data[4096:8192] = os.urandom(4096)
    journal.write_bytes(data)
    for more in ("journal.db-wal", "journal.db-shm"):
        (books.parent / ".updater" / more).unlink(missing_ok=True)
    pets.write_text("site: pets\n")
    left(tea)
    (broken,), (damaged,), (waits,) = (rows(tmp_path, name) for name in ("pets", "books", "tea"))
    assert (broken.health, broken.hint) == ("ill", f"updater check {pets}")
    assert damaged.health == "ill"
    assert "journal" in damaged.detail
    assert "waits for an approval, 6 days are left" in waits.detail


def test_a_mistake_that_all_sites_share_is_one_row(tea: Path) -> None:
    waiting_run.a_site(tea.parents[1] / "books", "books", "")
    (tea.parents[1] / "agency.yml").write_text("policy: {approve: maybe}\n")
    (row,) = rows(tea.parents[1], "2 sites")
    assert (row.health, "agency.yml:1: policy.approve" in row.detail) == ("ill", True)
    assert rows(tea.parents[1], "tea") == rows(tea.parents[1], "books") == []


def test_a_site_in_this_very_folder_has_a_name(tea: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tea.write_text("site: tea\n")
    monkeypatch.chdir(tea.parent)
    (broken,) = rows(Path(), tea.parent.name)
    assert broken.health == "ill"


def test_a_run_that_was_cut_off_is_told_and_one_at_work_is_not(tea: Path) -> None:
    with fleet.opened(config.load(tea)) as journal:
        journal.begin(new_run_id(), "tea")
    (cut_off,) = rows(tea.parent, "tea")
    assert "was cut off" in cut_off.detail
    with site_lock(tea.parent / ".updater", "20261125-000000-abcd"):
        (at_work,) = rows(tea.parent, "tea")
    assert (at_work.health, at_work.detail) == ("good", "nothing to see to")


def test_a_state_that_is_not_known_is_ill_and_says_what_to_type(tea: Path) -> None:
    run = left(tea)
    change(tea, "UPDATE runs SET state = 'unknown', exit_code = 5 WHERE run = ?", run)
    (row,) = rows(tea.parent, "tea")
    assert (row.health, row.hint) == ("ill", f"updater recover {tea}")


def test_a_site_that_nobody_tests_and_an_approval_that_expired_are_told(tea: Path) -> None:
    run = left(tea, timedelta(days=20))
    change(tea, "UPDATE runs SET started = ? WHERE run = ?", (now() - timedelta(days=20)).isoformat(), run)
    told = " ".join(row.detail for row in rows(tea.parent, "tea"))
    assert "was not tested since" in told
    assert "waited longer than policy.expires" in told


def test_a_clock_that_was_set_back_is_ill(tea: Path) -> None:
    run = left(tea)
    change(tea, "UPDATE runs SET started = ? WHERE run = ?", (now() + timedelta(days=2)).isoformat(), run)
    assert [row.hint for row in rows(tea.parent, "tea") if row.health == "ill"] == ["set this machine's clock"]


def test_what_was_not_told_is_listed(tea: Path) -> None:
    run = left(tea)
    change(tea, "UPDATE runs SET state = 'rejected' WHERE run = ?", run)
    notify.put(config.load(tea).state, "urgent", "tea: rolled back", "body", run=run)
    (row,) = rows(tea.parent, "tea")
    assert "tea: rolled back" in row.detail
    assert "updater ack" in row.hint


def test_the_command_ends_with_2_when_something_is_ill(
    tea: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", str(tea.parent)])
    assert ended.value.code == ExitCode.USAGE
    assert "Docker does not answer" in capsys.readouterr().out


def test_secrets_that_others_can_read_are_told_with_what_to_type(tea: Path) -> None:
    file = tea.parents[1] / "updater.env"
    assert rows(tea.parents[1], "updater.env") == []
    file.write_text("A='b'\n")
    file.chmod(0o644)
    (open_to_all,) = rows(tea.parents[1], "updater.env")
    assert (open_to_all.health, open_to_all.hint) == ("attention", f"chmod 600 {file}")
    file.chmod(0o600)
    assert rows(tea.parents[1], "updater.env")[0].health == "good"


def test_what_can_only_be_installed_by_hand_waits_for_nobody(tea: Path) -> None:
    with fleet.opened(config.load(tea)) as journal:
        run = waiting_run.leave(journal, "tea", advice="install them on the live site").run
    (row,) = rows(tea.parents[1], "tea")
    assert row.detail == f"run {run} passed, and its updates are to be installed by hand: install them on the live site"
    assert row.hint == f"updater report {run} --site {tea}"
    # Once it was installed, the next run has nothing to do.
    with fleet.opened(config.load(tea)) as journal:
        journal.finish(waiting_run.leave(journal, "tea").run, "nothing to do", 0)
    assert [row.detail for row in rows(tea.parents[1], "tea")] == ["nothing to see to"]
