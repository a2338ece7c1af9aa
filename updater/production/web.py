"""The shop as the public sees it: one-time files in the docroot, fetched over HTTP, removed whatever happens."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from updater.errors import CommandFailed
from updater.model import Site
from updater.production.host import Host
from updater.resources import package_text
from updater.secrets import register

_LIVES = 300  # seconds that a one-time file stays, and the PHP one answers, should nobody be left to remove it
_HINT = "check `url`, `address`, `tls_ca` and `docroot` in site.yml"


@dataclass(frozen=True, slots=True)
class WebPhp:
    """The PHP that serves the shop, as it described itself over HTTP. `file`: its own path, as that PHP sees it."""

    version: str
    sapi: str
    extensions: tuple[str, ...]
    ini: dict[str, str]
    user: int | None
    file: str
    opcache: bool
    software: str = ""
    """The web server that handed the request to PHP: a proxy in front of it is not told"""


class _AtAddress(httpx.BaseTransport):
    """Sends the site's names to its address, like `curl --resolve`: Host, SNI and certificate stay those of the name."""

    def __init__(self, names: frozenset[str], address: str, context: ssl.SSLContext) -> None:
        self._names = names
        self._address = address
        self._inner = httpx.HTTPTransport(verify=context)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host not in self._names:
            return self._inner.handle_request(request)
        # A request of its own: the other one's URL is what a redirect is relative to, and what the response says it is of.
        aimed = httpx.Request(
            request.method,
            request.url.copy_with(host=self._address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return self._inner.handle_request(aimed)

    def close(self) -> None:
        self._inner.close()


def client(site: Site, *, timeout: float = 30.0) -> httpx.Client:
    """An HTTP client that reaches the site where site.yml says it is. `timeout` in seconds. Follows redirects."""
    context = ssl.create_default_context()
    if site.tls_ca is not None:
        context.load_verify_locations(cafile=str(site.tls_ca))
    # A cache in front may keep a one-time answer only if it ignores this.
    headers = {"Cache-Control": "no-cache", "User-Agent": "cms-updater"}
    names, auth = frozenset(site.names), site.basic_auth

    def log_in(request: httpx.Request) -> None:
        # After a redirect too, from one of its names to another: httpx itself then leaves it out.
        if auth is not None and request.url.host in names:
            request.headers["Authorization"] = register(auth.header)

    hooks = {"request": [log_in]}
    if site.address is None:
        return httpx.Client(verify=context, timeout=timeout, follow_redirects=True, headers=headers, event_hooks=hooks)
    return httpx.Client(
        transport=_AtAddress(names, site.address, context),
        timeout=timeout,
        follow_redirects=True,
        headers=headers,
        trust_env=False,
        event_hooks=hooks,
    )


def read_web_php(host: Host, site: Site) -> WebPhp:
    """Ask the web's PHP what it is. CommandFailed when HTTP does not lead to this docroot or PHP does not run there."""
    with one_time_php(host, site) as ask:
        told = ask("")
    return WebPhp(
        version=told["version"],
        sapi=told["sapi"],
        extensions=tuple(sorted(told["extensions"], key=str.lower)),
        ini=dict(told["ini"]),
        user=told["user"],
        file=told["file"],
        opcache=bool(told["opcache"]),
        software=told["software"],
    )


_DESCRIBE = r"""
$ini = array();
foreach (ini_get_all(null, false) as $key => $value) { $ini[$key] = $value === null ? '' : (string) $value; }
echo json_encode(array('version' => PHP_VERSION, 'sapi' => PHP_SAPI, 'extensions' => get_loaded_extensions(), 'ini' => $ini),
    JSON_PARTIAL_OUTPUT_ON_ERROR);
"""
_COMMAND_LINE = frozenset(
    (
        "display_errors",
        "html_errors",
        "implicit_flush",
        "max_execution_time",
        "memory_limit",
        "output_buffering",
        "register_argc_argv",
    )
)
"""Settings that PHP's command line has its own values of, by its documentation and by distributions' php.ini."""


def read_named_php(host: Host, site: Site) -> WebPhp:
    """The PHP that site.yml names as the web's, asked on the command line: for a user who may only read the docroot.

    What the web's PHP has set for itself stays unknown, and is left to PHP's own defaults.
    """
    assert site.php is not None
    told = json.loads(host.run([site.php, "-d", "display_errors=stderr", "-r", _DESCRIBE]).text)
    ini = {name: value for name, value in told["ini"].items() if name not in _COMMAND_LINE}
    return WebPhp(told["version"], told["sapi"], tuple(sorted(told["extensions"], key=str.lower)), ini, None, "", False)


# Header → what its value says when a page came from a cache in front of the web server.
_CACHED = {
    "cf-cache-status": r"\bhit\b",
    "x-cache": r"\bhit\b",
    "x-cache-status": r"\bhit\b",
    "x-proxy-cache": r"\bhit\b",
    "x-fastcgi-cache": r"\bhit\b",
    "x-nginx-cache": r"\bhit\b",
    "x-litespeed-cache": r"\bhit\b",
    "x-varnish": r"\d+ \d+",
    "age": r"[1-9]",
}


def cache_in_front(site: Site) -> str:
    """The header that says that the shop's first page came from a cache which its own code does not see; '' when none does.

    Asked twice: the first request may be what fills it. CommandFailed when the shop does not answer.
    """
    with client(site) as http:
        get(http, site.url, {"Cache-Control": "max-age=3600"})
        headers = get(http, site.url, {"Cache-Control": "max-age=3600"}).headers
    for name, says in _CACHED.items():
        if re.search(says, headers.get(name, ""), re.IGNORECASE):
            return f"{name}: {headers[name]}"
    return ""


def answers(site: Site, urls: Sequence[str], *, timeout: float = 30.0) -> dict[str, tuple[int, int, str]]:
    """Address → (status, size in bytes, why none came) of pages as the public gets them; status 0 where none came.

    Each is asked with a query of its own, which a cache of pages does not know: what it kept says nothing of the code.
    """
    found = {}
    with client(site, timeout=timeout) as http:
        for url in urls:
            try:
                answer = http.get(httpx.URL(url).copy_merge_params({"updater": secrets.token_hex(8)}))
                found[url] = (answer.status_code, len(answer.content), "")
            except httpx.HTTPError as failure:
                found[url] = (0, 0, str(failure) or type(failure).__name__)
    return found


@contextmanager
def one_time_php(host: Host, site: Site) -> Iterator[Any]:
    """Puts the one-time PHP file into the docroot and yields `ask(query) -> dict`; removes the file at the end."""
    token = secrets.token_urlsafe(32)
    source = (
        package_text("updater.production", "web.php")
        .replace("__EXPIRES__", str(int(time.time()) + _LIVES))
        .replace("__TOKEN_SHA256__", hashlib.sha256(token.encode()).hexdigest())
    )
    with one_time_file(host, site, ".php", source.encode()) as url, client(site) as http:

        def ask(query: str) -> dict[str, Any]:
            answer = get(http, url + query, {"X-Updater-Token": token})
            try:
                told = json.loads(answer.content)
            except ValueError as garbage:
                raise CommandFailed(
                    "the shop's web server did not run a PHP file put into its docroot",
                    where=site.url,
                    cause=f"HTTP {answer.status_code}: {answer.text[:200]!r}",
                    hint=_HINT,
                ) from garbage
            return dict(told)

        yield ask


@contextmanager
def one_time_file(host: Host, site: Site, suffix: str, content: bytes) -> Iterator[str]:
    """A file of unguessable name in the docroot, world-readable; yields its public URL; gone afterwards, whatever died."""
    name = f"updater-{secrets.token_hex(16)}{suffix}"
    with host.lend(f"{site.docroot.rstrip('/')}/{name}", content, 0o644, _LIVES):
        yield f"{site.url.rstrip('/')}/{name}"


def serves(host: Host, site: Site, folder: str) -> str:
    """The address under which the web server gives out a file of this folder on the server, '' when none of those tried does.

    Tried is what a careless configuration leads to: a docroot at the folder or anywhere above it, and `/~user/`.
    """
    real = host.run(["sh", "-c", 'cd -- "$1" && pwd -P', "sh", folder]).text.removesuffix("\n")
    name, nonce = f"served-{secrets.token_hex(16)}.txt", secrets.token_hex(16)
    parts = [part for part in real.split("/") if part]
    below = ["/".join(parts[cut:]) for cut in range(len(parts) + 1)]
    below += [f"~{host.server.user}/{path}" for path in below]
    origin = str(httpx.URL(site.url).join("/"))
    with host.lend(f"{real}/{name}", nonce.encode(), 0o644, _LIVES), client(site) as http:
        for path in below:
            url = f"{origin}{quote(path)}/{name}" if path else f"{origin}{name}"
            if _get(http, url).text.strip() == nonce:
                return url.removesuffix(name)
    return ""


def get(http: httpx.Client, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """GET with any answer accepted but a network failure and a question for a password: these are CommandFailed."""
    answer = _get(http, url, headers)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        known = "Authorization" in answer.request.headers
        raise CommandFailed(
            "the shop's web server asks for a password before it shows anything",
            where=url.split("/updater-", 1)[0],
            cause=f"HTTP 401: {answer.headers.get('WWW-Authenticate', 'it does not say how')}",
            hint="correct basic_auth in site.yml" if known else "name user and password under basic_auth in site.yml",
        )
    return answer


def _get(http: httpx.Client, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    try:
        return http.get(url, headers=headers)
    except httpx.HTTPError as failure:
        raise CommandFailed(
            "the shop does not answer over HTTP", where=url.split("/updater-", 1)[0], cause=str(failure), hint=_HINT
        ) from failure
