"""A light look at production: does the shop answer with real content, and what its server says of itself. Reads only."""

from __future__ import annotations

import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from updater.errors import CommandFailed
from updater.model import Layout, Site
from updater.production import web
from updater.production.host import Host
from updater.production.patterns import excluded

AGAIN = 10.0
"""Seconds until a page that failed is asked once more"""
_PATIENCE = 30.0
_FAULTS = {
    "shows PHP's fatal error": r"(fatal|parse) error(</b>)?:|Uncaught (Error|Exception)|critical error on this",
    "says that the database is not reached": r"error establishing a database connection|SQLSTATE\[HY000\]"
    r"|ошибка (соединения|подключения).{0,20}баз",
    "is a maintenance page": r"briefly unavailable|under maintenance|техническ\w+ (работы|обслуживани)|ведутся работы",
    "is the hosting's own": r"account (has been )?suspended|domain is parked|сайт (заблокирован|отключ[её]н)|<title>index of /",
}
_CODE = ("*.php*", "*.phtml", "*.phar", "*.inc", "*.js", ".htaccess", ".user.ini")
_EXECUTED = ("*.php*", "*.phtml", "*.phar", ".htaccess")
_NAMED = 200
"""At most so many files are named"""


@dataclass(frozen=True, slots=True)
class WebLook:
    """What a visitor meets. `problem` is '' when the home page came with real content, also past any cache."""

    status: int
    seconds: float | None
    problem: str
    certificate_ends: datetime | None
    """The first of all the site's names whose certificate ends; None without https"""


@dataclass(frozen=True, slots=True)
class LogPlace:
    """How far the access log was read."""

    path: str
    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class ServerLook:
    """None where it cannot be known there."""

    clock: int
    """The server's own, seconds since 1970: the mark from which the next look goes on"""
    closed_by: str
    """The run of ours that holds the site on the server now; '' when none does"""
    deployed: int
    """When a deployment of ours last ended there; 0 when none did"""
    disk_free: float | None
    log: LogPlace | None
    requests: int | None
    client_errors: int | None
    server_errors: int | None
    changed: tuple[str, ...] | None
    """Files with code that were written since the mark, by whomever; those that only we deployed are not among them"""
    executable_media: tuple[str, ...] | None
    """Of these, files that run as code and lie where only uploads belong"""


# ------------------------------------------------------------------------------------------------------ from outside


def from_outside(site: Site, *, wait: Callable[[float], None] = time.sleep) -> WebLook:
    """The home page as a visitor gets it. What fails is asked once more after AGAIN seconds: one lost packet is no outage."""
    ends = certificate_ends(site)
    first = _home(site, ends)
    if not first.problem:
        return first
    wait(AGAIN)
    return _home(site, ends)


def _home(site: Site, ends: datetime | None) -> WebLook:
    begun = time.monotonic()
    with web.client(site, timeout=_PATIENCE) as http:
        try:
            page = http.get(f"{site.url}/")
            seconds = round(time.monotonic() - begun, 3)
            problem = page_problem(site, page)
            if not problem:
                # A cache may go on answering for a shop that died: nobody has asked for this address before.
                unknown = http.get(f"{site.url}/", params={"updater-watch": secrets.token_hex(8)})
                problem = page_problem(site, unknown)
                problem = f"only a cache still answers; behind it: {problem}" if problem else ""
        except httpx.HTTPError as failure:
            return WebLook(0, None, f"no answer: {failure or type(failure).__name__}", ends)
    return WebLook(page.status_code, None if problem else seconds, problem, ends)


def page_problem(site: Site, page: httpx.Response) -> str:
    """Why this is not the shop's page, '' when it is: 200 alone proves nothing."""
    if page.status_code != httpx.codes.OK:
        return f"HTTP {page.status_code}"
    if page.url.host not in site.names:
        return f"it leads to {page.url.host}"
    text = page.text
    for what, pattern in _FAULTS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return f"the page {what}"
    if not re.search(r"<title[^>]*>\s*[^<\s]", text, re.IGNORECASE):
        return "the page has no title"
    if "</html>" not in text.lower():
        return "the page ends in the middle"
    return ""


def certificate_ends(site: Site) -> datetime | None:
    """When the first certificate of the site's names ends. Names that do not answer are left out: the page tells of that."""
    found = [ends for name in site.names if (shown := certificate(site, name)) and (ends := shown.not_valid_after_utc)]
    return min(found, default=None)


def certificate(site: Site, name: str) -> x509.Certificate | None:
    """What is shown under one of the site's names, valid or not; None without https or an answer."""
    parts = urlsplit(site.url)
    if parts.scheme != "https":
        return None
    context = ssl.create_default_context()
    context.check_hostname = False  # an expired or foreign certificate is what we want to read
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((site.address or name, parts.port or 443), timeout=_PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=name) as wrapped,
        ):
            raw = wrapped.getpeercert(binary_form=True)
    except OSError:
        return None
    return x509.load_der_x509_certificate(raw) if raw else None


# ------------------------------------------------------------------------------------------------------- from inside

