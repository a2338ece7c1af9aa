"""Smoke tests walking through the shop: pytest in a process of its own, what it is told, and what it saw."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cattrs

from updater.checks.observation import Departure, PageView, Shot, Test
from updater.fact import fact_key
from updater.log import Progress, Silent

START_LIMIT = 60.0
"""Seconds that a browser may take to start."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the tests left: `collected` were to run, of `files`; `log` is what pytest said."""

    tests: tuple[Test, ...]
    views: tuple[PageView, ...]
    shots: tuple[Shot, ...]
    facts: Mapping[str, str]
    departures: tuple[Departure, ...]
    collected: int
    files: tuple[Path, ...]
    log: str
    exit_code: int
    """pytest's own; negative when it crashed or was killed"""

    @property
    def last_words(self) -> str:
        return " ".join(self.log.split())[-500:] or "it said nothing"


def together(walks: Sequence[Seen]) -> Seen:
    """What several walks at once saw, as if one had: the exit code is that of the first that went wrong, a crash before others."""
    wrong = sorted((seen.exit_code for seen in walks if seen.exit_code), key=lambda code: code > 0)
    return Seen(
        tests=tuple(test for seen in walks for test in seen.tests),
        views=tuple(view for seen in walks for view in seen.views),
        shots=tuple(shot for seen in walks for shot in seen.shots),
        facts={key: value for seen in walks for key, value in seen.facts.items()},
        departures=tuple(departure for seen in walks for departure in seen.departures),
        collected=sum(seen.collected for seen in walks),
        files=tuple(file for seen in walks for file in seen.files),
        log="\n".join(seen.log for seen in walks),
        exit_code=wrong[0] if wrong else 0,
    )


class Walk:
    """Tests that run, or stand by at a gate: their browser runs then, and nothing was asked of the shop."""

    def __init__(self, process: subprocess.Popen[str], out: Path, gate: socket.socket | None = None) -> None:
        self.process = process
        self.log = out / "pytest.log"
        self._out = out
        self._gate = gate

    def stands_by(self) -> str:
        """Waits until the browser runs. '' when it does, else why not; the process has ended then."""
        assert self._gate is not None, "this one began at once"
        self._gate.settimeout(START_LIMIT)
        with self._gate.makefile(encoding="utf-8") as told:
            try:
                said = told.readline().strip()
            except TimeoutError:
                said = f"it took longer than {START_LIMIT:.0f} s"
        if said == "ready":
            return ""
        _kill(self.process)
        seen = self.follow(Silent(), START_LIMIT)
        return said or seen.last_words

    def begin(self, cookie: tuple[str, str]) -> None:
        """Opens the gate: every visitor brings this cookie along."""
        assert self._gate is not None, "this one began at once"
        with suppress(OSError):  # it died while it waited: its exit code tells so
            self._gate.sendall(json.dumps(cookie).encode() + b"\n")

    def follow(self, progress: Progress, limit: float) -> Seen:
        """To its end, or until it is killed for taking longer than `limit` seconds. `pytest.log` has its words."""
        timer = threading.Timer(limit, _kill, [self.process])
        timer.daemon = True  # Ctrl-C may come while it starts, and the program must not wait for it at its end
        try:
            timer.start()
            assert self.process.stdout is not None
            with self.log.open("w", encoding="utf-8") as log:
                for line in self.process.stdout:
                    log.write(line)
                    ended = re.match(r"(\S*::\S.*?) (PASSED|FAILED|ERROR|SKIPPED)\b", line)
                    if ended:
                        progress.say(f"{ended[1].rpartition('::')[2]}: {ended[2].lower()}")
            return _read(self._out, self.process.wait())
        finally:
            timer.cancel()


