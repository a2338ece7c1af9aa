"""A large dump into staging over two connections: every table once, and what needs them all afterwards."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from live_server import LiveServer
from test_hostile_server import copy, packed
from test_plain_host import KINDS, PROGRAMS, without_dump_client
from test_stack import make_layout, make_site, make_snapshot, run_name

from updater.errors import StagingFailed
from updater.log import Silent
from updater.production.host import Host
from updater.staging import database
from updater.staging.database import StagedDatabase
from updater.staging.stack import StackHandle, stage

# A child before its parent, rows without a key, and more tables than connections. What the client rounds is left out.
MORE = """
ALTER TABLE shop_kinds DROP COLUMN f;
CREATE TABLE shop_zz_parent (id INT PRIMARY KEY);
CREATE TABLE shop_a_child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES shop_zz_parent (id) ON DELETE CASCADE);
INSERT INTO shop_zz_parent VALUES (1), (2); INSERT INTO shop_a_child VALUES (7, 2), (8, 1);
CREATE TABLE shop_keyless (n INT); INSERT INTO shop_keyless SELECT seq % 7 FROM seq_1_to_5000;
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackHandle]:
    folder = tmp_path_factory.mktemp("stack")
    with stage(make_site(folder), make_snapshot(folder, run_name("load")), make_layout(), Silent()) as handle:
        yield handle


@pytest.fixture
def by_two(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Every dump counts as large. Whether two connections could load it, of each."""
    loaded: list[bool] = []
    read = StagedDatabase._read_by_two

    def noted(self: StagedDatabase, dump: Path, unpack: str, client: str) -> bool:
        loaded.append(read(self, dump, unpack, client))
        return loaded[-1]

    monkeypatch.setattr(database, "_LARGE", 0)
    monkeypatch.setattr(StagedDatabase, "_read_by_two", noted)
    return loaded


def in_database(staged: StackHandle, *command: str) -> str:
    done = subprocess.run(
        ["docker", "exec", staged.stack.database, *command], capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode().strip()


def test_every_table_comes_once_and_with_it_what_needs_them_all(
    live: LiveServer, host: Host, staged: StackHandle, tmp_path: Path, by_two: list[bool]
) -> None:
    load = 'printf "%s" "$SQL" | mariadb --default-character-set=utf8mb4 shop'
    for sql in (KINDS, PROGRAMS, MORE):
        live.root(load, SQL=sql)
    kinds = [line.split("\t") for line in live.root('mariadb -N shop -e "SHOW FULL TABLES"').splitlines()]
    volatile = {f"shop_{name}" for name in live.layout.volatile_tables}
    tables = [name for name, kind in kinds if kind == "BASE TABLE" and name not in volatile]
    sums = ["mariadb", "-N", "shop", "-e", f"CHECKSUM TABLE {','.join(tables)} EXTENDED"]
    shapes = [
        "mariadb-dump",
        "--no-data",
        "--routines",
        "--events",
        "--skip-comments",
        "shop",
        *(it[0] for it in kinds),
    ]
    told = [live.root(shlex.join(command)) for command in (sums, shapes)]
    for by in ("client", "php"):
        with without_dump_client(live) if by == "php" else nullcontext():
            snapshot = copy(live, host, tmp_path, by)
        for name, kind in kinds:
            in_database(
                staged, "mariadb", "shop", "-e", f"SET foreign_key_checks = 0; DROP {kind.split()[-1]} IF EXISTS {name}"
            )
        staged.database.load(snapshot.dump)
        for command, expected in zip((sums, shapes), told, strict=True):
            assert without_account(in_database(staged, *command)) == without_account(expected), by
        assert in_database(staged, "find", "/tmp", "-name", "updater-load-*") == ""
    assert by_two == [True, True]


def without_account(text: str) -> list[str]:
    """DEFINERs are left out of a clone, and PHP's dump tells all text in utf8mb4."""
    return [
        re.sub(r" AUTO_INCREMENT=\d+", "", line)
        for line in text.splitlines()
        if not re.search("DEFINER|SET character_set_|SET collation_connection", line)
    ]


# The first table is not done before the second is there: one connection alone would wait for itself.
TWO = """-- MariaDB dump 10.19
SET NAMES utf8mb4;
-- Table structure for table `sh_first`
CREATE TABLE sh_first AS SELECT CONNECTION_ID() AS id;
DELIMITER ;;
BEGIN NOT ATOMIC
  DECLARE n INT DEFAULT 0;
  WHILE n < 300 AND NOT EXISTS (SELECT * FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'sh_second') DO
    DO SLEEP(0.1); SET n = n + 1;
  END WHILE;
END;;
DELIMITER ;
-- rows
-- Table structure for table `sh_second`
CREATE TABLE sh_second AS SELECT CONNECTION_ID() AS id;
-- Final view structure for view `sh_both`
CREATE VIEW sh_both AS SELECT COUNT(DISTINCT id) AS connections FROM (SELECT * FROM sh_first UNION SELECT * FROM sh_second) AS it;
"""


def test_who_is_free_takes_the_next_table(staged: StackHandle, tmp_path: Path, by_two: list[bool]) -> None:
    more_than_a_pipe_holds = "-- rows\n" * 50_000
    staged.database.load(packed(tmp_path, TWO.replace("-- rows\n", more_than_a_pipe_holds)))
    assert staged.sql("SELECT connections FROM sh_both") == [("2",)]
    assert by_two == [True]


def test_what_two_cannot_load_is_loaded_by_one(
    staged: StackHandle, tmp_path: Path, by_two: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = "/CREATE TABLE sh_late/ { exit 1 } { print }"
    tables = "".join(
        f"-- Table structure for table `{name}`\nDROP TABLE IF EXISTS {name};\nCREATE TABLE {name} (a INT);\nINSERT INTO {name} VALUES (1);\n"
        for name in ("sh_early", "sh_late")
    )
    monkeypatch.setattr(database, "_READER", half)
    staged.database.load(packed(tmp_path, f"-- MySQL dump 10.13\n{tables}"))
    assert staged.sql("SELECT COUNT(*) FROM sh_early; SELECT COUNT(*) FROM sh_late") == [("1",), ("1",)]
    assert by_two == [False]


@pytest.mark.parametrize(
    "broken",
    ["-- Table structure for table `sh_x`\nCREATE TABLE sh_x (;\n", "CREATE VIEW sh_v AS SELECT * FROM sh_nothing;\n"],
)
def test_what_cannot_be_loaded_is_told_in_the_client_s_words(
    staged: StackHandle, tmp_path: Path, by_two: list[bool], broken: str
) -> None:
    with pytest.raises(StagingFailed, match="could not be loaded") as failed:
        staged.database.load(packed(tmp_path, f"-- MySQL dump 10.13\nSET NAMES utf8mb4;\n{broken}"))
    assert "SQL syntax" in failed.value.cause or "sh_nothing" in failed.value.cause
    assert by_two == [False]


def test_a_table_that_nobody_can_take_is_no_table_that_somebody_else_took(tmp_path: Path) -> None:
    reader = ["awk", "-v", f"place={tmp_path}/gone", "-v", "first=0", database._READER]
    done = subprocess.run(reader, input=TWO, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no table can be taken" in done.stderr
    assert "CREATE TABLE" not in done.stdout
