"""Our engine against two others that follow the same rules: pixel for pixel, on pictures that meet every rule at every border."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pixelmatch import pixelmatch as reference
from pybind11_pixelmatch import Options, pixelmatch

from updater.checks.pixels import differing

Pixels = NDArray[np.uint8]


def opaque(colours: NDArray[np.uint8]) -> Pixels:
    alpha = np.full((*colours.shape[:2], 1), 255, np.uint8)
    return np.ascontiguousarray(np.concatenate([colours, alpha], axis=2))


def pair(seed: int, highest: int) -> tuple[Pixels, Pixels]:
    """Few colours side by side, faint ones or any, changed here and there; or a smooth line that moved by less than a pixel."""
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, (highest, 40)))
    if seed % 3 == 0:
        y, x = np.mgrid[:height, :width]
        slope, offset, by = rng.uniform(-2, 2), rng.uniform(0, height), rng.uniform(0, 1)
        lines = [np.clip(y - slope * x - offset + shift, 0, 1) * 255 for shift in (0.0, by)]
        a, b = (np.repeat(line.astype(np.uint8)[..., None], 3, axis=2) for line in lines)
        return opaque(a), opaque(b)
    colours = int(rng.choice([2, 3, 6, 200]))
    palette = rng.integers(0, 256, (colours, 3)) if seed % 3 == 1 else 128 + rng.integers(-9, 10, (colours, 3))
    a = palette.astype(np.uint8)[rng.integers(0, colours, (height, width))]
    b = a.copy()
    touched = rng.random((height, width)) < rng.choice([0.01, 0.3, 1])
    b[touched] = palette.astype(np.uint8)[rng.integers(0, colours, int(touched.sum()))]
    return opaque(a), opaque(b)


def compiled(a: Pixels, b: Pixels, colour: float, antialiasing: bool) -> NDArray[np.bool_]:
    options = Options()
    options.threshold, options.includeAA, options.diffMask = colour, antialiasing, True
    drawn = np.zeros_like(a)
    pixelmatch(a, b, output=drawn, options=options)
    mask: NDArray[np.bool_] = drawn[..., 3] > 0
    return mask


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), colour=st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.5]), smooth=st.booleans())
def test_the_same_pixels_differ_as_for_the_compiled_engine(seed: int, colour: float, smooth: bool) -> None:
    a, b = pair(seed, highest=230)  # more rows than a band has
    assert (differing(a, b, colour=colour, antialiasing=smooth) == compiled(a, b, colour, smooth)).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), colour=st.sampled_from([0.05, 0.1, 0.3]), smooth=st.booleans())
def test_as_many_pixels_differ_as_for_the_reference(seed: int, colour: float, smooth: bool) -> None:
    a, b = pair(seed, highest=28)
    flat = (a.ravel().tolist(), b.ravel().tolist(), a.shape[1], a.shape[0])
    expected = reference(*flat, threshold=colour, includeAA=smooth)
    assert int(differing(a, b, colour=colour, antialiasing=smooth).sum()) == expected


def test_these_pictures_have_smoothed_edges_and_real_changes() -> None:
    """Else the tests above would compare nothing with nothing."""
    counts = [
        (int(differing(*pair(seed, 60)).sum()), int(differing(*pair(seed, 60), antialiasing=True).sum()))
        for seed in range(60)
    ]
    assert sum(plain < smooth for plain, smooth in counts) > 15
    assert sum(plain > 0 for plain, _ in counts) > 20


def test_pictures_that_one_can_see_through_are_compared_as_they_look_on_a_ground() -> None:
    a, b = (np.zeros((9, 9, 4), np.uint8) for _ in range(2))
    b[2:5, 2:5, :3] = 255
    assert not differing(a, b).any(), "what cannot be seen at all does not differ"
    b[6, 6] = (255, 0, 0, 255)
    assert differing(a, b, antialiasing=True).nonzero() == ([6], [6])


def test_no_two_colours_are_equally_bright() -> None:
    """The engine takes equal brightness for equal colour."""
    red, green = np.mgrid[-255:256, -255:256]
    blue, left = np.divmod(-(29889531 * red + 58662247 * green), 11448223)
    assert np.argwhere((left == 0) & (abs(blue) <= 255)).tolist() == [[255, 255]], "only the difference of none"


def test_pictures_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="different size"):
        differing(np.zeros((3, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8))
