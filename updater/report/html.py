"""The run as one self-contained page: styles, script and pictures inside, no request, every name escaped."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from updater.model import BlockedCall, CaughtMail, Check, Status, Verdict
from updater.report.pictures import BUDGET, embed
from updater.report.record import PHASES, RunRecord, masked_recipient, tell
from updater.resources import package_text

_ORDER = {Status.FAILED: 0, Status.INCONCLUSIVE: 1, Status.PASSED: 2}
_STEPS = {"closed": "production closed"}


def render(record: RunRecord, folder: Path, budget: int = BUDGET) -> str:
    """The whole page. Pictures are read from the run's `folder`; `record` is redacted already (record.public)."""
    style, script = package_text("updater.report", "report.css"), package_text("updater.report", "report.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "duration": duration, "moment": moment, "recipient": masked_recipient}
    template = environment.from_string(package_text("updater.report", "report.html.j2"))
    evidence = record.evidence
    context: dict[str, Any] = {
        "record": record,
        "told": tell(record),
        # The browser runs these two texts and nothing else, whatever a plugin calls itself; and it asks nobody for anything.
        "policy": f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        "style": Markup(style),  # noqa: S704  our own file
        "script": Markup(script),  # noqa: S704  our own file
        "phases": _phases(record.checks),
        "counts": Counter(check.status.value for check in record.checks if check.required),
        "shown": embed(evidence.pictures, evidence.checks, folder, budget) if evidence else (),
        "calls": _calls(evidence.blocked if evidence else ()),
        "mails": _mails(evidence.mail if evidence else ()),
        "steps": [(_STEPS.get(step, step), seconds) for step, seconds in record.timings.items()],
        "longest": max([*record.timings.values(), 0.001]),
        "Verdict": Verdict,
        "Status": Status,
    }
    return template.render(context)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _phases(checks: Iterable[Check]) -> list[tuple[str, list[Check]]]:
    """Checks by phase, in the order of the story; within a phase, what did not pass comes first."""
    checks = list(checks)
    phases = dict.fromkeys((*PHASES, *(check.phase for check in checks)))
    grouped = [(phase, [check for check in checks if check.phase == phase]) for phase in phases]
    return [
        (PHASES.get(phase, phase), sorted(members, key=lambda check: _ORDER[check.status]))
        for phase, members in grouped
        if members
    ]


def _calls(blocked: Iterable[BlockedCall]) -> list[tuple[str, str, str, int]]:
    """(protocol, target:port, path without its query, count), the most frequent first. A query may hold keys and people."""
    counted = Counter((call.protocol, f"{call.target}:{call.port}", call.path.split("?")[0]) for call in blocked)
    return [(*key, count) for key, count in counted.most_common()]


def _mails(caught: Iterable[CaughtMail]) -> list[CaughtMail]:
    return sorted(caught, key=lambda mail: mail.at)


def percent(share: float) -> str:
    """`12 %`, `0.31 %`; something is never `0 %`."""
    value = share * 100
    if value == 0:
        return "0 %"
    if value < 0.01:
        return "< 0.01 %"
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def duration(seconds: float) -> str:
    """`0.4 s`, `38 s`, `12 min 5 s`, `1 h 2 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(at: datetime) -> str:
    return at.strftime("%-d %B %Y, %H:%M %Z").strip()
