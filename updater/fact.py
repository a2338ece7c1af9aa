"""What a fact of the shop is called, `checkout.total [checkout, mobile]`, and the parts of one that lists things."""

from __future__ import annotations

import re
from collections import Counter

BETWEEN = " | "
"""Between the parts of a fact that lists things: delivery methods with their prices, prices on a page."""


def fact_key(name: str, scope: str, viewport: str) -> str:
    """The key of a fact in an Observation: `checkout.total [checkout, mobile]`, `page.title [/about/, desktop]`."""
    return f"{name} [{scope}, {viewport}]"


def split_fact(key: str) -> tuple[str, str, str]:
    """(name, scope, viewport) of a key; scope and viewport are '' when the key has none."""
    match = re.fullmatch(r"(\S+) \[(.*), ([^,\]]*)\]", key, re.S)
    return (match[1], match[2], match[3]) if match else (key, "", "")


def gone(old: str | None, new: str | None) -> list[str]:
    """The parts of a list that the other one has not, or not as often."""
    parts = [Counter(it.split(BETWEEN) if it else ()) for it in (old, new)]
    return [*(parts[0] - parts[1])]
