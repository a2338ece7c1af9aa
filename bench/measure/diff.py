"""The diff engine of updater/checks/visual.py beside mapbox's pixelmatch and PyPI's, on pictures that Chromium drew."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import imagecodecs
import numpy as np
from pixelmatch import pixelmatch as pypi

from measure import npm, shop
from measure.pairs import Pairs, side_by_side
from measure.table import Line, Row
from updater.checks import visual
from updater.checks.browser import Browser
from updater.checks.observation import Observation, Shot
from updater.checks.pixels import COLOUR, Pixels, differing
from updater.model import Status, Thresholds, Viewport

ABOUT = "comparing pictures, beside mapbox's pixelmatch and PyPI's"
TALL = 6000
DESKTOP, PHONE = Viewport("desktop", 1440, 900), Viewport("mobile", 390, 844)
NOISE = 1.25
"""Equal files may cost so much more than their hashes: the noise of a measurement."""


def run() -> Row:
    with TemporaryDirectory(prefix="updater-bench-") as folder:
        return _row(Path(folder))


def _row(folder: Path) -> Row:
    shots = {viewport.name: _shots(viewport) for viewport in (DESKTOP, PHONE)}
    tall = {look: np.ascontiguousarray(picture[:TALL]) for look, picture in shots["desktop"].items()}
    wrong = []
    with peer("pixelmatch", folder) as mapbox, peer("pixelmatch8", folder) as newest:
        wrong += differing_counts(mapbox, shots)
        lines = [_against_mapbox(mapbox, look, tall) for look in shop.LOOKS[1:]]
        lines += [_against_newest(newest, look, tall) for look in shop.LOOKS[1:]]
    lines += [_against_pypi(look, tall) for look in ("button", "restyled")]
    lines += [_equal_files(shots["desktop"][""], folder)]
    wrong += passed_of_other_size(shots["desktop"], folder)
    return Row(
        title="Comparing pictures",
        peer="peer",
        how="Screenshots of one page of a shop at 1440 × 6000 px, decoded and in memory, with the product's colour threshold; "
        "both draw what differs. The counts of ours and of pixelmatch 7 were the same on every pair of equal size, and no pair of "
        "different size passed."
        if not wrong
        else "Screenshots of one page of a shop at 1440 × 6000 px.",
        lines=tuple(lines),
        wrong=tuple(wrong),
        versions={
            "pixelmatch (npm)": npm.version("pixelmatch"),
            "newest (npm)": npm.version("pixelmatch8"),
            "pixelmatch (PyPI)": version("pixelmatch"),
            "Node": subprocess.run(["node", "-v"], capture_output=True, text=True, check=True).stdout.strip(),
        },
    )


def _shots(viewport: Viewport) -> dict[str, Pixels]:
    """The first page in each look, decoded."""
    pictures = {}
    for look in shop.LOOKS:
        with shop.serving(look) as port, Browser({shop.HOST: "127.0.0.1"}) as browser, browser.tab(viewport) as tab:
            tab.open(f"http://{shop.HOST}:{port}{shop.PAGES[0]}")
            pixels = imagecodecs.png_decode(tab.capture().png)[..., :3]
        pictures[look] = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return pictures


# ------------------------------------------------------------------------------------------------------- the peer


@dataclass
class Peer:
    """A Node process that compares raw pictures."""

    process: subprocess.Popen[str]
    folder: Path
    _known: dict[int, tuple[Path, Pixels]] = field(default_factory=dict)

    def compare(self, a: Pixels, b: Pixels, colour: float = COLOUR, antialiasing: bool = False) -> tuple[int, float]:
        """The count, and the seconds it took there."""
        height, width = a.shape[:2]
        asked = {"a": self._file(a), "b": self._file(b), "width": width, "height": height, "threshold": colour}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({**asked, "includeAA": antialiasing}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["count"], answer["seconds"]

    def _file(self, picture: Pixels) -> str:
        if id(picture) not in self._known:
            path = self.folder / f"{self.process.pid}-{len(self._known)}.rgba"
            path.write_bytes(picture.tobytes())
            self._known[id(picture)] = path, picture  # held: its id is its name
        return str(self._known[id(picture)][0])


@contextmanager
def peer(package: str, folder: Path) -> Iterator[Peer]:
    """`package` of package.json, ready to be asked."""
    command = ["node", str(npm.BENCH / "peers" / "pixelmatch.mjs"), str(npm.modules() / package / "index.js")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Peer(process, folder)
        assert process.stdin
        process.stdin.close()


# ------------------------------------------------------------------------------------------------------- what must hold


def differing_counts(mapbox: Peer, shots: dict[str, dict[str, Pixels]]) -> list[str]:
    """Pairs of equal size, screenshots and drawn ones, on which our count is not mapbox's."""
    wrong = []
    for place, a, b in [*_photographed(shots), *drawn()]:
        for colour, antialiasing in ((COLOUR, False), (COLOUR, True), (0.1, False)):
            ours = int(differing(a, b, colour=colour, antialiasing=antialiasing).sum())
            theirs, _ = mapbox.compare(a, b, colour, antialiasing)
            if ours != theirs:
                wrong.append(
                    f"{place}, threshold {colour}, antialiasing {antialiasing}: {ours} pixels, mapbox {theirs}"
                )
    return wrong


def _photographed(shots: dict[str, dict[str, Pixels]]) -> Iterator[tuple[str, Pixels, Pixels]]:
    for viewport, pictures in shots.items():
        for look in shop.LOOKS[1:]:
            height, width = np.minimum(pictures[""].shape, pictures[look].shape)[:2]
            a, b = (np.ascontiguousarray(pictures[one][:height, :width]) for one in ("", look))
            yield f"{look} ({viewport})", a, b


