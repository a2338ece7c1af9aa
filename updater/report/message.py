"""A run as a short message: how urgent, a title, a body. Sending it is notify.py's."""

from __future__ import annotations

from pathlib import Path

from updater.errors import ExitCode
from updater.language import speak
from updater.model import Check, Status, Urgency
from updater.report.record import RunRecord, callbacks_refused, public, tell
from updater.report.terms import check_name

_TOLD = 5  # reasons and checks named in a message; the report has them all


def message(record: RunRecord) -> tuple[Urgency, str, str]:
    """(urgency, title, body) of a run that ended or waits. Plain text, redacted."""
    record = public(record)
    told, words = tell(record), speak(record.language)
    _ = words.gettext
    lines = [told.headline, told.production, ""]
    lines += [f"- {words.translated(reason)}" for reason in record.reasons[:_TOLD]]
    if record.error:
        lines += [record.error, ""]
    lines += [
        f"{update.name} {update.from_version} → {update.to_version}: {words.term(update.outcome)}"
        + (f" ({words.translated(update.reason)})" if update in record.held_here else "")
        for update in record.updates
    ]
    lines += [
        _("{name} {version} held back: {reason}").format(
            name=held.slug, version=held.to_version, reason=words.translated(held.reason)
        )
        for held in record.held
    ]
    failed = [check for check in record.checks if check.status is Status.FAILED and check.required]
    if failed and not record.reasons:
        lines += [f"{check_name(check.name, words)}: {words.translated(check.detail)}" for check in failed[:_TOLD]]
    if record.outcome is not None and record.outcome.reason:
        lines += ["", words.translated(record.outcome.reason)]
    lines += [f"{check_name(it.name, words)}: {words.translated(it.detail)}" for it in record.checks if _odd_since(it)]
    if record.outcome is not None and record.outcome.refused:
        lines += [
            "",
            _("Requests refused while the shop was closed: {count}.").format(count=len(record.outcome.refused)),
        ]
    callbacks = callbacks_refused(record)
    if callbacks:
        lines += [_("Look whether these came again: {callbacks}").format(callbacks=", ".join(callbacks[:_TOLD]))]
    lines += ["", _("Run {run}").format(run=record.run)]
    # Last, because a message is read from its end at night: what to type.
    lines += [f"{why}:{_beside(command)}" if command else why for why, command in told.next]
    title = f"{record.site}: {words.term(record.kind_of_state)}"
    return _urgency(record), title, "\n".join(line for i, line in enumerate(lines) if line or (i and lines[i - 1]))


def _beside(command: str) -> str:
    return f"\n{command}" if "\n" in command else f" {command}"


def attachments(record: RunRecord, folder: Path) -> tuple[Path, ...]:
    """What goes along: the report, and of a run that found something the first picture that shows it."""
    pictures = record.evidence.pictures if record.evidence else ()
    shown = next((folder / picture.difference for picture in pictures if picture.difference), None)
    return (folder / "report.html", *((shown,) if shown else ()))


def _odd_since(check: Check) -> bool:
    """Seen in the open shop after a deploy, and not bad enough to go back by itself."""
    return check.phase == "open" and check.status is Status.FAILED


def _urgency(record: RunRecord) -> Urgency:
    if record.exit_code in (ExitCode.UNKNOWN_STATE, ExitCode.ROLLED_BACK):
        return "urgent"
    if record.exit_code == ExitCode.DONE:
        if any(map(_odd_since, record.checks)):
            return "work"
        return "work" if record.held_here or (record.held and not record.updates) else "info"
    return "work"
