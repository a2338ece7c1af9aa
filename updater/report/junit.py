"""The run as JUnit XML, for CI: a suite per phase, a case per check, and the verdict as a case of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

from updater.language import speak
from updater.model import Check, Language, Status, Verdict
from updater.report.record import PHASES, RunRecord, how_found, tell

# XML 1.0 has no way to write these, escaped or not: one in a plugin's name would make the file unreadable.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(record: RunRecord) -> str:
    """A failed check is a `failure`; one that could not be decided an `error`: CI shows both as not passed.

    English whatever the owner reads: CI follows a case from run to run by its name.
    """
    record = replace(record, language=Language.EN)
    root = ET.Element("testsuites", name=_xml(f"{record.site} {record.run}"))
    verdict = ET.SubElement(root, "testsuite", name="verdict", tests="1")
    case = ET.SubElement(verdict, "testcase", classname="updater", name=_xml(f"{record.site}: {tell(record).headline}"))
    failures = errors = 0
    if record.error or record.verdict is Verdict.INCONCLUSIVE:
        errors = 1
        _add(case, "error", "\n".join((*record.reasons, record.error)).strip() or "inconclusive")
    elif record.verdict is Verdict.FAIL:
        failures = 1
        _add(case, "failure", "\n".join(record.reasons) or "rejected")
    verdict.set("failures", str(failures))
    verdict.set("errors", str(errors))

    if record.updates:
        _updates(root, record)
    phases = [*PHASES, *sorted({check.phase for check in record.checks} - set(PHASES))]
    for phase in phases:
        checks = [check for check in record.checks if check.phase == phase]
        if checks:
            _suite(root, phase, checks)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _updates(root: ET.Element, record: RunRecord) -> None:
    """A case for each update. A held one is `skipped`: production keeps the old version, and the rest goes on."""
    held, tests = record.held_here, str(len(record.updates))
    suite = ET.SubElement(
        root, "testsuite", name="updates", tests=tests, failures="0", errors="0", skipped=str(len(held))
    )
    found = {
        update: how_found(search, speak(record.language)) for search in record.searches for update in search.broken
    }
    for update in record.updates:
        name = _xml(f"{update.name} {update.from_version} → {update.to_version}")
        case = ET.SubElement(suite, "testcase", classname="updates", name=name)
        if update in held:
            _add(case, "skipped", f"held back: {update.reason}\n{found.get(update.id, '')}".strip())


def _suite(root: ET.Element, phase: str, checks: list[Check]) -> None:
    suite = ET.SubElement(
        root,
        "testsuite",
        name=_xml(phase),
        tests=str(len(checks)),
        failures=str(sum(c.status is Status.FAILED and c.required for c in checks)),
        errors=str(sum(c.status is Status.INCONCLUSIVE and c.required for c in checks)),
        skipped=str(sum(c.status is not Status.PASSED and not c.required for c in checks)),
        time=f"{sum(check.seconds for check in checks):.3f}",
    )
    for check in checks:
        case = ET.SubElement(
            suite, "testcase", classname=_xml(phase), name=_xml(check.name), time=f"{check.seconds:.3f}"
        )
        if check.status is not Status.PASSED:
            kind = "failure" if check.status is Status.FAILED else "error"
            # A check that decides nothing must not turn a CI job red.
            _add(case, kind if check.required else "skipped", _full(check))


def _full(check: Check) -> str:
    lines = [check.detail, *(f"{finding.where}: {finding.message}" for finding in check.findings)]
    return "\n".join(line for line in lines if line.strip()) or check.status.value


def _add(case: ET.Element, tag: str, text: str) -> None:
    element = ET.SubElement(case, tag, message=_xml(text.splitlines()[0]))
    element.text = _xml(text)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
