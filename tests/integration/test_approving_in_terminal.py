"""The conversation in which a person decides: the real command, typed in a pseudo-terminal."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
import waiting_run
from waiting_run import ALWAYS, record, state, waits

from updater.errors import ExitCode

FROZEN = "policy: {freezes: [{first: 2020-01-01, last: 2099-12-31, reason: the shop is being sold}]}\n"


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    return waiting_run.two_clients(tmp_path)


@contextmanager
def terminal(folder: Path, *words: str) -> Iterator[pexpect.spawn[str]]:
    """`updater WORDS` in a terminal of its own, as over ssh: no display, 80 columns."""
    shown = pexpect.spawn(
        sys.executable,
        ["-m", "updater.cli", *words],
        cwd=str(folder),
        env={name: value for name, value in os.environ.items() if "DISPLAY" not in name} | {"TERM": "dumb"},
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 80),
        # Whoever starts these tests in the background of a shell without job control bequeaths them an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield shown
    finally:
        shown.close(force=True)


def ends(shown: pexpect.spawn[str]) -> tuple[int, str]:
    shown.expect(pexpect.EOF)
    shown.close()
    return shown.exitstatus, shown.before or ""


def test_a_person_looks_around_and_leaves_without_deciding(clients: Path) -> None:
    with terminal(clients, "approve") as person:
        person.expect("1  tea .*2  books .*1-2 shows one, q leaves: ")
        person.sendline("7")
        person.expect("q leaves: ")
        person.sendline("2")
        person.expect("Reader: 1.0 → 1.1")
        person.expect("b back, q leave: ")
        person.sendline("d")
        person.expect(re.escape(str(clients / "books" / ".updater" / "runs")))
        person.expect("q leave: ")
        person.sendline("b")
        person.expect("q leaves: ")
        person.sendline("q")
        code, _ = ends(person)
    assert code == ExitCode.AWAITING_APPROVAL
    assert [state(clients / name / "site.yml") for name in ("books", "tea")] == ["awaiting approval"] * 2


def test_a_run_is_rejected_with_its_reason_and_the_other_waits_on(clients: Path) -> None:
    with terminal(clients, "approve", "--person", "Anna") as person:
        person.expect("q leaves: ")
        person.sendline("1")
        person.expect("q leave: ")
        person.sendline("r")
        person.expect("why .*: ")
        person.sendline("the owner is on holiday")
        code, rest = ends(person)
    assert (code, state(clients / "tea" / "site.yml")) == (ExitCode.DONE, "rejected")
    assert "1 more wait" in rest
    assert record(clients / "tea" / "site.yml").notes == ("rejected by Anna: the owner is on holiday",)
    assert state(clients / "books" / "site.yml") == "awaiting approval"


def test_a_frozen_site_asks_why_it_cannot_wait_and_an_unreachable_one_waits_on(tmp_path: Path) -> None:
    site = waiting_run.a_site(tmp_path, "tea", FROZEN)
    waits(site)
    with terminal(tmp_path, "approve", "--person", "Anna") as person:
        person.expect("NOT NOW: frozen from 2020-01-01 to 2099-12-31: the shop is being sold")
        person.expect("q leave: ")
        person.sendline("a")
        person.expect("why can it not wait")
        person.sendline("")
        person.expect("q leave: ")
        person.sendline("a")
        person.expect("why can it not wait")
        person.sendline("it is being attacked")
        person.expect("comment")
        person.sendline("the owner agrees")
        code, rest = ends(person)
    assert code == ExitCode.USAGE
    assert "127.0.0.1" in rest, "it went on to production, which nobody answers for"
    assert state(site) == "awaiting approval"
    assert "not deployed" in record(site).notes[-1]


def test_ctrl_c_at_the_question_decides_nothing(tmp_path: Path) -> None:
    site = waiting_run.a_site(tmp_path, "tea", ALWAYS)
    waits(site)
    with terminal(tmp_path, "approve") as person:
        person.expect("q leave: ")
        person.sendintr()
        code, _ = ends(person)
    assert (code, state(site)) == (ExitCode.INTERRUPTED, "awaiting approval")


def test_a_closed_stdin_is_refused_and_never_waits(clients: Path) -> None:
    shown = pexpect.run(
        f"sh -c '{sys.executable} -m updater.cli approve < /dev/null'",
        cwd=str(clients),
        timeout=30,
        withexitstatus=True,
    )
    assert shown[1] == ExitCode.AWAITING_APPROVAL
    assert b"an answer is needed" in shown[0]
