"""What a run did, for people (HTML, Markdown) and for machines (JSON, JUnit)."""

from __future__ import annotations

from updater.report.message import attachments, message
from updater.report.record import RunRecord, UpdateResult
from updater.report.write import run_json, write

__all__ = ["RunRecord", "UpdateResult", "attachments", "message", "run_json", "write"]
