"""The pages that the sitemap lists, or the named ones link to, some of each kind, fetched without a browser: what answers, how fast,
with how many queries.

Smoke tests look closely at a few pages; a fault of archives by month or of one product is found here. Speed is compared with the
un-updated shop; when the updated one is slower, that one is measured again in the same minutes before anything is believed.
"""

from __future__ import annotations

import html
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from urllib.parse import urljoin, urlsplit

import httpx

from updater.checks import calls
from updater.checks.observation import Crawl, CrawledPage, Observation, Target
from updater.language import counted, sentence
from updater.model import Check, Finding, Status

CRAWL, SPEED = "crawl", "speed"
"""The names of the two checks."""

MOST_PAGES = 50
MOST_SITEMAPS = 20
MOST_BYTES = 20_000_000
"""Of one answer: what comes after that is not read. A sitemap may hold 50,000 addresses."""
TAKES = 3
"""Of the first page of each kind: the fastest is what the page needs, the rest is what else this machine did."""
FIRST_SECONDS, LATER_SECONDS = 60.0, 240.0
"""The first crawl of a run leaves out what it does not reach in that time; one that looks for the same pages has longer, and what it
does not reach then is a finding."""
TIMEOUT = 30.0
"""Seconds. A page that takes longer has no answer."""
SLOWER, SECONDS_MORE = 2.0, 0.3
"""A page is slower when it takes more than twice as long and 0.3 s more: below that nobody waits."""
BUSIER, QUERIES_MORE = 1.5, 20
"""As above, of the database's queries per page. They hardly vary by themselves."""
LEAST_TEXT = 20
"""As smoke_tests: characters below which a page is empty."""

_SITEMAPS = ("/sitemap.xml", "/sitemap_index.xml")
"""Where one is looked for that robots.txt does not name; either may lead elsewhere."""
_LOC = re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*(.*?)\s*(?:\]\]>)?\s*</loc>", re.S)
_PHP = re.compile(
    r"((?:fatal error|parse error|warning|notice|deprecated)(?:</b>)?:\s+.{1,300}?) in (?:<b>)?/\S+ on line",
    re.I | re.S,
)
_FOREIGN = re.compile(r"<(?:script|iframe|form)\b[^>]*?\s(?:src|action)=[\"']?((?:https?:)?//[^\"'\s>]+)", re.I)
_LINK = re.compile(r"<a\b[^>]*?\shref=[\"']?([^\"'#>\s]+)", re.I)
_DOES = re.compile(r"add|remove|delete|log-?out|subscribe|currency|wishlist|compare|action=", re.I)
"""In an address: following it is no mere look"""
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.I | re.S)


def crawl(
    target: Target,
    pages: Sequence[str],
    *,
    like: Crawl | None = None,
    queries: Callable[[], int] | None = None,
    seconds: float | None = None,
) -> Crawl:
    """Fetch `pages` and up to MOST_PAGES of the sitemap, one after another, as a visitor without cookies. Without a sitemap: of what
    those pages link to.

    `like`: fetch the pages that this crawl fetched. `queries`: how many the database was asked since it started.
    `seconds`: until no further page is asked for; None is FIRST_SECONDS, with `like` LATER_SECONDS.
    A page that does not answer is a result and no exception.
    """
    with _Visitor(target) as visitor:
        listed = _listed(visitor)
        wanted = [(page.path, page.kind) for page in like.pages] if like else _pages(visitor, listed, pages)
        by_kind: dict[str, list[str]] = defaultdict(list)
        for path, kind in wanted:
            by_kind[kind].append(path)
        found: list[CrawledPage] = []
        asked: dict[str, float] = {}
        default = LATER_SECONDS if like else FIRST_SECONDS
        until = time.monotonic() + (default if seconds is None else seconds)
        total = queries() if queries else 0
        for kind, paths in by_kind.items():
            fetched = 0
            for path in paths:
                if time.monotonic() > until:
                    found += [CrawledPage(path, kind, "nothing in time", 0.0)] if like else []
                    continue
                takes = TAKES if path == paths[0] else 1
                found.append(visitor.look_at(path, kind, takes))
                fetched += takes
            if queries and fetched:
                earlier, total = total, queries()
                asked[kind] = (total - earlier) / fetched
    return Crawl(len(listed), tuple(found), asked)


