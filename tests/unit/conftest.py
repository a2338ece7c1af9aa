"""Nothing here waits for a server that will not come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True, scope="session")
def no_waiting_between_attempts() -> Iterator[None]:
    """Each attempt is made, the seconds between them are not."""
    with stamina.set_testing(True, attempts=3):
        yield
