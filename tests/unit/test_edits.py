"""Edits made by hand are told from the release they were made in: held with their diff, and what belongs to nobody stays."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from updater import edits
from updater.cms import wordpress
from updater.edits import Edits, Known
from updater.model import Component, Inventory, Plan, Update

CORE = Component("core", "wordpress", "WordPress", "6.1", True, "")
SHOP = Component("plugin", "shop", "Shop", "1.0", True, "plugins/shop")
UPDATE = Update("plugin", "shop", "Shop", "1.0", "1.1", Path("/p/shop-1.1.zip"), "0" * 64, "packages/")
CORE_UPDATE = Update("core", "wordpress", "WordPress", "6.1", "6.2", Path("/p/wordpress.zip"), "0" * 64, "packages/")
RELEASED = {"shop.php": "<?php // 1.0\n", "inc/cart.php": "<?php\nrun();\n", "a.txt": "a", "b.txt": "b"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A docroot whose plugin is exactly as it was released."""
    for name, text in RELEASED.items():
        put(tmp_path / "docroot", f"plugins/shop/{name}", text)
    return tmp_path / "docroot"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "shop-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("shop/", "")
        for name, text in RELEASED.items():
            archive.writestr(f"shop/{name}", text)
    return path


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(text.encode())


def respect(
    root: Path, known: Known | None, overwrite: Mapping[str, str] | None = None, update: Update = UPDATE
) -> Plan:
    plan = Plan(Inventory("fake", "6.1", "8.2", (CORE, SHOP)), (update,))
    return edits.respect(plan, root, {update.id: known} if known else {}, overwrite or {}, root.parent / "edits")


def of(package: Path) -> Known:
    return edits.of_package(package, wordpress.members(package, SHOP, {}))


def test_a_component_as_it_was_released_is_updated(root: Path, package: Path) -> None:
    plan = respect(root, of(package))
    assert plan.updates == (replace(UPDATE, carry=(), base=package),)
    assert (plan.held, plan.notes) == ((), ())


def test_an_update_that_would_overwrite_an_edit_is_held_with_its_diff(root: Path, package: Path) -> None:
    put(root, "plugins/shop/inc/cart.php", "<?php\nrun();\nour_discount();\n")
    plan = respect(root, of(package))
    assert plan.updates == ()
    (held,) = plan.held
    assert (held.slug, held.from_version, held.to_version) == ("shop", "1.0", "1.1")
    assert "edited by hand" in held.reason
    assert "inc/cart.php" in held.reason
    assert "policy.overwrite" in held.reason
    diff = (root.parent / "edits" / "plugin-shop.diff").read_text()
    assert "+our_discount();" in diff.splitlines()
    assert "-run();" not in diff.splitlines()


def test_a_released_file_that_somebody_deleted_is_an_edit(root: Path, package: Path) -> None:
    (root / "plugins/shop/a.txt").unlink()
    plan = respect(root, of(package))
    assert "a.txt" in plan.held[0].reason
    assert "-a" in (root.parent / "edits" / "plugin-shop.diff").read_text().splitlines()


def test_a_link_in_place_of_a_released_file_is_an_edit_and_is_not_followed(root: Path, package: Path) -> None:
    secret = root.parent / "secret"
    secret.write_text("do not show")
    (root / "plugins/shop/a.txt").unlink()
    (root / "plugins/shop/a.txt").symlink_to(secret)
    plan = respect(root, of(package))
    assert "a.txt" in plan.held[0].reason
    assert "do not show" not in (root.parent / "edits" / "plugin-shop.diff").read_text()


def test_edits_may_be_overwritten_when_site_yml_says_why(root: Path, package: Path) -> None:
    put(root, "plugins/shop/inc/cart.php", "<?php // ours\n")
    plan = respect(root, of(package), {"shop": "the fix is in 1.1"})
    (note,) = plan.notes
    assert [update.id for update in plan.updates] == ["plugin:shop"]
    assert "the fix is in 1.1" in note
    assert "inc/cart.php" in note


