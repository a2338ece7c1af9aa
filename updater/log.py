"""Progress for people and a structured log for machines, both redacted."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

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


class Logged:
    """Progress that is also kept: `run.log` in the run's folder, one JSON object a line, redacted. Has a lifetime."""

    def __init__(self, shown: Progress, path: Path) -> None:
        self._shown = shown
        self._stream = path.open("a", encoding="utf-8")
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(self._stream),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                _redact_event,
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )

    def step(self, name: str) -> None:
        self._logger.info("step", name=name)
        self._shown.step(name)

    def say(self, message: str) -> None:
        self._logger.info("say", message=message)
        self._shown.say(message)

    def failed(self, failure: BaseException) -> None:
        """Keep the failure with its traceback."""
        self._logger.error("failed", exc_info=failure)

    def close(self) -> None:
        self._stream.close()


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that the block took to `timings[name]`."""
    begun = time.monotonic()
    try:
        yield
    finally:
        timings[name] = timings.get(name, 0.0) + time.monotonic() - begun
