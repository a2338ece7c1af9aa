"""Which pixels of two pictures differ to the eye: mapbox's pixelmatch, pixel for pixel, over whole bands of rows at once. Pure.

The rules are pixelmatch 7's: a squared distance of colours in YIQ above a threshold (Kotsarenko and Ramos), save where the pixel
looks like the smoothed edge of a shape in either picture (Vyšniauskas). tests/unit/test_pixels.py and `make bench` hold every count
against theirs. Asking for each pixel in turn made a restyled page cost seconds; most of it is the same question for all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pybind11_pixelmatch import Options, pixelmatch

Pixels = NDArray[np.uint8]
"""height × width × 4, RGBA, contiguous"""
Mask = NDArray[np.bool_]
"""height × width"""
Words = NDArray[np.uint32]
"""The same pixels, four bytes in one"""

# Perceived colour distance (0..1) from which pixelmatch counts a pixel. Its default of 0.1 does not see a #f0f0f0 panel
# turn white; Chromium draws a still page byte by byte the same, so there is no reason to be that tolerant.
COLOUR = 0.05

_FARTHEST = 35215
"""The largest possible distance, of black and white."""
_BAND = 96
"""Rows looked at together: what is computed for them stays in the processor's cache."""
_LUMA = (29889531.0, 58662247.0, 11448223.0)
"""Y of YIQ as whole numbers, exact in a float. No two colours have the same, so equal brightness means equal colour."""
_SEEN = 2
"""Rows above and below a pixel that decide about it: a neighbour, and that one's neighbours."""


def differing(a: Pixels, b: Pixels, *, antialiasing: bool = False, colour: float = COLOUR) -> Mask:
    """Which pixels differ to the eye, by pixelmatch's rules. `antialiasing`: count smoothed edges too.

    Raises ValueError for different shapes: such pictures have no count, and whoever asks must not take one for it.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of different size: {a.shape} and {b.shape}")
    if not (_opaque(a) and _opaque(b)):
        return _translucent(a, b, antialiasing, colour)
    words_a, words_b = _words(a), _words(b)
    changed: Mask = words_a != words_b
    rows = np.flatnonzero(changed.any(axis=1))
    limit = _FARTHEST * colour * colour
    for start in range(0, a.shape[0], _BAND):
        first, last = np.searchsorted(rows, (start, start + _BAND))
        if first == last:
            continue
        top, bottom = int(rows[first]), int(rows[last - 1]) + 1
        band = changed[top:bottom]
        band[band] = _far(words_a[top:bottom][band], words_b[top:bottom][band], limit)
        if not antialiasing and band.any():
            band &= ~_smoothed(words_a, words_b, band, top)
    return changed


def _words(picture: Pixels) -> Words:
    words: Words = np.ascontiguousarray(picture).view(np.uint32)[..., 0]
    return words


def _opaque(picture: Pixels) -> bool:
    alpha = np.array([0, 0, 0, 255], np.uint8).view(np.uint32)[0]
    return bool(np.bitwise_and.reduce(_words(picture), axis=None) & alpha == alpha)


def _far(a: Words, b: Words, limit: float) -> NDArray[np.bool_]:
    """For pixels in a row: is their distance above the limit? In the reference's order of operations, so to the last bit."""
    difference = a.view(np.uint8).reshape(-1, 4).astype(np.int16) - b.view(np.uint8).reshape(-1, 4)
    red, green, blue = (difference[:, channel].astype(np.float64) for channel in range(3))
    y = red * 0.29889531 + green * 0.58662247 + blue * 0.11448223
    i = red * 0.59597799 - green * 0.27417610 - blue * 0.32180189
    q = red * 0.21147017 - green * 0.52261711 + blue * 0.31114694
    far: NDArray[np.bool_] = 0.5053 * y * y + 0.299 * i * i + 0.1957 * q * q > limit
    return far


