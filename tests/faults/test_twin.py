"""A sample of faults on the twin of OpenCart, by its driver's own gate, patches and caches; `make faults CMS=opencart` has more of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import table
import twin_shop
from bench import servers
from harness import Case, Result
from injuries import NOTHING

AT_ONCE = 3


@pytest.fixture(scope="module")
def results(shop_image: str) -> Iterator[dict[str, Future[Result]]]:
    """All of them side by side: most of each is waiting."""
    with servers(AT_ONCE, twin_shop.rehearsed()) as pool:
        yield {case.name: pool.submit(case) for case in twin_shop.telling()}


@pytest.mark.parametrize("case", twin_shop.telling(), ids=lambda case: case.name)
def test_a_hurt_promotion_of_another_cms_ends_as_one_of_two_shops_with_every_order(
    case: Case, results: dict[str, Future[Result]]
) -> None:
    result = results[case.name].result(timeout=400)
    assert not result.wrong, "\n".join((*result.wrong, result.evidence))
    assert not result.void, "too few orders came, twice: the case proves nothing"


def test_the_page_says_the_same_of_a_twin_whoever_writes_it() -> None:
    seen = [Result(Case(NOTHING), "new", (), False, 3.0, {"acknowledged": 10, "refused": 5, "unknown": 0}, 0, "")]
    planted = {"no table drop": seen[0]}
    whole = table.written(seen, (), {}, 7, 2.0)
    with_twin = table.with_twin(whole, "opencart", seen, (), planted, 1.0)
    assert with_twin.count("## OpenCart 4, on the twin\n") == 1
    assert "| nothing, with migration | new | 3.0 s | 10 | 0 | 0 |" in with_twin
    assert with_twin.endswith(table.NOT_HURT)
    assert table.with_twin(with_twin, "opencart", seen, (), planted, 1.0) == with_twin
    assert table.written(seen, (), {}, 7, 2.0, with_twin) == with_twin
