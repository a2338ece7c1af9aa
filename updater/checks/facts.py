"""What the shop says: prices, totals, methods and titles before and after; order rows, stock and mail of the test orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from updater.checks.observation import Observation
from updater.cms.base import ShopState
from updater.fact import BETWEEN, fact_key, gone, split_fact
from updater.language import counted, mark, sentence
from updater.model import CaughtMail, Check, Finding, Status

BEFORE, NOISE, AFTER = "before", "noise", "after"
"""`CaughtMail.step` of the two passes over the un-updated and of the one over the updated shop."""

FACTS = "facts"
"""The check of what the shop says."""

KEPT = "records"
"""The check of what the database held already."""

PAYING = ", paying by "
"""Between the flow and the method in the scope of what is seen while somebody pays online."""

UNSETTLED = "page.unsettled"
"""Of a page that still moved when it was photographed."""
VOLATILE = frozenset({"order.number", UNSETTLED})
"""Facts that are reported and not compared: they change with each order, or say how the page was photographed."""


MAY_GROW = frozenset({"rest.collections", "mail.amounts"})
"""Lists to which an update may add: only what is gone from them was anybody's to use."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What `_compared` says of one kind of values: that there is nothing, how many differ, how many do not."""

    nothing: str
    differ: Callable[[int], str]
    same: Callable[[int], str]


_VALUES = _Said(
    mark("the un-updated shop showed no values: nothing to compare with"),
    lambda n: counted(
        "{n} value of the shop differs after the update", "{n} values of the shop differ after the update", n
    ),
    lambda n: counted(
        "{n} value of the shop is the same after the update", "{n} values of the shop are the same after the update", n
    ),
)
_ANSWERS = _Said(
    mark("the un-updated shop showed no page: nothing to compare with"),
    lambda n: counted("{n} page answers otherwise after the update", "{n} pages answer otherwise after the update", n),
    lambda n: counted("{n} page answers as before the update", "{n} pages answer as before the update", n),
)
_LETTERS = _Said(
    mark("the order mail of the un-updated shop says nothing: nothing to compare with"),
    lambda n: counted("the order mail differs in {n} point", "the order mail differs in {n} points", n),
    lambda n: counted("the order mail is the same in {n} point", "the order mail is the same in {n} points", n),
)


def compare(
    before: Observation, after: Observation, noise: Observation, more_noise: Sequence[Observation] = ()
) -> tuple[Check, ...]:
    """What the shop says differently after the update, and pages that answer with another status or title.

    What differed among the passes over the un-updated shop already (`before`, `noise`, `more_noise`) is left out.
    """
    pages, again = _pages(before), (noise, *more_noise)
    return (
        _compared(FACTS, _VALUES, _values(before), _values(after), [_values(seen) for seen in again]),
        _compared("pages", _ANSWERS, pages, _pages(after, pages), [_pages(seen) for seen in again]),
    )


def of_pages_only(check: Check) -> bool:
    """Whether this check found nothing but that pages say something else: what a shuffled list could have done."""
    return check.name == FACTS and all(split_fact(finding.where)[0].startswith("page.") for finding in check.findings)


def _compared(
    name: str, said: _Said, before: Mapping[str, str], after: Mapping[str, str], again: Sequence[Mapping[str, str]]
) -> Check:
    if not before:
        return Check(name, "compare", Status.INCONCLUSIVE, said.nothing)
    findings = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old == new or any(old != noise.get(key) for noise in again):
            continue
        if split_fact(key)[0] in MAY_GROW and not gone(old, new):
            continue
        findings.append(Finding(name, key, _told_of(key, old, new), old or "", new or ""))
    compared = sum(1 for key, value in before.items() if all(noise.get(key) == value for noise in again))
    if findings:
        return Check(name, "compare", Status.FAILED, said.differ(len(findings)), findings=tuple(findings))
    return Check(name, "compare", Status.PASSED, said.same(compared))


