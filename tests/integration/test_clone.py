"""The clone, on a real server: whole or not at all, only what changed, and nothing secret on any command line."""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from live_server import LiveServer

from updater.errors import CloneFailed, CommandFailed, ConnectionFailed
from updater.model import CloneSettings, Media, Snapshot
from updater.production import media
from updater.production.clone import clone, fingerprint, load, local_manifest
from updater.production.host import Host, connect
from updater.shell import code_manifest

HOSTILE = (
    "new\nline.php",
    'it\'s "quoted".php',
    "$(touch pwned).php",
    "-rf",
    "caf\udce9.php",
    " space ",
    "[a]*?.php",
    "back\\slash.php",
)


class Said:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, name: str) -> None:
        self.lines.append(name)

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def hostile(live: LiveServer, host: Host) -> Iterator[str]:
    """A folder in the docroot with every name and link that ever hurt a script; removed afterwards."""
    folder = f"{live.docroot}/hostile"
    host.run(["mkdir", "-p", "--", f"{folder}/empty", f"{folder}/logs"])
    for name in HOSTILE:
        host.write(f"{folder}/{name}", f"<?php // {name}".encode("utf-8", "surrogateescape"), 0o644)
    host.write(f"{folder}/logs/debug.log", b"grows")
    host.run(["ln", "-s", "/etc/passwd", f"{folder}/outside"])
    host.run(["ln", "-s", "nowhere", f"{folder}/dangling"])
    yield folder
    host.run(["rm", "-rf", "--", folder])


def _clone(
    live: LiveServer, host: Host, tmp: Path, run: str = "one", said: Said | None = None, site: object = None
) -> Snapshot:
    return clone(
        host,
        site or live.site,  # type: ignore[arg-type]
        live.installation,
        live.layout,
        live.platform,
        run,
        tmp / "mirror",
        tmp / run,
        said or Said(),
    )


@contextmanager
def _instead_of(live: LiveServer, program: str, script: str) -> Iterator[None]:
    """A wrapper earlier in PATH than the real program; `$real` is that program."""
    live.root(
        f'real=$(command -v {program}); printf \'#!/bin/bash\\nreal=%s\\n%s\\n\' "$real" "$SCRIPT" > /usr/local/bin/{program}; '
        f"chmod 755 /usr/local/bin/{program}",
        SCRIPT=script,
    )
    try:
        yield
    finally:
        live.root(f"rm -f /usr/local/bin/{program}")


@contextmanager
def _small_disk(place: Path, size: str) -> Iterator[None]:
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    place.mkdir(exist_ok=True)
    subprocess.run([*sudo, "mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run([*sudo, "umount", "-l", place], check=True)


def _sql(snapshot: Snapshot) -> str:
    return gzip.decompress(snapshot.dump.read_bytes()).decode("utf-8", "replace")


def _nothing_whole(folder: Path) -> bool:
    return not list(folder.iterdir()) if folder.exists() else True


def test_a_clone_holds_every_code_file_whatever_its_name(
    live: LiveServer, host: Host, hostile: str, tmp_path: Path
) -> None:
    site = replace(live.site, clone=CloneSettings(exclude=("*.log",)))
    snapshot = _clone(live, host, tmp_path, site=site)
    for name in HOSTILE:
        assert (snapshot.files / "hostile" / name).read_bytes() == f"<?php // {name}".encode("utf-8", "surrogateescape")
        assert f"hostile/{name}" in snapshot.code
    assert snapshot.code["hostile/outside"] == "link:/etc/passwd"
    assert snapshot.code["hostile/dangling"] == "link:nowhere"
    assert snapshot.code["hostile/empty"] == "dir"
    assert "hostile/logs/debug.log" not in snapshot.code
    assert not (snapshot.files / "hostile/logs/debug.log").exists()
    assert not list(tmp_path.rglob("pwned*"))
    assert "pwned" not in live.root(f"ls / /root /home/* '{live.docroot}'")
    assert load(tmp_path / "one", live.installation) == snapshot
    assert fingerprint(host, site, live.installation, live.layout) == (snapshot.code, snapshot.tables)


def test_a_clone_is_private_and_leaves_caches_out(live: LiveServer, host: Host, tmp_path: Path) -> None:
    cache = f"{live.docroot}/{live.layout.caches[0]}"
    host.run(["mkdir", "-p", cache])
    host.write(f"{cache}/page.html", b"cached", 0o644)
    snapshot = _clone(live, host, tmp_path)
    assert not (snapshot.files / live.layout.caches[0]).exists()
    assert snapshot.files.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "one").iterdir()} == {0o600}
    assert live.installation.database.password not in (tmp_path / "one/snapshot.json").read_text()


