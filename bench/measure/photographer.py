"""Our side of `capture`, as a program: photographs every page twice, once from each server, compares, and prints what it found.

The last line is JSON: the status of each picture, and the seconds of each step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from measure import shop
from updater.checks import visual
from updater.checks.browser import Browser
from updater.checks.observation import Observation, Shot
from updater.log import timed
from updater.model import Thresholds, Viewport

VIEWPORTS = (Viewport("desktop", 1440, 900), Viewport("mobile", 390, 844))


def main(before_port: int, after_port: int, folder: Path, pages: Sequence[str], *, noise: bool) -> None:
    """`noise`: the un-updated shop is photographed a second time, as every run does, to learn what moves by itself."""
    seconds: dict[str, float] = {}
    with Browser({shop.HOST: "127.0.0.1"}) as browser, timed(seconds, "photographed"):
        before = _photographed(browser, before_port, folder / "before", pages)
        again = _photographed(browser, before_port, folder / "again", pages, before) if noise else before
        after = _photographed(browser, after_port, folder / "after", pages, before)
    with timed(seconds, "compared"):
        _, checks = visual.compare(before, again, after, Thresholds(), folder / "differences", folder)
    statuses = {check.name.removeprefix(visual.NAME).strip(): check.status.value for check in checks}
    print(json.dumps({"statuses": statuses, "seconds": seconds}))


def _photographed(
    browser: Browser, port: int, folder: Path, pages: Sequence[str], like: Observation | None = None
) -> Observation:
    """`like`: the pass before, as in a run: a picture that is the same again needs no second one."""
    folder.mkdir(parents=True)
    known = {(shot.page, shot.viewport): shot.sha256 for shot in like.shots} if like else {}
    shots = []
    for viewport in VIEWPORTS:
        with browser.tab(viewport) as tab:
            for path in pages:
                status = tab.open(f"http://{shop.HOST}:{port}{path}")
                taken = tab.capture(known=known.get((path, viewport.name), ""))
                if status != 200 or not taken.settled:
                    raise SystemExit(f"{path} answered {status}, settled: {taken.settled}")
                file = f"{path.strip('/')}-{viewport.name}.png"
                (folder / file).write_bytes(taken.png)
                shots.append(Shot(path, viewport.name, file, taken.sha256, taken.width, taken.height, ()))
    return Observation(folder, 0, (), (), tuple(shots), {})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[5:], noise=sys.argv[4] == "noise")
