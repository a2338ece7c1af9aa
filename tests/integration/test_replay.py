"""A release that production's own updater installs anew, on the twin (tests/replay_twin.py). Each test begins with the shop as it was before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from replay_twin import GATE, RETURNS, SERVER, Twin, fails, with_a_release

from updater.demo_shop import DOCROOT
from updater.errors import PromotionRefused, WaitsForAPerson
from updater.log import Silent
from updater.model import Stopped
from updater.production.host import connect
from updater.production.transaction import recover


@pytest.fixture(scope="module")
def made(shop_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    with with_a_release(tmp_path_factory.mktemp("twin")) as twin:
        yield twin


@pytest.fixture
def twin(made: Twin) -> Twin:
    made.reset()
    return made


def test_the_shops_own_console_brings_what_was_tested(twin: Twin) -> None:
    outcome = twin.promote()
    assert outcome.state == "promoted", outcome.reason
    twin.is_what_was_tested()
    assert "b_catalog_store_move" in twin.rows()
    asked = twin.requests()
    assert not any(it["development"] for it in asked), "production never says that it is a copy"
    journal = twin.journal()
    before = journal[: journal.index("begin closed")]
    assert "note asking: whether the vendor still offers what was tested" in before


def test_what_the_vendor_does_not_give_is_refused_before_the_shop_is_closed(twin: Twin) -> None:
    refused = {
        "sale is withdrawn": "does not offer what was tested",
        "wrong code": "ERROR_WRONG_CODE",
        "restart": "renewed itself",
    }
    for number, (mode, why) in enumerate(refused.items(), 1):
        twin.answers(mode)
        with pytest.raises(PromotionRefused) as caught:
            twin.promote()
        assert why in caught.value.cause
        assert not any("closed" in line for line in twin.journal())
        assert len(twin.requests()) == number, "one question each"
    twin.root(f"rm {DOCROOT}/bitrix/modules/main/classes/general/update_client_new.php")
    twin.as_before()


def stopped(twin: Twin, **how: object) -> WaitsForAPerson:
    with pytest.raises(WaitsForAPerson, match="waits for a person") as caught:
        twin.promote(**how)
    assert f"sh {twin.folder}/transaction.sh keep" in caught.value.hint
    assert f"sh {twin.folder}/transaction.sh back" in caught.value.hint
    twin.is_stopped()
    return caught.value


def test_a_vendor_who_fails_before_anything_was_written_costs_nothing(twin: Twin) -> None:
    """Half an archive of the first module: files and tables say that nothing was written, so both stay or go back without a switch."""
    twin.answers("half an archive")
    outcome = twin.promote()
    assert (outcome.state, "UUGZA01" in outcome.reason) == ("rolled_back", True), outcome.reason
    twin.as_before()


@pytest.mark.faults
def test_a_console_that_fails_half_way_goes_back_where_the_database_may(twin: Twin) -> None:
    twin.answers("half of sale")
    outcome = twin.promote(RETURNS)
    assert (outcome.state, "UUGZA01" in outcome.reason) == ("rolled_back", True), outcome.reason
    twin.as_before()


@pytest.mark.parametrize("verb", [pytest.param("keep", marks=pytest.mark.faults), "back"])
def test_a_console_that_fails_half_way_stops_where_the_database_may_not_go_back(twin: Twin, verb: str) -> None:
    twin.answers("half of sale")
    error = stopped(twin)
    assert "UUGZA01" in error.cause
    assert "files that were written: bitrix/modules/" in error.cause
    assert twin.status() == 503, "closed, as promote.stopped says when it says nothing"
    left, tables = twin.files(*GATE), twin.rows()
    assert left.keys() >= twin.old.keys() - {*GATE, "bitrix/modules/main/classes/general/old_agent.php"}
    assert left["bitrix/modules/main/lib/stepper.php"] != twin.old.get("bitrix/modules/main/lib/stepper.php")
    with connect(twin.site.server) as server, pytest.raises(WaitsForAPerson) as again:
        recover(server, twin.site, None, Silent())
    assert "UUGZA01" in again.value.cause
    assert f"sh {twin.folder}/transaction.sh back" in again.value.hint
    assert twin.status() == 503
    assert (twin.files(*GATE), twin.rows()) == (left, tables), "recover decides nothing that is a person's"

    assert twin.ended(verb) == {"keep": "kept", "back": "rolled_back"}[verb]
    if verb == "back":
        twin.as_before()
        return
    assert twin.status() == 200
    connection = "bitrix/php_interface/dbconn.php"
    assert twin.files() == {**left, connection: twin.old[connection]}
    twin.nothing_left()


@pytest.mark.parametrize("mode", ["sale is rebuilt", pytest.param("sale writes beside", marks=pytest.mark.faults)])
def test_files_that_were_not_tested_are_taken_back(twin: Twin, mode: str) -> None:
    twin.answers(mode)
    outcome = twin.promote(RETURNS)
    assert outcome.state == "rolled_back"
    path = {"sale is rebuilt": "bitrix/modules/sale/include.php", "sale writes beside": "bitrix/admin/sale_new.php"}
    assert path[mode] in outcome.reason
    twin.as_before()


@pytest.mark.faults
def test_a_shop_that_fails_its_checks_stops_open_where_policy_says_so(twin: Twin) -> None:
    error = stopped(twin, check=fails, stopped=Stopped.OPEN)
    assert "the page is blank" in error.cause
    assert "the shop is open" in error.hint
    assert twin.status() == 200
    after = twin.files()
    assert {it: after.get(it) for it in twin.release.changed} == {
        it: new for it, (_, new) in twin.release.changed.items()
    }
    twin.shop.sql("INSERT INTO b_event (EVENT_NAME, C_FIELDS, DATE_INSERT) VALUES ('X', '{}', NOW())")
    assert twin.ended("back") == "rolled_back"
    twin.as_before()
    assert "b_event.csv" in twin.root(f"ls {twin.folder}/since"), "what came while it was open is not lost"


@pytest.mark.parametrize(
    "switches",
    [pytest.param((), id="it may not go back"), pytest.param((RETURNS,), id="it may", marks=pytest.mark.faults)],
)
def test_a_replay_that_is_killed_is_ended_by_the_watchdog(twin: Twin, switches: tuple[str, ...]) -> None:
    """Main and catalog are written, and the console waits for sale: everything of ours but the watchdog is killed."""
    twin.answers("sale is slow")
    killer = f"""until grep -q '"load".*"sale"' {SERVER}/requests.log 2>/dev/null; do sleep 0.1; done
        run=$(ls -d /home/deploy/.updater/runs/*); kill -9 -$(cat $run/actor.pid) -$(cat $run/job.pid)"""
    twin.shop.exec(
        ["sh", "-c", f"setsid sh -c '{killer.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}' >/dev/null 2>&1 &"]
    )
    if switches:
        outcome = twin.promote(*switches)
        assert (outcome.state, outcome.reason) == ("rolled_back", "the process on the server was gone")
        twin.as_before()
    else:
        error = stopped(twin)
        assert "the process on the server was gone" in error.cause
        assert "tables that were written: " in error.cause
        assert twin.status() == 503
