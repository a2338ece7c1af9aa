"""The page for the day when nobody is there who knew the site: what it holds, what it asks for, and what it never shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from updater import model
from updater.model import BackupEvent, Certificate, Component, Inventory, Language, Platform, ServerFacts, Site
from updater.production.describe import masked
from updater.report.passport import Known, html, markdown, passport
from updater.secrets import register

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOSTILE = "\"'><script>alert(1)</script> | {{ 7*7 }}\n# fake"
INVENTORY = Inventory(
    "wordpress",
    "6.8.3",
    "8.2.29",
    (
        Component("core", "wordpress", "WordPress", "6.8.3", True, ""),
        Component("plugin", "tea", "Tea Shop", "1.1", True, "wp-content/plugins/tea"),
        Component("plugin", "old", "Old Slider", "0.9", False, "wp-content/plugins/old"),
    ),
)
SERVER = ServerFacts(
    "Debian GNU/Linux 12 (bookworm)",
    "Apache/2.4",
    50_000_000_000,
    20_000_000_000,
    ("*/5 * * * * php /srv/shop/cron.php",),
    42,
    180_500_000,
    (Certificate("shop.example", ("203.0.113.7",), "Let's Encrypt", AT), Certificate("old.example", ())),
)
PLATFORM = Platform("8.2.29", (), {}, "10.11.14", "mariadb", "", "utf8mb4", "utf8mb4_unicode_ci")
KNOWN = Known(
    AT,
    INVENTORY,
    AT,
    PLATFORM,
    SERVER,
    database="shop",
    talks_to={"crm.example": 12, "api.delivery.example": 3},
    at_checkout=("Cash", "Card"),
    backups=(
        BackupEvent(AT, "made", "b1", "here", True, AT),
        BackupEvent(AT, "made", "b1", "away", False, AT, "no space"),
        BackupEvent(AT, "restored", "b1", "here", True, AT, "", 412.0),
    ),
)
WRITTEN = model.PassportSettings(
    domain="Tea Ltd",
    hosting="the agency",
    people=(model.Person("Anna K.", "manager", "+7 900 000-00-00"),),
    access={"ssh key": "vault: tea/ssh"},
    licences=(model.Licence("Filters Pro", date(2027, 3, 31)),),
    integrations={"CRM": "orders by webhook; Boris"},
    notes=("the printer reads orders@",),
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    server = model.Server("shop.example", "deploy")
    backup = model.BackupSettings(register("backup-pass-9"), {"here": "/b", "away": "s3:bucket"})
    return Site(
        "tea",
        server,
        "/srv/shop",
        "https://shop.example",
        tmp_path / "site.yml",
        hosts=("old.example",),
        backup=backup,
        passport=WRITTEN,
        notify=("tgram://1234/5678",),
    )


def test_it_holds_what_the_next_person_needs(site: Site) -> None:
    page = passport(site, KNOWN)
    assert page.gaps == ()
    text = markdown(page)
    for said in (
        "deploy@shop.example, port 22",
        "WordPress 6.8.3",
        "Debian GNU/Linux 12",
        "mariadb 10.11.14, shop",
        "42 tables, 180.5 MB",
        "20 of 50 GB free",
        "| Old Slider | plugin | 0.9 | switched off |",
        "203.0.113.7",
        "Anna K.",
        "vault: tea/ssh",
        "31 March 2027",
        "orders by webhook; Boris",
        "crm.example",
        "| Card |",
        "*/5 * * * * php /srv/shop/cron.php",
        "the printer reads orders@",
        "updater restore site.yml --from here",
        "restic --repo /b restore latest --host tea",
        "6 min 52 s",
        "tgram",
    ):
        assert said in text or said.replace("|", "\\|") in text, said


def test_what_nobody_wrote_down_stands_on_top(site: Site) -> None:
    bare = replace(site, passport=model.PassportSettings(), backup=None)
    page = passport(bare, replace(KNOWN, inventory=None, backups=()))
    assert len(page.gaps) == 5
    text = markdown(page)
    assert text.index("What nobody wrote down") < text.index("## ")
    assert "passport.people, passport.domain, passport.hosting" in text
    assert "add \\`backup:\\` to site.yml" in text
    never = passport(site, replace(KNOWN, backups=KNOWN.backups[:2]))
    assert never.gaps == ("No backup was ever proven by a restore: updater backup verify.",)


def test_a_server_that_did_not_answer_is_said_and_the_rest_stands(site: Site) -> None:
    text = markdown(
        passport(site, replace(KNOWN, server=None, platform=None, unreachable="nothing answers on port 22"))
    )
    assert "The server was not asked (nothing answers on port 22)" in text
    assert "Tea Shop" in text
    assert "8.2.29" in text


@pytest.mark.parametrize("shape", [markdown, html])
def test_no_secret_and_nothing_that_a_name_could_become(site: Site, shape: object) -> None:
    secret = register("passport-s3cret-5")
    evil = replace(INVENTORY, components=(Component("plugin", "x", f"{HOSTILE} {secret}", "1", True, "x"),))
    settings = replace(WRITTEN, notes=(f"{HOSTILE} {secret}",))
    known = replace(KNOWN, inventory=evil, talks_to={f"{HOSTILE}{secret}": 1})
    text = shape(passport(replace(site, passport=settings), known))  # type: ignore[operator]
    assert "<script" not in text.replace("\\<script", "")
    if shape is markdown:
        assert "\n# fake" not in text
    for never in (secret, "backup-pass-9", "1234/5678"):
        assert never not in text


@pytest.mark.parametrize("language", list(Language))
def test_it_speaks_the_owners_language(site: Site, language: Language) -> None:
    page = passport(replace(site, language=language), KNOWN)
    title = {"en": "Technical passport", "ru": "Технический паспорт", "uk": "Технічний паспорт"}[language]
    assert page.title == title
    assert f"<h1>{title}</h1>" in html(page)
    assert f'lang="{language}"' in html(page)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("*/5 * * * * php /srv/cron.php", "*/5 * * * * php /srv/cron.php"),
        ("0 1 * * * curl -s https://me:pass@x.example/do", "0 1 * * * curl -s https://me:…@x.example/do"),
        ("0 1 * * * wget -qO- 'https://x.example/cron?key=abc&b=2'", "0 1 * * * wget -qO- 'https://x.example/cron?…'"),
        ("0 2 * * * mysqldump -uroot -phunter2 shop", "0 2 * * * mysqldump -uroot -p… shop"),
        ("0 2 * * * x --password=hunter2 --port 3", "0 2 * * * x --password=… --port 3"),
        ("0 2 * * * x --token hunter2 y", "0 2 * * * x --token … y"),
        ("API_KEY=hunter2", "API_KEY=…"),
        ("0 2 * * * ping https://hc.example/3fa94c1be77d4f0a9b21aa", "0 2 * * * ping https://hc.example/…"),
    ],
)
def test_a_crontab_shows_what_runs_and_no_password(line: str, shown: str) -> None:
    assert masked(line) == shown
