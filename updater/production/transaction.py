"""A release into production, all or nothing: plans the transaction, starts it on the server, checks, decides, follows it."""

from __future__ import annotations

import base64
import getpass
import io
import json
import re
import secrets
import shlex
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, TypeVar

from updater.cms.base import REFUSED_BYTES, REFUSED_HEAD, Gate, runnable
from updater.errors import (
    ApprovalRefused,
    CommandFailed,
    ConnectionFailed,
    Drifted,
    Interrupted,
    PackageRefused,
    PromotionRefused,
    SiteLocked,
    StateUnknown,
    UpdaterError,
    WaitsForAPerson,
)
from updater.language import mark
from updater.log import Progress
from updater.model import (
    ApprovedRelease,
    Check,
    Database,
    Installation,
    Migration,
    MigrationStep,
    Outcome,
    PromoteSettings,
    Refused,
    Release,
    Server,
    Site,
    Status,
    Stopped,
)
from updater.production import web
from updater.production.database import read_schema
from updater.production.host import Host, connect
from updater.resources import package_text
from updater.secrets import redact, register
from updater.shell import Completed, Shell

STATES = ("staged", "closed", "drained", "dumped", "swapped", "migrated", "checked", "decided", "opened")

Checks = Callable[[tuple[str, str]], tuple[Check, ...]]
"""Looks at the closed shop through the bypass cookie (name, value)."""

CRON = 60
"""Seconds between two looks of cron at its crontabs: so late may what it starts again begin."""
RESTARTER = CRON + 10
"""Seconds to wait, with the shop open, until cron was seen to start the watchdog: it looks at crontabs once a minute."""

DISCARDED = "discarded-rows.tar"
"""In the private folder of a run: rows that a rollback or a restore lost, a CSV file for each table."""

_POLL = 0.3
_AGAIN = 1.0
"""Seconds between two tries to reach a server that was lost."""
_ASK = 30.0
"""Seconds for one question: a network that swallows everything must not cost the time in which the server can be told."""

_OUT_OF_REACH = (ConnectionFailed, CommandFailed)
"""A lost connection, and a question that ran out of time or whose answer was cut."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the end is waited for, in seconds, beside the deadline itself: staging happens in an open shop and may
    take its time; after the deadline the server rolls back, and tries again until it has. A server that stays out of
    reach for longer than `lost` after its deadline is given up: it goes on by itself."""

    staging: float = 3600
    after_deadline: float = 300
    lost: float = 60


class Remote(Shell, Protocol):
    """A server that also takes whole files."""

    def put(self, local: Path, remote: str) -> None:
        """Copy a local file there, in a folder that exists."""


Reconnect = Callable[[Server], AbstractContextManager[Remote]]
"""Opens a connection in place of one that was lost. ConnectionFailed when it cannot (yet)."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """What lies on the server: who holds the lock, and runs that were begun and not finished."""

    lock: Mapping[str, str]
    """run, person, host, time; empty when nobody holds it"""
    unfinished: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Report:
    decided: str
    finished: str
    stopped: str
    """Why it can go neither on nor back by itself"""
    reason: str
    closed: float | None
    opened: float | None
    actor: str
    journal: tuple[str, ...]

    @property
    def over(self) -> bool:
        return bool(self.finished or self.stopped)

    def begun(self, state: str) -> bool:
        return any(line.endswith(f" begin {state}") for line in self.journal)


# ------------------------------------------------------------------------------------------- the plan, as pure text


def deadline(settings: PromoteSettings, rehearsed_seconds: float) -> int:
    """Seconds that the shop may be closed: what site.yml says, else twice the rehearsal and at least 120, and cron's minute."""
    if settings.deadline is not None:
        return settings.deadline
    return max(120, round(2 * rehearsed_seconds)) + (0 if settings.without_restarter else CRON)


