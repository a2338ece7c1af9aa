"""A customer buys something: home → product → cart → checkout → order received, in WooCommerce's classic or block checkout.

Every selector has a name, and `flows[].selectors` in site.yml replaces it by that name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from shop_plugin import Flow, Job, Shop

PRODUCT_LINK = "ul.products li.product a[href], .wc-block-grid__product a[href], .wc-block-product a[href]"
ADD_TO_CART = "form.cart button.single_add_to_cart_button"
PRICE = ".summary .price, .price"
ADDED = ".woocommerce-message, .wc-block-components-notice-banner.is-success, form.woocommerce-cart-form"
CART = "form.woocommerce-cart-form, .wc-block-cart__submit-button"
SIMPLE = "form.cart:not(.variations_form):not(.grouped_form) button.single_add_to_cart_button:not([disabled]):visible"
QUANTITY = "form.cart:not(.grouped_form) input.qty[type='number']:visible"
QUANTITIES = "form.woocommerce-cart-form input.qty, .wc-block-components-quantity-selector__input"
TO_CHECKOUT = "a.checkout-button, .wc-block-cart__submit-button"
CHECKOUT = "form.checkout, .wc-block-checkout__form"
PLACE_ORDER = "#place_order, .wc-block-components-checkout-place-order-button"
RECEIVED = "li.woocommerce-order-overview__order, .woocommerce-order-received, .wc-block-order-confirmation-status"

BLOCK_TOTAL = ".wc-block-components-totals-footer-item .wc-block-components-totals-item__value"
CART_TOTAL = f".cart_totals .order-total .amount, {BLOCK_TOTAL}"
SUBTOTAL = ".cart-subtotal .amount, .wc-block-components-totals-item__value"
TAX = ".tax-rate td, .tax-total td, .includes_tax, .wc-block-components-totals-taxes .wc-block-components-totals-item__value"
CURRENCY = ".woocommerce-Price-currencySymbol"
LINES = "tr.cart_item .product-total .amount, tr.cart_item .product-subtotal .amount"
TOTAL = f"#order_review .order-total .amount, .order-total .amount, {BLOCK_TOTAL}"
DELIVERIES = "#shipping_method input[type='radio']"
"""Of the classic checkout, where it is known when the totals have followed."""
DELIVERY = "#shipping_method li label, .wc-block-components-shipping-rates-control label"
PAYMENT = ".wc_payment_methods > li > label, .wc-block-components-radio-control-accordion-option label"
RESULTS = "main article, main li.product, main .wp-block-post, .wc-block-product"
FIELDS = "#customer_details, .wc-block-checkout__contact-fields, .wc-block-checkout__shipping-fields"

CUSTOMER = {
    "first_name": "Anna",
    "last_name": "Petrova",
    "address_1": "Lenina 1",
    "city": "Moscow",
    "postcode": "101000",
    "phone": "+74950000000",
}
EMAIL = "smoke-test@example.com"  # a name that RFC 2606 keeps free: no mail can reach a person
OFFLINE = (
    "#payment_method_cod, #payment_method_bacs, #payment_method_cheque, #radio-control-wc-payment-method-options-cod"
)


def test_a_customer_can_order(shop: Shop, flow: Flow, job: Job, capture: Any, fact: Any) -> None:
    shop.open("/")
    capture("home")

    linked = products_linked(shop)
    product = flow.product or first_product(shop)
    name = open_product(shop, product)
    sells = {"the price": shop.find("product_price", PRICE), "“Add to cart”": shop.find("add_to_cart", ADD_TO_CART)}
    capture("product", masks=[".stock", ".related", ".up-sells"], keep=sells)

    put_into_cart(shop)
    shop.open(shop.selector("cart_path", "/cart/"))
    shop.see("cart", CART, "product in the cart")
    fact("cart.total", shop.text("cart_total", CART_TOTAL))
    capture("cart", keep={"the cart's total": shop.find("cart_total", CART_TOTAL)})

    go_to_checkout(shop)
    if shop.read_only:  # production: the form is rendered, and nobody's data is typed into it
        note_checkout(shop)
        capture("checkout")
        return
    fill_in(shop, flow)
    note_checkout(shop)
    sells = {"the total": shop.find("checkout_total", TOTAL), "“Place order”": shop.find("place_order", PLACE_ORDER)}
    capture("checkout", keep=sells)
    try_another_delivery(shop)

    place_order(shop)
    note_order(shop)
    capture("order-received", masks=[".woocommerce-order-overview__order", ".woocommerce-order-overview__date"])

    search(shop, product, name)
    capture("search", masks=[".stock"])
    if shop.tab.viewport == job.viewports[0]:  # the same cart in each window size
        fill_the_cart(shop, product, linked)


# ------------------------------------------------------------------------------------------------------- the steps


def products_linked(shop: Shop) -> list[str]:
    """Paths of the products that this page links to."""
    links = shop.page.locator(shop.selector("product_link", PRODUCT_LINK))
    return links.evaluate_all("all => [...new Set(all.map(a => a.pathname))].sort()")  # type: ignore[no-any-return]


def first_product(shop: Shop) -> str:
    """The first product listed on the home page, else on the shop page. The number listed is a fact."""
    links = shop.page.locator(shop.selector("product_link", PRODUCT_LINK))
    if not links.count():
        shop.open(shop.selector("shop_path", "/shop/"))
    shop.fact(
        "products.listed", str(shop.page.locator(shop.selector("products", "li.product, .wc-block-product")).count())
    )
    if not links.count():
        shop.fail("No product is listed, neither on the home page nor on the shop page")
    return str(links.first.get_attribute("href"))


def open_product(shop: Shop, path: str) -> str:
    """Note what the product's page promises. Returns its name."""
    shop.open(path)
    shop.see("add_to_cart", ADD_TO_CART, "“Add to cart” button")
    shop.fact("product.path", re.sub(r"^https?://[^/]+", "", path))
    name = shop.text("product_name", "h1.product_title, .product h1, h1")
    shop.fact("product.name", name)
    shop.fact("product.price", shop.text("product_price", PRICE))
    shop.fact("product.stock", shop.text("product_stock", ".summary .stock, .stock"))
    button = shop.find("add_to_cart", ADD_TO_CART)
    hidden = shop.page.locator("form.cart [name='add-to-cart']")
    found = button.get_attribute("value") or (hidden.first.get_attribute("value") if hidden.count() else "")
    shop.fact("product.id", found or "")
    return name


