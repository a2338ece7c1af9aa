"""What a run said is kept, and no secret is in it."""

from __future__ import annotations

import json
from pathlib import Path

from updater.log import Logged, timed
from updater.secrets import register


class Heard:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, name: str) -> None:
        self.lines.append(f"step {name}")

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_steps_messages_and_failures_are_shown_and_kept_without_secrets(tmp_path: Path) -> None:
    secret = register("correct-horse-battery")
    heard, path = Heard(), tmp_path / "run.log"
    log = Logged(heard, path)
    log.step("clone")
    log.say(f"мигрируем {secret}")
    log.failed(ValueError(f"wrong password {secret}"))
    log.close()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert heard.lines[0] == "step clone"
    assert [line["event"] for line in lines] == ["step", "say", "failed"]
    assert "ValueError" in lines[2]["exception"]
    assert "мигрируем" in path.read_text(encoding="utf-8")
    assert secret not in path.read_text(encoding="utf-8")


def test_the_same_name_timed_twice_adds_up() -> None:
    timings: dict[str, float] = {"look": 5.0}
    with timed(timings, "look"):
        pass
    assert 5.0 <= timings["look"] < 6.0
