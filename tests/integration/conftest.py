"""A hosting server for the tests of what is done there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live_server import LiveServer, running

from updater.production.host import Host, connect


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of a module."""
    with running(tmp_path_factory.mktemp("server")) as live:
        yield live


@pytest.fixture
def host(live: LiveServer) -> Iterator[Host]:
    with connect(live.server) as host:
        yield host
