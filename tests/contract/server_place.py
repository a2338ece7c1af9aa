"""A demo shop on its server as a `Place`: found over real ssh, with the packages of its plan laid beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from life_cycle import Place
from visitor import visit

from updater import cms, config, sources
from updater.demo_shop import DemoShop
from updater.log import Silent
from updater.production import host, probe


@contextmanager
def place_of(
    shop: DemoShop, folder: Path, offered: Sequence[str], doors: Sequence[str], more: Sequence[Path] = ()
) -> Iterator[Place]:
    """The shop with everything planned that `offered` (names of the image's packages) and `more` (zips) hold."""
    written = shop.write_site(folder / "site", offered)
    for path in more:
        shutil.copy(path, written.parent / "packages")
    site = config.load(written)
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site))
        driver = cms.driver(installation.cms)
        inventory = driver.inventory(server, installation)
        platform = probe.read_platform(server, site, installation)
        plan = sources.plan(site, inventory, driver, platform, folder / "cache", Silent())
        assert plan.held == ()
        packages = {update.id: f"/home/{shop.user}/{update.slug}.zip" for update in plan.updates}
        for update in plan.updates:
            server.put(update.package, packages[update.id])
        broken = f"/home/{shop.user}/broken.zip"
        whole = plan.updates[-1].package.read_bytes()
        server.write(broken, whole[: len(whole) // 2])

        def look(path: str, cookies: Mapping[str, str]) -> tuple[int, Mapping[str, str], str]:
            answer = visit(shop, path, cookies)
            return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.text

        yield Place(
            driver, server, site.docroot, installation.php, plan.updates, packages, broken, look, doors, site.names
        )
