"""Versions as PHP orders them, which the CMSs and their plugins follow. Pure."""

from __future__ import annotations

import re

from updater.model import Update


def is_patch(update: Update) -> bool:
    """True when only the third number or a later one rises: 6.8.1 → 6.8.2, not 6.8 → 6.9."""
    return _release(update.from_version) == _release(update.to_version)


def _release(version: str) -> tuple[str, ...]:
    return tuple([*_parts(version), "0", "0"][:2])


_STAGES = {"dev": 0, "alpha": 1, "a": 1, "beta": 2, "b": 2, "RC": 3, "rc": 3, "#": 4, "pl": 5, "p": 5}


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1, as PHP's version_compare(), which the CMSs and their plugins order versions by.

    https://www.php.net/version_compare: parts split at `.`, `-`, `_`, `+` and between digits and letters;
    any other word < dev < alpha = a < beta = b < RC = rc < number < pl = p.
    """
    a, b = _parts(left), _parts(right)
    for one, other in zip(a, b, strict=False):
        order = _compare_part(one, other)
        if order:
            return order
    if len(a) == len(b):
        return 0
    rest, sign = (a[len(b)], 1) if len(a) > len(b) else (b[len(a)], -1)
    return sign if rest.isdigit() else sign * _sign(_stage(rest), _STAGES["#"])


def _parts(version: str) -> list[str]:
    text = re.sub(r"[-_+]", ".", version)
    text = re.sub(r"(?<=\d)(?=[^\d.])|(?<=[^\d.])(?=\d)", ".", text)
    return [part for part in text.split(".") if part]


def _compare_part(one: str, other: str) -> int:
    if one.isdigit() and other.isdigit():
        return _sign(int(one), int(other))
    return _sign(_stage(one), _stage(other))


def _stage(part: str) -> int:
    if part.isdigit():
        return _STAGES["#"]
    return next((rank for name, rank in _STAGES.items() if part.startswith(name)), -1)


def _sign(a: int, b: int) -> int:
    return (a > b) - (a < b)
