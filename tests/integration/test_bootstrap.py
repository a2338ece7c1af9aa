"""scripts/bootstrap on this machine, which is set up: quick, quiet, repeatable; and honest about what is missing."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "scripts" / "bootstrap"


def bootstrap(*arguments: str, script: Path = BOOTSTRAP, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *arguments],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without .venv."""
    (tmp_path / "scripts").mkdir()
    shutil.copy2(BOOTSTRAP, tmp_path / "scripts" / "bootstrap")
    for name in ("uv.lock", "pyproject.toml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def poor_path(tmp_path: Path) -> str:
    """A PATH with the basics of a system, without apt-get, sudo or any program of ours."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (
        "bash",
        "sh",
        "env",
        "cat",
        "sed",
        "id",
        "dirname",
        "sha256sum",
        "tr",
        "python3",
        "dpkg-query",
        "flock",
    ):
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


def test_a_second_bootstrap_takes_less_than_a_second_and_says_nothing() -> None:
    first = bootstrap()
    assert first.returncode == 0, first.stderr
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    again = bootstrap()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    # Of a processor, not of a clock: the machine may be busy.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_check_says_nothing_and_ends_0_when_nothing_is_missing() -> None:
    checked = bootstrap("--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_check_lists_what_is_missing_with_the_reason_and_installs_nothing(checkout: Path, poor_path: str) -> None:
    checked = bootstrap("--check", script=checkout / "scripts" / "bootstrap", PATH=poor_path, HOME=str(checkout))
    assert checked.returncode == 1
    lines = checked.stdout.splitlines()
    assert lines[0] == "bootstrap: missing"
    assert "  openssh-client: reaches production" in lines
    assert "  shellcheck: make lint" in lines
    assert "  .venv: the Python packages of uv.lock" in lines
    assert not (checkout / ".venv").exists()


def test_the_python_part_does_not_look_at_docker(checkout: Path, poor_path: str) -> None:
    checked = bootstrap(
        "--python", "--check", script=checkout / "scripts" / "bootstrap", PATH=poor_path, DOCKER_HOST="unix:///nowhere"
    )
    assert checked.returncode == 1
    assert "shellcheck" in checked.stdout
    assert not any(word in checked.stdout for word in ("ocker", "openssh", "hromium"))


def test_without_the_right_to_install_it_prints_the_exact_list_and_ends_2(checkout: Path, poor_path: str) -> None:
    refused = bootstrap(script=checkout / "scripts" / "bootstrap", PATH=poor_path, HOME=str(checkout))
    assert refused.returncode == 2
    assert "  openssh-client: reaches production" in refused.stderr
    assert "apt-get install --no-install-recommends" in refused.stderr
    command = refused.stderr.splitlines()[-1]
    assert {"git", "make", "shellcheck", "rsync", "openssh-client", "mmdebstrap", "busybox"} <= set(command.split())
    assert not (checkout / ".venv").exists()


def test_a_docker_host_that_does_not_answer_is_named_and_no_daemon_is_started() -> None:
    refused = bootstrap(DOCKER_HOST="unix:///nowhere/docker.sock")
    assert refused.returncode == 2
    assert "no Docker daemon answers at DOCKER_HOST=unix:///nowhere/docker.sock" in refused.stderr
    assert "starting" not in refused.stdout


def test_a_chromium_that_is_named_and_missing_is_told() -> None:
    refused = bootstrap(UPDATER_CHROMIUM="/nowhere/chromium")
    assert refused.returncode == 2
    assert "UPDATER_CHROMIUM=/nowhere/chromium is no program" in refused.stderr


def test_an_unknown_argument_is_refused_and_help_is_given() -> None:
    assert bootstrap("--everything").returncode == 2
    shown = bootstrap("--help")
    assert shown.returncode == 0
    assert "--check" in shown.stdout


def test_a_venv_is_made_again_when_the_lock_file_changed_or_the_checkout_moved(checkout: Path) -> None:
    script = checkout / "scripts" / "bootstrap"
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/true")
    (python.parent / "pytest").symlink_to("/bin/true")
    assert ".venv: " in bootstrap("--python", "--check", script=script).stdout
    text = subprocess.run(
        ["bash", "-c", f"cd {checkout} && cat uv.lock pyproject.toml | sha256sum"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.rstrip("\n")
    version = next(line.split("=")[1] for line in BOOTSTRAP.read_text().splitlines() if line.startswith("UV_VERSION="))
    (checkout / ".venv" / "bootstrapped").write_text(f"uv {version} {text} {checkout}\n")
    assert bootstrap("--python", "--check", script=script).returncode == 0
    with (checkout / "uv.lock").open("a") as lock:
        lock.write("\n")
    assert ".venv: " in bootstrap("--python", "--check", script=script).stdout


# -------------------------------------------------------------------------------------------------------- .ci/run


@pytest.mark.parametrize(
    ("lint", "test", "prints", "expected"),
    [
        (0, 0, "===== 3 passed in 1.20s =====", 0),
        (0, 0, "===== 3 passed, 1 skipped in 61.20s (0:01:01) =====", 0),
        (1, 0, "===== 3 passed in 1.20s =====", 1),
        (0, 2, "===== 1 failed, 3 passed in 1.20s =====", 1),
        (0, 2, "===== no tests ran in 0.01s =====", 1),
        (0, 0, "===== 4 skipped in 0.01s =====", 1),
        (0, 0, "collected 3 items", 1),
    ],
)
def test_ci_runs_lint_and_tests_fails_with_either_and_ends_with_pytests_closing_line(
    tmp_path: Path, lint: int, test: int, prints: str, expected: int
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text(
        "#!/bin/sh\n"
        f"case $1 in lint) exit {lint};; test) echo '{prints}'; echo 'make: said something' >&2; exit {test};; esac\nexit 99\n"
    )
    make.chmod(0o755)
    ended = subprocess.run(
        ["bash", ".ci/run"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{make.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == expected, ended.stdout + ended.stderr
    if prints.startswith("="):
        assert ended.stdout.splitlines()[-1] == prints
