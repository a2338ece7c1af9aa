"""The journal as a state machine whose writer is killed with -9 at any of its writes: what it says is always what was, or what was to be."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from releases import a_release, approve

from updater.errors import ApprovalRefused, ExitCode, UpdaterError
from updater.journal import Journal
from updater.model import Inventory, Plan

STEPS = st.sampled_from(("clone", "plan", "promote"))
KILLS = st.one_of(st.none(), st.integers(0, 12))
"""Which of the writer's file operations it does not live to see; None: it lives."""
PLANS = st.integers(0, 3).map(lambda number: Plan(Inventory("fake", f"1.{number}", "8.2", ()), ()))


@dataclass(frozen=True)
class Told:
    """What the journal says of one run."""

    state: str = "running"
    steps: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Plan] = field(default_factory=dict)
    person: str | None = None


class Machine(RuleBasedStateMachine):
    """One run, one writer at a time, killed or not."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="updater-journal-"))
        self.told = Told()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        with_journal(self.folder, lambda journal: journal.begin("r1", "shop"))

    def write(self, what: Callable[[Journal], object], expected: Told, kill: int | None) -> None:
        """`expected`: what the journal says afterwards, had nothing gone wrong."""
        died = in_a_process_that_dies(self.folder, what, kill)
        seen = read(self.folder)
        if died:
            assert blind(seen) in (blind(self.told), blind(expected)), "neither what was nor what was to be"
        else:
            assert seen == expected
        self.told = seen

    @rule(step=STEPS, kill=KILLS)
    def starts(self, step: str, kill: int | None) -> None:
        expected = replace(self.told, steps=self.told.steps | {step: "started"})
        self.write(lambda journal: journal.started("r1", step, container="web"), expected, kill)

    @rule(step=STEPS, plan=PLANS, kill=KILLS)
    def is_done(self, step: str, plan: Plan, kill: int | None) -> None:
        before = self.told.outputs.get(step)
        expected = replace(self.told, steps=self.told.steps | {step: "done"}, outputs=self.told.outputs | {step: plan})
        self.write(lambda journal: journal.done("r1", step, plan), expected, kill)
        assert self.told.outputs.get(step) in (before, plan), "an output is whole, or the one before it"

    @rule(kill=KILLS)
    def waits(self, kill: int | None) -> None:
        expected = replace(self.told, state="awaiting approval")
        self.write(
            lambda journal: journal.finish("r1", "awaiting approval", ExitCode.AWAITING_APPROVAL), expected, kill
        )

    @rule(kill=KILLS)
    def is_rejected(self, kill: int | None) -> None:
        expected = replace(self.told, state="rejected")
        self.write(lambda journal: journal.finish("r1", "rejected", ExitCode.REJECTED), expected, kill)

    @precondition(lambda self: self.told.state == "awaiting approval" and self.told.person is None)
    @rule(person=st.sampled_from(("Anna", "Boris")), kill=KILLS)
    def is_approved(self, person: str, kill: int | None) -> None:
        expected = replace(self.told, person=person)
        self.write(lambda journal: approve(journal, a_release("r1"), person=person), expected, kill)

    @precondition(lambda self: self.told.state != "awaiting approval" or self.told.person is not None)
    @rule()
    def cannot_be_approved(self) -> None:
        journal = Journal(self.folder)
        try:
            approve(journal, a_release("r1"), person="Eve", lasts=timedelta(days=1))
        except ApprovalRefused:
            pass
        else:
            raise AssertionError("an approval out of turn")
        finally:
            journal.close()
        assert read(self.folder) == self.told

    @rule(kill=KILLS)
    def approval_is_withdrawn(self, kill: int | None) -> None:
        self.write(lambda journal: journal.withdraw("r1"), replace(self.told, person=None), kill)

    @invariant()
    def a_done_step_has_its_output(self) -> None:
        assert {step for step, status in self.told.steps.items() if status == "done"} <= self.told.outputs.keys()


def blind(told: Told) -> Told:
    """Without outputs: one that is written for a step not yet done may lie there, and nobody reads it."""
    return replace(told, outputs={})


def with_journal(folder: Path, what: Callable[[Journal], object]) -> None:
    journal = Journal(folder)
    what(journal)
    journal.close()


def read(folder: Path) -> Told:
    """What a stranger who opens the journal is told."""
    journal = Journal(folder)
    try:
        approval = journal.approval("r1")
        outputs = {}
        for step in ("clone", "plan", "promote"):
            try:
                outputs[step] = journal.output("r1", step, Plan)
            except UpdaterError:
                continue
        return Told(
            journal.find("r1").state,
            {row.step: row.status for row in journal.steps("r1")},
            outputs,
            approval.person if approval else None,
        )
    finally:
        journal.close()


def in_a_process_that_dies(folder: Path, what: Callable[[Journal], object], kill: int | None) -> bool:
    """Whether it died: `kill -9` of itself before its file operation of that number, as Python's audit events count them."""
    child = os.fork()
    if child == 0:
        try:
            if kill is not None:
                _die_at(kill)
            with_journal(folder, what)
        except BaseException:  # noqa: BLE001 - a child of fork must never return into pytest
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the writer failed by itself"
    return os.WIFSIGNALED(status)


def _die_at(number: int) -> None:
    left = [number]

    def count(event: str, _arguments: object) -> None:
        if event in (
            "open",
            "os.rename",
            "os.mkdir",
            "os.chmod",
            "os.remove",
            "sqlite3.connect",
            "sqlite3.connect/handle",
        ):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


TestJournal = Machine.TestCase
TestJournal.settings = settings(max_examples=12, stateful_step_count=15, deadline=None, derandomize=True)
