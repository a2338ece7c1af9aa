"""`updater demo`: the whole pipeline on a shop in a container; good updates deployed, broken ones held back.

A CMS that is advised on, and not deployed, ends its first act with the advice; the demo then does by hand what a person there would.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

from updater import config, pipeline
from updater.demo_shop import DEFAULT, DemoShop
from updater.errors import ApprovalRefused, ExitCode
from updater.journal import Journal
from updater.log import Progress
from updater.model import Site
from updater.report.record import RunRecord

Say = Callable[[str], None]


def play(folder: Path, progress: Progress, *, kind: str = DEFAULT, keep: bool, say: Say) -> int:
    """Both acts, then what production says of them. Returns 0 only when the good was deployed (or advised) and all that is broken
    held back."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    progress.step("start the shop")
    shop = DemoShop.start(folder, progress, kind=kind)
    script = shop.kind.demo
    assert script is not None, "cli.DEMOS lists those that have one"
    try:
        say(f"{script.opening} Everything of it lies in {folder}")
        site = config.load(shop.write_site(folder, ()))
        journal = Journal(site.state)
        say(f"\n{script.first}")
        shop.offer(*script.offered)
        before = shop.code_sha256()
        batch, refused = _approved(site, journal, progress, _run(site, journal, progress))
        _tell(batch, site.state, say)
        if refused:
            say(f"    `updater approve` refuses it: {refused}")
        good = batch.state == pipeline.PROMOTED
        if script.by_hand and refused:
            good = _untouched(shop, before, say)
            say(f"\nIts administrator does what was advised, on the live server:\n  {script.by_hand}")
            shop.typed(script.by_hand)
            shop.get(shop.kind.ready).raise_for_status()

        say(f"\n{script.second}")
        shop.offer(script.newer)
        before = shop.code_sha256()
        alone = _run(site, journal, progress)
        _tell(alone, site.state, say)
        untouched = _untouched(shop, before, say)
        journal.close()
        if keep:
            say(f"\nThe shop still runs at {shop.address}: {shop.how_to_look()}")
    finally:
        if not keep:
            shop.stop()
    held = [update.slug for update in batch.held_here]
    as_told = good and held == [script.broken] and alone.state == pipeline.REJECTED and untouched
    done = "advised on" if refused else "deployed"
    say(f"\nGood updates {done}, broken ones held back." if as_told else "\nThe demo did not end as it should.")
    return ExitCode.DONE if as_told else ExitCode.REJECTED


def _run(site: Site, journal: Journal, progress: Progress) -> RunRecord:
    """One run. Ctrl-C, which ends a run well, ends the demo as well: what comes next needs what came before."""
    record = pipeline.run(site, journal, progress)
    if record.exit_code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return record


def _approved(site: Site, journal: Journal, progress: Progress, run: RunRecord) -> tuple[RunRecord, str]:
    """The run as it stands once a person said yes to it, and why nobody may: '' where one may."""
    if run.exit_code != ExitCode.AWAITING_APPROVAL:
        return run, ""
    try:
        pipeline.waiting(site, journal, run.run)
    except ApprovalRefused as error:
        return run, error.cause
    shown = run.evidence_sha256
    return pipeline.approve(site, journal, progress, run.run, person="the demo", shown_sha256=shown), ""


def _untouched(shop: DemoShop, before: str, say: Say) -> bool:
    untouched = shop.code_sha256() == before
    say(f"  production {'is byte for byte what it was' if untouched else 'CHANGED'}")
    return untouched


def _tell(record: RunRecord, state: Path, say: Say) -> None:
    say(f"  {record.state}:")
    for update in record.updates:
        say(f"    {update.outcome}: {update.name} {update.from_version} → {update.to_version}")
        if update.reason:
            say(indent(update.reason, " " * 6))
    for search in record.searches:
        if search.trials:
            seconds = sum(tried.seconds for tried in search.trials)
            say(f"    {', '.join(search.broken)} was found in {len(search.trials)} trials, {seconds:.0f} s")
    if record.outcome is not None:
        say(f"    the shop was closed for {record.outcome.closed_seconds:.1f} s")
    if record.error:
        say(indent(record.error, " " * 4))
    say(f"    report: {state / 'runs' / record.run / 'report.html'}")