def rolls_back_after(deadline_seconds: int, *, restarted: bool) -> int:
    """Seconds after closing when an undecided transaction is undone.

    A quarter is left for the way back (it was rehearsed with the way forward, and both were doubled), and where cron
    restarts what died, the minute that it may take to look: the shop is open by the deadline although everything of ours
    on the server was killed the moment before.
    """
    lasts = deadline_seconds - (CRON if restarted else 0)
    return max(1, lasts - lasts // 4)


def plan_files(
    site: Site,
    installation: Installation,
    release: Release,
    gate: Gate,
    purge: Sequence[MigrationStep],
    *,
    token: str,
    owner: Mapping[str, str],
    archive_bytes: int,
    restarter: int = 0,
    loose: Sequence[str] = (),
) -> dict[str, bytes]:
    """The plan folder: path → content. One entry a file, so that no name is ever parsed by a shell.

    `loose`: paths below the docroot that are no code; what a replay writes there is not compared.
    Raises PackageRefused for a path that leaves the docroot or is covered by no unit.
    """
    for path in (
        *release.units,
        *release.changed,
        *gate.files,
        *gate.kept.values(),
        gate.token_file,
        gate.refused_file or "none",
    ):
        _below_docroot(path)
    for path in release.changed:
        if not any(path == unit or path.startswith(f"{unit}/") for unit in release.units):
            raise PackageRefused("the release holds a path outside its units", where=path)
    overlapping = [f"{a} and {b}" for a in release.units for b in release.units if b.startswith(f"{a}/")]
    if overlapping:
        raise PackageRefused("the release's units overlap", where=overlapping[0])
    migration, replay = release.migration, release.replay
    database = installation.database
    files = {
        "docroot": _bytes(installation.docroot.rstrip("/")),
        "php": _bytes(installation.php),
        "owner": "".join(f"{key}={_line(value)}\n" for key, value in owner.items()).encode(),
        "deadline": str(
            rolls_back_after(deadline(site.promote, release.rehearsed_seconds), restarted=restarter > 0)
        ).encode(),
        "drain": str(site.promote.drain).encode(),
        "restarter": str(restarter).encode(),
        "onetime": secrets.token_hex(8).encode(),
        "database.name": _bytes(database.name),
        **_credentials(installation),
        **_log_in(site),
        "plan.json": json.dumps(
            {
                "docroot": _b64(installation.docroot.rstrip("/")),
                "url": site.url,
                "address": site.address,
                "changed": [
                    [_b64(path), *(None if side is None else _b64(side) for side in pair)]
                    for path, pair in sorted(release.changed.items())
                ],
                "migration": migration.needed,
                "tables": list(migration.changed_tables),
                "dropped": list(migration.dropped_tables),
                "created": list(migration.created_tables),
                "archive_bytes": archive_bytes,
                "loose": [_b64(path) for path in loose],
                "keeps": {database.prefix + table: rows for table, rows in (replay.keeps if replay else {}).items()},
                "elsewhere": [[_b64(name), _b64(folder)] for name, folder in installation.elsewhere.items()],
                "locks": {who: query.replace("{prefix}", database.prefix) for who, query in gate.locks.items()},
            }
        ).encode(),
    }
    for number, unit in enumerate(release.units):
        files[f"units/{number:04}"] = _bytes(unit)
    for number, (name, folder) in enumerate(installation.elsewhere.items()):
        files |= {f"elsewhere/{number:02}/name": _bytes(name), f"elsewhere/{number:02}/path": _bytes(folder)}
    files |= gate_files(gate, release.run, token)
    files |= _purges(site, purge, database)
    stays = replay is not None and replay.returns not in site.switches
    if replay is not None:
        files |= _steps("ask", (replay.ask,), database) | _steps("replay", replay.steps, database)
        files |= {"stays": b""} if stays else {}
        files |= {"rows-that-stay": b""} if replay.keeps else {}
        files |= {"stopped-open": b""} if site.promote.stopped is Stopped.OPEN else {}
    if migration.needed or replay is not None:
        files["migration"] = b""
        if site.promote.keep_tables and not stays:
            files["keep"] = str(int(site.promote.keep_tables.total_seconds() // 60)).encode()
        files |= _steps("migrate", migration.steps, database)
    return files


def _credentials(installation: Installation) -> dict[str, bytes]:
    """The shop's own, for PHP and for the database's tools; on the server only while they are needed."""
    database = installation.database
    words = ("host", "user", "password", "name", "port", "socket")
    return {
        "database.json": json.dumps({word: getattr(database, word) for word in words}).encode(),
        "my.cnf": client_settings(installation).encode(),
    }


def _log_in(site: Site) -> dict[str, bytes]:
    """For the server's own questions to its web server, while it needs to ask them."""
    return {"authorization": site.basic_auth.header.encode()} if site.basic_auth else {}


def gate_files(gate: Gate, run: str, token: str) -> dict[str, bytes]:
    """The gate's part of the plan: the token's hash first, so that a gate file never stands without it."""
    contents = {gate.token_file: sha256(token.encode()).hexdigest()}
    if gate.refused_file:
        contents[gate.refused_file] = REFUSED_HEAD
    contents |= {path: text.replace("{run}", run) for path, text in gate.files.items()}
    files: dict[str, bytes] = {}
    for number, (path, content) in enumerate(contents.items()):
        files[f"gate/{number:02}/path"] = _bytes(path)
        files[f"gate/{number:02}/content"] = content.encode()
        if path in gate.kept:
            files[f"gate/{number:02}/kept"] = _bytes(gate.kept[path])
        if path == gate.refused_file:
            files[f"gate/{number:02}/grows"] = b""
    return files


def client_settings(installation: Installation) -> str:
    """A defaults file for the database's own tools: a password in an argument list shows in `ps`."""
    database = installation.database
    place = {"socket": database.socket} if database.socket else {"host": database.host, "port": str(database.port)}
    options = {"user": database.user, "password": database.password, **place}
    lines = (f'{key}="{_option(value)}"' for key, value in options.items())
    return "[client]\n" + "\n".join(lines) + "\n"


def by_hand(server: Server, run_folder: str) -> str:
    """The three lines that finish or undo a run without this program."""
    program = shlex.quote(f"{run_folder}/transaction.sh")
    return (
        f"ssh -p {server.port} {server.user}@{server.host}\n"
        f"         sh {program} recover   # finishes or undoes it; twice is the same as once\n"
        f"         sh {program} open      # only if the shop is still closed after that"
    )


def by_a_person(server: Server, run_folder: str, shop: Stopped) -> str:
    """What ends a run that stopped: the shop as it stands, or tables and files of before."""
    program = shlex.quote(f"{run_folder}/transaction.sh")
    return (
        f"the shop is {shop} and stays so; look at it, then on the server:\n"
        f"         ssh -p {server.port} {server.user}@{server.host}\n"
        f"         sh {program} keep   # it is right as it stands, or was made so by hand: open it and end this run\n"
        f"         sh {program} back   # tables and files as they were before, whatever that means to the vendor; then open"
    )


def verify_archive(release: Release) -> int:
    """Bytes of the archive's content. PackageRefused unless it holds exactly the release's new files, inside the docroot."""
    wanted = {path: pair[1] for path, pair in release.changed.items() if pair[1] is not None and pair[1] != "dir"}
    links = {path for path, after in wanted.items() if after is not None and after.startswith("link:")}
    total = 0
    with tarfile.open(release.archive) as archive:
        for member in archive:
            name = member.name.removeprefix("./").rstrip("/")
            if member.isdir():
                continue
            _below_docroot(name)
            if name not in wanted or not (member.isfile() or (member.issym() and name in links)):
                raise PackageRefused("the release's archive holds what the release does not name", where=name)
            if any(str(parent) in links for parent in PurePosixPath(name).parents):
                raise PackageRefused("the release's archive writes through a link", where=name)
            wanted.pop(name)
            total += member.size
    missing = [path for path in wanted if path not in links]
    if missing:
        raise PackageRefused("the release's archive is not whole", where=missing[0])
    return total


# ------------------------------------------------------------------------------------------------------ promote


def promote(
    remote: Remote,
    site: Site,
    installation: Installation,
    approved: ApprovedRelease,
    check: Checks,
    progress: Progress,
    *,
    gate: Gate,
    purge: Sequence[MigrationStep] = (),
    loose: Sequence[str] = (),
    dump: Path | None = None,
    restarter: int = 0,
    patience: Patience = Patience(),
    sh: Sequence[str] = ("sh",),
    reconnect: Reconnect = connect,
) -> Outcome:
    """Bring the approved release to production, or leave it exactly as it was.

    `check` sees the new code and the migrated database through the cookie while visitors see the gate: every required
    check must pass, and the tables that the migration changed must be defined as they were after the rehearsal.
    `dump` (gzip SQL, of a restore) is loaded as the migration, and gone from the server afterwards. The rows that are lost by
    that are exported while the shop is closed, for `fetch_discarded`.
    A connection that is lost is opened again by `reconnect`. `restarter`: seconds to wait, with the shop open, until
    cron was seen to restart the watchdog (0: not waited for; RESTARTER is enough). `sh` is the server's POSIX shell.
    `loose`: as `plan_files` takes it.

    Returns an Outcome `promoted` or `rolled_back` (verified; reason and checks in it). Raises SiteLocked, Drifted and
    PromotionRefused (nothing was touched), PackageRefused, Interrupted (rolled back), StateUnknown when the end was not
    seen, and WaitsForAPerson when a replay stopped half way where its database may not go back.
    """
    release = approved.release
    if release.sha256 != approved.approval.release_sha256:
        raise ApprovalRefused(
            "the release is not the one that was approved",
            where=release.run,
            hint="updater run site.yml, and approve what it shows",
        )
    token = register(secrets.token_urlsafe(32))
    archive_bytes = verify_archive(release)
    owner = {"person": approved.approval.person or getpass.getuser(), "host": socket.gethostname()}
    files = plan_files(
        site,
        installation,
        release,
        gate,
        purge,
        token=token,
        owner=owner,
        archive_bytes=archive_bytes,
        restarter=restarter,
        loose=loose,
    )
    limit = deadline(site.promote, release.rehearsed_seconds)

    def look() -> tuple[str, tuple[Check, ...]]:
        try:
            reason = server.asked(lambda: _migrated_otherwise(server.remote, installation, release.migration), limit)
        except ConnectionFailed as lost:
            reason = f"the migrated tables were not seen: {lost.what}"
        return (reason, ()) if reason else _checked(check, (gate.cookie, token))

    with _Server(remote, site, sh, reconnect, limit + patience.lost) as server:
        folder = server.prepare(release.run)
        progress.say("uploading")
        server.upload(folder, files, None if release.replay else release.archive)
        if dump is not None:
            server.upload_dump(folder, dump)
        return _follow(server, folder, look, progress, limit, patience)


def refuse_served(host: Host, site: Site, installation: Installation) -> None:
    """PromotionRefused when the web server would give out what a promotion keeps in the work folder: the old code, and for a
    while the database's password. Leaves no work folder behind that was not there."""
    server = _Server(host, site, ("sh",))
    inside = 'case "$(cd -- "$1" && pwd -P)/" in "$(cd -- "$2" && pwd -P)"/*) rmdir -- "$1/runs" "$1"; exit 1; esac'
    if host.run(["sh", "-c", inside, "sh", server.work, installation.docroot], check=False).exit_code != 0:
        served = f"inside the docroot {installation.docroot}"
    else:
        served = web.serves(host, site, server.work)
    if served:
        raise PromotionRefused(
            "the work folder on the server is served to the public; nothing was touched",
            where=f"{host.where}:{server.work}",
            cause=f"it is {served}" if " " in served else f"its files are given out as {served}",
            hint="set server.work in site.yml to a folder that no address leads to, then approve the same run again",
        )


def _follow(
    server: _Server,
    folder: str,
    look: Callable[[], tuple[str, tuple[Check, ...]]],
    progress: Progress,
    limit: int,
    patience: Patience,
) -> Outcome:
    """Start, wait for `checked`, look, decide, wait for the end. Ctrl-C decides for the old shop and still waits for the end."""
    checks: tuple[Check, ...] = ()
    try:
        server.start(folder, "start")
        report = server.wait(folder, lambda it: it.over or it.begun("checked"), progress, patience.staging + limit)
        if not report.over and not report.decided:
            progress.say("checking the closed shop")
            reason, checks = look()
            stands = server.reject(folder, reason, limit) if reason else server.confirm(folder, limit)
            progress.say(f"decided: {stands}")
        report = server.wait(folder, lambda it: it.over, progress, limit + patience.after_deadline)
    except KeyboardInterrupt:
        report = _interrupted(server, folder, progress, limit, patience)
    if report.stopped:
        raise WaitsForAPerson(
            "the update failed half way, and the database may not go back by itself: production waits for a person",
            where=server.where,
            cause=redact(report.stopped),
            hint=by_a_person(server.site.server, folder, server.site.promote.stopped),
        )
    if report.finished == "rolled_back" and report.reason.startswith("drift: "):
        raise Drifted(
            "production changed since it was cloned; nothing was deployed",
            where=server.where,
            cause=report.reason.removeprefix("drift: "),
            hint="updater run site.yml starts again from production as it is now",
        )
    if report.finished == "rolled_back" and report.reason.startswith("refused: ") and report.closed is None:
        raise PromotionRefused(
            "the server refused the promotion before the shop was closed; nothing was touched",
            where=server.where,
            cause=redact(report.reason.removeprefix("refused: ")),
            hint="mend that, then approve the same run again: updater approve",
        )
    promoted = report.finished == "promoted"
    return Outcome(
        state=report.finished,
        closed_seconds=_seconds(report),
        checks=checks,
        reason="" if promoted else redact(report.reason),
        refused=server.refused(folder) if report.closed is not None else (),
        recover="" if promoted else server.help(folder),
    )


def _interrupted(server: _Server, folder: str, progress: Progress, limit: int, patience: Patience) -> _Report:
    """The report of a run that was decided for new before Ctrl-C came; else Interrupted, once the old shop is back."""
    progress.say("interrupted: bringing the old shop back; a second Ctrl-C leaves that to the server")
    try:
        server.reject(folder, "interrupted by Ctrl-C", limit)
        # Without a journal it was interrupted before anything began, perhaps between taking the lock and the first line.
        report = server.wait(
            folder,
            lambda it: it.over or (not it.journal and it.actor == "gone"),
            progress,
            limit + patience.after_deadline,
        )
        if not report.journal:
            server.shell(folder, "recover")
    except KeyboardInterrupt:
        raise StateUnknown(
            "interrupted twice: the old shop was not seen to be back",
            where=server.where,
            cause="the server goes on by itself, and undoes the promotion by its deadline",
            hint=server.help(folder),
        ) from None
    if report.finished == "promoted" or report.stopped:
        return report
    raise Interrupted(
        "interrupted: production is as it was before",
        where=server.where,
        hint=f"updater approve starts again; when in doubt: {server.help(folder)}",
    )


def _migrated_otherwise(remote: Remote, installation: Installation, migration: Migration) -> str:
    """'' when every table that the migration changed or made is defined as it was after the rehearsal, else which is not."""
    touched = sorted({*migration.changed_tables, *migration.created_tables} & migration.schema.keys())
    if not touched:
        return ""
    try:
        found = read_schema(remote, installation, touched)
    except CommandFailed as failure:
        return f"the migrated tables cannot be read: {failure.what}"
    differing = [table for table in touched if found.get(table) != migration.schema[table]]
    return f"the migration left other tables than rehearsed: {', '.join(differing)}" if differing else ""


def _checked(check: Checks, cookie: tuple[str, str]) -> tuple[str, tuple[Check, ...]]:
    """('' when every required check passed, else the reason; the checks)."""
    try:
        checks = check(cookie)
    except Exception as failure:  # noqa: BLE001 - whatever breaks a check, the old shop must come back; the reason is reported
        return f"the checks broke: {type(failure).__name__}: {failure}", ()
    failed = [f"{it.name}: {it.detail}" for it in checks if it.required and it.status is not Status.PASSED]
    if failed:
        return mark("a check of the closed shop did not pass") + f": {'; '.join(failed)}", checks
    if not any(it.required for it in checks):
        return "no required check ran on the closed shop", checks
    return "", checks


# ------------------------------------------------------------------------------- recover, open, rollback, state


def state(remote: Remote, site: Site, *, sh: Sequence[str] = ("sh",)) -> ServerState:
    """What a run left on the server, if anything. Changes nothing."""
    return _Server(remote, site, sh).state()


def recover(
    remote: Remote, site: Site, installation: Installation | None, progress: Progress, *, sh: Sequence[str] = ("sh",)
) -> list[str]:
    """Finish or undo whatever a dead run left, from the server's own journal; one line for people per run.

    `installation` is not needed for it (the plan lies on the server). Twice is the same as once. A run that an updater
    still follows is left alone. Raises StateUnknown when something could not be brought to an end.
    """
    server = _Server(remote, site, sh)
    found = server.state()
    lines = []
    for run in found.unfinished:
        progress.say(f"recovering {run}")
        folder = server.folder(run)
        done = server.shell(folder, "recover", timeout=600)
        if done.text.startswith("stopped: "):
            raise WaitsForAPerson(
                f"the run {run} waits for a person: it can go neither on nor back by itself",
                where=server.where,
                cause=redact(done.text.splitlines()[0].removeprefix("stopped: ")),
                hint=by_a_person(site.server, folder, site.promote.stopped),
            )
        if done.exit_code != 0:
            raise StateUnknown(
                f"the run {run} could not be brought to an end",
                where=server.where,
                cause=redact((done.text + done.stderr).strip()[-500:]),
                hint=server.help(folder),
            )
        lines.append(f"{run}: {done.text.strip().replace('_', ' ')}")
    if found.lock and not found.unfinished and server.release_stale_lock():
        lines.append("a lock without a run was removed")
    return lines


def open_shop(remote: Remote, site: Site, progress: Progress, *, sh: Sequence[str] = ("sh",)) -> list[str]:
    """In an emergency: take the gate away now, whatever else is wrong. What is half done stays for `recover`."""
    server = _Server(remote, site, sh)
    lines = []
    for run in server.state().unfinished:
        progress.say(f"opening {run}")
        done = server.shell(server.folder(run), "open", timeout=120)
        if done.exit_code != 0:
            raise StateUnknown(
                "the gate could not be removed", where=server.where, cause=redact((done.text + done.stderr).strip()[-500:]),
                hint=server.help(server.folder(run)),
            )  # fmt: skip
        lines.append(f"{run}: opened")
    return lines


def rollback(
    remote: Remote,
    site: Site,
    installation: Installation,
    run: str,
    progress: Progress,
    *,
    gate: Gate,
    purge: Sequence[MigrationStep] = (),
    discard_since: datetime | None = None,
    came: str = "",
    into: Path | None = None,
    sh: Sequence[str] = ("sh",),
    reconnect: Reconnect = connect,
) -> Outcome:
    """Bring back the code of before a promoted run; the tables too only when that run migrated and kept their copies, and
    `discard_since` is not after its closing. Rows that are lost then go to `into` as DISCARDED, which is private.

    Raises ApprovalRefused with what to do when it migrated (`came` says what would be lost) or its old code is gone,
    Drifted when the code was changed since, SiteLocked, StateUnknown.
    """
    limit = deadline(site.promote, 0)
    with _Server(remote, site, sh, reconnect, limit + Patience().lost) as server:
        folder = server.folder(run)
        if not server.exists(folder):
            raise ApprovalRefused(
                f"the server knows no run {run}", where=server.where, hint="updater runs site.yml lists them"
            )
        # Nobody passes this gate: the token is thrown away here.
        files = gate_files(gate, run, secrets.token_urlsafe(32)) | _purges(site, purge, installation.database)
        files |= _log_in(site)
        words = ["rollback"]
        if server.holds(f"{folder}/plan/migration"):
            _refuse_discarding(server, folder, run, discard_since, came)
            files |= _credentials(installation)
            words.append("discard")
        server.upload(folder, files, None)
        server.start(folder, *words)
        report = server.wait(folder, lambda it: bool(it.finished), progress, limit + Patience().after_deadline)
        refused = server.refused(folder)
        if len(words) > 1 and into is not None:
            server.fetch_discarded(folder, into)
    return Outcome(
        state=report.finished,
        closed_seconds=_seconds(report),
        reason=redact(report.reason),
        refused=refused,
        recover=server.help(folder),
    )


def fetch_discarded(remote: Remote, site: Site, run: str, into: Path) -> Path:
    """The rows that a promoted restore lost, as they were when the shop closed. CommandFailed when they could not be exported."""
    server = _Server(remote, site, ("sh",))
    server.fetch_discarded(server.folder(run), into)
    return into / DISCARDED


def _refuse_discarding(server: _Server, folder: str, run: str, since: datetime | None, came: str) -> None:
    """After a migration nothing is lost that a person did not name by its time."""
    closed = server.closed_at(folder)
    what = f"the database migrated with run {run}: going back loses what came since {closed:%Y-%m-%d %H:%M} UTC"
    if not server.holds(f"{folder}/tables.json"):
        raise ApprovalRefused(
            what,
            where=server.where,
            cause=came,
            hint="update forward with `updater run`, or restore a backup by hand; `promote.keep_tables` in site.yml keeps what "
            "a restore needs, from the next promotion on",
        )
    if since is None or since > closed:
        raise ApprovalRefused(
            what,
            where=server.where,
            cause=came
            + ("" if since is None else f"; {since:%Y-%m-%d %H:%M} UTC is after that: what came before it is lost too"),
            hint=f"update forward with `updater run`; or lose it: updater rollback {server.site.config.name} "
            f"--discard-orders-since '{closed:%Y-%m-%d %H:%M}'",
        )


def forget_copies(remote: Remote, site: Site, installation: Installation, *, sh: Sequence[str] = ("sh",)) -> int:
    """Drop copies of tables that are older than their promotion was told to keep them. Returns of how many promotions."""
    server = _Server(remote, site, sh)
    kept = site.promote.keep_tables
    minutes = int(kept.total_seconds() // 60) if kept else 0  # of a promotion that did not note how long
    script = (
        'for file in "$1"/runs/*/finished; do folder=${file%/*}; [ -e "$folder/tables.json" ] || continue; '
        'minutes=$(cat "$folder/plan/keep" 2>/dev/null); '
        '[ -z "$(find "$file" -mmin "+${minutes:-$2}" 2>/dev/null)" ] || printf "%s\\n" "$folder"; done'
    )
    found = remote.run(["sh", "-c", script, "sh", server.work, str(minutes)]).text.splitlines()
    for folder in found:
        for name, content in _credentials(installation).items():
            remote.write(f"{folder}/plan/{name}", content)
        done = server.shell(folder, "forget", timeout=120)
        if done.exit_code != 0:
            raise CommandFailed(
                "copies of tables that were kept after a promotion cannot be dropped",
                where=server.where,
                cause=redact((done.text + done.stderr).strip()[-500:]),
                hint="drop the tables named updater_… by hand",
            )
    return len(found)


# ------------------------------------------------------------------------------------------------ talking to it


class _Server:
    """The work folder on one server. Every question may be asked again over a new connection: starting and deciding
    twice are harmless there. As a context manager it closes the connections that it opened itself."""

    def __init__(
        self, remote: Remote, site: Site, sh: Sequence[str], reconnect: Reconnect | None = None, lost: float = 0.0
    ) -> None:
        self.remote = remote
        self.site = site
        self.sh = sh
        self.where = remote.where
        self._reconnect = reconnect
        self._lost = lost
        """Seconds out of reach after which the server is given up"""
        self._opened = ExitStack()
        self._told = 0  # lines of the server's journal that were shown
        made = remote.run(
            [
                "sh",
                "-c",
                'umask 077; mkdir -p -- "$1/runs" && chmod 700 -- "$1" && cd -- "$1" && pwd -P',
                "sh",
                site.server.work,
            ]
        )
        self.work = made.text.removesuffix("\n")

    def __enter__(self) -> _Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def asked(self, question: Callable[[], T], seconds: float) -> T:
        """Ask again over a new connection while the server is out of reach. _OUT_OF_REACH after `seconds` of that."""
        limit = time.monotonic() + seconds
        while True:
            try:
                return question()
            except _OUT_OF_REACH:
                if self._reconnect is None or time.monotonic() >= limit:
                    raise
                time.sleep(_AGAIN)
                self._connect_again()

    def _connect_again(self) -> None:
        assert self._reconnect is not None
        opened = ExitStack()
        try:
            self.remote = opened.enter_context(self._reconnect(self.site.server))
        except ConnectionFailed:
            return  # asked again over the lost one, which says so
        self._opened.close()
        self._opened = opened

    def folder(self, run: str) -> str:
        return f"{self.work}/runs/{_run_name(run)}"

    def help(self, folder: str) -> str:
        return f"updater recover {self.site.config.name}\n         or by hand:\n         {by_hand(self.site.server, folder)}"

    def exists(self, folder: str) -> bool:
        return self.remote.run(["test", "-d", folder], check=False).exit_code == 0

    def holds(self, path: str) -> bool:
        return self.remote.run(["test", "-e", path], check=False).exit_code == 0

    def closed_at(self, folder: str) -> datetime:
        """When that run closed the shop, to the minute before. CommandFailed when it never did."""
        report = parse_report(self.shell(folder, "report").text)
        if report.closed is None:
            raise CommandFailed("the run never closed the shop", where=self.where, cause=folder)
        return datetime.fromtimestamp(report.closed, UTC).replace(second=0, microsecond=0)

    def fetch_discarded(self, folder: str, into: Path) -> None:
        """Rows that the restore lost, exported while the shop was closed: a tar of CSV files; gone from the server then."""
        packed = self.remote.run(["sh", "-c", 'cd -- "$1" && tar -cf - since since.json', "sh", folder], timeout=600)
        path = into / DISCARDED
        path.touch(mode=0o600)
        path.write_bytes(packed.stdout)
        self.remote.run(["rm", "-rf", "--", f"{folder}/since"])

    def prepare(self, run: str) -> str:
        """An empty run folder. One that a run already began in is never reused; that of a try which was undone is put aside."""
        folder = self.folder(run)
        aside = '[ "$(cat -- "$1/finished" 2>/dev/null)" = rolled_back ] && mv -- "$1" "$1.$(date +%s)"; test ! -e "$1/journal"'
        if self.remote.run(["sh", "-c", aside, "sh", folder], check=False).exit_code != 0:
            raise ApprovalRefused(
                f"the run {run} was promoted before",
                where=self.where,
                hint="updater run site.yml makes a new one; updater recover site.yml ends one that is open",
            )
        self.remote.run(["sh", "-c", 'umask 077; rm -rf -- "$1" && mkdir -- "$1"', "sh", folder])
        return folder

    def upload(self, folder: str, files: Mapping[str, bytes], archive: Path | None) -> None:
        with tempfile.TemporaryDirectory(prefix="updater-") as temporary:
            bundle = Path(temporary) / "plan.tar"
            bundle.touch(mode=0o600)
            with tarfile.open(bundle, "w", format=tarfile.GNU_FORMAT) as tar:
                for path, content in files.items():
                    _add(tar, f"plan/{path}", content)
                for name in ("transaction.sh", "transaction.php", "dump.php"):
                    _add(tar, name, package_text("updater.production", name).encode())
            self.remote.put(bundle, f"{folder}/plan.tar")
        if archive is not None:
            self.remote.put(archive, f"{folder}/archive.tar")
        unpack = 'umask 077; cd -- "$1" && rm -rf plan/gate plan/purge && tar -xof plan.tar && rm -f plan.tar && mkdir -p plan/units plan/gate'
        self.remote.run(["sh", "-c", unpack, "sh", folder])

    def upload_dump(self, folder: str, dump: Path) -> None:
        self.remote.run(["sh", "-c", 'umask 077; mkdir -p -- "$1/plan/migrate"', "sh", folder])
        self.remote.put(dump, f"{folder}/plan/migrate/000.sql.gz")

    def shell(self, folder: str, *words: str, stdin: bytes = b"", timeout: float = _ASK) -> Completed:
        return self.remote.run(
            [*self.sh, f"{folder}/transaction.sh", *words], stdin=stdin, timeout=timeout, check=False
        )

    def start(self, folder: str, verb: str, *words: str) -> None:
        """Start it there. StateUnknown when the server is out of reach: it may have begun, and then undoes itself."""
        try:
            done = self.asked(lambda: self.shell(folder, verb, *words, timeout=120), self._lost)
        except _OUT_OF_REACH as lost:
            raise self._unseen(folder, str(lost)) from lost
        if done.exit_code == 0:
            return
        said = done.text.strip()
        if done.exit_code == 6:
            holder = _pairs(said)
            if verb == "start":
                self.remote.run(["rm", "-rf", "--", folder])
            raise SiteLocked(
                f"another run holds this site: {holder.get('run', 'unknown')}",
                where=self.where,
                cause=", ".join(f"{key} {value}" for key, value in holder.items()),
                hint=f"wait for it; if it is dead: updater recover {self.site.config.name}",
            )
        if said.startswith("the files are not exactly"):
            raise Drifted(
                "the code was changed since that run",
                where=self.where,
                cause=said,
                hint="restore it by hand or from a backup",
            )
        if done.exit_code == 2:
            raise ApprovalRefused(
                f"this run cannot be rolled back by itself: {said}",
                where=self.where,
                hint="orders may have come since; restore a backup, or update forward with updater run site.yml",
            )
        raise CommandFailed(
            "the transaction did not start",
            where=self.where,
            cause=redact(said + done.stderr)[-500:],
            hint=self.help(folder),
        )

    def confirm(self, folder: str, seconds: float) -> str:
        return self._decide(folder, "confirm", b"", seconds)

    def reject(self, folder: str, reason: str, seconds: float) -> str:
        return self._decide(folder, "reject", redact(reason).encode("utf-8", "replace")[:2000], seconds)

    def _decide(self, folder: str, verb: str, stdin: bytes, seconds: float) -> str:
        """What stands on the server, which refuses what comes too late; `unknown` when it was not heard of for `seconds`."""
        try:
            done = self.asked(lambda: self.shell(folder, verb, stdin=stdin), seconds)
        except _OUT_OF_REACH:
            return "unknown"  # the journal tells, once the server is seen again
        return done.text.strip() or "unknown"

    def wait(self, folder: str, until: Callable[[_Report], bool], progress: Progress, seconds: float) -> _Report:
        """Follow the journal until `until`. StateUnknown after `seconds`, or when the server stays out of reach."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            try:
                report = self.asked(
                    lambda: parse_report(self.shell(folder, "report", "follow").text),
                    min(self._lost, limit - time.monotonic()),
                )
            except _OUT_OF_REACH as lost:
                raise self._unseen(folder, str(lost)) from lost
            for line in report.journal[self._told :]:
                _tell(line, progress)
            self._told = len(report.journal)
            if until(report):
                return report
            time.sleep(_POLL)
        raise self._unseen(folder, "the server's journal names no end")

    def _unseen(self, folder: str, cause: str) -> StateUnknown:
        return StateUnknown(
            "the promotion did not come to an end that we could see",
            where=self.where,
            cause=redact(cause),
            hint=self.help(folder),
        )

    def refused(self, folder: str) -> tuple[Refused, ...]:
        """Whom the gate refused; read once, and gone from the server then. () when the server is out of reach by now."""
        script = 'head -c "$2" -- "$1/refused" 2>/dev/null && rm -f -- "$1/refused"'
        try:
            done = self.asked(
                lambda: self.remote.run(
                    ["sh", "-c", script, "sh", folder, str(2 * REFUSED_BYTES)], check=False, timeout=_ASK
                ),
                self._lost,
            )
        except _OUT_OF_REACH:
            return ()
        return parse_refused(done.text)

    def state(self) -> ServerState:
        script = (
            'cat -- "$1/lock/owner" 2>/dev/null; if [ -d "$1/lock" ]; then echo held=yes; fi; echo --runs--; '
            'for run in "$1"/runs/*; do if [ -e "$run/journal" ] && { [ ! -e "$run/finished" ] || '
            '[ "$(sed -n s/^run=//p "$1/lock/owner" 2>/dev/null)" = "${run##*/}" ]; }; then echo "${run##*/}"; fi; done'
        )
        owner, _, runs = self.remote.run(["sh", "-c", script, "sh", self.work]).text.partition("--runs--\n")
        return ServerState(lock=_pairs(owner), unfinished=tuple(runs.split()))

    def release_stale_lock(self) -> bool:
        """A lock whose run never began: killed between the lock and the journal. Only when it is over a minute old."""
        script = '[ -n "$(find "$1/lock" -maxdepth 0 -mmin +1)" ] && rm -rf -- "$1/lock"'
        return self.remote.run(["sh", "-c", script, "sh", self.work], check=False).exit_code == 0


def parse_report(text: str) -> _Report:
    """What `transaction.sh report` prints. CommandFailed when it is cut."""
    head, found, journal = text.partition("--journal--\n")
    if not found:
        raise CommandFailed("the server's report is not whole", cause=text[-200:])
    values = _pairs(head)
    return _Report(
        decided=values.get("decided", ""),
        finished=values.get("finished", ""),
        stopped=values.get("stopped", ""),
        reason=values.get("reason", ""),
        closed=float(values["closed"]) if values.get("closed") else None,
        opened=float(values["opened"]) if values.get("opened") else None,
        actor=values.get("actor", ""),
        journal=tuple(line for line in journal.splitlines() if line),
    )


def parse_refused(text: str) -> tuple[Refused, ...]:
    """The gate's account: callbacks first, then by time. A line that is not whole (a full disk, the bound) is left out."""
    found = []
    for line in text.splitlines():
        at, *rest = line.split("\t")
        if len(rest) == 3 and at.isdigit() and len(at) < 12:
            found.append(Refused(datetime.fromtimestamp(int(at), UTC).isoformat(timespec="seconds"), *rest))
    return tuple(sorted(found, key=lambda it: (not it.callback, it.at)))


def _seconds(report: _Report) -> float:
    return max(0.0, report.opened - report.closed) if report.opened and report.closed else 0.0


def _tell(line: str, progress: Progress) -> None:
    _, _, what = line.partition(" ")
    verb, _, rest = what.partition(" ")
    if verb == "begin":
        progress.say(rest)
    elif verb in ("note", "decided"):
        progress.say(what.removeprefix("note "))


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, sign, value in (line.partition("=") for line in text.splitlines()) if sign}


def _run_name(run: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", run):
        raise UpdaterError(f"not a run's name: {run!r}", hint="updater runs site.yml lists them")
    return run


def _below_docroot(path: str) -> None:
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts) or "\0" in path:
        raise PackageRefused("a path that leaves the docroot", where=repr(path))


def _steps(folder: str, steps: Sequence[MigrationStep], database: Database) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for number, step in enumerate(steps):
        files[f"{folder}/{number:03}.php"] = runnable(step, database)
        files[f"{folder}/{number:03}.name"] = _line(step.name).encode()
    return files


def _purges(site: Site, purge: Sequence[MigrationStep], database: Database) -> dict[str, bytes]:
    """The driver's, and the commands of site.yml for what stands in front."""
    commands = {f"purge/{number:03}.sh": it.encode() for number, it in enumerate(site.promote.purge, 500)}
    return _steps("purge", purge, database) | commands


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o600
    tar.addfile(info, io.BytesIO(content))


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _b64(path: str) -> str:
    return base64.b64encode(_bytes(path)).decode()


def _line(text: str) -> str:
    return re.sub(r"[\x00-\x1f]+", " ", text)


def _option(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
