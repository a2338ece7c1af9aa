"""Backups: production copied whole into each place, and proven by bringing it up in a stack and buying there.

Site ─clone→ Snapshot ─save→ places;  place ─fetch→ Snapshot ─stage→ Stack ─check→ proven

What is restored never asks production: a backup holds all that a stack needs, and is of use when the server is gone.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from updater import __version__, cms, notify, resources, restic, samples
from updater.checks import evidence, facts, smoke, verdict
from updater.checks.observation import Target
from updater.errors import BackupFailed, ExitCode, UpdaterError
from updater.journal import converter, dump, new_run_id, now, site_lock, write_atomically
from updater.language import speak
from updater.log import Logged, Progress
from updater.model import (
    BackupEvent,
    BackupSettings,
    Check,
    Finding,
    Layout,
    Media,
    Platform,
    Site,
    Snapshot,
    Status,
    Verdict,
)
from updater.production import clone, host, probe
from updater.secrets import register
from updater.staging import stack

FILES, _PART, _DUMP, _CONTENT = "mirror", "backup", "backup/database.sql", "backup/backup.json"
"""In `.updater/` while it is made, in a repository, and below the folder that it is restored to: the same names."""
_MAKING, _RESTORED = "backup", "restored"


@dataclass(frozen=True, slots=True)
class Content:
    """What a backup says of itself, beside its files and its dump. Holds the database's password, as its files do."""

    backup: str
    site: str
    url: str
    taken: datetime
    snapshot: Snapshot
    layout: Layout
    dump_sha256: str
    left_out: tuple[str, ...]
    """Patterns of files that are not in it: caches, and what clone.exclude names"""
    made_by: str


@dataclass(frozen=True, slots=True)
class Saved:
    """One backup, and what became of it in each place."""

    backup: str
    taken: datetime
    events: tuple[BackupEvent, ...]
    left_out: tuple[str, ...]
    forgotten: int = 0
    """Older backups that policy no longer keeps, over all places"""
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.DONE if all(event.ok for event in self.events) else ExitCode.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Proof:
    """One backup brought up in a stack and tested. Seconds: fetched, brought up (with fetching), tested."""

    backup: str
    place: str
    taken: datetime
    verdict: Verdict
    detail: str
    checks: tuple[Check, ...]
    fetched_seconds: float
    restored_seconds: float
    tested_seconds: float
    folder: Path
    """What was seen: pytest's words and pictures of the restored shop, personal data scrubbed"""

    @property
    def exit_code(self) -> ExitCode:
        ends = {Verdict.FAIL: ExitCode.REJECTED, Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE}
        return ends.get(self.verdict, ExitCode.DONE)


# --------------------------------------------------------------------------------------------------- updater backup


def make(site: Site, progress: Progress) -> Saved:
    """Copy production and save it in every place; a place that fails stops no other, and its event says why.

    Raises what a clone raises, BackupFailed without `backup:` in site.yml, SiteLocked. Production is only read.
    """
    backup = new_run_id()
    with site_lock(site.state, backup), _logged(site, backup, progress) as log, making(site):
        try:
            _content, saved = make_one(site, backup, log)
        except UpdaterError as failed:
            _tell_failed(site, backup, str(failed))
            raise
        saved = _forget(site, saved)
    lost = [f"{event.place}: {event.detail}" for event in saved.events if not event.ok]
    if lost:
        _tell_failed(site, backup, "\n".join(lost))
    return saved


def make_one(site: Site, backup: str, progress: Progress) -> tuple[Content, Saved]:
    """The backup itself, inside `making` and the site's lock, with what became of it."""
    begun, into = time.monotonic(), places(site)
    content = copy_production(site, backup, progress)
    events = tuple(_save(site, content, place, progress, begun) for place in into)
    return content, Saved(backup, content.taken, events, content.left_out)


