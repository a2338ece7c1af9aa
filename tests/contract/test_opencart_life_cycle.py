"""The OpenCart driver lives through an update of the twin; what only OpenCart needs is looked at beside the common life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from life_cycle import Place, drive, forget_opcache, run_steps
from server_place import place_of

from updater import config
from updater.cms import opencart
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import CommandFailed
from updater.journal import new_run_id
from updater.log import Silent
from updater.model import Installation, Site, Snapshot
from updater.production import clone, probe
from updater.production.host import Host
from updater.staging import stack

DOORS = (
    "/",
    "/index.php?route=product/product&product_id=1",
    "/index.php?route=checkout/confirm.order",
    "/manage/index.php",
    "/manage/index.php?route=common/login",
    "/cron.php",
)
OLD_CSS = f"{DOCROOT}/catalog/view/old.css"
STORE = f"{DOCROOT}/store-7f3a"


@pytest.fixture
def three(shop_image: str, tmp_path: Path) -> Iterator[DemoShop]:
    with DemoShop.start(tmp_path / "shop", Silent(), kind="opencart-3") as started:
        yield started


@pytest.fixture
def four(shop_image: str, tmp_path: Path) -> Iterator[DemoShop]:
    with DemoShop.start(tmp_path / "shop", Silent(), kind="opencart") as started:
        yield started


@pytest.fixture
def two(shop_image: str, tmp_path: Path) -> Iterator[DemoShop]:
    with DemoShop.start(tmp_path / "shop", Silent(), kind="opencart-2") as started:
        yield started


OUTSIDE = "/var/www/shop.example/store"


def move_out(shop: DemoShop) -> None:
    """Storage beside the docroot, as OpenCart's own admin moves it."""
    shop.typed(f"mv {STORE} {OUTSIDE} && chown -h {shop.user}: {OUTSIDE}", user="root")
    shop.typed(f"cd {DOCROOT} && sed -i \"s#DIR_ROOT . 'store-7f3a/#'{OUTSIDE}/#\" config.php manage/config.php")
    shop.exec(["apachectl", "graceful"])


def with_bases(place: Place, shop: DemoShop, folder: Path, **bases: str) -> Place:
    """The same, with the zips of the installed versions known: slug → package."""
    known = {slug.replace("_", "-"): shop.packages(folder, [name])[0] for slug, name in bases.items()}
    return replace(place, updates=tuple(replace(it, base=known.get(it.slug)) for it in place.updates))


@contextmanager
def staged(place: Place, site: Site, folder: Path) -> Iterator[tuple[stack.StackHandle, Snapshot]]:
    """The shop cloned and staged, at its checkpoint `clean`."""
    server, driver, installation = place.shell, place.driver, found(place)
    assert isinstance(server, Host)
    layout, platform = driver.layout(server, installation), probe.read_platform(server, site, installation)
    mirror, into = folder / "mirror", folder / "run"
    snapshot = clone.clone(server, site, installation, layout, platform, new_run_id(), mirror, into, Silent())
    with stack.stage(site, snapshot, layout, Silent()) as shop:
        driver.guard(shop, shop.installation, ())
        shop.checkpoint("clean")
        yield shop, snapshot


def found(place: Place) -> Installation:
    installation = place.driver.detect(place.shell, place.docroot, place.php)
    assert installation is not None
    return installation


def apply(place: Place) -> Installation:
    installation = found(place)
    place.driver.guard(place.shell, installation, ())
    for update in place.updates:
        place.driver.apply(place.shell, installation, update, place.packages[update.id])
    return installation


