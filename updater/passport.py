"""The passport of a site, beside its site.yml and in each run's commit: what the server says, what runs saw, what people wrote down."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from updater import cms, samples
from updater.checks import smoke
from updater.errors import UpdaterError
from updater.fact import split_fact
from updater.journal import Journal, now, write_atomically
from updater.log import Progress
from updater.model import Site
from updater.production import describe, host, probe
from updater.report import RunRecord
from updater.report.passport import Known, html, markdown, passport
from updater.repository import PASSPORT, inventory_after

_RUNS = 20
"""So many of the last runs tell what the shop talks to."""


def write(site: Site, journal: Journal, progress: Progress, *, ask: bool = True) -> tuple[Path, Path]:
    """`passport.md` and `passport.html` beside site.yml, whole or not at all.

    Without `ask`, or when the server does not answer, what the last run knew of it stands there, and the page says so.
    """
    known = _from_runs(site, journal)
    if ask:
        known = _from_server(site, known, progress)
    page, text = passport(site, known), site.config.with_name(PASSPORT)
    write_atomically(text, markdown(page).encode())
    write_atomically(text.with_suffix(".html"), html(page).encode())
    return text, text.with_suffix(".html")


def of_run(site: Site, journal: Journal, progress: Progress, record: RunRecord) -> str:
    """The page in Markdown for the commit of a run that passed: like the inventory beside it, with the versions that the run brings."""
    known = _from_server(site, _from_runs(site, journal, record), progress)
    return markdown(passport(site, replace(known, inventory=inventory_after(record) or known.inventory)))


def _from_runs(site: Site, journal: Journal, newest: RunRecord | None = None) -> Known:
    """`newest`: of a run whose record is not in the journal yet."""
    rows = [row for row in journal.runs(limit=_RUNS) if journal.has(row.run, "record")]
    records = [newest] if newest else []
    records += [journal.output(row.run, "record", RunRecord) for row in rows if not newest or row.run != newest.run]
    called: Counter[str] = Counter()
    for record in records:
        called.update(call.target for call in (record.evidence.blocked if record.evidence else ()))
    listed = next((record for record in records if record.inventory), None)
    deployed = listed is not None and listed.kind_of_state == "promoted"
    return Known(
        at=now(),
        inventory=inventory_after(listed) if listed and deployed else listed.inventory if listed else None,
        inventory_at=listed.started if listed else None,
        platform=None,
        server=None,
        unreachable="--offline",
        talks_to=dict(called),
        at_checkout=_at_checkout([journal.folder(row.run) for row in journal.runs(limit=_RUNS)]),
        backups=samples.backups(site.state),
    )


def _at_checkout(runs: list[Path]) -> tuple[str, ...]:
    """As the newest look at production found them: staging has an offline one alone."""
    for folder in runs:
        try:
            seen = smoke.load(folder / "production")
        except (OSError, ValueError):  # cut off before it looked, or cleaned away
            continue
        found = {split_fact(key)[0]: value for key, value in seen.facts.items()}
        if found.get("checkout.payment"):
            return tuple(found["checkout.payment"].split(" | "))
    return ()


def _from_server(site: Site, known: Known, progress: Progress) -> Known:
    site = site.deploying  # whoever may do more sees more: its crontab is the one that matters
    progress.step("ask the server")
    try:
        with host.connect(site.server) as server:
            installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
            return replace(
                known,
                inventory=cms.driver(installation.cms).inventory(server, installation),
                inventory_at=now(),
                platform=probe.read_platform(server, site, installation),
                server=describe.describe(server, site, installation),
                database=installation.database.name,
                unreachable="",
            )
    except UpdaterError as failed:
        return replace(known, unreachable=failed.what)
