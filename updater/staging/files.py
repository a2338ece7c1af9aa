"""The site's files in a stack: production's mirror below, the stack's own changes above it, checkpoints of both.

The mirror is shared between runs and never written: an overlay keeps what the stack changes. Over a mirror of root's lies a layer in
which every file is the web user's: the shop did not change it, so no checkpoint copies it. Where the daemon refuses
overlay mounts (rootless, remote, a mirror on an overlay itself) the mirror is copied into a plain volume instead.
"""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import socketpair

import docker
from docker.errors import APIError
from docker.models.volumes import Volume
from docker.types import Mount
from requests.exceptions import RequestException

from updater.errors import StagingFailed
from updater.log import Progress
from updater.staging.names import Names

_WEB_USER = 1000
"""Owner inside the stack of a mirror that belongs to root here: Apache and PHP refuse to run as root, with reason."""

_OVERLAY_OPTIONS = ("redirect_dir=on,metacopy=on,index=off", "redirect_dir=on,index=off")
"""redirect_dir: renaming a folder works as on a plain disk, as every swap needs. metacopy: chown copies no data.
index=off: an upper folder that was copied back from a checkpoint mounts again."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where a stack keeps the site's files. `volume` is mounted at the docroot, `changes` is what a checkpoint copies."""

    volume: str
    changes: str
    overlay: bool
    uid: int
    gid: int


def web_owner(mirror: Path) -> tuple[int, int]:
    """uid and gid that own the files inside the stack: the mirror's own, so that nothing has to be changed, unless root's."""
    owner = mirror.stat()
    return (owner.st_uid, owner.st_gid) if owner.st_uid else (_WEB_USER, _WEB_USER)


def prepare(client: docker.DockerClient, names: Names, image: str, mirror: Path, progress: Progress) -> Files:
    """Volumes that show `mirror` with its files owned by the web user, writable, the mirror itself untouched."""
    uid, gid = web_owner(mirror)
    refusal = ""
    if not set(str(mirror)) & set(",:\\"):  # separators of overlay's own options
        changes = client.volumes.create(names.of("changes"), labels=names.labels)
        mode, below = f"{mirror.stat().st_mode & 0o7777:o}", changes.attrs["Mountpoint"]
        helper(
            client,
            names,
            image,
            "cd /changes && mkdir upper work owned owned/upper owned/work && "
            f"chown {uid}:{gid} upper && chmod {mode} upper",
            {changes.name: "/changes"},
        )
        own = f"find /site -xdev ! -uid {uid} -exec chown -h {uid}:{gid} {{}} +"
        for options in _OVERLAY_OPTIONS:
            try:
                lower = str(mirror)
                if mirror.stat().st_uid != uid:
                    _overlay(client, names, "owned", lower, f"{below}/owned", options, image, own).remove()
                    lower = f"{below}/owned/upper:{lower}"
                volume = _overlay(client, names, "files", lower, below, options, image, own)
                return Files(volume.name, changes.name, overlay=True, uid=uid, gid=gid)
            except APIError as error:
                refusal = str(error.explanation or error)
        changes.remove(force=True)
    progress.say(f"copying the files, since an overlay was refused{f': {refusal}' if refusal else ''}")
    volume = client.volumes.create(names.of("files"), labels=names.labels)
    _copy(client, names, image, mirror, volume.name, uid, gid)
    mode = f"{mirror.stat().st_mode & 0o7777:o}"
    helper(client, names, image, f"chown {uid}:{gid} /site && chmod {mode} /site", {volume.name: "/site"})
    return Files(volume.name, volume.name, overlay=False, uid=uid, gid=gid)