def _told_of(key: str, old: str | None, new: str | None) -> str:
    """`checkout.total [checkout, mobile] changed: “540 ₽” → “890 ₽”`; of a list, what is gone from it and what is new."""
    if old and new and (BETWEEN in old + new or split_fact(key)[0] in MAY_GROW):
        parts = [f"{_shown(it)} is gone" for it in gone(old, new)] + [f"{_shown(it)} is new" for it in gone(new, old)]
        return f"{key}: {', '.join(parts) or 'stands in another order'}"
    message = "is gone" if new is None else "is new" if old is None else "changed"
    return f"{key} {message}: {_shown(old)} → {_shown(new)}"


def _shown(value: str | None) -> str:
    return "nothing" if not value else f"“{value}”"


def _values(observation: Observation) -> dict[str, str]:
    return {key: value for key, value in observation.facts.items() if split_fact(key)[0] not in VOLATILE}


def _pages(observation: Observation, among: Iterable[str] | None = None) -> dict[str, str]:
    """Status and title of each page (of those `among`: a page that only the updated shop has breaks nothing)."""
    seen = {f"{view.page} ({view.viewport})": f"HTTP {view.status} {view.title}".strip() for view in observation.views}
    return seen if among is None else {page: seen[page] for page in among if page in seen}


# ---------------------------------------------------------------------------------------------- the orders placed


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """One order that a flow placed, as the shop's pages showed it."""

    where: str
    """flow and viewport, for messages"""
    number: str
    """'' where the shop shows the customer none"""
    total: str
    email: str
    product: str


def placed_orders(observation: Observation) -> tuple[PlacedOrder, ...]:
    """The orders that this pass placed and saw confirmed, in the order of the pass."""
    facts = observation.facts
    found = []
    for key in facts:
        name, scope, viewport = split_fact(key)
        if name == "order.number":
            values = [facts.get(fact_key(x, scope, viewport), "") for x in ("order.total", "order.email", "product.id")]
            found.append(PlacedOrder(f"{scope}, {viewport}", facts[key], *values))
    return tuple(found)


def order_check(seen: Observation, phase: str) -> Check:
    """Exactly one new order in the database for each that was placed, with the total and e-mail that the page showed, and
    the stock of its product one lower where the shop counts stock."""
    placed = placed_orders(seen)
    name = "orders"
    if not placed:
        return Check(name, phase, Status.FAILED, mark("no order was placed and confirmed"))
    new = seen.state_after.order_count - seen.state_before.order_count
    if seen.state_after == ShopState():
        detail = mark("the shop's own order records could not be read: name its table in site.yml (`orders:`)")
        return Check(name, phase, Status.INCONCLUSIVE, detail)
    findings = [*_count(new, len(placed)), *_rows(seen, placed), *_stock(seen, placed)]
    if findings:
        points = counted(
            "the database does not agree in {n} point", "the database does not agree in {n} points", len(findings)
        )
        detail = counted("{n} order was placed", "{n} orders were placed", len(placed)) + f"; {points}"
        return Check(name, phase, Status.FAILED, detail, findings=tuple(findings))
    detail = counted(
        "{n} order placed, once in the database with its total and e-mail",
        "{n} orders placed, each once in the database with its total and e-mail",
        len(placed),
    )
    return Check(name, phase, Status.PASSED, detail)


def _count(new: int, placed: int) -> Iterator[Finding]:
    if new != placed:
        message = sentence("{placed} orders were placed, {new} are new in the database", placed=placed, new=new)
        yield Finding("order", "database", message, str(placed), str(new))


