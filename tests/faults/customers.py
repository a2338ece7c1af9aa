"""Customers who keep placing orders, and know what they were told: acknowledged, refused, or nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"
MIXED = "mixed"
"""The version that a customer met who met two at once"""


@dataclass(frozen=True)
class Order:
    """`sent` and `ended` in seconds since 1970; `version` is the code that took it, MIXED when it was of two."""

    token: str
    sent: float
    ended: float
    outcome: str
    gate: bool
    version: str
    slow: bool


@dataclass
class Customers:
    """`place` orders once, and takes that many seconds in the shop.

    Two who hurry and two whose order takes `slow` seconds in the shop. Those two take turns: whenever the gate closes, one
    of them has half of that still to wait."""

    place: Callable[[float], Order]
    slow: float
    orders: list[Order] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Customers:
        for number in range(4):
            seconds = self.slow if number >= 2 else 0.0
            thread = threading.Thread(
                target=self._shop, args=(seconds, number % 2 * max(self.slow / 2, 0.2)), daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a customer waits for ever"

    def acknowledged(self, since: float = 0.0, until: float = float("inf")) -> int:
        return sum(it.outcome == ACKNOWLEDGED and it.sent >= since and it.ended <= until for it in list(self.orders))

    def _shop(self, seconds: float, late: float) -> None:
        self._end.wait(late)
        while not self._end.is_set():
            order = self.place(seconds)
            self.orders.append(order)
            # Who was refused does not hammer: the cores are for the shop.
            self._end.wait(0.0 if seconds and order.outcome == ACKNOWLEDGED else 0.3)
