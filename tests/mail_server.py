"""An SMTP server on loopback that keeps what it is given."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message


class Mailbox(Message):
    """What an SMTP server was given, parsed. `url` is its address for `notify:`."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.mails: list[EmailMessage] = []
        self.url = f"mailto://127.0.0.1:{port}/?mode=insecure&from=updater@agency.example&to=anna@agency.example"

    @property
    def subjects(self) -> list[str]:
        return [mail["subject"].strip() for mail in self.mails]

    def handle_message(self, message: Any) -> None:
        parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def receiving() -> Iterator[Mailbox]:
    port = free_port()  # aiosmtpd cannot say which one it was given
    box = Mailbox(port)
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield box
    finally:
        server.stop()
