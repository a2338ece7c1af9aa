"""The check on the checks, in a real browser: a fault that we know is seen on a shop, in seconds."""

from __future__ import annotations

from pathlib import Path

from test_smoke import SUITE, site
from tiny_shop import TinyShop, serve

from updater.checks import detector, smoke
from updater.log import Silent
from updater.model import Status, Thresholds


def test_a_known_fault_is_seen_by_every_detector_in_seconds(tmp_path: Path) -> None:
    policy = "default-src 'self'; style-src 'self'; script-src 'self'"
    with serve(TinyShop(extra=f'<meta http-equiv="Content-Security-Policy" content="{policy}">')) as shop:
        where = site(shop, tmp_path)
        before = smoke.observe(shop.target, where, SUITE, tmp_path / "before", Silent())
        assert before.exit_code == 0
        noise = smoke.observe(shop.target, where, SUITE, tmp_path / "noise", Silent(), like=before)
        seen = detector.observe(shop.target, where, SUITE, tmp_path / "fault", Silent(), like=before)
        check = detector.check(before, noise, seen, Thresholds(), tmp_path / "pictures", tmp_path)
    assert (check.status, check.phase) == (Status.PASSED, "before"), check
    assert check.seconds < 30
