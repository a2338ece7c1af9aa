"""The sink: answers every name, takes every connection, tells nobody outside, and writes down what was tried.

DNS gives each foreign name an address of its own out of 198.18.0.0/15 (RFC 2544, never routed), so that a connection
by any protocol can be named. HTTP gets 503 at once, TLS is read up to the server's name and then refused, SMTP (25,
465, 587) is accepted and kept, anything else is closed. Nothing hangs and nothing answers 200, but for the recordings that site.yml
names: those, and those alone, are answered, also over TLS.

Environment: OWN (this namespace's address), OWN_NAMES (names that lead to it), LOG (folder of egress.jsonl, mail.jsonl,
answered.jsonl). Files: ca.pem, ca.key, and recordings.json: a list of host, path (a glob), method ('' for any), status, headers, body.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import fnmatch
import ipaddress
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import tempfile
import urllib.parse
from typing import Any

CONNECTIONS, DNS = 15001, 15053
MAIL_PORTS = {25, 465, 587, 2525}
TLS_MAIL_PORT = 465
SO_ORIGINAL_DST = 80
PATIENCE = 10.0
"""Seconds for a client that connects and says nothing; it is the client that waits then, never the page."""
FRAME = struct.Struct(">IBI")
HELLO, OPEN, DATA, CLOSE = range(4)
"""What goes over the door: number of the connection, kind, length of what follows; as in updater/staging/door.py."""
GREETED = {21, 22, 110, 143, 3306, 5432}
"""Protocols where the server speaks first: closed at once, since waiting for the client's word would hang both."""
LARGEST_MAIL = 50 * 1024 * 1024
LARGEST_REQUEST, KEPT = 8 * 1024 * 1024, 256 * 1024
"""Bytes of a request's body that are read, and that are kept to be compared."""
FIELD = re.compile(r"\{request\.([^{}\s]+)\}")

own = os.environ["OWN"]
own_names = {name.lower() for name in os.environ.get("OWN_NAMES", "").split()} | {"localhost"}
folder = pathlib.Path(os.environ.get("LOG", "/log"))
names: dict[str, str] = {}
"""address handed out → name asked for"""
addresses: dict[str, str] = {}


recorded = pathlib.Path("/opt/egress/recordings.json")
recordings: list[dict[str, Any]] = json.loads(recorded.read_text(encoding="utf-8")) if recorded.exists() else []
recorded_hosts = {recording["host"] for recording in recordings}


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


def write(file: str, **entry: object) -> None:
    with (folder / file).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"at": now(), **entry}) + "\n")


def log(protocol: str, host: str, port: int, path: str = "", *, answered: bool = False) -> None:
    write("egress.jsonl", protocol=protocol, host=host, port=port, path=path, answered=answered)


# ------------------------------------------------------------------------------------------------------------- DNS


def address_of(name: str) -> str:
    if name in own_names:
        return "127.0.0.1" if name == "localhost" else own
    if name not in addresses:
        address = str(ipaddress.IPv4Address("198.18.0.1") + len(addresses) % 131070)
        addresses[name] = address
        names[address] = name
    return addresses[name]


def dns_answer(query: bytes) -> bytes:
    """A answers with an address, everything else is empty: no IPv6, no MX, no TXT, so that callers fall back to A."""
    position, labels = 12, []
    while query[position]:
        length = query[position]
        labels.append(query[position + 1 : position + 1 + length])
        position += length + 1
    name = b".".join(labels).decode("ascii", "replace").lower()
    kind = struct.unpack(">H", query[position + 1 : position + 3])[0]
    question = query[12 : position + 5]
    record = b""
    if kind == 1:
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address_of(name))
    if name not in own_names and kind in (1, 28):
        if kind == 1:
            log("dns", name, 53)
    elif name not in own_names:
        log("dns", name, 53, path={15: "MX", 16: "TXT", 33: "SRV"}.get(kind, str(kind)))
    return query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, 1 if record else 0, 0, 0) + question + record


