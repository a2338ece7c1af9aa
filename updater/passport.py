"""The passport of a site, written beside its site.yml: what the server says, what runs saw, what people wrote down."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from updater import cms, samples
from updater.checks import smoke
from updater.checks.facts import split_fact
from updater.errors import UpdaterError
from updater.journal import Journal, now, write_atomically
from updater.log import Progress
from updater.model import Site
from updater.production import describe, host, probe
from updater.report import RunRecord
from updater.report.passport import Known, html, markdown, passport

_RUNS = 20
"""So many of the last runs tell what the shop talks to."""


def write(site: Site, journal: Journal, progress: Progress, *, ask: bool = True) -> tuple[Path, Path]:
    """`passport.md` and `passport.html` beside site.yml, whole or not at all.

    Without `ask`, or when the server does not answer, what the last run knew of it stands there, and the page says so.
    """
    known = _from_runs(site, journal)
    if ask:
        known = _from_server(site, known, progress)
    page = passport(site, known)
    folder = site.config.parent
    write_atomically(folder / "passport.md", markdown(page).encode())
    write_atomically(folder / "passport.html", html(page).encode())
    return folder / "passport.md", folder / "passport.html"


def _from_runs(site: Site, journal: Journal) -> Known:
    rows = [row for row in journal.runs(limit=_RUNS) if journal.has(row.run, "record")]
    records = [journal.output(row.run, "record", RunRecord) for row in rows]
    called: Counter[str] = Counter()
    for record in records:
        called.update(call.target for call in (record.evidence.blocked if record.evidence else ()))
    listed = next((record for record in records if record.inventory), None)
    return Known(
        at=now(),
        inventory=listed.inventory if listed else None,
        inventory_at=listed.started if listed else None,
        platform=None,
        server=None,
        unreachable="--offline",
        talks_to=dict(called),
        at_checkout=_at_checkout([journal.folder(row.run) for row in rows]),
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
