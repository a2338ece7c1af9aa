"""What a smoke test is given: a shop to walk through, a browser page, and two ways to remember what it saw.

The updater runs it as `pytest -p shop_plugin` and names, in the environment variable UPDATER_SMOKE, one JSON file with all
that a test may know (README.md lists it). What is seen is appended to `seen.jsonl` as it happens: a crash loses nothing.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, Request
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from updater.checks import fields
from updater.checks.browser import Browser, BrowserFailed, Capture, Tab
from updater.checks.facts import UNSETTLED
from updater.language import mark, sentence
from updater.model import Viewport


@dataclass(frozen=True)
class Flow:
    """One path a customer takes, as site.yml describes it."""

    name: str
    product: str | None = None
    fill: Mapping[str, str] = field(default_factory=dict)
    close: Sequence[str] = ()
    selectors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """The JSON file that UPDATER_SMOKE names."""

    url: str
    hosts: Mapping[str, str]
    trust_any_certificate: bool
    log_in: tuple[str, str] | None
    """User and password that the web server asks for"""
    read_only: bool
    pictures: bool
    known: Mapping[str, Mapping[str, str]]
    """Window size → page → SHA-256 of its picture in an earlier pass, if it stood still then"""
    flows: Sequence[Flow]
    pages: Sequence[str]
    discover: bool
    viewports: Sequence[Viewport]
    masks: Sequence[Mapping[str, str]]
    recorded: Mapping[str, str]
    """As Target.recorded"""
    payments: Sequence[str]
    """Online payment methods to pay by; none on production"""
    salt: str
    """As fields.SALT, of the whole run"""
    patience: float
    """Seconds that a customer waits for a click to do something."""
    fault: str
    """A script laid over every page, to see whether the checks notice it; '' in every pass that counts."""
    out: Path

    @classmethod
    def read(cls, path: Path) -> Job:
        data = json.loads(path.read_text(encoding="utf-8"))
        data["log_in"] = tuple(data["log_in"]) if data["log_in"] else None
        data["flows"] = [Flow(**flow) for flow in data["flows"]]
        data["viewports"] = [Viewport(**viewport) for viewport in data["viewports"]]
        data["out"] = Path(data["out"])
        return cls(**data)


class Session:
    """The whole pytest run: one warm browser, and the record of what was seen."""

    def __init__(self, job: Job, gate: socket.socket | None = None) -> None:
        self.job = job
        self._gate = gate
        self._browser: Browser | None = None
        self._labels: set[tuple[str, str]] = set()

    @property
    def browser(self) -> Browser:
        if self._browser is None:
            job = self.job
            self._browser = Browser(
                job.hosts,
                recorded=job.recorded,
                trust_any_certificate=job.trust_any_certificate,
                log_in=job.log_in,
                fault=job.fault,
            )
        return self._browser

    def wait_at_the_gate(self) -> None:
        """With the browser running, until the updater says that the shop may be asked, and with which cookie."""
        if self._gate is None:
            return
        with self._gate, self._gate.makefile(encoding="utf-8") as told:
            try:
                browser = self.browser
            except BrowserFailed as failure:
                self._gate.sendall(f"{failure.what}\n".encode())
                pytest.exit(str(failure))
            self._gate.sendall(b"ready\n")
            line = told.readline()
        if not line:
            pytest.exit("the updater went away")
        name, value = json.loads(line)
        browser.cookie = (name, value)

    def close(self) -> None:
        if self._browser is not None:
            self._browser.close()

    def record(self, kind: str, **values: Any) -> None:
        with (self.job.out / "seen.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, **values}, ensure_ascii=False) + "\n")

    def label(self, page: str, viewport: str) -> str:
        """`page`, numbered when this viewport has one of that name already: a picture never replaces another."""
        label, number = page, 2
        while (label, viewport) in self._labels:
            label, number = f"{page} {number}", number + 1
        self._labels.add((label, viewport))
        return label


def answered(status: int) -> str:
    """What is said of a page that came with an error, or not at all (0)."""
    return sentence("the server answered HTTP {status}", status=status) if status else mark("no answer came")


class Shop:
    """The shop in one window size: open a path, do something a customer does, remember what was seen.

    Every failure says what a shop owner understands, and adds what the browser reported.
    """

    def __init__(self, session: Session, tab: Tab, scope: str, flow: Flow | None = None) -> None:
        self.page: Page = tab.page
        self.tab = tab
        self.scope = scope
        self.url = session.job.url
        self.read_only = session.job.read_only
        """Production: look, and stop before anything is placed, sent or logged in to."""
        self.patience = session.job.patience
        self._session = session
        self._close = tuple(flow.close) if flow else ()
        self._selectors = dict(flow.selectors) if flow else {}

    # ------------------------------------------------------------------------------------------------ walking

    def open(self, path: str) -> int:
        """Open a path (or a link of the shop) and close its pop-ups. Returns the HTTP status; an error page fails the test."""
        status = self.visit(path)
        if status == 0 or status >= 400:
            self.fail(sentence("Opening {path}", path=path) + f": {answered(status)}")
        return status

    def visit(self, path: str) -> int:
        """As `open`, but an error page is only reported: HTTP status, 0 when no answer came."""
        status = self.tab.open(urljoin(self.url, path))
        self.close_popups()
        return status

    def close_popups(self) -> None:
        for selector in self._close:
            popup = self.page.locator(selector)
            if popup.count() and popup.first.is_visible():
                popup.first.click(timeout=self.patience * 1000)

    def selector(self, name: str, default: str) -> str:
        """The CSS selector of that name: site.yml's `flows[].selectors`, else the default."""
        return self._selectors.get(name, default)

    def find(self, name: str, default: str) -> Locator:
        return self.page.locator(self.selector(name, default)).first

    def text(self, name: str, default: str) -> str:
        """The text that a customer sees there, spaces collapsed; '' when there is none."""
        found = self.page.locator(self.selector(name, default))
        return tidy(found.first.evaluate(f"it => ({_SEEN_TEXT})(it)")) if found.count() else ""

    def texts(self, name: str, default: str) -> list[str]:
        found = self.page.locator(self.selector(name, default)).evaluate_all(f"all => all.map({_SEEN_TEXT})")
        return [tidy(text) for text in found if tidy(text)]

    def click(self, where: Locator, called: str, *, then: str, expect: str) -> None:
        """Click what the customer sees as `called`, then wait for the selector `then` (`expect` names it for people)."""
        try:
            where.click(timeout=self.patience * 1000)
        except PlaywrightError as error:
            self.fail(sentence("“{button}” cannot be clicked", button=called), error)
        try:
            self.page.locator(then).first.wait_for(state="visible", timeout=self.patience * 1000)
        except PlaywrightTimeout:
            self.fail(
                sentence(
                    "Clicking “{button}” did nothing for {seconds:.0f} s: no {expected}",
                    button=called,
                    seconds=self.patience,
                    expected=expect,
                )
            )
        try:  # what is read next may stand at the end of a page of which the first half has come
            self.page.wait_for_load_state("domcontentloaded", timeout=self.patience * 1000)
        except PlaywrightTimeout:
            self.fail(
                sentence(
                    "The page “{title}” with the {expected} did not come to its end in {seconds:.0f} s",
                    title=self.page.title(),
                    expected=expect,
                    seconds=self.patience,
                )
            )
        self.close_popups()

    def leave(self, where: Locator, called: str, thanks: str) -> None:
        """Click what leads the customer away to pay; where to, and what the browser sends along, is remembered. Nobody goes there.

        `thanks`: what the address of the shop's own page holds, to which some methods lead at once."""

        def leads_away(request: Request) -> bool:
            if not request.is_navigation_request() or request.frame != self.page.main_frame:
                return False
            return thanks in request.url if self.tab.own(request.url) else request.url.startswith("http")

        try:
            with self.page.expect_event("request", leads_away, timeout=self.patience * 1000) as left:
                where.click(timeout=self.patience * 1000)
        except PlaywrightTimeout:
            self.fail(
                sentence(
                    "Clicking “{button}” led to no page to pay on for {seconds:.0f} s",
                    button=called,
                    seconds=self.patience,
                )
            )
        except PlaywrightError as error:
            self.fail(sentence("“{button}” cannot be clicked", button=called), error)
        request = left.value
        parts, salt = urlsplit(request.url), self._session.job.salt
        sent = fields.of_request(
            parts.query,
            request.headers.get("content-type", ""),
            request.post_data_buffer or b"",
            salt,
        )
        self._session.record(
            "departure",
            scope=self.scope,
            viewport=self.tab.viewport.name,
            method=request.method,
            address=f"{parts.netloc.rpartition('@')[2]}{fields.shown_path(parts.path, salt)}",
            fields=sent,
        )

    def see(self, name: str, default: str, called: str) -> Locator:
        """Wait until `called` is there and visible."""
        found = self.find(name, default)
        try:
            found.wait_for(state="visible", timeout=self.patience * 1000)
        except PlaywrightTimeout:
            path = urlsplit(self.page.url).path
            self.fail(
                sentence("The page “{title}” ({path}) shows no {part}", title=self.page.title(), path=path, part=called)
            )
        return found

    def fill(self, selector: str, value: str) -> bool:
        """Type, choose or tick, whatever the field is. False when the page does not show it."""
        matches = self.page.locator(selector)
        if not matches.count() or not matches.first.is_visible():
            return False
        field_ = matches.first
        kind = field_.evaluate("e => e.tagName === 'SELECT' ? 'select' : (e.type || '')")
        try:
            if kind == "select":
                field_.select_option(value, timeout=self.patience * 1000)
            elif kind in {"checkbox", "radio"}:
                field_.set_checked(value.lower() not in {"", "0", "no", "false"}, timeout=self.patience * 1000)
            else:
                field_.fill(value, timeout=self.patience * 1000)
                field_.blur()
        except PlaywrightError as error:
            self.fail(
                sentence("The field {field} cannot be filled in with “{value}”", field=selector, value=value), error
            )
        return True

    def quiet(self) -> None:
        """Wait until the shop has finished what the last input set off: its requests ended and no block lies over the form."""
        try:
            self.page.evaluate(_QUIET, self.patience * 1000)
        except PlaywrightError as error:
            self.fail(
                sentence(
                    "The page “{title}” was still loading after {seconds:.0f} s",
                    title=self.page.title(),
                    seconds=self.patience,
                ),
                error,
            )

    def fail(self, message: str, error: PlaywrightError | None = None) -> None:
        """End the test with `message`, the shop's own error notice and what the browser reported."""
        parts = [message]
        if error is not None:
            parts.append(error.message.splitlines()[0])
        said = "; ".join(self._notices())
        if said:
            parts.append(mark("the shop said") + f": {said}")
        reported = self.tab.errors()
        if reported:
            parts.append(mark("the browser reported") + ": " + "; ".join(reported[:3]))
        pytest.fail("; ".join(parts), pytrace=False)

    def _notices(self) -> list[str]:
        try:
            found = self.page.locator(
                ".woocommerce-error, .wc-block-components-notice-banner.is-error, .wp-die-message, "
                ".alert-danger:visible, .text-danger:visible, .invalid-feedback:visible"
            )
            return [tidy(text)[:300] for text in found.all_inner_texts()][:3]
        except PlaywrightError:
            return []  # the page is gone; the message says so already

    # ---------------------------------------------------------------------------------------------- remembering

    def capture(self, label: str, masks: Sequence[str] = (), keep: Mapping[str, Locator] | None = None) -> None:
        """Photograph the page and note its status, title and complaints. `masks` are not compared, nor are site.yml's.

        `keep`: what none of site.yml's masks may lie over, by what people call it; the test fails when one does.
        """
        job, viewport = self._session.job, self.tab.viewport
        label = self._session.label(label, viewport.name)
        seconds = time.monotonic() - self.tab.opened
        if job.pictures:
            path = urlsplit(self.page.url).path
            wanted = [
                mask["selector"] for mask in job.masks if any(fnmatch.fnmatch(x, mask["page"]) for x in (label, path))
            ]
            known = job.known.get(viewport.name, {}).get(label, "")
            self._photograph(label, self.tab.capture([*masks, *wanted], known=known))
            self._refuse_to_hide(wanted, keep or {})
        else:
            self.tab.settle()
        console, failed = self.tab.complaints()
        self._session.record(
            "view",
            page=label,
            viewport=viewport.name,
            url=self.page.url,
            status=self.tab.status,
            title=self.page.title(),
            console=console,
            failed=failed,
            seconds=round(seconds, 3),
            asked=self.tab.asked(),
            pictures=self.tab.pictures() if self.read_only else (),
        )

    def _refuse_to_hide(self, masks: Sequence[str], keep: Mapping[str, Locator]) -> None:
        """A pass would mean nothing where a mask lies over what sells: it could be gone, and nobody would see it."""
        for called, where in keep.items():
            box = where.bounding_box() if where.count() else None
            if box is None:
                continue
            for mask in masks:
                for x, y, width, height in self.tab.places([mask]):
                    across = min(x + width, box["x"] + box["width"]) - max(x, box["x"])
                    down = min(y + height, box["y"] + box["height"]) - max(y, box["y"])
                    if across > 0 and down > 0:
                        self.fail(
                            sentence(
                                "The mask {mask} of site.yml lies over {part}: nobody would see it go.",
                                mask=mask,
                                part=called,
                            )
                            + " "
                            + mark("Mask less (masks[])")
                        )

    def _photograph(self, label: str, capture: Capture) -> None:
        viewport = self.tab.viewport.name
        file = f"{viewport}-{file_name(label)}.png"
        (self._session.job.out / file).write_bytes(capture.png)
        self._session.record(
            "shot",
            page=label,
            viewport=viewport,
            file=file,
            sha256=capture.sha256,
            width=capture.width,
            height=capture.height,
            masks=capture.masks,
        )
        if not capture.settled:
            self.fact(UNSETTLED, "still moving when photographed", scope=label)

    def fact(self, name: str, value: str, *, scope: str = "") -> None:
        """Remember a value that the shop shows, to be compared with what it shows after the update."""
        self._session.record(
            "fact", name=name, value=tidy(value), scope=scope or self.scope, viewport=self.tab.viewport.name
        )

    def leave_a_trace(self) -> None:
        """After a failure: what the browser complained about, and a picture of where it went wrong, for people."""
        console, failed = self.tab.complaints()
        if console or failed:
            self._session.record(
                "view",
                page=f"{self.scope} (failed here)",
                viewport=self.tab.viewport.name,
                url=self.page.url,
                status=self.tab.status,
                title=self.page.title(),
                console=console,
                failed=failed,
                seconds=0.0,
            )
        if self._session.job.pictures:
            file = f"failure-{self.tab.viewport.name}-{file_name(self.scope)}.png"
            (self._session.job.out / file).write_bytes(self.tab.capture(seconds=2).png)


