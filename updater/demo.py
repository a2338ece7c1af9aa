"""`updater demo`: the whole pipeline on a real WordPress shop in a container; good updates deployed, a broken one caught."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from updater import config, pipeline
from updater.demo_shop import DemoShop
from updater.errors import ExitCode
from updater.journal import Journal
from updater.log import Progress
from updater.report.record import RunRecord

GOOD = ("wordpress", "akismet", "demo-shop-1.1", "demo-gallery-1.1")
BROKEN = ("demo-shop-1.2",)


def play(folder: Path, progress: Progress, *, keep: bool, say: Callable[[str], None]) -> int:
    """Both acts, then what production says of them. Returns 0 only when the good was deployed and the broken caught."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"A WordPress shop on its own server, behind ssh. Everything of it lies in {folder}\n")
    progress.step("start the shop")
    shop = DemoShop.start(folder, progress)
    try:
        site = config.load(shop.write_site(folder, GOOD))
        journal = Journal(site.state)
        say("\nAct 1: WordPress, Akismet and two plugins have updates.")
        good = pipeline.run(site, journal, progress)
        if good.exit_code == ExitCode.AWAITING_APPROVAL:
            good = pipeline.approve(
                site, journal, progress, good.run, person="the demo", shown_sha256=good.evidence_sha256
            )
        _tell(good, site.state, say)

        say("\nAct 2: the shop plugin has another update. Its script throws: “Place order” does nothing.")
        before = shop.code_sha256()
        shop.offer(*BROKEN)
        broken = pipeline.run(site, journal, progress)
        _tell(broken, site.state, say)
        untouched = shop.code_sha256() == before
        say(f"  production {'is byte for byte what it was' if untouched else 'CHANGED'}")
        journal.close()
        if keep:
            say(f"\nThe shop still runs at {shop.address}: {shop.how_to_look()}")
    finally:
        if not keep:
            shop.stop()
    held = good.state == pipeline.PROMOTED and broken.state == pipeline.REJECTED and untouched
    say("\nGood updates deployed, the broken one caught." if held else "\nThe demo did not end as it should.")
    return ExitCode.DONE if held else ExitCode.REJECTED


def _tell(record: RunRecord, state: Path, say: Callable[[str], None]) -> None:
    say(f"  {record.state}: " + ", ".join(f"{u.name} {u.from_version} → {u.to_version}" for u in record.updates))
    for reason in record.reasons:
        say(f"    {reason}")
    if record.outcome is not None:
        say(f"    the shop was closed for {record.outcome.closed_seconds:.1f} s")
    if record.error:
        say(f"    {record.error}")
    say(f"    report: {state / 'runs' / record.run / 'report.html'}")
