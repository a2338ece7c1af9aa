"""May this be planned, approved, deployed now, and why not, in words. Pure: the clock and all that is known come as arguments.

Every question is answered with a reason, '' meaning that nothing stands in the way: a refusal without its reason cannot be made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import TypeVar
from zoneinfo import ZoneInfo

from updater.language import mark, sentence
from updater.model import Approve, Failed, Freeze, Policy, QuietHour, Site, Update, Window
from updater.versions import compare_versions, is_patch

T = TypeVar("T")

FRIDAY, EVENING = 4, time(16)
"""Without windows nothing is deployed from then to midnight: whoever could mend it is on the way home."""

_HORIZON = 400
"""Days that are searched for the next opening: more than a year of freezes is a mistake."""


# ------------------------------------------------------------------------------------------------- what may be planned


def held(policy: Policy, kind: str, slug: str, on: date) -> str:
    """Why this component is not updated at all on that day."""
    hold = _of(policy.hold, kind, slug)
    if hold is None or _over(hold.until, on):
        return ""
    if hold.until is None:
        return mark("held by policy") + f": {hold.reason}"
    return sentence("held by policy until {day}", day=hold.until) + f": {hold.reason}"


def beyond_pin(policy: Policy, kind: str, slug: str, version: str, on: date) -> str:
    """Why this version of the component is too new on that day."""
    pin = _of(policy.pin, kind, slug)
    if pin is None or _over(pin.until, on) or compare_versions(version, pin.version) <= 0:
        return ""
    if pin.until is None:
        return sentence("pinned to {version} by policy", version=pin.version) + f": {pin.reason}"
    return sentence("pinned to {version} by policy until {day}", version=pin.version, day=pin.until) + f": {pin.reason}"


def too_young(policy: Policy, kind: str, slug: str, released: datetime | None, *, security: bool, at: datetime) -> str:
    """Why this release still has to wait. A security fix never waits; neither does one whose date is not known.

    A date in the future is a wrong clock somewhere, and counts as now.
    """
    if released is None or security:
        return ""
    critical = slug in policy.critical or f"{kind}:{slug}" in policy.critical
    wanted, key = (policy.critical_age, "critical_age") if critical else (policy.minimum_age, "minimum_age")
    age = max(at - released, timedelta())
    if age >= wanted:
        return ""
    return sentence(
        "released {age} ago, policy.{key} is {wanted}; old enough on {moment:%Y-%m-%d %H:%M} UTC",
        age=_span(age),
        key=key,
        wanted=_span(wanted),
        moment=released + wanted,
    )


def failed_elsewhere(policy: Policy, kind: str, slug: str, version: str, known: Sequence[Failed], site: str) -> str:
    """Why a version that broke another shop is not tried on this one. Names no other client: this client reads it."""
    failed = [it for it in known if (it.kind, it.slug, it.version) == (kind, slug, version) and it.site != site]
    allowed = _of(policy.allow, kind, slug)
    if not failed or (allowed and allowed.version == version):
        return ""
    first = min(failed, key=lambda it: it.at)
    failed_there = sentence("failed its tests on another shop on {day:%Y-%m-%d}", day=first.at)
    return f"{failed_there}: {first.reason}; " + mark("`policy.allow` lets it through here")


def new_looks(policy: Policy, updates: Sequence[Update]) -> tuple[str, ...]:
    """Of which updates a person said that they look different and that this is right: at exactly that version."""
    given = ((update, _of(policy.new_look, update.kind, update.slug)) for update in updates)
    return tuple(
        sentence(
            "{name} {version} may look new, as site.yml says ({reason}): pictures decide nothing, look at them",
            name=update.name,
            version=update.to_version,
            reason=look.reason,
        )
        for update, look in given
        if look and look.version == update.to_version
    )


def payments(site: Site, updates: Sequence[Update], found: Sequence[Update]) -> tuple[str, ...]:
    """Through which of the updates money passes: those `found` to bring a payment method, and those that site.yml names."""
    named = {payment.plugin for payment in site.payments}
    unseen = mark("nobody paid by it on staging, since site.yml names no recording of its service (docs/recordings.md)")
    seen = "" if site.payments else f"; {unseen}"
    return tuple(
        sentence(
            "{name} {version} takes payments: only a person may approve it", name=update.name, version=update.to_version
        )
        + seen
        for update in updates
        if update in found or named & {update.slug, update.id}
    )


def _of(named: Mapping[str, T], kind: str, slug: str) -> T | None:
    return named.get(f"{kind}:{slug}") or named.get(slug)


def _over(until: date | None, on: date) -> bool:
    return until is not None and on > until


def _span(span: timedelta) -> str:
    hours = int(span.total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} h"


# ------------------------------------------------------------------------------------------------ what may be approved


def approves(policy: Policy, updates: Sequence[Update], leaps: Sequence[str] = ()) -> bool:
    """Whether a run that passed needs no person. `leaps`: why some of these updates are more than that, whatever the policy says."""
    if leaps:
        return False
    if policy.approve is Approve.PASSED:
        return True
    return policy.approve is Approve.PATCH and all(is_patch(update) for update in updates)


def forbids_approval(policy: Policy) -> str:
    """Why nobody may approve, whenever it is."""
    return "policy.approve is never: this site is only reported on" if policy.approve is Approve.NEVER else ""


def forbids_person(policy: Policy, person: str) -> str:
    """Why this person may not approve. A name is what somebody typed: this guards against mistakes, not against malice."""
    if not policy.approvers or person in policy.approvers:
        return ""
    return f"{person} is not among those who may approve: {', '.join(policy.approvers)}"


# ------------------------------------------------------------------------------------------------ when may be deployed


def closed(policy: Policy, at: datetime) -> str:
    """Why nothing may be deployed at this moment.

    `at` carries this machine's zone: Friday evening, and freezes of a site without windows, are told by it.
    """
    places = [(window, at.astimezone(ZoneInfo(window.zone))) for window in policy.windows]
    moments = [local for window, local in places if _within(window, local)] if places else [at]
    if not moments:
        return f"outside the deploy windows ({'; '.join(window.text for window in policy.windows)})"
    freezes = [_frozen(policy.freezes, local.date()) for local in moments]
    if all(freezes):
        freeze = next(freeze for freeze in freezes if freeze)
        return f"frozen from {freeze.first} to {freeze.last}: {freeze.reason}"
    if not places and at.weekday() == FRIDAY and at.time() >= EVENING:
        return "it is Friday evening; `policy.windows` can say otherwise"
    return ""


def not_quiet(policy: Policy, quiet: QuietHour | None, at: datetime) -> str:
    """Why policy does not deploy at this moment by itself, although it may: without windows it waits for the shop's quiet hours.

    A person may deploy all the same: they see what is shown of it and decide.
    """
    if policy.windows or quiet is None:
        return ""
    if at.astimezone(timezone(timedelta(minutes=quiet.offset))).hour in quiet.hours:
        return ""
    return f"the shop is quietest {quiet.text}; `policy.windows` can say otherwise"


def opens(policy: Policy, at: datetime) -> datetime | None:
    """The next moment at which something may be deployed, `at` itself when it may be now. None: not within a year."""
    if not closed(policy, at):
        return at
    later = sorted(moment for moment in _beginnings(policy, at) if moment > at)
    return next((moment for moment in later if not closed(policy, moment)), None)


def _beginnings(policy: Policy, at: datetime) -> Iterator[datetime]:
    """Every moment at which something may begin to be allowed: starts of windows, and midnights, where freezes end."""
    for days in range(-1, _HORIZON):
        for window in policy.windows:
            zone = ZoneInfo(window.zone)
            day = at.astimezone(zone).date() + timedelta(days)
            yield datetime.combine(day, window.start, zone)
            yield datetime.combine(day, time(), zone)
        if not policy.windows:
            yield datetime.combine(at.date() + timedelta(days), time(), at.tzinfo)


def _within(window: Window, local: datetime) -> bool:
    clock, today, yesterday = local.time(), local.weekday() in window.days, (local.weekday() - 1) % 7 in window.days
    if window.start < window.end:
        return today and window.start <= clock < window.end
    return (today and clock >= window.start) or (yesterday and clock < window.end)


def _frozen(freezes: Sequence[Freeze], on: date) -> Freeze | None:
    return next((freeze for freeze in freezes if freeze.first <= on <= freeze.last), None)
