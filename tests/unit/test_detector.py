"""The check on the checks: a detector that does not see a fault that is there makes the run inconclusive, whatever else passes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from updater.checks import detector, verdict
from updater.checks.observation import Observation, PageView, Shot, Test
from updater.model import Check, Evidence, Picture, Status, Thresholds, Verdict

WHOLE = np.full((300, 400, 3), 240, np.uint8)
HIDDEN = WHOLE.copy()
HIDDEN[100:140, 50:200] = 255


def seen(folder: Path, name: str, pixels: np.ndarray, *, outcome: str = "passed", console: str = "") -> Observation:
    data = bytes(imagecodecs.png_encode(pixels))
    (folder / name).mkdir()
    (folder / name / "home.png").write_bytes(data)
    shot = Shot("home", "desktop", "home.png", hashlib.sha256(data).hexdigest(), 400, 300)
    view = PageView("home", "desktop", "https://shop.example/", 200, "Shop", (console,) if console else ())
    test = Test("test_checkout::test_a_customer_can_order[checkout-desktop]", outcome, "no “Add to cart” button")
    return Observation(folder / name, int(outcome != "passed"), (test,), (view,), (shot,), {})


def checked(folder: Path, fault: Observation, noise: Observation | None = None) -> Check:
    before = seen(folder, "before", WHOLE)
    noise = noise or seen(folder, "noise", WHOLE)
    return detector.check(before, noise, fault, Thresholds(), folder / "pictures", folder)


@pytest.fixture
def fault(tmp_path: Path) -> Observation:
    return seen(tmp_path, "fault", HIDDEN, outcome="failed", console=f"Error: {detector.MESSAGE}")


def test_a_fault_that_every_detector_sees_is_sound_ground(tmp_path: Path, fault: Observation) -> None:
    assert checked(tmp_path, fault).status is Status.PASSED


def test_a_flow_that_gets_through_although_buttons_are_hidden_proves_nothing(
    tmp_path: Path, fault: Observation
) -> None:
    blind = replace(fault, tests=(replace(fault.tests[0], outcome="passed"),), exit_code=0)
    check = checked(tmp_path, blind)
    assert check.status is Status.INCONCLUSIVE
    assert "the flow got through" in check.detail


def test_a_pass_that_broke_down_says_so_and_not_that_the_flow_got_through(tmp_path: Path, fault: Observation) -> None:
    crashed = replace(
        fault, tests=(Test("the pass itself", "error", "no test ran (pytest ended with 3)"),), exit_code=3
    )
    check = checked(tmp_path, crashed)
    assert check.status is Status.INCONCLUSIVE
    assert check.detail.endswith("broke down: no test ran (pytest ended with 3)")


def test_a_browser_that_hears_of_no_error_proves_nothing(tmp_path: Path, fault: Observation) -> None:
    check = checked(tmp_path, replace(fault, views=(replace(fault.views[0], console=("another error",)),)))
    assert check.status is Status.INCONCLUSIVE
    assert [finding.message for finding in check.findings] == [
        "the browser did not tell of an error that a script threw"
    ]


def test_a_page_where_everything_moves_hides_the_fault_and_proves_nothing(tmp_path: Path, fault: Observation) -> None:
    restless = WHOLE.copy()
    restless[::2] = 10
    check = checked(tmp_path, fault, seen(tmp_path, "restless", restless))
    assert check.status is Status.INCONCLUSIVE
    assert "no picture showed" in check.detail


def test_a_page_that_was_not_photographed_is_no_picture_of_the_fault(tmp_path: Path, fault: Observation) -> None:
    assert "no picture showed" in checked(tmp_path, replace(fault, shots=())).detail


def test_a_blind_detector_makes_the_run_inconclusive_although_everything_passed(
    tmp_path: Path, fault: Observation
) -> None:
    blind = checked(tmp_path, replace(fault, shots=()))
    passed = (Check("smoke tests", "after", Status.PASSED, ""), Check("facts", "compare", Status.PASSED, ""))
    picture = Picture("home", "desktop", "a.png", "b.png", "", "", 0.0, 0.0, 0.0)
    judged = {
        check: verdict.judge(
            Evidence((check, *passed), (picture,)), stack_matched=True, mismatch="", accept_nearest=False
        ).verdict
        for check in (blind, replace(blind, status=Status.PASSED))
    }
    assert list(judged.values()) == [Verdict.INCONCLUSIVE, Verdict("PASS")]
