"""1C-Bitrix from clone to the end of a run: what staging cannot ask the vendor for is held and said, and production is only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater import config, pipeline
from updater.demo_shop import DemoShop
from updater.errors import ExitCode
from updater.journal import Journal
from updater.log import Silent

FLAG = "SELECT COUNT(*) FROM b_option WHERE NAME = 'update_devsrv'"


@pytest.mark.timeout(600)
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
        assert record.inventory is not None
        assert {it.slug for it in record.inventory.components} == {"main", "iblock", "catalog", "sale", "acme.banner"}
        assert shop.code_sha256() == code
        assert shop.sql(FLAG) == "0", "only the copy says that it is one"
        assert shop.exec(["test", "-e", "/srv/update-server/requests.log"])[0] == 1
