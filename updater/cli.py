"""The commands: parse, call, print, exit code. The only room that knows a terminal."""

from __future__ import annotations

import getpass
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from updater import (
    __version__,
    approving,
    backups,
    client,
    config,
    doctor,
    export,
    fleet,
    notify,
    passport,
    pipeline,
    repository,
    restoring,
    schedule,
    watch,
)
from updater.errors import ExitCode, SiteLocked, UpdaterError
from updater.journal import converter, now
from updater.language import speak
from updater.model import Server, Site
from updater.report import RunRecord, observed, run_json
from updater.report.record import callbacks_refused
from updater.secrets import ENV_FILE, redact

_WIDE = 400
"""Columns where no terminal is: a line that goes into a pipe, a log or a mail is not broken to fit a screen."""


def _console(stream: TextIO) -> Console:
    return Console(stderr=stream is sys.stderr, highlight=False, width=None if stream.isatty() else _WIDE)


out = _console(sys.stdout)
err = _console(sys.stderr)

SITE = click.argument("site", required=False, default=".", type=click.Path(path_type=Path))
AT = click.option(
    "--site",
    "-s",
    "site",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path),
    help="site.yml, or the folder that holds it",
)
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON instead of text")
RUN = click.argument("run", required=False, default="last")
_TIME = click.DateTime(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"])


# --------------------------------------------------------------------------------------------------------- progress


class Terminal:
    """Progress on a terminal: each step with its seconds, and what is happening now with the time so far."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._step = ""
        self._step_begun = self._begun
        self._status = err.status("")

    def __enter__(self) -> Terminal:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish_step()
        self._status.stop()

    def step(self, name: str) -> None:
        self._finish_step()
        self._step, self._step_begun = name, time.monotonic()
        self._status.update(f"[bold]{escape(name)}[/]")

    def say(self, message: str) -> None:
        self._status.update(f"[bold]{escape(self._step)}[/]  {escape(redact(message))}  [dim]{self._elapsed()}[/]")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing moves on the terminal while a person reads and types."""
        self._finish_step()
        self._status.stop()
        try:
            yield
        finally:
            self._status.start()

    def _finish_step(self) -> None:
        if self._step:
            seconds = time.monotonic() - self._step_begun
            err.print(f"[green]✓[/] {escape(self._step):<24} [dim]{seconds:6.1f} s[/]")
            self._step = ""

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        return f"{minutes}:{seconds:02d}"


class Lines:
    """Progress where no terminal is: one plain line each, with the time since the start. For CI logs and cron mail."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self, name: str) -> None:
        self._print(f"== {name}")

    def say(self, message: str) -> None:
        self._print(f"   {message}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        yield

    def _print(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        print(f"{minutes:02d}:{seconds:02d} {redact(line)}", file=sys.stderr, flush=True)


def _progress() -> Terminal | Lines:
    return Terminal() if err.is_terminal else Lines()


# ---------------------------------------------------------------------------------------------------- the commands


class _InOrder(click.Group):
    """Commands are listed in the order of the story, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="updater")
def cli() -> None:
    """Rehearses a shop's updates on a Docker copy and deploys them only when the shop still sells.

    \b
    First time:   updater init clients/tea --host tea.example --user deploy
                  updater check clients/tea --connect
    Every week:   updater run clients/tea   (clone, stage, update, test; ends awaiting approval)
                  updater approve           (shows what changed, asks, deploys)

    \b
    Exit codes:   0 done, or nothing to do        1 update rejected, production untouched
                  2 usage or configuration        3 awaiting approval
                  4 rolled back and verified      5 state unknown: page someone
                  6 another run holds the site    7 inconclusive: could not know, not deployed
                  70 a bug                        130 interrupted
    """


@cli.command(short_help="A new client: look at its server, write its git repository.")
@click.argument("path", default="site.yml", type=click.Path(path_type=Path))
@click.option("--name", help="the site's name in reports; a repository takes it from the address")
@click.option("--url", help="its public address, https://shop.example; a repository asks the shop")
@click.option("--host", help="the ssh server")
@click.option("--user", help="the ssh user")
@click.option("--port", type=click.IntRange(1, 65_535), default=22, show_default=True, help="the ssh port")
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="the private key to look with"
)
@click.option("--host-key", help="the server's own key; left out: ~/.ssh/known_hosts must know the server")
@click.option("--docroot", help="the folder that holds index.php, on the server; a repository looks for it")
def init(
    path: Path,
    name: str | None,
    url: str | None,
    host: str | None,
    user: str | None,
    port: int,
    key: Path | None,
    host_key: str | None,
    docroot: str | None,
) -> None:
    """A new client: look at its server and write a git repository for it, or only a commented site.yml.

    \b
    updater init clients/tea --host tea.example --user deploy
        connects, finds the shop and its CMS, and writes and commits site.yml, a smoke test to start from, inventory.yml,
        folders for packages and pictures, and the weekly job for GitLab and GitHub. Nothing on the server is changed.
    updater init site.yml
        writes a commented site.yml to fill in, and connects nowhere.
    """
    if path.suffix not in (".yml", ".yaml"):
        if not host or not user:
            raise UpdaterError(
                "which server?",
                where=str(path),
                hint=f"updater init {path} --host tea.example --user deploy, or `updater init site.yml` for a file to fill in",
            )
        server = Server(host, user, port, key.absolute() if key else None, host_key=host_key)
        _init_repository(path, server, docroot or "", name or "", url or "")
        return
    if path.exists():
        raise UpdaterError("there is a file already", where=str(path), hint="name another: `updater init other.yml`")
    known = {"name": name, "url": url, "host": host, "user": user, "docroot": docroot, "host_key": host_key}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = config.template(port=port, **{key: value for key, value in known.items() if value})
    path.write_text(config.left_to_agency(text, path), encoding="utf-8")
    out.print(f"wrote {path}\nnext: fill it in, then `updater check {path} --connect`", markup=False)


def _init_repository(folder: Path, server: Server, docroot: str, name: str, url: str) -> None:
    client.refuse_occupied(folder)
    with _progress() as progress:
        found = pipeline.discover(server, docroot, progress)
    written = client.create(
        folder, replace(server, host_key=found.host_key), found.installation, found.inventory, name=name, url=url
    )
    count, shop = len(found.inventory.components), found.installation
    out.print(
        f"found {shop.cms} {shop.version} in {shop.docroot}, {count} components\n"
        f"wrote and committed {folder}\n"
        f"next: read {written}, then `updater check {folder} --connect`\n"
        f"      git -C {folder} remote add origin …, git push; what the CI machines need: docs/agency.md",
        markup=False,
        soft_wrap=True,
    )


