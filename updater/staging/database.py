"""A stack's MariaDB: production's names and settings, the dump loaded without privileges, and what its tables hold."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.models.containers import Container

from updater.errors import CommandFailed, StagingFailed
from updater.model import Database, Platform
from updater.staging.container import checked, execute, logs, put_files

_CREDENTIALS = "/run/updater/site.cnf"
_NOBODY = 65534
_DECOMPRESS = {".zst": "zstd -dc", ".gz": "gzip -dc", ".sql": "cat"}
_START_SECONDS = 60
_IMPORT_SECONDS = 7200.0
_LARGE = 4 << 20
"""Bytes of a packed dump; below that one connection loads it in about a second"""

# One of several readers of the same dump: it prints its session's settings, and of the tables those that no other reader has taken;
# its pipe is full until its client is done with the last one, so who is free takes the next. What needs all tables (views, routines,
# events) is kept for later by the first. The dump's own comments part it: mariadb-dump and mysqldump write no line of data that begins so.
_READER = r"""
BEGIN { others = place "/others"; if (first) printf "" > others }
/^-- (MariaDB|MySQL) dump / { of = "session" }
/^-- Table structure for table / {
    taken = place "/" ++n
    of = system("mkdir " taken " 2>/dev/null") == 0 ? "mine" : "another"
    if (of == "another" && system("test -d " taken) != 0) { print "no table can be taken: is the disk full?" > "/dev/stderr"; exit 1 }
}
/^-- (Sequence structure|Temporary (table|view) structure|Final view structure|Dumping (routines|events)) / { of = "" }
/^\/\*!40103 SET TIME_ZONE=@OLD_TIME_ZONE/ { of = "" }
of == "mine" || of == "session" { print }
first && (of == "" || of == "session") { print > others }
"""
_NOT_SCHEMA = re.compile(r" AUTO_INCREMENT=\d+| DEFINER=`(?:[^`]|``)*`@`(?:[^`]|``)*`")
"""Differs between two copies of one shop: the same is taken out of what the clone reads on production."""
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}

_CLIENT = (
    "mariadb",
    f"--defaults-extra-file={_CREDENTIALS}",
    "--default-character-set=utf8mb4",
    # No client command of a hostile dump (`\\!`, `source`, `tee`) is obeyed: only SQL reaches the server.
    "--binary-mode",
    "--local-infile=0",
    "--max-allowed-packet=1G",
)


def server_command(platform: Platform, database: Database) -> list[str]:
    """The server with production's port, SQL mode and character set. Relaxed durability is in stacks/database/stack.cnf."""
    command = ["mariadbd", "--user=mysql", f"--port={database.port}", f"--sql-mode={platform.sql_mode}"]
    if platform.charset:
        command.append(f"--character-set-server={platform.charset}")
    if platform.collation:
        command.append(f"--collation-server={platform.collation}")
    return command