def pass_by(target: Target, visits: int) -> None:
    """So many visits of the home page: what turns with each visit, a banner or a counter, is shown at another place of its round."""
    with _Visitor(target) as visitor:
        for _ in range(visits):
            visitor.get("/")


class _Visitor:
    """Someone without cookies, for whom the site's names lead to the target's addresses. Follows nothing."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        self._url = target.url
        self._hosts = {**target.hosts}
        self._port = f":{parts.port}" if parts.port else ""
        self._host, self._scheme = parts.hostname or "", parts.scheme
        self._http = httpx.Client(verify=not target.trust_any_certificate, timeout=TIMEOUT, trust_env=False)

    def __enter__(self) -> _Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def own(self, url: str) -> bool:
        """Whether it leads to this site; what is no address leads nowhere."""
        try:
            return urlsplit(urljoin(self._url, url)).hostname in self._hosts
        except ValueError:
            return False

    def get(self, path: str) -> httpx.Response | None:
        """None when no whole answer came in TIMEOUT seconds."""
        if not path.startswith("/"):  # an address under another of the site's names
            parts = urlsplit(path)
            host, path = parts.hostname or "", _path(path)
        else:
            host = self._host
        address = self._hosts.get(host, host)
        place = f"[{address}]" if ":" in address else address
        until, content = time.monotonic() + TIMEOUT, b""
        try:
            with self._http.stream(
                "GET",
                f"{self._scheme}://{place}{self._port}{path}",
                headers={"Host": f"{host}{self._port}", "User-Agent": "cms-updater"},
                extensions={"sni_hostname": host},
            ) as answer:
                for part in answer.iter_bytes():
                    content += part
                    if time.monotonic() > until:
                        return None
                    if len(content) > MOST_BYTES:
                        break
        except (httpx.HTTPError, httpx.InvalidURL):  # what a sitemap lists is no address by that alone
            return None
        headers = {name: answer.headers[name] for name in ("content-type", "location") if name in answer.headers}
        return httpx.Response(answer.status_code, headers=headers, content=content)

    def look_at(self, path: str, kind: str, takes: int) -> CrawledPage:
        """The fastest of so many takes, and what the last one showed."""
        fastest, answer = TIMEOUT, None
        for _ in range(takes):
            begun = time.monotonic()
            answer = self.get(path)
            fastest = min(fastest, time.monotonic() - begun)
        if answer is None:
            return CrawledPage(path, kind, "no answer", fastest)
        text = answer.text if "html" in answer.headers.get("content-type", "html") else ""
        foreign = {host for found in _FOREIGN.findall(text) if (host := _host(found))}
        return CrawledPage(
            path,
            kind,
            self._says(answer),
            round(fastest, 3),
            " ".join(_TAG.sub(" ", match[1]).split()) if (match := _PHP.search(text)) else "",
            tuple(sorted(host for host in foreign if host not in self._hosts)),
        )

    def _says(self, answer: httpx.Response) -> str:
        """`200`, `301 to /about/`, `200, but empty`."""
        if answer.has_redirect_location:
            to = answer.headers["location"]
            place = _path(urljoin(self._url, to)) if self.own(to) else to
            return f"{answer.status_code} to {place.partition('?')[0]}"
        kind = answer.headers.get("content-type", "html")
        empty = "html" in kind and len("".join(_TAG.sub(" ", answer.text).split())) < LEAST_TEXT
        return f"{answer.status_code}, but empty" if empty else str(answer.status_code)


def _listed(visitor: _Visitor) -> list[tuple[str, str]]:
    """(path, kind) of every address of this site that its sitemap lists, each once."""
    robots = visitor.get("/robots.txt")
    named = re.findall(r"(?im)^sitemap:\s*(\S+)", robots.text) if robots is not None else []
    waiting = [*(_path(url) for url in named if visitor.own(url)), *_SITEMAPS]
    found: dict[str, str] = {}
    seen: set[str] = set()
    while waiting and len(seen) < MOST_SITEMAPS:
        place = waiting.pop(0)
        if place in seen or (place in _SITEMAPS and found):
            continue
        seen.add(place)
        answer = visitor.get(place)
        if answer is not None and answer.has_redirect_location and visitor.own(to := answer.headers["location"]):
            waiting = [_path(urljoin(place, to)), *waiting]
        if answer is None or answer.status_code != httpx.codes.OK:
            continue
        addresses = [url for url in map(html.unescape, _LOC.findall(answer.text)) if visitor.own(url)]
        if "<sitemapindex" in answer.text:
            waiting = [*map(_path, addresses), *waiting]
        else:
            for path in map(_path, addresses):
                found.setdefault(path, _kind(place, path))
    return list(found.items())


def _host(url: str) -> str:
    """'' when there is none, and of what no address can be."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _kind(sitemap: str, path: str) -> str:
    """What kind of page: by the sitemap that lists it, else by the first folder of its address."""
    before, _, behind = re.sub(r"\.xml.*|\d+", "", sitemap.rpartition("/")[2]).partition("sitemap")
    name = re.sub(r"[-_]+", " ", behind.strip("-_") or before.strip("-_"))
    first = path.strip("/").partition("/")
    return name or (first[0] if first[1] else "page")


