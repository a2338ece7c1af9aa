"""Updates applied to a stack, and what they changed: code, schema, rows. Trial and Release are made here.

A migration is what was seen, not what was guessed: the same visits are made once without updates (A/A), and what
changes then is noise. What changes beyond it is the migration, and its tables are what a promotion copies first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from updater.cms.base import Driver, runnable
from updater.errors import CommandFailed, UpdateFailed
from updater.journal import now, release_digest
from updater.log import Progress
from updater.model import (
    Installation,
    Inventory,
    Layout,
    Migration,
    MigrationStep,
    Release,
    Snapshot,
    Trial,
    Update,
)
from updater.shell import Shell, code_manifest, parse_answer

Difference = Mapping[str, tuple[str | None, str | None]]


class StagedShop(Shell, Protocol):
    """What this module needs of a stack."""

    installation: Installation

    def put(self, local: Path, remote: str) -> None: ...
    def way_out(self) -> AbstractContextManager[None]: ...
    def schema(self) -> dict[str, str]: ...
    def checksums(self) -> dict[str, str]: ...
    def row_hashes(self, table: str, where_not: Sequence[str]) -> dict[str, str]: ...
    def sql(self, statement: str) -> list[tuple[str, ...]]: ...
    def checkpoint(self, name: str) -> None: ...
    def restore(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Noise:
    """What the un-updated shop changes by itself when it is visited: the A/A of code and database."""

    code: Mapping[str, str]
    """The tree before any visit."""
    paths: frozenset[str]
    schema: Mapping[str, str]
    checksums: Mapping[str, str]
    rows: Mapping[str, Mapping[str, str]]
    """Rows, before any visit, of the tables that change by themselves."""
    noisy_rows: Mapping[str, frozenset[str]]


def measure_noise(stack: StagedShop, driver: Driver, layout: Layout, progress: Progress) -> Noise:
    """Make the migration's visits on the un-updated clone, and note what changes by itself. Ends at checkpoint `clean`."""
    progress.say("visiting the un-updated clone, to learn what changes by itself")
    code, schema, checksums = _code(stack, driver, layout), stack.schema(), stack.checksums()
    _run_steps(stack, driver.migration(stack.installation, ()))
    visited = stack.checksums()
    ignored = {stack.installation.database.prefix + table for table in driver.noise_rows()}
    watched = {table for table in checksums if visited.get(table) != checksums[table] or table in ignored}
    after = {table: _rows(stack, driver, table) for table in watched}
    paths = frozenset(_difference(code, _code(stack, driver, layout)))
    stack.restore("clean")
    rows = {table: _rows(stack, driver, table) for table in watched}
    noisy_rows = {table: frozenset(_difference(rows[table], after[table])) for table in watched}
    return Noise(code, paths, schema, checksums, rows, noisy_rows)


def rehearse(
    stack: StagedShop, driver: Driver, layout: Layout, noise: Noise, updates: Sequence[Update], progress: Progress
) -> Trial:
    """Apply the updates with the CMS's own updater, migrate until quiet, and record what changed. Starts at `clean`.

    An update that cannot be applied, or a migration that fails, is a Trial with `failure`, not an error: it is the
    answer that was asked for.
    """
    versions: dict[str, str] = {}
    failure = ""
    migration = Migration()
    applied = 0.0
    try:
        for update in updates:
            progress.say(f"{update.name} {update.from_version} → {update.to_version}")
            remote = f"/tmp/updater-{update.kind}-{update.slug}.zip"  # noqa: S108 - inside the container
            stack.put(update.package, remote)
            _set_aside(stack, update)
            begun = time.monotonic()
            with stack.way_out():
                versions[update.id] = driver.apply(stack, stack.installation, update, remote)
            applied += time.monotonic() - begun
            _put_back(stack, update)
            stack.run(["rm", "-f", remote, _ASIDE])
        steps = tuple(driver.migration(stack.installation, updates))
        progress.say("migrating until quiet: " + ", ".join(step.name for step in steps))
        begun = time.monotonic()
        _run_steps(stack, steps)
        migration = _seen(stack, driver, noise, steps, time.monotonic() - begun)
    except (UpdateFailed, CommandFailed) as error:
        # One sentence of the verdict: what to do next the report says, for every way to fail alike.
        failure = f"{error.what}{f' ({error.where})' if error.where else ''}: {error.cause}".removesuffix(": ")
    code = _code(stack, driver, layout)
    for path in noise.paths:  # a file that every visit rewrites is none of the update's work
        code.pop(path, None)
        if path in noise.code:
            code[path] = noise.code[path]
    return Trial(tuple(updates), versions, code, migration, failure, applied)


