"""Money that comes: what a payment service would tell the shop, told to the staged one from a recording, and what became of the order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from updater.checks.facts import PAYING
from updater.checks.observation import Observation, Target
from updater.cms.base import OrderRow, ShopState
from updater.fact import fact_key, split_fact
from updater.language import counted, mark, sentence
from updater.model import Callback, Check, Finding, Payment, Status

NAME = "payment callbacks"
STATUS, CALLBACK = "payment.status", "payment.callback"
TIMEOUT = 30.0

_ORDER = re.compile(r"\{order\.(id|total|cents|email)\}")
_DIGEST = re.compile(r"\{(md5|sha1|sha256):([^{}]*)\}")


def method_of(scope: str) -> str:
    """The method that is paid by there; '' where nobody pays online."""
    return scope.partition(PAYING)[2]


def replay(
    target: Target, payments: Sequence[Payment], seen: Mapping[str, str], placed: ShopState
) -> Mapping[str, str]:
    """Each method's recorded callback, told to the shop about the order paid by it. Method → what the shop answered.

    `seen`: the facts of the pass. A shop that does not answer is a result and no exception."""
    answers = {}
    with httpx.Client(verify=not target.trust_any_certificate, timeout=TIMEOUT, trust_env=False) as http:
        for payment in payments:
            order = _order(payment.method, seen, placed)
            if payment.callback and order:
                answers[payment.method] = _tell(http, target, payment.callback, order)
    return answers


def _tell(http: httpx.Client, target: Target, callback: Callback, order: OrderRow) -> str:
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    address = target.hosts.get(host, host)
    port = f":{parts.port}" if parts.port else ""
    place = f"[{address}]" if ":" in address else address

    headers = {name: filled(value, order) for name, value in callback.headers.items()}
    try:
        answer = http.request(
            callback.method,
            f"{parts.scheme}://{place}{port}{filled(callback.path, order)}",
            headers={"User-Agent": "cms-updater", **headers, "Host": f"{host}{port}"},
            content=filled(callback.body, order).encode(),
            extensions={"sni_hostname": host},
        )
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return f"HTTP {answer.status_code}"


def filled(text: str, order: OrderRow) -> str:
    """`{order.id}` and the like as they are, `{order.cents}` as a whole number, then `{md5:…}` of what stands in it, for services that sign."""
    known = {
        "id": order.id,
        "total": order.total,
        "email": order.email,
        "cents": re.sub(r"\D", "", order.total).lstrip("0"),
    }
    said = _ORDER.sub(lambda match: known[match[1]], text)
    return _DIGEST.sub(lambda match: hashlib.new(match[1], match[2].encode(), usedforsecurity=False).hexdigest(), said)


def facts(
    payments: Sequence[Payment],
    seen: Mapping[str, str],
    placed: ShopState,
    finished: ShopState,
    answers: Mapping[str, str],
) -> dict[str, str]:
    """What became of the order that was paid by each method: its status, and what the callback did to it."""
    found = {}
    for payment in payments:
        scope, viewport = _place(payment.method, seen)
        before, after = (_order(payment.method, seen, state) for state in (placed, finished))
        if before is None or after is None:
            continue
        found[fact_key(STATUS, scope, viewport)] = after.status
        if payment.method in answers:
            change = f"{before.status} → {after.status}"
            found[fact_key(CALLBACK, scope, viewport)] = f"{answers[payment.method]}, the order's status: {change}"
    return found


def _place(method: str, seen: Mapping[str, str]) -> tuple[str, str]:
    """(scope, viewport) of the order that was paid by this method; ('', '') when there is none."""
    keys = (split_fact(key) for key in seen)
    return next(
        ((scope, viewport) for name, scope, viewport in keys if name == "order.email" and method_of(scope) == method),
        ("", ""),
    )


def _order(method: str, seen: Mapping[str, str], state: ShopState) -> OrderRow | None:
    """Each method's customer has an address of their own."""
    email = seen.get(fact_key("order.email", *_place(method, seen)), "").lower()
    return next((order for order in state.orders if email and order.email.lower() == email), None)


def check(seen: Observation, payments: Sequence[Payment], phase: str) -> Check:
    """Whether each callback moves the un-updated shop's order: one that changes nothing would prove nothing after the update."""
    findings = []
    told = [payment for payment in payments if payment.callback]
    for payment in told:
        said = seen.facts.get(fact_key(CALLBACK, *_place(payment.method, seen.facts)), mark("nobody was told"))
        was, arrow, now = said.rpartition(": ")[2].partition(" → ")
        if not arrow or was == now or not now:
            message = sentence(
                "the recorded callback of {method} moved no order of the un-updated shop ({said}); correct it, or take it out of site.yml",
                method=payment.method,
                said=said,
            )
            findings.append(Finding(NAME, payment.method, message))
    if findings:
        return Check(NAME, phase, Status.INCONCLUSIVE, findings[0].message, findings=tuple(findings))
    detail = counted(
        "{n} recorded callback moved the order that was paid",
        "{n} recorded callbacks moved the orders that were paid",
        len(told),
    )
    return Check(NAME, phase, Status.PASSED, detail)
