"""Chromium runs without the socket by which it learns of network interfaces, and with every other one."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tiny_shop import HOST, TinyShop, serve

from updater.checks import deaf
from updater.checks.browser import Browser, find_chromium
from updater.model import DESKTOP

SCRIPT = """
import socket
socket.socket().close()
socket.socket(socket.AF_UNIX).close()
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
"""


def test_only_netlink_is_refused() -> None:
    command = [sys.executable, str(Path(deaf.__file__)), sys.executable, "-c", SCRIPT]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "line 5" in ended.stderr
    assert "[Errno 97]" in ended.stderr


def test_the_browser_runs_under_the_filter() -> None:
    with serve(TinyShop()) as shop, Browser({HOST: "127.0.0.1"}) as browser, browser.tab(DESKTOP) as tab:
        assert tab.open(shop.target.url) == 200
        name = find_chromium().name[:15]  # the kernel keeps no more of it
        chromiums = [status for status in below(os.getpid()) if status["Name"] == name]
        assert chromiums
        assert {status["Seccomp"] for status in chromiums} == {"2"}


def below(ancestor: int) -> list[dict[str, str]]:
    """What the kernel says of each process that this one started, and that those started: other browsers may run here."""
    every: dict[str, dict[str, str]] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # it ended while we looked
            fields = (line.split(":", 1) for line in path.read_text().splitlines())
            every[path.parent.name] = {name: value.strip() for name, value in fields}

    def is_below(pid: str) -> bool:
        while pid in every:
            pid = every[pid]["PPid"]
            if pid == str(ancestor):
                return True
        return False

    return [status for pid, status in every.items() if is_below(pid)]
