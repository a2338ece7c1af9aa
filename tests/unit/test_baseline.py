"""The approved look tells that production has drifted, and never decides a verdict."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from updater.checks import baseline
from updater.checks.observation import Observation, Shot
from updater.errors import UpdaterError
from updater.model import Status, Thresholds

NOW = datetime(2026, 11, 22, tzinfo=UTC)
APPROVED: Any = {"run": "20261122-000000-aaaa", "person": "Анна", "at": NOW}


def photographed(folder: Path, grey: int, pages: tuple[str, ...] = ("home", "/shop/", "/../climb/")) -> Observation:
    """Pages that are one grey square, 64 × 64."""
    folder.mkdir(parents=True)
    shots = []
    for number, page in enumerate(pages):
        pixels = np.full((64, 64, 3), grey, np.uint8)
        file = folder / f"{number}.png"
        file.write_bytes(imagecodecs.png_encode(pixels))
        shots.append(
            Shot(page, "desktop", file.name, hashlib.sha256(file.read_bytes()).hexdigest(), 64, 64, ((1, 2, 3, 4),))
        )
    return Observation(folder, 0, (), (), tuple(shots), {})


def told(tmp_path: Path, seen: Observation) -> tuple[Status, bool, str]:
    (check,) = baseline.compare(seen, tmp_path / "baselines" / "shop", Thresholds(), tmp_path / "drift", tmp_path)
    return check.status, check.required, check.detail


def test_before_anything_was_approved_there_is_nothing_to_tell(tmp_path: Path) -> None:
    seen = photographed(tmp_path / "now", 200)
    assert baseline.compare(seen, tmp_path / "none", Thresholds(), tmp_path / "drift", tmp_path) == ()


def test_the_same_look_passes_and_another_is_told_without_deciding(tmp_path: Path) -> None:
    baseline.keep(photographed(tmp_path / "then", 200), tmp_path / "baselines" / "shop", **APPROVED)
    same = told(tmp_path, photographed(tmp_path / "same", 200))
    other = told(tmp_path, photographed(tmp_path / "other", 20))
    assert same == (Status.PASSED, False, "production looks as approved on 2026-11-22")
    assert other[:2] == (Status.FAILED, False)
    assert "3 of 3 pictures" in other[2]


def test_a_new_approval_replaces_the_old_one_whole(tmp_path: Path) -> None:
    folder = tmp_path / "baselines" / "shop"
    baseline.keep(photographed(tmp_path / "then", 200), folder, **APPROVED)
    baseline.keep(photographed(tmp_path / "now", 20, pages=("home",)), folder, **APPROVED)
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["home"]
    assert told(tmp_path, photographed(tmp_path / "again", 20, pages=("home",)))[0] is Status.PASSED
    assert [path.name for path in folder.parent.iterdir()] == ["shop"]


def test_no_page_name_leaves_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "baselines" / "shop"
    baseline.keep(photographed(tmp_path / "then", 200), folder, **APPROVED)
    assert all(folder in path.resolve().parents for path in folder.rglob("*.png"))
    assert not (tmp_path / "climb").exists()


def test_a_damaged_baseline_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "baselines" / "shop"
    folder.mkdir(parents=True)
    (folder / "baseline.yml").write_text("pictures: [1, 2]\nat: never\n")
    with pytest.raises(UpdaterError, match="cannot be read"):
        told(tmp_path, photographed(tmp_path / "now", 20))
