"""One month of one shop, from the journal, the runs' records, the outbox and looks between runs; nothing is asked anew."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from updater.errors import ExitCode
from updater.language import mark
from updater.model import BackupEvent, Held, Language, Message, Sample, Site, Status
from updater.report.record import RunRecord, UpdateResult, public

PHP_ENDS = {
    "7.4": date(2022, 11, 28),
    "8.0": date(2023, 11, 26),
    "8.1": date(2025, 12, 31),
    "8.2": date(2026, 12, 31),
    "8.3": date(2027, 12, 31),
    "8.4": date(2028, 12, 31),
    "8.5": date(2029, 12, 31),
}
"""The last day of security fixes, by php.net/supported-versions. Versions before 7.4 ended earlier."""

IN_A_ROW = 3
"""A component that fails so many months in a row is told of by itself, with what would end it."""

_BY_POLICY = "held by policy: "
_FAILED = ("rejected", "failed", "held", "rolled back")


@dataclass(frozen=True, slots=True)
class Change:
    """A component that production got. `security`: the vulnerabilities that it closed, where known."""

    kind: str
    name: str
    from_version: str
    to_version: str
    at: datetime
    security: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setback:
    """An update that production did not get, and why."""

    kind: str
    slug: str
    name: str
    from_version: str
    to_version: str
    at: datetime
    reason: str
    security: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that should not have happened. Times in seconds; None where nothing is known."""

    at: datetime
    what: str
    detail: str
    closed_seconds: float | None = None
    acknowledged_after: float | None = None
    by: str = ""
    over_after: float | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """What was seen on one day: looks, those that found the shop answering, and the median seconds of its home page."""

    day: date
    looks: int
    up: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Backups:
    """The month's backups. `made`: those that are in every place; `restores`: trial restores that ended with a shop that sells."""

    made: int
    places: tuple[str, ...]
    failed: int
    """Backups that a place did not get"""
    restores: int
    failed_restores: int
    longest_restore: float
    """Seconds from the repository to a shop that answers"""
    newest: datetime | None
    proven: datetime | None
    """When the last restore of all was proven, perhaps in an earlier month"""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A component that did not come through `IN_A_ROW` months in a row. `fix` is a message of ours, to be translated."""

    name: str
    versions: tuple[str, ...]
    cause: str
    fix: str


@dataclass(frozen=True, slots=True)
class Risk:
    """A message of ours with its values, and what we propose; both to be translated."""

    text: str
    proposal: str
    values: tuple[tuple[str, str | int | date], ...] = ()


@dataclass(frozen=True, slots=True)
class Month:
    site: str
    url: str
    cms: str
    language: Language
    first: date
    made: datetime
    runs: int
    passed: int
    rejected: int
    undecided: int
    changes: tuple[Change, ...]
    setbacks: tuple[Setback, ...]
    waiting: tuple[str, ...]
    """Runs that still wait for an approval"""
    checks: int
    failed_checks: int
    pictures: int
    deploys: int
    closed_seconds: float
    """All that deployments closed the shop for"""
    longest_closed: float
    incidents: tuple[Incident, ...]
    days: tuple[Day, ...]
    backups: Backups
    repeats: tuple[Repeat, ...]
    risks: tuple[Risk, ...]

    @property
    def security(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.security)

    @property
    def looks(self) -> int:
        return sum(day.looks for day in self.days)

    @property
    def availability(self) -> float | None:
        """Share of looks that found the shop answering; None when nobody looked."""
        return sum(day.up for day in self.days) / self.looks if self.looks else None

    @property
    def median_seconds(self) -> float | None:
        known = [day.seconds for day in self.days if day.seconds is not None]
        return statistics.median(known) if known else None


def next_month(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1)


def previous_month(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


def summarise(
    site: Site,
    first: date,
    records: Sequence[RunRecord],
    messages: Sequence[Message],
    samples: Sequence[Sample],
    backups: Sequence[BackupEvent],
    made: datetime,
) -> Month:
    """The month that begins at `first`. `records` and `backups` are those of this and earlier months; redacted here."""
    records = sorted((public(record) for record in records), key=lambda record: record.started)
    months = {month: [it for it in records if _in(it.started, month)] for month in last_months(first)}
    runs = months[first]
    checks = [check for record in runs for check in record.checks if check.required]
    closed = [record.outcome.closed_seconds for record in runs if record.outcome]
    incidents = _incidents(runs, [message for message in messages if _in(message.at, first)])
    days = _days(samples)
    setbacks = _setbacks(runs)
    waiting = tuple(record.run for record in runs if record.waits)
    kept = _backups(backups, first)
    risks = _risks(first, made.date(), runs, waiting, setbacks, samples, incidents)
    risks += _unkept(kept, first)
    return Month(
        site=site.name,
        url=site.url,
        cms=next((_cms(record) for record in reversed(runs)), ""),
        language=site.language,
        first=first,
        made=made,
        runs=len(runs),
        passed=sum(record.kind_of_state in ("promoted", "awaiting approval") for record in runs),
        rejected=sum(record.exit_code == ExitCode.REJECTED for record in runs),
        undecided=sum(record.exit_code == ExitCode.INCONCLUSIVE for record in runs),
        changes=_changes(runs),
        setbacks=setbacks,
        waiting=waiting,
        checks=len(checks),
        failed_checks=sum(check.status is Status.FAILED for check in checks),
        pictures=sum(len(record.evidence.pictures) for record in runs if record.evidence),
        deploys=len(closed),
        closed_seconds=sum(closed),
        longest_closed=max(closed, default=0.0),
        incidents=incidents,
        days=days,
        backups=kept,
        repeats=_repeats(list(months.values())),
        risks=risks,
    )


def last_months(first: date) -> list[date]:
    """The months that `summarise` looks at, the oldest first: what repeats is told from them."""
    months = [first]
    while len(months) < IN_A_ROW:
        months.insert(0, previous_month(months[0]))
    return months


def _in(at: datetime, first: date) -> bool:
    return first <= at.astimezone(UTC).date() < next_month(first)


def _cms(record: RunRecord) -> str:
    if record.inventory is None:
        return record.cms
    name = next((it.name for it in record.inventory.components if it.kind == "core"), record.inventory.cms)
    return f"{name} {record.inventory.version}"


def _deployed(record: RunRecord) -> list[UpdateResult]:
    """What production got of it: a culprit that was held has its place in the same record."""
    if record.kind_of_state != "promoted":
        return []
    return [it for it in record.updates if it.outcome not in _FAILED]


def _changes(runs: Iterable[RunRecord]) -> tuple[Change, ...]:
    """One line for each component, however many steps it took: from the month's first version to its last."""
    found: dict[str, Change] = {}
    for record in runs:
        at = record.finished or record.started
        for it in _deployed(record):
            known = found.get(f"{it.kind}:{it.slug}")
            begun = known.from_version if known else it.from_version
            closed = tuple(dict.fromkeys((*(known.security if known else ()), *it.security)))
            found[f"{it.kind}:{it.slug}"] = Change(it.kind, it.name or it.slug, begun, it.to_version, at, closed)
    return tuple(sorted(found.values(), key=lambda change: (not change.security, change.kind != "core", change.name)))


