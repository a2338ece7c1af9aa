"""What was measured, as it is kept and as it is read: results.json and README.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measure.pairs import Pairs, middle


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of ours, beside a peer's where there is one.

    `goal`: what the ratio to the peer may be at most; without a peer, what our figure may be at most. `why` is shown when
    it is missed. Lines of one `group` have a table of their own, headed by it; '' is headed by the row's title.
    """

    what: str
    ours: float
    unit: str
    theirs: float | None = None
    goal: float | None = None
    pairs: int = 1
    spread: str = ""
    note: str = ""
    why: str = ""
    group: str = ""

    @classmethod
    def of(cls, what: str, pairs: Pairs, goal: float | None = None, note: str = "", why: str = "") -> Line:
        """In seconds."""
        ours, theirs = middle(pairs.ours), middle(pairs.theirs)
        return cls(what, ours, "s", theirs, goal, len(pairs.ours), pairs.spread, note, why)

    @property
    def ratio(self) -> float | None:
        return self.ours / self.theirs if self.theirs else None

    @property
    def missed(self) -> float | None:
        """By which share of the goal; None when it is met or there is none."""
        if self.goal is None:
            return None
        reached = self.ours if self.theirs is None else self.ours / self.theirs
        return reached / self.goal - 1 if reached > self.goal else None


@dataclass(frozen=True, slots=True)
class Growth:
    """Seconds of each step at three sizes of one thing, the smallest first: the database grows, and is counted in MB."""

    what: str
    unit: str
    sizes: tuple[float, ...]
    steps: Mapping[str, tuple[float, ...]]

    def times(self, step: str) -> tuple[float, float]:
        """From the middle size to the largest: how many times the size, how many times the seconds."""
        seconds = self.steps[step]
        return self.sizes[-1] / self.sizes[-2], seconds[-1] / seconds[-2]

    def kind(self, step: str) -> str:
        """By the two larger sizes, where the fixed part weighs least; a quarter is noise."""
        size, time = self.times(step)
        if time < _NOISE:
            return "stays"
        if time <= size / _NOISE:
            return "less than linear"
        return "linear" if time <= size * _NOISE else "**more than linear**"

    @property
    def most(self) -> str:
        """The step that adds the most seconds from the smallest size to the largest."""
        return max(self.steps, key=lambda step: self.steps[step][-1] - self.steps[step][0])


_NOISE = 1.25


@dataclass(frozen=True, slots=True)
class Row:
    """What one `ONLY=` measures. `wrong`: results that must not be, whatever the time."""

    title: str
    peer: str
    how: str
    lines: tuple[Line, ...]
    wrong: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    measured: str = ""
    """Day and minute, UTC"""
    machine: str = ""
    load: str = ""
    """Processes that wanted to run: before and after"""
    growths: tuple[Growth, ...] = ()


def keep(path: Path, name: str, row: Row) -> dict[str, Row]:
    """Put this row among those measured before, and return them all."""
    rows = kept(path)
    rows[name] = row
    path.write_text(
        json.dumps({key: asdict(value) for key, value in rows.items()}, ensure_ascii=False, indent=1) + "\n"
    )
    return rows


def kept(path: Path) -> dict[str, Row]:
    if not path.exists():
        return {}
    known = json.loads(path.read_text(encoding="utf-8"))
    return {name: _row(told) for name, told in known.items()}


def _row(told: dict[str, Any]) -> Row:
    lines = tuple(Line(**line) for line in told["lines"])
    growths = tuple(
        Growth(
            it["what"], it["unit"], tuple(it["sizes"]), {step: tuple(seconds) for step, seconds in it["steps"].items()}
        )
        for it in told.get("growths", ())
    )
    return Row(**{**told, "lines": lines, "wrong": tuple(told["wrong"]), "growths": growths})


def amount(value: float, unit: str) -> str:
    """`12 ms`, `1.53 s`, `3 min 20 s`, `318 MB`."""
    if unit != "s":
        return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
    if value < 0.0995:
        return f"{value * 1000:.3g} ms"
    if value < 100:
        return f"{value:.3g} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def verdict(line: Line) -> str:
    """`yes`, `no: 12 % over`, or nothing where nothing was aimed at."""
    if line.goal is None:
        return ""
    over = line.missed
    return "yes" if over is None else f"**no**, {over:.0%} over".replace("%", " %")


