"""Compares pictures of the shop before and after the update, and takes off what already differs without any update.

A is the un-updated shop, A' the same shop photographed again, B the updated shop. What differs between A and A' is
noise; what differs between A and B beyond the noise and outside the declared masks is a finding. A picture that is
missing, unreadable, of another size or mostly masked never passes.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np

from updater.checks import shift
from updater.checks.observation import Observation, Shot
from updater.checks.pixels import Mask, Pixels, differing
from updater.language import mark, sentence
from updater.model import Check, Finding, Picture, Status, Thresholds

# A share of a page 6,000 px tall forgives 8,000 pixels: a whole button. So the densest window counts too. In Chromium a
# changed digit of 14–20 px text gives 15–60 counted pixels, a lost "Buy" link 87 or more, a stray dot 1 or 2.
WINDOW = 32
DENSE = 12

# Noise is widened by this many pixels, and farther along its line: of a clock that was seen to tick the hour is noise too, which no
# capture may have seen change. The line above and the line below are not.
WIDEN = 8
ALONG = WINDOW

_NAMED = 3  # changed areas told in words; the difference picture shows them all

NAME = "picture of"
"""How the name of every check of this module begins; then page and viewport."""


@dataclass(frozen=True, slots=True)
class Area:
    """A changed rectangle with the number of pixels that changed in it."""

    x: int
    y: int
    width: int
    height: int
    pixels: int


def compare(
    before: Observation,
    noise: Observation,
    after: Observation,
    thresholds: Thresholds,
    into: Path,
    root: Path,
    more_noise: Sequence[Observation] = (),
) -> tuple[tuple[Picture, ...], tuple[Check, ...]]:
    """One Picture and one Check for each page and viewport; the Check's phase is `compare`.

    Writes difference and noise pictures (PNG) into `into`, only where something differs. All paths in a Picture are
    relative to `root`, the run's folder. `more_noise` are further captures of the un-updated shop, taken after a
    finding: they can only widen the noise. Raises ValueError when a folder does not lie below `root`.
    """
    a, b = _by_place(before), _by_place(after)
    again = [_by_place(observation) for observation in (noise, *more_noise)]
    if not a and not b:
        nothing = mark("No page was photographed, so nothing is known of how the shop looks.")
        return (), (Check("pictures", "compare", Status.INCONCLUSIVE, nothing),)
    pictures: list[Picture] = []
    checks: list[Check] = []
    for place in [*a, *(p for p in b if p not in a)]:
        begun = time.monotonic()
        shots = (
            _Taken.of(a.get(place), before),
            tuple(_Taken.of(shots.get(place), seen) for shots, seen in zip(again, (noise, *more_noise), strict=True)),
            _Taken.of(b.get(place), after),
        )
        picture, status, findings, detail = _compare_page(place, *shots, thresholds, into, root)
        pictures.append(picture)
        name = f"{NAME} {place[0]} ({place[1]})"
        checks.append(
            Check(name, "compare", status, detail, findings=findings, seconds=round(time.monotonic() - begun, 3))
        )
    return tuple(pictures), tuple(checks)


def _by_place(observation: Observation) -> dict[tuple[str, str], Shot]:
    """(page, viewport) → shot. A page photographed twice under one label becomes `cart`, `cart (2)`."""
    shots: dict[tuple[str, str], Shot] = {}
    for shot in observation.shots:
        page, n = shot.page, 1
        while (page, shot.viewport) in shots:
            n += 1
            page = f"{shot.page} ({n})"
        shots[page, shot.viewport] = shot
    return shots


@dataclass(frozen=True, slots=True)
class _Taken:
    """One shot with its file looked at: `fault` says in words why it cannot be used."""

    path: Path | None
    sha256: str
    masks: tuple[tuple[int, int, int, int], ...]
    fault: str

    @classmethod
    def of(cls, shot: Shot | None, observation: Observation) -> _Taken:
        if shot is None:
            return cls(None, "", (), mark("was not photographed"))
        path = observation.folder / shot.file
        try:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            fault = sentence("has no picture on disk ({error})", error=error.strerror or error)
            return cls(None, "", shot.masks, fault)
        altered = sha256 != shot.sha256
        return cls(
            path, sha256, shot.masks, mark("has a picture that was altered after it was taken") if altered else ""
        )


_Result = tuple[Picture, Status, tuple[Finding, ...], str]


def _compare_page(
    place: tuple[str, str],
    before: _Taken,
    noise: tuple[_Taken, ...],
    after: _Taken,
    thresholds: Thresholds,
    into: Path,
    root: Path,
) -> _Result:
    """The story of one page: usable? equal? noise known? same size? did it move? what changed beyond the noise, how densely?"""
    page, viewport = place
    where = f"{page}, {viewport}"
    paths = (_relative(before.path, root), _relative(after.path, root))

    def unusable(status: Status, message: str) -> _Result:
        nothing = Picture(page, viewport, *paths, "", "", changed=0.0, noisy=0.0, masked=0.0)
        return nothing, status, (Finding("picture missing", where, message),), message

    if before.fault:
        told = mark("that was before the update, so there is nothing to compare with")
        return unusable(Status.INCONCLUSIVE, f"{where}: {before.fault}; {told}")
    for capture in noise:
        if capture.fault:
            told = mark("that was the second time before the update, so what moves by itself is unknown")
            return unusable(Status.INCONCLUSIVE, f"{where}: {capture.fault}; {told}")
    if after.fault:
        # The un-updated shop showed this page twice; that the updated one does not is a fault, save for a spoilt file.
        lost = after.path is None
        told = mark("it was before the update, and is not any more") if lost else mark("that was after the update")
        return unusable(Status.FAILED if lost else Status.INCONCLUSIVE, f"{where}: {after.fault}; {told}")

    try:
        if {taken.sha256 for taken in (*noise, after)} == {before.sha256}:
            return _never_moved(page, viewport, paths, before, after, thresholds)
        seen: dict[str, Pixels] = {}  # by sha256: a still page is decoded once, and an equal one never compared
        for taken in (before, *noise, after):
            if taken.sha256 not in seen:
                seen[taken.sha256] = decode(taken.path)
    except _Unreadable as error:
        return unusable(Status.INCONCLUSIVE, f"{where}: {error}.")
    a, b = seen[before.sha256], seen[after.sha256]
    captures = [seen[capture.sha256] for capture in noise]

    # What looks like any capture of the un-updated shop has not changed. Else take one of the same height, for a page
    # whose height changes by itself.
    equal = any(b is capture for capture in (a, *captures))
    like_a = b if equal else next((c for c in (a, *captures) if c.shape == b.shape), a)
    restless = any(c.shape != a.shape for c in captures)
    height, width = (min(like_a.shape[axis], b.shape[axis]) for axis in (0, 1))
    frame = (height, width)

    declared = _declared(before.masks + after.masks, frame)
    noisy = _noise([a, *captures], like_a, frame) & ~declared
    common_a, common_b = (np.ascontiguousarray(picture[:height, :width]) for picture in (like_a, b))
    changed = differing(common_a, common_b) & ~declared & ~noisy

    area = height * width
    shares = {
        "changed": float(changed.sum()) / area,
        "noisy": float(noisy.sum()) / area,
        "masked": float(declared.sum()) / area,
    }
    areas = clusters(changed)
    moved: tuple[shift.Move, ...] = ()
    if areas or like_a.shape != b.shape:
        aligned = _aligned(like_a, b, noisy, before.masks, after.masks)
        if aligned is not None and densest(changed) >= DENSE:
            moved, common_a, common_b, noisy, declared, changed = aligned
            frame = (b.shape[0], b.shape[1])
            area = frame[0] * frame[1]
            shares = {
                name: float(mask.sum()) / area
                for name, mask in (("changed", changed), ("noisy", noisy), ("masked", declared))
            }
            areas = clusters(changed)
    stem = hashlib.sha256(f"{page}\0{viewport}".encode()).hexdigest()[:16]
    size = _size_words(like_a, b)
    difference = noise_picture = ""
    if areas or size or moved:
        drawn = _draw(common_b, changed, noisy, declared, areas)
        difference = _write(drawn, into / f"difference-{stem}.png", root)
    if noisy.any():
        drawn = _draw(common_a, np.zeros(frame, bool), noisy, declared, ())
        noise_picture = _write(drawn, into / f"noise-{stem}.png", root)
    picture = Picture(page, viewport, *paths, difference, noise_picture, **shares)

    findings = _findings(where, size, moved, areas, frame, shares["changed"]) + _masks_differ(where, before, after)
    status, detail = _status(shares, densest(changed), size, moved, restless, equal, thresholds, areas, frame)
    return picture, status, findings, detail


def _never_moved(
    page: str, viewport: str, paths: tuple[str, str], before: _Taken, after: _Taken, thresholds: Thresholds
) -> _Result:
    """Every capture is byte for byte the same file: no pixel has to be decoded to know that none differs."""
    frame = _png_size(before.path)
    masked = 0.0
    if masks := before.masks + after.masks:
        masked = float(_declared(masks, frame).mean())
    shares = {"changed": 0.0, "noisy": 0.0, "masked": masked}
    status, detail = _status(shares, 0, "", (), False, True, thresholds, (), frame)
    findings = _masks_differ(f"{page}, {viewport}", before, after)
    same = Picture(page, viewport, *paths, "", "", changed=0.0, noisy=0.0, masked=masked)
    return same, status, findings, detail


def _masks_differ(where: str, before: _Taken, after: _Taken) -> tuple[Finding, ...]:
    if len(before.masks) == len(after.masks):
        return ()
    told = sentence(
        "masked places: {old} before the update, {new} after it", old=len(before.masks), new=len(after.masks)
    )
    return (Finding("masks", where, told, str(len(before.masks)), str(len(after.masks))),)


def _status(
    shares: Mapping[str, float],
    dense: int,
    size: str,
    moved: Sequence[shift.Move],
    restless: bool,
    equal: bool,
    thresholds: Thresholds,
    areas: Sequence[Area],
    frame: tuple[int, int],
) -> tuple[Status, str]:
    hidden = shares["masked"] + shares["noisy"]
    too_much = shares["changed"] > thresholds.changed or dense >= DENSE
    # Bytes equal to a capture of the un-updated shop are equal under the noise too; a declared mask may be painted over.
    unseen = shares["masked"] if equal else hidden
    if unseen > thresholds.masked and (shares["noisy"] > 0 or not (too_much or size)):
        return Status.INCONCLUSIVE, sentence(
            "Too little of the page can be compared: {masked} masked, {noisy} moving by itself.",
            masked=percent(shares["masked"]),
            noisy=percent(shares["noisy"]),
        )
    if size and restless:
        return Status.INCONCLUSIVE, size + " " + mark("But its size also changes without any update.")
    if size or moved:
        told = [size] if size else []
        told += [_moved(moved[0])] if moved else []
        told += [_told(areas[0], frame)] if areas else [mark("Nothing else changed.")] if moved else []
        return Status.FAILED, " ".join(told)
    if too_much:
        changed = sentence("{share} of the picture changed.", share=percent(shares["changed"]))
        return Status.FAILED, f"{changed} {_told(areas[0], frame)}"
    if areas:
        share = percent(shares["changed"])
        return Status.PASSED, sentence("{share} of the picture changed: within the tolerance.", share=share)
    if unseen:
        return Status.PASSED, sentence("Looks the same; {share} was not compared.", share=percent(unseen))
    return Status.PASSED, mark("Looks the same.")


def _findings(
    where: str,
    size: str,
    moved: Sequence[shift.Move],
    areas: Sequence[Area],
    frame: tuple[int, int],
    changed: float,
) -> tuple[Finding, ...]:
    findings = [Finding("size", where, size)] if size else []
    findings += [
        Finding("moved", where, _moved(move), f"{move.top} px", f"{move.top + move.by} px") for move in moved[:_NAMED]
    ]
    findings += [Finding("picture", where, _told(area, frame), after=f"{area.pixels} px") for area in areas[:_NAMED]]
    if len(areas) > _NAMED:
        told = sentence(
            "… and {n} more areas: {share} of the picture in all.", n=len(areas) - _NAMED, share=percent(changed)
        )
        findings.append(Finding("picture", where, told))
    return tuple(findings)


def _told(area: Area, frame: tuple[int, int]) -> str:
    """`Changed: an area of 300 × 48 px, 120 px from the left and 560 px from the top (lower part of the page).`"""
    centre = (area.y + area.height / 2) / frame[0]
    where = _UPPER if centre < 1 / 3 else _MIDDLE if centre < 2 / 3 else _LOWER
    return sentence(where, width=area.width, height=area.height, x=area.x, y=area.y)


_UPPER = mark(
    "Changed: an area of {width} × {height} px, {x} px from the left and {y} px from the top (upper part of the page)."
)
_MIDDLE = mark(
    "Changed: an area of {width} × {height} px, {x} px from the left and {y} px from the top (middle part of the page)."
)
_LOWER = mark(
    "Changed: an area of {width} × {height} px, {x} px from the left and {y} px from the top (lower part of the page)."
)


def _moved(move: shift.Move) -> str:
    """`The page from 560 px from the top on, 1240 px of it, moved 24 px down.`"""
    moved = (
        mark("The page from {top} px from the top on, {height} px of it, moved {by} px down.")
        if move.by > 0
        else mark("The page from {top} px from the top on, {height} px of it, moved {by} px up.")
    )
    return sentence(moved, top=move.top, height=move.height, by=abs(move.by))


_Aligned = tuple[tuple[shift.Move, ...], Pixels, Pixels, Mask, Mask, Mask]


def _aligned(
    a: Pixels,
    b: Pixels,
    noisy: Mask,
    masks_before: Sequence[tuple[int, int, int, int]],
    masks_after: Sequence[tuple[int, int, int, int]],
) -> _Aligned | None:
    """(moves, A laid over B, B, noise, masks, what was painted anew), all in B's frame; None when nothing moved.

    Rows of B that A does not have are painted anew as a whole.
    """
    if a.shape[1] != b.shape[1]:
        return None
    rows = shift.align(a, b)
    moved = shift.moves(rows)
    if not moved:
        return None
    known, frame = rows != shift.NEW, (b.shape[0], b.shape[1])
    laid = b.copy()
    laid[known] = a[rows[known]]

    def carried(mask: Mask) -> Mask:
        whole: Mask = np.zeros(a.shape[:2], bool)
        whole[: mask.shape[0], : mask.shape[1]] = mask[: a.shape[0], : a.shape[1]]
        into: Mask = np.zeros(frame, bool)
        into[known] = whole[rows[known]]
        return into

    declared = _declared(masks_after, frame) | carried(_declared(masks_before, (a.shape[0], a.shape[1])))
    noise = carried(noisy) & ~declared
    changed = differing(laid, b)
    changed[~known] = True
    return moved, laid, b, noise, declared, changed & ~declared & ~noise


def _size_words(before: Pixels, after: Pixels) -> str:
    """`The page is 120 px taller (1800 → 1920 px).`; '' when both have one size."""
    words = []
    for axis, more, less in (
        (
            0,
            mark("The page is {by} px taller ({old} → {new} px)."),
            mark("The page is {by} px shorter ({old} → {new} px)."),
        ),
        (
            1,
            mark("The page is {by} px wider ({old} → {new} px)."),
            mark("The page is {by} px narrower ({old} → {new} px)."),
        ),
    ):
        was, is_now = before.shape[axis], after.shape[axis]
        if was != is_now:
            words.append(sentence(more if is_now > was else less, by=abs(is_now - was), old=was, new=is_now))
    return " ".join(words)


def percent(share: float) -> str:
    """A share for people: `12 %`, `0.31 %`, and never `0 %` for something."""
    value = share * 100
    if value == 0:
        return "0 %"
    if value < 0.01:
        return "under 0.01 %"
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


# ------------------------------------------------------------------------------------------------------- the engine


class _Unreadable(Exception):
    """A picture's file is no picture."""