def _rows(seen: Observation, placed: Sequence[PlacedOrder]) -> Iterator[Finding]:
    """Each placed order has a row of its own among the new ones. Numbers are not compared: plugins show their own."""
    known = {order.id for order in seen.state_before.orders}
    rows = [order for order in seen.state_after.orders if order.id not in known]
    for order in placed:
        match = next((row for row in rows if _same_order(order, row.total, row.email)), None)
        if match is not None:
            rows.remove(match)
            continue
        stored = "; ".join(f"{row.id}: {row.total}, {row.email}" for row in rows) or "no new row"
        confirmed = (
            mark("the order {number} that the shop confirmed ({total}, {email}) is not in the database so")
            if order.number
            else mark("the order that the shop confirmed without a number ({total}, {email}) is not in the database so")
        )
        message = sentence(confirmed, number=order.number, total=order.total, email=order.email)
        yield Finding("order", order.where, message, f"{order.total}, {order.email}", stored)


def _same_order(order: PlacedOrder, total: str, email: str) -> bool:
    try:
        stored = Decimal(total)
    except InvalidOperation:
        return False
    return stored in amounts(order.total) and email.strip().lower() == order.email.strip().lower()


def _stock(seen: Observation, placed: Sequence[PlacedOrder]) -> Iterator[Finding]:
    """An order that is yet to be paid names no product here: whether it takes the piece at once is the shop's own way."""
    unpaid = sum(1 for order in placed if PAYING in order.where)
    for product in sorted({order.product for order in placed if order.product}):
        old, new = _number(seen.state_before.stock.get(product)), _number(seen.state_after.stock.get(product))
        sold = sum(1 for order in placed if order.product == product)
        if old is None:
            continue  # the shop does not count this product
        if new is None or not sold <= old - new <= sold + unpaid:
            went = (
                mark("{sold} of product {product} were sold, its stock of {old} is gone")
                if new is None
                else mark("{sold} of product {product} were sold, its stock went from {old} to {new}")
            )
            message = sentence(went, sold=sold, product=product, old=old, new=new)
            yield Finding("stock", f"product {product}", message, str(old), "" if new is None else str(new))


def _number(value: str | None) -> Decimal | None:
    try:
        return Decimal(value) if value else None
    except InvalidOperation:
        return None


def kept_check(before: Observation, after: Observation) -> Check:
    """What the shop held before anybody ordered in it is there after the update: its orders as they were, its products.

    Both are read from the same checkpoint, the second one after updates and migrations. A shop without records has nothing to lose.
    """
    old, new = before.state_before, after.state_before
    findings = [*_lost_orders(old, new), *_lost_products(old, new)]
    if findings:
        detail = mark("the update did away with what the shop held") + f": {findings[0].message}"
        return Check(KEPT, "compare", Status.FAILED, detail, findings=tuple(findings))
    detail = (
        sentence("there as before the update: orders {orders}", orders=old.order_count)
        if old.products is None
        else sentence(
            "there as before the update: orders {orders}, products {products}",
            orders=old.order_count,
            products=old.products,
        )
    )
    return Check(KEPT, "compare", Status.PASSED, detail)


def _lost_orders(old: ShopState, new: ShopState) -> Iterator[Finding]:
    if new.order_count < old.order_count:
        message = sentence(
            "the database held {old} orders and holds {new} after the update", old=old.order_count, new=new.order_count
        )
        yield Finding("records", "orders", message, str(old.order_count), str(new.order_count))
        return
    now = {order.id: order for order in new.orders}
    come = (
        new.order_count - old.order_count
    )  # a subscription that cron renewed meanwhile pushes the oldest off the list
    for was in old.orders[: max(0, len(old.orders) - come)]:
        order = now.get(was.id)
        if order is None:
            message = sentence("order {id} is gone after the update", id=was.id)
            yield Finding("records", f"order {was.id}", message, was.total, "")
        elif order.total != was.total:
            message = sentence(
                "order {id} was of {old} and is of {new} after the update", id=was.id, old=was.total, new=order.total
            )
            yield Finding("records", f"order {was.id}", message, was.total, order.total)
        elif order.email != was.email:
            yield Finding("records", f"order {was.id}", sentence("order {id} lost its customer's address", id=was.id))


