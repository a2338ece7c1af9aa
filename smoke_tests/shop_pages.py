"""What the pages of any shop are looked at for: they open, and still say something. Each CMS says which pages, and what is not the shop."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from shop_plugin import Job, Shop, answered, tidy

from updater.language import mark, sentence

FATAL = re.compile(r"(fatal error|parse error|uncaught \w*(error|exception))\b.{0,400} on line \d+", re.I | re.S)
MESSAGES = re.compile(r"(?:warning|notice|deprecated)(?:</b>)?:\s+(.{1,300}?) in (?:<b>)?/\S+ on line", re.I | re.S)
BOT_WALL = r"checking your browser before|verify you are human|attention required! \| cloudflare|ddos-guard|just a moment\.\.\."
MOST_PRICES = 60
TOLD = ("name", "sku", "price", "priceCurrency", "availability", "url")
"""Of JSON-LD: what a search engine shows beside the shop's name."""
LEAST_TEXT = 20
"""Characters of visible text below which a page is empty: a title and a menu have more."""


@dataclass(frozen=True)
class Pages:
    """What differs between CMSs: how kinds of pages are told by links, and what a page says that is not the shop's."""

    kinds: Mapping[str, str]
    """One page of each kind is looked at: the first link whose address or text matches."""
    near: Mapping[str, str]
    """kind → selector of what holds its links, where neither address nor text tell"""
    hub: str
    """The kind whose page links to more kinds"""
    skipped: re.Pattern[str]
    not_the_shop: Mapping[str, str]
    products: str
    """Selector of the products listed, without lists that are drawn by lot at each visit"""
    prices: str
    masks: Sequence[str] = ()
    login: str = "form#loginform"


def listed(shop: Shop, job: Job, cms: Pages) -> list[str]:
    """Home, site.yml's pages, and what the home page and the hub link to, each once."""
    found_pages = ["/", *job.pages]
    if job.discover:
        shop.open("/")
        found = kinds_linked(shop, cms)
        if cms.hub in found:
            shop.open(found[cms.hub])
            found = {**kinds_linked(shop, cms), **found}
        found_pages += found.values()
    return list(dict.fromkeys(found_pages))


def kinds_linked(shop: Shop, cms: Pages) -> dict[str, str]:
    """Kind of page → path, from the links of the page shown."""
    here = urlsplit(shop.page.url)
    links = shop.page.locator("a[href]").evaluate_all(
        "(all, near) => all.map(a => [a.href, a.innerText, Object.keys(near).filter(kind => a.closest(near[kind]))])",
        dict(cms.near),
    )
    found: dict[str, str] = {}
    for address, text, near in links:
        to = urlsplit(urljoin(shop.page.url, address))
        path = to.path + (f"?{to.query}" if to.query else "")
        if to.hostname != here.hostname or cms.skipped.search(path) or path in {"/", here.path}:
            continue
        words = (path.lower(), tidy(text).lower())
        kinds = [kind for kind, pattern in cms.kinds.items() if any(re.search(pattern, word) for word in words)]
        for kind in kinds or near:
            found.setdefault(kind, path)
    return found


def look_at(shop: Shop, path: str, cms: Pages) -> list[str]:
    """Open the page, remember what it says of itself, and return what is wrong with it."""
    status = shop.visit(path)
    page = shop.page
    shop.capture(path, masks=cms.masks)
    html = page.content()
    text = tidy(page.locator("body").inner_text())

    shop.fact("page.title", page.title(), scope=path)
    shop.fact("page.canonical", attribute(shop, "link[rel=canonical]", "href"), scope=path)
    shop.fact("page.robots", attribute(shop, "meta[name=robots]", "content"), scope=path)
    shop.fact("page.heading", " | ".join(shop.texts("heading", "h1")), scope=path)
    shop.fact("page.description", attribute(shop, "meta[name=description]", "content"), scope=path)
    shop.fact("page.products", str(page.locator(shop.selector("products", cms.products)).count()), scope=path)
    shop.fact("page.prices", " | ".join(shop.texts("prices", cms.prices)[:MOST_PRICES]), scope=path)
    shop.fact("page.structured", structured(shop), scope=path)
    shop.fact(
        "page.php_messages", " | ".join(sorted({tidy(message) for message in MESSAGES.findall(html)})), scope=path
    )

    faults = []
    if status == 0 or status >= 400:
        faults.append(answered(status))
    if not page.title().strip():
        faults.append(mark("the page has no title"))
    if len(text) < LEAST_TEXT:
        faults.append(sentence("the page is empty (its whole text: “{text}”)", text=text))
    fatal = FATAL.search(text)
    if fatal:
        faults.append(mark("PHP's own words stand on the page") + f": {fatal.group(0)[:300]}")
    # Only a page that says little else: an article may quote any of these.
    faults += [
        f"this is {what}"
        for what, words in cms.not_the_shop.items()
        if len(text) < 2000 and re.search(words, text, re.I)
    ]
    if page.locator(cms.login).count():
        faults.append(mark("the page asks for a login"))
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
