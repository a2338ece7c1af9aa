"""The sink's log becomes evidence: each call once, under the step in which it happened."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

from updater.staging.egress import Step, blocked_calls, caught_mail

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STEPS = [Step("before", START), Step("update", START + timedelta(seconds=10))]


def line(seconds: float, **entry: object) -> str:
    return json.dumps({"at": (START + timedelta(seconds=seconds)).isoformat(), **entry}) + "\n"


def call(seconds: float, protocol: str, host: str, port: int, path: str = "") -> str:
    return line(seconds, protocol=protocol, host=host, port=port, path=path)


def test_a_call_belongs_to_the_step_that_ran_when_it_was_made() -> None:
    log = (
        call(-1, "http", "early.example", 80, "GET /")
        + call(9, "tcp", "a.example", 21)
        + call(10, "https", "b.example", 443)
    )
    assert [(found.target, found.step) for found in blocked_calls(log, STEPS)] == [
        ("early.example", ""),
        ("a.example", "before"),
        ("b.example", "update"),
    ]


def test_a_name_that_was_also_called_is_listed_as_the_call_alone() -> None:
    log = (
        call(1, "dns", "a.example", 53) + call(1, "https", "a.example", 443) + call(2, "dns", "only.asked.example", 53)
    )
    log += call(2, "dns", "only.asked.example", 53)
    assert [(found.protocol, found.target) for found in blocked_calls(log, STEPS)] == [
        ("https", "a.example"),
        ("dns", "only.asked.example"),
    ]


def test_mail_is_decoded_and_its_recipients_are_the_envelope_s() -> None:
    message = (
        "Subject: =?UTF-8?B?0JfQsNC60LDQtw==?=\r\nTo: someone@else.example\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<b>html</b>\r\n"
        "--x\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode("Привет".encode("koi8-r")).decode()
        + "\r\n--x--\r\n"
    )
    log = line(
        11,
        host="h",
        port=25,
        recipients=["real@recipient.example"],
        message=base64.b64encode(message.encode()).decode(),
    )
    (mail,) = caught_mail(log, STEPS)
    assert (mail.recipients, mail.subject, mail.body.strip(), mail.step) == (
        ("real@recipient.example",),
        "Заказ",
        "Привет",
        "update",
    )


def test_a_mail_of_rubbish_is_still_a_mail() -> None:
    for raw in (b"", b"\xff\xfe no header", b"Content-Type: text/plain; charset=nobody-knows\r\n\r\nbody"):
        log = line(1, host="h", port=25, recipients=[], message=base64.b64encode(raw).decode())
        assert len(caught_mail(log, STEPS)) == 1
