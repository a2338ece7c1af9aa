"""A customer buys something: home → product → cart → checkout → order received, in WooCommerce's classic or block checkout.

As a guest, and on staging once more with an account, a coupon and a product that has options, where the shop has them.
Every selector has a name, and `flows[].selectors` in site.yml replaces it by that name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from shop_plugin import Flow, Job, Shop

from updater.checks.facts import PAYING
from updater.checks.live import WITH_AN_ACCOUNT
from updater.language import mark, sentence

PRODUCT_LINK = "ul.products li.product a[href], .wc-block-grid__product a[href], .wc-block-product a[href]"
ADD_TO_CART = "form.cart button.single_add_to_cart_button"
PRICE = ".summary .price, .price, .wc-block-components-product-price"
OPTIONS = "form.variations_form select[name^='attribute_']"
READY_TO_ADD = (
    ".woocommerce-variation-add-to-cart-enabled .single_add_to_cart_button, "
    "form.variations_form:not(:has(.woocommerce-variation-add-to-cart)) .single_add_to_cart_button:not(.disabled)"
)
"""What was chosen is shown: since 10.9 that is 0.3 s after it is known, and until then the button may look as if nothing had to be chosen."""
VARIATION = "form.variations_form .woocommerce-variation-price .price"
ADDED = ".woocommerce-message, .wc-block-components-notice-banner.is-success, form.woocommerce-cart-form"
CART_LINK = ".woocommerce-message a.wc-forward, .wc-block-components-notice-banner.is-success a.wc-forward"
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
LINES = (
    "tr.cart_item .product-total .amount, tr.cart_item .product-subtotal .amount, "
    ".wc-block-components-order-summary-item__total-price"
)
TOTAL = f"#order_review .order-total .amount, .order-total .amount, {BLOCK_TOTAL}"
DELIVERIES = "#shipping_method input[type='radio']"
"""Of the classic checkout, where it is known when the totals have followed."""
DELIVERY = "#shipping_method li label, .wc-block-components-shipping-rates-control label"
PAYMENT = ".wc_payment_methods > li > label, .wc-block-components-radio-control-accordion-option label"
RESULTS = "main article, main li.product, main .wp-block-post, .wc-block-product"
FIELDS = "#customer_details, .wc-block-checkout__contact-fields, .wc-block-checkout__shipping-fields, .wc-block-checkout__billing-fields"
GENERATED = re.compile(r"-\d+$")
"""The end of an id that React numbers as it goes: another one in each version says nothing"""

OVERVIEW = "li.woocommerce-order-overview__{0} strong"
SUMMARY = ".wc-block-order-confirmation-summary-list-item:nth-child({0}) .wc-block-order-confirmation-summary-list-item__value"
NUMBER, TOTAL_PAID = (
    f"{OVERVIEW.format(name)}, {SUMMARY.format(place)}" for name, place in (("order", 1), ("total", 3))
)
OWN_TO_EACH_ORDER = [
    ".woocommerce-order-overview__order",
    ".woocommerce-order-overview__date",
    SUMMARY.format(1),
    SUMMARY.format(2),
]

CUSTOMER = {
    "first_name": "Anna",
    "last_name": "Petrova",
    "address_1": "Lenina 1",
    "city": "Moscow",
    "phone": "+74950000000",
}
POSTCODES = {
    "AT": "1010",
    "BE": "1000",
    "CA": "M5V 2T6",
    "CH": "8001",
    "CZ": "110 00",
    "DE": "10115",
    "ES": "28001",
    "FR": "75001",
    "GB": "EC1A 1BB",
    "HU": "1011",
    "IT": "00118",
    "NL": "1011 AB",
    "PL": "00-001",
    "PT": "1000-001",
    "SK": "811 01",
    "UA": "01001",
    "US": "94103",
}
"""WooCommerce refuses what cannot be a postcode of the country that the checkout proposes."""
POSTCODE = "101000"
EMAIL = "smoke-test@example.com"  # a name that RFC 2606 keeps free: no mail can reach a person
BY_METHOD = "#payment_method_{0}, #radio-control-wc-payment-method-options-{0}"
OFFLINE = ", ".join(BY_METHOD.format(method) for method in ("cod", "bacs", "cheque"))
OFFERED = "script#updater-payment-methods"
"""Of staging alone: every method that would be offered, those that are switched off there too."""
RECEIVED_AT = "order-received"
"""In the address of the page that thanks, as WooCommerce calls it unless its settings say otherwise"""

# What the staging copy alone knows (wordpress-guard.php): a customer who comes into being at the first login, and a coupon of 10 %.
ACCOUNT = "smoke-test-customer@example.com"
PASSWORD = "smoke-Test-4417"  # noqa: S105 - of a customer who exists on staging alone
COUPON = "updater-smoke-test"
ACCOUNT_PAGE = "/?updater-account"
LOGIN = "form.woocommerce-form-login"
LOGGED_IN = ".woocommerce-MyAccount-navigation"
MY_ORDERS = ".woocommerce-MyAccount-navigation-link--orders a"
MY_ORDER = ".woocommerce-orders-table__row"
MY_ORDER_NUMBERS = ".woocommerce-orders-table__cell-order-number a"  # hidden in a narrow window
REFUSED = ".woocommerce-error, .wc-block-components-notice-banner.is-error"
COUPON_PANEL = ".wc-block-components-totals-coupon .wc-block-components-panel__button"
COUPON_FIELD = "#coupon_code, .wc-block-components-totals-coupon__input input"
USE_COUPON = "button[name='apply_coupon'], .wc-block-components-totals-coupon__button"
COUPON_USED = ".cart_totals .cart-discount, .wc-block-components-totals-discount__coupon-list-item"
WITH_OPTIONS = "li.product-type-variable a[href]:not([href*='add-to-cart='])"
CLOSED = "meta[name='woo-coming-soon-page']"


def test_a_customer_can_order(shop: Shop, flow: Flow, job: Job, capture: Any, fact: Any) -> None:
    enter(shop, "/")
    capture("home")
    # Also where the product is known already: production and its clone are asked the same.
    fact("products.listed", str(shop.page.locator(shop.selector("products", "li.product, .wc-block-product")).count()))

    linked = products_linked(shop)
    product = flow.product or first_product(shop)
    name = open_product(shop, product)
    sells = {"the price": shop.find("product_price", PRICE), "“Add to cart”": shop.find("add_to_cart", ADD_TO_CART)}
    capture("product", masks=[".stock"], keep=sells)

    put_into_cart(shop)
    open_cart(shop)
    fact("cart.total", shop.text("cart_total", CART_TOTAL))
    capture("cart", keep={"the cart's total": shop.find("cart_total", CART_TOTAL)})

    go_to_checkout(shop)
    if shop.read_only:  # production: the form is rendered, and nobody's data is typed into it
        note_checkout(shop)
        capture("checkout")
        return
    fill_in(shop, EMAIL)
    for selector, value in flow.fill.items():
        if not shop.fill(selector, value):
            shop.fail(sentence("The checkout shows no field {field} (site.yml: flows[].fill)", field=selector))
    note_email(shop)
    note_checkout(shop)
    sells = {"the total": shop.find("checkout_total", TOTAL), "“Place order”": shop.find("place_order", PLACE_ORDER)}
    capture("checkout", keep=sells)
    try_another_delivery(shop)

    place_order(shop)
    note_order(shop)
    capture("order-received", masks=OWN_TO_EACH_ORDER)

    search(shop, product, name)
    capture("search", masks=[".stock"])
    if shop.tab.viewport == job.viewports[0]:  # the same cart in each window size
        fill_the_cart(shop, product, linked)


def test_a_customer_with_an_account_can_order(shop: Shop, flow: Flow, capture: Any, fact: Any) -> None:
    """What a guest's order does not touch. A shop without accounts, coupons or options goes as far as it has them: that is a fact too."""
    if shop.read_only:  # production: nobody logs in there
        return
    shop.scope = flow.name + WITH_AN_ACCOUNT
    if not log_in(shop):
        return
    open_product(shop, product_with_options(shop) or flow.product or first_product(shop))
    put_into_cart(shop)
    open_cart(shop)
    use_coupon(shop)
    fact("cart.total", shop.text("cart_total", CART_TOTAL))
    go_to_checkout(shop)
    fill_in(shop, ACCOUNT)
    for selector, value in flow.fill.items():
        shop.fill(selector, value)  # some fields are for guests alone
    note_email(shop)
    note_checkout(shop)
    place_order(shop)
    number = note_order(shop)

    shop.open(ACCOUNT_PAGE)
    shop.click(shop.find("my_orders", MY_ORDERS), "Orders", then=MY_ORDER, expect="list of orders")
    listed = shop.texts("my_order_numbers", MY_ORDER_NUMBERS)
    fact("account.lists_the_order", "yes" if any(number and number in it for it in listed) else "no")
    capture("account", masks=[MY_ORDER_NUMBERS, ".woocommerce-orders-table__cell-order-date"])


