"""What the shop asks the services that answer from recordings: the same as before the update, field by field?

A payment for another amount, a receipt line without its tax rate, a customer led back to the wrong page: no page of the shop shows it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from updater.checks import fields
from updater.checks.observation import Observation
from updater.language import counted, mark, sentence
from updater.model import AnsweredCall, BlockedCall, Check, Finding, Recording, Status, Update

NAME = "recorded calls"
ADDRESS, CONTENT_TYPE, AUTHORIZATION = "address", "Content-Type", "Authorization"
"""Of a call, beside its fields."""
UPDATING = "update"
"""The step in which updates are installed and the shop is visited until it is quiet: what is fetched once an hour may be fetched there."""
MOST_COMPARED = 20
"""Calls of one service in one pass"""


@dataclass(frozen=True, slots=True)
class Pass:
    """One look at the shop: the step that its calls belong to, and what it saw."""

    step: str
    seen: Observation

    @property
    def orders(self) -> tuple[str, ...]:
        """Ids of the orders that it placed."""
        known = {order.id for order in self.seen.state_before.orders}
        return tuple(order.id for order in self.seen.state_after.orders if order.id not in known)


Call = Mapping[str, tuple[str, str]]
"""Field → value as it was sent, and with the order's number and the plugin's version taken out"""


def compare(
    answered: Sequence[AnsweredCall],
    blocked: Sequence[BlockedCall],
    old: Sequence[Pass],
    new: Pass,
    updates: Sequence[Update],
    recordings: Sequence[Recording],
) -> Check:
    """The first calls of each service, old against new: all of them where every pass made as many, else one.

    What differs among the passes over the un-updated shop is noise. `blocked`: what was asked of these hosts and has no recording.
    """
    before = [_calls(answered, it, [update.from_version for update in updates]) for it in old]
    after = _calls(answered, new, [update.to_version for update in updates])
    fetched = {_service(call) for call in answered if call.step == UPDATING}
    shifted = any(it.orders != new.orders for it in old)
    findings: list[Finding] = []
    compared = 0
    for service, calls in before[0].items():
        again = [it.get(service, ()) for it in before]
        if not all(again):  # not every pass asked it: that says nothing
            continue
        if service not in after:
            if service in fetched:
                continue
            message = sentence("{service} is no longer asked", service=service)
            findings.append(Finding(NAME, service, message, str(len(calls)), "0"))
            continue
        alike = len({len(it) for it in (*again, after[service])}) == 1
        for number in range(min(len(calls), MOST_COMPARED) if alike else 1):
            where = service if number == 0 else f"{service}, call {number + 1}"
            steady, differences = _differences(where, [it[number] for it in again], after[service][number], shifted)
            compared += steady
            findings += differences
    findings += _unanswered(blocked, old, new, recordings)
    if findings:
        asked = counted(
            "services are asked otherwise in {n} point", "services are asked otherwise in {n} points", len(findings)
        )
        detail = f"{asked}: {findings[0].message}"
        return Check(NAME, "compare", Status.FAILED, detail, findings=tuple(findings))
    named = ", ".join(before[0]) or mark("no recording was asked for by the un-updated shop")
    same = counted(
        "{n} value sent to services is the same after the update",
        "{n} values sent to services are the same after the update",
        compared,
    )
    return Check(NAME, "compare", Status.PASSED, f"{same}: {named}")


def _calls(answered: Iterable[AnsweredCall], seen: Pass, versions: Iterable[str]) -> dict[str, list[Call]]:
    """Service → its calls in this pass, in their order."""
    found: dict[str, list[Call]] = {}
    for call in answered:
        if call.step == seen.step:
            found.setdefault(_service(call), []).append(_plain(_of(call), seen.orders, versions))
    for departure in seen.seen.departures:
        service = f"{departure.method} by the customer's browser ({departure.scope}, {departure.viewport})"
        said = {ADDRESS: departure.address, **departure.fields}
        found.setdefault(service, []).append(_plain(said, seen.orders, versions))
    return found


def _service(call: AnsweredCall) -> str:
    return f"{call.method} {call.target}{call.recording}"


def _of(call: AnsweredCall) -> Mapping[str, str]:
    scheme, _, secret = call.authorization.partition(" ")
    return {
        ADDRESS: f"{call.target}{fields.shown_path(call.path)}",
        CONTENT_TYPE: call.content_type.partition(";")[0].strip().lower(),
        AUTHORIZATION: f"{scheme} {fields.hidden(secret)}".strip(),
        **fields.of_request(call.query, call.content_type, call.body),
    }


def _plain(said: Mapping[str, str], orders: Sequence[str], versions: Iterable[str]) -> Call:
    """`Order 1031` → `Order {order}`, `gateway/2.1.0` → `gateway/{version}`. Not within a number: `1031.00` is an amount."""
    names = dict.fromkeys(orders, "{order}") | dict.fromkeys(filter(None, versions), "{version}")
    longest = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    known = re.compile(rf"(?<![\d.,])({longest or '(?!)'})(?!\d|[.,]\d)")
    return {place: (value, known.sub(lambda match: names[match[1]], value)) for place, value in said.items()}


def _differences(where: str, before: Sequence[Call], after: Call, shifted: bool) -> tuple[int, list[Finding]]:
    """How many fields every un-updated pass sent alike, and which of them (and which new ones) differ.

    `shifted`: the orders of these passes bear other numbers, so that what is signed with them differs too."""
    findings, steady = [], 0
    nothing = ("", "")
    for place in dict.fromkeys((*before[0], *after)):
        sent, plain = zip(*(call.get(place, nothing) for call in before), strict=True)
        new = after.get(place, nothing)
        noisy = len(set(plain)) > 1 or any((place in call) != (place in before[0]) for call in before)
        same = (place in after) == (place in before[0]) and (new[0] in sent or new[1] in plain)
        steady += not noisy and place in before[0]
        if noisy or same or (shifted and fields.SIGNED.search(place)):
            continue
        old = _shown(sent[0]) if place in before[0] else "none"
        told = _shown(new[0]) if place in after else "none"
        change = f"{place} {old} → {told}" if old != told else _hidden(place)
        findings.append(Finding(NAME, f"{where} {place}", f"{where}: {change}", old, told))
    return steady, findings


def _hidden(place: str) -> str:
    return sentence("{field} has another value, which is not shown: it may be a key", field=place)


def _shown(value: str) -> str:
    return fields.MARK.sub("…", value) or "empty"


def _unanswered(
    blocked: Sequence[BlockedCall], old: Sequence[Pass], new: Pass, recordings: Sequence[Recording]
) -> list[Finding]:
    """Paths of these hosts that only the updated shop asks, and that have no recording."""
    hosts, steps = {it.host for it in recordings}, {it.step for it in old}
    asked = Counter(
        (call.step, call.target, call.path.partition("?")[0])
        for call in blocked
        if call.target in hosts and call.path and not call.answered
    )
    earlier = {(target, path) for step, target, path in asked if step in steps}
    return [
        Finding(
            NAME,
            target,
            sentence(
                "the updated shop asks {host} for {path}, which has no recording; if that is right, record it in site.yml (`recordings:`)",
                host=target,
                path=path,
            ),
            "",
            path,
        )
        for step, target, path in sorted(asked)
        if step == new.step and (target, path) not in earlier
    ]
