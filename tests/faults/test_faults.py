"""A telling part of the fault harness, and the harness itself: what `make faults` runs whole."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack

import pytest
from bench import servers
from harness import Case, Result
from matrix import telling
from order_shop import OrderShop
from planted import PLANTED, Planted

AT_ONCE = 3


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Result]]]:
    """All cases of the selected tests, running side by side: most of each is waiting."""
    asked = [
        item.callspec.params
        for item in request.session.items
        if item.fspath == request.fspath and hasattr(item, "callspec")
    ]
    with ExitStack() as stack:
        pool = stack.enter_context(servers(AT_ONCE, OrderShop()))
        found: dict[str, Future[Result]] = {}
        # What may take longest begins first, or all would wait for it alone at the end: a planted fault may wait for an end that
        # never comes, others for cron's minute or a long deadline.
        for planted in (it["planted"] for it in asked if "planted" in it):
            found[planted.name] = pool.submit(planted.case, stack.enter_context(planted.program()))
        cases = [it["case"] for it in asked if "case" in it]
        for case in sorted(cases, key=lambda case: case.deadline, reverse=True):
            found[case.name] = pool.submit(case)
        yield found
        for future in found.values():
            future.cancel()


@pytest.mark.parametrize("case", telling(), ids=lambda case: case.name)
def test_a_hurt_promotion_ends_as_one_of_two_shops_with_every_order(
    case: Case, results: dict[str, Future[Result]]
) -> None:
    result = results[case.name].result(timeout=400)
    assert not result.wrong, "\n".join((*result.wrong, result.evidence))
    assert not result.void, "too few orders came, twice: the case proves nothing"


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_fault_turns_it_red(planted: Planted, results: dict[str, Future[Result]]) -> None:
    result = results[planted.name].result(timeout=400)
    assert any(planted.says in wrong for wrong in result.wrong), (planted.says, result.wrong, result.evidence)
