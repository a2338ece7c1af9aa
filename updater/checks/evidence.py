"""Everything that was seen of one trial, brought together: the checks on the un-updated shop, on the updated one, and between."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from updater.checks import calls, crawl, facts, jobs, logs, paying, recorded, visual
from updater.checks.browser import NETWORK_CHANGED
from updater.checks.observation import Observation, PageView
from updater.language import counted, mark, sentence
from updater.model import (
    AnsweredCall,
    BlockedCall,
    CaughtMail,
    Check,
    Evidence,
    Finding,
    Payment,
    Picture,
    Recording,
    Status,
    Thresholds,
    Update,
)

BEFORE, NOISE, AFTER = "before", "noise", "after"
"""The three passes: the un-updated shop, the same again (what differs is noise), and the updated shop."""
MORE_NOISE = ("noise 2", "noise 3", "noise 4")
ROUND = (BEFORE, NOISE, *MORE_NOISE)
"""Each of these passes begins one visit later than the one before it: all start from one checkpoint, and what turns with each
visit would stand in all of them alike, and elsewhere after the update's own visits. So a banner of five states is seen in each."""
"""Further passes over the un-updated shop, made only when nothing but pages differs."""


def smoke_check(seen: Observation, phase: str) -> Check:
    """pytest's own result as a check: passed only when tests ran, every one of them passed, and none was skipped."""
    broken = [test for test in seen.tests if test.outcome != "passed"]
    findings = tuple(Finding("smoke test", test.name, test.message or test.outcome) for test in broken)
    if not seen.tests:
        detail, status = sentence("no smoke test ran (pytest ended with {code})", code=seen.exit_code), Status.FAILED
    elif broken and _disturbed(seen):
        detail = mark("this machine's network changed under the browser; that says nothing of the shop")
        status = Status.INCONCLUSIVE
    elif broken:
        first = (broken[0].message or broken[0].outcome).splitlines()[0]
        detail = sentence("{broken} of {all} smoke tests did not pass", broken=len(broken), all=len(seen.tests))
        detail, status = f"{detail}: {first}", Status.FAILED
    elif seen.exit_code != 0:
        detail = sentence("pytest ended with {code} although every test passed", code=seen.exit_code)
        status = Status.FAILED
    else:
        detail = counted("{n} smoke test passed", "{n} smoke tests passed", len(seen.tests))
        status = Status.PASSED
    return Check("smoke tests", phase, status, detail, findings=findings, seconds=seen.seconds)


def browser_check(before: Observation, after: Observation, noise: Observation) -> Check:
    """Console errors and failed requests that the un-updated shop does not have."""
    known = {
        (view.page, view.viewport, line)
        for seen in (before, noise)
        for view in seen.views
        for line in _complaints(view)
    }
    findings = tuple(
        Finding("browser error", f"{view.page} ({view.viewport})", line)
        for view in after.views
        for line in _complaints(view)
        if (view.page, view.viewport, line) not in known and NETWORK_CHANGED not in line
    )
    status = Status.FAILED if findings else Status.PASSED
    detail = (
        counted("{n} new error in the browser", "{n} new errors in the browser", len(findings))
        if findings
        else mark("no new errors in the browser's console or requests")
    )
    return Check("browser errors", "compare", status, detail, findings=findings)


