"""When production may be changed, by the clock of the place that the window names; and who may say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater import policy
from updater.model import Allowed, Approve, Freeze, Payment, Policy, Server, Site, Update, Window

MOSCOW = ZoneInfo("Europe/Moscow")
WEEK = Window((0, 1, 2, 3), time(10), time(16), "Europe/Moscow", "Mon-Thu 10:00-16:00 Europe/Moscow")
NIGHT = Window((5,), time(22), time(2), "UTC", "Sat 22:00-02:00 UTC")
ALWAYS = Window(tuple(range(7)), time(), time(), "UTC", "Mon-Sun 00:00-24:00 UTC")
START = datetime(2026, 1, 1, tzinfo=UTC)
CHRISTMAS = Freeze(date(2026, 12, 20), date(2027, 1, 10), "Christmas trade")


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-11-23T06:59", False),  # Monday 09:59 in Moscow
        ("2026-11-23T07:00", True),
        ("2026-11-26T12:59", True),  # Thursday 15:59
        ("2026-11-26T13:00", False),
        ("2026-11-27T08:00", False),  # Friday
        ("2026-11-22T22:00", False),  # Monday 01:00 in Moscow, Sunday in London
    ],
)
def test_a_window_is_told_by_the_clock_of_its_zone(moment: str, allowed: bool) -> None:
    closed = policy.closed(Policy(windows=(WEEK,)), at(moment))
    assert (closed == "") is allowed
    assert allowed or closed == "outside the deploy windows (Mon-Thu 10:00-16:00 Europe/Moscow)"


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    rules = Policy(windows=(NIGHT,))
    assert [policy.closed(rules, at(f"2026-11-{moment}")) == "" for moment in ("28T23:00", "29T01:59", "29T02:00")] == [
        True,
        True,
        False,
    ]
    assert policy.closed(rules, at("2026-11-28T01:00")), "the night before is Friday's"


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-23T07:00", "2026-11-23T07:00"),
        ("2026-11-23T03:00", "2026-11-23T07:00"),
        ("2026-11-27T18:00", "2026-11-30T07:00"),
        ("2026-12-18T18:00", "2027-01-11T07:00"),
    ],
)
def test_the_next_opening_skips_nights_weekends_and_freezes(moment: str, opens: str) -> None:
    assert policy.opens(Policy(windows=(WEEK,), freezes=(CHRISTMAS,)), at(moment)) == at(opens)


def test_the_window_keeps_its_hour_when_the_clocks_change() -> None:
    berlin = Window((6,), time(10), time(12), "Europe/Berlin", "Sun 10:00-12:00 Europe/Berlin")
    rules = Policy(windows=(berlin,))
    assert policy.opens(rules, at("2026-10-24T12:00")) == at("2026-10-25T09:00"), "winter time, since that morning"
    assert policy.opens(rules, at("2027-03-27T12:00")) == at("2027-03-28T08:00"), "summer time, since that morning"


def test_nothing_is_deployed_on_a_friday_evening_unless_said() -> None:
    assert policy.closed(Policy(), at("2026-11-27T15:59")) == ""
    assert "Friday evening" in policy.closed(Policy(), at("2026-11-27T16:00"))
    assert policy.opens(Policy(), at("2026-11-27T16:00")) == at("2026-11-28T00:00")
    assert policy.closed(Policy(windows=(ALWAYS,)), at("2026-11-27T20:00")) == ""


def test_friday_evening_is_that_of_the_machines_own_zone() -> None:
    moment = at("2026-11-27T14:00")
    assert policy.closed(Policy(), moment) == ""
    assert "Friday evening" in policy.closed(Policy(), moment.astimezone(MOSCOW))


def test_a_freeze_holds_through_its_last_day_and_names_its_reason() -> None:
    rules = Policy(windows=(ALWAYS,), freezes=(CHRISTMAS,))
    assert policy.closed(rules, at("2027-01-10T23:59")) == "frozen from 2026-12-20 to 2027-01-10: Christmas trade"
    assert policy.closed(rules, at("2027-01-11T00:00")) == ""
    assert policy.opens(rules, at("2027-01-01T12:00")) == at("2027-01-11T00:00")


def test_a_freeze_that_never_ends_has_no_next_opening() -> None:
    endless = Freeze(date(2026, 1, 1), date(2099, 1, 1), "sold")
    assert policy.opens(Policy(freezes=(endless,)), at("2026-11-23T12:00")) is None


@given(st.integers(0, 730 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)))
def test_what_opens_next_is_open_and_nothing_before_it_was(moment: datetime) -> None:
    rules = Policy(windows=(WEEK, NIGHT), freezes=(CHRISTMAS,))
    opens = policy.opens(rules, moment)
    assert opens is not None
    assert policy.closed(rules, opens) == ""
    before = [moment + step * (opens - moment) / 50 for step in range(50)] if opens > moment else []
    assert all(policy.closed(rules, earlier) for earlier in before)


def an_update(old: str, new: str) -> Update:
    return Update("plugin", "tea", "Tea", old, new, Path("tea.zip"), "00", "packages/tea.zip")


@pytest.mark.parametrize(
    ("approve", "updates", "by_itself"),
    [
        (Approve.ASK, [("1.0.0", "1.0.1")], False),
        (Approve.NEVER, [("1.0.0", "1.0.1")], False),
        (Approve.PATCH, [("1.0.0", "1.0.1"), ("2.3", "2.3.1")], True),
        (Approve.PATCH, [("1.0.0", "1.0.1"), ("2.3", "2.4")], False),
        (Approve.PASSED, [("1.0", "2.0")], True),
    ],
)
def test_policy_approves_by_itself_only_what_it_was_told_to(
    approve: Approve, updates: list[tuple[str, str]], by_itself: bool
) -> None:
    assert policy.approves(Policy(approve=approve), [an_update(*pair) for pair in updates]) is by_itself
    assert not policy.approves(Policy(approve=approve), [an_update(*pair) for pair in updates], ["a leap"])


def test_a_release_from_the_future_counts_as_new_and_not_as_old() -> None:
    now = at("2026-11-23T12:00")
    assert "released 0 h ago" in policy.too_young(
        Policy(), "plugin", "tea", now + timedelta(days=300), security=False, at=now
    )


def test_a_new_look_is_expected_of_one_version_alone_and_then_only_a_person_may_approve() -> None:
    rules = Policy(approve=Approve.PASSED, new_look={"plugin:tea": Allowed("2.0", "new icons, seen by Anna")})
    update, later = an_update("1.0", "2.0"), an_update("1.0", "2.1")
    (note,) = policy.new_looks(rules, [update])
    assert (
        note
        == "Tea 2.0 may look new, as site.yml says (new icons, seen by Anna): pictures decide nothing, look at them"
    )
    assert policy.new_looks(rules, [later]) == ()
    assert not policy.approves(rules, [update], [note])
    assert policy.approves(rules, [later])


def test_what_takes_payments_is_for_a_person_found_or_named() -> None:
    tea, pay = an_update("1.0", "1.0.1"), replace(an_update("1.0", "1.0.1"), slug="pay", name="Pay")
    site = Site("shop", Server("h", "u"), "/", "https://shop.example", Path("site.yml"))
    (note,) = policy.payments(site, [tea, pay], [pay])
    assert note == (
        "Pay 1.0.1 takes payments: only a person may approve it; nobody paid by it on staging, "
        "since site.yml names no recording of its service (docs/recordings.md)"
    )
    assert not policy.approves(Policy(approve=Approve.PASSED), [tea, pay], [note])
    for name in ("pay", "plugin:pay"):
        named = replace(site, payments=(Payment("card", name),))
        assert policy.payments(named, [tea, pay], []) == ("Pay 1.0.1 takes payments: only a person may approve it",)
    assert policy.payments(replace(site, payments=(Payment("card"),)), [tea, pay], []) == ()
