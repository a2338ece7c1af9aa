"""The check on the checks: a fault that we know is laid over the clone's pages, and every detector must see it on this very site.

A shop can blind a detector without anybody's mistake: a button that the flow does not use, an error handler that swallows
what scripts throw, a page that moves so much that all of it is noise. Then silence after an update would mean nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from updater.checks import evidence, smoke, visual
from updater.checks.observation import Observation, Target
from updater.language import mark
from updater.log import Progress
from updater.model import Check, Finding, Site, Status, Thresholds

NAME = "known fault"
MESSAGE = "updater: a known fault"
PATIENCE = 3.0
"""Seconds. A button that is hidden stays hidden: there is nothing to wait for."""

# A constructed sheet and no <style>: a Content-Security-Policy may forbid those, and the fault would not be there.
FAULT = """
(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`button, input[type=submit], input[type=button], [role=button], a.button, .btn, h1, img
    { visibility: hidden !important; }`);
  const lay = () => {
    if (!document.adoptedStyleSheets.includes(sheet))
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  };
  lay();
  document.addEventListener('DOMContentLoaded', lay);
  window.addEventListener('load', lay);
  document.addEventListener('DOMContentLoaded', () => { throw new Error('MESSAGE'); });
})();
""".replace("MESSAGE", MESSAGE)


def observe(target: Target, site: Site, suite: Path, out: Path, progress: Progress, like: Observation) -> Observation:
    """The first flow in one window size, with every button hidden and an error thrown on each page. Takes seconds."""
    narrowed = replace(site, viewports=site.viewports[:1], flows=site.flows[:1], smoke_tests=None)
    return smoke.observe(
        target, narrowed, suite, out, progress, like=like, hurried=True, patience=PATIENCE, fault=FAULT
    )


def check(
    before: Observation, noise: Observation, seen: Observation, thresholds: Thresholds, into: Path, root: Path
) -> Check:
    """INCONCLUSIVE when a detector did not see the fault. `into`, `root`: as visual.compare."""
    broken = [test.message for test in seen.tests if test.outcome == "error"]
    if broken and not any(
        test.outcome == "failed" for test in seen.tests
    ):  # it saw nothing, and that is no word on what can be seen
        detail = mark("the pass with a fault laid over the shop's pages broke down") + f": {broken[0]}"
        return Check(NAME, "before", Status.INCONCLUSIVE, detail, seconds=seen.seconds)
    missed = [message for message, saw in _detectors(before, noise, seen, thresholds, into, root) if not saw]
    if missed:
        findings = tuple(Finding(NAME, "the un-updated shop", message) for message in missed)
        detail = mark("a fault laid over the shop's pages was not seen") + f": {'; '.join(missed)}"
        return Check(NAME, "before", Status.INCONCLUSIVE, detail, findings=findings, seconds=seen.seconds)
    detail = mark("hidden buttons and a thrown error were seen by smoke tests, browser and pictures")
    return Check(NAME, "before", Status.PASSED, detail, seconds=seen.seconds)


def _detectors(
    before: Observation, noise: Observation, seen: Observation, thresholds: Thresholds, into: Path, root: Path
) -> list[tuple[str, bool]]:
    """(what it means when it saw nothing, whether it saw the fault)"""
    tests = [test for test in seen.tests if test.outcome == "failed"]
    thrown = [it for it in evidence.browser_check(before, seen, noise).findings if MESSAGE in it.message]
    pictures, checks = visual.compare(before, noise, seen, thresholds, into, root)
    changed = [
        picture
        for picture, compared in zip(pictures, checks, strict=False)  # without pictures one check says so
        if picture.changed > 0 and compared.status is Status.FAILED
    ]
    return [
        (mark("the flow got through although every button was hidden"), bool(tests)),
        (mark("the browser did not tell of an error that a script threw"), bool(thrown)),
        (mark("no picture showed that buttons, headings and images were gone"), bool(changed)),
    ]
