"""What killed runs left is removed by one process at a time."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from updater.log import Silent
from updater.staging.names import remove_all


class Daemon:
    """A Docker with nothing in it, that says when it is asked and answers when it may."""

    def __init__(self) -> None:
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.containers = SimpleNamespace(list=self._listed)
        self.networks = self.volumes = SimpleNamespace(list=lambda filters: [])

    def _listed(self, **_options: Any) -> list[Any]:
        self.asked.set()
        assert self.may_answer.wait(10)
        return []


def test_two_sites_that_begin_together_do_not_tidy_up_at_once() -> None:
    first, second = Daemon(), Daemon()
    tidying = [threading.Thread(target=remove_all, args=(daemon, None, Silent())) for daemon in (first, second)]
    second.may_answer.set()
    tidying[0].start()
    assert first.asked.wait(10)
    tidying[1].start()
    assert not second.asked.wait(0.3), "it waits while the first is at it"
    first.may_answer.set()
    for thread in tidying:
        thread.join(10)
    assert second.asked.is_set()