def put_into_cart(shop: Shop) -> None:
    added = shop.selector("added", ADDED)
    shop.click(shop.find("add_to_cart", ADD_TO_CART), "Add to cart", then=added, expect="message that it was added")


def go_to_checkout(shop: Shop) -> None:
    checkout = shop.selector("checkout", CHECKOUT)
    shop.click(shop.find("to_checkout", TO_CHECKOUT), "Proceed to checkout", then=checkout, expect="checkout form")
    shop.quiet()


def fill_in(shop: Shop, flow: Flow) -> None:
    """The customer's data, an offline payment method and the terms; then whatever site.yml fills in."""
    for name, value in CUSTOMER.items():
        shop.fill(f"#billing_{name}, #shipping-{name}", value)
    if not shop.fill(shop.selector("email", "#billing_email, #email"), EMAIL):
        shop.fail("The checkout has no e-mail field")
    shop.quiet()
    payment = shop.page.locator(shop.selector("payment", OFFLINE))
    if payment.count():
        # The label, as a customer does: many themes hide the round button itself.
        payment.first.dispatch_event("click")
    shop.fill("#terms", "yes")
    for selector, value in flow.fill.items():
        if not shop.fill(selector, value):
            shop.fail(f"The checkout shows no field {selector} (site.yml: flows[].fill)")
    shop.quiet()
    shop.fact("order.email", shop.find("email", "#billing_email, #email").input_value())


