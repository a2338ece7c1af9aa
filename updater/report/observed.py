"""What a shop that is only observed would have got: the page that ends `observe`, with the alarms that a person called false."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from markupsafe import Markup

from updater.model import Language, Observing, Site
from updater.report.html import page_template
from updater.report.record import RunRecord, public
from updater.resources import package_text

Kind = Literal["deployed", "advised", "alarm", "unknown", "nothing"]
_KINDS: Mapping[str, Kind] = {"awaiting approval": "deployed", "rejected": "alarm", "nothing to do": "nothing"}
"""What a run's state means for a shop that is only looked at; any other state told nothing: `unknown`. What passed and nobody can have
deployed is `advised`."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One run. `what`: the updates it would have brought, or why it would have brought none. `held`: what it left out."""

    run: str
    at: datetime
    kind: Kind
    what: tuple[str, ...]
    held: tuple[str, ...]
    false_alarm: str
    """Who called its alarm false, and why; '' when nobody did"""
    report: Path


@dataclass(frozen=True, slots=True)
class Observed:
    """A time of observing, whether it is over or not."""

    site: str
    url: str
    since: datetime
    until: datetime
    over: bool
    runs: tuple[Looked, ...]

    def of(self, kind: Kind) -> tuple[Looked, ...]:
        return tuple(run for run in self.runs if run.kind == kind)

    @property
    def titles(self) -> Mapping[Kind, str]:
        """What the runs are counted by; few shops are only advised on."""
        return {kind: title for kind, title in TITLES.items() if kind != "advised" or self.of(kind)}

    @property
    def false_alarms(self) -> tuple[Looked, ...]:
        return tuple(run for run in self.runs if run.false_alarm)

    @property
    def advice(self) -> str:
        """What the figures say about letting it deploy; a person decides."""
        alarms, unknown, passed = len(self.of("alarm")), len(self.of("unknown")), self.of("deployed")
        if not passed and not alarms and not self.of("advised"):
            return "No run came to a verdict about an update: observe longer, or look at the runs that could not know."
        if self.false_alarms:
            return f"Mend what raised the false alarms first (masks, smoke tests of this shop), {self._then}"
        if unknown > len(self.runs) / 2:
            return f"More than half of the runs could not know: mend that first, {self._then}"
        if self.of("advised") and not passed:
            return "Nobody called an alarm false. What passes here is installed by hand: observing costs nothing, let it go on."
        return (
            "Nobody called an alarm false: let it ask (approve: ask), later deploy patches by itself (approve: patch)."
        )

    @property
    def _then(self) -> str:
        only_advised = self.of("advised") and not self.of("deployed")
        return "then go by what it advises." if only_advised else "then let it ask: approve: ask."


def summarise(
    site: Site, observing: Observing, length: timedelta, records: Sequence[RunRecord], at: datetime
) -> Observed:
    """The runs since the observing began, oldest first. Redacted."""
    until = observing.since + length
    within = sorted(
        (record for record in records if observing.since <= record.started <= until), key=lambda it: it.started
    )
    runs = tuple(_looked(public(record), site, observing) for record in within)
    return Observed(site.name, site.url, observing.since, until, at >= until, runs)


def _looked(record: RunRecord, site: Site, observing: Observing) -> Looked:
    kind = "advised" if record.advised else _KINDS.get(record.kind_of_state, "unknown")
    brought = [it for it in record.updates if it.outcome != "held"]
    changes = tuple(f"{it.name} {it.from_version} → {it.to_version}" for it in brought)
    why = tuple(record.reasons) or ((record.error.splitlines()[0],) if record.error else ())
    held = [f"{it.slug} {it.to_version}: {it.reason}" for it in record.held]
    held += [f"{it.name} {it.to_version}: {it.reason}" for it in record.held_here]
    mark = next((it for it in observing.false_alarms if it.run == record.run), None)
    called = f"{mark.person}, {mark.at:%Y-%m-%d}: {mark.reason}" if mark else ""
    what = changes if kind in ("deployed", "advised") else why
    report = site.state / "runs" / record.run / "report.html"
    return Looked(record.run, record.started, kind, what, tuple(held), called, report)


TITLES: Mapping[Kind, str] = {
    "deployed": "Would have been deployed",
    "advised": "Would have been advised",
    "alarm": "Would have been kept away from the shop",
    "unknown": "Could not know",
    "nothing": "Nothing to do",
}


def lines(seen: Observed) -> list[str]:
    """The page in a few lines, for a terminal and for a message."""
    counts = ", ".join(f"{len(seen.of(kind))} {TITLES[kind].lower()}" for kind in seen.titles)
    state = "observing ended" if seen.over else "observing until"
    told = [f"{seen.site}: {state} {seen.until:%Y-%m-%d %H:%M} UTC", f"{len(seen.runs)} runs: {counts}"]
    told += [f"{len(seen.false_alarms)} alarms were called false by a person"] if seen.false_alarms else []
    return [*told, seen.advice] if seen.over else told


def render(seen: Observed) -> str:
    """One self-contained page, for whoever decides whether this may deploy: English."""
    style = package_text("updater.report", "fleet.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = page_template("observed.html.j2", Language.EN)
    return template.render(
        seen=seen,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704  our own file
    )