@cli.command(short_help="Validate site.yml; --connect shows the server.")
@SITE
@click.option("--connect", is_flag=True, help="also log in and show what the server can do")
@JSON
def check(site: Path, connect: bool, as_json: bool) -> None:
    """Validate site.yml; with --connect, show what was found on the server."""
    loaded = _load(site)
    rows = [("setting", name, value) for name, value in config.describe(loaded)]
    refused = False
    if connect:
        with _progress() as progress:
            findings = pipeline.check(loaded, progress)
        rows += [(finding.status, finding.name, finding.detail) for finding in findings]
        refused = any(finding.status == "refused" for finding in findings)
    if as_json:
        _print_json([{"kind": kind, "name": name, "detail": detail} for kind, name, detail in rows])
    else:
        marks = {"setting": "", "proven": "[green]✓[/]", "fallback": "[yellow]~[/]", "refused": "[red]✗[/]"}
        table = Table(show_header=False, box=None, padding=(0, 1))
        for kind, name, detail in rows:
            table.add_row(marks[kind], escape(redact(name)), escape(redact(detail)))
        out.print(table)
        if refused:
            out.print("\n[red]✗[/] marks what keeps this site from being promoted; cloning and testing may still work.")
        elif not connect:
            out.print(f"\nsite.yml is valid. next: `updater check {site} --connect`", markup=False)
    sys.exit(ExitCode.USAGE if refused else ExitCode.DONE)


@cli.command(short_help="Show what would be updated.")
@SITE
@JSON
def plan(site: Path, as_json: bool) -> None:
    """Show what would be updated and what is held back, without staging anything."""
    loaded = _load(site)
    with fleet.opened(loaded) as journal, _progress() as progress:
        found = pipeline.plan(loaded, journal, progress)
    if as_json:
        _print_json(
            {
                "updates": [
                    {"kind": u.kind, "slug": u.slug, "from": u.from_version, "to": u.to_version, "source": u.source}
                    for u in found.updates
                ],
                "held": [
                    {"kind": h.kind, "slug": h.slug, "from": h.from_version, "to": h.to_version, "reason": h.reason}
                    for h in found.held
                ],
            }
        )
        return
    table = Table("", "component", "from", "to", "", box=None, padding=(0, 1))
    for update in found.updates:
        table.add_row(
            "[green]update[/]", escape(update.name), update.from_version, update.to_version, escape(update.source)
        )
    for held in found.held:
        table.add_row("[yellow]held[/]", escape(held.slug), held.from_version, held.to_version, escape(held.reason))
    out.print(table if found.updates or found.held else "nothing to update")


LATER = click.option(
    "--later", is_flag=True, help="leave what is not urgent in the outbox, for one digest over many sites"
)


@cli.command(short_help="Clone, stage, update, test.")
@SITE
@click.option("--retry", is_flag=True, help="also try again what broke the shop before and is not due yet")
@click.option(
    "--export",
    "into",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="when it awaits approval, also write it to FILE, for `updater approve --import` on another machine",
)
@LATER
@JSON
def run(site: Path, retry: bool, into: Path | None, later: bool, as_json: bool) -> None:
    """Clone, stage, update, test. Ends as promoted, awaiting approval, rejected, inconclusive or nothing to do."""
    loaded = _load(site)
    if into:
        _make_way(into)
    with _telling(loaded, later), fleet.opened(loaded) as journal, _progress() as progress:
        record = pipeline.run(loaded, journal, progress, retry=retry)
        if into and record.advice:
            err.print(f"not exported, for nobody can approve it: {record.advice}", markup=False, soft_wrap=True)
        elif into and record.exit_code == ExitCode.AWAITING_APPROVAL:
            _say_exported(into, export.write(loaded, journal, record.run, into))
    _show_end(record, loaded, as_json)


def _make_way(into: Path) -> None:
    """Before minutes of work: can it be written? And the export of an earlier run must not stand for this one."""
    try:
        into.unlink(missing_ok=True)
        tempfile.TemporaryFile(dir=into.absolute().parent).close()
    except OSError as error:
        raise export.unwritable(into, error) from None


def _say_exported(into: Path, sha256: str) -> None:
    """The sha256 is what a person compares on the other machine."""
    err.print(f"exported to {into}, sha256 {sha256}", markup=False, soft_wrap=True)
    err.print(f"  next:   updater approve --import {into} --sha256 {sha256}", markup=False, soft_wrap=True)


