"""Values that never reach a log, a report, an argument list or a diff."""

from __future__ import annotations

import threading

REDACTED = "[redacted]"
_known: set[str] = set()
_lock = threading.Lock()


def register(value: str) -> str:
    """Remember a secret, so that `redact` removes it everywhere from now on. Returns it unchanged.

    Values under 4 characters are not registered: removing every "a" would hide nothing and destroy every text.
    """
    if len(value) >= 4:
        with _lock:
            _known.add(value)
    return value


def redact(text: str) -> str:
    """`text` without any registered secret, longest first so that no tail of one remains."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, REDACTED)
    return text
