"""Of the corpus the cases that `make test` can afford, in one window size; `make corpus` has all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import corpus
import pytest
from corpus import BAD, CAUGHT, QUIET, SAMPLE, Case, Result
from judge import judging


@pytest.fixture(scope="module")
def judge(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], Result]]:
    with judging(request.param, "plain", tmp_path_factory.mktemp("corpus"), narrow=True) as judge:
        yield judge


@pytest.mark.parametrize(
    ("judge", "name"), [(cms, name) for cms, names in SAMPLE.items() for name in names], indirect=["judge"]
)
def test_a_breaking_update_is_caught_and_named_and_a_harmless_one_passes(name: str, judge: Callable[[Case], Result]):
    (case,) = [case for case in corpus.cases() if f"{case.side}/{case.name}" == name]
    result = judge(case)
    assert result.outcome == (CAUGHT if case.side == BAD else QUIET), result
    assert result.named, result
