"""An HTTP server on loopback for as long as somebody needs it."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """What to answer is said by do_GET and do_POST."""

    def answer(
        self,
        body: bytes = b"",
        status: int = 200,
        kind: str = "text/html; charset=utf-8",
        late: bytes = b"",
        **more: str,
    ) -> None:
        """`late`: where this stands in `body`, the rest comes a second later. `more`: further headers, with _ for -."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        soon, mark, rest = body.partition(late) if late else (body, b"", b"")
        self.wfile.write(soon)
        if mark:
            self.wfile.flush()
            time.sleep(1)  # as a busy server computes the end of a page
            self.wfile.write(mark + rest)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base class names it so


@contextmanager
def served(
    handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[int]:
    """The port of `host` where it listens."""
    server = ThreadingHTTPServer((host, 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
