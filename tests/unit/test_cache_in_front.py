"""A cache that stands before the shop is found by what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Handler, served

from updater.errors import CommandFailed
from updater.model import BasicAuth, Server, Site
from updater.production.web import cache_in_front, client


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


@pytest.mark.parametrize(
    ("password", "hint"), [(None, "name user and password under basic_auth"), ("wrong", "correct basic_auth")]
)
def test_a_password_that_is_asked_for_is_said(
    front: tuple[str, list[dict[str, str]]], password: str | None, hint: str
) -> None:
    url, answers = front
    answers.append({"status": 401, "WWW-Authenticate": 'Basic realm="soon"'})  # type: ignore[dict-item]
    auth = BasicAuth("guest", password) if password else None
    with pytest.raises(CommandFailed, match="asks for a password") as refused:
        cache_in_front(Site("shop", Server("h", "u"), "/srv", url, Path("/x/site.yml"), basic_auth=auth))
    assert refused.value.cause == 'HTTP 401: Basic realm="soon"'
    assert hint in refused.value.hint


def test_the_password_goes_to_the_site_s_names_after_a_redirect_too_and_to_nobody_else() -> None:
    asked: list[tuple[str, str | None]] = []

    class Names(Handler):
        def do_GET(self) -> None:
            name = self.headers["Host"].partition(":")[0]
            asked.append((name, self.headers["Authorization"]))
            port = self.headers["Host"].partition(":")[2]
            to = {"/": f"http://localhost:{port}/next", "/next": f"http://127.0.0.2:{port}/last"}.get(self.path)
            if to:
                self.answer(status=302, Location=to)
            else:
                self.answer(b"here")

    with served(Names, host="0.0.0.0") as port:
        auth = BasicAuth("guest", "let-me-in-77")
        url = f"http://127.0.0.1:{port}"
        site = Site("shop", Server("h", "u"), "/srv", url, Path("/x"), hosts=("localhost",), basic_auth=auth)
        with client(site) as http:
            assert http.get(f"{url}/").text == "here"
    assert asked == [("127.0.0.1", auth.header), ("localhost", auth.header), ("127.0.0.2", None)]


def test_a_shop_that_does_not_answer_is_not_taken_for_one_without_a_cache() -> None:
    with pytest.raises(CommandFailed, match="does not answer"):
        cache_in_front(Site("shop", Server("h", "u"), "/srv", "http://127.0.0.1:1", Path("/x/site.yml")))
