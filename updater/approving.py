"""What a person reads before approving, and the conversation in which they decide. Plain text: it works over ssh on any terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol

from updater import pipeline
from updater.fleet import Trouble, WaitingRun
from updater.journal import now
from updater.model import Status, Update
from updater.secrets import redact


class Person(Protocol):
    """Whoever sits at the terminal."""

    def read(self, lines: Sequence[str]) -> None:
        """Is shown these lines."""

    def answer(self, question: str) -> str:
        """What was typed, without the blanks around it."""

    def open(self, run: WaitingRun) -> None:
        """Is shown the run's report."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about one run. `anyway` and `max_closed` are as `pipeline.approve` takes them."""

    run: WaitingRun
    approve: bool
    comment: str
    anyway: str = ""
    max_closed: int | None = None


def decide(waiting: Sequence[WaitingRun], person: Person, anyway: str = "") -> Decision | None:
    """Let the person look at what waits and decide about one of it; None when they leave without.

    `anyway`: why it cannot wait for the deploy window, when that was said before.
    """
    while True:
        chosen = waiting[0] if len(waiting) == 1 else _choose(waiting, person)
        if chosen is None:
            return None
        answer = _about(chosen, person, anyway, alone=len(waiting) == 1)
        if answer != "back":
            return answer


def _choose(waiting: Sequence[WaitingRun], person: Person) -> WaitingRun | None:
    person.read(listing(waiting))
    while True:
        answer = person.answer(f"1-{len(waiting)} shows one, q leaves: ").lower()
        if answer == "q":
            return None
        if answer.isdecimal() and 1 <= int(answer) <= len(waiting):
            return waiting[int(answer) - 1]


def _about(run: WaitingRun, person: Person, anyway: str, *, alone: bool) -> Decision | Literal["back"] | None:
    person.read(summary(run.what, pipeline.deploys_later(run.site)))
    others = "" if alone else ", b back"
    while True:
        match person.answer(f"a approve and deploy, r reject, d report{others}, q leave: ").lower():
            case "a":
                decision = _approve(run, person, anyway)
                if decision:
                    return decision
            case "r":
                return Decision(run, approve=False, comment=person.answer("why (for the report): "))
            case "d":
                person.open(run)
            case "b" if not alone:
                return "back"
            case "q":
                return None


def _approve(run: WaitingRun, person: Person, anyway: str) -> Decision | None:
    """Whatever policy asks a person first. None: they thought better of it."""
    later = pipeline.deploys_later(run.site)
    if later and not anyway:
        anyway = person.answer("why can it not wait? (empty: it can) ")
        if not anyway:
            return None
    deadline, allowed = run.what.deadline, run.site.promote.max_closed
    if deadline > allowed:
        question = f"The shop may be closed for up to {deadline} s, site.yml allows {allowed} s (promote.max_closed). Type yes: "
        if person.answer(question).lower() != "yes":
            return None
    return Decision(run, True, person.answer("comment (may be empty): "), anyway, max(deadline, allowed))


# ------------------------------------------------------------------------------------------------------- what is read


def listing(waiting: Sequence[WaitingRun]) -> list[str]:
    """A line for each run, oldest first, and below it what it would bring."""
    lines = []
    for number, run in enumerate(waiting, 1):
        record = run.what.record
        later = pipeline.deploys_later(run.site)
        marks = ["a newer run waits too"] * run.superseded + ["not now"] * bool(later)
        marks += [f"{_security(run.what.release.updates)} security"] * bool(_security(run.what.release.updates))
        lines.append(
            f"{number:>3}  {record.site}  waits {_span(run.age)}" + (f"  [{', '.join(marks)}]" if marks else "")
        )
        lines.append(
            "     " + ", ".join(f"{u.name} {u.from_version} → {u.to_version}" for u in run.what.release.updates)
        )
    return [redact(line) for line in lines]


def troubles(found: Sequence[Trouble]) -> list[str]:
    """What could not be listed, each on a line with where; a mistake in the agency.yml of many sites once."""
    sites: dict[str, list[Path]] = {}
    for it in found:
        sites.setdefault(" ".join(it.message.split()), []).append(it.where)
    return [
        redact(f"  !  {where[0] if len(where) == 1 else f'{len(where)} sites'}: {message}")
        for message, where in sites.items()
    ]


def summary(what: pipeline.Waiting, later: str) -> list[str]:
    """All that a decision needs: versions, what they mend, what was found, how long it is closed, and the way back.

    `later`: why policy lets nothing be deployed now.
    """
    record, release, seen = what.record, what.release, what.evidence
    lines = [f"{record.site}  {record.url}", f"run {record.run}, verdict {what.judgement.verdict}", ""]
    for update in release.updates:
        lines.append(f"  {update.name}: {update.from_version} → {update.to_version}  ({_origin(update)})")
        lines += [f"    mends {advisory}" for advisory in update.security]
        lines += [f"    what changed: {update.changelog}"] if update.changelog else []
    lines += [f"  held back: {it.slug} {it.to_version}: {it.reason}" for it in record.held]
    failed = [check for check in seen.checks if check.status is not Status.PASSED]
    lines += [
        "",
        f"  {_count(len(release.changed), 'changed file')} in {_count(len(release.units), 'place')}",
        f"  {_count(len(seen.checks), 'check')}, {len(failed)} not passed, {_count(len(seen.pictures), 'picture')} compared",
    ]
    lines += [f"  {check.name}: {check.detail}" for check in failed]
    lines += [f"  note: {note}" for note in record.notes]
    lines += [
        f"  the shop is closed for about {max(3, round(release.rehearsed_seconds))} s; "
        f"after {what.deadline} s at most it {'is decided' if what.stops else 'opens again, undone by itself if not finished'}"
    ]
    lines += _way_back(what)
    lines += [f"  the shop is quietest {record.quiet.text}"] if record.quiet else []
    lines += [f"  NOT NOW: {later}"] if later else []
    return [redact(line) for line in [*lines, f"  evidence {record.evidence_sha256[:16]}…", ""]]


def _way_back(what: pipeline.Waiting) -> list[str]:
    migration, replay = what.release.migration, what.release.replay
    if replay:
        return [
            "  the shop's own updater installs these versions anew, in the closed shop; what it wrote is compared with what was tested",
            *(
                [
                    "  should that fail once files or tables were written, NOTHING goes back by itself: the shop stays",
                    f"  {what.stops}, and a person has to come ({replay.returns} is off: {replay.risk})",
                ]
                if what.stops
                else [
                    f"  should a check fail behind the gate, code and tables are put back before it opens; {replay.risk}",
                    "  rolling back later needs a person: orders may have come since",
                ]
            ),
        ]
    if not migration.needed:
        return ["  no database migration: `updater rollback` can bring the old code back at any time"]
    tables = ", ".join(migration.changed_tables + migration.created_tables + migration.dropped_tables)
    return [
        f"  the database migrates: {tables}",
        "  should a check fail behind the gate, code and tables are put back before it opens;",
        "  rolling back later needs a person: orders may have come since",
    ]


def _origin(update: Update) -> str:
    return f"{update.source}, released {_span(now() - update.released)} ago" if update.released else update.source


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _security(updates: Sequence[Update]) -> int:
    return sum(bool(update.security) for update in updates)


def _span(span: timedelta) -> str:
    hours = int(max(span, timedelta()).total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} h" if hours else "less than an hour"
