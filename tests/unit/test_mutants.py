"""Mutants are drawn the same for a seed, fit the plugins they change, and are counted by what their orders said."""

from __future__ import annotations

from dataclasses import replace

import mutants
import pytest
from mutants import Result
from oracle import differences

CAUGHT, MISSED, UNDECIDED = range(3)


def result(*orders: str, verdict: str = "FAIL", **changes: str) -> Result:
    plain = Result(
        "m", "hook dropped", "a.php:1", "a();", "(dropped)", orders, verdict, "facts: 1", 30.0, "c", "abc1234"
    )
    return replace(plain, **changes)


def test_a_draw_is_the_same_for_a_seed_and_holds_every_kind():
    drawn = mutants.drawn(60, seed=7)
    assert [it.name for it in drawn] == [it.name for it in mutants.drawn(60, seed=7)]
    assert [it.name for it in drawn] != [it.name for it in mutants.drawn(60, seed=8)]
    assert {it.kind for it in drawn} == {rule[0] for rule in mutants.RULES}


def test_every_mutant_changes_one_line_of_one_file():
    sound = mutants.sources()
    for mutant in mutants.places():
        # A plugin's version, in the head of its main file, is raised with every package.
        was = sound[mutant.path].replace(" * Version: 1.0\n", " * Version: 1.0.1\n").split("\n")
        becomes = mutants.changed(mutant).split("\n")
        apart = [number for number, (a, b) in enumerate(zip(was, becomes, strict=True), 1) if a != b]
        assert apart == [mutant.line], mutant.name


def test_the_oracle_tells_what_is_answered_otherwise_or_no_more():
    sound = {"desk: cart": "12 490,00", "stock": "14"}
    assert differences(sound, dict(sound)) == []
    assert differences(sound, {"desk: cart": "12,00"}) == ["desk: cart: 12 490,00 → 12,00", "stock: 14 → nothing"]


@pytest.mark.parametrize(
    ("seen", "column"),
    [
        (result("stock: 14 → 15"), CAUGHT),
        (result("stock: 14 → 15", verdict="PASS"), MISSED),
        (result("stock: 14 → 15", verdict="INCONCLUSIVE"), UNDECIDED),
        (result(), 3),
        (result(verdict="PASS"), 4),
        (result(verdict="none"), 5),
    ],
)
def test_what_is_counted_where(seen: Result, column: int):
    assert seen.column == column


def test_the_page_names_what_was_let_through_and_how_sure_the_rate_is():
    page = mutants.table([result("stock: 14 → 15", verdict="PASS"), result("x: 1 → 2"), result(verdict="PASS")])
    assert "**2 of 3 do harm to orders; 1 of these were let through** (50%; at most 97% with 95 % confidence)" in page
    assert "| hook dropped | 1 | 1 | 0 | 0 | 1 | 0 |" in page
    assert "- `a.php:1` hook dropped: `a();` → `(dropped)`. stock: 14 → 15" in page
