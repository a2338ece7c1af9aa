"""What a command costs, with all that it started."""

from __future__ import annotations

import sys
from pathlib import Path

from measure.cost import spent


def test_what_a_command_leaves_running_is_paid_for_and_ended(tmp_path: Path) -> None:
    burn = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}], start_new_session=True)"
    cost = spent([sys.executable, "-c", orphan], tmp_path)
    assert cost.exit_code == 0
    assert cost.cpu >= 0.3, "a child that outlived its parent"
    assert spent([sys.executable, "-c", "import sys; print('said'); sys.exit(3)"], tmp_path).exit_code == 3
