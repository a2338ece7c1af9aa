"""Pictures of what people see, for README.md: written by the tests that look at it, when PICTURES names a folder (`PICTURES=docs`)."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

import imagecodecs
import numpy as np
from playwright.sync_api import Page

_COLOURS = 256
_ROUNDS = 6
"""Of moving the palette to where the picture's colours are; the sixth moves it by less than an eye sees."""

_TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 18px 22px; background: #15191d; color: #d8dee4; font: 13px/1.45 "DejaVu Sans Mono", monospace }
pre { margin: 0; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere } b { color: #8fe0b0; font-weight: 600 }
</style><pre>"""


def keep(page: Page, name: str, height: int = 0) -> None:
    """Photograph the top of a page, or all that stands on it."""
    if height:
        width = (page.viewport_size or {"width": 0})["width"]
        shot = page.screenshot(clip={"x": 0, "y": 0, "width": width, "height": height})
    else:
        shot = page.locator("body").screenshot()
    folder = os.environ.get("PICTURES")
    if folder:
        Path(folder, f"{name}.png").write_bytes(few_colours(shot))


def terminal(transcript: str, answers: Sequence[str]) -> str:
    """What stood in a terminal as a page; what a person typed stands out: lines after `$`, and these answers at the ends of lines."""
    lines = []
    for line in escape(transcript.strip()).splitlines():
        answer = next((it for it in map(escape, answers) if line.endswith(f": {it}")), "")
        asked = line.removesuffix(answer)
        lines.append(f"<b>{line}</b>" if line.startswith("$") else f"{asked}<b>{answer}</b>")
    return _TERMINAL + "\n".join(lines) + "</pre>"


def few_colours(png: bytes) -> bytes:
    """The same picture with a palette: a page of text is a quarter of its size, and looks the same."""
    pixels = imagecodecs.png_decode(png)[..., :3].astype(np.uint32)
    packed = pixels @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    numbers, where, often = np.unique(packed, return_inverse=True, return_counts=True)
    colours = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=1)
    palette = colours[np.argsort(-often)[:_COLOURS]].astype(np.float64)
    nearest = _nearest(colours, palette)
    for _ in range(_ROUNDS if len(colours) > _COLOURS else 0):
        weight = np.bincount(nearest, often, len(palette))
        for channel in range(3):
            total = np.bincount(nearest, often * colours[:, channel], len(palette))
            palette[:, channel] = np.where(weight > 0, total / np.maximum(weight, 1), palette[:, channel])
        nearest = _nearest(colours, palette)
    rows = nearest.astype(np.uint8)[where.reshape(-1)].reshape(pixels.shape[:2])
    data = b"".join(b"\0" + row.tobytes() for row in rows)  # filter 0: each pixel is a number of the palette
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 3, 0, 0, 0)
    parts = {b"IHDR": header, b"PLTE": palette.round().astype(np.uint8).tobytes(), b"IDAT": zlib.compress(data, 9)}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in [*parts.items(), (b"IEND", b"")])


def _nearest(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The number in the palette of each colour."""
    found = [
        ((some[:, None, :].astype(np.float64) - palette[None]) ** 2).sum(axis=2).argmin(axis=1)
        for some in np.array_split(colours, max(1, len(colours) // 4096))
    ]
    return np.concatenate(found)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