def _forget(site: Site, saved: Saved) -> Saved:
    """What policy no longer keeps goes from the places that got this one. Append-only places refuse that: said, and no failure."""
    settings, forgotten, remarks = _settings(site), 0, []
    got = {event.place for event in saved.events if event.ok}
    for place in places(site):
        if place.name in got:
            try:
                forgotten += restic.forget(place, site.name, settings.daily, settings.weekly, settings.monthly)
            except UpdaterError as failed:
                remarks.append(f"older backups in {place.name} could not be removed: {failed.what}")
    return replace(saved, forgotten=forgotten, remarks=tuple(remarks))


def copy_production(site: Site, backup: str, progress: Progress) -> Content:
    """The whole of production below `.updater/`: unlike the clone of a run with the rows of every table and all media."""
    progress.step("copy production")
    with host.connect(site.server) as server:
        php = probe.find_php(server, site)
        installation = cms.detect(server, site.docroot, php, site.cms)
        layout = cms.driver(installation.cms).layout(server, installation)
        platform = probe.read_platform(server, site, installation)
        whole = replace(layout, volatile_tables=())
        everything = replace(site, clone=replace(site.clone, media=Media.ALL))
        mirror, into = site.state / FILES, site.state / _MAKING
        snapshot = clone.clone(server, everything, installation, whole, platform, backup, mirror, into, progress)
    # Plain, so that restic finds the rows that it has already; it packs by itself.
    sha256 = _unpack(snapshot.dump, site.state / _DUMP)
    snapshot.dump.unlink()
    (into / "snapshot.json").unlink()
    content = Content(
        backup=backup,
        site=site.name,
        url=site.url,
        taken=snapshot.taken,
        snapshot=replace(snapshot, files=Path(FILES), dump=Path(_DUMP)),
        layout=layout,
        dump_sha256=sha256,
        left_out=(*layout.caches, *site.clone.exclude),
        made_by=f"updater {__version__}",
    )
    write_atomically(site.state / _CONTENT, dump(content), mode=0o600)
    return content


def _unpack(packed: Path, target: Path) -> str:
    digest = hashlib.sha256()
    target.touch(mode=0o600)
    with gzip.open(packed) as source, target.open("wb") as plain:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            plain.write(chunk)
    return digest.hexdigest()


def _save(site: Site, content: Content, place: restic.Repository, progress: Progress, begun: float) -> BackupEvent:
    progress.step(f"save in {place.name}")
    event = BackupEvent(now(), "made", content.backup, place.name, ok=False, taken=content.taken)
    try:
        _refuse_emptied(site, place)
        if restic.make(place):
            progress.say("made the repository")
        size = restic.save(place, site.name, content.backup, content.taken, site.state, [FILES, _PART])
        event = replace(event, at=now(), ok=True, bytes=size, seconds=round(time.monotonic() - begun, 1))
    except UpdaterError as failed:
        event = replace(event, at=now(), detail=str(failed))
    samples.add_backup(site.state, event)
    return event


def _refuse_emptied(site: Site, place: restic.Repository) -> None:
    """A disk that is not mounted looks like a place without a repository: one that held backups is not made anew."""
    held = [it for it in samples.backups(site.state) if it.place == place.name and it.kind == "made" and it.ok]
    if not held or not place.address.startswith("/") or Path(place.address, "config").exists():
        return
    raise BackupFailed(
        "the repository is gone",
        where=f"{place.name} ({place.address})",
        cause=f"it held the backup of {held[-1].taken:%Y-%m-%d %H:%M} UTC; perhaps its disk is not mounted",
        hint=f"bring it back; if it is lost, make the folder anew: restic init --repo {place.address}",
    )


# -------------------------------------------------------------------------------------------- updater backup verify


