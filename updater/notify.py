"""Telling people: an outbox beside each site, emptied into its channels by apprise; what is urgent is said until someone acknowledges.

A message is written to `.updater/outbox/` first (temporary file, fsync, rename) and sent after, so that a dead machine or a
silent service loses none: it may be said twice, never not at all. A message that cannot be sent changes no verdict. Which
service gets it is a secret URL that stays in site.yml: the outbox knows a channel by a fingerprint.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import apprise

from updater.errors import UpdaterError
from updater.journal import converter, dump, new_run_id, now, write_atomically
from updater.language import speak
from updater.model import Message, Site, Urgency
from updater.secrets import redact, register

REPEAT = timedelta(minutes=30)
"""After so long an urgent message that nobody acknowledged is said again; then after twice as long, and so on."""
REPEAT_AT_MOST = timedelta(days=1)
_IN_A_DIGEST = 40
_ATTACHED_BYTES = 15_000_000  # what mail servers commonly take, base64 and all

_KINDS = {"urgent": apprise.NotifyType.FAILURE, "work": apprise.NotifyType.WARNING, "info": apprise.NotifyType.INFO}


# ------------------------------------------------------------------------------------------------------- the outbox


def put(
    state: Path,
    urgency: Urgency,
    title: str,
    body: str,
    *,
    run: str = "",
    attachments: Sequence[Path] = (),
    at: datetime | None = None,
) -> Message:
    """Write a message into the outbox of this `.updater/` folder; `deliver` sends it. OSError when it cannot be written.

    What a run said before and nobody was sent yet is replaced: "awaiting approval" is no news once it is deployed.
    """
    below = tuple(path.relative_to(state) for path in attachments if path.is_relative_to(state))
    message = Message(new_run_id(), at or now(), urgency, redact(title), redact(body), run, below)
    with _locked(state):
        for known in unsettled(state):
            if run and known.run == run and not known.sent and known.urgency != "urgent":
                _file(state, known).unlink()
        _keep(state, message)
    return message


def unsettled(state: Path) -> list[Message]:
    """Messages not sent to everybody yet, and urgent ones that nobody acknowledged; oldest first."""
    return _read(state / "outbox")


def told(state: Path) -> list[Message]:
    """Every message there ever was, oldest first: for the monthly report."""
    return sorted([*_read(state / "outbox"), *_read(state / "outbox" / "told")], key=lambda message: message.at)


def acknowledge(state: Path, person: str, at: datetime | None = None) -> list[Message]:
    """Someone takes care: the urgent messages that were open, no longer repeated."""
    taken = []
    with _locked(state):
        for message in unsettled(state):
            if not message.settled:
                taken.append(replace(message, acknowledged=at or now(), by=person))
                _keep(state, taken[-1])
    return taken


def close(state: Path, message_id: str, at: datetime | None = None) -> None:
    """What this message told of is over by itself; saying it again would be wrong."""
    with _locked(state):
        for message in unsettled(state):
            if message.id == message_id:
                _keep(state, replace(message, closed=at or now()))


def _keep(state: Path, message: Message) -> None:
    write_atomically(_file(state, message), dump(message))


def _file(state: Path, message: Message) -> Path:
    return state / "outbox" / f"{message.id}.json"


def _read(folder: Path) -> list[Message]:
    found = []
    for path in folder.glob("*.json"):
        with suppress(FileNotFoundError):  # another process told it in between
            found.append(_one(path))
    return sorted(found, key=lambda message: (message.at, message.id))


def _one(path: Path) -> Message:
    raw = path.read_bytes()
    try:
        return converter.structure(json.loads(raw), Message)
    except Exception as error:
        raise UpdaterError(
            "a message in the outbox cannot be read",
            where=str(path),
            cause=str(error),
            hint="read it yourself, then move the file away",
        ) from error


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """One process at a time: `run` and `tell` would say the same twice."""
    folder = state / "outbox"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# ---------------------------------------------------------------------------------------------------------- sending


def deliver(sites: Sequence[Site], *, only_urgent: bool = False, at: datetime | None = None) -> tuple[str, ...]:
    """Send what waits in the outboxes of these sites; one line for each channel that failed, without its secret.

    Urgent messages go out one by one, again when they are due. The rest becomes one digest for each channel, over all
    sites. Called by every command that tells something, and by `updater tell`, which so retries what failed.
    """
    at, failed = at or now(), []
    with ExitStack() as locks:
        for state in sorted({site.state for site in sites}):
            locks.enter_context(_locked(state))
        for site in sites:
            for message in unsettled(site.state):
                if message.urgency == "urgent":
                    due = [url for url in site.notify if _due(message, _channel(url), at)]
                    failed += _send_and_keep(due, message.title, message.body, [(site, message)], at)
        if not only_urgent:
            for url in dict.fromkeys(url for site in sites for url in site.notify):
                failed += _digest(url, [site for site in sites if url in site.notify], at)
        for site in sites:
            _file_away(site)
    return tuple(dict.fromkeys(failed))


def _due(message: Message, channel: str, at: datetime) -> bool:
    said = message.sent.get(channel, ())
    if not said:
        return message.closed is None
    return not message.settled and at - said[-1] >= min(REPEAT * 2 ** (len(said) - 1), REPEAT_AT_MOST)


def _digest(url: str, sites: Sequence[Site], at: datetime) -> list[str]:
    waiting = [
        (site, message)
        for site in sites
        for message in unsettled(site.state)
        if message.urgency != "urgent" and not message.sent.get(_channel(url))
    ]
    if not waiting:
        return []
    if len(waiting) == 1:
        message = waiting[0][1]
        return _send_and_keep([url], message.title, message.body, waiting, at)
    words, names = speak(sites[0].language), {site.name for site, _ in waiting}
    counted = words.ngettext("{n} message", "{n} messages", len(waiting)).format(n=len(waiting))
    where = names.pop() if len(names) == 1 else words.ngettext("{n} site", "{n} sites", len(names)).format(n=len(names))
    parts = [f"{message.title}\n{message.body}" for _, message in waiting[-_IN_A_DIGEST:]]
    titles = [f"- {message.title}" for _, message in waiting]
    body = "\n\n———\n\n".join(["\n".join(titles), *parts])
    return _send_and_keep([url], f"{where}: {counted}", body, waiting, at)


def _send_and_keep(
    urls: Sequence[str], title: str, body: str, messages: Sequence[tuple[Site, Message]], at: datetime
) -> list[str]:
    """Send one text to each URL, and note in every message that it holds when that was. A line per failure."""
    urgency = min((message.urgency for _, message in messages), key=list(_KINDS).index)
    failed = []
    for url in urls:
        refused, channel = send([url], title, body, _attachments(messages), urgency=urgency), _channel(url)
        for site, message in messages:
            known = _one(_file(site.state, message))
            failures = {name: tried for name, tried in known.failed.items() if name != channel}
            if refused:
                known = replace(known, failed=failures | {channel: at})
            else:
                said = (*known.sent.get(channel, ()), at)
                known = replace(known, failed=failures, sent={**known.sent, channel: said})
            _keep(site.state, known)
        failed += [f"{name}: {title}" for name in refused]
    return failed


def _attachments(messages: Sequence[tuple[Site, Message]]) -> list[Path]:
    """The reports and pictures that go along, as many as a mail can carry."""
    chosen, left = [], _ATTACHED_BYTES
    for site, message in messages:
        for path in (site.state / below for below in message.attachments):
            size = path.stat().st_size if path.is_file() else left + 1
            if size <= left:
                left -= size
                chosen.append(path)
    return chosen


def _file_away(site: Site) -> None:
    """A message that everybody got, and that nobody has to answer, leaves the outbox."""
    channels = {_channel(url) for url in site.notify}
    for message in unsettled(site.state):
        if message.settled and (message.closed or channels <= message.sent.keys()):
            write_atomically(site.state / "outbox" / "told" / f"{message.id}.json", dump(message))
            _file(site.state, message).unlink()


def _channel(url: str) -> str:
    """A channel's name in the outbox: its scheme, and a fingerprint that tells two of one service apart."""
    return f"{_scheme(url)} {hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _scheme(url: str) -> str:
    return url.partition("://")[0] if "://" in url else "unknown"


