"""What came since a promotion, told without names and exported for a spreadsheet."""

from __future__ import annotations

from updater.cms.base import OrderRow, ShopState
from updater.orders import as_csv, since


def state(*ids: int, count: int | None = None) -> ShopState:
    rows = tuple(OrderRow(str(it), f"{it}.00", f"{it}@pochta.example") for it in ids)
    return ShopState(rows, len(rows) if count is None else count)


def test_orders_that_were_not_there_came_since() -> None:
    found = since(state(2, 1), state(4, 3, 2, 1))
    assert [row.id for row in found.rows] == ["4", "3"]
    assert found.told == "2 orders came since: 4 (4.00), 3 (3.00)"


def test_a_deleted_order_hides_none_that_came() -> None:
    assert since(state(3, 2, 1), state(4, 1)).count == 1
    assert since(state(2, 1), state(2, 1)).told == "no order came since"


def test_more_orders_than_a_driver_names_are_counted() -> None:
    newest = state(*range(150, 130, -1), count=150)
    found = since(state(100, 99, count=100), newest)
    assert (found.count, len(found.rows)) == (50, 20)
    assert found.told.endswith("and 45 more")


def test_nothing_personal_is_told_and_no_formula_is_exported() -> None:
    found = since(state(), ShopState((OrderRow("7", "1.00", '=HYPERLINK("http://x")'),), 1))
    assert "HYPERLINK" not in found.told
    assert as_csv(found).splitlines() == ['"id","total","email"', """"7","1.00","'=HYPERLINK(""http://x"")\""""]
