"""Pictures for a page that carries everything inside itself: what matters most first, within a budget of bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from updater.model import Check, Picture, Status

BUDGET = 9_000_000
"""Bytes of pictures in one report (12 MB as base64): mails and ticket systems take a page of that size."""

_SMALL = 120_000  # a PNG below this is embedded as it is: exact, and no time spent
_WEBP_LIMIT = 16_383  # WebP's largest side
_QUALITY = 78


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture as the page shows it. URIs are `data:`, or '' when left out (then the file lies beside the report)."""

    picture: Picture
    status: Status
    detail: str
    before: str
    after: str
    difference: str
    noise: str
    left_out: bool
    focus: tuple[float, float] = (0.5, 0.0)
    """Where the first change is, as shares of the picture's width and height: the page shows that place first."""

    @property
    def alike(self) -> bool:
        return not self.picture.difference and self.status is Status.PASSED


def embed(
    pictures: Sequence[Picture], checks: Sequence[Check], folder: Path, budget: int = BUDGET
) -> tuple[Shown, ...]:
    """Findings first. A page that looks the same is shown once and smaller; what exceeds the budget is left out."""
    by_name = {check.name: check for check in checks if check.phase == "compare"}

    def told(picture: Picture) -> tuple[Status, str]:
        check = by_name.get(f"picture of {picture.page} ({picture.viewport})")
        if check is not None:
            return check.status, check.detail
        return (Status.FAILED if picture.difference else Status.PASSED), ""

    rank = {Status.FAILED: 0, Status.INCONCLUSIVE: 1, Status.PASSED: 2}
    shown = []
    for picture in sorted(pictures, key=lambda p: (rank[told(p)[0]], not p.difference)):
        status, detail = told(picture)
        alike = status is Status.PASSED and not picture.difference
        names = {"after": picture.after}
        if not alike:
            names |= {"difference": picture.difference, "before": picture.before}
        names |= {"noise": picture.noise}
        uris = {"before": "", "after": "", "difference": "", "noise": ""}
        left_out = False
        for name, path in names.items():
            if not path:
                continue
            data, kind = _packed(folder, path, smaller=alike)
            if not data or len(data) > budget:
                left_out = True
                continue
            budget -= len(data)
            uris[name] = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        focus = first_change(folder / picture.difference) if uris["difference"] else (0.5, 0.0)
        shown.append(Shown(picture, status, detail, **uris, left_out=left_out, focus=focus))
    return tuple(shown)


def _packed(folder: Path, path: str, *, smaller: bool) -> tuple[bytes, str]:
    """The picture's bytes and kind; b'' for a file that is missing, outside the run's folder, or no picture."""
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return b"", ""
    data = file.read_bytes()
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"", ""
    if len(data) <= _SMALL:
        return data, "png"
    try:
        pixels: NDArray[np.uint8] = imagecodecs.png_decode(data)
    except (ValueError, RuntimeError):
        return b"", ""
    if smaller:
        pixels = halved(pixels)
    if pixels.ndim != 3 or max(pixels.shape[:2]) > _WEBP_LIMIT:
        return data, "png"
    # Without `lossless=False` the codec ignores the level. Method 0 took 0.5 s for 1366 × 6000 where the default took 3.6.
    rgb = np.ascontiguousarray(pixels[..., :3])
    webp = imagecodecs.webp_encode(rgb, level=_QUALITY, lossless=False, method=0)
    return (bytes(webp), "webp") if len(webp) < len(data) else (data, "png")


def first_change(difference: Path) -> tuple[float, float]:
    """The first red place of a difference picture, as shares (0..1) of width and height; all else in it is faded."""
    try:
        pixels = imagecodecs.png_decode(difference.read_bytes())
    except (ValueError, RuntimeError):  # a torn file shows as a broken picture; where to scroll is then no question
        return 0.5, 0.0
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 80) & (pixels[..., 2] < 90)
    rows = np.flatnonzero(red.any(axis=1))
    if not rows.size:
        return 0.5, 0.0
    columns = np.flatnonzero(red[rows[0] : rows[0] + 40].any(axis=0))
    return float(columns[0] + columns[-1]) / 2 / pixels.shape[1], float(rows[0]) / pixels.shape[0]


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half the width and height, each pixel the mean of four."""
    height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    if not height or not width:
        return pixels
    wide = pixels[:height, :width].astype(np.uint16)
    quads = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    return (quads // 4).astype(np.uint8)
