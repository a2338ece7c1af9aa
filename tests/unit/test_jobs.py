"""What the shop does behind its pages: a job that fails since the update is found, whatever else failed before."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater.checks import jobs
from updater.checks.observation import Observation
from updater.cms.base import Job, Jobs
from updater.model import Status


def seen(*ran: Job, left: tuple[str, ...] = (), failure: str = "") -> Observation:
    return Observation(Path(), 0, (), (), (), {}, jobs=Jobs(ran, left, failure))


WELL = seen(Job("clean", seconds=0.2))


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (seen(Job("clean", "Error: no such function")), "the job clean failed: Error: no such function"),
        (seen(Job("clean"), Job("report", "RuntimeException: no printer")), "the job report failed"),
        (seen(Job("clean", "it did not end within 20 s", hung=True, seconds=20)), "it did not end within 20 s"),
        (seen(failure="PHP failed: Call to undefined function"), "the shop does not start for its background jobs"),
    ],
    ids=["fails now", "a new one fails", "hangs now", "the shop does not start"],
)
def test_what_fails_since_the_update_is_found(after: Observation, message: str) -> None:
    (check,) = jobs.compare((WELL, WELL), after)
    assert check.status is Status.FAILED
    assert message in check.findings[0].message


@pytest.mark.parametrize(
    ("old", "after", "told"),
    [
        (
            seen(Job("clean", "Error: old")),
            seen(Job("clean", "Error: other words")),
            "1 background job ends as it did before",
        ),
        (WELL, seen(Job("clean", idle=True)), "nothing listens to clean any more"),
        (seen(Job("clean", idle=True)), seen(Job("clean", idle=True)), "1 background job ends as it did before"),
        (WELL, seen(left=("clean",)), "no time was left for clean"),
        (seen(Job("clean", seconds=4)), seen(Job("clean", "…", hung=True, seconds=20)), "no time was left for clean"),
        (WELL, seen(Job("clean", "…", hung=True, seconds=3)), "no time was left for clean"),
    ],
    ids=["failed before", "renamed", "idle before", "not reached", "slow before", "little time"],
)
def test_what_is_no_fault_of_the_update_is_told_and_decides_nothing(old: Observation, after: Observation, told: str):
    (check,) = jobs.compare((old, WELL), after)
    assert check.status is Status.PASSED and not check.findings
    assert told in check.detail


def test_a_shop_whose_jobs_are_not_known_has_no_check() -> None:
    assert jobs.compare((seen(), seen()), seen()) == ()
    assert jobs.compare((WELL,), Observation(Path(), 0, (), (), (), {})) == ()


def test_an_un_updated_shop_that_does_not_start_for_them_says_nothing_of_the_update() -> None:
    (check,) = jobs.compare((seen(failure="no mysqli"), WELL), seen(Job("clean", "Error")))
    assert check.status is Status.INCONCLUSIVE and "no mysqli" in check.detail