def build_release(
    stack: StagedShop,
    driver: Driver,
    snapshot: Snapshot,
    inventory: Inventory,
    trial: Trial,
    site: str,
    into: Path,
) -> Release:
    """The byte-exact difference that the trial made, with the files themselves in one tar. Starts right after `rehearse`."""
    changed = _difference(snapshot.code, trial.code)
    archive = into / "release.tar"
    with archive.open("wb") as stream:
        _pack(stack, [path for path, (_old, new) in changed.items() if new not in (None, "dir")], stream)
    replay = driver.replay(stack.installation, trial.applied)
    seconds = trial.migration.seconds + _time_copies(stack, trial.migration) + (trial.applied_seconds if replay else 0)
    release = Release(
        run=snapshot.run,
        site=site,
        made=now(),
        updates=trial.applied,
        units=tuple(driver.units(trial.applied, inventory, sorted(changed))),
        changed=changed,
        archive=archive,
        migration=trial.migration,
        schema_before=snapshot.tables,
        versions_before=versions_of(inventory, snapshot.platform.php),
        rehearsed_seconds=seconds,
        sha256="",
        replay=replay,
    )
    return replace(release, sha256=release_digest(release))


def versions_of(inventory: Inventory, php: str) -> dict[str, str]:
    """Versions and activity of every component, and the web's PHP (`8.2`), as a fingerprint of what was tested together."""
    versions = {f"{part.kind}:{part.slug}": part.version for part in inventory.components}
    active = {f"{part.kind}:{part.slug}:active": "yes" if part.active else "no" for part in inventory.components}
    return versions | active | {"web:php": ".".join(php.split(".")[:2])}


_ASIDE = "/tmp/updater-carried.tar"  # noqa: S108 - inside the container


def _set_aside(stack: StagedShop, update: Update) -> None:
    """A CMS's updater empties the component's folder: what belongs to neither version is kept beside it meanwhile."""
    if update.carry:
        names = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in update.carry)
        stack.run([*_tar(stack), "-T", "-", "-cf", _ASIDE], stdin=names)


def _put_back(stack: StagedShop, update: Update) -> None:
    """As it was, save where the new version brings a file of that name."""
    if update.carry:
        stack.run(["tar", "-C", stack.installation.docroot, "--skip-old-files", "-xpf", _ASIDE])


def _tar(stack: StagedShop) -> list[str]:
    # --verbatim-files-from: a file may be called `-C`; --no-recursion: an empty folder is listed, not walked
    return ["tar", "-C", stack.installation.docroot, "--null", "--verbatim-files-from", "--no-recursion"]


def _code(stack: StagedShop, driver: Driver, layout: Layout) -> dict[str, str]:
    left_out = (*layout.media, *layout.caches, *driver.staging_only())
    return code_manifest(stack, stack.installation.php, stack.installation.docroot, left_out)


def _run_steps(stack: StagedShop, steps: Sequence[MigrationStep]) -> None:
    for step in steps:
        completed = stack.run(
            [stack.installation.php, "-d", "display_errors=stderr"],
            stdin=runnable(step, stack.installation.database),
            timeout=1800,
            check=False,
        )
        parse_answer(completed, f"{stack.where}, migration step {step.name}")


def _seen(stack: StagedShop, driver: Driver, noise: Noise, steps: Sequence[MigrationStep], seconds: float) -> Migration:
    schema, checksums = stack.schema(), stack.checksums()
    changed = [
        table
        for table in sorted(noise.schema.keys() & schema.keys())
        if schema[table] != noise.schema[table]
        or (checksums.get(table) != noise.checksums.get(table) and _rows_changed(stack, driver, noise, table))
    ]
    return Migration(
        steps=tuple(steps),
        changed_tables=tuple(changed),
        created_tables=tuple(sorted(schema.keys() - noise.schema.keys())),
        dropped_tables=tuple(sorted(noise.schema.keys() - schema.keys())),
        schema=schema,
        seconds=seconds,
    )


def _rows_changed(stack: StagedShop, driver: Driver, noise: Noise, table: str) -> bool:
    """Whether rows changed that do not change by themselves. A table that was still in the A/A changed for good reason."""
    if table not in noise.rows:
        return True
    return bool(_difference(noise.rows[table], _rows(stack, driver, table)).keys() - noise.noisy_rows[table])


def _rows(stack: StagedShop, driver: Driver, table: str) -> dict[str, str]:
    name = table.removeprefix(stack.installation.database.prefix)
    return stack.row_hashes(table, driver.noise_rows().get(name, ()))


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Every key whose value differs, with both values; None where it is missing."""
    keys = before.keys() | after.keys()
    return {key: (before.get(key), after.get(key)) for key in sorted(keys) if before.get(key) != after.get(key)}


def _pack(stack: StagedShop, paths: Sequence[str], into: BinaryIO) -> None:
    names = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
    stack.stream([*_tar(stack), "-T", "-", "-cf", "-"], into, stdin=BytesIO(names))


def _time_copies(stack: StagedShop, migration: Migration) -> float:
    """Seconds to copy the tables that the migration changes, there and back: the promotion's dump and its restore."""
    begun = time.monotonic()
    for table in migration.changed_tables:
        copy = "updater_timing"
        stack.sql(f"CREATE TABLE `{copy}` LIKE `{table}`")
        stack.sql(f"INSERT INTO `{copy}` SELECT * FROM `{table}`")  # noqa: S608 - names read from this very database
        stack.sql(f"DROP TABLE `{copy}`")
    return 2 * (time.monotonic() - begun)
