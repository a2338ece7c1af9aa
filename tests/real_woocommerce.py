"""A real WooCommerce on a real WordPress in the place of the demo shop, from folders that environment variables name.

They are what a zip from wordpress.org unpacks to, built assets and all: `wordpress/` and `woocommerce/` without that folder's name.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from updater.demo_shop import DOCROOT, DemoShop

FOLDERS = (
    "UPDATER_WOOCOMMERCE_OLD",
    "UPDATER_WOOCOMMERCE_NEW",
    "UPDATER_WORDPRESS_OLD",
    "UPDATER_WORDPRESS_NEW",
)
SAMOVAR = "/product/samovar-tula/"
SETTLE = Path(__file__).parent / "woocommerce" / "settle.php"


@dataclass(frozen=True)
class Kind:
    """What differs between two shops. `theme` comes with the release, or with the demo's image."""

    checkout: str
    theme: str
    country: str
    currency: str
    hpos: bool


CLASSIC = Kind("classic", "twentytwentyone", "DE", "EUR", hpos=False)
BLOCK = Kind("block", "twentytwentyfive", "US:CA", "USD", hpos=True)


@dataclass(frozen=True)
class Releases:
    woocommerce_old: Path
    woocommerce_new: Path
    wordpress_old: Path
    wordpress_new: Path

    def packed(self, folder: Path) -> list[Path]:
        """All as the zips that people download: four, or fewer where one of the two stays as it is."""
        folder.mkdir(parents=True, exist_ok=True)
        return [
            *(_zipped(it, "wordpress", folder) for it in dict.fromkeys((self.wordpress_old, self.wordpress_new))),
            *(_zipped(it, "woocommerce", folder) for it in dict.fromkeys((self.woocommerce_old, self.woocommerce_new))),
        ]

    @property
    def updates(self) -> list[str]:
        """The ids of what a plan has to hold, in its order: most weeks bring a point release of the plugin alone."""
        pairs = {
            "core:wordpress": (self.wordpress_old, self.wordpress_new),
            "plugin:woocommerce": (self.woocommerce_old, self.woocommerce_new),
        }
        return [name for name, (old, new) in pairs.items() if old != new]

    def told(self) -> str:
        numbers = [version(it) for it in asdict(self).values()]
        return "WooCommerce {} → {} on WordPress {} → {}".format(*numbers)


def releases() -> Releases:
    """The four folders, or a skip that says what to set."""
    named = [os.environ.get(name, "") for name in FOLDERS]
    if not all(named):
        pytest.skip(f"a real WooCommerce is tested when {', '.join(FOLDERS)} name built release folders")
    return Releases(*map(Path, named))


def version(release: Path) -> str:
    """Of a release of either."""
    core = release / "wp-includes/version.php"
    return version_in((core if core.exists() else release / "woocommerce.php").read_text(encoding="utf-8"))


def version_in(text: str) -> str:
    """Of WordPress's version.php, or of WooCommerce's main file."""
    found = re.search(r"^\$wp_version = '([^']+)'|^ \* Version: (\S+)", text, re.MULTILINE)
    assert found, f"this is of neither WordPress nor WooCommerce: {text[:200]}"
    return str(found[1] or found[2])


def _zipped(release: Path, name: str, folder: Path) -> Path:
    path = folder / f"{name}-{version(release)}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(release.rglob("*")):
            if file.is_file():
                archive.write(file, f"{name}/{file.relative_to(release)}")
    return path


def settle(shop: DemoShop, found: Releases, kind: Kind) -> None:
    """Install the old releases on the demo's server and fill the shop, as its owner would have."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        tar.add(found.wordpress_old, arcname=".")
        tar.add(found.woocommerce_old, arcname="wp-content/plugins/woocommerce")
    empty = f"mv {DOCROOT}/wp-content/themes/twentytwentyone /tmp/ && cd {DOCROOT} && find . -mindepth 1 -delete"
    typed(shop, f"{empty} && tar -xzf - --no-same-owner", stdin=stream.getvalue())
    typed(
        shop,
        f"cd {DOCROOT} && mv /tmp/twentytwentyone wp-content/themes/ && mkdir -p wp-content/uploads && "
        "install -m 640 /seed/wp-config.php wp-config.php && install -m 644 /seed/htaccess .htaccess && "
        "find . -exec touch --no-dereference --date=@1704067200 {} +",
    )
    shop.sql("DROP DATABASE shop; CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    shop.exec(["sh", "-c", "cat > /tmp/settle.php"], user=shop.user, stdin=SETTLE.read_bytes())
    told = json.dumps(asdict(kind)).encode()
    for step in ("install", "switch-on", "fill"):
        said = typed(shop, f"php -d error_log= -d display_errors=stderr /tmp/settle.php {step}", stdin=told)
        assert "Fatal" not in said, said[-3000:]
    shop.exec(["apachectl", "graceful"])
    typed(shop, f"rm -f {shop.mail}/* /tmp/settle.php")


def typed(shop: DemoShop, line: str, stdin: bytes = b"") -> str:
    code, output = shop.exec(["sh", "-c", line], user=shop.user, stdin=stdin)
    text = output.decode("utf-8", "replace")
    assert code == 0, text[-3000:]
    return text


def site_text(written: Path) -> str:
    """The demo's site.yml without what it says of its own shop: WooCommerce needs no word of configuration."""
    return written.read_text(encoding="utf-8").partition("pages:")[0]
