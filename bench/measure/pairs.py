"""Two things measured beside each other, by turns and in both orders, so that a busy moment of the machine meets both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Timed = Callable[[], float]
"""Does it once and returns seconds."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Seconds of each, pair by pair."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def spread(self) -> str:
        """`0.38 – 0.52`: the ratios of single pairs, the smallest and the largest."""
        ratios = [one / other for one, other in zip(self.ours, self.theirs, strict=True)]
        return f"{min(ratios):.2g} – {max(ratios):.2g}"


def side_by_side(ours: Timed, theirs: Timed, pairs: int = 5) -> Pairs:
    """One unmeasured turn of each, then that many pairs: ours first in the odd ones, theirs in the even ones."""
    ours()
    theirs()
    return measured(ours, theirs, pairs)


def measured(ours: Timed, theirs: Timed, pairs: int) -> Pairs:
    """As `side_by_side` without the turn before, for what takes long."""
    one, other = [], []
    for turn in range(pairs):
        if turn % 2:
            other.append(theirs())
            one.append(ours())
        else:
            one.append(ours())
            other.append(theirs())
    return Pairs(tuple(one), tuple(other))


def middle(seconds: tuple[float, ...]) -> float:
    return median(seconds)
