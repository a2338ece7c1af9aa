"""`make bench`: measures each row beside its peers, prints the table, keeps it in results.json and writes README.md."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType

from measure import capture, cloning, diff, growth, large, table, whole
from measure.npm import BENCH
from updater.errors import UpdaterError

ROWS: dict[str, ModuleType] = {
    "diff": diff,
    "capture": capture,
    "clone": cloning,
    "whole": whole,
    "large": large,
    "growth": growth,
}
RESULTS = BENCH / "results.json"


def main(only: list[str]) -> int:
    """1 when a result is wrong, whatever the time; a goal that was missed stands in the table."""
    if unknown := [name for name in only if name not in ROWS]:
        print(f"bench: no row {', '.join(unknown)}; there are: {' '.join(ROWS)}", file=sys.stderr)
        return 2
    wrong = False
    for name in only or ROWS:
        print(f"bench: {ROWS[name].ABOUT}", flush=True)
        before = os.getloadavg()[0]
        try:
            row = ROWS[name].run()
        except UpdaterError as error:
            print(error, file=sys.stderr)
            return 2
        row = replace(
            row,
            measured=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            machine=_machine(),
            load=f"{before:.1f} before, {os.getloadavg()[0]:.1f} after",
        )
        print(table.section(name, row), flush=True)
        rows = table.keep(RESULTS, name, row)
        about = {name: module.ABOUT for name, module in ROWS.items()}
        (BENCH / "README.md").write_text(table.page(rows, list(ROWS), about), encoding="utf-8")
        wrong = wrong or bool(row.wrong)
    return int(wrong)


def _machine() -> str:
    """`2 cores (Xeon …), 24 GB`"""
    with open("/proc/cpuinfo", encoding="utf-8") as told:  # noqa: PTH123
        model = next((line.partition(":")[2].strip() for line in told if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
