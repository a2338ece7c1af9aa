"""Exact places in a transaction: a shim before the server's own tools stops it there, so that the script itself stays as shipped."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

TOOLS = "/fault/bin"
SHELL = ("env", f"PATH={TOOLS}:/usr/bin:/bin:/usr/sbin:/sbin", "sh", "/fault/asked")

_SHIM = """#!/bin/sh
# Stops once, {side} the {tool} that was named; goes on when it is told to.
real=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin command -v {tool})
stop() {{ /usr/bin/mv /fault/armed /fault/reached 2>/dev/null || return 0; until [ -e /fault/go ]; do sleep 0.02; done; }}
input=
case {tool}:"$*" in dd:*oflag=append*) input=$(cat; echo x); input=${{input%x}} ;; esac
run() {{ if [ -n "$input" ]; then printf %s "$input" | "$real" "$@"; else "$real" "$@"; fi; }}
case "$* $input" in
    *{pattern}*) ;;
    *) run "$@"; exit ;;
esac
[ {side} = after ] || stop
run "$@"; code=$?
[ {side} = before ] || stop
exit $code
"""
# The updater's questions come through here: what one is answered can be held back, and is lost when the line is cut.
_ASKED = """#!/bin/sh
sh "$@" >"/fault/reply.$$"; code=$?
for held in hold "hold-$2"; do
    /usr/bin/mv "/fault/$held" /fault/held 2>/dev/null || continue
    until [ -e /fault/cut ]; do sleep 0.02; done
done
cat "/fault/reply.$$"; rm -f "/fault/reply.$$"
exit $code
"""


@dataclass(frozen=True)
class Point:
    """`tool` and `pattern` of the command, `side` of it; `state`: the act that it lies in or beside."""

    name: str
    state: str
    tool: str
    pattern: str
    side: str = "before"

    def arm(self, signals: Path) -> None:
        """From now on the first one who comes here stops. In an unarmed folder only."""
        match self.tool:
            case "migration":
                _make(signals / "in-migration")
            case "check":
                _make(signals / "in-check")
            case "answer":
                _make(signals / f"hold-{self.pattern}")
            case _:
                shim = _SHIM.format(tool=self.tool, side=self.side, pattern=self.pattern)
                _script(signals / "bin" / self.tool, shim)
                _make(signals / "armed")

    def reached(self, signals: Path) -> Path:
        """The file that is there once somebody stopped here."""
        return signals / ("held" if self.tool == "answer" else "reached")


def prepare(signals: Path) -> None:
    """An empty folder with no point armed."""
    for path in signals.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (signals / "bin").mkdir()
    (signals / "bin").chmod(0o755)
    _script(signals / "asked", _ASKED)


def _make(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _writes(entry: str, state: str) -> tuple[Point, Point]:
    return (
        Point(f"before “{entry}” is journaled", state, "dd", f"' {entry}'"),
        Point(f"after “{entry}” is journaled", state, "dd", f"' {entry}'", "after"),
    )


def answer(verb: str) -> Point:
    """What the server answers to that question of the updater."""
    return Point(f"the answer to “{verb}”", "decided", "answer", verb)


_STATES = ("staged", "closed", "drained", "dumped", "swapped", "migrated", "checked")
MIGRATION_ONLY = ("dumped", "migrated", "restored")

JOURNAL = (
    *(point for state in _STATES for word in ("begin", "done") for point in _writes(f"{word} {state}", state)),
    *_writes("decided new", "decided"),
    *(point for word in ("begin", "done") for point in _writes(f"{word} opened", "opened")),
)
"""Both sides of each journal write on the way forward."""

IN_MIGRATION = Point("in the middle of a step", "migrated", "migration", "")

ACTS = (
    Point("the copies are made", "staged", "php", "' stage'"),
    Point("the gate is half up", "closed", "mv", "'shop/.maintenance'"),
    Point("waiting for visitors", "drained", "php", "' drain'"),
    Point("half of the tables are copied", "dumped", "mariadb-dump", "'defaults-extra'"),
    Point("half of one unit is exchanged", "swapped", "mv", "'shop/lib old/'", "after"),
    IN_MIGRATION,
    Point("the closed shop is looked at", "checked", "check", ""),
    Point("the decision is made", "decided", "ln", "'decision.new'", "after"),
    Point("the gate is half down", "opened", "rm", "'shop/.maintenance'"),
)
"""The inside of each act."""

WAY_BACK = (
    *_writes("decided old", "decided"),
    *_writes("begin reverted", "reverted"),
    Point("half of one unit is back", "reverted", "mv", "'shop/theme new/'", "after"),
    *_writes("done reverted", "reverted"),
    *_writes("begin restored", "restored"),
    Point("the tables are back", "restored", "php", "' restore'", "after"),
    Point("the dump is being loaded", "restored", "mariadb", "'binary-mode'"),
    Point("the tables are compared", "restored", "php", "' verify-tables'"),
    *_writes("done restored", "restored"),
    *_writes("done reset", "reset"),
    *_writes("begin opened", "opened"),
    Point("the gate is half down again", "opened", "rm", "'shop/.maintenance'"),
    *_writes("done opened", "opened"),
)
"""Both sides and insides on the way back, after a check that failed."""
