"""The look itself, on loopback and on this machine: what a visitor meets, and what a server's own tools say of it."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from served import Handler, served

from updater.model import CloneSettings, Layout, Server, Site, WatchSettings
from updater.production.look import AGAIN, LogPlace, ServerLook, certificate_ends, from_inside, from_outside
from updater.shell import Completed
from updater.staging.certificate import throw_away

LAYOUT = Layout(("media",), ("cache",), (), {}, "wordpress", ())
PAGE = "<html><head><title>Лавка чая</title></head><body>Чай</body></html>"


@dataclass
class Answers:
    """What the server says next: status and body of `/`, and of the same page with a query nobody asked before."""

    cached: tuple[int, str] = (200, PAGE)
    uncached: tuple[int, str] = (200, PAGE)
    asked: int = 0


@contextmanager
def serving(answers: Answers, context: ssl.SSLContext | None = None) -> Iterator[int]:
    class Shop(Handler):
        def do_GET(self) -> None:
            answers.asked += 1
            status, body = answers.uncached if "updater-watch=" in self.path else answers.cached
            self.answer(body.encode(), status)

    with served(Shop, context) as port:
        yield port


def shop(folder: Path, port: int, scheme: str = "http", **changes: object) -> Site:
    site = Site(
        "tea",
        Server("127.0.0.1", "deploy", work=str(folder / "work")),
        str(folder / "docroot"),
        f"{scheme}://shop.example:{port}",
        folder / "site.yml",
        address="127.0.0.1",
    )
    return replace(site, **changes)  # type: ignore[arg-type]


def test_a_page_with_real_content_is_up_and_has_its_seconds(tmp_path: Path) -> None:
    with serving(Answers()) as port:
        seen = from_outside(shop(tmp_path, port), wait=lambda _: None)
    assert (seen.status, seen.problem, seen.certificate_ends) == (200, "", None)
    assert seen.seconds is not None
    assert 0 < seen.seconds < 30


def test_a_cache_that_answers_for_a_dead_shop_is_seen_through(tmp_path: Path) -> None:
    with serving(Answers(uncached=(500, "oops"))) as port:
        seen = from_outside(shop(tmp_path, port), wait=lambda _: None)
    assert seen.problem == "only a cache still answers; behind it: HTTP 500"
    assert seen.seconds is None


def test_nothing_that_listens_is_down_and_was_asked_twice(tmp_path: Path) -> None:
    with serving(Answers()) as port:
        pass
    waited: list[float] = []
    seen = from_outside(shop(tmp_path, port), wait=waited.append)
    assert seen.problem.startswith("no answer")
    assert (seen.status, seen.seconds) == (0, None)
    assert waited == [AGAIN]


def test_one_failing_answer_is_no_outage(tmp_path: Path) -> None:
    answers = Answers(cached=(502, ""))
    with serving(answers) as port:
        seen = from_outside(shop(tmp_path, port), wait=lambda _: setattr(answers, "cached", (200, PAGE)))
    assert seen.problem == ""


def test_a_certificate_is_read_although_no_browser_would_trust_it(tmp_path: Path) -> None:
    made = throw_away(("shop.example",))
    for name, content in (("site.pem", made.site), ("site.key", made.site_key)):
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.pem", tmp_path / "site.key")
    with serving(Answers(), context) as port:
        site = shop(tmp_path, port, "https")
        seen = from_outside(site, wait=lambda _: None)
        assert "certificate" in seen.problem.lower(), "visitors see a warning: that is down"
        assert seen.certificate_ends is not None
        assert seen.certificate_ends == certificate_ends(site)


class Here:
    """A `Host` that is this machine."""

    where = "here"

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        check: bool = True,
    ) -> Completed:
        assert not env
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, done.stderr
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A docroot with code, uploads, a cache and a log, all an hour old."""
    for name in ("docroot/lib/tea.php", "docroot/media/a.jpg", "docroot/cache/page.php", "docroot/theme.css"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/access.log").write_text("")
    return tmp_path


def look(folder: Path, since: int | None, log: LogPlace | None = None, **changes: object) -> ServerLook:
    site = shop(folder, 80, watch=WatchSettings(access_log=str(folder / "logs/access.log")), **changes)
    return from_inside(Here(), site, LAYOUT, since, log)  # type: ignore[arg-type]


def later() -> int:
    """A mark that everything so far is older than: `find` counts whole seconds of it."""
    time.sleep(1.01 - time.time() % 1)
    return int(time.time())


def line(status: int) -> str:
    return f'203.0.113.7 - - [25/Nov/2026:12:00:00 +0000] "GET /a?b="c" HTTP/1.1" {status} 12 "-" "x"\n'.replace(
        '="c"', "=c"
    )


def test_the_first_look_only_sets_its_marks(server: Path) -> None:
    seen = look(server, None)
    assert abs(seen.clock - time.time()) < 5
    assert seen.disk_free is not None
    assert 0 <= seen.disk_free <= 1
    assert (seen.requests, seen.changed, seen.executable_media) == (None, None, None)
    assert seen.log is not None
    assert (seen.closed_by, seen.deployed) == ("", 0)


def test_answers_are_counted_since_the_look_before_also_after_a_rotation(server: Path) -> None:
    log = server / "logs/access.log"
    log.write_text(line(500))
    first = look(server, None)
    with log.open("a") as stream:
        stream.write(line(200) + line(404) + line(503) + line(301))
    second = look(server, first.clock, first.log)
    assert (second.requests, second.client_errors, second.server_errors) == (4, 1, 1)
    assert (look(server, first.clock, second.log).requests) == 0
    log.rename(server / "logs/access.log.1")
    log.write_text(line(200))
    third = look(server, first.clock, second.log)
    assert (third.requests, third.client_errors, third.server_errors) == (1, 0, 0)


def test_code_that_was_written_is_named_whatever_its_date_says(server: Path) -> None:
    since = later()
    assert look(server, since).changed == ()
    (server / "docroot/lib/tea.php").write_text("edited")
    os.utime(server / "docroot/lib/tea.php", (0, 0))
    (server / "docroot/cache/page.php").write_text("a cache does that")
    (server / "docroot/theme.css").write_text("no code")
    (server / "docroot/updater-3fa9.php").write_text("ours, for a moment")
    (server / "docroot/media/shell.php").write_text("bad")
    (server / "docroot/media/b.jpg").write_text("an upload")
    seen = look(server, since)
    assert seen.changed == ("lib/tea.php",)
    assert seen.executable_media == ("media/shell.php",)
    assert look(server, since, clone=CloneSettings(exclude=("lib/",))).changed == ()


def test_what_a_deployment_of_ours_wrote_is_nobody_elses(server: Path) -> None:
    since = later()
    (server / "docroot/lib/tea.php").write_text("deployed")
    run = server / "work/runs/20261125-010101-abcd"
    (server / "work/lock").mkdir(parents=True)
    (server / "work/lock/owner").write_text("run=20261125-010101-abcd\nperson=anna\n")
    assert look(server, since).closed_by == "20261125-010101-abcd"
    run.mkdir(parents=True)
    (run / "finished").write_text("promoted\n")
    (server / "work/lock/owner").unlink()
    seen = look(server, since)
    assert seen.closed_by == ""
    assert seen.deployed >= since
    assert seen.changed == ()
