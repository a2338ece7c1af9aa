"""The bench's own arithmetic: turns, medians, goals, and what is kept from another day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import shop
from measure.pairs import Pairs, measured, side_by_side
from measure.table import Line, Row, amount, keep, page, section, verdict


def row(*lines: Line, wrong: tuple[str, ...] = ()) -> Row:
    return Row(
        "Title", "them", "How.", lines, wrong, measured="2026-11-25 18:00 UTC", machine="2 cores", load="1 before"
    )


def test_pairs_are_taken_in_both_orders_after_one_turn_that_does_not_count() -> None:
    asked: list[str] = []

    def turn(who: str) -> float:
        asked.append(who)
        return float(len(asked))

    pairs = side_by_side(lambda: turn("a"), lambda: turn("b"), 3)
    assert "".join(asked) == "ab" + "ab" + "ba" + "ab"
    assert (pairs.ours, pairs.theirs) == ((3, 6, 7), (4, 5, 8))
    assert measured(lambda: 1.0, lambda: 2.0, 1) == Pairs((1.0,), (2.0,))


def test_a_ratio_is_one_of_medians_and_shows_its_spread() -> None:
    line = Line.of("x", Pairs((1.0, 2.0, 90.0), (4.0, 4.0, 9.0)), 0.6)
    assert (line.ours, line.theirs, line.ratio, line.missed) == (2.0, 4.0, 0.5, None)
    assert line.spread == "0.25 – 10"


def test_a_missed_goal_says_by_how_much_and_why() -> None:
    line = Line("load", 9.0, "s", 10.0, goal=0.75, why="one connection loads it")
    assert verdict(line) == "**no**, 20 % over"
    text = section("clone", row(line))
    assert "≤ 0.75 ×" in text
    assert "- Missed, load: one connection loads it" in text
    met = section("clone", row(replace(line, ours=7.0)))
    assert "Missed" not in met
    assert "| yes |" in met
    alone = Line("restore", 4.0, "s", goal=3.0)
    assert verdict(alone) == "**no**, 33 % over"
    assert "≤ 3 s" in section("clone", row(alone))
    assert verdict(Line("x", 1.0, "s", 2.0)) == ""


def test_what_was_measured_another_day_keeps_its_date_and_what_never_was_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    keep(path, "old", replace(row(Line("a", 1.0, "s")), measured="2026-01-02 03:04 UTC"))
    rows = keep(path, "new", row(Line("b", 1.0, "s"), wrong=("counts differ",)))
    assert rows == keep(path, "new", row(Line("b", 1.0, "s"), wrong=("counts differ",)))
    text = page(rows, ["new", "old", "never"], {"never": "what nobody saw"})
    assert text.index("Measured 2026-11-25") < text.index("Measured 2026-01-02") < text.index("Not measured yet")
    assert "**WRONG**: counts differ" in text
    assert "`make bench ONLY=never`: what nobody saw" in text


def test_a_pipe_in_a_name_does_not_end_its_cell() -> None:
    assert "| dump \\| load | 1 s |" in section("x", row(Line("dump | load", 1.0, "s")))


def test_amounts_are_written_as_people_read_them() -> None:
    told = [amount(value, "s") for value in (0.0123, 0.31, 12.345, 200)]
    assert told == ["12.3 ms", "0.31 s", "12.3 s", "3 min 20 s"]
    assert amount(318.4, "MB") == "318 MB"


def test_the_bench_shop_is_the_same_each_time_and_each_look_differs() -> None:
    pages = {look: shop.page(shop.PAGES[0], look) for look in shop.LOOKS}
    assert pages == {look: shop.page(shop.PAGES[0], look) for look in shop.LOOKS}
    assert len(set(pages.values())) == len(shop.LOOKS)
    changed = [a != b for a, b in zip(pages[""].split("<li>"), pages["price"].split("<li>"), strict=True)]
    assert np.flatnonzero(changed).tolist() == [10]
    assert shop.photograph(1) != shop.photograph(2)
