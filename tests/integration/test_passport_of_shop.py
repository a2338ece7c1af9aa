"""The passport of a real shop: asked over ssh, opened in a browser, and still written when the server is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater import cli
from updater.checks.browser import find_chromium
from updater.demo_shop import DemoShop
from updater.errors import ExitCode

PASSWORD = "kron-parol-31"


@pytest.fixture(scope="module")
def folder(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    lasting_shop.write_site(folder, [])
    with (folder / "site.yml").open("a") as text:
        text.write('language: ru\npassport:\n  people: [{name: Анна, role: менеджер, contact: "+7 900 000-00-00"}]\n')
    line = f"15 3 * * * mysqldump -p{PASSWORD} shop > /dev/null"
    code, said = lasting_shop.exec(["sh", "-c", f"echo '{line}' | crontab -"], user=lasting_shop.user)
    assert code == 0, said
    return folder


def typed(folder: Path, *words: str) -> object:
    try:
        cli.main(["passport", str(folder), *words])
    except SystemExit as end:
        return end.code
    return ExitCode.DONE


def test_it_tells_the_server_as_it_is_and_no_password(folder: Path) -> None:
    assert typed(folder) == ExitCode.DONE
    text, page = (folder / "passport.md").read_text(), (folder / "passport.html").read_text()
    for said in (
        "Debian GNU/Linux 12",
        "Apache",
        "mariadb 10.11",
        "demo-shop",
        "WordPress",
        "15 3 \\* \\* \\* mysqldump -p…",
    ):
        assert said in text or said.replace("\\", "") in text, said
    assert "Кому звонить" in text
    assert "passport.domain, passport.hosting" in text, "what is missing is asked for"
    assert PASSWORD not in text + page
    assert "Samovar" not in page, "nothing of the shop's content belongs there"


def test_it_opens_in_a_browser_without_asking_for_anything(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), chromium_sandbox=False)
        page = browser.new_page(viewport={"width": 375, "height": 812})
        page.on("console", lambda message: complaints.append(message.text))
        page.on(
            "request", lambda request: complaints.append(request.url) if not request.url.startswith("file:") else None
        )
        page.goto((folder / "passport.html").as_uri())
        heading = page.locator("h1").inner_text()
        too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        browser.close()
    assert heading == "Технический паспорт"
    assert complaints == []
    assert too_wide <= 0, "it fits a telephone"


def test_a_server_that_is_gone_does_not_take_the_passport_along(folder: Path, lasting_shop: DemoShop) -> None:
    lasting_shop.stop()
    assert typed(folder) == ExitCode.DONE
    text = (folder / "passport.md").read_text()
    assert "Сервер не опрошен" in text
    assert "Анна" in text
