"""The report in a real browser: it works offline, its slider and zoom move, hostile names stay inert, it reads without script."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from report_sample import HOSTILE, sample

from updater.checks.browser import find_chromium
from updater.model import Language
from updater.report import write


@dataclass
class Watched:
    """What the page did that it must not: messages of its console, errors, dialogs, requests."""

    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        def dialog_opened(dialog: object) -> None:
            self.troubles.append(f"dialog: {dialog}")
            dialog.dismiss()  # type: ignore[attr-defined]

        page.on("console", lambda message: self.troubles.append(message.text))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("dialog", dialog_opened)
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    written = write(sample(folder), folder)
    for beside in (folder / "before", folder / "after", folder / "visual"):
        shutil.rmtree(beside)  # one page, sent by mail: nothing lies beside it
    return written


@pytest.fixture
def watched(browser: Browser, report: Path) -> Iterator[tuple[Page, Watched]]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    watch = Watched()
    watch.on(page)
    page.goto(report.as_uri())
    yield page, watch
    page.close()
    assert watch.troubles == []
    assert [url for url in watch.requests if not url.startswith("data:")] == [report.as_uri()]


def test_the_verdict_and_why_stand_at_the_top(watched: tuple[Page, Watched]) -> None:
    page, _ = watched
    expect(page.get_by_role("heading", level=1)).to_have_text("The updates were rejected.")
    expect(page.locator(".reasons li").first).to_contain_text("flow: checkout: No order was placed")
    expect(page.locator(".reasons li").first).to_be_in_viewport()
    expect(page.locator("details.phase[open] .check").first).to_contain_text("flow: checkout")


def test_every_picture_is_inside_the_page_and_drawn(watched: tuple[Page, Watched]) -> None:
    page, _ = watched
    sizes = page.evaluate(
        "Promise.all([...document.images].filter(i => i.src).map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert len(sizes) >= 12
    assert all(size > 0 for size in sizes)


def test_the_slider_follows_the_mouse_and_the_keyboard(watched: tuple[Page, Watched]) -> None:
    page, _ = watched
    layers = page.locator(".slider.current .layers").first
    layers.scroll_into_view_if_needed()
    box = page.locator(".slider.current .pane").first.bounding_box()
    assert box is not None

    def cut() -> float:
        """Percent of the width that shows the shop before: `inset(0px calc(100% - 37%) …)` or `inset(0px 63% …)`."""
        clip = layers.locator(".upper").evaluate("e => getComputedStyle(e).clipPath")
        hidden = re.match(r"inset\(\S+ (?:calc\(100% - ([\d.]+)%\)|([\d.]+)%)", clip)
        assert hidden, clip
        return float(hidden[1]) if hidden[1] else 100 - float(hidden[2])

    # It starts at the change, so that both sides of it show.
    assert cut() == pytest.approx((36 + 65) / 1366 * 100, abs=1)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 100, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=4)
    page.mouse.up()
    assert cut() == pytest.approx(75, abs=1)
    page.mouse.move(box["x"] + 10, y)
    assert cut() == pytest.approx(75, abs=1)  # let go: it stays
    page.locator(".slider.current input[type=range]").first.focus()
    page.keyboard.press("Home")
    assert cut() == pytest.approx(0, abs=0.1)
    page.keyboard.press("ArrowRight")
    assert cut() == pytest.approx(1, abs=0.1)


def test_the_changed_place_is_in_sight_without_scrolling_inside_the_picture(watched: tuple[Page, Watched]) -> None:
    page, _ = watched
    phone = page.locator("figure.shot", has_text="mobile")
    pane = phone.locator(".slider .pane")
    expect(pane).to_be_attached()
    page.wait_for_function("e => e.scrollTop > 0", arg=pane.element_handle())
    assert pane.evaluate("e => e.scrollTop < 400 && e.scrollTop + e.clientHeight > 420")


def test_the_difference_opens_large_by_mouse_and_keyboard_and_closes_by_escape(watched: tuple[Page, Watched]) -> None:
    page, _ = watched
    zoom = page.locator("#zoom")
    expect(zoom).to_be_hidden()
    page.get_by_role("button", name="Difference", exact=True).first.click()
    page.get_by_role("button", name="Difference: checkout, desktop").click()
    expect(zoom).to_be_visible()
    expect(zoom.locator("img")).to_have_attribute("alt", "Difference: checkout, desktop")
    page.get_by_role("button", name="Actual size").click()
    assert zoom.locator("img").evaluate("e => e.getBoundingClientRect().width") == 1366
    page.keyboard.press("Escape")
    expect(zoom).to_be_hidden()
    page.get_by_role("button", name="Difference: checkout, desktop").focus()
    page.keyboard.press("Enter")
    expect(zoom).to_be_visible()


def test_the_noise_of_a_page_that_passed_can_be_seen(watched: tuple[Page, Watched]) -> None:
    page, _ = watched
    page.get_by_role("button", name="show noise").click()
    expect(page.locator("#zoom img")).to_have_attribute("alt", "Noise: home, desktop")


@pytest.mark.parametrize("width", [375, 768, 1366])
def test_nothing_is_wider_than_the_window(browser: Browser, report: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_it_reads_without_script(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for part in ("Before", "After", "Difference"):
        expect(page.locator("figure.shot").first.get_by_text(part, exact=True)).to_be_visible()
    assert page.locator("figure.shot").first.locator("img:visible").count() == 3
    page.locator("details.phase:not([open]) summary").first.click()
    expect(page.get_by_text("12 tests passed on desktop and mobile.")).to_be_visible()
    context.close()


def test_the_buttons_speak_the_owners_language_too(browser: Browser, tmp_path: Path) -> None:
    written = write(replace(sample(tmp_path), language=Language.RU), tmp_path)
    page = browser.new_page(viewport={"width": 375, "height": 800})
    watch = Watched()
    watch.on(page)
    page.goto(written.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("Обновления отклонены.")
    page.get_by_role("button", name="Отличия", exact=True).first.click()
    page.get_by_role("button", name="Отличия: checkout, desktop").click()
    expect(page.get_by_role("button", name="Настоящий размер")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert watch.troubles == []
    page.close()


def test_hostile_names_are_inert_text(browser: Browser, tmp_path: Path) -> None:
    written = write(sample(tmp_path, HOSTILE), tmp_path)
    page = browser.new_page()
    watch = Watched()
    watch.on(page)
    page.goto(written.as_uri())
    for picture in page.locator("img[data-zoom]:visible").all()[:3]:
        picture.click()
        page.keyboard.press("Escape")
    expect(page.locator("bdi.name", has_text="<script>alert(1)</script>").first).to_be_visible()
    assert page.locator("script").count() == 1
    assert page.locator("img:not([data-zoom]):not(.layers img):not(#zoom img)").count() == 0
    assert watch.troubles == []
    assert [url for url in watch.requests if not url.startswith("data:")] == [written.as_uri()]
    page.close()


def test_even_a_script_that_got_in_would_not_run_nor_reach_the_network(browser: Browser, report: Path) -> None:
    """The policy is a second wall: an injected script or picture is refused by the browser itself."""
    spoilt = report.with_name("spoilt.html")
    evil = "<script>document.title='owned'</script><img src='https://evil.example/x.png'>"
    spoilt.write_text(report.read_text(encoding="utf-8").replace("<main", evil + "<main"), encoding="utf-8")
    page = browser.new_page()
    watch = Watched()
    watch.on(page)
    page.goto(spoilt.as_uri())
    assert "owned" not in page.title()
    assert any("Content Security Policy" in trouble for trouble in watch.troubles)
    assert not page.evaluate("[...document.images].some(i => i.src.includes('evil') && i.naturalWidth > 0)")
    page.close()
