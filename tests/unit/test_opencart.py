"""What the OpenCart driver decides without an OpenCart: packages, paths, the order of a migration, GitHub's format."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from updater.cms import opencart
from updater.cms.base import Offer, PackageInfo
from updater.errors import CommandFailed, PackageRefused, UpdateFailed
from updater.model import Component, Database, Installation, Inventory, Update
from updater.shell import Shell

PLACES = {"admin": "manage", "storage": "store-7f3a"}
FOUR = Installation(
    "opencart",
    "4.1.0.3",
    "/srv/shop",
    "php",
    "https://shop.example",
    Database("d", "u", "a secret", prefix="ocx_"),
    PLACES,
)
THREE = replace(FOUR, version="3.0.4.1")
CORE = Component("core", "opencart", "OpenCart", "4.1.0.3", True, "")
GIFT = Component("plugin", "gift", "Gift", "1.0", True, "extension/gift")
RIBBON = Component("plugin", "ribbon", "Ribbon", "1.0", True, "")
INVENTORY = Inventory("opencart", "4.1.0.3", "8.2.1", (CORE, GIFT), PLACES)
INSTALL_XML = "<modification><name>Ribbon</name><code>ribbon</code><version>1.1</version></modification>"


def package(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def release(path: Path, version: str = "4.1.0.4", prefix: str = "upload/", **more: str) -> Path:
    files = {
        "index.php": f"<?php\ndefine('VERSION', '{version}');\n",
        "admin/index.php": "<?php",
        "admin/config-dist.php": "",
        "system/startup.php": "<?php if (version_compare(phpversion(), '8.0.2', '<')) { exit(); }",
        "system/storage/vendor/autoload.php": "<?php",
        "system/storage/cache/index.html": "",
        "install/index.php": "<?php",
        "image/catalog/demo.jpg": "",
        "image/no_image.png": "",
        "robots.txt": "",
        **{f"install/controller/upgrade/upgrade_{number}.php": "<?php" for number in (1, 10, 2)},
        **{f"install/model/upgrade/{number}.php": "<?php" for number in (1006, 1000)},
        **more,
    }
    return package(path, {f"{prefix}{name}": text for name, text in files.items()})


def update(package: Path, kind: str = "core", slug: str = "opencart", to: str = "4.1.0.4") -> Update:
    return Update(kind, slug, slug, "1.0", to, package, "sha", "folder")


class Deaf:
    """A place where nothing may be run."""

    where = "nowhere"

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was called")


NOWHERE = cast(Shell, Deaf())

# ---------------------------------------------------------------------------------------------------------- packages


@pytest.mark.parametrize("prefix", ["upload/", "opencart-4.1.0.4/upload/", ""])
def test_a_release_is_known_by_its_index(tmp_path: Path, prefix: str) -> None:
    info = opencart.read_package(release(tmp_path / "any.zip", prefix=prefix))
    assert (info.kind, info.slug, info.version, info.requires_php) == ("core", "opencart", "4.1.0.4", "8.0.2")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("gift.ocmod.zip", "gift"),
        ("gift-1.1.ocmod.zip", "gift"),
        ("gift_v1.1.2.ocmod.zip", "gift"),
        ("gift.zip", "gift"),
        ("gift-wrap.ocmod.zip", "gift-wrap"),
    ],
)
def test_an_extension_of_4_is_known_by_the_name_of_its_zip(tmp_path: Path, name: str, code: str) -> None:
    archive = package(tmp_path / "kept-under-a-hash.zip", {"install.json": '{"name": "Gift wrap", "version": "1.1"}'})
    info = opencart.read_package(archive, name)
    assert info == PackageInfo("plugin", code, "Gift wrap", "1.1")


def test_an_extension_of_3_is_known_by_its_install_xml(tmp_path: Path) -> None:
    archive = package(
        tmp_path / "x.ocmod.zip", {"install.xml": INSTALL_XML, "upload/catalog/view/theme/ribbon.css": ""}
    )
    assert opencart.read_package(archive) == PackageInfo("plugin", "ribbon", "Ribbon", "1.1")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"readme.txt": ""}, "neither OpenCart nor an extension"),
        ({"install.json": "[]"}, "names no version"),
        ({"install.json": "{"}, "no JSON"),
        ({"install.json": '{"version": "1"}', "image/catalog/x.png": ""}, "outside its own folder"),
        ({"install.json": '{"version": "1"}', "../x.php": ""}, "climbs out"),
        ({"install.json": '{"version": "1"}', "ocmod/x.ocmod.xml": ""}, "brings a modification"),
        ({"install.xml": "<modification><code>x</code></modification>"}, "no code or no version"),
        ({"install.xml": "<modification>"}, "cannot be read"),
        ({"install.xml": INSTALL_XML, "install.sql": "DROP TABLE oc_order"}, "runs SQL or PHP of its own"),
        ({"install.xml": INSTALL_XML, "upload/config.php": "<?php"}, "own installer would not"),
        ({"install.xml": INSTALL_XML, "upload/image/catalog/x.png": ""}, "own installer would not"),
        ({"install.xml": INSTALL_XML.replace("ribbon", "../x")}, "no code"),
    ],
)
def test_a_bad_package_is_refused_by_name_and_reason(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    with pytest.raises(PackageRefused) as caught:
        opencart.read_package(package(tmp_path / "bad.ocmod.zip", files))
    assert reason in f"{caught.value.what} {caught.value.cause}"
    assert caught.value.where.endswith("bad.ocmod.zip")


@pytest.mark.parametrize("missing", ["install/", "system/storage/vendor/"])
def test_a_source_archive_without_patches_or_libraries_is_no_release(tmp_path: Path, missing: str) -> None:
    whole, torn = release(tmp_path / "whole.zip"), tmp_path / "torn.zip"
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(torn, "w") as into:
        for name in archive.namelist():
            if missing not in name:
                into.writestr(name, archive.read(name))
    with pytest.raises(PackageRefused, match="not a whole OpenCart"):
        opencart.read_package(torn)


@pytest.mark.parametrize(
    ("index", "slug", "name"),
    [
        ("define('VERSION', '3.0.3.7');\ndefine('VERSION_CORE', 'ocStore');", "ocstore", "ocStore"),
        ("define('VERSION', '2.3.0.2.3');", "ocstore", "ocStore"),
        ("define('VERSION', '2.3.0.2');", "opencart", "OpenCart"),
        ("define('VERSION', '3.0.3.7');", "opencart", "OpenCart"),
    ],
)
def test_ocstore_is_a_core_of_its_own(tmp_path: Path, index: str, slug: str, name: str) -> None:
    """Else OpenCart's releases, with which GitHub answers, would be laid over it."""
    info = opencart.read_package(release(tmp_path / "x.zip", **{"index.php": f"<?php\n{index}\n"}))
    assert (info.kind, info.slug, info.name) == ("core", slug, name)


