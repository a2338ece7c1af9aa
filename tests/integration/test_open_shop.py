"""The open shop after a promotion, on a real WordPress shop: watched over HTTP and ssh, taken back or left to a person."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from updater import cms, config, pipeline
from updater.checks import evidence, smoke
from updater.checks.observation import Observation, PageView
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import ExitCode
from updater.journal import Journal, new_run_id, now
from updater.log import Silent
from updater.model import (
    Approval,
    ApprovedRelease,
    Check,
    Migration,
    Outcome,
    Release,
    Site,
    Status,
    Update,
)
from updater.production import host, probe, transaction
from updater.report import message
from updater.report.record import RunRecord

UNIT = "wp-content/plugins/demo-shop"
PATH = f"{UNIT}/demo-shop.php"
BREAKS = "/tmp/breaks"
NEW_CODE = f"\nif (file_exists('{BREAKS}')) {{ updater_no_such_function(); }}\n"
UPDATE = Update("plugin", "demo-shop", "Demo Shop", "1.0", "1.1", Path("demo-shop.zip"), "ab" * 32, "packages")


@dataclass
class Promoted:
    """A shop whose new code is live, and its run as the pipeline holds it at that moment."""

    shop: DemoShop
    this: pipeline.Run
    release: Release
    log: pipeline.ErrorLog
    code: str

    def watch(self, *, migrated: bool = False) -> RunRecord:
        release = replace(
            self.release, migration=Migration(steps=(), changed_tables=("sh_options",) if migrated else ())
        )
        with host.connect(self.this.site.server) as server:
            installation = cms.detect(server, self.this.site.docroot, probe.find_php(server, self.this.site), "auto")
        driver = cms.driver(installation.cms)
        pipeline._watch_the_open_shop(self.this, driver, installation, release, None, self.log)
        return self.this.record

    def breaks(self) -> None:
        assert self.shop.exec(["touch", BREAKS])[0] == 0

    @property
    def code_is_old(self) -> bool:
        return self.shop.code_sha256() == self.code


@pytest.fixture
def promoted(lasting_shop: DemoShop, tmp_path: Path) -> Iterator[Promoted]:
    shop = lasting_shop
    shop.exec(["rm", "-f", BREAKS])
    site = config.load(shop.write_site(tmp_path / "site", []))
    site = replace(site, promote=replace(site.promote, bake=timedelta(seconds=2)))
    code = shop.code_sha256()
    journal = Journal(site.state)
    record = RunRecord(new_run_id(), site.name, site.url, "wordpress", "awaiting approval", 3, now(), now())
    folder = journal.begin(record.run, site.name)
    this = pipeline.Run(site, journal, Silent(), record.run, folder, record)
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
        driver = cms.driver(installation.cms)
        release = _release(this.id, site, server.read(f"{DOCROOT}/{PATH}"), folder)
        log = pipeline._remember_errors(server, driver, installation)
        pipeline._remember_orders(this, server, driver, installation)
        approval = Approval(release.run, "ann", now(), now() + timedelta(days=1), "e", release.sha256)
        outcome = transaction.promote(
            server, site, installation, ApprovedRelease(release, approval), _passes, Silent(),
            gate=driver.gate(installation), purge=driver.purge(installation),
        )  # fmt: skip
    assert outcome.state == "promoted", outcome.reason
    pipeline._tell_outcome(this, replace(outcome, checks=()))
    _tested(folder)
    yield Promoted(shop, this, release, log, code)
    shop.exec(["rm", "-f", BREAKS])
    if shop.code_sha256() != code:
        with host.connect(site.server) as server:
            transaction.rollback(server, site, installation, this.id, Silent(), gate=driver.gate(installation))
    journal.close()


def _passes(_: tuple[str, str]) -> tuple[Check, ...]:
    return (Check("home", "production", Status.PASSED, "looked at elsewhere"),)


def _release(run: str, site: Site, before: bytes, folder: Path) -> Release:
    after = before.rstrip() + NEW_CODE.encode()
    archive = folder / "release.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(PATH)
        member.size, member.mode = len(after), 0o644
        tar.addfile(member, io.BytesIO(after))
    changed = {PATH: (hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest())}
    return Release(run, site.name, now(), (UPDATE,), (UNIT,), changed, archive, Migration(), {}, {}, 1.0, "sha")


def _tested(folder: Path) -> None:
    views = tuple(PageView(page, "desktop", f"https://shop.example{page}", 200, "") for page in ("/", "/shop/"))
    for phase in (evidence.BEFORE, evidence.AFTER):
        (folder / phase).mkdir()
        smoke.save(Observation(folder / phase, 0, (), views, (), {}))


def test_a_shop_that_stays_well_stays_promoted(promoted: Promoted) -> None:
    record = promoted.watch()
    assert (record.state, record.exit_code) == ("promoted", ExitCode.DONE)
    assert [check.status for check in record.checks] == [Status.PASSED] * 3
    assert not promoted.code_is_old
    assert message(record)[0] == "info"


def test_code_that_breaks_the_open_shop_is_taken_back_by_itself_and_not_tried_again_at_once(promoted: Promoted) -> None:
    promoted.breaks()
    record = promoted.watch()
    assert (record.state, record.exit_code) == ("rolled back", ExitCode.ROLLED_BACK)
    assert isinstance(record.outcome, Outcome)
    assert "/ answers HTTP 500" in record.outcome.reason
    assert promoted.code_is_old
    assert promoted.shop.get("/").status_code == 200
    assert promoted.this.journal.broken(promoted.this.site.name)["plugin:demo-shop"].version == "1.1"
    urgency, _title, body = message(record)
    assert urgency == "urgent"
    assert "/ answers HTTP 500" in body
    assert "updater recover site.yml" in body


def test_after_a_migration_the_sick_shop_is_left_to_a_person_who_is_told_at_once(promoted: Promoted) -> None:
    promoted.breaks()
    record = promoted.watch(migrated=True)
    assert (record.state, record.exit_code) == ("promoted", ExitCode.UNKNOWN_STATE)
    assert not promoted.code_is_old
    urgency, _title, body = message(record)
    assert urgency == "urgent"
    assert "/ answers HTTP 500" in body
    assert "no order came since" in body
    assert "updater rollback site.yml" in body.rstrip().splitlines()[-1]


def test_an_edit_that_keeps_the_old_code_away_is_told_instead(promoted: Promoted) -> None:
    promoted.shop.exec(["sh", "-c", f"cp -p {DOCROOT}/{PATH} /tmp/kept && echo '// theirs' >> {DOCROOT}/{PATH}"])
    promoted.breaks()
    record = promoted.watch()
    promoted.shop.exec(["cp", "-p", "/tmp/kept", f"{DOCROOT}/{PATH}"])
    assert (record.state, record.exit_code) == ("promoted", ExitCode.UNKNOWN_STATE)
    assert "could not be brought back" in record.error
