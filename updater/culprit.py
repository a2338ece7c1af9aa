"""Which update broke it: the smallest set of updates that fails together, found in few trials. Imports no step.

One culprit among n is found in at most log2(n) + 2 trials by halving. Updates that only break together are found by
delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002, algorithm ddmin).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from updater.model import Verdict

Trial = Callable[[frozenset[str]], Verdict]
T = TypeVar("T")

MOST_TRIALS = 30


@dataclass(frozen=True, slots=True)
class Culprit:
    """`broken`: the smallest failing set; `rest`: what passes without it, proven as a set. `trials`: how many were made.

    Both are empty when it could not be known; `why` says so in plain words.
    """

    broken: frozenset[str]
    rest: frozenset[str]
    trials: int
    why: str = ""


class _OutOfTrials(Exception):
    pass


def find(updates: Sequence[str], trial: Trial, most: int = MOST_TRIALS) -> Culprit:
    """The culprit among `updates`, which failed as a whole; the un-updated shop is known to pass.

    `trial` is asked about a set at most once. INCONCLUSIVE counts as neither: it never makes a set guilty or innocent.
    """
    known: dict[frozenset[str], Verdict] = {frozenset(updates): Verdict.FAIL}

    def ask(some: Sequence[str]) -> Verdict:
        key = frozenset(some)
        if key not in known:
            if len(known) > most:
                raise _OutOfTrials
            known[key] = trial(key)
        return known[key]

    def fails(some: Sequence[str]) -> bool:
        return ask(some) is Verdict.FAIL

    try:
        broken = _halve(list(updates), fails)
        rest = [update for update in updates if update not in broken]
        if rest and ask(rest) is not Verdict.FAIL:
            innocent = ask(rest) is not Verdict.INCONCLUSIVE
            why = "" if innocent else "the rest without the culprit could not be judged"
            return Culprit(frozenset(broken), frozenset(rest if innocent else ()), len(known) - 1, why)
        if not rest:
            return Culprit(frozenset(broken), frozenset(), len(known) - 1)
        # More than one culprit: hold this one back and look among the rest.
        more = find(rest, lambda some: ask(sorted(some)), most)
        return Culprit(frozenset(broken) | more.broken, more.rest, len(known) - 1, more.why)
    except _OutOfTrials:
        return Culprit(frozenset(), frozenset(), len(known) - 1, f"not found within {most} trials")


def _halve(updates: list[str], fails: Callable[[Sequence[str]], bool]) -> list[str]:
    """The culprit, when it is one; falls back to delta debugging when halves only fail together."""
    suspects = updates
    while len(suspects) > 1:
        half = suspects[: len(suspects) // 2]
        if fails(half):
            suspects = half
        elif len(suspects) - len(half) == 1 or fails(suspects[len(half) :]):
            suspects = suspects[len(half) :]
        else:
            return _ddmin(suspects, fails)
    return suspects if suspects == updates or fails(suspects) else _ddmin(updates, fails)


def _ddmin(failing: list[str], fails: Callable[[Sequence[str]], bool]) -> list[str]:
    """The smallest failing subset by delta debugging: no single element of it can be left out."""
    parts = 2
    while len(failing) >= 2:
        chunks = _split(failing, parts)
        for chunk in chunks:
            others = [item for item in failing if item not in chunk]
            if fails(chunk):
                failing, parts = chunk, 2
                break
            if parts > 2 and fails(others):
                failing, parts = others, max(parts - 1, 2)
                break
        else:
            if parts >= len(failing):
                return failing
            parts = min(len(failing), parts * 2)
    return failing


def _split(items: list[T], parts: int) -> list[list[T]]:
    size, extra = divmod(len(items), parts)
    chunks, begin = [], 0
    for index in range(parts):
        end = begin + size + (1 if index < extra else 0)
        chunks.append(items[begin:end])
        begin = end
    return [chunk for chunk in chunks if chunk]
