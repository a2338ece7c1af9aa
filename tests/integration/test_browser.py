"""The browser holds still, reaches the shop and nothing else, and hears what the page complains about."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import imagecodecs
import numpy
import pytest
from served import Handler, served
from tiny_shop import HOST, TinyShop, serve

from updater.checks import visual
from updater.checks.browser import MAX_CAPTURES, Browser, BrowserFailed, find_chromium
from updater.checks.observation import Observation, Shot
from updater.model import DESKTOP, MOBILE, Status, Thresholds

RESTLESS = """
<style>@keyframes turn { to { transform: rotate(360deg) } } .turn { animation: turn 1s infinite; width: 90px; height: 90px; background: red }
.fade { opacity: 0; animation: fade 3s forwards } @keyframes fade { to { opacity: 1 } }</style>
<div class=turn>x</div><p class=fade>faded in</p><p id=dice></p>
<script>document.getElementById('dice').textContent = Math.random();</script>
<div style='height:3000px'></div><img loading=lazy decoding=async src=/deep.svg>
"""


@pytest.mark.parametrize("viewport", [DESKTOP, MOBILE], ids=lambda viewport: viewport.name)
def test_four_captures_of_a_moving_page_are_the_same_bytes(viewport):
    with serve(TinyShop(extra=RESTLESS)) as shop, Browser({HOST: "127.0.0.1"}) as browser:
        captures = []
        for _ in range(4):
            with browser.tab(viewport) as tab:
                assert tab.open(shop.target.url) == 200
                captures.append(tab.capture())
    assert len({capture.sha256 for capture in captures}) == 1
    assert all(capture.settled for capture in captures)
    assert captures[0].width == viewport.width
    assert captures[0].height > 3000
    assert "/deep.svg" in shop.asked


def test_a_picture_that_was_proven_before_is_taken_once_and_any_other_until_it_stands_still(monkeypatch):
    with serve(TinyShop()) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        tab.open(shop.target.url)
        first = tab.capture()
        taken: list[bytes] = []
        monkeypatch.setattr(tab, "_png", lambda taking=tab._png: taken.append(taking()) or taken[-1])

        again = tab.capture(known=first.sha256)
        assert again.settled
        assert again.png == first.png
        assert len(taken) == 1

        tab.page.evaluate("document.body.prepend('an update was here')")
        taken.clear()
        changed = tab.capture(known=first.sha256)
        assert changed.settled
        assert changed.png != first.png
        assert taken == [changed.png, changed.png]


class Gallery(Handler):
    """A product's page with its large picture, and a cart that offers both of its files."""

    PAGES: ClassVar = {
        "/product": b"<img src=/900.png><a id=cart href=/cart>cart</a>",
        "/cart": b"<img class=thumbnail src=/150.png srcset='/150.png 150w, /900.png 900w' sizes=150px>",
    }

    def do_GET(self) -> None:
        width = int(self.path[1:-4]) if self.path.endswith(".png") else 0
        body = imagecodecs.png_encode(numpy.zeros((width, width, 3), "u1")) if width else self.PAGES.get(self.path, b"")
        self.answer(body, kind="image/png" if width else "text/html", Cache_Control="max-age=3600")


def test_which_file_of_a_thumbnail_is_shown_does_not_depend_on_what_was_seen_before():
    """Chromium takes a larger file of a `srcset` that it still has in memory, and its garbage collector decides whether it has."""
    with (
        served(Gallery) as port,
        Browser({HOST: "127.0.0.1"}) as browser,
        browser.tab(DESKTOP) as tab,
    ):
        tab.open(f"http://{HOST}:{port}/product")
        tab.page.click("#cart")
        tab.page.wait_for_selector(".thumbnail")
        tab.settle()
        shown = tab.page.locator(".thumbnail").evaluate("image => image.currentSrc")
    assert shown.endswith("/150.png")


SIZES = """
<script>shown = []; document.addEventListener('load', event => shown.push(event.target.currentSrc.split('/').pop()), true)</script>
<img src=/900.png srcset='/300.png 300w, /900.png 900w' sizes='(max-width: 760px) 50vw, 370px'>
<picture><source srcset='/900.png 2.4x' media='(min-width: 700px)'><img src=/150.png></picture>
<img src=/150.png><div style='height:3000px'></div>
"""


