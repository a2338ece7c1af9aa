"""Our reading of exclude patterns is rsync's own: the manifests and the copy must leave out the same files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from updater.production.patterns import excluded, literal

FILES = (
    "index.php",
    "debug.log",
    "a[1].php",
    "a1.php",
    "wp-content/cache/x/y.html",
    "wp-content/cached.php",
    "wp-content/plugins/shop/cache/z",
    "wp-content/plugins/shop/error.log",
    "backups/2024/full.zip",
    "deep/backups/other.zip",
    "star*.php",
    "starry.php",
    "new\nline.log",
)
PATTERNS = (
    "/wp-content/cache",
    "cache",
    "*.log",
    "/backups/",
    "backups/",
    "/wp-content/plugins/*/cache",
    "wp-content/**/error.log",
    "/backups/***",
    "**.zip",
    "a?.php",
    "a[0-9].php",
    "a[!2].php",
    "index.php/",
    "plugins/shop",
    literal("star*.php"),
    literal("a[1].php"),
    literal("wp-content/cache/"),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_leaves_out_what_rsync_leaves_out(pattern: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in FILES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    subprocess.run(["rsync", "-r", f"--exclude={pattern}", f"{source}/", f"{target}/"], check=True)
    out = excluded([pattern])
    assert {name for name in FILES if not out(name)} == {name for name in FILES if (target / name).is_file()}


def test_no_pattern_leaves_out_nothing() -> None:
    assert not any(map(excluded([]), FILES))
