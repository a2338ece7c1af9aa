"""What of the shop differs, as the report tells it."""

from __future__ import annotations

from updater.language import speak
from updater.model import Finding, Language
from updater.report.findings import Told, told
from updater.report.terms import FACTS

EN, RU = speak(Language.EN), speak(Language.RU)


def fact(where: str, before: str, after: str) -> Finding:
    return Finding("facts", where, f"{where} changed: “{before}” → “{after}”", before, after)


def test_a_fact_that_changed_alike_in_several_places_is_told_once_in_the_reader_s_words():
    found = [
        fact("checkout.total [checkout, desktop]", "540 ₽", "890 ₽"),
        fact("cart.total [checkout, desktop]", "540 ₽", "890 ₽"),
        fact("checkout.total [checkout, mobile]", "540 ₽", "890 ₽"),
        fact("checkout.total [checkout, paying by card, desktop]", "540 ₽", "890 ₽"),
        fact("checkout.total [gift, mobile]", "540 ₽", "0 ₽"),
    ]
    where = ("checkout: desktop, mobile", "checkout, paying by card: desktop")
    assert told(found, EN) == [
        Told("total of the checkout", where, "", "540 ₽", "890 ₽"),
        Told("total of the cart", ("checkout: desktop",), "", "540 ₽", "890 ₽"),
        Told("total of the checkout", ("gift: mobile",), "", "540 ₽", "0 ₽"),
    ]
    assert told(found, RU)[0].what == "итог при оформлении"


def test_of_a_list_only_what_is_gone_and_what_is_new_is_told():
    (said,) = told(
        [fact("checkout.delivery [checkout, mobile]", "Post: 190 | Courier: 350", "Post: 190 | Van: 35")], EN
    )
    assert (said.what, said.was, said.now) == ("delivery methods", "Courier: 350", "Van: 35")
    (lost,) = told([fact("checkout.payment [checkout, mobile]", "Cash | Card", "Cash")], EN)
    assert (lost.was, lost.now) == ("Card", "nothing")
    (order,) = told([fact("page.prices [/shop/, mobile]", "1 | 2", "2 | 1")], EN)
    assert (order.was, order.now) == ("1 | 2", "2 | 1"), "only their order differs"
    (new,) = told([fact("page.robots [/, mobile]", "", "noindex")], EN)
    assert (new.was, new.now) == ("nothing", "noindex")


def test_between_two_shops_the_words_say_whose_a_value_is():
    where = ("checkout.total [checkout, desktop]", "checkout.total [checkout, mobile]")
    tested = [Finding("production", it, f"{it}: tested “540”, production shows nothing", "540", "") for it in where]
    (said,) = told(tested, EN)
    assert said == Told(
        "total of the checkout", ("checkout: desktop, mobile",), "tested “540”, production shows nothing", "", ""
    )
    status = "page.status [/about/, mobile]"
    (page,) = told([Finding("fidelity", status, f"{status}: production “200”, clone “500”", "200", "500")], EN)
    assert (page.what, page.message, page.was) == ("answer of the page", "production “200”, clone “500”", "")


def test_what_is_no_fact_of_the_shop_keeps_its_own_words():
    fatal = Finding("PHP errors", "tea.php:3", "Warning: Undefined array key")
    stock = Finding("stock", "product 7", "the stock fell by 3", "10", "7")
    unknown = fact("gift_wrap.price [checkout, mobile]", "10", "20")
    assert told([fatal, stock, fatal, unknown], EN) == [
        Told("tea.php:3", (), "Warning: Undefined array key", "", ""),
        Told("product 7", (), "the stock fell by 3", "10", "7"),
        Told("gift_wrap.price", ("checkout: mobile",), "", "10", "20"),
    ]


def test_a_page_that_the_message_names_is_not_said_twice():
    said = "/product/x/ (product) answers 404 instead of 200"
    assert told([Finding("crawl", "/product/x/", said, "200", "404")], EN) == [Told("", (), said, "200", "404")]
    (longer,) = told([Finding("crawl", "/product/", said)], EN)
    assert longer.what == "/product/", "another page, though its path is part of the one that is named"


def test_every_fact_has_words_of_its_own():
    assert len(set(FACTS.values())) == len(FACTS)
