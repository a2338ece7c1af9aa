"""Who may approve a closed shop of which length: asked before anything is connected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from waiting_run import leave

from updater import pipeline
from updater.errors import ApprovalRefused, ConnectionFailed, ExitCode, StateUnknown, WaitsForAPerson
from updater.journal import Journal
from updater.log import Silent
from updater.model import MigrationStep, QuietHour, Release, Replay, Server, Site

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
LONG = 200.0
"""Rehearsed seconds: a deadline of 460 s with cron's minute, over the 300 s that site.yml allows by default"""
SHORT = 120.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    it = Journal(tmp_path / ".updater")
    yield it
    it.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    # Nobody listens on port 1: whatever gets as far as connecting ends there.
    server = Server("127.0.0.1", "deploy", port=1, host_key=KEY)
    return Site("shop", server, "/srv/shop", "https://shop.example", tmp_path / "site.yml")


def approve(site: Site, journal: Journal, rehearsed: float, max_closed: int | None = None) -> None:
    record = leave(journal, "shop", rehearsed=rehearsed)
    shown = record.evidence_sha256
    pipeline.approve(
        site, journal, Silent(), record.run, person="ann", shown_sha256=shown, max_closed=max_closed, anyway="a test"
    )


def test_a_deadline_above_max_closed_needs_a_persons_word_for_it(site: Site, journal: Journal) -> None:
    with pytest.raises(ApprovalRefused, match=r"up to 460 s, and 300 s were accepted(.|\n)*--max-closed 460"):
        approve(site, journal, LONG)
    with pytest.raises(ApprovalRefused, match="459 s were accepted"):
        approve(site, journal, LONG, max_closed=459)
    with pytest.raises(ConnectionFailed):
        approve(site, journal, LONG, max_closed=460)


@pytest.mark.parametrize(("hour", "quiet"), [(10, True), (4, False)])
def test_what_policy_approves_waits_for_the_quiet_hour_and_says_why_and_a_person_does_not(
    site: Site, journal: Journal, hour: int, quiet: bool
) -> None:
    record = leave(journal, "shop")
    night = QuietHour(hour, (hour,), 0, 12, 830, 9, "/var/log/apache2/access.log")
    this = pipeline.Run(site, journal, Silent(), record.run, journal.folder(record.run), replace(record, quiet=night))
    assert pipeline._may_deploy_now(this, datetime(2026, 11, 25, 10, 30, tzinfo=UTC)) is quiet
    assert [night.text in note for note in this.record.notes] == ([] if quiet else [True])
    with pytest.raises(ConnectionFailed):
        pipeline.approve(
            site, journal, Silent(), record.run, person="ann", shown_sha256=record.evidence_sha256, anyway="a test"
        )


def test_a_deadline_that_site_yml_allows_needs_no_word_for_it(site: Site, journal: Journal) -> None:
    with pytest.raises(ConnectionFailed):
        approve(site, journal, SHORT)


@pytest.mark.parametrize(("rehearsed", "deploys"), [(SHORT, True), (LONG, False)])
def test_policy_never_accepts_a_longer_closed_shop_than_site_yml_allows(
    site: Site, journal: Journal, rehearsed: float, deploys: bool
) -> None:
    record = leave(journal, "shop", rehearsed=rehearsed)
    this = pipeline.Run(site, journal, Silent(), record.run, journal.folder(record.run), record)
    assert pipeline._short_enough(this, journal.output(record.run, "release", Release)) is deploys
    assert ["closed for 460 s" in note for note in this.record.notes] == ([] if deploys else [True])


@pytest.mark.parametrize(
    ("replay", "switches", "deploys"), [(False, "", True), (True, "", False), (True, "x.returns", True)]
)
def test_policy_never_begins_what_may_wait_for_a_person(
    site: Site, journal: Journal, replay: bool, switches: str, deploys: bool
) -> None:
    record = leave(journal, "shop")
    release = journal.output(record.run, "release", Release)
    step = MigrationStep("", "")
    release = replace(release, replay=Replay(step, (step,), "x.returns", "a risk") if replay else None)
    site = replace(site, switches=frozenset({switches}))
    this = pipeline.Run(site, journal, Silent(), record.run, journal.folder(record.run), record)
    assert pipeline._goes_back_by_itself(this, release) is deploys
    assert ["waits for a person" in note for note in this.record.notes] == ([] if deploys else [True])


def test_a_deploy_that_waits_for_a_person_has_a_state_of_its_own() -> None:
    assert pipeline._state(WaitsForAPerson("half way")) == "stopped"
    assert pipeline._state(StateUnknown("not seen")) == "unknown"
    assert WaitsForAPerson("half way").exit_code == ExitCode.UNKNOWN_STATE