class Resolver(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        with contextlib.suppress(IndexError, struct.error):  # not a DNS question: no answer is due
            self.transport.sendto(dns_answer(data), peer)


async def dns_over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(IndexError, struct.error, asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        while True:
            length = struct.unpack(">H", await asyncio.wait_for(reader.readexactly(2), PATIENCE))[0]
            answer = dns_answer(await asyncio.wait_for(reader.readexactly(length), PATIENCE))
            writer.write(struct.pack(">H", len(answer)) + answer)
            await writer.drain()
    writer.close()


# ----------------------------------------------------------------------------------------------------- connections


def original_target(writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Where the client meant to go, before the rules turned it here. A browser, which stands outside, comes straight to CONNECTIONS."""
    try:
        raw = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    except OSError:
        return "", CONNECTIONS
    port, packed = struct.unpack(">2xH4s8x", raw)
    address = socket.inet_ntoa(packed)
    return names.get(address, address), port


def server_name(hello: bytes) -> str:
    """The SNI of a TLS ClientHello; '' when it carries none (RFC 8446 4.1.2, RFC 6066 3)."""
    try:
        position = 5 + 4 + 2 + 32
        position += 1 + hello[position]
        position += 2 + struct.unpack(">H", hello[position : position + 2])[0]
        position += 1 + hello[position]
        position += 2
        while position + 4 <= len(hello):
            kind, length = struct.unpack(">HH", hello[position : position + 4])
            if kind == 0:
                size = struct.unpack(">H", hello[position + 7 : position + 9])[0]
                return hello[position + 9 : position + 9 + size].decode("ascii", "replace")
            position += 4 + length
    except (IndexError, struct.error):
        pass
    return ""


async def first_bytes(reader: asyncio.StreamReader) -> bytes:
    """The client's first record or request head. b'' when it says nothing."""
    data = await asyncio.wait_for(reader.read(16384), PATIENCE)
    while data:
        if data[:1] == b"\x16":
            if len(data) >= 5 and len(data) >= 5 + struct.unpack(">H", data[3:5])[0]:
                break
        elif (
            b"\r\n\r\n" in data
            or not data[:1].isalpha()
            or (b"\r\n" not in data and len(data) > 4096)
            or not data.split(b" ", 1)[0].isupper()
        ):
            break
        more = await asyncio.wait_for(reader.read(16384), PATIENCE)
        if not more or len(data) > 65536:
            break
        data += more
    return data


REFUSAL = b"This is a staging copy: it reaches nothing outside.\n"
REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nX-Updater-Staging: blocked\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL)
)


class Plain:
    """A connection whose first bytes were read already."""

    def __init__(self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.data, self.reader, self.writer = data, reader, writer

    async def read(self) -> bytes:
        """b'' at the end."""
        data, self.data = self.data or await asyncio.wait_for(self.reader.read(65536), PATIENCE), b""
        return data

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


class Secure:
    """The server's end of TLS on such a connection; asyncio's own would want the client's hello unread."""

    def __init__(self, line: Plain, host: str) -> None:
        self.line = line
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = certified(host).wrap_bio(self.coming, self.going, server_side=True)

    async def greet(self) -> None:
        """ssl.SSLError when the client trusts no certificate of ours."""
        await self.until_done(self.tls.do_handshake)

    async def read(self) -> bytes:
        try:
            return await self.until_done(lambda: self.tls.read(65536))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def write(self, data: bytes) -> None:
        await self.until_done(lambda: self.tls.write(data))

    async def end(self) -> None:
        """Say that nothing follows: PHP's streams take a connection that merely ends for one that was cut."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        await self.flush()

    async def until_done(self, act: Any) -> Any:
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                await self.flush()
                data = await self.line.read()
                self.coming.write(data) if data else self.coming.write_eof()
            finally:
                await self.flush()

    async def flush(self) -> None:
        if self.going.pending:
            await self.line.write(self.going.read())


async def serve(line: Plain | Secure, protocol: str, host: str, port: int) -> bool:
    """Answer one HTTP request from a recording, or refuse it with 503; either is logged with the path. False when it is none."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < 65536:
        more = await line.read()
        data += more
        if not more or (protocol == "http" and not is_http(data)):
            break
    head, _, body = data.partition(b"\r\n\r\n")
    if not is_http(data):
        return False
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target = first.split(" ")[:2]
    if method == "CONNECT":
        log("https", target.rsplit(":", 1)[0], int(target.rsplit(":", 1)[-1]), path="by proxy")
        await line.write(REFUSED)
        return True
    pairs = [it.partition(":") for it in rest]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if protocol == "http":
        host = headers.get("host", host).rsplit(":", 1)[0].lower()
    found = recording_of(host, method, target) if host in recorded_hosts else None
    if found is None:
        # What a service is asked may hold keys: of a host that is read here although it speaks TLS, no query is told.
        log(protocol, host, port, path=f"{method} {target.partition('?')[0] if host in recorded_hosts else target}")
        await line.write(REFUSED)
        return True
    if headers.get("expect", "").lower() == "100-continue":
        await line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await whole_body(line, headers, body)
    path, _, query = target.partition("?")
    told = f"{method} {found['path']}"  # as site.yml has it: a path may hold a key
    log(protocol, host, port, path=told, answered=True)
    if method != "OPTIONS":
        write(
            "answered.jsonl", host=host, method=method, path=path, query=query, recording=found["path"],
            type=headers.get("content-type", ""), authorization=headers.get("authorization", ""),
            body=base64.b64encode(body[:KEPT]).decode(), cut=len(body) > KEPT,
        )  # fmt: skip
    await line.write(answer(found, method, headers, query, body))
    return True


def is_http(data: bytes) -> bool:
    """Whether these first bytes are a request's, or may become one."""
    first, end, _ = data.partition(b"\r\n")
    words = first.split(b" ")
    return words[0].isupper() and (not end or (len(words) == 3 and words[2].startswith(b"HTTP/")))


def recording_of(host: str, method: str, target: str) -> dict[str, Any] | None:
    """The first that fits. A browser's question whether it may ask (OPTIONS) fits where what it means to send does."""
    path = target.partition("?")[0]
    fitting = (it for it in recordings if it["host"] == host and fnmatch.fnmatchcase(path, it["path"]))
    return next((it for it in fitting if method == "OPTIONS" or it["method"] in ("", method)), None)


async def whole_body(line: Plain | Secure, headers: dict[str, str], body: bytes) -> bytes:
    """What comes after the head, as far as LARGEST_REQUEST; without its chunks' sizes."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while not body.endswith(b"0\r\n\r\n") and len(body) < LARGEST_REQUEST and (more := await line.read()):
            body += more
        whole = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            length = int(size.split(b";")[0] or b"0", 16)
            whole, body = whole + rest[:length], rest[length + 2 :] if length else b""
        return whole
    wanted = min(int(headers.get("content-length") or 0), LARGEST_REQUEST)
    while len(body) < wanted and (more := await line.read()):
        body += more
    return body


def answer(recording: dict[str, Any], method: str, headers: dict[str, str], query: str, body: bytes) -> bytes:
    """The recording, with what it repeats of the request. A page of the shop may read it, whatever its own headers say of that."""
    said = {name.lower(): (name, value) for name, value in recording["headers"].items()}
    for name in ("content-length", "transfer-encoding", "content-encoding", "connection"):
        said.pop(name, None)  # as it was recorded; this one goes out plain
    if headers.get("origin"):
        for name, value in (
            ("Access-Control-Allow-Origin", headers["origin"]),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", headers.get("access-control-request-method", method)),
            ("Access-Control-Allow-Headers", headers.get("access-control-request-headers", "")),
        ):
            said[name.lower()] = (name, value)
    if method == "OPTIONS":
        status, content = 204, b""
    else:
        status = recording["status"]
        asked = fields_of(query, headers.get("content-type", ""), body)
        quoted = "json" in said.get("content-type", ("", ""))[1].lower()
        content = filled(recording["body"], asked, quoted=quoted).encode()
        said = {key: (name, filled(value, asked, quoted=False)) for key, (name, value) in said.items()}
    lines = [f"HTTP/1.1 {status} Recorded", *(f"{name}: {value}" for name, value in said.values())]
    lines += [f"Content-Length: {len(content)}", "Connection: close", "X-Updater-Staging: recorded"]
    clean = (line.replace("\r", "").replace("\n", "") for line in lines)
    return "\r\n".join(clean).encode() + b"\r\n\r\n" + content


def fields_of(query: str, kind: str, body: bytes) -> Any:
    """What can be named of a request: its JSON, else its form's fields, over those of its query."""
    named: dict[str, Any] = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    text = body.decode("utf-8", "replace")
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError):
        sent = dict(urllib.parse.parse_qsl(text, keep_blank_values=True)) if "form-urlencoded" in kind else {}
    return {**named, **sent} if isinstance(sent, dict) else sent


def filled(text: str, asked: Any, *, quoted: bool) -> str:
    """`{request.amount.value}` and the like as the request has them, '' where it has none. `quoted`: inside a JSON string."""

    def value(match: re.Match[str]) -> str:
        found = field_of(asked, match[1])
        words = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        return json.dumps(words, ensure_ascii=False)[1:-1] if quoted else words

    return FIELD.sub(value, text)


def field_of(asked: Any, name: str) -> Any:
    """`amount.value`, `items[0].price`; a form's field by its whole name. '' when there is none."""
    if isinstance(asked, dict) and name in asked:
        return asked[name]
    for part in re.findall(r"[^.\[\]]+", name):
        if isinstance(asked, dict):
            asked = asked.get(part, "")
        elif isinstance(asked, list) and part.isdigit() and int(part) < len(asked):
            asked = asked[int(part)]
        else:
            return ""
    return asked


class Door:
    """The line that the updater holds to /run/door while its stack may reach named hosts. Nobody holds it: nothing leaves."""

    def __init__(self) -> None:
        self.allowed: frozenset[str] = frozenset()
        self.line: asyncio.StreamWriter | None = None
        self.talks: dict[int, asyncio.StreamWriter] = {}
        self.number = 0

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.line = writer
        try:
            while True:
                number, kind, length = FRAME.unpack(await reader.readexactly(FRAME.size))
                content = await reader.readexactly(length)
                if kind == HELLO:
                    self.allowed = frozenset(content.decode().split())
                    await self.send(0, HELLO)
                elif kind == DATA and number in self.talks:
                    with contextlib.suppress(ConnectionError):
                        self.talks[number].write(content)
                        await self.talks[number].drain()
                elif kind == CLOSE and number in self.talks:
                    self.talks.pop(number).close()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.allowed, self.line = frozenset(), None
            for talk in self.talks.values():
                talk.close()
            self.talks.clear()
            writer.close()

    async def send(self, number: int, kind: int, content: bytes = b"") -> None:
        if self.line is not None:
            self.line.write(FRAME.pack(number, kind, len(content)) + content)
            await self.line.drain()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
        self.number += 1
        number = self.number
        self.talks[number] = writer
        await self.send(number, OPEN, target.encode())
        while data := await reader.read(65536):
            await self.send(number, DATA, data)
        await self.send(number, CLOSE)
        self.talks.pop(number, None)


door = Door()


async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host, port = "", 0
    try:
        host, port = original_target(writer)
        if f"{host}:{port}" in door.allowed:
            await door.relay(reader, writer, f"{host}:{port}")
            return
        if port in MAIL_PORTS:
            if port == TLS_MAIL_PORT:
                await writer.start_tls(certified(host))
            await Mail(reader, writer, host, port).talk()
            return
        if port in GREETED:
            log("tcp", host, port)
            return
        data = await first_bytes(reader)
        line = Plain(data, reader, writer)
        browser = port == CONNECTIONS
        if browser:
            port = 443 if data[:1] == b"\x16" else 80
        if data[:1] == b"\x16":
            host = (server_name(data) or host).lower()
            if host in recorded_hosts:
                await serve_securely(line, host, port, browser=browser)
                return
            log("https" if port == 443 else "tls", host, port)
            await line.write(b"\x15\x03\x01\x00\x02\x02\x31")  # fatal alert: access_denied
        elif not (data and await serve(line, "http", host, port)):
            log("tcp", host, port)
    except (TimeoutError, ConnectionError, ssl.SSLError, OSError, ValueError) as error:
        log("tcp", host, port, path=f"{type(error).__name__}")
    finally:
        with contextlib.suppress(ConnectionError, OSError, ssl.SSLError):
            writer.close()


async def serve_securely(line: Plain, host: str, port: int, *, browser: bool) -> None:
    """`browser`: one that trusts any certificate, and hangs up once before it does."""
    secure = Secure(line, host)
    try:
        await secure.greet()
        if not await serve(secure, "https", host, port):
            log("https", host, port, path="no HTTP")
        await secure.end()
    except ssl.SSLError as error:
        if not browser:
            log("https", host, port, path=f"staging's certificate was not trusted ({error.reason or 'it hung up'})")


contexts: dict[str, ssl.SSLContext] = {}


def certified(host: str) -> ssl.SSLContext:
    """A server context whose certificate names `host`, signed by the stack's throw-away CA (which its web trusts)."""
    if host not in contexts:
        with tempfile.TemporaryDirectory() as scratch:
            key, request, certificate, names_file = (pathlib.Path(scratch) / name for name in ("k", "r", "c", "n"))
            alternative = "IP" if host.replace(".", "").isdigit() else "DNS"
            names_file.write_text(f"subjectAltName={alternative}:{host}\n")
            for command in (
                [
                    "openssl",
                    "req",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-keyout",
                    key,
                    "-out",
                    request,
                    "-subj",
                    "/CN=staging",
                ],
                [
                    "openssl",
                    "x509",
                    "-req",
                    "-in",
                    request,
                    "-CA",
                    "/opt/egress/ca.pem",
                    "-CAkey",
                    "/opt/egress/ca.key",
                    "-CAcreateserial",
                    "-days",
                    "30",
                    "-extfile",
                    names_file,
                    "-out",
                    certificate,
                ],
            ):
                subprocess.run(command, check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            contexts[host] = context
    return contexts[host]


# ------------------------------------------------------------------------------------------------------------ mail


class Mail:
    """One SMTP session (RFC 5321) that believes everyone and keeps everything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        self.reader, self.writer, self.host, self.port = reader, writer, host, port
        self.recipients: list[str] = []
        self.secure = port == TLS_MAIL_PORT

    async def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def line(self) -> str:
        return (await asyncio.wait_for(self.reader.readline(), 60)).decode("utf-8", "replace").rstrip("\r\n")

    async def talk(self) -> None:
        await self.say("220 staging mail trap")
        while line := await self.line():
            word = line[:4].upper()
            if word == "EHLO":
                await self.greet()
            elif word == "STAR" and not self.secure:
                await self.say("220 go ahead")
                await self.writer.start_tls(certified(self.host))
                self.secure, self.recipients = True, []
            elif word == "AUTH":
                await self.authenticate(line)
            elif word == "RCPT":
                self.recipients.append(line.split(":", 1)[-1].split(">")[0].strip(" <"))
                await self.say("250 ok")
            elif word == "DATA":
                await self.take()
            elif word == "QUIT":
                await self.say("221 bye")
                return
            else:
                await self.say("250 ok")

    async def greet(self) -> None:
        abilities = ["trap", "8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN", *([] if self.secure else ["STARTTLS"])]
        await self.say("\r\n".join(f"250{'-' if ability != abilities[-1] else ' '}{ability}" for ability in abilities))

    async def authenticate(self, line: str) -> None:
        """Credentials are read off the wire and not kept."""
        words = line.split()
        questions = {"LOGIN": ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], "PLAIN": [""]}.get(
            words[1].upper() if words[1:] else "", []
        )
        for question in questions[max(0, len(words) - 2) :]:
            await self.say(f"334 {question}")
            await self.line()
        await self.say("235 welcome")

    async def take(self) -> None:
        await self.say("354 go on")
        lines: list[bytes] = []
        size = 0
        while (line := await asyncio.wait_for(self.reader.readline(), 60)) not in (b".\r\n", b".\n", b""):
            size += len(line)
            if size <= LARGEST_MAIL:
                lines.append(line[1:] if line.startswith(b".") else line)
        if line:
            message = base64.b64encode(b"".join(lines)).decode()
            write("mail.jsonl", host=self.host, port=self.port, recipients=self.recipients, message=message)
            await self.say("250 kept")
        self.recipients = []


async def main() -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Resolver, local_addr=("0.0.0.0", DNS))
    await asyncio.start_server(dns_over_tcp, "0.0.0.0", DNS)
    await asyncio.start_unix_server(door.hold, "/run/door")
    await asyncio.start_server(connection, "0.0.0.0", CONNECTIONS)
    for file in ("egress.jsonl", "mail.jsonl", "answered.jsonl"):
        (folder / file).touch()
    (folder / "ready").touch()
    await asyncio.Event().wait()


asyncio.run(main())
