"""What the shop asks services that answer from recordings: what is a finding, what is noise, and what nobody gets to read."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from updater.checks import fields, paying, recorded
from updater.checks.observation import Departure, Observation
from updater.checks.recorded import Pass
from updater.cms.base import OrderRow, ShopState
from updater.model import AnsweredCall, BlockedCall, Check, Recording, Status, Update

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "live_Kj3hsYt"
PAY = Recording("api.pay.example", "/v3/payments", "POST", 200, {}, "{}")
UPDATE = Update("plugin", "pay", "Pay", "1.0", "1.1", Path("pay.zip"), "", "folder")


def payment(order: str = "1031", **changes: object) -> dict[str, object]:
    return {
        "amount": {"value": "1290.00", "currency": "RUB"},
        "receipt": {"items": [{"amount": "1000.00", "vat_code": 1}, {"amount": "290.00", "vat_code": 4}]},
        "confirmation": {"return_url": f"https://shop.example/thanks/{order}/?key=wc_777"},
        "description": f"Order #{order} of 1031.50",
        "metadata": {"module": "pay/1.0"},
        "secret_key": KEY,
        **changes,
    }


def call(step: str, body: object, *, path: str = "/v3/payments", authorization: str = f"Basic {KEY}") -> AnsweredCall:
    return AnsweredCall(
        AT,
        PAY.host,
        "POST",
        path,
        PAY.path,
        "",
        "application/json; charset=utf-8",
        authorization,
        json.dumps(body).encode(),
        step=step,
    )


def looked(step: str, *orders: str, departures: tuple[Departure, ...] = ()) -> Pass:
    after = ShopState(tuple(OrderRow(order, "1290.00", "a@b.example") for order in orders), len(orders))
    return Pass(step, Observation(Path(), 0, (), (), (), {}, state_after=after, departures=departures))


def compare(
    *calls: AnsweredCall,
    before: tuple[str, ...] = ("1031",),
    after: tuple[str, ...] = ("1031",),
    blocked: tuple[BlockedCall, ...] = (),
    left: tuple[tuple[Departure, ...], ...] = ((), (), ()),
) -> Check:
    old = [looked(step, *before, departures=it) for step, it in zip(("before", "noise"), left, strict=False)]
    return recorded.compare(calls, blocked, old, looked("after", *after, departures=left[2]), [UPDATE], [PAY])


def told(check: Check) -> list[str]:
    return [finding.message.removeprefix("POST api.pay.example/v3/payments: ") for finding in check.findings]


def test_an_amount_a_tax_rate_and_an_address_that_differ_name_both_values() -> None:
    worse = payment(
        amount={"value": "129.00", "currency": "RUB"},
        receipt={"items": [{"amount": "1000.00"}, {"amount": "290.00", "vat_code": 4, "excise": ""}]},
        confirmation={"return_url": "https://shop.example/?key=wc_777"},
    )
    check = compare(call("before", payment()), call("noise", payment()), call("after", worse))
    assert check.status is Status.FAILED
    assert told(check) == [
        "amount.value 1290.00 → 129.00",
        "receipt.items[0].vat_code 1 → none",
        "confirmation.return_url https://shop.example/thanks/1031/ → https://shop.example/",
        "receipt.items[1].excise none → empty",
    ]
    assert check.detail == f"services are asked otherwise in 4 points: {check.findings[0].message}"


def test_what_differs_between_two_looks_at_the_same_shop_is_noise() -> None:
    calls = [
        call(step, payment(idempotence=f"{step}-7f3a", sent_at=number))
        for number, step in enumerate(("before", "noise", "after"))
    ]
    check = compare(*calls)
    assert (check.status, check.findings) == (Status.PASSED, ())
    assert check.detail == "14 values sent to services are the same after the update: POST api.pay.example/v3/payments"


def test_another_number_of_the_order_and_another_version_of_the_plugin_are_no_finding() -> None:
    newer = payment("1044", metadata={"module": "pay/1.1"}, signature="of 1044")
    same = [call(step, payment(signature="of 1031")) for step in ("before", "noise")]
    assert compare(*same, call("after", newer), after=("1044",)).findings == ()
    stranger = compare(*same, call("after", newer), after=("1031",))
    assert "description Order #1031 of 1031.50 → Order #1044 of 1031.50" in told(stranger), (
        "the number of no order of this pass"
    )


def test_a_price_that_looks_like_the_version_is_compared_as_a_price() -> None:
    cheap = payment(amount={"value": "1.0"})
    assert compare(*(call(step, cheap) for step in ("before", "noise", "after"))).findings == ()
    dearer = compare(call("before", cheap), call("noise", cheap), call("after", payment(amount={"value": "11.0"})))
    assert told(dearer) == ["amount.value 1.0 → 11.0"]


def test_a_key_that_differs_is_a_finding_that_shows_neither() -> None:
    other = call("after", payment(secret_key="live_Other99"), authorization="Bearer 77")
    check = compare(call("before", payment()), call("noise", payment()), other)
    assert told(check) == [
        "Authorization Basic … → Bearer …",
        "secret_key has another value, which is not shown: it may be a key",
    ]
    without = compare(call("before", payment()), call("noise", payment()), call("after", payment(), authorization=""))
    assert told(without) == ["Authorization Basic … → empty"]
    for secret in (KEY, "Other99", "77"):
        assert secret not in repr((check, without))


def test_a_service_that_is_asked_no_more_and_one_asked_for_something_unrecorded() -> None:
    def refused(step: str, path: str) -> BlockedCall:
        return BlockedCall(AT, "https", PAY.host, 443, path, step)

    old = (call("before", payment()), call("noise", payment()))
    check = compare(
        *old,
        blocked=(refused("noise", "GET /me"), refused("after", "GET /me?x=1"), refused("after", "POST /v4/payments")),
    )
    assert [finding.message.partition(";")[0] for finding in check.findings] == [
        "POST api.pay.example/v3/payments is no longer asked",
        "the updated shop asks api.pay.example for POST /v4/payments, which has no recording",
    ]


def test_further_calls_are_compared_where_each_pass_made_as_many() -> None:
    def calls(step: str, *amounts: str) -> list[AnsweredCall]:
        return [call(step, {"amount": amount}) for amount in amounts]

    check = compare(*calls("before", "1", "2"), *calls("noise", "1", "2"), *calls("after", "1", "3"))
    assert [finding.message for finding in check.findings] == ["POST api.pay.example/v3/payments, call 2: amount 2 → 3"]
    unsteady = compare(*calls("before", "1", "2"), *calls("noise", "1"), *calls("after", "1", "3"))
    assert unsteady.status is Status.PASSED
    cached = compare(*calls("before", "1", "1", "2"), *calls("noise", "1", "1", "2"), *calls("after", "1", "2"))
    assert cached.status is Status.PASSED, "the second call is no longer the same one"


def test_what_was_fetched_while_the_updates_were_installed_need_not_be_asked_again() -> None:
    old = [call(step, {"rates": "today"}) for step in ("before", "noise")]
    assert compare(*old).findings[0].message == "POST api.pay.example/v3/payments is no longer asked"
    assert compare(*old, call("update", {"rates": "today"})).status is Status.PASSED


def test_where_the_customer_is_led_is_compared_like_a_call() -> None:
    def left(address: str, amount: str) -> tuple[Departure, ...]:
        return (Departure("checkout, paying by pay", "desktop", "POST", address, {"OutSum": amount}),)

    was = left("pay.example/form", "1290.00")
    check = compare(left=(was, was, left("pay.example/other", "1.00")))
    assert [finding.message for finding in check.findings] == [
        "POST by the customer's browser (checkout, paying by pay, desktop): address pay.example/form → pay.example/other",
        "POST by the customer's browser (checkout, paying by pay, desktop): OutSum 1290.00 → 1.00",
    ]
    assert compare(left=(was, was, ())).findings[0].message.endswith("is no longer asked")


def test_fields_are_found_in_forms_in_json_within_them_and_in_base64() -> None:
    receipt = json.dumps({"items": [{"name": "Чай", "tax": "vat20"}]})
    data = base64.b64encode(json.dumps({"amount": 5, "order_id": "7"}).encode()).decode()
    form = (
        urlencode({"OutSum": "5.00", "Receipt": receipt, "data": data, "item[]": "a"})
        + "&item%5B%5D=b&MerchantLogin=tea"
    )
    found = fields.of_request("a=1", "application/x-www-form-urlencoded", form.encode())
    assert fields.MARK.fullmatch(found.pop("MerchantLogin"))
    assert found == {
        "query.a": "1", "OutSum": "5.00", "Receipt.items[0].name": "Чай", "Receipt.items[0].tax": "vat20",
        "data.amount": "5", "data.order_id": "7", "item[]": "a", "item[][1]": "b",
    }  # fmt: skip


def test_a_callback_is_filled_in_and_signed_as_robokassa_does_it() -> None:
    order = OrderRow("1031", "1290.50", "a@b.example")
    text = "OutSum={order.total}&InvId={order.id}&SignatureValue={md5:{order.total}:{order.id}:word}&c={order.cents}&x={other}"
    signed = hashlib.md5(b"1290.50:1031:word", usedforsecurity=False).hexdigest()
    assert paying.filled(text, order) == f"OutSum=1290.50&InvId=1031&SignatureValue={signed}&c=129050&x={{other}}"


def test_a_form_with_files_is_read_whatever_its_boundary_is() -> None:
    def form(boundary: str) -> dict[str, str]:
        part = '--{0}\r\nContent-Disposition: form-data; name="{1}"{2}\r\n\r\n{3}\r\n'
        body = part.format(boundary, "sum", "", "5.00") + part.format(boundary, "scan", '; filename="a.png"', "x" * 9)
        return fields.of_request("", f"multipart/form-data; boundary={boundary}", f"{body}--{boundary}--\r\n".encode())

    assert form("aaa") == form("bbb") == {"sum": "5.00", "scan": "a.png, 9 bytes"}


def test_what_nobody_wrote_is_hidden_wherever_it_stands_and_what_people_wrote_is_not() -> None:
    token = "bot123456:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K"
    assert "AAEh" not in fields.shown_path(f"/{token}/sendMessage")
    assert fields.shown_path("/v3/payments/1031") == "/v3/payments/1031"
    written = {
        "note": "https://shop.example/a-very-long-name-of-a-product/",
        "sent": "2026-11-28T15:41:35.123456+00:00",
    }
    opens = {"x": "sk4f7Hq2ZpLw9XcVbN3mKj8R/tY", "y": f"https://a.example/{token}"}
    found = fields.of_request("", "", json.dumps({**written, **opens}).encode())
    assert {place: found[place] for place in written} == written
    assert all(fields.MARK.fullmatch(found[place]) for place in opens)


def test_a_body_of_no_known_form_and_an_endless_one_are_no_error() -> None:
    assert fields.of_request("", "text/xml", b"<pay>5</pay>") == {"body": "<pay>5</pay>"}
    assert len(fields.of_request("", "application/json", json.dumps(list(range(9999))).encode())) == fields.MOST_FIELDS
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert len(fields.of_request("", "application/json", deep)) == 1
    assert fields.of_request("", "", b"[" * 100_000) == {"body": fields.of_request("", "", b"[" * 100_000)["body"]}