def test_a_second_clone_moves_only_what_changed(live: LiveServer, host: Host, hostile: str, tmp_path: Path) -> None:
    first = _clone(live, host, tmp_path, "one")
    host.write(f"{hostile}/changed.php", b"<?php // new", 0o644)
    host.run(["rm", "--", f"{hostile}/-rf"])
    second = _clone(live, host, tmp_path, "two")
    assert second.moved_bytes < max(first.moved_bytes / 10, 20_000)
    assert second.code.keys() - first.code.keys() == {"hostile/changed.php"}
    assert first.code.keys() - second.code.keys() == {"hostile/-rf"}
    assert local_manifest(second.files / "hostile", []) == code_manifest(host, live.installation.php, hostile, [])
    assert len(first.code) > 300


def test_without_rsync_tar_brings_the_same_tree(live: LiveServer, host: Host, hostile: str, tmp_path: Path) -> None:
    site = replace(live.site, clone=CloneSettings(exclude=("*.log", "hostile/emp*")))
    by_rsync = _clone(live, host, tmp_path, "one", site=site)
    said = Said()
    with _instead_of(live, "rsync", "exit 127"):
        by_tar = clone(
            host, site, live.installation, live.layout, live.platform, "two", tmp_path / "other", tmp_path / "two", said
        )
    assert any("by tar: the server has no rsync" in line for line in said.lines)
    assert by_tar.code == by_rsync.code
    assert local_manifest(by_tar.files, []) == local_manifest(by_rsync.files, [])


@pytest.mark.parametrize("name", [".updater-elsewhere/storage", "includes/behind"])
def test_a_folder_outside_the_docroot_comes_along_by_rsync_and_by_tar(
    live: LiveServer, host: Host, tmp_path: Path, name: str
) -> None:
    """The second name is one that the docroot has too, as a link to that folder; the mirror of before kept it as such."""
    script = "mkdir -p '/srv/out side/cache' '/srv/out side/left' && cd '/srv/out side' && for f in a.php cache/y left/z; do echo code > $f; done"
    link = f"{live.docroot}/{name}"
    if name[0] != ".":
        script += (
            f"; mkdir -p {link.rpartition('/')[0]}; ln -s '/srv/out side' {link}; chmod 755 {link.rpartition('/')[0]}"
        )
        (tmp_path / "mirror" / "includes").mkdir(parents=True)
        (tmp_path / "mirror" / name).symlink_to(tmp_path)
    live.root(script)
    site = replace(live.site, clone=CloneSettings(exclude=(f"/{name}/left",)))
    installation = replace(live.installation, elsewhere={name: "/srv/out side"})
    layout = replace(live.layout, caches=(*live.layout.caches, f"{name}/cache"))
    snapshots = []
    try:
        for run in ("one", "two"):  # the second finds the mirror of the first
            into = tmp_path / run
            args = (host, site, installation, layout, live.platform, run, tmp_path / "mirror", into, Said())
            snapshots.append(clone(*args))
        with _instead_of(live, "rsync", "exit 127"):
            into = tmp_path / "three"
            args = (host, site, installation, layout, live.platform, "three", tmp_path / "other", into, Said())
            snapshots.append(clone(*args))
    finally:
        live.root(f"rm -r '/srv/out side'; rm -rf {link.rpartition('/')[0]}")
    for snapshot in snapshots:
        assert (snapshot.files / name / "a.php").read_text() == "code\n"
        assert not (snapshot.files / name / "cache").exists()
        assert not (snapshot.files / name / "left" / "z").exists()
        assert not (snapshot.files / name).is_symlink()
        assert name not in snapshot.code, "not the link itself"
        assert f"{name}/a.php" in snapshot.code
    assert snapshots[0].code == snapshots[1].code == snapshots[2].code
    assert snapshots[1].moved_bytes < snapshots[0].moved_bytes / 2, "what a run brought, the next one has"


