"""The run as Markdown, for a merge request or a chat: the verdict, the updates, and what did not pass."""

from __future__ import annotations

import re

from updater.language import speak
from updater.model import Status
from updater.report.record import PHASES, RunRecord, how_found, tell
from updater.report.terms import check_name

# Everything that Markdown, HTML inside it, or the direction of text could give a meaning to.
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~&@-])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")

_MARK = {Status.PASSED: "✓", Status.FAILED: "✗", Status.INCONCLUSIVE: "?"}


def markdown(record: RunRecord) -> str:
    """One screen: details are in report.html."""
    told, words = tell(record), speak(record.language)
    _ = words.gettext
    lines = [f"# {_text(record.site)}: {told.headline}", ""]
    lines += [f"- {_text(words.translated(reason))}" for reason in record.reasons]
    lines += ["- **" + _("Error") + f":** {_text(record.error)}"] if record.error else []
    lines += ["", told.production, ""]
    if record.updates:
        heads = (_("Update"), _("From"), _("To"), _("Outcome"), _("Why"))
        lines += ["| " + " | ".join(heads) + " |", "|---|---|---|---|---|"]
        for update in record.updates:
            cells = (
                f"{update.name} ({words.term(update.kind)})",
                update.from_version,
                update.to_version,
                words.term(update.outcome),
                words.translated(update.reason),
            )
            lines.append("| " + " | ".join(_text(cell) for cell in cells) + " |")
        lines.append("")
    for search in record.searches:
        if search.trials:
            lines += ["## " + _("Which one broke the shop"), ""]
            lines += [f"{_text(' + '.join(search.broken))} {_text(how_found(search, words))}".strip(), ""]
            lines += [
                f"- {tried.verdict.value}: {_text(', '.join(tried.updates))} ({_text(words.duration(tried.seconds))})"
                for tried in search.trials
            ]
            lines.append("")
    if record.held:
        lines += ["## " + _("Held back"), ""]
        lines += [
            f"- {_text(held.slug)} {_text(' → '.join(filter(None, (held.from_version, held.to_version))))}: {_text(words.translated(held.reason))}"
            for held in record.held
        ]
        lines.append("")
    if record.checks:
        lines += ["## " + _("Checks"), ""]
        for phase in dict.fromkeys((*PHASES, *(check.phase for check in record.checks))):
            checks = [check for check in record.checks if check.phase == phase]
            if not checks:
                continue
            deciding = [check.status is Status.PASSED for check in checks if check.required]
            counted = _("{passed} of {all} passed").format(passed=sum(deciding), all=len(deciding))
            lines.append(f"**{_text(words.term(PHASES.get(phase, phase)))}**" + (f": {counted}" if deciding else ""))
            lines += [
                f"- {_MARK[check.status]} {_text(check_name(check.name, words))}: {_text(words.translated(check.detail))}"
                for check in checks
                if check.status is not Status.PASSED
            ]
            lines.append("")
    lines += [f"> {_text(words.translated(note))}" for note in record.notes]
    last = _("Run {run}, evidence {evidence}; details in {file}.")
    evidence = f"`{record.evidence_sha256[:16]}`" if record.evidence_sha256 else _("none")
    lines += ["", last.format(run=f"`{record.run}`", evidence=evidence, file="`report.html`")]
    lines += ["", *(_next(why, command) for why, command in told.next)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _next(why: str, command: str) -> str:
    if "\n" in command:
        return f"- {_text(why)}:\n\n" + "\n".join(f"      {line}" for line in command.splitlines())
    return f"- {_text(why)}: `{command}`" if command else f"- {_text(why)}"


def _text(value: str) -> str:
    return _SPECIAL.sub(r"\\\1", _CONTROL.sub(" ", value)).strip()
