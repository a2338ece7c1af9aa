"""Our count of changed pixels is that of mapbox's pixelmatch itself, which comes from npm."""

from __future__ import annotations

from pathlib import Path

import pytest
from measure import diff, npm

from updater.checks import pixels


@pytest.mark.skipif(
    not npm.installed(), reason="mapbox's pixelmatch comes from npm: `make bench ONLY=diff` installs it"
)
def test_our_count_is_mapboxs_on_every_drawn_pair(tmp_path: Path) -> None:
    with diff.peer("pixelmatch", tmp_path) as mapbox:
        assert diff.differing_counts(mapbox, {}) == []
        drawn = [pixels.differing(a, b).sum() for _, a, b in diff.drawn()]
        assert sum(count > 0 for count in drawn) > 30, "most of them differ"