@cli.command("export", short_help="Write a waiting run to a file, to approve elsewhere.")
@click.argument("into", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--run", default="last", show_default=True, help="the run, or how its id begins")
@AT
@JSON
def export_run(into: Path, run: str, site: Path, as_json: bool) -> None:
    """Write a run that awaits approval to FILE, for `updater approve --import FILE` on another machine.

    It holds the release, the report and the evidence, and nothing of production's data. Keep the sha256 that is printed:
    whoever approves compares it.
    """
    loaded = _load(site)
    with fleet.opened(loaded) as journal:
        row = journal.find(run)
        exported = export.write(loaded, journal, row.run, into)
    if as_json:
        _print_json({"run": row.run, "file": str(into), "sha256": exported})
    else:
        _say_exported(into, exported)


@cli.command(short_help="Show what changed, ask, deploy.")
@click.argument("run", required=False)
@AT
@click.option(
    "--import",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="the run that `updater run --export FILE` wrote on another machine",
)
@click.option("--sha256", default="", metavar="HASH", help="what the run printed for that file; --yes needs it")
@click.option("--yes", is_flag=True, help="approve without the prompt; needs --person")
@click.option("--person", help="who approves; default: your login")
@click.option("--comment", default="", help="kept with the approval, for the report")
@click.option(
    "--anyway", default="", metavar="REASON", help="deploy now, although a window or a freeze of policy forbids it"
)
@click.option("--no-input", is_flag=True, help="never ask: end with 3 when an answer is needed")
@click.option(
    "--max-closed",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="accept a deadline above promote.max_closed; --yes alone does not",
)
@JSON
def approve(
    run: str | None,
    site: Path,
    file: Path | None,
    sha256: str,
    yes: bool,
    person: str | None,
    comment: str,
    anyway: str,
    no_input: bool,
    max_closed: int | None,
    as_json: bool,
) -> None:
    """Show what changed and ask; on yes, compare with production once more and deploy.

    Without RUN, everything that waits in this folder and below it, oldest first. With --import, a run that was tested on
    another machine, like a CI runner: this machine holds the key that deploys.
    """
    if yes and not person:
        raise UpdaterError(
            "--yes needs --person", cause="an approval is recorded with a name", hint="add --person 'Anna K.'"
        )
    if file:
        site, run = _taken_in(file, sha256, site, run, yes)
    waiting, troubles = _what_waits(run, site)
    _read_out(approving.troubles(troubles))
    if not waiting:
        err.print("nothing waits for an approval on this machine", markup=False)
        return
    if yes or no_input or not sys.stdin.isatty():
        decision = _decided_by_flags(waiting, yes, comment, anyway, max_closed)
    else:
        decision = approving.decide(waiting, _AtTheTerminal(), anyway)
    if decision is None:
        err.print("nothing was decided: it still waits", markup=False)
        sys.exit(ExitCode.AWAITING_APPROVAL)
    chosen, person = decision.run, person or getpass.getuser()
    with fleet.opened(chosen.site) as journal, _telling(chosen.site), _progress() as progress:
        if not decision.approve:
            pipeline.reject(chosen.site, journal, progress, chosen.run, person=person, reason=decision.comment)
        else:
            record = pipeline.approve(
                chosen.site,
                journal,
                progress,
                chosen.run,
                person=person,
                shown_sha256=chosen.what.record.evidence_sha256,
                comment=decision.comment,
                anyway=decision.anyway,
                max_closed=decision.max_closed,
            )
    if len(waiting) > 1:
        err.print(f"{len(waiting) - 1} more wait: updater approve --site {site}", markup=False)
    if not decision.approve:
        err.print(f"run {chosen.run} rejected; production was not touched", markup=False)
        return
    _show_end(record, chosen.site, as_json)


def _taken_in(file: Path, sha256: str, folder: Path, run: str | None, yes: bool) -> tuple[Path, str]:
    """The site.yml and the run of an export, verified and taken in."""
    if run:
        raise UpdaterError(
            "a run and --import were both named", where=run, hint="leave out the run: FILE says which it is"
        )
    if yes and not sha256:
        raise UpdaterError(
            "--yes needs --sha256 with --import",
            cause="nobody compares the file with what the run printed",
            hint="take it from the log of the job that wrote the file",
        )
    path = fleet.site_of_export(folder, file)
    loaded = _load(path)
    with fleet.opened(loaded) as journal:
        taken, own = export.take_in(loaded, journal, file, sha256, lambda run: repository.release_of(loaded, run))
    err.print(f"{file}: run {taken} of {loaded.name}", markup=False, soft_wrap=True)
    compared = "as given" if sha256 else "compare it with the line in the log of the job that wrote the file"
    err.print(f"sha256 {own} ({compared})\n", markup=False, soft_wrap=True)
    return path, taken


def _what_waits(run: str | None, folder: Path) -> tuple[list[fleet.WaitingRun], list[fleet.Trouble]]:
    """The run that is named, or all that wait. A single site with nothing to approve is an error that says why."""
    if run is None:
        waiting, troubles = fleet.waiting_below(folder)
        if waiting or any(it.elsewhere for it in troubles) or len(fleet.sites_below(folder)) > 1:
            return waiting, troubles
    elif not folder.is_file() and not (folder / "site.yml").exists() and fleet.sites_below(folder):
        return [fleet.find_waiting(folder, run)], []
    return [fleet.waiting_run(_load(folder), run or "last")], []


def _decided_by_flags(
    waiting: list[fleet.WaitingRun], yes: bool, comment: str, anyway: str, max_closed: int | None
) -> approving.Decision | None:
    """Without a terminal: the only run that waits, if --yes was given."""
    if len(waiting) > 1:
        _read_out(approving.listing(waiting))
        if yes:
            raise UpdaterError(
                "more than one run waits",
                cause="--yes approves exactly one",
                hint=f"name it: updater approve {waiting[0].run} --site {waiting[0].site.config} --yes --person NAME",
            )
    else:
        _read_out(approving.summary(waiting[0].what, pipeline.deploys_later(waiting[0].site)))
    if not yes:
        err.print("an answer is needed: run `updater approve` on a terminal, or add --yes --person NAME", markup=False)
        return None
    pipeline.refuse_now(waiting[0].site, anyway)
    return approving.Decision(waiting[0], approve=True, comment=comment, anyway=anyway, max_closed=max_closed)


class _AtTheTerminal:
    """The person who typed the command. Everything goes to stderr: stdout is for --json."""

    def read(self, lines: Sequence[str]) -> None:
        _read_out(lines)

    def answer(self, question: str) -> str:
        answer: str = click.prompt(question, default="", show_default=False, prompt_suffix="", err=True)
        return answer.strip()

    def open(self, run: fleet.WaitingRun) -> None:
        page = run.site.state / "runs" / run.run / "report.html"
        err.print(f"  {page}", markup=False, soft_wrap=True)
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            click.launch(str(page))


def _read_out(lines: Sequence[str]) -> None:
    for line in lines:
        err.print(line, markup=False, soft_wrap=True)


@cli.command(short_help="Close a waiting run without deploying.")
@RUN
@AT
@click.option("--reason", default="", help="why, for the report")
@click.option("--person", help="who rejects; default: your login")
@JSON
def reject(run: str, site: Path, reason: str, person: str | None, as_json: bool) -> None:
    """Close a waiting run without deploying it."""
    loaded = _load(site)
    with _telling(loaded), fleet.opened(loaded) as journal, _progress() as progress:
        run_id = journal.find(run).run
        record = pipeline.reject(loaded, journal, progress, run_id, person=person or getpass.getuser(), reason=reason)
    if as_json:
        _print_json(run_json(record))
    else:
        out.print(f"run {run_id} rejected; production was not touched", markup=False)


@cli.command(short_help="Bring back the code before the last deploy.")
@SITE
@click.option(
    "--discard-orders-since",
    "discard_since",
    metavar="TIME",
    type=_TIME,
    help="after a migration: restore the tables too and lose what came since TIME (UTC); the refusal names it",
)
@JSON
def rollback(site: Path, discard_since: datetime | None, as_json: bool) -> None:
    """Bring back the code that the last promotion replaced.

    After a database migration this is refused, and the orders that came since are shown and exported.
    """
    loaded = _load(site)
    discard = discard_since.replace(tzinfo=UTC) if discard_since else None
    with _telling(loaded), fleet.opened(loaded) as journal, _progress() as progress:
        record = pipeline.rollback(loaded, journal, progress, discard_since=discard)
    _show_end(record, loaded, as_json)


class _MakeByDefault(_InOrder):
    """`updater backup SITE` makes one; its other words are commands of their own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["make", *args]
        return super().parse_args(ctx, args)


@cli.group(cls=_MakeByDefault, short_help="Back up production; verify restores it and buys there.")
def backup() -> None:
    """Copy production, files and database, into every place that site.yml names under `backup:`.

    \b
    updater backup site.yml           make a backup (the same as `updater backup make site.yml`)
    updater backup verify site.yml    restore one into a stack, run the smoke tests on it, say how long that took
    updater backup list site.yml      what there is, in which place, and what was proven
    updater restore site.yml          bring one up to look at, fetch its files, or put it live
    """


@backup.command("make", short_help="Make one (also without this word).")
@SITE
@LATER
@JSON
def backup_make(site: Path, later: bool, as_json: bool) -> None:
    """Copy production into every place of `backup:` in site.yml, encrypted; then remove what its policy no longer keeps.

    Ends with 7 when it is not in every place. Production is only read.
    """
    loaded = _load(site)
    with _telling(loaded, later), _progress() as progress:
        saved = backups.make(loaded, progress)
    if as_json:
        rows = [{"place": e.place, "ok": e.ok, "bytes": e.bytes, "detail": e.detail} for e in saved.events]
        _print_json({"backup": saved.backup, "taken": saved.taken.isoformat(), "places": rows})
        sys.exit(saved.exit_code)
    for event in saved.events:
        if event.ok:
            out.print(f"[green]✓[/] {escape(event.place)}: {event.bytes / 1e6:.1f} MB, after {event.seconds:.0f} s")
        else:
            out.print(f"[red]✗[/] {escape(event.place)}: {escape(redact(event.detail))}", soft_wrap=True)
    if saved.forgotten:
        out.print(f"{saved.forgotten} older ones removed", markup=False)
    for remark in saved.remarks:
        out.print(f"[yellow]![/] {escape(redact(remark))}", soft_wrap=True)
    out.print(f"not in it: {', '.join(saved.left_out)}", markup=False, soft_wrap=True)
    sys.exit(saved.exit_code)


FROM = click.option(
    "--from", "place", default="", metavar="PLACE", help="the place to take it from, as site.yml names it"
)


@backup.command("verify", short_help="Restore one into a stack and test it.")
@SITE
@FROM
@LATER
@JSON
def backup_verify(site: Path, place: str, later: bool, as_json: bool) -> None:
    """Restore the newest backup into a stack, run the smoke tests on it, and say how long that took.

    Without --from it takes the place that was proven longest ago. Ends with 0 when the restored shop sells, 1 when it does
    not, 7 when that could not be told. Production is not asked.
    """
    loaded = _load(site)
    with _telling(loaded, later), _progress() as progress:
        proof = backups.verify(loaded, progress, place=place)
    if as_json:
        _print_json(
            {
                "backup": proof.backup,
                "place": proof.place,
                "taken": proof.taken.isoformat(),
                "verdict": proof.verdict,
                "detail": proof.detail,
                "checks": [{"name": it.name, "status": it.status, "detail": it.detail} for it in proof.checks],
                "seconds": {
                    "fetched": proof.fetched_seconds,
                    "restored": proof.restored_seconds,
                    "tested": proof.tested_seconds,
                },
                "seen": str(proof.folder),
            }
        )
        sys.exit(proof.exit_code)
    colour = {0: "green", 1: "red"}.get(proof.exit_code, "yellow")
    words = {0: "PROVEN", 1: "NOT RESTORED"}.get(proof.exit_code, "NOT KNOWN")
    out.print(f"[bold {colour}]{words}[/]  the backup of {proof.taken:%Y-%m-%d %H:%M} UTC in {escape(proof.place)}")
    for check in proof.checks:
        mark = "[green]✓[/]" if check.status == "passed" else "[red]✗[/]"
        out.print(f"  {mark} {escape(check.name)}: {escape(redact(check.detail))}", soft_wrap=True)
    if proof.exit_code:
        out.print(f"  {escape(redact(proof.detail))}", soft_wrap=True)
    out.print(
        f"  restored in {proof.restored_seconds:.0f} s (fetched in {proof.fetched_seconds:.0f} s), "
        f"tested in {proof.tested_seconds:.0f} s\n  what was seen: {proof.folder}",
        markup=False,
        soft_wrap=True,
    )
    sys.exit(proof.exit_code)


@backup.command("list", short_help="What there is, and what was proven.")
@SITE
@JSON
def backup_list(site: Path, as_json: bool) -> None:
    """List the backups of this site in every place, newest first."""
    found = backups.listed(_load(site))
    if as_json:
        _print_json(
            [{"place": p, "backup": k.backup, "taken": k.taken.isoformat(), "proven": k.proven} for p, k in found]
        )
        return
    table = Table("taken (UTC)", "place", "backup", "", box=None, padding=(0, 1))
    for place, kept in found:
        mark = "[green]restored and tested[/]" if kept.proven else ""
        table.add_row(f"{kept.taken:%Y-%m-%d %H:%M}", escape(place), kept.backup, mark)
    out.print(table if found else "no backups yet. next: `updater backup SITE`")


@cli.command(short_help="Look at a backup, fetch its files, or put it live.")
@SITE
@click.option(
    "--at",
    metavar="TIME",
    type=_TIME,
    help="the newest backup of this time (UTC) or before; left out: the newest",
)
@FROM
@click.option("--into", type=click.Path(path_type=Path), help="only write its files and its dump into this new folder")
@click.option(
    "--into-production", is_flag=True, help="bring production back to it; asks before, and names what is lost"
)
@click.option(
    "--consent", default="", metavar="SITE-NAME", help="the site's name, instead of the question; needs --person"
)
@click.option("--person", help="who consents; default: your login")
@JSON
def restore(
    site: Path,
    at: datetime | None,
    place: str,
    into: Path | None,
    into_production: bool,
    consent: str,
    person: str | None,
    as_json: bool,
) -> None:
    """Bring a backup up in a stack, to look at it: the shop as it was, under its own names, reachable from this machine only.

    It stands until you press Enter. Its personal data is scrubbed and nothing leaves it, as in every stack. With --into the
    backup's files and database dump are written to a folder instead, as they are: that folder then holds personal data.

    With --into-production the live shop goes back to it, files and database: first it is backed up as it is, the backup is
    tested in a stack, and what would be lost is shown. Who types the site's name then lets it happen, behind the gate, with
    the same checks and the same way back as a deployment.
    """
    loaded = _load(site)
    moment = at.replace(tzinfo=UTC) if at else None
    if into_production and into is not None:
        raise UpdaterError("--into and --into-production were both named", hint="leave out one of them")
    if into_production:
        _refuse_silence(loaded, consent, person)
        with _telling(loaded), fleet.opened(loaded) as journal, _progress() as progress:
            record = restoring.into_production(
                loaded,
                journal,
                progress,
                lambda loss: _asked(progress, loaded, loss, consent),
                person=person or getpass.getuser(),
                at=moment,
                place=place,
            )
        _show_end(record, loaded, as_json)
    if into is not None:
        with _progress() as progress:
            content = backups.fetch(loaded, progress, into, at=moment, place=place)
        if as_json:
            _print_json({"backup": content.backup, "taken": content.taken.isoformat(), "folder": str(into)})
        else:
            out.print(
                f"the backup of {content.taken:%Y-%m-%d %H:%M} UTC is in {into}\n"
                f"  files: {content.snapshot.files}\n  dump:  {content.snapshot.dump}\n"
                "it holds personal data and passwords: delete the folder when you are done",
                markup=False,
                soft_wrap=True,
            )
        return
    if as_json or not sys.stdin.isatty():
        raise UpdaterError(
            "nobody is there to look at it",
            cause="a restored shop stands until somebody presses Enter, and this is no terminal",
            hint="fetch the files with --into FOLDER, or test the backup: updater backup verify SITE",
        )
    progress = _progress()
    with progress, backups.standing(loaded, progress, at=moment, place=place) as restored, progress.paused():
        err.print(_how_to_look(loaded, restored), markup=False, soft_wrap=True)
        click.pause("Press Enter to remove it.", err=True)


def _refuse_silence(site: Site, consent: str, person: str | None) -> None:
    """Before an hour of work: can anybody consent at its end?"""
    if consent and not person:
        raise UpdaterError(
            "--consent needs --person", cause="it is recorded with a name", hint="add --person 'Anna K.'"
        )
    if (consent or not sys.stdin.isatty()) and consent != site.name:
        raise UpdaterError(
            f"--consent is not the site's name: {consent!r}" if consent else "nobody is there to consent",
            where=str(site.config),
            cause="what came since the backup is lost, and only the site's name says that somebody wants this",
            hint=f"type it in a terminal, or add --consent {site.name} --person 'Anna K.'",
        )


def _asked(progress: Terminal | Lines, site: Site, loss: restoring.Loss, consent: str) -> bool:
    with progress.paused():
        return _consents(site, loss, consent)


def _consents(site: Site, loss: restoring.Loss, consent: str) -> bool:
    """Whether a person typed the site's name; nobody else's silence is consent."""
    err.print(
        f"\n[bold]{escape(site.name)}[/]  {escape(site.url)}\n"
        f"goes back to the backup of [bold]{loss.taken:%Y-%m-%d %H:%M} UTC[/] in {escape(loss.place)}:\n"
        f"  {loss.files} files and {loss.tables} tables are replaced; {', '.join(loss.stay)} and later uploads stay\n"
        f"  [bold red]lost:[/] everything since then, and what comes until the shop closes; {escape(redact(loss.came))}\n"
        f"  production as it is now is kept as backup {loss.today}\n"
        f"  after {loss.deadline} s at most the shop opens again, undone by itself if not finished",
        soft_wrap=True,
    )
    if consent or not sys.stdin.isatty():
        return consent == site.name
    return click.prompt(f"Type {site.name} to do it", default="", show_default=False, err=True) == site.name


def _how_to_look(site: Site, restored: backups.Restored) -> str:
    staged = restored.shop.stack
    rules = ", ".join(f"MAP {host} {staged.address}" for host in staged.hosts)
    return (
        f"\nthe shop as it was at {restored.content.taken:%Y-%m-%d %H:%M} UTC stands after {restored.restored_seconds:.0f} s\n"
        f"  look:     chromium --user-data-dir=/tmp/restored --ignore-certificate-errors "
        f"--host-resolver-rules='{rules}' {site.url}/\n"
        f"  database: docker exec -it {staged.database} mariadb {restored.shop.installation.database.name}\n"
        f"  files:    {restored.folder}  (gone with the stack)"
    )


@cli.command(short_help="Finish or undo what a dead run left on production.")
@SITE
@JSON
def recover(site: Path, as_json: bool) -> None:
    """Finish or undo whatever a dead run left on production, from the server's own journal. From any machine; twice is once."""
    with _progress() as progress:
        lines = pipeline.recover(_load(site), progress)
    if as_json:
        _print_json(lines)
    else:
        out.print("\n".join(lines) or "nothing to recover: no run was left unfinished on production", markup=False)


@cli.command("open", short_help="In an emergency: open the shop now.")
@SITE
@JSON
def open_shop(site: Path, as_json: bool) -> None:
    """Take the gate away now, whatever else is wrong; `updater recover` puts the rest in order."""
    with _progress() as progress:
        lines = pipeline.open_shop(_load(site), progress)
    if as_json:
        _print_json(lines)
    else:
        out.print("\n".join(lines) or "no run holds this shop closed", markup=False)


@cli.command(short_help="Show how far the newest run came.")
@SITE
@JSON
def status(site: Path, as_json: bool) -> None:
    """Show how far the newest run came, and whether something runs now."""
    loaded = _load(site)
    with fleet.opened(loaded) as journal:
        rows = journal.runs(limit=1)
        if not rows:
            out.print("no runs yet. next: `updater run`")
            return
        newest, steps = rows[0], journal.steps(rows[0].run)
    if as_json:
        _print_json(
            {
                "run": newest.run,
                "state": newest.state,
                "exit_code": newest.exit_code,
                "steps": [{"step": s.step, "status": s.status, "at": s.at.isoformat()} for s in steps],
                "outbox": notify.waiting_lines(loaded.state),
            }
        )
        return
    out.print(f"[bold]{newest.run}[/]  {escape(newest.site)}  [bold]{newest.state}[/]")
    for step in steps:
        mark = "[green]✓[/]" if step.status == "done" else "[yellow]…[/]"
        out.print(f"  {mark} {step.at:%H:%M:%S}  {escape(step.step)}")
    for line in notify.waiting_lines(loaded.state):
        out.print(f"  [yellow]![/] {escape(line)}", soft_wrap=True)


@cli.command("watch", short_help="A light look at the shop between runs.")
@SITE
@click.option(
    "--all", "everything", is_flag=True, help="every site.yml in the folder and below it, one after the other"
)
@JSON
def watch_site(site: Path, everything: bool, as_json: bool) -> None:
    """Look once at the shop and its server, keep what was seen for the monthly report, and tell what begins or ends.

    \b
    It sees:  the home page with real content, past any cache; certificates; answers with 4xx and 5xx in the access log;
              the disk; components and code that somebody else changed; a gap between orders longer than this shop ever
              had; the age of backups and of the last proven restore; known vulnerabilities; licences that end.
    It looks when it is called, from this machine; `updater schedule install` calls it every ten minutes. It is no replacement
    for an uptime service.

    Ends with 0, with 1 when something urgent is open, with 6 beside another look at the same site.
    """
    sites = _sites_in(site) if everything else [site]
    code, answers, troubles = int(ExitCode.DONE), [], []
    with _progress() as progress:
        for path in sites:
            try:
                loaded = _load(path)
                with _telling(loaded, later=everything):
                    looked = watch.watch(loaded, progress)
            except UpdaterError as error:
                code = int(error.exit_code)
                troubles.append(fleet.Trouble(path, str(error)))
                continue
            code = code or (ExitCode.REJECTED if any(it.urgency == "urgent" for it in looked.concerns) else 0)
            answers.append((loaded, looked))
    _read_out(approving.troubles(troubles))
    for line in fleet.say_rest(site) if everything else ():
        err.print(f"could not be told, and is tried again: {line}", markup=False, soft_wrap=True)
    if as_json:
        _print_json([_looked_json(loaded, looked) for loaded, looked in answers])
    else:
        for loaded, looked in answers:
            _show_look(loaded, looked)
    sys.exit(code)


def _looked_json(site: Site, looked: watch.Looked) -> dict[str, Any]:
    words = speak(site.language)
    return {
        "site": site.name,
        "sample": converter.unstructure(looked.sample),
        "concerns": [
            {
                "urgency": it.urgency,
                "title": watch.title_of(it, site, words),
                "body": it.body,
                "new": it in looked.begun,
            }
            for it in looked.concerns
        ],
        "unknown": looked.remarks,
    }


def _show_look(site: Site, looked: watch.Looked) -> None:
    sample, words = looked.sample, speak(site.language)
    how = f"{sample.seconds:.2f} s" if sample.seconds is not None else sample.problem
    parts = [f"certificate {sample.certificate_days} days"] if sample.certificate_days is not None else []
    parts += [f"disk {sample.disk_free:.0%} free"] if sample.disk_free is not None else []
    if sample.requests is not None:
        parts += [f"{sample.requests} requests, {sample.client_errors} with 4xx, {sample.server_errors} with 5xx"]
    mark = "[green]✓[/]" if sample.up else "[red]✗[/]"
    out.print(f"{mark} {escape(site.name)}: {escape(redact(', '.join([how, *parts])))}", soft_wrap=True)
    for concern in looked.concerns:
        colour = "red" if concern.urgency == "urgent" else "yellow"
        out.print(f"  [{colour}]{concern.urgency}[/] {escape(watch.title_of(concern, site, words))}", soft_wrap=True)
        for line in redact(concern.body).splitlines():
            out.print(f"    {line}", markup=False, soft_wrap=True)
    for remark in looked.remarks:
        out.print(f"  [dim]not known: {escape(remark)}[/]", soft_wrap=True)


@cli.command(short_help="Send what waits, repeat what is urgent.")
@SITE
@JSON
def tell(site: Path, as_json: bool) -> None:
    """Send what waits in the outbox: say again what is urgent and due, try again what failed.

    After `updater schedule install` that happens by itself every ten minutes, for all sites.
    """
    loaded = _load(site)
    with _telling(loaded):
        pass
    left = notify.waiting_lines(loaded.state)
    if as_json:
        _print_json(left)
    else:
        out.print("\n".join(left) or "everything was told", markup=False, soft_wrap=True)


@cli.command(short_help="Take care of what was urgent.")
@SITE
@click.option("--person", help="who takes care; default: your login")
@JSON
def ack(site: Path, person: str | None, as_json: bool) -> None:
    """Say that you take care of the urgent messages of this site: they are no longer repeated."""
    loaded = _load(site)
    who = person or getpass.getuser()
    with _telling(loaded):
        taken = notify.acknowledge(loaded.state, who)
    left = notify.waiting_lines(loaded.state)
    if as_json:
        _print_json({"acknowledged": [message.title for message in taken], "by": who, "outbox": left})
        return
    lines = [f"{message.title} ({message.at:%Y-%m-%d %H:%M} UTC): acknowledged by {who}" for message in taken]
    out.print("\n".join(lines) or "no urgent message is open", markup=False, soft_wrap=True)
    for line in left:
        out.print(f"  [yellow]![/] {escape(line)}", soft_wrap=True)


@cli.command(short_help="List runs, newest first.")
@SITE
@JSON
def runs(site: Path, as_json: bool) -> None:
    """List this site's runs, newest first."""
    loaded = _load(site)
    with fleet.opened(loaded) as journal:
        rows = journal.runs()
    if as_json:
        _print_json(
            [{"run": r.run, "started": r.started.isoformat(), "state": r.state, "exit_code": r.exit_code} for r in rows]
        )
        return
    table = Table("run", "started (UTC)", "state", "exit", box=None, padding=(0, 1))
    for row in rows:
        table.add_row(
            row.run, f"{row.started:%Y-%m-%d %H:%M}", row.state, "" if row.exit_code is None else str(row.exit_code)
        )
    out.print(table if rows else "no runs yet. next: `updater run`")


@cli.command(short_help="Where a run's report lies; --month writes a client's.")
@RUN
@AT
@click.option("--month", metavar="YYYY-MM", help="write the client's report of this month instead; RUN is then a site")
@click.option("--all", "everything", is_flag=True, help="with --month: of every site.yml in the folder and below it")
@JSON
def report(run: str, site: Path, month: str | None, everything: bool, as_json: bool) -> None:
    """Print where a run's report lies (HTML, JSON, JUnit, Markdown). A site.yml in place of RUN is its last run.

    With --month 2026-11 write the monthly report that a client reads, as HTML and PDF, and print where it lies.
    """
    if month or everything:
        first, where = _month(month), site if run == "last" else Path(run)
        sys.exit(_report_month(_sites_in(where) if everything else [where], first, as_json))
    if run.endswith((".yml", ".yaml")) or Path(run).exists():
        site, run = Path(run), "last"
    loaded = _load(site)
    with fleet.opened(loaded) as journal:
        row = journal.find(run)
        folder = journal.folder(row.run)
    if as_json:
        click.echo((folder / "run.json").read_text(encoding="utf-8"))
        return
    for name in ("report.html", "run.json", "junit.xml", "report.md"):
        if (folder / name).exists():
            click.echo(folder / name)


def _month(text: str | None) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise UpdaterError(
            "this is no month", where=f"--month {text}", hint="write it like `--month 2026-11`"
        ) from None


def _sites_in(folder: Path) -> list[Path]:
    found = fleet.sites_below(folder)
    if not found:
        raise UpdaterError(
            "there is no site.yml", where=f"{folder} and below", hint="name the folder that holds the clients"
        )
    return found


def _report_month(sites: list[Path], first: date, as_json: bool) -> int:
    """Every site's page; one that fails is named and stops no other. The exit code of the last failure."""
    written, troubles, code = {}, [], int(ExitCode.DONE)
    for path in sites:
        try:
            loaded = _load(path)
            with fleet.opened(loaded) as journal:
                written[loaded.name] = [str(file) for file in pipeline.report_month(loaded, journal, first)]
        except UpdaterError as error:
            code = int(error.exit_code)
            troubles.append(fleet.Trouble(path, str(error)))
    _read_out(approving.troubles(troubles))
    if as_json:
        _print_json(written)
    else:
        for files in written.values():
            click.echo("\n".join(files))
    return code


@cli.command(short_help="What an observed site would have got.")
@SITE
@click.option("--false-alarm", "false_alarm", metavar="RUN", help="say that this run's alarm was a false one")
@click.option("--reason", default="", help="with --false-alarm: what it took for a fault")
@click.option("--person", help="with --false-alarm: who says so; default: your login")
@JSON
def observe(site: Path, false_alarm: str | None, reason: str, person: str | None, as_json: bool) -> None:
    """What would have happened to a site that is only observed (`policy: {approve: never, observe: 4 weeks}`).

    Prints a summary and where the page lies: what would have been deployed, what was held back, and the alarms that a person
    called false. When the time is over the next run sends it.
    """
    loaded = _load(site)
    with fleet.opened(loaded) as journal:
        if false_alarm:
            if not reason:
                raise UpdaterError("--false-alarm needs --reason", hint="--reason 'the banner turns every minute'")
            run_id = journal.find(false_alarm).run
            pipeline.call_false(loaded, journal, run_id, person=person or getpass.getuser(), reason=reason)
        seen, page = pipeline.observe(loaded, journal)
    if as_json:
        _print_json({"page": str(page), "over": seen.over, "until": seen.until.isoformat(),
                     "runs": [{"run": it.run, "kind": it.kind, "false_alarm": it.false_alarm} for it in seen.runs]})  # fmt: skip
    else:
        out.print("\n".join([*observed.lines(seen), str(page)]), markup=False, soft_wrap=True)


FOLDER = click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))