# `innerText` without what screen readers alone are told (`.screen-reader-text`): a price is what stands on the page.
_SEEN_TEXT = """
it => {
  const unseen = [...it.querySelectorAll('*')].filter(e => e.offsetWidth <= 1 && e.offsetHeight <= 1 && getComputedStyle(e).position === 'absolute');
  const styles = unseen.map(e => e.getAttribute('style'));
  for (const e of unseen) e.style.setProperty('display', 'none', 'important');
  const text = it.innerText;
  unseen.forEach((e, n) => styles[n] === null ? e.removeAttribute('style') : e.setAttribute('style', styles[n]));
  return text || '';
}
"""

# Resolves when, for 250 ms of frames on end, jQuery has no request under way, WooCommerce's blocks are not telling the server what
# was typed, and nothing is blocked or marked as processing.
_QUIET = r"""
limit => new Promise((done, failed) => {
  const telling = () => {
    try {
      const cart = window.wp.data.select('wc/store/cart'), checkout = window.wp.data.select('wc/store/checkout');
      return cart.isCustomerDataUpdating?.() || cart.isAddressFieldsForShippingRatesUpdating?.() || checkout.isCalculating?.();
    } catch { return false; }  // no such blocks on this page
  };
  const sketched = () => [...document.querySelectorAll('.wc-block-components-skeleton__element')].some(e => e.offsetParent);
  const begun = performance.now();
  let since = begun;
  const look = now => {
    const busy = (window.jQuery && window.jQuery.active) || document.querySelector('.blockUI.blockOverlay, form.processing')
      || document.querySelector('.wc-block-components-loading-mask') || telling() || sketched();
    if (busy) since = now;
    if (now - since > 250) done(true);
    else if (now - begun > limit) failed(new Error('the form is still blocked'));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})
"""