@contextmanager
def started(
    job: Mapping[str, Any],
    chromium: Path,
    tests: Sequence[Path],
    out: Path,
    *,
    root: Path,
    hurried: bool = False,
    at_gate: bool = False,
) -> Iterator[Walk]:
    """pytest over `tests`, below `root` with our plugin; what is seen lands in `out`. Ended at the end of the block.

    `hurried`: ends at the first test that fails. `at_gate`: waits there before its first test.
    """
    out.mkdir(parents=True, exist_ok=True)
    for stale in ("junit.xml", "seen.jsonl"):
        (out / stale).unlink(missing_ok=True)
    with ExitStack() as stack:
        # The job holds what production's web server asks for: it lives outside `out`, which becomes an artefact.
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="updater-smoke-"))
        file = Path(home, "job.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps({**job, "out": str(out.resolve())}, ensure_ascii=False), encoding="utf-8")
        ours, theirs = map(stack.enter_context, socket.socketpair()) if at_gate else (None, None)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "LANG": "C.UTF-8",
            "UPDATER_SMOKE": str(file),
            "UPDATER_CHROMIUM": str(chromium),
            **({"UPDATER_SMOKE_GATE": str(theirs.fileno())} if theirs else {}),
        }
        process = subprocess.Popen(
            _command(tests, root, out, hurried),
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=[theirs.fileno()] if theirs else [],
            start_new_session=True,  # so that Chromium dies with it, and Ctrl-C is ours to handle
        )
        stack.callback(_kill, process)
        if theirs:
            theirs.close()  # else nobody would hear that it died
        yield Walk(process, out, ours)


def _command(tests: Sequence[Path], root: Path, out: Path, hurried: bool) -> list[str]:
    return [
        sys.executable,
        "-B",  # the folders may be installed read-only
        "-m",
        "pytest",
        "-v",
        *(["--exitfirst"] if hurried else []),
        "--disable-plugin-autoload",  # what else is installed has no part in a verdict, and takes a second of each pass
        "-p",
        "shop_plugin",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",  # the client's test_checkout.py may stand beside ours
        f"--rootdir={root}",
        "-c",
        str(root / "pytest.ini"),
        f"--junitxml={out.resolve() / 'junit.xml'}",
        *map(str, tests),
    ]


def _kill(process: subprocess.Popen[str]) -> None:
    """End the whole session. Playwright's driver and Chromium end when the pipe to their parent closes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(out: Path, exit_code: int) -> Seen:
    views: list[PageView] = []
    shots: list[Shot] = []
    facts: dict[str, str] = {}
    departures: list[Departure] = []
    collected: list[str] = []
    record = out / "seen.jsonl"
    for line in record.read_text(encoding="utf-8").split("\n")[:-1] if record.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            break  # the line that a crash cut in half is the last one; the exit code tells of the crash
        match entry.pop("kind"):
            case "view":
                views.append(cattrs.structure(entry, PageView))
            case "shot":
                shots.append(cattrs.structure(entry, Shot))
            case "fact":
                facts[fact_key(entry["name"], entry["scope"], entry["viewport"])] = entry["value"]
            case "departure":
                departures.append(cattrs.structure(entry, Departure))
            case "collected":
                collected = entry["files"]
    log = out / "pytest.log"
    said = log.read_text(encoding="utf-8") if log.exists() else ""
    return Seen(
        tests=_junit(out / "junit.xml"),
        views=tuple(views),
        shots=tuple(shots),
        facts=facts,
        departures=tuple(departures),
        collected=len(collected),
        files=tuple(Path(file) for file in collected),
        log=said,
        exit_code=exit_code,
    )


def _junit(path: Path) -> tuple[Test, ...]:
    """The tests in pytest's JUnit report, () when it wrote none. A test that fails and then breaks down in teardown stands twice."""
    if not path.exists():
        return ()
    tests = []
    for case in ElementTree.parse(path).iter("testcase"):  # noqa: S314 - written by the pytest that we started
        outcome, message = "passed", ""
        for kind, name in (("skipped", "skipped"), ("failure", "failed"), ("error", "error")):
            found = case.find(kind)
            if found is not None:
                outcome, message = name, _message(found)
        module = (case.get("classname") or "").rpartition(".")[2]
        tests.append(Test(f"{module}::{case.get('name')}", outcome, message, float(case.get("time") or 0)))
    return tuple(tests)


def _message(found: ElementTree.Element) -> str:
    """What the test itself said; of a module that cannot be imported the last line, which names the mistake."""
    short = (found.get("message") or "").removeprefix("Failed: ")
    if short and short != "collection failure":
        return short
    lines = [line.strip() for line in (found.text or "").strip().splitlines() if line.strip()]
    return ": ".join([*([short] if short else []), *lines[-1:]])
