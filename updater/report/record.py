"""RunRecord: everything the reports and messages tell about one run, and the words they share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeVar, cast

from updater.errors import ExitCode
from updater.language import Words, mark, speak
from updater.model import (
    Approval,
    Check,
    Evidence,
    Held,
    Inventory,
    Language,
    Migration,
    Outcome,
    QuietHour,
    Refused,
    Search,
    Verdict,
)
from updater.secrets import redact

T = TypeVar("T")

PHASES: Mapping[str, str] = {
    "before": mark("Before the update"),
    "after": mark("After the update"),
    "compare": mark("Before compared with after"),
    "production": mark("On production"),
    "open": mark("On production, after it opened"),
}


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What became of one offered update. `outcome`: applied, promoted, held, failed, rolled back, …; `reason` in words."""

    kind: str
    slug: str
    name: str
    from_version: str
    to_version: str
    outcome: str
    reason: str = ""
    security: tuple[str, ...] = ()
    """The known vulnerabilities that it closes"""

    @property
    def id(self) -> str:
        """As Update.id."""
        return f"{self.kind}:{self.slug}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as it ended (or stands). `state` is the journal's: `awaiting approval`, `promoted`, `rejected`, …

    Paths of pictures are relative to the run's folder, the one that `write` is given. `timings` are seconds by step;
    `closed` is how long production was closed.
    """

    run: str
    site: str
    url: str
    cms: str
    state: str
    exit_code: int
    started: datetime
    finished: datetime | None = None
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    inventory: Inventory | None = None
    updates: tuple[UpdateResult, ...] = ()
    held: tuple[Held, ...] = ()
    evidence: Evidence | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    evidence_sha256: str = ""
    approval: Approval | None = None
    outcome: Outcome | None = None
    error: str = ""
    hint: str = ""
    """What to type next, when the error knows better than the state does"""
    advice: str = ""
    """Of a run that passed: why nobody can have it deployed, and what to do instead; '' where a person can"""
    notes: tuple[str, ...] = ()
    """Remarks for people: `PHP 8.1 on production, nearest 8.2 used`, `personal data remains in …`"""
    changed_files: int | None = None
    migration: Migration | None = None
    searches: tuple[Search, ...] = ()
    """How it was found which updates break the shop; each search held back what it found."""
    restored: datetime | None = None
    """Of a run that brings production back: when the backup was taken"""
    config: str | None = None
    """The git commit of the repository that holds site.yml, when it is in one"""
    only_look: bool = False
    """Rejected for nothing but pictures: whether the new look is right, a person can tell"""
    quiet: QuietHour | None = None
    """When the shop has the fewest visitors, where its access log could be read"""
    language: Language = Language.EN
    """What the report and the messages are written in. The journal keeps what checks found in English, and so does CI's JUnit file"""

    @property
    def waits(self) -> bool:
        """A person can approve it. What passed and can only be installed by hand waits for nobody."""
        return self.kind_of_state == "awaiting approval" and not self.advice

    @property
    def advised(self) -> bool:
        """It passed, and `advice` says why this program does not deploy it."""
        return self.kind_of_state == "awaiting approval" and bool(self.advice)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Everything that was checked: on staging, then on production."""
        return (self.evidence.checks if self.evidence else ()) + (self.outcome.checks if self.outcome else ())

    @property
    def held_here(self) -> tuple[UpdateResult, ...]:
        """The updates that broke the shop in this run, and what needs them. `held` are those that were not even tried."""
        return tuple(update for update in self.updates if update.outcome == "held")

    @property
    def kind_of_state(self) -> str:
        """`state` with spaces, lower case: `rolled_back` and `rolled back` are one."""
        return self.state.replace("_", " ").strip().lower()


def how_found(search: Search, words: Words) -> str:
    """`Found in 3 trials (1 min 34 s).`; '' when there was nothing to search: a single update."""
    if not search.trials:
        return ""
    count, seconds = len(search.trials), sum(tried.seconds for tried in search.trials)
    counted = words.ngettext("Found in {n} trial ({time}).", "Found in {n} trials ({time}).", count)
    return counted.format(n=count, time=words.duration(seconds)) + (
        f" {words.translated(search.why)}." if search.why else ""
    )


@dataclass(frozen=True, slots=True)
class Told:
    """A state in words. `tone`: good, wait, bad, doubt, calm. `next` lists (what for, command or '')."""

    tone: str
    headline: str
    production: str
    next: tuple[tuple[str, str], ...] = ()


def tell(record: RunRecord) -> Told:
    """What happened, what production is now, and what a person can type next, in the record's language."""
    run, _ = record.run, speak(record.language).gettext
    untouched = _("Production was not touched.")
    again = (_("Once the cause is mended, run it again"), "updater run site.yml")
    unknown = Told(
        "bad",
        _("The state of production is not known. Someone must look now."),
        _("The deployment or its rollback could not be completed and verified."),
        ((_("See what the server's own journal says"), "updater status site.yml"),),
    )
    told = {
        "awaiting approval": Told(
            "wait",
            _("Some updates break the shop and are held back. The rest passed and waits for your approval.")
            if record.held_here
            else _("The updates passed. They wait for your approval."),
            _("Production was not touched. Nothing is deployed before a person approves."),
            (
                (_("See the evidence once more and deploy"), f"updater approve {run}"),
                (_("Do not deploy"), f"updater reject {run}"),
            ),
        ),
        "promoted": Told(
            "good",
            _("Some updates break the shop and were held back. The rest is live.")
            if record.held_here
            else _("The updates are live."),
            _("Production runs the new versions. It was checked behind the gate, before it opened again."),
            (
                (
                    _(
                        "Should something turn up: the database migrated too, so a person decides. What going back would lose is told by"
                    ),
                    "updater rollback site.yml",
                ),
            )
            if record.migration is not None and record.migration.needed
            else ((_("Should something turn up, go back"), "updater rollback site.yml"),),
        ),
        "rejected": Told(
            "bad",
            _("The updates were rejected."),
            untouched,
            (
                (
                    _("A mended version is tried by the next run. To try the same one again"),
                    "updater run --retry site.yml",
                ),
            ),
        ),
        "inconclusive": Told(
            "doubt",
            _("It cannot be told whether the updates are safe, so nothing is deployed."),
            untouched,
            (again,),
        ),
        "rolled back": Told(
            "bad",
            _("The deployment failed and was rolled back."),
            _("Production runs the old versions again; its files were verified byte by byte."),
            (again,),
        ),
        "nothing to do": Told("calm", _("Nothing to do."), untouched),
        "unknown": unknown,
        "interrupted": Told(
            "doubt",
            _("The run was interrupted."),
            _("Production is whole."),
            ((_("See where it stopped"), "updater status site.yml"), (_("Start again"), "updater run site.yml")),
        ),
        "running": Told("calm", _("The run is under way."), "", ((_("Look again"), "updater status site.yml"),)),
    }.get(record.kind_of_state)
    if record.advised:
        told = Told(
            "wait",
            _("Some updates break the shop and are held back. The rest passed on a copy of it.")
            if record.held_here
            else _("The updates passed on a copy of the shop."),
            _("Production was not touched, and nothing is deployed there by this program."),
            ((_("Install what passed, at exactly these versions, by the shop's own updater on the live site"), ""),),
        )
    if told is not None and record.only_look and record.kind_of_state == "rejected":
        looks = ", ".join(f'{it.slug}: {{version: "{it.to_version}", reason: …}}' for it in record.updates)
        right = (
            _("If the new look is right, write that into site.yml and run it again"),
            f"policy: {{new_look: {{{looks}}}}}",
        )
        told = dataclasses.replace(told, next=(right, *told.next))
    of_restore = _of_restore(record).get(record.kind_of_state) if record.restored else None
    if record.exit_code == ExitCode.UNKNOWN_STATE and record.kind_of_state == "promoted":
        told = Told(
            "bad",
            _("The restored shop is live, and has shown faults since. Someone must look now.")
            if record.restored
            else _("The updates are live, and the shop has shown faults since. Someone must look now."),
            _("Production is open with the restored shop. Nothing was undone by itself: that is a person's decision.")
            if record.restored
            else _(
                "Production is open with the new versions. Nothing was undone by itself: that is a person's decision."
            ),
        )
    elif record.exit_code == ExitCode.UNKNOWN_STATE and record.kind_of_state == "stopped":
        told = Told(
            "bad",
            _("An update failed half way on production. Someone must decide now."),
            _(
                "Nothing is put back by itself, since the database may not go back. The shop stays as it is, closed unless site.yml says otherwise."
            ),
        )
    elif record.exit_code == ExitCode.UNKNOWN_STATE:
        told = unknown
    elif of_restore:
        told = of_restore
    elif record.kind_of_state == "rolled back" and record.exit_code == ExitCode.DONE:
        told = Told(
            "calm", _("The last deployment was taken back."), _("Production runs the old versions again."), (again,)
        )
    elif told is None:
        told = Told(
            "bad" if record.exit_code else "calm",
            _("The run ended: {state}.").format(state=speak(record.language).term(record.kind_of_state)),
            "",
            ((_("See what is known"), "updater status site.yml"),),
        )
    if record.exit_code == 5 and record.hint:
        word = (
            _("Look at the shop, then type one of the last two lines")
            if record.kind_of_state == "stopped"
            else _("Then type this, in this order")
        )
        told = dataclasses.replace(told, next=(*told.next, (word, _lines(record.hint))))
    elif record.hint:
        told = dataclasses.replace(told, next=((record.hint, ""), *told.next))
    if record.exit_code == 4 and record.outcome is not None and record.outcome.recover:
        told = dataclasses.replace(
            told, next=(*told.next, (_("Should production not stand as this says"), _lines(record.outcome.recover)))
        )
    return told


