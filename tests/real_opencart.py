"""A real OpenCart in the place of the twin, from a release folder (the content of `upload/`) that an environment variable names.

Settled as an agency leaves it: another name for the admin, storage in another folder, another prefix, the installer gone.
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from updater.demo_shop import DOCROOT, DemoShop

OLD, NEW = "UPDATER_OPENCART_OLD", "UPDATER_OPENCART_NEW"
OUTSIDE = "UPDATER_OPENCART_OUTSIDE"
"""Set: storage lies outside the docroot, as the installers of 3 and 4 recommend it"""
STORAGE = "../store-7f3a" if os.environ.get(OUTSIDE) else "store-7f3a"
CANON = "/index.php?route=product/product&product_id=30"
"""A product of OpenCart's own sample data, with an option that must be chosen"""

# A modification of 3.x, as its own installer would keep it: a comment in the footer, and a place that is not there.
OCMOD = """<modification><name>Comment</name><code>comment</code><version>1.0</version>
<file path="catalog/controller/common/footer.php"><operation><search><![CDATA[public function index()]]></search>
<add position="before"><![CDATA[// from a modification]]></add></operation>
<operation><search><![CDATA[a line of 2017]]></search><add position="before"><![CDATA[x]]></add></operation></file></modification>"""


def releases() -> tuple[Path, Path]:
    """The two release folders, or a skip that says what to set."""
    named = [os.environ.get(name, "") for name in (OLD, NEW)]
    if not all(named):
        pytest.skip(f"a real OpenCart is tested when {OLD} and {NEW} name release folders (the content of upload/)")
    old, new = map(Path, named)
    return old, new


def version(release: Path) -> str:
    return next(
        line.split("'")[3] for line in (release / "index.php").read_text().splitlines() if "define('VERSION'" in line
    )


def packed(release: Path, folder: Path) -> Path:
    """The release as the zip that people download."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"opencart-{version(release)}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(release.rglob("*")):
            if file.is_file():
                archive.write(file, f"upload/{file.relative_to(release)}")
    return path


def settle(shop: DemoShop, release: Path, new: Path) -> None:
    """Install that release on the twin's server, by OpenCart's own command line installer, ready for the new one."""
    three = version(release).startswith("3.")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(release, arcname=".")
    typed(shop, f"cd {DOCROOT} && find . -mindepth 1 -delete && tar -xf - --no-same-owner", stdin=stream.getvalue())
    shop.sql("DROP DATABASE shop; CREATE DATABASE shop CHARACTER SET utf8mb4")
    options = {
        "username": "owner",
        "email": "owner@shop.example",
        "password": "demo-Owner-4417",
        "http_server": "https://shop.example/",
        "db_driver": "mysqli",
        "db_hostname": "localhost",
        "db_username": "shop",
        "db_password": "demo-Only-password-7c1",
        "db_database": "shop",
        "db_port": "3306",
        "db_prefix": "ocx_",
        **({} if three else {"language": "en-gb"}),
    }
    if not version(release).startswith("4.1"):
        options.pop("language", "")
    words = " ".join(f"--{name} '{value}'" for name, value in options.items())
    shop.sql("ALTER USER shop@localhost IDENTIFIED BY 'demo-Only-password-7c1'")
    typed(shop, f"cd {DOCROOT} && for f in . admin; do cp $f/config-dist.php $f/config.php; done")
    said = typed(shop, f"cd {DOCROOT}/install && php cli_install.php install {words}")
    assert "SUCCESS" in said, said
    store = os.path.normpath(f"{DOCROOT}/{STORAGE}")
    shop.exec(["install", "-d", "-o", shop.user, "-g", shop.user, store])
    typed(
        shop,
        f"cd {DOCROOT} && rm -r install && mv admin manage && cp -a system/storage/. {store} && rm -r system/storage && "
        f"sed -i \"s#/admin/#/manage/#; s#'admin/'#'manage/'#; s#DIR_SYSTEM . 'storage/'#'{store}/'#\" "
        f"config.php manage/config.php && chmod 640 config.php manage/config.php && "
        f"printf 'Require all denied\\n' > {STORAGE}/.htaccess && cat config.php manage/config.php",
    )
    if three:
        row = "extension_install_id, name, code, author, version, link, xml, status, date_added"
        shop.sql(
            f"INSERT INTO ocx_modification ({row}) VALUES "
            f"(0, 'Comment', 'comment', 'somebody', '1.0', '', '{OCMOD}', 1, NOW())"
        )
    if version(release).startswith("4.0") and not version(new).startswith("4.0"):
        # As docs/opencart.md tells a person to do first: 4.1 has no gift vouchers, and leaves their total switched on.
        shop.sql("UPDATE ocx_setting SET value = '0' WHERE `key` = 'total_voucher_status'")
    shop.exec(["apachectl", "graceful"])


def typed(shop: DemoShop, line: str, stdin: bytes = b"") -> str:
    code, output = shop.exec(["sh", "-c", line], user=shop.user, stdin=stdin)
    text = output.decode("utf-8", "replace")
    assert code == 0, text[-3000:]
    return text
