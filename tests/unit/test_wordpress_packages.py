"""What is in a zip from elsewhere, and what of it is refused, by name and reason."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from updater.cms import wordpress
from updater.errors import ExitCode, PackageRefused

PLUGIN = (
    "<?php\n/**\n * Plugin Name: Чайная лавка\n * Version: 1.2.3\n * Requires PHP: 7.4\n * Requires at least: 6.0 */\n"
)
VERSION = "<?php\n$wp_version = '6.8.3';\n$required_php_version = '7.2.24';\n"


def package(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def core(version: str = VERSION) -> dict[str, str | bytes]:
    names = ("wp-load.php", "wp-settings.php", "wp-admin/includes/update-core.php", "wp-includes/functions.php")
    return {"wordpress/wp-includes/version.php": version} | {f"wordpress/{name}": "<?php\n" for name in names}


def test_a_plugin_is_known_by_its_header_and_its_folder(tmp_path: Path) -> None:
    info = wordpress.read_package(package(tmp_path / "any-name.zip", {"tea/tea.php": PLUGIN, "tea/inc/a.php": "<?php"}))
    assert (info.kind, info.slug, info.name, info.version) == ("plugin", "tea", "Чайная лавка", "1.2.3")
    assert (info.requires_php, info.requires_core) == ("7.4", "6.0")


def test_a_theme_is_known_by_its_style_sheet(tmp_path: Path) -> None:
    info = wordpress.read_package(
        package(tmp_path / "x.zip", {"oak/style.css": "/*\nTheme Name: Oak\nVersion: 2.0\n*/"})
    )
    assert (info.kind, info.slug, info.version) == ("theme", "oak", "2.0")


def test_core_is_known_by_its_version_file(tmp_path: Path) -> None:
    info = wordpress.read_package(package(tmp_path / "x.zip", core()))
    assert (info.kind, info.slug, info.version, info.requires_php) == ("core", "wordpress", "6.8.3", "7.2.24")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "empty"),
        ({"tea.php": PLUGIN}, "no top folder"),
        ({"tea/tea.php": PLUGIN, "coffee/coffee.php": PLUGIN}, "several top folders"),
        ({"tea/tea.php": PLUGIN, "tea/../../evil.php": "x"}, "climbs out"),
        ({"/tea/tea.php": PLUGIN}, "climbs out"),
        ({"C:/tea/tea.php": PLUGIN}, "climbs out"),
        ({"tea/tea.php": PLUGIN, "tea\\..\\evil.php": "x"}, "climbs out"),
        ({"tea/tea.php": "<?php // no header"}, "neither WordPress, nor a plugin, nor a theme"),
        ({"tea/tea.php": "<?php\n/* Plugin Name: Tea */"}, "names no version"),
        ({"tea/tea.php": PLUGIN, "tea/TEA.php": "x"}, "holds a name twice"),
        ({"tea/tea.php": PLUGIN, "tea/bomb.txt": b"\0" * 20_000_000}, "a bomb"),
        ({"wordpress/wp-includes/version.php": VERSION}, "not a whole WordPress"),
        (core("<?php"), "names no version"),
        (core() | {"wordpress/wp-config.php": "<?php"}, "holds a wp-config.php"),
    ],
)
def test_a_bad_package_is_refused_by_name_and_reason(
    tmp_path: Path, files: dict[str, str | bytes], reason: str
) -> None:
    path = package(tmp_path / "bad-package.zip", files)
    with pytest.raises(PackageRefused) as caught:
        wordpress.read_package(path)
    assert reason in str(caught.value)
    assert "bad-package.zip" in caught.value.where
    assert caught.value.exit_code is ExitCode.REJECTED


def test_a_symlink_is_refused(tmp_path: Path) -> None:
    path = package(tmp_path / "x.zip", {"tea/tea.php": PLUGIN})
    link = zipfile.ZipInfo("tea/link")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(PackageRefused, match="holds a symlink"):
        wordpress.read_package(path)


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = package(tmp_path / "x.zip", {"tea/tea.php": PLUGIN})
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 8] |= 1  # general purpose flag, bit 0
    path.write_bytes(data)
    with pytest.raises(PackageRefused, match="encrypted"):
        wordpress.read_package(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_package_is_refused(tmp_path: Path, share: float) -> None:
    path = package(tmp_path / "x.zip", {"tea/tea.php": PLUGIN, "tea/data.bin": bytes(range(256)) * 50})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PackageRefused, match="truncated"):
        wordpress.read_package(path)


def test_a_damaged_file_inside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("tea/tea.php", PLUGIN)
    path.write_bytes(path.read_bytes().replace(b"Version: 1.2.3", b"Version: 1.2.4"))
    with pytest.raises(PackageRefused, match="damaged"):
        wordpress.read_package(path)


def test_a_missing_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageRefused, match="there is no such file"):
        wordpress.read_package(tmp_path / "gone.zip")
