"""What was seen becomes checks: pytest's word counts only when it ran, and what a machine did is not blamed on the shop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from updater.checks.evidence import (
    browser_check,
    gather,
    is_of_look,
    of_this_trial,
    only_look_differs,
    only_pages_differ,
    slower,
    smoke_check,
    without_look,
)
from updater.checks.observation import Observation, PageView, Test
from updater.checks.verdict import judge
from updater.model import (
    AnsweredCall,
    Callback,
    CaughtMail,
    Check,
    Evidence,
    Finding,
    Judgement,
    Payment,
    Picture,
    Recording,
    Status,
    Thresholds,
    Verdict,
)

PASSED = Test("test_a_customer_can_order", "passed")
FAILED = Test("test_a_customer_can_order", "failed", "Clicking “Place order” did nothing for 20 s\nmore words")
HOME = PageView("home", "desktop", "https://shop.example/", 200, "Shop")
START = datetime(2026, 1, 1, tzinfo=UTC)
SEEN = Observation(Path("/runs/after"), 0, (PASSED,), (HOME,), (), {})


def test_a_pass_needs_tests_that_ran() -> None:
    assert smoke_check(SEEN, "after").status is Status.PASSED
    assert smoke_check(replace(SEEN, tests=(), exit_code=5), "after").status is Status.FAILED
    assert smoke_check(replace(SEEN, tests=()), "after").status is Status.FAILED


@pytest.mark.parametrize("outcome", ["failed", "error", "skipped"])
def test_one_test_that_did_not_pass_fails_the_check_in_its_own_words(outcome: str) -> None:
    check = smoke_check(replace(SEEN, tests=(PASSED, replace(FAILED, outcome=outcome))), "after")
    assert check.status is Status.FAILED
    assert check.detail == "1 of 2 smoke tests did not pass: Clicking “Place order” did nothing for 20 s"
    assert [finding.where for finding in check.findings] == [FAILED.name]


def test_an_exit_code_that_contradicts_the_tests_is_believed() -> None:
    assert smoke_check(replace(SEEN, exit_code=3), "after").status is Status.FAILED


def test_a_network_that_changed_on_this_machine_is_no_verdict_on_the_shop() -> None:
    lost = replace(HOME, failed=("GET /: net::ERR_NETWORK_CHANGED",))
    check = smoke_check(replace(SEEN, tests=(FAILED,), views=(lost,), exit_code=1), "after")
    assert check.status is Status.INCONCLUSIVE
    assert browser_check(SEEN, replace(SEEN, views=(lost,)), SEEN).status is Status.PASSED


def test_a_new_error_in_the_console_is_found() -> None:
    after = replace(SEEN, views=(replace(HOME, console=("TypeError: x is undefined (shop.js:10:3)",)),))
    check = browser_check(SEEN, after, SEEN)
    assert check.status is Status.FAILED
    assert "TypeError" in check.findings[0].message


def test_an_old_error_on_another_line_is_not_new() -> None:
    before = replace(SEEN, views=(replace(HOME, console=("TypeError: x is undefined (shop.js:8:3)",)),))
    after = replace(SEEN, views=(replace(HOME, console=("TypeError: x is undefined (shop.js:10:3)",)),))
    assert browser_check(before, after, before).status is Status.PASSED


def check(name: str, status: Status, required: bool = True) -> Check:
    return Check(name, "compare", status, "", required)


def test_the_un_updated_shop_is_looked_at_again_only_when_nothing_but_pages_differs() -> None:
    picture = check("picture of home (desktop)", Status.FAILED)
    fine = check("facts", Status.PASSED)
    assert only_pages_differ(Evidence((fine, picture)))
    assert not only_pages_differ(Evidence((fine,)))
    assert not only_pages_differ(Evidence((picture, check("orders", Status.FAILED))))
    assert only_pages_differ(Evidence((picture, check("speed", Status.FAILED, required=False))))
    assert slower(Evidence((check("speed", Status.FAILED),))) and not slower(Evidence((check("speed", Status.PASSED),)))
    listed, total = (
        replace(check("facts", Status.FAILED), findings=(Finding("facts", f"{name} [checkout, desktop]", "changed"),))
        for name in ("page.prices", "checkout.total")
    )
    assert only_pages_differ(Evidence((picture, listed)))
    assert not only_pages_differ(Evidence((picture, total))), "a total is never re-rolled"


def test_a_look_that_is_expected_decides_nothing_and_whatever_else_differs_still_does() -> None:
    look, price, fine = (
        check(name, status)
        for name, status in (
            ("picture of home (desktop)", Status.FAILED),
            ("facts", Status.FAILED),
            ("orders", Status.PASSED),
        )
    )
    shot = Picture("home", "desktop", "a.png", "b.png", "d.png", "", 0.1, 0.0, 0.0)
    only, worse = Evidence((fine, look), (shot,)), Evidence((fine, look, price), (shot,))
    assert only_look_differs(only) and not only_look_differs(worse) and not only_look_differs(Evidence((fine,)))

    def verdict(seen: Evidence) -> Judgement:
        return judge(seen, stack_matched=True, mismatch="", accept_nearest=False)

    assert verdict(only).verdict is Verdict.FAIL
    assert is_of_look(verdict(only).reasons[0])
    assert verdict(without_look(only)).verdict is Verdict.PASS
    assert verdict(without_look(worse)).verdict is Verdict.FAIL
    unknown = Evidence((fine, look, check("picture of cart (desktop)", Status.INCONCLUSIVE)), (shot,))
    assert not only_look_differs(unknown)
    assert verdict(without_look(unknown)).verdict is Verdict.INCONCLUSIVE, "a picture that could not be compared"
    assert not is_of_look(verdict(Evidence((fine, price, look), (shot,))).reasons[0])


def test_mail_of_an_earlier_trial_tells_of_no_order_of_this_one() -> None:
    begun = datetime(2026, 3, 4, 14, 12, tzinfo=UTC)
    earlier, later = begun - timedelta(minutes=2), begun + timedelta(seconds=9)
    before, other, own = (
        CaughtMail(at, ("anna@shop.example",), "Order 1031", step=step)
        for at, step in ((earlier, "before"), (earlier, "after"), (later, "after"))
    )
    assert of_this_trial((before, other, own), begun) == (before, own)


def test_what_recorded_services_are_asked_decides_and_a_callback_that_moved_nothing_leaves_it_open(
    tmp_path: Path,
) -> None:
    recording = Recording("api.pay.example", "/pay", "POST", 200, {}, "{}")
    payment = Payment("card", callback=Callback("/paid", "POST", {}, ""))

    def gathered(*recordings: Recording, payments: tuple[Payment, ...] = (), amount: str = "5") -> dict[str, Status]:
        asked = [
            AnsweredCall(
                START, recording.host, "POST", "/pay", "/pay", "", body=b'{"sum": %s}' % sum_.encode(), step=step
            )
            for step, sum_ in (("before", "5"), ("noise", "5"), ("after", amount))
        ]
        seen = gather(
            SEEN, SEEN, SEEN, ground=(), blocked=(), mail=(), thresholds=Thresholds(), root=tmp_path, pictures=tmp_path / "p",
            answered=asked, recordings=recordings, payments=payments,
        )  # fmt: skip
        return {f"{check.phase}: {check.name}": check.status for check in seen.checks if check.required}

    names = {"compare: recorded calls", "before: payment callbacks"}
    assert not names & set(gathered())
    assert gathered(recording)["compare: recorded calls"] is Status.PASSED
    assert gathered(recording, amount="6")["compare: recorded calls"] is Status.FAILED
    assert gathered(recording, payments=(payment,))["before: payment callbacks"] is Status.INCONCLUSIVE
