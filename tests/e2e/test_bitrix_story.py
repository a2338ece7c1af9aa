"""1C-Bitrix from clone to the end of a run: what staging cannot ask the vendor for is held and said, what it can is proven, and advised or
replayed on production as site.yml says, what breaks the shop is rejected. Each test goes on from where the one before it ended.

The shop is the twin (demo/bitrix-twin): docs/bitrix.md says what that proves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from updater import config, pipeline
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import ApprovalRefused, ExitCode
from updater.journal import Journal
from updater.log import Silent
from updater.model import EgressSettings, Release, Site
from updater.report.record import RunRecord

FLAG = "SELECT COUNT(*) FROM b_option WHERE NAME = 'update_devsrv'"
LOG = "/srv/update-server/requests.log"
OWN = ("bitrix/cache/", "bitrix/managed_cache/", "bitrix/stack_cache/", "bitrix/modules/updater.log")
"""What any visit writes, and the console's log"""


@dataclass
class Agency:
    shop: DemoShop
    site: Site
    journal: Journal

    def run(self, site: Site | None = None) -> RunRecord:
        """One run, which leaves production as it is."""
        code = self.shop.code_sha256()
        record = pipeline.run(site or self.site, self.journal, Silent())
        assert self.shop.code_sha256() == code, "testing must not touch production"
        assert self.shop.sql(FLAG) == "0", "only the copy says that it is one"
        return record

    def files(self) -> dict[str, str]:
        """Path → sha256 of what production runs."""
        _, sums = self.shop.exec(["sh", "-c", f"cd {DOCROOT} && find . -type f -exec sha256sum {{}} +"])
        lines = (line.split("  ./", 1) for line in sums.decode().splitlines())
        return {path: sha256 for sha256, path in lines if not path.startswith(OWN)}


@pytest.fixture(scope="module")
def agency(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agency]:
    with DemoShop.start(tmp_path_factory.mktemp("shop"), Silent(), kind="bitrix") as shop:
        written = shop.write_site(tmp_path_factory.mktemp("site"), ())
        written.write_text(f"{written.read_text()}viewports: {{desktop: 1366x768}}\n")
        site = config.load(written)
        # That cron starts what died is another test's matter: here it would be a minute of waiting.
        site = replace(site, promote=replace(site.promote, without_restarter=True))
        journal = Journal(site.state)
        yield Agency(shop, site, journal)
        journal.close()


@pytest.mark.timeout(1800)
def test_a_run_stages_the_shop_and_says_what_it_cannot_know(agency: Agency) -> None:
    record = agency.run(replace(agency.site, egress=EgressSettings()))
    assert record.state == pipeline.NOTHING, (record.reasons, record.error)
    assert record.exit_code == ExitCode.DONE
    held = {it.slug: it.reason for it in record.held}
    assert "cannot be tested without the vendor's server" in held["1C-Bitrix's update server"]
    assert "a partner's module" in held["acme.banner"]
    assert "b_event" not in "\n".join(record.notes), "no old mail of customers is in the copy"
    assert record.inventory is not None
    assert {it.slug for it in record.inventory.components} == {"main", "iblock", "catalog", "sale", "acme.banner"}
    assert agency.shop.exec(["test", "-e", LOG])[0] == 1


@pytest.mark.timeout(1800)
def test_updates_are_proven_where_staging_may_reach_the_vendor_and_advised_on(agency: Agency) -> None:
    agency.shop.offer("main-25.100.0", "catalog-25.100.0", "sale-25.100.0")
    advised = replace(agency.site, switches=frozenset())
    record = agency.run(advised)
    assert record.state == pipeline.AWAITING, (record.reasons, record.error, record.held)
    assert {(it.slug, it.to_version) for it in record.updates} == {
        ("main", "25.100.0"),
        ("catalog", "25.100.0"),
        ("sale", "25.100.0"),
    }
    assert record.migration is not None
    assert "b_catalog_store_move" in record.migration.created_tables
    notes = "\n".join(record.notes)
    assert f"staging reached {agency.shop.address}:8099" in notes
    assert "advice only: 1C-Bitrix is tested and advised on, not deployed" in notes
    assert "install the versions of the report" in record.advice
    with pytest.raises(ApprovalRefused, match="cannot be approved"):
        pipeline.waiting(advised, agency.journal, record.run)
    log = agency.shop.exec(["cat", LOG])[1].decode().splitlines()
    assert log
    assert all(json.loads(line)["development"] for line in log)


@pytest.mark.timeout(1800)
def test_production_replays_what_was_tested_and_a_broken_update_is_rejected(agency: Agency) -> None:
    run = agency.journal.find("last").run
    tested = agency.journal.output(run, "release", Release)
    waiting = pipeline.waiting(agency.site, agency.journal, run)
    assert waiting.deadline >= 2 * tested.rehearsed_seconds > 2 * tested.migration.seconds, "the console's time counts"
    before = agency.files()
    shown = waiting.record.evidence_sha256
    done = pipeline.approve(agency.site, agency.journal, Silent(), run, person="ann", shown_sha256=shown)
    assert done.state == pipeline.PROMOTED, (done.reasons, done.error, done.outcome)
    assert agency.shop.sql(FLAG) == "0"
    agency.shop.get(agency.shop.kind.ready).raise_for_status()
    after = agency.files()
    changed = {
        it: (before.get(it), after.get(it)) for it in before.keys() | after.keys() if before.get(it) != after.get(it)
    }
    assert changed == dict(tested.changed)

    agency.shop.offer("sale-25.200.0")
    record = agency.run()
    assert record.state == pipeline.REJECTED, (record.reasons, record.error, record.held)
    assert record.exit_code == ExitCode.REJECTED
    assert [(it.slug, it.from_version, it.to_version) for it in record.held_here] == [("sale", "25.100.0", "25.200.0")]
    assert "Place the order" in record.held_here[0].reason
    again = agency.journal.broken(agency.site.name)["plugin:sale"]
    assert again.version == "25.200.0", "it is not tried each night"
