"""Pictures before and after: what counts as a change, what is noise, and what can never pass."""

from __future__ import annotations

import hashlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from updater.checks import visual
from updater.checks.observation import Observation, Shot
from updater.model import Check, Picture, Status, Thresholds

Pixels = NDArray[np.uint8]
Pages = dict[tuple[str, str], Pixels | bytes]
HOME = ("home", "desktop")


def page(height: int = 900, width: int = 400) -> Pixels:
    """A page with text-like lines: every line of it differs from its neighbours, so that a shift shows."""
    rng = np.random.default_rng(7)
    picture = np.full((height, width, 3), 255, np.uint8)
    for top in range(20, height - 20, 24):
        picture[top : top + 10, 20 : 20 + int(rng.integers(80, width - 60))] = rng.integers(0, 90, 3)
    return picture


def box(picture: Pixels, x: int, y: int, width: int, height: int, colour: tuple[int, int, int] = (0, 128, 0)) -> Pixels:
    changed = picture.copy()
    changed[y : y + height, x : x + width] = colour
    return changed


def observed(root: Path, name: str, pages: Pages, masks: tuple[tuple[int, int, int, int], ...] = ()) -> Observation:
    folder = root / name
    folder.mkdir(parents=True)
    shots = []
    for n, ((label, viewport), picture) in enumerate(pages.items()):
        data = picture if isinstance(picture, bytes) else bytes(imagecodecs.png_encode(picture))
        (folder / f"{n}.png").write_bytes(data)
        height, width = (10, 10) if isinstance(picture, bytes) else picture.shape[:2]
        shots.append(Shot(label, viewport, f"{n}.png", hashlib.sha256(data).hexdigest(), width, height, masks))
    return Observation(folder, 0, (), (), tuple(shots), {})


def compare(
    root: Path, before: Pixels, after: Pixels, noise: Pixels | None = None, **options: object
) -> tuple[Picture, Check]:
    masks = options.pop("masks", ())
    assert isinstance(masks, tuple)
    observations = [
        observed(root, name, {HOME: picture}, masks)
        for name, picture in (("before", before), ("noise", before if noise is None else noise), ("after", after))
    ]
    thresholds = Thresholds(**options)  # type: ignore[arg-type]
    pictures, checks = visual.compare(*observations, thresholds, root / "visual", root)
    assert len(pictures) == len(checks) == 1
    return pictures[0], checks[0]


def test_an_unchanged_page_passes_and_writes_no_picture(tmp_path: Path) -> None:
    picture, check = compare(tmp_path, page(), page())
    assert check.status is Status.PASSED
    assert (picture.changed, picture.noisy, picture.difference, picture.noise) == (0, 0, "", "")
    assert picture.before == "before/0.png"
    assert not (tmp_path / "visual").exists()


def test_a_changed_block_fails_and_is_told_where(tmp_path: Path) -> None:
    picture, check = compare(tmp_path, page(), box(page(), 120, 560, 200, 48))
    assert check.status is Status.FAILED
    assert "200 × 48 px, 120 px from the left and 560 px from the top" in check.findings[0].message
    drawn = imagecodecs.png_decode((tmp_path / picture.difference).read_bytes())
    assert drawn.shape == (900, 400, 3)
    assert tuple(drawn[580, 200]) == (214, 40, 57)


def test_a_small_button_that_vanished_from_a_long_page_fails_though_its_share_is_tiny(tmp_path: Path) -> None:
    long = page(3000, 1366)
    picture, check = compare(tmp_path, box(long, 900, 1500, 60, 20), long)
    assert picture.changed < Thresholds().changed
    assert check.status is Status.FAILED


def test_scattered_specks_below_both_limits_are_told_but_pass(tmp_path: Path) -> None:
    blank = np.full((1200, 400, 3), 255, np.uint8)
    after = blank.copy()
    for y in range(50, 1150, 200):
        after[y : y + 2, 100:102] = 0
    picture, check = compare(tmp_path, blank, after)
    assert check.status is Status.PASSED
    assert picture.changed > 0
    assert picture.difference
    assert "within the tolerance" in check.detail


