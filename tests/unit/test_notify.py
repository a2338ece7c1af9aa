"""Messages by apprise, to a real listener on loopback; a channel that fails is named without its secret."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from updater import notify
from updater.secrets import redact, register


class Listener:
    """An HTTP server that keeps what is posted to it and answers with `status`."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status = 200
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.received.append(json.loads(body))
                self.send_response(listener.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/token-abcdef"


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_message_arrives_with_title_body_and_urgency(listener: Listener) -> None:
    assert notify.send([listener.url], "Лавка: rejected", "Place order does nothing", urgency="urgent") == ()
    (got,) = listener.received
    assert (got["title"], got["message"], got["type"]) == ("Лавка: rejected", "Place order does nothing", "failure")


def test_a_report_goes_along_and_a_missing_one_does_not_stop_the_message(listener: Listener, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>hello")
    assert notify.send([listener.url], "t", "b", [report, tmp_path / "gone.html"]) == ()
    assert [attachment["filename"] for attachment in listener.received[0]["attachments"]] == ["report.html"]


def test_one_channel_that_fails_is_named_and_the_others_get_the_message(listener: Listener) -> None:
    closed = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = closed.server_port
    closed.server_close()
    urls = [f"json://user:hunter2x@127.0.0.1:{port}/", "nosuch://secret-token-1", "no url at all", listener.url]
    assert notify.send(urls, "t", "b") == ("json", "nosuch", "unknown")
    assert len(listener.received) == 1


def test_a_service_that_refuses_is_a_failure(listener: Listener) -> None:
    listener.status = 500
    assert notify.send([listener.url], "t", "b") == ("json",)


def test_secrets_stay_out_of_messages_and_channel_urls_out_of_everything(
    listener: Listener, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = register("db-password-9")
    url = "nosuch://account:tok3n-7781@host/hook-5512"
    notify.send([listener.url, url], f"title {secret}", f"body {secret}")
    assert secret not in json.dumps(listener.received)
    out, err = capfd.readouterr()
    assert "tok3n-7781" not in caplog.text + out + err
    assert "tok3n-7781" not in redact(f"connecting to {url} with tok3n-7781")
    assert "hook-5512" not in redact(f"connecting to {url}")


def test_no_channel_is_no_failure() -> None:
    assert notify.send([], "t", "b") == ()