@pytest.mark.parametrize("tool", ["rsync", "tar"])
def test_a_link_to_the_media_folder_is_followed_and_no_other(
    live: LiveServer, host: Host, tmp_path: Path, tool: str
) -> None:
    place, disk = f"{live.docroot}/media", "/home/deploy/disk"
    without = _instead_of(live, "rsync", "exit 127") if tool == "tar" else nullcontext()
    host.run(
        [
            "sh",
            "-c",
            'mv "$1" "$2"; ln -s "$2" "$1"; mkdir "$2/sub"; echo 1 > "$2/sub/b.txt"; ln -s /etc "$2/out"',
            "sh",
            place,
            disk,
        ]
    )
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "media").symlink_to(tmp_path)  # as a clone of before kept it
    try:
        with without:
            said = Said()
            snapshot = _clone(live, host, tmp_path, said=said)
            assert "following links to media: media" in said.lines
            assert (mirror / "media" / "a.jpg").stat().st_size == 500_000
            assert (mirror / "media" / "sub" / "b.txt").read_text() == "1\n"
            assert (mirror / "media" / "out").readlink() == Path("/etc")
            assert not (mirror / "media").is_symlink()
            assert sorted(path.name for path in tmp_path.iterdir()) == ["mirror", "one"]
            host.run(["rm", f"{disk}/sub/b.txt"])
            again = _clone(live, host, tmp_path, "two")
            assert not (mirror / "media" / "sub" / "b.txt").exists()
            assert again.code == snapshot.code
            assert tool == "tar" or again.moved_bytes < 100_000
    finally:
        host.run(["sh", "-c", 'rm "$1"; mv "$2" "$1"; rm -r "$1/sub" "$1/out"', "sh", place, disk])


@pytest.mark.parametrize("tool", ["rsync", "tar"])
def test_of_media_only_what_pages_show_crosses_where_site_yml_says_so(
    live: LiveServer, host: Host, tmp_path: Path, tool: str
) -> None:
    folder = f"{live.docroot}/media/2024"
    script = 'mkdir -p "$1"; cd "$1"; for f in b.jpg b-80x80.jpg c.JPG d.css "чай 1.png"; do head -c 300000 /dev/urandom > "$f"; done'
    host.run(["sh", "-c", script, "sh", folder])
    site = replace(live.site, clone=CloneSettings(media=Media.REFERENCED))
    without = _instead_of(live, "rsync", "exit 127") if tool == "tar" else nullcontext()
    try:
        with without:
            snapshot = _clone(live, host, tmp_path, site=site)
            there = set(local_manifest(snapshot.files / "media", []))
            assert there == {"2024/d.css"}
            assert snapshot.moved_bytes < 900_000, "what is left out did not cross"
            url = live.site.url.rstrip("/")
            seen = [
                f"{url}/media/2024/b-80x80.jpg?ver=1",
                f"{url}/media/2024/%D1%87%D0%B0%D0%B9%201.png",
                f"{url}/media/gone.jpg",
            ]
            assert media.fetch(host, site, live.docroot, live.layout, snapshot.files, seen, Said()) == 3
    finally:
        host.run(["rm", "-rf", folder])
    brought = set(local_manifest(snapshot.files / "media", [])) - there
    assert brought == {"2024/b.jpg", "2024/b-80x80.jpg", "2024/чай 1.png"}
    assert (snapshot.files / "media/2024/b.jpg").stat().st_size == 300_000


def test_a_file_altered_while_it_was_copied_comes_anew(
    live: LiveServer, host: Host, hostile: str, tmp_path: Path
) -> None:
    host.write(f"{hostile}/edited.php", b"<?php // one", 0o644)
    same_time_and_size = (
        f'"$real" "$@"; code=$?; f={hostile}/edited.php; '
        '[[ "$*" == *--server* ]] && { t=$(stat -c %y $f); printf "<?php // two" > $f; touch -d "$t" $f; }; exit $code'
    )
    said = Said()
    with _instead_of(live, "rsync", same_time_and_size):
        snapshot = _clone(live, host, tmp_path, said=said)
    assert (snapshot.files / "hostile/edited.php").read_bytes() == b"<?php // two"
    assert any("changed meanwhile" in line for line in said.lines)