def tidy(text: str) -> str:
    """One line, single spaces: a no-break space in a price is still a space."""
    return " ".join(text.replace("\u00a0", " ").replace("\u202f", " ").split())


def file_name(label: str) -> str:
    """A label as a file name: letters of any alphabet stay, everything that a path could be made of goes."""
    name = re.sub(r"[^\w-]+", "-", label).strip("-")[:80] or "home"
    # Two labels may become one name (`/a/b`, `/a-b`): a short hash keeps them apart.
    return name if name == label else f"{name}-{sum(label.encode()) * 2654435761 % 65536:04x}"


# ------------------------------------------------------------------------------------------------------ pytest


def pytest_configure(config: pytest.Config) -> None:
    named = os.environ.get("UPDATER_SMOKE")
    if not named:
        raise pytest.UsageError("UPDATER_SMOKE is not set: these tests are run by `updater run site.yml`")
    gate = os.environ.pop("UPDATER_SMOKE_GATE", "")
    config.stash[_SESSION] = Session(Job.read(Path(named)), socket.socket(fileno=int(gate)) if gate else None)


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test runs once for each window size, each flow and each page that it asks for."""
    job = metafunc.config.stash[_SESSION].job
    flows, viewports = job.flows, job.viewports
    if "payment" in metafunc.fixturenames:  # what a service is asked depends on neither
        flows, viewports = flows[:1], viewports[:1]
        metafunc.parametrize("payment", job.payments)
    if "flow" in metafunc.fixturenames:
        metafunc.parametrize("flow", flows, ids=[flow.name for flow in flows])
    if "viewport" in metafunc.fixturenames:
        metafunc.parametrize("viewport", viewports, ids=[viewport.name for viewport in viewports])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without an online payment method there is nothing to pay by: such a test is left out, where pytest would call it skipped."""
    if not config.stash[_SESSION].job.payments:
        items[:] = [item for item in items if "payment" not in getattr(item, "fixturenames", ())]


