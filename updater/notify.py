"""Messages about a run, by apprise. Which service gets them is a secret URL; a message that fails changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import apprise

from updater.secrets import redact, register

_KINDS = {"urgent": apprise.NotifyType.FAILURE, "work": apprise.NotifyType.WARNING, "info": apprise.NotifyType.INFO}


def send(
    urls: Sequence[str],
    title: str,
    body: str,
    attachments: Sequence[Path] = (),
    urgency: str = "info",
) -> tuple[str, ...]:
    """Send to every URL; the names (schemes only) of the channels that failed, in order. Never raises for a channel.

    `urgency` is urgent, work or info. The URLs carry tokens and passwords: they are registered as secrets and never shown.
    """
    for url in urls:
        _hide(url)
    # apprise logs the URLs that it cannot parse.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False
    failed = []
    files = [str(path) for path in attachments if path.is_file()]
    for url in urls:
        scheme = url.partition("://")[0] if "://" in url else "unknown"
        try:
            channel = apprise.Apprise()
            sent = channel.add(url) and channel.notify(
                body=redact(body), title=redact(title), notify_type=_KINDS[urgency], attach=files or None
            )
        except Exception:  # noqa: BLE001  dozens of services, each with errors of its own; none may touch the verdict
            sent = False
        if not sent:
            failed.append(scheme)
    return tuple(failed)


def _hide(url: str) -> None:
    """Register the URL and what is secret in it: everything after the scheme when it holds a token, and the password."""
    register(url)
    _, _, rest = url.partition("://")
    if "@" in rest or "/" in rest.rstrip("/"):
        register(rest)
    account, at, _ = rest.rpartition("@")
    if at:
        register(account.partition(":")[2].partition("/")[0])
