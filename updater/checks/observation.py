"""What one pass over the shop saw: the value that smoke.py writes, and that visual, facts, logs and verdict read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from updater.cms.base import Jobs, ShopState


@dataclass(frozen=True, slots=True)
class Target:
    """A shop to look at: where its names lead, and what may be done there."""

    url: str
    hosts: Mapping[str, str]
    """host name → address; every other name leads nowhere"""
    trust_any_certificate: bool
    """True for a stack's throw-away certificate only"""
    read_only: bool = False
    """Production: cart and checkout are rendered, nothing is placed, sent or logged in to."""
    recorded: Mapping[str, str] = field(default_factory=dict)
    """Host whose recordings answer pages too → `address:port` of the sink"""
    log_in: tuple[str, str] | None = field(default=None, repr=False)
    """User and password that production's web server asks for"""


def is_address(page: str) -> bool:
    """Whether a page's label is where it was opened, and not the step of a flow: a path, or an address under another of the site's names."""
    return page.startswith(("/", "https://", "http://"))


@dataclass(frozen=True, slots=True)
class Shot:
    """One full-page picture. `file` is relative to the observation's folder; masks are x, y, width, height in pixels."""

    page: str
    viewport: str
    file: str
    sha256: str
    width: int
    height: int
    masks: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PageView:
    """One page opened once. `page` is its label in reports: a flow step (`checkout`) or a path (`/about/`)."""

    page: str
    viewport: str
    url: str
    status: int
    title: str
    console: tuple[str, ...] = ()
    """errors and uncaught exceptions"""
    failed: tuple[str, ...] = ()
    """requests of the site's own hosts that failed or answered 4xx/5xx"""
    seconds: float = 0.0
    asked: tuple[str, ...] = ()
    """other hosts that it asked for something, or told something"""
    pictures: tuple[str, ...] = ()
    """of production alone: addresses of the site's own pictures and films, in every size that the page names"""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where a payment method led the customer's browser away to: `address` is host and path, `fields` as fields.of_request."""

    scope: str
    viewport: str
    method: str
    address: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Test:
    """One pytest test: `outcome` is passed, failed, error or skipped."""

    __test__ = False  # pytest would collect it by its name

    name: str
    outcome: str
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One kind of line in a PHP error log, grouped: time, addresses and ids taken out."""

    level: str
    """fatal, warning, notice, deprecated, other"""
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class CrawledPage:
    """One page fetched without a browser. `kind`: a kind of pages in the sitemap, or the path of a page that site.yml names."""

    path: str
    kind: str
    answer: str
    """`200`, `301 to /about/`, `200, but empty`, `no answer`, `nothing in time`"""
    seconds: float
    """Until the last byte, of the fastest take"""
    php: str = ""
    """A message of PHP's that stands on the page"""
    hosts: tuple[str, ...] = ()
    """Other hosts whose scripts and frames it loads, and to which its forms lead"""


@dataclass(frozen=True, slots=True)
class Crawl:
    """`listed`: how many of the site's addresses its sitemap lists. `queries`: kind of page → the database's queries per page."""

    listed: int
    pages: tuple[CrawledPage, ...]
    queries: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """One pass. `facts` are values of the shop by name: `product.price`, `checkout.total`, `checkout.payment_methods`…"""

    folder: Path
    exit_code: int
    """pytest's; 0 only when every required test ran and passed"""
    tests: tuple[Test, ...]
    views: tuple[PageView, ...]
    shots: tuple[Shot, ...]
    facts: Mapping[str, str]
    state_before: ShopState = field(default_factory=ShopState)
    state_after: ShopState = field(default_factory=ShopState)
    errors: tuple[LogLine, ...] = ()
    seconds: float = 0.0
    crawl: Crawl | None = None
    """None where nothing was crawled: production, and passes that look for something else"""
    departures: tuple[Departure, ...] = ()
    jobs: Jobs | None = None
    """None where none were run, as on production"""
