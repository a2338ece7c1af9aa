"""To whom the updated shop speaks: a host that the un-updated one never called is found before it hears of a customer.

The shop's server calls by itself; its pages have the customer's browser do it, as a script does that copies what is typed into a checkout.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from updater.checks.observation import Observation
from updater.language import counted, mark, sentence
from updater.model import BlockedCall, Check, Finding, Status

NAME = "calls"
HINT = mark("if that is right, name the host in site.yml (`calls:`)")


def asks(page: str, host: str) -> str:
    """What is said of a page that has the customer's browser ask a host."""
    return sentence("{page} now loads from or sends to {host}", page=page, host=host) + f"; {HINT}"


def is_known(host: str, known: Collection[str]) -> bool:
    """Whether it, or a domain that it belongs to, is among those named in site.yml."""
    return any(host == name or host.endswith(f".{name}") for name in known)


def compare(
    blocked: Sequence[BlockedCall],
    before: Collection[str],
    after: str,
    known: Collection[str],
    old: Sequence[Observation] = (),
    new: Observation | None = None,
) -> Check:
    """Hosts that were called while the updated shop was looked at, and never while the un-updated one was.

    `before`, `after`: the steps of those passes. What was called while the updates were installed is in the report alone.
    `old`, `new`: the passes, for the hosts that pages asked in the browser.
    """
    earlier = {call.target for call in blocked if call.step in before}
    called = {
        call.target: call
        for call in reversed(blocked)
        if call.step == after and call.target not in earlier and not is_known(call.target, known)
    }
    findings = tuple(Finding(NAME, host, _called(call), "", host) for host, call in sorted(called.items()))
    pages = _asked_by_pages(old, new, known) if new is not None else {}
    findings += tuple(
        Finding(NAME, page, asks(page, host), "", host) for host, page in sorted(pages.items()) if host not in called
    )
    if findings:
        named = ", ".join(sorted(called.keys() | pages.keys()))
        new_hosts = counted(
            "{n} host was called that the un-updated shop never calls",
            "{n} hosts were called that the un-updated shop never calls",
            len(findings),
        )
        detail = f"{new_hosts}: {named}"
        return Check(NAME, "compare", Status.FAILED, detail, findings=findings)
    return Check(NAME, "compare", Status.PASSED, mark("no host was called that the un-updated shop does not call"))


def _called(call: BlockedCall) -> str:
    address = f"{call.target}:{call.port}{call.path}"
    return (
        sentence("the updated shop called {address} ({protocol})", address=address, protocol=call.protocol)
        + f"; {HINT}"
    )


def _asked_by_pages(old: Sequence[Observation], new: Observation, known: Collection[str]) -> dict[str, str]:
    """Host → the first page that asked it in the browser, without those that any page of the un-updated shop asks."""
    earlier = {host for seen in old for view in seen.views for host in view.asked}
    found: dict[str, str] = {}
    for view in new.views:
        for host in view.asked:
            if host not in earlier and not is_known(host, known):
                found.setdefault(host, f"{view.page} ({view.viewport})")
    return found
