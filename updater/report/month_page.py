"""The monthly report as one self-contained page that prints well: no script, no request, plots as inline SVG."""

from __future__ import annotations

import base64
import calendar
import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

from markupsafe import Markup

from updater.language import Words, speak
from updater.report.html import page_template
from updater.report.month import Month, Risk
from updater.resources import package_text

_PLOT = (600, 112)  # user units of a plot; it scales with the page
_ROOM = 14  # above and below the line


def render(month: Month) -> str:
    """The whole page. `month` is redacted already (month.summarise)."""
    words, style = speak(month.language), package_text("updater.report", "month.css")
    template = page_template("month.html.j2", month.language)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return template.render(
        month=month,
        title=words.month(month.first),
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704  our own file
        strip=_strip(month),
        plot=_plot(month, words),
        risks=[(_filled(risk.text, risk, words), _filled(risk.proposal, risk, words)) for risk in month.risks],
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One day in the availability strip. `tone`: good, bad, none (nobody looked). `marked`: its number stands below."""

    x: float
    width: float
    tone: str
    day: date
    looks: int
    down: int
    marked: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """A line of medians. `lines`: points of each unbroken piece; a day without a figure breaks it. `top` is the axis' end."""

    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    top: str
    width: int = _PLOT[0]
    height: int = _PLOT[1]


def _month_days(month: Month) -> list[date]:
    count = calendar.monthrange(month.first.year, month.first.month)[1]
    return [month.first + timedelta(days=n) for n in range(count)]


def _strip(month: Month) -> list[Bar]:
    known, days = {day.day: day for day in month.days}, _month_days(month)
    width, bars = _PLOT[0] / len(days), []
    for n, day in enumerate(days):
        seen = known.get(day)
        tone = "none" if seen is None else "good" if seen.up == seen.looks else "bad"
        looks, up = (seen.looks, seen.up) if seen else (0, 0)
        bars.append(
            Bar(
                round(n * width, 1),
                round(width - 3, 1),
                tone,
                day,
                looks,
                looks - up,
                day.day in (1, 10, 20, len(days)),
            )
        )
    return bars


def _plot(month: Month, words: Words) -> Plot | None:
    seconds = {day.day: day.seconds for day in month.days if day.seconds is not None}
    if not seconds:
        return None
    days, top = _month_days(month), _round_up(max(seconds.values()))
    step, height = _PLOT[0] / len(days), _PLOT[1] - 2 * _ROOM
    pieces: list[list[tuple[float, float]]] = [[]]
    for n, day in enumerate(days):
        value = seconds.get(day)
        if value is not None:
            pieces[-1].append((round((n + 0.5) * step, 1), round(_ROOM + height * (1 - value / top), 1)))
        elif pieces[-1]:
            pieces.append([])
    lines = tuple(" ".join(f"{x},{y}" for x, y in piece) for piece in pieces if len(piece) > 1)
    return Plot(lines, tuple(point for piece in pieces for point in piece), words.duration(top))


def _round_up(seconds: float) -> float:
    """The end of an axis: 0.5 s, 1 s, 2 s, 5 s, 10 s, …"""
    top, steps = 0.1, (2.0, 2.5, 2.0)
    n = 0
    while top < seconds:
        top, n = top * steps[n % 3], n + 1
    return top


def _filled(text: str, risk: Risk, words: Words) -> str:
    values = {name: words.day(value) if isinstance(value, date) else value for name, value in risk.values}
    return words.gettext(text).format(**values)
