"""What a stack's containers, volumes and network are called, and how they are found and removed again."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound
from requests.exceptions import RequestException

from updater.errors import StagingFailed
from updater.log import Progress

RUN_LABEL = "updater.run"
_OWNER_LABEL = "updater.owner"
"""`machine:pid` of the process that made it: while that lives, only a clean of exactly this run removes it."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one run's parts. Docker allows letters, digits, `_.-`; anything else becomes `-`."""

    run: str

    def of(self, part: str) -> str:
        return f"updater-{re.sub(r'[^A-Za-z0-9_.-]', '-', self.run)}-{part}"

    @property
    def labels(self) -> dict[str, str]:
        return {RUN_LABEL: self.run, _OWNER_LABEL: f"{socket.gethostname()}:{os.getpid()}"}


def remove_all(client: docker.DockerClient, run: str | None, progress: Progress) -> list[str]:
    """Remove everything of a run, or every stack whose process is gone (None). Returns the names removed.

    StagingFailed names what Docker would not remove.
    """
    if run is not None:
        return _remove(client, run, progress)
    # Docker refuses to remove what another is removing: sites that run side by side would fail by each other's tidying.
    with (Path(tempfile.gettempdir()) / f"updater-{os.getuid()}-clean.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _remove(client, None, progress)


def _remove(client: docker.DockerClient, run: str | None, progress: Progress) -> list[str]:
    filters: dict[str, Any] = {"label": f"{RUN_LABEL}={run}" if run is not None else _OWNER_LABEL}
    removed: list[str] = []
    stuck: list[str] = []

    def remove(kind: str, things: Iterable[Any], **options: Any) -> None:
        for thing in things:
            labels = thing.attrs.get("Labels") or thing.attrs.get("Config", {}).get("Labels") or {}
            if run is None and _alive(labels.get(_OWNER_LABEL, "")):
                continue
            try:
                thing.remove(**options)
            except NotFound:
                continue
            except (APIError, RequestException) as error:
                stuck.append(f"{kind} {thing.name}: {error}")
                continue
            removed.append(f"{kind} {thing.name}")

    # Those that live in another's network namespace go first; the namespace's holder last.
    containers = client.containers.list(all=True, filters=filters, ignore_removed=True)
    containers.sort(key=lambda container: str(container.name).endswith("-egress"))
    remove("container", containers, force=True, v=True)
    remove("network", client.networks.list(filters=filters))
    remove("volume", client.volumes.list(filters=filters))
    for name in removed:
        progress.say(f"removed {name}")
    if stuck:
        raise StagingFailed(
            "parts of a stack could not be removed",
            cause="\n".join(stuck),
            hint=f"run `updater clean{f' {run}' if run else ''}` again",
        )
    return removed


def left_behind(client: docker.DockerClient) -> list[str]:
    """Names of containers whose process is gone: what the next clean removes."""
    found = client.containers.list(all=True, filters={"label": _OWNER_LABEL}, ignore_removed=True)
    return sorted(str(it.name) for it in found if not _alive(it.labels.get(_OWNER_LABEL, "")))


def _alive(owner: str) -> bool:
    """Whether the process that made it still runs on this machine. Of another machine we cannot know: yes."""
    machine, _, pid = owner.rpartition(":")
    if not pid.isdigit():
        return False
    if machine != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
