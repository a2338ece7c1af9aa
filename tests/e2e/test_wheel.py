"""The wheel, installed where no checkout is near: it plays the whole demo there, as `make demo` does in a checkout, and a person
goes on in the demo's folder.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prompt import Prompt

from updater import failed
from updater.checks.browser import Browser
from updater.demo_shop import DOCROOT, DemoShop, Kind
from updater.errors import ExitCode
from updater.model import DESKTOP
from updater.staging import daemon

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
DATA = ("stacks", "smoke_tests", "demo")
PLUGINS = f"{DOCROOT}/wp-content/plugins"
SLUGS = ("demo-gallery", "demo-shop")


def run(*command: str | Path, folder: Path) -> str:
    """stdout of a command that ended 0."""
    return told(*command, folder=folder).stdout


def told(*command: str | Path, folder: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """A command that ended 0, in `folder`, with nothing of this checkout in its environment."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ended = subprocess.run(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--wheel", "--quiet", "--out-dir", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment that holds the wheel and the locked versions of what it needs."""
    folder = tmp_path_factory.mktemp("installed")
    locked = folder / "requirements.txt"
    run(UV, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--output-file", locked, folder=ROOT)
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "env", folder=folder)
    python = folder / "env" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", python, "--requirement", locked, folder=folder)
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, folder=folder)
    return python.parent


def sources() -> list[str]:
    """What git would put into a checkout of the folders that travel inside the package."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *DATA, "updater", folder=ROOT)
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_the_wheel_holds_every_file_that_a_checkout_has(wheel: Path) -> None:
    wanted = {name if name.startswith("updater/") else f"updater/_data/{name}" for name in sources()}
    assert len(wanted) > 20
    with zipfile.ZipFile(wheel) as archive:
        assert wanted - set(archive.namelist()) == set()


def test_the_wheel_holds_no_leftovers_of_runs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc") or ".updater/" in name] == []


def test_scripts_are_still_executable_after_installing(wheel: Path) -> None:
    executable = [name for name in sources() if name.startswith(DATA) and os.access(ROOT / name, os.X_OK)]
    with zipfile.ZipFile(wheel) as archive:
        lost = [name for name in executable if not archive.getinfo(f"updater/_data/{name}").external_attr >> 16 & 0o100]
    assert lost == []


def test_the_installed_program_starts_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert "Usage: updater" in run(installed / "updater", "--help", folder=tmp_path)
    assert "Usage: updater demo" in run(installed / "updater", "demo", "--help", folder=tmp_path)


def test_the_installed_program_writes_a_site_yml_and_reads_it_back(installed: Path, tmp_path: Path) -> None:
    run(installed / "updater", "init", "site.yml", folder=tmp_path)
    checked = run(
        installed / "python",
        "-c",
        "import pathlib, updater.config as c; print(c.load(pathlib.Path('site.yml')).url)",
        folder=tmp_path,
    )
    assert checked == "https://shop.example\n"


def test_the_installed_program_finds_its_own_folders_and_not_the_checkouts(installed: Path, tmp_path: Path) -> None:
    script = f"import json; from updater.resources import folder; print(json.dumps([str(folder(n)) for n in {DATA!r}]))"
    found = [Path(path) for path in json.loads(run(installed / "python", "-c", script, folder=tmp_path))]
    for path, name in zip(found, DATA, strict=True):
        assert path.is_relative_to(installed.parent)
        assert path.name == name
        assert any(path.iterdir())


def test_the_text_files_beside_modules_came_along(installed: Path, tmp_path: Path) -> None:
    script = "from updater.resources import package_text; print(package_text('updater', 'answer.php')[:5])"
    assert run(installed / "python", "-c", script, folder=tmp_path) == "<?php\n"


# ---------------------------------------------------------------------- the demo, and what is typed in its folder afterwards


@dataclass(frozen=True)
class Played:
    """The demo as it ended, its shop still running."""

    said: str
    shop: DemoShop
    prompt: Prompt
    records: Sequence[Mapping[str, Any]]
    """run.json of both acts"""

    def page(self, act: int) -> Path:
        return self.prompt.state / "runs" / self.records[act]["run"] / "report.html"