def test_line_ends_of_an_old_ftp_program_are_no_edit(root: Path, package: Path) -> None:
    put(root, "plugins/shop/inc/cart.php", RELEASED["inc/cart.php"].replace("\n", "\r\n"))
    assert respect(root, of(package)).held == ()


def test_files_of_neither_version_are_named_to_be_carried(root: Path, package: Path) -> None:
    put(root, "plugins/shop/config/our keys.php", "<?php // ours")
    plan = respect(root, of(package))
    (note,) = plan.notes
    assert plan.updates[0].carry == ("plugins/shop/config/our keys.php",)
    assert "config/our keys.php" in note


def test_without_the_installed_release_nothing_can_be_told_and_losses_are_named(root: Path) -> None:
    put(root, "plugins/shop/ours.php", "<?php // ours")
    plan = respect(root, None)
    assert plan.updates == (UPDATE,)
    assert plan.notes == ()
    (loss,) = edits.losses(plan.updates, plan.inventory, ["plugins/shop/ours.php", "plugins/shopping/other.php"])
    assert "1 file (ours.php)" in loss
    assert "zip of 1.0" in loss


def test_a_known_release_has_no_unknown_losses(root: Path, package: Path) -> None:
    plan = respect(root, of(package))
    assert edits.losses(plan.updates, plan.inventory, ["plugins/shop/a.txt"]) == ()


def test_another_program_of_that_name_and_version_is_not_taken_for_an_edited_one(root: Path) -> None:
    strangers = {name: (f"sha256:{hashlib.sha256(b'other').hexdigest()}",) for name in RELEASED}
    plan = respect(root, Known(strangers))
    (note,) = plan.notes
    assert plan.updates == (UPDATE,)
    assert "not the one released under that name" in note


def test_published_checksums_hold_an_edit_too_without_a_diff(root: Path) -> None:
    sums = {name: (f"md5:{hashlib.md5(text.encode()).hexdigest()}",) for name, text in RELEASED.items()}
    put(root, "plugins/shop/a.txt", "A")
    plan = respect(root, Known(sums))
    assert "a.txt" in plan.held[0].reason
    assert ".diff" not in plan.held[0].reason


def test_core_shares_its_folder_so_other_files_there_are_not_foreign(root: Path) -> None:
    put(root, "wp-load.php", "<?php // load")
    sums = {"wp-load.php": (f"sha256:{hashlib.sha256(b'<?php // load').hexdigest()}",)}
    assert edits.compare(root, sums, whole=False) == Edits()
    plan = respect(root, Known(sums), update=CORE_UPDATE)
    assert plan.updates == (replace(CORE_UPDATE, carry=()),)


def test_an_extension_without_a_folder_of_its_own_carries_nothing(root: Path, tmp_path: Path) -> None:
    put(root, "catalog/ribbon.css", "red")
    put(root, "catalog/of-the-core.php", "<?php")
    package = tmp_path / "ribbon.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("upload/catalog/ribbon.css", "red")
    known = edits.of_package(package, {"catalog/ribbon.css": "upload/catalog/ribbon.css"})
    ribbon = Component("plugin", "ribbon", "Ribbon", "1.0", True, "")
    update = replace(UPDATE, slug="ribbon")
    plan = Plan(Inventory("fake", "6.1", "8.2", (ribbon,)), (update,))
    respected = edits.respect(plan, root, {update.id: known}, {}, tmp_path / "edits")
    assert respected.updates == (replace(update, carry=(), base=package),)
    assert respected.notes == ()


def test_one_edited_core_file_is_named(root: Path) -> None:
    put(root, "wp-load.php", "<?php // hacked")
    put(root, "wp-blog.php", "<?php // blog")
    put(root, "wp-cron.php", "<?php // cron")
    sums = {
        name: (f"sha256:{hashlib.sha256(text).hexdigest()}",)
        for name, text in (("wp-load.php", b"<?php // load"), ("wp-blog.php", b"<?php // blog"), ("wp-cron.php", b"<?php // cron"))
    }  # fmt: skip
    plan = respect(root, Known(sums), update=CORE_UPDATE)
    assert "wp-load.php" in plan.held[0].reason
    assert "wp-blog.php" not in plan.held[0].reason