def apply_and_migrate(place: Place) -> None:
    installation = apply(place)
    run_steps(place, installation, place.driver.migration(installation, place.updates))


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
        installation = apply(place)
        place.shell.run(["rm", "-r", f"{STORE}/backup", f"{STORE}/download"])
        run_steps(place, installation, place.driver.migration(installation, place.updates))

        # The patches rewrite config.php and rename a folder called admin: never the site's own.
        assert [place.shell.read(f"{DOCROOT}/{name}config.php") for name in ("", "manage/")] == configuration
        for gone in ("admin", "install", "system/storage", "catalog/view/old.css", "image/catalog/demo.txt"):
            assert shop.exec(["test", "-e", f"{DOCROOT}/{gone}"])[0] == 1, gone
        assert place.shell.read(f"{DOCROOT}/robots.txt") == robots
        # A shop whose patches ran in another order, or not at all, has lost its codes and the names of countries.
        assert shop.sql("SELECT value FROM ocx_product_code WHERE product_id = 3") == "SKU-003"
        assert "SKU: SKU-003" in shop.get("/index.php?route=product/product&product_id=3").text
        for log in place.driver.error_logs(place.shell, installation):
            assert shop.exec(["test", "-s", log])[0] == 1, f"OpenCart logged an error in {log}"
        # A patch makes missing folders with a mode that nobody can enter, and doubles the event that mails the customer.
        assert shop.exec(["stat", "-c", "%a", f"{STORE}/backup", f"{STORE}/download"])[1].split() == [b"755", b"755"]
        assert shop.sql("SELECT code FROM ocx_event WHERE action = 'mail/order'") == "mail_order"
        # An extension's rows are what OpenCart itself would have written at an upload.
        assert shop.sql("SELECT version FROM ocx_extension_install WHERE code = 'gift'") == "1.1"
        paths = set(shop.sql("SELECT path FROM ocx_extension_path").split())
        assert {"gift", "gift/install.json", "gift/catalog", "gift/catalog/product.php"} <= paths
        kept = place.shell.read(f"{STORE}/marketplace/gift.ocmod.zip")
        assert kept == place.updates[-1].package.read_bytes()
        assert shop.exec(["sh", "-c", "ls -d /tmp/updater-opencart-*"])[0] != 0, "credentials of a patch were left"


def test_new_code_on_the_old_database_answers_200_and_only_its_log_tells(four: DemoShop, tmp_path: Path) -> None:
    four.sql("UPDATE ocx_setting SET value = '0' WHERE `key` = 'config_error_log'")
    with place_of(four, tmp_path, ("opencart-4.1.0.4",), ()) as place:
        installation = apply(place)
        logs = place.driver.error_logs(place.shell, installation)
        assert logs == (f"{STORE}/logs/error.log", f"{STORE}/logs/shop-errors.log"), "an administrator named it"
        forget_opcache(place)
        assert four.get("/index.php?route=product/product&product_id=1").status_code == 200
        assert b"ocx_product_code' doesn't exist" in place.shell.read(logs[1])


def test_a_migration_that_was_cut_off_leaves_nothing_for_the_next_one(four: DemoShop, tmp_path: Path) -> None:
    with place_of(four, tmp_path, ("opencart-4.1.0.4",), ()) as place:
        installation = apply(place)
        note = place.driver.migration(installation, place.updates)[0]
        run_steps(place, installation, [note])
        assert four.sql("SHOW TABLES LIKE '%updater%'") == ""
        assert four.exec(["sh", "-c", f"find {STORE} -name 'updater*'"])[1] != b""
        run_steps(place, installation, place.driver.purge(installation))
        assert four.exec(["sh", "-c", f"find {STORE} -name 'updater*'"])[1] == b""


def test_a_front_page_that_sends_visitors_on_is_whole_and_one_that_ends_early_is_not(
    four: DemoShop, tmp_path: Path
) -> None:
    with place_of(four, tmp_path, ("gift-1.1",), ()) as place:
        installation = found(place)
        visits = [step for step in place.driver.migration(installation, ()) if "front page" in step.name]
        startup = place.shell.read(f"{DOCROOT}/system/startup.php")
        sent_on = b"<?php if ($_GET) { exit; } header('Location: /ru/', true, 302); exit;"
        place.shell.write(f"{DOCROOT}/system/startup.php", sent_on, 0o644)
        run_steps(place, installation, visits)
        place.shell.write(f"{DOCROOT}/system/startup.php", startup + b"echo '<html>'; exit;", 0o644)
        with pytest.raises(CommandFailed, match="the front page is not whole"):
            run_steps(place, installation, visits)


def test_staging_pays_cash_mails_nobody_and_runs_no_cron(four: DemoShop, tmp_path: Path) -> None:
    with place_of(four, tmp_path, ("gift-1.1",), ()) as place:
        place.driver.guard(place.shell, found(place), ())
    setting = "SELECT value FROM ocx_setting WHERE `key` = '{}'"
    assert four.sql(setting.format("payment_card_status")) == "0"
    assert four.sql(setting.format("payment_cod_status")) == "1"
    assert four.sql(setting.format("config_mail_engine")) == "mail"
    assert four.sql(setting.format("config_mail_smtp_password")) == ""
    assert four.sql("SELECT COUNT(*) FROM ocx_cron WHERE status <> 0") == "0"


