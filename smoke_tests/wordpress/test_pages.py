"""The pages of the shop still open and still say something: those of site.yml, and one of each kind found by links."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from shop_plugin import Job, Shop, gathered, tidy

KINDS = {
    "shop": r"/(shop|store|catalog|katalog|magazin)/?$|post_type=product$",
    "product": r"/(product|tovar|item)/[^/]+",
    "category": r"/(product-category|category|product-cat)/[^/]+",
    "cart": r"/(cart|basket|korzina)/?$",
    "contact": r"contact|kontakt|контакт",
    "about": r"about|o-nas|о-нас|о нас|о компании",
    "delivery": r"delivery|shipping|dostavk|доставк",
}
"""One page of each kind is looked at: the first link whose address or text matches."""

SKIPPED = re.compile(
    r"/wp-(admin|login|json|content)|add-to-cart=|/feed/?$|logout|replytocom|xmlrpc|\.(jpe?g|png|pdf|zip)$", re.I
)
FATAL = re.compile(r"(fatal error|parse error|uncaught \w*(error|exception))\b.{0,400} on line \d+", re.I | re.S)
MESSAGES = re.compile(r"(?:warning|notice|deprecated)(?:</b>)?:\s+(.{1,300}?) in (?:<b>)?/\S+ on line", re.I | re.S)
NOT_THE_SHOP = {
    "WordPress's “critical error” page": r"critical error on this website|критическ\w+ ошибк",
    "WordPress's database error page": r"error establishing a database connection|ошибка установки соединения с базой",
    "a maintenance page": r"briefly unavailable for scheduled maintenance|ненадолго недоступен из-за технического",
    "a bot wall": r"checking your browser before|verify you are human|attention required! \| cloudflare|ddos-guard|just a moment\.\.\.",
}
SHUFFLED = ":not(.related *, .up-sells *, .cross-sells *)"
"""Lists that WooCommerce draws by lot at each visit say nothing of the update."""
PRODUCTS = ", ".join(f"{item}{SHUFFLED}" for item in ("li.product", ".wc-block-product", ".wc-block-grid__product"))
PRICES = ", ".join(f"{price} .amount{SHUFFLED}" for price in (".price", ".wc-block-components-product-price"))
MOST_PRICES = 60
TOLD = ("name", "sku", "price", "priceCurrency", "availability", "url")
"""Of JSON-LD: what a search engine shows beside the shop's name."""
LEAST_TEXT = 20
"""Characters of visible text below which a page is empty: a title and a menu have more."""


def test_pages(shop: Shop, job: Job) -> None:
    with gathered() as faults:
        for path in pages(shop, job):
            faults += [f"{path}: {fault}" for fault in look_at(shop, path)]


def pages(shop: Shop, job: Job) -> list[str]:
    """Home, site.yml's pages, and what the home and shop page link to, each once."""
    listed = ["/", *job.pages]
    if job.discover:
        shop.open("/")
        found = kinds_linked(shop)
        if "shop" in found:
            shop.open(found["shop"])
            found = {**kinds_linked(shop), **found}
        listed += found.values()
    return list(dict.fromkeys(listed))


def kinds_linked(shop: Shop) -> dict[str, str]:
    """Kind of page → path, for the kinds in KINDS and a post, from the links of the page shown."""
    here = urlsplit(shop.page.url)
    links = shop.page.locator("a[href]").evaluate_all(
        "all => all.map(a => [a.href, a.innerText, !!a.closest('article, .post, .wp-block-post, .hentry')])"
    )
    found: dict[str, str] = {}
    for address, text, in_post in links:
        to = urlsplit(urljoin(shop.page.url, address))
        path = to.path + (f"?{to.query}" if to.query else "")
        if to.hostname != here.hostname or SKIPPED.search(path) or path in {"/", here.path}:
            continue
        words = (path.lower(), tidy(text).lower())
        kinds = [kind for kind, pattern in KINDS.items() if any(re.search(pattern, word) for word in words)]
        for kind in kinds or (["post"] if in_post else []):
            found.setdefault(kind, path)
    return found


def look_at(shop: Shop, path: str) -> list[str]:
    """Open the page, remember what it says of itself, and return what is wrong with it."""
    status = shop.visit(path)
    page = shop.page
    shop.capture(path, masks=[".stock", ".related", ".post-navigation", ".nav-links"])
    html = page.content()
    text = tidy(page.locator("body").inner_text())

    shop.fact("page.title", page.title(), scope=path)
    shop.fact("page.canonical", attribute(shop, "link[rel=canonical]", "href"), scope=path)
    shop.fact("page.robots", attribute(shop, "meta[name=robots]", "content"), scope=path)
    shop.fact("page.heading", " | ".join(shop.texts("heading", "h1")), scope=path)
    shop.fact("page.description", attribute(shop, "meta[name=description]", "content"), scope=path)
    shop.fact("page.products", str(page.locator(shop.selector("products", PRODUCTS)).count()), scope=path)
    shop.fact("page.prices", " | ".join(shop.texts("prices", PRICES)[:MOST_PRICES]), scope=path)
    shop.fact("page.structured", structured(shop), scope=path)
    shop.fact(
        "page.php_messages", " | ".join(sorted({tidy(message) for message in MESSAGES.findall(html)})), scope=path
    )

    faults = []
    if status == 0 or status >= 400:
        faults.append(f"the server answered HTTP {status}" if status else "no answer came")
    if not page.title().strip():
        faults.append("the page has no title")
    if len(text) < LEAST_TEXT:
        faults.append(f"the page is empty (its whole text: “{text}”)")
    fatal = FATAL.search(text)
    if fatal:
        faults.append(f"PHP's own words stand on the page: {fatal.group(0)[:300]}")
    # Only a page that says little else: an article may quote any of these.
    faults += [
        f"this is {what}" for what, words in NOT_THE_SHOP.items() if len(text) < 2000 and re.search(words, text, re.I)
    ]
    if page.locator("form#loginform").count() and "wp-login" in page.url:
        faults.append("the page asks for a login")
    return faults


def attribute(shop: Shop, selector: str, name: str) -> str:
    found = shop.page.locator(selector)
    return found.first.get_attribute(name) or "" if found.count() else ""


def structured(shop: Shop) -> str:
    """What the page tells search engines in JSON-LD of its kind, price and stock: `Product name=Tea price=1290 …`, each once."""
    found = []
    for text in shop.page.locator("script[type='application/ld+json']").all_text_contents():
        try:
            found += kinds_of(json.loads(text))
        except ValueError:
            found.append("unreadable")
    return " | ".join(dict.fromkeys(found))


def kinds_of(data: Any) -> list[str]:
    """The typed things in it, outermost first, each with those of TOLD that it has."""
    if isinstance(data, list):
        return [kind for part in data for kind in kinds_of(part)]
    if not isinstance(data, dict):
        return []
    told = [f"{name}={tidy(str(data[name]))}" for name in TOLD if isinstance(data.get(name), str | int | float)]
    own = [" ".join([str(data["@type"]), *told])] if "@type" in data else []
    return own + [kind for part in data.values() if isinstance(part, dict | list) for kind in kinds_of(part)]