@cli.group("fleet", cls=_InOrder, short_help="Test and back up many sites, or those that are due.")
def fleet_group() -> None:
    """All sites in a folder and below it."""


@fleet_group.command("run", short_help="Run the sites below a folder.")
@FOLDER
@click.option(
    "--due",
    is_flag=True,
    help="only the sites whose schedule says so; also says urgent messages again. What the timer does every ten minutes",
)
@click.option("--at-once", type=click.IntRange(min=1), help="runs at the same time; default: as memory and CPUs allow")
@JSON
def fleet_run(folder: Path, due: bool, at_once: int | None, as_json: bool) -> None:
    """Run every site in FOLDER and below it, as many at a time as this machine can take. One that fails stops no other.

    What waits for an approval then is listed by `updater approve`. One digest is sent for all, urgent things at once.
    Exit code: the worst of the sites' own.
    """
    for line in fleet.say_again(folder) if due else ():
        err.print(f"could not be told, and is tried again: {line}", markup=False, soft_wrap=True)
    sites, troubles = fleet.due_below(folder, now()) if due else (fleet.sites_below(folder), [])
    if not sites and not troubles:
        err.print("no site is due" if due else f"there is no site.yml in {folder} and below", markup=False)
        sys.exit(ExitCode.DONE if due else ExitCode.USAGE)
    if due and not sites:  # what cannot be read is told by `updater doctor`, not every ten minutes
        _read_out(approving.troubles(troubles))
        sys.exit(ExitCode.DONE)
    at_once = at_once or fleet.room(sites, fleet.free_memory(), os.cpu_count() or 1)
    err.print(f"{len(sites)} sites, {at_once} at a time", markup=False)
    try:
        night = fleet.run_all(
            folder, sites, troubles, fleet.in_a_process, at_once, lambda line: _read_out([redact(line)])
        )
    except SiteLocked as busy:
        if not due:
            raise
        err.print(f"the last one is still at work: {busy.cause}", markup=False)
        sys.exit(ExitCode.DONE)
    for line in night.untold:
        err.print(f"could not be told, and is tried again: {line}", markup=False, soft_wrap=True)
    if as_json:
        _print_json(
            {
                "page": str(night.page),
                "sites": [
                    {"site": it.site, "state": it.state, "exit_code": it.exit_code, "detail": it.detail}
                    for it in night.lines
                ],
            }
        )
    else:
        width = max(len(it.site) for it in night.lines)
        out.print("\n".join(f"{it.site:<{width}}  {it.state}  {it.detail}" for it in night.lines), markup=False)
        out.print(f"\n{night.page}", markup=False, soft_wrap=True)
    sys.exit(night.exit_code)