# ------------------------------------------------------------------------------------------------------- OpenCart 3

COMPILED = f"{STORE}/modification/catalog/shop.php"
WATCHED = """CREATE TABLE seen (value TEXT);
CREATE TRIGGER watch AFTER UPDATE ON ocx_setting FOR EACH ROW INSERT INTO seen SELECT NEW.value FROM DUAL
WHERE NEW.`key` = 'config_maintenance' AND NEW.value <> OLD.value;"""
STATUS = "SELECT CONCAT(code, ' ', version, ' ', status) FROM ocx_modification ORDER BY modification_id"


def test_opencart_3_with_storage_outside_the_docroot_lives_through_an_update(three: DemoShop, tmp_path: Path) -> None:
    move_out(three)
    with place_of(three, tmp_path, ("opencart-3.0.5.1", "ribbon-1.1"), DOORS) as place:
        assert [update.id for update in place.updates] == ["core:opencart", "plugin:ribbon"]
        drive(with_bases(place, three, tmp_path / "old", opencart="opencart-3.0.4.1", ribbon="ribbon-1.0"))


def test_modifications_are_as_they_were_and_compiled_from_the_new_code(three: DemoShop, tmp_path: Path) -> None:
    """Patch 1006 switches all of them off; copies that stay compiled from the old release end every page."""
    assert three.sql(STATUS).splitlines() == ["ribbon 1.0 1", "idle 2.0 0", "old-banner 0.9 1"]
    with place_of(three, tmp_path, ("opencart-3.0.5.1", "ribbon-1.1"), ()) as place:
        place = with_bases(place, three, tmp_path / "old", opencart="opencart-3.0.4.1", ribbon="ribbon-1.0")
        configuration = [place.shell.read(f"{DOCROOT}/{name}config.php") for name in ("", "manage/")]
        # A refresh that dies after it switched maintenance on would leave the shop closed by a row that no rollback knows of.
        three.sql(WATCHED)
        apply_and_migrate(place)
        assert three.sql("SELECT * FROM seen") == "", "the refresh closed the shop by a row"
        assert [place.shell.read(f"{DOCROOT}/{name}config.php") for name in ("", "manage/")] == configuration
        compiled = place.shell.read(COMPILED).decode()
        assert place.shell.read(f"{DOCROOT}/catalog/view/theme/ribbon.css").startswith(b"/* ribbon 1.1")
    assert three.sql(STATUS).splitlines() == ["ribbon 1.1 1", "idle 2.0 0", "old-banner 0.9 1"]
    assert three.sql("SHOW TABLES LIKE '%updater%'") == ""
    assert three.sql("SELECT value FROM ocx_setting WHERE `key` LIKE '%product_limit'") == "15", (
        "a patch adds 20 beside it"
    )
    assert "OF = '3.0.5.1'" in compiled
    assert "With a ribbon" in compiled
    assert "With a ribbon" in three.get("/index.php?route=product/product&product_id=1").text
    assert three.sql("SELECT value FROM ocx_setting WHERE `key` = 'config_maintenance'") == "0"


def test_a_modification_that_finds_its_place_no_more_stops_the_update_and_one_that_never_did_does_not(
    three: DemoShop, tmp_path: Path
) -> None:
    with place_of(three, tmp_path, ("ribbon-1.2",), ()) as place, pytest.raises(CommandFailed) as caught:
        apply_and_migrate(place)
    assert caught.value.what == "a modification finds nothing to change any more"
    assert caught.value.cause == "Ribbon: catalog/shop.php: <!-- no such place -->"


def test_without_a_log_nobody_knows_what_modifications_found_before(three: DemoShop, tmp_path: Path) -> None:
    with place_of(three, tmp_path, ("ribbon-1.1",), ()) as place:
        place.shell.run(["rm", f"{STORE}/logs/ocmod.log"])
        with pytest.raises(CommandFailed) as caught:
            apply_and_migrate(place)
    assert "does not say whether it did before" in caught.value.what
    assert "press Refresh" in caught.value.hint


# ------------------------------------------------------------------------------- OpenCart 2.3, as ocStore, with vQmod

