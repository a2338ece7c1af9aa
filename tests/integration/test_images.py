"""Images on real Docker: built once, a broken build tells why, the base image is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from updater.errors import StagingFailed
from updater.resources import folder
from updater.staging import daemon, images


class Saying:
    """Progress that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, name: str) -> None:
        self.lines.append(name)

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = daemon.connect()
    yield client
    client.close()


@pytest.fixture
def tag(client: docker.DockerClient) -> Iterator[str]:
    tag = f"updater/test-images:{time.time_ns()}"
    yield tag
    if images.exists(client, tag):
        client.images.remove(tag, force=True)


def test_an_image_is_built_once_and_then_taken_as_it_is(client: docker.DockerClient, tag: str, tmp_path: Path) -> None:
    base = images.ensure_base(client, "bookworm", Saying())
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nARG WORD\nRUN echo $WORD > /word\n")
    first, second = Saying(), Saying()
    assert images.build(client, tmp_path, tag, first, {"WORD": "one"}) == tag
    assert any(line.startswith("Step ") for line in first.lines)
    images.build(client, tmp_path, tag, second, {"WORD": "two"})
    assert second.lines == []


def test_two_that_need_an_image_at_once_build_it_once(client: docker.DockerClient, tag: str, tmp_path: Path) -> None:
    base = images.ensure_base(client, "bookworm", Saying())
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN sleep 2\n")
    said = [Saying(), Saying()]
    with ThreadPoolExecutor(2) as both:
        built = both.map(lambda progress: images.build(daemon.connect(), tmp_path, tag, progress), said)
        assert list(built) == [tag, tag]
    first, second = sorted((progress.lines for progress in said), key=len, reverse=True)
    assert sum(line.startswith("building image") for line in first) == 1
    assert second in ([f"waiting for another process that makes {tag}"], [])


def test_a_failed_build_shows_its_last_lines(client: docker.DockerClient, tag: str, tmp_path: Path) -> None:
    base = images.ensure_base(client, "bookworm", Saying())
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN echo 'the reason stands here' && exit 3\n")
    with pytest.raises(StagingFailed) as failed:
        images.build(client, tmp_path, tag, Saying())
    assert "the reason stands here" in failed.value.cause
    assert "returned a non-zero code: 3" in failed.value.cause
    assert not images.exists(client, tag)


def test_a_base_that_is_there_is_neither_pulled_nor_built(client: docker.DockerClient) -> None:
    images.ensure_base(client, "bookworm", Saying())
    progress = Saying()
    assert images.ensure_base(client, "bookworm", progress) == "debian:bookworm-slim"
    assert progress.lines == []


def test_an_unknown_suite_says_what_the_mirror_said(client: docker.DockerClient) -> None:
    with pytest.raises(StagingFailed) as failed:
        images.ensure_base(client, "nonesuch", Saying())
    assert "nonesuch" in str(failed.value)
    assert not images.exists(client, "debian:nonesuch-slim")


def test_every_stack_folder_is_whole() -> None:
    for name in ("web", "database", "egress"):
        assert (folder("stacks") / name / "Dockerfile").is_file()
