"""The look between runs, at a real shop: a whole sample for the month, over real ssh."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from updater import config, samples
from updater.demo_shop import DemoShop
from updater.errors import SiteLocked
from updater.journal import now
from updater.log import Silent
from updater.model import Site
from updater.watch import Looked, watch

LOG = "/var/www/shop.example/logs/access.log"


@pytest.fixture(scope="module")
def site(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return config.load(lasting_shop.write_site(tmp_path_factory.mktemp("site"), []), {})


@pytest.fixture(autouse=True)
def looked_before(site: Site) -> None:
    """Each test goes on from a look that found the shop well, and nothing of another test stands open."""
    assert keys(look(site)) <= {"files", "components", "uploads"}
    assert keys(look(site)) == set()


def look(site: Site) -> Looked:
    return watch(site, Silent(), wait=lambda _: None)


def keys(looked: Looked) -> set[str]:
    """Without what is told of this machine rightly: the demo shop's certificate ends within weeks, and its disk is ours."""
    return {concern.key.split()[0] for concern in looked.concerns} - {"certificate", "disk"}


def root(shop: DemoShop, script: str) -> str:
    code, said = shop.exec(["sh", "-c", script])
    assert code == 0, said
    return said.decode()


def test_a_healthy_shop_gives_a_whole_sample_for_the_month(site: Site, lasting_shop: DemoShop) -> None:
    for path in ("/", "/nothing-here/", "/nothing-there/"):
        lasting_shop.get(path)
    looked = look(site)
    sample = looked.sample
    assert (sample.up, sample.status, sample.problem) == (True, 200, "")
    assert sample.seconds is not None
    assert 0 < sample.seconds < 30
    assert sample.certificate_days is not None
    assert sample.certificate_days > 0
    assert sample.disk_free is not None
    assert 0 < sample.disk_free < 1
    assert sample.requests is not None
    assert sample.requests >= 5, "three visitors, and our own two"
    assert (sample.client_errors, sample.server_errors) == (2, 0)
    assert samples.of_month(site.state, sample.at.date().replace(day=1))[-1] == sample
    assert looked.remarks == ()
    told = [concern.key for concern in looked.concerns if concern.key.startswith("certificate")]
    assert bool(told) == (sample.certificate_days <= 30)


def test_a_rotated_log_is_read_from_its_beginning(site: Site, lasting_shop: DemoShop) -> None:
    root(lasting_shop, f"mv {LOG} {LOG}.1 && cp -p {LOG}.1 {LOG} && : > {LOG} && apachectl graceful")
    lasting_shop.get("/nothing-here/")
    sample = look(site).sample
    assert (sample.client_errors, sample.server_errors) == (1, 0)
    assert sample.requests is not None
    assert sample.requests < 20


def test_two_looks_at_once_are_one(site: Site) -> None:
    with (site.state / "watch" / "lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(SiteLocked):
            look(site)


def test_a_look_needs_no_lock_of_a_run(site: Site, tmp_path: Path) -> None:
    """A weekly run takes minutes, and the shop is watched meanwhile."""
    begun = now()
    with (site.state / "lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert look(site).sample.at >= begun