_PNG_BEGIN = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def decode(path: Path | None) -> Pixels:
    """A PNG as RGBA. Raises _Unreadable, in words, for anything else."""
    assert path is not None
    try:
        pixels = imagecodecs.png_decode(path.read_bytes())
    except (OSError, ValueError, RuntimeError) as error:  # imagecodecs' PngError is a RuntimeError
        raise _Unreadable(
            sentence("{file} cannot be read as a picture ({error})", file=path.name, error=error)
        ) from error
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise _Unreadable(sentence("{file} is no 8-bit picture", file=path.name))
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    if pixels.shape[2] == 3:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return np.ascontiguousarray(pixels)


def _png_size(path: Path | None) -> tuple[int, int]:
    """Height and width that a whole PNG names. Raises _Unreadable, in words, for a torn one and anything else."""
    assert path is not None
    with path.open("rb") as stream:
        head = stream.read(24)
        stream.seek(-min(len(_PNG_END), path.stat().st_size), os.SEEK_END)
        whole = head.startswith(_PNG_BEGIN) and len(head) == 24 and stream.read() == _PNG_END
    width, height = struct.unpack(">II", head[16:24]) if whole else (0, 0)
    if not width or not height:
        raise _Unreadable(
            sentence("{file} cannot be read as a picture ({error})", file=path.name, error="no whole PNG")
        )
    return height, width


