"""A cache that stands before the shop is found by what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Handler, served

from updater.errors import CommandFailed
from updater.model import Server, Site
from updater.production.web import cache_in_front


@pytest.fixture
def front() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """(its URL, the headers of its next answers; the last one stays)"""
    answers: list[dict[str, str]] = []

    class Front(Handler):
        def do_GET(self) -> None:
            self.answer(**(answers.pop(0) if len(answers) > 1 else answers[0]))

    with served(Front) as port:
        yield f"http://127.0.0.1:{port}", answers


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([{}], ""),
        ([{"Age": "0", "X-Cache": "MISS", "X-Varnish": "12", "CF-Cache-Status": "DYNAMIC"}], ""),
        ([{"CF-Cache-Status": "MISS"}, {"CF-Cache-Status": "HIT"}], "cf-cache-status: HIT"),
        ([{"X-Varnish": "12 7"}], "x-varnish: 12 7"),
        ([{"Age": "31"}], "age: 31"),
        ([{"X-LiteSpeed-Cache": "hit"}], "x-litespeed-cache: hit"),
    ],
)
def test_a_cache_is_told_by_its_header(
    front: tuple[str, list[dict[str, str]]], headers: list[dict[str, str]], found: str
) -> None:
    url, answers = front
    answers += headers
    assert cache_in_front(Site("shop", Server("h", "u"), "/srv", url, Path("/x/site.yml"))) == found


def test_a_shop_that_does_not_answer_is_not_taken_for_one_without_a_cache() -> None:
    with pytest.raises(CommandFailed, match="does not answer"):
        cache_in_front(Site("shop", Server("h", "u"), "/srv", "http://127.0.0.1:1", Path("/x/site.yml")))
