"""What waits across an agency's sites, and what a person is shown before deciding."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import waiting_run
from waiting_run import state, waits

from updater import approving, config, fleet
from updater.errors import ApprovalRefused, UpdaterError
from updater.model import MigrationStep, QuietHour, Replay, Stopped


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    return waiting_run.two_clients(tmp_path)


# ----------------------------------------------------------------------------------------------------- what is listed


def test_what_waits_is_listed_oldest_first_across_sites(clients: Path) -> None:
    waiting, troubles = fleet.waiting_below(clients)
    assert troubles == []
    lines = approving.listing(waiting)
    assert lines[0] == "  1  tea  waits 3 days  [1 security]"
    assert lines[1] == "     Shop 1.0 → 1.1"
    assert lines[2] == "  2  books  waits 3 h"


def test_one_sites_broken_site_yml_hides_no_other(clients: Path) -> None:
    (clients / "tea" / "site.yml").write_text("site: tea\n")
    (clients / "books" / "sub" / ".updater" / "runs").mkdir(parents=True)
    waiting, troubles = fleet.waiting_below(clients)
    assert [run.site.name for run in waiting] == ["books"]
    assert [(it.where.parent.name, "server: missing" in it.message) for it in troubles] == [("tea", True)]


def test_a_mistake_that_all_sites_share_is_told_once(clients: Path) -> None:
    (clients / "agency.yml").write_text("policy: {approve: maybe}\n")
    waiting, troubles = fleet.waiting_below(clients)
    assert (waiting, len(troubles)) == ([], 2)
    (line,) = approving.troubles(troubles)
    assert line.startswith(f"  !  2 sites: {clients / 'agency.yml'}:1: policy.approve: ")
    assert line.endswith("`updater check SITE`")
    (clients / "tea" / "site.yml").write_text("site: tea\n")
    assert len(approving.troubles(fleet.waiting_below(clients)[1])) == 2, "its own mistakes too: another message"


def test_a_run_that_waited_too_long_is_told_and_cannot_be_chosen(clients: Path) -> None:
    waits(clients / "tea" / "site.yml", age=timedelta(days=8))
    waiting, troubles = fleet.waiting_below(clients)
    assert [run.site.name for run in waiting] == ["tea", "books"]
    assert ["longer than policy.expires" in it.message for it in troubles] == [True]


def test_an_older_run_of_a_site_is_marked_when_a_newer_one_waits_too(clients: Path) -> None:
    newest = waits(clients / "books" / "site.yml", age=timedelta(hours=1))
    marks = {run.run: run.superseded for run in fleet.waiting_below(clients)[0] if run.site.name == "books"}
    assert marks.pop(newest) is False
    assert list(marks.values()) == [True]


def test_a_run_is_found_by_its_beginning_on_whichever_site_it_is(clients: Path) -> None:
    run = fleet.waiting_below(clients)[0][1].run
    assert fleet.find_waiting(clients, run).site.name == "books"
    with pytest.raises(UpdaterError, match="more than one"):
        fleet.find_waiting(clients, "20")
    with pytest.raises(UpdaterError, match="no run"):
        fleet.find_waiting(clients, "1999")


def test_a_decision_shows_versions_what_they_mend_how_long_it_closes_and_the_way_back(clients: Path) -> None:
    what = fleet.waiting_below(clients)[0][0].what
    night = QuietHour(4, (4,), 180, 12, 830, 9, "/var/log/apache2/access.log")
    what = replace(what, record=replace(what.record, quiet=night))
    text = "\n".join(approving.summary(what, "outside the deploy windows"))
    for told in (
        "Shop: 1.0 → 1.1  (packages/shop.zip, released 9 days ago)",
        "mends CVE-2026-0001 Shop < 1.1 - SQL injection (Critical)",
        "what changed: https://wordpress.org/plugins/shop/#developers",
        "1 changed file in 1 place",
        f"the shop is closed for about 3 s; after {what.deadline} s at most it opens again",
        "`updater rollback` can bring the old code back",
        "NOT NOW: outside the deploy windows",
        "the shop is quietest 04:00-05:00 (UTC+03:00)",
    ):
        assert told in text


def test_a_decision_says_when_a_person_may_have_to_come(clients: Path) -> None:
    what = fleet.waiting_below(clients)[0][0].what
    replay = Replay(MigrationStep("", ""), (), "x.returns", "the vendor may block the key")
    what = replace(what, release=replace(what.release, replay=replay))
    text = "\n".join(approving.summary(replace(what, stops=Stopped.CLOSED), ""))
    assert (
        "NOTHING goes back by itself: the shop stays\n  closed, and a person has to come (x.returns is off: the vendor"
        in text
    )
    assert "it opens again" not in text
    text = "\n".join(approving.summary(what, ""))
    assert "code and tables are put back before it opens; the vendor may block the key" in text


def test_somebody_who_may_not_approve_is_refused(tmp_path: Path) -> None:
    from updater import pipeline
    from updater.log import Silent

    path = waiting_run.a_site(tmp_path, "tea", "policy: {approvers: [anna], windows: ['Mon-Sun 00:00-24:00 UTC']}\n")
    run, site = waits(path), config.load(path)
    with fleet.opened(site) as journal, pytest.raises(ApprovalRefused) as caught:
        shown = pipeline.waiting(site, journal, run).record.evidence_sha256
        pipeline.approve(site, journal, Silent(), run, person="boris", shown_sha256=shown)
    assert caught.value.cause == "boris is not among those who may approve: anna"
    assert state(path) == "awaiting approval"


def test_what_can_only_be_installed_by_hand_is_neither_listed_nor_a_trouble(tmp_path: Path) -> None:
    """What site.yml does not let be deployed by the program was told when the run ended."""
    path = waiting_run.a_site(tmp_path / "tea", "tea")
    with fleet.opened(config.load(path)) as journal:
        advised = waiting_run.leave(journal, "tea", advice="install it on the live site")
        journal.keep(advised.run, "record", replace(advised, cms="bitrix"))
    assert fleet.waiting_below(tmp_path) == ([], [])
