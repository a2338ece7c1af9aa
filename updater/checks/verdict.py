"""Evidence and policy → PASS, FAIL or INCONCLUSIVE. Pure, and the only place where a PASS is made.

The order of doubt: first whether the ground was sound (the un-updated copy, the stack), then whether the update broke
something, then whether everything that had to run did. A fault seen on unsound ground proves nothing about the update,
so the ground is asked first; neither answer ever deploys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from updater.language import mark, sentence
from updater.model import Check, Evidence, Judgement, Status, Verdict

AFTER_UPDATE = frozenset({"after", "compare"})
"""Phases that tell of the updated shop. Every other phase tells of the ground it stands on."""


_UNSOUND = mark("The copy without any update already has a problem, so the updates cannot be judged")
_UNDECIDED = mark("Could not be decided")


def judge(
    evidence: Evidence,
    *,
    stack_matched: bool,
    mismatch: str,
    accept_nearest: bool,
    trial_failure: str = "",
    expected: Collection[str] = (),
) -> Judgement:
    """The gate. Reasons are in plain words, the most telling first; a PASS has one that says what was proven.

    `expected` names checks that must be there and have passed, whether marked required or not: a check's name (in any
    phase) or `phase:name`. A check that is not required is told in the report and decides nothing.
    `trial_failure` is why the updates could not even be applied.
    """
    deciding = [check for check in evidence.checks if check.required or _expects(expected, check)]
    doubts = _ground(deciding, stack_matched, mismatch, accept_nearest)
    faults = _faults(deciding, trial_failure)
    gaps = _gaps(evidence, deciding, expected)
    if doubts:
        return Judgement(Verdict.INCONCLUSIVE, _unique([*doubts, *faults, *gaps]))
    if faults:
        return Judgement(Verdict.FAIL, _unique([*faults, *gaps]))
    if gaps:
        return Judgement(Verdict.INCONCLUSIVE, _unique(gaps))
    proven = sentence(
        "Every required check passed ({checks}), pictures compared: {pictures}.",
        checks=len(deciding),
        pictures=len(evidence.pictures),
    )
    return Judgement(Verdict.PASS, (proven,))


def judge_restored(checks: Sequence[Check], *, stack_matched: bool, mismatch: str, accept_nearest: bool) -> Judgement:
    """Of a backup that stands in a stack: whether it is whole and sells. There is nothing to compare its pictures with."""
    needed = [check for check in checks if check.required]
    broken = [_words(check) for check in needed if check.status is Status.FAILED]
    unknown = [_words(check) for check in needed if check.status is Status.INCONCLUSIVE]
    if not stack_matched and not accept_nearest:
        unknown.append(_unlike(mismatch))
    if broken:
        return Judgement(Verdict.FAIL, _unique([*broken, *unknown]))
    if unknown or not needed:
        return Judgement(Verdict.INCONCLUSIVE, _unique(unknown or [mark("No check looked at the restored shop.")]))
    return Judgement(Verdict.PASS, tuple(_words(check) for check in checks))


def _unlike(mismatch: str) -> str:
    told = sentence("Staging is not like production: {mismatch}.", mismatch=mismatch)
    return told + " " + mark("`policy.accept_nearest_stack: true` accepts this.")


def _ground(checks: Iterable[Check], stack_matched: bool, mismatch: str, accept_nearest: bool) -> list[str]:
    """Why nothing that was seen on staging can be trusted."""
    doubts = [
        _UNSOUND + f": {_words(check)}"
        for check in checks
        if check.phase not in AFTER_UPDATE and check.status is not Status.PASSED
    ]
    if not stack_matched and not accept_nearest:
        doubts.append(_unlike(mismatch or mark("staging does not run on production's PHP and database versions")))
    return doubts


def _faults(checks: Iterable[Check], trial_failure: str) -> list[str]:
    """What the update broke."""
    faults = [mark("The update could not be applied") + f": {trial_failure}"] if trial_failure else []
    failed = [check for check in checks if check.phase in AFTER_UPDATE and check.status is Status.FAILED]
    # A flow that broke tells more than the pictures that changed because of it.
    failed.sort(key=lambda check: check.phase != "after")
    return faults + [_words(check) for check in failed]


def _gaps(evidence: Evidence, checks: Collection[Check], expected: Collection[str]) -> list[str]:
    """What would have to be known for a PASS and is not."""
    gaps = [
        _UNDECIDED + f": {_words(check)}"
        for check in checks
        if check.phase in AFTER_UPDATE and check.status not in (Status.PASSED, Status.FAILED)
    ]
    missing = [name for name in sorted(set(expected)) if not any(_expects((name,), check) for check in evidence.checks)]
    gaps += [sentence("A required check did not run: {name}.", name=name) for name in missing]
    if not any(check.phase in AFTER_UPDATE for check in checks):
        gaps.append(mark("No required check looked at the updated shop."))
    if not evidence.pictures:
        gaps.append(mark("No picture of the shop was compared."))
    return gaps


def _expects(expected: Collection[str], check: Check) -> bool:
    return check.name in expected or f"{check.phase}:{check.name}" in expected


def _words(check: Check) -> str:
    detail = check.detail.strip() or check.status.value
    return f"{check.name}: {detail}"


def _unique(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons))
