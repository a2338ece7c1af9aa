"""A zip from elsewhere, inspected without unpacking: refused by name and reason before anything opens it for real."""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from updater.errors import PackageRefused

MAX_UNPACKED = 2 * 1024**3
MAX_ENTRIES = 100_000
MAX_RATIO = 200
"""Unpacked to packed size of a whole archive. Minified scripts and translations reach about 10, a bomb more than 1,000."""
_RATIO_FLOOR = 10 * 1024**2


def refused(path: Path, what: str, cause: str = "") -> PackageRefused:
    return PackageRefused(
        f"package refused: {what}",
        where=str(path),
        cause=cause,
        hint="download the package again from its maker, or remove it from the folder in `sources.folders`",
    )


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, all of its names, sizes and checksums proven. PackageRefused says what is wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            _inspect(path, archive)
            yield archive
    except FileNotFoundError:
        raise refused(path, "there is no such file") from None
    except zipfile.BadZipFile as error:
        raise refused(path, "truncated or not a zip", str(error)) from None
    except (OSError, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise refused(path, "cannot be read", str(error)) from None


def _inspect(path: Path, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if not entries:
        raise refused(path, "empty")
    if len(entries) > MAX_ENTRIES:
        raise refused(path, "too many entries", f"{len(entries)} entries, at most {MAX_ENTRIES}")
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > MAX_UNPACKED or (unpacked > _RATIO_FLOOR and unpacked > MAX_RATIO * max(packed, 1)):
        raise refused(path, "a bomb", f"{packed} bytes would become {unpacked}")
    seen: set[str] = set()
    for entry in entries:
        # zipfile turns backslashes into slashes and cuts at NUL; what PHP will see is the name as it was written.
        name = getattr(entry, "orig_filename", entry.filename)
        _inspect_name(path, name)
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a symlink" if stat.S_ISLNK(entry.external_attr >> 16) else "a special file"
            raise refused(path, f"holds {kind}", name)
        if entry.flag_bits & 0x1:
            raise refused(path, "encrypted", name)
        folded = entry.filename.rstrip("/").casefold()
        if folded in seen and not entry.is_dir():
            raise refused(path, "holds a name twice", name)
        seen.add(folded)
    broken = archive.testzip()
    if broken is not None:
        raise refused(path, "truncated or damaged", f"wrong checksum of {broken}")


def _inspect_name(path: Path, name: str) -> None:
    if name.startswith("/") or "\\" in name or re.match(r"^[A-Za-z]:", name) or ".." in name.split("/"):
        raise refused(path, "holds a path that climbs out", name)
    if not name.strip("/") or any(ord(character) < 32 for character in name):
        raise refused(path, "holds a name with control characters", repr(name))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def top_folder(path: Path, archive: zipfile.ZipFile) -> str:
    """The one folder that holds everything. PackageRefused when there is none, or several."""
    names = [entry.filename for entry in archive.infolist() if not entry.filename.startswith("__MACOSX/")]
    tops = {name.split("/", 1)[0] for name in names}
    if any("/" not in name for name in names):
        raise refused(path, "no top folder", "files lie at the top of the archive")
    if len(tops) != 1:
        raise refused(path, "several top folders", ", ".join(sorted(tops)[:5]))
    return tops.pop()
