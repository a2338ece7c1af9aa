"""The Redis of a stack: where the shop's settings look for it, with their password, and of nothing lasting."""

from __future__ import annotations

from updater.model import ObjectCache
from updater.staging.stack import redis_conf


def lines(cache: ObjectCache) -> list[str]:
    return redis_conf(cache).decode().splitlines()


def test_it_answers_where_the_shop_looks_for_it() -> None:
    assert {"port 6379", "databases 16"} <= set(lines(ObjectCache()))
    assert {"port 6380", "databases 21"} <= set(lines(ObjectCache("cache.internal", 6380, database=20)))
    by_socket = lines(ObjectCache(socket="/run/my redis/r.sock"))
    assert {"port 0", 'unixsocket "/run/my redis/r.sock"'} <= set(by_socket)


def test_it_wants_the_shop_s_password_whatever_that_holds() -> None:
    assert 'requirepass "a\\x22b\\x5cc d\\x0a\\xd0\\xb9"' in lines(ObjectCache(password='a"b\\c d\nй'))
    named = lines(ObjectCache(user="shop", password="s"))
    assert {"user default off", 'user "shop" on ">s" ~* +@all'} <= set(named)


def test_it_keeps_nothing() -> None:
    assert {'save ""', "appendonly no"} <= set(lines(ObjectCache()))
