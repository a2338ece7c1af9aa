"""Tells a page that moved from one that was painted anew: which row of the old picture each row of the new one shows. Pure.

A banner of 24 px at the top changes nearly every pixel below it, and a person would look for the one change in a page of
red. Bands of equal rows that occur once in both pictures are anchors (as lines are in patience diff, by Bram Cohen); from them
equal rows are followed up and down. Only whole rows are followed: a block that moved beside others that stayed is told as repainted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 48
"""Rows that must have moved together: a few equal lines of text are no block."""

Rows = NDArray[np.int64]
"""For each row of the new picture the row of the old one that it shows, NEW where there is none."""
NEW = -1


@dataclass(frozen=True, slots=True)
class Move:
    """Rows of the old picture, from `top` on, that stand `by` px further down (negative: up) in the new one."""

    top: int
    height: int
    by: int


def align(old: NDArray[Any], new: NDArray[Any]) -> Rows:
    """Rows of equal bytes, in order. Between two that were found, as many old rows as new ones are taken for each other.

    Pictures of one width; ValueError for others.
    """
    if old.shape[1:] != new.shape[1:]:
        raise ValueError(f"pictures of different width: {old.shape} and {new.shape}")
    a, b = ([row.tobytes() for row in picture] for picture in (old, new))
    rows = np.full(len(b), NEW, np.int64)
    for x, y in _anchors(a, b):
        if rows[y] != NEW:
            continue
        for step in (1, -1):
            i, j = (x, y) if step == 1 else (x - 1, y - 1)
            while 0 <= i < len(a) and 0 <= j < len(b) and rows[j] == NEW and a[i] == b[j]:
                rows[j] = i
                i, j = i + step, j + step
    return _ordered(_filled(rows, len(a)))


def moves(rows: Rows) -> tuple[Move, ...]:
    """The blocks that stand elsewhere, from the top. What moved by the same way, with changes inside it, is one."""
    known = np.flatnonzero(rows != NEW)
    bands = _joined(Move(int(rows[y]), 1, int(y - rows[y])) for y in known)
    # A line of text like another one inside a block may be taken for that one: too short to be a block of its own.
    blocks = _joined(move for move in bands if move.height >= LEAST)
    return tuple(move for move in blocks if move.by)


def _joined(moves: Iterable[Move]) -> list[Move]:
    """Neighbours that moved by the same way made one."""
    found: list[Move] = []
    for move in moves:
        if found and found[-1].by == move.by:
            top = found[-1].top
            found[-1] = Move(top, move.top + move.height - top, move.by)
        else:
            found.append(move)
    return found


def _anchors(a: Sequence[bytes], b: Sequence[bytes]) -> list[tuple[int, int]]:
    """Where bands begin that occur once in each, in an order that both share: the longest such."""
    bands_a, bands_b = _bands(a), _bands(b)
    counts = Counter(band for band, _ in bands_a), Counter(band for band, _ in bands_b)
    place = {band: x for band, x in bands_a if counts[0][band] == 1}
    pairs = [(place[band], y) for band, y in bands_b if counts[1][band] == 1 and band in place]
    ends: list[int] = []  # ends[n]: the smallest x that ends a rising sequence of n + 1 pairs
    last: list[int] = []  # the pair that stands there
    before: list[int] = []
    for index, (x, _y) in enumerate(pairs):
        length = bisect_left(ends, x)
        ends[length:] = [x] if length == len(ends) else [x, *ends[length + 1 :]]
        last[length:] = [index] if length == len(last) else [index, *last[length + 1 :]]
        before.append(last[length - 1] if length else -1)
    longest: list[tuple[int, int]] = []
    index = last[-1] if last else -1
    while index >= 0:
        longest.append(pairs[index])
        index = before[index]
    return longest[::-1]


def _bands(rows: Sequence[bytes]) -> list[tuple[tuple[bytes, int], int]]:
    """((a row, how many of it follow each other), where they begin)"""
    found = []
    start = 0
    for row, band in groupby(rows):
        height = sum(1 for _ in band)
        found.append(((row, height), start))
        start += height
    return found


def _filled(rows: Rows, old_rows: int) -> Rows:
    """Gaps of one height in both pictures are the same place, painted anew; at both ends as well."""
    known = np.flatnonzero(rows != NEW)
    if not known.size:
        return rows
    edges = [(-1, -1), *((int(y), int(rows[y])) for y in known), (len(rows), old_rows)]
    for (y1, x1), (y2, x2) in pairwise(edges):
        if y2 - y1 > 1 and y2 - y1 == x2 - x1:
            rows[y1 + 1 : y2] = np.arange(x1 + 1, x2)
    return rows


def _ordered(rows: Rows) -> Rows:
    """A row that was followed past another anchor's, or into it, is none: old rows come once and never back."""
    known = np.flatnonzero(rows != NEW)
    highest = np.maximum.accumulate(np.concatenate([[NEW], rows[known]]))[:-1]
    rows[known[rows[known] <= highest]] = NEW
    return rows
