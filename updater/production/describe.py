"""What a server is, for the passport of a site: read once, without its secrets."""

from __future__ import annotations

import re
import socket

import httpx
from cryptography.x509.oid import NameOID

from updater.model import Certificate, Installation, ServerFacts, Site
from updater.production import look, web
from updater.production.database import own_tables, read_database
from updater.production.host import Host

_ASK = r"""
. /etc/os-release 2>/dev/null; printf 'system=%s\n' "${PRETTY_NAME:-$(uname -sr)}"
printf 'disk=%s\n' "$(df -Pk -- "$1" 2>/dev/null | awk 'END {print $2, $4}')"
echo --cron--
crontab -l 2>/dev/null; exit 0
"""
_MASKED = "…"
_SECRETS = (
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)"), rf"\1{_MASKED}\2"),
    (re.compile(r"(\?)[^\s'\"]+"), rf"\1{_MASKED}"),
    (
        re.compile(r"((?:pass|passw|password|pwd|key|token|secret|auth)\w*\s*[=:]\s*)\S+", re.IGNORECASE),
        rf"\1{_MASKED}",
    ),
    (re.compile(r"(--?\w*(?:pass|pwd|key|token|secret)\w*[ =])\S+", re.IGNORECASE), rf"\1{_MASKED}"),
    (re.compile(r"(\s-p)(?!ort\b)[^\s/]\S*"), rf"\1{_MASKED}"),
    (re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{20,}\b"), _MASKED),
)


def describe(host: Host, site: Site, installation: Installation) -> ServerFacts:
    """CommandFailed when the server or its database does not answer."""
    head, _, cron = host.run(["sh", "-c", _ASK, "sh", site.docroot]).text.partition("--cron--\n")
    told = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    disk = [int(word) * 1024 for word in told.get("disk", "").split() if word.isdigit()]
    tables = read_database(host, installation).tables
    own = own_tables(tables, installation.database.prefix)
    return ServerFacts(
        system=told.get("system", ""),
        web_server=_web_server(site),
        disk_total=disk[0] if len(disk) == 2 else None,
        disk_free=disk[1] if len(disk) == 2 else None,
        cron=tuple(masked(line) for line in cron.splitlines() if line.strip() and not line.lstrip().startswith("#")),
        tables=len(own),
        table_bytes=sum(tables[name].bytes for name in own),
        certificates=tuple(_certificate(site, name) for name in site.names),
        user=host.server.user,
    )


def masked(line: str) -> str:
    """A line of a crontab that shows what runs and when, and no password, key or query: they open something."""
    for pattern, instead in _SECRETS:
        line = pattern.sub(instead, line)
    return line


def _web_server(site: Site) -> str:
    with web.client(site, timeout=15.0) as http:
        try:
            return str(http.get(f"{site.url}/").headers.get("Server", ""))
        except httpx.HTTPError:
            return ""


def _certificate(site: Site, name: str) -> Certificate:
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
        addresses = tuple(sorted({str(entry[4][0]) for entry in found}))
    except OSError:
        addresses = ()
    shown = look.certificate(site, name)
    if shown is None:
        return Certificate(name, addresses)
    issuers = shown.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) or shown.issuer.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    return Certificate(name, addresses, str(issuers[0].value) if issuers else "", shown.not_valid_after_utc)