def _of_restore(record: RunRecord) -> dict[str, Told]:
    """The states in which bringing a backup back ends otherwise than updating does."""
    assert record.restored is not None
    words = speak(record.language)
    _ = words.gettext
    untouched = _("Production was not touched.")
    again = (_("Once the cause is mended, restore it again"), "updater restore site.yml --into-production")
    taken_back = record.exit_code == ExitCode.DONE
    return {
        "promoted": Told(
            "good",
            _("The shop is back as it was on {moment}.").format(moment=words.moment(record.restored)),
            _("Production runs the restored shop. It was checked behind the gate, before it opened again."),
            (
                (
                    _(
                        "What it replaced is kept for three days; to go back to it, losing what came since, this names since when"
                    ),
                    "updater rollback site.yml",
                ),
            ),
        ),
        "rejected": Told(
            "bad",
            _("The backup was not restored."),
            untouched,
            ((_("See which others there are"), "updater backup list site.yml"),),
        ),
        "inconclusive": Told(
            "doubt",
            _("It cannot be told whether the shop of the backup sells, so it was not restored."),
            untouched,
            (again,),
        ),
        "rolled back": Told(
            "calm" if taken_back else "bad",
            _("The restore was taken back.") if taken_back else _("The restore failed and was undone."),
            _("Production is as it was before the restore; its files were verified byte by byte."),
            () if taken_back else (again,),
        ),
    }


