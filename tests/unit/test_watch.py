"""When a look between runs worries, and when it does not: pure judgements on what was seen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from updater import notify
from updater.model import BackupEvent, BackupSettings, Licence, PassportSettings, Policy, Server, Site
from updater.production.look import LogPlace, ServerLook, WebLook, page_problem
from updater.watch import Concern, Hole, Remembered, Seen, _tell, _with_holes, concerns, remarks, sample_of

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
GOOD = "<html><head><title>Лавка чая</title></head><body>Чай</body></html>"
SERVER = ServerLook(1_800_000_000, "", 0, 0.4, LogPlace("/logs/access.log", 7, 100), 400, 8, 0, (), ())
SEEN = Seen(AT, WebLook(200, 0.4, "", AT + timedelta(days=60)), SERVER, {"plugin:tea": "1.0"}, 100)
KNOWN = Remembered(1_799_999_000, SERVER.log, 0, {"plugin:tea": "1.0"}, 100, (), AT - timedelta(days=60))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    server = Server("shop.example", "deploy")
    return Site("tea", server, "/srv/shop", "https://shop.example", tmp_path / "site.yml", hosts=("www.shop.example",))


def found(site: Site, seen: Seen = SEEN, known: Remembered = KNOWN, *events: BackupEvent) -> list[tuple[str, str]]:
    return [(concern.key, concern.urgency) for concern in concerns(site, seen, known, events)]


def server(**changes: object) -> Seen:
    return replace(SEEN, server=replace(SERVER, **changes))  # type: ignore[arg-type]


def test_a_shop_that_is_well_worries_nobody(site: Site) -> None:
    assert found(site) == []
    assert remarks(site, SEEN, KNOWN) == ()


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, GOOD, ""),
        (502, GOOD, "HTTP 502"),
        (200, "<html><title>x</title><b>Fatal error</b>: Uncaught Error: …</html>", "shows PHP's fatal error"),
        (200, "<html><title>x</title>Error establishing a database connection</html>", "the database is not reached"),
        (200, "<html><title>x</title>На сайте ведутся работы</html>", "is a maintenance page"),
        (200, "<html><title>Index of /</title></html>", "is the hosting's own"),
        (200, "<html><title>x</title>This account has been suspended.</html>", "is the hosting's own"),
        (200, "", "has no title"),
        (200, "<html><head><title>Лавка</title></head><body>", "ends in the middle"),
    ],
)
def test_two_hundred_alone_is_no_page_of_the_shop(site: Site, status: int, body: str, problem: str) -> None:
    page = httpx.Response(status, text=body, request=httpx.Request("GET", "https://www.shop.example/"))
    told = page_problem(site, page)
    assert problem in told
    assert bool(told) == bool(problem)


def test_another_site_behind_a_redirect_is_not_the_shop(site: Site) -> None:
    page = httpx.Response(200, text=GOOD, request=httpx.Request("GET", "https://parking.example/"))
    assert page_problem(site, page) == "it leads to parking.example"


def test_a_shop_that_does_not_answer_wakes_somebody_unless_we_closed_it(site: Site) -> None:
    down = replace(SEEN, web=WebLook(503, None, "HTTP 503", None))
    assert found(site, down) == [("down", "urgent")]
    assert sample_of(down).up is False
    ours = replace(down, server=replace(SERVER, closed_by="20261125-115900-aaaa"))
    assert found(site, ours) == []
    assert sample_of(ours).problem == "closed by the deployment 20261125-115900-aaaa"
    assert sample_of(ours).up is False, "closed is closed: the month counts it"


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (31, []),
        (30, [("certificate 30", "work")]),
        (14, [("certificate 14", "work")]),
        (7, [("certificate 7", "urgent")]),
        (1, [("certificate 1", "urgent")]),
        (0, [("certificate 1", "urgent")]),
        (-2, [("certificate over", "urgent")]),
    ],
)
def test_each_limit_of_a_certificate_is_a_concern_of_its_own(
    site: Site, days: int, expected: list[tuple[str, str]]
) -> None:
    ends = AT + timedelta(days=days, hours=1)
    assert found(site, replace(SEEN, web=replace(SEEN.web, certificate_ends=ends))) == expected


def test_a_disk_that_fills_is_work_and_a_full_one_urgent(site: Site) -> None:
    assert found(site, server(disk_free=0.11)) == []
    assert found(site, server(disk_free=0.08)) == [("disk low", "work")]
    assert found(site, server(disk_free=0.01)) == [("disk full", "urgent")]


def test_errors_count_by_share_and_by_number(site: Site) -> None:
    assert found(site, server(requests=12, server_errors=5)) == [], "a handful at night is no figure"
    assert found(site, server(requests=10_000, server_errors=40)) == [], "a crawler meets one now and then"
    assert found(site, server(requests=400, server_errors=20)) == [("errors", "work")]
    assert found(site, server(requests=None, server_errors=None)) == [], "unknown is not good and not bad"


def titles(site: Site, seen: Seen, known: Remembered = KNOWN) -> dict[str, Concern]:
    return {concern.key.split()[0]: concern for concern in concerns(site, seen, known, ())}


def test_what_somebody_else_changed_is_told_with_names(site: Site) -> None:
    seen = server(changed=("tea.php", "media/x.php"), executable_media=("media/x.php",))
    told = titles(site, replace(seen, versions={"plugin:tea": "1.1", "plugin:new": "2.0"}))
    assert told["components"].body == "new absent → 2.0\ntea 1.0 → 1.1"
    assert told["uploads"].body == "media/x.php"
    assert told["files"].body == "tea.php", "what lies among uploads is told once"
    assert all(concern.passing for concern in told.values())


def test_our_own_deployment_is_nobody_elses_work(site: Site) -> None:
    changed = replace(SEEN, versions={"plugin:tea": "1.1"})
    assert "components" in titles(site, changed)
    assert titles(site, replace(changed, server=replace(SERVER, deployed=5)), replace(KNOWN, deployed=4)) == {}
    closed = replace(SERVER, closed_by="20261125-115900-aaaa", changed=("tea.php",))
    assert titles(site, replace(changed, server=closed)) == {}, "half a deployment is ours too"


def test_the_first_look_compares_with_nothing(site: Site) -> None:
    first = replace(server(changed=None, executable_media=None, requests=None), versions={"plugin:tea": "1.1"})
    assert found(site, first, Remembered()) == []
    assert any("from the next look on" in remark for remark in remarks(site, first, Remembered()))


def test_a_gap_between_orders_is_told_only_against_a_rhythm_that_is_known(site: Site) -> None:
    every_four_hours = tuple(AT - timedelta(hours=4 * n) for n in range(30, 1, -1))
    known = replace(KNOWN, order_times=every_four_hours)
    last = every_four_hours[-1]
    assert found(site, replace(SEEN, at=last + timedelta(hours=6)), known) == [], (
        "1.5 times the longest gap is no news yet"
    )
    late = replace(SEEN, at=last + timedelta(hours=6, minutes=1))
    assert found(site, late, known) == [("orders", "work")]
    assert found(site, replace(late, order_count=101), known) == [], "one came"
    few = replace(known, order_times=every_four_hours[-10:])
    assert found(site, replace(SEEN, at=AT + timedelta(days=3)), few) == []
    short = replace(known, watched_since=AT - timedelta(days=5))
    assert found(site, replace(SEEN, at=AT + timedelta(days=3)), short) == []


def backup(kind: str, place: str, ago: timedelta, *, ok: bool = True) -> BackupEvent:
    return BackupEvent(AT - ago, kind, "b", place, ok, AT - ago)  # type: ignore[arg-type]


def test_a_place_that_fell_behind_and_a_restore_that_was_never_made_are_told(site: Site) -> None:
    night, weeks = timedelta(hours=9), timedelta(days=50)
    site = replace(site, backup=BackupSettings("secret-word", {"here": "/b", "away": "s3:x"}))
    fine = [backup("made", "here", night), backup("made", "away", night), backup("restored", "away", timedelta(days=9))]
    assert found(site, SEEN, KNOWN, *fine) == []
    assert found(site, SEEN, KNOWN) == [("backup here", "work"), ("backup away", "work")]
    behind = [fine[0], backup("made", "away", timedelta(days=2)), backup("made", "away", night, ok=False), fine[2]]
    assert found(site, SEEN, KNOWN, *behind) == [("backup away", "work")]
    hope = [backup("made", "here", weeks), *fine[:2], backup("restored", "away", night, ok=False)]
    assert found(site, SEEN, KNOWN, *hope) == [("restore", "work")]
    assert found(site, SEEN, KNOWN, *fine[:2]) == [], "the first backup was made last night: there is time to prove it"


def test_a_server_out_of_reach_leaves_its_figures_unknown(site: Site) -> None:
    lost = replace(SEEN, server=None, versions=None, order_count=None, unreachable="nothing answers on port 22")
    assert found(site, lost) == [("ssh", "work")]
    sample = sample_of(lost)
    assert (sample.up, sample.requests, sample.disk_free) == (True, None, None)


@pytest.mark.parametrize(
    ("days", "expected"),
    [(40, []), (30, ["licence 30 Filters"]), (1, ["licence 1 Filters"]), (-3, ["licence over Filters"])],
)
def test_a_licence_that_ends_is_told_before_and_after(site: Site, days: int, expected: list[str]) -> None:
    licence = Licence("Filters", AT.date() + timedelta(days=days))
    site = replace(site, passport=PassportSettings(licences=(licence,)))
    assert [key for key, _ in found(site)] == expected


def _feed(folder: Path, rating: str, last: str) -> Path:
    affected = {"*": {"from_version": "*", "from_inclusive": True, "to_version": last, "to_inclusive": True}}
    software = [{"type": "plugin", "slug": "tea", "affected_versions": affected}]
    path = folder / "feed.json"
    path.write_text(
        json.dumps(
            {"a": {"title": "orders can be read", "cve": "CVE-1", "cvss": {"rating": rating}, "software": software}}
        )
    )
    return path


def test_a_critical_hole_of_an_installed_version_wakes_somebody_and_any_other_is_work(
    site: Site, tmp_path: Path
) -> None:
    site = replace(site, policy=Policy(advisories=str(_feed(tmp_path, "Critical", "1.0"))))
    seen = _with_holes(site, SEEN, KNOWN)
    assert seen.holes == (Hole("plugin:tea", "CVE-1 orders can be read (Critical)", "Critical"),)
    assert found(site, seen) == [("hole plugin:tea True", "urgent")]
    _feed(tmp_path, "High", "1.0")
    assert found(site, _with_holes(site, SEEN, KNOWN)) == [("hole plugin:tea False", "work")]
    _feed(tmp_path, "High", "0.9")
    assert found(site, _with_holes(site, SEEN, KNOWN)) == []


def test_a_large_feed_is_read_again_only_when_it_or_a_version_changed(site: Site, tmp_path: Path) -> None:
    feed = _feed(tmp_path, "High", "1.0")
    site = replace(site, policy=Policy(advisories=str(feed)))
    first = _with_holes(site, SEEN, KNOWN)
    remembered = replace(KNOWN, feed=first.feed, holes=(Hole("plugin:tea", "as remembered", ""),))
    assert _with_holes(site, SEEN, remembered).holes == remembered.holes, "not read"
    assert _with_holes(site, replace(SEEN, versions={"plugin:tea": "1.1"}), remembered).holes == ()


def test_a_feed_that_cannot_be_read_is_not_no_vulnerabilities(site: Site, tmp_path: Path) -> None:
    feed = tmp_path / "feed.json"
    feed.write_text("{")
    for where in (str(feed), "https://feed.example/v3"):
        site = replace(site, policy=Policy(advisories=where))
        seen = _with_holes(site, SEEN, KNOWN)
        assert seen.holes is None
        assert any("known vulnerabilities" in remark for remark in remarks(site, seen, KNOWN))


def test_a_concern_is_told_once_and_its_message_closed_when_it_is_over(site: Site) -> None:
    down = replace(SEEN, web=WebLook(502, None, "HTTP 502", None))
    ends = replace(SEEN, web=replace(SEEN.web, certificate_ends=AT + timedelta(days=5)))

    def tell(seen: Seen, known: Remembered) -> tuple[Remembered, list[str], list[str]]:
        told, begun, ended = _tell(site, seen, known, concerns(site, seen, known, ()))
        return replace(known, told=told), [concern.key for concern in begun], list(ended)

    known, begun, _ = tell(ends, KNOWN)
    assert begun == ["certificate 7"]
    known, begun, ended = tell(down, known)
    assert (begun, ended) == (["down"], []), "a certificate that cannot be seen meanwhile is not over"
    known, begun, ended = tell(down, known)
    assert (begun, ended) == ([], []), "told once"
    known, begun, ended = tell(ends, known)
    assert (begun, ended) == ([], ["down"])
    messages = {message.title: message for message in notify.told(site.state)}
    assert messages["tea: the shop does not answer"].closed == AT
    assert messages["tea: the certificate ends in 5 days"].closed is None
    assert messages["tea: the shop answers again"].urgency == "info"
    assert len(messages) == 3
    happened = replace(SEEN, server=replace(SERVER, changed=("tea.php",)))
    known, begun, _ = tell(happened, known)
    assert len(begun) == 1
    assert begun[0] not in known.told, "what happened once does not end"
