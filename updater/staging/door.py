"""A way out of a stack to named hosts, for as long as somebody holds it: some CMSs' updates come from their vendor's server alone.

The stack's network stays as it is. Its sink hands connections to a named host over the standard streams of one process in its
container (stacks/egress/door.py), and the far end of each is opened here, where the list is looked at once more. When the line ends,
however it ends, every connection ends with it and the sink refuses as before.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import docker

from updater.errors import CommandFailed, StagingFailed
from updater.staging.container import execute

_FRAME = struct.Struct(">IBI")
"""Number of the connection, kind, length of what follows: as in stacks/egress/sink.py."""
_HELLO, _OPEN, _DATA, _CLOSE = range(4)
_READY_SECONDS = 30.0
_CONNECT_SECONDS = 15.0
_HELD_SECONDS = 4 * 3600.0
_CHUNK = 1 << 16


class Door:
    """Open while it is entered. `calls`: what was reached through it, `host:port`, in the order of the calls."""

    def __init__(self, client: docker.DockerClient, sink: str, allowed: Sequence[str]) -> None:
        self.calls: list[str] = []
        self._client = client
        self._sink = sink
        self._allowed = frozenset(allowed)
        self._outgoing: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._incoming = bytearray()
        self._talks: dict[int, socket.socket] = {}
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._hold, daemon=True, name="way out of staging")

    def __enter__(self) -> Self:
        self._send(0, _HELLO, "\n".join(sorted(self._allowed)).encode())
        self._thread.start()
        if not self._ready.wait(_READY_SECONDS):
            self._close()
            raise StagingFailed(
                "the way out of staging did not open",
                where=self._sink,
                cause=self._problem or f"no answer for {_READY_SECONDS:g} s",
                hint="run again; without `egress.allow` in site.yml nothing is opened",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._outgoing.put(b"")  # the end of the process's stdin, by which it ends
        self._ended.wait(_READY_SECONDS)
        for talk in list(self._talks.values()):
            _shut(talk)

    def _hold(self) -> None:
        line: Any = self
        try:
            argv = ["python3", "/opt/egress/door.py"]
            done = execute(self._client, self._sink, argv, stdin=line, into=line, timeout=_HELD_SECONDS)
            self._problem = done.stderr
        except CommandFailed as error:
            self._problem = str(error)
        finally:
            self._ended.set()

    # ------------------------------------------------------------------------------- as the streams of that process

    def read(self, size: int) -> bytes:
        return self._outgoing.get()

    def write(self, data: bytes) -> int:
        self._incoming += data
        while len(self._incoming) >= _FRAME.size:
            number, kind, length = _FRAME.unpack_from(self._incoming)
            if len(self._incoming) < _FRAME.size + length:
                break
            content = bytes(self._incoming[_FRAME.size : _FRAME.size + length])
            del self._incoming[: _FRAME.size + length]
            self._take(number, kind, content)
        return len(data)

    def _send(self, number: int, kind: int, content: bytes = b"") -> None:
        self._outgoing.put(_FRAME.pack(number, kind, len(content)) + content)

    def _take(self, number: int, kind: int, content: bytes) -> None:
        if kind == _HELLO:
            self._ready.set()
        elif kind == _OPEN:
            self._open(number, content.decode("ascii", "replace"))
        elif kind == _DATA and number in self._talks:
            with contextlib.suppress(OSError):  # the far end is gone: its reader tells
                self._talks[number].sendall(content)
        elif kind == _CLOSE and number in self._talks:
            _shut(self._talks[number])

    def _open(self, number: int, target: str) -> None:
        host, _, port = target.rpartition(":")
        talk = None
        if target in self._allowed:
            with contextlib.suppress(OSError):  # whoever called sees a connection that ends at once
                talk = socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS)
        if talk is None:
            self._send(number, _CLOSE)
            return
        talk.settimeout(None)
        self.calls.append(target)
        self._talks[number] = talk
        threading.Thread(target=self._pump, args=(number, talk), daemon=True, name=f"to {target}").start()

    def _pump(self, number: int, talk: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := talk.recv(_CHUNK):
                self._send(number, _DATA, data)
        self._talks.pop(number, None)
        talk.close()
        self._send(number, _CLOSE)


def _shut(talk: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed already by its own reader
        talk.shutdown(socket.SHUT_RDWR)
