"""A shop in one file: WooCommerce's classic addresses and selectors, and faults to choose from. For the tests of the checks."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from served import Handler, served

from updater.checks.observation import Target
from updater.cms.base import OrderRow, ShopState

HOST = "shop.example"
PIXEL = b"<svg xmlns='http://www.w3.org/2000/svg' width='300' height='200'><rect width='300' height='200' fill='teal'/></svg>"

SCRIPT = """
document.addEventListener('DOMContentLoaded', () => {
  const form = document.querySelector('form.checkout');
  if (!form) return;
  form.addEventListener('submit', event => {
    event.preventDefault();
    %s
    fetch('/order', {method: 'POST', body: new URLSearchParams(new FormData(form))})
      .then(answer => answer.text()).then(to => { if (to.startsWith('/')) location.href = to; });
  });
});
"""


@dataclass
class TinyShop:
    """`fault`: '', 'script throws', 'order fails', 'order twice', 'wrong total', 'fatal about', 'empty about', 'maintenance', 'search', 'login'."""

    fault: str = ""
    title: str = "Tiny shop"
    price: str = "1 290,00 ₽"
    extra: str = ""
    """HTML at the end of the home page"""
    links: tuple[str, ...] = ("/about/",)
    online: bool = False
    """Customers may pay by card at pay.example, which tells /paid of it; faults, also both: 'other amount', 'deaf to money'"""
    accounts: bool = False
    """Customers log in, use a coupon, and find a mug in two sizes on the shop page"""
    orders: list[OrderRow] = field(default_factory=list)
    stock: int = 10
    port: int = 0
    asked: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)

    @property
    def target(self) -> Target:
        return Target(f"http://{HOST}:{self.port}/", {HOST: "127.0.0.1"}, trust_any_certificate=False)

    def state(self) -> ShopState:
        return ShopState(tuple(reversed(self.orders)), len(self.orders), {"7": str(self.stock)}, 1)

    # ------------------------------------------------------------------------------------------------- pages

    def page(self, path: str, cookies: str) -> tuple[int, str, str]:
        """(status, title, body)"""
        if self.fault == "maintenance":
            return 503, "Maintenance", "Briefly unavailable for scheduled maintenance. Check back in a minute."
        match path:
            case "/?s=":
                found = "" if self.fault == "search" else FOUND
                return 200, "Search", f"<h1>Found</h1><main>{found}</main><a href='/product/tea/'>Seen last: Tea</a>"
            case "/":
                links = "".join(f"<a href='{link}'>{link}</a> " for link in self.links)
                return (
                    200,
                    self.title,
                    f"<h1>Welcome to the shop</h1>{LISTED}{links}<a href='/shop/'>Shop</a>{self.extra}",
                )
            case "/shop/":
                return 200, "Shop", f"<h1>All our products</h1>{LISTED}{MUG_LISTED if self.accounts else ''}{RELATED}"
            case "/product/mug/" if self.accounts:
                return 200, "Mug", MUG
            case "/my-account/" if self.accounts:
                return 200, "My account", ACCOUNT if "account=1" in cookies else LOGIN.format(said="")
            case "/my-account/refused/":
                return 200, "My account", LOGIN.format(said="<ul class='woocommerce-error'><li>Unknown name</li></ul>")
            case "/my-account/orders/":
                rows = "".join(
                    f"<td class='woocommerce-orders-table__cell-order-number'><a>#{it.id}</a></td>"
                    for it in self.orders
                )
                return (
                    200,
                    "Orders",
                    f"<h1>Your orders</h1><table><tr class='woocommerce-orders-table__row'>{rows}</tr></table>",
                )
            case "/product/tea/":
                return 200, "Tea", PRODUCT.format(price=self.price, stock=self.stock)
            case "/cart/":
                form = CART.format(price=self.price) + (COUPON if self.accounts else "")
                if "coupon=" in cookies:
                    form = form.replace(
                        "<p class='order-total'>", "<p class='cart-discount'>Coupon: −10 %</p><p class='order-total'>"
                    )
                return 200, "Cart", form if "cart=1" in cookies else "<p>Your cart is currently empty.</p>"
            case "/checkout/":
                form = CHECKOUT.format(price=self.price)
                return (
                    200,
                    "Checkout",
                    form.replace("<ul class='wc_payment_methods'>", f"<ul class='wc_payment_methods'>{CARD}") + OFFERED
                    if self.online
                    else form,
                )
            case "/about/":
                if self.fault == "fatal about":
                    where = "/var/www/tea.php:3 thrown in /var/www/tea.php on line 3"
                    fatal = f"<b>Fatal error</b>: Uncaught Error: Call to undefined function tea() in {where}"
                    return 200, "About", fatal
                if self.fault == "empty about":
                    return 200, "About", "Nothing"
                return 200, "About us", "<h1>About us</h1><p>We have sold tea since 1913.</p>"
        if path.startswith("/checkout/order-pay/"):
            amount = "1.00" if "other amount" in self.fault else "1290.00"
            return 200, "Pay", LED_AWAY.format(amount=amount, number=self.orders[-1].id)
        if path.startswith("/checkout/order-received/"):
            number = path.rstrip("/").rpartition("/")[2]
            return 200, "Order received", RECEIVED.format(number=number, price=self.price)
        return 404, "Not found", "<p>There is nothing here, sorry.</p>"

    def order(self, fields: dict[str, list[str]]) -> str:
        total = "1.00" if self.fault == "wrong total" else "1290.00"
        for _ in range(2 if self.fault == "order twice" else 1):
            self.orders.append(OrderRow(str(100 + len(self.orders)), total, fields["billing_email"][0]))
        self.stock -= 1
        if fields.get("payment_method") == ["pay_card"]:
            self.orders[-1] = replace(self.orders[-1], status="pending")
            return f"/checkout/order-pay/{self.orders[-1].id}/"
        return f"/checkout/order-received/{self.orders[-1].id}/"

    def paid(self, number: str) -> None:
        if "deaf to money" not in self.fault:
            self.orders = [replace(it, status="paid") if it.id == number else it for it in self.orders]

    def script(self) -> str:
        return SCRIPT % ("undefinedGateway.pay();" if self.fault == "script throws" else "")


PAGE = """<!doctype html><meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{title}</title>
<script src='/shop.js?ver=1'></script><body>{body}</body>"""
LISTED = """<ul class='products'><li class='product'>
<a href='/product/tea/'><img loading='lazy' decoding='async' src='/tea.svg' alt=''> Tea</a>
<span class='price'><span class='amount'>1 290,00 ₽</span></span></li></ul>"""
RELATED = """<section class='related'><ul><li class='product'><span class='price'><span class='amount'>7 ₽</span></span></ul></section>"""
FOUND = "<article><a href='/product/tea/'>Tea</a></article>"
PRODUCT = """<h1 class='product_title'>Tea</h1><div class='summary'><p class='price'>{price}
<span style='position: absolute; width: 1px; height: 1px; overflow: hidden'>for screen readers</span></p><p class='stock'>{stock} in stock</p>
<form class='cart' method='post' action='/add'>
<button class='single_add_to_cart_button' name='add-to-cart' value='7'>Add to cart</button></form></div>
<script type='application/ld+json'>{{"@graph": [{{"@type": "BreadcrumbList"}},
{{"@type": "Product", "name": "Tea", "offers": {{"@type": "Offer", "price": "1290.00", "priceCurrency": "RUB"}}}}]}}</script>"""
MUG_LISTED = """<li class='product product-type-variable'><a href='/product/mug/?add-to-cart=8'>Choose</a>
<a href='/product/mug/'>Mug</a></li>"""
# As WooCommerce's script does it: the second list has nothing that goes with the first until that one is chosen, the button is no other
# before anything was chosen, and what was chosen is shown a moment after it is known.
MUG = """<h1 class='product_title'>Mug</h1><div class='summary'><p class='price'>6 – 8 ₽</p>
<form class='cart variations_form' method='post' action='/add'>
<select name='attribute_size'><option value=''>…</option><option>Small</option><option>Large</option></select>
<select name='attribute_colour'><option value=''>…</option></select>
<div class='woocommerce-variation-price'></div><input type='hidden' name='add-to-cart' value='8'>
<input type='hidden' name='variation_id' value='0'>
<p class='woocommerce-variation-add-to-cart'><button class='single_add_to_cart_button'>Add to cart</button></p></form></div>
<script>
const [size, colour] = document.querySelectorAll('select'), form = document.querySelector('form');
size.onchange = () => colour.add(new Option('Blue'));
colour.onchange = () => {
  form.variation_id.value = 7;
  setTimeout(() => {
    form.querySelector('div').innerHTML = "<span class='price'>8 ₽</span>";
    form.querySelector('p').classList.add('woocommerce-variation-add-to-cart-enabled');
  }, 300);
};
</script>"""
LOGIN = """{said}<h1>Log in</h1><form class='woocommerce-form-login' method='post' action='/login'><input name='username'>
<input name='password' type='password'><button name='login' value='1'>Log in</button></form>"""
ACCOUNT = """<h1>My account</h1><nav class='woocommerce-MyAccount-navigation'>
<li class='woocommerce-MyAccount-navigation-link--orders'><a href='/my-account/orders/'>Orders</a></li></nav>"""
COUPON = """<form method='post' action='/coupon'><input id='coupon_code' name='coupon_code'>
<button name='apply_coupon'>Apply coupon</button></form>"""
CART = """<form class='woocommerce-cart-form'>Tea</form>
<div class='cart_totals'><p class='order-total'><span class='amount'>{price}</span></p></div>
<a class='checkout-button' href='/checkout/'>Proceed to checkout</a>"""
CHECKOUT = (
    """<form class='checkout'><div id='customer_details'>"""
    + "".join(
        f"<p><label>{name}<input name='billing_{name}' id='billing_{name}'></label></p>"
        for name in ("first_name", "last_name", "address_1", "city", "postcode", "phone", "email")
    )
    + """</div><div id='order_review'><p class='order-total'><span class='amount'>{price}</span></p>