def _lines(text: str) -> str:
    """A hint without the indent that it has in a terminal."""
    return "\n".join(line.strip() for line in text.splitlines())


def masked_recipient(address: str) -> str:
    """`anna@shop.example` → `a…@shop.example`: enough to see whether a mail went to the shop or to the customer."""
    local, at, domain = address.strip().rpartition("@")
    return f"{local[:1]}…{at}{domain}" if at else f"{address.strip()[:1]}…"


_TOLD_IN_QUERY = re.compile(r"(wc-api|wc-ajax|rest_route|route|action|type|mode)=([\w./-]{1,60})")


def shortened(refused: Refused) -> Refused:
    """A refused request without what is personal: the network of its address, and of its query what names the receiver."""
    path, mark, query = refused.path.partition("?")
    told = "&".join(f"{name}={value}" for name, value in _TOLD_IN_QUERY.findall(query)) or "…"
    separator = ":" if ":" in refused.address else "."
    network = separator.join(refused.address.split(separator)[:3]) + f"{separator}…" if refused.address else ""
    return dataclasses.replace(refused, path=f"{path}?{told}" if mark else path, address=network)


def callbacks_refused(record: RunRecord) -> tuple[str, ...]:
    """`POST /?wc-api=gateway`, each once: what has to come again after the shop was closed."""
    refused = record.outcome.refused if record.outcome else ()
    return tuple(dict.fromkeys(f"{it.method} {it.path}" for it in refused if it.callback))


def public(value: T) -> T:
    """`value` with every string redacted and encodable, through dataclasses, mappings and sequences.

    Before rendering, not after: an escaped secret would no longer be found, and a short one could also occur by chance
    in a picture's base64 and spoil it.
    """
    return cast(T, _public(value))


def _public(value: object) -> object:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return redact(value).encode("utf-8", "replace").decode("utf-8")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: _public(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    if isinstance(value, Mapping):
        return {_public(key): _public(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_public(item) for item in value)
    return value
