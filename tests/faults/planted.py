"""Faults planted in a copy of the transaction: each must turn the harness red, or its green means nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import injuries
import points
from harness import Case

import updater

SCRIPT = "updater/production/transaction.sh"
HELPER = "updater/production/transaction.php"
_BACK = {point.name: point for point in points.WAY_BACK}
_THERE = {point.name: point for point in (*points.JOURNAL, *points.ACTS)}


@dataclass(frozen=True)
class Planted:
    """`edits`: file → (what stands there exactly once, what replaces it); `case` shows it, by a complaint that holds `says`."""

    name: str
    case: Case
    says: str
    edits: tuple[tuple[str, str, str], ...]

    @contextmanager
    def program(self) -> Iterator[Path]:
        """A folder with the faulty package."""
        with TemporaryDirectory(prefix="updater-planted-") as folder:
            shutil.copytree(
                Path(updater.__file__).parent, Path(folder, "updater"), ignore=shutil.ignore_patterns("__pycache__")
            )
            for name, right, wrong in self.edits:
                path = Path(folder, name)
                text = path.read_text()
                assert text.count(right) == 1, f"“{self.name}” can no longer be planted in {name}: {right!r}"
                path.write_text(text.replace(right, wrong))
            yield Path(folder)


PLANTED = (
    Planted(
        "no drain",
        # A slow order is past the gate while the tables are copied, and gone when the copies are put back.
        Case(injuries.PAUSE, _THERE["after “done dumped” is journaled"], check="fails", slow=5),
        "acknowledged orders are lost",
        (
            (SCRIPT, 'drain() { helper drain "$(text drain)"; }', "drain() { :; }"),
            # What it would lose is looked for once more, right before the migration.
            (SCRIPT, "[ ! -e plan/migration ] || helper unmoved", ":"),
        ),
    ),
    Planted(
        "no table drop",
        Case(injuries.CHECK_FAILS, check="fails"),
        "the tables are not those of the code",
        (
            (HELPER, "    foreach ($plan['created'] as $table) { run('DROP TABLE IF EXISTS ' . name($table)); }\n", ""),
            (HELPER, 'if (table_there($table)) { fail("the table $table is still there"); }', ""),
        ),
    ),
    Planted(
        "no opcache reset",
        Case(injuries.CHECK_FAILS, check="fails", migration=None),
        "the shop does not answer from its code",
        ((SCRIPT, "        helper opcache || return 1\n        journal 'done reset'", "        journal 'done reset'"),),
    ),
    Planted(
        "a decision taken twice",
        Case(injuries.AT_DEADLINE, migration=None, confirm=0.5),
        "decided twice",
        ((SCRIPT, 'ln "decision.$1" decided', 'cp "decision.$1" decided'),),
    ),
    Planted(
        "commit after the deadline",
        Case(injuries.AT_DEADLINE, migration=None, confirm=2.5),
        "committed after the deadline",
        (
            (SCRIPT, "confirm) if expired || ! begun checked; then", "confirm) if ! begun checked; then"),
            (SCRIPT, "        ! expired || { cause 'the deadline passed'; return 1; }\n", ""),
            (SCRIPT, "        elif expired; then", "        elif false; then"),
        ),
    ),
    Planted(
        "lock not released",
        Case(injuries.NOTHING, migration=None),
        "the lock is left",
        ((SCRIPT, '    [ "$(owner_run)" = "$NAME" ] || return 0\n', "    return 0\n"),),
    ),
    Planted(
        "gate in the database",
        # A row closes what reads it, and nothing else: the check of the closed shop meets an open page.
        Case(injuries.NOTHING, migration=None, expects="new"),
        "must be new",
        (
            (
                SCRIPT,
                '        put "$DOCROOT/$VALUE" 644 <"$entry/content" ||',
                "        printf \"REPLACE INTO shop_options VALUES ('closed', 'yes')\" | mariadb --defaults-extra-file=plan/my.cnf shop ||",
            ),
            (
                SCRIPT,
                '    last=$(find plan/gate -mindepth 1 -maxdepth 1 | sort -r)\n    for entry in $last; do\n        if exists "$entry/kept"',
                "    printf \"DELETE FROM shop_options WHERE k = 'closed'\" | mariadb --defaults-extra-file=plan/my.cnf shop\n"
                '    last=\n    for entry in $last; do\n        if exists "$entry/kept"',
            ),
        ),
    ),
    Planted(
        "half a folder swapped",
        Case(injuries.NOTHING, migration=None),
        "neither the old nor the new",
        (
            (
                SCRIPT,
                'mv -- "new/$n" "$live" 2>>log ||',
                '{ cp -a -- "new/$n" "$live" && rm -f -- "$live"/part1*; } 2>>log ||',
            ),
            (SCRIPT, 'helper verify "$side" && helper opcache', "helper opcache"),
        ),
    ),
)
