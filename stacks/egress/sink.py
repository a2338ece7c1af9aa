"""The sink: answers every name, takes every connection, tells nobody outside, and writes down what was tried.

DNS gives each foreign name an address of its own out of 198.18.0.0/15 (RFC 2544, never routed), so that a connection
by any protocol can be named. HTTP gets 503 at once, TLS is read up to the server's name and then refused, SMTP (25,
465, 587) is accepted and kept, anything else is closed. Nothing hangs and nothing answers 200.

Environment: OWN (this namespace's address), OWN_NAMES (names that lead to it), LOG (folder of egress.jsonl, mail.jsonl).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import tempfile

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

own = os.environ["OWN"]
own_names = {name.lower() for name in os.environ.get("OWN_NAMES", "").split()} | {"localhost"}
folder = pathlib.Path(os.environ.get("LOG", "/log"))
names: dict[str, str] = {}
"""address handed out → name asked for"""
addresses: dict[str, str] = {}


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


def write(file: str, **entry: object) -> None:
    with (folder / file).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"at": now(), **entry}) + "\n")


def log(protocol: str, host: str, port: int, path: str = "") -> None:
    write("egress.jsonl", protocol=protocol, host=host, port=port, path=path)


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
    """Where the client meant to go, before the rules turned it here."""
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
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


async def refuse_http(data: bytes, writer: asyncio.StreamWriter, host: str, port: int) -> bool:
    """503 for an HTTP request, with the host and path it named. False when it is none."""
    head = data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    words = head[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        return False
    named = next((line.split(":", 1)[1].strip() for line in head[1:] if line.lower().startswith("host:")), host)
    if words[0] == "CONNECT":
        log("https", words[1].rsplit(":", 1)[0], int(words[1].rsplit(":", 1)[-1]), path="by proxy")
    else:
        log("http", named.rsplit(":", 1)[0], port, path=f"{words[0]} {words[1]}")
    body = b"This is a staging copy: it reaches nothing outside.\n"
    writer.write(
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nX-Updater-Staging: blocked\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()
    return True


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
                await writer.start_tls(mail_tls(host))
            await Mail(reader, writer, host, port).talk()
            return
        if port in GREETED:
            log("tcp", host, port)
            return
        data = await first_bytes(reader)
        if data[:1] == b"\x16":
            log("https" if port == 443 else "tls", server_name(data) or host, port)
            writer.write(b"\x15\x03\x01\x00\x02\x02\x31")  # fatal alert: access_denied
            await writer.drain()
        elif not (data and await refuse_http(data, writer, host, port)):
            log("tcp", host, port)
    except (TimeoutError, ConnectionError, ssl.SSLError, OSError, ValueError) as error:
        log("tcp", host, port, path=f"{type(error).__name__}")
    finally:
        with contextlib.suppress(ConnectionError, OSError, ssl.SSLError):
            writer.close()


# ------------------------------------------------------------------------------------------------------------ mail


contexts: dict[str, ssl.SSLContext] = {}


def mail_tls(host: str) -> ssl.SSLContext:
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
                    "/CN=staging mail trap",
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
                await self.writer.start_tls(mail_tls(self.host))
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
    for file in ("egress.jsonl", "mail.jsonl"):
        (folder / file).touch()
    (folder / "ready").touch()
    await asyncio.Event().wait()


asyncio.run(main())