def test_a_customer_can_pay_online(shop: Shop, flow: Flow, payment: str, fact: Any) -> None:
    """Up to where the recorded answer of the payment service leads: what the service was told is compared where it arrived."""
    shop.scope = f"{flow.name}{PAYING}{payment}"
    shop.open(flow.product or first_product(shop))
    shop.see("add_to_cart", ADD_TO_CART, "“Add to cart” button")
    choose_options(shop)
    put_into_cart(shop)
    open_cart(shop)
    go_to_checkout(shop)
    fill_in(shop, f"smoke-test-{payment}@example.com", payment)
    for selector, value in flow.fill.items():
        shop.fill(selector, value)
    note_email(shop)
    total = shop.text("checkout_total", TOTAL)
    shop.leave(shop.find("place_order", PLACE_ORDER), "Place order", RECEIVED_AT)
    fact("order.number", "")  # nobody is told one who is led away
    fact("order.total", total)


# ------------------------------------------------------------------------------------------------------- the steps


def enter(shop: Shop, path: str) -> None:
    """Open a page of the shop, unless its owner keeps it closed."""
    shop.open(path)
    if shop.page.locator(CLOSED).count():
        shop.fail(
            mark("WooCommerce shows visitors that the shop is “coming soon”, so nobody can buy.")
            + " "
            + mark("Open it under WooCommerce → Settings → Site visibility, then `updater run` again")
        )


