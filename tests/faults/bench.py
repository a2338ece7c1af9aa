"""Several servers, each with a case at a time: most of a case is waiting for a deadline, a drain or cron."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import hosting
from harness import Bench, Case, Result
from shops import Shop


class Servers:
    """A case waits for a free server; each server is started when it is first needed."""

    def __init__(self, pool: ThreadPoolExecutor, stack: ExitStack, shop: Shop) -> None:
        self.void: list[Case] = []
        """Cases that proved nothing and were run once more."""
        self._pool = pool
        self._shop = shop
        self._stack = stack
        self._mine = threading.local()

    def submit(self, case: Case, program: Path | None = None) -> Future[Result]:
        return self._pool.submit(self._run, case, program)

    def _run(self, case: Case, program: Path | None) -> Result:
        result = self._server().run(case, program)
        if result.void and not result.wrong:
            self.void.append(case)
            result = self._server().run(case, program)
        # Whatever it left must not be the next one's; and Docker has networks for some thirty servers.
        if result.wrong:
            self._mine.removal.close()
            del self._mine.bench
        return result

    def _server(self) -> Bench:
        if not hasattr(self._mine, "bench"):
            self._mine.removal = self._stack.enter_context(ExitStack())
            self._mine.bench = Bench(self._mine.removal.enter_context(hosting.running()), self._shop)
        bench: Bench = self._mine.bench
        return bench


@contextmanager
def servers(number: int, shop: Shop) -> Iterator[Servers]:
    """At most that many at a time, each with this shop. They are removed at the end."""
    hosting.build()
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(number)
        try:
            yield Servers(pool, stack, shop)
        finally:  # before the servers go: what runs ends, what waits is never begun
            pool.shutdown(cancel_futures=True)
