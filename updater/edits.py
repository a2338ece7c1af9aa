"""What people changed in core, plugins and themes, told from what their makers released: an edit is never overwritten, a file of theirs never lost.

The installed code is compared with its own release: the zip of that very version in `sources.folders` or among the
packages of earlier runs, else the checksums that the CMS's makers publish. Where neither is to be had nothing can be told.
"""

from __future__ import annotations

import difflib
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from updater.cms.base import Published
from updater.language import counted, mark, sentence
from updater.model import Component, Held, Inventory, Plan, Update

_TOO_MUCH = 0.5
"""Share of a release's files that differ above which the installed code is another program of that name, not an edited one."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Known:
    """The release that a component was installed from: its files' checksums, and the zip itself where there is one."""

    files: Published
    package: Path | None = None
    members: Mapping[str, str] = field(default_factory=dict)
    """path below the component's folder → its name in the zip"""


@dataclass(frozen=True, slots=True)
class Edits:
    """Paths below the component's folder."""

    changed: tuple[str, ...] = ()
    """not as they were released, or deleted"""
    foreign: tuple[str, ...] = ()
    """no part of the release"""


def respect(
    plan: Plan,
    root: Path,
    known: Mapping[str, Known],
    overwrite: Mapping[str, str],
    folder: Path,
) -> Plan:
    """The plan without the updates that would overwrite an edit (held, the diffs in `folder`), and with the files to carry.

    `root` is a copy of production's docroot, `known` the installed releases by update id, `overwrite` slug → why its edits
    may go. Its notes tell people what could not be told, what is overwritten with consent, and what is carried.
    """
    components = {f"{part.kind}:{part.slug}": part for part in plan.inventory.components}
    updates: list[Update] = []
    held: list[Held] = []
    notes: list[str] = []
    for update in plan.updates:
        component = components[update.id]
        if update.id not in known:
            updates.append(update)
            continue
        release = known[update.id]
        edits = compare(root / component.path, release.files, whole=component.path != "")
        if len(edits.changed) > max(1, _TOO_MUCH * len(release.files)):
            notes.append(
                sentence(
                    "{name} {version} is not the one released under that name: edits in it cannot be told",
                    name=update.name,
                    version=update.from_version,
                )
            )
            updates.append(update)
            continue
        if edits.changed:
            reason = _reason(edits, _write_diff(root, component, edits, release, folder))
            if update.slug not in overwrite and update.id not in overwrite:
                held.append(Held(update.kind, update.slug, update.from_version, update.to_version, reason))
                continue
            consent = overwrite.get(update.id) or overwrite[update.slug]
            overwritten = sentence("edits are overwritten as site.yml allows ({reason})", reason=consent)
            notes.append(f"{update.name}: {overwritten}: {_listed(edits.changed)}")
        carried = tuple(f"{component.path}/{path}" for path in edits.foreign)
        if carried:
            stay = counted("{n} file of neither version stays", "{n} files of neither version stay", len(carried))
            notes.append(f"{update.name}: {stay}: {_listed(edits.foreign)}")
        updates.append(replace(update, carry=carried, base=release.package))
    return replace(plan, updates=tuple(updates), held=(*plan.held, *held), notes=(*plan.notes, *notes))


def compare(folder: Path, released: Published, *, whole: bool) -> Edits:
    """The files below `folder` beside those of the release. `whole`: the folder is the component's own, so more files are foreign.

    A file whose line ends alone differ (uploaded as text by an old FTP program) is no edit.
    """
    changed = [name for name, sums in sorted(released.items()) if sums and not _is_released(folder / name, sums)]
    if not whole:
        return Edits(tuple(changed))
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    return Edits(tuple(changed), tuple(sorted(present - released.keys())))


def of_package(package: Path, members: Mapping[str, str]) -> Known:
    """A verified zip as a release: the checksums of its `members` (path below the component's folder → name in the zip)."""
    with zipfile.ZipFile(package) as archive:
        sums = {path: (f"sha256:{hashlib.sha256(archive.read(name)).hexdigest()}",) for path, name in members.items()}
    return Known(sums, package, members)


def losses(updates: Sequence[Update], inventory: Inventory, removed: Sequence[str]) -> tuple[str, ...]:
    """Notes on the files that an update takes away where the installed release is not known: perhaps somebody put them there."""
    folders = {f"{part.kind}:{part.slug}": part.path for part in inventory.components}
    notes = []
    for update in updates:
        below = f"{folders[update.id]}/"
        gone = [path.removeprefix(below) for path in removed if path.startswith(below)]
        if update.carry is None and gone and update.kind != "core":
            removes = counted(
                "the update removes {n} file ({files}).",
                "the update removes {n} files ({files}).",
                len(gone),
                files=_listed(gone),
            )
            advice = sentence(
                "Put the zip of {version} into a folder of `sources.folders` to have files of yours told apart and kept",
                version=update.from_version,
            )
            notes.append(f"{update.name}: {removes} {advice}")
    return tuple(notes)


def _is_released(path: Path, sums: Sequence[str]) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    data = path.read_bytes()
    return _matches(data, sums) or _matches(data.replace(b"\r\n", b"\n"), sums)


def _matches(data: bytes, sums: Sequence[str]) -> bool:
    return any(
        hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() == expected
        for algorithm, _, expected in (each.partition(":") for each in sums)
    )


def _write_diff(root: Path, component: Component, edits: Edits, release: Known, folder: Path) -> str:
    """The name of the file in `folder` that shows the edits, '' when the released text is not to be had."""
    if release.package is None:
        return ""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"{component.kind}-{component.slug}.diff"
    with zipfile.ZipFile(release.package) as archive:
        text = "".join(
            line if line.endswith("\n") else f"{line}\n"
            for name in edits.changed
            for line in difflib.unified_diff(
                _lines(archive.read(release.members[name])),
                _lines_of(root / component.path / name),
                f"released/{name}",
                f"installed/{name}",
            )
        )
    file.write_text(text, encoding="utf-8")
    return f"{folder.name}/{file.name}"


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines(keepends=True)


def _lines_of(path: Path) -> list[str]:
    return _lines(path.read_bytes()) if path.is_file() and not path.is_symlink() else []


def _reason(edits: Edits, diff: str) -> str:
    shown = "; " + sentence("{file} in the run's folder shows them", file=diff) if diff else ""
    return (
        mark("edited by hand, and the update would overwrite it")
        + f": {_listed(edits.changed)}{shown}. "
        + mark("Move the edits out, or write under policy.overwrite why they may go")
    )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
