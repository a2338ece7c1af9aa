"""A new client repository: site.yml filled from what was found on the server, a smoke test to start from, the weekly CI job."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined

from updater import config
from updater.errors import UpdaterError
from updater.model import Installation, Inventory, Server
from updater.repository import INVENTORY, inventory_yml
from updater.resources import package_text

_FILES = {
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "gitlab-ci.yml": ".gitlab-ci.yml",
    "github.yml": ".github/workflows/updates.yml",
    "example_test.txt": "smoke_tests/test_example.py",
}
"""What lies beside this module → what it becomes in the repository."""
_KEPT = {"packages/.gitkeep", "baselines/.gitkeep"}
_DAYS = ("Tuesday", "Wednesday", "Thursday")
_HOURS = range(1, 6)


@dataclass(frozen=True, slots=True)
class Weekly:
    """When this site's CI job starts, in UTC."""

    day: str
    hour: int
    minute: int

    @property
    def cron(self) -> str:
        return f"{self.minute} {self.hour} * * {_DAYS.index(self.day) + 2}"

    def __str__(self) -> str:
        return f"{self.day} {self.hour:02}:{self.minute:02} UTC"


def weekly(name: str) -> Weekly:
    """A night hour in the middle of the week, spread over sites by their names; always the same for one name."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    number, minute = divmod(number, 60)
    number, hour = divmod(number, len(_HOURS))
    return Weekly(_DAYS[number % len(_DAYS)], _HOURS[hour], minute)


def create(
    folder: Path, server: Server, installation: Installation, inventory: Inventory, *, name: str = "", url: str = ""
) -> Path:
    """Write and commit the repository; whole or not at all. Returns its site.yml.

    `server.host_key` is pinned in it; where the key lies is left to each machine. UpdaterError when the folder holds something.
    """
    refuse_occupied(folder)
    address = url or installation.url
    name = name or re.sub(r"[^A-Za-z0-9.-]", "-", (urlsplit(address).hostname or server.host).removeprefix("www."))
    files = _content(name, address, server, installation, inventory)
    files["site.yml"] = config.left_to_agency(files["site.yml"], folder / "site.yml")
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
    try:
        for path, text in files.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_text(text, encoding="utf-8")
        _commit(fresh, f"{name}: {installation.cms} {installation.version}, as found on the server")
        fresh.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder / "site.yml"


def refuse_occupied(folder: Path) -> None:
    """Asked before anything is connected."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UpdaterError(
            "there is something already",
            where=str(folder),
            hint="name a new folder: `updater init clients/tea --host …`",
        )


def _content(name: str, url: str, server: Server, installation: Installation, inventory: Inventory) -> dict[str, str]:
    site = config.template(
        name=name,
        url=url,
        host=server.host,
        user=server.user,
        port=server.port,
        host_key=server.host_key,
        docroot=installation.docroot,
        cms=installation.cms,
        folders=["packages"],
        smoke_tests="smoke_tests",
    )
    at = weekly(name)
    told = {
        "name": name,
        "url": url,
        "cms": installation.cms,
        "version": installation.version,
        "cron": at.cron,
        "when": at,
    }
    jinja = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701 - no HTML
    written = {
        into: jinja.from_string(package_text("updater.client", file)).render(told) for file, into in _FILES.items()
    }
    return {"site.yml": site, INVENTORY: inventory_yml(inventory), **written, **dict.fromkeys(_KEPT, "")}


def _commit(folder: Path, message: str) -> None:
    import git  # looks for the git program when imported, which only this command needs

    from updater.repository import nobody

    with git.Repo.init(folder, initial_branch="main") as made:
        made.git.add("--all", "--force")
        made.git.update_environment(**nobody(made))
        made.git.commit("--quiet", "--no-verify", "-m", message)
