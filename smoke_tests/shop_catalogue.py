"""The way into a shop's catalogue, alike in any of them: home → category → product. Each CMS says by which selectors."""

from __future__ import annotations

from typing import Any

from shop_plugin import Shop

from updater.language import mark


def open_category(shop: Shop, capture: Any, *, links: str, products: str) -> None:
    """The first category of the menu, where there is one. The number of products listed is a fact."""
    categories = shop.page.locator(shop.selector("category_link", links))
    if not categories.count():
        return
    shop.open(str(categories.first.get_attribute("href")))
    shop.fact("products.listed", str(shop.page.locator(shop.selector("products", products)).count()))
    capture("category")


def first_product(shop: Shop, *, links: str) -> str:
    """The first product of the category that is shown, else of the home page."""
    products = shop.page.locator(shop.selector("product_link", links))
    if not products.count():
        shop.open("/")
    if not products.count():
        shop.fail(mark("No product is listed, neither in the first category nor on the home page"))
    return str(products.first.get_attribute("href"))
