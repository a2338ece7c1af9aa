"""The corpus' cases fit what the demo's shops consist of, and what is published of them is what was seen."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import corpus
import gallery
import judge
import pytest
from corpus import BAD, BENIGN, Case, Result
from kinds import KINDS

from updater import cms
from updater.demo_shop import DEFAULT

ZIP = """#!{python}
import sys, zipfile
with zipfile.ZipFile(sys.argv[-1], "w") as archive:
    for line in sys.stdin:
        archive.write(line.rstrip())
"""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages of each shop, made by the script that the shop's image is built with; it asks for `zip`, which may not be here."""
    folder = tmp_path_factory.mktemp("releases")
    tool = folder / "bin" / "zip"
    tool.parent.mkdir()
    tool.write_text(ZIP.format(python=sys.executable))
    tool.chmod(0o755)
    twin = corpus.ROOT / "demo" / "opencart-twin"
    path = f"{tool.parent}:{os.environ['PATH']}"
    subprocess.run(["sh", twin / "build" / "pack", twin, folder], check=True, env={**os.environ, "PATH": path})
    return {"opencart": folder / "4", "opencart-3": folder / "3"}


def result(side: str = BAD, verdict: str = "FAIL", **changes) -> Result:
    plain = Result("price-zero", side, "price", verdict, "facts: 3 differ", (), True, False, 40.0, "c", "s", "abc1234")
    return replace(plain, **changes)


@pytest.mark.parametrize("shop", KINDS)
def test_every_case_makes_packages_that_the_cms_takes_for_newer_ones(shop, tmp_path, releases):
    driver = cms.DRIVERS[shop.partition("-")[0]]
    for case in corpus.cases(cms=shop):
        corpus.package(case, tmp_path / "packages", releases.get(shop, tmp_path))
        made = [driver.read_package(path, path.name) for path in sorted((tmp_path / "packages").iterdir())]
        assert {it.slug for it in made} == set(case.units), case.name
        newest = {it.slug: it.version for it in made}
        assert not {version for version in newest.values() if version in ("1.0", "4.1.0.3", "3.0.4.1")}, case.name


def test_an_update_of_a_plugin_says_its_version_in_its_header(tmp_path):
    (case,) = [case for case in corpus.cases() if case.name == "both-plugins"]
    corpus.package(case, tmp_path / "packages", tmp_path)
    for plugin in case.units:
        with zipfile.ZipFile(tmp_path / "packages" / f"{plugin}-1.0.1.zip") as archive:
            assert b" * Version: 1.0.1\n" in archive.read(f"{plugin}/{plugin}.php")


def test_what_the_vendor_of_a_module_serves_is_the_update_with_the_edits():
    (case,) = [case for case in corpus.cases() if case.name == "bitrix/order-button-dead"]
    made = {unit: corpus.files(case, unit, Path()) for unit in case.units}
    assert set(made) == {"catalog", "sale"}
    script = made["sale"]["bitrix/components/bitrix/sale.order.ajax/templates/.default/order_ajax.js"]
    assert "undefinedCheckout" in script
    assert '"VERSION" => "25.100.0"' in made["sale"]["bitrix/modules/sale/install/version.php"]
    assert "IS_SYNC_B24" in made["sale"]["updater.php"]


def test_there_are_enough_of_both_and_each_kind_is_written_one_way():
    every = corpus.cases()
    cases = [case for case in every if case.cms == "wordpress"]
    assert len([case for case in cases if case.side == BAD]) >= 40
    assert len({case.kind for case in cases if case.side == BAD}) >= 15
    assert len([case for case in cases if case.side == BENIGN]) >= 40
    assert len({case.name for case in every}) == len(every)
    assert {case.shop for case in cases} == {"plain", "restless", "cached", "paying"}
    for shop in KINDS:
        assert {case.side for case in every if case.cms == shop} == {BAD, BENIGN}


def test_what_make_test_judges_is_there():
    names = {f"{case.side}/{case.name}" for case in corpus.cases()}
    assert {name for sample in corpus.SAMPLE.values() for name in sample} <= names


@pytest.mark.parametrize(("cms", "side"), [(cms, side) for cms in corpus.SAMPLE for side in (BAD, BENIGN)])
def test_what_make_test_judges_fits_into_one_update_with_every_edit(cms, side, releases, tmp_path):
    sample = corpus.SAMPLE[cms]
    cases = [it for it in corpus.cases(cms=cms) if f"{it.side}/{it.name}" in sample and it.side == side]
    whole = corpus.together(cases)
    assert (whole.cms, whole.side) == (cms, side)
    assert set(whole.units) == {unit for case in cases for unit in case.units}
    made = {unit: corpus.files(whole, unit, releases.get(cms, tmp_path)) for unit in whole.units}
    for case in cases:
        for path, edits in case.change.items():
            unit, _, name = path.partition("/")
            lines = [line for _, becomes in edits for line in becomes.splitlines()]
            assert all(line in made[unit][name] for line in lines), f"{case.name} is undone by another"


