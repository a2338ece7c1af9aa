"""A page that moved is told from one that was painted anew: rows of the new picture that the old one has elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from updater.checks import shift
from updater.checks.shift import NEW, Move

Pixels = NDArray[np.uint8]


def rows(*numbers: int) -> Pixels:
    """A picture of one pixel's width: a row for each number."""
    return np.array(numbers, np.uint8).reshape(-1, 1, 1)


def noisy(height: int, seed: int = 7, width: int = 12) -> Pixels:
    """A picture in which no row is like another."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)


def test_equal_pictures_are_row_by_row_the_same_and_nothing_moved():
    picture = noisy(300)
    found = shift.align(picture, picture)
    assert found.tolist() == list(range(300))
    assert shift.moves(found) == ()


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 300), by=st.integers(1, 80), seed=st.integers(0, 1000))
def test_what_was_put_in_moves_all_that_stands_below_it(at: int, by: int, seed: int):
    old = noisy(300, seed)
    new = np.concatenate([old[:at], noisy(by, seed + 1), old[at:]])
    found = shift.align(old, new)
    assert found.tolist() == [*range(at), *[NEW] * by, *range(at, 300)]
    moved = (Move(at, 300 - at, by),) if 300 - at >= shift.LEAST else ()
    assert shift.moves(found) == moved


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 240), by=st.integers(1, 60))
def test_what_was_taken_out_moves_the_rest_up(at: int, by: int):
    old = noisy(300)
    found = shift.align(old, np.concatenate([old[:at], old[at + by :]]))
    assert found.tolist() == [*range(at), *range(at + by, 300)]
    height = 300 - at - by
    assert shift.moves(found) == ((Move(at + by, height, -by),) if height >= shift.LEAST else ())


def test_a_block_that_moved_with_a_change_inside_it_is_one_block():
    old = noisy(300)
    new = np.concatenate([noisy(24, 1), old])
    new[124:130] = 0
    assert shift.moves(shift.align(old, new)) == (Move(0, 300, 24),)


@settings(max_examples=60, deadline=None)
@given(old=st.lists(st.integers(0, 5), max_size=40), new=st.lists(st.integers(0, 5), max_size=40))
@example(old=[1, 1, 0, 0], new=[1, 1, 0, 1, 0, 0])
def test_old_rows_never_come_twice_nor_in_another_order(old: list[int], new: list[int]):
    found = shift.align(rows(*old), rows(*new))
    known = found[found != NEW].tolist()
    assert known == sorted(set(known))
    assert all(0 <= row < len(old) for row in known)


def test_a_page_painted_anew_did_not_move():
    assert shift.moves(shift.align(noisy(300), noisy(324, 8))) == ()


def test_pictures_of_another_width_are_refused():
    with pytest.raises(ValueError, match="different width"):
        shift.align(noisy(10), noisy(10, width=13))
