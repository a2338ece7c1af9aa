"""A guest buys something: home → category → product with its options → cart → checkout → success, in OpenCart 3 and 4.

Every selector has a name, and `flows[].selectors` in site.yml replaces it by that name.
"""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from shop_catalogue import first_product, open_category
from shop_plugin import Flow, Shop

from updater.language import mark, sentence

CATEGORY_LINK = "#menu a.see-all, #menu a[href*='path='], #menu .navbar-nav a[href^='http']"
LISTED = ".product-thumb"
PRODUCT_LINK = ".product-thumb h4 a[href], .product-thumb .image a[href]"
ADD_TO_CART = "#button-cart"
ADDED = ".alert-success"
REQUIRED = "#product .required"

TO_CHECKOUT = "#content a.btn-primary[href*='checkout']"
CART_TOTAL = "#checkout-total tr:last-child td:last-child, .col-sm-offset-8 table tr:last-child td:last-child"
FOUR = "#form-register"
THREE = "#button-account"
FIELDS = f"{FOUR}, #collapse-checkout-option"
TOTAL = (
    "#checkout-confirm tfoot tr:last-child td:last-child, #collapse-checkout-confirm tfoot tr:last-child td:last-child"
)
PLACE_ORDER = "#button-confirm"
RECEIVED = "#common-success"

CUSTOMER = {"firstname": "Anna", "lastname": "Petrova", "telephone": "+74950000000"}
ADDRESS = {"address-1": "Lenina 1", "city": "Moscow", "postcode": "101000"}
RADIO = "input[type='radio'][name='{0}_method']"  # 4.x shows what was chosen in a text field of the same name
OFFLINE = "[type='radio'][name='payment_method'][value='cod.cod'], [type='radio'][name='payment_method'][value='cod']"
OPTION_TEXTS = {"date": "2030-01-02", "datetime-local": "2030-01-02T12:00", "time": "12:00"}


def test_a_guest_can_order(shop: Shop, flow: Flow, capture: Any, fact: Any) -> None:
    shop.open("/")
    capture("home")
    open_category(shop, capture, links=CATEGORY_LINK, products=LISTED)

    open_product(shop, flow.product or first_product(shop, links=PRODUCT_LINK))
    capture("product", masks=["#content h1 + ul li:last-child"])

    put_into_cart(shop)
    shop.open(shop.selector("cart_path", "/index.php?route=checkout/cart"))
    shop.see("to_checkout", TO_CHECKOUT, "“Checkout” button")
    fact("cart.total", shop.text("cart_total", CART_TOTAL))
    capture("cart")

    go_to_checkout(shop)
    if shop.read_only:  # production: the form is rendered, and nobody's data is typed into it
        capture("checkout")
        return
    if shop.page.locator(FOUR).count():
        check_out_4(shop, flow)
    else:
        check_out_3(shop, flow)
    fact("checkout.total", shop.text("checkout_total", TOTAL))
    # Notices of 4.x lie over the form for some seconds: how many are still there says nothing of the update.
    shop.page.locator("#alert .alert").evaluate_all("all => all.forEach(e => e.remove())")
    capture("checkout")

    place_order(shop)
    capture("order-received")


# ------------------------------------------------------------------------------------------------------- the steps


def open_product(shop: Shop, path: str) -> None:
    shop.open(path)
    shop.see("add_to_cart", ADD_TO_CART, "“Add to Cart” button")
    shop.fact("product.path", re.sub(r"^https?://[^/]+", "", path))
    shop.fact("product.name", shop.text("product_name", "#content h1"))
    shop.fact("product.price", shop.text("product_price", "#content .price-new, #content ul.list-unstyled h2"))
    shop.fact("product.details", " | ".join(shop.texts("product_details", "#content h1 + ul li")))
    shop.fact("product.options", " | ".join(shop.texts("product_options", "#product label")))
    number = shop.page.locator("#product input[name='product_id']")
    shop.fact("product.id", str(number.first.get_attribute("value")) if number.count() else "")


