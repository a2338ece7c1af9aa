"""Nothing here waits for a server that will not come, and nothing fails because the machine was busy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina
from hypothesis import settings

from updater import secrets

settings.register_profile("by result alone", deadline=None)
settings.load_profile("by result alone")


@pytest.fixture(autouse=True, scope="session")
def no_waiting_between_attempts() -> Iterator[None]:
    """Each attempt is made, the seconds between them are not."""
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests() -> Iterator[None]:
    """A password of one test would hide that word in what another one reads."""
    before = set(secrets._known)
    yield
    secrets._known.clear()
    secrets._known.update(before)
