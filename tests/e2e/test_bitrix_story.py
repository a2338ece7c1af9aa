"""1C-Bitrix from clone to the end of a run: what staging cannot ask the vendor for is held and said, and production is only read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from updater import config, pipeline
from updater.demo_shop import DemoShop
from updater.errors import ApprovalRefused, ExitCode
from updater.journal import Journal
from updater.log import Silent

FLAG = "SELECT COUNT(*) FROM b_option WHERE NAME = 'update_devsrv'"


@pytest.mark.timeout(1800)
def test_a_run_stages_the_shop_and_says_what_it_cannot_know(shop_image: str, tmp_path: Path) -> None:
    with DemoShop.start(tmp_path / "shop", Silent(), kind="bitrix") as shop:
        written = shop.write_site(tmp_path / "site", ())
        written.write_text(written.read_text().replace("online: false", "online: true"))
        site = config.load(written)
        journal = Journal(site.state)
        code = shop.code_sha256()
        record = pipeline.run(site, journal, Silent())
        journal.close()
        assert record.state == pipeline.NOTHING, (record.reasons, record.error)
        assert record.exit_code == ExitCode.DONE
        held = {it.slug: it.reason for it in record.held}
        assert "cannot be tested without the vendor's server" in held["1C-Bitrix's update server"]
        assert "a partner's module" in held["acme.banner"]
        assert "b_event" not in "\n".join(record.notes), "no old mail of customers is in the copy"
        assert record.inventory is not None
        assert {it.slug for it in record.inventory.components} == {"main", "iblock", "catalog", "sale", "acme.banner"}
        assert shop.code_sha256() == code
        assert shop.sql(FLAG) == "0", "only the copy says that it is one"
        assert shop.exec(["test", "-e", "/srv/update-server/requests.log"])[0] == 1


@pytest.mark.timeout(1800)
def test_updates_are_proven_where_staging_may_reach_the_vendor_and_nothing_is_deployed(
    shop_image: str, tmp_path: Path
) -> None:
    with DemoShop.start(tmp_path / "shop", Silent(), kind="bitrix") as shop:
        vendor = f"{shop.address}:8099"
        shop.sql(f"UPDATE b_option SET VALUE = '{vendor}' WHERE NAME = 'update_site'")
        written = shop.write_site(tmp_path / "site", ())
        text = written.read_text().replace("online: false", "online: true")
        written.write_text(f"{text}egress: {{allow: ['{vendor}']}}\nviewports: {{desktop: 1366x768}}\n")
        site = config.load(written)
        journal = Journal(site.state)
        code = shop.code_sha256()
        record = pipeline.run(site, journal, Silent())
        assert record.state == pipeline.AWAITING, (record.reasons, record.error, record.held)
        assert {(it.slug, it.to_version) for it in record.updates} == {
            ("main", "25.100.0"),
            ("catalog", "25.100.0"),
            ("sale", "25.100.0"),
        }
        assert record.migration is not None
        assert "b_catalog_store_move" in record.migration.created_tables
        notes = "\n".join(record.notes)
        assert f"staging reached {vendor}" in notes
        assert "advice only: 1C-Bitrix is tested and advised on, not deployed" in notes
        with pytest.raises(ApprovalRefused, match="cannot be approved"):
            pipeline.waiting(site, journal, record.run)
        journal.close()
        assert shop.code_sha256() == code
        assert shop.sql(FLAG) == "0"
        log = shop.exec(["cat", "/srv/update-server/requests.log"])[1].decode().splitlines()
        assert log
        assert all(json.loads(line)["development"] for line in log)