def drawn() -> Iterator[tuple[str, Pixels, Pixels]]:
    """Small ones where edges, smooth lines and noise meet the borders of the picture."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        height, width = (int(n) for n in rng.integers(1, 40, 2))
        y, x = np.mgrid[:height, :width]

        def smooth(shift: float, y: Pixels = y, x: Pixels = x, middle: float = height / 2) -> Pixels:
            edge = np.clip(y - 0.6 * x - middle + 3 + shift, 0, 1) * 255
            return np.dstack([*[edge.astype(np.uint8)] * 3, np.full(edge.shape, 255, np.uint8)])

        a, b = smooth(0.0), smooth(float(rng.uniform(0, 1)))
        if seed % 3 == 1:
            b[height // 3 : height // 2, : width // 2, :3] = rng.integers(0, 256, 3)
        if seed % 3 == 2:
            b[..., :3] = (b[..., :3] + rng.integers(0, 9, (height, width, 3))).astype(np.uint8)
        yield f"drawn {seed}", np.ascontiguousarray(a), np.ascontiguousarray(b)


def passed_of_other_size(shots: dict[str, Pixels], folder: Path) -> list[str]:
    """Pairs of different size that a run would let pass."""
    whole = shots[""]
    cut = {"shorter": whole[:-1], "much shorter": whole[:900], "narrower": whole[:, :-1]}
    pairs = [(name, whole, part) for name, part in cut.items()]
    pairs += [(f"{name}, the other way", part, whole) for name, part in cut.items()]
    pairs += [("a banner", whole, shots["banner"])]
    wrong = []
    for name, before, after in pairs:
        a, b = _observed(folder / "a", before), _observed(folder / "b", after)
        _, checks = visual.compare(a, a, b, Thresholds(), folder / "drawn", folder)
        sizes = [finding for check in checks for finding in check.findings if finding.kind == "size"]
        if checks[0].status is not Status.FAILED or not sizes:
            wrong.append(f"pictures of different size ({name}) ended as {checks[0].status.value}: {checks[0].detail}")
    return wrong


def _observed(folder: Path, picture: Pixels) -> Observation:
    folder.mkdir(exist_ok=True)
    png = bytes(imagecodecs.png_encode(np.ascontiguousarray(picture[..., :3]), level=1))
    (folder / "0.png").write_bytes(png)
    shot = Shot("page", "desktop", "0.png", hashlib.sha256(png).hexdigest(), picture.shape[1], picture.shape[0], ())
    return Observation(folder, 0, (), (), (shot,), {})


# ------------------------------------------------------------------------------------------------------- the clock


def _seconds(a: Pixels, b: Pixels) -> float:
    begun = time.perf_counter()
    differing(a, b)
    return time.perf_counter() - begun


def _against_mapbox(mapbox: Peer, look: str, tall: dict[str, Pixels]) -> Line:
    a, b = tall[""], tall[look]
    pairs = side_by_side(lambda: _seconds(a, b), lambda: mapbox.compare(a, b)[1], 9)
    share = visual.percent(float(differing(a, b).mean()))
    return Line.of(f"{look}: {share} changed, beside pixelmatch JS 7", pairs, 0.6)


def _against_newest(newest: Peer, look: str, tall: dict[str, Pixels]) -> Line:
    a, b = tall[""], tall[look]
    pairs = side_by_side(lambda: _seconds(a, b), lambda: newest.compare(a, b)[1])
    theirs, ours = newest.compare(a, b)[0], int(differing(a, b).sum())
    note = f"{theirs} pixels counted there, {ours} here: version 8 counts edges that 7 takes for smoothed"
    return Line.of(f"{look}, beside pixelmatch JS 8", pairs, note=note if theirs != ours else "")


def _against_pypi(look: str, tall: dict[str, Pixels]) -> Line:
    """On one screen of 1440 × 900 px that holds a change: it takes seconds for that."""
    first = int(np.flatnonzero((tall[""] != tall[look]).any(axis=(1, 2)))[0])
    top = min(max(first - 450, 0), TALL - 900)
    a, b = (np.ascontiguousarray(tall[one][top : top + 900]) for one in ("", look))
    assert differing(a, b).any(), "the screen that is compared must hold the change"
    flat_a, flat_b = (picture.ravel().tolist() for picture in (a, b))

    def theirs() -> float:
        begun = time.perf_counter()
        pypi(flat_a, flat_b, a.shape[1], a.shape[0], threshold=COLOUR)
        return time.perf_counter() - begun

    pairs = side_by_side(lambda: _seconds(a, b), theirs)
    return Line.of(f"{look}, 1440 × 900 px, beside PyPI's pixelmatch", pairs, 1 / 50)


def _equal_files(picture: Pixels, folder: Path) -> Line:
    """A, A' and B on disk, byte for byte the same, from files to checks; beside reading and hashing those three files."""
    passes = first, second, third = tuple(_observed(folder / name, picture) for name in ("first", "second", "third"))

    def ours() -> float:
        begun = time.perf_counter()
        _, checks = visual.compare(first, second, third, Thresholds(), folder / "drawn", folder)
        assert checks[0].status is Status.PASSED
        return time.perf_counter() - begun

    def theirs() -> float:
        begun = time.perf_counter()
        for seen in passes:
            hashlib.sha256((seen.folder / "0.png").read_bytes()).hexdigest()
        return time.perf_counter() - begun

    pairs: Pairs = side_by_side(ours, theirs, 9)
    return Line.of("three equal files, compared as in a run, beside hashing them", pairs, NOISE)
