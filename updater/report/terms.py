"""The words that data carries (states, outcomes, kinds, names of checks and steps), listed so that catalogues have them."""

from __future__ import annotations

from updater.language import Words, mark

STATES = (
    mark("awaiting approval"),
    mark("promoted"),
    mark("rejected"),
    mark("inconclusive"),
    mark("rolled back"),
    mark("nothing to do"),
    mark("unknown"),
    mark("stopped"),
    mark("failed"),
    mark("interrupted"),
    mark("running"),
)
OUTCOMES = (
    mark("planned"),
    mark("applied"),
    mark("passed"),
    mark("tested"),
    mark("held"),
    mark("not decided"),
)
KINDS = (mark("core"), mark("plugin"), mark("theme"), mark("module"), mark("language"))
STEPS = (
    mark("clone"),
    mark("look at production"),
    mark("stage"),
    mark("plan"),
    mark("update"),
    mark("look: before"),
    mark("look: noise"),
    mark("look: known fault"),
    mark("look: after"),
    mark("compare"),
    mark("judge"),
    mark("compare with production"),
    mark("watch the open shop"),
    mark("go back"),
    mark("promote"),
    mark("roll back"),
    mark("production closed"),
)
CHECKS = (
    mark("smoke tests"),
    mark("browser errors"),
    mark("production pages"),
    mark("production values"),
    mark("pages after opening"),
    mark("PHP errors after opening"),
    mark("orders after opening"),
    mark("fidelity"),
    mark("known fault"),
    mark("pictures"),
    mark("approved look"),
    mark("facts"),
    mark("pages"),
    mark("orders"),
    mark("order mail"),
    mark("records"),
    mark("PHP errors"),
    mark("crawl"),
    mark("speed"),
    mark("calls"),
    mark("background jobs"),
    mark("recorded calls"),
    mark("payment callbacks"),
    mark("backup whole"),
)
FACTS = {
    "products.listed": mark("products on the first page"),
    "product.name": mark("name of the product"),
    "product.price": mark("price of the product"),
    "product.stock": mark("stock of the product"),
    "product.options": mark("options of the product"),
    "product.details": mark("what the product's page says to search engines"),
    "cart.total": mark("total of the cart"),
    "cart.coupon": mark("coupon in the cart"),
    "cart.pieces": mark("pieces in the cart"),
    "checkout.lines": mark("lines of the checkout"),
    "checkout.subtotal": mark("subtotal of the checkout"),
    "checkout.tax": mark("tax at the checkout"),
    "checkout.total": mark("total of the checkout"),
    "checkout.total_by_other_delivery": mark("total with another delivery"),
    "checkout.currency": mark("currency"),
    "checkout.delivery": mark("delivery methods"),
    "checkout.payment": mark("payment methods"),
    "checkout.payment_offered": mark("all payment methods offered to customers"),
    "checkout.fields": mark("fields of the checkout"),
    "order.total": mark("total of the order"),
    "account": mark("logging in"),
    "account.lists_the_order": mark("order in the customer's account"),
    "search.finds_product": mark("search finds the product"),
    "search.results": mark("number of search results"),
    "page.status": mark("answer of the page"),
    "page.title": mark("title of the page"),
    "page.heading": mark("heading of the page"),
    "page.products": mark("number of products on the page"),
    "page.prices": mark("prices on the page"),
    "page.canonical": mark("canonical address of the page"),
    "page.robots": mark("whether search engines may list the page"),
    "page.description": mark("description of the page"),
    "page.structured": mark("what the page says to search engines"),
    "mail.recipients": mark("who gets the order's mail"),
    "mail.subjects": mark("subject of the order's mail"),
    "mail.total": mark("total in the order's mail"),
    "mail.amounts": mark("amounts in the order's mail"),
    "payment.status": mark("status of the paid order"),
    "payment.callback": mark("what follows when the payment is reported"),
}
"""Facts that every shop has, by their names in an Observation. Others keep the name that a client's test gave them."""

IN_OUR_WORDS = frozenset({"mail.recipients", "mail.total"})
"""Facts whose values are sentences of ours. All others are the shop's own words and prices, and stay as they are."""

_PICTURE = "picture of "


def check_name(name: str, words: Words) -> str:
    """A check's name as people read it; a client's own check keeps the name that it was given."""
    if name.startswith(_PICTURE):
        return words.gettext("picture of {page}").format(page=name.removeprefix(_PICTURE))
    return words.term(name)