def test_what_moves_without_an_update_is_noise_and_a_change_beside_it_is_not(tmp_path: Path) -> None:
    before, again = box(page(), 40, 40, 60, 20, (200, 0, 0)), box(page(), 40, 40, 60, 20, (0, 0, 200))
    third = box(page(), 40, 40, 60, 20, (0, 200, 0))
    picture, check = compare(tmp_path / "banner", before, third, noise=again)
    assert check.status is Status.PASSED
    assert picture.changed == 0
    assert picture.noisy == pytest.approx((60 + 64) * (20 + 16) / (900 * 400))
    assert picture.noise
    _, check = compare(tmp_path / "button", before, box(third, 40, 400, 60, 20), noise=again)
    assert check.status is Status.FAILED


def test_of_a_ticking_clock_the_hour_is_noise_too_and_the_line_below_is_not(tmp_path: Path) -> None:
    """Digits of 16 px text, 9 px wide: `23:58:41`, of which the captures saw the seconds change and a minute."""

    def clock(hour: int, second: int, below: int = 0) -> Pixels:
        picture = box(box(page(), 100, 40, 8, 12, (hour, 0, 0)), 155, 40, 8, 12, (0, 0, second))
        picture = box(picture, 132, 40, 8, 12, (0, 0, second))
        return box(picture, 100, 64, 40, 12, (0, below, 0))

    before, again, after = clock(0, 0), clock(0, 200), clock(200, 90)
    _, check = compare(tmp_path / "hour", before, after, noise=again)
    assert check.status is Status.PASSED
    _, check = compare(tmp_path / "below", before, clock(200, 90, below=220), noise=again)
    assert check.status is Status.FAILED


def test_a_further_capture_of_the_unupdated_shop_widens_the_noise(tmp_path: Path) -> None:
    still, banner = page(), box(page(), 100, 100, 80, 40)
    before, noise = observed(tmp_path, "a1", {HOME: still}), observed(tmp_path, "a2", {HOME: still})
    after = observed(tmp_path, "b", {HOME: banner})
    later = observed(tmp_path, "a3", {HOME: box(page(), 100, 100, 80, 40, (250, 0, 0))})
    args = (before, noise, after, Thresholds(), tmp_path / "visual", tmp_path)
    assert visual.compare(*args)[1][0].status is Status.FAILED
    assert visual.compare(*args, more_noise=(later,))[1][0].status is Status.PASSED


def test_masked_pixels_are_never_compared(tmp_path: Path) -> None:
    before, after = page(), box(page(), 100, 100, 80, 40)
    picture, check = compare(tmp_path, before, after, masks=((90, 90, 100, 60),))
    assert check.status is Status.PASSED
    assert picture.masked == pytest.approx(6000 / 360000)
    assert picture.changed == 0


def test_a_mask_on_either_side_counts(tmp_path: Path) -> None:
    before = observed(tmp_path, "a1", {HOME: page()})
    noise = observed(tmp_path, "a2", {HOME: page()})
    after = observed(tmp_path, "b", {HOME: box(page(), 100, 100, 80, 40)}, ((90, 90, 100, 60),))
    _, (check,) = visual.compare(before, noise, after, Thresholds(), tmp_path / "v", tmp_path)
    assert check.status is Status.PASSED
    assert check.findings[0].kind == "masks"  # that a masked thing came or went is told


@pytest.mark.parametrize("mask", [(0, 0, 400, 300), (-50, -50, 5000, 5000)])
def test_too_much_masked_is_inconclusive_even_when_nothing_differs(
    tmp_path: Path, mask: tuple[int, int, int, int]
) -> None:
    assert compare(tmp_path, page(), page(), masks=(mask,))[1].status is Status.INCONCLUSIVE


def test_too_much_noise_is_inconclusive(tmp_path: Path) -> None:
    picture, check = compare(tmp_path, page(), box(page(), 0, 0, 400, 20), noise=np.roll(page(), 11, axis=0))
    assert check.status is Status.INCONCLUSIVE
    assert "moving by itself" in check.detail
    assert picture.noise


def test_the_picture_of_the_second_capture_is_the_unupdated_shop_too(tmp_path: Path) -> None:
    other = np.roll(page(), 11, axis=0)
    assert compare(tmp_path, page(), other, noise=other)[1].status is Status.PASSED


