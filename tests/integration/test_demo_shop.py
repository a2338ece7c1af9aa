"""The demo production is what the other tests believe it to be: a shop that sells, and updates that do what they say."""

from __future__ import annotations

import email
import email.policy
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from updater.checks.browser import Browser
from updater.demo_shop import DOCROOT, LABEL, URL, DemoShop
from updater.model import DESKTOP
from updater.staging import daemon

PRODUCT = "/product/samovar-tula/"
ORDERS = "SELECT COUNT(*) FROM sh_demo_shop_orders"
STOCK = (
    "SELECT meta_value FROM sh_postmeta JOIN sh_posts ON ID = post_id "
    "WHERE meta_key = '_stock' AND post_name = 'samovar-tula'"
)


@pytest.fixture
def page(shop: DemoShop) -> Iterator[Page]:
    hosts = dict.fromkeys(shop.hosts, shop.address)
    with Browser(hosts, trust_any_certificate=True) as browser, browser.tab(DESKTOP) as tab:
        tab.page.set_default_timeout(30_000)
        yield tab.page


def install(shop: DemoShop, package: str, tmp_path: Path) -> None:
    """Put a plugin's version in place as an FTP user would: remove the folder, unpack the new one."""
    [archive] = shop.packages(tmp_path, [package])
    plugins = f"{DOCROOT}/wp-content/plugins"
    script = f"cat > /tmp/p.zip && rm -rf {plugins}/demo-shop && unzip -q /tmp/p.zip -d {plugins}"
    code, output = shop.exec(["sh", "-c", script], user=shop.user, stdin=archive.read_bytes())
    assert code == 0, output
    # opcache looks at a file's time again after two seconds; a restart leaves no doubt
    code, output = shop.exec(["apachectl", "graceful"])
    assert code == 0, output


def fill_checkout(page: Page) -> None:
    page.goto(URL + PRODUCT)
    page.click("form.cart button.single_add_to_cart_button")
    page.click(".woocommerce-message a.wc-forward")
    page.click("a.checkout-button")
    for field, value in {
        "first_name": "Проверка",
        "last_name": "Тестова",
        "address_1": "ул. Ленина, 1",
        "city": "Тула",
        "postcode": "300000",
        "phone": "+7 900 000-00-00",
        "email": "order@example.com",
    }.items():
        page.fill(f"#billing_{field}", value)
    page.wait_for_selector(".blockUI", state="detached")


def test_the_shop_sells(shop: DemoShop, page: Page) -> None:
    orders, stock = int(shop.sql(ORDERS)), int(shop.sql(STOCK))
    fill_checkout(page)
    assert page.inner_text(".order-total .amount") == "12\u00a0840,00\u00a0₽"
    with page.expect_response(lambda answer: "wc-ajax=update_order_review" in answer.url):
        page.check("#shipping_method_0_post")
    page.wait_for_selector(".blockUI", state="detached")
    assert page.inner_text(".order-total .amount").replace("\u00a0", " ") == "12 680,00 ₽"
    page.click("#place_order")
    page.wait_for_url("**/checkout/order-received/**")
    number = page.inner_text("li.woocommerce-order-overview__order strong")

    assert int(shop.sql(ORDERS)) == orders + 1
    row = shop.sql("SELECT id, total, email, name FROM sh_demo_shop_orders ORDER BY id DESC LIMIT 1")
    assert row == f"{number}\t12680.00\torder@example.com\tПроверка Тестова"
    assert int(shop.sql(STOCK)) == stock - 1
    to_customer, to_owner = (email.message_from_string(mail, policy=email.policy.default) for mail in shop.mails())
    assert to_customer["To"] == "order@example.com"
    assert f"#{number}" in to_customer["Subject"]
    assert to_owner["To"] == "owner@shop.example"
    _, log = shop.exec(["cat", "/var/www/shop.example/logs/php-error.log"])
    assert log == b""


