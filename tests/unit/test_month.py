"""The month that a client reads: what it counts, what it joins, what it says when nothing is known."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from month_sample import MADE, NOVEMBER, SHOP, SLIDER, backups, messages, records, run, samples, site

from updater import samples as kept_samples
from updater.model import Held, Language, Sample
from updater.report.month import Month, next_month, previous_month, summarise
from updater.report.month_page import _round_up, render
from updater.secrets import register

HOSTILE = "\"'><script>alert(1)</script> {{ 7*7 }} {name} %(n)s"


@pytest.fixture
def november(tmp_path: Path) -> Month:
    return summarise(site(tmp_path), NOVEMBER, records(), messages(), samples(), backups(), MADE)


def test_a_component_is_told_once_from_its_first_version_to_its_last(november: Month) -> None:
    assert [(it.name, it.from_version, it.to_version) for it in november.changes] == [
        ("Demo Shop", "1.0", "1.1"),  # what closes a hole comes first
        ("WordPress", "6.8.1", "6.8.3"),
    ]
    assert [it.name for it in november.security] == ["Demo Shop"]


def test_a_promoted_record_never_counts_an_update_that_it_held(tmp_path: Path) -> None:
    """The culprit of a set is held, and the rest promoted: one record, two ends."""
    told = summarise(site(tmp_path), NOVEMBER, [run(date(2026, 11, 3), SHOP, SLIDER)], [], [], [], MADE)
    assert [it.name for it in told.changes] == ["Demo Shop"]
    assert "hero-slider" in [it.slug for it in told.setbacks]


def test_runs_and_checks_are_the_months_own(november: Month) -> None:
    assert (november.runs, november.passed, november.rejected, november.undecided) == (4, 2, 1, 0)
    assert (november.checks, november.failed_checks, november.pictures) == (96, 1, 48)
    assert (november.deploys, november.closed_seconds, november.longest_closed) == (3, 7.4 + 7.4 + 94, 94)


def test_what_was_held_and_later_installed_is_no_setback(tmp_path: Path) -> None:
    held = run(date(2026, 11, 3), state="nothing to do", held=(Held("plugin", "demo-shop", "1.0", "1.1", "age"),))
    told = summarise(site(tmp_path), NOVEMBER, [held, run(date(2026, 11, 10), SHOP)], [], [], [], MADE)
    assert "demo-shop" not in [it.slug for it in told.setbacks]


def test_incidents_carry_how_long_it_was_closed_and_who_took_care_when(november: Month) -> None:
    deploy, outage = november.incidents
    assert (deploy.closed_seconds, deploy.acknowledged_after, deploy.by) == (94.0, 25 * 60, "Анна")
    assert "differ from the tested shop" in deploy.detail
    assert (outage.what, outage.acknowledged_after, outage.over_after) == (
        "Лавка чая: магазин не отвечает",
        4 * 60,
        50 * 60,
    )


def test_a_deployment_taken_back_by_a_person_is_no_change_of_the_month(tmp_path: Path) -> None:
    back = run(date(2026, 11, 3), replace(SHOP, outcome="rolled back"), state="rolled back")
    told = summarise(site(tmp_path), NOVEMBER, [back], [], [], [], MADE)
    assert told.changes == ()
    assert [it.what for it in told.incidents] == ["A deployment was taken back by a person"]


def test_availability_counts_looks_and_leaves_days_without_any_out(november: Month) -> None:
    assert len(november.days) == 26
    assert november.looks == 26 * 24
    assert november.availability == pytest.approx(1 - 1 / (26 * 24))
    assert [day.day.day for day in november.days if day.up < day.looks] == [21]


def test_the_same_plugin_three_months_in_a_row_is_told_with_its_cause_and_what_would_end_it(november: Month) -> None:
    by_name = {it.name: it for it in november.repeats}
    assert by_name["Hero Slider"].versions == ("4.8", "4.9", "5.0")
    assert "Place order" in by_name["Hero Slider"].cause
    assert "author" in by_name["Hero Slider"].fix
    assert "hold ends" in by_name["Product Filters Pro"].fix


def test_two_months_are_no_pattern_yet(tmp_path: Path) -> None:
    told = summarise(site(tmp_path), NOVEMBER, records()[1:], [], [], [], MADE)
    assert told.repeats == ()


def test_a_set_that_failed_as_a_whole_accuses_no_single_plugin(tmp_path: Path) -> None:
    bare = replace(SLIDER, outcome="rejected", reason="")
    days = [date(2026, month, 3) for month in (9, 10, 11)]
    runs = [run(day, bare, replace(SHOP, outcome="rejected"), state="rejected", exit_code=1, held=()) for day in days]
    assert summarise(site(tmp_path), NOVEMBER, runs, [], [], [], MADE).repeats == ()
    alone = [run(day, bare, state="rejected", exit_code=1, held=()) for day in days]
    assert [it.name for it in summarise(site(tmp_path), NOVEMBER, alone, [], [], [], MADE).repeats] == ["Hero Slider"]


def texts(month: Month) -> list[str]:
    return [risk.text for risk in month.risks]


def test_risks_are_what_is_known_to_be_one(november: Month, tmp_path: Path) -> None:
    assert "The certificate ends in {days} days." in texts(november)
    assert "PHP {version} gets security fixes until {day} only." in texts(november)  # 8.2: 31 December 2026
    assert "No updates were tried this month." in texts(summarise(site(tmp_path), NOVEMBER, [], [], [], [], MADE))
    open_hole = run(
        date(2026, 11, 3), replace(SLIDER, security=("CVE-2026-9",), outcome="rejected"), state="rejected", exit_code=1
    )
    told = summarise(site(tmp_path), NOVEMBER, [open_hole], [], [], [], MADE)
    assert "{name} has a known vulnerability, and the update that closes it is not installed." in texts(told)


def test_an_empty_month_claims_nothing(tmp_path: Path) -> None:
    page = render(summarise(site(tmp_path, Language.EN), NOVEMBER, [], [], [], [], MADE))
    for said in (
        "Nothing was updated this month.",
        "There were no incidents.",
        "nothing is known of its availability",
        "no backup of the shop is known",
        "No restore has been proven.",
    ):
        assert said in page
    assert "100 %" not in page
    assert "<svg" not in page


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (Language.EN, ("Your shop in November 2026", "2 components were updated", "99.84 %")),
        (
            Language.RU,
            (
                "Ваш магазин: ноябрь 2026",
                "Обновлено 2 компонента",
                "99,84 %",
                "Занялись через 25 мин (Анна)",
                "проверка закрытого магазина не пройдена",
            ),
        ),
        (Language.UK, ("Ваш магазин: листопад 2026", "Оновлено 2 компоненти", "99,84 %", "до 31 грудня 2026")),
    ],
)
def test_the_page_is_in_the_clients_language(language: Language, said: tuple[str, ...], tmp_path: Path) -> None:
    page = render(summarise(site(tmp_path, language), NOVEMBER, records(), messages(), samples(), backups(), MADE))
    assert [text for text in said if text not in page] == []


@pytest.mark.parametrize("language", Language)
def test_between_two_sentences_stands_a_space(language: Language, tmp_path: Path) -> None:
    for kept in (backups(), []):
        page = render(summarise(site(tmp_path, language), NOVEMBER, records(), messages(), samples(), kept, MADE))
        text = re.sub(r"<(?!/p|/li|/td|/h)[^>]*>", "", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
        assert re.findall(r"\w+[.!?][A-ZА-ЯІЇЄҐ]\w*", text) == []


def test_hostile_names_stay_text_and_secrets_stay_out(tmp_path: Path) -> None:
    secret = register("month-s3cret-77")
    evil = replace(SLIDER, name=HOSTILE, reason=f"{HOSTILE} {secret}", security=(HOSTILE,), outcome="rejected")
    bad = run(date(2026, 11, 3), evil, state="rejected", exit_code=1, inventory=None)
    page = render(summarise(site(tmp_path), NOVEMBER, [bad], [], [], [], MADE))
    assert "<script" not in page
    assert "{{ 7*7 }}" in page
    assert secret not in page


def test_samples_are_kept_by_month_and_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    first, second = Sample(datetime(2026, 11, 3, tzinfo=UTC), True, 200, 0.4), Sample(MADE, False, 502)
    kept_samples.add(tmp_path, first)
    with (tmp_path / "watch" / "2026-11.jsonl").open("a") as stream:
        stream.write('\n{"at": "2026-11-0')
    third = replace(first, at=datetime(2026, 11, 5, tzinfo=UTC))
    for sample in (second, third):
        kept_samples.add(tmp_path, sample)
    assert kept_samples.of_month(tmp_path, NOVEMBER) == (first, third)
    assert kept_samples.of_month(tmp_path, date(2026, 10, 1)) == ()


def test_backups_count_when_they_are_in_every_place(november: Month) -> None:
    told = november.backups
    assert (told.made, told.failed, told.places) == (14, 1, ("here", "away"))
    assert (told.restores, told.failed_restores) == (0, 1)
    assert told.proven == datetime(2026, 10, 20, 5, 0, tzinfo=UTC)
    assert "proven on 20 October 2026" in render(replace(november, language=Language.EN))


def test_a_month_without_backup_and_one_without_restore_are_risks(tmp_path: Path) -> None:
    def texts(month: Month) -> list[str]:
        return [risk.text for risk in month.risks]

    none = summarise(site(tmp_path), NOVEMBER, [], [], [], [], MADE)
    assert "No backup of the shop was made by us this month." in texts(none)
    made = [it for it in backups() if it.kind == "made"]
    hope = summarise(site(tmp_path), NOVEMBER, [], [], [], made, MADE)
    assert not any("No backup" in text for text in texts(hope))
    assert any("none was proven by a restore" in text for text in texts(hope))
    proven = summarise(site(tmp_path), NOVEMBER, [], [], [], backups(), MADE)
    assert not any("backup" in text.lower() for text in texts(proven))
    stale = [replace(it, at=it.at.replace(year=2025), taken=it.taken.replace(year=2025)) for it in backups()]
    assert "No backup of the shop was made by us this month." in texts(
        summarise(site(tmp_path), NOVEMBER, [], [], [], stale, MADE)
    )


def test_months_follow_each_other() -> None:
    assert (next_month(date(2026, 12, 1)), previous_month(date(2026, 1, 1))) == (date(2027, 1, 1), date(2025, 12, 1))


def test_an_axis_ends_on_a_round_figure() -> None:
    assert [round(_round_up(x), 3) for x in (0.05, 0.3, 0.9, 1.2, 7)] == [0.1, 0.5, 1.0, 2.0, 10.0]


def test_what_passed_and_can_only_be_installed_by_hand_waits_for_no_approval(tmp_path: Path) -> None:
    advised = run(
        date(2026, 11, 10), SHOP, state="awaiting approval", exit_code=3, advice="install it on the live site"
    )
    told = summarise(site(tmp_path), NOVEMBER, [advised], [], [], [], MADE)
    assert (told.waiting, told.passed) == ((), 1)
    assert [it.text for it in told.risks if "passed on a copy" in it.text]
    assert not [it.text for it in told.risks if "approval" in it.text]
    later = run(date(2026, 11, 17), state="nothing to do")
    told = summarise(site(tmp_path), NOVEMBER, [advised, later], [], [], [], MADE)
    assert not [it.text for it in told.risks if "passed on a copy" in it.text], "it was installed meanwhile"
