"""Findings as people read them: what of the shop differs, in words, and once for all pages and windows where it differs alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from updater.fact import BETWEEN, gone, split_fact
from updater.language import Words
from updater.model import Finding
from updater.report.terms import FACTS, IN_OUR_WORDS

_BETWEEN_SHOPS = frozenset({"production", "fidelity"})
"""Kinds of findings that compare two shops: their values are no before and after, and only their words say which is whose."""


@dataclass(frozen=True, slots=True)
class Told:
    """`what`: a fact in words, else a page, a file or a step, '' where the message names it.

    `places`: where that fact was seen, like `checkout: desktop, mobile`. `message`: '' where the values say it all. `was`, `now`: those
    before and after, of a list only what is gone and what is new.
    """

    what: str
    places: tuple[str, ...]
    message: str
    was: str
    now: str


def told(findings: Iterable[Finding], words: Words) -> list[Told]:
    """In their order. A fact that changed in the same way in several places stands where it was first seen."""
    found: dict[tuple[str, str, str, str], dict[str, list[str]]] = {}
    for finding in findings:
        what, scope, viewport = split_fact(finding.where)
        message, was, now = _said(finding) if scope else (finding.message, finding.before, finding.after)
        if what in IN_OUR_WORDS:
            was, now = words.translated(was), words.translated(now)
        if not scope and not (was and now and was != now):
            was = now = ""
        message = words.translated(message)
        if scope:
            what = _named(what, words)
        elif f" {what} " in f" {message} ":
            what = ""
        places = found.setdefault((what, message, was, now), {})
        if scope:
            places.setdefault(scope, []).append(viewport)
    nothing = words.gettext("nothing")
    return [
        Told(what, _places(places), message, was or (now and nothing), now or (was and nothing))
        for (what, message, was, now), places in found.items()
    ]


def _said(finding: Finding) -> tuple[str, str, str]:
    """(message without the fact's name, was, now) of a finding about a fact."""
    was, now = finding.before, finding.after
    if finding.kind in _BETWEEN_SHOPS:
        return finding.message.removeprefix(finding.where).removeprefix(": "), "", ""
    if was and now and BETWEEN in was + now:
        lost, new = gone(was, now), gone(now, was)
        if lost or new:  # else the order alone
            was, now = BETWEEN.join(lost), BETWEEN.join(new)
    return "", was, now


def _named(fact: str, words: Words) -> str:
    return words.term(FACTS[fact]) if fact in FACTS else fact


def _places(seen: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{scope}: {', '.join(viewports)}" for scope, viewports in seen.items())
