"""Which components bring a way to pay, by what lies in a copy of the docroot: only a person may approve their updates."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater import cms, pipeline, policy
from updater.model import Approve, Component, Inventory, Plan, Policy, Server, Site, Update

CLASSIC = "<?php class Pay extends \\WC_Payment_Gateway { }"
LISTED = '<?php add_filter("woocommerce_payment_gateways", fn($all) => [...$all, "Pay"]);'
BLOCK = "<?php use Automattic\\WooCommerce\\Blocks\\Payments\\Integrations\\AbstractPaymentMethodType; class B {}"
ITSELF = "<?php\nabstract class WC_Payment_Gateway extends WC_Settings_API { function x() { apply_filters('woocommerce_payment_gateways', []); } }"
PLUGIN = "wp-content/plugins/pay"


@pytest.mark.parametrize(
    ("driver", "slug", "path", "files", "pays"),
    [
        ("wordpress", "pay", PLUGIN, {f"{PLUGIN}/includes/gateway.php": CLASSIC}, True),
        ("wordpress", "pay", PLUGIN, {f"{PLUGIN}/pay.php": LISTED}, True),
        ("wordpress", "pay", PLUGIN, {f"{PLUGIN}/block.php": BLOCK}, True),
        ("wordpress", "pay", f"{PLUGIN}.php", {f"{PLUGIN}.php": CLASSIC}, True),
        ("wordpress", "pay", PLUGIN, {f"{PLUGIN}/own.php": ITSELF, f"{PLUGIN}/bank.php": CLASSIC}, False),
        ("wordpress", "pay", PLUGIN, {f"{PLUGIN}/pay.php": "<?php // pays nobody", "wp-content/plugins/b/b.php": CLASSIC}, False),
        ("opencart", "pay", "extension/pay", {"extension/pay/catalog/controller/payment/pay.php": ""}, True),
        ("opencart", "gift", "extension/gift", {"extension/gift/catalog/controller/total/gift.php": ""}, False),
        ("opencart", "pay", "", {"catalog/controller/extension/payment/pay.php": ""}, True),
        ("opencart", "gift", "", {"catalog/controller/extension/payment/pay.php": ""}, False),
        ("bitrix", "sale", "bitrix/modules/sale", {"bitrix/modules/sale/handlers/paysystem/card/handler.php": ""}, True),
        ("bitrix", "iblock", "bitrix/modules/iblock", {"bitrix/modules/iblock/include.php": ""}, False),
    ],
)  # fmt: skip
def test_a_payment_plugin_is_told_from_others(
    driver: str, slug: str, path: str, files: dict[str, str], pays: bool, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    component = Component("plugin", slug, slug, "1.0", True, path)
    assert cms.driver(driver).takes_payments(component, tmp_path) is pays
    core = Component("core", driver, driver, "1.0", True, "")
    assert cms.driver(driver).takes_payments(core, tmp_path) is False


def test_policy_alone_approves_a_plugin_of_the_site_and_never_one_that_takes_payments(tmp_path: Path) -> None:
    site = Site("shop", Server("h", "u"), "/", "https://shop.example", tmp_path, policy=Policy(Approve.PASSED))
    parts = tuple(Component("plugin", slug, slug, "1.0", True, f"plugins/{slug}") for slug in ("tea", "pay"))
    inventory = Inventory("wordpress", "6.1", "8.2", parts)
    for slug, code in (("tea", "<?php // tea"), ("pay", CLASSIC)):
        (tmp_path / "plugins" / slug).mkdir(parents=True)
        (tmp_path / "plugins" / slug / f"{slug}.php").write_text(code)

    def asks(*slugs: str) -> bool:
        updates = tuple(Update("plugin", it, it, "1.0", "1.0.1", Path(), "", "") for it in slugs)
        reasons = pipeline._for_a_person(site, cms.driver("wordpress"), Plan(inventory, updates), tmp_path)
        return not policy.approves(site.policy, updates, reasons)

    assert [asks("tea"), asks("pay"), asks("tea", "pay")] == [False, True, True]
