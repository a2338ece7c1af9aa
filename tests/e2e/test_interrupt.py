"""Ctrl-C and kill -9 in each step: production is whole, nothing of the stack is left (kill -9: once a new run began)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from updater.demo_shop import DemoShop
from updater.errors import ExitCode
from updater.journal import Journal
from updater.staging import daemon

STEPS = [
    "clone",
    "look at production",
    "stage",
    pytest.param("plan", marks=pytest.mark.faults),  # nothing runs then that does not run a moment later: `make faults`
    "look: before",
    pytest.param("look: noise", marks=pytest.mark.faults),  # the way to a late step costs a minute: `make faults`
    "update",
    pytest.param("look: after", marks=pytest.mark.faults),
    pytest.param("compare", marks=pytest.mark.faults),
]

NAMES = [it if isinstance(it, str) else str(it.values[0]) for it in STEPS]


@pytest.fixture(scope="module")
def folder(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A site that is looked at in one small window only: what is tested here is how a run ends."""
    folder = tmp_path_factory.mktemp("site")
    path = lasting_shop.write_site(folder, ["demo-gallery-1.1"])
    quick = path.read_text().replace("pages: [/, /shop/, /about/]\n", "pages: [/about/]\ndiscover: false\n")
    path.write_text(quick + "viewports: {mobile: 375x812}\n")
    yield folder


def run_until(step: str, folder: Path, end: signal.Signals) -> tuple[int, str, str]:
    """Start a run and send it the signal when it says that it enters the step: its exit code, what it printed, what it said."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "updater.cli", "run", "--json"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever starts these tests in the background of a shell without job control bequeaths them an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.rstrip().endswith(f"== {step}"):
            os.killpg(process.pid, end)  # a terminal sends it to everyone in the foreground
            break
    out, err = process.communicate(timeout=120)
    return process.returncode, out, "".join(said) + err


def left_in_docker(run: str) -> list[object]:
    client = daemon.connect()
    label = {"label": f"updater.run={run}"}
    left = [
        *client.containers.list(all=True, filters=label),
        *client.networks.list(filters=label),
        *client.volumes.list(filters=label),
    ]
    client.close()
    return left


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_leaves_production_whole_and_nothing_behind(step: str, folder: Path, lasting_shop: DemoShop) -> None:
    before = lasting_shop.code_sha256()
    code, out, said = run_until(step, folder, signal.SIGINT)
    assert code == ExitCode.INTERRUPTED, said
    record = json.loads(out)
    assert record["state"] == "interrupted"
    assert lasting_shop.code_sha256() == before
    assert left_in_docker(record["run"]) == []
    journal = Journal(folder / ".updater")
    steps = {row.step: row.status for row in journal.steps(record["run"])}
    journal.close()
    assert steps[step] == "started", "the journal knows where it stopped"


@pytest.mark.parametrize("step", [it if it == "stage" else pytest.param(it, marks=pytest.mark.faults) for it in NAMES])
def test_kill_9_leaves_production_whole_and_the_next_run_tidies_up(
    step: str, folder: Path, lasting_shop: DemoShop
) -> None:
    before = lasting_shop.code_sha256()
    code, _, said = run_until(step, folder, signal.SIGKILL)
    assert code == -signal.SIGKILL, said
    dead = max((folder / ".updater/runs").iterdir()).name
    assert lasting_shop.code_sha256() == before
    assert lasting_shop.get("/shop/").status_code == 200
    script = "find ~deploy/.updater -mindepth 1 ! -name runs 2>/dev/null; crontab -l -u deploy 2>/dev/null"
    _, left = lasting_shop.exec(["sh", "-c", script])
    assert left == b"", "a run that never promoted left something on the server"
    # The first step of the next run already meets a tidy machine.
    code, out, said = run_until("clone", folder, signal.SIGINT)
    assert code == ExitCode.INTERRUPTED, said
    assert json.loads(out)["run"] != dead
    assert left_in_docker(dead) == []
