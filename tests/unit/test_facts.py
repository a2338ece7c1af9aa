"""What the shop says, compared: values, order rows, stock, mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from updater.checks import facts
from updater.checks.observation import Observation, PageView
from updater.cms.base import OrderRow, ShopState
from updater.fact import fact_key, split_fact
from updater.model import CaughtMail, Status

ORDER = {
    "order.number [checkout, desktop]": "101",
    "order.total [checkout, desktop]": "1 290,00 ₽",
    "order.email [checkout, desktop]": "smoke-test@example.com",
    "product.id [checkout, desktop]": "7",
}


def seen(values=None, views=(), before=None, after=None) -> Observation:
    return Observation(
        folder=Path("/nowhere"),
        exit_code=0,
        tests=(),
        views=views,
        shots=(),
        facts=values or {},
        state_before=before or ShopState(),
        state_after=after or ShopState(),
    )


def view(page, status=200, title="Shop") -> PageView:
    return PageView(page, "desktop", f"http://shop.example{page}", status, title)


@pytest.mark.parametrize(
    ("shown", "meant"),
    [
        ("1 290,00 ₽", {"1290.00"}),
        ("Total: $1,290.50", {"1290.50"}),
        ("1.290,50 €", {"1290.50"}),
        ("1'290.50 CHF", {"1290.50"}),
        ("990 руб.", {"990"}),
        ("1.290 KWD", {"1290", "1.290"}),
        ("1,234,567", {"1234567"}),
        ("free", set()),
        ("", set()),
    ],
)
def test_a_shown_price_is_read_in_any_notation(shown, meant):
    assert facts.amounts(shown) == {Decimal(value) for value in meant}


def test_keys_survive_pages_with_commas_and_brackets():
    for scope in ("checkout", "/a, b/", "/a]b[c/", "/?p=1"):
        assert split_fact(fact_key("page.title", scope, "mobile")) == ("page.title", scope, "mobile")
    assert split_fact("plain") == ("plain", "", "")


def compared(before, after, noise):
    return {check.name: check for check in facts.compare(before, after, noise)}


def test_what_already_differs_between_two_looks_at_the_old_shop_is_noise():
    before, noise, after = seen({"a": "1", "b": "x"}), seen({"a": "2", "b": "x"}), seen({"a": "3", "b": "x"})
    assert compared(before, after, noise)["facts"].status is Status.PASSED


def test_what_a_further_look_at_the_old_shop_shows_is_noise_too():
    old, shuffled = seen({"page.prices [/, desktop]": "1 | 2"}), seen({"page.prices [/, desktop]": "2 | 1"})
    assert compared(old, shuffled, old)["facts"].status is Status.FAILED
    again = facts.compare(old, shuffled, old, (old, shuffled))
    assert {check.name: check for check in again}["facts"].status is Status.PASSED


@pytest.mark.parametrize("after", [{"b": "y"}, {}, {"b": "x", "c": "new"}], ids=["changed", "gone", "new"])
def test_a_value_that_changed_went_or_came_is_a_finding(after):
    check = compared(seen({"b": "x"}), seen(after), seen({"b": "x"}))["facts"]
    assert check.status is Status.FAILED
    assert len(check.findings) == 1


def test_a_page_that_now_answers_404_is_a_finding():
    old, new = seen({"a": "1"}, (view("/about/"),)), seen({"a": "1"}, (view("/about/", 404, "Not found"),))
    (finding,) = compared(old, new, old)["pages"].findings
    assert finding.before == "HTTP 200 Shop"
    assert finding.after == "HTTP 404 Not found"


def test_nothing_to_compare_with_is_inconclusive():
    assert {check.status for check in facts.compare(seen(), seen({"a": "1"}), seen())} == {Status.INCONCLUSIVE}


def bought(**changes) -> Observation:
    row = OrderRow("55", "1290.0000", "Smoke-Test@example.com")
    plain = seen(ORDER, before=ShopState((), 4, {"7": "10"}, 6), after=ShopState((row,), 5, {"7": "9"}, 6))
    return replace(plain, **changes)


def test_one_order_in_the_database_for_the_one_that_was_placed_passes():
    check = facts.order_check(bought(), "after")
    assert check.status is Status.PASSED
    assert check.phase == "after"


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (ShopState((), 4, {"7": "9"}, 6), "order"),
        (ShopState((OrderRow("55", "0.00", "smoke-test@example.com"),), 5, {"7": "9"}, 6), "order"),
        (ShopState((OrderRow("55", "1290.00", "somebody@example.com"),), 5, {"7": "9"}, 6), "order"),
        (ShopState((OrderRow("55", "1290.00", "smoke-test@example.com"),), 6, {"7": "9"}, 6), "order"),
        (ShopState((OrderRow("55", "1290.00", "smoke-test@example.com"),), 5, {"7": "10"}, 6), "stock"),
        (ShopState((OrderRow("55", "1290.00", "smoke-test@example.com"),), 5, {"7": "8"}, 6), "stock"),
    ],
    ids=["no row", "other total", "other customer", "two rows", "stock unchanged", "stock twice"],
)
def test_a_database_that_does_not_agree_with_the_order_fails(state, kind):
    check = facts.order_check(bought(state_after=state), "after")
    assert check.status is Status.FAILED
    assert kind in {finding.kind for finding in check.findings}


def test_a_product_whose_stock_is_not_counted_passes():
    uncounted = {"7": ""}
    row = OrderRow("55", "1290.00", "smoke-test@example.com")
    states = {"state_before": ShopState((), 4, uncounted, 6), "state_after": ShopState((row,), 5, uncounted, 6)}
    assert facts.order_check(bought(**states), "after").status is Status.PASSED


def test_no_placed_order_fails_and_unreadable_records_are_inconclusive():
    assert facts.order_check(bought(facts={}), "after").status is Status.FAILED
    assert facts.order_check(bought(state_after=ShopState()), "after").status is Status.INCONCLUSIVE


def letter(step, text="Order #101", body="", to="owner@shop.example") -> CaughtMail:
    return CaughtMail(datetime(2026, 1, 1, tzinfo=UTC), (to,), text, body, step)


HELD = ShopState((OrderRow("12", "1290.00", "b@x"), OrderRow("11", "540.00", "a@x")), order_count=40, products=7)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (ShopState(order_count=0, products=7), "held 40 orders and holds 0"),
        (ShopState(HELD.orders[:1], order_count=40, products=7), "order 11 is gone"),
        (
            replace(HELD, orders=(replace(HELD.orders[0], total="1290000.00"), HELD.orders[1])),
            "order 12 was of 1290.00",
        ),
        (replace(HELD, orders=(HELD.orders[0], replace(HELD.orders[1], email=""))), "order 11 lost its customer"),
        (replace(HELD, products=6), "held 7 products and holds 6"),
        (replace(HELD, products=None), "held 7 products and holds 0"),
    ],
)
def test_what_the_database_held_and_an_update_did_away_with_is_named(now, said):
    check = facts.kept_check(seen(before=HELD), seen(before=now))
    assert check.status is Status.FAILED
    assert said in check.detail
    assert len(check.findings) == 1


@pytest.mark.parametrize(
    "now",
    [
        HELD,
        ShopState((OrderRow("13", "99.00", "c@x"), HELD.orders[0]), order_count=41, products=8),
    ],
    ids=["the same", "a subscription was renewed meanwhile"],
)
def test_records_that_are_there_as_before_pass(now):
    assert facts.kept_check(seen(before=HELD), seen(before=now)).status is Status.PASSED


def test_a_shop_whose_records_cannot_be_read_has_none_to_lose():
    assert facts.kept_check(seen(), seen(before=HELD)).status is Status.PASSED


@pytest.mark.parametrize(
    ("mail", "status", "required"),
    [
        ((letter("before"), letter("after")), Status.PASSED, True),
        ((letter("before"), letter("after", "Order", "<b>№</b> <td>101</td>")), Status.PASSED, True),
        ((letter("before"),), Status.FAILED, True),
        ((letter("before"), letter("after", "Order #1015")), Status.FAILED, True),
        ((letter("before"), letter("after", "Order", "Заказ 101 на 12 490,00 ₽")), Status.PASSED, True),
        ((letter("before"), letter("after", "Hello", "101,00 ₽, €101, 101 руб.")), Status.FAILED, True),
        ((letter("before"), letter("noise")), Status.FAILED, True),
        ((letter("after"),), Status.PASSED, False),
        ((), Status.PASSED, False),
    ],
    ids=[
        "both",
        "in the body",
        "after untold",
        "another number",
        "beside a sum",
        "a sum",
        "another step",
        "only after",
        "never any",
    ],
)
def test_an_order_mail_is_required_when_the_old_shop_sent_one(mail, status, required):
    check = facts.mail_check(bought(), bought(), bought(), mail)
    assert (check.status, check.required) == (status, required)


def order_letter(
    step: str, *, to: str = "Smoke-Test@example.com", subject: str = "Order #101", body: str = ""
) -> CaughtMail:
    body = body or "<p>Thank you. Total: <b>1 290,00 ₽</b></p>"
    return CaughtMail(datetime(2026, 1, 1, tzinfo=UTC), (to,), subject, body, step)


@pytest.mark.parametrize(
    ("changed", "before", "after"),
    [
        ({"to": "somebody@shop.example"}, "1 to the customer, 0 to others", "0 to the customer, 1 to others"),
        ({"subject": "Заказ 101"}, "Order #…", "Заказ …"),
        ({"body": "Total: 2 580,00 ₽"}, "the order's total stands in 1 of 1", "the order's total stands in 0 of 1"),
    ],
    ids=["another recipient", "another subject", "another total"],
)
def test_an_order_mail_that_says_something_else_names_both_values(changed, before, after):
    mail = (order_letter("before"), order_letter("noise"), order_letter("after", **changed))
    check = facts.mail_check(bought(), bought(), bought(), mail)
    assert check.status is Status.FAILED
    assert (check.findings[0].before, check.findings[0].after) == (before, after)


LINES = "Order 101 of 28.11.2026, +7 487 200-00-00\n2 × Tea 0.5 kg: 1 000,00 ₽\nPost: 290 руб.\nTotal: <b>1 290,00</b>"


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (LINES.replace("1 000,00", "502,00"), "“1000,00” is gone, “502,00” is new"),
        (LINES.replace("Post: 290 руб.\n", ""), "“290” is gone"),
        (LINES.replace("Tea 0.5", "Tea 0.7").replace("28.11.2026", "29.11.26").replace("200-00", "200-01"), ""),
        (LINES.replace("2 × Tea", "2 × Tea (500,00 ₽ each)"), ""),
    ],
    ids=["a line is wrong", "a line is gone", "no money", "says more"],
)
def test_what_an_order_mail_says_of_money_is_compared_and_may_become_more(new, told):
    mail = (order_letter("before", body=LINES), order_letter("noise", body=LINES), order_letter("after", body=new))
    check = facts.mail_check(bought(), bought(), bought(), mail)
    assert [finding.message for finding in check.findings] == (
        [f"mail.amounts [checkout, desktop]: {told}"] if told else []
    )


def test_what_order_mails_say_differently_by_themselves_is_no_finding():
    mail = (
        order_letter("before"),
        order_letter("noise", subject="Hello #101"),
        order_letter("after", subject="Hi #101"),
    )
    assert facts.mail_check(bought(), bought(), bought(), mail).status is Status.PASSED


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("Courier: 350 ₽", "“Post: 190 ₽” is gone"),
        ("Courier: 350 ₽ | Post: 290 ₽", "“Post: 190 ₽” is gone, “Post: 290 ₽” is new"),
        ("Post: 190 ₽ | Courier: 350 ₽", "stands in another order"),
    ],
)
def test_of_a_list_what_is_gone_and_what_is_new_is_named(new, said):
    key = "checkout.delivery [checkout, mobile]"
    old = {key: "Courier: 350 ₽ | Post: 190 ₽"}
    check, _pages = facts.compare(seen(old), seen({key: new}), seen(old))
    assert check.status is Status.FAILED
    assert check.findings[0].message == f"{key}: {said}"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("/wp/v2/posts | /wp/v2/product", ""),
        ("/wp/v2/posts | /wp/v2/product | /wp/v2/tea", ""),
        ("/wp/v2/posts", "rest.collections [REST, desktop]: “/wp/v2/product” is gone"),
        ("", "rest.collections [REST, desktop] changed: “/wp/v2/posts | /wp/v2/product” → nothing"),
    ],
)
def test_of_what_others_read_only_what_is_gone_is_a_finding(new, said):
    key = "rest.collections [REST, desktop]"
    old = seen({key: "/wp/v2/posts | /wp/v2/product"})
    check = compared(old, seen({key: new}), old)["facts"]
    assert [finding.message for finding in check.findings] == ([said] if said else [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hello on November 28, 2026", False),
        ("28 ноября 2026 г. в 28:10", False),
        ("2026-11-28, 28.11.2026 and 28/11/26", False),
        ("28 листопада 2026 р.", False),
        ("Order 28 may be late", True),
        ("From Market 28 is on its way", True),
        ("Ваш заказ 28 принят 28.11.2026", True),
        ("[Shop]: New order #28 (November 28, 2026)", True),
    ],
)
def test_a_day_that_is_the_orders_number_tells_of_no_order(text: str, told: bool) -> None:
    """Else a letter that is not sent any more would be missed on that day of a young shop."""
    there = bought(facts={**ORDER, "order.number [checkout, desktop]": "28"})
    check = facts.mail_check(there, there, there, (letter("before", "#28"), letter("after", "Hello", text)))
    assert (check.status is Status.PASSED) is told


def test_the_mail_of_an_order_without_a_shown_number_is_known_by_the_customers_address():
    seen = bought(facts={key: "" if key.startswith("order.number") else value for key, value in bought().facts.items()})
    before, after = order_letter("before", subject="Order 101"), order_letter("after", subject="Order 104")
    noise = order_letter("noise", subject="Order 101")
    check = facts.mail_check(seen, seen, seen, (before, noise, after))
    assert check.status is Status.PASSED, check
    assert facts.mail_check(seen, seen, seen, (before, noise, letter("after"))).status is Status.FAILED
    told = facts.mail_check(seen, seen, seen, (before, noise))
    assert told.status is Status.FAILED
    assert "smoke-test@example.com" in told.findings[0].message.lower()
