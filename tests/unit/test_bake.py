"""What the open shop shows after a promotion, and what of it undoes a promotion: looked at by a clock of our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from updater.checks import bake
from updater.checks.bake import AGAIN, Answer, Look, Rate, Watched
from updater.checks.observation import LogLine
from updater.model import Status

WANTED = {"/": 200, "/gone/": 404}
WELL = Look({"/": Answer(200, 5000), "/gone/": Answer(404, 90)}, (), 40)
DOWN = Look({"/": Answer(500, 120), "/gone/": Answer(404, 90)}, (), 40)
FATAL = LogLine("fatal", "Uncaught TypeError in /srv/shop/cart.php:12")


@dataclass
class Clock:
    """Time passes only while the watch waits."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.waits.append(seconds)
        self.now += seconds


def watch(
    looks: Sequence[Look],
    seconds: float = 60,
    known: Sequence[LogLine] | None = (),
    rate: Rate | None = None,
    clock: Clock | None = None,
) -> Watched:
    """The last look is what is seen from then on."""
    clock = clock or Clock()

    def all_of_them() -> Iterator[Look]:
        yield from looks
        while True:
            yield looks[-1]

    seen = all_of_them()
    return bake.watch(lambda: next(seen), WANTED, known, rate, seconds, wait=clock.wait, clock=lambda: clock.now)


def statuses(seen: Watched) -> list[Status]:
    return [check.status for check in seen.checks]


def test_a_shop_that_stays_well_is_watched_to_the_end() -> None:
    clock = Clock()
    seen = watch([WELL], clock=clock)
    assert (seen.sick, clock.now, clock.waits) == ("", 60, [20, 20, 20])
    assert statuses(seen) == [Status.PASSED] * 3
    assert not any(check.required for check in seen.checks)


def test_a_page_that_stays_broken_is_sick_after_the_second_look() -> None:
    clock = Clock()
    seen = watch([WELL, DOWN], clock=clock)
    assert seen.sick == "/ answers HTTP 500"
    assert clock.waits == [20, AGAIN]


def test_an_empty_page_is_a_broken_one() -> None:
    assert watch([Look({"/": Answer(200, 0)})]).sick == "/ is empty"


def test_one_broken_answer_is_told_and_undoes_nothing() -> None:
    seen = watch([WELL, DOWN, WELL])
    assert seen.sick == ""
    assert statuses(seen)[0] is Status.FAILED
    assert "/ answers HTTP 500; seen in 1 of" in seen.checks[0].detail


def test_a_page_that_breaks_in_the_last_look_is_looked_at_once_more() -> None:
    assert watch([WELL, WELL, WELL, DOWN, DOWN]).sick == "/ answers HTTP 500"
    assert watch([WELL, WELL, WELL, DOWN, WELL]).sick == ""


@pytest.mark.parametrize("answer", [Answer(403, 900), Answer(429, 10), Answer(404, 50), Answer(0, 0, "timed out")])
def test_a_wall_a_lost_line_and_a_page_that_went_are_told_and_undo_nothing(answer: Answer) -> None:
    seen = watch([Look({"/": answer, "/gone/": Answer(404, 90)}, (), 40)])
    assert seen.sick == ""
    assert statuses(seen)[0] is Status.FAILED


def test_a_new_fatal_error_that_happens_again_is_sick() -> None:
    first = Look(WELL.pages, (FATAL,), 40)
    again = Look(WELL.pages, (LogLine("fatal", FATAL.message, 2),), 40)
    assert "Uncaught TypeError" in watch([WELL, first, again]).sick
    seen = watch([WELL, first])
    assert (seen.sick, seen.checks[1].status) == ("", Status.FAILED)


def test_an_error_that_the_log_held_before_is_no_news() -> None:
    moved = LogLine("fatal", "Uncaught TypeError in /srv/shop/cart.php:99", 7)
    seen = watch(
        [WELL, Look(WELL.pages, (FATAL,), 40), Look(WELL.pages, (LogLine("fatal", FATAL.message, 2),), 40)],
        known=[moved],
    )
    assert (seen.sick, seen.checks[1].status) == ("", Status.PASSED)


def test_what_cannot_be_read_is_not_called_well() -> None:
    seen = watch([Look(WELL.pages)], known=None)
    assert statuses(seen) == [Status.PASSED, Status.INCONCLUSIVE, Status.INCONCLUSIVE]


def test_no_order_where_many_were_usual_is_told_and_undoes_nothing() -> None:
    usual = Rate(total=40, came=360, seconds=3600)
    seen = watch([WELL], rate=usual)
    assert (seen.sick, seen.checks[2].status) == ("", Status.FAILED)
    assert "0 orders came" in seen.checks[2].detail
    assert "6.0 were expected" in seen.checks[2].detail
    busy = Look(WELL.pages, (), 43)
    assert watch([WELL, busy], rate=usual).checks[2].status is Status.PASSED


def test_of_a_quiet_shop_nothing_is_expected() -> None:
    seen = watch([WELL], rate=Rate(total=40, came=6, seconds=86400))
    assert seen.checks[2].status is Status.PASSED


@pytest.mark.parametrize(("hours", "earlier", "known"), [(0.5, 10, False), (5, 37, False), (5, 10, True)])
def test_a_rate_needs_an_hour_and_some_orders(hours: float, earlier: int, known: bool) -> None:
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert (bake.rate(40, at, earlier, at - timedelta(hours=hours)) is not None) is known


def test_ctrl_c_ends_the_watch_and_says_so() -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    seen = bake.watch(lambda: WELL, WANTED, (), None, 60, wait=interrupted, clock=lambda: 0.0)
    assert seen.sick == ""
    assert "ended early by Ctrl-C" in seen.checks[0].detail