def test_the_file_of_a_picture_that_a_page_chose_is_the_one_that_is_photographed():
    class Sizes(Gallery):
        PAGES: ClassVar = {"/": SIZES.encode()}

    places = "[...document.images].map(image => [image.currentSrc.split('/').pop(), image.width, image.height])"
    with served(Sizes) as port, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        tab.open(f"http://{HOST}:{port}/")
        before = tab.page.evaluate(places)
        pictures = {tab.capture().sha256 for _ in range(6)}
        assert (
            tab.page.evaluate(places) == before == [["900.png", 370, 370], ["900.png", 375, 375], ["150.png", 150, 150]]
        )
        assert set(tab.page.evaluate("shown")) == {"900.png", "150.png"}
    assert len(pictures) == 1


FLUID = """
<style>.wide { font-size: clamp(18px, 18px + (1vw - 3px), 40px) } .deep { height: 3000px; background: linear-gradient(red, blue) }</style>
<script>windows = []; addEventListener('resize', () => windows.push([innerWidth, innerHeight]))</script>
<p class=wide>as large as the window allows</p><div class=deep></div><p style='background:red;height:100px;margin:0'></p>
"""


@pytest.mark.parametrize("viewport", [DESKTOP, MOBILE], ids=lambda viewport: viewport.name)
def test_a_page_does_not_notice_that_it_is_photographed_and_all_of_it_is(viewport):
    """Chromium's own way of photographing beyond the window makes it 1 × 1 for a moment."""
    with serve(TinyShop(extra=FLUID)) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(viewport) as tab:
        tab.open(shop.target.url)
        size = "getComputedStyle(document.querySelector('.wide')).fontSize"
        before = tab.page.evaluate(size)
        captures = [tab.capture() for _ in range(6)]
        assert all(seen == [viewport.width, viewport.height] for seen in tab.page.evaluate("windows"))
        assert tab.page.evaluate(size) == before
        (bottom,) = tab.places(["p:last-of-type"])
    assert len({capture.sha256 for capture in captures}) == 1
    picture = imagecodecs.png_decode(captures[0].png)
    assert tuple(picture[bottom[1] + 50, bottom[0] + 50][:3]) == (255, 0, 0), "the page's end"


def test_what_a_script_focuses_late_is_photographed_without_its_ring(monkeypatch):
    notice = "<p id=notice tabindex=-1>was added to your cart</p>"
    with serve(TinyShop(extra=notice)) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        tab.open(shop.target.url)
        plain = tab.capture()
        settle = tab.settle

        def settle_and_focus(seconds: float) -> bool:
            settled = settle(seconds)
            tab.page.evaluate("notice.focus({focusVisible: true})")
            return settled

        monkeypatch.setattr(tab, "settle", settle_and_focus)
        late = tab.capture()
    assert late.settled
    assert late.sha256 == plain.sha256


def test_a_chromium_that_leaves_out_what_lies_below_the_window_is_refused(monkeypatch):
    monkeypatch.setattr("updater.checks.browser._BLINK", "mainFrameClipsContent=true")
    with pytest.raises(BrowserFailed, match="leaves out what lies below the window"):
        Browser({HOST: "127.0.0.1"})


def test_a_carousel_stands_still_while_a_page_is_looked_at_and_turns_later():
    turning = "<p id=n>first</p><script>setInterval(() => n.textContent += ' next', 600)</script>"
    with serve(TinyShop(extra=turning)) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        tab.open(shop.target.url)
        assert tab.capture().settled
        tab.page.wait_for_function("() => performance.now() > 2000")
        assert tab.page.inner_text("#n") == "first"
        tab.page.wait_for_function("() => n.textContent.startsWith('first next')", timeout=30_000)


def test_a_page_that_never_settles_is_photographed_and_said_to_be_moving():
    moving = "<p id=n></p><script>(function f(i){n.textContent=i;requestAnimationFrame(()=>f(i+1))})(0)</script>"
    with serve(TinyShop(extra=moving)) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        tab.open(shop.target.url)
        capture = tab.capture()
    assert not capture.settled
    assert capture.png.startswith(b"\x89PNG")
    assert MAX_CAPTURES > 2


def test_masks_are_recorded_where_they_stand_and_not_painted():
    box = (
        "<div class=clock style='position:absolute;left:40px;top:1500px;width:100px;height:50px;background:red'></div>"
    )
    with serve(TinyShop(extra=box)) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        tab.open(shop.target.url)
        plain, masked = tab.capture(), tab.capture([".clock", ".absent"])
        with pytest.raises(ValueError, match="no CSS selector"):
            tab.capture(["::::"])
    assert masked.masks == ((40, 1500, 100, 50),)
    assert plain.png == masked.png


