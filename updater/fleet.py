"""All sites of this machine: found below a folder, what waits on them, each one's fault its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from updater import config, export, pipeline
from updater.errors import ApprovalRefused, UpdaterError
from updater.journal import Journal, now
from updater.model import Site

_NOT_SITES = {".updater", ".git", ".venv", "node_modules", "baselines", "packages", "smoke_tests"}
"""Folders that hold no site of their own; a clone of production is none either."""


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that a person can approve, with the site it belongs to."""

    site: Site
    run: str
    since: datetime
    what: pipeline.Waiting
    superseded: bool
    """A newer run of the same site waits as well."""

    @property
    def age(self) -> timedelta:
        return now() - self.since


@dataclass(frozen=True, slots=True)
class Trouble:
    """A site, or a run of one, that could not be looked at. Never hides the others."""

    where: Path
    message: str


def sites_below(folder: Path) -> list[Path]:
    """Every site.yml in this folder and below it, by path; a file is itself."""
    if folder.is_file():
        return [folder]
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NOT_SITES)
        if "site.yml" in files:
            found.append(Path(root, "site.yml"))
    return found


def waiting_below(folder: Path) -> tuple[list[WaitingRun], list[Trouble]]:
    """What waits for a person, oldest first, and what could not be read or waited too long."""
    found: list[WaitingRun] = []
    troubles: list[Trouble] = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            with opened(site) as journal:
                runs, expired = _waiting(site, journal)
        except UpdaterError as error:
            troubles.append(Trouble(path, str(error)))
        else:
            found += runs
            troubles += expired
    return sorted(found, key=lambda it: it.since), troubles


def waiting_run(site: Site, run: str) -> WaitingRun:
    """The run of this site with that id or beginning. ApprovalRefused when it does not wait."""
    with opened(site) as journal:
        row = journal.find(run)
        what = pipeline.waiting(site, journal, row.run)
    return WaitingRun(site, row.run, row.finished or row.started, what, superseded=False)


def find_waiting(folder: Path, run: str) -> WaitingRun:
    """The run with that id or beginning, of whichever site below the folder."""
    found = []
    for path in sites_below(folder):
        try:
            site = config.load(path)
            with opened(site) as journal:
                found += [(site, row.run) for row in journal.runs(limit=10_000) if row.run.startswith(run)]
        except UpdaterError:  # `waiting_below` tells of it; here another site's fault is no answer
            continue
    if len(found) != 1:
        raise UpdaterError(
            f"{'more than one run begins' if found else 'there is no run'} with {run!r}",
            where=str(folder),
            hint="`updater approve` lists what waits",
        )
    return waiting_run(*found[0])


def site_of_export(folder: Path, file: Path) -> Path:
    """The site.yml that an export is for: the folder's own, else the one of that name below it."""
    found = sites_below(folder)
    if folder.is_file() or (folder / "site.yml") in found:
        return found[0]
    with export.opened(file) as (about, _sha256, _stream):
        named = [path for path in found if _name(path) == about.site]
    if len(named) != 1:
        raise UpdaterError(
            f"{'more than one site' if named else 'no site'} here is called {about.site}",
            where=str(folder),
            cause=f"{file} is of {about.site} ({about.url})",
            hint="name its folder: updater approve --import FILE --site FOLDER",
        )
    return named[0]


def _name(path: Path) -> str:
    try:
        return config.load(path).name
    except UpdaterError:  # another site's fault is no answer
        return ""


@contextmanager
def opened(site: Site) -> Iterator[Journal]:
    """The site's journal for a moment."""
    journal = Journal(site.state)
    try:
        yield journal
    finally:
        journal.close()


def _waiting(site: Site, journal: Journal) -> tuple[list[WaitingRun], list[Trouble]]:
    found: list[WaitingRun] = []
    troubles: list[Trouble] = []
    for row in journal.runs(limit=1_000):  # newest first
        if row.state != pipeline.AWAITING:
            continue
        try:
            what = pipeline.waiting(site, journal, row.run)
        except ApprovalRefused as error:
            troubles.append(Trouble(site.config, str(error)))
        else:
            found.append(WaitingRun(site, row.run, row.finished or row.started, what, superseded=bool(found)))
    return found, troubles