def _setbacks(runs: Sequence[RunRecord]) -> tuple[Setback, ...]:
    """The newest word on each update that production did not get in any run of the month."""
    got = {(it.slug, it.to_version) for record in runs for it in _deployed(record)}
    found: dict[tuple[str, str], Setback] = {}
    for record in runs:
        at = record.finished or record.started
        names = {it.slug: it.name for it in record.inventory.components} if record.inventory else {}
        for held in record.held:
            name = names.get(held.slug) or held.slug
            key = (held.slug, held.to_version)
            found[key] = Setback(
                held.kind, held.slug, name, held.from_version, held.to_version, at, _reason(held.reason)
            )
        for it in record.updates:
            if it.outcome in _FAILED or record.exit_code == ExitCode.INCONCLUSIVE:
                why = it.reason or next(iter(record.reasons), "") or (record.outcome.reason if record.outcome else "")
                found[it.slug, it.to_version] = Setback(
                    it.kind, it.slug, it.name or it.slug, it.from_version, it.to_version, at, why, it.security
                )
    return tuple(setback for key, setback in found.items() if key not in got)


def _reason(reason: str) -> str:
    return reason.removeprefix(_BY_POLICY)


# ------------------------------------------------------------------------------------------- incidents, availability


def _incidents(runs: Sequence[RunRecord], messages: Sequence[Message]) -> tuple[Incident, ...]:
    """Deployments that went wrong or were taken back, and urgent messages that belong to no run."""
    urgent = {message.run: message for message in messages if message.urgency == "urgent" and message.run}
    found = []
    for record in runs:
        what = _went_wrong(record)
        if not what:
            continue
        message, outcome = urgent.get(record.run), record.outcome
        at = record.finished or record.started
        detail = (outcome.reason if outcome else "") or next(iter(record.error.splitlines()), "")
        closed = outcome.closed_seconds if outcome else None
        found.append(Incident(at, what, detail, closed, _after(message), message.by if message else ""))
    for message in messages:
        if message.urgency == "urgent" and not message.run:
            over = (message.closed - message.at).total_seconds() if message.closed else None
            detail = next(iter(message.body.splitlines()), "")
            found.append(Incident(message.at, message.title, detail, None, _after(message), message.by, over))
    return tuple(sorted(found, key=lambda incident: incident.at))


