"""A night over all sites as one self-contained page: a line for each, what needs somebody first."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from markupsafe import Markup

from updater.model import Language
from updater.report.html import page_template
from updater.resources import package_text

TONES = {0: "good", 3: "wait", 1: "bad", 4: "bad", 5: "bad"}
"""By exit code; every other one is `doubt`."""
_ORDER = ("bad", "doubt", "wait", "good")


@dataclass(frozen=True, slots=True)
class Line:
    """How the run of one site ended. `report`: its page, None where there is none. `detail`: updates, or what went wrong."""

    site: str
    state: str
    exit_code: int
    seconds: float
    detail: str = ""
    report: Path | None = None

    @property
    def tone(self) -> str:
        return TONES.get(self.exit_code, "doubt")


def ordered(lines: Sequence[Line]) -> list[Line]:
    """What needs somebody first, then by name."""
    return sorted(lines, key=lambda line: (_ORDER.index(line.tone), line.site))


def render(lines: Sequence[Line], begun: datetime, ended: datetime) -> str:
    """The page, for engineers: English. `lines` are redacted already."""
    style = package_text("updater.report", "fleet.css")
    template = page_template("fleet.html.j2", Language.EN)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return template.render(
        lines=ordered(lines),
        begun=begun,
        ended=ended,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704  our own file
    )