def _lost_products(old: ShopState, new: ShopState) -> Iterator[Finding]:
    if old.products is not None and (new.products or 0) < old.products:
        message = sentence(
            "the database held {old} products and holds {new} after the update", old=old.products, new=new.products or 0
        )
        yield Finding("records", "products", message, str(old.products), str(new.products or 0))


_AMOUNT = re.compile(r"\d(?:[\d \u00a0\u202f.,'’]*\d)?")


def amounts(text: str) -> frozenset[Decimal]:
    """The decimals that a shown price can mean: `1 290,00 ₽` is 1290; `1.290` is 1290 here and 1.29 in Kuwait. Empty when none."""
    match = _AMOUNT.search(text)
    if match is None:
        return frozenset()
    digits = re.sub(r"[\s'’]", "", match[0])
    whole = re.sub(r"[.,]", "", digits)
    meanings = set()
    last = max(digits.rfind("."), digits.rfind(","))
    decimals = len(digits) - last - 1 if last >= 0 else 0
    if last < 0 or decimals == 3 or digits.count(digits[last]) > 1:
        meanings.add(Decimal(whole))
    if last >= 0 and digits.count(digits[last]) == 1:
        meanings.add(Decimal(f"{re.sub('[.,]', '', digits[:last]) or '0'}.{digits[last + 1 :]}"))
    return frozenset(meanings)


# ------------------------------------------------------------------------------------------------------ the mail


def mail_check(before: Observation, noise: Observation, after: Observation, mail: Sequence[CaughtMail]) -> Check:
    """Each order placed after the update was told by mail as those placed before it: to whom, under which subject, with its total."""
    name = "order mail"
    told_before, untold_before = _told(before, mail, BEFORE)
    told_after, untold_after = _told(after, mail, AFTER)
    if not told_after and not untold_after:
        detail = mark("no order was placed after the update, so no mail could be told of")
        return Check(name, "compare", Status.FAILED, detail)
    if not told_before:
        detail = mark("the un-updated shop sends no order mail")
        updated = sentence("orders that the updated one told of: {n}", n=len(told_after))
        return Check(name, "compare", Status.PASSED, f"{detail}; {updated}", required=False)
    if untold_after and not untold_before:
        findings = tuple(
            Finding(
                "mail",
                order.where,
                sentence(
                    "no mail tells of order {order} ({total})", order=order.number or order.email, total=order.total
                ),
                "sent",
                "not sent",
            )
            for order in untold_after
        )
        detail = counted(
            "{n} order was told to nobody by mail", "{n} orders were told to nobody by mail", len(findings)
        )
        return Check(name, "compare", Status.FAILED, detail, findings=findings)
    if len(told_after) < len(told_before):
        detail = sentence(
            "orders that mail told of: {old} before the update, {new} after it",
            old=len(told_before),
            new=len(told_after),
        )
        return Check(name, "compare", Status.FAILED, detail)
    said = [_letters(seen, mail, step) for seen, step in ((before, BEFORE), (after, AFTER), (noise, NOISE))]
    compared = _compared(name, _LETTERS, said[0], said[1], said[2:])
    if compared.status is Status.FAILED:
        return compared
    detail = counted(
        "mail told of {n} order, as before the update", "mail told of {n} orders, as before the update", len(told_after)
    )
    return Check(name, "compare", Status.PASSED, detail)


