"""Of the corpus the cases that `make test` can afford, in one window size; `make corpus` has all of them, each alone.

A whole look at a shop takes half a minute, whatever the update changes: the breaking cases come in one update, and each must be found by the
check that is there for it; the harmless ones come in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import corpus
import pytest
from corpus import BAD, BENIGN, OFFERED, SAMPLE, Case, findings_of
from judge import Prove, proving

from updater.demo_shop import DEFAULT
from updater.model import Allowed, Status, Verdict
from updater.pipeline import Proven

EXPECTED = {"demo-gallery": Allowed(OFFERED, "two columns are what the owner asked for")}


@pytest.fixture(scope="module")
def prove_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Prove]]:
    """The ground of each shop, known once: a parametrized fixture would be made anew for each case."""
    with ExitStack() as stack:
        known: dict[str, Prove] = {}

        def on(cms: str) -> Prove:
            if cms not in known:
                ground = proving(cms, "plain", tmp_path_factory.mktemp("corpus"), narrow=True, look=EXPECTED)
                known[cms] = stack.enter_context(ground).prove
            return known[cms]

        yield on


def test_a_new_look_that_site_yml_expects_is_shown_and_decides_nothing(prove_on: Callable[[str], Prove]) -> None:
    columns = ("grid-template-columns: repeat(3, 1fr)", "grid-template-columns: repeat(2, 1fr)")
    case = Case("two-columns", BENIGN, "look", "", change={"demo-gallery/assets/gallery.css": [columns]})
    proven = prove_on(DEFAULT)(case)
    assert proven.judgement.verdict is Verdict.PASS, proven.judgement
    changed = [check for check in proven.evidence.checks if check.status is Status.FAILED]
    assert changed
    assert all(check.name.startswith("picture of") and not check.required for check in changed)


@pytest.fixture(scope="module")
def proven(prove_on: Callable[[str], Prove]) -> Callable[[str, str], Proven]:
    """What came of this side's cases of this CMS, in one update, proven once."""

    @cache
    def once(cms: str, side: str) -> Proven:
        cases = {f"{case.side}/{case.name}": case for case in corpus.cases(cms=cms)}
        return prove_on(cms)(corpus.together([cases[name] for name in SAMPLE[cms] if cases[name].side == side]))

    return once


@pytest.mark.parametrize("cms", SAMPLE)
def test_harmless_updates_pass(cms: str, proven: Callable[[str, str], Proven]) -> None:
    harmless = proven(cms, BENIGN)
    assert harmless.trial.applied, "held back and never tried"
    assert harmless.judgement.verdict is Verdict.PASS, (harmless.judgement, findings_of(harmless))


@pytest.mark.parametrize(("cms", "name"), [(cms, name) for cms in SAMPLE for name, says in SAMPLE[cms].items() if says])
def test_a_breaking_update_is_caught_and_named(cms: str, name: str, proven: Callable[[str, str], Proven]) -> None:
    (case,) = [case for case in corpus.cases() if f"{case.side}/{case.name}" == name]
    broken = proven(cms, BAD)
    assert broken.trial.applied, "held back and never tried"
    assert broken.judgement.verdict is Verdict.FAIL, broken.judgement
    mine = [said for said in findings_of(broken) if said.startswith(SAMPLE[cms][name])]
    assert any(case.finds in said for said in mine), (mine, findings_of(broken))