def _pages(visitor: _Visitor, listed: Sequence[tuple[str, str]], pages: Sequence[str]) -> list[tuple[str, str]]:
    named = ["/", *pages]
    return _sample(listed or _linked(visitor, named), named)


def _linked(visitor: _Visitor, pages: Sequence[str]) -> list[tuple[str, str]]:
    """(path, kind) of every address of this site that these pages link to, each once. Kind: the address without its numbers where
    it is a query, else its first folder."""
    found: dict[str, str] = {}
    for page in dict.fromkeys(pages):
        answer = visitor.get(page)
        if answer is None or answer.status_code != httpx.codes.OK:
            continue
        for link in map(html.unescape, _LINK.findall(answer.text)):
            if visitor.own(link) and not _DOES.search(link):
                path = _path(urljoin(page, link))
                found.setdefault(path, re.sub(r"\d+", "", path) if "?" in path else _kind("", path))
    return list(found.items())


def _sample(listed: Sequence[tuple[str, str]], pages: Sequence[str]) -> list[tuple[str, str]]:
    """The named pages, each a kind of its own, and some of every kind in turn."""
    wanted = {page: page for page in pages}
    kinds: dict[str, list[str]] = defaultdict(list)
    for path, kind in listed:
        kinds[kind].append(path)
    for turn in zip_longest(*kinds.values()):
        for kind, path in zip(kinds, turn, strict=True):
            if path is not None and len(wanted) < MOST_PAGES:
                wanted.setdefault(path, kind)
    return list(wanted.items())


# -------------------------------------------------------------------------------------------------------- comparing


def compare(
    before: Observation,
    noise: Observation,
    after: Observation,
    more_noise: Sequence[Observation] = (),
    known_calls: Collection[str] = (),
) -> tuple[Check, ...]:
    """What the crawl found that the un-updated shop does not show, and which pages became slow. () when nothing was crawled.

    `known_calls`: hosts that pages may load from, as Site.calls."""
    old = [seen.crawl for seen in (before, noise, *more_noise) if seen.crawl is not None]
    if before.crawl is None or after.crawl is None:
        return ()
    findings = [*_sitemap(old, after.crawl), *_answers(old, after.crawl, known_calls)]
    answered = counted("{n} page answers as before", "{n} pages answer as before", len(after.crawl.pages))
    changed = counted("{n} of the crawled pages changed", "{n} of the crawled pages changed", len(findings))
    return (
        _check(CRAWL, findings, answered, changed),
        _speed(old, after.crawl),
    )


