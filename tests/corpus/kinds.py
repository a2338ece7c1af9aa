"""The shops that the corpus knows, and how an update of each is made of a case's edits: one small function per shop.

A unit is what has a version of its own: a plugin, an extension, the CMS itself, a module. A case names files by `<unit>/<path>`, the
path as the unit's package has it. No knowledge of a CMS stands anywhere else in the harness.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from updater.cms.bitrix import write_pins
from updater.demo_shop import DOCROOT, DemoShop

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo"
INSTALLED = "1.0"
"""What is installed of the units that stand in this repository"""

Text = str | bytes
Tree = dict[str, Text]
"""Path in the unit's package → content; bytes where it is no text"""
Edit = Callable[[str, str, str], None]
"""path, as it is, as it becomes"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A shop of demo/. `releases`: packages of its image that a case may change or that the updater compares with."""

    title: str
    unit: str
    """What a case updates that touches no file"""
    base: Callable[[str, Path], Tree]
    """unit, folder with `releases` → its new version before any edit. FileNotFoundError when there is no such unit."""
    raise_version: Callable[[str, str, Tree], Mapping[str, tuple[str, str]]]
    """unit, version, tree → path → (as it is, as it becomes)"""
    packages: Callable[[str, str, Tree, Path], Mapping[str, bytes]]
    """unit, version, tree, folder with `releases` → name → package, for a source of updates"""
    releases: tuple[str, ...] = ()
    prepare: Callable[[DemoShop], None] = lambda _: None
    serve: Callable[[DemoShop, str, Tree], None] = lambda *_: None
    """shop, unit, tree: where packages alone do not bring the update"""
    along: tuple[str, ...] = ()
    """Units that every update brings along"""
    states: str = ""
    """Where a file of `shops/` goes, below the docroot"""


