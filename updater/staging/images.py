"""stacks/ → images, matched to production's PHP and database."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.utils import exclude_paths
from requests.exceptions import RequestException

from updater.errors import StagingFailed
from updater.log import Progress
from updater.model import Platform, StackSettings
from updater.resources import folder as resource_folder

_LAST_LINES = 40
_REGISTRY_SECONDS = 10


def content_tag(name: str, folder: Path, **args: str) -> str:
    """`updater/<name>:<hash>`: the hash covers the build arguments and every file that a build is sent (name, mode, bytes)."""
    digest = hashlib.sha256()
    ignored = folder / ".dockerignore"
    patterns = ignored.read_text(encoding="utf-8").split() if ignored.is_file() else []
    sent = (folder / name for name in exclude_paths(str(folder), [*patterns, "**/__pycache__"]))
    for path in sorted(path for path in sent if path.is_file()):
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"{path.relative_to(folder)}\0{executable}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for key, value in sorted(args.items()):
        digest.update(f"{key}={value}\0".encode())
    return f"updater/{name}:{digest.hexdigest()[:16]}"


def exists(client: docker.DockerClient, tag: str) -> bool:
    """Whether the image is on this machine already."""
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def build(
    client: docker.DockerClient,
    folder: Path,
    tag: str,
    progress: Progress,
    buildargs: Mapping[str, str] | None = None,
) -> str:
    """Build `folder` as `tag` unless that image exists, and return the tag. StagingFailed with the last lines of a failed build.

    The build uses the host's network: on many machines a bridge has no way to the package mirrors.
    """
    if exists(client, tag):
        return tag
    with _alone(tag, progress):
        if not exists(client, tag):
            _build(client, folder, tag, progress, buildargs or {})
    return tag


def _build(
    client: docker.DockerClient, folder: Path, tag: str, progress: Progress, buildargs: Mapping[str, str]
) -> None:
    progress.say(f"building image {tag} (once; kept for later runs)")
    lines: list[str] = []
    failure = ""
    try:
        for event in client.api.build(
            path=str(folder),
            tag=tag,
            buildargs=dict(buildargs),
            network_mode="host",
            rm=True,
            forcerm=True,
            pull=False,
            decode=True,
            labels={"updater.image": tag},
        ):
            failure = failure or str(event.get("error", ""))
            for line in str(event.get("stream", "")).splitlines():
                lines = [*lines[1 - _LAST_LINES :], line]
                if line.startswith("Step "):
                    progress.say(line)
    except (DockerException, RequestException, OSError) as error:
        failure = str(error)
    if failure or not exists(client, tag):
        raise StagingFailed(
            f"image {tag} could not be built",
            where=str(folder),
            cause="\n".join([*lines, failure]).strip(),
            hint="check the network to the package mirrors, then repeat the command: finished steps are kept",
        )


@contextmanager
def _alone(tag: str, progress: Progress) -> Iterator[None]:
    """One process of this machine at a time makes an image: sites that run side by side need the same ones."""
    name = f"updater-{os.getuid()}-{hashlib.sha256(tag.encode()).hexdigest()[:16]}.lock"
    with (Path(tempfile.gettempdir()) / name).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for another process that makes {tag}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_base(client: docker.DockerClient, suite: str, progress: Progress) -> str:
    """`debian:<suite>-slim`: the local image, else pulled, else bootstrapped with mmdebstrap under the same name."""
    tag = f"debian:{suite}-slim"
    if exists(client, tag):
        return tag
    with _alone(tag, progress):
        if exists(client, tag):
            return tag
        progress.say(f"pulling {tag}")
        refusal = _pull(client, tag)
        if refusal:
            progress.say(f"no image registry answers ({refusal}); bootstrapping {tag} from Debian's mirror")
            _bootstrap(client, suite, tag)
    return tag


def _pull(client: docker.DockerClient, tag: str) -> str:
    """Pull; '' when that worked, else why not. Silence of 10 s counts as no answer: progress of a slow pull does not."""
    heard = threading.Event()
    ended = threading.Event()
    problem: list[str] = []

    def pull() -> None:
        try:
            for event in client.api.pull(tag, stream=True, decode=True):
                if "error" in event:
                    problem.append(str(event["error"]))
                heard.set()
        except (APIError, RequestException, OSError) as error:
            problem.append(str(error))
        finally:
            ended.set()
            heard.set()

    threading.Thread(target=pull, daemon=True, name=f"pull {tag}").start()
    if not heard.wait(_REGISTRY_SECONDS):
        return f"no answer within {_REGISTRY_SECONDS} s"
    ended.wait()
    if problem:
        return "the registry cannot be reached or refused" if len(problem[0]) > 120 else problem[0]
    return "" if exists(client, tag) else "the registry sent nothing"


def _bootstrap(client: docker.DockerClient, suite: str, tag: str) -> None:
    """A minimal Debian from the package mirror, imported as `tag`. StagingFailed with mmdebstrap's own words."""
    tool = shutil.which("mmdebstrap")
    if tool is None:
        raise StagingFailed(
            f"the base image {tag} is missing",
            cause="no image registry answers, and mmdebstrap is not installed",
            hint="run `scripts/bootstrap`",
        )
    with tempfile.TemporaryDirectory(prefix="updater-base-") as scratch:
        archive = Path(scratch) / "base.tar"
        made = subprocess.run(
            [tool, "--variant=minbase", suite, str(archive)], capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise StagingFailed(
                f"the base image {tag} could not be bootstrapped",
                where=f"mmdebstrap --variant=minbase {suite}",
                cause="\n".join(made.stderr.strip().splitlines()[-10:]),
                hint="check the network to Debian's mirror, then repeat the command",
            )
        repository, _, version = tag.partition(":")
        client.api.import_image_from_file(str(archive), repository=repository, tag=version)


# ----------------------------------------------------------------------------------------- matched to production


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian release and what its packages hold."""

    name: str
    php: str
    mariadb: str


SUITES = (Suite("bullseye", "7.4", "10.5"), Suite("bookworm", "8.2", "10.11"), Suite("trixie", "8.4", "11.8"))


@dataclass(frozen=True, slots=True)
class Matched:
    """The images of one stack. `image` is set when site.yml names the web image itself.

    `matched` is False when PHP's or the database's series is another than production's and site.yml does not accept
    that; `mismatch` says how they differ, accepted or not.
    """

    php_suite: Suite
    database_suite: Suite
    image: str | None
    matched: bool
    mismatch: str


def match(platform: Platform, settings: StackSettings, accept_nearest: bool) -> Matched:
    """The suites nearest to production's PHP (major.minor) and database (flavour and series). Pure."""
    php, database = _series(platform.php), _series(platform.database)
    php_suite = min(SUITES, key=lambda suite: _distance(suite.php, php))
    database_suite = min(SUITES, key=lambda suite: _distance(suite.mariadb, database))
    differences = []
    if settings.image is None and php_suite.php != php:
        differences.append(f"PHP {php_suite.php} instead of production's {platform.php}")
    if platform.database_flavour != "mariadb":
        database_suite = SUITES[-1]  # the newest MariaDB understands most of MySQL 8's collations
        differences.append(
            f"MariaDB {database_suite.mariadb} instead of {platform.database_flavour} {platform.database}"
        )
    elif database_suite.mariadb != database:
        differences.append(f"MariaDB {database_suite.mariadb} instead of production's {platform.database}")
    return Matched(
        php_suite=php_suite,
        database_suite=database_suite,
        image=settings.image,
        matched=accept_nearest or not differences,
        mismatch="; ".join(differences),
    )


def _series(version: str) -> str:
    """`8.2.29` → `8.2`"""
    return ".".join(re.findall(r"\d+", version)[:2])


def _distance(offered: str, wanted: str) -> tuple[int, int, bool]:
    """Nearness of two series: the major first, then the minor; of two as near, the newer, for what requires it."""
    (major, minor), (wanted_major, wanted_minor) = (
        (int(first), int(second or 0))
        for first, _, second in (text.partition(".") for text in (offered, wanted or "0.0"))
    )
    return abs(major - wanted_major), abs(minor - wanted_minor), minor < wanted_minor


def stack_image(client: docker.DockerClient, name: str, suite: str, progress: Progress) -> str:
    """The image of `stacks/<name>` on that Debian suite, built when it is not there yet."""
    folder = resource_folder("stacks") / name
    tag = content_tag(name, folder, SUITE=suite)
    if exists(client, tag):
        return tag
    ensure_base(client, suite, progress)
    return build(client, folder, tag, progress, {"SUITE": suite})
