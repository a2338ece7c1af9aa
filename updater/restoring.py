"""A backup into production: a promotion of an old state, by the same gate, watchdog, checks and way back.

place ─fetch→ Snapshot ─stage→ Stack ─check→ Evidence ─judge→ Judgement ─consent→ ApprovedRelease ─promote→ Outcome

Production is backed up as it is first, so that what is given up is given up to a backup.
"""

from __future__ import annotations

import gzip
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from updater import backups, cms, pipeline, policy
from updater.checks import evidence, facts, smoke, verdict
from updater.cms.base import Driver, ShopState
from updater.errors import ApprovalRefused, BackupFailed, Drifted, ExitCode, PromotionRefused
from updater.journal import Journal, digest, new_run_id, now, release_digest, site_lock
from updater.log import Progress
from updater.model import Evidence, Inventory, Judgement, Layout, Migration, PromoteSettings, Release, Site, Verdict
from updater.production import clone, host, probe, transaction
from updater.production.database import own_tables, read_database
from updater.production.patterns import excluded
from updater.report import RunRecord
from updater.resources import folder as resource

KEPT_FOR = timedelta(days=3)
"""How long the tables that were replaced stay on the server, where `promote.keep_tables` says nothing longer."""
_LOSE_LOCKS = (b"LOCK TABLES `", b"UNLOCK TABLES;")
"""Lines of a dump that need a grant which a shop's user may not have, in a shop that is closed anyway"""
_MOST_UNITS = 9_999
"""A unit's number on the server has four digits."""
_RUN_BY_SERVERS = re.compile(r"\.(php\d?|phtml|phar|pht|shtml|cgi|pl|py)$|(^|/)\.(htaccess|user\.ini)$", re.IGNORECASE)
"""What no customer uploads, and who breaks into a shop leaves among the pictures"""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a person consents to: everything of production since `taken` is replaced."""

    taken: datetime
    place: str
    today: str
    """The backup that was made of production as it is"""
    came: str
    """Orders since, in words, or why they cannot be read"""
    files: int
    tables: int
    stay: tuple[str, ...]
    """Settings files, which are left as they are"""
    deadline: int
    """Seconds after which production opens again by itself, whatever happened."""


Consent = Callable[[Loss], bool]
"""Shows it to a person, who types the site's name or does not."""


def into_production(
    site: Site,
    journal: Journal,
    progress: Progress,
    consent: Consent,
    *,
    person: str,
    at: datetime | None,
    place: str = "",
) -> RunRecord:
    """Bring production back to the newest backup of `at` or before, once it passed in a stack and `consent` was given.

    Expected failures end in the record, as of a run: rejected (it does not sell, or no consent), inconclusive, rolled back.
    """
    forbidden = policy.forbids_person(site.policy, person)
    if forbidden:
        raise ApprovalRefused("the restore cannot be approved", where=str(site.config), cause=forbidden)
    site = replace(site.deploying, promote=_keeping(site.promote))
    with host.connect(site.server) as server:
        # Not after an hour of testing.
        pipeline.refuse_reader(server, site)
        found = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
        pipeline.refuse_advice_only(site, found, restore=True)
    run_id = new_run_id()
    with site_lock(site.state, run_id), pipeline.new_record(site, journal, progress, run_id) as this:
        chosen, kept = backups.answering(site, place, at)  # before today's backup, which is younger than any `at`
        today = _back_up(this)
        with backups.standing_in_stack(
            site, chosen, kept, run_id, this.progress, like=today.snapshot.platform
        ) as restored:
            this.tell(cms=today.snapshot.installation.cms, restored=restored.content.taken)
            _refuse_another_shop(today, restored.content)
            driver, shop = cms.driver(this.record.cms), restored.shop
            this.tell(inventory=driver.inventory(shop, shop.installation))
            then = driver.orders(shop, shop.installation, site.orders)
            seen = _look(this, restored)
            judgement = _judge(this, restored, seen)
            if judgement.verdict is Verdict.PASS:
                with this.step("compare with the backup"):
                    release, dump = _release(this, today, restored)
        if judgement.verdict is Verdict.FAIL:
            this.end(pipeline.REJECTED, ExitCode.REJECTED)
        elif judgement.verdict is Verdict.INCONCLUSIVE:
            this.end(pipeline.INCONCLUSIVE, ExitCode.INCONCLUSIVE)
        else:
            try:
                _with_consent(
                    this, release, dump, judgement, seen, person, consent, _loss(this, release, today, restored, then)
                )
            finally:
                dump.unlink(missing_ok=True)
    return this.record


