"""The wheel, installed where no checkout is near: it plays the whole demo there, as `make demo` does in a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
DATA = ("stacks", "smoke_tests", "demo")


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


@pytest.mark.timeout(2400)
def test_the_installed_program_plays_the_demo(installed: Path, tmp_path: Path) -> None:
    said = told(installed / "updater", "demo", folder=tmp_path, timeout=2300).stderr
    assert "promoted:" in said
    assert "rejected:" in said
    assert "production is byte for byte what it was" in said
    assert said.rstrip().endswith("Good updates deployed, broken ones held back.")
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("demo-run/.updater/runs/*/run.json"))]
    assert [record["state"] for record in records] == ["promoted", "rejected"]
    deployed, rejected = records
    assert {update["slug"]: update["outcome"] for update in deployed["updates"]} == {
        "wordpress": "promoted",
        "akismet": "promoted",
        "demo-gallery": "promoted",
        "demo-shop": "held",
    }
    assert "Place order" in next(it["reason"] for it in deployed["updates"] if it["slug"] == "demo-shop")
    assert 'Class "Demo_Shop_Module" not found' in rejected["reasons"][0]
    for record, named in ((deployed, "Place order"), (rejected, "Demo_Shop_Module")):
        assert named in (tmp_path / "demo-run/.updater/runs" / record["run"] / "report.html").read_text()


def test_the_text_files_beside_modules_came_along(installed: Path, tmp_path: Path) -> None:
    script = "from updater.resources import package_text; print(package_text('updater', 'answer.php')[:5])"
    assert run(installed / "python", "-c", script, folder=tmp_path) == "<?php\n"