def test_vqmod_is_counted_and_nothing_takes_it_away(tmp_path: Path) -> None:
    xml = {"upload/vqmod/xml/ribbon.xml": "<modification/>"}
    ribbon = update(package(tmp_path / "r.ocmod.zip", {"install.xml": INSTALL_XML, **xml}), "plugin", "ribbon", "1.1")
    core = update(release(tmp_path / "x.zip", "3.0.5.1"))
    with_vqmod = replace(THREE, places={**PLACES, opencart.VQMOD: '{"ribbon.xml": 2, "other.xml": 1}'})
    steps = opencart.migration(with_vqmod, [ribbon])
    assert "count what vQmod applies" in [step.name for step in steps]
    assert "vqmod/vqcache" in opencart.layout(NOWHERE, with_vqmod).caches
    for installation, what, reason in (
        (with_vqmod, core, "in which vQmod is installed"),
        (THREE, ribbon, "which this shop does not have"),
    ):
        with pytest.raises(UpdateFailed, match="is not installed") as caught:
            opencart.apply(NOWHERE, installation, what, "/tmp/package.zip")
        assert reason in caught.value.cause


def test_a_release_lands_in_the_sites_own_folders_and_leaves_what_is_the_sites(tmp_path: Path) -> None:
    found = opencart.members(release(tmp_path / "x.zip"), CORE, PLACES)
    assert found == {
        "index.php": "upload/index.php",
        "manage/index.php": "upload/admin/index.php",
        "system/startup.php": "upload/system/startup.php",
        "store-7f3a/vendor/autoload.php": "upload/system/storage/vendor/autoload.php",
        "image/no_image.png": "upload/image/no_image.png",
    }