def test_an_edit_that_does_not_fit_is_refused(tmp_path):
    case = Case("odd", BAD, "price", "", change={"demo-shop/includes/cart.php": [("no such text", "")]})
    with pytest.raises(ValueError, match=r"odd: demo-shop/includes/cart.php holds 0 × 'no such text'"):
        corpus.package(case, tmp_path / "packages", tmp_path)


def test_fresh_forgets_what_one_cms_gave_and_keeps_the_others(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    for name in ("price-zero", "opencart/price-wrong", "a case that is gone"):
        corpus.keep(path, result(case=name))
    corpus.forget(path, {"opencart/price-wrong"})
    assert [it.case for it in corpus.load(path)] == ["price-zero"]


def test_a_draw_is_the_same_for_a_seed_and_half_of_each_side():
    drawn = corpus.draw(corpus.cases(cms="wordpress"), 10, seed=7)
    assert drawn == corpus.draw(corpus.cases(cms="wordpress"), 10, seed=7)
    assert [case.side for case in drawn] == [BAD] * 5 + [BENIGN] * 5
    assert drawn != corpus.draw(corpus.cases(cms="wordpress"), 10, seed=8)


@pytest.mark.parametrize(
    ("side", "verdict", "outcome"),
    [
        (BAD, "FAIL", "caught"),
        (BAD, "PASS", "missed"),
        (BENIGN, "PASS", "quiet"),
        (BENIGN, "FAIL", "false alarm"),
        (BAD, "INCONCLUSIVE", "inconclusive"),
        (BENIGN, "INCONCLUSIVE", "inconclusive"),
        (BAD, "none", "error"),
    ],
)
def test_a_verdict_is_right_or_wrong_by_what_the_update_does(side, verdict, outcome):
    assert result(side, verdict).outcome == outcome


def test_an_update_that_was_held_back_is_no_pass():
    assert result(BAD, "PASS", held=True).outcome == "caught"
    assert result(BENIGN, "PASS", held=True).outcome == "false alarm"


@pytest.mark.parametrize(("wrong", "of", "bound"), [(0, 59, 0.0495), (0, 40, 0.0722), (1, 2, 0.9747), (5, 5, 1.0)])
def test_the_bound_is_that_of_clopper_and_pearson(wrong, of, bound):
    assert corpus.at_most(wrong, of) == pytest.approx(bound, abs=0.0002)


def test_the_page_counts_what_was_seen_and_names_what_went_wrong_or_was_not_tried():
    of = [case for case in corpus.cases() if case.name in {"price-zero", "sitemap-gone", "version-only", "noindex"}]
    seen = [
        result(),
        result(case="sitemap-gone", kind="search engines", verdict="PASS", reason="Every required check passed (34)."),
        result(case="version-only", side=BENIGN, kind="version only", verdict="PASS", commit="def5678"),
    ]
    page = corpus.table(seen, of)
    assert "3 of 4 cases were run, judged at abc1234, def5678" in page
    assert "| breaking updates that were let through | 1 of 2 (50%) |" in page
    assert "| harmless updates that were rejected | 0 of 1 (0%) |" in page
    assert "| search engines | 0 | 1 | 0 | 40 |" in page
    assert "- **missed**, sitemap-gone (There is no sitemap any more.)" in page
    assert "## Not run, breaking: 1\n\nnoindex\n" in page


def test_the_page_tells_what_the_search_named_and_where_it_was_wrong() -> None:
    cases = corpus.cases("noindex") + corpus.cases("two-break-together")
    shas = [corpus.sha256(case) for case in cases]
    right = corpus.Named("noindex", ("demo-shop",), ("demo-shop",), 1, "", 60.0, "code", shas[0], "abc1234")
    both = ("demo-gallery", "demo-shop")
    half = corpus.Named("two-break-together", both, ("demo-shop",), 5, "", 90.0, "code", shas[1], "abc1234")
    page = corpus.table([], cases, [replace(right, found=()), half, right])  # what was named last counts
    assert "**1 of 2** (wrong: at most 97% with 95 % confidence), in 3 trials at the median and 5 at most" in page
    assert "- **two-break-together**: named demo-shop." in page and "- **noindex**" not in page
    assert "Not measured yet" in corpus.table([], cases, [replace(right, sha256="of an older case")])


def test_the_page_has_a_section_for_each_cms_with_rates_of_its_own():
    of = [case for case in corpus.cases() if case.name in {"price-zero", "opencart/price-wrong", "bitrix/refactored"}]
    page = corpus.table([result(), result(case="opencart/price-wrong", verdict="PASS", reason="All passed.")], of)
    _, wordpress, opencart, bitrix, *_ = page.split("\n## ")
    assert wordpress.startswith("WordPress\n\n1 of 1 cases were run.")
    assert "| breaking updates that were let through | 0 of 1 (0%) | 95% |" in wordpress
    assert opencart.startswith("OpenCart 4, on the twin\n")
    assert "| breaking updates that were let through | 1 of 1 (100%) | 100% |" in opencart
    assert "- **missed**, opencart/price-wrong" in opencart
    assert "0 of 1 cases were run" in bitrix
    assert bitrix.endswith("### Not run, harmless: 1\n\nbitrix/refactored\n")


def test_the_gallery_shows_cases_that_are_there_and_each_kind_of_finding_once():
    names = {case.name for case in corpus.cases(cms=DEFAULT) if case.side == BAD}
    assert {shown.case for shown in gallery.GALLERY} <= names
    assert len({shown.check for shown in gallery.GALLERY}) == len(gallery.GALLERY)
    page = gallery.written({case.name: case for case in corpus.cases()})
    assert "## Order mail\n\nDo the customer and the shop get the same mail" in page
    assert "![order mail](findings/mail-without-total.png)" in page


def test_of_a_case_judged_several_times_a_wrong_verdict_counts_and_the_page_tells_how_often_they_agreed():
    caught, missed = result(), result(verdict="PASS", reason="All passed.")
    assert corpus.standing([missed, caught, caught])["price-zero"].outcome == "missed"
    newer = result(code="newer")
    assert corpus.standing([missed, newer])["price-zero"] == newer, "what older code missed is mended"
    assert corpus.repeated([caught, newer]) == "No case was repeated."
    steady = [result(case="white-page")] * 3
    told = "2 cases were judged 5 times by the same code, and 1 gave the same each time; not so: price-zero."
    assert corpus.repeated([*steady, caught, missed]) == told


def test_a_name_that_no_case_has_is_said_and_nothing_is_written_or_forgotten(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(judge, "RESULTS", tmp_path / "verdicts.jsonl")
    monkeypatch.setattr(judge, "VERDICTS", tmp_path / "verdicts.md")
    judge.RESULTS.write_text("kept\n")
    for name, value in (("ONLY", "no-such-case"), ("CMS", "all"), ("FRESH", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="no case of any shop has 'no-such-case'"):
        judge.main()
    assert (judge.RESULTS.read_text(), judge.VERDICTS.exists()) == ("kept\n", False)


def test_what_is_judged_side_by_side_takes_its_time_once():
    side_by_side = [result(seconds=60.0, ended=1060.0), result(seconds=60.0, ended=1090.0)]
    later = result(seconds=30.0, ended=5030.0)
    assert corpus.minutes([later, *side_by_side]) == 2.0
    assert corpus.minutes([result(seconds=60.0), result(seconds=60.0)]) == 2.0, (
        "when, is not known: one after the other"
    )


def test_cases_are_dealt_to_several_shops_and_a_shop_is_not_started_for_too_few():
    big = [Case(f"big-{it}", BAD, "price", "") for it in range(6)]
    small = [Case(f"opencart/small-{it}", BAD, "price", "") for it in range(2)]
    deal = judge.Deal([*small, *big])
    first, second = deal.shop(), deal.shop()
    assert first == (DEFAULT, "plain"), "where most is left"
    assert second == ("opencart", "plain"), "where nobody judges"
    assert [deal.case(second) for _ in range(3)] == [*small, None], "in their order"
    assert deal.shop() == first, "six are worth a second shop"
    assert [deal.case(first) for _ in range(3)] == big[:3]
    assert deal.shop() is None, "three are not"
    assert [deal.case(first) for _ in range(4)] == [*big[3:], None]


def test_the_last_shop_takes_what_is_left_even_one_case():
    deal = judge.Deal([Case("only", BAD, "price", "")])
    assert deal.shop() == (DEFAULT, "plain")


def test_nobody_is_sent_to_a_shop_that_does_not_stand():
    deal = judge.Deal([Case(f"case-{it}", BAD, "price", "") for it in range(9)])
    at = deal.shop()
    assert at is not None
    deal.give_up(at)
    assert deal.case(at) is None
    assert deal.shop() is None


def test_after_its_time_no_case_is_dealt():
    deal = judge.Deal([Case("late", BAD, "price", "")], until=1.0)
    assert deal.shop() is None
    assert deal.case((DEFAULT, "plain")) is None
