"""The smallest set of updates that breaks the shop is found, in few trials, and nothing innocent is held back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.culprit import Culprit, find
from updater.model import Verdict

PASS, FAIL, INCONCLUSIVE = Verdict("PASS"), Verdict.FAIL, Verdict.INCONCLUSIVE


class Shop:
    """A shop that breaks when all of any guilty set are applied. Counts the trials; asks about no set twice."""

    def __init__(self, *guilty: set[str], unknown: set[str] | None = None) -> None:
        self.guilty, self.unknown, self.asked = guilty, unknown, []

    def trial(self, some: frozenset[str]) -> Verdict:
        assert some not in self.asked, "asked twice"
        self.asked.append(some)
        if self.unknown is not None and self.unknown <= some:
            return INCONCLUSIVE
        return FAIL if any(guilty <= some for guilty in self.guilty) else PASS


def names(count: int) -> list[str]:
    return [f"plugin:{index:02d}" for index in range(count)]


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_one_culprit_is_found_in_few_trials_and_the_rest_is_proven(case: tuple[int, int]) -> None:
    count, index = case
    updates = names(count)
    shop = Shop({updates[index]})
    found = find(updates, shop.trial)
    assert found.broken == {updates[index]}
    assert found.rest == set(updates) - found.broken
    assert len(shop.asked) == found.trials <= 2 * math.log2(count) + 3
    assert not found.rest or found.rest in shop.asked


@given(st.data())
def test_two_updates_that_only_break_together_are_named_together(data: st.DataObject) -> None:
    updates = names(data.draw(st.integers(2, 12)))
    pair = set(data.draw(st.permutations(updates))[:2])
    found = find(updates, Shop(pair).trial)
    if not found.why:
        assert found.broken == pair
    assert not pair <= found.rest


@given(st.data())
def test_a_set_that_is_kept_never_holds_a_guilty_one(data: st.DataObject) -> None:
    updates = names(data.draw(st.integers(1, 10)))
    guilty = data.draw(st.lists(st.sets(st.sampled_from(updates), min_size=1, max_size=3), min_size=1, max_size=3))
    found = find(updates, Shop(*guilty).trial)
    assert not any(some <= found.rest for some in guilty)


def test_two_culprits_are_both_held_back() -> None:
    updates = names(8)
    found = find(updates, Shop({updates[1]}, {updates[6]}).trial)
    assert found.broken == {updates[1], updates[6]}
    assert found.rest == set(updates) - found.broken


def test_a_rest_that_cannot_be_judged_is_not_kept() -> None:
    found = find(["a", "b"], Shop({"a"}, unknown={"b"}).trial)
    assert found == Culprit(frozenset({"a"}), frozenset(), found.trials, found.why)
    assert "could not be judged" in found.why


@pytest.mark.parametrize("most", [1, 2, 3])
def test_it_gives_up_when_the_trials_run_out(most: int) -> None:
    updates = names(16)
    shop = Shop({updates[3], updates[12]})
    found = find(updates, shop.trial, most)
    assert len(shop.asked) <= most
    assert (found.broken, found.rest) == (frozenset(), frozenset())
    assert "not found within" in found.why