def products_linked(shop: Shop) -> list[str]:
    """Paths of the products that this page links to."""
    links = shop.page.locator(shop.selector("product_link", PRODUCT_LINK))
    return links.evaluate_all("all => [...new Set(all.map(a => a.pathname))].sort()")  # type: ignore[no-any-return]


def first_product(shop: Shop) -> str:
    """The first product listed on the home page, else on the shop page."""
    links = shop.page.locator(shop.selector("product_link", PRODUCT_LINK))
    if not links.count():
        enter(shop, shop.selector("shop_path", "/shop/"))
    if not links.count():
        shop.fail(mark("No product is listed, neither on the home page nor on the shop page"))
    return str(links.first.get_attribute("href"))


def open_product(shop: Shop, path: str) -> str:
    """Note what the product's page promises. Returns its name."""
    enter(shop, path)
    shop.see("add_to_cart", ADD_TO_CART, "“Add to cart” button")
    options = choose_options(shop)
    shop.fact("product.path", re.sub(r"^https?://[^/]+", "", path))
    name = shop.text("product_name", "h1.product_title, .product h1, h1")
    shop.fact("product.name", name)
    shop.fact("product.price", shop.text("product_price", PRICE))
    if options:
        shop.fact("product.options", f"{options}: {shop.text('variation_price', VARIATION)}")
    shop.fact("product.stock", shop.text("product_stock", ".summary .stock, .stock"))
    if options:
        found = shop.page.locator("form.cart [name='variation_id']").first.input_value()
    else:
        button, hidden = shop.find("add_to_cart", ADD_TO_CART), shop.page.locator("form.cart [name='add-to-cart']")
        found = button.get_attribute("value") or (hidden.first.get_attribute("value") if hidden.count() else "") or ""
    shop.fact("product.id", found)
    return name


def choose_options(shop: Shop) -> str:
    """The first value that is left of each option, as a customer would choose; '' for a product without options."""
    chosen = []
    for option in shop.page.locator(shop.selector("options", OPTIONS)).all():
        values = option.locator("option:not([value='']):not([disabled])")
        if not option.input_value() and values.count():
            # Plugins that draw swatches hide the list itself, and listen to it. Choosing takes away from the next list what does not go with it.
            option.select_option(values.first.evaluate("option => option.value"), force=True)
        chosen.append(option.input_value())
    if chosen:
        shop.see("ready_to_add", READY_TO_ADD, "“Add to cart” that can be clicked once the options are chosen")
    return ", ".join(chosen)


def put_into_cart(shop: Shop) -> None:
    added = shop.selector("added", ADDED)
    shop.click(shop.find("add_to_cart", ADD_TO_CART), "Add to cart", then=added, expect="message that it was added")


def open_cart(shop: Shop) -> None:
    """By the link that the shop shows once something is in it: the page has another address in each language."""
    link = shop.page.locator(CART_LINK)
    if not shop.page.locator(shop.selector("cart", CART)).count():  # some shops lead there at once
        shop.open(shop.selector("cart_path", (link.count() and link.first.get_attribute("href")) or "/cart/"))
    shop.see("cart", CART, "product in the cart")
    shop.quiet()


def go_to_checkout(shop: Shop) -> None:
    checkout = shop.selector("checkout", CHECKOUT)
    shop.click(shop.find("to_checkout", TO_CHECKOUT), "Proceed to checkout", then=checkout, expect="checkout form")
    shop.quiet()


