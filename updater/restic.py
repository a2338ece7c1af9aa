"""One restic repository, spoken to by the restic program: where backups lie, encrypted. Secrets go by environment only."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from updater.errors import BackupFailed
from updater.secrets import redact

_MADE_BY, _PROVEN, _BACKUP = "updater", "proven", "backup="
_HOURS = 12
_UNFINISHED = 3
"""restic's exit code when a file could not be read: the snapshot is there and is not whole"""
_WRONG_PASSWORD = "wrong password or no key found"  # noqa: S105 - restic's words
_LOCKED = b"already locked"
_NO_REPOSITORY = ("Is there a repository at the following location?", "does not exist", "unable to open config file")


@dataclass(frozen=True, slots=True)
class Repository:
    """`name` is the place, for people; `address` is restic's and may hold a secret."""

    name: str
    address: str = field(repr=False)
    password: str = field(repr=False)
    cache: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """One backup as it lies in a repository. `snapshot` is restic's id, which changes when the backup is marked."""

    snapshot: str
    backup: str
    taken: datetime
    proven: bool


def make(repository: Repository) -> bool:
    """Make the repository when there is none yet: True when it was made."""
    done = _run(repository, ["cat", "config"], check=False)
    if done.returncode == 0:
        return False
    said = done.stderr.decode("utf-8", "replace")
    if not any(words in said for words in _NO_REPOSITORY) or _WRONG_PASSWORD in said:
        raise _failed(repository, "the repository cannot be opened", said)
    _run(repository, ["init"])
    return True


def save(repository: Repository, site: str, backup: str, taken: datetime, root: Path, names: Sequence[str]) -> int:
    """Keep these files and folders of `root` as one backup; the bytes that it holds. BackupFailed unless all was read.

    FileNotFoundError when one is not there: restic would warn and call that a success.
    """
    for name in names:
        (root / name).stat()
    words = ["backup", "--json", "--quiet", "--host", site, "--time", f"{taken.astimezone(UTC):%Y-%m-%d %H:%M:%S}"]
    words += ["--tag", _MADE_BY, "--tag", f"{_BACKUP}{backup}", "--", *names]
    done = _run(repository, words, folder=root, check=False)
    if done.returncode != 0:
        if done.returncode == _UNFINISHED:
            for kept in find(repository, site):
                if kept.backup == backup:
                    _run(repository, ["forget", kept.snapshot])
        raise _failed(repository, "the backup could not be saved", done.stderr.decode("utf-8", "replace"))
    summary = _json_lines(done.stdout)[-1]
    return int(summary["total_bytes_processed"])


def find(repository: Repository, site: str) -> list[Kept]:
    """This site's backups there, newest first."""
    done = _run(repository, ["snapshots", "--json", "--no-lock", "--host", site, "--tag", _MADE_BY])
    return _newest_first(_ours(json.loads(done.stdout) or ()))


def fetch(repository: Repository, kept: Kept, into: Path) -> None:
    """Restore all of it below `into`, and read it back from there."""
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    _run(repository, ["restore", kept.snapshot, "--target", str(into), "--verify"])


def check(repository: Repository) -> None:
    """BackupFailed when the repository's own structure is damaged, of which one restored backup may know nothing."""
    _run(repository, ["check"])


def mark_proven(repository: Repository, kept: Kept) -> None:
    """Note in the repository itself that this backup was restored and tested."""
    _run(repository, ["tag", "--add", _PROVEN, kept.snapshot])


def forget(repository: Repository, site: str, daily: int, weekly: int, monthly: int) -> int:
    """Remove what these numbers no longer keep; how many. The newest, and the newest that was proven, are never among them."""
    policy = [f"--keep-daily={daily}", f"--keep-weekly={weekly}", f"--keep-monthly={monthly}"]
    words = ["forget", "--dry-run", "--json", "--group-by", "host", "--host", site, "--tag", _MADE_BY, *policy]
    groups = json.loads(_run(repository, words).stdout) or ()
    beyond = _ours([entry for group in groups for entry in group["remove"] or ()])
    known = _newest_first([*beyond, *_ours([entry for group in groups for entry in group["keep"] or ()])])
    stay = (*known[:1], *[kept for kept in known if kept.proven][:1])
    unwanted = [kept.snapshot for kept in beyond if kept not in stay]
    if unwanted:
        _run(repository, ["forget", "--prune", *unwanted])
    return len(unwanted)


def _ours(entries: Iterable[Mapping[str, Any]]) -> list[Kept]:
    found = []
    for entry in entries:
        tags = entry.get("tags") or []
        backup = next((tag.removeprefix(_BACKUP) for tag in tags if tag.startswith(_BACKUP)), "")
        if backup:
            found.append(Kept(entry["id"], backup, _moment(entry["time"]), _PROVEN in tags))
    return found


def _newest_first(found: Iterable[Kept]) -> list[Kept]:
    return sorted(found, key=lambda kept: (kept.taken, kept.backup), reverse=True)


# -------------------------------------------------------------------------------------------------------- the program


def _run(
    repository: Repository, words: Sequence[str], *, folder: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """A lock that a killed process left is taken away once; a living one's stays."""
    done = _once(repository, words, folder)
    if done.returncode != 0 and _LOCKED in done.stderr:
        _once(repository, ["unlock"], None)
        done = _once(repository, words, folder)
    if check and done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace")
        raise _failed(repository, f"restic {words[0]} ended with {done.returncode}", said)
    return done


def _once(repository: Repository, words: Sequence[str], folder: Path | None) -> subprocess.CompletedProcess[bytes]:
    repository.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = {"RESTIC_PASSWORD": repository.password, "RESTIC_REPOSITORY": repository.address}
    settings = {"RESTIC_CACHE_DIR": str(repository.cache), "LC_ALL": "C", "TZ": "UTC"}
    try:
        return subprocess.run(
            ["restic", *words],
            cwd=folder,
            env={**os.environ, **repository.environment, **settings, **secret},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_HOURS * 3600,
            check=False,
        )
    except FileNotFoundError:
        raise BackupFailed(
            "restic is not installed on this machine",
            cause="backups lie in its repositories",
            hint="apt-get install restic",
        ) from None
    except subprocess.TimeoutExpired:
        raise _failed(repository, f"restic {words[0]} took longer than {_HOURS} hours and was ended", "") from None


def _failed(repository: Repository, what: str, said: str) -> BackupFailed:
    if _WRONG_PASSWORD in said:
        hint = "set backup.password in site.yml to the one that this place was made with; your vault should hold it"
    elif any(words in said for words in _NO_REPOSITORY):
        hint = "`updater backup SITE` makes the first one; a disk that is not mounted looks the same"
    elif "locked" in said:
        hint = "another restic works there: wait for it and type the same command again"
    elif "no space left" in said:
        hint = "free space there, or keep less (backup.daily, weekly, monthly in site.yml)"
    else:
        hint = "look whether this place is reachable, then type the same command again"
    lines = [line for line in redact(said).splitlines() if line.strip()]
    where = f"{repository.name} ({redact(repository.address)})"
    return BackupFailed(what, where=where, cause="\n".join(lines[-5:]), hint=hint)


def _json_lines(out: bytes) -> list[Any]:
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]


def _moment(text: str) -> datetime:
    """Without restic's nanoseconds, which Python does not read."""
    return datetime.fromisoformat(re.sub(r"\.\d+", "", text))
