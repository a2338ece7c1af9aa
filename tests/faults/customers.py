"""Customers who keep placing orders, and know what they were told: acknowledged, refused, or nothing."""

from __future__ import annotations

import http.client
import re
import threading
import time
import uuid
from dataclasses import dataclass, field

from hosting import CUSTOMERS

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"


@dataclass(frozen=True)
class Order:
    """`sent` and `ended` in seconds since 1970; `version` is the code that took it, `mixed` when it was of two."""

    token: str
    sent: float
    ended: float
    outcome: str
    gate: bool
    version: str
    slow: bool


@dataclass
class Customers:
    """Two who hurry and two whose order takes `slow` seconds in the shop. Those two take turns: whenever the gate closes, one
    of them has half of that still to wait."""

    address: str
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
            order = place(self.address, seconds)
            self.orders.append(order)
            # Who was refused does not hammer: the cores are for the shop.
            self._end.wait(0.0 if seconds and order.outcome == ACKNOWLEDGED else 0.3)


def place(address: str, seconds: float) -> Order:
    token = uuid.uuid4().hex
    sent = time.time()
    connection = http.client.HTTPConnection(address, CUSTOMERS, timeout=15)
    outcome, gate, version = REFUSED, False, ""  # nobody there to hear the order
    try:
        connection.connect()
        outcome = UNKNOWN
        headers = {"Host": "shop.test", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/order.php", f"token={token}&seconds={seconds}", headers)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        if answer.status == 200 and (taken := re.fullmatch(rf"ordered {token} lib=(\S+) theme=(\S+)\n?", body)):
            outcome, version = ACKNOWLEDGED, taken[1] if taken[1] == taken[2] else "mixed"
        elif answer.status == 503 and body == "closed":
            outcome, gate = REFUSED, True
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return Order(token, sent, time.time(), outcome, gate, version, seconds > 0)
