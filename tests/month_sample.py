"""Three months of a shop for the monthly report's tests: one run a week, a plugin that never comes through, a bad night."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from updater.model import (
    BackupEvent,
    Check,
    Component,
    Evidence,
    Held,
    Inventory,
    Language,
    Message,
    Outcome,
    Picture,
    Sample,
    Server,
    Site,
    Status,
)
from updater.report import RunRecord, UpdateResult

NOVEMBER = date(2026, 11, 1)
MADE = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
SLIDER = UpdateResult(
    "plugin", "hero-slider", "Hero Slider", "4.2", "5.0", "held", "smoke tests: “Place order” does nothing with it"
)
SHOP = UpdateResult("plugin", "demo-shop", "Demo Shop", "1.0", "1.1", "promoted")
INVENTORY = Inventory(
    "wordpress",
    "6.8.3",
    "8.2.29",
    (
        Component("core", "wordpress", "WordPress", "6.8.3", True, ""),
        Component("plugin", "hero-slider", "Hero Slider", "4.2", True, "wp-content/plugins/hero-slider"),
        Component("plugin", "filters", "Product Filters Pro", "2.1", True, "wp-content/plugins/filters"),
    ),
)


def site(folder: Path, language: Language = Language.RU) -> Site:
    server = Server("shop.example", "deploy")
    return Site("Лавка чая", server, "/srv/shop", "https://shop.example", folder / "site.yml", language=language)


def run(day: date, *updates: UpdateResult, state: str = "promoted", exit_code: int = 0, **changes: object) -> RunRecord:
    """A run of that day, with 24 checks; one of them failed when the run was rejected."""
    started = datetime(day.year, day.month, day.day, 3, 10, tzinfo=UTC)
    failed = Check("smoke tests", "after", Status.FAILED, "Clicking “Place order” did nothing.")
    checks = tuple(Check(f"check {n}", "after", Status.PASSED, "") for n in range(23 if state == "rejected" else 24))
    whole = RunRecord(
        run=f"{day:%Y%m%d}-031000-4f2a",
        site="Лавка чая",
        url="https://shop.example",
        cms="wordpress",
        state=state,
        exit_code=exit_code,
        started=started,
        finished=started + timedelta(minutes=9),
        updates=updates,
        inventory=INVENTORY,
        evidence=Evidence(
            (*checks, *((failed,) if state == "rejected" else ())),
            tuple(Picture(f"page {n}", "desktop", "a", "b", "", "", 0, 0, 0) for n in range(12)),
        ),
        held=(Held("plugin", "filters", "2.1", "3.0", "held by policy: the licence is renewed in December"),),
        language=Language.RU,
    )
    if state == "promoted":
        whole = replace(whole, outcome=Outcome("promoted", 7.4))
    return replace(whole, **changes)  # type: ignore[arg-type]


def records() -> list[RunRecord]:
    core = UpdateResult("core", "wordpress", "WordPress", "6.8.1", "6.8.2", "promoted")
    hole = "CVE-2026-1234: orders of other customers can be read"
    rolled_back = Outcome(
        "rolled_back",
        94.0,
        reason="a check of the closed shop did not pass: production values: 1 of 8 values differ from the tested shop's",
    )
    return [
        run(date(2026, 9, 2), replace(SLIDER, to_version="4.8")),
        run(date(2026, 10, 7), replace(SLIDER, to_version="4.9"), state="rejected", exit_code=1),
        run(date(2026, 11, 3), core, replace(SHOP, security=(hole,))),
        run(date(2026, 11, 10), replace(core, from_version="6.8.2", to_version="6.8.3"), SLIDER),
        run(
            date(2026, 11, 17),
            UpdateResult("plugin", "mail", "Mailer", "3.0", "3.1", "rolled back"),
            state="rolled back",
            exit_code=4,
            outcome=rolled_back,
        ),
        run(date(2026, 11, 24), SLIDER, state="rejected", exit_code=1),
    ]


def messages() -> list[Message]:
    night = datetime(2026, 11, 17, 3, 19, tzinfo=UTC)
    down = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
    return [
        Message(
            "m1",
            night,
            "urgent",
            "Лавка чая: rolled back",
            "…",
            "20261117-031000-4f2a",
            acknowledged=night + timedelta(minutes=25),
            by="Анна",
        ),
        Message(
            "m2",
            down,
            "urgent",
            "Лавка чая: магазин не отвечает",
            "HTTP 502",
            acknowledged=down + timedelta(minutes=4),
            by="Борис",
            closed=down + timedelta(minutes=50),
        ),
        Message("m3", down, "work", "Лавка чая: ждёт подтверждения", "…"),
    ]


def samples() -> tuple[Sample, ...]:
    """One look an hour from the 4th on; down for an hour on the 21st, slower from then on; nobody looked on the 13th."""
    found = []
    for hour in range(3 * 24, 30 * 24):
        at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour)
        if at.day == 13:
            continue
        up = not (at.day == 21 and at.hour == 14)
        seconds = 0.4 + 0.06 * (hour % 7) + (0.5 if at.day > 21 else 0.0)
        found.append(Sample(at, up, 200 if up else 502, seconds if up else None, certificate_days=40 - at.day))
    return tuple(found)


def backups() -> tuple[BackupEvent, ...]:
    """One every second night in two places; the far one was full on the 9th. One restore in October, one in November that failed."""
    found = []
    for day in range(1, 31, 2):
        at = datetime(2026, 11, day, 2, 40, tzinfo=UTC)
        for place in ("here", "away"):
            ok = not (day == 9 and place == "away")
            found.append(
                BackupEvent(at, "made", f"b{day}", place, ok, at, "" if ok else "no space", 310.0, 2_100_000_000)
            )
    october, november = datetime(2026, 10, 20, 5, 0, tzinfo=UTC), datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
    found.append(BackupEvent(october, "restored", "b0", "away", True, october, "…", 412.0))
    found.append(BackupEvent(november, "restored", "b19", "here", False, november, "orders: none was placed", 97.0))
    return tuple(found)
