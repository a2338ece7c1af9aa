"""The journal keeps what happened, and is the only way to an approved release."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from releases import a_release, approve

from updater.errors import ApprovalRefused, ExitCode, SiteLocked, UpdaterError
from updater.journal import Journal, converter, digest, dump, new_run_id, now, site_lock, write_atomically
from updater.model import Judgement, Release, Verdict


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / ".updater")


def a_waiting_run(journal: Journal) -> Release:
    run = new_run_id()
    journal.begin(run, "shop")
    journal.finish(run, "awaiting approval", ExitCode.AWAITING_APPROVAL)
    return a_release(run)


def test_a_noun_read_back_equals_the_noun_written(journal: Journal) -> None:
    release = a_waiting_run(journal)
    journal.done(release.run, "release", release)
    assert journal.output(release.run, "release", Release) == release
    assert digest(journal.output(release.run, "release", Release)) == digest(release)


def test_an_approval_names_the_person_and_the_evidence(journal: Journal) -> None:
    release = a_waiting_run(journal)
    approved = approve(journal, release)
    assert approved.release == release
    assert (approved.approval.person, approved.approval.evidence_sha256) == ("Anna", "e" * 64)
    assert journal.approval(release.run) == approved.approval


def test_a_run_is_approved_once(journal: Journal) -> None:
    release = a_waiting_run(journal)
    approve(journal, release)
    with pytest.raises(ApprovalRefused, match="approved already") as refusal:
        approve(journal, release, person="Boris")
    assert "Anna" in refusal.value.cause


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_only_a_pass_can_be_approved(journal: Journal, verdict: str) -> None:
    with pytest.raises(ApprovalRefused) as refusal:
        approve(journal, a_waiting_run(journal), Judgement(Verdict(verdict), ("the cart is empty",)))
    assert "the cart is empty" in refusal.value.cause


def test_evidence_altered_after_it_was_shown_is_refused(journal: Journal) -> None:
    with pytest.raises(ApprovalRefused, match="cannot be approved"):
        approve(journal, a_waiting_run(journal), evidence_sha256="0" * 64)


def test_an_approval_that_comes_too_late_is_refused(journal: Journal) -> None:
    with pytest.raises(ApprovalRefused) as refusal:
        approve(journal, a_waiting_run(journal), lasts=timedelta(seconds=-1))
    assert "longer than policy.expires" in refusal.value.cause


def test_a_run_that_does_not_wait_is_refused(journal: Journal) -> None:
    release = a_waiting_run(journal)
    journal.finish(release.run, "promoted", 0)
    with pytest.raises(ApprovalRefused) as refusal:
        approve(journal, release)
    assert "it is promoted" in refusal.value.cause


def test_a_step_that_began_and_did_not_end_is_seen_after_a_crash(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.begin("r1", "shop")
    first.started("r1", "stage", stack="updater-r1")
    second = Journal(tmp_path)  # the first process is gone without a word
    (step,) = second.steps("r1")
    assert (step.step, step.status, dict(step.names)) == ("stage", "started", {"stack": "updater-r1"})


def test_done_keeps_the_names_that_started_promised(journal: Journal) -> None:
    journal.begin("r1", "shop")
    journal.started("r1", "stage", stack="updater-r1")
    journal.done("r1", "stage")
    (step,) = journal.steps("r1")
    assert (step.status, dict(step.names)) == ("done", {"stack": "updater-r1"})


def test_the_journal_is_written_through_to_disk(journal: Journal) -> None:
    journal.begin("r1", "shop")
    with journal._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert sqlite3.connect(journal.state / "journal.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_eight_who_open_a_new_journal_at_once_are_all_let_in(tmp_path: Path) -> None:
    """Before openings went one by one, about one round in twenty turned somebody away: of eighty rounds, some do."""
    start = threading.Barrier(8)

    def opens(state: Path) -> None:
        start.wait()
        Journal(state).close()

    with ThreadPoolExecutor(8) as pool:
        for number in range(80):
            list(pool.map(opens, [tmp_path / str(number)] * 8))


def test_a_damaged_journal_says_so(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(UpdaterError, match="journal cannot be opened"):
        Journal(tmp_path)


def test_a_run_is_found_by_its_beginning(journal: Journal) -> None:
    journal.begin("20260101-000000-aaaa", "shop")
    journal.begin("20260102-000000-bbbb", "shop")
    assert journal.find("20260101").run == "20260101-000000-aaaa"
    assert journal.find("last").run == "20260102-000000-bbbb"
    with pytest.raises(UpdaterError, match="more than one"):
        journal.find("2026")
    with pytest.raises(UpdaterError, match="no run"):
        journal.find("1999")


def test_an_update_that_broke_the_shop_is_tried_again_later_each_time(journal: Journal) -> None:
    waits = []
    for _ in range(8):
        broken = journal.broke("shop", "plugin:forms", "2.0", "“Place order” did nothing", "run")
        waits.append(round((broken.again - now()) / timedelta(days=1) + 0.1))
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert journal.broken("shop") == {"plugin:forms": broken}
    assert journal.broken("another shop") == {}


def test_the_same_hour_of_the_next_night_is_late_enough(journal: Journal) -> None:
    broken = journal.broke("shop", "plugin:forms", "2.0", "why", "run")
    assert timedelta(hours=12) < broken.again - now() < timedelta(hours=23)


def test_a_newer_version_begins_again_and_one_that_passed_is_forgotten(journal: Journal) -> None:
    for version in ("2.0", "2.0", "2.1"):
        broken = journal.broke("shop", "plugin:forms", version, "why", "run")
    assert (broken.version, broken.tries) == ("2.1", 1)
    journal.broke("shop", "plugin:cart", "1.0", "why", "run")
    journal.mended("shop", ["plugin:forms"])
    assert list(journal.broken("shop")) == ["plugin:cart"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "noun.json"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text is no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"


def test_equal_nouns_have_equal_digests_whatever_the_order_of_their_keys() -> None:
    release = a_release("r1")
    turned = replace(release, changed=dict(reversed(list(release.changed.items()))))
    assert digest(turned) == digest(release)
    assert digest(replace(release, units=())) != digest(release)
    assert converter.loads(dump(release), Release) == release


def _try_lock(state: Path, barrier: object, results: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        with site_lock(state, new_run_id()):
            results.put("holds")  # type: ignore[attr-defined]
            barrier.wait()  # type: ignore[attr-defined]
    except SiteLocked as error:
        results.put((int(error.exit_code), error.cause))  # type: ignore[attr-defined]
        barrier.wait()  # type: ignore[attr-defined]


def test_of_twenty_runs_at_once_one_proceeds_and_the_others_name_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(20), context.Queue()
    runs = [context.Process(target=_try_lock, args=(tmp_path, barrier, results)) for _ in range(20)]
    for process in runs:
        process.start()
    answers = [results.get(timeout=30) for _ in runs]
    for process in runs:
        process.join(timeout=30)
    assert answers.count("holds") == 1
    refused = [answer for answer in answers if answer != "holds"]
    assert {code for code, _cause in refused} == {ExitCode.LOCKED}
    assert all("process" in cause for _code, cause in refused)


def test_the_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    with site_lock(tmp_path, "r1"), pytest.raises(SiteLocked), site_lock(tmp_path, "r2"):
        pass
    with site_lock(tmp_path, "r3"):
        pass
