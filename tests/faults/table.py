"""docs/faults.md: what came out, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

import matrix
import points
from harness import BETWEEN, ENOUGH, LATE, Case, Result
from planted import PLANTED, Planted


def summary(results: Sequence[Result], void: Sequence[Case]) -> str:
    """A table of one row, for the terminal too."""
    orders = {kind: sum(it.orders[kind] for it in results) for kind in ("acknowledged", "refused", "unknown")}
    rows = (
        ("cases", len(results)),
        ("void (too few orders came; run once more)", len(void)),
        ("void again", sum(it.void for it in results)),
        ("ended as the old shop", sum(it.end == "old" for it in results)),
        ("ended as the tested shop", sum(it.end == "new" for it in results)),
        ("ended between (promised: 0)", sum(it.end == BETWEEN for it in results)),
        ("closed after the deadline (promised: 0)", sum(LATE in what for it in results for what in it.wrong)),
        ("orders acknowledged", orders["acknowledged"]),
        ("orders refused by the closed shop", orders["refused"]),
        ("orders without an answer", orders["unknown"]),
        ("acknowledged orders lost (promised: 0)", sum(it.lost for it in results)),
        ("cases in which anything else was wrong (promised: 0)", sum(bool(it.wrong) for it in results)),
    )
    return "| | |\n|---|---:|\n" + "\n".join(f"| {name} | {value:,} |" for name, value in rows)


TWINS = {"opencart": "OpenCart 4, on the twin"}
"""CMS whose twin is hurt too → title of its part of the page"""
NOT_HURT = """## 1C-Bitrix

`make faults CMS=bitrix` hurts a replay ([bitrix.md](bitrix.md)) on the twin: everything of ours on the server is killed at both sides of every line
of its journal and inside its own acts, there and back, with a database that may go back and one that may not
(`tests/faults/test_replay_faults.py`). For each place it is known which of three it has to end as: the shop of before, the one that was
tested, or stopped, with the gate closed, nothing of ours running, and all of it back after `transaction.sh back`. No customers order meanwhile,
and nothing but this kill is inflicted; the other faults are those above. A restore into production goes through the transaction that is hurt above.
"""


def written(
    results: Sequence[Result],
    void: Sequence[Case],
    planted: Mapping[str, Result],
    seed: int,
    minutes: float,
    before: str = "",
) -> str:
    """`before`: the page as it is; what it says of the twins stays."""
    twins = "".join(f"\n{part}" for title in TWINS.values() if (part := _part(before, title)))
    return f"{_first(results, void, planted, seed, minutes)}{twins}\n{NOT_HURT}"


def with_twin(
    page: str, cms: str, results: Sequence[Result], void: Sequence[Case], planted: Mapping[str, Result], minutes: float
) -> str:
    """The page with what came out on this twin in place of what it said of it."""
    rest = page
    for title in ("1C-Bitrix", TWINS[cms]):
        rest = rest.replace(_part(rest, title), "") if _part(rest, title) else rest
    return f"{rest.rstrip()}\n\n{_of_twin(TWINS[cms], results, void, planted, minutes)}\n{NOT_HURT}"


def _part(page: str, title: str) -> str:
    """From this heading up to the next one of its level."""
    _, found, rest = page.partition(f"\n## {title}\n")
    return f"## {title}\n{rest.partition(chr(10) + '## ')[0].rstrip()}\n" if found else ""


def _of_twin(
    title: str, results: Sequence[Result], void: Sequence[Case], planted: Mapping[str, Result], minutes: float
) -> str:
    wrong = [f"- {it.case.name}: {'; '.join(it.wrong)}" for it in results if it.wrong]
    return f"""## {title}

Written by `make faults CMS=opencart` on {datetime.now(UTC):%Y-%m-%d}: {len(results)} cases in {minutes:.0f} minutes.

The shop is the twin (`demo/opencart-twin/`), the release an update of OpenCart and of an extension that its driver applied and
rehearsed; gate, units, caches and patches are the driver's own. Customers order through cart, address and “Confirm Order”. What
is looked at is the same as above. A fault that stops the database waits until the gate is closed: OpenCart goes on after a query
that fails, and says that an order is placed.

{summary(results, void)}
{chr(10).join(("", "### What was wrong", "", *wrong, "")) if wrong else ""}
| case | end | closed | acknowledged | no answer | lost |
|---|---|---:|---:|---:|---:|
{_by_case(results)}

