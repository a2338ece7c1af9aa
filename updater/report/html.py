"""The run as one self-contained page: styles, script and pictures inside, no request, every name escaped."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from updater.language import Words, mark, speak
from updater.model import BlockedCall, CaughtMail, Check, Language, Status
from updater.report.findings import told
from updater.report.pictures import BUDGET, embed
from updater.report.record import PHASES, RunRecord, how_found, masked_recipient, tell
from updater.report.terms import check_name
from updater.resources import package_text

_ORDER = {Status.FAILED: 0, Status.INCONCLUSIVE: 1, Status.PASSED: 2}
_STEPS = {"closed": mark("production closed")}


def render(record: RunRecord, folder: Path, budget: int = BUDGET) -> str:
    """The whole page. Pictures are read from the run's `folder`; `record` is redacted already (record.public)."""
    style, script = package_text("updater.report", "report.css"), package_text("updater.report", "report.js")
    words = speak(record.language)
    template = page_template("report.html.j2", record.language)
    evidence = record.evidence
    context: dict[str, Any] = {
        "record": record,
        "told": tell(record),
        # The browser runs these two texts and nothing else, whatever a plugin calls itself; and it asks nobody for anything.
        "policy": f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        "style": Markup(style),  # noqa: S704  our own file
        "script": Markup(script),  # noqa: S704  our own file
        "language": record.language,
        "labels": _labels(words),
        "phases": _phases(record.checks),
        "counts": Counter(check.status.value for check in record.checks if check.required),
        "shown": embed(evidence.pictures, evidence.checks, folder, budget) if evidence else (),
        "calls": _calls(evidence.blocked if evidence else ()),
        "mails": _mails(evidence.mail if evidence else ()),
        "steps": [(_STEPS.get(step, step), seconds) for step, seconds in record.timings.items()],
        "longest": max([*record.timings.values(), 0.001]),
        "Status": Status,
    }
    return template.render(context)


@cache
def page_template(name: str, language: Language) -> Template:
    """A template of this folder, compiled once for each language that is spoken."""
    return _environment(speak(language)).from_string(package_text("updater.report", name))


def _environment(words: Words) -> Environment:
    """Jinja for one language: `_()` and `{% trans %}` for our own words, `|term` for the words that data carries, `|said` for its sentences.

    Never `_()` on data: a message is trusted and not escaped, `|term` is.
    """
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {
        "term": words.term,
        "said": words.translated,
        "check": lambda name: check_name(name, words),
        "told": lambda findings: told(findings, words),
        "how_found": lambda search: how_found(search, words),
        "percent": words.percent,
        "share": words.share,
        "duration": words.duration,
        "moment": words.moment,
        "day": words.day,
        "number": words.number,
        "recipient": masked_recipient,
    }
    return made


def _labels(words: Words) -> dict[str, str]:
    """What report.js writes on its buttons: it finds them on the page, so that the script's hash is the same in every language."""
    _ = words.gettext
    return {
        "before": _("Before"),
        "after": _("After"),
        "difference": _("Difference"),
        "noise": _("Noise"),
        "slider": _("Before | after"),
        "both": _("Side by side"),
        "fit": _("Fit the window"),
        "actual": _("Actual size"),
        "share": _("Share of the picture that shows the shop before the update"),
        "what": _("What to show"),
    }


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


def _calls(blocked: Iterable[BlockedCall]) -> list[tuple[str, str, str, str, int]]:
    """(protocol, target:port, path without its query, step in which a recording answered, count), the most frequent first. A query
    may hold keys and people."""
    counted = Counter(
        (call.protocol, f"{call.target}:{call.port}", call.path.split("?")[0], call.step if call.answered else "")
        for call in blocked
    )
    return [(*key, count) for key, count in counted.most_common()]


def _mails(caught: Iterable[CaughtMail]) -> list[CaughtMail]:
    return sorted(caught, key=lambda mail: mail.at)