def gather(
    before: Observation,
    noise: Observation,
    after: Observation | None,
    *,
    more_noise: Sequence[Observation] = (),
    ground: Sequence[Check],
    blocked: Sequence[BlockedCall],
    mail: Sequence[CaughtMail],
    thresholds: Thresholds,
    root: Path,
    pictures: Path,
    known_calls: Collection[str] = (),
    answered: Sequence[AnsweredCall] = (),
    recordings: Sequence[Recording] = (),
    payments: Sequence[Payment] = (),
    updates: Sequence[Update] = (),
) -> Evidence:
    """All checks of one trial; `after` is None when the updates could not even be applied.

    `ground`: what was found of the un-updated clone itself (fidelity, the approved look). `known_calls`: Site.calls.
    `answered`, `recordings`: what was asked of the services that site.yml has recordings of; nothing of it is kept but what differs.

    Pictures of differences are written into `pictures`, which lies below `root`, the run's folder.
    """
    unchanged = [smoke_check(seen, BEFORE) for seen in (before, noise, *more_noise)]
    checks = [*ground, *unchanged, facts.order_check(before, BEFORE)]
    if any(payment.callback for payment in payments):
        checks += [paying.check(seen, payments, BEFORE) for seen in (before, noise)]
    compared: tuple[Picture, ...] = ()
    if after is not None:
        compared, picture_checks = visual.compare(before, noise, after, thresholds, pictures, root, more_noise)
        checks += [
            smoke_check(after, AFTER),
            facts.order_check(after, AFTER),
            facts.mail_check(before, noise, after, mail),
            facts.kept_check(before, after),
            *facts.compare(before, after, noise, more_noise),
            browser_check(before, after, noise),
            logs.compare_errors(before, after, noise),
            *crawl.compare(before, noise, after, more_noise, known_calls),
            calls.compare(
                blocked, (BEFORE, NOISE, *MORE_NOISE), AFTER, known_calls, (before, noise, *more_noise), after
            ),
            *jobs.compare((before, noise, *more_noise), after),
        ]
        if recordings or payments:
            passes = [recorded.Pass(step, it) for step, it in zip(ROUND, (before, noise, *more_noise), strict=False)]
            new = recorded.Pass(AFTER, after)
            checks.append(recorded.compare(answered, blocked, passes, new, updates, recordings))
        checks += picture_checks  # last: see is_of_look
    return Evidence(checks=tuple(checks), pictures=compared, blocked=tuple(blocked), mail=tuple(mail))


Sent = TypeVar("Sent", BlockedCall, CaughtMail, AnsweredCall)


def of_this_trial(sent: Sequence[Sent], begun: datetime) -> tuple[Sent, ...]:
    """Without what earlier trials sent: their orders bore the same numbers, and their mail would tell of this trial's."""
    return tuple(one for one in sent if one.step != AFTER or one.at >= begun)


def only_pages_differ(seen: Evidence) -> bool:
    """Whether nothing is wrong but what pages show and how long they take: what a turning banner, a counter, a shuffled list or
    a busy machine could have done."""
    wrong = [check for check in seen.checks if check.required and check.status is not Status.PASSED]
    return bool(wrong) and all(
        check.name.startswith(visual.NAME) or check.name == crawl.SPEED or facts.of_pages_only(check) for check in wrong
    )


def only_look_differs(seen: Evidence) -> bool:
    """Whether nothing is wrong but pictures: a person can tell by looking whether that is right."""
    wrong = [check for check in seen.checks if check.required and check.status is not Status.PASSED]
    return bool(wrong) and all(_differs_in_look(check) for check in wrong)


def is_of_look(reason: str) -> bool:
    """Whether the first reason of a verdict speaks of pictures: then nothing worse was found, since pictures are told last."""
    return reason.startswith(visual.NAME)


def without_look(seen: Evidence) -> Evidence:
    """The same, with pictures that differ for information alone. One that could not be compared still decides."""
    checks = (replace(check, required=check.required and not _differs_in_look(check)) for check in seen.checks)
    return replace(seen, checks=tuple(checks))


def _differs_in_look(check: Check) -> bool:
    return check.name.startswith(visual.NAME) and check.status is Status.FAILED


def slower(seen: Evidence) -> bool:
    """Whether pages of the updated shop took longer: a machine that became busy looks like that too."""
    return any(check.name == crawl.SPEED and check.status is not Status.PASSED for check in seen.checks)


def _disturbed(seen: Observation) -> bool:
    return any(NETWORK_CHANGED in line for view in seen.views for line in (*view.console, *view.failed))


def _complaints(view: PageView) -> tuple[str, ...]:
    """Without line and column: an update moves code, and an old error on another line is no new one."""
    return tuple(re.sub(r":\d+(?::\d+)?\)?$", "", line) for line in (*view.console, *view.failed))
