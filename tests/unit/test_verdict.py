"""The gate: what passes, what fails, what cannot be known, and that nobody else makes a PASS."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import updater
from updater.checks.verdict import judge, judge_restored
from updater.model import Check, Evidence, Judgement, Picture, Status, Verdict

PICTURE = Picture("home", "desktop", "a.png", "b.png", "", "", 0.0, 0.0, 0.0)
GOOD = (
    Check("flow: checkout", "before", Status.PASSED, "12 tests"),
    Check("flow: checkout", "after", Status.PASSED, "12 tests"),
    Check("picture of home (desktop)", "compare", Status.PASSED, "Looks the same."),
)


def judged(checks: tuple[Check, ...] = GOOD, pictures: tuple[Picture, ...] = (PICTURE,), **policy: object) -> Judgement:
    arguments = {"stack_matched": True, "mismatch": "", "accept_nearest": False} | policy
    return judge(Evidence(checks, pictures), **arguments)  # type: ignore[arg-type]


def with_one(phase: str, status: Status, required: bool = True) -> tuple[Check, ...]:
    return (*GOOD, Check("the odd one", phase, status, "the reason", required))


def test_everything_ran_and_passed() -> None:
    assert judged().verdict is Verdict.PASS


def test_a_fault_after_the_update_fails_and_names_the_check_first() -> None:
    judgement = judged(with_one("after", Status.FAILED))
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reasons[0] == "the odd one: the reason"


def test_a_broken_flow_is_told_before_the_pictures_that_changed_with_it() -> None:
    checks = (
        Check("picture of checkout", "compare", Status.FAILED, "50 % changed"),
        Check("flow: checkout", "after", Status.FAILED, "Place order does nothing"),
    )
    assert judged(checks).reasons[0] == "flow: checkout: Place order does nothing"


@pytest.mark.parametrize("phase", ["before", "production", "a phase of tomorrow"])
@pytest.mark.parametrize("status", [Status.FAILED, Status.INCONCLUSIVE])
def test_unsound_ground_is_inconclusive_whatever_the_update_did(phase: str, status: Status) -> None:
    assert judged(with_one(phase, status)).verdict is Verdict.INCONCLUSIVE
    broken = (*with_one(phase, status), Check("flow: cart", "after", Status.FAILED, "x"))
    judgement = judged(broken, trial_failure="fatal error")
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "The copy without any update already has a problem" in judgement.reasons[0]


def test_another_php_than_productions_is_inconclusive_unless_accepted() -> None:
    odd = {"stack_matched": False, "mismatch": "PHP 8.1 on production, 8.2 in staging"}
    assert judged(**odd).verdict is Verdict.INCONCLUSIVE
    assert "PHP 8.1 on production" in judged(**odd).reasons[0]
    assert judged(**odd, accept_nearest=True).verdict is Verdict.PASS


def test_an_update_that_could_not_be_applied_fails_without_any_further_check() -> None:
    judgement = judged(GOOD[:1], (), trial_failure="demo-shop: Fatal error in init.php")
    assert judgement.verdict is Verdict.FAIL
    assert "demo-shop: Fatal error" in judgement.reasons[0]


def test_a_fault_outweighs_what_could_not_be_decided() -> None:
    checks = (*with_one("after", Status.FAILED), Check("mail", "after", Status.INCONCLUSIVE, "trap silent"))
    judgement = judged(checks)
    assert judgement.verdict is Verdict.FAIL
    assert any("trap silent" in reason for reason in judgement.reasons)


@pytest.mark.parametrize(
    ("checks", "pictures"),
    [
        ((), (PICTURE,)),
        (GOOD, ()),
        (GOOD[:1], (PICTURE,)),
        (tuple(replace(c, required=False) for c in GOOD), (PICTURE,)),
    ],
)
def test_too_little_evidence_is_inconclusive(checks: tuple[Check, ...], pictures: tuple[Picture, ...]) -> None:
    assert judged(checks, pictures).verdict is Verdict.INCONCLUSIVE


def test_an_expected_check_that_did_not_run_is_inconclusive_and_named() -> None:
    judgement = judged(expected=["flow: checkout", "stock"])
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reasons == ("A required check did not run: stock.",)
    assert judged(GOOD[:1] + GOOD[2:], expected=["after:flow: checkout"]).verdict is Verdict.INCONCLUSIVE


def test_a_check_that_is_not_required_decides_nothing_unless_expected() -> None:
    optional = with_one("after", Status.FAILED, required=False)
    assert judged(optional).verdict is Verdict.PASS
    assert judged(optional, expected=["the odd one"]).verdict is Verdict.FAIL


def test_nobody_else_makes_a_pass() -> None:
    tree = Path(updater.__file__).parent
    makes = re.compile(r"Verdict\.PASS\b|(?<!class )\bVerdict\(|\bVerdict\[")
    compares = re.compile(r"(?:is|is not|==|!=|in)\s+\(?Verdict\.PASS\b|case Verdict\.PASS\b")
    makers = {
        str(path.relative_to(tree))
        for path in tree.rglob("*.py")
        if makes.search(compares.sub("", path.read_text(encoding="utf-8")))
    }
    assert makers == {"checks/verdict.py"}


checks = st.lists(
    st.builds(
        Check,
        name=st.sampled_from(["flow", "cart", "mail", "logs"]),
        phase=st.sampled_from(["before", "after", "compare", "production"]),
        status=st.sampled_from([Status.PASSED, Status.PASSED, Status.PASSED, Status.FAILED, Status.INCONCLUSIVE]),
        detail=st.just("why"),
        required=st.booleans(),
    ),
    max_size=6,
)
policies = st.fixed_dictionaries(
    {
        "stack_matched": st.booleans(),
        "accept_nearest": st.booleans(),
        "trial_failure": st.sampled_from(["", "", "fatal"]),
        "mismatch": st.just("PHP 7"),
    }
)
pictures = st.sampled_from([(), (PICTURE,)])


@given(checks, pictures, policies)
def test_a_failing_check_added_never_gives_a_pass(
    some: list[Check], seen: tuple[Picture, ...], policy: dict[str, object]
) -> None:
    for status in (Status.FAILED, Status.INCONCLUSIVE):
        for phase in ("before", "after", "compare", "production"):
            assert judged((*some, Check("new", phase, status, "")), seen, **policy).verdict is not Verdict.PASS


@given(checks, pictures, policies, st.data())
def test_evidence_taken_away_never_gives_a_pass(
    some: list[Check], seen: tuple[Picture, ...], policy: dict[str, object], data: st.DataObject
) -> None:
    """As long as what was expected is still expected: a check that vanishes is a check that did not run."""
    expected = [f"{check.phase}:{check.name}" for check in some]
    whole = judged(tuple(some), seen, expected=expected, **policy)
    kept = data.draw(st.lists(st.sampled_from(some), unique_by=id)) if some else []
    less = judged(tuple(kept), data.draw(st.sampled_from([(), seen])), expected=expected, **policy)
    if whole.verdict is not Verdict.PASS and not _same_key_twice(some):
        assert less.verdict is not Verdict.PASS


def _same_key_twice(some: list[Check]) -> bool:
    keys = [(check.phase, check.name) for check in some]
    return len(keys) != len(set(keys))


@given(checks, pictures, policies, st.randoms())
def test_the_order_of_checks_is_irrelevant(
    some: list[Check], seen: tuple[Picture, ...], policy: dict[str, object], random: object
) -> None:
    shuffled = some.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = judged(tuple(some), seen, **policy), judged(tuple(shuffled), seen, **policy)
    assert (one.verdict, set(one.reasons)) == (other.verdict, set(other.reasons))


@given(checks, pictures, policies)
def test_every_judgement_says_why(some: list[Check], seen: tuple[Picture, ...], policy: dict[str, object]) -> None:
    assert all(judged(tuple(some), seen, **policy).reasons)
    assert judged(tuple(some), seen, **policy).reasons


SOLD = Check("orders", "after", Status.PASSED, "2 orders placed")


@pytest.mark.parametrize(
    ("checks", "matched", "nearest", "verdict"),
    [
        ((SOLD,), True, False, Verdict.PASS),
        ((SOLD, replace(SOLD, status=Status.FAILED)), True, False, Verdict.FAIL),
        ((SOLD, replace(SOLD, status=Status.INCONCLUSIVE)), True, False, Verdict.INCONCLUSIVE),
        ((SOLD, replace(SOLD, status=Status.FAILED, required=False)), True, False, Verdict.PASS),
        ((replace(SOLD, required=False),), True, False, Verdict.INCONCLUSIVE),
        ((), True, False, Verdict.INCONCLUSIVE),
        ((SOLD,), False, False, Verdict.INCONCLUSIVE),
        ((SOLD,), False, True, Verdict.PASS),
    ],
)
def test_a_backup_goes_to_production_only_when_everything_that_was_needed_was_seen_to_work(
    checks: tuple[Check, ...], matched: bool, nearest: bool, verdict: Verdict
) -> None:
    said = judge_restored(checks, stack_matched=matched, mismatch="PHP 8.4", accept_nearest=nearest)
    assert said.verdict is verdict
    assert said.reasons
