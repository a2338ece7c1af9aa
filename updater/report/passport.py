"""The technical passport of a site: all that is needed when the one person who knew it is away. No secrets. Markdown and HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from markupsafe import Markup

from updater.language import Words, mark, speak
from updater.model import BackupEvent, Inventory, Language, Platform, ServerFacts, Site
from updater.report.html import page_template
from updater.report.record import public
from updater.resources import package_text
from updater.secrets import redact


@dataclass(frozen=True, slots=True)
class Known:
    """All that was found out. What stands in site.yml is not repeated here."""

    at: datetime
    inventory: Inventory | None
    inventory_at: datetime | None
    platform: Platform | None
    server: ServerFacts | None
    unreachable: str = ""
    """Why the server was not asked; what is known of it is older then"""
    database: str = ""
    """Its name on the server"""
    talks_to: Mapping[str, int] = field(default_factory=dict)
    """Address that the shop called on staging, where nothing leaves → how often, in the last runs"""
    at_checkout: tuple[str, ...] = ()
    """Payment methods that production's checkout shows"""
    backups: tuple[BackupEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page: sentences, a table (`head` may be empty), lines to type. A gap is what somebody has to write down."""

    title: str
    text: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    steps: tuple[str, ...] = ()
    gap: str = ""


@dataclass(frozen=True, slots=True)
class Passport:
    site: str
    url: str
    title: str
    made: str
    language: Language
    sections: tuple[Section, ...]

    @property
    def gaps(self) -> tuple[str, ...]:
        return tuple(section.gap for section in self.sections if section.gap)


def passport(site: Site, known: Known) -> Passport:
    """The whole page, redacted, in the site's language."""
    words, known = speak(site.language), public(known)
    _ = words.gettext
    sections = (
        _people(site, words),
        _the_site(site, known, words),
        _server(site, known, words),
        _names(known, words),
        _components(known, words),
        _integrations(site, known, words),
        _cron(site, known, words),
        _backups(site, known, words),
        _restore(site, words),
        _access(site, words),
        _licences(site, words),
        _updating(site, words),
        Section(_("Notes"), text=site.passport.notes),
    )
    made = _("Made {day} by {command}.").format(day=words.moment(known.at), command="updater passport")
    if known.unreachable:
        made += " " + _("The server was not asked ({why}); what is said of it is from the last run.").format(
            why=known.unreachable
        )
    full = tuple(part for part in sections if part.text or part.rows or part.steps or part.gap)
    return public(Passport(site.name, site.url, _("Technical passport"), made, site.language, full))


# ------------------------------------------------------------------------------------------------------ the sections


def _people(site: Site, words: Words) -> Section:
    _ = words.gettext
    written = site.passport
    rows = [(it.name, it.role, it.contact) for it in written.people]
    rows += [(_("who owns the domain"), written.domain, "")] if written.domain else []
    rows += [(_("who owns the hosting"), written.hosting, "")] if written.hosting else []
    missing = [
        name
        for name, there in (("people", written.people), ("domain", written.domain), ("hosting", written.hosting))
        if not there
    ]
    gap = _("Whom to call, or who owns domain and hosting, is not written down: passport.{keys} in site.yml.").format(
        keys=", passport.".join(missing)
    )
    return Section(_("Whom to call"), rows=tuple(rows), gap=gap if missing else "")


def _the_site(site: Site, known: Known, words: Words) -> Section:
    _ = words.gettext
    rows = [(_("address"), site.url), (_("other names"), ", ".join(site.names[1:]))]
    if known.inventory:
        core = next((it.name for it in known.inventory.components if it.kind == "core"), known.inventory.cms)
        rows += [("CMS", f"{core} {known.inventory.version}")]
    rows += [(_("folder on the server"), site.docroot)]
    return Section(_("The site"), rows=_filled(rows))


def _server(site: Site, known: Known, words: Words) -> Section:
    _ = words.gettext
    rows = [("ssh", f"{site.server.user}@{site.server.host}, port {site.server.port}")]
    if known.server:
        rows += [(_("system"), known.server.system), (_("web server"), known.server.web_server)]
    if known.platform:
        rows += [("PHP", known.platform.php)]
        rows += [(_("database"), f"{known.platform.database_flavour} {known.platform.database}, {known.database}")]
    elif known.inventory:
        rows += [("PHP", known.inventory.php)]
    if known.server:
        size = _("{tables} tables, {size} MB").format(
            tables=known.server.tables, size=words.number(round(known.server.table_bytes / 1e6, 1))
        )
        rows += [(_("tables of the shop"), size)]
    if known.server and known.server.disk_total and known.server.disk_free is not None:
        free, total = (words.number(round(it / 1e9, 1)) for it in (known.server.disk_free, known.server.disk_total))
        rows += [(_("disk"), _("{free} of {total} GB free").format(free=free, total=total))]
    return Section(_("The server"), rows=_filled(rows))


def _names(known: Known, words: Words) -> Section:
    _ = words.gettext
    found = known.server.certificates if known.server else ()
    rows = tuple(
        (it.name, ", ".join(it.addresses) or "—", it.issuer or "—", words.day(it.ends) if it.ends else "—")
        for it in found
    )
    head = (_("name"), _("leads to"), _("certificate by"), _("ends on"))
    return Section(_("Names and certificates"), head=head, rows=rows)


def _components(known: Known, words: Words) -> Section:
    _ = words.gettext
    if not known.inventory:
        return Section(_("Components"), gap=_("No run and no look has listed the components yet."))
    rows = tuple(
        (it.name, words.term(it.kind), it.version, "" if it.active else _("switched off"))
        for it in sorted(known.inventory.components, key=lambda it: (it.kind, it.name.lower()))
    )
    seen = _("As of {day}.").format(day=words.day(known.inventory_at)) if known.inventory_at else ""
    head = (_("Component"), _("kind"), _("Version"), "")
    return Section(_("Components"), text=(seen,) if seen else (), head=head, rows=rows)


def _integrations(site: Site, known: Known, words: Words) -> Section:
    _ = words.gettext
    rows = [(name, what) for name, what in site.passport.integrations.items()]
    rows += [(_("payment at the checkout"), method) for method in known.at_checkout]
    rows += [
        (target, _("called by the shop on its copy, {count} times in the last runs").format(count=count))
        for target, count in sorted(known.talks_to.items(), key=lambda it: (-it[1], it[0]))
    ]
    text = _(
        "Seen where the shop tried to reach the outside from its copy; what calls the shop from outside is not seen."
    )
    gap = _("No integration is written down: passport.integrations in site.yml (CRM, 1C, payment, delivery).")
    return Section(
        _("What it talks to"),
        text=(text,) if known.talks_to else (),
        rows=tuple(rows),
        gap="" if site.passport.integrations else gap,
    )


def _cron(site: Site, known: Known, words: Words) -> Section:
    _ = words.gettext
    if known.server is None:
        return Section(_("Scheduled on the server"))
    said = _("The crontab of {user}:") if known.server.cron else _("The crontab of {user} is empty.")
    text = said.format(user=known.server.user or site.server.user)
    return Section(_("Scheduled on the server"), text=(text,), steps=known.server.cron)


def _backups(site: Site, known: Known, words: Words) -> Section:
    _ = words.gettext
    if site.backup is None:
        return Section(_("Backups"), gap=_("No backup is made by us: add `backup:` to site.yml."))
    rows = []
    for place, address in site.backup.places.items():
        made = [it for it in known.backups if it.place == place and it.kind == "made" and it.ok]
        proven = [it for it in known.backups if it.place == place and it.kind == "restored" and it.ok]
        rows.append(
            (
                place,
                address,
                words.moment(made[-1].taken) if made else "—",
                f"{words.day(proven[-1].at)}, {words.duration(proven[-1].seconds)}" if proven else "—",
            )
        )
    kept = _("Encrypted by restic; {daily} daily, {weekly} weekly and {monthly} monthly ones stay.").format(
        daily=site.backup.daily, weekly=site.backup.weekly, monthly=site.backup.monthly
    )
    proofs = [it for it in known.backups if it.kind == "restored" and it.ok]
    gap = "" if proofs else _("No backup was ever proven by a restore: updater backup verify.")
    head = (_("place"), _("where"), _("the newest is of"), _("last proven, and how long the restore took"))
    return Section(_("Backups"), text=(kept,), head=head, rows=tuple(rows), gap=gap)


def _restore(site: Site, words: Words) -> Section:
    _ = words.gettext
    if site.backup is None:
        return Section(_("How to restore"))
    config, (place, address) = site.config.name, next(iter(site.backup.places.items()))
    text = (
        _("On a machine with this program, Docker and this folder, with the backup password from the vault:"),
        _("Without this program restic alone is enough; docs/backups.md says what lies where."),
    )
    vault = site.passport.access.get("backup password") or _("from the vault")
    steps = (
        f"export BACKUP_PASSWORD=…    # {vault}",
        f"updater backup list {config}",
        f"updater restore {config} --from {place}                    # " + _("look at it"),
        f"updater restore {config} --from {place} --into restored    # " + _("its files and its dump"),
        f"restic --repo {address} restore latest --host {site.name} --target restored",
    )
    return Section(_("How to restore"), text=text, steps=steps)


def _access(site: Site, words: Words) -> Section:
    _ = words.gettext
    rows = tuple(site.passport.access.items())
    gap = _("Which vault entry holds which access is not written down: passport.access in site.yml.")
    head = (_("opens"), _("lies in"))
    return Section(_("Access"), head=head if rows else (), rows=rows, gap="" if rows else gap)


def _licences(site: Site, words: Words) -> Section:
    _ = words.gettext
    rows = tuple((it.name, words.day(it.until)) for it in sorted(site.passport.licences, key=lambda it: it.until))
    return Section(_("What ends and has to be paid"), head=(_("name"), _("ends on")) if rows else (), rows=rows)


def _updating(site: Site, words: Words) -> Section:
    _ = words.gettext
    policy = site.policy
    held = [f"{slug}: {hold.reason}" for slug, hold in policy.hold.items()]
    held += [f"{slug} {pin.version}: {pin.reason}" for slug, pin in policy.pin.items()]
    rows = [
        (_("who approves"), words.term(str(policy.approve))),
        (
            _("when it may be deployed"),
            "; ".join(window.text for window in policy.windows) or _("any time but Friday evening"),
        ),
        (_("held back"), "; ".join(held)),
        (_("packages from"), ", ".join(str(path) for path in site.sources.folders)),
        (_("messages go to"), ", ".join(dict.fromkeys(url.partition("://")[0] for url in site.notify))),
    ]
    steps = (f"updater run {site.config.name}", "updater approve", f"updater recover {site.config.name}")
    return Section(_("How it is updated"), rows=_filled(rows), steps=steps)


APPROVALS = (mark("never"), mark("ask"), mark("patch"), mark("passed"))
"""policy.approve, for translators"""


def _filled(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(row for row in rows if row[1])


# ------------------------------------------------------------------------------------------------------- two shapes


def markdown(page: Passport) -> str:
    """For the client's repository, where its changes are read line by line."""
    _ = speak(page.language).gettext
    lines = [f"# {page.title}: {_plain(page.site)}", "", page.made]
    if page.gaps:
        heading = _("What nobody wrote down")
        lines += ["", f"**{heading}**", "", *(f"- {_plain(gap)}" for gap in page.gaps)]
    for section in page.sections:
        if not (section.text or section.rows or section.steps):
            continue
        lines += ["", f"## {section.title}", *(f"\n{_plain(text)}" for text in section.text)]
        if section.rows:
            width = len(section.rows[0])
            lines += ["", _row(section.head or ("",) * width), _row(("---",) * width), *map(_row, section.rows)]
        if section.steps:
            lines += ["", *(f"    {redact(step)}" for step in section.steps)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell if cell == '---' else _plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Nothing of a name becomes a table's border, HTML or a line of its own."""
    flat = " ".join(text.split())
    return "".join(f"\\{it}" if it in "\\|<>*_`[]#" else it for it in flat)


def html(page: Passport) -> str:
    """One self-contained page that prints well: no script, no request."""
    style = package_text("updater.report", "month.css") + package_text("updater.report", "passport.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = page_template("passport.html.j2", page.language)
    return template.render(
        page=page,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704  our own files
    )
