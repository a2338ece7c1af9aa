"""A realistic run for the report's tests: pictures drawn by numpy and compared by the program's own code."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from updater.checks.observation import Observation, Shot
from updater.checks.verdict import judge
from updater.checks.visual import compare
from updater.model import (
    BlockedCall,
    CaughtMail,
    Check,
    Component,
    Evidence,
    Finding,
    Held,
    Inventory,
    Migration,
    Status,
    Thresholds,
)
from updater.report import RunRecord, UpdateResult

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} \u202egnp.exe"
START = datetime(2026, 3, 4, 14, 12, tzinfo=UTC)
Pixels = NDArray[np.uint8]


def shop(width: int, height: int, products: int = 6, banner: tuple[int, int, int] = (235, 244, 238)) -> Pixels:
    """Something that looks like a shop from afar: a header, a banner, cards with text lines and a button each."""
    picture = np.full((height, width, 3), 255, np.uint8)

    def block(x: int, y: int, w: int, h: int, colour: tuple[int, int, int]) -> None:
        picture[max(y, 0) : y + h, max(x, 0) : x + w] = colour

    block(0, 0, width, 64, (31, 61, 54))
    block(24, 22, min(160, width // 3), 20, (240, 244, 240))
    block(0, 64, width, 220, banner)
    for line in range(3):
        block(40, 120 + line * 34, min(460, width - 120) - line * 70, 16, (60, 82, 74))
    columns = 3 if width > 800 else 1
    card = (width - 40 - (columns - 1) * 20) // columns
    for n in range(products):
        x, y = 20 + (n % columns) * (card + 20), 310 + (n // columns) * 360
        block(x, y, card, 340, (246, 246, 243))
        shade = np.linspace(150 + 12 * n, 215, 200).astype(np.uint8)[:, None, None]
        picture[y : y + 200, x : x + card] = shade * np.array([0.85, 0.95, 1.0]) if y + 200 <= height else 230
        block(x + 16, y + 218, card // 2, 14, (52, 58, 55))
        block(x + 16, y + 244, card // 4, 12, (120, 128, 124))
        block(x + 16, y + 282, 130, 38, (201, 92, 46))
        block(x + 42, y + 296, 78, 10, (255, 240, 232))
    block(0, height - 90, width, 90, (36, 42, 40))
    return picture


def observed(root: Path, name: str, pages: dict[tuple[str, str], Pixels], mask: bool = False) -> Observation:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    shots = []
    for n, ((page, viewport), picture) in enumerate(pages.items()):
        data = bytes(imagecodecs.png_encode(picture))
        (folder / f"{n}.png").write_bytes(data)
        masks = ((20, picture.shape[0] - 80, 300, 60),) if mask and page == "home" else ()
        height, width = picture.shape[:2]
        shots.append(Shot(page, viewport, f"{n}.png", hashlib.sha256(data).hexdigest(), width, height, masks))
    return Observation(folder, 0, (), (), tuple(shots), {})


def sample(folder: Path, hostile: str = "") -> RunRecord:
    """A rejected run: the checkout broke and lost its button, the home page's banner rotates, the rest looks the same."""
    home, cart, checkout = ("home", "desktop"), ("cart", "desktop"), ("checkout", "desktop")
    phone = (hostile or "checkout", "mobile")
    a = {
        home: shop(1366, 1500, banner=(150, 210, 170)),
        cart: shop(1366, 1120, 3),
        ("about", "desktop"): shop(1366, 900, 0),
        checkout: shop(1366, 1120, 3, (250, 243, 226)),
        phone: shop(375, 1900, 4, (250, 243, 226)),
        ("cart", "mobile"): shop(375, 1500, 3),
    }
    again = a | {home: shop(1366, 1500, banner=(150, 176, 230))}
    b = a | {home: shop(1366, 1500, banner=(230, 140, 160))}
    broken = b[checkout].copy()
    broken[310 + 282 : 310 + 320, 36:166] = (246, 246, 243)  # the button is gone
    b[checkout] = broken
    taller = shop(375, 2020, 4, (250, 243, 226))
    taller[400:420, 20:355] = (200, 40, 40)
    b[phone] = taller
    before, noise, after = (
        observed(folder, name, pages, mask=True) for name, pages in (("before", a), ("noise", again), ("after", b))
    )
    pictures, compared = compare(before, noise, after, Thresholds(), folder / "visual", folder)
    evil = hostile or "Demo Shop"
    flow = (
        Finding("step", "checkout, desktop", "“Place order” was clicked and nothing happened within 15 s"),
        Finding("console", "checkout, desktop", hostile or "TypeError: cart is undefined (checkout.js:41)"),
        Finding("value", "checkout.total", "differs", "1 290.00", "0.00"),
    )
    checks = (
        Check("flow: checkout", "before", Status.PASSED, "12 tests passed on desktop and mobile.", seconds=41.2),
        Check("PHP errors", "before", Status.PASSED, "None.", seconds=0.2),
        Check(
            "flow: checkout", "after", Status.FAILED, "No order was placed: the button does nothing.", True, flow, 63
        ),
        Check("order in the database", "after", Status.FAILED, "No new order row was found."),
        Check("mail of the order", "after", Status.INCONCLUSIVE, "Not looked at: no order was placed."),
        Check("PHP errors", "after", Status.PASSED, "No new errors in the log.", seconds=0.2),
        Check("page titles", "after", Status.FAILED, hostile or "“About” became “About us”.", required=False),
        *compared,
    )
    at = START + timedelta(minutes=2)
    evidence = Evidence(
        checks,
        pictures,
        (
            *[BlockedCall(at, "https", "api.wordpress.org", 443, "/core/version-check/1.7/?version=6.1")] * 4,
            BlockedCall(at, "dns", hostile or "www.google-analytics.com", 53),
        ),
        (
            CaughtMail(at, ("anna.petrova@example.com",), hostile or "Ваш заказ № 1042 принят", step="before"),
            CaughtMail(at, ("shop@example.com", "owner@example.com"), "New order #1042"),
        ),
    )
    judgement = judge(evidence, stack_matched=True, mismatch="", accept_nearest=False)
    core = Component("core", "wordpress", "WordPress", "6.1.1", True, "")
    return RunRecord(
        run="20260304-141200-4f2a",
        site=hostile or "Лавка чая",
        url="https://shop.example/",
        cms="wordpress",
        state="rejected",
        exit_code=1,
        started=START,
        finished=START + timedelta(minutes=5, seconds=12),
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        inventory=Inventory("wordpress", "6.1.1", "8.2.29", (core,)),
        updates=(
            UpdateResult("core", "wordpress", "WordPress", "6.1.1", "6.8.3", "tested"),
            UpdateResult("plugin", "demo-gallery", "Demo Gallery", "1.0", "1.1", "tested"),
            UpdateResult("plugin", "demo-shop", evil, "1.0", "1.2", "failed", "With it, “Place order” does nothing."),
        ),
        held=(Held("plugin", "akismet", "5.0", "5.5", "site.yml holds it: the client renews the licence in May"),),
        evidence=evidence,
        timings={"clone": 16.4, "stage": 4.2, "check before": 41.2, "update": 22.8, "check after": 63.0, "report": 1.1},
        evidence_sha256=hashlib.sha256(b"evidence").hexdigest(),
        notes=("Production runs PHP 8.1; staging used the nearest, 8.2, as site.yml accepts.",),
        changed_files=3412,
        migration=Migration(changed_tables=("wp_options",), created_tables=("wp_demo_orders_meta",), seconds=2.4),
    )
