"""Of the corpus the cases that `make test` can afford, in one window size; `make corpus` has all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import corpus
import pytest
from corpus import BAD, BENIGN, CAUGHT, OFFERED, QUIET, SAMPLE, Case
from judge import Prove, judged, proving

from updater.demo_shop import DEFAULT
from updater.model import Allowed, Status, Verdict

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


@pytest.mark.parametrize(("cms", "name"), [(cms, name) for cms, names in SAMPLE.items() for name in names])
def test_a_breaking_update_is_caught_and_named_and_a_harmless_one_passes(
    cms: str, name: str, prove_on: Callable[[str], Prove]
) -> None:
    (case,) = [case for case in corpus.cases() if f"{case.side}/{case.name}" == name]
    result = judged(prove_on(cms), case)
    assert result.outcome == (CAUGHT if case.side == BAD else QUIET), result
    assert result.named, result
