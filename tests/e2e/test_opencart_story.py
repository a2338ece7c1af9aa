"""OpenCart and an extension on a production server: a deploy that fails in the closed shop goes back with the database, a good one
stays. Each test goes on from where the one before it ended.

The shop is the twin of 4.1 (demo/opencart-twin), with its storage outside the docroot: docs/opencart.md says what was run on real releases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from updater import config, pipeline
from updater.demo_shop import DOCROOT, DemoShop
from updater.journal import Journal
from updater.log import Silent
from updater.model import Site
from updater.report.record import RunRecord

NAME = "UPDATE ocx_setting SET value = '{}' WHERE `key` = 'config_name'"
SCHEMA = "SELECT table_name, column_name, column_type FROM information_schema.columns WHERE table_schema = 'shop' ORDER BY 1, 2"
ROWS = "CHECKSUM TABLE ocx_product, ocx_country, ocx_order, ocx_order_total, ocx_extension_install, ocx_extension_path"
STORE = "/var/www/shop.example/store"
CONFIGURATIONS = f"sha256sum {DOCROOT}/config.php {DOCROOT}/manage/config.php"


_STORED = f"cd {STORE} && find vendor marketplace -type f -exec sha256sum {{}} + | sort -k 2; ls -A {STORE}"


@dataclass
class Agency:
    shop: DemoShop
    site: Site
    journal: Journal

    def run(self) -> RunRecord:
        return pipeline.run(self.site, self.journal, Silent(), retry=True)

    def approve(self, record: RunRecord) -> RunRecord:
        return pipeline.approve(
            self.site, self.journal, Silent(), record.run, person="Anna", shown_sha256=record.evidence_sha256
        )

    def code(self) -> tuple[str, bytes]:
        """The docroot's, and that of storage."""
        return self.shop.code_sha256(), self.shop.exec(["sh", "-c", _STORED])[1]

    def database(self) -> tuple[str, str]:
        return self.shop.sql(SCHEMA), self.shop.sql(ROWS)

    def configurations(self) -> bytes:
        return self.shop.exec(["sh", "-c", CONFIGURATIONS])[1]


@pytest.fixture(scope="module")
def agency(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agency]:
    folder = tmp_path_factory.mktemp("site")
    with DemoShop.start(tmp_path_factory.mktemp("shop"), Silent(), kind="opencart") as shop:
        shop.typed(f"mv {DOCROOT}/store-7f3a {STORE} && chown -h {shop.user}: {STORE}", user="root")
        shop.typed(f"cd {DOCROOT} && sed -i \"s#DIR_ROOT . 'store-7f3a/#'{STORE}/#\" config.php manage/config.php")
        shop.exec(["apachectl", "graceful"])
        written = shop.write_site(folder, ("opencart-4.1.0.3", "opencart-4.1.0.4", "gift-1.0", "gift-1.1"))
        text = written.read_text().replace("promote:\n", "promote:\n  without_restarter: true\n")
        written.write_text(f"{text}viewports: {{desktop: 1366x768}}\ndiscover: false\n")
        site = config.load(written)
        journal = Journal(site.state)
        yield Agency(shop, site, journal)
        journal.close()


def test_a_deploy_that_fails_when_closed_goes_back_with_code_and_database(agency: Agency) -> None:
    code, database = agency.code(), agency.database()
    assert b"vendor/autoload.php" in code[1]
    tested = agency.run()
    assert tested.state == pipeline.AWAITING, (tested.reasons, tested.error)
    assert {(it.slug, it.to_version) for it in tested.updates} == {("opencart", "4.1.0.4"), ("gift", "1.1")}
    assert tested.migration is not None
    assert set(tested.migration.created_tables) == {"ocx_product_code", "ocx_country_description"}
    assert {"ocx_product", "ocx_country"} <= set(tested.migration.changed_tables)
    assert (agency.code(), agency.database()) == (code, database), "testing must not touch production"

    # Nobody can know this before: the migrated shop shows another title than the one that was tested.
    agency.shop.sql(NAME.format("Renamed meanwhile"))
    ended = agency.approve(tested)
    agency.shop.sql(NAME.format("The Tea Twin"))
    assert ended.state == pipeline.ROLLED_BACK, (ended.error, ended.outcome)
    assert (agency.code(), agency.database()) == (code, database)
    assert "SKU: SKU-001" in agency.shop.get("/index.php?route=product/product&product_id=1").text


def test_the_tested_release_is_what_production_sells_with_afterwards(agency: Agency) -> None:
    configurations = agency.configurations()
    ended = agency.approve(agency.run())
    assert ended.state == pipeline.PROMOTED, (ended.error, ended.outcome)
    page = agency.shop.get("/index.php?route=product/product&product_id=1").text
    assert "SKU: SKU-001" in page
    assert "We wrap it as a gift" in page
    assert "define('VERSION', '4.1.0.4')" in agency.shop.exec(["cat", f"{DOCROOT}/index.php"])[1].decode()
    assert agency.shop.sql("SELECT version FROM ocx_extension_install WHERE code = 'gift'") == "1.1"
    assert agency.configurations() == configurations
    _, names = agency.shop.exec(["sh", "-c", f"cd {DOCROOT} && find . -name '*updater*'; ls"])
    assert b"updater" not in names
    assert b"install" not in names.split()
    assert b"'4.1.0.4'" in agency.shop.exec(["cat", f"{STORE}/vendor/autoload.php"])[1]
    assert agency.shop.exec(["cmp", "/srv/packages/gift-1.1.ocmod.zip", f"{STORE}/marketplace/gift.ocmod.zip"])[0] == 0
    assert agency.shop.exec(["test", "-e", f"{DOCROOT}/catalog/view/old.css"])[0] == 1, "a file of the old release"
