"""Ctrl-C in each step: the run ends with 130, production is whole, nothing of the stack is left, and a new run can begin."""

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
    "plan",
    "look: before",
    pytest.param("look: noise", marks=pytest.mark.faults),  # the way to a late step costs a minute: `make faults`
    "update",
    pytest.param("look: after", marks=pytest.mark.faults),
    pytest.param("compare", marks=pytest.mark.faults),
]


@pytest.fixture(scope="module")
def folder(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A site that is looked at in one small window only: what is tested here is how a run ends."""
    folder = tmp_path_factory.mktemp("site")
    path = lasting_shop.write_site(folder, ["demo-gallery-1.1"])
    quick = path.read_text().replace("pages: [/, /shop/, /about/]\n", "pages: [/about/]\ndiscover: false\n")
    path.write_text(quick + "viewports: {mobile: 375x812}\n")
    yield folder


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_leaves_production_whole_and_nothing_behind(step: str, folder: Path, lasting_shop: DemoShop) -> None:
    before = lasting_shop.code_sha256()
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
            os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to everyone in the foreground
            break
    out, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED, "".join(said) + err
    record = json.loads(out)
    assert record["state"] == "interrupted"
    assert lasting_shop.code_sha256() == before
    client = daemon.connect()
    label = {"label": f"updater.run={record['run']}"}
    left = [
        *client.containers.list(all=True, filters=label),
        *client.networks.list(filters=label),
        *client.volumes.list(filters=label),
    ]
    client.close()
    assert left == []
    journal = Journal(folder / ".updater")
    steps = {row.step: row.status for row in journal.steps(record["run"])}
    journal.close()
    assert steps[step] == "started", "the journal knows where it stopped"