def pytest_collection_finish(session: pytest.Session) -> None:
    """One entry for each test that has to run: a crash in the middle is then seen to be one."""
    seen = session.config.stash[_SESSION]
    seen.record("collected", files=[str(item.path) for item in session.items])
    seen.wait_at_the_gate()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.when == "call" and report.failed:
        shop = getattr(item, "funcargs", {}).get("shop")
        if shop is not None:
            try:
                shop.leave_a_trace()
            except PlaywrightError as error:  # the tab may be gone; the test's own failure stands
                report.sections.append(("no picture of the failure", str(error)))
    return report


_SESSION = pytest.StashKey[Session]()


@pytest.fixture(scope="session")
def job(pytestconfig: pytest.Config) -> Job:
    return pytestconfig.stash[_SESSION].job


@pytest.fixture
def shop(request: pytest.FixtureRequest, viewport: Viewport) -> Iterator[Shop]:
    """A new visitor of the shop in this window size."""
    session = request.config.stash[_SESSION]
    flow = request.getfixturevalue("flow") if "flow" in request.fixturenames else None
    scope = flow.name if flow else request.node.originalname
    with session.browser.tab(viewport) as tab:
        yield Shop(session, tab, scope, flow)


@pytest.fixture
def page(shop: Shop) -> Page:
    """The visitor's page: the whole of Playwright."""
    return shop.page


@pytest.fixture
def capture(shop: Shop) -> Any:
    """`capture("checkout")`: photograph the page under that name; it is compared with the same one after the update."""
    return shop.capture


@pytest.fixture
def fact(shop: Shop) -> Any:
    """`fact("checkout.total", "1290 ₽")`: a value that must be the same after the update."""
    return shop.fact


@contextmanager
def gathered() -> Iterator[list[str]]:
    """Collect faults, so that one page's does not hide the next one's; fails at the end when there are any."""
    faults: list[str] = []
    yield faults
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
