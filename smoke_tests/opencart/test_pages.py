"""The pages of the shop still open and still say something: those of site.yml, and one of each kind found by links."""

from __future__ import annotations

import re

from shop_pages import BOT_WALL, Pages, listed, look_at
from shop_plugin import Job, Shop, gathered

OPENCART = Pages(
    kinds={
        "category": r"route=product/category|/(category|catalog|katalog)/[^/]+",
        "product": r"route=product/product|/(product|tovar|item)/[^/]+",
        "manufacturer": r"route=product/manufacturer",
        "cart": r"route=checkout/cart",
        "contact": r"route=information/contact|contact|kontakt|контакт",
        "information": r"route=information/information|about|o-nas|о-нас|о нас|о компании",
        "delivery": r"delivery|dostavk|доставк",
    },
    near={"category": "#menu", "product": ".product-thumb"},
    hub="category",
    skipped=re.compile(
        r"route=(account|affiliate|api|extension|checkout/checkout|common/(language|currency|cookie)|product/compare)"
        r"|/admin/|logout|\.(jpe?g|png|pdf|zip)$",
        re.I,
    ),
    not_the_shop={
        "OpenCart's maintenance page": r"currently performing some scheduled maintenance|технические? работ",
        "OpenCart's “not found” page": r"the page you requested cannot be found|запрашиваемая страница не найдена",
        "a bot wall": BOT_WALL,
    },
    products=".product-thumb",
    prices="#content .price, #content .price-new",
    masks=("#content h1 + ul li:last-child",),
    login="#account-login form",
)


def test_pages(shop: Shop, job: Job) -> None:
    with gathered() as faults:
        for path in listed(shop, job, OPENCART):
            faults += [f"{path}: {fault}" for fault in look_at(shop, path, OPENCART)]
