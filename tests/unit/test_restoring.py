"""From production back to a backup: which files come, which stay, and what is swapped to bring them."""

from __future__ import annotations

import gzip
from pathlib import Path

from updater import cms
from updater.model import Inventory, Layout
from updater.restoring import _write_dump, difference, units_of

LAYOUT = Layout(("wp-content/uploads",), ("wp-content/cache",), (), {}, "wordpress", ("wp-config.php",))
NOW = {
    "index.php": "1",
    "wp-config.php": "now",
    "evil.php": "e",
    "wp-content/plugins/tea/tea.php": "2",
    "wp-content/plugins/new/new.php": "n",
    "wp-content/uploads/old.jpg": "defaced",
    "wp-content/uploads/later.jpg": "l",
    "wp-content/uploads/2026/logo.php": "shell",
    "wp-content/uploads/.htaccess": "runs it",
    "wp-content/empty": "dir",
    "logs/now.log": "x",
}
THEN = {
    "index.php": "1",
    "wp-config.php": "then",
    "wp-content/plugins/tea/tea.php": "1",
    "wp-content/plugins/tea/inc/gone.php": "g",
    "wp-content/plugins/lost/lost.php": "x",
    "wp-content/mu-plugins/sub/must.php": "m",
    "wp-content/uploads/old.jpg": "o",
    "wp-content/uploads/2024/01/lost.jpg": "u",
}


def test_code_goes_back_whole_and_of_uploads_what_is_missing_altered_or_would_be_run() -> None:
    found = difference(NOW, THEN, LAYOUT, ["wp-content/cache", "*.log"])
    assert found == {
        "evil.php": ("e", None),
        "wp-content/mu-plugins/sub/must.php": (None, "m"),
        "wp-content/plugins/lost/lost.php": (None, "x"),
        "wp-content/plugins/new/new.php": ("n", None),
        "wp-content/plugins/tea/inc/gone.php": (None, "g"),
        "wp-content/plugins/tea/tea.php": ("2", "1"),
        "wp-content/uploads/.htaccess": ("runs it", None),
        "wp-content/uploads/2024/01/lost.jpg": (None, "u"),
        "wp-content/uploads/2026/logo.php": ("shell", None),
        "wp-content/uploads/old.jpg": ("defaced", "o"),
    }


def test_a_unit_brings_the_first_missing_folder_above_it() -> None:
    changed = difference(NOW, THEN, LAYOUT, ["*.log"])
    units = units_of(cms.driver("wordpress"), Inventory("wordpress", "6.8", "8.2", ()), changed, NOW)
    assert units == (
        "evil.php",
        "wp-content/mu-plugins",
        "wp-content/plugins/lost",
        "wp-content/plugins/new",
        "wp-content/plugins/tea",
        "wp-content/uploads/.htaccess",
        "wp-content/uploads/2024",
        "wp-content/uploads/2026/logo.php",
        "wp-content/uploads/old.jpg",
    )
    assert all(any(path == unit or path.startswith(f"{unit}/") for unit in units) for path in changed)


def test_two_equal_trees_leave_nothing_to_swap() -> None:
    assert difference(THEN, THEN, LAYOUT, []) == {}


def test_the_dump_takes_no_locks_and_drops_what_the_backup_does_not_know(tmp_path: Path) -> None:
    source, target = tmp_path / "a.sql", tmp_path / "a.sql.gz"
    rows = b"INSERT INTO `t` VALUES (1,'LOCK TABLES `t` WRITE;\\nUNLOCK TABLES;');\n"
    source.write_bytes(b"-- head\nLOCK TABLES `t` WRITE;\n" + rows + b"UNLOCK TABLES;\n-- end\n")
    _write_dump(source, ["sh_`odd"], target)
    assert gzip.decompress(target.read_bytes()) == (
        b"SET FOREIGN_KEY_CHECKS = 0;\nDROP TABLE IF EXISTS `sh_``odd`;\n-- head\n" + rows + b"-- end\n"
    )
    assert target.stat().st_mode & 0o077 == 0
