"""The Docker daemon: one connection, or a failure that says how to start it."""

from __future__ import annotations

import os

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from updater.errors import StagingFailed

_ANSWER_SECONDS = 10
_WORK_SECONDS = 600
"""Longest silence of the daemon within one call: stopping a container that swaps, committing a large image."""


def connect() -> docker.DockerClient:
    """A client of the daemon that `DOCKER_HOST` (or the default socket) names. StagingFailed when none answers within 10 s."""
    place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        probe = docker.from_env(timeout=_ANSWER_SECONDS)
        try:
            probe.ping()
        finally:
            probe.close()
        return docker.from_env(timeout=_WORK_SECONDS)
    except (DockerException, RequestException, OSError, ValueError) as error:
        raise StagingFailed(
            "Docker does not answer",
            where=place,
            cause=str(error),
            hint="run `scripts/bootstrap` (it installs Docker and starts it), or `sudo systemctl start docker`; "
            "as an ordinary user be in the group `docker`",
        ) from error
