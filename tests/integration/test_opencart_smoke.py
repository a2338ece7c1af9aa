"""The flows for OpenCart's storefront on the twins of 3.0 and 4.1: what they see, what they order, and where they stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storefront import walk

from updater.checks import facts
from updater.demo_shop import DemoShop
from updater.log import Silent
from updater.model import Status


@pytest.fixture(scope="module", params=["opencart", "opencart-3"])
def shop(
    shop_image: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DemoShop]:
    with DemoShop.start(tmp_path_factory.mktemp("shop"), Silent(), kind=request.param) as started:
        yield started


def test_a_guest_orders_and_the_database_agrees(shop: DemoShop, tmp_path: Path) -> None:
    mails = len(shop.mails())
    seen = walk(shop, tmp_path)
    for viewport in ("desktop", "mobile"):
        fact = {key.removesuffix(f" [checkout, {viewport}]"): value for key, value in seen.facts.items()}
        assert fact["products.listed"] == "2"
        assert fact["product.name"] == "Green tea"
        assert fact["product.price"] == "$12.50"
        assert "SKU: SKU-001" in fact["product.details"]
        assert fact["product.options"] == "100 g | 250 g (+$15.00)"
        assert fact["cart.total"] == "$27.50"
        assert fact["checkout.delivery"] == "Flat Shipping Rate - $5.00"
        assert fact["checkout.payment"] == "Cash On Delivery | Credit Card"
        assert fact["checkout.total"] == fact["order.total"] == "$32.50"
        labels = {view.page for view in seen.views if view.viewport == viewport}
        assert labels >= {"home", "category", "product", "cart", "checkout", "order-received"}
    check = facts.order_check(seen, "before")
    assert check.status is Status.PASSED, check
    assert len(facts.placed_orders(seen)) == 2
    assert seen.state_before.stock["1"] == "500"
    assert seen.state_after.stock["1"] == "498"
    sent = "".join(shop.mails()[mails:])
    assert {f"smoke-test-{name}@example.com" for name in ("desktop", "mobile")} <= set(sent.split())


def test_nothing_is_typed_or_ordered_where_only_looking_is_allowed(shop: DemoShop, tmp_path: Path) -> None:
    orders, mails = shop.sql("SELECT COUNT(*) FROM ocx_order"), len(shop.mails())
    seen = walk(shop, tmp_path, read_only=True)
    assert {view.page for view in seen.views} >= {"cart", "checkout"}
    assert not any(view.page == "order-received" for view in seen.views)
    assert seen.facts["checkout.fields [checkout, desktop]"]
    assert shop.sql("SELECT COUNT(*) FROM ocx_order") == orders
    assert len(shop.mails()) == mails