@fleet_group.command("backup", short_help="Back up the sites below a folder.")
@FOLDER
@click.option("--due", is_flag=True, help="only what is due tonight: a backup each day, the proof of one each month")
@JSON
def fleet_backup(folder: Path, due: bool, as_json: bool) -> None:
    """Back up every site in FOLDER and below that names places under `backup:`, one after the other. None stops another.

    With --due also restores and tests the newest backup of each site once a month. Exit code: the worst of the sites' own.
    """
    sites, troubles = fleet.backups_due(folder, now() if due else None)
    _read_out(approving.troubles(troubles))
    if not sites:
        err.print(
            "no backup is due" if due else f"no site in {folder} and below names places for backups", markup=False
        )
        sys.exit(ExitCode.DONE if due else ExitCode.USAGE)
    try:
        ended, untold = fleet.back_up(folder, sites, fleet.in_a_process, lambda line: _read_out([redact(line)]))
    except SiteLocked as busy:
        if not due:
            raise
        err.print(f"the last one is still at work: {busy.cause}", markup=False)
        sys.exit(ExitCode.DONE)
    for line in untold:
        err.print(f"could not be told, and is tried again: {line}", markup=False, soft_wrap=True)
    if as_json:
        _print_json(
            [{"site": it.site, "task": it.task, "exit_code": it.exit_code, "detail": it.detail} for it in ended]
        )
    sys.exit(fleet.worst(it.exit_code for it in ended))