def put_into_cart(shop: Shop) -> None:
    """With a value of each option that the product asks for."""
    for option in shop.page.locator(shop.selector("required", REQUIRED)).all():
        choose_option(shop, option)
    added = shop.selector("added", ADDED)
    shop.click(shop.find("add_to_cart", ADD_TO_CART), "Add to Cart", then=added, expect="message that it was added")


DEARER = "all => Math.max(0, all.findIndex(e => (e.labels && e.labels[0] || e).textContent.includes('(+')))"
"""The first value that costs more, else the first: what it costs more is then in every total"""


def choose_option(shop: Shop, option: Locator) -> None:
    select = option.locator("select")
    tick = option.locator("input[type='radio'], input[type='checkbox']")
    text = option.locator(
        "input[type='text'], input[type='date'], input[type='time'], input[type^='datetime'], textarea"
    )
    if select.count():
        values = select.first.locator("option:not([value=''])")
        select.first.select_option(value=values.nth(values.evaluate_all(DEARER)).get_attribute("value"))
    elif tick.count():
        tick.nth(tick.evaluate_all(DEARER)).check()
    elif text.count():
        kind = text.first.get_attribute("data-date-format") or text.first.get_attribute("type") or ""
        known = {"YYYY-MM-DD": "2030-01-02", "YYYY-MM-DD HH:mm": "2030-01-02 12:00", "HH:mm": "12:00", **OPTION_TEXTS}
        text.first.fill(known.get(kind, "Smoke test"))
    else:
        shop.fail(mark("The product asks for a file: name another one in site.yml (`flows[].product`)"))


def go_to_checkout(shop: Shop) -> None:
    form = shop.selector("checkout", f"{FOUR}, {THREE}")
    shop.click(shop.find("to_checkout", TO_CHECKOUT), "Checkout", then=form, expect="checkout form")
    shop.quiet()
    names = shop.page.locator(shop.selector("fields", FIELDS)).locator(
        "input:visible, select:visible, textarea:visible"
    )
    shop.fact("checkout.fields", " ".join(names.evaluate_all("all => [...new Set(all.map(e => e.name || e.id))]")))


def check_out_4(shop: Shop, flow: Flow) -> None:
    """One page: the address is saved, then methods are chosen in a box of their own, one after the other."""
    guest = shop.page.locator("#input-guest")
    if guest.count():
        guest.check()
    fill_in(shop, flow, "#input-{0}", "#input-shipping-{0}, #input-payment-{0}")
    shop.click(
        shop.page.locator("#button-register"), "Continue", then=".alert-success", expect="message that it is saved"
    )
    shop.quiet()
    if shop.page.locator("#button-shipping-methods").count():
        choose_method(shop, "shipping", "Delivery method", RADIO.format("shipping"))
    choose_method(shop, "payment", "Payment method", OFFLINE)
    agree = shop.page.locator("#input-checkout-agree")
    if agree.count():
        agree.check()
        shop.quiet()
    shop.see("place_order", f"{PLACE_ORDER}:not([disabled])", "“Confirm Order” button")


def choose_method(shop: Shop, name: str, called: str, preferred: str) -> None:
    offered = RADIO.format(name)
    shop.click(
        shop.page.locator(f"#button-{name}-methods"), f"{called}: Choose", then=offered, expect=f"{called.lower()}"
    )
    note_methods(shop, name)
    pick(shop, name, preferred)
    shop.page.locator(f"#button-{name}-method").click(timeout=shop.patience * 1000)
    try:
        shop.page.wait_for_function(
            "id => document.getElementById(id).value !== ''",
            arg=f"input-{name}-method",
            timeout=shop.patience * 1000,
        )
    except PlaywrightTimeout:
        shop.fail(
            sentence("Choosing the {part} did nothing for {seconds:.0f} s", part=called.lower(), seconds=shop.patience)
        )
    shop.quiet()