def verify(site: Site, progress: Progress, *, place: str = "") -> Proof:
    """Bring the newest backup of a place up in a stack and run the smoke tests on it; the stack is gone afterwards.

    Without a `place`, the one that was proven longest ago. What was found is noted, and marked in the repository.
    Raises BackupFailed when there is none or it cannot be fetched, StagingFailed.
    """
    chosen, verification = _place_to_prove(site, place), new_run_id()
    with site_lock(site.state, verification), _logged(site, verification, progress) as log:
        kept = _newest(site, chosen, None)
        try:
            log.step("look at the repository")
            restic.check(chosen)
            with standing_in_stack(site, chosen, kept, verification, log) as shop:
                proof = _prove(site, shop, log)
        except UpdaterError as failed:
            _note_restored(site, kept, chosen, ok=False, detail=str(failed), seconds=0.0)
            _tell_unproven(site, chosen, kept, str(failed))
            raise
        passed = proof.exit_code is ExitCode.DONE
        _note_restored(site, kept, chosen, ok=passed, detail=proof.detail, seconds=proof.restored_seconds)
        if passed:
            restic.mark_proven(chosen, kept)
        else:
            _tell_unproven(site, chosen, kept, proof.detail)
    return proof


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that stands in a stack, and how long each part of that took."""

    content: Content
    place: str
    shop: stack.StackHandle
    folder: Path
    """Its files and its dump, private, gone when the stack is"""
    seen: Path
    fetched_seconds: float
    restored_seconds: float
    differing: tuple[str, ...]
    """Code files that are not, byte for byte, what was backed up"""


@contextmanager
def standing_in_stack(
    site: Site,
    place: restic.Repository,
    kept: restic.Kept,
    run: str,
    progress: Progress,
    *,
    like: Platform | None = None,
) -> Iterator[Restored]:
    """The backup in a running stack, its personal data scrubbed, nothing able to leave it.

    `like`: production's platform of today, where it is to go there; without, that of its own time.
    """
    stack.clean(progress)
    with _fetched(site, place, kept, run, progress) as (content, folder, begun):
        fetched = time.monotonic() - begun
        wrong = _differing(content, folder)
        driver = cms.driver(content.snapshot.installation.cms)
        progress.step("bring it up in a stack")
        snapshot = replace(content.snapshot, run=run, platform=like or content.snapshot.platform)
        with stack.stage(site, snapshot, content.layout, progress) as shop:
            driver.guard(shop, shop.installation, shop.stack.hosts)
            up = time.monotonic() - begun
            seen = site.state / _RESTORED / run / "seen"
            yield Restored(content, place.name, shop, folder, seen, round(fetched, 1), round(up, 1), wrong)


@contextmanager
def _fetched(
    site: Site, place: restic.Repository, kept: restic.Kept, run: str, progress: Progress
) -> Iterator[tuple[Content, Path, float]]:
    """(what it says of itself, its folder, when fetching began); the folder is gone afterwards: it holds personal data."""
    shutil.rmtree(site.state / _RESTORED, ignore_errors=True)
    folder, begun = site.state / _RESTORED / run / "files", time.monotonic()
    try:
        progress.step(f"fetch it from {place.name}")
        restic.fetch(place, kept, folder)
        yield read(folder), folder, begun
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read(folder: Path) -> Content:
    """What lies in a folder that a backup was restored to, its paths leading there. BackupFailed when it is not ours."""
    try:
        content = converter.structure(json.loads((folder / _CONTENT).read_bytes()), Content)
    except (OSError, ValueError, KeyError) as unreadable:
        raise BackupFailed(
            "this backup does not say what it holds",
            where=str(folder / _CONTENT),
            cause=str(unreadable),
            hint="`updater backup list SITE` shows others; `restic restore` brings the files all the same",
        ) from unreadable
    register(content.snapshot.installation.database.password)
    return replace(content, snapshot=replace(content.snapshot, files=folder / FILES, dump=folder / _DUMP))


def _differing(content: Content, folder: Path) -> tuple[str, ...]:
    """Code files and the dump that came back otherwise than they went, or not at all."""
    outside = [*content.layout.media, *content.layout.caches]
    found, kept = clone.local_manifest(folder / FILES, outside), content.snapshot.code
    # An empty folder around media is told differently by the two manifests; every file and link is compared.
    code = (path for path in found.keys() | kept.keys() if "dir" not in (found.get(path), kept.get(path)))
    wrong = [path for path in code if found.get(path) != kept.get(path)]
    with (folder / _DUMP).open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != content.dump_sha256:
            wrong.append("the database's dump")
    return tuple(sorted(wrong))


def _prove(site: Site, restored: Restored, progress: Progress) -> Proof:
    progress.step("test the restored shop")
    begun, content = time.monotonic(), restored.content
    driver, shop = cms.driver(content.snapshot.installation.cms), restored.shop
    seen = smoke.observe(
        target(site, shop),
        site,
        resources.folder("smoke_tests") / content.layout.smoke_tests,
        restored.seen,
        progress,
        state=lambda: driver.orders(shop, shop.installation, site.orders),
    )
    checks = (whole(restored), evidence.smoke_check(seen, evidence.AFTER), facts.order_check(seen, evidence.AFTER))
    staged = restored.shop.stack
    judgement = verdict.judge_restored(
        checks,
        stack_matched=staged.matched,
        mismatch=staged.mismatch,
        accept_nearest=site.policy.accept_nearest_stack,
    )
    return Proof(
        content.backup,
        restored.place,
        content.taken,
        judgement.verdict,
        "; ".join(judgement.reasons),
        checks,
        restored.fetched_seconds,
        restored.restored_seconds,
        round(time.monotonic() - begun, 1),
        restored.seen,
    )


def target(site: Site, shop: stack.StackHandle) -> Target:
    """The restored shop, under the site's own names."""
    hosts = dict.fromkeys(shop.stack.hosts, shop.stack.address)
    return Target(site.url, hosts, trust_any_certificate=True, recorded=stack.recorded(site, shop.stack))


