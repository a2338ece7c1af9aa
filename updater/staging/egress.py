"""Nothing leaves staging: the sink's log and the mail trap as the report's nouns."""

from __future__ import annotations

import base64
import email
import email.policy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from updater.model import AnsweredCall, BlockedCall, CaughtMail


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the run by name, from `begun` until the next one begins."""

    name: str
    begun: datetime


def blocked_calls(log: str, steps: Sequence[Step]) -> tuple[BlockedCall, ...]:
    """The calls in the sink's log, oldest first. A name that was looked up *and* called is listed once, as the call."""
    entries = list(_entries(log))
    called = {entry["host"] for entry in entries if entry["protocol"] != "dns"}
    calls: list[BlockedCall] = []
    looked_up: set[tuple[str, str]] = set()
    for entry in entries:
        step = _step_at(entry["at"], steps)
        if entry["protocol"] == "dns":
            if entry["host"] in called or (entry["host"], step) in looked_up:
                continue
            looked_up.add((entry["host"], step))
        calls.append(
            BlockedCall(
                entry["at"],
                entry["protocol"],
                entry["host"],
                int(entry["port"]),
                entry["path"],
                step,
                answered=entry.get("answered", False),
            )
        )
    return tuple(calls)


def answered_calls(log: str, steps: Sequence[Step]) -> tuple[AnsweredCall, ...]:
    """The calls that were answered from a recording, oldest first, with all that they held."""
    return tuple(
        AnsweredCall(
            at=entry["at"],
            target=entry["host"],
            method=entry["method"],
            path=entry["path"],
            recording=entry["recording"],
            query=entry["query"],
            content_type=entry["type"],
            authorization=entry["authorization"],
            body=base64.b64decode(entry["body"]),
            cut=entry["cut"],
            step=_step_at(entry["at"], steps),
        )
        for entry in _entries(log)
    )


def caught_mail(log: str, steps: Sequence[Step]) -> tuple[CaughtMail, ...]:
    """The mails in the trap, oldest first, decoded to text. Recipients are those of the envelope."""
    caught = []
    for entry in _entries(log):
        message = email.message_from_bytes(base64.b64decode(entry["message"]), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        caught.append(
            CaughtMail(
                at=entry["at"],
                recipients=tuple(entry["recipients"]),
                subject=str(message.get("subject", "")),
                body=_text(message),
                step=_step_at(entry["at"], steps),
            )
        )
    return tuple(caught)


def _entries(log: str) -> Iterator[dict[str, Any]]:
    for line in log.splitlines():
        if line.strip():
            entry = json.loads(line)
            entry["at"] = datetime.fromisoformat(entry["at"])
            yield entry


def _step_at(moment: datetime, steps: Sequence[Step]) -> str:
    return next((step.name for step in reversed(steps) if step.begun <= moment), "")


def _text(message: EmailMessage) -> str:
    """The readable part: plain text where there is one, else HTML as it stands."""
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:  # a charset nobody knows
        return payload.decode("utf-8", "replace")