def _check(name: str, findings: Sequence[Finding], good: str, bad: str) -> Check:
    if not findings:
        return Check(name, "compare", Status.PASSED, good)
    return Check(name, "compare", Status.FAILED, f"{bad}: {findings[0].message}", findings=tuple(findings))


def _sitemap(old: Sequence[Crawl], new: Crawl) -> Iterator[Finding]:
    fewest = min(crawl.listed for crawl in old)
    if new.listed < fewest:
        said = sentence("the sitemap lists {new} pages instead of {old}", new=new.listed, old=fewest)
        yield Finding(CRAWL, "sitemap", said, str(fewest), str(new.listed))


def _answers(old: Sequence[Crawl], new: Crawl, known_calls: Collection[str]) -> Iterator[Finding]:
    known = [{page.path: page for page in crawl.pages} for crawl in old]
    for page in new.pages:
        earlier = [pages[page.path] for pages in known if page.path in pages]
        if not earlier:
            continue
        was = earlier[0]
        if page.answer not in {it.answer for it in earlier}:
            said = sentence(
                "{page} ({kind}) answers {new} instead of {old}",
                page=page.path,
                kind=page.kind,
                new=page.answer,
                old=was.answer,
            )
            yield Finding(CRAWL, page.path, said, was.answer, page.answer)
        if page.php and page.php not in {it.php for it in earlier}:
            said = sentence("PHP's own words stand on {page}", page=page.path) + f": {page.php}"
            yield Finding(CRAWL, page.path, said, was.php, page.php)
        for host in page.hosts:
            if not any(host in it.hosts for it in earlier) and not calls.is_known(host, known_calls):
                yield Finding(CRAWL, page.path, calls.asks(page.path, host), "", host)


def _speed(old: Sequence[Crawl], new: Crawl) -> Check:
    findings = []
    slowest = _worst({page.path: page.seconds for page in crawl.pages} for crawl in old)
    for page in _timed(new):
        was = slowest.get(page.path)
        if was is not None and page.seconds > SLOWER * was + SECONDS_MORE:
            said = sentence(
                "{page} is {factor:.1f} × slower: {old:.2f} s → {new:.2f} s",
                page=page.path,
                factor=page.seconds / max(was, 0.001),
                old=was,
                new=page.seconds,
            )
            findings.append(Finding(SPEED, page.path, said, f"{was:.2f} s", f"{page.seconds:.2f} s"))
    most = _worst(crawl.queries for crawl in old)
    for kind, number in new.queries.items():
        was = most.get(kind)
        if was is not None and number > BUSIER * was + QUERIES_MORE:
            said = sentence(
                "pages like {kind} ask the database {new:.0f} queries instead of {old:.0f}",
                kind=kind,
                new=number,
                old=was,
            )
            findings.append(Finding(SPEED, kind, said, f"{was:.0f} queries", f"{number:.0f} queries"))
    timed = len(_timed(new))
    alike = counted("{n} page is as fast as before", "{n} pages are as fast as before", timed)
    slower = counted("{n} page became slower", "{n} pages became slower", len(findings))
    return _check(SPEED, findings, alike, slower)


def _timed(crawl: Crawl) -> list[CrawledPage]:
    """The first page of each kind: the ones taken several times."""
    first: dict[str, CrawledPage] = {}
    for page in crawl.pages:
        first.setdefault(page.kind, page)
    return list(first.values())


def _worst(captures: Iterator[Mapping[str, float]] | Sequence[Mapping[str, float]]) -> dict[str, float]:
    worst: dict[str, float] = {}
    for capture in captures:
        for name, value in capture.items():
            worst[name] = max(value, worst.get(name, value))
    return worst