@fleet_group.command("inventory", short_help="Which sites run a component, in which version.")
@FOLDER
@click.option(
    "--component", "-c", default="", metavar="SLUG", help="only this one: woocommerce, theme:oak, wordpress, php"
)
@click.option("--below", default="", metavar="VERSION", help="only versions below this one")
@click.option("--at-least", default="", metavar="VERSION", help="only this version and later ones")
@JSON
def fleet_inventory(folder: Path, component: str, below: str, at_least: str, as_json: bool) -> None:
    """What the sites in FOLDER and below it run, by their newest run and their inventory.yml. Asks no server.

    \b
    updater fleet inventory ~/clients -c woocommerce --below 9.4.3     whom does the new hole concern?
    updater fleet inventory ~/clients -c php --below 8.1               whose PHP is too old?

    Ends with 7 when of some site it is not known: no line of it then means nothing.
    """
    installed, troubles = fleet.installed_below(folder)
    if component and installed and not fleet.running(installed, component):
        near = get_close_matches(component, sorted({it.slug for it in installed}), 3)
        raise UpdaterError(
            f"no site runs {component!r} in any version",
            where=str(folder),
            cause="; ".join(f"{it.where}: not known" for it in troubles),
            hint=f"is it one of these: {', '.join(near)}?" if near else "`updater fleet inventory` lists all slugs",
        )
    found = fleet.running(installed, component, below, at_least)
    if as_json:
        _print_json(
            {"installed": [converter.unstructure(it) for it in found], "unknown": [str(it.where) for it in troubles]}
        )
    elif found:
        table = Table("site", "component", "slug", "version", "", "seen by", box=None, padding=(0, 1))
        for it in found:
            switched = "" if it.active else "switched off"
            slug = it.slug if it.kind in ("core", "php") else f"{it.kind}:{it.slug}"
            table.add_row(
                escape(it.site), escape(it.name), escape(slug), escape(it.version), switched, it.run or "init"
            )
        out.print(table)
    elif installed:
        err.print("no site runs such a version", markup=False)
    _read_out(approving.troubles(troubles))
    sys.exit(ExitCode.INCONCLUSIVE if troubles or not installed else ExitCode.DONE)