def read(folder: Path) -> Tree:
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    return {
        path.relative_to(folder).as_posix(): _text(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def zipped(tree: Mapping[str, Text]) -> bytes:
    """The same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in tree.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), content)
    return stream.getvalue()


def _text(content: bytes) -> Text:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


def _unzipped(path: Path) -> Tree:
    with zipfile.ZipFile(path) as archive:
        return {name: _text(archive.read(name)) for name in archive.namelist() if not name.endswith("/")}


# ------------------------------------------------------------------------------------------------------------- WordPress


def _plugin(unit: str, releases: Path) -> Tree:
    below = read(DEMO / "plugins" / unit / INSTALLED)
    return {path.removeprefix(f"{unit}/"): content for path, content in below.items()}


def _plugin_version(unit: str, version: str, tree: Tree) -> Mapping[str, tuple[str, str]]:
    return {f"{unit}.php": (f" * Version: {INSTALLED}\n", f" * Version: {version}\n")}


def _plugin_package(unit: str, version: str, tree: Tree, releases: Path) -> Mapping[str, bytes]:
    return {f"{unit}-{version}.zip": zipped({f"{unit}/{path}": content for path, content in tree.items()})}


# -------------------------------------------------------------------------------------------------------------- OpenCart

CORE = "opencart"


def _part(unit: str, releases: Path) -> Tree:
    """An extension as it is installed, or the next release of OpenCart."""
    if unit != CORE:
        return read(DEMO / "opencart-twin" / "extensions" / unit / INSTALLED)
    return {path.removeprefix("upload/"): text for path, text in _unzipped(_newest(releases)).items()}


def _newest(releases: Path) -> Path:
    return max(releases.glob(f"{CORE}-*.zip"))


def _part_version(unit: str, version: str, tree: Tree) -> Mapping[str, tuple[str, str]]:
    if unit == CORE:  # a release of its own, newer than the installed one
        return {}
    if "install.xml" in tree:
        return {"install.xml": (f"<version>{INSTALLED}</version>", f"<version>{version}</version>")}
    return {"install.json": (f'"version": "{INSTALLED}"', f'"version": "{version}"')}


def _part_package(unit: str, version: str, tree: Tree, releases: Path) -> Mapping[str, bytes]:
    """With the installed release beside it, as an agency keeps them: files that are gone are told by it."""
    if unit != CORE:
        return {f"{unit}-{version}.ocmod.zip": zipped(tree)}
    kept = {path.name: path.read_bytes() for path in releases.glob(f"{CORE}-*.zip") if path != _newest(releases)}
    return {**kept, _newest(releases).name: zipped({f"upload/{path}": text for path, text in tree.items()})}


# ------------------------------------------------------------------------------------------------------------- 1C-Bitrix

VENDOR = 8099
VERSION = "25.100.0"
"""Offered by the twin of the vendor's server; `catalog` has to come along"""
NEEDED = "catalog"


def _module(unit: str, releases: Path) -> Tree:
    """The archive of the vendor's update, as demo/bitrix-twin/build/pack makes it, and the module's other files as they are."""
    twin = DEMO / "bitrix-twin"
    update = read(twin / "server" / "updates" / unit / VERSION)
    installed = {path: text for path, text in read(twin / "site").items() if _of(unit, path)}
    said = f'<?php\n$arModuleVersion = array("VERSION" => "{VERSION}", "VERSION_DATE" => "2025-06-01 12:00:00");\n'
    return {**installed, **update, f"bitrix/modules/{unit}/install/version.php": said}


def _of(unit: str, path: str) -> bool:
    return path.startswith((f"bitrix/modules/{unit}/", f"bitrix/components/bitrix/{unit}."))


def _module_note(unit: str, version: str, tree: Tree, releases: Path) -> Mapping[str, bytes]:
    """What the console is asked for; what it installs then comes from the vendor's server."""
    return {f"{unit}-{VERSION}.zip": write_pins(unit, {unit: VERSION, NEEDED: VERSION})}


def _ask_the_twin_of_the_vendor(shop: DemoShop) -> None:
    shop.sql(f"UPDATE b_option SET VALUE = '{shop.address}:{VENDOR}' WHERE NAME = 'update_site'")


def _to_the_vendor(shop: DemoShop, unit: str, tree: Tree) -> None:
    target = f"/srv/update-server/updates/{unit}/{VERSION}.zip"
    code, said = shop.exec(["sh", "-c", f"cat > {target}"], user=shop.user, stdin=zipped(tree))
    assert code == 0, said


def _visited(shop: DemoShop) -> None:
    """Whatever keeps pages has kept some before the shop is cloned, as on every shop that has visitors."""
    for path in ("/", "/shop/", "/product/samovar-tula/"):
        shop.get(path)


KINDS = {
    "wordpress": Kind(
        "WordPress", "demo-shop", _plugin, _plugin_version, _plugin_package,
        releases=("demo-shop-1.0", "demo-gallery-1.0"), prepare=_visited, states="wp-content/mu-plugins",
    ),
    "opencart": Kind(
        "OpenCart 4, on the twin", "gift", _part, _part_version, _part_package,
        releases=("opencart-4.1.0.3", "opencart-4.1.0.4", "gift-1.0"),
    ),
    "opencart-3": Kind(
        "OpenCart 3, on the twin", "ribbon", _part, _part_version, _part_package,
        releases=("opencart-3.0.4.1", "opencart-3.0.5.1", "ribbon-1.0"),
    ),
    "bitrix": Kind(
        "1C-Bitrix, on the twin", "sale", _module, lambda *_: {}, _module_note,
        prepare=_ask_the_twin_of_the_vendor, serve=_to_the_vendor, along=(NEEDED,),
    ),
}  # fmt: skip
"""By the name of demo/<name>.toml, which `make demo CMS=` takes too"""


def lay(shop: DemoShop, folder: str, path: Path) -> None:
    """A file that the shop has before and after."""
    target = f"{DOCROOT}/{folder}"
    shop.exec(["mkdir", "-p", target], user=shop.user)
    shop.exec(["sh", "-c", f"cat > {target}/{path.name}"], user=shop.user, stdin=path.read_bytes())


def settle(shop: DemoShop, state: Path, site: Path) -> None:
    """A state that is a folder: `install` is typed on the server, `site.yml` is added to the shop's, the rest lies beside that."""
    shop.typed((state / "install").read_text(encoding="utf-8"))
    with site.open("a", encoding="utf-8") as stream:
        stream.write((state / "site.yml").read_text(encoding="utf-8"))
    shutil.copytree(state, site.parent, ignore=shutil.ignore_patterns("install", "site.yml"), dirs_exist_ok=True)


# --------------------------------------------------------------------------------------------------- in company

COMPANY = tuple(sorted(path.stem for path in (ROOT / "tests" / "corpus" / "company").glob("*.php")))
"""Small plugins that have no part in what a case breaks"""
_ACTIVATE = "require '{docroot}/wp-load.php'; require ABSPATH . 'wp-admin/includes/plugin.php'; {calls}"


def install(shop: DemoShop, plugins: Sequence[str]) -> None:
    """On this WordPress, as if they had been there for years."""
    for plugin in plugins:
        folder = f"{DOCROOT}/wp-content/plugins/{plugin}"
        shop.exec(["mkdir", folder], user=shop.user)
        shop.exec(["sh", "-c", f"cat > {folder}/{plugin}.php"], user=shop.user, stdin=_company(plugin).encode())
    calls = "".join(f"activate_plugin('{plugin}/{plugin}.php');" for plugin in plugins)
    code, said = shop.exec(["php", "-r", _ACTIVATE.format(docroot=DOCROOT, calls=calls)], user=shop.user)
    assert code == 0, said


def update_of(plugin: str, into: Path) -> None:
    """The package of its harmless update."""
    text = _company(plugin).replace(f"Version: {INSTALLED}", "Version: 1.0.1")
    (into / f"{plugin}-1.0.1.zip").write_bytes(zipped({f"{plugin}/{plugin}.php": text}))


def _company(plugin: str) -> str:
    return (ROOT / "tests" / "corpus" / "company" / f"{plugin}.php").read_text(encoding="utf-8")
