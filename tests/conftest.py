"""A production of their own for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from updater import demo_shop
from updater.demo_shop import DemoShop
from updater.log import Silent
from updater.staging import daemon

LONG = "test_transaction.py"
"""Minutes, and all in one worker, as its tests share a server: begun in the order of the folders it would run on alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != LONG)


@pytest.fixture(scope="session")
def shop_image() -> str:
    """The demo production's image, built once when demo/ changed."""
    client = daemon.connect()
    try:
        return demo_shop.image(client, Silent())
    finally:
        client.close()


@pytest.fixture
def shop(shop_image: str, tmp_path: Path) -> Iterator[DemoShop]:
    """A fresh shop for one test: about two seconds."""
    with DemoShop.start(tmp_path / "shop") as started:
        yield started


@pytest.fixture(scope="module")
def lasting_shop(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoShop]:
    """One shop for all tests of a module: each puts back what it changed."""
    with DemoShop.start(tmp_path_factory.mktemp("shop")) as started:
        yield started
