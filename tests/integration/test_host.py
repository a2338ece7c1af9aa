"""The ssh connection, on a real sshd: who is let in, what is said when not, and what survives a cut line."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from live_server import LiveServer

from updater.errors import CommandFailed, ConfigError, ConnectionFailed, UnsupportedSite
from updater.model import Server
from updater.production import traffic
from updater.production.host import Host, connect
from updater.production.probe import capabilities, find_php

PASSWORD = "a Pass'word$1"
SECOND_PORT = 2222


@pytest.fixture(scope="module")
def by_password(live: LiveServer) -> Iterator[Server]:
    """A second sshd on the same server, with another host key, that takes passwords."""
    live.root(
        "rm -f /tmp/other_key; ssh-keygen -q -t ed25519 -N '' -f /tmp/other_key; mkdir -p /run/sshd; "
        f'printf "%s:%s" {live.server.user} "$PASSWORD" | chpasswd; '
        f"/usr/sbin/sshd -f /dev/null -p {SECOND_PORT} -h /tmp/other_key -o PasswordAuthentication=yes "
        "-o UsePAM=no -o PidFile=/tmp/other_sshd.pid",
        PASSWORD=PASSWORD,
    )
    key = live.root("cat /tmp/other_key.pub")
    yield replace(live.server, port=SECOND_PORT, key=None, password=PASSWORD, host_key=key)
    live.root(f"kill $(cat /tmp/other_sshd.pid); usermod -p '*' {live.server.user}")


def test_a_pinned_server_lets_us_in_as_the_deploy_user(live: LiveServer) -> None:
    with connect(live.server) as host:
        assert host.run(["id", "-un"]).text.strip() == live.server.user


def test_a_changed_host_key_is_refused_with_both_fingerprints(live: LiveServer, by_password: Server) -> None:
    with pytest.raises(ConnectionFailed) as refused:
        connect(replace(live.server, host_key=by_password.host_key))
    offered = live.root("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    expected = live.root("ssh-keygen -lf /tmp/other_key.pub").split()[1]
    assert "not the expected one" in refused.value.what
    assert expected in refused.value.cause
    assert offered in refused.value.cause
    assert "host_key: ssh-ed25519 " in refused.value.hint


def test_an_unknown_host_key_is_refused_and_can_be_pinned_from_the_message(live: LiveServer, tmp_path: Path) -> None:
    nobody = tmp_path / "known_hosts"
    nobody.touch()
    with pytest.raises(ConnectionFailed) as refused:
        connect(replace(live.server, host_key=None, known_hosts=nobody))
    assert "not known" in refused.value.what
    assert "SHA256:" in refused.value.cause
    pinned = refused.value.hint.split("host_key: ")[1]
    with connect(replace(live.server, host_key=pinned)) as host:
        assert host.run(["true"]).exit_code == 0


def test_a_known_hosts_file_is_enough(live: LiveServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    name = live.server.host if live.server.port == 22 else f"[{live.server.host}]:{live.server.port}"
    known.write_text(f"{name} {live.server.host_key}\n")
    with connect(replace(live.server, host_key=None, known_hosts=known)) as host:
        assert host.run(["true"]).exit_code == 0


def test_a_known_hosts_file_that_is_missing_is_said(live: LiveServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="known_hosts"):
        connect(replace(live.server, host_key=None, known_hosts=tmp_path / "none"))


def test_an_unreachable_host_a_refused_port_and_an_unknown_name_are_told_apart(live: LiveServer) -> None:
    unused = str(ipaddress.ip_network(f"{live.server.host}/16", strict=False).broadcast_address - 1)
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        connect(replace(live.server, host=unused), timeout=4)
    with pytest.raises(ConnectionFailed, match="nothing answers on port 1"):
        connect(replace(live.server, port=1), timeout=4)
    with pytest.raises(ConnectionFailed, match="does not resolve"):
        connect(replace(live.server, host="no-such-host.invalid"), timeout=4)


def test_what_is_no_ssh_server_is_said(live: LiveServer) -> None:
    with pytest.raises(ConnectionFailed, match="does not speak ssh"):
        connect(replace(live.server, port=80), timeout=2)


def test_a_wrong_key_is_refused_once_and_named(live: LiveServer, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "wrong"], check=True)
    with pytest.raises(ConnectionFailed, match=r"refused the key .*wrong") as refused:
        connect(replace(live.server, key=tmp_path / "wrong"))
    assert "authorized_keys" in refused.value.hint


def test_key_files_that_cannot_work_are_told_apart(live: LiveServer, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "locked!", "-f", tmp_path / "locked"], check=True)
    with pytest.raises(ConnectionFailed, match="does not exist"):
        connect(replace(live.server, key=tmp_path / "none"))
    with pytest.raises(ConnectionFailed, match="passphrase"):
        connect(replace(live.server, key=tmp_path / "locked"))
    with pytest.raises(ConnectionFailed, match="no private key"):
        connect(replace(live.server, key=tmp_path / "locked.pub"))


def test_a_password_logs_in_and_a_wrong_one_is_refused_without_showing_it(by_password: Server) -> None:
    with connect(by_password) as host:
        assert host.run(["id", "-un"]).text.strip() == by_password.user
        assert "password" in host.without_rsync()
    with pytest.raises(ConnectionFailed, match="refused the password") as refused:
        connect(replace(by_password, password="wrong-" + PASSWORD))
    assert PASSWORD not in str(refused.value)


def test_arguments_reach_the_command_literally(host: Host, live: LiveServer) -> None:
    hostile = ["a b", "$(touch /tmp/pwned)", "`id`", "-x", "new\nline", 'it\'s "quoted"', "", "*", "caf\udce9"]
    got = host.run(["printf", "%s\\0", *hostile]).stdout.split(b"\0")[:-1]
    assert [os.fsdecode(word) for word in got] == hostile
    assert live.root("ls /tmp").find("pwned") == -1


def test_environment_arrives_and_never_shows_in_an_argument_list(host: Host) -> None:
    secret = "s3cret 'value'\n$(id)"
    script = 'printf "%s" "$TOKEN"; cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " >&2; cat >&2'
    done = host.run(["sh", "-c", script], env={"TOKEN": secret}, stdin=b"and stdin too")
    assert done.text == secret
    assert "s3cret" not in done.stderr
    assert "\\163\\063" not in done.stderr  # not as the octal escapes in which it travels either
    assert done.stderr.endswith("and stdin too")


def test_twenty_megabytes_go_in_and_out_at_once_and_quickly(host: Host) -> None:
    data = os.urandom(20_000_000)
    begun = time.monotonic()
    assert host.run(["cat"], stdin=data).stdout == data
    assert time.monotonic() - begun < 20  # Fabric's own stdin would take two days


def test_a_stream_needs_constant_memory(host: Host) -> None:
    class Sink:
        size = 0

        def write(self, chunk: bytes) -> int:
            self.size += len(chunk)
            return len(chunk)

    sink = Sink()
    tracemalloc.start()
    try:
        host.stream(["head", "-c", "60000000", "/dev/zero"], sink)  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.size == 60_000_000
    assert peak < 12_000_000


def test_a_command_that_fails_says_which_where_and_why(host: Host) -> None:
    with pytest.raises(CommandFailed) as failed:
        host.run(["ls", "/no-such-folder"])
    assert "ls /no-such-folder ended with 2" in failed.value.what
    assert "No such file" in failed.value.cause
    assert failed.value.where == host.where
    assert host.run(["sh", "-c", "exit 7"], check=False).exit_code == 7


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_command_that_runs_out_of_time_is_ended_with_its_children(live: LiveServer, shell: str) -> None:
    live.root(f"usermod -s {shell} {live.server.user}")
    try:
        with connect(live.server) as host, pytest.raises(CommandFailed, match="took longer than 1 s"):
            host.run(["sh", "-c", "sleep 7654 & sleep 7655"], timeout=1)
    finally:
        live.root(f"usermod -s /bin/bash {live.server.user}")
    assert (
        live.root("for i in $(seq 50); do pgrep -f 'sleep 765[45]' >/dev/null || exit 0; sleep 0.1; done; echo alive")
        == ""
    )


def test_a_connection_lost_in_the_middle_says_what_it_was_doing(live: LiveServer) -> None:
    with connect(live.server) as host:
        with pytest.raises(ConnectionFailed, match=r"lost during: .*marker-word"):
            host.run(["sh", "-c", "kill -9 $(ps -o ppid= -p $$); sleep 60", "sh", "marker-word"], timeout=30)
        with pytest.raises(ConnectionFailed, match="lost during: true"):
            host.run(["true"])


@contextmanager
def line(server: Server) -> Iterator[tuple[Server, Callable[[int], None]]]:
    """A way to the server by a line that can be reset, as by a router: after so many more answers of the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    left: list[int] = []

    def carry(source: socket.socket, target: socket.socket, *, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if answers and left:
                    if left[0] == 0:
                        target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        # Whoever still reads from it would keep it open until the next word.
                        target.shutdown(socket.SHUT_RD)
                        target.close()
                        return
                    left[0] -= 1
                target.sendall(data)

    def serve() -> None:
        with suppress(OSError):
            near, _ = listener.accept()
            far = socket.create_connection((server.host, server.port))
            threading.Thread(target=carry, args=(near, far), kwargs={"answers": False}, daemon=True).start()
            carry(far, near, answers=True)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield replace(server, host="127.0.0.1", port=listener.getsockname()[1]), left.append
    finally:
        listener.close()


@pytest.mark.parametrize("answers", range(6))
def test_a_line_that_is_reset_is_a_lost_connection_at_whatever_answer(live: LiveServer, answers: int) -> None:
    with line(live.server) as (server, reset_after), connect(server) as host:
        host.run(["true"])
        reset_after(answers)
        with pytest.raises(ConnectionFailed, match="lost during: sh"):
            for _ in range(6):
                host.run(["sh", "-c", "echo word; sleep 0.1; echo word"], timeout=30)


def test_files_are_written_whole_private_and_read_back(host: Host) -> None:
    name = "odd 'name'\n$(x)"
    host.write(name, b"\x00one")
    host.write(name, b"two", 0o644)
    assert host.read(name) == b"two"
    assert host.run(["stat", "-c", "%a", "--", name]).text.strip() == "644"
    host.run(["rm", "--", name])
    with pytest.raises(FileNotFoundError):
        host.read(name)


def test_an_upload_cut_in_half_leaves_the_old_file(live: LiveServer, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as sparse:
        sparse.truncate(400_000_000)
    with connect(live.server) as host:
        host.write("cut-target", b"old")
        session = host.run(["sh", "-c", "ps -o ppid= -p $$"]).text.strip()
        cut = threading.Thread(
            target=live.root,
            args=(f"until ls ~{live.server.user}/cut-target.updater-*; do :; done; kill -9 {session}",),
        )
        cut.start()
        with pytest.raises(ConnectionFailed, match="lost during"):
            host.put(big, "cut-target")
        cut.join()
    gone = f"for i in $(seq 100); do ls ~{live.server.user}/cut-target.* >/dev/null 2>&1 || exit 0; sleep 0.1; done; echo left"
    assert live.root(gone) == ""
    with connect(live.server) as host:
        assert host.read("cut-target") == b"old"
        host.run(["rm", "cut-target"])


def test_put_and_get_bring_the_same_bytes(host: Host, tmp_path: Path) -> None:
    local, back = tmp_path / "local", tmp_path / "back"
    local.write_bytes(os.urandom(3_000_000))
    host.put(local, "put-target")
    host.get("put-target", back)
    assert back.read_bytes() == local.read_bytes()
    assert back.stat().st_mode & 0o777 == 0o600
    host.run(["rm", "put-target"])
    with pytest.raises(FileNotFoundError):
        host.get("put-target", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_rsyncs_ssh_accepts_the_pinned_key_and_no_other(host: Host, by_password: Server) -> None:
    command = host.rsync_transport()
    good = subprocess.run([*command, host.server.host, "echo in"], capture_output=True, check=False)
    assert good.stdout == b"in\n"
    command[command.index("-p") + 1] = str(by_password.port)
    other = subprocess.run([*command, host.server.host, "echo in"], capture_output=True, check=False)
    assert other.returncode == 255
    assert b"ost key verification failed" in other.stderr


def test_the_capability_table_is_found_by_doing_and_leaves_nothing_behind(live: LiveServer, host: Host) -> None:
    rows = {row.name: row for row in capabilities(host, live.site, live.installation)}
    for name in (
        "public site",
        "php",
        "copy files",
        "dump",
        "grants",
        "engines",
        "work folder",
        "opcache",
        "cron",
        "lock",
    ):
        assert rows[name].status == "proven", rows[name]
    assert "10 of 10" in rows["public site"].detail
    assert "unknown CMS" in rows["folders"].detail  # a row that cannot be tried is refused, the others still stand
    assert live.root(f"ls -A {live.docroot} ~{live.server.user}/.updater | grep -i -e updater- -e try") == ""


def test_a_docroot_that_is_not_the_public_site_is_refused(live: LiveServer, host: Host) -> None:
    host.run(["mkdir", "-p", "elsewhere"])
    home = host.run(["pwd"]).text.strip()
    elsewhere = f"{home}/elsewhere"
    site = replace(live.site, docroot=elsewhere)
    rows = {row.name: row for row in capabilities(host, site, replace(live.installation, docroot=elsewhere))}
    assert rows["public site"].status == "refused"
    assert "is not served from" in rows["public site"].detail
    assert host.run(["ls", "-A", elsewhere]).text == ""


def test_php_is_found_by_running_it(live: LiveServer, host: Host) -> None:
    assert find_php(host, live.site).endswith("php")
    with pytest.raises(UnsupportedSite, match="no command line PHP"):
        find_php(host, replace(live.site, php="/usr/bin/env"))


def test_the_quiet_hour_is_read_from_the_log_in_which_our_own_request_appears(live: LiveServer, host: Host) -> None:
    log, logs = "/var/log/apache2/access.log", "/home/deploy/logs"
    assert traffic.quiet_hour(host, live.site, live.installation) == (None, "no access log of this site can be read")
    # Another site's log lies where ours could: our request is not in it.
    line = '10.0.0.1 - - [$(date -d "$1 hours ago" +%d/%b/%Y:%H:%M:%S) +0000] \\"GET / HTTP/1.1\\" 200 5 \\"-\\" \\"Mozilla\\"'
    live.root(
        f"mkdir -p {logs}; touch {logs}/access.log; chmod 755 /var/log/apache2; chmod 644 {log}; "
        f'visit() {{ echo "{line}"; }}; export TZ=UTC; '
        f'for n in $(seq 0 71); do [ "$(date -d "$n hours ago" +%H)" = 04 ] || {{ visit $n; visit $n; visit $n; }}; done'
        f" | tee {log} | gzip > {log}.2.gz"
    )
    try:
        found, why = traffic.quiet_hour(host, live.site, live.installation)
        assert found is not None, why
        assert (found.hour, found.requests, found.log) == (4, 0, log)
        assert found.busiest == 6
    finally:
        live.root(f"chmod 750 /var/log/apache2; rm -r {logs} {log}.2.gz")
