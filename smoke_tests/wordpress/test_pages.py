"""The pages of the shop still open and still say something: those of site.yml, and one of each kind found by links."""

from __future__ import annotations

import re

from shop_pages import BOT_WALL, Pages, listed, look_at
from shop_plugin import Job, Shop, gathered

SHUFFLED = ":not(.related *, .up-sells *, .cross-sells *)"
"""Lists that production's WooCommerce draws by lot at each visit: staging shows them in one order, so that pictures hold them."""

WORDPRESS = Pages(
    kinds={
        "shop": r"/(shop|store|catalog|katalog|magazin)/?$|post_type=product$",
        "product": r"/(product|tovar|item)/[^/]+",
        "category": r"/(product-category|category|product-cat)/[^/]+",
        "cart": r"/(cart|basket|korzina)/?$",
        "contact": r"contact|kontakt|контакт",
        "about": r"about|o-nas|о-нас|о нас|о компании",
        "delivery": r"delivery|shipping|dostavk|доставк",
    },
    near={"post": "article, .post, .wp-block-post, .hentry"},
    hub="shop",
    skipped=re.compile(
        r"/wp-(admin|login|json|content)|add-to-cart=|/feed/?$|logout|replytocom|xmlrpc|\.(jpe?g|png|pdf|zip)$", re.I
    ),
    not_the_shop={
        "WordPress's “critical error” page": r"critical error on this website|критическ\w+ ошибк",
        "WordPress's database error page": r"error establishing a database connection|ошибка установки соединения с базой",
        "a maintenance page": r"briefly unavailable for scheduled maintenance|ненадолго недоступен из-за технического",
        "a bot wall": BOT_WALL,
    },
    products=", ".join(f"{item}{SHUFFLED}" for item in ("li.product", ".wc-block-product", ".wc-block-grid__product")),
    prices=", ".join(f"{price} .amount{SHUFFLED}" for price in (".price", ".wc-block-components-product-price")),
    masks=(".stock", ".post-navigation", ".nav-links"),
    login="body.login form#loginform",
)


def test_pages(shop: Shop, job: Job) -> None:
    with gathered() as faults:
        for path in listed(shop, job, WORDPRESS):
            faults += [f"{path}: {fault}" for fault in look_at(shop, path, WORDPRESS)]
        if not shop.read_only:  # a firewall may keep it from visitors of production, and the clone has none
            shop.fact("rest.collections", " | ".join(rest_collections(shop)), scope="REST")


def rest_collections(shop: Shop) -> list[str]:
    """Posts, products and what else a marketplace or an app reads by REST: the collections of WordPress's own namespace.

    Plugins' own routes are no promise to anybody: WooCommerce's change with each release.
    """
    routes: list[str] = shop.page.evaluate(
        "() => fetch('/?rest_route=/').then(it => it.json()).then(it => Object.keys(it.routes)).catch(() => [])"
    )
    return sorted(route for route in routes if re.fullmatch(r"/wp/v2/[\w-]+", route))
