"""Personal data out of a staging database: declared columns are replaced by fakes, then everything is searched for more.

A fake has the shape of what it replaces and is made from a keyed hash of it: the same value gives the same fake in
every table, so that joins on an e-mail address still find each other, and nobody can turn it back.

A column is declared as `table.column`, without the table prefix, or, in a table of keys and values, as
`table.column[key_column=key]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from updater.errors import ConfigError

Query = Callable[[str], list[tuple[str, ...]]]

KINDS = ("email", "phone", "name", "address", "text")
_DECLARED = re.compile(r"(?P<table>[^.\[\]]+)\.(?P<column>[^.\[\]=]+)(?:\[(?P<key>[^=\]]+)=(?P<value>[^\]]*)\])?")

# No backslashes: they mean other things under NO_BACKSLASH_ESCAPES.
_EMAIL = "[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*[.][A-Za-z]{2,}"
_FAKE_EMAIL = "user-[0-9a-f]{12}@example[.]invalid"
_PHONE = (
    "(^|[^0-9A-Za-z+._-])([+][0-9]{1,3}|8)[ -]?[(]?[0-9]{3}[)]?[ -]?[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{2}([^0-9A-Za-z]|$)"
)
_PHONE_LENGTH = 24
_SERIALISED = "^([aOs]:[0-9]+:|[[{])"
"""Values whose inner lengths a replacement would break. They are left, and the search names them."""

_LATIN_NAMES = ("Alex", "Maria", "Victor", "Helen", "Robert", "Irene", "Simon", "Olga")
_CYRILLIC_NAMES = ("Алексей", "Мария", "Виктор", "Елена", "Роман", "Ирина", "Семён", "Ольга")


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column of this database. `where`: an SQL condition, '' for every row."""

    table: str
    column: str
    kind: str
    length: int
    where: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """Where personal data was found after the declared columns were scrubbed. `kind`: email or phone."""

    table: str
    column: str
    kind: str
    rows: int


def declared(personal: Mapping[str, str], extra: Sequence[str]) -> dict[str, str]:
    """The driver's columns and those of site.yml's `clone.scrub`, whose kind is told by the column's name."""
    return {**{name: _kind_by_name(name) for name in extra}, **personal}


def scrub(
    query: Query, tables: Iterable[str], prefix: str, personal: Mapping[str, str], secret: str
) -> tuple[Remaining, ...]:
    """Replace the declared columns in `tables`, then search every text column. Returns what remains, by table and column.

    A declared column that this shop does not have is passed over: drivers declare those of every version.
    """
    own = frozenset(tables)
    text, on_update = _text_columns(query, own), _on_update_columns(query, own)
    columns = _resolve(personal, prefix, text)
    updates = [
        statement
        for table in sorted({column.table for column in columns})
        for statement in statements(
            [column for column in columns if column.table == table], on_update.get(table, ()), secret
        )
    ]
    if updates:
        query(";\n".join(updates))
    return _search(query, text, columns)


def statements(columns: Sequence[Column], on_update: Sequence[str], secret: str) -> list[str]:
    """UPDATEs for the columns of one table. `on_update` columns keep their time: scrubbing is not a customer's edit."""
    made = []
    for column in columns:
        value = _name(column.column)
        fake = f"LEFT({_fake(column.kind, value, secret)}, {column.length})"
        kept = "".join(f", {_name(name)} = {_name(name)}" for name in on_update if name != column.column)
        condition = f"{value} <> ''" + (f" AND {column.where}" if column.where else "")
        made.append(f"UPDATE {_name(column.table)} SET {value} = {fake}{kept} WHERE {condition}")  # noqa: S608 - names quoted
    return made


def _kind_by_name(declared_name: str) -> str:
    name = declared_name.rpartition(".")[2].lower()
    for kind, words in {
        "email": ("mail",),
        "phone": ("phone", "tel", "mobile", "fax"),
        "address": ("addr", "street", "city", "zip", "post"),
        "name": ("name", "author"),
    }.items():
        if any(word in name for word in words):
            return kind
    return "text"


def _resolve(personal: Mapping[str, str], prefix: str, text: Mapping[str, Mapping[str, int]]) -> list[Column]:
    columns = []
    for name, kind in personal.items():
        parts = _DECLARED.fullmatch(name)
        if parts is None or kind not in KINDS:
            raise ConfigError(
                f"{name}: {kind} is not a column to scrub",
                hint=f"write `table.column` or `table.column[key_column=key]`; kinds: {', '.join(KINDS)}",
            )
        table = prefix + parts["table"]
        length = text.get(table, {}).get(parts["column"])
        if length is not None:
            where = f"{_name(parts['key'])} = {_text(parts['value'])}" if parts["key"] else ""
            columns.append(Column(table, parts["column"], kind, length, where))
    return columns