@cli.group("schedule", cls=_InOrder, short_help="Runs, backups and looks by themselves: install, show, remove.")
def schedule_group() -> None:
    """Let this machine look every ten minutes which sites below a folder are due to be tested or backed up, and at each shop.

    When a site is due stands in its site.yml or in agency.yml: `schedule: {every: 7d, nights: [...]}`. Each site has its own
    minute of the night. A run that a reboot cut off, or that the night was too short for, begins as soon as its hours allow.
    Backups are made in the same hours, every day, and one is proven each month; `updater watch` looks by day and by night.
    """


@schedule_group.command("install", short_help="Start looking, by systemd or cron.")
@FOLDER
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(list(schedule.JOBS)),
    help="what another machine does already; may be given twice",
)
def schedule_install(folder: Path, without: tuple[str, ...]) -> None:
    """Write systemd timers, or lines into your crontab where there is no systemd. Twice is once."""
    if not fleet.sites_below(folder):
        raise UpdaterError("there is no site.yml", where=f"{folder} and below", hint="name the folder of your clients")
    for timer in schedule.timers_of(folder):
        act = schedule.remove if timer.job in without else schedule.install
        for line in act(timer, schedule.ThisMachine()):
            out.print(line, markup=False, soft_wrap=True)
    out.print(
        f"secrets of site.yml and agency.yml (${{NAME}}) are read from {folder.resolve() / ENV_FILE}: lines NAME='value', "
        "chmod 600, never in git\nnext: updater schedule show",
        markup=False,
        soft_wrap=True,
    )


@schedule_group.command("show", short_help="What is installed, and which site runs when.")
@FOLDER
@JSON
def schedule_show(folder: Path, as_json: bool) -> None:
    """Show what this machine starts by itself, when each site was tested last and is due next, and when it was backed up."""
    timers = schedule.timers_of(folder)
    installed = {timer.job: schedule.shown(timer, schedule.ThisMachine()) for timer in timers}
    rows = fleet.calendar(folder, now())
    if as_json:
        _print_json({"installed": installed, "sites": rows})
        return
    for timer in timers:
        nothing = f"nothing starts it by itself: updater schedule install {folder}"
        out.print(f"{timer.job}: {installed[timer.job] or nothing}", markup=False, soft_wrap=True)
    columns = ("site", "tested", "due", "backed up")
    table = Table(*columns, box=None, padding=(0, 1))
    for row in rows:
        table.add_row(*(escape(row[column]) for column in columns))
    out.print(table)


@schedule_group.command("remove", short_help="Nothing by itself any more.")
@FOLDER
def schedule_remove(folder: Path) -> None:
    """Take the timers or the lines in your crontab away. What is under way goes on."""
    said = [line for timer in schedule.timers_of(folder) for line in schedule.remove(timer, schedule.ThisMachine())]
    out.print("\n".join(said) or "nothing was installed for this folder", markup=False, soft_wrap=True)


