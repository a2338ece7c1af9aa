"""BackstopJS as one types it: `reference` and `test` with its usual settings, with the Chromium that the updater finds."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from measure import npm
from measure.cost import Cost, spent
from updater.checks.browser import find_chromium
from updater.model import Viewport

Scenario = tuple[str, str, str]
"""Its label, and the addresses that `reference` and `test` photograph."""


def spent_on(
    command: str,
    folder: Path,
    scenarios: Sequence[Scenario],
    viewports: Sequence[Viewport],
    arguments: Sequence[str] = (),
) -> tuple[Cost, set[str]]:
    """`reference` or `test`: what it cost, and the labels that differ (none from `reference`). `arguments` are Chromium's."""
    config, data = folder / "backstop.json", folder / "data"
    config.write_text(json.dumps(_settings(data, scenarios, viewports, arguments)), encoding="utf-8")
    program = npm.modules() / "backstopjs" / "cli" / "index.js"
    cost = spent(["node", str(program), command, f"--config={config}"], folder)
    if command == "reference":
        assert cost.exit_code == 0, cost.said[-2000:]
        return cost, set()
    report = json.loads(
        next(data.glob("json_report/*.json")).read_text(encoding="utf-8")
    )  # it fails where something differs
    results = report["tests"]
    assert len(results) == len(scenarios) * len(viewports), cost.said[-2000:]
    return cost, {test["pair"]["label"] for test in results if test["status"] != "pass"}


def _settings(
    data: Path, scenarios: Sequence[Scenario], viewports: Sequence[Viewport], arguments: Sequence[str]
) -> dict[str, object]:
    """As `backstop init` writes them, but for the report, which would open a browser of its own."""
    return {
        "id": "bench",
        "viewports": [{"label": one.name, "width": one.width, "height": one.height} for one in viewports],
        "scenarios": [
            {
                "label": label,
                "url": after,
                "referenceUrl": before,
                "selectors": ["document"],
                "misMatchThreshold": 0.1,
                "requireSameDimensions": True,
            }
            for label, before, after in scenarios
        ],
        "paths": {
            "bitmaps_reference": str(data / "reference"),
            "bitmaps_test": str(data / "test"),
            "engine_scripts": str(data / "scripts"),
            "html_report": str(data / "html_report"),
            "json_report": str(data / "json_report"),
            "ci_report": str(data / "ci_report"),
        },
        "report": ["json"],
        "engine": "puppeteer",
        "engineOptions": {
            "executablePath": str(find_chromium()),
            "args": [*(["--no-sandbox"] if os.geteuid() == 0 else []), *arguments],
        },
        "asyncCaptureLimit": 5,
        "asyncCompareLimit": 50,
    }
