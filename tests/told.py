"""What takes how long, for `pytest -s`: the pages in docs/ about real releases are written from it."""

from __future__ import annotations

import time

from updater.log import Silent


class Told(Silent):
    def step(self, name: str) -> None:
        print(f"{time.strftime('%T')} {name}", flush=True)

    def say(self, message: str) -> None:
        print(f"{time.strftime('%T')}   {message}", flush=True)