def note_checkout(shop: Shop) -> None:
    """What the checkout promises: lines, tax, total, delivery and payment methods, and the fields that it asks for."""
    shop.fact("checkout.total", shop.text("checkout_total", TOTAL))
    shop.fact("checkout.lines", " | ".join(shop.texts("checkout_lines", LINES)))
    shop.fact("checkout.subtotal", shop.text("checkout_subtotal", SUBTOTAL))
    shop.fact("checkout.tax", " | ".join(shop.texts("checkout_tax", TAX)))
    shop.fact("checkout.currency", shop.text("currency", CURRENCY))
    shop.fact("checkout.delivery", " | ".join(shop.texts("delivery", DELIVERY)))
    shop.fact("checkout.payment", " | ".join(shop.texts("payment_methods", PAYMENT)))
    names = shop.page.locator(shop.selector("fields", FIELDS)).locator(
        "input:visible, select:visible, textarea:visible"
    )
    shop.fact("checkout.fields", " ".join(names.evaluate_all("all => [...new Set(all.map(e => e.name || e.id))]")))


def try_another_delivery(shop: Shop) -> None:
    """The total by another delivery is a fact; then back to what the shop had chosen, by which the order is placed."""
    methods = shop.page.locator(shop.selector("deliveries", DELIVERIES))
    chosen = methods.evaluate_all("all => all.findIndex(e => e.checked)")
    if methods.count() < 2 or chosen < 0:
        return
    for number in (methods.count() - 1 if chosen == 0 else 0, chosen):
        # The button itself, as with payment: many themes hide it. It is drawn anew with the totals.
        methods.nth(number).dispatch_event("click")
        shop.quiet()
        if number != chosen:
            shop.fact("checkout.total_by_other_delivery", shop.text("checkout_total", TOTAL))


def place_order(shop: Shop) -> None:
    received = shop.selector("order_received", RECEIVED)
    shop.click(shop.find("place_order", PLACE_ORDER), "Place order", then=received, expect="order-received page")


def note_order(shop: Shop) -> None:
    overview = "li.woocommerce-order-overview__{0} strong"
    shop.fact("order.number", shop.text("order_number", overview.format("order")))
    shop.fact("order.total", shop.text("order_total", overview.format("total")))


def search(shop: Shop, product: str, name: str) -> None:
    """The shop's search, asked for the product by its name. Whether it finds it, and how much else, are facts."""
    shop.visit("/?" + urlencode({"s": name}))  # a shop may have switched it off: that it answers 404 is then no fault
    count = shop.page.locator(shop.selector("search_results", RESULTS)).count()
    # A menu, or a list of products seen last beside the results, leads to it as well and says nothing of the search.
    main = shop.page.locator(shop.selector("search_main", "main, [role=main], #content"))
    links = (
        (main.first if main.count() else shop.page).locator("a[href]").evaluate_all("all => all.map(a => a.pathname)")
    )
    wanted = urlsplit(product).path
    found = wanted in {*links, urlsplit(shop.page.url).path}  # a shop may lead to the only result at once
    shop.fact("search.finds_product", "yes" if found else "no")
    shop.fact("search.results", str(count))


def fill_the_cart(shop: Shop, product: str, linked: Sequence[str]) -> None:
    """Two pieces, and another product beside them: what the cart holds then is a fact. Nothing is ordered."""
    shop.open(product)
    if not shop.page.locator(SIMPLE).count():
        return  # sold out by the order, or to be chosen from
    quantity = shop.page.locator(shop.selector("quantity", QUANTITY))
    if quantity.count() and quantity.first.get_attribute("max") != "1":
        quantity.first.fill("2")
    put_into_cart(shop)
    for other in [path for path in linked if path != urlsplit(product).path][:3]:
        shop.open(other)
        if shop.page.locator(SIMPLE).count():
            put_into_cart(shop)
            break
    shop.open(shop.selector("cart_path", "/cart/"))
    shop.see("cart", CART, "product in the cart")
    pieces = shop.page.locator(shop.selector("quantities", QUANTITIES)).evaluate_all("all => all.map(e => e.value)")
    shop.fact("cart.pieces", " + ".join(pieces))