@cli.command("passport", short_help="Write all that is needed when nobody is there who knew the site.")
@SITE
@click.option("--offline", is_flag=True, help="do not ask the server: from the last run and site.yml alone")
@JSON
def write_passport(site: Path, offline: bool, as_json: bool) -> None:
    """Write passport.md and passport.html beside site.yml: components, server, names, cron, what it talks to, backups, how to
    restore, whom to call, which vault entry opens what. No secrets in it.

    What no program can find out stands in site.yml under `passport:`; what is missing there is listed on top.
    """
    loaded = _load(site)
    with fleet.opened(loaded) as journal, _progress() as progress:
        written = passport.write(loaded, journal, progress, ask=not offline)
    if as_json:
        _print_json([str(path) for path in written])
    else:
        click.echo("\n".join(map(str, written)))


@cli.command("doctor", short_help="Is this machine, and what runs on it, well?")
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
@JSON
def doctor_command(folder: Path, as_json: bool) -> None:
    """Look whether a run on this machine would work, and what was left lying: Docker, browser, programs, memory, disk, timer, and
    of each site below FOLDER its settings, journal, runs that were cut off or wait, and messages that were not told. Asks no shop.

    Exit code 2 when something is ill (✗); ~ deserves a look.
    """
    rows = doctor.look(folder, schedule.ThisMachine())
    ill = any(row.health == "ill" for row in rows)
    if as_json:
        _print_json([{"name": it.name, "health": it.health, "detail": it.detail, "hint": it.hint} for it in rows])
        sys.exit(ExitCode.USAGE if ill else ExitCode.DONE)
    marks = {"good": "[green]✓[/]", "attention": "[yellow]~[/]", "ill": "[red]✗[/]"}
    table = Table(show_header=False, box=None, padding=(0, 1))
    for row in rows:
        detail = escape(redact(row.detail)) + (f"\n[dim]{escape(redact(row.hint))}[/]" if row.hint else "")
        table.add_row(marks[row.health], escape(row.name), detail)
    out.print(table)
    sys.exit(ExitCode.USAGE if ill else ExitCode.DONE)


@cli.command(short_help="Remove what killed runs left behind.")
@SITE
@click.option(
    "--all", "everything", is_flag=True, help="remove every stack of every site on this machine, even running ones"
)
@JSON
def clean(site: Path, everything: bool, as_json: bool) -> None:
    """Remove staging stacks that a killed run left behind, and this site's private copies of production."""
    with _progress() as progress:
        removed = pipeline.clean(None if everything else _load(site), progress)
    if as_json:
        _print_json(removed)
    else:
        out.print("\n".join(f"removed {name}" for name in removed) or "nothing to remove", markup=False)


DEMOS = ("wordpress", "opencart", "opencart-3", "bitrix")
"""The shops described in demo/."""


@cli.command(short_help="Watch it all work on a shop in a container.")
@click.option(
    "--cms",
    "kind",
    type=click.Choice(DEMOS),
    default=DEMOS[0],
    show_default=True,
    help="which shop: a real WordPress, or a stand-in with the layout and updates of OpenCart or 1C-Bitrix (demo/*-twin)",
)
@click.option("--keep", is_flag=True, help="leave the demo's shop running afterwards, and say how to look at it")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("demo-run"),
    show_default=True,
    help="where site.yml and the reports go",
)
def demo(kind: str, keep: bool, folder: Path) -> None:
    """Watch the whole pipeline work on a shop in a container: good updates deployed, a broken one caught."""
    from updater import demo as story  # a demo is no reason to load its code on every command

    with _progress() as progress:
        shown = story.play(
            folder.resolve(),
            progress,
            kind=kind,
            keep=keep,
            say=lambda line: err.print(line, markup=False, soft_wrap=True),
        )
    sys.exit(shown)


# ------------------------------------------------------------------------------------------------------ what is shown


def _show_end(record: RunRecord, site: Site, as_json: bool) -> None:
    if as_json:
        _print_json(run_json(record, site.state / "runs" / record.run))
        sys.exit(record.exit_code)
    colour = {0: "green", 1: "red", 3: "cyan"}.get(record.exit_code, "yellow")
    err.print(f"\n[bold {colour}]{escape(record.state.upper())}[/]  run {record.run}")
    for reason in record.reasons:
        err.print(f"  {escape(redact(reason))}", soft_wrap=True)
    for result in record.updates:
        err.print(
            f"  {escape(result.name)} {result.from_version} → {result.to_version}: {escape(result.outcome)}"
            + (f" ({escape(redact(result.reason))})" if result.reason else "")
        )
    if record.outcome is not None and record.outcome.reason:
        err.print(f"  {escape(redact(record.outcome.reason))}", soft_wrap=True)
    if record.outcome is not None:
        err.print(f"  the shop was closed for {record.outcome.closed_seconds:.1f} s")
        for refused in callbacks_refused(record):
            err.print(f"  refused meanwhile, look whether it came again: {refused}", markup=False, soft_wrap=True)
    err.print(f"  report: {site.state / 'runs' / record.run / 'report.html'}", markup=False, soft_wrap=True)
    if record.error:
        err.print(escape(redact(record.error)), soft_wrap=True)
    if record.outcome is not None and record.exit_code == ExitCode.ROLLED_BACK:
        err.print(
            f"  next:   nothing is urgent; should the shop not stand as said: {record.outcome.recover}",
            markup=False,
            soft_wrap=True,
        )
    if record.exit_code == ExitCode.INTERRUPTED:
        err.print(f"  next:   updater run {os.path.relpath(site.config)}", markup=False, soft_wrap=True)
    if record.advice:
        err.print(f"  next:   {record.advice}", markup=False, soft_wrap=True)
    elif record.exit_code == ExitCode.AWAITING_APPROVAL:
        err.print(
            f"  next:   updater approve {record.run} --site {os.path.relpath(site.config)}",
            markup=False,
            soft_wrap=True,
        )
    sys.exit(record.exit_code)


def _print_json(value: Any) -> None:
    click.echo(redact(json.dumps(value, indent=1, ensure_ascii=False, default=str)))


def _load(path: Path) -> Site:
    return config.load(path / "site.yml" if path.is_dir() else path)


@contextmanager
def _telling(site: Site, later: bool = False) -> Iterator[None]:
    """Whatever the block leaves in the outbox is sent when it ends, however it ends; a silent service changes nothing."""
    try:
        yield
    finally:
        try:
            failed = notify.deliver([site], only_urgent=later)
        except (OSError, UpdaterError) as error:
            failed = (str(error),)
        for line in failed:
            err.print(f"could not be told, and is tried again: {line}", markup=False, soft_wrap=True)


# ------------------------------------------------------------------------------------- three kinds of end: README


def main(argv: list[str] | None = None) -> None:
    """Run a command. Expected errors, Ctrl-C and bugs are three different exits."""
    signal.signal(signal.SIGTERM, _interrupt)  # a CI job that is cancelled ends like Ctrl-C
    try:
        cli.main(args=argv, standalone_mode=False)
    except UpdaterError as error:
        err.print(f"[bold red]error:[/] {escape(redact(str(error)))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (KeyboardInterrupt, click.Abort):
        err.print(
            "\ninterrupted; production is whole. `updater status` shows how far it came, `updater clean` tidies up.",
            markup=False,
        )
        sys.exit(ExitCode.INTERRUPTED)
    except Exception:  # noqa: BLE001 - a bug: its details go to a file, and a person reads one sentence
        descriptor, log = tempfile.mkstemp(prefix="updater-bug-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(redact(traceback.format_exc()))
        err.print(f"[bold red]this is a bug in updater[/], not in your site. The details are in {log}", soft_wrap=True)
        sys.exit(ExitCode.BUG)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
