"""A run that passed and waits for its approval, as a real one leaves it on disk: no pipeline, no Docker."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import imagecodecs
import numpy as np

from updater import config, fleet, report
from updater.checks import smoke
from updater.checks.observation import Observation, Shot
from updater.errors import ExitCode
from updater.journal import Journal, digest, new_run_id, now, release_digest
from updater.model import Check, Evidence, Judgement, Migration, Release, Status, Update, Verdict
from updater.report.record import RunRecord, UpdateResult

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
JUST_NOW = timedelta()
CODE = b"<?php // shop 1.1\n"


def leave(
    journal: Journal,
    site: str,
    updates: Sequence[Update] = (),
    run: str = "",
    rehearsed: float = 2.0,
    age: timedelta = JUST_NOW,
    advice: str = "",
) -> RunRecord:
    """The folder and the journal of a run that has waited for `age`, or that nobody can have deployed. Returns its record."""
    run, ended = run or new_run_id(), now() - age
    updates = tuple(updates) or (an_update(),)
    folder = journal.begin(run, site)
    release = _release(run, site, updates, folder, rehearsed)
    evidence = Evidence((Check("smoke tests", "after", Status.PASSED, "7 passed"),))
    judgement = Judgement(Verdict("PASS"), ("every check passed",))
    record = RunRecord(
        run,
        site,
        f"https://{site}.example",
        "wordpress",
        "awaiting approval",
        int(ExitCode.AWAITING_APPROVAL),
        ended,
        ended,
        judgement.verdict,
        judgement.reasons,
        updates=tuple(UpdateResult(u.kind, u.slug, u.name, u.from_version, u.to_version, "passed") for u in updates),
        evidence=evidence,
        evidence_sha256=digest(evidence),
        advice=advice,
        migration=release.migration,
        changed_files=1,
    )
    for name, noun in {"release": release, "evidence": evidence, "judgement": judgement, "record": record}.items():
        journal.keep(run, name, noun)
    _leave_the_look(folder / "after")
    report.write(record, folder)
    journal.finish(run, record.state, record.exit_code)
    with journal._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET finished = ? WHERE run = ?", (ended.isoformat(), run))
    return record


def _leave_the_look(folder: Path) -> None:
    """What the updated shop looked like: a promotion compares production with it, and keeps it as the approved look."""
    folder.mkdir()
    picture = imagecodecs.png_encode(np.full((4, 4, 3), 200, np.uint8))
    (folder / "home.png").write_bytes(picture)
    shot = Shot("home", "desktop", "home.png", hashlib.sha256(picture).hexdigest(), 4, 4)
    smoke.save(Observation(folder, 0, (), (), (shot,), {"product.price [checkout, desktop]": "120"}))


def a_site(folder: Path, name: str, more: str = "") -> Path:
    """A site.yml whose server cannot be reached."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "site.yml"
    path.write_text(
        f"site: {name}\nurl: https://{name}.example\ndocroot: /srv/shop\n"
        f"server: {{host: 127.0.0.1, user: deploy, port: 1, host_key: {HOST_KEY}}}\n{more}"
    )
    return path


def an_update(slug: str = "shop", old: str = "1.0", new: str = "1.1") -> Update:
    return Update("plugin", slug, slug.title(), old, new, Path(f"{slug}.zip"), "ab" * 32, f"packages/{slug}.zip")


def _release(run: str, site: str, updates: tuple[Update, ...], folder: Path, rehearsed: float) -> Release:
    archive, path = folder / "release.tar", "wp-content/plugins/shop/shop.php"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo(path)
        entry.size = len(CODE)
        tar.addfile(entry, io.BytesIO(CODE))
    release = Release(
        run=run,
        site=site,
        made=now(),
        updates=updates,
        units=("wp-content/plugins/shop",),
        changed={path: ("00" * 32, hashlib.sha256(CODE).hexdigest())},
        archive=archive,
        migration=Migration(),
        schema_before={},
        versions_before={"plugin:shop": "1.0"},
        rehearsed_seconds=rehearsed,
        sha256="",
    )
    return replace(release, sha256=release_digest(release))


# ------------------------------------------------------------------------------------------------- sites with such a run

ALWAYS = "policy: {windows: ['Mon-Sun 00:00-24:00 UTC']}\n"


def waits(site: Path, slug: str = "shop", age: timedelta = timedelta(hours=3), **more: object) -> str:
    """A run of this site that has waited for `age`."""
    with fleet.opened(config.load(site)) as journal:
        update = replace(an_update(slug), **more)  # type: ignore[arg-type]
        return leave(journal, config.load(site).name, (update,), age=age).run


def two_clients(folder: Path) -> Path:
    """A folder with two clients' sites, a run of each waiting: tea's the longer."""
    waits(a_site(folder / "books", "books", ALWAYS), "reader")
    advisory = ("CVE-2026-0001 Shop < 1.1 - SQL injection (Critical)",)
    waits(
        a_site(folder / "tea", "tea", ALWAYS),
        "shop",
        timedelta(days=3),
        security=advisory,
        released=now() - timedelta(days=9),
        changelog="https://wordpress.org/plugins/shop/#developers",
    )
    return folder


def record(site: Path) -> RunRecord:
    """Of the site's last run."""
    with fleet.opened(config.load(site)) as journal:
        return journal.output(journal.find("last").run, "record", RunRecord)


def state(site: Path) -> str:
    """Of the site's last run."""
    with fleet.opened(config.load(site)) as journal:
        return journal.find("last").state
