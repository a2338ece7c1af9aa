"""What Ctrl-C and a lost ssh connection do to a real WordPress shop in the middle of a promotion."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from updater import cms, config
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import Drifted, Interrupted, StateUnknown
from updater.log import Silent
from updater.model import (
    Approval,
    ApprovedRelease,
    Check,
    Installation,
    Migration,
    Outcome,
    PromoteSettings,
    Release,
    Site,
    Status,
)
from updater.production import host, probe
from updater.production.transaction import Patience, promote, recover, rollback, state

pytestmark = pytest.mark.faults

UNIT = "wp-content/plugins/demo-shop"
PATH = f"{UNIT}/demo-shop.php"
MARK = "<!-- tested -->"
NEW_CODE = f"\nadd_action('wp_head', function () {{ echo '{MARK}'; }});\n"
CRONTAB = "0 5 * * * /bin/true\n"
PRODUCT = "/product/samovar-tula/"


@dataclass
class Bench:
    """The shop, what it was before, and a small release for it: one plugin file that says so on every page."""

    shop: DemoShop
    site: Site
    installation: Installation
    release: Release
    code: str
    seen: list[str] = field(default_factory=list)

    def promote(
        self, check: Callable[[tuple[str, str]], tuple[Check, ...]], progress: Silent | None = None, lost: float = 60
    ) -> Outcome:
        now = datetime.now(UTC)
        approval = Approval(self.release.run, "ann", now, now + timedelta(days=1), "e", self.release.sha256)
        driver = cms.driver(self.installation.cms)
        with host.connect(self.site.server) as server:
            return promote(
                server, self.site, self.installation, ApprovedRelease(self.release, approval), check, progress or Silent(),
                gate=driver.gate(self.installation), purge=driver.purge(self.installation), patience=Patience(lost=lost),
            )  # fmt: skip

    def passes(self, cookie: tuple[str, str]) -> tuple[Check, ...]:
        closed = self.shop.get(PRODUCT)
        assert (closed.status_code, MARK in closed.text) == (503, False)
        code, page = self.shop.exec(
            ["curl", "-sk", "-b", "=".join(cookie), "-H", "Host: shop.example", f"https://127.0.0.1{PRODUCT}"]
        )
        assert code == 0
        good = MARK in page.decode()
        return (Check("product", "production", Status.PASSED if good else Status.FAILED, page.decode()[:300]),)

    def cut(self) -> None:
        """The ssh connections of this moment end, as by a router that forgot them."""
        _, pids = self.shop.exec(["pgrep", "-u", "deploy", "-x", "sshd"])
        code, said = self.shop.exec(["kill", "-9", *pids.decode().split()])
        assert code == 0, said

    def lock_out(self, out: bool) -> None:
        """Nobody can log in any more: what a server that is gone looks like from here."""
        keys = "/home/deploy/.ssh/authorized_keys"
        code, said = self.shop.exec(["mv", keys, f"{keys}.away"] if out else ["mv", f"{keys}.away", keys])
        assert code == 0, said

    def assert_open(self, marked: bool) -> None:
        page = self.shop.get(PRODUCT)
        assert page.status_code == 200
        assert "Самовар" in page.text
        assert "add_to_cart_button" in page.text
        assert (MARK in page.text) == marked

    def assert_clean(self) -> None:
        _, left = self.shop.exec(
            ["sh", "-c", f"ls -A {DOCROOT} {DOCROOT}/wp-content | grep -E 'maintenance|updater|^install' || true"]
        )
        assert left == b""
        code, crontab = self.shop.exec(["crontab", "-l"], user="deploy")
        assert (code, crontab.decode()) == (0, CRONTAB)
        until(lambda: b"transaction.sh" not in self.shop.exec(["ps", "-eo", "args"])[1])
        with host.connect(self.site.server) as server:
            assert state(server, self.site).lock == {}
            assert state(server, self.site).unfinished == ()
            assert recover(server, self.site, None, Silent()) == []

    def assert_old(self) -> None:
        assert self.shop.code_sha256() == self.code
        self.assert_open(marked=False)
        self.assert_clean()

    def assert_new(self) -> None:
        assert self.shop.code_sha256() != self.code
        self.assert_open(marked=True)
        self.assert_clean()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come true in time"
        time.sleep(0.2)


class At(Silent):
    """Does something once, when the promotion says that it enters a state."""

    def __init__(self, state: str, what: Callable[[], None]) -> None:
        self.state = state
        self.what = what
        self.done = False

    def say(self, message: str) -> None:
        if message == self.state and not self.done:
            self.done = True
            self.what()


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def bench(shop: DemoShop, tmp_path: Path) -> Iterator[Bench]:
    shop.exec(["crontab", "-"], user="deploy", stdin=CRONTAB.encode())
    site = replace(config.load(shop.write_site(tmp_path / "site", [])), promote=PromoteSettings(drain=10, deadline=24))
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
        before = server.read(f"{DOCROOT}/{PATH}")
    after = before.rstrip() + NEW_CODE.encode()
    assert not before.rstrip().endswith(b"?>")
    archive = tmp_path / "release.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(PATH)
        member.size, member.mode = len(after), 0o644
        tar.addfile(member, io.BytesIO(after))
    changed = {PATH: (hashlib.sha256(before).hexdigest(), hashlib.sha256(after).hexdigest())}
    run = f"run-{time.time_ns()}"
    release = Release(run, site.name, datetime.now(UTC), (), (UNIT,), changed, archive, Migration(), {}, {}, 1.0, "sha")
    it = Bench(shop, site, installation, release, shop.code_sha256())
    it.assert_open(marked=False)
    yield it


def test_a_release_is_promoted_and_rolled_back_to_the_last_byte(bench: Bench) -> None:
    outcome = bench.promote(bench.passes)
    assert outcome.state == "promoted", outcome.reason
    assert {(it.method, it.path) for it in outcome.refused} == {("GET", PRODUCT)}
    bench.assert_new()
    driver = cms.driver(bench.installation.cms)
    with host.connect(bench.site.server) as server:
        outcome = rollback(
            server, bench.site, bench.installation, bench.release.run, Silent(),
            gate=driver.gate(bench.installation), purge=driver.purge(bench.installation),
        )  # fmt: skip
    assert outcome.state == "rolled_back"
    bench.assert_old()


@pytest.mark.parametrize("where", ["drained", "swapped", "checked"])
def test_a_connection_lost_in_the_closed_shop_is_opened_again(bench: Bench, where: str) -> None:
    progress = At(where, bench.cut)
    outcome = bench.promote(bench.passes, progress)
    assert outcome.state == "promoted", outcome.reason
    assert progress.done
    bench.assert_new()


def test_a_connection_lost_in_the_check_does_not_cost_the_decision(bench: Bench) -> None:
    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        checks = bench.passes(cookie)
        bench.cut()
        return checks

    outcome = bench.promote(check)
    assert outcome.state == "promoted", outcome.reason
    bench.assert_new()


def test_a_server_that_stays_out_of_reach_brings_the_old_shop_back_by_itself(bench: Bench) -> None:
    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        checks = bench.passes(cookie)
        bench.lock_out(True)
        bench.cut()
        return checks

    begun = time.monotonic()
    with pytest.raises(StateUnknown) as unknown:
        bench.promote(check, lost=5)
    assert time.monotonic() - begun < 90
    bench.assert_open(marked=False)
    bench.lock_out(False)
    assert re.search(
        r"updater recover \S*site\.yml(.|\n)*ssh -p 22 deploy@(.|\n)* recover(.|\n)* open", unknown.value.hint
    )
    bench.assert_old()


@pytest.mark.parametrize("where", ["staged", "closed", "swapped", "checked"])
def test_ctrl_c_brings_the_old_shop_back_before_it_returns(bench: Bench, where: str) -> None:
    with pytest.raises(Interrupted, match="production is as it was") as stopped:
        bench.promote(bench.passes, At(where, interrupt))
    bench.assert_old()
    assert "updater recover site.yml" in stopped.value.hint


def test_ctrl_c_in_the_check_brings_the_old_shop_back(bench: Bench) -> None:
    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        assert bench.passes(cookie)[0].status is Status.PASSED
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="production is as it was") as stopped:
        bench.promote(check)
    bench.assert_old()
    assert "updater recover site.yml" in stopped.value.hint


def test_a_second_ctrl_c_leaves_the_rest_to_the_server_and_says_so(bench: Bench) -> None:
    class Twice(Silent):
        def say(self, message: str) -> None:
            if message in ("swapped", "reverted", "opened", "decided old"):
                raise KeyboardInterrupt

    with pytest.raises(StateUnknown, match=r"goes on by itself(.|\n)*updater recover site\.yml"):
        bench.promote(bench.passes, Twice())
    until(lambda: bench.shop.get(PRODUCT).status_code == 200)
    bench.assert_old()


def test_an_edit_made_after_the_approval_is_drift_and_nothing_is_touched(bench: Bench) -> None:
    bench.shop.exec(["sh", "-c", f"echo '// edited' >> {DOCROOT}/{PATH}"], user="deploy")
    edited = replace(bench, code=bench.shop.code_sha256())
    with pytest.raises(Drifted, match=PATH):
        edited.promote(edited.passes)
    edited.assert_old()
