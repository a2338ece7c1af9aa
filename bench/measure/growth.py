"""How a run's time grows with a shop's files, its database and its pages: each step at three sizes of one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from live_server import LiveServer, running

from measure import filling, shop
from measure.capture import photographed
from measure.cloning import MEGABYTES_SQL, checkpointed, cloned
from measure.pairs import middle
from measure.table import Growth, Row
from updater.log import Silent
from updater.production.host import Host, connect
from updater.staging.stack import stage

ABOUT = "how time grows with files (1,000 to 16,000), database (10 to 240 MB) and pages (3 to 27)"
FILES = (1_000, 4_000, 16_000)
MEGABYTES = (10, 60, 240)
PAGES = (3, 9, 27)
SMALL_MEGABYTES = 1
PICTURES = 6
"""Every so many files one is a picture."""
AGAIN = 3
"""Measured so often, and the median taken, where it is short."""


def run() -> Row:
    with TemporaryDirectory(prefix="updater-bench-") as temporary:
        folder = Path(temporary)
        pages = _at_sizes("pages", "pages", PAGES, lambda size: _with_pages(folder / f"pages-{size}", size))
        (folder / "server").mkdir()
        with running(folder / "server") as live, connect(live.server) as host:
            database = _at_sizes("database", "MB", MEGABYTES, lambda size: _with_database(live, host, folder, size))
            live.root(filling.tables("shop_", SMALL_MEGABYTES))
            files = _at_sizes("files", "files", FILES, lambda size: _with_files(live, host, folder, size))
    return Row(
        title="How time grows",
        peer="",
        how="One of the three grows, the other two stay small: a server in a container over ssh with 300 files while the database grows, "
        f"{SMALL_MEGABYTES} MB of database while the files do (one in {PICTURES} a picture of 100 kB), pages of 2,500 px in two viewports "
        "from this machine, one in three of them changed. Where the updater runs as root, staging gives every file to the web server's user, "
        "so that a checkpoint holds an entry for each. "
        f"Medians of {AGAIN} for a second clone, the comparison with the server and going back to a checkpoint; the rest once.",
        lines=(),
        growths=(files, database, pages),
    )


def _at_sizes(
    what: str, unit: str, sizes: tuple[int, ...], measured: Callable[[int], tuple[float, Mapping[str, float]]]
) -> Growth:
    """`measured` makes that size and returns what it came to, and the seconds of each step."""
    came, seconds = [], []
    for size in sizes:
        reached, steps = measured(size)
        print(
            f"bench: {what}, {reached:,.0f} {unit}: " + ", ".join(f"{name} {it:.2f} s" for name, it in steps.items()),
            flush=True,
        )
        came.append(reached)
        seconds.append(steps)
    return Growth(what, unit, tuple(came), {name: tuple(steps[name] for steps in seconds) for name in seconds[0]})


def _with_database(live: LiveServer, host: Host, folder: Path, size: int) -> tuple[float, Mapping[str, float]]:
    live.root(filling.tables("shop_", size))
    reached = float(live.root(f'mariadb -N -e "{MEGABYTES_SQL}"'))
    taken = cloned(live, host, folder, f"database-{size}", "database-mirror")
    layout = replace(live.layout, volatile_tables=())
    with stage(live.site, taken.snapshot, layout, Silent()) as stack:
        made, restored = checkpointed(stack, AGAIN)
    return reached, {
        "dumped": taken.dump,
        "loaded": stack.timings["import"],
        "personal data scrubbed": stack.timings["scrub"],
        "checkpoint made": made,
        "checkpoint restored": restored,
    }


def _with_files(live: LiveServer, host: Host, folder: Path, size: int) -> tuple[float, Mapping[str, float]]:
    there = int(live.root("find /srv/shop -type f ! -path '*/plugins/*' ! -path '*/2026/*' | wc -l"))
    pictures = size // PICTURES
    live.root(filling.files(live.docroot, size - pictures - there, pictures))
    reached = int(live.root("find /srv/shop -type f | wc -l"))
    mirror = f"files-mirror-{size}"
    first = cloned(live, host, folder, f"files-{size}", mirror)
    again = [cloned(live, host, folder, f"files-{size}-{turn}", mirror) for turn in range(AGAIN)]
    layout = replace(live.layout, volatile_tables=())
    begun = time.monotonic()
    with stage(live.site, first.snapshot, layout, Silent()) as stack:
        staged = time.monotonic() - begun
        made, restored = checkpointed(stack, AGAIN)
    return reached, {
        "copied, the first time": first.files,
        "copied again, unchanged": middle(tuple(it.files for it in again)),
        "every code file compared with the server": middle(tuple(it.proof for it in again)),
        "staged": staged,
        "checkpoint made": made,
        "checkpoint restored": restored,
    }


def _with_pages(folder: Path, size: int) -> tuple[float, Mapping[str, float]]:
    """One in three changed; the long first page is left out, so that all are alike."""
    folder.mkdir()
    pages = [f"/page-{number}/" for number in range(2, size + 2)]
    banners = dict.fromkeys(pages[::3], "banner")
    with shop.serving() as before, shop.serving(looks=banners) as after:
        cost, told = photographed(folder, before, after, "noise", pages)
    changed = {place.split()[0] for place, status in told["statuses"].items() if status != "passed"}
    assert changed == set(banners), changed
    seconds = told["seconds"]
    return size, {
        "photographed three times": seconds["photographed"],
        "compared": seconds["compared"],
        "whole process": cost.wall,
    }