def _went_wrong(record: RunRecord) -> str:
    if record.exit_code == ExitCode.UNKNOWN_STATE:
        return mark("After a deployment the state of the shop was not known")
    if record.restored and record.kind_of_state == "promoted":
        return mark("The shop was brought back from a backup")
    if record.kind_of_state != "rolled back":
        return ""
    if record.exit_code == ExitCode.DONE:
        return mark("A deployment was taken back by a person")
    return mark("A deployment failed and was rolled back by itself")


def _after(message: Message | None) -> float | None:
    if message is None or message.acknowledged is None:
        return None
    return (message.acknowledged - message.at).total_seconds()


def _days(samples: Sequence[Sample]) -> tuple[Day, ...]:
    by_day: dict[date, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_day[sample.at.astimezone(UTC).date()].append(sample)
    days = []
    for day, seen in sorted(by_day.items()):
        seconds = [sample.seconds for sample in seen if sample.up and sample.seconds is not None]
        median = statistics.median(seconds) if seconds else None
        days.append(Day(day, len(seen), sum(sample.up for sample in seen), median))
    return tuple(days)


# ----------------------------------------------------------------------------------------------------------- backups


def _backups(events: Sequence[BackupEvent], first: date) -> Backups:
    known = [event for event in events if event.at.astimezone(UTC).date() < next_month(first)]
    month = [event for event in known if _in(event.at, first)]
    made: dict[str, list[BackupEvent]] = defaultdict(list)
    for event in month:
        if event.kind == "made":
            made[event.backup].append(event)
    restored = [event for event in month if event.kind == "restored"]
    good = [event for event in restored if event.ok]
    return Backups(
        made=sum(all(event.ok for event in places) for places in made.values()),
        places=tuple(dict.fromkeys(it.place for places in made.values() for it in places if it.ok)),
        failed=sum(not all(event.ok for event in places) for places in made.values()),
        restores=len(good),
        failed_restores=len(restored) - len(good),
        longest_restore=max((event.seconds for event in good), default=0.0),
        newest=max((event.taken for event in known if event.kind == "made" and event.ok), default=None),
        proven=max((event.at for event in known if event.kind == "restored" and event.ok), default=None),
    )


def _unkept(kept: Backups, first: date) -> tuple[Risk, ...]:
    end = datetime.combine(next_month(first), datetime.min.time(), UTC)
    if kept.newest is None or end - kept.newest > timedelta(days=31):
        return (
            Risk(
                mark("No backup of the shop was made by us this month."),
                mark("Make one every night, in two places, and restore one every month to prove it."),
            ),
        )
    if kept.proven is None or end - kept.proven > timedelta(days=92):
        return (
            Risk(
                mark("Backups are made, but none was proven by a restore in the last three months."),
                mark("Restore one: a backup that was never restored is a hope."),
            ),
        )
    return ()


# ------------------------------------------------------------------------------------------------------ what repeats


def _repeats(months: Sequence[Sequence[RunRecord]]) -> tuple[Repeat, ...]:
    troubled = [_troubled(runs) for runs in months]
    found = []
    for slug in sorted(set.intersection(*(set(month) for month in troubled))):
        told = [month[slug] for month in troubled]
        newest = told[-1]
        versions = tuple(dict.fromkeys(setback.to_version for setback in told))
        found.append(Repeat(newest.name, versions, newest.reason, _lasting_fix(newest.reason, runs=months[-1])))
    return tuple(found)


def _troubled(runs: Sequence[RunRecord]) -> dict[str, Setback]:
    """By slug, what did not come through. A set that failed as a whole accuses nobody: only what is named by itself counts."""
    alone = {record.run for record in runs if len(record.updates) == 1}
    named = [
        it for record in runs for it in record.updates if it.reason or (it.outcome in _FAILED and record.run in alone)
    ]
    held = {h.slug for record in runs for h in record.held}
    wanted = {it.slug for it in named} | held
    return {setback.slug: setback for setback in _setbacks(runs) if setback.slug in wanted}


def _lasting_fix(reason: str, runs: Sequence[RunRecord]) -> str:
    holds = [held for record in runs for held in record.held if _reason(held.reason) == reason]
    if any(_is_policy(held) for held in holds):
        return mark(
            "Agree on a day when the hold ends, or replace the component: held back, it gets no security fixes."
        )
    if "php" in reason.lower() and holds:
        return mark("Raise PHP on the server; until then this component stands still.")
    return mark("Send the report to its author and ask for a mended version, or replace the component.")


def _is_policy(held: Held) -> bool:
    return held.reason.startswith(_BY_POLICY)


# -------------------------------------------------------------------------------------------- risks and what we propose


def _risks(
    first: date,
    today: date,
    runs: Sequence[RunRecord],
    waiting: Sequence[str],
    setbacks: Sequence[Setback],
    samples: Sequence[Sample],
    incidents: Sequence[Incident],
) -> tuple[Risk, ...]:
    found = []
    if not runs:
        found.append(Risk(mark("No updates were tried this month."), mark("Try them every week, by a schedule.")))
    for setback in setbacks:
        if setback.security:
            found.append(
                Risk(
                    mark("{name} has a known vulnerability, and the update that closes it is not installed."),
                    mark("Decide this week: a mended version, another component, or switching it off."),
                    (("name", setback.name),),
                )
            )
    found += _php(runs, today)
    if runs and runs[-1].advised:
        found.append(
            Risk(
                mark("Updates passed on a copy of the shop and are to be installed by hand."),
                mark("Install them by the shop's own updater, at exactly the versions that were tested."),
            )
        )
    if waiting:
        found.append(
            Risk(
                mark("Tested updates wait for an approval: {count}."),
                mark("Approve or reject them; an approval expires, and then the tests run anew."),
                (("count", len(waiting)),),
            )
        )
    if any(incident.acknowledged_after is None and not incident.over_after for incident in incidents):
        found.append(
            Risk(
                mark("An urgent message was acknowledged by nobody."),
                mark("Name who is on duty, and let them type updater ack."),
            )
        )
    found += _seen(samples)
    return tuple(found)


def _php(runs: Sequence[RunRecord], today: date) -> list[Risk]:
    php = next((record.inventory.php for record in reversed(runs) if record.inventory), "")
    branch = ".".join(php.split(".")[:2])
    numbers = [int(part) for part in branch.split(".") if part.isdigit()]
    if len(numbers) != 2:
        return []
    ends = PHP_ENDS.get(branch) or (date(2022, 11, 27) if numbers < [7, 4] else None)
    if ends is None or ends - today > timedelta(days=180):
        return []
    proposal = mark("Move the shop to a newer PHP; the tests on the copy show beforehand what would break.")
    if ends < today:
        return [Risk(mark("PHP {version} gets no security fixes any more."), proposal, (("version", branch),))]
    values = (("version", branch), ("day", ends))
    return [Risk(mark("PHP {version} gets security fixes until {day} only."), proposal, values)]


def _seen(samples: Sequence[Sample]) -> list[Risk]:
    if not samples:
        return [
            Risk(
                mark("Nobody watches the shop between updates, so its availability is not known."),
                mark("Set up an uptime service that looks at the shop from outside."),
            )
        ]
    found, newest = [], samples[-1]
    if newest.certificate_days is not None and newest.certificate_days <= 30:
        found.append(
            Risk(
                mark("The certificate ends in {days} days."),
                mark("Renew it, and look why it is not renewed by itself."),
                (("days", newest.certificate_days),),
            )
        )
    if newest.disk_free is not None and newest.disk_free < 0.1:
        found.append(
            Risk(
                mark("The server's disk is nearly full."),
                mark("Free some space or enlarge the disk: a full disk stops orders."),
            )
        )
    return found
