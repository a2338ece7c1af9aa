"""Which cases there are: every fault at both sides of every journal write and inside every act, on the way there and on the way back."""

from __future__ import annotations

import random
from collections.abc import Sequence

import injuries
import points
from harness import Case
from planted import PLANTED
from points import Point

RANDOM = 30
SEED = 20261125
_LATE = 6.0
"""Seconds after the updater's start; a promotion that nothing happens to takes about five."""


def cases(seed: int = SEED, *, every: bool = False) -> tuple[Case, ...]:
    """`seed`: of the times of the last RANDOM. `every`: each fault at each place, which takes twice as long; else each fault inside
    every act and beside the journal's writes of every state, by turns."""
    # Those that show the planted faults stay green without them.
    shown = [it.case for it in PLANTED if it.case.fault == injuries.PAUSE]
    return (
        *unhurt(), *inside(), *beside(4 if not every else len(injuries.INJURIES)),
        *on_the_way_back(2 if not every else len(injuries.ON_THE_SERVER)),
        *of_the_migration(), *of_the_decision(), *shown, *at_any_time(seed),
    )  # fmt: skip


def drawn(number: int, seed: int) -> tuple[Case, ...]:
    """That many of every case, each at most once."""
    everything = cases(seed, every=True)
    return tuple(random.Random(seed).sample(everything, min(number, len(everything))))


def unhurt() -> list[Case]:
    """Nothing happens: it ends new, or the other verdicts would prove nothing."""
    return [
        Case(injuries.NOTHING, migration=migration, revalidates=revalidates, expects="new")
        for migration in (None, "")
        for revalidates in (False, True)
    ]


def inside() -> list[Case]:
    return [
        _case(fault, point, number + turn, expects=_expected(fault, point))
        for number, point in enumerate(points.ACTS)
        for turn, fault in enumerate(injuries.INJURIES)
    ]


def beside(each: int) -> list[Case]:
    """Both sides of every journal write on the way there. A state has four: by turns of three faults and more it meets all of them."""
    return [
        _case(fault, point, number // 2 + turn, expects=_expected(fault, point))
        for number, point in enumerate(points.JOURNAL)
        for turn, fault in enumerate(_by_turns(injuries.INJURIES, number, each))
    ]


def on_the_way_back(each: int) -> list[Case]:
    """A check fails, and the way back is hurt."""
    return [
        _case(fault, point, number + turn, check="fails", expects="old")
        for number, point in enumerate(points.WAY_BACK)
        for turn, fault in enumerate(_by_turns(injuries.ON_THE_SERVER, number, each))
    ]


def _by_turns(faults: Sequence[str], number: int, each: int) -> list[str]:
    return [faults[(number * each + turn) % len(faults)] for turn in range(each)]


def of_the_migration() -> list[Case]:
    fails = [Case(injuries.MIGRATION_FAILS, migration=how, expects="old") for how in ("fails", "says nothing")]
    hangs = [Case(injuries.MIGRATION_HANGS, migration=how, expects="old") for how in ("hangs in php", "hangs in sql")]
    worse = [
        Case(fault, points.IN_MIGRATION, migration=how, expects="old")
        for how in ("hangs in php", "hangs in sql")
        for fault in (injuries.UPDATER_KILLED, injuries.WATCHDOG_KILLED, *injuries.ON_THE_SERVER)
    ]
    return fails + hangs + worse


def of_the_decision() -> list[Case]:
    failed = [
        Case(injuries.CHECK_FAILS, migration=migration, check=check, revalidates=revalidates, expects="old")
        for check in ("fails", "breaks")
        for migration in (None, "")
        for revalidates in (False, True)
    ]
    late = [
        Case(injuries.AT_DEADLINE, migration=migration, confirm=seconds, expects=expects)
        for migration in (None, "")
        for seconds, expects in ((-2.5, "new"), (-0.5, ""), (-0.2, ""), (-0.05, ""), (0.0, ""), (0.1, "old"), (0.5, "old"), (2, "old"))
    ]  # fmt: skip
    answers = [
        Case(injuries.REPLY_LOST, points.answer(verb), migration=migration, expects="new")
        for verb in ("start", "confirm")
        for migration in (None, "")
    ]
    lost = [
        Case(injuries.REPLY_LOST, points.answer("reject"), migration=migration, check="fails", expects="old")
        for migration in (None, "")
    ]
    return failed + late + answers + lost


def at_any_time(seed: int) -> list[Case]:
    chance = random.Random(seed)
    return [
        Case(
            fault=chance.choice(injuries.INJURIES),
            seconds=round(chance.uniform(0.0, _LATE), 2),
            migration=chance.choice((None, "", "")),
            check=chance.choice(("passes", "passes", "fails")),
            revalidates=chance.random() < 0.5,
        )
        for _ in range(RANDOM)
    ]


def telling() -> Sequence[Case]:
    """For `make test`: each fault once, each act once, both kinds of release, both kinds of opcache."""
    acts = {point.state: point for point in points.ACTS}
    back = {point.name: point for point in points.WAY_BACK}
    hurt = (
        (injuries.UPDATER_KILLED, "checked"),
        (injuries.SSH_CUT, "closed"),
        (injuries.NETWORK, "decided"),
        (injuries.PROCESS_KILLED, "swapped"),
        (injuries.WATCHDOG_KILLED, "drained"),
        (injuries.ALL_KILLED, "migrated"),
        (injuries.RESTART, "opened"),
        (injuries.DATABASE, "dumped"),
        (injuries.DISK_FULL, "staged"),
        (injuries.REPLY_LOST, "swapped"),
    )
    return (
        *(_case(fault, acts[act], turn, expects=_expected(fault, acts[act])) for turn, (fault, act) in enumerate(hurt)),
        Case(injuries.MIGRATION_FAILS, migration="fails", expects="old"),
        Case(injuries.MIGRATION_HANGS, migration="hangs in sql", expects="old"),
        Case(injuries.DISK_FULL, back["the tables are back"], check="fails", expects="old"),
        # Nothing is left but the crontab line.
        Case(
            injuries.ALL_KILLED, back["after “done opened” is journaled"], migration=None, check="fails", expects="old"
        ),
        Case(injuries.AT_DEADLINE, migration=None, confirm=0.3, expects="old"),
    )


def _case(fault: str, point: Point, turn: int, **rest: str) -> Case:
    """By turns with a migration and without, where the place is in both, and with each kind of opcache."""
    both = point.state not in points.MIGRATION_ONLY
    return Case(
        fault,
        point,
        migration=None if both and turn % 2 else "",
        revalidates=turn // 2 % 2 == 1,
        **rest,  # type: ignore[arg-type]
    )


def _expected(fault: str, point: Point) -> str:
    """What must come of it: new once that was decided and where nothing of ours is gone for good, old where it is."""
    decided = point.state == "opened" or "done checked" in point.name
    if decided or fault in (injuries.SSH_CUT, injuries.WATCHDOG_KILLED, injuries.REPLY_LOST):
        return "new"
    killed = (injuries.UPDATER_KILLED, injuries.ALL_KILLED)
    if point.state == "checked":  # without its process a finished shop can still be confirmed
        return "old" if fault in killed else ""
    return "old" if point.state != "decided" and fault in (*killed, injuries.PROCESS_KILLED) else ""
