"""The parts of a pass over the shop that need no browser: Chromium's command line, and the observation on disk."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest

from updater.checks import smoke, walk
from updater.checks.browser import ascii_host, flags
from updater.checks.observation import LogLine, Observation, PageView, Shot, Test
from updater.cms.base import OrderRow, ShopState
from updater.log import Silent


def test_only_the_shops_names_resolve():
    (rules,) = [flag for flag in flags({"shop.example": "172.20.0.3", "чай.рф": "::1"}) if "resolver" in flag]
    assert rules == "--host-resolver-rules=MAP shop.example 172.20.0.3, MAP xn--80as4b.xn--p1ai [::1], MAP * ~NOTFOUND"


def test_a_name_is_compared_as_dns_knows_it():
    assert ascii_host("Shop.Example") == "shop.example"
    assert ascii_host("ЧАЙ.рф") == ascii_host("чай.рф")


def test_an_observation_comes_back_from_disk_as_it_was(tmp_path):
    seen = Observation(
        folder=tmp_path,
        exit_code=1,
        tests=(Test("a::b[desktop]", "failed", "“Чай” \u2028 ]]>", 1.5),),
        views=(
            PageView(
                "/",
                "desktop",
                "http://shop.example/",
                200,
                "Чай",
                ("TypeError: x",),
                ("GET /a: HTTP 404",),
                0.1,
                ("ads.example",),
            ),
        ),
        shots=(Shot("/", "desktop", "desktop-home.png", "00", 1366, 900, ((1, 2, 3, 4),)),),
        facts={"page.title [/, desktop]": "Чай"},
        state_before=ShopState((), 0, {"7": "10"}, 6),
        state_after=ShopState((OrderRow("1", "10.00", "a@example.com"),), 1, {"7": "9"}, 6),
        errors=(LogLine("warning", "w", 2),),
        seconds=3.2,
    )
    smoke.save(seen)
    assert smoke.load(tmp_path) == seen
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "observation.json").rename(moved / "observation.json")
    assert smoke.load(moved).folder == moved


def test_a_pass_that_never_ended_cannot_be_loaded(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        smoke.load(tmp_path)


def test_ctrl_c_while_the_pass_begins_leaves_nothing_that_the_program_waits_for(tmp_path, monkeypatch):
    started: list[threading.Timer] = []
    start = threading.Timer.start

    def interrupted(timer: threading.Timer) -> None:
        start(timer)
        started.append(timer)
        raise KeyboardInterrupt  # as when it comes while the main thread waits for the timer's own

    monkeypatch.setattr(threading.Timer, "start", interrupted)
    asleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(walk, "_command", lambda *_: asleep)
    with pytest.raises(KeyboardInterrupt), walk.started({}, Path(), [], tmp_path, root=tmp_path) as walking:
        walking.follow(Silent(), limit=600.0)
    (timer,) = started
    assert timer.finished.is_set()
    (process,) = timer.args
    assert process.poll() == -signal.SIGKILL
