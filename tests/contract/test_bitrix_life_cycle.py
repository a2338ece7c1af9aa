"""The 1C-Bitrix driver lives through an update of the twin; what only Bitrix needs is looked at beside the common life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from life_cycle import Place, drive
from server_place import place_of

from updater.cms import bitrix
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import UnsupportedSite, UpdateFailed, VendorSilent
from updater.log import Silent
from updater.model import Installation
from updater.shell import code_manifest

DOORS = (
    "/",
    "/catalog/?SECTION_ID=1",
    "/personal/order/make/",
    "/bitrix/admin/",
    "/bitrix/admin/1c_exchange.php",
)
ALL = ("main-25.100.0", "catalog-25.100.0", "sale-25.100.0")
SERVER = "/srv/update-server"
OPTION = "SELECT VALUE FROM b_option WHERE MODULE_ID = 'main' AND NAME = '{}'"


@pytest.fixture
def fresh(shop_image: str, tmp_path: Path) -> Iterator[DemoShop]:
    with DemoShop.start(tmp_path / "shop", Silent(), kind="bitrix") as started:
        yield started


@pytest.fixture(scope="module")
def lasting(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoShop]:
    """For tests that leave every module at the version it has."""
    with DemoShop.start(tmp_path_factory.mktemp("shop"), Silent(), kind="bitrix") as started:
        yield started


def found(place: Place) -> Installation:
    installation = place.driver.detect(place.shell, place.docroot, place.php)
    assert installation is not None
    return installation


def guarded(place: Place) -> Installation:
    installation = found(place)
    place.driver.guard(place.shell, installation, ())
    return installation


def answers(shop: DemoShop, mode: str) -> None:
    shop.exec(["sh", "-c", f"printf '%s' '{mode}' > {SERVER}/mode; rm -f {SERVER}/requests.log"])


def requests(shop: DemoShop) -> list[dict[str, object]]:
    code, text = shop.exec(["cat", f"{SERVER}/requests.log"])
    return [json.loads(line) for line in text.splitlines()] if code == 0 else []


def versions(place: Place) -> dict[str, str]:
    return {it.slug: it.version for it in place.driver.inventory(place.shell, found(place)).components}


def code(place: Place) -> dict[str, str]:
    layout = place.driver.layout(place.shell, found(place))
    return code_manifest(place.shell, place.php, place.docroot, (*layout.media, *layout.caches))


def test_bitrix_lives_through_an_update(fresh: DemoShop, tmp_path: Path) -> None:
    with place_of(fresh, tmp_path, ALL, DOORS) as place:
        assert [update.id for update in place.updates] == ["core:main", "plugin:catalog", "plugin:sale"]
        assert place.updates[2].needs == ("plugin:catalog",)
        drive(place)
        layout = place.driver.layout(place.shell, found(place))
    log = requests(fresh)
    assert log, "the vendor's server was asked"
    assert all(request["development"] for request in log), "every call says that it comes from a copy"
    assert "bitrix/modules/updater.log" in layout.caches
    assert fresh.sql("SHOW TABLES LIKE 'b_catalog_store_move'") == "b_catalog_store_move"
    assert fresh.exec(["test", "-e", f"{DOCROOT}/bitrix/modules/main/lib/stepper.php"])[0] == 1, "rolled back"


def test_the_list_is_a_dry_run_and_partners_modules_are_told(lasting: DemoShop, tmp_path: Path) -> None:
    answers(lasting, "ok")
    with place_of(lasting, tmp_path, ALL, ()) as place:
        installation = guarded(place)
        before = code(place), versions(place)
        listed = place.driver.listing(place.shell, installation, place.driver.inventory(place.shell, installation))
        assert (code(place), versions(place)) == before
    assert {it.info.slug: (it.info.version, dict(it.info.needs)) for it in listed.offers} == {
        "main": ("25.100.0", {}),
        "catalog": ("25.100.0", {}),
        "sale": ("25.100.0", {"plugin:catalog": "25.100.0"}),
    }
    assert [(it.slug, it.from_version) for it in listed.held] == [("acme.banner", "1.0.0")]
    assert {request["what"] for request in requests(lasting)} == {"list"}


def test_the_console_is_not_called_before_the_copy_says_that_it_is_one(lasting: DemoShop, tmp_path: Path) -> None:
    answers(lasting, "ok")
    with place_of(lasting, tmp_path, ALL, ()) as place:
        installation = guarded(place)
        lasting.sql("DELETE FROM b_option WHERE NAME = 'update_devsrv'")
        update = place.updates[0]
        with pytest.raises(VendorSilent, match="does not say that it is one"):
            place.driver.apply(place.shell, installation, update, place.packages[update.id])
        listed = place.driver.listing(place.shell, installation, place.driver.inventory(place.shell, installation))
    assert listed.offers == ()
    assert "does not say that it is one" in listed.held[0].reason
    assert requests(lasting) == []


BAD = {"wrong code": "[ERROR_WRONG_CODE]", "time-out": "[ESOCKET]", "half an archive": "[UUGZA01]"}


def test_what_the_vendors_server_does_wrong_says_nothing_of_the_update(lasting: DemoShop, tmp_path: Path) -> None:
    with place_of(lasting, tmp_path, ALL, ()) as place:
        update = place.updates[0]
        for mode, said in BAD.items():
            answers(lasting, mode)
            patience = 1 if mode == "time-out" else 30
            lasting.sql(f"UPDATE b_option SET VALUE = '{patience}' WHERE NAME = 'update_load_timeout'")
            installation = guarded(place)
            before = code(place), versions(place)
            with pytest.raises(VendorSilent) as caught:
                place.driver.apply(place.shell, installation, update, place.packages[update.id])
            assert (code(place), versions(place)) == before, mode
            assert said in caught.value.cause
            assert ("do not try again" in caught.value.hint) == (mode == "wrong code")


def test_an_update_that_needs_another_first_brings_nothing_unasked(lasting: DemoShop, tmp_path: Path) -> None:
    answers(lasting, "ok")
    with place_of(lasting, tmp_path, ALL, ()) as place:
        installation = guarded(place)
        before = code(place), versions(place)
        alone = f"/home/{lasting.user}/alone.zip"
        place.shell.write(alone, bitrix.write_pins("sale", {"sale": "25.100.0"}))
        with pytest.raises(UpdateFailed, match="not in its package") as caught:
            place.driver.apply(place.shell, installation, place.updates[2], alone)
        assert "catalog 25.100.0" in caught.value.cause
        assert (code(place), versions(place)) == before
    assert {request["what"] for request in requests(lasting)} == {"list"}


def test_staging_pays_cash_mails_nobody_and_runs_no_agent(fresh: DemoShop, tmp_path: Path) -> None:
    assert fresh.sql(OPTION.format("update_devsrv")) == "", "the row is missing: an UPDATE alone would do nothing"
    fresh.get("/")
    cached = f"{DOCROOT}/bitrix/managed_cache/MYSQL/b_option"
    assert fresh.exec(["test", "-d", cached])[0] == 0, "the shop keeps its options in files"
    fresh.sql("INSERT INTO b_event (EVENT_NAME, C_FIELDS, SUCCESS_EXEC) VALUES ('X', '{}', 'N')")
    with place_of(fresh, tmp_path, ALL, ()) as place:
        guarded(place)
    assert fresh.sql(OPTION.format("update_devsrv")) == "Y"
    assert fresh.sql(OPTION.format("check_agents")) == "N"
    assert fresh.sql("SELECT COUNT(*) FROM b_event WHERE SUCCESS_EXEC = 'N'") == "0"
    assert fresh.sql("SELECT NAME FROM b_sale_pay_system_action WHERE ACTIVE = 'Y'") == "Наличные"
    assert fresh.exec(["test", "-d", cached])[0] == 1


def test_a_closed_stdin_would_install_and_a_renewed_console_is_asked_again(fresh: DemoShop, tmp_path: Path) -> None:
    """The trap itself, so that the driver's care stands for something; then the twin's console, which renews itself first."""
    with place_of(fresh, tmp_path, ALL, ()) as place:
        installation = guarded(place)
        answers(fresh, "restart")
        main = place.updates[0]
        assert place.driver.apply(place.shell, installation, main, place.packages[main.id]) == "25.100.0"
        assert versions(place)["catalog"] == "24.0.0"
        trap = f"cd {DOCROOT}/bitrix && php bitrix.php update:modules -m catalog </dev/null"
        assert fresh.exec(["sh", "-c", trap], user=fresh.user)[0] == 0
        assert versions(place)["catalog"] == "25.100.0", "the twin's confirmation defaults to YES"
        declined = f"cd {DOCROOT}/bitrix && echo no | php bitrix.php update:modules -m sale"
        assert fresh.exec(["sh", "-c", declined], user=fresh.user)[0] == 0
        assert versions(place)["sale"] == "24.0.0"


def test_two_files_that_name_two_databases_are_refused(lasting: DemoShop, tmp_path: Path) -> None:
    with place_of(lasting, tmp_path, ALL, ()) as place:
        path = f"{DOCROOT}/bitrix/php_interface/dbconn.php"
        kept = place.shell.read(path)
        place.shell.write(path, kept.replace(b"$DBName = 'shop'", b"$DBName = 'other'"), 0o640)
        try:
            with pytest.raises(UnsupportedSite, match="names its database twice"):
                found(place)
        finally:
            place.shell.write(path, kept, 0o640)
        assert found(place).database.name == "shop"