def _letters(seen: Observation, mail: Sequence[CaughtMail], step: str) -> dict[str, str]:
    """What the mail of each order says: `mail.subjects [checkout, mobile]` and so on. Who else it goes to is told as a number."""
    said = {}
    for order in placed_orders(seen):
        letters = [it for it in mail if it.step == step and _tells(it, order)]
        to = [address.lower() == order.email.lower() for it in letters for address in it.recipients]
        number = re.escape(order.number.lstrip("#№ ")) or r"\d+"
        subjects = sorted(re.sub(number, "…", it.subject) for it in letters)
        totals = sum(1 for it in letters if _names_total(_plain(it.body), order))
        said[f"mail.recipients [{order.where}]"] = sentence(
            "{customer} to the customer, {others} to others", customer=to.count(True), others=to.count(False)
        )
        said[f"mail.subjects [{order.where}]"] = BETWEEN.join(subjects)
        said[f"mail.total [{order.where}]"] = sentence(
            "the order's total stands in {letters} of {all}", letters=totals, all=len(letters)
        )
        sums = [amount for it in letters for amount in _sums(_plain(it.body))]
        said[f"mail.amounts [{order.where}]"] = BETWEEN.join(sums)
    return said


_CURRENCY = r"[₽₴€$£₸]|руб|р\.|грн|тг|USD|EUR|RUB|UAH|KZT|GBP"
_MONEY = re.compile(rf"(?:(?P<sign>{_CURRENCY})\s?)?(?P<sum>{_AMOUNT.pattern})(?:\s?(?P<word>{_CURRENCY}))?", re.I)


def _sums(text: str) -> list[str]:
    """Every amount of money in a letter, in order: what stands beside a currency, or has two decimals. No number, date or telephone."""
    found = []
    for match in _MONEY.finditer(text):
        digits = re.sub(r"[\s'’]", "", match["sum"])
        decimals = re.search(r"([.,])\d\d$", digits)
        if match["sign"] or match["word"] or (decimals and digits.count(decimals[1]) == 1):
            found.append(digits)
    return found


def _names_total(text: str, order: PlacedOrder) -> bool:
    wanted = amounts(order.total)
    return any(wanted & amounts(match[0]) for match in _AMOUNT.finditer(text))


def _told(seen: Observation, mail: Sequence[CaughtMail], step: str) -> tuple[list[PlacedOrder], list[PlacedOrder]]:
    letters = [letter for letter in mail if letter.step == step]
    orders = placed_orders(seen)
    told = [order for order in orders if any(_tells(letter, order) for letter in letters)]
    return told, [order for order in orders if order not in told]


_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
    r"|янв(?:ар[ья])?|фев(?:рал[ья])?|мар(?:та?)?|апр(?:ел[ья])?|ма[йя]|ию[нл][ья]|авг(?:уста?)?|сен(?:тябр[ья])?|окт(?:ябр[ья])?|ноя(?:бр[ья])?"
    r"|дек(?:абр[ья])?|січ(?:ень|ня)|лют(?:ий|ого)|(?:берез|квіт|трав|черв|лип|серп|верес|жовт|груд)(?:ень|ня)|листопада?)"
)
_TIME = re.compile(
    rf"\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}\b|\b\d{{1,2}}:\d\d(?::\d\d)?\b"
    rf"|\b{_MONTH}\.?\s+\d{{1,2}}\b|\b\d{{1,2}}\s+{_MONTH}\.?\s+\d{{4}}\b",
    re.I,
)
"""Days and times as letters have them. A day before its month needs a year behind it: “order 28 may be …” is none."""


def _tells(letter: CaughtMail, order: PlacedOrder) -> bool:
    """By the order's number; where the customer was shown none, by the customer's own address.

    A day, a time or a sum is no number of an order, unless it is written as one (`#28`, `№ 28`)."""
    number = re.escape(order.number.lstrip("#№ "))
    if not number:
        return order.email.strip().lower() in {recipient.strip().lower() for recipient in letter.recipients}
    text = f"{letter.subject}\n{_plain(letter.body)}"
    if re.search(rf"[#№]\s?{number}(?!\w)", text):
        return True
    no_sum = rf"(?![.,]\d\d\b)(?!\s?(?:{_CURRENCY}))"
    return re.search(rf"(?<![\w$€£₽₴₸]){number}(?!\w){no_sum}", _TIME.sub(" ", text), re.I) is not None


def _plain(body: str) -> str:
    return re.sub(r"<[^>]+>", " ", body)
