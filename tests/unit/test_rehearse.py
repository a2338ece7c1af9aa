"""What an update changed is told from what the shop changes by itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from updater.errors import UpdateFailed
from updater.log import Silent
from updater.model import Database, Installation, Layout, MigrationStep, Update
from updater.shell import Completed
from updater.staging.rehearse import measure_noise, rehearse

LAYOUT = Layout(("uploads",), ("cache",), (), {}, "fake", ())
UPDATE = Update("plugin", "shop", "Shop", "1.0", "1.1", Path("/packages/shop-1.1.zip"), "0" * 64, "packages/")


@dataclass
class World:
    """Files and tables of a staged shop; tables are {primary key: row}."""

    files: dict[str, str]
    tables: dict[str, dict[str, str]]
    schema: dict[str, str]

    def copy(self) -> World:
        return World(dict(self.files), {name: dict(rows) for name, rows in self.tables.items()}, dict(self.schema))


@dataclass
class FakeStack:
    """A stack whose `php` is a Python function: it fails on any command that it does not expect."""

    world: World
    where: str = "staging"
    installation: Installation = field(
        default_factory=lambda: Installation(
            "fake", "1", "/srv/shop", "php", "https://shop.example", Database("d", "u", "p", prefix="t_")
        )
    )
    kept: dict[str, World] = field(default_factory=dict)
    visits: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 0,
        check: bool = True,
    ) -> Completed:
        if argv[0] == "rm":
            return Completed(tuple(argv), 0, b"", "")
        if argv[0] == "tar" and stdin:
            self.aside = {name: self.world.files[name] for name in stdin.decode().split("\0") if name}
            return Completed(tuple(argv), 0, b"", "")
        if argv[0] == "tar":
            assert "--skip-old-files" in argv
            self.world.files = self.aside | self.world.files
            return Completed(tuple(argv), 0, b"", "")
        assert argv[0] == "php", argv
        script = stdin.decode()
        if "entries" in script:
            entries = [
                [
                    base64.b64encode(path.encode()).decode(),
                    base64.b64encode(hashlib.sha256(text.encode()).hexdigest().encode()).decode(),
                ]
                for path, text in self.world.files.items()
            ]
            return self._answer({"entries": entries})
        self.visits.append(script)
        self.visit(script)
        return self._answer({"ok": True})

    def visit(self, script: str) -> None:
        """Every visit writes a log file and counts in t_options; a migration adds what its script names."""
        self.world.files["debug.log"] = self.world.files.get("debug.log", "") + "x"
        rows = self.world.tables["t_options"]
        rows["visits"] = rows["visits"] + "1"
        if script == "migrate the version":
            rows["version"] = "2"
        if script == "make a table":
            self.world.tables["t_new"], self.world.schema["t_new"] = {}, "new"

    def _answer(self, value: object) -> Completed:
        return Completed(
            ("php",), 0, b"\n--updater-answer--\n" + json.dumps(value).encode() + b"\n--updater-end--\n", ""
        )

    def put(self, local: Path, remote: str) -> None: ...

    def way_out(self) -> AbstractContextManager[None]:
        return nullcontext()

    def stream(self, argv: Sequence[str], into: BinaryIO, *, stdin: BinaryIO | None = None, timeout: float = 0) -> None:
        raise AssertionError("nothing is streamed here")

    def read(self, path: str) -> bytes:
        raise AssertionError(path)

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        raise AssertionError(path)

    def schema(self) -> dict[str, str]:
        return dict(self.world.schema)

    def checksums(self) -> dict[str, str]:
        return {name: json.dumps(rows, sort_keys=True) for name, rows in self.world.tables.items()}

    def row_hashes(self, table: str, where_not: Sequence[str]) -> dict[str, str]:
        return {key: value for key, value in self.world.tables[table].items() if key not in where_not}

    def sql(self, statement: str) -> list[tuple[str, ...]]:
        raise AssertionError(statement)

    def checkpoint(self, name: str) -> None:
        self.kept[name] = self.world.copy()

    def restore(self, name: str) -> None:
        self.world = self.kept[name].copy()


class FakeDriver:
    """Applies a package by writing one file; its migration is what the test says."""

    def __init__(self, *scripts: str, refuses: str = "", transient: str = "") -> None:
        self.scripts, self.refuses, self.transient = scripts, refuses, transient

    def apply(self, shell: FakeStack, installation: Installation, update: Update, package: str) -> str:
        if self.refuses:
            raise UpdateFailed("not installed", where="staging", cause=self.refuses, hint="hold it")
        shell.world.files = {name: text for name, text in shell.world.files.items() if not name.startswith("plugins/")}
        shell.world.files["plugins/shop.php"] = update.to_version
        if self.transient:
            shell.world.tables["t_options"][self.transient] = "set by the upgrader"
        return update.to_version

    def migration(self, installation: Installation, updates: Sequence[Update]) -> Sequence[MigrationStep]:
        return [MigrationStep("visit", "visit"), *(MigrationStep(s, s) for s in self.scripts if updates)]

    def noise_rows(self) -> Mapping[str, Sequence[str]]:
        return {"options": ("_transient",)}

    def staging_only(self) -> Sequence[str]:
        return ()


def a_trial(driver: FakeDriver, update: Update = UPDATE):
    world = World(
        {"index.php": "shop", "plugins/shop.php": "1.0", "plugins/keys.php": "ours"},
        {"t_options": {"version": "1", "visits": ""}, "t_posts": {"1": "a"}},
        {"t_options": "o", "t_posts": "p"},
    )
    stack = FakeStack(world)
    stack.checkpoint("clean")
    noise = measure_noise(stack, driver, LAYOUT, Silent())  # type: ignore[arg-type]
    assert stack.world.tables["t_options"]["visits"] == "", "the A/A must leave the clean shop"
    return rehearse(stack, driver, LAYOUT, noise, [update], Silent())  # type: ignore[arg-type]


def test_an_update_that_only_changes_code_needs_no_migration() -> None:
    trial = a_trial(FakeDriver())
    assert not trial.migration.needed
    assert trial.versions == {"plugin:shop": "1.1"}
    assert not trial.failure


def test_what_every_visit_writes_is_no_change() -> None:
    assert "debug.log" not in a_trial(FakeDriver()).code


def test_a_file_of_neither_version_stays_where_the_updater_empties_the_folder() -> None:
    kept = a_trial(FakeDriver(), replace(UPDATE, carry=("plugins/keys.php",)))
    assert kept.code["plugins/keys.php"] == hashlib.sha256(b"ours").hexdigest()
    assert "plugins/keys.php" not in a_trial(FakeDriver()).code


def test_a_carried_file_gives_way_to_one_that_the_new_version_brings() -> None:
    trial = a_trial(FakeDriver(), replace(UPDATE, carry=("plugins/shop.php",)))
    assert trial.code["plugins/shop.php"] == hashlib.sha256(b"1.1").hexdigest()


def test_a_row_changed_in_a_table_that_is_always_noisy_is_seen() -> None:
    assert a_trial(FakeDriver("migrate the version")).migration.changed_tables == ("t_options",)


def test_a_row_that_the_driver_calls_noise_is_no_migration() -> None:
    assert not a_trial(FakeDriver(transient="_transient")).migration.needed


def test_a_table_made_by_the_migration_is_named() -> None:
    assert a_trial(FakeDriver("make a table")).migration.created_tables == ("t_new",)


def test_an_update_that_cannot_be_applied_is_an_answer_not_a_crash() -> None:
    trial = a_trial(FakeDriver(refuses="Destination folder already exists."))
    assert trial.failure == "not installed (staging): Destination folder already exists."