<ul id='shipping_method'><li><label>Courier: 0 ₽</label></li></ul>
<ul class='wc_payment_methods'><li>
<input type='radio' name='payment_method' id='payment_method_cod' value='cod'>
<label for='payment_method_cod'>Cash</label></li></ul>
<button id='place_order'>Place order</button></div></form>"""
)
OFFERED = """<script type='application/json' id='updater-payment-methods'>["cod (Cash)", "pay_card (Card)", "bank (Loan)"]</script>"""
CARD = """<li><input type='radio' name='payment_method' id='payment_method_pay_card' value='pay_card'>
<label for='payment_method_pay_card'>Card</label></li>"""
LED_AWAY = """<form id='away' method='post' action='https://pay.example/form'><input name='sum' value='{amount}'>
<input name='receipt' value='{{"items": [{{"tax": "vat20"}}]}}'><input name='order' value='{number}'>
<input name='key' value='live_Key4417'></form><script>document.getElementById('away').submit()</script>"""
RECEIVED = """<h1>Thank you</h1><ul><li class='woocommerce-order-overview__order'>Order: <strong>{number}</strong></li>
<li class='woocommerce-order-overview__total'>Total: <strong>{price}</strong></li></ul>"""


@contextmanager
def serve(shop: TinyShop) -> Iterator[TinyShop]:
    class Shop(Handler):
        def do_GET(self) -> None:
            path = "/?s=" if self.path.startswith("/?s=") else urlsplit(self.path).path
            shop.asked.append(path)
            shop.cookies.append(self.headers.get("Cookie", ""))
            if shop.accounts and self.path == "/?updater-account":
                self.lead("/my-account/")
            elif path == "/shop.js":
                self.answer(shop.script().encode(), kind="text/javascript")
            elif path.endswith(".svg"):
                self.answer(PIXEL, kind="image/svg+xml")
            elif path == "/favicon.ico":
                self.answer(status=204)
            else:
                status, title, body = shop.page(path, self.headers.get("Cookie", ""))
                text = PAGE.format(title=html.escape(title), body=body)
                self.answer(text.encode(), status, late=OFFERED.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            shop.asked.append(f"POST {self.path}")
            if self.path == "/add":
                self.lead("/cart/", "cart=1")
            elif self.path == "/login":
                known = shop.fault != "login" and "username=smoke-test-customer%40example.com" in body
                self.lead(*(("/my-account/", "account=1") if known else ("/my-account/refused/",)))
            elif self.path == "/coupon":
                self.lead("/cart/", "coupon=updater-smoke-test" if "updater-smoke-test" in body else "")
            elif self.path == "/paid":
                shop.paid(json.loads(body)["order"])
                self.answer(b"thanks")
            elif shop.fault == "order fails":
                self.answer(b"There has been a critical error on this website.", 500)
            else:
                self.answer(shop.order(parse_qs(body)).encode(), kind="text/plain")

        def lead(self, to: str, cookie: str = "") -> None:
            self.answer(status=303, Location=to, **({"Set_Cookie": f"{cookie}; path=/"} if cookie else {}))

    with served(Shop) as shop.port:
        yield shop
