"""What is scrubbed, and how the statements are made. That fakes are right is proven on MariaDB in the stack's tests."""

from __future__ import annotations

import pytest

from updater.errors import ConfigError
from updater.staging.scrub import Column, Remaining, declared, scrub, statements


class Server:
    """Answers the questions a scrub asks, by how they begin, and keeps the updates."""

    def __init__(self, columns: list[tuple[str, ...]], counts: list[tuple[str, ...]]) -> None:
        self.columns, self.counts = columns, counts
        self.updates: list[str] = []

    def __call__(self, statement: str) -> list[tuple[str, ...]]:
        if "character_maximum_length" in statement:
            return self.columns
        if "on update" in statement:
            return [("p_orders", "changed")]
        if statement.startswith("SELECT COALESCE(SUM("):
            return self.counts
        assert statement.startswith("UPDATE "), statement
        self.updates.append(statement)
        return []


def test_a_column_of_site_yml_gets_its_kind_from_its_name_and_the_driver_knows_better() -> None:
    kinds = declared(
        {"users.name": "text"}, ["a.customer_email", "a.tel", "a.delivery_address", "a.name", "a.note", "users.name"]
    )
    assert kinds == {
        "a.customer_email": "email",
        "a.tel": "phone",
        "a.delivery_address": "address",
        "a.name": "name",
        "a.note": "text",
        "users.name": "text",
    }


def test_only_this_shop_s_own_columns_are_touched_and_remains_are_named() -> None:
    server = Server(
        [("p_orders", "email", "100"), ("q_orders", "email", "100"), ("p_orders", "memo", "65535")],
        [("0", "0", "3", "1")],
    )
    personal = {"orders.email": "email", "orders.gone": "name", "gone.email": "email"}
    remaining = scrub(server, ["p_orders"], "p_", personal, "secret")
    (update,) = server.updates
    assert update.startswith("UPDATE `p_orders` SET `email` = LEFT(CONCAT('user-'")
    assert "`changed` = `changed`" in update
    assert remaining == (Remaining("p_orders", "memo", "email", 3), Remaining("p_orders", "memo", "phone", 1))


def test_names_and_values_cannot_leave_their_quotes() -> None:
    (statement,) = statements([Column("a`b", "c`d", "email", 10, "`k` = 'it''s'")], [], "se'cr\\et")
    assert "`a``b`" in statement
    assert "`c``d`" in statement
    assert "'se''cr\\\\et'" in statement
    assert statement.endswith("AND `k` = 'it''s'")


@pytest.mark.parametrize(("name", "kind"), [("users", "email"), ("users.email", "passport"), ("a.b[c]", "email")])
def test_a_declaration_that_says_nothing_is_refused(name: str, kind: str) -> None:
    with pytest.raises(ConfigError, match="not a column to scrub"):
        scrub(Server([], []), [], "", {name: kind}, "secret")
