"""The faults that tests/faults plants fit the program as it is: one that no longer does would be told only after minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import PLANTED, Planted

import updater


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.name)
def test_each_fault_stands_where_it_is_to_be_planted(fault: Planted) -> None:
    program = Path(updater.__file__).parent.parent
    for name, right, wrong in fault.edits:
        assert (program / name).read_text(encoding="utf-8").count(right) == 1, f"{name}: {right!r}"
        assert right != wrong
