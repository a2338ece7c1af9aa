"""The commands as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from updater import cli


def typed(*words: str) -> int:
    """`updater WORDS` in this process, without a terminal."""
    try:
        cli.main(list(words))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@dataclass
class Prompt:
    """A person in the folder of a site, with these variables set."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (sys.executable, "-m", "updater.cli")

    def type(self, *words: str) -> tuple[int, str, str]:
        """`updater WORDS` as a process: exit code, what it printed, what it said."""
        ended = subprocess.run(
            [*self.program, *words],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    @property
    def state(self) -> Path:
        return self.folder / ".updater"

    @property
    def run_folder(self) -> Path:
        """The newest run's; run ids sort by time."""
        return max((self.state / "runs").iterdir())

    def newest(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads((self.run_folder / "run.json").read_text())
        return answer