def _smoothed(a: Words, b: Words, band: Mask, top: int) -> Mask:
    """Which pixels of the band (rows from `top` on) look like a smoothed edge in one of the pictures."""
    height = a.shape[0]
    above, below = max(top - _SEEN, 0), min(top + band.shape[0] + _SEEN, height)
    parts = [words[above:below] for words in (a, b)]
    flat = [_in_flat_colour(part, above == 0, below == height) for part in parts]
    anchors = np.pad(flat[0] & flat[1], 1)
    near = _near(anchors)
    inner = slice(top - above, top - above + band.shape[0])
    smoothed: Mask = np.zeros(band.shape, bool)
    for part, even in zip(parts, flat, strict=True):
        asked = band & near[inner] & ~even[inner] & ~smoothed
        rows, columns = np.nonzero(asked)
        if rows.size:
            smoothed[rows, columns] = _on_an_edge(part, anchors, rows + inner.start, columns)
    return smoothed


def _in_flat_colour(words: Words, first: bool, last: bool) -> Mask:
    """Three neighbours or more of the very same colour; the picture's border stands for one."""
    same: NDArray[Any] = np.zeros(words.shape, np.uint8)
    for here, there in (
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:, 1:], np.s_[:-1, :-1]),
        (np.s_[1:, :-1], np.s_[:-1, 1:]),
    ):
        equal = words[here] == words[there]
        same[here] += equal
        same[there] += equal
    border = np.zeros(words.shape, np.uint8)
    border[:, [0, -1]] = 1
    border[0] |= first
    border[-1] |= last
    same += border
    return same > 2


def _near(anchors: Mask) -> Mask:
    """Whether a pixel has an anchor among its neighbours: without one, no edge leans on it. `anchors` has a frame of one."""
    across = anchors[:, :-2] | anchors[:, 1:-1] | anchors[:, 2:]
    return across[:-2] | across[1:-1] | across[2:]


def _on_an_edge(words: Words, anchors: Mask, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """For pixels of a part: both darker and brighter neighbours, the darkest or the brightest of them an anchor.

    Of several that are equally dark the first counts, in the reference's order: column by column, each from the top.
    """
    framed = np.pad(words, 1)  # 0 stands for no pixel: one that cannot be seen through is never 0
    width = framed.shape[1]
    places = (rows + 1) * width + columns + 1
    pixels, anchor = framed.ravel(), anchors.ravel()
    own = _luma(pixels[places])
    darkest, brightest = np.zeros(own.shape), np.zeros(own.shape)
    dark_anchor, bright_anchor = np.zeros(own.shape, bool), np.zeros(own.shape, bool)
    for x in (-1, 0, 1):
        for y in (-1, 0, 1):
            if (x, y) == (0, 0):
                continue
            there = places + (y * width + x)
            pixel, leans = pixels[there], anchor[there]
            delta = _luma(pixel) - own
            delta[pixel == 0] = 0
            darker, brighter = delta < darkest, delta > brightest
            darkest[darker], dark_anchor[darker] = delta[darker], leans[darker]
            brightest[brighter], bright_anchor[brighter] = delta[brighter], leans[brighter]
    return (darkest < 0) & (brightest > 0) & (dark_anchor | bright_anchor)


def _luma(words: Words) -> NDArray[np.float64]:
    red, green, blue, _ = words.view(np.uint8).reshape(-1, 4).T
    brightness: NDArray[np.float64] = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    return brightness


def _translucent(a: Pixels, b: Pixels, antialiasing: bool, colour: float) -> Mask:
    """Pictures that one can see through, which no screenshot is: by the compiled engine, pixel by pixel."""
    options = Options()
    options.threshold = colour
    options.includeAA = antialiasing
    options.diffMask = True  # only what differs is drawn, on a transparent ground
    drawn = np.zeros_like(a)
    count = pixelmatch(a, b, output=drawn, options=options)
    mask: Mask = drawn[..., 3] > 0
    if count != int(mask.sum()):
        raise ValueError(f"the engine counted {count} pixels and drew {int(mask.sum())}")
    return mask