def test_code_that_keeps_changing_is_not_a_clone(live: LiveServer, host: Host, hostile: str, tmp_path: Path) -> None:
    growing = f'"$real" "$@"; code=$?; [[ "$*" == *--server* ]] && echo more >> {hostile}/busy.php; exit $code'
    with _instead_of(live, "rsync", growing), pytest.raises(CloneFailed, match="keeps changing") as failed:
        _clone(live, host, tmp_path)
    assert "hostile/busy.php" in failed.value.cause
    assert load(tmp_path / "one", live.installation) is None


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('"$real" "$@" | head -c 3000; exit 0', "cut short"),
        ('"$real" "$@" | head -c 3000; exit 3', "could not be dumped"),
        ('[ "$1" = --help ] && exec "$real" "$@"; "$real" "$@" | head -c 3000; kill -9 $$', "could not be dumped"),
        ('"$real" "$@" | sed "/^-- Dump completed/d"', "cut short"),
    ],
)
def test_a_dump_cut_in_half_is_never_taken_for_whole(
    live: LiveServer, host: Host, tmp_path: Path, script: str, why: str
) -> None:
    with _instead_of(live, "mariadb-dump", script), pytest.raises(CloneFailed, match=why):
        _clone(live, host, tmp_path)
    assert _nothing_whole(tmp_path / "one")
    assert load(tmp_path / "one", live.installation) is None


def test_a_clone_whose_connection_breaks_leaves_nothing_whole_and_the_next_one_succeeds(
    live: LiveServer, tmp_path: Path
) -> None:
    with connect(live.server) as host:
        session = host.run(["sh", "-c", "ps -o ppid= -p $$"]).text.strip()
        live.root("rm -f /tmp/dumping")
        slow = '"$real" "$@"; [ "$1" = --help ] || { touch /tmp/dumping; sleep 30; }'
        cut = threading.Thread(target=live.root, args=(f"until [ -e /tmp/dumping ]; do :; done; kill -9 {session}",))
        cut.start()
        with _instead_of(live, "mariadb-dump", slow), pytest.raises(ConnectionFailed):
            _clone(live, host, tmp_path)
        cut.join()
    assert _nothing_whole(tmp_path / "one")
    with connect(live.server) as host:
        assert load(tmp_path / "one", live.installation) is None
        assert _clone(live, host, tmp_path).dump.is_file()


@pytest.mark.parametrize("full", ["mirror", "one"])
def test_a_full_disk_here_is_said_and_nothing_is_taken_for_whole(
    live: LiveServer, host: Host, tmp_path: Path, full: str
) -> None:
    noise = f"{live.docroot}/{live.layout.media[0]}/noise.bin"
    live.root(f"head -c 3000000 /dev/urandom > '{noise}'; chmod 644 '{noise}'")
    with _instead_of(live, "mariadb-dump", '"$real" "$@"; [ "$1" = --help ] || head -c 3000000 /dev/urandom'):
        try:
            with _small_disk(tmp_path / full, "1m"):
                with pytest.raises(CloneFailed, match="disk is full") as failed:
                    _clone(live, host, tmp_path)
                assert load(tmp_path / "one", live.installation) is None
                assert not list((tmp_path / "one").glob("*.gz*"))
        finally:
            live.root(f"rm -f '{noise}'")
    assert "updater clean" in failed.value.hint
    assert host.run(["true"]).exit_code == 0  # the connection is still good


def test_no_password_shows_in_any_argument_list_while_dumping(live: LiveServer, host: Host, tmp_path: Path) -> None:
    live.root("rm -f /tmp/seen /tmp/stop")
    watch = "until [ -e /tmp/stop ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; echo; done > /tmp/seen"
    watcher = threading.Thread(target=live.root, args=(watch,))
    watcher.start()
    try:
        with _instead_of(live, "mariadb-dump", '"$real" "$@" && sleep 0.5'):
            snapshot = _clone(live, host, tmp_path)
    finally:
        live.root("touch /tmp/stop")
        watcher.join()
    seen = live.root("cat /tmp/seen")
    assert "--defaults-file=/dev/stdin" in seen
    assert "--single-transaction" in seen
    assert live.installation.database.password not in seen
    assert "-- updater: complete" in _sql(snapshot)


