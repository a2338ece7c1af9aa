"""The crawl: what the sitemap lists is fetched, and what changed, slowed or went is told with both values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from served import Handler, served

from updater.checks import crawl
from updater.checks.observation import Crawl, CrawledPage, Observation, Target
from updater.model import Status

HOST = "shop.example"
TEXT = "<p>Samovars, porcelain and honey from people we know by name.</p>"


@dataclass
class Server:
    """Addresses and what they answer: (status, body), or ("to", where)."""

    pages: dict[str, tuple[int | str, str]]
    asked: list[str] = field(default_factory=list)
    target: Target = field(default=Target("", {}, trust_any_certificate=False))


@contextmanager
def serve(pages: dict[str, tuple[int | str, str]]) -> Iterator[Server]:
    server = Server(pages)

    class Shop(Handler):
        def do_GET(self) -> None:
            assert self.headers["Host"].startswith(HOST)
            server.asked.append(self.path)
            status, body = server.pages.get(self.path, (404, "<p>There is nothing here, sorry.</p>"))
            kind = "text/xml" if self.path.endswith(".xml") else "text/html; charset=utf-8"
            if status == "to":
                self.answer(status=302, kind=kind, Location=body)
            else:
                self.answer(body.encode(), int(status), kind)

    with served(Shop) as port:
        server.target = Target(f"http://{HOST}:{port}/", {HOST: "127.0.0.1"}, trust_any_certificate=False)
        yield server


def sitemap(*paths: str) -> str:
    return "<urlset>" + "".join(f"<url><loc>https://{HOST}{path}</loc></url>" for path in paths) + "</urlset>"


def shop(**changes: tuple[int | str, str]) -> dict[str, tuple[int | str, str]]:
    index = "".join(
        f"<sitemap><loc><![CDATA[https://{HOST}/wp-sitemap-{kind}-1.xml]]></loc></sitemap>"
        for kind in ("posts-product", "taxonomies-category")
    )
    pages: dict[str, tuple[int | str, str]] = {
        "/robots.txt": (
            200,
            f"User-agent: *\nSitemap: https://{HOST}/wp-sitemap.xml\nSitemap: https://other.example/x",
        ),
        "/wp-sitemap.xml": (200, f"<sitemapindex>{index}</sitemapindex>"),
        "/wp-sitemap-posts-product-1.xml": (200, sitemap("/product/tea/", "/product/cup/", "/?a=1&amp;b=2")),
        "/wp-sitemap-taxonomies-category-1.xml": (200, sitemap("/category/news/")),
        "/old/": ("to", "/about/"),
    }
    pages |= dict.fromkeys(("/", "/product/tea/", "/product/cup/", "/?a=1&b=2", "/category/news/"), (200, TEXT))
    return pages | {f"/{name.replace('_', '/')}/": answer for name, answer in changes.items()}


def test_the_pages_named_and_some_of_each_kind_of_the_sitemap_are_fetched_in_turn():
    with serve(shop()) as server:
        seen = crawl.crawl(server.target, ["/old/"])
        assert seen.listed == 4
        assert [(page.path, page.kind, page.answer) for page in seen.pages] == [
            ("/", "/", "200"),
            ("/old/", "/old/", "302 to /about/"),
            ("/product/tea/", "posts product", "200"),
            ("/product/cup/", "posts product", "200"),
            ("/?a=1&b=2", "posts product", "200"),
            ("/category/news/", "taxonomies category", "200"),
        ]
        assert server.asked.count("/product/tea/") == 3, "the first of a kind is timed"
        assert server.asked.count("/product/cup/") == 1


@pytest.mark.parametrize(
    ("place", "path", "kind"),
    [
        ("/wp-sitemap-posts-product-1.xml", "/product/tea/", "posts product"),
        ("/product_cat-sitemap2.xml", "/tea/", "product cat"),
        ("/sitemap.xml", "/catalog/tea/", "catalog"),
        ("/sitemap.xml", "/tea/", "page"),
        ("/upload/sitemap-iblock-4.xml", "/catalog/tea/", "iblock"),
    ],
)
def test_the_kind_of_a_page_is_what_its_sitemap_is_called_else_its_folder(place, path, kind):
    assert crawl._kind(place, path) == kind


def test_a_sitemap_that_leads_elsewhere_is_followed():
    pages = {"/sitemap.xml": ("to", "/map/all.xml"), "/map/all.xml": (200, sitemap("/", "/tea/")), "/": (200, TEXT)}
    with serve(pages) as server:
        assert crawl.crawl(server.target, []).listed == 2


def test_without_a_sitemap_what_the_named_pages_link_to_is_fetched_and_nothing_is_done_there():
    links = (
        '<a class="x" href="index.php?route=product/product&amp;product_id=3">Cup</a>'
        f'<a href="https://{HOST}/index.php?route=product/product&amp;product_id=4#top">Pot</a><a href=/about/us/>We</a>'
        '<a href="/index.php?route=account/logout">Out</a><a href="/?add-to-cart=3">Buy</a><a href="mailto:x@y.example">Mail</a>'
        '<a href="https://other.example/">Elsewhere</a><a href="#top">Up</a><a href="http://[broken">?</a>'
    )
    with serve({"/": (200, TEXT + links), "/ware/": (200, TEXT + "<a href='cups/'>Cups</a>")}) as server:
        found = crawl.crawl(server.target, ["/ware/"])
    product = "/index.php?route=product/product&product_id="
    assert {(page.path, page.kind) for page in found.pages} == {
        ("/", "/"),
        ("/ware/", "/ware/"),
        ("/ware/cups/", "ware"),
        ("/about/us/", "about"),
        (f"{product}3", product),
        (f"{product}4", product),
    }
    assert found.listed == 0
    assert not [path for path in server.asked if "logout" in path or "cart" in path]


def test_what_is_no_address_is_left_alone_and_a_redirect_may_lead_nowhere():
    odd = "/nul%00l\x7f/"
    pages = {
        "/sitemap.xml": (200, sitemap("/tea/", odd) + "<loc>https://[broken/</loc>"),
        "/tea/": (200, TEXT + '<script src="//[broken/x.js"></script>'),
        "/": (304, ""),
    }
    with serve(pages) as server:
        seen = crawl.crawl(server.target, [])
    assert [(page.path, page.answer, page.hosts) for page in seen.pages] == [
        ("/", "304, but empty", ()),
        ("/tea/", "200", ()),
        (odd, "no answer", ()),
    ]


def test_what_turns_with_each_visit_is_turned_by_visits_of_the_home_page():
    with serve(shop()) as server:
        crawl.pass_by(server.target, 3)
        crawl.pass_by(server.target, 0)
    assert server.asked == ["/"] * 3


def test_the_updated_shop_is_asked_for_the_pages_that_the_old_one_had_and_queries_are_per_page():
    with serve(shop()) as server:
        before = crawl.crawl(server.target, [])
        server.pages = {"/": (200, TEXT)}
        asked = iter(range(0, 1000, 30))
        after = crawl.crawl(server.target, [], like=before, queries=lambda: next(asked))
    assert [page.path for page in after.pages] == [page.path for page in before.pages]
    assert after.listed == 0
    assert after.queries == {"/": 10, "posts product": 6, "taxonomies category": 10}


def observed(seen: Crawl) -> Observation:
    return Observation(Path("/nowhere"), 0, (), (), (), {}, crawl=seen)


def compared(old: Crawl, new: Crawl, *more: Crawl) -> dict[str, tuple[Status, list[str]]]:
    checks = crawl.compare(observed(old), observed(old), observed(new), [observed(it) for it in more])
    return {check.name: (check.status, [finding.message for finding in check.findings]) for check in checks}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"product_cup": (500, TEXT)}, "/product/cup/ (posts product) answers 500 instead of 200"),
        ({"category_news": (200, "<body></body>")}, "answers 200, but empty instead of 200"),
        ({"category_news": ("to", "/")}, "answers 302 to / instead of 200"),
        (
            {"product_tea": (200, f"<b>Warning</b>: Undefined variable $x in <b>/var/tea.php</b> on line 3 {TEXT}")},
            "PHP's own words stand on /product/tea/: Warning : Undefined variable $x",
        ),
        (
            {"product_tea": (200, f"{TEXT}<script async src='//cdn.partner.example/pay.js'></script>")},
            "/product/tea/ now loads from or sends to cdn.partner.example",
        ),
    ],
    ids=["error", "empty", "redirect", "warning", "foreign script"],
)
def test_what_a_page_answers_otherwise_is_a_finding(changed, said):
    with serve(shop()) as server:
        before = crawl.crawl(server.target, [])
        server.pages = shop(**changed)
        after = crawl.crawl(server.target, [], like=before)
    assert compared(before, before)["crawl"] == (Status.PASSED, [])
    status, messages = compared(before, after)["crawl"]
    assert status is Status.FAILED
    assert len(messages) == 1
    assert said in messages[0]
    assert compared(before, after, after)["crawl"][0] is Status.PASSED, "what the old shop did as well is no finding"


def test_a_script_of_a_host_that_site_yml_names_is_no_finding():
    page = CrawledPage("/shop/", "/shop/", "200", 0.2)
    old, new = Crawl(1, (page,)), Crawl(1, (replace(page, hosts=("js.payments.example",)),))
    seen = (observed(old), observed(old), observed(new))
    assert crawl.compare(*seen)[0].status is Status.FAILED
    assert crawl.compare(*seen, known_calls=("payments.example",))[0].status is Status.PASSED


def test_a_sitemap_that_lists_less_is_a_finding_and_one_that_lists_more_is_none():
    old = Crawl(24, ())
    assert compared(old, Crawl(0, ()))["crawl"][1] == ["the sitemap lists 0 pages instead of 24"]
    assert compared(old, Crawl(25, ()))["crawl"][0] is Status.PASSED


def timed(seconds: float, queries: float = 30) -> Crawl:
    return Crawl(1, (CrawledPage("/shop/", "/shop/", "200", seconds),), {"/shop/": queries})


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timed(0.45), []),
        (timed(2.4), ["/shop/ is 12.0 × slower: 0.20 s → 2.40 s"]),
        (timed(0.2, 64), []),
        (timed(0.2, 330), ["pages like /shop/ ask the database 330 queries instead of 30"]),
    ],
    ids=["a little slower", "much slower", "some queries", "many queries"],
)
def test_what_takes_far_longer_or_asks_far_more_is_a_finding_with_its_factor(after, said):
    status, messages = compared(timed(0.2), after)["speed"]
    assert messages == said
    assert status is (Status.FAILED if said else Status.PASSED)


def test_a_machine_that_slowed_down_meanwhile_is_seen_on_the_old_shop_too():
    assert compared(timed(0.2), timed(2.4), timed(1.9))["speed"][0] is Status.PASSED


def test_only_the_page_that_was_timed_is_judged_by_its_time():
    page = CrawledPage("/product/cup/", "product", "200", 0.2)
    old = Crawl(2, (replace(page, path="/product/tea/"), page))
    assert compared(old, replace(old, pages=(old.pages[0], replace(page, seconds=9.0))))["speed"][0] is Status.PASSED


def test_a_pass_that_crawled_nothing_says_nothing():
    assert crawl.compare(observed(timed(1)), observed(timed(1)), replace(observed(timed(1)), crawl=None)) == ()


def test_a_crawl_ends_in_time_and_what_the_updated_shop_did_not_show_by_then_is_a_finding():
    with serve(shop()) as server:
        before = crawl.crawl(server.target, [])
        assert crawl.crawl(server.target, [], seconds=-1).pages == ()
        after = crawl.crawl(server.target, [], like=before, seconds=-1)
    assert "/product/tea/ (posts product) answers nothing in time instead of 200" in compared(before, after)["crawl"][1]
