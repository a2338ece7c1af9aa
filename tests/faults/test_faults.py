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
        for params in asked:
            if "case" in params:
                found[params["case"].name] = pool.submit(params["case"])
            else:
                planted = params["planted"]
                found[planted.name] = pool.submit(planted.case, stack.enter_context(planted.program()))
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