def test_only_own_tables_are_dumped_volatile_ones_without_rows_and_no_definer(
    live: LiveServer, host: Host, tmp_path: Path
) -> None:
    name, prefix = live.installation.database.name, live.installation.database.prefix
    volatile = prefix + live.layout.volatile_tables[0]
    live.root(
        f'mariadb {name} -e "CREATE TABLE zz_other (id INT); INSERT INTO zz_other VALUES (4711); '
        f"CREATE TABLE IF NOT EXISTS {volatile} (id INT); "
        f"CREATE TABLE {prefix}zz_clone (id INT AUTO_INCREMENT PRIMARY KEY, b BLOB, t TEXT) DEFAULT CHARSET utf8mb4; "
        f"INSERT INTO {prefix}zz_clone (b, t) VALUES (x'00ff0a27', 'it''s\\n-- Dump completed Привет 🛒'); "
        f'CREATE TRIGGER {prefix}zz_t BEFORE INSERT ON {prefix}zz_clone FOR EACH ROW SET NEW.t = NEW.t"'
    )
    try:
        snapshot = _clone(live, host, tmp_path)
        sql = _sql(snapshot)
        live.root("mariadb -e 'CREATE DATABASE zz_restored'")
        with snapshot.dump.open("rb") as dump:
            host.stream(["sh", "-c", "cat > dump.gz"], open(os.devnull, "wb"), stdin=dump)  # noqa: SIM115
        live.root(f"zcat ~{live.server.user}/dump.gz | mariadb zz_restored")
        checksum = f'"SELECT HEX(b), HEX(t) FROM {prefix}zz_clone"'
        restored = live.root(f"mariadb -N zz_restored -e {checksum}")
        assert restored == live.root(f"mariadb -N {name} -e {checksum}")
        assert restored
        assert live.root(f"mariadb -N zz_restored -e 'SELECT COUNT(*) FROM {volatile}'") == "0"
        assert "zz_other" not in live.root("mariadb -N zz_restored -e 'SHOW TABLES'")
        assert "4711" not in sql
        assert "DEFINER=" not in sql
        assert f"{prefix}zz_t" in sql
        assert f"{prefix}zz_clone" in snapshot.tables
        live.root(f'mariadb {name} -e "INSERT INTO {prefix}zz_clone (t) VALUES (1)"')
        _, tables = fingerprint(host, live.site, live.installation, live.layout)
        assert tables == snapshot.tables  # rows come and go, the schema did not change
        live.root(f'mariadb {name} -e "ALTER TABLE {prefix}zz_clone ADD c INT"')
        _, tables = fingerprint(host, live.site, live.installation, live.layout)
        assert [table for table in tables if tables[table] != snapshot.tables.get(table)] == [f"{prefix}zz_clone"]
    finally:
        live.root(
            f"rm -f ~{live.server.user}/dump.gz; mariadb -e 'DROP DATABASE IF EXISTS zz_restored'; "
            f"mariadb {name} -e 'DROP TABLE IF EXISTS zz_other, {prefix}zz_clone'"
        )


def test_a_wrong_database_password_is_said_without_showing_any(live: LiveServer, host: Host, tmp_path: Path) -> None:
    database = replace(live.installation.database, password="not-the-password-4711")
    with pytest.raises(CommandFailed, match="refuses the shop's own credentials") as failed:
        clone(
            host,
            live.site,
            replace(live.installation, database=database),
            live.layout,
            live.platform,
            "one",
            tmp_path / "mirror",
            tmp_path / "one",
            Said(),
        )
    assert "not-the-password" not in str(failed.value)


def test_a_file_that_the_ssh_user_may_not_read_is_named(
    live: LiveServer, host: Host, hostile: str, tmp_path: Path
) -> None:
    live.root(f"echo x > '{hostile}/secret.php'; chmod 600 '{hostile}/secret.php'; chown root '{hostile}/secret.php'")
    with pytest.raises(CloneFailed, match="cannot read some files") as failed:
        _clone(live, host, tmp_path)
    assert "secret.php" in failed.value.cause
    assert "clone.exclude" in failed.value.hint