_SCRIPT = r"""
docroot=$1 work=$2 since=$3 log=$4 inode=$5 offset=$6
printf 'clock=%s\n' "$(date +%s)"
printf 'closed=%s\n' "$(sed -n 's/^run=//p' "$work/lock/owner" 2>/dev/null)"
deployed=0
for file in "$work"/runs/*/finished; do
    at=$(stat -c %Y "$file" 2>/dev/null) || continue
    [ "$at" -le "$deployed" ] || deployed=$at
done
printf 'deployed=%s\n' "$deployed"
printf 'disk=%s\n' "$(df -Pk -- "$docroot" 2>/dev/null | awk 'END {print $2, $4}')"
[ -n "$log" ] && [ -r "$log" ] || exit 0
now=$(stat -L -c '%i %s' "$log") || exit 0
size=${now#* }
printf 'log=%s\n' "$now"
[ -n "$inode" ] || exit 0
# Rotated: what is new is the new file; the end of the old one is lost.
[ "${now% *}" = "$inode" ] && [ "$size" -ge "$offset" ] || offset=0
printf 'answers=%s\n' "$(tail -c "+$((offset + 1))" "$log" | head -c "$((size - offset))" | awk -F '"' '
    NF > 2 { split($3, part, " "); n++; if (part[1] ~ /^4/) c++; if (part[1] ~ /^5/) e++ } END { print n + 0, c + 0, e + 0 }')"
"""
_LOGS = (
    "~/logs/{host}.access.log",
    "~/logs/{host}-access.log",
    "~/logs/access.log",
    "~/access-logs/{host}-ssl_log",
    "~/access-logs/{host}",
    "{docroot}/../logs/access.log",
    "{docroot}/../log/access.log",
    "/var/www/httpd-logs/{host}.access.log",
    "/var/log/nginx/{host}.access.log",
    "/var/log/apache2/{host}-access.log",
    "/var/log/nginx/access.log",
    "/var/log/apache2/access.log",
    "/var/log/httpd/access_log",
)
"""Where hostings put the access log; the first that the ssh user may read is taken."""


def from_inside(host: Host, site: Site, layout: Layout, since: int | None, log: LogPlace | None) -> ServerLook:
    """What the server says. `since` and `log` are from the look before; None at the first one, which only sets the mark.

    CommandFailed when the server does not answer.
    """
    path = site.watch.access_log or (log.path if log else _find_log(host, site))
    known = log if log and log.path == path else None
    place = [str(known.inode), str(known.size)] if known else ["", "0"]
    words = [site.docroot, site.server.work, str(since or 0), path, *place]
    told = dict(
        line.split("=", 1) for line in host.run(["sh", "-c", _SCRIPT, "sh", *words], timeout=120).text.splitlines()
    )
    total, free = _numbers(told.get("disk", ""), 2) or (0, 0)
    seen = _numbers(told.get("log", ""), 2)
    requests, client, server = _numbers(told.get("answers", ""), 3) or (None, None, None)
    clock, deployed = int(told["clock"]), int(told["deployed"])
    changed = executable = None
    if since is not None:
        mark = max(since, deployed + 2)
        changed = _changed(host, site, layout, mark)
        executable = _written(host, site.docroot, layout.media, _EXECUTED, mark)
    return ServerLook(
        clock=clock,
        closed_by=told.get("closed", ""),
        deployed=deployed,
        disk_free=round(free / total, 4) if total else None,
        log=LogPlace(path, *seen) if seen else None,
        requests=requests,
        client_errors=client,
        server_errors=server,
        changed=changed,
        executable_media=executable,
    )


def _numbers(text: str, count: int) -> tuple[int, ...] | None:
    words = text.split()
    return tuple(map(int, words)) if len(words) == count and all(word.isdigit() for word in words) else None


def _find_log(host: Host, site: Site) -> str:
    candidates = [path.format(host=site.names[0], docroot=site.docroot) for path in _LOGS]
    script = 'for f; do case $f in "~/"*) f=$HOME/${f#"~/"} ;; esac; [ -s "$f" ] && [ -r "$f" ] && { echo "$f"; exit; }; done'
    return host.run(["sh", "-c", script, "sh", *candidates], check=False).text.strip()


def _changed(host: Host, site: Site, layout: Layout, since: int) -> tuple[str, ...] | None:
    """Code written since then, in the whole docroot but where uploads and caches lie."""
    left_out = [*layout.media, *layout.caches]
    found = _written(host, site.docroot, ["."], _CODE, since, left_out)
    out = excluded(site.clone.exclude)
    return None if found is None else tuple(path for path in found if not out(path))


def _written(
    host: Host, docroot: str, below: Sequence[str], names: Sequence[str], since: int, left_out: Sequence[str] = ()
) -> tuple[str, ...] | None:
    """By ctime, which a hand that sets the clock of a file back does not reach. None where `find` cannot tell."""
    if not below:
        return ()
    pruned = [word for path in left_out for word in ("-path", f"./{path}", "-prune", "-o")]
    either = [word for name in names for word in ("-o", "-name", name)][1:]
    # Our own one-time files; and what a CMS writes at each update check has no code in it.
    test = ["-type", "f", "!", "-name", "updater-*", "-newerct", f"@{since}", "(", *either, ")", "-print"]
    script = 'cd -- "$1" && shift && n=$1 && shift && find -H "$@" 2>/dev/null | head -n "$n"; exit 0'
    probe = host.run(["sh", "-c", "find / -maxdepth 0 -newerct @0 >/dev/null 2>&1"], check=False)
    if probe.exit_code != 0:
        return None
    roots = [path if path == "." else f"./{path}" for path in below]
    done = host.run(["sh", "-c", script, "sh", docroot, str(_NAMED), *roots, *pruned, *test], timeout=600, check=False)
    if done.exit_code != 0:
        raise CommandFailed("the docroot could not be searched", where=host.where, cause=done.stderr.strip()[-500:])
    return tuple(sorted(line.removeprefix("./") for line in done.text.splitlines()))


def days_left(ends: datetime | None, at: datetime) -> int | None:
    """Whole days until then; negative when it is over."""
    return None if ends is None else (ends.astimezone(UTC) - at).days
