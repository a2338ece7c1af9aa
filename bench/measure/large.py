"""`whole` on a shop of 9,000 files and 303 MB of database."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from measure import npm, whole
from measure.table import Row

ABOUT = (
    "a whole run and its deploy on a shop of 9,000 files and 303 MB of database, step by step, beside the same by hand"
)


def run() -> Row:
    npm.modules()
    with TemporaryDirectory(prefix="updater-bench-") as temporary:
        shop = whole.both(Path(temporary) / "shop", whole.OFFERED, fill=True)
    group = f"{whole.FILES:,} files, {whole.MEGABYTES} MB of database"
    return whole.row("A whole run and its deploy, a large shop", group, shop)
