"""Production → Snapshot: its files into a kept mirror, its database as one consistent dump; whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from updater.errors import CloneFailed, CommandFailed
from updater.log import Progress
from updater.model import Installation, Layout, Platform, Site, Snapshot
from updater.production import media
from updater.production.database import DatabaseFacts, defaults_file, own_tables, read_database, read_schema
from updater.production.host import Host
from updater.production.patterns import excluded, literal
from updater.resources import package_text
from updater.secrets import redact
from updater.shell import code_manifest, compose

_AGAIN = "run the same command again"
_RSYNC_VANISHED = 24
_SHOWN = 5


def clone(
    host: Host,
    site: Site,
    installation: Installation,
    layout: Layout,
    platform: Platform,
    run: str,
    mirror: Path,
    into: Path,
    progress: Progress,
) -> Snapshot:
    """Copy production into `mirror` (kept between runs, private) and `into` (this run's: `database.sql.gz`, `snapshot.json`).

    `snapshot.json` is written last: without it nothing there is whole. CloneFailed says why a copy could not be made
    whole: this disk full, a dump cut short, files that keep changing, files that the ssh user cannot read.
    """
    into.mkdir(parents=True, exist_ok=True)
    into.chmod(0o700)
    mirror.mkdir(parents=True, exist_ok=True)
    mirror.chmod(0o700)
    for left in (into / "snapshot.json", *into.glob("*.part")):
        left.unlink(missing_ok=True)
    with _local_disk(into):
        taken = datetime.now(UTC)
        moved = _files(host, site, installation, layout, mirror, progress)
        progress.say("reading the tables' definitions")
        facts = read_database(host, installation)
        tables = own_tables(facts.tables, installation.database.prefix)
        schema = read_schema(host, installation, tables)
        if hidden := [name for name in tables if name not in schema]:
            progress.say(f"views left out, for want of the SHOW VIEW grant: {', '.join(hidden)}")
        dump = into / "database.sql.gz"
        _dump(host, site, installation, layout, facts, list(schema), dump, progress)
        if read_schema(host, installation, tables) != schema:
            raise CloneFailed(
                "the database's tables were altered while they were copied", where=host.where, hint=_AGAIN
            )
        # After the dump: an update made on production meanwhile must not pair old code with a new database.
        moved, code = _settled(host, site, installation, layout, mirror, moved, progress)
        snapshot = Snapshot(
            run=run,
            taken=taken,
            files=mirror,
            dump=dump,
            code=code,
            platform=platform,
            installation=installation,
            tables=schema,
            moved_bytes=moved,
        )
        _seal(snapshot, into)
    return snapshot


def fingerprint(
    host: Host, site: Site, installation: Installation, layout: Layout
) -> tuple[dict[str, str], dict[str, str]]:
    """Production's code and tables as they are now, comparable to `Snapshot.code` and `Snapshot.tables`."""
    tables = own_tables(read_database(host, installation).tables, installation.database.prefix)
    return _production_code(host, site, installation, layout), read_schema(host, installation, tables)


def local_manifest(root: Path, exclude: Sequence[str]) -> dict[str, str]:
    """As `updater.shell.code_manifest`, of a local folder: path → sha256, `link:<target>`, or `dir` (empty folder)."""
    left_out = {path.strip("/") for path in exclude}
    entries: dict[str, str] = {}

    def walk(folder: str, below: str) -> None:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
        for item in items:
            path = f"{below}/{item.name}" if below else item.name
            if path in left_out:
                continue
            if item.is_symlink():
                entries[path] = f"link:{os.readlink(item.path)}"  # noqa: PTH115 - names may be no UTF-8
            elif item.is_dir():
                walk(item.path, path)
            elif item.is_file():
                with open(item.path, "rb") as stream:  # noqa: PTH123
                    entries[path] = hashlib.file_digest(stream, "sha256").hexdigest()
        if not items and below:
            entries[below] = "dir"

    walk(str(root), "")
    return entries


# ----------------------------------------------------------------------------------------------------------- files


def _patterns(site: Site, layout: Layout) -> list[str]:
    return [*map(literal, layout.caches), *media.left_out(site, layout.media), *site.clone.exclude]


@dataclass(frozen=True, slots=True)
class _Root:
    """A folder on the server, where it goes in the mirror ('' is the mirror itself), and what of it is left out."""

    folder: str
    name: str
    patterns: Sequence[str]
    kept: Sequence[str] = ()
    """Folders in that place of the mirror that come from another root"""


def _roots(site: Site, installation: Installation, layout: Layout, linked: Sequence[str]) -> list[_Root]:
    """The docroot, what a site keeps outside it, and media that a link in the docroot leads to."""
    names = installation.elsewhere
    apart = [literal(path) for path in (*names, *linked)]
    kept = tuple(sorted({*apart, *(literal(name.split("/")[0]) for name in names)}))
    roots = [_Root(installation.docroot, "", [*_patterns(site, layout), *apart], kept)]
    for folder in linked:
        here = [path.removeprefix(f"{folder}/") for path in layout.caches if path.startswith(f"{folder}/")]
        found = [*map(literal, here), *media.left_out(site, ["."]), *_below_it(site, folder)]
        roots.append(_Root(f"{installation.docroot.rstrip('/')}/{folder}/", folder, found))
    for name, folder in names.items():
        inside = [path.removeprefix(f"{name}/") for path in layout.caches if path.startswith(f"{name}/")]
        large = media.left_out(
            site, [path.removeprefix(f"{name}/") for path in layout.media if path.startswith(f"{name}/")]
        )
        roots.append(_Root(folder, name, [*map(literal, inside), *large, *_below_it(site, name)]))
    return roots


def _below_it(site: Site, name: str) -> list[str]:
    """What site.yml leaves out, for a folder that goes by this name: a pattern that begins with / means the docroot."""
    here = f"/{name}"
    return [
        pattern.removeprefix(here)
        for pattern in site.clone.exclude
        if pattern.startswith(f"{here}/") or not pattern.startswith("/")
    ]


# A link to a folder that holds the shop itself would be copied without end.
_LINKED = r"""
cd -- "$1" || exit 1; here=$(pwd -P); shift
for folder in "$@"; do
    if [ -L "$folder" ] && [ -d "$folder" ]; then
        there=$(cd -- "$folder" && pwd -P) || continue
        case "$here/" in "${there%/}"/*) ;; *) printf '%s\n' "$folder" ;; esac
    fi
done
"""


def linked_media(host: Host, installation: Installation, layout: Layout) -> list[str]:
    """Media folders that are links to folders, as where pictures lie on a disk of their own: these alone are followed."""
    return host.run(["sh", "-c", _LINKED, "sh", installation.docroot, *layout.media]).text.splitlines()


def _files(host: Host, site: Site, installation: Installation, layout: Layout, mirror: Path, progress: Progress) -> int:
    linked = linked_media(host, installation, layout)
    if linked:
        progress.say(f"following links to media: {', '.join(linked)}")
    roots = _roots(site, installation, layout, linked)
    why = host.without_rsync()
    if why:
        progress.say(f"copying files by tar: {why}")
        return _by_tar(host, site, roots, mirror)
    progress.say("copying files by rsync")
    moved = 0
    for root in roots:
        received, code = _rsync(host, site, root, mirror)
        moved += received
        if code == _RSYNC_VANISHED:
            progress.say("files were deleted while they were copied; copying once more")
            moved += _rsync(host, site, root, mirror)[0]
    return moved


def rsync_command(
    transport: Sequence[str],
    user_host: str,
    docroot: str,
    mirror: Path,
    patterns: Sequence[str],
    bandwidth: int | None,
    remote: str,
    kept: Sequence[str] = (),
) -> list[str]:
    """The rsync call. Its default is what we need: each file under a temporary name, renamed when it is whole. `kept`: patterns of
    what another call brought into the mirror.

    `--checksum` is not asked for: the manifest comparison afterwards reads every code file on both sides anyway.
    """
    command = [
        "rsync",
        "--recursive",
        "--links",
        "--perms",
        "--times",
        "--protect-args",
        "--delete",
        "--delete-excluded",
    ]
    # Never set-uid here, and readable and removable by us whatever production's modes are.
    command += ["--chmod=u+rwX,ug-s", "--stats", "--timeout=120", "--compress", f"--rsync-path={remote}"]
    command += [f"--filter=protect {pattern}" for pattern in kept]
    command += [f"--exclude={pattern}" for pattern in patterns]
    if bandwidth is not None:
        command.append(f"--bwlimit={bandwidth}")
    return [*command, "-e", shlex.join(transport), f"{user_host}:{docroot.rstrip('/')}/", f"{mirror}/"]


def _rsync(host: Host, site: Site, root: _Root, mirror: Path) -> tuple[int, int]:
    """Bytes received and rsync's exit code (0 or 24). CloneFailed on any other."""
    target = mirror / root.name
    if (
        root.name and _below(mirror, root.name).is_symlink()
    ):  # of an earlier clone: what it leads to here would be written
        target.unlink()
    target.mkdir(parents=True, exist_ok=True)
    address = f"[{host.server.host}]" if ":" in host.server.host else host.server.host
    command = rsync_command(
        host.rsync_transport(),
        address,
        root.folder,
        target,
        root.patterns,
        site.clone.bandwidth,
        " ".join([*_gently(host, site), "rsync"]),
        root.kept,
    )
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    mirror.chmod(0o700)  # rsync gave it the docroot's mode
    said = redact(done.stderr.decode("utf-8", "replace")).strip()
    if done.returncode not in (0, _RSYNC_VANISHED):
        raise _rsync_failed(host, done.returncode, said, mirror)
    received = re.search(rb"Total bytes received: ([\d,.]+)", done.stdout)
    return int(re.sub(rb"\D", b"", received.group(1))) if received else 0, done.returncode


def _rsync_failed(host: Host, code: int, said: str, mirror: Path) -> CloneFailed:
    last = "\n".join(said.splitlines()[-_SHOWN:])
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return _disk_full(mirror, last)
    if code == 23 and "Permission denied" in said:
        return CloneFailed(
            "the ssh user cannot read some files of the site",
            where=host.where,
            cause=last,
            hint="make them readable for that user, or name them under clone.exclude in site.yml",
        )
    if code in (12, 30, 35, 255):
        return CloneFailed("the connection broke while files were copied", where=host.where, cause=last, hint=_AGAIN)
    return CloneFailed(f"rsync ended with {code}", where=host.where, cause=last, hint=_AGAIN)


def _by_tar(host: Host, site: Site, roots: Sequence[_Root], mirror: Path) -> int:
    """Everything crosses again, for want of rsync. Unpacked beside the mirror and swapped in whole."""
    fresh, old = mirror.with_name(mirror.name + ".part"), mirror.with_name(mirror.name + ".old")
    _remove(fresh)
    _remove(old)
    try:
        moved = sum(_one_by_tar(host, site, root, fresh / root.name) for root in roots)
    except BaseException:
        _remove(fresh)
        raise
    fresh.chmod(0o700)
    if mirror.exists():
        mirror.rename(old)
    fresh.rename(mirror)
    _remove(old)
    return moved


def _one_by_tar(host: Host, site: Site, root: _Root, target: Path) -> int:
    """Bytes received."""
    patterns = root.patterns
    plain = [f"--exclude=./{p.strip('/')}" for p in patterns if p.startswith("/") and not re.search(r"[*?\[\\]", p)]
    # To every tar, a star stands for folders too.
    plain += [f"--exclude=./{p.strip('/').replace('**', '*')}" for p in patterns if p.startswith("/") and "/**." in p]
    command = [*_gently(host, site), "tar", "-C", root.folder, "-cf", "-", *plain, "."]
    target.mkdir(mode=0o700, parents=True)
    count = _Count()
    reader, writer = os.pipe()
    failure: list[BaseException] = []

    def unpack() -> None:
        try:
            with open(reader, "rb", buffering=1 << 20) as stream:  # noqa: PTH123
                _unpack(stream, target, patterns)
                while stream.read(1 << 20):  # tar pads its end; a closed pipe would look like a failed command
                    pass
        except BaseException as reason:  # noqa: BLE001 - raised in the caller's thread below
            failure.append(reason)

    thread = threading.Thread(target=unpack, daemon=True)
    thread.start()
    try:
        with open(writer, "wb", buffering=0) as pipe:  # noqa: PTH123

            def take(chunk: bytes) -> None:
                count.bytes += len(chunk)
                pipe.write(chunk)

            host.pipe(command, take)
    except BrokenPipeError:
        pass
    except CommandFailed as failed:
        raise CloneFailed("tar on the server failed", where=host.where, cause=failed.cause, hint=_AGAIN) from failed
    finally:
        thread.join()
    if failure:
        if isinstance(failure[0], tarfile.TarError | EOFError):
            raise CloneFailed("the copy of the files was cut short", where=host.where, hint=_AGAIN) from failure[0]
        if isinstance(failure[0], _Hostile):
            raise CloneFailed(
                "the server sent a file that would lie outside the copy",
                where=host.where,
                cause=repr(str(failure[0])),
                hint="no honest tar does this: look at the server before you trust it with anything",
            ) from failure[0]
        raise failure[0]
    return count.bytes


class _Count:
    bytes = 0


def _unpack(stream: BinaryIO, root: Path, patterns: Sequence[str]) -> None:
    """Only below `root`, no devices, no owners; hard links become copies of what was already unpacked.

    The server may be in strangers' hands: a name that climbs out, or leads through a link that came before it, ends the copy.
    """
    out = excluded(patterns)
    ended = False
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            path = member.name.removeprefix("./").strip("/")
            if path in ("", "."):
                ended = True
                continue
            if out(path + ("/x" if member.isdir() else "")) or out(path):
                continue
            target = _below(root, path)
            if target.is_symlink() or (target.exists() and not (member.isdir() and target.is_dir())):
                raise _Hostile(path)
            if member.isdir():
                target.mkdir(exist_ok=True)
                target.chmod((member.mode | 0o700) & 0o777)
            elif member.issym():
                target.symlink_to(member.linkname)
            elif member.islnk():
                linked = _below(root, member.linkname.removeprefix("./"))
                if linked.is_file() and not linked.is_symlink():
                    target.write_bytes(linked.read_bytes())
            elif member.isreg():
                source = archive.extractfile(member)
                with target.open("wb") as copy:
                    while source is not None and (chunk := source.read(1 << 20)):
                        copy.write(chunk)
                if target.stat().st_size != member.size:
                    raise EOFError(path)
                target.chmod((member.mode | 0o600) & 0o777)
                os.utime(target, (member.mtime, member.mtime))
    if not ended:
        raise EOFError("an empty archive")


class _Hostile(Exception):
    """A name in the stream that no honest tar writes."""


def _below(root: Path, path: str) -> Path:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise _Hostile(path)
    for depth in range(1, len(parts)):
        if root.joinpath(*parts[:depth]).is_symlink():
            raise _Hostile(path)
    return root.joinpath(*parts)


def _gently(host: Host, site: Site) -> list[str]:
    """`nice` and `ionice` where the server has them, so that the shop is served first."""
    if not site.clone.nice:
        return []
    found = host.run(["sh", "-c", "command -v nice; command -v ionice"], check=False).text
    words = ["nice", "-n", "19"] if "/nice" in found else []
    return [*words, "ionice", "-c", "3"] if "/ionice" in found else words


# ---------------------------------------------------------------------------------------------------------- proof


def _settled(
    host: Host,
    site: Site,
    installation: Installation,
    layout: Layout,
    mirror: Path,
    moved: int,
    progress: Progress,
) -> tuple[int, dict[str, str]]:
    """The code manifest that mirror and server agree on, and the bytes moved for it. One more copy when they do not."""
    progress.say("comparing every code file with the server")
    different = []
    for attempt in (1, 2):
        theirs = _production_code(host, site, installation, layout)
        ours = _comparable(local_manifest(mirror, [*layout.media, *layout.caches]), site, layout)
        different = sorted(path for path in theirs.keys() | ours.keys() if theirs.get(path) != ours.get(path))
        if not different:
            return moved, theirs
        if attempt == 1:
            progress.say(f"{len(different)} files changed meanwhile; copying once more")
            # A file altered without a new size or time is skipped by rsync: take these away, so that they come anew.
            for path in different:
                _remove(mirror / path)
            moved += _files(host, site, installation, layout, mirror, progress)
    raise CloneFailed(
        "the site's code keeps changing while it is copied",
        where=f"{host.where}:{installation.docroot}",
        cause=", ".join(repr(path)[1:-1] for path in different[:_SHOWN]) + (" …" if len(different) > _SHOWN else ""),
        hint="wait until nobody works on the site and run again; a log or cache file belongs under clone.exclude in site.yml",
    )


def _production_code(host: Host, site: Site, installation: Installation, layout: Layout) -> dict[str, str]:
    exclude = [*layout.media, *layout.caches]
    found = code_manifest(host, installation.php, installation.docroot, exclude, installation.elsewhere)
    return _comparable(found, site, layout)


def _comparable(manifest: Mapping[str, str], site: Site, layout: Layout) -> dict[str, str]:
    """As the mirror shows it: without what site.yml leaves out; a folder that held nothing else is an empty folder there.

    Whether a folder holds only a cache or media cannot be told from here: its `dir` is taken out on both sides.
    """
    out = excluded(site.clone.exclude)
    known = {path.strip("/") for path in (*layout.media, *layout.caches)}
    parents = {path.rpartition("/")[0] for path in known}
    kept: dict[str, str] = {}
    emptied: set[str] = set()
    for path, value in manifest.items():
        if not out(path + "/x" if value == "dir" else path):
            kept[path] = value
            continue
        folder = path.rpartition("/")[0]
        while folder and out(folder + "/x"):
            folder = folder.rpartition("/")[0]
        emptied.add(folder)
    filled = {folder for path in (*kept, *known) for folder in _above(path)}
    kept |= {folder: "dir" for folder in emptied if folder and folder not in filled}
    return {path: value for path, value in kept.items() if not (value == "dir" and path in parents)}


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


# ------------------------------------------------------------------------------------------------------- database

# The option file comes on stdin and reaches the client through a pipe: never an argument, never a file. POSIX sh has no
# pipefail: each exit code is written to stderr, and the dump's last line only after all were 0. DEFINERs name accounts
# that staging does not have; only the lines that mysqldump itself starts so are touched, never a row.
_DUMP = r"""export LC_ALL=C; conf=$(cat)
dump() {{ printf '%s\n' "$conf" | {client} --defaults-file=/dev/stdin "$@"; }}
all() {{ {calls} && echo '{marker}'; }}
{{ all; echo "updater-dump:$?" >&2; }} \
 | sed -e '/^CREATE /s/ DEFINER=`[^`]*`@`[^`]*`//' -e '/^\/\*!/s/ DEFINER=`[^`]*`@`[^`]*`//' | {{ {compress}; echo "updater-compress:$?" >&2; }}
"""
_MARKER = "-- updater: complete"
_CLIENT_END = re.compile(rb"-- Dump completed[^\n]*\n" + _MARKER.encode() + rb"\n\Z")
_CODES = re.compile(r"updater-(dump|compress):(\d+)\n?")
_CLIENTS = "mariadb-dump mysqldump /usr/local/mysql/bin/mysqldump /usr/local/bin/mariadb-dump /usr/local/bin/mysqldump"


def dump_client(host: Host) -> str | None:
    """The server's own dump client, or None."""
    found = host.run(["sh", "-c", f"for c in {_CLIENTS}; do command -v $c && exit; done; exit 1"], check=False)
    return found.text.strip() or None


def dump_script(
    client: Sequence[str],
    database: str,
    options: Sequence[str],
    schema_only: Sequence[str],
    tables: Sequence[str],
    gzip: bool,
) -> str:
    """The server's half of a dump. At least one table must be named: without, the client would dump the whole database."""
    if not schema_only and not tables:
        raise ValueError("no tables")
    calls = []
    if schema_only:
        quiet = [option for option in options if option not in ("--routines", "--events")]
        calls.append("dump " + shlex.join([*quiet, "--no-data", "--", database, *schema_only]))
    if tables:
        calls.append("dump " + shlex.join([*options, "--", database, *tables]))
    return _DUMP.format(
        client=shlex.join(client), calls=" && ".join(calls), marker=_MARKER, compress="gzip -1 -c" if gzip else "cat"
    )


def _dump(
    host: Host,
    site: Site,
    installation: Installation,
    layout: Layout,
    facts: DatabaseFacts,
    tables: Sequence[str],
    target: Path,
    progress: Progress,
) -> None:
    """One consistent dump, streamed into `target` (gzip). Whole: every exit code 0 and the last line seen.

    By the server's own client, else by its PHP.
    """
    database = installation.database
    if not tables:
        raise CloneFailed(
            f"the database {database.name} holds no table with the prefix {database.prefix!r}",
            where=host.where,
            hint="check `docroot` in site.yml; its settings file names this database and prefix",
        )
    engines = {facts.tables[name].engine for name in tables if facts.tables[name].type == "BASE TABLE"}
    if engines - {"InnoDB", None}:
        progress.say(
            f"tables that are not InnoDB ({', '.join(sorted(filter(None, engines)))}) are not part of one snapshot"
        )
    volatile = {database.prefix + name for name in layout.volatile_tables}
    wanted = _Wanted(
        rows=tuple(name for name in tables if name not in volatile),
        empty=tuple(name for name in tables if name in volatile),
        routines=_readable_routines(facts, progress),
        events=facts.events,
    )
    client = dump_client(host)
    progress.say(f"dumping {len(tables)} tables" + ("" if client else " by PHP: the server has no client for it"))
    part = target.with_name(target.name + ".part")
    try:
        with _private(part) as stream:
            if client:
                _by_client(host, site, installation, facts, client, wanted, stream)
            else:
                _by_php(host, site, installation, facts, wanted, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a dump holds; `empty` are tables without their rows."""

    rows: tuple[str, ...]
    empty: tuple[str, ...]
    routines: tuple[str, ...]
    events: tuple[str, ...]


def _readable_routines(facts: DatabaseFacts, progress: Progress) -> tuple[str, ...]:
    if not all(facts.routines.values()):
        progress.say("stored routines are left out: the database user may not read their bodies")
        return ()
    return tuple(facts.routines)


def _by_client(
    host: Host,
    site: Site,
    installation: Installation,
    facts: DatabaseFacts,
    client: str,
    wanted: _Wanted,
    stream: BinaryIO,
) -> None:
    database = installation.database
    packed = host.run(["sh", "-c", "command -v gzip"], check=False).exit_code == 0
    script = dump_script(
        [*_gently(host, site), client],
        database.name,
        _dump_options(host, client, database.charset, wanted),
        wanted.empty,
        wanted.rows,
        packed,
    )
    check = _DumpCheck(stream, packed=packed)
    argv = ["sh", "-c", script, "updater-dump"]
    said = _stream_dump(host, argv, defaults_file(database, facts.socket).encode(), check)
    codes = dict(_CODES.findall(said))
    words = redact(_CODES.sub("", said).strip())[-2000:]
    if codes.get("dump") != "0" or codes.get("compress") != "0":
        raise CloneFailed(
            "the database could not be dumped",
            where=host.where,
            cause=words or f"exit codes: dump {codes.get('dump', 'none')}, gzip {codes.get('compress', 'none')}",
            hint="see what the database user may do: updater check site.yml --connect",
        )
    _refuse_half(host, check, words)


def _by_php(
    host: Host, site: Site, installation: Installation, facts: DatabaseFacts, wanted: _Wanted, stream: BinaryIO
) -> None:
    """The same by the server's own PHP. Credentials go in its stdin, as with every script that it is fed."""
    views = {name for name, table in facts.tables.items() if table.type == "VIEW"}
    request = {
        "database": asdict(installation.database),
        "tables": [name for name in wanted.rows if name not in views],
        "empty": [name for name in wanted.empty if name not in views],
        "views": [name for name in (*wanted.rows, *wanted.empty) if name in views],
        "routines": {name: facts.routine_kinds[name] for name in wanted.routines},
        "events": list(wanted.events),
    }
    source = compose(package_text("updater.production", "dump.php"), request).encode()
    packed = host.run([installation.php, "-r", "exit(function_exists('deflate_init') ? 0 : 1);"], check=False)
    check = _DumpCheck(stream, packed=packed.exit_code == 0)
    argv = [*_gently(host, site), installation.php, "-d", "display_errors=stderr", "-d", "memory_limit=-1"]
    _refuse_half(host, check, redact(_stream_dump(host, argv, source, check).strip())[-2000:])


def _refuse_half(host: Host, check: _DumpCheck, words: str) -> None:
    check.finish()
    if not check.whole:
        raise CloneFailed(
            "the database dump was cut short",
            where=host.where,
            cause=f"it ends after {check.size} bytes without its last line" + (f"; {words}" if words else ""),
            hint=_AGAIN,
        )


def _stream_dump(host: Host, argv: Sequence[str], stdin: bytes, check: _DumpCheck) -> str:
    try:
        return host.pipe(argv, check.take, stdin=io.BytesIO(stdin), timeout=6 * 3600)
    except CommandFailed as failed:
        raise CloneFailed(
            "the database could not be dumped", where=host.where, cause=_CODES.sub("", failed.cause), hint=_AGAIN
        ) from failed
    except zlib.error as broken:
        raise CloneFailed(
            "the database dump arrived damaged", where=host.where, cause=str(broken), hint=_AGAIN
        ) from broken


def _dump_options(host: Host, client: str, charset: str, wanted: _Wanted) -> list[str]:
    known = host.run([client, "--help"], check=False).text
    options = ["--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", "--skip-lock-tables", "--comments"]
    options += [
        "--default-character-set=utf8mb4" if charset.startswith("utf8") else f"--default-character-set={charset}"
    ]
    options += ["--max-allowed-packet=512M"]
    # MySQL's own client asks for what a hosting's user may not see, and writes what a restore may not set.
    options += [
        option for option in ("--set-gtid-purged=OFF", "--column-statistics=0") if option.split("=")[0] in known
    ]
    return options + ["--routines"] * bool(wanted.routines) + ["--events"] * bool(wanted.events)


class _DumpCheck:
    """Takes the dump as it comes, writes it compressed, and remembers its end: is this the whole of it?"""

    def __init__(self, target: BinaryIO, *, packed: bool) -> None:
        self._target = target
        self._unpack = zlib.decompressobj(wbits=31) if packed else None
        self._pack = None if packed else zlib.compressobj(1, wbits=31)
        self._tail = b""
        self.size = 0

    def take(self, chunk: bytes) -> None:
        plain = chunk if self._unpack is None else self._unpack.decompress(chunk)
        self._target.write(chunk if self._pack is None else self._pack.compress(chunk))
        self.size += len(plain)
        self._tail = (self._tail + plain)[-4096:]

    def finish(self) -> None:
        if self._pack is not None:
            self._target.write(self._pack.flush())

    @property
    def whole(self) -> bool:
        """The gzip stream ended with a checksum that fits, and the client's own last line is there, and ours after it."""
        return (self._unpack is None or self._unpack.eof) and _CLIENT_END.search(self._tail) is not None


# --------------------------------------------------------------------------------------------------- this machine


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        yield cast(BinaryIO, stream)


@contextmanager
def _local_disk(place: Path) -> Iterator[None]:
    """A full disk on this machine, in plain words."""
    try:
        yield
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(place, str(failure)) from failure
        raise


def _disk_full(place: Path, cause: str) -> CloneFailed:
    return CloneFailed(
        "this machine's disk is full",
        where=str(place),
        cause=cause,
        hint="free space, or remove what old runs left: updater clean",
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _seal(snapshot: Snapshot, into: Path) -> None:
    """`snapshot.json`: all of the snapshot but the database password, which the mirror's settings file holds anyway."""
    kept = asdict(snapshot)
    del kept["installation"]["database"]["password"]
    part = into / "snapshot.json.part"
    try:
        with _private(part) as stream:
            stream.write(json.dumps(kept, default=str, indent=1).encode())
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(into / "snapshot.json")
        folder = os.open(into, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)


def load(into: Path, installation: Installation) -> Snapshot | None:
    """The whole snapshot that a run left in `into`, or None. `installation` as found anew: the file holds no password."""
    sealed = into / "snapshot.json"
    if not sealed.is_file() or not (into / "database.sql.gz").is_file():
        return None
    kept = json.loads(sealed.read_text(encoding="utf-8"))
    platform = kept["platform"]
    platform["php_extensions"] = tuple(platform["php_extensions"])
    return Snapshot(
        run=kept["run"],
        taken=datetime.fromisoformat(kept["taken"]),
        files=Path(kept["files"]),
        dump=Path(kept["dump"]),
        code=kept["code"],
        platform=Platform(**platform),
        installation=installation,
        tables=kept["tables"],
        moved_bytes=kept["moved_bytes"],
    )