def aimed(line: Line) -> str:
    if line.goal is None:
        return ""
    return f"≤ {amount(line.goal, line.unit)}" if line.theirs is None else f"≤ {line.goal:g} ×"


def section(name: str, row: Row) -> str:
    """One row of the bench as Markdown."""
    tables = [_table(group or row.title, row, group) for group in dict.fromkeys(line.group for line in row.lines)]
    tables += [_growth_table(growth) for growth in row.growths]
    said = [f"{row.how} Measured {row.measured} (`make bench ONLY={name}`), {row.machine}; load {row.load}."]
    if row.versions:
        said.append("; ".join(f"{what} {version}" for what, version in row.versions.items()) + ".")
    notes = [f"- {line.what}: {line.note}" for line in row.lines if line.note]
    notes += [f"- Missed, {line.what}: {line.why}" for line in row.lines if line.missed is not None and line.why]
    notes += [f"- **WRONG**: {what}" for what in row.wrong]
    body = "\n".join(tables)
    return f"## {row.title}\n\n{body}\n{' '.join(said)}\n" + ("\n" + "\n".join(notes) + "\n" if notes else "")


def _table(head: str, row: Row, group: str) -> str:
    lines = "".join(_table_row(line) for line in row.lines if line.group == group)
    return f"| {head} | ours | {row.peer or 'peer'} | ratio | goal | met |\n|---|---|---|---|---|---|\n{lines}"


def _growth_table(growth: Growth) -> str:
    """Three columns of seconds, how the step grows, and below it a sentence that names what grows most."""
    sizes = [f"{size:,.0f} {growth.unit}" for size in growth.sizes]
    head = f"| Step | {' | '.join(sizes)} | from the second to the third |\n|---|{'---|' * (len(sizes) + 1)}\n"
    body = ""
    for step, seconds in growth.steps.items():
        size, time = growth.times(step)
        grows = f"{growth.kind(step)}: {time:.2g} × the time for {size:.2g} × the {growth.what}"
        body += "| " + " | ".join([step, *(amount(it, "s") for it in seconds), grows]) + " |\n"
    return f"{head}{body}\n{_what_grows(growth)}\n"


def _what_grows(growth: Growth) -> str:
    most = growth.most
    added = growth.steps[most][-1] - growth.steps[most][0]
    faster = [step for step in growth.steps if growth.kind(step).startswith("**")]
    told = f"More than linear: {', '.join(faster)}" if faster else "No step grows more than linearly"
    return (
        f"With the {growth.what}, what grows most is “{most}”: {amount(added, 's')} more at {growth.sizes[-1]:,.0f} than at "
        f"{growth.sizes[0]:,.0f} {growth.unit}. {told}."
    )


def _table_row(line: Line) -> str:
    theirs = "" if line.theirs is None else amount(line.theirs, line.unit)
    ratio = "" if line.ratio is None else f"{line.ratio:.2g}"
    if line.spread:
        ratio += f" ({line.spread}, {line.pairs} pairs)"
    cells = (line.what, amount(line.ours, line.unit), theirs, ratio, aimed(line), verdict(line))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


INTRODUCTION = """\
# Measured beside others

Written by `make bench` from `results.json`; `make bench ONLY=name` measures one part anew and leaves the rest with its date. Each figure is a
median; a ratio is ours ÷ theirs, both measured in the same minutes by turns and in both orders, in brackets the smallest and the largest of
single pairs. Read ratios, not seconds: the machine does other things too. Under 25 % is noise.
"""


def page(rows: Mapping[str, Row], order: list[str], about: Mapping[str, str]) -> str:
    """README.md. What was never measured is said to be."""
    parts = [INTRODUCTION]
    parts += [section(name, rows[name]) for name in order if name in rows]
    if absent := [name for name in order if name not in rows]:
        listed = "\n".join(f"- `make bench ONLY={name}`: {about[name]}" for name in absent)
        parts.append(f"## Not measured yet\n\n{listed}\n")
    return "\n".join(parts)
