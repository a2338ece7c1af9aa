"""What each run did, kept so that it survives kill -9; the only room that knows SQL, and the only maker of approvals.

Order of writes: before a step acts, `started` is committed with the names it will create; after it acted, its output
is written (temporary file, fsync, rename) and then `done` is committed. So a `done` step always has its output, and
nothing can exist in the world whose name the journal does not know.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import secrets as random
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from cattrs.preconf.json import make_converter

from updater.errors import ApprovalRefused, SiteLocked, UpdaterError
from updater.model import Approval, ApprovedRelease, Judgement, Release, Verdict

T = TypeVar("T")

_metadata = sa.MetaData()
_runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("site", sa.String, nullable=False),
    sa.Column("started", sa.String, nullable=False),
    sa.Column("finished", sa.String),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("exit_code", sa.Integer),
)
_steps = sa.Table(
    "steps",
    _metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("step", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("names", sa.Text, nullable=False),
)
_approvals = sa.Table(
    "approvals",
    _metadata,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("person", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("expires", sa.String, nullable=False),
    sa.Column("evidence_sha256", sa.String, nullable=False),
    sa.Column("release_sha256", sa.String, nullable=False),
)

_broken = sa.Table(
    "broken_updates",
    _metadata,
    sa.Column("site", sa.String, primary_key=True),
    sa.Column("component", sa.String, primary_key=True),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("again", sa.String, nullable=False),
)

BACK_OFF = (1, 2, 4, 8, 16, 30)
"""Days after which an update that broke the shop is tried again: after its first failure, its second, … the last for ever."""
_EARLY = timedelta(hours=2)
"""A nightly run does not start at the same second each night."""

converter = make_converter()
converter.register_unstructure_hook(Path, str)
converter.register_structure_hook(Path, lambda value, _type: Path(value))


_CLOCKS_DIFFER = timedelta(minutes=5)


def now() -> datetime:
    return datetime.now(UTC)


def new_run_id() -> str:
    """`20261122-051407-3f9a`: sorts by time, unique without asking anyone, safe in names of files and containers."""
    return f"{now():%Y%m%d-%H%M%S}-{random.token_hex(2)}"


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Temporary file, fsync, rename, fsync of the folder: after a crash the file is whole, old or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        temporary.chmod(mode)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def dump(value: Any) -> bytes:
    """A noun as JSON: sorted keys, so that equal values have equal bytes and one sha256."""
    return json.dumps(converter.unstructure(value), sort_keys=True, ensure_ascii=True, indent=1).encode()


def digest(value: Any) -> str:
    """The sha256 of a noun, as approvals record it."""
    return hashlib.sha256(dump(value)).hexdigest()


def release_digest(release: Release) -> str:
    """The sha256 of a release, the same on every machine."""
    return digest(replace(release.portable, sha256=""))


@dataclass(frozen=True, slots=True)
class RunRow:
    run: str
    site: str
    started: datetime
    finished: datetime | None
    state: str
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class StepRow:
    step: str
    status: str
    at: datetime
    names: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenUpdate:
    """A version that broke the shop in `run`: held until `again`, or until there is a newer one. `component` as Update.id."""

    component: str
    version: str
    reason: str
    run: str
    tries: int
    again: datetime


class Journal:
    """The journal of one site's `.updater/` folder. SQLite (WAL, synchronous=FULL), or any database by URL."""

    def __init__(self, state: Path, url: str | None = None) -> None:
        self.state = state
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine = sa.create_engine(url or f"sqlite:///{state / 'journal.db'}")
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _durable)
        try:
            # Not create_all: between its look and its act another run's first start makes them.
            with _one_by_one(state / "journal.lock"), self._engine.begin() as connection:
                for table in _metadata.sorted_tables:
                    connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
        except (sa.exc.DatabaseError, OSError) as error:
            raise UpdaterError(
                "the journal cannot be opened",
                where=str(state / "journal.db"),
                cause=str(getattr(error, "orig", error)),
                hint="if the file is damaged, move it away; the runs themselves lie in .updater/runs/",
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    def damage(self) -> str:
        """What is wrong with the file, by the database's own check; '' when nothing is."""
        if self._engine.dialect.name != "sqlite":
            return ""
        try:
            with self._engine.connect() as connection:
                said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        except sa.exc.DatabaseError as error:
            return str(error.orig)
        return "" if said == "ok" else str(said)

    # ---------------------------------------------------------------------------------------------------- runs

    def folder(self, run: str) -> Path:
        return self.state / "runs" / run

    def begin(self, run: str, site: str) -> Path:
        """Record a new run and make its folder, readable by its owner only."""
        folder = self.folder(run)
        folder.mkdir(parents=True, mode=0o700)
        self._write(_runs.insert().values(run=run, site=site, started=now().isoformat(), state="running"))
        return folder

    def adopt(self, row: RunRow) -> None:
        """Record a run that another machine made, as it ended there; its folder is in place already."""
        finished = row.finished.isoformat() if row.finished else None
        values = {"run": row.run, "site": row.site, "state": row.state, "exit_code": row.exit_code}
        self._write(_runs.insert().values(**values, started=row.started.isoformat(), finished=finished))

    def finish(self, run: str, state: str, exit_code: int) -> None:
        self._write(
            _runs.update()
            .where(_runs.c.run == run)
            .values(state=state, exit_code=exit_code, finished=now().isoformat())
        )

    def runs(self, limit: int = 50) -> list[RunRow]:
        """Newest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(_runs.select().order_by(_runs.c.started.desc()).limit(limit)).mappings()
            return [_run_row(row) for row in rows]

    def find(self, run: str) -> RunRow:
        """The run with this id or unique beginning of one; `last` is the newest. UpdaterError when there is none."""
        rows = self.runs(limit=10_000)
        if run == "last":
            if rows:
                return rows[0]
            raise UpdaterError("there are no runs yet", where=str(self.state / "runs"), hint="`updater run` makes one")
        matching = [row for row in rows if row.run == run] or [row for row in rows if run and row.run.startswith(run)]
        if len(matching) == 1:
            return matching[0]
        raise UpdaterError(
            f"{'more than one run begins' if matching else 'there is no run'} with {run!r}",
            where=str(self.state / "runs"),
            hint="`updater runs` lists them",
        )

    # --------------------------------------------------------------------------------------------------- steps

    def started(self, run: str, step: str, /, **names: str) -> None:
        """Committed before the step acts. `names`: what it will create (containers, folders), so that it can be found."""
        self._set_step(run, step, "started", names)

    def done(self, run: str, step: str, output: Any = None) -> None:
        """Committed after the step's output is safely on disk."""
        if output is not None:
            self.keep(run, step, output)
        self._set_step(run, step, "done", None)

    def keep(self, run: str, name: str, noun: Any) -> None:
        """A noun for the commands that come later, whole or not at all; `output` reads it."""
        write_atomically(self._output_file(run, name), dump(noun))

    def steps(self, run: str) -> list[StepRow]:
        with self._engine.connect() as connection:
            rows = connection.execute(_steps.select().where(_steps.c.run == run).order_by(_steps.c.at)).mappings()
            return [
                StepRow(row["step"], row["status"], datetime.fromisoformat(row["at"]), json.loads(row["names"]))
                for row in rows
            ]

    def output(self, run: str, step: str, kind: type[T]) -> T:
        """What a done step gave. UpdaterError when it did not get that far."""
        path = self._output_file(run, step)
        try:
            return converter.structure(json.loads(path.read_bytes()), kind)
        except FileNotFoundError:
            raise UpdaterError(
                f"run {run} has no {step}", where=str(path), hint=f"`updater status {run}` shows how far it came"
            ) from None

    def has(self, run: str, step: str) -> bool:
        """Whether `output` finds it: a run that was killed left no record."""
        return self._output_file(run, step).exists()

    def _output_file(self, run: str, step: str) -> Path:
        return self.folder(run) / "steps" / f"{step}.json"

    def _set_step(self, run: str, step: str, status: str, names: Mapping[str, str] | None) -> None:
        values: dict[str, str] = {"status": status, "at": now().isoformat()}
        if names is not None:
            values["names"] = json.dumps(names)
        with self._engine.begin() as connection:
            where = (_steps.c.run == run) & (_steps.c.step == step)
            if connection.execute(_steps.update().where(where).values(**values)).rowcount == 0:
                connection.execute(_steps.insert().values(run=run, step=step, **({"names": "{}"} | values)))

    # ------------------------------------------------------------------------------------------- broken updates

    def broke(self, site: str, component: str, version: str, reason: str, run: str) -> BrokenUpdate:
        """Remember that this version broke the shop, and when it may be tried again: later each time (BACK_OFF)."""
        known = self.broken(site).get(component)
        tries = known.tries + 1 if known is not None and known.version == version else 1
        days = BACK_OFF[min(tries, len(BACK_OFF)) - 1]
        broken = BrokenUpdate(component, version, reason, run, tries, now() + timedelta(days=days) - _EARLY)
        with self._engine.begin() as connection:
            connection.execute(_broken.delete().where(_of(site, [component])))
            connection.execute(
                _broken.insert().values(
                    site=site,
                    component=component,
                    version=version,
                    reason=reason,
                    run=run,
                    tries=tries,
                    again=broken.again.isoformat(),
                )
            )
        return broken

    def broken(self, site: str) -> dict[str, BrokenUpdate]:
        """What is known to break this site's shop, by component."""
        with self._engine.connect() as connection:
            rows = connection.execute(_broken.select().where(_broken.c.site == site)).mappings()
            return {
                row["component"]: BrokenUpdate(
                    row["component"],
                    row["version"],
                    row["reason"],
                    row["run"],
                    row["tries"],
                    datetime.fromisoformat(row["again"]),
                )
                for row in rows
            }

    def mended(self, site: str, components: Iterable[str]) -> None:
        """Forget that these broke the shop: they passed."""
        self._write(_broken.delete().where(_of(site, components)))

    # ----------------------------------------------------------------------------------------------- approvals

    def approve(
        self,
        release: Release,
        judgement: Judgement,
        *,
        evidence_sha256: str,
        shown_sha256: str,
        person: str,
        lasts: timedelta,
    ) -> ApprovedRelease:
        """Record who approved which evidence. The only way to an ApprovedRelease.

        `shown_sha256` is the evidence that the person saw; `evidence_sha256` what lies on disk now. ApprovalRefused
        when they differ, or as `refuse_unless_waiting`, or when the run was approved before.
        """
        row = self.refuse_unless_waiting(release.run, judgement, lasts)
        if evidence_sha256 != shown_sha256:
            raise _refused(row.run, "the evidence on disk is not the evidence that was shown")
        at = now()
        approval = Approval(row.run, person, at, at + lasts, evidence_sha256, release.sha256)
        try:
            self._write(
                _approvals.insert().values(
                    run=approval.run,
                    person=person,
                    at=at.isoformat(),
                    expires=approval.expires.isoformat(),
                    evidence_sha256=evidence_sha256,
                    release_sha256=release.sha256,
                )
            )
        except sa.exc.IntegrityError:
            known = self.approval(row.run)
            raise ApprovalRefused(
                f"run {row.run} was approved already",
                cause=f"by {known.person} at {known.at:%Y-%m-%d %H:%M} UTC" if known else "",
                hint="`updater status` shows what became of it; `updater run` starts a fresh one",
            ) from None
        return ApprovedRelease(release, approval)

    def refuse_unless_waiting(self, run: str, judgement: Judgement, lasts: timedelta) -> RunRow:
        """As the function below, of a run in this journal. Asked before anything is connected."""
        row = self.find(run)
        refuse_unless_waiting(row, judgement, lasts)
        return row

    def withdraw(self, run: str) -> None:
        """Forget an approval that was not used: the promotion never touched production, or put it back before deciding."""
        self._write(_approvals.delete().where(_approvals.c.run == run))

    def approval(self, run: str) -> Approval | None:
        with self._engine.connect() as connection:
            row = connection.execute(_approvals.select().where(_approvals.c.run == run)).mappings().first()
        if row is None:
            return None
        return Approval(
            row["run"],
            row["person"],
            datetime.fromisoformat(row["at"]),
            datetime.fromisoformat(row["expires"]),
            row["evidence_sha256"],
            row["release_sha256"],
        )

    def _write(self, statement: sa.sql.expression.UpdateBase) -> None:
        with self._engine.begin() as connection:
            connection.execute(statement)


def refuse_unless_waiting(row: RunRow, judgement: Judgement, lasts: timedelta) -> None:
    """ApprovalRefused when the run did not pass, is not waiting, or waited too long."""
    if judgement.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        raise _refused(row.run, f"its verdict is {judgement.verdict}: {'; '.join(judgement.reasons)}")
    if row.state != "awaiting approval":
        raise _refused(row.run, f"it is {row.state}")
    if row.finished and row.finished - now() > _CLOCKS_DIFFER:
        raise _refused(
            row.run, f"it ended at {row.finished:%Y-%m-%d %H:%M} UTC, which is yet to come: set this machine's clock"
        )
    if row.finished and now() - row.finished > lasts:
        waited = f"it has waited since {row.finished:%Y-%m-%d %H:%M} UTC"
        raise _refused(row.run, f"{waited}, longer than policy.expires ({lasts.days} days)")


def _of(site: str, components: Iterable[str]) -> sa.ColumnElement[bool]:
    return (_broken.c.site == site) & _broken.c.component.in_(list(components))


def _refused(run: str, why: str) -> ApprovalRefused:
    return ApprovalRefused(f"run {run} cannot be approved", cause=why, hint="`updater run` starts a fresh one")


def _run_row(row: sa.RowMapping) -> RunRow:
    finished = row["finished"]
    return RunRow(
        row["run"],
        row["site"],
        datetime.fromisoformat(row["started"]),
        datetime.fromisoformat(finished) if finished else None,
        row["state"],
        row["exit_code"],
    )


@contextmanager
def _one_by_one(path: Path) -> Iterator[None]:
    """For a file's first opening: of two who read it and then would both switch it to WAL, SQLite turns one away at once."""
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _durable(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _holder(path: Path) -> str:
    """Who holds the lock. Between taking it and writing its name lies a moment, in which others may already ask."""
    for _ in range(40):
        if name := path.read_text(encoding="utf-8").strip():
            return name
        time.sleep(0.05)
    return ""


@contextmanager
def site_lock(state: Path, run: str) -> Iterator[None]:
    """One run at a time per `.updater/` folder. SiteLocked names the holder. Freed by the kernel when its holder dies."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state / "lock"
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SiteLocked(
                "another run works on this site",
                where=str(path),
                cause=_holder(path) or "it has not written its name yet",
                hint="wait for it, or end that process; the lock frees itself",
            ) from None
        stream.truncate(0)
        stream.write(
            f"run {run} by {getpass.getuser()} on {socket.gethostname()}, process {os.getpid()}, since {now():%Y-%m-%d %H:%M:%S} UTC\n"
        )
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
