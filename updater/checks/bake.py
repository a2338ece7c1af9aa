"""The open shop after a promotion, watched for a while: its pages, its error log, its orders, and what they say. Pure but for waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from updater.checks.logs import same
from updater.checks.observation import LogLine, Observation, is_address
from updater.language import counted, mark, sentence
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
        ended = "; " + mark("ended early by Ctrl-C")
    lasted = clock() - begun
    span = counted("{n} look in {seconds:.0f} s", "{n} looks in {seconds:.0f} s", len(looks), seconds=lasted) + ended
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
            found[url] = sentence("{page} answers HTTP {status}", page=_path(url), status=answer.status)
        elif answer.status == status == 200 and not answer.size:
            found[url] = sentence("{page} is empty", page=_path(url))
    return found


def _sick(looks: Sequence[Look], wanted: Mapping[str, int], known: Sequence[LogLine] | None) -> str:
    """Why it should not stay: a page broken in two looks one after the other, a new fatal error that happens again."""
    if len(looks) < 2:
        return ""
    last, before = _broken(looks[-1], wanted), _broken(looks[-2], wanted)
    for url in last:
        if url in before:
            return last[url]
    for line in _new(looks[-1], known):
        first = next(
            (it.count for it in looks[-2].errors or () if (it.level, it.message) == (line.level, line.message)), 0
        )
        if line.level == "fatal" and 0 < first < line.count:
            return mark("a fatal error that was not there before happens again and again") + f": {line.message}"
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
            said = _broken(look, wanted).get(url) or _odd(_path(url), answer, wanted[url])
            if said:
                odd[url] = (said, odd.get(url, ("", 0))[1] + 1)
    findings = tuple(
        Finding("production", _path(url), _seen(said, count, len(looks)), str(wanted[url]), said)
        for url, (said, count) in odd.items()
    )
    if not wanted:
        return Check(name, PHASE, Status.INCONCLUSIVE, mark("no page of the tested shop is known"), required=False)
    if findings:
        told = "; ".join(finding.message for finding in findings[:3])
        return Check(name, PHASE, Status.FAILED, f"{told}; {span}", required=False, findings=findings)
    answered = counted("{n} page answered as tested", "{n} pages answered as tested", len(wanted))
    return Check(name, PHASE, Status.PASSED, f"{answered}; {span}", required=False)


def _seen(said: str, count: int, looks: int) -> str:
    return f"{said}; " + sentence("seen in {count} of {looks} looks", count=count, looks=looks)


def _path(url: str) -> str:
    return urlsplit(url).path or "/"


def _odd(page: str, answer: Answer, wanted: int) -> str:
    if not answer.status:
        return sentence("{page} did not answer ({problem})", page=page, problem=answer.problem)
    return (
        sentence("{page} answers {new} instead of {old}", page=page, new=answer.status, old=wanted)
        if answer.status != wanted
        else ""
    )


def _errors(looks: Sequence[Look], known: Sequence[LogLine] | None, span: str) -> Check:
    name = "PHP errors after opening"
    seen = [look for look in looks if look.errors is not None]
    if known is None or not seen:
        detail = mark("the error log of production cannot be read: nothing was watched there")
        return Check(name, PHASE, Status.INCONCLUSIVE, detail, required=False)
    new = _new(seen[-1], known)
    findings = tuple(Finding(f"PHP {line.level}", "error log", line.message, "", f"{line.count} ×") for line in new)
    if new:
        lines = counted(
            "{n} error or warning that the log did not hold before",
            "{n} errors and warnings that the log did not hold before",
            len(new),
        )
        detail = f"{lines}; {span}: {new[0].message}"
        return Check(name, PHASE, Status.FAILED, detail, required=False, findings=findings)
    return Check(name, PHASE, Status.PASSED, mark("no new PHP errors or warnings") + f"; {span}", required=False)


def _orders(looks: Sequence[Look], before: Rate | None, lasted: float, span: str) -> Check:
    """Orders are told and never decide: a quiet quarter of an hour is no fault."""
    name = "orders after opening"
    seen = [look.orders for look in looks if look.orders is not None]
    if not seen:
        return Check(name, PHASE, Status.INCONCLUSIVE, mark("the number of orders cannot be read"), required=False)
    came = seen[-1] - (before.total if before is not None else seen[0])
    told = counted("{n} order came", "{n} orders came", came) + f"; {span}"
    if before is None:
        told += "; " + mark("how many are usual is not known")
        return Check(name, PHASE, Status.PASSED, told, required=False)
    expected = before.expected(lasted)
    told += "; " + sentence(
        "{expected:.1f} were expected ({came} in the {hours:.0f} h before)",
        expected=expected,
        came=before.came,
        hours=before.seconds / 3600,
    )
    status = Status.FAILED if came <= 0 and expected >= _FEWEST else Status.PASSED
    return Check(name, PHASE, status, told, required=False)