@pytest.fixture(scope="module")
def played(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("anywhere")
    # One window size, as one pass over the shop costs 20 s: test_story.py has a whole run in both.
    (folder / "agency.yml").write_text("policy: {expires: 7d}\nviewports: {desktop: 1366x768}\n")
    said = told(installed / "updater", "demo", "--keep", folder=folder, timeout=2300).stderr
    (name,) = re.findall(r"docker rm -f (\S+)", said)
    client = daemon.connect()
    container, network = client.containers.get(name), client.networks.get(name)
    with DemoShop(client, Kind.load("wordpress"), name, folder / "demo-run", container, network) as shop:
        prompt = Prompt(folder / "demo-run", program=(str(installed / "updater"),))
        records = [json.loads(path.read_text()) for path in sorted(prompt.state.glob("runs/*/run.json"))]
        yield Played(said, shop, prompt, records)


@pytest.mark.timeout(2400)
def test_the_installed_program_plays_the_demo(played: Played) -> None:
    assert "promoted:" in played.said
    assert "rejected:" in played.said
    assert "production is byte for byte what it was" in played.said
    assert "Good updates deployed, broken ones held back." in played.said
    assert [record["state"] for record in played.records] == ["promoted", "rejected"]


def test_the_broken_update_was_found_and_held_back_and_the_rest_was_deployed(played: Played) -> None:
    deployed = played.records[0]
    assert deployed["verdict"] == "PASS"
    assert {update["slug"]: update["outcome"] for update in deployed["updates"]} == {
        "wordpress": "promoted",
        "akismet": "promoted",
        "demo-gallery": "promoted",
        "demo-shop": "held",
    }
    assert "Place order" in next(it["reason"] for it in deployed["updates"] if it["slug"] == "demo-shop")
    (search,) = deployed["searches"]
    assert search["broken"] == ["plugin:demo-shop"]
    assert [(tried["updates"], tried["verdict"]) for tried in search["trials"]] == [(["plugin:demo-shop"], "FAIL")], (
        "the script's name in the browser's complaint leads to the plugin at once"
    )
    versions = {slug: played.shop.exec(["cat", f"{PLUGINS}/{slug}/{slug}.php"])[1].decode() for slug in SLUGS}
    assert "Version: 1.1" in versions["demo-gallery"]
    assert "Version: 1.0" in versions["demo-shop"], "the held update stays out"


def test_the_watchdogs_line_is_gone_from_the_crontab(played: Played) -> None:
    """It was there: nothing is promoted before cron was seen to start the watchdog."""
    assert "updater" not in played.shop.exec(["crontab", "-l"], user="deploy")[1].decode()


def test_a_newer_version_that_comes_alone_and_breaks_too_is_rejected(played: Played) -> None:
    rejected = played.records[1]
    assert [(update["slug"], update["to"]) for update in rejected["updates"]] == [("demo-shop", "1.3")]
    assert 'Class "Demo_Shop_Module" not found' in rejected["reasons"][0]
    assert "Demo_Shop_Module" in played.page(1).read_text()


def test_the_agencys_other_sites_hold_the_versions_that_broke_this_one(played: Played) -> None:
    known = failed.known(played.prompt.folder.parent / ".updater")
    assert [(it.kind, it.slug, it.version, it.site) for it in known] == [
        ("plugin", "demo-shop", version, "demo-shop") for version in ("1.2", "1.3")
    ]
    assert "Place order" in known[0].reason


def test_the_report_shows_the_held_update_and_how_it_was_found_in_a_browser(played: Played) -> None:
    with Browser({}) as browser, browser.tab(DESKTOP) as tab:
        tab.page.goto(played.page(0).as_uri())
        text = tab.page.locator("body").inner_text()
    assert "Some updates break the shop and were held back. The rest is live." in text
    assert "Clicking “Place order” did nothing" in text
    assert "Found in 1 trial" in text


def test_an_update_that_would_overwrite_an_edit_is_held_with_the_diff(played: Played) -> None:
    plugin = f"{PLUGINS}/demo-shop/demo-shop.php"
    played.shop.packages(played.prompt.folder / "packages", ["demo-shop-1.0"])  # what is installed, to compare with
    played.shop.exec(["sh", "-c", f"cp -p {plugin} /tmp/plugin && echo '// our discount' >> {plugin}"])
    code, out, err = played.prompt.type("run", "--json")
    played.shop.exec(["cp", "-p", "/tmp/plugin", plugin])
    assert code == ExitCode.DONE, err
    record = json.loads(out)
    assert record["updates"] == []
    (held,) = record["held"]
    assert held["slug"] == "demo-shop"
    assert "edited by hand, and the update would overwrite it: demo-shop.php" in held["reason"]
    diff = (played.prompt.run_folder / "edits" / "plugin-demo-shop.diff").read_text()
    assert "+// our discount" in diff.splitlines()


def test_a_held_update_is_not_tried_again_the_same_day(played: Played) -> None:
    code, out, err = played.prompt.type("run", "--json")
    assert code == ExitCode.DONE, err
    record = json.loads(out)
    assert (record["state"], record["updates"]) == ("nothing to do", [])
    (held,) = record["held"]
    assert (held["slug"], held["to"]) == ("demo-shop", "1.3")
    assert "tried again after" in held["reason"]
    assert "Demo_Shop_Module" in held["reason"]
