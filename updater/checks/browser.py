"""One Chromium with everything that moves held still: two captures of the same page are the same bytes."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import shlex
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Page,
    Request,
    Response,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

from updater.checks import deaf
from updater.errors import UpdaterError
from updater.model import DESKTOP, Viewport

DEBIANS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
"""Debian's own: the engine without a browser's windows draws the same pages with two thirds of the CPU. A rare sign may come from another font."""
PLAYWRIGHTS = (
    "chromium_headless_shell-*/chrome-*linux*/*headless*shell",
    "chromium-*/chrome-linux*/chrome",
)
MAX_CAPTURES = 8
"""A page that still changes after so many captures is photographed as it is: what moves is noise for the A/A comparison."""
MAX_HEIGHT = 12_000
"""Pixels. Chromium draws nothing beyond its largest texture (16,384), and an endless feed has no bottom."""
SETTLE_SECONDS = 10.0
NAVIGATION_SECONDS = 30.0
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
"""Chromium drops every connection when this machine gains or loses a network interface: another stack came or went."""
MOBILE_BELOW = 600
"""Viewports narrower than this are phones: touch, and the mobile layout viewport."""

# Durations of 1 ms, not 0 and not `none`: scripts wait for `transitionend`, and an element that fades in must end visible.
_HOLD_STILL = r"""
(() => {
  const css = `*, *::before, *::after {
    animation-duration: 1ms !important; animation-delay: 0s !important; animation-iteration-count: 1 !important;
    transition-duration: 1ms !important; transition-delay: 0s !important;
    scroll-behavior: auto !important; caret-color: transparent !important; }`;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  const hold = () => {
    if (!document.adoptedStyleSheets.includes(sheet))
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    if (window.jQuery && window.jQuery.fx) window.jQuery.fx.off = true;
  };
  hold();
  document.addEventListener('DOMContentLoaded', hold);
  window.addEventListener('load', hold);
  // What turns by itself (a carousel, a countdown) begins to later, so that no picture depends on how busy this machine is. Only
  // ticks are left out: whoever polls is a few seconds later, which a customer's patience covers.
  const every = window.setInterval;
  window.setInterval = function (does, delay, ...given) {
    if (typeof does !== 'function' || !(delay >= 500)) return every.call(window, does, delay, ...given);
    return every.call(window, function (...seen) { if (performance.now() > 10000) does.apply(this, seen); }, delay, ...given);
  };
  // Seeded, so that a shuffled banner is shuffled the same way. The clock runs on: a checkout with a stopped one waits for ever.
  let seed = 0x2F6E2B1;
  Math.random = () => {
    seed = (seed + 0x6D2B79F5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  // `sizes=auto` lets layout at some moment choose the file: the same picture, scaled differently.
  const still = image => {
    if (/^auto\b/i.test(image.sizes)) image.sizes = image.sizes.replace(/^auto\s*,?\s*/i, '');
    if (image.loading === 'lazy') image.loading = 'eager';
    image.decoding = 'sync';
  };
  window.__updaterStill = still;
  new MutationObserver(changes => {
    for (const change of changes) for (const node of change.addedNodes) {
      const images = node.tagName === 'IMG' ? [node] : node.querySelectorAll ? node.querySelectorAll('img') : [];
      for (const image of images) {
        still(image);
      }
    }
  }).observe(document, {childList: true, subtree: true});
})();
"""

_BLUR = "if (document.activeElement && document.activeElement !== document.body) document.activeElement.blur()"

# Lazy loaders of plugins watch the viewport, so it is led once over the page; then images are decoded, not merely complete.
_SETTLE = r"""
(async (limit) => {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const within = promise => Promise.race([promise, new Promise(done => setTimeout(done, limit))]);
  const root = document.scrollingElement || document.documentElement;
  for (let y = 0, steps = 0; y < root.scrollHeight && steps < 40; y += innerHeight, steps++) { scrollTo(0, y); await frame(); }
  scrollTo(0, 0);
  for (const image of document.images) window.__updaterStill(image);
  for (const media of document.querySelectorAll('video, audio')) {
    media.pause();
    try { media.currentTime = 0; } catch (e) { /* a live stream cannot seek */ }
  }
  const images = [...document.images].filter(image => image.src || image.srcset);
  await within(Promise.all(images.map(image => image.decode().catch(() => 0))));
  await within(document.fonts.ready);
  for (const animation of document.getAnimations()) { try { animation.finish(); } catch (e) { animation.cancel(); } }
  BLUR;
  await frame(); await frame();
  return true;
})
""".replace("BLUR", _BLUR)

_RECTANGLES = r"""
(selectors => selectors.flatMap(selector => [...document.querySelectorAll(selector)].map(element => {
  const box = element.getBoundingClientRect();
  return [box.left + scrollX, box.top + scrollY, box.width, box.height];
}).filter(box => box[2] > 0 && box[3] > 0)))
"""

# Playwright's own, which are lost when the option is given again, and: what lies outside the window is painted too. A picture of the whole
# page then needs no other window. Chromium's own way (captureBeyondViewport) makes it 1 × 1 for a moment, and the page sees that: layout by
# script begins anew, sizes in vw stay small, another file of a `srcset` is chosen.
_BLINK = (
    "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4,mainFrameClipsContent=false"
)
_BELOW = """(async colour => {
  document.documentElement.style.background = 'grey';  // else the body's is the window's
  document.body.style.cssText = `height: 100px; margin-top: 120vh; background: ${colour}`;
  for (let frames = 0; frames < 2; frames++) await new Promise(done => requestAnimationFrame(done));
})"""

_FRAME = "new Promise(done => requestAnimationFrame(() => done(true)))"


class BrowserFailed(UpdaterError):
    """There is no Chromium, or it did not start. Says nothing about the shop."""


def find_chromium(environment: Mapping[str, str] | None = None) -> Path:
    """`UPDATER_CHROMIUM`, else the newest that Playwright downloaded, else Debian's; of both rather the one without windows.

    BrowserFailed when there is none."""
    environment = os.environ if environment is None else environment
    named = environment.get("UPDATER_CHROMIUM")
    if named:
        if not os.access(named, os.X_OK):
            raise BrowserFailed(
                "UPDATER_CHROMIUM names no program that can be run",
                where=named,
                hint="unset UPDATER_CHROMIUM, or name a Chromium: UPDATER_CHROMIUM=/usr/bin/chromium updater run",
            )
        return Path(named)
    home = environment.get("HOME", "")
    downloads = Path(environment.get("PLAYWRIGHT_BROWSERS_PATH") or Path(home, ".cache", "ms-playwright"))
    own = [found for kind in PLAYWRIGHTS for found in sorted(downloads.glob(kind), key=_revision, reverse=True)]
    for found in (*own, *DEBIANS):
        if os.access(found, os.X_OK):
            return found
    raise BrowserFailed(
        "no Chromium found",
        where=f"UPDATER_CHROMIUM (not set), {', '.join(map(str, (downloads, *DEBIANS)))}",
        hint="apt-get install chromium-headless-shell, or: playwright install --only-shell chromium",
    )


def _revision(path: Path) -> int:
    match = re.search(r"chromium(?:_headless_shell)?-(\d+)", str(path))
    return int(match.group(1)) if match else 0


def ascii_host(host: str) -> str:
    """The name as DNS and Chromium know it: lower case, IDN as punycode."""
    return host.lower().encode("idna").decode("ascii") if not host.isascii() else host.lower()


def flags(hosts: Mapping[str, str], recorded: Mapping[str, str] | None = None) -> list[str]:
    """Chromium's command line: nothing of its own on the network, and every name but the shop's leads nowhere.

    `recorded`: as Target.recorded."""
    rules = [
        f"MAP {ascii_host(host)} {f'[{address}]' if ':' in address else address}" for host, address in hosts.items()
    ]
    rules += [f"MAP {ascii_host(host)} {place}" for host, place in (recorded or {}).items() if host not in hosts]
    return [
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses to run as root with its sandbox
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--no-first-run",
        "--no-proxy-server",
        "--hide-scrollbars",
        "--force-color-profile=srgb",
        "--font-render-hinting=none",
        "--disable-lcd-text",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        f"--blink-settings={_BLINK}",
        "--host-resolver-rules=" + ", ".join([*rules, "MAP * ~NOTFOUND"]),
    ]


_PICTURES = r"""() => [...document.querySelectorAll('img, source, video, audio, input[type=image], [style*="url("]')].flatMap(it => {
  const sizes = [it.srcset, it.dataset.srcset].flatMap(all => (all || '').split(',').map(one => one.trim().split(/\s+/)[0]));
  const style = [...(it.getAttribute('style') || '').matchAll(/url\(["']?([^"')]+)/g)].map(found => found[1]);
  return [it.getAttribute('src'), it.getAttribute('poster'), it.dataset.src, it.dataset.lazySrc, ...sizes, ...style];
}).filter(Boolean).flatMap(it => { try { return [new URL(it, document.baseURI).href]; } catch (e) { return []; } })"""
"""The addresses of what a page shows, also in sizes and at places that this window does not ask for."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One full-page PNG. `settled` is False when the page still changed after MAX_CAPTURES captures."""

    png: bytes
    width: int
    height: int
    masks: tuple[tuple[int, int, int, int], ...]
    settled: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.png).hexdigest()


class Tab:
    """A page in a context of its own (no cookies of others), and what it complained about since it was last asked."""

    def __init__(self, page: Page, viewport: Viewport, hosts: frozenset[str]) -> None:
        self.page = page
        self.viewport = viewport
        self.status = 0
        """HTTP status of the document now shown"""
        self.opened = time.monotonic()
        """When the document now shown was asked for"""
        self._hosts = hosts
        self._console: list[str] = []
        self._failed: list[str] = []
        self._asked: set[str] = set()
        self._shown: set[str] = set()
        self._in_flight: set[Request] = set()
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        # Chromium prefers a larger file of a `srcset` that it still has in memory, and its garbage collector decides whether it has.
        # Without the cache, memory is emptied at each new document: the same page is the same picture under any load.
        self._cdp.send("Network.enable")
        self._cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
        page.on("console", self._on_console)
        page.on("pageerror", self._on_exception)
        page.on("request", self._on_request)
        page.on("requestfinished", self._on_request_finished)
        page.on("requestfailed", self._on_request_failed)
        page.on("response", self._on_response)

    def open(self, url: str) -> int:
        """Go there and wait for `load`. Returns the HTTP status (0: no answer at all; `complaints` says why).

        A page whose `load` event does not come in NAVIGATION_SECONDS is taken as it is.
        """
        self.status = 0
        self.opened = time.monotonic()
        failure = self._go(url)
        if (
            NETWORK_CHANGED in failure
        ):  # the browser let go before the shop was asked: no answer of the shop is thrown away
            self._failed.clear()
            failure = self._go(url)
        if failure:
            self._failed.append(failure)
        return self.status

    def _go(self, url: str) -> str:
        """'' when the page came, else why not."""
        try:
            self.page.goto(url, wait_until="commit", timeout=NAVIGATION_SECONDS * 1000)
            self.page.wait_for_load_state("load", timeout=NAVIGATION_SECONDS * 1000)
        except PlaywrightError as error:
            return f"{url}: {error.message.splitlines()[0].removeprefix('Page.goto: ')}"
        return ""

    def complaints(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(console errors and uncaught exceptions, failed requests) of the site's own hosts since the last call."""
        console, failed = tuple(dict.fromkeys(self._console)), tuple(dict.fromkeys(self._failed))
        self._console.clear()
        self._failed.clear()
        return console, failed

    def asked(self) -> tuple[str, ...]:
        """Other hosts that pages asked for something, or told something, since the last call. None of them was reached."""
        hosts = tuple(sorted(self._asked))
        self._asked.clear()
        return hosts

    def pictures(self) -> tuple[str, ...]:
        """Addresses of the site's own pictures and films: those that were asked for since the last call, and those that the page names
        for windows of other sizes."""
        named = self.page.evaluate(_PICTURES)
        found = sorted({url for url in (*self._shown, *named) if self.own(url)})
        self._shown.clear()
        return tuple(found)

    def errors(self) -> tuple[str, ...]:
        """Console errors and uncaught exceptions so far, without forgetting them."""
        return tuple(dict.fromkeys(self._console))

    def settle(self, seconds: float = SETTLE_SECONDS) -> bool:
        """Wait until the page's own requests ended, images are decoded and fonts loaded. False when that took too long."""
        end = time.monotonic() + seconds
        self._pump(end)
        self._evaluate(f"({_SETTLE})({int(max(0.5, end - time.monotonic()) * 1000)})")
        return self._pump(end)

    def capture(self, masks: Sequence[str] = (), *, seconds: float = SETTLE_SECONDS, known: str = "") -> Capture:
        """A full-page PNG, taken again until two in a row are the same bytes. `masks` are CSS selectors: where they stand is
        recorded and not painted over. `known`: SHA-256 of a picture of this page that was taken twice already; one that is the
        same again needs no second. ValueError when a selector is none."""
        settled = self.settle(seconds)
        end = time.monotonic() + seconds
        png = self._png()
        still = known != "" and hashlib.sha256(png).hexdigest() == known
        for _ in range(MAX_CAPTURES - 1):
            if still:
                break
            previous, png = png, self._png()
            still = png == previous
            if time.monotonic() > end:
                break
            if not still:
                self._evaluate(_FRAME)
        width, height = struct.unpack(">II", png[16:24])
        return Capture(png, width, height, self._rectangles(masks, width, height), settled and still)

    def places(self, selectors: Sequence[str]) -> tuple[tuple[int, int, int, int], ...]:
        """Where these stand on the whole page now: x, y, width, height. ValueError when a selector is none."""
        return self._rectangles(selectors, sys.maxsize, sys.maxsize)

    def _png(self) -> bytes:
        self._evaluate(_BLUR)  # a script may give the focus to a notice at any moment
        # CDP and not page.screenshot: pixel-equal in 0.55 of its time, because PNG encoding is the cost.
        size = self._cdp.send("Page.getLayoutMetrics")["cssContentSize"]
        width = max(self.viewport.width, min(size["width"], 2 * self.viewport.width))
        return self._part(width, max(self.viewport.height, min(size["height"], MAX_HEIGHT)))

    def _part(self, width: int, height: int) -> bytes:
        """From the page's upper left corner."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        answer = self._cdp.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True, "clip": clip})
        return base64.b64decode(answer["data"])

    def paints_below(self, seconds: float = 5.0) -> bool:
        """Whether what lies below the window is in a picture. Asked on an empty page, whose first frames may be late."""
        end = time.monotonic() + seconds
        while True:
            white, black = (self._below(colour) for colour in ("white", "black"))
            if white != black or time.monotonic() > end:
                return white != black

    def _below(self, colour: str) -> bytes:
        self.page.evaluate(_BELOW, colour)
        return self._part(100, int(1.2 * self.viewport.height) + 100)

    def _rectangles(self, selectors: Sequence[str], width: int, height: int) -> tuple[tuple[int, int, int, int], ...]:
        found: list[tuple[int, int, int, int]] = []
        for selector in dict.fromkeys(selectors):
            try:
                boxes = self.page.evaluate(_RECTANGLES, [selector])
            except PlaywrightError as error:
                raise ValueError(f"mask {selector!r} is no CSS selector: {error.message.splitlines()[0]}") from error
            for x, y, w, h in boxes:
                left, top = max(0, int(x)), max(0, int(y))
                right, bottom = min(width, math.ceil(x + w)), min(height, math.ceil(y + h))
                if right > left and bottom > top:
                    found.append((left, top, right - left, bottom - top))
        return tuple(sorted(set(found)))

    def _pump(self, end: float) -> bool:
        """Let frames pass until none of the site's own requests is under way."""
        while self._in_flight:
            if time.monotonic() > end:
                return False
            self._evaluate(_FRAME)
        return True

    def _evaluate(self, expression: str) -> Any:
        # By CDP: a page's Content-Security-Policy cannot forbid it. A document that is just being replaced has no answer.
        try:
            return self._cdp.send(
                "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
            )
        except PlaywrightError as error:
            if "context was destroyed" in error.message or "navigated or closed" in error.message:
                self.page.wait_for_load_state("load", timeout=NAVIGATION_SECONDS * 1000)
                return None
            raise

    def own(self, url: str) -> bool:
        """Whether this is an address of the shop."""
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and (parts.hostname or "") in self._hosts

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type != "error" or message.text.startswith("Failed to load resource"):
            return  # the latter stand in `failed`, with their status
        place = message.location.get("url", "")
        if not place or self.own(place):
            self._console.append(_with_place(message.text, place, message.location.get("lineNumber", -1) + 1))

    def _on_exception(self, error: PlaywrightError) -> None:
        places = re.findall(r"(https?://[^\s()]+?):(\d+):\d+", error.stack or "")
        own = [(url, int(line)) for url, line in places if self.own(url)]
        if places and not own:
            return  # thrown in a script of another host
        text = f"{error.name}: {error.message}" if error.name else error.message
        self._console.append(_with_place(text, *(own[0] if own else ("", 0))))

    def _on_request(self, request: Request) -> None:
        if request.is_navigation_request() and request.frame == self.page.main_frame:
            self.status = 0
            self.opened = time.monotonic()
            self._in_flight.clear()
        if self.own(request.url):
            self._in_flight.add(request)
            if request.resource_type in ("image", "media"):
                self._shown.add(request.url)
        elif request.url.startswith(("http://", "https://")):
            self._asked.add(urlsplit(request.url).hostname or "")

    def _on_request_finished(self, request: Request) -> None:
        self._in_flight.discard(request)

    def _on_request_failed(self, request: Request) -> None:
        self._in_flight.discard(request)
        reason = request.failure or "failed"
        if self.own(request.url) and reason != "net::ERR_ABORTED":  # aborted: the page itself left or cancelled
            self._failed.append(f"{request.method} {_path(request.url)}: {reason}")

    def _on_response(self, response: Response) -> None:
        request = response.request
        document = request.is_navigation_request() and request.frame == self.page.main_frame
        if document:
            self.status = response.status
        if response.status >= 400 and not document and self.own(response.url):
            self._failed.append(f"{request.method} {_path(response.url)}: HTTP {response.status}")


def _path(url: str) -> str:
    """Path and query, without the version that WordPress appends to every script: it changes with each update."""
    parts = urlsplit(url)
    query = re.sub(r"(^|&)ver=[^&]*", "", parts.query).strip("&")
    return parts.path + (f"?{query}" if query else "")


def _with_place(text: str, url: str, line: int) -> str:
    text = " ".join(text.split())[:500]
    name = urlsplit(url).path.rsplit("/", 1)[-1] or urlsplit(url).path
    return f"{text} ({name}:{line})" if name else text


def deafened(chromium: Path, folder: Path) -> Path:
    """A program that starts this Chromium so that it does not hear of network interfaces coming and going (deaf.py)."""
    starter = folder / "chromium"
    words = shlex.join([sys.executable, "-IB", str(Path(deaf.__file__)), str(chromium)])
    starter.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    starter.chmod(0o700)
    return starter


class Browser:
    """A running Chromium for one shop; use it in a `with` block. Every name but `hosts` leads nowhere.

    `fault`: a script that runs in every page before its own (detector.py). `recorded`: as Target.recorded.
    BrowserFailed when it does not start.
    """

    def __init__(
        self,
        hosts: Mapping[str, str],
        *,
        recorded: Mapping[str, str] | None = None,
        trust_any_certificate: bool = False,
        log_in: tuple[str, str] | None = None,
        chromium: Path | None = None,
        fault: str = "",
    ) -> None:
        self.hosts = frozenset(ascii_host(host) for host in hosts)
        self._trust = trust_any_certificate
        self.cookie: tuple[str, str] | None = None
        """Name and value of what every visitor from now on brings along: it passes a closed gate."""
        self._log_in = log_in
        self._fault = fault
        path = chromium or find_chromium()
        self._playwright = sync_playwright().start()
        self._home = tempfile.TemporaryDirectory(prefix="updater-browser-")
        try:
            self._chromium = self._playwright.chromium.launch(
                executable_path=deafened(path, Path(self._home.name)),
                headless=True,
                chromium_sandbox=os.geteuid() != 0,
                args=flags(hosts, recorded),
            )
            with self.tab(DESKTOP) as tab:
                seeing = tab.paints_below()
        except PlaywrightError as error:
            self._playwright.stop()
            self._home.cleanup()
            raise BrowserFailed(
                "Chromium did not start",
                where=str(path),
                cause=error.message[:1000],
                hint=f"{path} --headless --version must work; set UPDATER_CHROMIUM to another one",
            ) from error
        if not seeing:  # else the lower part of every page would be white before and after, and pass
            version = self._chromium.version
            self.close()
            raise BrowserFailed(
                f"Chromium {version} leaves out what lies below the window (--blink-settings=mainFrameClipsContent)",
                where=str(path),
                hint="set UPDATER_CHROMIUM to another one: apt-get install chromium-headless-shell, or: playwright install --only-shell chromium",
            )

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._chromium.close()
        self._playwright.stop()
        self._home.cleanup()

    @contextmanager
    def tab(self, viewport: Viewport) -> Iterator[Tab]:
        """A new visitor: no cookies, no cache, this window size."""
        context = self._context(viewport)
        try:
            yield Tab(context.new_page(), viewport, self.hosts)
        finally:
            context.close()

    def _context(self, viewport: Viewport) -> BrowserContext:
        phone = viewport.width < MOBILE_BELOW
        context = self._chromium.new_context(
            viewport={"width": viewport.width, "height": viewport.height},
            device_scale_factor=1,
            is_mobile=phone,
            has_touch=phone,
            ignore_https_errors=self._trust,
            reduced_motion="reduce",
            color_scheme="light",
            locale="en-US",
            timezone_id="UTC",
            service_workers="block",
            http_credentials={"username": self._log_in[0], "password": self._log_in[1]} if self._log_in else None,
        )
        context.add_init_script(_HOLD_STILL)
        if self._fault:
            context.add_init_script(self._fault)
        if self.cookie:
            name, value = self.cookie
            context.add_cookies(
                [{"name": name, "value": value, "domain": host, "path": "/"} for host in sorted(self.hosts)]
            )
        return context


def pdf(page: Path) -> bytes:
    """A page of our own as PDF, A4 unless its style says otherwise. BrowserFailed when Chromium does not start."""
    with Browser({}) as browser, browser.tab(DESKTOP) as tab:
        tab.page.goto(page.resolve().as_uri())
        return tab.page.pdf(format="A4", print_background=True, prefer_css_page_size=True, tagged=True)
