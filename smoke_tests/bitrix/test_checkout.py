"""A guest buys something: home → category → product → cart → `sale.order.ajax` → confirmation, in 1C-Bitrix.

Templates below /local are common and properties of an order have other numbers on each site: every selector has a name, and
`flows[].selectors` in site.yml replaces it by that name; `flows[].fill` fills in whatever else the form asks for.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

from playwright.sync_api import Locator, Response
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from shop_catalogue import first_product, open_category
from shop_plugin import Flow, Shop

from updater.language import mark, sentence

CATEGORY_LINK = "nav a[href*='/catalog/'], a[href*='SECTION_ID='], .bx-top-nav a[href*='/catalog/']"
LISTED = ".product-item-container, .product-item, .catalog-section .item"
PRODUCT_LINK = ".product-item-title a[href], .product-item a[href], .catalog-section a[href]"
ADD_TO_CART = "[id$='_add_basket_link'], [id$='_buy_link'], .product-item-detail-buy-button"
ADDED = ".popup-window, .bx-added"
PRICE = ".product-item-detail-price-current"
DETAILS = ".product-item-quantity, .product-item-detail-properties"

CART_TOTAL = "[data-entity='basket-total-price']"
TO_CHECKOUT = "[data-entity='basket-checkout-button']"

FORM = "form#bx-soa-order-form, form[name='ORDER_FORM']"
TOTAL = "#bx-soa-total .bx-soa-cart-total-line-total .bx-soa-cart-d"
PLACE_ORDER = "#bx-soa-orderSave a[data-save-button], #bx-soa-orderSave > a"
RECEIVED = "table.sale_order_full_table"
ERRORS = "#bx-soa-main-notifications .alert-danger:visible"

# The numbers of a shop as its installer makes it; on any other site they are in site.yml.
FIELDS = {
    "name": ("#soa-property-1", "Anna Petrova"),
    "email": ("#soa-property-2", ""),
    "phone": ("#soa-property-3", "+74950000000"),
    "address": ("#soa-property-7", "Lenina 1"),
}
METHOD = "#bx-soa-{0} .bx-soa-pp-company"


def test_a_guest_can_order(shop: Shop, flow: Flow, capture: Any, fact: Any) -> None:
    shop.open("/")
    capture("home")
    open_category(shop, capture, links=CATEGORY_LINK, products=LISTED)

    open_product(shop, flow.product or first_product(shop, links=PRODUCT_LINK))
    capture("product")

    added = shop.selector("added", ADDED)
    shop.click(shop.find("add_to_cart", ADD_TO_CART), "Add to cart", then=added, expect="message that it was added")
    shop.open(shop.selector("cart_path", "/personal/cart/"))
    shop.see("to_checkout", TO_CHECKOUT, "button to the checkout")
    fact("cart.total", shop.text("cart_total", CART_TOTAL))
    capture("cart")

    go_to_checkout(shop)
    if shop.read_only:  # production: the form is rendered, and nobody's data is typed into it
        capture("checkout")
        return
    choose_methods(shop)
    fill_in(shop, flow)
    fact("checkout.total", shop.text("checkout_total", TOTAL))
    capture("checkout")

    place_order(shop)
    capture("order-received")


# ------------------------------------------------------------------------------------------------------- the steps


def open_product(shop: Shop, path: str) -> None:
    shop.open(path)
    button = shop.see("add_to_cart", ADD_TO_CART, "button that adds to the cart")
    shop.fact("product.path", re.sub(r"^https?://[^/]+", "", path))
    shop.fact("product.name", shop.text("product_name", "h1"))
    shop.fact("product.price", shop.text("product_price", PRICE))
    shop.fact("product.details", " | ".join(shop.texts("product_details", DETAILS)))
    # Bitrix's own templates end the button's id with the product's: bx_117848907_12_buy_link.
    number = re.search(r"_(\d+)_(add_basket|buy)_link$", button.get_attribute("id") or "")
    shop.fact("product.id", number[1] if number else "")


def go_to_checkout(shop: Shop) -> None:
    form = shop.selector("checkout", FORM)
    shop.click(shop.find("to_checkout", TO_CHECKOUT), "To the checkout", then=form, expect="checkout form")
    try:
        # The form is there from the start, and transparent until its script has run.
        shop.page.wait_for_function(
            "() => { const e = document.getElementById('bx-soa-order'); return !e || getComputedStyle(e).opacity === '1' }",
            timeout=shop.patience * 1000,
        )
    except PlaywrightTimeout:
        shop.fail(sentence("The checkout did not show itself for {seconds:.0f} s", seconds=shop.patience))
    shop.quiet()
    names = shop.page.locator(form).locator("input, select, textarea")
    shop.fact("checkout.fields", " ".join(names.evaluate_all("all => [...new Set(all.map(e => e.name || e.id))]")))


def section(shop: Shop, name: str, inside: Locator) -> None:
    """Open the section where `inside` is: one is open at a time, the others are folded up."""
    if inside.count() and not inside.first.is_visible():
        edit = shop.page.locator(f"#bx-soa-{name} .bx-soa-editstep")
        if edit.count():
            edit.first.click(timeout=shop.patience * 1000)
            shop.quiet()


def choose_methods(shop: Shop) -> None:
    """The first way of delivery and of payment, or what site.yml names as `delivery` and `payment`. Those on offer are facts."""
    for name, known in (("delivery", "delivery"), ("paysystem", "payment")):
        offered = shop.page.locator(METHOD.format(name))
        section(shop, name, offered)
        shop.fact(f"checkout.{known}", " | ".join(shop.texts(f"{known}_methods", METHOD.format(name))))
        chosen = shop.page.locator(shop.selector(known, f"{METHOD.format(name)} input[type='radio']"))
        if chosen.count() and not chosen.first.is_checked():
            # The form asks the server for the new total, unless a template of the site's own does without.
            with contextlib.suppress(PlaywrightTimeout), shop.page.expect_response(_posted, timeout=5000):
                chosen.first.check(timeout=shop.patience * 1000)
            shop.quiet()


def _posted(answer: Response) -> bool:
    return answer.request.method == "POST"


def fill_in(shop: Shop, flow: Flow) -> None:
    """The customer's data, then whatever site.yml fills in."""
    selectors = {name: shop.selector(name, default) for name, (default, _) in FIELDS.items()}
    section(shop, "properties", shop.page.locator(selectors["email"]))
    for name, (_, value) in FIELDS.items():
        if name != "email":
            shop.fill(selectors[name], value)
    # RFC 2606 keeps the name free: no mail can reach a person.
    if not shop.fill(selectors["email"], f"smoke-test-{shop.tab.viewport.name}@example.com"):
        shop.fail(
            sentence(
                "The checkout shows no e-mail field {field}: name its number in site.yml (flows[].selectors: {example})",
                field=selectors["email"],
                example="{email: '#soa-property-N'}",
            )
        )
    for selector, value in flow.fill.items():
        if not shop.fill(selector, value):
            shop.fail(sentence("The checkout shows no field {field} (site.yml: flows[].fill)", field=selector))
    shop.quiet()
    shop.fact("order.email", shop.page.locator(selectors["email"]).first.input_value())


def place_order(shop: Shop) -> None:
    """The order is saved by ajax; its page is the same one with ?ORDER_ID=, and an error is shown in the form."""
    shop.fact("order.total", shop.text("checkout_total", TOTAL))
    received = shop.selector("order_received", RECEIVED)
    button = shop.find("place_order", PLACE_ORDER)
    shop.click(button, "Place the order", then=f"{received}, {ERRORS}", expect="page that confirms the order")
    if not shop.page.locator(received).count():
        shop.fail(mark("The order was not accepted"))
    said = shop.text("order_number", received)
    number = re.search(r"№\s*([\w/-]+)", said) or re.search(r"ORDER_ID=([\w/-]+)", shop.page.url)
    shop.fact("order.number", number[1] if number else "")