def test_version_1_1_migrates_at_the_first_visit_and_only_then(shop: DemoShop, page: Page, tmp_path: Path) -> None:
    install(shop, "demo-shop-1.1", tmp_path)
    assert "sh_demo_shop_order_notes" not in shop.sql("SHOW TABLES")
    assert shop.get("/").status_code == 200
    assert "sh_demo_shop_order_notes" in shop.sql("SHOW TABLES").split()
    assert shop.sql("SELECT option_value FROM sh_options WHERE option_name = 'demo_shop_db_version'") == "1.1"
    assert shop.sql("SELECT DISTINCT status FROM sh_demo_shop_orders ORDER BY 1") == "completed\nprocessing"
    assert shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders WHERE delivery_price = 0") == "0"
    sums = shop.sql("CHECKSUM TABLE sh_demo_shop_orders")
    assert shop.get("/").status_code == 200
    assert shop.sql("CHECKSUM TABLE sh_demo_shop_orders") == sums

    fill_checkout(page)
    page.click("#place_order")
    page.wait_for_url("**/checkout/order-received/**")
    assert shop.sql("SELECT delivery_price FROM sh_demo_shop_orders ORDER BY id DESC LIMIT 1") == "350.00"


def test_version_1_2_looks_right_but_its_button_does_nothing(shop: DemoShop, page: Page, tmp_path: Path) -> None:
    install(shop, "demo-shop-1.2", tmp_path)
    orders = shop.sql(ORDERS)
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    fill_checkout(page)
    assert thrown == []
    page.click("#place_order")
    with pytest.raises(PlaywrightTimeout):
        page.wait_for_url("**/checkout/order-received/**", timeout=3_000)
    assert len(thrown) == 1
    assert shop.sql(ORDERS) == orders


def test_version_1_3_ends_every_page(shop: DemoShop, tmp_path: Path) -> None:
    install(shop, "demo-shop-1.3", tmp_path)
    assert shop.get("/").status_code == 500
    _, log = shop.exec(["cat", "/var/www/shop.example/logs/php-error.log"])
    assert b'Class "Demo_Shop_Module" not found' in log


def test_packages_are_what_a_shop_would_download(lasting_shop: DemoShop, tmp_path: Path) -> None:
    core, akismet = lasting_shop.packages(tmp_path, ["wordpress", "akismet"])
    with zipfile.ZipFile(core) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"wordpress"}
        assert f"$wp_version = '{core.stem.removeprefix('wordpress-')}'" in archive.read(
            "wordpress/wp-includes/version.php"
        ).decode("utf-8")
        assert archive.read("wordpress/wp-includes/certificates/ca-bundle.crt")
    with zipfile.ZipFile(akismet) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"akismet"}


def test_the_database_user_has_a_hostings_grants(lasting_shop: DemoShop) -> None:
    grants = lasting_shop.sql("SHOW GRANTS FOR shop@localhost").splitlines()
    assert grants[0].startswith("GRANT USAGE ON *.*")
    assert grants[1:] == [
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES "
        "ON `shop`.* TO `shop`@`localhost`"
    ]


def test_a_call_to_another_host_fails_at_once(lasting_shop: DemoShop) -> None:
    begun = time.monotonic()
    code, _ = lasting_shop.exec(["getent", "hosts", "warehouse.partner.example"])
    assert code == 2
    assert time.monotonic() - begun < 5, "a resolver that asks and waits gives up after 5 s at the earliest"


def test_two_shops_run_at_once_and_leave_nothing(shop: DemoShop, tmp_path: Path) -> None:
    begun = time.monotonic()
    with DemoShop.start(tmp_path / "second") as second:
        assert time.monotonic() - begun < 20  # 2 s on a quiet machine
        assert second.address != shop.address
        assert second.host_key != shop.host_key
        assert second.get("/shop/").status_code == 200
    assert shop.get("/shop/").status_code == 200
    client = daemon.connect()
    label = {"label": f"{LABEL}={second.name}"}
    assert client.containers.list(all=True, filters=label) == []
    assert client.networks.list(filters=label) == []
    client.close()
