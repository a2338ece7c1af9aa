"""Which tables are the site's own, what the database user may do, and the option file that carries its password."""

from __future__ import annotations

from updater.model import Database
from updater.production.database import defaults_file, other_prefixes, own_tables
from updater.production.probe import privileges

SHOP = ("posts", "postmeta", "options", "users", "usermeta", "terms", "comments", "links", "orders")


def test_only_tables_with_the_prefix_are_the_sites_own() -> None:
    names = [*(f"wp_{name}" for name in SHOP), "oc_product", "log"]
    assert own_tables(names, "wp_") == tuple(sorted(f"wp_{name}" for name in SHOP))
    assert other_prefixes(names, "wp_") == ("oc_",)


def test_another_shop_below_the_own_prefix_is_not_the_sites_own() -> None:
    names = [*(f"wp_{name}" for name in SHOP), *(f"wp_old_{name}" for name in SHOP), "wp_old_glory"]
    assert other_prefixes(names, "wp_") == ("wp_old_",)
    assert own_tables(names, "wp_") == tuple(sorted(f"wp_{name}" for name in SHOP))


def test_a_plugins_tables_that_resemble_the_cores_stay_the_sites_own() -> None:
    names = [*(f"wp_{name}" for name in SHOP), "wp_shop_orders", "wp_shop_options", "wp_shop_terms"]
    assert own_tables(names, "wp_") == tuple(sorted(names))


def test_without_a_prefix_every_table_is_the_sites_own() -> None:
    assert own_tables(["a", "b_c"], "") == ("a", "b_c")


def test_the_option_file_quotes_what_would_end_or_change_a_password() -> None:
    text = defaults_file(Database("shop", "u", "a\"b\\c#d'e", host="db.internal", port=3307), "/run/x.sock")
    assert text == '[client]\nuser="u"\npassword="a\\"b\\\\c#d\'e"\nhost="db.internal"\nport=3307\n'


def test_localhost_leads_to_the_socket_that_the_server_itself_names() -> None:
    assert 'socket="/run/x.sock"' in defaults_file(Database("shop", "u", "word-of-db-77"), "/run/x.sock")
    assert 'socket="/own.sock"' in defaults_file(
        Database("shop", "u", "word-of-db-77", socket="/own.sock"), "/run/x.sock"
    )


def test_grants_of_other_databases_and_of_single_tables_do_not_count() -> None:
    grants = (
        "GRANT USAGE ON *.* TO `shop`@`localhost`",
        "GRANT SELECT, INSERT, LOCK TABLES ON `shop\\_one`.* TO `shop`@`localhost`",
        "GRANT ALL PRIVILEGES ON `other`.* TO `shop`@`localhost`",
        "GRANT DROP ON `shop_one`.`wp_posts` TO `shop`@`localhost`",
    )
    assert privileges(grants, "shop_one") >= {"SELECT", "INSERT", "LOCK TABLES"}
    assert not privileges(grants, "shop_one") & {"DROP", "UPDATE"}
    assert privileges(grants, "shopXone") <= {"USAGE"}


def test_all_privileges_and_wildcards_are_understood() -> None:
    assert "TRIGGER" in privileges(("GRANT ALL PRIVILEGES ON `shop%`.* TO `u`@`%` WITH GRANT OPTION",), "shop_one")
    assert "DROP" in privileges(("GRANT SELECT, DROP ON *.* TO `u`@`%`",), "shop")