def _overlay(
    client: docker.DockerClient, names: Names, part: str, lower: str, over: str, options: str, image: str, script: str
) -> Volume:
    """A volume that shows `lower` and keeps in `<over>/upper` what is written, after `script` ran on it at /site.

    APIError when the daemon refuses the mount, which is made when a container starts."""
    made = {
        "type": "overlay",
        "device": "overlay",
        "o": f"lowerdir={lower},upperdir={over}/upper,workdir={over}/work,{options}",
    }
    volume = client.volumes.create(names.of(part), driver="local", driver_opts=made, labels=names.labels)
    try:
        helper(client, names, image, script, {volume.name: "/site"})
    except APIError:
        volume.remove(force=True)
        raise
    return volume


def save_script(files: Files, name: str) -> str:
    """Shell commands that copy /changes and /database to /checkpoints/<name>; a killed copy never bears that name."""
    source = "/changes/upper" if files.overlay else "/changes"
    new = f"/checkpoints/{name}.new"
    return (
        f"set -e; rm -rf {new} /checkpoints/{name}; mkdir -p {new}/files {new}/database; "
        f"cp -a {source}/. {new}/files & one=$!; cp -a /database/. {new}/database; wait $one; mv -T {new} /checkpoints/{name}"
    )


def restore_script(files: Files, name: str) -> str:
    """Shell commands that make /changes and /database what they were at the checkpoint."""
    target = "/changes/upper" if files.overlay else "/changes"
    saved = f"/checkpoints/{name}"
    empty = "rm -rf /changes/work && mkdir /changes/work; " if files.overlay else ""
    return (
        f"set -e; test -d {saved}/database; {empty}"
        f"(set -e; find {target} -mindepth 1 -delete; cp -a {saved}/files/. {target}) & one=$!; "
        f"find /database -mindepth 1 -delete; cp -a {saved}/database/. /database; wait $one"
    )


def helper(client: docker.DockerClient, names: Names, image: str, script: str, volumes: Mapping[str, str]) -> None:
    """Run a shell script on volumes in a container of its own, without any network. APIError when a mount is refused.

    SYS_ADMIN: without it the overlay's own marks (trusted.* attributes) are not copied. StagingFailed with the script's
    words when it fails.
    """
    container = client.containers.create(
        image,
        ["sh", "-c", script],
        name=names.of("helper"),
        labels=names.labels,
        network_mode="none",
        cap_add=["SYS_ADMIN", "MKNOD"],
        mounts=[Mount(path, volume, no_copy=True) for volume, path in volumes.items()],
    )
    try:
        container.start()
        exit_code = container.wait()["StatusCode"]
        if exit_code != 0:
            said = container.logs(tail=20).decode("utf-8", "replace").strip()
            raise StagingFailed(
                "a volume could not be prepared", where=script, cause=said, hint="look at `df -h` and `docker info`"
            )
    finally:
        container.remove(force=True, v=False)


def _copy(client: docker.DockerClient, names: Names, image: str, mirror: Path, volume: str, uid: int, gid: int) -> None:
    """Stream the mirror into a volume, owned by the web user. Works with a daemon that cannot see the mirror at all."""
    container = client.containers.create(
        image,
        ["true"],
        name=names.of("helper"),
        labels=names.labels,
        network_mode="none",
        mounts=[Mount("/site", volume, no_copy=True)],
    )
    reader, writer = socketpair()
    problems: list[OSError] = []

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid, entry.gid, entry.uname, entry.gname = uid, gid, "", ""
        return entry

    def send() -> None:
        try:
            with writer, writer.makefile("wb") as sink, tarfile.open(fileobj=sink, mode="w|") as tar:
                tar.add(mirror, arcname=".", filter=owned)
        except OSError as error:
            problems.append(error)

    feeder = threading.Thread(target=send, daemon=True, name="staging copy")
    feeder.start()
    try:
        with reader, reader.makefile("rb") as source:
            container.put_archive("/site", iter(lambda: source.read(1 << 20), b""))
        feeder.join()
    except (APIError, RequestException) as error:
        raise StagingFailed(
            "the files could not be copied into staging", where=str(mirror), cause=str(error)
        ) from error
    finally:
        container.remove(force=True)
    if problems:
        raise StagingFailed("the mirror could not be read", where=str(mirror), cause=str(problems[0]))