@pytest.mark.parametrize(
    ("old", "new", "refused", "leaps"),
    [
        ("4.1.0.3", "4.1.0.4", False, False),
        ("4.0.2.3", "4.1.0.4", False, True),
        ("3.0.4.1", "3.0.5.1", False, False),
        ("3.0.5.1", "4.1.0.4", True, True),
        ("2.3.0.2.3", "3.0.5.1", True, True),
        ("2.3.0.2.3", "2.3.0.2.4", True, False),
    ],
)
def test_a_major_jump_is_told_from_a_point_release(old: str, new: str, refused: bool, leaps: bool) -> None:
    core = replace(CORE, version=old)
    assert bool(opencart.refuses(core, new)) is refused
    assert bool(opencart.leap(core, new)) is leaps
    assert not opencart.refuses(GIFT, "2.0")
    assert not opencart.leap(GIFT, "2.0")


def test_an_extension_of_4_lands_in_its_folder_and_one_of_3_all_over(tmp_path: Path) -> None:
    four = package(tmp_path / "gift.ocmod.zip", {"install.json": "{}", "catalog/a.php": ""})
    assert opencart.members(four, GIFT, PLACES) == {"install.json": "install.json", "catalog/a.php": "catalog/a.php"}
    three = package(
        tmp_path / "ribbon.ocmod.zip", {"install.xml": "", "upload/admin/a.php": "", "upload/catalog/b": ""}
    )
    assert opencart.members(three, RIBBON, PLACES) == {
        "manage/a.php": "upload/admin/a.php",
        "catalog/b": "upload/catalog/b",
    }


# --------------------------------------------------------------------------------------------------------- migration


def test_patches_run_in_numeric_order_and_the_last_step_verifies(tmp_path: Path) -> None:
    steps = opencart.migration(FOUR, [update(release(tmp_path / "x.zip"))])
    assert [step.name for step in steps] == [
        "note what is the shop's",
        "patch 1",
        "patch 2",
        "patch 10",
        "put back what is the shop's",
        "caches",
        "front page again",
        "verify",
    ]


def test_modifications_of_3_are_compiled_after_their_status_is_back(tmp_path: Path) -> None:
    ribbon = package(tmp_path / "ribbon.ocmod.zip", {"install.xml": INSTALL_XML})
    updates = [update(release(tmp_path / "x.zip", "3.0.5.1")), update(ribbon, "plugin", "ribbon", "1.1")]
    names = [step.name for step in opencart.migration(THREE, updates)]
    assert names == [
        "note what is the shop's",
        "patch 1000",
        "patch 1006",
        "put back what is the shop's",
        "rows of ribbon",
        "refresh modifications",
        "caches",
        "front page again",
        "verify",
    ]


def test_a_shop_without_updates_is_visited_and_nothing_is_compiled() -> None:
    for installation in (THREE, FOUR):
        assert [step.name for step in opencart.migration(installation, ())] == [
            "front page as a visitor",
            "caches",
            "front page again",
            "verify",
        ]


def test_secrets_in_migration_steps_are_not_in_their_repr() -> None:
    assert "secret" not in repr(opencart.migration(FOUR, ()))


# ------------------------------------------------------------------------------------------------- gate, units, release


def test_units_cover_every_changed_path_exactly_once_and_spare_what_is_the_sites() -> None:
    changed = [
        "index.php",
        "catalog/controller/checkout/cart.php",
        "catalog/view/new.css",
        "system/engine/action.php",
        "system/startup.php",
        "manage/controller/common/login.php",
        "manage/index.php",
        "extension/gift/catalog/product.php",
        "extension/gift/install.json",
        "store-7f3a/vendor/autoload.php",
        "store-7f3a/marketplace/gift.ocmod.zip",
        "store-7f3a/modification/catalog/shop.php",
        "image/no_image.png",
    ]
    units = opencart.units([], INVENTORY, changed)
    for path in changed:
        assert sum(path == unit or path.startswith(f"{unit}/") for unit in units) == 1, path
    kept = [*opencart.gate(FOUR).files, *opencart.gate(FOUR).kept.values()]
    for path in (*kept, "store-7f3a/cache/x", "store-7f3a/session/x", "image/catalog/x.jpg", "extension/other/x.php"):
        assert not any(path == unit or path.startswith(f"{unit}/") for unit in units), path


