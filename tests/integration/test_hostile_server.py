"""A server in strangers' hands: whatever it sends or shows, nothing runs here, and nothing outside the copy is read or written."""

from __future__ import annotations

import gzip
import io
import pickle
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from live_server import LiveServer
from test_stack import make_layout, make_site, make_snapshot, run_name

from updater.errors import CloneFailed, PromotionRefused, StagingFailed
from updater.log import Silent
from updater.model import Snapshot
from updater.production import transaction, web
from updater.production.clone import clone
from updater.production.host import Host, connect
from updater.staging.stack import StackHandle, stage

COMMANDS = "\\! touch /tmp/pwned\nsystem touch /tmp/pwned\n\\. /tmp/evil\nsource /tmp/evil\ntee /tmp/pwned\nnopager\n"
"""What the database's own client obeys when it reads a dump without --binary-mode; /tmp/evil holds `system touch /tmp/pwned`"""


def copy(live: LiveServer, host: Host, tmp: Path, run: str = "one") -> Snapshot:
    return clone(
        host, live.site, live.installation, live.layout, live.platform, run, tmp / "mirror", tmp / run, Silent()
    )


@contextmanager
def without_rsync(live: LiveServer, tar: str = "") -> Iterator[None]:
    """The server has no rsync; `tar`: what its tar does instead of its work."""
    live.root("printf '#!/bin/sh\\nexit 127\\n' > /usr/local/bin/rsync; chmod 755 /usr/local/bin/rsync")
    if tar:
        live.root(f"printf '#!/bin/sh\\n{tar}\\n' > /usr/local/bin/tar; chmod 755 /usr/local/bin/tar")
    try:
        yield
    finally:
        live.root("rm -f /usr/local/bin/rsync /usr/local/bin/tar")


# ------------------------------------------------------------------------------------------------- links and names