def test_a_taller_page_fails_names_the_height_and_compares_the_common_part(tmp_path: Path) -> None:
    after = box(page(1020), 30, 300, 60, 60)
    after[:900] = box(page(900), 30, 300, 60, 60)
    picture, check = compare(tmp_path, page(900), after)
    assert check.status is Status.FAILED
    assert "page is 120 px taller (900 → 1020 px)" in check.detail
    assert [finding.kind for finding in check.findings] == ["size", "picture"]
    assert picture.difference


def test_a_page_only_one_pixel_shorter_fails_though_the_common_part_is_equal(tmp_path: Path) -> None:
    _, check = compare(tmp_path, page(900), page(900)[:-1])
    assert check.status is Status.FAILED
    assert "1 px shorter" in check.detail


def test_a_page_whose_height_changes_by_itself_cannot_be_judged_by_its_height(tmp_path: Path) -> None:
    _, check = compare(tmp_path, page(900), page(920), noise=page(910))
    assert check.status is Status.INCONCLUSIVE


def test_a_page_pushed_down_is_one_move_and_not_a_page_of_red(tmp_path: Path) -> None:
    old = page(900)
    banner = np.full((24, 400, 3), (250, 200, 0), np.uint8)
    picture, check = compare(tmp_path, old, np.concatenate([old[:60], banner, old[60:]]))
    assert check.status is Status.FAILED
    assert [finding.kind for finding in check.findings] == ["size", "moved", "picture"]
    moved = check.findings[1]
    assert "moved 24 px down" in moved.message
    assert picture.changed == pytest.approx(24 / 924), "only the banner itself is painted anew"


def test_a_change_inside_what_moved_is_told_beside_the_move(tmp_path: Path) -> None:
    old = page(900)
    new = np.concatenate([np.full((24, 400, 3), 255, np.uint8), box(old, 30, 700, 60, 40)])
    _, check = compare(tmp_path, old, new)
    assert check.status is Status.FAILED
    assert "moved 24 px down" in check.detail
    assert any("60 × 40 px, 30 px from the left and 724 px from the top" in it.message for it in check.findings)


def test_noise_and_masks_move_with_the_page(tmp_path: Path) -> None:
    old, other = (box(page(900), 200, 500, 50, 20, colour) for colour in ((200, 0, 0), (0, 0, 200)))
    pushed = np.concatenate([np.full((24, 400, 3), 255, np.uint8), box(page(900), 200, 500, 50, 20, (0, 200, 0))])
    picture, check = compare(tmp_path, old, pushed, noise=other)
    assert [finding.kind for finding in check.findings][:2] == ["size", "moved"]
    assert picture.changed == pytest.approx(24 / 924), "the turning banner is still noise where it stands now"


def test_a_move_alone_never_passes(tmp_path: Path) -> None:
    old = page(900)
    new = np.concatenate([old[24:], np.full((24, 400, 3), 255, np.uint8)])
    _, check = compare(tmp_path, old, new)
    assert check.status is Status.FAILED
    assert "moved 24 px up" in check.detail


def test_no_picture_at_all_never_passes(tmp_path: Path) -> None:
    empty = [observed(tmp_path, name, {}) for name in ("a", "n", "b")]
    pictures, checks = visual.compare(*empty, Thresholds(), tmp_path / "v", tmp_path)
    assert pictures == ()
    assert [check.status for check in checks] == [Status.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ("an", Status.FAILED),  # the update lost a page
        ("ab", Status.INCONCLUSIVE),
        ("nb", Status.INCONCLUSIVE),
        ("b", Status.INCONCLUSIVE),
        ("a", Status.INCONCLUSIVE),
    ],
)
def test_a_page_photographed_on_one_side_only_never_passes(tmp_path: Path, seen: str, status: Status) -> None:
    cart = ("cart", "mobile")
    passes = [
        observed(tmp_path, name, {HOME: page()} | ({cart: page()} if name in seen else {})) for name in ("a", "n", "b")
    ]
    pictures, checks = visual.compare(*passes, Thresholds(), tmp_path / "v", tmp_path)
    assert [check.status for check in checks] == [Status.PASSED, status]
    assert len(pictures) == 2
    assert "cart" in checks[1].detail


