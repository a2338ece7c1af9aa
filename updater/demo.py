"""`updater demo`: the whole pipeline on a shop in a container; good updates deployed, broken ones held back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from updater import config, pipeline
from updater.demo_shop import DEFAULT, DemoShop
from updater.errors import ExitCode
from updater.journal import Journal
from updater.log import Progress
from updater.report.record import RunRecord


def play(folder: Path, progress: Progress, *, kind: str = DEFAULT, keep: bool, say: Callable[[str], None]) -> int:
    """Both acts, then what production says of them. Returns 0 only when the good was deployed and all that is broken held back."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    progress.step("start the shop")
    shop = DemoShop.start(folder, progress, kind=kind)
    script = shop.kind.demo
    assert script is not None, "cli.DEMOS lists those that have one"
    try:
        say(f"{script.opening} Everything of it lies in {folder}")
        site = config.load(shop.write_site(folder, script.offered))
        journal = Journal(site.state)
        say(f"\n{script.first}")
        batch = pipeline.run(site, journal, progress)
        if batch.exit_code == ExitCode.AWAITING_APPROVAL:
            batch = pipeline.approve(
                site, journal, progress, batch.run, person="the demo", shown_sha256=batch.evidence_sha256
            )
        _tell(batch, site.state, say)

        say(f"\n{script.second}")
        before = shop.code_sha256()
        shop.offer(script.newer)
        alone = pipeline.run(site, journal, progress)
        _tell(alone, site.state, say)
        untouched = shop.code_sha256() == before
        say(f"  production {'is byte for byte what it was' if untouched else 'CHANGED'}")
        journal.close()
        if keep:
            say(f"\nThe shop still runs at {shop.address}: {shop.how_to_look()}")
    finally:
        if not keep:
            shop.stop()
    held = [update.slug for update in batch.held_here]
    good = batch.state == pipeline.PROMOTED and held == [script.broken]
    as_told = good and alone.state == pipeline.REJECTED and untouched
    say("\nGood updates deployed, broken ones held back." if as_told else "\nThe demo did not end as it should.")
    return ExitCode.DONE if as_told else ExitCode.REJECTED


def _tell(record: RunRecord, state: Path, say: Callable[[str], None]) -> None:
    say(f"  {record.state}:")
    for update in record.updates:
        say(f"    {update.outcome}: {update.name} {update.from_version} → {update.to_version}")
        if update.reason:
            say(f"      {update.reason}")
    for search in record.searches:
        if search.trials:
            seconds = sum(tried.seconds for tried in search.trials)
            say(f"    {', '.join(search.broken)} was found in {len(search.trials)} trials, {seconds:.0f} s")
    if record.outcome is not None:
        say(f"    the shop was closed for {record.outcome.closed_seconds:.1f} s")
    if record.error:
        say(f"    {record.error}")
    say(f"    report: {state / 'runs' / record.run / 'report.html'}")
