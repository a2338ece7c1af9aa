"""A run that waits for its approval, as one file: one machine tests, another approves exactly what it can verify.

A tar. Its first member, `export.json`, names the site, the run and the sha256 of every other member: what a person needs
to decide (report, evidence, pictures) and what a promotion needs (the release, what the tested shop showed). Production's
dump and files are not in it, nor any secret. The hashes inside find damage; whoever can write the whole file can write
those too, so a person compares the sha256 of the file itself with the one that the run printed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

import cattrs

from updater.checks import smoke
from updater.checks.evidence import AFTER
from updater.errors import UpdaterError
from updater.journal import (
    Journal,
    RunRow,
    converter,
    digest,
    dump,
    refuse_unless_waiting,
    release_digest,
    site_lock,
    write_atomically,
)
from updater.model import Evidence, Judgement, Release, Site
from updater.report.record import RunRecord

T = TypeVar("T")

FORMAT = 1
_ABOUT = "export.json"
_ARCHIVE = "release.tar"
_NOUNS = ("record", "release", "evidence", "judgement")
_REPORTS = ("report.html", "report.md", "junit.xml", "run.json")
_OBSERVATION = f"{AFTER}/observation.json"
_NEEDED = {_ARCHIVE, _OBSERVATION, *(f"steps/{noun}.json" for noun in _NOUNS)}
_RUN = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
_MOST = 2 << 30
"""Bytes of all members: a release holds the code that changed, and pictures. What is larger is no export of ours."""


class ExportRefused(UpdaterError):
    """The file is no export, was altered, or belongs to another site. Nothing of it was taken in."""


@dataclass(frozen=True, slots=True)
class About:
    """What an export says of itself. `files`: name → sha256 of every other member."""

    format: int
    site: str
    url: str
    run: str
    files: Mapping[str, str]


# ------------------------------------------------------------------------------------------------------------- write


def write(site: Site, journal: Journal, run: str, into: Path) -> str:
    """The waiting run as the file `into`, whole or not at all; readable by its owner. Returns the file's sha256.

    One run gives the same bytes each time. ApprovalRefused when the run does not wait for an approval.
    """
    folder, judgement = journal.folder(run), journal.output(run, "judgement", Judgement)
    refuse_unless_waiting(journal.find(run), judgement, site.policy.expires)
    record, release = journal.output(run, "record", RunRecord), journal.output(run, "release", Release)
    files = {name: (folder / name).read_bytes() for name in _names(folder, journal.output(run, "evidence", Evidence))}
    files["steps/release.json"] = dump(release.portable)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    about = About(FORMAT, record.site, record.url, run, hashes)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in [(_ABOUT, dump(about)), *((name, files[name]) for name in hashes)]:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    try:
        write_atomically(into, packed.getvalue(), mode=0o600)
    except OSError as error:
        raise unwritable(into, error) from error
    return hashlib.sha256(packed.getvalue()).hexdigest()


def unwritable(into: Path, error: OSError) -> UpdaterError:
    return UpdaterError(
        "the export cannot be written",
        where=str(into),
        cause=error.strerror or str(error),
        hint="name a file in a folder of yours; `updater export FILE` writes a waiting run at any time",
    )


def _names(folder: Path, seen: Evidence) -> set[str]:
    """What belongs into an export, by path below the run's folder: named by the nouns, never by what lies there."""
    shown = {path for it in seen.pictures for path in (it.before, it.after, it.difference, it.noise) if path}
    tested = {f"{AFTER}/{shot.file}" for shot in smoke.load(folder / AFTER).shots}
    return _NEEDED | tested | {name for name in shown | set(_REPORTS) if (folder / name).is_file()}


# ----------------------------------------------------------------------------------------------------------- take in


@contextmanager
def opened(file: Path, sha256: str = "") -> Iterator[tuple[About, str, BinaryIO]]:
    """What the file says of itself, its sha256, and itself at its beginning. ExportRefused unless `sha256` (if given) is its own."""
    try:
        stream = file.open("rb")
    except OSError as error:
        raise ExportRefused(
            "the export cannot be read",
            where=str(file),
            cause=error.strerror or "",
            hint="name the file that the run wrote",
        ) from None
    with stream:
        own = hashlib.file_digest(stream, "sha256").hexdigest()
        if sha256 and own != sha256.strip().lower():
            raise _altered(file, f"its sha256 is {own}, and {sha256} was expected")
        stream.seek(0)
        about = _about(file, stream)
        stream.seek(0)
        yield about, own, stream