def _with_consent(
    this: pipeline.Run,
    release: Release,
    dump: Path,
    judgement: Judgement,
    seen: Evidence,
    person: str,
    consent: Consent,
    loss: Loss,
) -> None:
    if not consent(loss):
        this.tell(error="the site's name was not typed: production was not touched")
        this.end(pipeline.REJECTED, ExitCode.REJECTED)
        return
    this.note(f"{person} consented to lose what came since {loss.taken:%Y-%m-%d %H:%M} UTC: {loss.came}")
    this.end(pipeline.AWAITING, ExitCode.AWAITING_APPROVAL)
    pipeline.keep_record(this)
    try:
        pipeline.approve_and_promote(this, release, judgement, person, seen, dump)
    except (Drifted, PromotionRefused) as refused:
        mend = refused.hint.partition(", then approve")[0] if isinstance(refused, PromotionRefused) else "look at it"
        hint = f"{mend}, then type the same restore again"
        raise type(refused)(refused.what, where=refused.where, cause=refused.cause, hint=hint) from refused


def _keeping(settings: PromoteSettings) -> PromoteSettings:
    """With the tables that are replaced kept, so that the restore itself can be taken back."""
    return replace(settings, keep_tables=max(settings.keep_tables or KEPT_FOR, KEPT_FOR))


def _back_up(this: pipeline.Run) -> backups.Content:
    """Production as it is, in every place that answers. BackupFailed when none did."""
    with this.step("back up production as it is"), backups.making(this.site):
        content, saved = backups.make_one(this.site, this.id, this.progress)
        if not any(event.ok for event in saved.events):
            raise BackupFailed(
                "production could not be backed up as it is, so nothing is restored over it",
                where=str(this.site.config),
                cause="; ".join(f"{event.place}: {event.detail}" for event in saved.events),
                hint="mend a place, then restore again",
            )
    return content


def _refuse_another_shop(today: backups.Content, then: backups.Content) -> None:
    ours, theirs = today.snapshot.installation, then.snapshot.installation
    different = [
        f"{what}: {before} → {after}"
        for what, before, after in (
            ("CMS", theirs.cms, ours.cms),
            ("docroot", theirs.docroot, ours.docroot),
            ("database", theirs.database.name, ours.database.name),
            ("prefix", theirs.database.prefix, ours.database.prefix),
        )
        if before != after
    ]
    if different:
        raise BackupFailed(
            "the backup is of a shop that lay elsewhere",
            where=f"backup {then.backup}",
            cause="; ".join(different),
            hint="fetch its files with `updater restore SITE --into FOLDER` and move them by hand",
        )


def _look(this: pipeline.Run, restored: backups.Restored) -> Evidence:
    """The smoke tests on the restored shop; what they saw is what production is compared with behind the gate."""
    shop, site = restored.shop, this.site
    driver = cms.driver(this.record.cms)
    with this.step("look: after"):
        seen = smoke.observe(
            backups.target(site, shop),
            site,
            resource("smoke_tests") / restored.content.layout.smoke_tests,
            this.folder / evidence.AFTER,
            this.progress,
            state=lambda: driver.orders(shop, shop.installation, site.orders),
        )
    checks = (
        backups.whole(restored),
        evidence.smoke_check(seen, evidence.AFTER),
        facts.order_check(seen, evidence.AFTER),
    )
    found = Evidence(checks, blocked=shop.blocked(), mail=shop.mail())
    this.keep("evidence", found)
    this.tell(evidence=found, evidence_sha256=digest(found))
    return found


def _judge(this: pipeline.Run, restored: backups.Restored, seen: Evidence) -> Judgement:
    staged = restored.shop.stack
    judgement = verdict.judge_restored(
        seen.checks,
        stack_matched=staged.matched,
        mismatch=staged.mismatch,
        accept_nearest=this.site.policy.accept_nearest_stack,
    )
    this.keep("judgement", judgement)
    this.tell(verdict=judgement.verdict, reasons=judgement.reasons)
    return judgement


# --------------------------------------------------------------------------------- the release: from now back to then


def _release(this: pipeline.Run, today: backups.Content, restored: backups.Restored) -> tuple[Release, Path]:
    """The difference between production and the backup, and the dump that is loaded with it. Settings files stay."""
    then, layout = restored.content, today.layout
    driver = cms.driver(this.record.cms)
    with host.connect(this.site.server) as server:
        installation = today.snapshot.installation
        found = read_database(server, installation)
        tables = own_tables(found.tables, installation.database.prefix)
        base = {name for name in tables if found.tables[name].type == "BASE TABLE"}
    _refuse_what_a_dump_cannot_bring_back(restored, set(tables) - base, [*found.routines, *found.events])
    now_files = clone.local_manifest(this.site.state / backups.FILES, layout.caches)
    then_files = clone.local_manifest(restored.folder / backups.FILES, then.layout.caches)
    left_out = [*then.left_out, *this.site.clone.exclude, *driver.gate(installation).files]
    changed = difference(now_files, then_files, layout, left_out)
    assert this.record.inventory is not None
    units = units_of(driver, this.record.inventory, changed, now_files)
    if len(units) > _MOST_UNITS:
        raise BackupFailed(
            f"{len(units)} places differ, more than one transaction can swap",
            where=installation.docroot,
            hint="fetch the files with `updater restore SITE --into FOLDER` and copy most of them by hand first",
        )
    archive = this.folder / "release.tar"
    _pack(
        restored.folder / backups.FILES,
        [path for path, (_, new) in changed.items() if new not in (None, "dir")],
        archive,
    )
    database = restored.shop.database
    staged = set(then.snapshot.tables) - (set(database.tables(views=True)) - set(database.tables()))
    dump = this.folder / "snapshot" / "restore.sql.gz"  # where `updater clean` looks for copies of production
    dump.parent.mkdir(mode=0o700, exist_ok=True)
    _write_dump(then.snapshot.dump, sorted(base - staged), dump)
    release = Release(
        run=this.id,
        site=this.site.name,
        made=now(),
        updates=(),
        units=units,
        changed=changed,
        archive=archive,
        migration=Migration(
            changed_tables=tuple(sorted(base & staged)),
            created_tables=tuple(sorted(staged - base)),
            dropped_tables=tuple(sorted(base - staged)),
            schema={table: then.snapshot.tables[table] for table in sorted(staged)},
            seconds=restored.shop.timings["import"],
        ),
        schema_before=today.snapshot.tables,
        versions_before={},
        rehearsed_seconds=3 * restored.shop.timings["import"],  # copy what is there, load, and the way back
        sha256="",
    )
    release = replace(release, sha256=release_digest(release))
    this.keep("release", release)
    this.tell(changed_files=len(changed), migration=release.migration)
    return release, dump