def _noise(captures: Sequence[Pixels], reference: Pixels, frame: tuple[int, int]) -> Mask:
    """What differs among captures of the un-updated shop, widened; rows that only some captures have are noise."""
    mask: Mask = np.zeros(frame, bool)
    for capture in captures:
        if capture is reference:
            continue
        height, width = min(frame[0], capture.shape[0]), min(frame[1], capture.shape[1])
        common = [np.ascontiguousarray(picture[:height, :width]) for picture in (reference, capture)]
        mask[:height, :width] |= differing(common[0], common[1], antialiasing=True)
        mask[height:] = True
        mask[:, width:] = True
    return widened(mask, WIDEN, ALONG) if mask.any() else mask


def widened(mask: Mask, down: int, across: int) -> Mask:
    """Each set pixel grown to a rectangle that reaches so many pixels up and down, and to the left and right."""
    for axis, by in enumerate((down, across)):
        grown = mask.copy()
        reach = 0
        while reach < by:  # doubling: reach 1, 3, 7, … instead of one pass per pixel
            step = min(reach + 1, by - reach)
            wider = grown.copy()
            for source, target in ((slice(step, None), slice(None, -step)), (slice(None, -step), slice(step, None))):
                into = (target, slice(None)) if axis == 0 else (slice(None), target)
                out_of = (source, slice(None)) if axis == 0 else (slice(None), source)
                wider[into] |= grown[out_of]
            grown = wider
            reach += step
        mask = grown
    return mask


