"""What is noted between runs, a line of JSON each, kept beside the journal for the monthly report: looks, and backups."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import TypeVar

from updater.journal import converter
from updater.model import BackupEvent, Sample

T = TypeVar("T")


def add(state: Path, sample: Sample) -> None:
    """Append it, safely on disk when this returns."""
    _add(state / "watch" / f"{sample.at:%Y-%m}.jsonl", sample)


def of_month(state: Path, month: date) -> tuple[Sample, ...]:
    """The month's samples in order."""
    return _read(state / "watch" / f"{month:%Y-%m}.jsonl", Sample)


def add_backup(state: Path, event: BackupEvent) -> None:
    """Append it, safely on disk when this returns."""
    _add(state / "backups" / f"{event.at:%Y-%m}.jsonl", event)


def backups(state: Path) -> tuple[BackupEvent, ...]:
    """Every one there ever was, in order."""
    return tuple(event for path in sorted((state / "backups").glob("*.jsonl")) for event in _read(path, BackupEvent))


def _add(path: Path, noted: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = (
        f"\n{json.dumps(converter.unstructure(noted))}"  # the newline first: a torn line before does not spoil this one
    )
    with path.open("ab") as stream:
        stream.write(line.encode())
        stream.flush()
        os.fsync(stream.fileno())


def _read(path: Path, kind: type[T]) -> tuple[T, ...]:
    """A line that a crash tore is passed over: it was never whole, and the next one is."""
    if not path.exists():
        return ()
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(converter.structure(json.loads(line), kind))
        except json.JSONDecodeError:  # torn, or the empty first line
            continue
    return tuple(found)