def difference(
    now_files: Mapping[str, str], then_files: Mapping[str, str], layout: Layout, left_out: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Path → (now, then) of everything to be brought back.

    What was uploaded since stays, but for what a server would run: of uploads only missing and altered ones come.
    """
    out = excluded(left_out)
    found = {}
    for path in sorted(now_files.keys() | then_files.keys()):
        pair = now_files.get(path), then_files.get(path)
        empty = all(side in (None, "dir") for side in pair)
        uploaded = any(path == media or path.startswith(f"{media}/") for media in layout.media)
        uploaded = uploaded and not _RUN_BY_SERVERS.search(path)
        if pair[0] == pair[1] or empty or path in layout.settings_files or out(path) or (uploaded and pair[1] is None):
            continue
        found[path] = pair
    return found


def units_of(
    driver: Driver, inventory: Inventory, changed: Iterable[str], now_files: Mapping[str, str]
) -> tuple[str, ...]:
    """The driver's units; one whose folder is not there any more comes with the first folder above it that is missing."""
    folders = {parent for path in now_files for parent in _above(path)}
    folders |= {path for path, value in now_files.items() if value == "dir"}
    found: list[str] = []
    for unit in sorted({_with_folder(unit, folders) for unit in driver.units((), inventory, sorted(changed))}):
        if not any(unit.startswith(f"{other}/") for other in found):
            found.append(unit)
    return tuple(found)


def _with_folder(unit: str, folders: set[str]) -> str:
    missing = [parent for parent in _above(unit) if parent not in folders]
    return min(missing, key=len, default=unit)


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _pack(root: Path, paths: Sequence[str], archive: Path) -> None:
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in paths:
            tar.add(root / path, arcname=path, recursive=False)


def _write_dump(source: Path, dropped: Sequence[str], target: Path) -> None:
    """The dump without its locks, and with what the backup does not know dropped first."""
    target.touch(mode=0o600)
    with source.open("rb") as lines, gzip.open(target, "wb", compresslevel=3) as packed:
        packed.write(b"SET FOREIGN_KEY_CHECKS = 0;\n")
        for table in dropped:
            packed.write(f"DROP TABLE IF EXISTS `{table.replace('`', '``')}`;\n".encode())
        packed.writelines(line for line in lines if not line.startswith(_LOSE_LOCKS))


def _refuse_what_a_dump_cannot_bring_back(restored: backups.Restored, views: set[str], routines: Sequence[str]) -> None:
    """Tables are put back by copies should loading fail; views and routines would not be."""
    then = set(restored.shop.database.tables(views=True)) - set(restored.shop.database.tables())
    rows = restored.shop.sql("SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()")
    named = sorted({*views, *then, *routines, *(row[0] for row in rows)})
    if named:
        raise BackupFailed(
            "the shop's database holds views or routines, which nothing would bring back should the restore fail",
            where=restored.content.snapshot.installation.database.name,
            cause=", ".join(named[:5]),
            hint="fetch the dump with `updater restore SITE --into FOLDER` and load it by hand",
        )


def _loss(
    this: pipeline.Run, release: Release, today: backups.Content, restored: backups.Restored, then: ShopState
) -> Loss:
    """What the person is shown. The orders themselves go to a file in the private folder of the run."""
    driver, installation = cms.driver(this.record.cms), today.snapshot.installation
    with host.connect(this.site.server) as server:
        came = pipeline.export_orders(this, then, server, driver, installation)
    migration = release.migration
    return Loss(
        taken=restored.content.taken,
        place=restored.place,
        today=today.backup,
        came=came,
        files=len(release.changed),
        tables=len(migration.changed_tables + migration.created_tables + migration.dropped_tables),
        stay=tuple(name for name in today.layout.settings_files if (this.site.state / backups.FILES / name).exists()),
        deadline=transaction.deadline(this.site.promote, release.rehearsed_seconds),
    )