def entry(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


@pytest.mark.parametrize(
    "trick",
    [
        pytest.param(lambda out: [entry("./../outside/new", b"x")], id="climbs out"),
        pytest.param(lambda out: [entry("./a/../../outside/new", b"x")], id="climbs out in the middle"),
        pytest.param(
            lambda out: [entry("./l", kind=tarfile.SYMTYPE, link=str(out)), entry("./l/new", b"x")], id="through a link"
        ),
        pytest.param(
            lambda out: [entry("./l", kind=tarfile.SYMTYPE, link=f"{out}/secret"), entry("./l", b"x")], id="over a link"
        ),
        pytest.param(
            lambda out: [entry("./l", kind=tarfile.SYMTYPE, link=str(out)), entry("./l", kind=tarfile.DIRTYPE)],
            id="a folder over a link",
        ),
        pytest.param(
            lambda out: [entry("./taken", kind=tarfile.LNKTYPE, link=f"{out}/secret")], id="a hard link to our file"
        ),
        pytest.param(
            lambda out: [entry("./taken", kind=tarfile.LNKTYPE, link="./../outside/secret")], id="a hard link up"
        ),
        pytest.param(
            lambda out: [
                entry("./l", kind=tarfile.SYMTYPE, link=str(out)),
                entry("./taken", kind=tarfile.LNKTYPE, link="./l/secret"),
            ],
            id="a hard link through a link",
        ),
    ],
)
def test_a_stream_of_files_that_leads_out_of_the_copy_is_refused(
    live: LiveServer,
    host: Host,
    tmp_path: Path,
    trick: Callable[[Path], list[tuple[tarfile.TarInfo, bytes]]],
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("ours")
    mode = outside.stat().st_mode
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as stream:
        stream.addfile(entry("./", kind=tarfile.DIRTYPE)[0])
        for info, content in trick(outside):
            stream.addfile(info, io.BytesIO(content))
    host.write("/tmp/evil.tar", packed.getvalue(), 0o644)
    with without_rsync(live, "exec cat /tmp/evil.tar"), pytest.raises(CloneFailed, match="outside the copy"):
        copy(live, host, tmp_path)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "ours"
    assert outside.stat().st_mode == mode
    assert not list(tmp_path.rglob("taken")), "nothing of ours was taken into the copy"


@pytest.mark.parametrize("by", ["rsync", "tar"])
def test_a_link_that_becomes_a_folder_writes_nothing_where_it_pointed(
    live: LiveServer, host: Host, tmp_path: Path, by: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.php").write_text("ours")
    place = f"{live.docroot}/becomes"
    host.run(["ln", "-s", str(outside), place])
    with without_rsync(live) if by == "tar" else connect(live.server):
        first = copy(live, host, tmp_path)
        host.run(["sh", "-c", 'rm "$1" && mkdir "$1" && echo theirs > "$1/kept.php"', "sh", place])
        second = copy(live, host, tmp_path, "two")
    host.run(["rm", "-r", place])
    assert first.code["becomes"] == f"link:{outside}"
    assert "becomes/kept.php" in second.code
    assert (second.files / "becomes/kept.php").read_text() == "theirs\n"
    assert (outside / "kept.php").read_text() == "ours"


# ----------------------------------------------------------------------------------------------- one-time files


HOLDER = """
import sys, pickle
from updater.production.host import connect
from updater.production.web import one_time_file
site = pickle.load(open(sys.argv[1], "rb"))
with connect(site.server) as host, one_time_file(host, site, ".php", b"<?php echo 'there';") as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def test_a_one_time_file_is_gone_when_its_updater_is_killed(live: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "site").write_bytes(pickle.dumps(live.site))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "site"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    url = holder.stdout.readline().strip()
    with web.client(live.site) as http:
        assert web.get(http, url).text == "there"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    gone(live, url)


def test_a_one_time_file_is_gone_when_its_connection_is_cut(live: LiveServer) -> None:
    with connect(live.server) as host:
        session = host.run(["sh", "-c", "ps -o ppid= -p $$"]).text.strip()
        with pytest.raises(Exception, match="lost"), web.one_time_file(host, live.site, ".php", b"<?php") as url:
            live.root(f"kill -9 {session}")
    gone(live, url)


def gone(live: LiveServer, url: str) -> None:
    name, limit = url.rsplit("/", 1)[1], time.monotonic() + 10
    while live.root(f"ls {live.docroot}").find(name) >= 0:
        assert time.monotonic() < limit, "the one-time file is still there"
        time.sleep(0.1)


def test_a_one_time_file_that_nobody_takes_back_ends_by_its_time(live: LiveServer, host: Host) -> None:
    path = f"{live.docroot}/lent.txt"
    with host.lend(path, b"two seconds", 0o644, 2):
        assert live.root(f"cat {path}; stat -c %a {path}") == "two seconds644"
        limit = time.monotonic() + 10
        while live.root(f"ls {path} 2>/dev/null"):
            assert time.monotonic() < limit
            time.sleep(0.1)


def test_a_one_time_file_that_cannot_be_written_is_said(live: LiveServer, host: Host) -> None:
    with (
        pytest.raises(Exception, match=r"No such file|Directory nonexistent"),
        host.lend("/srv/none/x", b"x", 0o644, 5),
    ):
        raise AssertionError("there is no such folder")


# -------------------------------------------------------------------------------- a work folder that is served


@contextmanager
def web_server(live: LiveServer, configuration: str) -> Iterator[None]:
    """Apache as the ssh user, as on common hosting, with more configuration."""
    file = "/etc/apache2/conf-enabled/test.conf"
    live.root(
        f'printf "%s\\n" "$MORE" > {file}; cp /etc/apache2/envvars /tmp/envvars; '
        "sed -i 's/APACHE_RUN_USER=.*/APACHE_RUN_USER=deploy/; s/APACHE_RUN_GROUP=.*/APACHE_RUN_GROUP=deploy/' "
        "/etc/apache2/envvars; apachectl stop; while pgrep apache2; do sleep 0.1; done; apachectl start",
        MORE=configuration,
    )
    try:
        yield
    finally:
        live.root(
            f"rm {file}; cp /tmp/envvars /etc/apache2/envvars; apachectl stop; "
            "while pgrep apache2; do sleep 0.1; done; apachectl start"
        )


OPEN = "<Directory /home/deploy>\nRequire all granted\n</Directory>\n"


@pytest.mark.parametrize(
    ("configuration", "served"),
    [
        pytest.param("", "", id="not at all"),
        pytest.param(OPEN + "Alias /.updater /home/deploy/.updater", "http://shop.test/.updater/", id="an alias"),
        pytest.param(
            OPEN + "AliasMatch ^/~deploy/(.*) /home/deploy/$1",
            "http://shop.test/~deploy/.updater/",
            id="a user's folder",
        ),
    ],
)
def test_a_work_folder_that_the_web_server_gives_out_is_not_promoted_from(
    live: LiveServer, host: Host, configuration: str, served: str
) -> None:
    with web_server(live, configuration):
        if not served:
            transaction.refuse_served(host, live.site, live.installation)
            assert web.serves(host, live.site, ".updater") == ""
        else:
            with pytest.raises(PromotionRefused, match="served to the public") as refused:
                transaction.refuse_served(host, live.site, live.installation)
            assert served in refused.value.cause
            assert "server.work" in refused.value.hint
    assert host.run(["find", ".updater", "-type", "f"]).text == "", "nothing was left there"


@pytest.mark.parametrize("by_link", [False, True])
def test_a_work_folder_inside_the_docroot_is_refused_before_anything_lies_there(
    live: LiveServer, host: Host, by_link: bool
) -> None:
    work = f"{live.docroot}/private/updater"
    host.run(["mkdir", f"{live.docroot}/private"])
    if by_link:
        host.run(["ln", "-s", f"{live.docroot}/private", "elsewhere"])
        work = "/home/deploy/elsewhere/updater"
    site = replace(live.site, server=replace(live.server, work=work))
    try:
        with pytest.raises(PromotionRefused, match="served to the public") as refused:
            transaction.refuse_served(host, site, live.installation)
        assert "inside the docroot" in refused.value.cause
        assert live.root(f"find {live.docroot}/private -mindepth 1") == ""
    finally:
        host.run(["rm", "-rf", f"{live.docroot}/private", "elsewhere"])


# ---------------------------------------------------------------------------------------------------------- dumps


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackHandle]:
    folder = tmp_path_factory.mktemp("stack")
    with stage(make_site(folder), make_snapshot(folder, run_name("hostile")), make_layout(), Silent()) as handle:
        yield handle


def in_database(staged: StackHandle, script: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["docker", "exec", "-i", staged.stack.database, "sh", "-c", script],
        input=stdin,
        capture_output=True,
        timeout=60,
    )
    return done.stdout.decode()


def packed(folder: Path, sql: str) -> Path:
    path = folder / "evil.sql.gz"
    path.write_bytes(gzip.compress(sql.encode()))
    return path


@pytest.mark.parametrize("command", COMMANDS.splitlines())
def test_a_command_of_the_database_s_client_in_a_dump_runs_nothing(
    staged: StackHandle, tmp_path: Path, command: str
) -> None:
    in_database(staged, "rm -f /tmp/pwned; echo 'system touch /tmp/pwned' > /tmp/evil")
    with pytest.raises(StagingFailed, match="could not be loaded") as failed:
        staged.database.load(packed(tmp_path, f"CREATE TABLE IF NOT EXISTS sh_first (a INT);\n{command}\n"))
    assert "SQL syntax" in failed.value.cause or "Unknown command" in failed.value.cause
    assert in_database(staged, "find / -xdev -name pwned 2>/dev/null") == ""
    assert not list(tmp_path.rglob("pwned"))


def test_the_client_would_have_obeyed_without_its_option(staged: StackHandle) -> None:
    """The test above can fail: the same client in the same place runs `\\!` when nobody forbids it."""
    in_database(staged, "mariadb; true", b"\\! touch /tmp/pwned\n")
    assert in_database(staged, "find / -xdev -name pwned") == "/tmp/pwned\n"
    in_database(staged, "rm /tmp/pwned")


def test_a_database_of_hostile_names_and_rows_is_cloned_and_loaded_as_it_is(
    live: LiveServer, host: Host, staged: StackHandle, tmp_path: Path
) -> None:
    table = "shop_x`'\"$(touch /tmp/pwned)\n\\! touch /tmp/pwned\n-- -x"
    quoted = "`" + table.replace("`", "``") + "`"
    rows = COMMANDS + "*/; DROP TABLE shop_goods; -- \\n'\"`"
    values = rows.replace("\\", "\\\\").replace("'", "''")
    live.root(
        'printf "%s" "$SQL" | mariadb --binary-mode shop',
        SQL=f"CREATE TABLE {quoted} (`a\n\\! touch /tmp/pwned` INT PRIMARY KEY, t TEXT COMMENT '{values}') COMMENT '\n\\! touch /tmp/pwned';\n"
        f"INSERT INTO {quoted} VALUES (1, '{values}');\n",
    )
    try:
        snapshot = copy(live, host, tmp_path)
    finally:
        live.root('printf "%s" "$SQL" | mariadb --binary-mode shop', SQL=f"DROP TABLE {quoted};\n")
    assert table in snapshot.tables
    staged.database.load(snapshot.dump)
    assert staged.sql(f"SELECT t FROM {quoted}") == [(rows,)]
    assert staged.sql("SELECT COUNT(*) FROM shop_goods") == [("2000",)]
    for where in (in_database(staged, "find / -xdev -name pwned"), live.root("find / -xdev -name pwned")):
        assert where == ""
    assert not Path("/tmp/pwned").exists(), "on this machine"