def send(
    urls: Sequence[str],
    title: str,
    body: str,
    attachments: Sequence[Path] = (),
    urgency: str = "info",
) -> tuple[str, ...]:
    """Send to every URL; the names (schemes only) of the channels that failed, in order. Never raises for a channel.

    The URLs carry tokens and passwords: they are registered as secrets and never shown. A service that refuses the
    attachments gets the text alone.
    """
    for url in urls:
        _hide(url)
    # apprise logs the URLs that it cannot parse.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False
    files = [str(path) for path in attachments if path.is_file()]
    failed = []
    for url in urls:
        arrived = _arrives(url, title, body, files, urgency) or (files and _arrives(url, title, body, [], urgency))
        if not arrived:
            failed.append(_scheme(url))
    return tuple(failed)


def _arrives(url: str, title: str, body: str, files: list[str], urgency: str) -> bool:
    try:
        channel = apprise.Apprise()
        return bool(
            channel.add(url)
            and channel.notify(
                body=redact(body), title=redact(title), notify_type=_KINDS[urgency], attach=files or None
            )
        )
    except Exception:  # noqa: BLE001  dozens of services, each with errors of its own; none may touch the verdict
        return False


def _hide(url: str) -> None:
    """Register the URL and what is secret in it: everything after the scheme when it holds a token, and the password."""
    register(url)
    _, _, rest = url.partition("://")
    if "@" in rest or "/" in rest.rstrip("/"):
        register(rest)
    account, at, _ = rest.rpartition("@")
    if at:
        register(account.partition(":")[2].partition("/")[0])


def waiting_lines(state: Path) -> list[str]:
    """What was not told yet and what nobody acknowledged, a line each: for `updater status` and `updater ack`."""
    lines = []
    for message in unsettled(state):
        if message.failed:
            why = "could not be sent to " + ", ".join(channel.split()[0] for channel in message.failed)
        elif not message.settled:
            why = "nobody acknowledged it: `updater ack`"
        else:
            why = "not sent yet"
        lines.append(f"{message.urgency}: {message.title} ({message.at:%Y-%m-%d %H:%M} UTC): {why}")
    return lines