def test_a_picture_cut_short_never_passes_though_all_three_are_cut_the_same(tmp_path: Path) -> None:
    whole = bytes(imagecodecs.png_encode(page()))
    for data in (whole[:-1], whole[:100], b"", whole[:16] + bytes(8) + whole[24:]):
        seen = [observed(tmp_path / f"{len(data)}{data[16:24].hex()}", name, {HOME: data}) for name in "anb"]
        _, checks = visual.compare(seen[0], seen[1], seen[2], Thresholds(), tmp_path / "v", tmp_path)
        assert [check.status for check in checks] == [Status.INCONCLUSIVE], data[:30]


def test_a_page_that_never_moved_is_judged_by_its_masks_too(tmp_path: Path) -> None:
    picture, check = compare(tmp_path / "some", page(), page(), masks=((90, 90, 100, 60), (100, 100, 100, 60)))
    assert (check.status, check.detail) == (Status.PASSED, "Looks the same; 2.1 % was not compared.")
    assert picture.masked == pytest.approx(7500 / 360000), "what two masks share counts once"
    _, check = compare(tmp_path / "most", page(), page(), masks=((0, 0, 400, 800),))
    assert check.status is Status.INCONCLUSIVE


def test_one_label_used_twice_is_compared_twice(tmp_path: Path) -> None:
    def twice(name: str, second: Pixels) -> Observation:
        one, two = observed(tmp_path, f"{name}1", {HOME: page()}), observed(tmp_path, f"{name}2", {HOME: second})
        shots = (
            *(Shot(**{**vars_of(s), "file": f"{name}1/0.png"}) for s in one.shots),
            *(Shot(**{**vars_of(s), "file": f"{name}2/0.png"}) for s in two.shots),
        )
        return Observation(tmp_path, 0, (), (), shots, {})

    def vars_of(shot: Shot) -> dict[str, object]:
        return {name: getattr(shot, name) for name in Shot.__slots__}

    _, checks = visual.compare(
        twice("a", page()), twice("n", page()), twice("b", box(page(), 5, 5, 90, 90)), Thresholds(), tmp_path, tmp_path
    )
    assert [(check.name, check.status) for check in checks] == [
        ("picture of home (desktop)", Status.PASSED),
        ("picture of home (2) (desktop)", Status.FAILED),
    ]


def test_a_file_that_is_gone_altered_or_no_picture_never_passes(tmp_path: Path) -> None:
    def passes(name: str) -> list[Observation]:
        return [observed(tmp_path / name, part, {HOME: page()}) for part in ("a", "n", "b")]

    def status(seen: list[Observation]) -> Status:
        return visual.compare(*seen, Thresholds(), tmp_path / "v", tmp_path)[1][0].status

    gone = passes("gone")
    (gone[2].folder / "0.png").unlink()
    assert status(gone) is Status.FAILED
    altered = passes("altered")
    (altered[2].folder / "0.png").write_bytes(imagecodecs.png_encode(page(100)))
    assert status(altered) is Status.INCONCLUSIVE
    for torn in ((0,), (1,), (2,), (0, 1, 2)):
        pages: list[Pages] = [{HOME: b"\x89PNG torn" if n in torn else page()} for n in range(3)]
        seen = [observed(tmp_path / f"torn{torn}", f"{i}", page_set) for i, page_set in enumerate(pages)]
        assert status(seen) is Status.INCONCLUSIVE


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 9))
def test_widening_reaches_exactly_so_far(seed: int, down: int, across: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((23, 31)) < 0.02
    grown = visual.widened(mask, down, across)
    expected = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        expected[max(y - down, 0) : y + down + 1, max(x - across, 0) : x + across + 1] = True
    assert (grown == expected).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_areas_cover_every_changed_pixel_once_and_the_densest_window_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((100, 140)) < rng.choice([0.0005, 0.01, 0.2])
    areas = visual.clusters(mask)
    assert sum(area.pixels for area in areas) == int(mask.sum())
    for area in areas:
        assert mask[area.y : area.y + area.height, area.x : area.x + area.width].sum() >= area.pixels
    window = visual.WINDOW
    everywhere = np.lib.stride_tricks.sliding_window_view(np.pad(mask, window), (window, window))
    brute = int(everywhere.sum(axis=(2, 3)).max())
    assert visual.densest(mask) == brute
