"""`make findings`: one breaking update for each kind of finding, as the report shows it to people; writes docs/findings.md and its pictures.

The updates are cases of the corpus, applied and judged by the pipeline as it is. The report is the program's own, photographed in English and in
Russian.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[1]))

import corpus
import pictures
from corpus import BAD, ROOT, Case
from judge import proving

from updater import report
from updater.checks.browser import Browser, Tab
from updater.demo_shop import DEFAULT
from updater.errors import ExitCode
from updater.journal import now
from updater.language import speak
from updater.model import Check, Language, Site, Status, Verdict, Viewport
from updater.pipeline import REJECTED, Proven
from updater.report import RunRecord, UpdateResult

PAGE = ROOT / "docs" / "findings.md"
FOLDER = ROOT / "docs" / "findings"
LANGUAGES = (Language.EN, Language.RU)
SCREEN = Viewport("page", 1000, 900)
HEAD = "the head of the report"
PICTURE = "picture of"


@dataclass(frozen=True, slots=True)
class Shown:
    """`check`: the one whose finding is photographed; PICTURE: the pictures of a page; HEAD: what stands above everything."""

    check: str
    case: str
    asks: str
    """What the check asks, in a shop owner's words"""


GALLERY = (
    Shown(HEAD, "needs-newer-syntax", "Can the update be applied at all? It is said on top of the report, in words."),
    Shown("smoke tests", "script-swallows-click", "Can a customer still buy? A browser walks from the home page to the thank-you page."),
    Shown("orders", "stock-not-reduced", "Is each order in the database as the customer was told, and did the stock move?"),
    Shown("facts", "delivery-price-changed", "Do prices, totals, delivery, payment, fields, titles and search say what they said before?"),
    Shown("order mail", "mail-without-total", "Do the customer and the shop get the same mail, with the same total?"),
    Shown("records", "migration-loses-rows", "Are all orders and products still there after the database was changed?"),
    Shown(PICTURE, "columns-collapse", "Does each page look as before, apart from what moves by itself?"),
    Shown("browser errors", "script-error-on-home", "Does the browser report errors that it did not report before?"),
    Shown("PHP errors", "warning-logged", "Does the server log errors that it did not log before?"),
    Shown("background jobs", "job-fatal", "Does what the shop does behind its pages, at night or in a queue, still end well?"),
    Shown("crawl", "page-404", "Do all pages of the sitemap still answer, and are they still in it?"),
    Shown("speed", "slow-catalogue", "Are pages as fast as before, with as many database queries?"),
    Shown("calls", "sends-orders-abroad", "Does the shop call anybody whom it did not call before?"),
    Shown("recorded calls", "pay-receipt-loses-vat", "Is the payment service asked for the same amount, with the same receipt?"),
)  # fmt: skip


def record(site: Site, case: Case, proven: Proven, begun: datetime) -> RunRecord:
    updates = tuple(
        UpdateResult(it.kind, it.slug, it.name, it.from_version, it.to_version, "rejected")
        for it in proven.trial.applied
    )
    return RunRecord(
        run=case.name,
        site=site.name,
        url=site.url,
        cms=DEFAULT,
        state=REJECTED,
        exit_code=int(ExitCode.REJECTED),
        started=begun,
        finished=now(),
        verdict=proven.judgement.verdict,
        reasons=proven.judgement.reasons,
        updates=updates,
        evidence=proven.evidence,
    )


def failed(proven: Proven, name: str) -> Check:
    """The check that found it. ValueError when it did not: then the gallery would show something else than it says."""
    for check in proven.evidence.checks:
        if check.status is Status.FAILED and check.name.startswith(name):
            return check
    raise ValueError(f"{name} has no finding; {', '.join(proven.judgement.reasons)}")


def photograph(tab: Tab, shown: Shown, proven: Proven, page: Path, language: Language) -> None:
    tab.page.goto(page.as_uri())
    if shown.check == HEAD:
        part = tab.page.locator(".hero")
    elif shown.check == PICTURE:
        part = tab.page.locator("figure.shot.failed").first
    else:
        check = failed(proven, shown.check)
        part = tab.page.locator(".check.failed").filter(has_text=speak(language).translated(check.detail)).first
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / file_of(shown, language)).write_bytes(pictures.few_colours(part.screenshot()))


def file_of(shown: Shown, language: Language) -> str:
    return f"{shown.case}.png" if language is Language.EN else f"{shown.case}-{language}.png"


def written(cases: dict[str, Case]) -> str:
    lines = ["# What the report says when it finds something\n\n"]
    lines.append(
        "Written by `make findings`: updates of the corpus that break the demo shop, as the report of a run shows them, in English and in "
        "Russian (`language: ru` in site.yml).\n"
    )
    for shown in GALLERY:
        lines.append(f"\n## {shown.check[0].upper()}{shown.check[1:]}\n\n{shown.asks}\n\n")
        lines.append(f"*{cases[shown.case].says}*\n")
        lines += [f"\n![{shown.check}](findings/{file_of(shown, language)})\n" for language in LANGUAGES]
    return "".join(lines)


def main() -> int:
    cases = {case.name: case for case in corpus.cases(cms=DEFAULT) if case.side == BAD}
    with (
        tempfile.TemporaryDirectory(prefix="updater-findings-") as workdir,
        proving(DEFAULT, "paying", Path(workdir)) as ground,
    ):
        (folder,) = (ground.site.state / "runs").iterdir()
        for shown in GALLERY:
            begun = now()
            proven = ground.prove(cases[shown.case])
            assert proven.judgement.verdict is Verdict.FAIL, (shown.case, proven.judgement)
            told = record(ground.site, cases[shown.case], proven, begun)
            with Browser({}) as browser, browser.tab(SCREEN) as tab:
                for language in LANGUAGES:
                    page = report.write(replace(told, language=language), folder)
                    photograph(tab, shown, proven, page, language)
            print(f"{shown.check}: {shown.case}", flush=True)
    PAGE.write_text(written(cases), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