def _declared(masks: Sequence[tuple[int, int, int, int]], frame: tuple[int, int]) -> Mask:
    mask: Mask = np.zeros(frame, bool)
    for x, y, width, height in masks:
        mask[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = True
    return mask


def densest(changed: Mask) -> int:
    """The most changed pixels in any WINDOW × WINDOW square."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not rows.size:
        return 0
    part = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sums = np.pad(part.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    high, wide = min(WINDOW, part.shape[0]), min(WINDOW, part.shape[1])
    windows = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    return int(windows.max())


def clusters(changed: Mask) -> tuple[Area, ...]:
    """Changed pixels gathered into rectangles, largest first. Pixels less than a WINDOW apart belong together."""
    ys, xs = np.nonzero(changed)
    if not ys.size:
        return ()
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    keys = (ys // WINDOW) * (changed.shape[1] // WINDOW + 1) + xs // WINDOW
    order = np.argsort(keys, kind="stable")
    ys, xs, keys = ys[order], xs[order], keys[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    for start, end in zip(starts, np.r_[starts[1:], keys.size], strict=True):
        y, x = ys[start:end], xs[start:end]
        cell = (int(y[0]) // WINDOW, int(x[0]) // WINDOW)
        cells[cell] = [int(x.min()), int(y.min()), int(x.max()), int(y.max()), int(end - start)]
    areas = []
    while cells:
        first, box = cells.popitem()
        waiting = [first]
        while waiting:
            row, column = waiting.pop()
            for near in ((row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                if near in cells:
                    other = cells.pop(near)
                    box = [*map(min, box[:2], other[:2]), *map(max, box[2:4], other[2:4]), box[4] + other[4]]
                    waiting.append(near)
        areas.append(Area(box[0], box[1], box[2] - box[0] + 1, box[3] - box[1] + 1, box[4]))
    return tuple(sorted(areas, key=lambda area: (-area.pixels, area.y, area.x)))


# -------------------------------------------------------------------------------------------------- pictures for people

_RED, _AMBER, _BLUE = (214, 40, 57), (240, 173, 48), (112, 132, 158)


def _draw(page: Pixels, changed: Mask, noisy: Mask, declared: Mask, areas: Sequence[Area]) -> Pixels:
    """The page faded to grey; changed pixels red with a frame around each area, noise amber, masks blue."""
    grey = page[..., :3].astype(np.uint16) @ np.array([77, 150, 29], np.uint16) >> 8
    canvas = np.repeat((190 + grey // 4).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    for mask, colour in ((noisy, _AMBER), (declared, _BLUE)):
        canvas[mask] = (canvas[mask].astype(np.uint16) + np.array(colour, np.uint16)) // 2
    canvas[changed] = _RED
    for area in areas[:50]:
        top, left = max(area.y - 4, 0), max(area.x - 4, 0)
        bottom, right = area.y + area.height + 4, area.x + area.width + 4
        for line in (np.s_[top : top + 2, left:right], np.s_[bottom - 2 : bottom, left:right]):
            canvas[line] = _RED
        for line in (np.s_[top:bottom, left : left + 2], np.s_[top:bottom, right - 2 : right]):
            canvas[line] = _RED
    return canvas


def _write(pixels: Pixels, path: Path, root: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(pixels, level=4))
    return _relative(path, root)


def _relative(path: Path | None, root: Path) -> str:
    return "" if path is None else path.resolve().relative_to(root.resolve()).as_posix()
