"""A release and its approval, for tests of what is kept of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from updater.journal import Journal, now
from updater.model import ApprovedRelease, Judgement, Migration, MigrationStep, Release, Update, Verdict

PASSED = Judgement(Verdict("PASS"), ("every check passed",))


def a_release(run: str) -> Release:
    update = Update("plugin", "shop", "Shop", "1.0", "1.1", Path("/packages/shop-1.1.zip"), "ab" * 32, "packages/")
    migration = Migration(
        (MigrationStep("core", "<?php answer(array());"),), ("wp_options",), (), (), {"wp_options": "00"}, 1.5
    )
    return Release(
        run=run,
        site="shop",
        made=now(),
        updates=(update,),
        units=("wp-content/plugins/shop",),
        changed={"wp-content/plugins/shop/shop.php": ("a", "b"), "wp-content/plugins/shop/new.php": (None, "c")},
        archive=Path("/runs/release.tar"),
        migration=migration,
        schema_before={"wp_options": "00"},
        versions_before={"plugin:shop": "1.0"},
        rehearsed_seconds=3.0,
        sha256="ff" * 32,
    )


def approve(journal: Journal, release: Release, judgement: Judgement = PASSED, **changes: object) -> ApprovedRelease:
    settings = {"evidence_sha256": "e" * 64, "shown_sha256": "e" * 64, "person": "Anna", "lasts": timedelta(days=7)}
    return journal.approve(release, judgement, **(settings | changes))
