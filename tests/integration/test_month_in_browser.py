"""The monthly report in a real browser: offline, on a phone, and as a PDF of one page in which every section stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from month_sample import MADE, NOVEMBER, backups, messages, records, samples, site
from playwright.sync_api import expect

from updater import cli, config, notify, pipeline
from updater import samples as kept_samples
from updater.checks.browser import Browser
from updater.errors import ExitCode
from updater.journal import Journal, write_atomically
from updater.model import DESKTOP, MOBILE
from updater.report.month import summarise
from updater.report.month_page import render


@pytest.fixture
def kept(tmp_path: Path) -> Journal:
    """A site's `.updater/` with three months in it, one run of which was killed before it had a record."""
    journal, state = Journal(tmp_path / ".updater"), tmp_path / ".updater"
    for record in records():
        journal.begin(record.run, record.site)
        journal.keep(record.run, "record", record)
        journal.finish(record.run, record.state, record.exit_code)
    journal.begin("20261125-031000-dead", "Лавка чая")
    for message in messages():
        write_atomically(state / "outbox" / "told" / f"{message.id}.json", notify.dump(message))
    for sample in samples()[::24]:
        kept_samples.add(state, sample)
    return journal


def test_the_month_is_written_as_a_page_and_as_a_pdf_of_one_page(kept: Journal, tmp_path: Path) -> None:
    page, pdf = pipeline.report_month(site(tmp_path), kept, NOVEMBER)
    assert (page.name, pdf.name) == ("2026-11.html", "2026-11.pdf")
    printed = pdf.read_bytes()
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    html = page.read_text(encoding="utf-8")
    for said in ("Обновлено 2 компонента", "Занялись через 25 мин (Анна)", "Hero Slider", "три месяца подряд"):
        assert said in html


def test_one_broken_client_does_not_keep_the_others_from_their_month(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tea", "mugs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "site.yml").write_text(config.template(name=name))
    (tmp_path / "mugs" / "site.yml").write_text("site: mugs\n")
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(tmp_path), "--month", "2026-11", "--all"])
    shown = capsys.readouterr()
    assert end.value.code == ExitCode.USAGE
    assert "mugs/site.yml" in shown.err.replace("\n", "")
    lines = shown.out.split()
    assert [Path(line).name for line in lines] == ["2026-11.html", "2026-11.pdf"]
    assert all(Path(line).is_relative_to(tmp_path / "tea") and Path(line).stat().st_size > 1000 for line in lines)


def test_the_page_asks_nobody_for_anything_and_fits_a_phone(tmp_path: Path) -> None:
    page = tmp_path / "month.html"
    page.write_text(render(summarise(site(tmp_path), NOVEMBER, records(), messages(), samples(), backups(), MADE)))
    asked: list[str] = []
    troubles: list[str] = []
    for viewport in (DESKTOP, MOBILE):
        with Browser({}) as browser, browser.tab(viewport) as tab:
            tab.page.on("request", lambda request: asked.append(request.url))
            tab.page.on("console", lambda message: troubles.append(message.text))
            tab.page.goto(page.as_uri())
            expect(tab.page.get_by_role("heading", level=1)).to_have_text("Ваш магазин: ноябрь 2026")
            expect(tab.page.get_by_role("img", name="Доступность по дням")).to_be_visible()
            assert tab.page.evaluate("document.documentElement.scrollWidth") == viewport.width
            red = tab.page.locator("rect.bad")
            assert red.count() == 1
            assert (
                red.evaluate("e => getComputedStyle(e).fill") == "rgb(192, 57, 43)"
            )  # the page's own style was let in
    assert set(asked) == {page.as_uri()}
    assert troubles == []
