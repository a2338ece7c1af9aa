"""Progress for people and a structured log for machines, both redacted."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import structlog

from updater.secrets import redact


class Progress(Protocol):
    """Where long steps say what they do. The CLI shows it; tests collect it."""

    def step(self, name: str) -> None:
        """A step of the story begins: `clone`, `stage`, `check`…"""

    def say(self, message: str) -> None:
        """One line about what happens within the step."""


class Silent:
    """Progress for callers that show none."""

    def step(self, name: str) -> None: ...

    def say(self, message: str) -> None: ...


def _redact_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def run_log(path: Path) -> tuple[structlog.typing.FilteringBoundLogger, TextIO]:
    """A JSON-lines log of one run. The caller closes the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a", encoding="utf-8")
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _redact_event,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    return logger, stream


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that the block took to `timings[name]`."""
    begun = time.monotonic()
    try:
        yield
    finally:
        timings[name] = timings.get(name, 0.0) + time.monotonic() - begun
