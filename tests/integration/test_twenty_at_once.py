"""Twenty `updater run` started at once on one site that was never run before: by cron, by two engineers, by a pipeline."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from updater.errors import ExitCode
from updater.journal import site_lock

RUNS = 20
SITE = """\
site: shop
url: https://shop.example
server: {{host: 127.0.0.1, port: {port}, user: deploy, host_key: "ssh-ed25519 {key}"}}
docroot: /srv/shop
"""
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

# Each is a process of its own that types `updater run site.yml`; what Python has to read for that is read once, before they part.
# Prints the number of each process that ended, and its exit code.
START = """
import os, sys
from updater import cli, pipeline

waits, starts = os.pipe()
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.close(starts)
        said = os.open(f"said-{os.getpid()}", os.O_CREAT | os.O_WRONLY)
        os.dup2(said, 1), os.dup2(said, 2)
        os.read(waits, 1)
        code = 0
        try:
            cli.main(["run", "site.yml"])
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
os.close(starts)
for _ in range(int(sys.argv[1])):
    pid, status = os.wait()
    print(pid, os.waitstatus_to_exitcode(status), flush=True)
"""


@contextmanager
def a_server_that_never_comes_to_the_point() -> Iterator[int]:
    """Its port. Before its banner an ssh server may say what it likes: whoever holds the site waits here, and keeps it."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                while not over.wait(1):
                    connection.sendall(b"one moment\r\n")
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_one_proceeds_and_nineteen_end_with_6_and_name_it(tmp_path: Path) -> None:
    with a_server_that_never_comes_to_the_point() as port:
        (tmp_path / "site.yml").write_text(SITE.format(port=port, key=KEY))
        parent = subprocess.Popen(
            [sys.executable, "-c", START, str(RUNS)], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        assert parent.stdout is not None
        lines = [parent.stdout.readline().split() for _ in range(RUNS - 1)]
        ended = {int(pid): int(code) for pid, code in lines}
        said = {
            int(path.name.removeprefix("said-")): " ".join(path.read_text().split()) for path in tmp_path.glob("said-*")
        }
        assert len(said) == RUNS
        (holder,) = said.keys() - ended.keys()
        assert {pid: (code, said[pid]) for pid, code in ended.items() if code != ExitCode.LOCKED} == {}
        assert {pid: said[pid] for pid in ended if f"process {holder}" not in said[pid]} == {}
        assert said[holder] == "" or "error" not in said[holder]
        os.kill(holder, signal.SIGKILL)
        assert parent.stdout.readline().split() == [str(holder), str(-signal.SIGKILL)]
        assert parent.wait(timeout=10) == 0
    with site_lock(tmp_path / ".updater", "the next run"):
        pass  # what a killed holder leaves keeps nobody out
