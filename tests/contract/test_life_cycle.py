"""Every driver lives through an update on a real installation of its CMS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from life_cycle import Place, drive
from visitor import visit

from updater import cms, config, sources
from updater.demo_shop import DemoShop
from updater.log import Silent
from updater.production import host, probe


def test_wordpress_lives_through_an_update(shop: DemoShop, tmp_path: Path) -> None:
    site = config.load(
        shop.write_site(tmp_path / "site", ("wordpress", "akismet", "demo-shop-1.1", "demo-gallery-1.1"))
    )
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site))
        driver = cms.driver(installation.cms)
        inventory = driver.inventory(server, installation)
        platform = probe.read_platform(server, site, installation)
        plan = sources.plan(site, inventory, driver, platform, tmp_path / "cache", Silent())
        assert [update.id for update in plan.updates] == [
            "core:wordpress",
            "plugin:akismet",
            "plugin:demo-gallery",
            "plugin:demo-shop",
        ]
        packages = {}
        for update in plan.updates:
            packages[update.id] = f"/home/{shop.user}/{update.slug}.zip"
            server.put(update.package, packages[update.id])
        broken = f"/home/{shop.user}/broken.zip"
        server.write(broken, plan.updates[-1].package.read_bytes()[:2000])

        def look(path: str, cookies: Mapping[str, str]) -> tuple[int, Mapping[str, str], str]:
            answer = visit(shop, path, cookies)
            return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.text

        drive(
            Place(
                driver, server, site.docroot, installation.php, plan.updates, packages, broken, look, hosts=site.names
            )
        )
