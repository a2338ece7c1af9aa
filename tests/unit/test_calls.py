"""A host that only the updated shop calls is told, whatever else the report lists."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from updater.checks import calls
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
