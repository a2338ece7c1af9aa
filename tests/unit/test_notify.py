"""Messages by apprise, to a real webhook listener and a real SMTP server on loopback, and the outbox that loses none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mail_server import Mailbox, free_port, receiving
from webhook import Listener, listening

from updater import notify
from updater.model import Language, Server, Site
from updater.secrets import redact, register

NIGHT = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as made:
        yield made


def test_a_message_arrives_with_title_body_and_urgency(listener: Listener) -> None:
    assert notify.send([listener.url], "Лавка: rejected", "Place order does nothing", urgency="urgent") == ()
    (got,) = listener.received
    assert (got["title"], got["message"], got["type"]) == ("Лавка: rejected", "Place order does nothing", "failure")


def test_a_report_goes_along_and_a_missing_one_does_not_stop_the_message(listener: Listener, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>hello")
    assert notify.send([listener.url], "t", "b", [report, tmp_path / "gone.html"]) == ()
    assert [attachment["filename"] for attachment in listener.received[0]["attachments"]] == ["report.html"]


def test_one_channel_that_fails_is_named_and_the_others_get_the_message(listener: Listener) -> None:
    urls = [f"json://user:hunter2x@127.0.0.1:{free_port()}/", "nosuch://secret-token-1", "no url at all", listener.url]
    assert notify.send(urls, "t", "b") == ("json", "nosuch", "unknown")
    assert len(listener.received) == 1


def test_a_service_that_refuses_is_a_failure(listener: Listener) -> None:
    listener.status = 500
    assert notify.send([listener.url], "t", "b") == ("json",)


def test_secrets_stay_out_of_messages_and_channel_urls_out_of_everything(
    listener: Listener, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = register("db-password-9")
    url = "nosuch://account:tok3n-7781@host/hook-5512"
    notify.send([listener.url, url], f"title {secret}", f"body {secret}")
    assert secret not in json.dumps(listener.received)
    out, err = capfd.readouterr()
    assert "tok3n-7781" not in caplog.text + out + err
    assert "tok3n-7781" not in redact(f"connecting to {url} with tok3n-7781")
    assert "hook-5512" not in redact(f"connecting to {url}")


def test_no_channel_is_no_failure() -> None:
    assert notify.send([], "t", "b") == ()


# -------------------------------------------------------------------------------------------------------- the outbox


def site(folder: Path, *urls: str, name: str = "tea", language: Language = Language.EN) -> Site:
    server = Server("shop.example", "deploy")
    return Site(name, server, "/srv/shop", "https://shop.example", folder / "site.yml", notify=urls, language=language)


def nobody_listens() -> str:
    """A URL that refuses the connection."""
    return f"json://127.0.0.1:{free_port()}/token-unreach"


def titles(listener: Listener) -> list[str]:
    return [got["title"] for got in listener.received]


def test_work_waits_for_the_digest_and_what_is_urgent_does_not(listener: Listener, tmp_path: Path) -> None:
    tea = site(tmp_path, listener.url)
    notify.put(tea.state, "work", "tea: awaiting approval", "1.0 → 1.1")
    notify.put(tea.state, "urgent", "tea: state unknown", "look now")
    assert notify.deliver([tea], only_urgent=True) == ()
    assert titles(listener) == ["tea: state unknown"]
    assert notify.deliver([tea]) == ()
    assert titles(listener) == ["tea: state unknown", "tea: awaiting approval"]
    assert notify.deliver([tea]) == ()
    assert len(listener.received) == 2, "nothing is said twice within half an hour"


def test_the_work_of_several_sites_is_one_digest(listener: Listener, tmp_path: Path) -> None:
    sites = [site(tmp_path / name, listener.url, name=name) for name in ("tea", "mugs")]
    for shop in sites:
        notify.put(shop.state, "work", f"{shop.name}: awaiting approval", "details", at=NIGHT)
        notify.put(shop.state, "info", f"{shop.name}: promoted", "details", at=NIGHT)
    assert notify.deliver(sites) == ()
    (digest,) = listener.received
    assert (digest["title"], digest["type"]) == ("2 sites: 4 messages", "warning")
    assert digest["message"].count("mugs: awaiting approval") == 2  # in the list, and with its details below it
    assert [message.title for shop in sites for message in notify.unsettled(shop.state)] == []


def test_a_digest_speaks_the_owners_language(listener: Listener, tmp_path: Path) -> None:
    tea = site(tmp_path, listener.url, name="Чай", language=Language.RU)
    for title in ("первое", "второе"):
        notify.put(tea.state, "work", title, "…")
    notify.deliver([tea])
    assert titles(listener) == ["Чай: 2 сообщения"]


def test_a_message_that_cannot_be_sent_is_kept_listed_and_sent_later(listener: Listener, tmp_path: Path) -> None:
    listener.status = 500
    tea = site(tmp_path, listener.url, nobody_listens())
    notify.put(tea.state, "work", "tea: rejected", "why", at=NIGHT)
    assert notify.deliver([tea]) == ("json: tea: rejected",)
    (line,) = notify.waiting_lines(tea.state)
    assert line == "work: tea: rejected (2026-11-25 03:00 UTC): could not be sent to json, json"
    assert "token" not in line
    listener.status = 200
    before = len(listener.received)
    notify.deliver([tea])
    notify.deliver([tea])
    assert len(listener.received) == before + 1, "the channel that works gets it once"
    assert [set(message.failed) for message in notify.unsettled(tea.state)] == [{notify._channel(tea.notify[1])}]


def test_no_url_is_written_into_the_outbox(listener: Listener, tmp_path: Path) -> None:
    tea = site(tmp_path, listener.url, nobody_listens())
    notify.put(tea.state, "urgent", "t", "b")
    notify.deliver([tea])
    written = "".join(path.read_text() for path in (tea.state / "outbox").rglob("*.json"))
    assert "token-" not in written
    assert '"sent"' in written


def test_an_urgent_message_is_repeated_ever_more_rarely_until_someone_acknowledges(
    listener: Listener, tmp_path: Path
) -> None:
    tea = site(tmp_path, listener.url)
    notify.put(tea.state, "urgent", "tea: rolled back", "why", at=NIGHT)
    said = []
    for minutes in range(0, 8 * 60, 10):
        before = len(listener.received)
        notify.deliver([tea], at=NIGHT + timedelta(minutes=minutes))
        said += [minutes] * (len(listener.received) - before)
    assert said == [0, 30, 90, 210, 450]
    (taken,) = notify.acknowledge(tea.state, "Anna", at=NIGHT + timedelta(hours=8))
    notify.deliver([tea], at=NIGHT + timedelta(days=3))
    assert len(listener.received) == 5
    assert notify.unsettled(tea.state) == []
    (kept,) = notify.told(tea.state)
    assert (kept.by, kept.acknowledged) == ("Anna", taken.acknowledged) == ("Anna", NIGHT + timedelta(hours=8))


def test_what_is_over_is_not_said_again(listener: Listener, tmp_path: Path) -> None:
    tea = site(tmp_path, listener.url)
    message = notify.put(tea.state, "urgent", "tea: does not answer", "502", at=NIGHT)
    notify.deliver([tea], at=NIGHT)
    notify.close(tea.state, message.id, NIGHT + timedelta(minutes=5))
    notify.deliver([tea], at=NIGHT + timedelta(hours=9))
    assert titles(listener) == ["tea: does not answer"]


def test_news_of_a_run_that_nobody_heard_yet_is_replaced_by_the_next(listener: Listener, tmp_path: Path) -> None:
    tea = site(tmp_path, listener.url)
    notify.put(tea.state, "work", "tea: awaiting approval", "…", run="r1")
    notify.put(tea.state, "info", "tea: promoted", "…", run="r1")
    notify.deliver([tea])
    assert titles(listener) == ["tea: promoted"]


def test_a_torn_file_in_the_outbox_is_named_and_not_passed_over(tmp_path: Path) -> None:
    tea = site(tmp_path)
    notify.put(tea.state, "work", "t", "b")
    (path,) = (tea.state / "outbox").glob("*.json")
    path.write_text("{")
    with pytest.raises(notify.UpdaterError, match="cannot be read"):
        notify.unsettled(tea.state)


# --------------------------------------------------------------------------------------------------------------- mail


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving() as made:
        yield made


def test_a_mail_carries_the_report_and_the_picture(mailbox: Mailbox, tmp_path: Path) -> None:
    tea = site(tmp_path, mailbox.url, name="Лавка")
    run = tea.state / "runs" / "r1"
    run.mkdir(parents=True)
    (run / "report.html").write_text("<h1>Обновления отклонены.</h1>")
    (run / "checkout.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    attachments = (run / "report.html", run / "checkout.png", run / "gone.png")
    notify.put(tea.state, "work", "Лавка: отклонено", "«Оформить заказ» ничего не делает", attachments=attachments)
    assert notify.deliver([tea]) == ()
    (mail,) = mailbox.mails
    assert mail["subject"].strip() == "Лавка: отклонено"
    assert "anna@agency.example" in mail["to"]
    assert "«Оформить заказ»" in mail.get_body(("html", "plain")).get_content()  # type: ignore[union-attr]
    assert {part.get_filename() for part in mail.iter_attachments()} == {"report.html", "checkout.png"}
