"""A host that only the updated shop calls is told, whatever else the report lists."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from updater.checks import calls
from updater.checks.observation import Observation, PageView
from updater.model import BlockedCall, Status

STEPS = ("before", "noise")


def call(step: str, host: str = "collect.partner.example", path: str = "/orders") -> BlockedCall:
    return BlockedCall(datetime(2026, 1, 1, tzinfo=UTC), "https", host, 443, path, step)


def test_a_host_that_the_old_shop_never_called_is_found_with_port_and_path():
    check = calls.compare([call("before", "warehouse.example"), call("after")], STEPS, "after", ())
    assert check.status is Status.FAILED
    (finding,) = check.findings
    assert finding.where == "collect.partner.example"
    assert "called collect.partner.example:443/orders (https)" in finding.message
    assert "name the host in site.yml (`calls:`)" in finding.message


@pytest.mark.parametrize(
    ("made", "known"),
    [
        ([call("before"), call("after")], ()),
        ([call("noise"), call("after")], ()),
        ([call("update")], ()),
        ([call("known fault")], ()),
        ([call("after")], ("collect.partner.example",)),
        ([call("after")], ("partner.example",)),
        ([], ()),
    ],
    ids=[
        "called before",
        "called in the noise",
        "while installing",
        "another step",
        "named",
        "its domain named",
        "none",
    ],
)
def test_what_was_called_before_or_is_named_is_no_finding(made, known):
    assert calls.compare(made, STEPS, "after", known).status is Status.PASSED


def test_a_name_that_only_ends_alike_is_another_host():
    assert calls.compare([call("after", "evilpartner.example")], STEPS, "after", ("partner.example",)).findings


def seen(*asked: str) -> Observation:
    views = tuple(
        PageView(page, "desktop", f"https://shop.example/{page}", 200, "", asked=asked if page == "checkout" else ())
        for page in ("home", "checkout")
    )
    return Observation(Path(), 0, (), views, (), {})


def test_a_host_that_only_the_updated_page_tells_something_is_found_with_the_page():
    old = (seen("fonts.example"), seen("fonts.example", "ads.example"))
    check = calls.compare([], STEPS, "after", (), old, seen("ads.example", "fonts.example", "metrics.example"))
    assert check.status is Status.FAILED
    assert [(it.where, it.after) for it in check.findings] == [("checkout (desktop)", "metrics.example")]
    assert "metrics.example" in check.detail


def test_a_host_that_site_yml_names_may_be_asked_by_pages_and_one_that_the_server_called_is_told_once():
    assert calls.compare([], STEPS, "after", ("example",), (), seen("metrics.example")).status is Status.PASSED
    both = calls.compare([call("after", "metrics.example")], STEPS, "after", (), (), seen("metrics.example"))
    assert [it.where for it in both.findings] == ["metrics.example"]
