"""The OpenCart driver lives through an update of the twin; what only OpenCart needs is looked at beside the common life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from life_cycle import Place, drive, run_steps
from server_place import place_of

from updater.demo_shop import DOCROOT, DemoShop
from updater.log import Silent
from updater.model import Installation

DOORS = (
    "/",
    "/index.php?route=product/product&product_id=1",
    "/index.php?route=checkout/confirm.order",
    "/manage/index.php",
    "/manage/index.php?route=common/login",
    "/cron.php",
)
OLD_CSS = f"{DOCROOT}/catalog/view/old.css"


@pytest.fixture
def four(shop_image: str, tmp_path: Path) -> Iterator[DemoShop]:
    with DemoShop.start(tmp_path / "shop", Silent(), kind="opencart") as started:
        yield started


def with_bases(place: Place, shop: DemoShop, folder: Path, **bases: str) -> Place:
    """The same, with the zips of the installed versions known: slug → package."""
    known = {slug.replace("_", "-"): shop.packages(folder, [name])[0] for slug, name in bases.items()}
    return replace(place, updates=tuple(replace(it, base=known.get(it.slug)) for it in place.updates))


def found(place: Place) -> Installation:
    installation = place.driver.detect(place.shell, place.docroot, place.php)
    assert installation is not None
    return installation


def apply_and_migrate(place: Place) -> None:
    installation = found(place)
    place.driver.guard(place.shell, installation, ())
    for update in place.updates:
        place.driver.apply(place.shell, installation, update, place.packages[update.id])
    run_steps(place, place.driver.migration(installation, place.updates))


def test_opencart_4_lives_through_an_update(four: DemoShop, tmp_path: Path) -> None:
    with place_of(four, tmp_path, ("opencart-4.1.0.4", "gift-1.1"), DOORS) as place:
        assert [update.id for update in place.updates] == ["core:opencart", "plugin:gift"]
        drive(with_bases(place, four, tmp_path / "old", opencart="opencart-4.1.0.3", gift="gift-1.0"))


def test_an_update_of_4_leaves_the_configuration_and_moves_what_it_must(four: DemoShop, tmp_path: Path) -> None:
    shop = four
    with place_of(shop, tmp_path, ("opencart-4.1.0.4", "gift-1.1"), ()) as place:
        place = with_bases(place, shop, tmp_path / "old", opencart="opencart-4.1.0.3", gift="gift-1.0")
        configuration = [place.shell.read(f"{DOCROOT}/{name}config.php") for name in ("", "manage/")]
        robots = b"User-agent: *\nDisallow: /manage\n"
        place.shell.write(f"{DOCROOT}/robots.txt", robots, 0o644)
        assert shop.exec(["test", "-e", OLD_CSS])[0] == 0
        apply_and_migrate(place)

        # The patches rewrite config.php and rename a folder called admin: never the site's own.
        assert [place.shell.read(f"{DOCROOT}/{name}config.php") for name in ("", "manage/")] == configuration
        for gone in ("admin", "install", "system/storage", "catalog/view/old.css", "image/catalog/demo.txt"):
            assert shop.exec(["test", "-e", f"{DOCROOT}/{gone}"])[0] == 1, gone
        assert place.shell.read(f"{DOCROOT}/robots.txt") == robots
        # A shop whose patches ran in another order, or not at all, has lost its codes and the names of countries.
        assert shop.sql("SELECT value FROM ocx_product_code WHERE product_id = 3") == "SKU-003"
        assert "SKU: SKU-003" in shop.get("/index.php?route=product/product&product_id=3").text
        assert shop.exec(["test", "-s", f"{DOCROOT}/store-7f3a/logs/error.log"])[0] == 1, "OpenCart logged an error"
        # An extension's rows are what OpenCart itself would have written at an upload.
        assert shop.sql("SELECT version FROM ocx_extension_install WHERE code = 'gift'") == "1.1"
        paths = set(shop.sql("SELECT path FROM ocx_extension_path").split())
        assert {"gift", "gift/install.json", "gift/catalog", "gift/catalog/product.php"} <= paths
        kept = place.shell.read(f"{DOCROOT}/store-7f3a/marketplace/gift.ocmod.zip")
        assert kept == place.updates[-1].package.read_bytes()
        assert shop.exec(["sh", "-c", "ls -d /tmp/updater-opencart-*"])[0] != 0, "credentials of a patch were left"


def test_staging_pays_cash_mails_nobody_and_runs_no_cron(four: DemoShop, tmp_path: Path) -> None:
    with place_of(four, tmp_path, ("gift-1.1",), ()) as place:
        place.driver.guard(place.shell, found(place), ())
    setting = "SELECT value FROM ocx_setting WHERE `key` = '{}'"
    assert four.sql(setting.format("payment_card_status")) == "0"
    assert four.sql(setting.format("payment_cod_status")) == "1"
    assert four.sql(setting.format("config_mail_engine")) == "mail"
    assert four.sql(setting.format("config_mail_smtp_password")) == ""
    assert four.sql("SELECT COUNT(*) FROM ocx_cron WHERE status <> 0") == "0"