LOG = f"{DOCROOT}/system/storage/logs/ocmod.log"
VQCACHE = f"{DOCROOT}/vqmod/vqcache"
PRODUCT = "/index.php?route=product/product&product_id=2"


def test_ocstore_2_with_vqmod_lives_through_an_update_of_its_extensions(two: DemoShop, tmp_path: Path) -> None:
    assert "<h1>Чёрный чай</h1>" in two.get(PRODUCT).text
    with place_of(two, tmp_path, ("ribbon-1.1", "banner-1.1"), DOORS) as place:
        installation = found(place)
        assert (installation.version, installation.places["storage"]) == ("2.3.0.2.3", "system/storage")
        core = place.driver.inventory(place.shell, installation).components[0]
        assert (core.slug, core.name, core.version) == ("ocstore", "ocStore", "2.3.0.2.3")
        assert json.loads(installation.places[opencart.VQMOD]) == {"banner.xml": 1, "notice.xml": 1}
        assert json.loads(installation.places[opencart.APPLIED]) == {"Ribbon": 1, "Old banner": 0}
        drive(with_bases(place, two, tmp_path / "old", ribbon="ribbon-1.0", banner="banner-1.0"))


def test_what_vqmod_compiled_is_emptied_and_no_payment_is_taken_in_staging(two: DemoShop, tmp_path: Path) -> None:
    with place_of(two, tmp_path, ("ribbon-1.1", "banner-1.1"), ()) as place:
        two.get(PRODUCT)
        place.shell.write(f"{VQCACHE}/vq2-catalog_gone.php", b"<?php", 0o644)
        apply_and_migrate(place)
        forget_opcache(place)
        assert place.shell.run(["ls", VQCACHE]).text.split() == ["vq2-system_storage_modification_catalog_shop.php"], (
            "compiled by the visit, the rest is gone"
        )
        text = two.get(PRODUCT).text
        for said in ("With a ribbon", "Banner 1.1", "Dispatched tomorrow", "Чёрный чай"):
            assert said in text
        run_steps(place, found(place), place.driver.purge(found(place)))
        assert place.shell.run(["ls", VQCACHE]).text == ""
        assert two.exec(["test", "-e", f"{DOCROOT}/vqmod/mods.cache"])[0] == 1
    setting = "SELECT value FROM ocx_setting WHERE `key` = '{}'"
    assert [two.sql(setting.format(key)) for key in ("card_status", "cod_status")] == ["0", "1"]
    assert two.sql(setting.format("config_mail_protocol")) == "mail"


def test_fewer_operations_of_vqmod_or_of_a_modification_stop_the_update(two: DemoShop, tmp_path: Path) -> None:
    with place_of(two, tmp_path, ("banner-1.2",), ()) as place:
        with pytest.raises(CommandFailed, match="vQmod changes less than before") as caught:
            apply_and_migrate(place)
        assert caught.value.cause == "notice.xml: 0 of 1 operations"
        # A file that a modification changed is gone: its refresh does not even name it.
        said = place.shell.read(LOG).replace(
            b"MOD: Ribbon\n", b"MOD: Ribbon\nFILE: catalog/gone.php\nCODE: x\nLINE: 3\n"
        )
        place.shell.write(LOG, said, 0o644)
        with pytest.raises(CommandFailed, match="a modification changes less than before") as caught:
            apply_and_migrate(place)
        assert caught.value.cause == "Ribbon: 1 of 2 operations"


def test_old_character_sets_and_libraries_beside_the_docroot_are_staged(two: DemoShop, tmp_path: Path) -> None:
    with place_of(two, tmp_path, ("ribbon-1.1",), ()) as place:
        site = config.load(tmp_path / "site" / "site.yml")
        with staged(place, site, tmp_path) as (shop, snapshot):
            assert ".updater-elsewhere/vendor/autoload.php" in snapshot.code
            (visit,) = [
                it for it in place.driver.migration(shop.installation, ()) if it.name == "front page as a visitor"
            ]
            run_steps(replace(place, shell=shop), shop.installation, [visit])
            assert shop.sql("SELECT name FROM ocx_product_description WHERE product_id = 2") == [("Чёрный чай",)]
            definition = shop.sql("SHOW CREATE TABLE ocx_product_description")[0][1]
    assert "CHARSET=cp1251" in definition
    assert "ENGINE=MyISAM" in definition
