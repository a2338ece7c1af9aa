"""Looks at the shop between runs, a line of JSON each, kept beside the journal for the monthly report."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

from updater.journal import converter
from updater.model import Sample


def add(state: Path, sample: Sample) -> None:
    """Append it, safely on disk when this returns."""
    folder = state / "watch"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = f"\n{json.dumps(converter.unstructure(sample))}"  # the newline first: a torn line before does not spoil this one
    with (folder / f"{sample.at:%Y-%m}.jsonl").open("ab") as stream:
        stream.write(line.encode())
        stream.flush()
        os.fsync(stream.fileno())


def of_month(state: Path, month: date) -> tuple[Sample, ...]:
    """The month's samples in order. A line that a crash tore is passed over: it was never whole, and the next one is."""
    path = state / "watch" / f"{month:%Y-%m}.jsonl"
    if not path.exists():
        return ()
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(converter.structure(json.loads(line), Sample))
        except json.JSONDecodeError:  # torn, or the empty first line
            continue
    return tuple(found)