def fill_in(shop: Shop, email: str, method: str = "") -> None:
    """The customer's data, this payment method or an offline one, and the terms."""
    country = shop.page.locator("#billing_country, #shipping-country, #billing-country")
    postcode = POSTCODES.get(country.first.input_value() if country.count() else "", POSTCODE)
    for name, value in {**CUSTOMER, "postcode": postcode}.items():
        shop.fill(f"#billing_{name}, #shipping-{name}, #billing-{name}", value)
    choose_state(shop)
    if not shop.fill(shop.selector("email", "#billing_email, #email"), email):
        shop.fail(mark("The checkout has no e-mail field"))
    shop.quiet()
    payment = shop.page.locator(BY_METHOD.format(method) if method else shop.selector("payment", OFFLINE))
    if method and not payment.count():
        shop.fail(
            sentence("The checkout offers no payment method {method}, which site.yml names (payments)", method=method)
        )
    if payment.count():
        # The label, as a customer does: many themes hide the round button itself.
        payment.first.dispatch_event("click")
    shop.fill("#terms", "yes")


def note_email(shop: Shop) -> None:
    """To whom the order will be told, once the form has taken in what was typed."""
    shop.quiet()
    shop.fact("order.email", shop.find("email", "#billing_email, #email").input_value())


def choose_state(shop: Shop) -> None:
    """The first one, where the country has them and none is proposed."""
    state = shop.page.locator("#billing_state, #shipping-state, #billing-state")
    if not state.count() or not state.first.is_visible() or state.first.input_value():
        return
    listed = state.first.locator("option:not([value=''])")
    if listed.count():
        state.first.select_option(listed.first.get_attribute("value"))
    elif state.first.is_editable():
        shop.fill("#billing_state, #shipping-state, #billing-state", CUSTOMER["city"])


def note_checkout(shop: Shop) -> None:
    """What the checkout promises: lines, tax, total, delivery and payment methods, and the fields that it asks for."""
    shop.fact("checkout.total", shop.text("checkout_total", TOTAL))
    shop.fact("checkout.lines", " | ".join(shop.texts("checkout_lines", LINES)))
    shop.fact("checkout.subtotal", shop.text("checkout_subtotal", SUBTOTAL))
    shop.fact("checkout.tax", " | ".join(shop.texts("checkout_tax", TAX)))
    shop.fact("checkout.currency", shop.text("currency", CURRENCY))
    shop.fact("checkout.delivery", " | ".join(shop.texts("delivery", DELIVERY)))
    shop.fact("checkout.payment", " | ".join(shop.texts("payment_methods", PAYMENT)))
    offered = shop.page.locator(OFFERED)
    if offered.count():
        shop.fact("checkout.payment_offered", " | ".join(json.loads(offered.first.text_content() or "[]")))
    names = shop.page.locator(shop.selector("fields", FIELDS)).locator(
        "input:visible, select:visible, textarea:visible"
    )
    fields = names.evaluate_all("all => all.map(e => e.name || e.id)")
    shop.fact("checkout.fields", " ".join(dict.fromkeys(GENERATED.sub("", field) for field in fields)))


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


def note_order(shop: Shop) -> str:
    """Returns the order's number as the customer is told it."""
    number = shop.text("order_number", NUMBER)
    shop.fact("order.number", number)
    shop.fact("order.total", shop.text("order_total", TOTAL_PAID))
    return number


def log_in(shop: Shop) -> bool:
    """By the shop's own form. False where there is none, or it asks for more than name and password: both are facts."""
    shop.visit(ACCOUNT_PAGE)
    form = shop.find("login", LOGIN)
    if not form.count() or not form.is_visible():
        shop.fact("account", "no login form")
        return False
    form.locator("[name='username']").fill(ACCOUNT)
    form.locator("[name='password']").fill(PASSWORD)
    answer = f"{shop.selector('logged_in', LOGGED_IN)}, {REFUSED}"
    shop.click(form.locator("[name='login']"), "Log in", then=answer, expect="customer's account, and no word why not")
    refused = shop.texts("login_refused", REFUSED)
    shop.fact("account", f"refused: {refused[0]}" if refused else "logged in")
    return not refused


def product_with_options(shop: Shop) -> str:
    """The first one that the shop page lists; '' when it lists none."""
    shop.visit(shop.selector("shop_path", "/shop/"))
    links = shop.page.locator(shop.selector("product_with_options", WITH_OPTIONS))
    return str(links.first.get_attribute("href")) if links.count() else ""


def use_coupon(shop: Shop) -> None:
    """On the cart page. Whether the shop takes coupons, and what is taken off, are facts."""
    panel = shop.page.locator(shop.selector("coupon_panel", COUPON_PANEL))
    if panel.count():
        panel.first.click()
    if not shop.fill(shop.selector("coupon", COUPON_FIELD), COUPON):
        shop.fact("cart.coupon", "not offered")
        return
    used = f"{shop.selector('coupon_used', COUPON_USED)}, {REFUSED}"
    shop.click(shop.find("use_coupon", USE_COUPON), "Apply coupon", then=used, expect="discount, and no word why not")
    shop.quiet()
    shop.fact("cart.coupon", " | ".join(shop.texts("coupon_told", used)))


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
