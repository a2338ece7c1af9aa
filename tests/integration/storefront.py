"""One walk of a CMS's own flows through a demo shop, as a run makes it, and what was seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from updater import cms, config
from updater.checks import smoke
from updater.checks.observation import Observation, Target
from updater.cms.base import ShopState
from updater.demo_shop import URL, DemoShop
from updater.log import Silent
from updater.model import DESKTOP, MOBILE
from updater.production import host, probe
from updater.resources import folder


def walk(shop: DemoShop, out: Path, *, read_only: bool = False) -> Observation:
    """On both window sizes, with orders and stock before and after; each test of the flows passed."""
    site = replace(config.load(shop.write_site(out / "site", ())), viewports=(DESKTOP, MOBILE))
    target = Target(URL, dict.fromkeys(shop.hosts, shop.address), trust_any_certificate=True, read_only=read_only)
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site))
        driver = cms.driver(installation.cms)
        suite = folder("smoke_tests") / driver.layout(server, installation).smoke_tests

        def state() -> ShopState:
            return driver.orders(server, installation, None)

        seen = smoke.observe(target, site, suite, out / "seen", Silent(), state=state)
    assert [(test.name, test.message) for test in seen.tests if test.outcome != "passed"] == []
    return seen
