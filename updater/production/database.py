"""What the shop's database is and holds, asked through the server's own PHP with the shop's own credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from updater.model import Database, Installation
from updater.resources import package_text
from updater.secrets import register
from updater.shell import Shell, run_php

# Another shop's tables below our own prefix (`shop_` and `shop_old_`) repeat this many of our table names.
_ANOTHER_SHOP = 8

# What a promotion keeps of tables that it migrated (transaction.php): no part of any shop.
_COPY = re.compile(r"updater_[0-9a-f]{8}_[0-9]+[cb]")


@dataclass(frozen=True, slots=True)
class Table:
    """`type`: BASE TABLE or VIEW; `bytes`: data and indexes, as the server estimates them."""

    type: str
    engine: str | None
    bytes: int


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """One look at the database. `routines`: name → its body may be read (else a dump of it would fail)."""

    version: str
    flavour: str
    sql_mode: str
    socket: str
    charset: str
    collation: str
    tables: Mapping[str, Table]
    grants: tuple[str, ...]
    routines: Mapping[str, bool]
    events: tuple[str, ...]
    triggers: Mapping[str, str]
    """name → its table"""
    routine_kinds: Mapping[str, str] = field(default_factory=dict)
    """name → PROCEDURE or FUNCTION"""


def read_database(shell: Shell, installation: Installation) -> DatabaseFacts:
    """CommandFailed when the shop's credentials do not lead into its database."""
    told = _ask(shell, installation, ())
    flavour = "mariadb" if "mariadb" in f"{told['version']} {told['comment']}".lower() else "mysql"
    version = re.match(r"(?:5\.5\.5-)?(\d+(?:\.\d+)*)", told["version"])
    return DatabaseFacts(
        version=version.group(1) if version else told["version"],
        flavour=flavour,
        sql_mode=told["sql_mode"],
        socket=told["socket"],
        charset=told["charset"],
        collation=told["collation"],
        tables={name: Table(**facts) for name, facts in _mapping(told["tables"]).items()},
        grants=tuple(told["grants"]),
        routines={name: bool(readable) for name, readable, _kind in told["routines"]},
        events=tuple(told["events"]),
        triggers=dict(told["triggers"]),
        routine_kinds={name: kind for name, _readable, kind in told["routines"]},
    )


def read_schema(shell: Shell, installation: Installation, tables: Sequence[str]) -> dict[str, str]:
    """Table → sha256 of its `SHOW CREATE TABLE`, without AUTO_INCREMENT and DEFINER.

    A view that the database user may not read (no SHOW VIEW) is missing. CommandFailed for a table that cannot be read.
    """
    return dict(_mapping(_ask(shell, installation, tables)["definitions"]))


def own_tables(names: Iterable[str], prefix: str) -> tuple[str, ...]:
    """The site's tables: those with its prefix, without those of another shop whose prefix merely begins alike."""
    own = sorted(name for name in names if name.startswith(prefix) and not _COPY.fullmatch(name))
    nested = tuple(other_prefixes(own, prefix))
    return tuple(name for name in own if not name.startswith(nested)) if nested else tuple(own)


def other_prefixes(names: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Prefixes of other shops in the same database, inside our own prefix or beside it."""
    names = list(names)
    tails = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    counts: dict[str, int] = {}
    for name in names:
        for cut in (match.end() for match in re.finditer("_", name)):
            if name[:cut] != prefix and name[cut:] in tails:
                counts[name[:cut]] = counts.get(name[:cut], 0) + 1
    found = {other for other, count in counts.items() if count >= _ANOTHER_SHOP}
    if prefix:
        for name in names:
            if not name.startswith((prefix, *found)) and "_" in name:
                found.add(name[: name.index("_") + 1])
    return tuple(sorted(found))


def defaults_file(database: Database, socket: str) -> str:
    """The option file for the database's own client. `socket`: where `localhost` leads, as the server itself says."""
    register(database.password)
    lines = ["[client]", f"user={_option(database.user)}", f"password={_option(database.password)}"]
    if database.socket or (database.host == "localhost" and socket):
        lines.append(f"socket={_option(database.socket or socket)}")
    else:
        lines += [f"host={_option(database.host)}", f"port={database.port}"]
    return "\n".join(lines) + "\n"


def _option(value: str) -> str:
    """Quoted for an option file: backslash and double quote are escaped, a `#` inside quotes is no comment."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _ask(shell: Shell, installation: Installation, definitions: Sequence[str]) -> Any:
    database = installation.database
    register(database.password)
    request = {
        "database": {
            "name": database.name,
            "user": database.user,
            "password": database.password,
            "host": database.host,
            "port": database.port,
            "socket": database.socket,
        },
        "definitions": list(definitions),
    }
    return run_php(shell, installation.php, package_text("updater.production", "probe.php"), request)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
