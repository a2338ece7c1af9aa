"""To whom the updated shop speaks: a host that the un-updated one never called is found before it hears of a customer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from updater.model import BlockedCall, Check, Finding, Status

NAME = "calls"
HINT = "if that is right, name the host in site.yml (`calls:`)"


def is_known(host: str, known: Collection[str]) -> bool:
    """Whether it, or a domain that it belongs to, is among those named in site.yml."""
    return any(host == name or host.endswith(f".{name}") for name in known)


def compare(blocked: Sequence[BlockedCall], before: Collection[str], after: str, known: Collection[str]) -> Check:
    """Hosts that were called while the updated shop was looked at, and never while the un-updated one was.

    `before`, `after`: the steps of those passes. What was called while the updates were installed is in the report alone.
    """
    earlier = {call.target for call in blocked if call.step in before}
    new = {
        call.target: call
        for call in reversed(blocked)
        if call.step == after and call.target not in earlier and not is_known(call.target, known)
    }
    findings = tuple(
        Finding(
            NAME, host, f"the updated shop called {host}:{call.port}{call.path} ({call.protocol}); {HINT}", "", host
        )
        for host, call in sorted(new.items())
    )
    if findings:
        detail = f"{len(findings)} hosts were called that the un-updated shop never calls: {', '.join(sorted(new))}"
        return Check(NAME, "compare", Status.FAILED, detail, findings=findings)
    return Check(NAME, "compare", Status.PASSED, "no host was called that the un-updated shop does not call")