class StagedDatabase:
    """The database container of one stack, spoken to by its own client."""

    def __init__(self, client: docker.DockerClient, container: Container, database: Database) -> None:
        self._client = client
        self._container = container
        self._id = str(container.id)
        self._database = database

    def wait(self) -> None:
        """Until the server answers. StagingFailed with its log when it does not within a minute."""
        script = (
            f"for i in $(seq {_START_SECONDS * 10}); do mariadb-admin ping --silent && exit 0; sleep 0.1; done; exit 1"
        )
        try:
            answered = execute(self._client, self._id, ["sh", "-c", script], timeout=_START_SECONDS + 30).exit_code == 0
            cause = ""
        except CommandFailed as error:
            answered, cause = False, error.cause
        if not answered:
            raise StagingFailed(
                "staging's database does not answer",
                where=str(self._container.name),
                cause=f"{cause}\n{logs(self._container)}".strip(),
                hint="raise `stack.memory` in site.yml if it was killed; otherwise read its log above",
            )

    def create(self, platform: Platform) -> None:
        """Production's database, user and password. The user may do anything inside that database and nothing outside it."""
        name = _identifier(self._database.name)
        user = _literal(self._database.user)
        password = _literal(self._database.password)
        charset = f" CHARACTER SET {platform.charset}" if platform.charset else ""
        collation = f" COLLATE {platform.collation}" if platform.collation else ""
        granted = "`" + re.sub(r"([_%\\])", r"\\\1", self._database.name.replace("`", "``")) + "`"
        statements = ["SET SESSION sql_mode = ''", f"CREATE DATABASE {name}{charset}{collation}"]
        for host in ("'%'", "'localhost'"):
            if self._database.user == "root" and host == "'localhost'":  # our own way in stays open beside the site's
                statements.append(
                    f"ALTER USER root@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD({password})"
                )
                continue
            statements.append(f"CREATE OR REPLACE USER {user}@{host} IDENTIFIED BY {password}")
            statements.append(f"GRANT ALL PRIVILEGES ON {granted}.* TO {user}@{host}")
        checked(
            execute(
                self._client,
                self._id,
                ["mariadb", "--binary-mode"],
                stdin=(";\n".join(statements) + ";\n").encode(),
            ),
            str(self._container.name),
            "production's database user could not be made in staging",
        )
        secret = self._database.password.replace("\\", "\\\\").replace('"', '\\"')
        credentials = f'[client]\nuser="{self._database.user}"\npassword="{secret}"\nsocket=/run/mysqld/mysqld.sock\nlocal-infile=0\n'
        put_files(self._container, {_CREDENTIALS: credentials.encode()}, mode=0o400, uid=_NOBODY, gid=_NOBODY)

    def load(self, dump: Path) -> None:
        """The dump, read by the server's own client as nobody; a large one's tables over two connections.

        StagingFailed with the client's words; partly loaded then.
        """
        decompress = _DECOMPRESS.get(dump.suffix)
        if decompress is None:
            raise StagingFailed(
                f"{dump.name}: unknown kind of dump", where=str(dump), hint="a dump ends in .sql.zst or .sql.gz"
            )
        unpack = f"set -o pipefail; {decompress}"
        client = " ".join(
            [
                *_CLIENT,
                "--init-command='SET foreign_key_checks = 0, unique_checks = 0'",
                f"-- {_shell_quoted(self._database.name)}",
            ]
        )
        try:
            if dump.stat().st_size < _LARGE or not self._read_by_two(dump, unpack, client):
                self._read(dump, f"{unpack} | {client}")
        except (CommandFailed, OSError) as error:
            raise StagingFailed(
                "the dump could not be loaded into staging's database",
                where=str(dump),
                cause=error.cause if isinstance(error, CommandFailed) else str(error),
                hint="clone again: `updater run SITE`",
            ) from error

    def _read_by_two(self, dump: Path, unpack: str, client: str) -> bool:
        """False when it failed: the dump begins each table by dropping it, so that one connection can read it all after that."""
        place = f"/tmp/updater-load-{secrets.token_hex(8)}"  # noqa: S108  # in the container, and nobody knows its name
        readers = [f"{unpack} | awk -v place={place} -v first={n} '{_READER}' | {client}" for n in (1, 0)]
        try:
            self._read(None, f"mkdir {place}")
            with ThreadPoolExecutor(len(readers)) as pool:
                for _ in pool.map(lambda script: self._read(dump, script), readers):
                    pass
            self._read(None, f"{client} <{place}/others && rm -r {place}")
        except CommandFailed:
            return False
        return True

    def _read(self, dump: Path | None, script: str) -> None:
        """The script by the server's nobody, with the dump as its input. CommandFailed."""
        with (dump or Path("/dev/null")).open("rb") as stream:
            command = ["bash", "-c", script]
            done = execute(self._client, self._id, command, stdin=stream, user="nobody", timeout=_IMPORT_SECONDS)
        checked(done, str(dump))

    def sql(self, statement: str) -> list[tuple[str, ...]]:
        """Rows of one or several statements, as the site's own user; all values as text, NULL as `NULL`.

        CommandFailed with the server's words. Bytes that are no UTF-8 come back surrogate-escaped.
        """
        completed = checked(
            execute(
                self._client,
                self._id,
                [*_CLIENT, "--batch", "--skip-column-names", self._database.name],
                stdin=statement.encode("utf-8", "surrogateescape") + b"\n",
                user="nobody",
                timeout=1800,
            ),
            "staging's database",
            f"SQL failed: {statement[:200]}",
        )
        text = completed.stdout.decode("utf-8", "surrogateescape")
        return [tuple(_unescaped(value) for value in line.split("\t")) for line in text.split("\n")[:-1]]

    def tables(self, *, views: bool = False) -> list[str]:
        """The site's own tables: those with its prefix, `views` too when asked for."""
        kinds = "'BASE TABLE', 'VIEW'" if views else "'BASE TABLE'"
        prefix = self._database.prefix
        rows = self.sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "  # noqa: S608 - quoted
            f"AND table_type IN ({kinds}) AND LEFT(table_name, {len(prefix)}) = {_literal(prefix)} ORDER BY 1"
        )
        return [row[0] for row in rows]

    def schema(self) -> dict[str, str]:
        """table or view → sha256 of its SHOW CREATE TABLE without AUTO_INCREMENT and DEFINER."""
        tables = self.tables(views=True)
        if not tables:
            return {}
        rows = self.sql("".join(f"SHOW CREATE TABLE {_identifier(table)};\n" for table in tables))
        return {
            table: hashlib.sha256(_NOT_SCHEMA.sub("", definition).encode("utf-8", "surrogateescape")).hexdigest()
            for table, definition, *_character_set_of_a_view in rows
        }

    def checksums(self) -> dict[str, str]:
        """table → CHECKSUM TABLE."""
        tables = self.tables()
        if not tables:
            return {}
        rows = self.sql("CHECKSUM TABLE " + ", ".join(map(_identifier, tables)))
        return dict(zip(tables, (row[1] for row in rows), strict=True))

    def row_hashes(self, table: str, where_not: Sequence[str]) -> dict[str, str]:
        """Primary key (values joined by `|`) → hash of the row, without rows that meet one of the SQL conditions.

        A table without a primary key: hash of the row → how many rows have it.
        """
        columns = self.sql(
            "SELECT c.column_name, COALESCE(k.ordinal_position, 0) FROM information_schema.columns c "  # noqa: S608 - quoted
            "LEFT JOIN information_schema.key_column_usage k ON k.table_schema = c.table_schema AND k.table_name = c.table_name "
            "AND k.column_name = c.column_name AND k.constraint_name = 'PRIMARY' "
            f"WHERE c.table_schema = DATABASE() AND c.table_name = {_literal(table)} ORDER BY c.ordinal_position"
        )
        keys = [name for name, place in sorted(columns, key=lambda row: int(row[1])) if place != "0"]
        values = ", ".join(f"IFNULL(HEX(CAST({_identifier(name)} AS BINARY)), '~')" for name, _place in columns)
        row = f"SHA1(CONCAT_WS(',', {values}))"
        condition = " AND ".join(f"NOT COALESCE(({unwanted}), FALSE)" for unwanted in where_not) or "TRUE"
        if keys:
            key = f"CONCAT_WS('|', {', '.join(map(_identifier, keys))})"
            statement = f"SELECT {key}, {row} FROM {_identifier(table)} WHERE {condition}"  # noqa: S608 - names quoted
        else:
            statement = f"SELECT {row}, COUNT(*) FROM {_identifier(table)} WHERE {condition} GROUP BY 1"  # noqa: S608
        return {row[0]: row[1] for row in self.sql(statement)}


def missing_tables(wanted: Mapping[str, str], loaded: Sequence[str]) -> list[str]:
    """Tables of the snapshot that the import did not bring."""
    return sorted(set(wanted) - set(loaded))


def _identifier(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(value: str) -> str:
    """A string literal for a session without NO_BACKSLASH_ESCAPES."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _shell_quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _unescaped(value: str) -> str:
    """A value as the client's batch output writes it."""
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), value) if "\\" in value else value