def _fake(kind: str, value: str, secret: str) -> str:
    """An SQL expression over the column `value`."""
    digest = f"SHA2(CONCAT({_text(secret)}, LOWER(TRIM({value}))), 256)"
    number = f"CONV(LEFT({digest}, 8), 16, 10)"
    cyrillic = f"{value} REGEXP '[А-Яа-яЁё]'"

    def one_of(words: Sequence[str]) -> str:
        return f"ELT(1 + {number} % {len(words)}, {', '.join(map(_text, words))})"

    if kind == "email":
        return f"CONCAT('user-', LEFT({digest}, 12), '@example.invalid')"
    if kind == "phone":
        return _fake_digits(value, digest)
    if kind == "name":
        word = f"IF({cyrillic}, {one_of(_CYRILLIC_NAMES)}, {one_of(_LATIN_NAMES)})"
        return (
            f"CONCAT({word}, '-', LEFT({digest}, 6), IF({value} LIKE '% %', IF({cyrillic}, ' Пробный', ' Sample'), ''))"
        )
    if kind == "address":
        street = f"CONCAT(IF({cyrillic}, 'Пробная-', 'Sample-'), LEFT({digest}, 6), ' ', 1 + {number} % 99)"
        return f"IF({value} REGEXP '[[:alpha:]]', {street}, {_fake_digits(value, digest)})"
    letters = f"REGEXP_REPLACE(REGEXP_REPLACE({value}, '[[:alpha:]@]', 'x'), '[0-9]', '0')"
    return f"IF({value} REGEXP '{_SERIALISED}', {value}, {letters})"


def _fake_digits(value: str, digest: str) -> str:
    """Every digit after the second character replaced, everything else in place: `+7 (9…) …` stays dialled that way."""

    def seventeen(start: int) -> str:  # 15 hexadecimal digits are at most 19 decimal ones; the first two are not random
        return f"RIGHT(LPAD(CONV(SUBSTR({digest}, {start}, 15), 16, 10), 19, '0'), 17)"

    digits = f"CONCAT({seventeen(1)}, {seventeen(16)})"
    replaced = ", ".join(
        f"IF(SUBSTR({value}, {place}, 1) REGEXP '[0-9]', SUBSTR({digits}, {place}, 1), SUBSTR({value}, {place}, 1))"
        for place in range(3, _PHONE_LENGTH + 1)
    )
    return f"CONCAT(LEFT({value}, 2), {replaced})"


def _search(query: Query, text: Mapping[str, Mapping[str, int]], scrubbed: Sequence[Column]) -> tuple[Remaining, ...]:
    """One pass over each table: how many rows of each text column hold an e-mail address, and a phone number."""
    places = [(table, column) for table, columns in sorted(text.items()) for column in sorted(columns)]
    if not places:
        return ()
    selects = []
    for table, columns in sorted(text.items()):
        counts = ", ".join(count for column in sorted(columns) for count in _counts(table, column, scrubbed))
        selects.append(f"SELECT {counts} FROM {_name(table)}")  # noqa: S608 - names quoted
    values = [value for row in query(";\n".join(selects)) for value in row]
    found = []
    for (table, column), emails, phones in zip(places, values[::2], values[1::2], strict=True):
        rows = {"email": int(float(emails)), "phone": int(float(phones))}
        found += [Remaining(table, column, kind, count) for kind, count in rows.items() if count]
    return tuple(found)


def _counts(table: str, column: str, scrubbed: Sequence[Column]) -> tuple[str, str]:
    """SQL that counts rows with an e-mail address that is no fake, and with a phone number; fakes of numbers look real."""
    value = _name(column)
    email = f"{value} LIKE '%@%' AND REGEXP_REPLACE({value}, '{_FAKE_EMAIL}', '') REGEXP '{_EMAIL}'"
    phone = f"{value} REGEXP '{_PHONE}'"
    for done in scrubbed:
        if (done.table, done.column) == (table, column) and done.kind in ("phone", "address"):
            phone += f" AND NOT ({done.where or 'TRUE'})"
        if (done.table, done.column) == (table, column) and done.kind == "text":
            # every digit became a 0: what still looks like a number is none
            phone += f" AND NOT (({done.where or 'TRUE'}) AND {value} NOT REGEXP '[1-9]')"
    return f"COALESCE(SUM({email}), 0)", f"COALESCE(SUM({phone}), 0)"


def _text_columns(query: Query, tables: frozenset[str]) -> dict[str, dict[str, int]]:
    """table → text column → longest value in characters. Generated columns follow by themselves."""
    columns: dict[str, dict[str, int]] = {}
    for table, column, length in query(
        "SELECT c.table_name, c.column_name, COALESCE(c.character_maximum_length, 65535) FROM information_schema.columns c "
        "JOIN information_schema.tables t USING (table_schema, table_name) WHERE c.table_schema = DATABASE() "
        "AND t.table_type = 'BASE TABLE' AND c.data_type IN ('char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext') "
        "AND c.extra NOT LIKE '%GENERATED%' ORDER BY 1, 2"
    ):
        if table in tables:
            columns.setdefault(table, {})[column] = int(length)
    return columns


def _on_update_columns(query: Query, tables: frozenset[str]) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for table, column in query(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND extra LIKE '%on update%'"
    ):
        if table in tables:
            columns.setdefault(table, []).append(column)
    return columns


def _name(identifier: str) -> str:
    return "`" + identifier.replace("`", "``") + "`"


def _text(value: str) -> str:
    """A string literal for a session without NO_BACKSLASH_ESCAPES."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
