"""Commands and files in a running container: what `docker exec` and `docker cp` do, over the daemon's own socket."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from requests.exceptions import RequestException

from updater.errors import CommandFailed, StagingFailed
from updater.shell import Completed

_STDOUT, _STDERR = 1, 2
_TIMED_OUT = 124
"""Exit code of coreutils' timeout(1)."""
_KILLED = 137
_CHUNK = 1 << 20
_GRACE = 30.0
"""Seconds beyond a command's own time limit before the daemon itself is given up."""


def execute(
    client: docker.DockerClient,
    container: str,
    argv: Sequence[str],
    *,
    stdin: bytes | BinaryIO = b"",
    env: Mapping[str, str] | None = None,
    user: str = "root",
    workdir: str = "/",
    timeout: float = 600.0,
    into: BinaryIO | None = None,
) -> Completed:
    """Run a command in a running container. Standard output goes to `into` as it comes when that is given.

    timeout(1) inside the container ends the command with all its children; CommandFailed then, and when the container
    is gone. Any other exit code is the caller's to judge.
    """
    limited = ["timeout", "--kill-after=5", str(timeout), *argv]
    try:
        created = client.api.exec_create(
            container,
            limited,
            stdin=True,
            environment=dict(env or {}),
            user=user,
            workdir=workdir,
        )
        stdout, stderr = io.BytesIO(), io.BytesIO()
        outputs: dict[int, Any] = {_STDOUT: into or stdout, _STDERR: stderr}
        begun = time.monotonic()
        attached: Any = client.api.exec_start(created["Id"], socket=True)
        for stream, data in _talk(attached, stdin, timeout + _GRACE):
            outputs[stream].write(data)
        exit_code = _exit_code(client, created["Id"])
    except (APIError, RequestException, OSError) as error:
        raise CommandFailed(
            f"{argv[0]} could not be run in staging",
            where=container,
            cause=str(error),
            hint="see `docker ps -a` for the container's state, then repeat the command",
        ) from error
    took = time.monotonic() - begun
    if exit_code in (_TIMED_OUT, _KILLED) and took >= timeout:
        raise CommandFailed(
            f"{argv[0]} did not end within {timeout:g} s",
            where=container,
            cause=_tail(stderr.getvalue()),
            hint="read the stack's PHP error log in the report",
        )
    return Completed(tuple(argv), exit_code, stdout.getvalue(), stderr.getvalue().decode("utf-8", "replace"))


def checked(completed: Completed, where: str, what: str = "") -> Completed:
    """`completed` unless it failed: CommandFailed with the command's own words."""
    if completed.exit_code != 0:
        raise CommandFailed(
            what or f"{completed.argv[0]} ended with exit code {completed.exit_code}",
            where=where,
            cause=_tail(completed.stderr.encode()) or _tail(completed.stdout),
            hint="see the report's log of this step",
        )
    return completed


def _tail(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip()[-2000:]


def _exit_code(client: docker.DockerClient, exec_id: str) -> int:
    """The command's exit code. The stream's end may be a moment ahead of the daemon's own notice of the exit."""
    deadline = time.monotonic() + 10
    while True:
        state = client.api.exec_inspect(exec_id)
        if not state["Running"] and state["ExitCode"] is not None:
            return int(state["ExitCode"])
        if time.monotonic() > deadline:
            raise OSError("its output ended but the command did not")
        time.sleep(0.01)


def _talk(attached: Any, stdin: bytes | BinaryIO, patience: float) -> Iterator[tuple[int, bytes]]:
    """Feed stdin, half-close, and yield (stream number, bytes) until the command's output ends.

    Reads through the buffer of the HTTP response: it may have taken the first output together with the headers.
    """
    raw: socket.socket = getattr(attached, "_sock", attached)
    raw.settimeout(patience)
    buffered = attached._response.raw._fp.fp
    problems: list[BaseException] = []

    def feed() -> None:
        try:
            source = io.BytesIO(stdin) if isinstance(stdin, bytes) else stdin
            while chunk := source.read(_CHUNK):
                raw.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the command ended without reading everything: its exit code tells
        except (OSError, ValueError) as error:
            problems.append(error)
        finally:
            with contextlib.suppress(OSError):  # closed already by the other side
                raw.shutdown(socket.SHUT_WR)

    feeder = threading.Thread(target=feed, daemon=True, name="staging stdin")
    feeder.start()
    try:
        while header := buffered.read(8):
            if len(header) < 8:
                raise OSError("the daemon closed the connection in the middle of a frame")
            number, length = struct.unpack(">BxxxL", header)
            while length:
                data = buffered.read(min(length, _CHUNK))
                if not data:
                    raise OSError("the daemon closed the connection in the middle of a frame")
                length -= len(data)
                yield number, data
        feeder.join()
        if problems:
            raise OSError(f"standard input could not be read: {problems[0]}")
    finally:
        attached._response.close()  # before the socket below it: closing flushes
        attached.close()


def put_files(
    container: Container, files: Mapping[str, bytes], *, mode: int = 0o644, uid: int = 0, gid: int = 0
) -> None:
    """Write files by absolute path into a container that was created or runs. Missing folders are made, owned by root."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = len(data), mode, uid, gid, int(time.time())
            tar.addfile(entry, io.BytesIO(data))
    archive.seek(0)
    try:
        container.put_archive("/", archive)
    except (APIError, RequestException) as error:
        raise StagingFailed(f"files could not be put into {container.name}", cause=str(error)) from error


def put_path(container: Container, local: Path, remote: str, *, uid: int, gid: int) -> None:
    """Copy one local file to an absolute path in the container, streamed from disk, mode 0600."""
    reader, writer = socket.socketpair()

    def send() -> None:
        with writer, writer.makefile("wb") as sink, tarfile.open(fileobj=sink, mode="w|") as tar:
            entry = tar.gettarinfo(str(local), remote.lstrip("/"))
            entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o600, uid, gid, "", ""
            with local.open("rb") as source:
                tar.addfile(entry, source)

    feeder = threading.Thread(target=send, daemon=True, name="staging put")
    feeder.start()
    with reader, reader.makefile("rb") as source:
        try:
            container.put_archive("/", iter(lambda: source.read(_CHUNK), b""))
        except (APIError, RequestException) as error:
            raise StagingFailed(
                f"{local.name} could not be put into staging", where=remote, cause=str(error)
            ) from error
    feeder.join()


def logs(container: Container, lines: int = 40) -> str:
    """The container's last output, for messages."""
    try:
        return container.logs(tail=lines).decode("utf-8", "replace").strip()
    except (APIError, NotFound) as error:
        return str(error)
