"""The WordPress driver lives through an update on a real installation."""

from __future__ import annotations

from pathlib import Path

from life_cycle import drive
from server_place import place_of

from updater.demo_shop import DemoShop

DOORS = ("/", "/?p=1", "/wp-login.php", "/xmlrpc.php", "/wp-admin/upgrade.php?step=1", "/wp-admin/install.php")


def test_wordpress_lives_through_an_update(shop: DemoShop, tmp_path: Path) -> None:
    with place_of(shop, tmp_path, ("wordpress", "akismet", "demo-shop-1.1", "demo-gallery-1.1"), DOORS) as place:
        assert [update.id for update in place.updates] == [
            "core:wordpress",
            "plugin:akismet",
            "plugin:demo-gallery",
            "plugin:demo-shop",
        ]
        drive(place)