def check_out_3(shop: Shop, flow: Flow) -> None:
    """Steps that open one below the other."""
    guest = shop.page.locator("input[name='account'][value='guest']")
    if not guest.count():
        shop.fail(
            mark("The checkout offers no guest checkout: allow it in the shop's settings, or bring a test of your own")
        )
    guest.check()
    first = "#input-payment-firstname"
    shop.click(shop.page.locator(THREE), "Continue", then=first, expect="form for the address")
    fill_in(shop, flow, "#input-payment-{0}", "#input-payment-{0}")
    delivery, payment = RADIO.format("shipping"), RADIO.format("payment")
    shop.click(
        shop.page.locator("#button-guest"), "Continue", then=f"{delivery}, {payment}", expect="choice of methods"
    )
    if shop.page.locator(delivery).count():
        shop.quiet()
        note_methods(shop, "shipping")
        pick(shop, "shipping", delivery)
        shop.click(
            shop.page.locator("#button-shipping-method"), "Continue", then=payment, expect="choice of payment methods"
        )
    shop.quiet()
    note_methods(shop, "payment")
    pick(shop, "payment", OFFLINE)
    shop.fill("input[name='agree']", "yes")
    confirm = shop.selector("place_order", PLACE_ORDER)
    shop.click(shop.page.locator("#button-payment-method"), "Continue", then=confirm, expect="“Confirm Order” button")
    shop.quiet()


def fill_in(shop: Shop, flow: Flow, person: str, address: str) -> None:
    """The customer's data, a country and a region, then whatever site.yml fills in."""
    for name, value in CUSTOMER.items():
        shop.fill(person.format(name), value)
    # One address for each window size: where the shop shows no number of the order, its mail is known by it.
    # RFC 2606 keeps the name free: no mail can reach a person.
    email = shop.selector("email", person.format("email"))
    if not shop.fill(email, f"smoke-test-{shop.tab.viewport.name}@example.com"):
        shop.fail(mark("The checkout has no e-mail field"))
    for name, value in ADDRESS.items():
        shop.fill(visible(address.format(name)), value)
    choose_first(shop, visible(address.format("country")), "country")
    shop.quiet()
    choose_first(shop, visible(address.format("zone")), "region")
    for selector, value in flow.fill.items():
        if not shop.fill(selector, value):
            shop.fail(sentence("The checkout shows no field {field} (site.yml: flows[].fill)", field=selector))
    shop.quiet()
    shop.fact("order.email", shop.page.locator(email).first.input_value())


def visible(selector: str) -> str:
    return ", ".join(f"{part}:visible" for part in selector.split(", "))


def choose_first(shop: Shop, selector: str, called: str) -> None:
    """The first value, unless the shop has chosen one. Regions come after the country was chosen."""
    select = shop.page.locator(selector).first
    try:
        select.locator("option:not([value=''])").first.wait_for(state="attached", timeout=shop.patience * 1000)
    except PlaywrightTimeout:
        shop.fail(sentence("The checkout offers no {part}", part=called))
    if not select.input_value():
        select.select_option(value=select.locator("option:not([value=''])").first.get_attribute("value"))


def note_methods(shop: Shop, name: str) -> None:
    labels = shop.page.locator(RADIO.format(name)).evaluate_all(
        "all => all.map(e => (e.closest('label') || e.parentNode.querySelector('label') || e.parentNode).innerText)"
    )
    known = {"shipping": "delivery", "payment": "payment"}[name]
    shop.fact(f"checkout.{known}", " | ".join(" ".join(label.split()) for label in labels))


def pick(shop: Shop, name: str, preferred: str) -> None:
    chosen = shop.page.locator(shop.selector(name, preferred))
    if not chosen.count():
        chosen = shop.page.locator(RADIO.format(name))
    chosen.first.check(timeout=shop.patience * 1000)


def place_order(shop: Shop) -> None:
    shop.fact("order.total", shop.text("checkout_total", TOTAL))
    received = shop.selector("order_received", RECEIVED)
    shop.click(shop.find("place_order", PLACE_ORDER), "Confirm Order", then=received, expect="page that thanks")
    # OpenCart tells a guest no number; themes and extensions may.
    shop.fact("order.number", shop.text("order_number", ".order-number"))
