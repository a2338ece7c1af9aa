"""Which update mends a known vulnerability."""

from __future__ import annotations

import json

import pytest

from updater import advisories


def feed(first: str, first_in: bool, last: str, last_in: bool) -> bytes:
    versions = {"from_version": first, "from_inclusive": first_in, "to_version": last, "to_inclusive": last_in}
    software = [{"type": "plugin", "slug": "tea", "affected_versions": {"range": versions}}]
    return json.dumps({"1": {"title": "Tea leaks", "cve": None, "cvss": None, "software": software}}).encode()


@pytest.mark.parametrize(
    ("affected", "old", "new", "mends"),
    [
        (("*", True, "1.4", True), "1.4", "1.5", True),
        (("*", True, "1.4", True), "1.5", "1.6", False),  # was never affected
        (("*", True, "1.5", False), "1.4", "1.5", True),
        (("*", True, "1.9", True), "1.4", "1.5", False),  # still affected
        (("1.4", True, "1.4", True), "1.4", "1.5", True),
        (("1.4", False, "1.9", True), "1.4", "2.0", False),
        (("*", True, "*", True), "1.4", "9.0", False),
        (("*", True, "1.10", True), "1.9", "1.11", True),  # 1.10 is newer than 1.9
    ],
)
def test_an_update_mends_what_the_old_version_has_and_the_new_one_has_not(
    affected: tuple[str, bool, str, bool], old: str, new: str, mends: bool
) -> None:
    known = advisories.parse(feed(*affected), "feed.json")
    assert advisories.mended(known, "plugin", "tea", old, new) == (("Tea leaks",) if mends else ())
    assert advisories.mended(known, "theme", "tea", old, new) == ()


@pytest.mark.parametrize("data", [b"", b"[]", b'{"1": []}', b'{"1": {"title": "x", "software": [{"type": "plugin"}]}}'])
def test_a_feed_in_another_form_is_an_error_and_not_an_empty_feed(data: bytes) -> None:
    with pytest.raises(advisories.FeedUnreadable) as caught:
        advisories.parse(data, "feed.json")
    assert caught.value.where == "feed.json"
    assert "policy.advisories" in caught.value.hint
