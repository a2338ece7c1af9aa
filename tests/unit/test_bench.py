"""The bench's own arithmetic: turns, medians, goals, and what is kept from another day."""

from __future__ import annotations

import json
import mmap
import os
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pytest
from measure import filling, shop, whole
from measure.footprint import Peak, occupied, tree
from measure.pairs import Pairs, measured, side_by_side
from measure.table import Growth, Line, Row, amount, keep, page, section, verdict


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


FILES = Growth(
    "number of files",
    "files",
    (1_000, 4_000, 16_000),
    {
        "copied": (1.0, 2.0, 6.0),
        "started": (3.0, 2.9, 3.2),
        "compared": (0.1, 0.5, 2.2),
        "sorted": (0.1, 1.0, 9.0),
    },
)


def test_how_a_step_grows_is_told_by_the_two_larger_sizes() -> None:
    assert {step: FILES.kind(step) for step in FILES.steps} == {
        "copied": "less than linear",
        "started": "stays",
        "compared": "linear",
        "sorted": "**more than linear**",
    }
    text = section("growth", replace(row(), growths=(FILES,)))
    assert "| Step | 1,000 files | 4,000 files | 16,000 files | from the second to the third |" in text
    assert "| compared | 0.1 s | 0.5 s | 2.2 s | linear: 4.4 × the time for 4 × the number of files |" in text
    assert "what grows most is “sorted”: 8.9 s more at 16,000 than at 1,000 files. More than linear: sorted." in text
    calm = replace(FILES, steps={"copied": FILES.steps["copied"]})
    assert "No step grows more than linearly." in section("growth", replace(row(), growths=(calm,)))


def test_growth_is_kept_as_it_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    grown = replace(row(), growths=(FILES,))
    keep(path, "growth", grown)
    assert keep(path, "other", row())["growth"] == grown


def test_lines_of_a_group_have_a_table_of_their_own() -> None:
    text = section(
        "x", row(Line("a", 1.0, "s"), Line("b", 2.0, "s", group="Large"), Line("c", 3.0, "s", group="Large"))
    )
    first, second = (part.splitlines() for part in text.split("\n\n")[1:3])
    assert [line.split(" | ")[0] for line in first] == ["| Title", "|---|---|---|---|---|---|", "| a"]
    assert [line.split(" | ")[0] for line in second] == ["| Large", "|---|---|---|---|---|---|", "| b", "| c"]


def done(seconds: float, *, by_hand: bool = False) -> whole.Done:
    names = {name for step in (*whole.STEPS, *whole.SUMS) for name in (step.by_hand if by_hand else step.ours)}
    peak = Peak(2_000_000, 3_000_000, 4_000_000, 5_000_000)
    return whole.Done(dict.fromkeys(names, seconds), peak, Peak(1_000_000))


def test_a_whole_run_stands_beside_the_sum_of_what_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole.npm, "installed", lambda: False)
    alone = (replace(done(6.0), seconds={"closed": 6.0, whole.CLOSED_LOOK: 5.0}), done(3.0, by_hand=True))
    shop = (replace(done(2.0), wrong=["it was rejected"]), done(1.0, by_hand=True))
    measured = whole.row("Whole", whole.SMALL, shop, alone)
    (summed,) = (line for line in measured.lines if line.what.startswith("**the whole run**"))
    assert (summed.ours, summed.theirs) == (2.0, 5.0), "five commands by hand"
    (closed,) = (line for line in measured.lines if line.goal is not None)
    assert (closed.ours, verdict(closed)) == (6.0, "**no**, 20 % over")
    assert "5 s of it a browser goes through" in closed.why
    assert "the exchange itself is 1 s" in closed.why
    assert [line.ours for line in measured.lines if line.unit == "MB"] == [2, 3, 1, 4, 5]
    assert measured.wrong == ("it was rejected",)
    assert {line.group for line in whole.row("Whole", "Large", shop).lines} == {"Large"}


def test_the_look_at_the_closed_shop_is_read_from_the_runs_log() -> None:
    said = [
        ("closed", 2),
        ("checking the closed shop", 4),
        ("test_pages[desktop]: passed", 9),
        ("decided: new", 11),
        ("decided new", 12),
    ]
    lines = [json.dumps({"message": what, "timestamp": f"2026-11-28T19:00:{at:02}Z"}) for what, at in said]
    lines.insert(1, json.dumps({"name": "promote", "event": "step", "timestamp": "2026-11-28T19:00:03Z"}))
    assert whole.closed_look("\n".join(lines)) == 7.0
    assert whole.closed_look("\n".join(lines[:2])) == 0.0


def test_further_looks_of_a_run_are_further_noise() -> None:
    timings = {"look: before": 1.0, "look: noise": 2.0, "look: noise 2": 3.0, "look: after": 4.0, "clone": 5.0}
    assert whole.steps(timings) == {"look: before": 1.0, "look: noise": 5.0, "look: after": 4.0, "clone": 5.0}


def test_a_peak_is_kept_when_less_is_seen_later() -> None:
    peak = Peak()
    peak.see(processes=5, volumes=1)
    peak.see(processes=3, volumes=2, folder=4)
    assert peak == Peak(processes=5, containers=0, folder=4, volumes=2)


def test_what_a_folder_takes_counts_a_file_with_two_names_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(100 * mmap.PAGESIZE))
    once = occupied([tmp_path])
    os.link(tmp_path / "file", tmp_path / "again")
    assert 100 * mmap.PAGESIZE <= occupied([tmp_path]) <= once + mmap.PAGESIZE
    assert occupied([]) == 0


def test_a_grandchild_belongs_to_the_tree() -> None:
    inner = "import sys; print('up', flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with Popen([sys.executable, "-c", outer], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert len(tree(process.pid)) == 2
        process.communicate()


def test_a_larger_shop_has_more_of_the_same() -> None:
    small, large = filling.tables("sh_", 30.3), filling.tables("sh_", 303)
    assert "FROM seq_1_to_70000;" in small
    assert "FROM seq_1_to_700000;" in large
    assert "CREATE TABLE sh_orders" in small
    assert r"$n < 12;" in filling.files("/srv/shop", 12, 3)


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
