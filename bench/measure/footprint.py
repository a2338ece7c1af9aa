"""Memory and disk at their peak while a command runs: of its processes, of its stack's containers, of the folders it fills."""

from __future__ import annotations

import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

_EVERY_SECONDS = 0.5
_DISK_EVERY = 4
"""Of the looks at memory, one in so many is a look at the disk too: it walks folders."""


@dataclass(slots=True)
class Peak:
    """Bytes, each at its own highest."""

    processes: int = 0
    containers: int = 0
    folder: int = 0
    volumes: int = 0

    def see(self, *, processes: int = 0, containers: int = 0, folder: int = 0, volumes: int = 0) -> None:
        """Keep what is more than was seen before."""
        self.processes = max(self.processes, processes)
        self.containers = max(self.containers, containers)
        self.folder = max(self.folder, folder)
        self.volumes = max(self.volumes, volumes)


class Footprint:
    """Looks twice a second while its block runs. `label` names what Docker keeps for the command; '' while it is not known.

    Shared memory counts once for each process in proportion (PSS). Containers count as `docker stats` does: without the files
    that the kernel keeps in memory as long as nobody else wants it.
    """

    def __init__(self, process: int, folder: Path, label: Callable[[], str]) -> None:
        self.peak = Peak()
        self._process, self._folder, self._label = process, folder, label
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="footprint", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        client = docker.from_env()
        look = 0
        while True:
            self.peak.see(processes=sum(map(_memory, tree(self._process))))
            label = self._label()
            if label:
                self.peak.see(containers=_containers(client, label))
            if look % _DISK_EVERY == 0:
                self.peak.see(folder=occupied([self._folder]))
                self.peak.see(volumes=occupied(_volumes(client, label)) if label else 0)
            look += 1
            if self._over.wait(_EVERY_SECONDS):
                client.close()
                return


def tree(root: int) -> list[int]:
    """This process and all below it, as they are now."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                status = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                children[int(status.rpartition(")")[2].split()[1])].append(int(folder.name))
    found = [root]
    for process in found:
        found += children[process]
    return found


def occupied(paths: Sequence[Path]) -> int:
    """Bytes that these folders take on the disk: a file with several names once, a hole nothing."""
    if not paths:
        return 0
    # What vanishes while it is read is told with an exit code, and the rest is counted.
    told = subprocess.run(["du", "-scB1", *paths], capture_output=True, text=True, check=False).stdout.splitlines()
    return int(told[-1].split()[0]) if told else 0


def _memory(process: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _containers(client: Any, label: str) -> int:
    total = 0
    with suppress(DockerException, RequestException):  # one that is removed meanwhile
        for container in client.containers.list(filters={"label": label}, ignore_removed=True):
            memory = client.api.stats(container.id, stream=False, one_shot=True)["memory_stats"]
            if memory:
                cached = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
                total += memory["usage"] - cached
    return total


def _volumes(client: Any, label: str) -> list[Path]:
    """Without overlays: they show what lies elsewhere."""
    with suppress(DockerException, RequestException):
        volumes = client.volumes.list(filters={"label": label})
        return [Path(it.attrs["Mountpoint"]) for it in volumes if not (it.attrs.get("Options") or {})]
    return []
