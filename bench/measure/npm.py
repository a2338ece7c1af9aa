"""The peers from npm, installed once into a cache folder: what package-lock.json pins, and no browser."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from updater.errors import UpdaterError

BENCH = Path(__file__).resolve().parents[1]
_PINNED = (BENCH / "package.json", BENCH / "package-lock.json")


class NoPeer(UpdaterError):
    """What is measured beside us could not be installed or run."""


def folder() -> Path:
    """Where the pinned packages lie, or will."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _PINNED)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "updater-bench" / digest


def installed() -> bool:
    """Whether `modules` has nothing to do."""
    return (folder() / "installed").exists() and shutil.which("node") is not None


def modules() -> Path:
    """The folder `node_modules` of the pinned packages. NoPeer where Node or the registry is missing."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise NoPeer("Node and npm are missing", cause="peers come from npm", hint="apt-get install nodejs npm")
    place = folder()
    if not installed():
        place.mkdir(parents=True, exist_ok=True)
        for path in _PINNED:
            shutil.copy(path, place)
        # Without their install scripts: one of them downloads a browser, and ours is measured with the same as theirs.
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoPeer(
                "npm could not install what is measured beside us",
                where=str(place),
                cause=done.stderr.strip()[-1000:],
                hint="is the registry reachable? npm config get registry",
            )
        (place / "installed").touch()
    return place / "node_modules"


def version(package: str) -> str:
    """Of an installed package."""
    manifest = (modules() / package / "package.json").read_text(encoding="utf-8")
    return str(json.loads(manifest)["version"])
