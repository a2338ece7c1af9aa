"""OpenCart's releases from a real HTTP server that speaks GitHub's API: planned, verified by their digest, refused when altered."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from served import Handler, served

from updater import sources
from updater.cms import opencart
from updater.log import Silent
from updater.model import Component, Inventory, Plan, Platform, Policy, Server, Site, Sources

PLATFORM = Platform("8.2.10", (), {}, "10.11", "mariadb", "", "utf8mb4", "utf8mb4_general_ci")
PLACES = {"admin": "manage", "storage": "store-7f3a"}
LIST = "/repos/opencart/opencart/releases"


def packed(version: str) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, text in {
            "index.php": f"<?php\ndefine('VERSION', '{version}');\n",
            "admin/index.php": "<?php",
            "system/startup.php": "<?php",
            "system/storage/vendor/autoload.php": "<?php",
            "install/index.php": "<?php",
        }.items():
            archive.writestr(f"upload/{name}", text)
    return into.getvalue()


@dataclass
class GitHub:
    """What it has: path → bytes. `asked` in order."""

    files: dict[str, bytes] = field(default_factory=dict)
    listed: list[dict[str, object]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def publish(self, version: str, *, digest: bool = True) -> str:
        path = f"/opencart/opencart/releases/download/{version}/opencart-{version}.zip"
        self.files[path] = packed(version)
        asset: dict[str, object] = {"browser_download_url": f"https://github.com{path}"}
        if digest:
            asset["digest"] = f"sha256:{hashlib.sha256(self.files[path]).hexdigest()}"
        published = "2026-01-02T03:04:05Z"
        self.listed.append({"tag_name": version, "prerelease": False, "published_at": published, "assets": [asset]})
        return path

    def plan(self, installed: str, folder: Path) -> Plan:
        here = f"http://127.0.0.1:{self.port}"
        site = Site(
            "shop",
            Server("h", "u"),
            "/srv",
            "https://shop.example",
            folder / "site.yml",
            sources=Sources(online=True, api=here, downloads=here),
            policy=Policy(),
        )
        core = Component("core", "opencart", "OpenCart", installed, True, "")
        inventory = Inventory("opencart", installed, "8.2.1", (core,), PLACES)
        return sources.plan(site, inventory, opencart, PLATFORM, folder / "cache", Silent())


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serve(GitHub()) as running:
        yield running


@contextmanager
def serve(github: GitHub) -> Iterator[GitHub]:
    class Releases(Handler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            github.asked.append(path)
            body = json.dumps(github.listed).encode() if path == LIST else github.files.get(path)
            self.answer(body or b"", 404 if body is None else 200)

    with served(Releases) as github.port:
        yield github


def test_the_point_release_is_planned_and_comes_once(github: GitHub, tmp_path: Path) -> None:
    path = github.publish("4.1.0.4")
    for version in ("4.1.0.3", "3.0.5.1"):
        github.publish(version)
    plan = github.plan("4.1.0.3", tmp_path)
    (update,) = plan.updates
    assert (update.to_version, update.source) == ("4.1.0.4", f"127.0.0.1:{github.port}")
    assert update.package.read_bytes() == github.files[path]
    assert update.released is not None
    github.plan("4.1.0.3", tmp_path)
    assert github.asked == [LIST, path, LIST], "neither what is not wanted is downloaded, nor anything twice"


def test_a_shop_of_3_is_offered_its_own_line_and_told_why_not_the_other(github: GitHub, tmp_path: Path) -> None:
    for version in ("4.1.0.4", "3.0.5.1"):
        github.publish(version)
    plan = github.plan("3.0.4.1", tmp_path)
    assert [update.to_version for update in plan.updates] == ["3.0.5.1"]
    plan = github.plan("3.0.5.1", tmp_path)
    assert plan.updates == ()
    assert [(held.to_version, held.reason.split(" by ")[0]) for held in plan.held] == [
        ("4.1.0.4", "OpenCart 3 becomes OpenCart 4")
    ]


def test_a_release_that_is_not_what_was_published_is_refused(github: GitHub, tmp_path: Path) -> None:
    path = github.publish("4.1.0.4")
    github.files[path] = packed("4.1.0.4") + b"one byte more"
    plan = github.plan("4.1.0.3", tmp_path)
    assert plan.updates == ()
    assert "wrong checksum" in plan.held[0].reason
    github.files[path] = packed("4.1.0.5")
    assert "not what was offered" in github.plan("4.1.0.3", tmp_path).held[0].reason


def test_an_old_release_without_a_digest_rests_on_its_transport(github: GitHub, tmp_path: Path) -> None:
    github.publish("4.1.0.4", digest=False)
    assert [update.to_version for update in github.plan("4.1.0.3", tmp_path).updates] == ["4.1.0.4"]
