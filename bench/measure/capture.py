"""Ten pages in two viewports, photographed before and after a change and compared, beside BackstopJS with the same Chromium."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measure import backstop, npm, shop
from measure.cost import Cost, spent
from measure.pairs import Pairs
from measure.photographer import VIEWPORTS
from measure.table import Line, Row
from updater.checks.browser import find_chromium

ABOUT = "photographing and comparing ten pages in two viewports, beside BackstopJS"
PAIRS = 3
CHANGED = {shop.PAGES[2]: "price", shop.PAGES[6]: "banner"}
"""How two of the pages look afterwards; the other eight do not change."""


def run() -> Row:
    with (
        TemporaryDirectory(prefix="updater-bench-") as folder,
        shop.serving() as before,
        shop.serving(looks=CHANGED) as after,
    ):
        return _row(Path(folder), before, after)


def _row(folder: Path, before: int, after: int) -> Row:
    ours, theirs, wrong = [], [], []
    for turn in range(PAIRS):
        for whose in ("ours", "theirs")[:: -1 if turn % 2 else 1]:
            place = folder / f"{whose}-{turn}"
            place.mkdir()
            if whose == "ours":
                cost, found = _ours(place, before, after, "plain")
                ours.append(cost)
                wrong += _unexpected("ours", found, set(CHANGED))
            else:
                cost, found = _backstop(place, before, after)
                theirs.append(cost)
                wrong += _unexpected("BackstopJS", found, {shop.PAGES[6]})
        print(f"bench: pair {turn + 1}: {ours[-1].wall:.1f} s beside {theirs[-1].wall:.1f} s", flush=True)
    (folder / "noise").mkdir()
    with_noise, _ = _ours(folder / "noise", before, after, "noise")
    walls = Pairs(tuple(cost.wall for cost in ours), tuple(cost.wall for cost in theirs))
    cpus = Pairs(tuple(cost.cpu for cost in ours), tuple(cost.cpu for cost in theirs))
    busy = tuple(sum(cpu) / sum(wall) for cpu, wall in ((cpus.ours, walls.ours), (cpus.theirs, walls.theirs)))
    why = (
        "ours opens one page after the other, so that a shop which counts its visits shows the same in each pass, and takes a picture that "
        "it has not seen yet twice, which proves that it stands still: "
        f"it keeps {busy[0]:.1f} processors busy, BackstopJS {busy[1]:.1f} with five pages at once"
    )
    return Row(
        title="Photographing and comparing",
        peer="BackstopJS",
        how="Ten pages of a shop in two viewports (1440 and 390 px wide), whole pages: `reference` and `test` of BackstopJS with its "
        "usual settings and Puppeteer; ours takes both and compares in one process, each picture until two in a row are the same "
        "bytes, or one is the same as in the pass before. Processors: every process below either, browser included. "
        "Afterwards one page has another price and one a banner: "
        "ours finds both, BackstopJS the banner (a price is below its usual tolerance of 0.1 %).",
        lines=(
            Line.of("wall", walls, 0.6, why=why),
            Line.of("processors", cpus, 0.5, why=why),
            Line("wall, a third capture for what moves by itself, as in a run", with_noise.wall, "s"),
            Line("processors, the same", with_noise.cpu, "s"),
        ),
        wrong=tuple(wrong),
        versions={
            "BackstopJS": npm.version("backstopjs"),
            "Puppeteer": npm.version("puppeteer"),
            "Chromium": _chromium_version(),
        },
    )


def _unexpected(who: str, found: set[str], expected: set[str]) -> list[str]:
    if found == expected:
        return []
    return [f"{who} found changes on {sorted(found) or 'no page'} instead of {sorted(expected)}"]


def _ours(folder: Path, before: int, after: int, noise: str) -> tuple[Cost, set[str]]:
    cost, told = photographed(folder, before, after, noise, shop.PAGES)
    return cost, {place.split()[0] for place, status in told["statuses"].items() if status != "passed"}


def photographed(
    folder: Path, before: int, after: int, noise: str, pages: Sequence[str]
) -> tuple[Cost, dict[str, Any]]:
    """These pages of both servers by our photographer, `noise` or `plain`: what it cost, and what its last line tells."""
    command = [sys.executable, "-m", "measure.photographer", str(before), str(after), str(folder / "shots"), noise]
    cost = spent([*command, *pages], folder, {"PYTHONPATH": f"{npm.BENCH}:{npm.BENCH.parent / 'tests'}"})
    assert cost.exit_code == 0, cost.said
    told: dict[str, Any] = json.loads(cost.said.splitlines()[-1])
    assert len(told["statuses"]) == len(pages) * len(VIEWPORTS), told
    return cost, told


def _backstop(folder: Path, before: int, after: int) -> tuple[Cost, set[str]]:
    scenarios = [(path, f"http://127.0.0.1:{before}{path}", f"http://127.0.0.1:{after}{path}") for path in shop.PAGES]
    reference, _ = backstop.spent_on("reference", folder, scenarios, VIEWPORTS)
    test, found = backstop.spent_on("test", folder, scenarios, VIEWPORTS)
    return _sum(reference, test), found


def _sum(one: Cost, other: Cost) -> Cost:
    memory = max(one.memory, other.memory)
    return Cost(one.wall + other.wall, one.cpu + other.cpu, memory, other.exit_code, one.said + other.said)


def _chromium_version() -> str:
    command = [str(find_chromium()), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("Chromium ").split(" ")[0]