| planted | what the harness said |
|---|---|
{_planted(planted, [it for it in PLANTED if it.name in planted])}
"""


def _by_case(results: Sequence[Result]) -> str:
    return "\n".join(
        f"| {it.case.name} | {it.end} | {it.closed:.1f} s | {it.orders['acknowledged']:,} | {it.orders['unknown']:,} | {it.lost} |"
        for it in sorted(results, key=lambda it: it.case.name)
    )


def _first(
    results: Sequence[Result], void: Sequence[Case], planted: Mapping[str, Result], seed: int, minutes: float
) -> str:
    wrong = [f"- {it.case.name}: {'; '.join(it.wrong)}" for it in results if it.wrong]
    return f"""# What is left of a shop when a promotion is hurt

Written by `make faults` on {datetime.now(UTC):%Y-%m-%d}: {len(results)} cases in {minutes:.0f} minutes, seed {seed}.
`make faults N=12 SEED=7` runs that many, drawn by that seed.

A case promotes a release from one version of a small shop to another on a real server (sshd, cron, Apache with PHP and
opcache, MariaDB) while customers place orders; two of them are slow, so that one is always on its way when the gate closes.
At an exact place the promotion is hurt: by every fault inside each of the {len(points.ACTS)} acts on the way there; at both
sides of each of the {len(points.JOURNAL) // 2} journal writes, by turns, so that every fault meets the writes of every state
(`ALL=1`: every fault at every side); at {len(points.WAY_BACK)} places on the way back; and {matrix.RANDOM} times at moments
drawn by the seed. A shim before the server's own tools stops the transaction there; the
script runs as shipped.

Afterwards the files are compared by sha256 with the old and the new shop and the tables by definition and checksum, the page is
asked for over HTTP, and gate, lock, crontab, processes and database threads are looked for. `updater recover` and another
promotion must end well. Every order that a customer was told about must be there, once. A case counts with at least
{ENOUGH} orders before closing and {ENOUGH} after opening.

{summary(results, void)}
{chr(10).join(("", "## What was wrong", "", *wrong, "")) if wrong else ""}
## Seconds closed

| | cases | median | longest |
|---|---:|---:|---:|
{_closed(results)}

Most cases are given 32 s: what waits for the deadline is undone after 24 s of them. The shipped default is at least 120 s.
Where everything of ours is dead, cron starts the watchdog, within a minute.

## By fault

| fault | cases | old | new | closed, median | longest | acknowledged | no answer | lost |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{_by_fault(results)}

## The harness is seen to turn red

Each of these was planted in a copy of the transaction, and looked for by one case.

| planted | what the harness said |
|---|---|
{_planted(planted)}
"""


def _closed(results: Sequence[Result]) -> str:
    rows = []
    for name, with_migration in (("code only", False), ("with a migration", True)):
        some = [it for it in results if (it.case.migration is not None) == with_migration and it.closed]
        unhurt = [it.closed for it in some if it.case.fault == "nothing"]
        rows.append((f"{name}, nothing happens", unhurt))
        rows.append((f"{name}, all cases", [it.closed for it in some]))
    return "\n".join(
        f"| {name} | {len(seconds)} | {median(seconds):.1f} | {max(seconds):.1f} |" for name, seconds in rows if seconds
    )


def _by_fault(results: Sequence[Result]) -> str:
    rows = []
    for fault in dict.fromkeys(it.case.fault for it in results):
        some = [it for it in results if it.case.fault == fault]
        closed = [it.closed for it in some if it.closed] or [0.0]
        ends = [sum(it.end == end for it in some) for end in ("old", "new")]
        orders = [sum(it.orders[kind] for it in some) for kind in ("acknowledged", "unknown")]
        rows.append(
            f"| {fault} | {len(some)} | {ends[0]} | {ends[1]} | {median(closed):.1f} s | {max(closed):.1f} s | "
            f"{orders[0]:,} | {orders[1]:,} | {sum(it.lost for it in some)} |"
        )
    return "\n".join(sorted(rows))


def _planted(seen: Mapping[str, Result], of: Sequence[Planted] = PLANTED) -> str:
    def said(name: str) -> str:
        if name not in seen:
            return "not run"
        return "; ".join(what.partition("\n")[0].rstrip(" :") for what in seen[name].wrong) or "nothing"

    return "\n".join(f"| {it.name} | {said(it.name)} |" for it in of)
