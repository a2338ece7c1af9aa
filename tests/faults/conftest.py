"""A real production for each case: a whole WordPress shop on its own server, reached over ssh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from updater.demo_shop import DemoShop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[DemoShop]:
    """A fresh shop for one test: about two seconds; its image is built when demo/ changed."""
    with DemoShop.start(tmp_path / "shop") as started:
        yield started
