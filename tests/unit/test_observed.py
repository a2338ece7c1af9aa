"""A site that is only observed: nothing waits, nothing is deployed, and after its weeks a page says what would have happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import waiting_run
from prompt import typed

from updater import config, fleet, notify, pipeline
from updater.errors import ConfigError, ExitCode
from updater.journal import Journal, now
from updater.log import Silent
from updater.model import Observing
from updater.report import observed
from updater.report.record import RunRecord

OBSERVE = "policy: {approve: never, observe: 4 weeks}\n"
FOUR_WEEKS = timedelta(weeks=4)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return waiting_run.a_site(tmp_path / "tea", "tea", OBSERVE)


@pytest.fixture
def journal(site: Path) -> Iterator[Journal]:
    with fleet.opened(config.load(site)) as opened:
        yield opened


def ran(journal: Journal, at: datetime, state: str = pipeline.AWAITING, reason: str = "", code: int = 3) -> RunRecord:
    """A run of the observed site that began at `at` and ended so."""
    left = waiting_run.leave(journal, "tea", age=now() - at)
    record = replace(left, started=at, state=state, reasons=(reason,) if reason else left.reasons, exit_code=code)
    journal.keep(left.run, "record", record)
    journal.finish(left.run, state, code)
    with journal._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET started = ? WHERE run = ?", (at.isoformat(), left.run))
    return record


def began(site: Path, ago: timedelta) -> datetime:
    at = now() - ago
    pipeline._keep_observing(config.load(site), Observing(at))
    return at


@pytest.mark.parametrize(("text", "days"), [("4 weeks", 28), ("1 week", 7), ("2w", 14), ("10d", 10)])
def test_the_time_is_written_as_people_say_it(tmp_path: Path, text: str, days: int) -> None:
    site = config.load(waiting_run.a_site(tmp_path, "tea", f"policy: {{approve: never, observe: {text}}}\n"))
    assert site.policy.observe == timedelta(days=days)


@pytest.mark.parametrize(
    ("policy", "mistake"),
    [
        ("approve: patch, observe: 4 weeks", "observe goes with `approve: never`"),
        ("observe: 4 weeks", "observe goes with `approve: never`"),
        ("approve: never, observe: 4 months", "must be a time with its unit"),
        ("approve: never, observe: 90 weeks", "must be between 1d and 365d"),
    ],
)
def test_observing_deploys_nothing_and_says_so(tmp_path: Path, policy: str, mistake: str) -> None:
    path = waiting_run.a_site(tmp_path, "tea", f"policy: {{{policy}}}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert "site.yml:5: policy" in caught.value.what
    assert mistake in caught.value.what


def test_its_runs_wait_for_nobody(site: Path, journal: Journal) -> None:
    record = ran(journal, now())
    assert fleet.waiting_below(site.parent) == ([], [])
    assert typed("approve", record.run, "--site", str(site), "--no-input") == ExitCode.USAGE


def test_a_run_starts_the_time_and_a_second_one_does_not_start_it_anew(site: Path) -> None:
    loaded = config.load(site)
    pipeline._begin_observing(loaded, now() - timedelta(days=3))
    pipeline._begin_observing(loaded, now())
    known = pipeline._observing(loaded)
    assert known is not None
    assert now() - known.since > timedelta(days=2)
    pipeline._begin_observing(replace(loaded, policy=replace(loaded.policy, observe=None)), now())
    assert pipeline._observing(loaded) is None, "observed again next year, it begins anew"


def test_the_page_tells_what_would_have_been_deployed_what_held_and_what_was_a_false_alarm(
    site: Path, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    since = began(site, timedelta(days=10))
    ran(journal, since - timedelta(days=1), "rejected", "before the time")
    ran(journal, since + timedelta(days=1))
    alarm = ran(journal, since + timedelta(days=2), "rejected", "“Place order” <did> nothing", 1)
    ran(journal, since + timedelta(days=3), "inconclusive", "a bot wall was photographed", 7)
    assert typed("observe", str(site), "--false-alarm", alarm.run) == ExitCode.USAGE, "a reason is needed"
    code = typed(
        "observe", str(site), "--false-alarm", alarm.run, "--reason", "our own test was wrong", "--person", "Anna"
    )
    assert code == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "3 runs: 1 would have been deployed, 1 would have been kept away from the shop, 1 could not know" in shown
    assert "1 alarms were called false" in shown
    page = (site.parent / ".updater" / "observed.html").read_text()
    for told in ("Shop 1.0 → 1.1", "a bot wall was photographed", "Anna", "our own test was wrong", "not over yet"):
        assert told in page
    assert "before the time" not in page
    assert "<did>" not in page


def test_a_run_that_raised_no_alarm_cannot_be_a_false_one(site: Path, journal: Journal) -> None:
    since = began(site, timedelta(days=10))
    record = ran(journal, since + timedelta(days=1))
    assert typed("observe", str(site), "--false-alarm", record.run, "--reason", "x") == ExitCode.USAGE


def test_when_the_time_is_over_the_page_is_told_once(site: Path, journal: Journal) -> None:
    loaded, since = config.load(site), began(site, FOUR_WEEKS + timedelta(hours=1))
    ran(journal, since + timedelta(days=1))
    for _ in range(2):
        pipeline._end_observing(loaded, journal, Silent())
    (message,) = notify.unsettled(loaded.state)
    assert (message.urgency, message.title) == ("work", "tea: observing ended")
    assert "1 would have been deployed" in message.body
    assert [path.name for path in message.attachments] == ["observed.html"]
    assert json.loads((loaded.state / "observing.json").read_text())["told"] is True


def test_before_the_time_is_over_nothing_is_told(site: Path, journal: Journal) -> None:
    began(site, FOUR_WEEKS - timedelta(hours=1))
    pipeline._end_observing(config.load(site), journal, Silent())
    assert notify.unsettled(config.load(site).state) == []


def test_a_site_that_is_not_observed_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("observe", str(waiting_run.a_site(tmp_path, "tea"))) == ExitCode.USAGE
    assert "observe: 4 weeks" in capsys.readouterr().err


def test_what_would_only_have_been_advised_is_no_deploy(site: Path, journal: Journal) -> None:
    since = began(site, FOUR_WEEKS + timedelta(hours=1))
    record = ran(journal, since + timedelta(days=1))
    journal.keep(record.run, "record", replace(record, advice="install them on the live site"))
    seen, page = pipeline.observe(config.load(site), journal)
    told = observed.lines(seen)
    assert told[1].startswith("1 runs: 0 would have been deployed, 1 would have been advised, 0 would")
    assert "let it ask" not in told[-1]
    assert "<h2>Would have been advised</h2>" in page.read_text()
    assert "Shop 1.0 → 1.1" in page.read_text()


@pytest.mark.parametrize(
    ("states", "false", "advice"),
    [
        (["inconclusive"] * 3, False, "observe longer"),
        (["awaiting approval", "rejected"], True, "Mend what raised the false alarms"),
        (["awaiting approval", "inconclusive", "inconclusive"], False, "More than half"),
        (["awaiting approval", "rejected"], False, "let it ask"),
    ],
)
def test_the_advice_follows_the_figures(
    site: Path, journal: Journal, states: list[str], false: bool, advice: str
) -> None:
    since = began(site, FOUR_WEEKS + timedelta(hours=1))
    records = [ran(journal, since + timedelta(days=n + 1), state) for n, state in enumerate(states)]
    if false:
        pipeline.call_false(config.load(site), journal, records[-1].run, person="Anna", reason="a banner")
    seen, _page = pipeline.observe(config.load(site), journal)
    assert advice in seen.advice
    assert observed.lines(seen)[-1] == seen.advice
