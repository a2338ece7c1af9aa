"""A replay that is killed: at both sides of every line of its journal and inside its own acts, on the way there and back, with a
database that may go back and one that may not. `make faults CMS=bitrix` runs them; the shop is the twin (tests/replay_twin.py).

The updater lives and follows its run, so that the watchdog is started again at once. What it must end as is known for each place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from replay_twin import RETURNS, Twin, fails, passes, with_a_release

from updater.errors import PromotionRefused, WaitsForAPerson

SHELL = ("env", "PATH=/fault/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh")
# Once, before or after the command that holds the pattern: everything of ours is killed, each in its own group, by somebody outside.
SHIM = """#!/bin/sh
real=$(PATH=/usr/local/bin:/usr/bin:/bin command -v {tool})
input=
case {tool}:"$*" in dd:*oflag=append*) input=$(cat; echo x); input=${{input%x}} ;; esac
run() {{ if [ -n "$input" ]; then printf %s "$input" | "$real" "$@"; else exec_real "$@"; fi; }}
exec_real() {{ "$real" "$@"; }}
end() {{
    /usr/bin/mv /fault/armed /fault/reached 2>/dev/null || return 0
    cd /home/deploy/.updater/runs/*/ && setsid /bin/sh -c 'for it in job watch actor; do kill -9 -$(cat $it.pid); done' </dev/null >/dev/null 2>&1
    sleep 60
}}
case "$* $input" in *{pattern}*) ;; *) run "$@"; exit ;; esac
[ {side} = after ] || end
run "$@"; code=$?
[ {side} = before ] || end
exit $code
"""
OLD, NEW, STOPPED = "old", "new", "stopped"


@dataclass(frozen=True)
class Place:
    tool: str
    pattern: str
    side: str
    end: str
    """Where the database may not go back"""
    check: str = "passes"

    @property
    def name(self) -> str:
        where = f"“{self.pattern}” is journaled" if self.tool == "dd" else f"{self.tool} {self.pattern}"
        return f"{self.side} {where}" + (", the check fails" if self.check == "fails" else "")


def lines(words: str, end: str, check: str = "passes", sides: str = "before after") -> list[Place]:
    return [Place("dd", line, side, end, check) for line in words.split(", ") for side in sides.split()]


THERE = (
    *lines("begin staged, done staged, begin closed, done closed, begin drained, done drained", OLD, sides="after"),
    *lines("begin dumped, done dumped", OLD, sides="after"),
    *lines("begin swapped, done swapped, begin migrated", OLD),
    *lines("done migrated, begin checked", STOPPED),
    *lines("done checked, decided new, begin opened, done opened", NEW),
    Place("php", " stage", "after", OLD),
    Place("php", " outside", "after", OLD),
    Place("php", " replayed", "before", STOPPED),
    Place("php", " replayed", "after", STOPPED),
)
"""On the way there. Until the console has written, nothing is lost by going back; from then on it is a person's."""
BACK = (
    *lines("decided old, begin stopped, done stopped", STOPPED, "fails"),
    Place("php", " touched", "after", STOPPED, "fails"),
)
"""On the way to the end that waits for a person."""
RETURNED = (
    *lines(
        "decided old, begin reverted, done reverted, begin restored, done restored, begin kept, done kept", OLD, "fails"
    ),
    *lines("done reset, begin opened, done opened", OLD, "fails"),
    Place("php", " restore", "after", OLD, "fails"),
    Place("php", " keep-rows", "after", OLD, "fails"),
    Place("php", " strays", "after", OLD, "fails"),
)
"""On the way back, where the database may go."""
CASES = [
    *(pytest.param(place, (), id=f"{place.name}, it may not go back") for place in (*THERE, *BACK)),
    *(
        pytest.param(place, (RETURNS,), id=f"{place.name}, it may")
        for place in (*(it for it in THERE if it.end == STOPPED), *RETURNED)
    ),
]


@pytest.fixture(scope="module")
def made(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    with with_a_release(tmp_path_factory.mktemp("twin")) as twin:
        yield twin


def arm(twin: Twin, place: Place) -> None:
    twin.root("rm -rf /fault; mkdir -p /fault/bin; touch /fault/armed; chmod -R 777 /fault")
    shim = SHIM.format(tool=place.tool, pattern=f"'{place.pattern}'", side=place.side)
    twin.root(f"cat > /fault/bin/{place.tool}; chmod 755 /fault/bin/{place.tool}", shim.encode())


@pytest.mark.faults
@pytest.mark.parametrize(("place", "switches"), CASES)
def test_a_replay_that_is_killed_ends_as_one_of_three_shops(
    made: Twin, place: Place, switches: tuple[str, ...]
) -> None:
    twin = made
    twin.reset()
    arm(twin, place)
    expected = OLD if switches and place.end == STOPPED else place.end
    try:
        ended = twin.promote(*switches, check={"passes": passes, "fails": fails}[place.check], sh=SHELL).state
    except PromotionRefused:
        ended = OLD
    except WaitsForAPerson:
        ended = STOPPED
    assert twin.root("ls /fault/reached"), "the place was never reached"
    assert {"promoted": NEW, "rolled_back": OLD}.get(ended, ended) == expected
    if expected == NEW:
        twin.is_what_was_tested()
    elif expected == OLD:
        twin.as_before()
    else:
        twin.is_stopped()
        assert twin.status() == 503
        assert twin.ended("back") == "rolled_back"
        twin.as_before()
