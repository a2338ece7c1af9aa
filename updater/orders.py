"""Orders that came since a promotion: what going back would lose, told and exported. Pure."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from updater.cms.base import OrderRow, ShopState


@dataclass(frozen=True, slots=True)
class Since:
    """`count` orders came; `rows` are the newest of them, all when there are at most 20."""

    count: int
    rows: tuple[OrderRow, ...]

    @property
    def told(self) -> str:
        """`2 orders came since: 101 (1290.00), 100 (500.00)`; no name and no address, for a report may show it."""
        if not self.count:
            return "no order came since"
        shown = ", ".join(f"{row.id} ({row.total})" for row in self.rows[:5])
        more = f" and {self.count - len(self.rows[:5])} more" if self.count > len(self.rows[:5]) else ""
        return f"{self.count} order{'' if self.count == 1 else 's'} came since: {shown}{more}"


def since(before: ShopState, now: ShopState) -> Since:
    """What `now` holds that `before` did not. An order that was deleted meanwhile is not subtracted from those that came."""
    known = {row.id for row in before.orders}
    rows = tuple(row for row in now.orders if row.id not in known)
    if before.orders and len(rows) < len(now.orders):
        return Since(len(rows), rows)
    return Since(max(len(rows), now.order_count - before.order_count), rows)


def as_csv(found: Since) -> str:
    """For a spreadsheet, in which nothing that a customer typed becomes a formula."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(("id", "total", "email"))
    writer.writerows(tuple(map(_plain, (row.id, row.total, row.email))) for row in found.rows)
    return text.getvalue()


def _plain(value: str) -> str:
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
