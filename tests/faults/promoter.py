"""The updater as a process of its own, so that it can be killed: promotes what its file says, and prints what it was told."""

from __future__ import annotations

import http.client
import json
import pickle
import sys
import time
from pathlib import Path

from updater.errors import UpdaterError
from updater.model import Check, Status
from updater.production.host import connect
from updater.production.transaction import Patience, promote


class Told:
    """Keeps the decision that the server answered with."""

    decided = ""

    def step(self, name: str) -> None: ...

    def say(self, message: str) -> None:
        print(f"{time.time():.3f} {message}", file=sys.stderr, flush=True)
        if message.startswith("decided: "):
            self.decided = message.removeprefix("decided: ")


def visit(address: str, page: str, cookie: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, 80, timeout=10)
    connection.request("GET", page, headers={"Host": "shop.test", "Cookie": cookie})
    answer = connection.getresponse()
    body = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, body


def main(path: Path) -> None:
    order = pickle.loads(path.read_bytes())
    site = order["site"]
    approved = order["approved"]
    signals = Path(order["signals"])

    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        if (signals / "in-check").exists():
            (signals / "in-check").rename(signals / "reached")
            while not (signals / "go").exists():
                time.sleep(0.02)
        if order["check"] == "breaks":
            raise ValueError("no browser")
        closed, _ = visit(site.server.host, order["page"], "")
        status, body = visit(site.server.host, order["page"], "=".join(cookie))
        good = closed == 503 and status == 200 and order["check"] != "fails"
        good = good and all(text in body for text in order["expected"])
        if order["confirm"] is not None:  # seconds after the deadline that the server set itself
            with connect(site.server) as other:
                deadline = int(other.read(f"{site.server.work}/runs/{approved.release.run}/deadline"))
            time.sleep(max(0.0, deadline + order["confirm"] - time.time()))
        return (
            Check("home", "production", Status.PASSED if good else Status.FAILED, f"{closed} {status} {body[:200]}"),
        )

    told = Told()
    try:
        with connect(site.server) as server:
            outcome = promote(
                server,
                site,
                order["installation"],
                approved,
                check,
                told,
                gate=order["gate"],
                purge=order["purge"],
                sh=order["sh"],
                patience=Patience(staging=60, after_deadline=120, lost=20),
            )
        ended, why = outcome.state, outcome.reason
    except UpdaterError as error:
        ended, why = type(error).__name__, str(error)
    print(json.dumps({"ended": ended, "why": why, "decided": told.decided}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
