"""Writes report.html, run.json, junit.xml and report.md of a run, each whole or not at all."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from updater.errors import ExitCode, UpdaterError
from updater.report.html import render
from updater.report.junit import junit
from updater.report.markdown import markdown
from updater.report.record import RunRecord, callbacks_refused, public


def write(record: RunRecord, folder: Path) -> Path:
    """Write all four into `folder`, the run's, and return the path of report.html.

    Safe to call again as the run goes on. Raises ReportFailed when the folder cannot be written.
    """
    shown = public(record)
    page = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(page, render(shown, folder))
        _replace(folder / "report.md", markdown(shown))
        _replace(folder / "junit.xml", junit(shown))
        # Last: whoever finds run.json finds the report that it names.
        _replace(folder / "run.json", json.dumps(run_json(shown, folder), ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise ReportFailed(
            "the report could not be written",
            where=str(folder),
            cause=str(error),
            hint=f"free some space, then `updater report {record.run}`",
        ) from error
    return page


def run_json(record: RunRecord, folder: Path | None = None) -> dict[str, Any]:
    """The run as plain JSON values, redacted. `report` is a path: absolute when the run's folder is given."""
    record = public(record)
    migration, outcome, approval = record.migration, record.outcome, record.approval
    return {
        "run": record.run,
        "site": record.site,
        "url": record.url,
        "cms": record.cms,
        "state": record.state,
        "exit_code": record.exit_code,
        "verdict": record.verdict.value if record.verdict else None,
        "reasons": list(record.reasons),
        "started": _iso(record.started),
        "finished": _iso(record.finished),
        "updates": [
            {
                "kind": update.kind,
                "slug": update.slug,
                "name": update.name,
                "from": update.from_version,
                "to": update.to_version,
                "outcome": update.outcome,
                "reason": update.reason,
            }
            for update in record.updates
        ],
        "held": [
            {"kind": h.kind, "slug": h.slug, "from": h.from_version, "to": h.to_version, "reason": h.reason}
            for h in record.held
        ],
        "searches": [
            {
                "broken": list(search.broken),
                "why": search.why,
                "seconds": round(sum(tried.seconds for tried in search.trials), 1),
                "trials": [
                    {
                        "updates": list(tried.updates),
                        "verdict": tried.verdict.value,
                        "reason": tried.reason,
                        "seconds": tried.seconds,
                    }
                    for tried in search.trials
                ],
            }
            for search in record.searches
        ],
        "checks": [
            {
                "name": check.name,
                "phase": check.phase,
                "verdict": check.status.value,
                "detail": check.detail,
                "required": check.required,
                "seconds": round(check.seconds, 3),
            }
            for check in record.checks
        ],
        "timings": {"closed": 0.0} | {step: round(seconds, 3) for step, seconds in record.timings.items()},
        "evidence_sha256": record.evidence_sha256,
        "changed_files": record.changed_files,
        "migration": None
        if migration is None
        else {
            "changed": list(migration.changed_tables),
            "created": list(migration.created_tables),
            "dropped": list(migration.dropped_tables),
        },
        "approval": None
        if approval is None
        else {"person": approval.person, "at": _iso(approval.at), "expires": _iso(approval.expires)},
        "outcome": None
        if outcome is None
        else {
            "state": outcome.state,
            "reason": outcome.reason,
            "closed": round(outcome.closed_seconds, 3),
            "refused": len(outcome.refused),
            "callbacks_refused": list(callbacks_refused(record)),
        },
        "advice": record.advice,
        "notes": list(record.notes),
        "error": record.error,
        "report": str(folder / "report.html") if folder else "report.html",
    }


class ReportFailed(UpdaterError):
    """The report's files could not be written. Says nothing about the updates."""

    exit_code = ExitCode.BUG


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _replace(path: Path, text: str) -> None:
    """Temporary file, fsync, rename, fsync of the folder: a reader never sees half a report, a crash loses none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
