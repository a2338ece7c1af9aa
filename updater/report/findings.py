"""Findings as people read them: what of the shop differs, in words, and once for all pages and windows where it differs alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from updater.fact import BETWEEN, gone, split_fact
from updater.language import Words
from updater.model import Finding
from updater.report.terms import FACTS


@dataclass(frozen=True, slots=True)
class Told:
    """`what`: a fact in words, else a page, a file or a step; `places`: where that fact was seen, like `checkout: desktop, mobile`.

    `was`, `now`: the values, of a list only what is gone and what is new."""

    what: str
    places: tuple[str, ...]
    message: str
    was: str
    now: str


def told(findings: Iterable[Finding], words: Words) -> list[Told]:
    """In their order. A fact that changed in the same way in several places stands where it was first seen."""
    found: dict[object, tuple[Finding, dict[str, list[str]]]] = {}
    for finding in findings:
        name, scope, viewport = split_fact(finding.where)
        alike = (name, finding.before, finding.after) if scope else finding
        _, places = found.setdefault(alike, (finding, {}))
        if scope:
            places.setdefault(scope, []).append(viewport)
    return [_told(finding, places, words) for finding, places in found.values()]


def _told(finding: Finding, places: dict[str, list[str]], words: Words) -> Told:
    if not places:
        differs = finding.before and finding.after and finding.before != finding.after
        was, now = (finding.before, finding.after) if differs else ("", "")
        return Told(finding.where, (), finding.message, was, now)
    name = split_fact(finding.where)[0]
    what = words.term(FACTS[name]) if name in FACTS else name
    was, now = finding.before, finding.after
    if was and now and BETWEEN in was + now:
        was, now = (BETWEEN.join(it) for it in (gone(was, now), gone(now, was)))
        if not was and not now:
            was, now = finding.before, finding.after  # the order alone
    nothing = words.gettext("nothing")
    where = tuple(f"{scope}: {', '.join(viewports)}" for scope, viewports in places.items())
    return Told(what, where, "", was or nothing, now or nothing)