def whole(restored: Restored) -> Check:
    wrong = restored.differing
    if wrong:
        findings = tuple(Finding("backup", path, f"{path} is not what was backed up") for path in wrong)
        detail = f"{len(wrong)} files came back otherwise than they went: {', '.join(wrong[:5])}"
        return Check("backup whole", evidence.AFTER, Status.FAILED, detail, findings=findings)
    count = len(restored.content.snapshot.code)
    return Check("backup whole", evidence.AFTER, Status.PASSED, f"{count} code files and the dump are as they went")


# -------------------------------------------------------------------------------------------------- updater restore


@contextmanager
def standing(site: Site, progress: Progress, *, at: datetime | None, place: str = "") -> Iterator[Restored]:
    """The newest backup of `at` or before (None: the newest), standing in a stack until the block ends.

    Without a `place`, the first that answers and has one. Raises as `verify`.
    """
    run = new_run_id()
    with site_lock(site.state, run), _logged(site, run, progress) as log:
        chosen, kept = answering(site, place, at)
        with standing_in_stack(site, chosen, kept, run, log) as shop:
            yield shop


def fetch(site: Site, progress: Progress, into: Path, *, at: datetime | None, place: str = "") -> Content:
    """Write the files and the dump of that backup into a new private folder, for a person to take from."""
    if into.exists() and any(into.iterdir()):
        raise BackupFailed("the folder is not empty", where=str(into), hint="name a new one with --into")
    chosen, kept = answering(site, place, at)
    progress.step(f"fetch it from {chosen.name}")
    restic.fetch(chosen, kept, into)
    content = read(into)
    wrong = _differing(content, into)
    if wrong:
        raise BackupFailed(
            f"{len(wrong)} files came back otherwise than they went",
            where=str(into),
            cause=", ".join(wrong[:5]),
            hint="fetch it from another place with --from, or another backup with --at",
        )
    return content


def answering(site: Site, name: str, at: datetime | None) -> tuple[restic.Repository, restic.Kept]:
    """The named place, else the first one that answers and has such a backup: on a bad day one of them may be gone."""
    chosen = [_place(site, name)] if name else places(site)
    for place in chosen[:-1]:
        try:
            return place, _newest(site, place, at)
        except BackupFailed:
            continue
    return chosen[-1], _newest(site, chosen[-1], at)