def test_the_gate_stands_in_for_both_configurations_and_holds_no_literal() -> None:
    gate = opencart.gate(FOUR)
    assert list(gate.files) == ["config.php", "manage/config.php"] == list(gate.kept)
    for path, text in gate.files.items():
        root = "dirname(__DIR__)" if path.startswith("manage/") else "__DIR__"
        assert f"file_get_contents({root} . '/{gate.token_file}')" in text
        assert f"fopen({root} . '/{gate.refused_file}', 'r+')" in text
        assert f"$_COOKIE['{gate.cookie}']" in text
        assert Path(gate.kept[path]).name in text
        assert "%ROOT%" not in text


# ----------------------------------------------------------------------------------------------------- GitHub's releases

RELEASES = [
    {
        "tag_name": "4.1.0.5-rc1",
        "prerelease": True,
        "assets": [{"browser_download_url": "https://github.com/x/opencart-4.1.0.5-rc1.zip"}],
    },
    {
        "tag_name": "4.1.0.4",
        "prerelease": False,
        "published_at": "2026-03-02T08:00:00Z",
        "assets": [
            {"browser_download_url": "https://github.com/opencart/opencart/releases/download/4.1.0.4/notes.txt"},
            {
                "browser_download_url": "https://github.com/opencart/opencart/releases/download/4.1.0.4/opencart-4.1.0.4.zip",
                "digest": "sha256:abc",
            },
        ],
    },
    {
        "tag_name": "3.0.4.1",
        "assets": [
            {
                "browser_download_url": "https://github.com/opencart/opencart/releases/download/3.0.4.1/opencart-3.0.4.1.zip"
            }
        ],
    },
    {"tag_name": "not-a-version", "assets": []},
]


def fetcher(data: object) -> object:
    def fetch(url: str, form: Mapping[str, str] | None) -> bytes:
        assert url == "https://mirror.example/repos/opencart/opencart/releases?per_page=100"
        assert form is None
        return data if isinstance(data, bytes) else json.dumps(data).encode()

    return fetch


def test_offers_are_read_as_github_writes_them() -> None:
    offers = opencart.offers(INVENTORY, fetcher(RELEASES), "https://mirror.example/", "https://files.example")
    place = "https://files.example/opencart/opencart/releases/download"
    assert [(it.info.version, it.url, it.checksum, it.released) for it in offers] == [
        ("4.1.0.4", f"{place}/4.1.0.4/opencart-4.1.0.4.zip", "sha256:abc", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("3.0.4.1", f"{place}/3.0.4.1/opencart-3.0.4.1.zip", None, None),
    ]


@pytest.mark.parametrize("data", [b"<html>sign in</html>", {"message": "API rate limit exceeded"}])
def test_an_answer_that_is_no_list_of_releases_is_an_error_and_not_no_updates(data: object) -> None:
    with pytest.raises(CommandFailed) as caught:
        opencart.offers(INVENTORY, fetcher(data), "https://mirror.example", None)
    assert "mirror.example" in caught.value.where


def test_a_download_that_was_altered_is_refused(tmp_path: Path) -> None:
    archive = release(tmp_path / "x.zip")
    offer = Offer(PackageInfo("core", "opencart", "OpenCart", "4.1.0.4"), "https://x.example", f"sha256:{'0' * 64}")

    def never(url: str, form: Mapping[str, str] | None) -> bytes:
        raise AssertionError(url)

    with pytest.raises(PackageRefused, match="wrong checksum"):
        opencart.verify_download(archive, offer, never)
    opencart.verify_download(archive, replace(offer, checksum=None), never)