def take_in(
    site: Site, journal: Journal, file: Path, sha256: str = "", vouched: Callable[[str], str] = lambda _run: ""
) -> tuple[str, str]:
    """Verify the export and make its run one of this site, waiting for approval here. Returns the run and the file's sha256.

    `vouched` knows a run's release by another way than the file (its sha256, '' when it does not). Taken in twice is once.
    Raises ExportRefused, and ApprovalRefused for a run that waited too long; nothing was taken in then.
    """
    with opened(file, sha256) as (about, own, stream):
        if (about.site, about.url) != (site.name, site.url):
            raise ExportRefused(
                "this export is of another site",
                where=str(file),
                cause=f"it is of {about.site} ({about.url}), {site.config} is {site.name} ({site.url})",
                hint="approve it in the folder of its own site: updater approve --import FILE --site FOLDER",
            )
        with site_lock(site.state, about.run):
            folder = journal.folder(about.run)
            known = any(row.run == about.run for row in journal.runs(limit=100_000))
            aside = folder.with_name(f".{about.run}.import")
            shutil.rmtree(aside, ignore_errors=True)
            try:
                _unpack(file, about, stream, aside)
                row, release = _verified(file, about, aside, site)
                if vouched(about.run) not in ("", release.sha256):
                    raise _altered(file, "its release is not the one that the run committed to its branch")
                if known:
                    _refuse_another(file, journal.output(about.run, "release", Release), release)
                else:
                    (aside / "steps" / "release.json").write_bytes(dump(replace(release, archive=folder / _ARCHIVE)))
                    shutil.rmtree(folder, ignore_errors=True)  # of an import that was killed before the journal knew it
                    aside.rename(folder)
                    journal.adopt(row)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    return about.run, own


def _about(file: Path, stream: BinaryIO) -> About:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            first = tar.next()
            content = tar.extractfile(first) if first and first.name == _ABOUT and first.size < 10_000_000 else None
            about = converter.structure(json.loads(content.read()), About) if content else None
    except (tarfile.TarError, ValueError, KeyError, TypeError, cattrs.BaseValidationError):
        about = None
    if about is None or not _RUN.fullmatch(about.run):
        raise ExportRefused(
            "this is no export of a run",
            where=str(file),
            cause="it does not begin with an export.json that can be read",
            hint="name the file that `updater run --export FILE` wrote",
        )
    if about.format != FORMAT:
        raise ExportRefused(
            "this export was written by another version of updater",
            where=str(file),
            cause=f"its format is {about.format}, this version reads {FORMAT}",
            hint="install the same version here and where the run was made",
        )
    return about


def _unpack(file: Path, about: About, stream: BinaryIO, into: Path) -> None:
    """Exactly the members that `about` names, each with its sha256, as private files below `into`."""
    wanted, total = dict(about.files), 0
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                if member.name == _ABOUT:
                    continue
                total += member.size
                content = tar.extractfile(member) if member.isreg() and _inside(member.name) else None
                if content is None or member.name not in wanted or total > _MOST:
                    raise _altered(file, f"it holds {member.name!r}, which it does not name as its own")
                data = content.read()
                if hashlib.sha256(data).hexdigest() != wanted.pop(member.name):
                    raise _altered(file, f"{member.name} in it is not what was exported")
                write_atomically(into / member.name, data, mode=0o600)
    except tarfile.TarError as error:
        raise _altered(file, str(error)) from None
    missing = sorted(wanted) or sorted(_NEEDED - about.files.keys())
    if missing:
        raise _altered(file, f"{missing[0]} is missing in it")
    into.chmod(0o700)


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name


def _verified(file: Path, about: About, folder: Path, site: Site) -> tuple[RunRow, Release]:
    """The journal's line for the run, and its release, when what was unpacked belongs together and may be approved."""
    record, release = _noun(file, folder, "record", RunRecord), _noun(file, folder, "release", Release)
    seen, judgement = _noun(file, folder, "evidence", Evidence), _noun(file, folder, "judgement", Judgement)
    of_one_run = {(about.run, about.site), (record.run, record.site), (release.run, release.site)}
    if len(of_one_run) != 1 or digest(seen) != record.evidence_sha256 or release_digest(release) != release.sha256:
        raise _altered(file, "its record, evidence and release do not belong together")
    row = RunRow(record.run, record.site, record.started, record.finished, record.state, record.exit_code)
    refuse_unless_waiting(row, judgement, site.policy.expires)
    return row, release


def _noun(file: Path, folder: Path, name: str, kind: type[T]) -> T:
    try:
        return converter.structure(json.loads((folder / "steps" / f"{name}.json").read_bytes()), kind)
    except (ValueError, KeyError, TypeError, cattrs.BaseValidationError):
        raise _altered(file, f"its {name} cannot be read") from None


def _refuse_another(file: Path, known: Release, release: Release) -> None:
    if known.sha256 != release.sha256:
        raise _altered(file, f"run {known.run} is known here, and its release is another one")


def _altered(file: Path, cause: str) -> ExportRefused:
    return ExportRefused(
        "this export is not what the run wrote",
        where=str(file),
        cause=cause,
        hint="fetch it once more; if it stays so, find out who changed it, and start a fresh `updater run`",
    )