# --------------------------------------------------------------------------------------- which backup, which place


def listed(site: Site) -> list[tuple[str, restic.Kept]]:
    """(place, backup) of every backup of this site, newest first. BackupFailed when a place does not answer."""
    found = [(place.name, kept) for place in places(site) for kept in restic.find(place, site.name)]
    return sorted(found, key=lambda it: it[1].taken, reverse=True)


def _settings(site: Site) -> BackupSettings:
    if site.backup is None:
        raise BackupFailed(
            "site.yml says nothing of backups",
            where=str(site.config),
            cause="there is no `backup:` with a password and places",
            hint="add it as docs/backups.md shows, then: updater backup SITE",
        )
    return site.backup


def places(site: Site) -> list[restic.Repository]:
    """The places in the order of site.yml."""
    settings, cache = _settings(site), site.state / "restic"
    return [
        restic.Repository(name, address, settings.password, cache, settings.environment)
        for name, address in settings.places.items()
    ]


def _place(site: Site, name: str) -> restic.Repository:
    for place in places(site):
        if place.name == name:
            return place
    raise BackupFailed(
        f"there is no place {name!r}",
        where=str(site.config),
        cause=f"backup.places knows {', '.join(_settings(site).places)}",
        hint="name one of these with --from",
    )


def _place_to_prove(site: Site, name: str) -> restic.Repository:
    if name:
        return _place(site, name)
    never = datetime.min.replace(tzinfo=UTC)
    proven = {it.place: it.at for it in samples.backups(site.state) if it.kind == "restored" and it.ok}
    return min(places(site), key=lambda place: proven.get(place.name, never))


def _newest(site: Site, place: restic.Repository, before: datetime | None) -> restic.Kept:
    """The newest of that moment or before. BackupFailed names what there is."""
    found = restic.find(place, site.name)
    for kept in found:
        if before is None or kept.taken <= before:
            return kept
    oldest = f"the oldest is of {found[-1].taken:%Y-%m-%d %H:%M} UTC" if found else "it holds none of this site"
    raise BackupFailed(
        f"there is no backup in {place.name}" + (f" of {before:%Y-%m-%d %H:%M} UTC or before" if before else ""),
        where=str(site.config),
        cause=oldest,
        hint="`updater backup list SITE` shows all; `updater backup SITE` makes one",
    )


# -------------------------------------------------------------------------------------------------- words and files


def _note_restored(
    site: Site, kept: restic.Kept, place: restic.Repository, *, ok: bool, detail: str, seconds: float
) -> None:
    event = BackupEvent(now(), "restored", kept.backup, place.name, ok, kept.taken, detail, seconds)
    samples.add_backup(site.state, event)


def _tell_failed(site: Site, backup: str, why: str) -> None:
    _ = speak(site.language).gettext
    notify.put(site.state, "work", _("{site}: the backup failed").format(site=site.name), why, run=backup)


def _tell_unproven(site: Site, place: restic.Repository, kept: restic.Kept, why: str) -> None:
    words = speak(site.language)
    title = words.gettext("{site}: a backup could not be restored and proven").format(site=site.name)
    notify.put(site.state, "work", title, f"{place.name}, {words.moment(kept.taken)}\n{why}")


@contextmanager
def making(site: Site) -> Iterator[None]:
    """The folder of the dump while it is made: private, and gone however that ends."""
    folder = site.state / _MAKING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _logged(site: Site, name: str, progress: Progress) -> Iterator[Progress]:
    """What was said is kept in `.updater/backups/<name>.log`, with the failure's details."""
    folder = site.state / "backups"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = Logged(progress, folder / f"{name}.log")
    try:
        yield log
    except BaseException as failed:
        log.failed(failed)
        raise
    finally:
        log.close()
