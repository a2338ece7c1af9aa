"""The pages of the shop still open and still say something: those of site.yml, and one of each kind found by links."""

from __future__ import annotations

import re

from shop_pages import BOT_WALL, Pages, listed, look_at
from shop_plugin import Job, Shop, gathered

BITRIX = Pages(
    kinds={
        "category": r"SECTION_ID=|/catalog/[^/?]+/?$",
        "product": r"ELEMENT_ID=|/catalog/[^/]+/[^/]+",
        "cart": r"/personal/cart|/basket",
        "contact": r"contact|kontakt|контакт",
        "information": r"about|o-nas|company|о компании",
        "delivery": r"delivery|dostavk|доставк",
    },
    near={"category": "nav", "product": ".product-item-container, .product-item"},
    hub="category",
    skipped=re.compile(
        r"/bitrix/|/personal/(order|private|orders)|/auth/|logout=|action=|\.(jpe?g|png|pdf|zip)$",
        re.I,
    ),
    not_the_shop={
        "Bitrix's page of a closed site": r"сайт временно закрыт|site is temporarily closed",
        "Bitrix's page of an error": r"\[DB query error\]|mysql (query|connect) error|ошибка подключения к базе",
        "a bot wall": BOT_WALL,
    },
    products=".product-item-container, .product-item",
    prices=".product-item-price-current, .product-item-detail-price-current",
    masks=(),
    login="form[name='form_auth']",
)


def test_pages(shop: Shop, job: Job) -> None:
    with gathered() as faults:
        for path in listed(shop, job, BITRIX):
            faults += [f"{path}: {fault}" for fault in look_at(shop, path, BITRIX)]
