"""The open shop after a promotion, watched for a while: its pages, its error log, its orders, and what they say. Pure but for waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from updater.checks.logs import same
from updater.checks.observation import LogLine, Observation, is_address
from updater.model import Check, Finding, Status

PHASE = "open"
EVERY = 20.0
"""Seconds between two looks"""
AGAIN = 5.0
"""Seconds after a look that found a page broken: whether it stays so is what counts."""
_FEWEST = 5.0
"""Orders that must have been expected before none at all means something: by chance that is one time in 150."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page answered. `status` 0: nothing came, `problem` says why; `size` in bytes."""

    status: int
    size: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `errors` are all since the shop opened; None: the log, or the number of orders, could not be read."""

    pages: Mapping[str, Answer]
    errors: tuple[LogLine, ...] | None = None
    orders: int | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """Orders that came in a time before the promotion, which lasted `seconds`; `total` is their number at its end."""

    total: int
    came: int
    seconds: float

    def expected(self, seconds: float) -> float:
        return self.came * seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Watched:
    """`sick`: why the new shop should not stay, '' when it may. What is only doubtful is in the checks."""

    checks: tuple[Check, ...]
    sick: str
    looks: tuple[Look, ...] = field(default=(), repr=False)


def pages(tested: Observation) -> dict[str, int]:
    """Address → status that the tested shop answered with. The steps of a flow need the cart before them, and are left out."""
    return {view.url: view.status for view in tested.views if is_address(view.page)}


def rate(total: int, at: datetime, earlier: int, since: datetime) -> Rate | None:
    """None when too little is known of the shop: less than an hour, or hardly an order."""
    seconds, came = (at - since).total_seconds(), total - earlier
    return Rate(total, came, seconds) if seconds >= 3600 and came >= _FEWEST else None


def watch(
    look: Callable[[], Look],
    wanted: Mapping[str, int],
    known: Sequence[LogLine] | None,
    before: Rate | None,
    seconds: float,
    *,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Watched:
    """Look until `seconds` are over, until the shop is sick, or until Ctrl-C, which ends the watch and nothing else.

    `known`: what the error log held before; None when it cannot be read. A page that is broken at the end is looked at once more.
    """
    begun, ended = clock(), ""
    looks: list[Look] = []
    try:
        looks.append(look())
        while not _sick(looks, wanted, known):
            broken = bool(_broken(looks[-1], wanted))
            left = seconds - (clock() - begun)
            if left <= 0 and not broken:
                break
            wait(AGAIN if broken else min(EVERY, left))
            looks.append(look())
    except KeyboardInterrupt:
        ended = ", ended early by Ctrl-C"
    lasted = clock() - begun
    span = f"{len(looks)} looks in {lasted:.0f} s{ended}"
    checks = (
        _pages(looks, wanted, span),
        _errors(looks, known, span),
        _orders(looks, before, lasted, span),
    )
    return Watched(checks, _sick(looks, wanted, known), tuple(looks))


# ------------------------------------------------------------------------------------------------- what they say


def _broken(look: Look, wanted: Mapping[str, int]) -> dict[str, str]:
    """Pages that the shop itself breaks: PHP's own failures. A wall in front and a lost line say nothing of the update."""
    found = {}
    for url, status in wanted.items():
        answer = look.pages.get(url)
        if answer is None or status >= 500:
            continue
        if answer.status >= 500:
            found[url] = f"answers {answer.status}"
        elif answer.status == status == 200 and not answer.size:
            found[url] = "is empty"
    return found


def _sick(looks: Sequence[Look], wanted: Mapping[str, int], known: Sequence[LogLine] | None) -> str:
    """Why it should not stay: a page broken in two looks one after the other, a new fatal error that happens again."""
    if len(looks) < 2:
        return ""
    last, before = _broken(looks[-1], wanted), _broken(looks[-2], wanted)
    for url in last:
        if url in before:
            return f"{_path(url)} {last[url]}"
    for line in _new(looks[-1], known):
        first = next(
            (it.count for it in looks[-2].errors or () if (it.level, it.message) == (line.level, line.message)), 0
        )
        if line.level == "fatal" and 0 < first < line.count:
            return f"a fatal error that was not there before happens again and again: {line.message}"
    return ""


def _new(look: Look, known: Sequence[LogLine] | None) -> list[LogLine]:
    if known is None:
        return []
    before = {(line.level, same(line.message)) for line in known}
    failing = (line for line in look.errors or () if line.level in ("fatal", "warning"))
    return [line for line in failing if (line.level, same(line.message)) not in before]


def _pages(looks: Sequence[Look], wanted: Mapping[str, int], span: str) -> Check:
    name = "pages after opening"
    odd: dict[str, tuple[str, int]] = {}
    for look in looks:
        for url, answer in look.pages.items():
            said = _broken(look, wanted).get(url) or _odd(answer, wanted[url])
            if said:
                odd[url] = (said, odd.get(url, ("", 0))[1] + 1)
    findings = tuple(
        Finding(
            "production", _path(url), f"{_path(url)} {said} in {count} of {len(looks)} looks", str(wanted[url]), said
        )
        for url, (said, count) in odd.items()
    )
    if not wanted:
        return Check(name, PHASE, Status.INCONCLUSIVE, "no page of the tested shop is known", required=False)
    if findings:
        told = "; ".join(finding.message for finding in findings[:3])
        return Check(name, PHASE, Status.FAILED, f"{told} ({span})", required=False, findings=findings)
    return Check(name, PHASE, Status.PASSED, f"{len(wanted)} pages answered as tested, {span}", required=False)


def _path(url: str) -> str:
    return urlsplit(url).path or "/"


def _odd(answer: Answer, wanted: int) -> str:
    if not answer.status:
        return f"did not answer ({answer.problem})"
    return f"answers {answer.status} instead of {wanted}" if answer.status != wanted else ""


def _errors(looks: Sequence[Look], known: Sequence[LogLine] | None, span: str) -> Check:
    name = "PHP errors after opening"
    seen = [look for look in looks if look.errors is not None]
    if known is None or not seen:
        detail = "the error log of production cannot be read: nothing was watched there"
        return Check(name, PHASE, Status.INCONCLUSIVE, detail, required=False)
    new = _new(seen[-1], known)
    findings = tuple(Finding(f"PHP {line.level}", "error log", line.message, "", f"{line.count} ×") for line in new)
    if new:
        detail = f"{len(new)} errors and warnings that the log did not hold before ({span}): {new[0].message}"
        return Check(name, PHASE, Status.FAILED, detail, required=False, findings=findings)
    return Check(name, PHASE, Status.PASSED, f"no new PHP errors or warnings, {span}", required=False)


def _orders(looks: Sequence[Look], before: Rate | None, lasted: float, span: str) -> Check:
    """Orders are told and never decide: a quiet quarter of an hour is no fault."""
    name = "orders after opening"
    seen = [look.orders for look in looks if look.orders is not None]
    if not seen:
        return Check(name, PHASE, Status.INCONCLUSIVE, "the number of orders cannot be read", required=False)
    came = seen[-1] - (before.total if before is not None else seen[0])
    told = f"{came} order{'' if came == 1 else 's'} came, {span}"
    if before is None:
        return Check(name, PHASE, Status.PASSED, f"{told}; how many are usual is not known", required=False)
    expected = before.expected(lasted)
    told += f"; {expected:.1f} were expected ({before.came} in the {before.seconds / 3600:.0f} h before)"
    status = Status.FAILED if came <= 0 and expected >= _FEWEST else Status.PASSED
    return Check(name, PHASE, status, told, required=False)
