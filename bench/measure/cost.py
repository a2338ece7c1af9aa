"""What a command costs with all that it starts: seconds, and seconds of processors. As a program, the keeper of one command."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: a browser's orphans become ours, and what they used is counted when they end."""
_LINGER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    wall: float
    cpu: float
    """User and system, of every process below the command"""
    memory: int
    """Bytes of the largest of them at its peak"""
    exit_code: int
    said: str


def spent(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Run it in `folder`. Whatever it leaves running is ended."""
    with NamedTemporaryFile("r", suffix=".json") as told:
        keeper = [sys.executable, "-P", str(Path(__file__)), told.name, *command]
        done = subprocess.run(
            keeper,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        used = json.load(told)
    return Cost(used["wall"], used["cpu"], used["memory"], used["exit_code"], done.stdout)


def _keep(into: Path, command: Sequence[str]) -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    begun = time.monotonic()
    child = subprocess.Popen(command)
    code = child.wait()
    wall = time.monotonic() - begun
    limit = time.monotonic() + _LINGER_SECONDS
    while _reaped_some_are_left():
        if time.monotonic() > limit:
            _end_the_rest()
        time.sleep(0.02)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
        "exit_code": code,
    }
    into.write_text(json.dumps(cost), encoding="utf-8")


def _reaped_some_are_left() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _end_the_rest() -> None:
    """Our own descendants: nobody else becomes a child of this process."""
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    for pid in own.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), sys.argv[2:])
