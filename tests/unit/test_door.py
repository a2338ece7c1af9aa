"""The far end of the way out of staging: what is on the list is reached, everything else is closed at once."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from updater.staging.door import Door

FRAME = struct.Struct(">IBI")
OPEN, DATA, CLOSE = 1, 2, 3
NO_DOCKER: Any = None


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it hears, in capitals, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # a test may end before anybody came
                talk, _ = server.accept()
                with talk:
                    talk.sendall(talk.recv(100).upper())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def frame(number: int, kind: int, content: bytes = b"") -> bytes:
    return FRAME.pack(number, kind, len(content)) + content


def test_a_named_host_is_reached_and_its_answer_comes_back(echo: int) -> None:
    door = Door(NO_DOCKER, "sink", [f"127.0.0.1:{echo}"])
    said = frame(7, OPEN, f"127.0.0.1:{echo}".encode()) + frame(7, DATA, b"hello")
    for byte in said:  # a pipe cuts where it likes
        door.write(bytes([byte]))
    assert door.read(0) == frame(7, DATA, b"HELLO")
    assert door.read(0) == frame(7, CLOSE)
    assert door.calls == [f"127.0.0.1:{echo}"]


def test_any_other_is_closed_whatever_the_sink_asks(echo: int) -> None:
    door = Door(NO_DOCKER, "sink", ["updates.example:443"])
    door.write(frame(1, OPEN, f"127.0.0.1:{echo}".encode()))
    assert door.read(0) == frame(1, CLOSE)
    assert door.calls == []
