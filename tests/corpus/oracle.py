"""What a shop does with orders, told by placing them: the second opinion on mutants. Shares no code with the checks.

Two customers of the demo shop, one at a desk and one with a telephone. What they are shown and charged, what the database and the mail
hold afterwards, and what the shop refuses, is a mapping from a sentence to an answer; two shops that answer alike treat orders alike.
"""

from __future__ import annotations

import email
import email.policy
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from updater.checks.browser import deafened, find_chromium
from updater.demo_shop import DOCROOT, HOSTS, MAIL, URL, DemoShop

PLUGINS = f"{DOCROOT}/wp-content/plugins"
SAMOVAR, OTHER = "/product/samovar-tula/", "/product/"
PATIENCE = 6_000
"""Milliseconds until a customer gives up"""
PERSON = {
    "billing_first_name": "Vera",
    "billing_last_name": "Orlova",
    "billing_address_1": "Sadovaya 5",
    "billing_city": "Tula",
    "billing_postcode": "300000",
    "billing_phone": "+74872000000",
}
Answers = dict[str, str]


@contextmanager
def oracle(workdir: Path) -> Iterator[Callable[[Mapping[str, str | bytes]], Answers]]:
    """A shop of its own; given is what asks it with these files (path below plugins/ → content) in place of its own, as often as wanted."""
    with DemoShop.start(workdir) as shop, sync_playwright() as playwright:
        _typed(shop, f"mariadb-dump shop > /root/shop.sql && cp -a {PLUGINS} /root/plugins")
        _typed(shop, f"echo '<?php opcache_reset();' > {DOCROOT}/forget.php")
        browser = playwright.chromium.launch(
            executable_path=deafened(find_chromium(), workdir),
            chromium_sandbox=os.geteuid() != 0,
            args=[f"--host-resolver-rules=MAP {HOSTS[0]} {shop.address}, MAP * ~NOTFOUND"],
        )

        def ask(files: Mapping[str, str | bytes]) -> Answers:
            _typed(
                shop,
                f"rm -rf {PLUGINS} && cp -a /root/plugins {PLUGINS} && rm -f {MAIL}/*.eml && mariadb shop < /root/shop.sql",
            )
            for path, content in files.items():
                data = content if isinstance(content, bytes) else content.encode()
                _typed(shop, f"cat > {PLUGINS}/{path}", data)
            shop.get("/forget.php")  # what PHP has compiled
            return _ordered(shop, browser)

        yield ask
        browser.close()


def differences(sound: Answers, other: Answers) -> list[str]:
    """What is answered otherwise, in the order asked."""
    told = []
    for asked in dict.fromkeys((*sound, *other)):
        was, now = sound.get(asked, "nothing"), other.get(asked, "nothing")
        if was != now:
            told.append(f"{asked}: {was[:60]} → {now[:60]}")
    return told


def _ordered(shop: DemoShop, browser: Browser) -> Answers:
    answers: Answers = {}
    desk = {"viewport": {"width": 1280, "height": 900}}
    telephone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    for customer, window, pieces, courier in (("desk", desk, 1, True), ("telephone", telephone, 2, False)):
        context = browser.new_context(ignore_https_errors=True, **window)
        context.set_default_timeout(PATIENCE)
        try:
            _buys(context.new_page(), customer, pieces, courier, answers)
        except BrowserError as error:
            answers[f"{customer}: how it ended"] = re.sub(r"\d{4,}", "N", error.message.splitlines()[0])
        context.close()
    _database(shop, answers)
    _letters(shop, answers)
    return answers


def _buys(page: Page, customer: str, pieces: int, courier: bool, answers: Answers) -> None:
    def tell(asked: str, answer: str) -> None:
        answers[f"{customer}: {asked}"] = " ".join(answer.replace("\xa0", " ").split())

    page.goto(f"{URL}/shop/")
    tell("shop page", _amounts(page))
    page.goto(URL + SAMOVAR)
    tell("product page", _amounts(page))
    page.fill("form.cart [name=quantity]", str(pieces))
    with page.expect_navigation():
        page.click("form.cart button")
    if not courier:
        page.goto(f"{URL}/shop/")
        page.locator(f"main a[href*='{OTHER}']:not([href*='{SAMOVAR}'])").first.click()
        page.wait_for_url(f"**{OTHER}**")
        with page.expect_navigation():
            page.click("form.cart button")
    page.goto(f"{URL}/cart/")
    tell("cart", _amounts(page))
    page.goto(f"{URL}/checkout/")
    page.wait_for_load_state("networkidle")
    tell("checkout", _amounts(page))
    tell("ways to pay", " / ".join(page.locator("[name=payment_method]").evaluate_all("all => all.map(e => e.value)")))
    page.click("text=Place order")
    page.wait_for_load_state("networkidle")
    tell("an empty form", "refused" if "/order-received/" not in page.url else "accepted")
    for name, value in {
        **PERSON,
        "billing_email": f"{customer}@example.com",
        "order_comments": f"ring, {customer}",
    }.items():
        page.fill(f"[name={name}]", value)
    if not courier:
        page.check("input[type=radio][value=post]")
        page.check("[name=payment_method][value=bacs]")
        page.wait_for_load_state("networkidle")
        tell("checkout, by post", _amounts(page))
    page.click("text=Place order")
    page.wait_for_url("**/order-received/**")
    tell("thanks", _amounts(page))
    page.goto(f"{URL}/cart/")
    tell("cart afterwards", _amounts(page) or "empty")
    page.goto(URL + SAMOVAR)
    page.fill("form.cart [name=quantity]", "999")
    with page.expect_navigation():  # without what the form itself forbids
        page.evaluate("() => document.querySelector('form.cart').submit()")
    page.goto(f"{URL}/cart/")
    tell("more than there is", _amounts(page) or "refused")


def _amounts(page: Page) -> str:
    """Every amount of money that is to be read on the page, in order."""
    return " ".join(re.findall(r"\d[\d\s\xa0\u202f]*,\d\d", page.inner_text("body")))


def _database(shop: DemoShop, answers: Answers) -> None:
    columns = "status, name, email, phone, address, delivery, payment, note, total"
    for row in shop.sql(f"SELECT {columns} FROM sh_demo_shop_orders WHERE id > 1030 ORDER BY id").splitlines():
        answers[f"order of {row.split(chr(9))[2]}"] = row.replace("\t", " | ")
    pieces = "SELECT product_id, name, quantity, price FROM sh_demo_shop_order_items WHERE order_id > 1030 ORDER BY id"
    answers["pieces ordered"] = " / ".join(shop.sql(pieces).replace("\t", " ").splitlines())
    stock = "SELECT GROUP_CONCAT(meta_value ORDER BY post_id) FROM sh_postmeta WHERE meta_key = '_stock'"
    answers["stock"] = shop.sql(stock)


def _letters(shop: DemoShop, answers: Answers) -> None:
    told = []
    for raw in shop.mails():
        letter = email.message_from_bytes(raw.encode(), policy=email.policy.default)
        body = letter.get_body(("plain", "html"))
        text = body.get_content() if body is not None else ""
        told.append(f"{letter['To']}: {letter['Subject']}: {' '.join(text.split())}")
    for number, line in enumerate(sorted(told), 1):
        answers[f"letter {number}"] = line


def _typed(shop: DemoShop, script: str, stdin: bytes | None = None) -> None:
    code, said = shop.exec(["sh", "-c", script], stdin=stdin)
    if code != 0:
        raise RuntimeError(f"{script}: {said.decode('utf-8', 'replace')[-300:]}")