def test_a_banner_that_pushes_a_rendered_page_down_is_one_move_and_a_change_below_it_is_still_told(tmp_path):
    text = "".join(f"<h2>Tea no. {n}</h2><p>{'Leaves of the first flush. ' * n}</p>" for n in range(1, 15))
    page = (
        "<style>body {{ font: 16px sans-serif }} h1, h2 {{ margin: 0 }}</style><h1>Shop</h1>{banner}"
        + text
        + "<b>{price}</b> in all"
    )
    shown = {
        "before": page.format(banner="", price="1 290"),
        "noise": page.format(banner="", price="1 290"),
        "after": page.format(banner="<div style='height:40px;background:gold'>Sale!</div>", price="1 920"),
    }
    seen = []
    with Browser({}) as browser:
        for name, html in shown.items():
            with browser.tab(DESKTOP) as tab:
                tab.page.set_content(html)
                capture = tab.capture()
            folder = tmp_path / name
            folder.mkdir()
            (folder / "home.png").write_bytes(capture.png)
            shot = Shot("home", "desktop", "home.png", capture.sha256, capture.width, capture.height)
            seen.append(Observation(folder, 0, (), (), (shot,), {}))
    ((picture,), (check,)) = visual.compare(*seen, Thresholds(), tmp_path / "pictures", tmp_path)
    assert check.status is Status.FAILED
    size, moved, banner, price = check.findings
    assert "40 px taller" in size.message
    assert "moved 40 px down" in moved.message
    assert "× 40 px, 0 px from the left" in banner.message
    assert price.kind == "picture"
    assert picture.changed < 0.05, "not a page of red"


def test_no_other_name_and_no_address_is_reachable():
    with (
        serve(TinyShop(fault="")) as shop,
        Browser({HOST: "127.0.0.1"}) as browser,
        browser.tab(DESKTOP) as tab,
    ):
        assert tab.open(f"http://127.0.0.1:{shop.port}/") == 0
        assert tab.open(f"http://localhost:{shop.port}/") == 0
        assert tab.open("http://example.org/") == 0
        assert shop.asked == []
        assert tab.open(shop.target.url) == 200


def test_own_errors_are_heard_and_other_hosts_noise_is_not():
    noisy = (
        "<script src=http://ads.example/a.js></script><img src=http://ads.example/a.png>"
        "<script src=/missing.js></script><script>console.error('own complaint')</script><script>tea.pour()</script>"
    )
    with serve(TinyShop(extra=noisy)) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        tab.open(shop.target.url)
        tab.settle()
        console, failed = tab.complaints()
        assert tab.complaints() == ((), ())
        assert tab.asked() == ("ads.example",)
        assert tab.asked() == ()
    assert len(console) == 2
    assert console[0].startswith("own complaint")
    assert console[1].startswith("ReferenceError: tea is not defined")
    assert failed == ("GET /missing.js: HTTP 404",)


def test_the_gate_cookie_is_sent_from_the_first_request_on():
    with (
        serve(TinyShop()) as shop,
        Browser({HOST: "127.0.0.1"}) as browser,
    ):
        browser.cookie = ("pass", "letmein")
        with browser.tab(DESKTOP) as tab:
            tab.open(shop.target.url)
    assert shop.cookies
    assert all("pass=letmein" in cookie for cookie in shop.cookies)


def test_chromium_is_the_one_that_is_named(tmp_path):
    with pytest.raises(BrowserFailed, match="UPDATER_CHROMIUM names no program"):
        find_chromium({"UPDATER_CHROMIUM": str(tmp_path / "absent")})
    downloads = {"PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    for better in (
        "chromium-900/chrome-linux/chrome",
        "chromium-1200/chrome-linux64/chrome",
        "chromium_headless_shell-900/chrome-linux/headless_shell",
        "chromium_headless_shell-1200/chrome-headless-shell-linux64/chrome-headless-shell",
    ):
        binary = tmp_path / better
        binary.parent.mkdir(parents=True)
        binary.write_text("")
        binary.chmod(0o755)
        assert find_chromium(downloads) == binary
    assert find_chromium({"UPDATER_CHROMIUM": "/bin/true"}) == Path("/bin/true")
