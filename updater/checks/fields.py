"""What a request says, as field → value: JSON, forms and what is packed inside them. Keys of a service become a mark that hides them."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SALT = secrets.token_hex(16)
"""Of this run: two hidden values are told apart by their marks, and nothing is told of them."""
MARK = re.compile(r"hidden [0-9a-f]{8}")
"""In place of a value that is not shown"""
MOST_FIELDS, DEEPEST = 400, 12

SIGNED = re.compile(r"sign|hash|crc|hmac|digest", re.I)
"""Fields made of the others and a key: another order has another."""
_SECRET = re.compile(
    rf"{SIGNED.pattern}|pass|pwd|secret|token|auth|log-?in|user-?name|merchant|account|shop_?id|(^|[_.-])(key|pan|cvc|cvv|card)|api_?key",
    re.I,
)
_LONG = re.compile(r"(?=[A-Za-z+_=-]*[0-9])(?=[0-9+_=-]*[A-Za-z])[A-Za-z0-9+_=-]{24,}|[0-9a-fA-F]{32,}")
"""Letters and digits that no person wrote: whatever their field is called, they may open something."""


def of_request(query: str, content_type: str, body: bytes, salt: str = SALT) -> dict[str, str]:
    """`amount.value` → `1290.00`, `receipt.items[0].vat_code` → `1`; an address is split: `return_url`, `return_url?key`."""
    found: dict[str, str] = {}
    for place, value in (*_of_form("query", query), *_of_body(content_type, body)):
        if len(found) < MOST_FIELDS:
            found[place] = hidden(value, salt) if _is_secret(place, value) else value
    return found


def shown_path(path: str, salt: str = SALT) -> str:
    """A path whose parts may be keys, as some services have it (`/bot123:AAF…/sendMessage`)."""
    return "/".join(hidden(part, salt) if _LONG.search(part) or ":" in part else part for part in path.split("/"))


def hidden(value: str, salt: str = SALT) -> str:
    """A mark that is the same for the same value, in this run alone."""
    return f"hidden {hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()[:8]}" if value else ""


def _is_secret(place: str, value: str) -> bool:
    return bool(_SECRET.search(place) or _LONG.search(value))


def _of_body(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    text = body.decode("utf-8", "replace")
    packed = _unpacked(text)
    if packed is not None:
        yield from _flat("", packed, 0)
    elif "form-urlencoded" in content_type:
        yield from _of_form("", text)
    elif content_type.startswith("multipart/form-data"):
        yield from _of_parts(content_type, body)
    elif text:
        yield "body", text


def _of_form(place: str, text: str) -> Iterator[tuple[str, str]]:
    pairs = parse_qsl(text, keep_blank_values=True)
    for number, (name, value) in enumerate(pairs):
        twice = sum(1 for earlier, _ in pairs[:number] if earlier == name)
        yield from _flat(_below(place, f"{name}[{twice}]" if twice else name), value, 0)


def _of_parts(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Of a form that may hold files; of those the name and the length."""
    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    for part in email.message_from_bytes(head + body, policy=email.policy.HTTP).walk():
        if part.is_multipart():
            continue
        name, content = str(part.get_param("name", "", "content-disposition")), part.get_payload(decode=True)
        assert isinstance(content, bytes)
        told = (
            f"{part.get_filename()}, {len(content)} bytes"
            if part.get_filename()
            else content.decode("utf-8", "replace")
        )
        yield from _flat(name, told, 0)


def _flat(place: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST:
        yield place, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Mapping):
        for name, below in value.items():
            yield from _flat(_below(place, str(name)), below, depth + 1)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _flat(f"{place}[{number}]", below, depth + 1)
    elif isinstance(value, str) and (packed := _unpacked(value)) is not None:
        yield from _flat(place, packed, depth + 1)
    elif isinstance(value, str) and re.match(r"https?://\S+$", value):
        yield from _of_address(place, value)
    else:
        yield place, value if isinstance(value, str) else json.dumps(value)


def _of_address(place: str, value: str) -> Iterator[tuple[str, str]]:
    parts = urlsplit(value)
    yield place, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    for name, said in parse_qsl(parts.query, keep_blank_values=True):
        yield f"{place}?{name}", said


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _unpacked(text: str) -> Any:
    """The mapping or list that this text is as JSON: plain, percent-encoded as in a form, or in base64. None when it is none."""
    for read in (str, unquote, _from_base64):
        candidate = read(text).strip()
        if candidate[:1] in ("{", "["):
            try:
                found = json.loads(candidate)
            except (ValueError, RecursionError):
                continue
            return found
    return None


def _from_base64(text: str) -> str:
    if len(text) < 8 or not re.fullmatch(r"[A-Za-z0-9+/_\s-]+=*\s*", text):
        return ""
    try:
        return base64.b64decode(text, altchars=b"-_" if re.search(r"[-_]", text) else None).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
