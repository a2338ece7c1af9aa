"""The corpus' cases fit the demo's plugins, and what is published of them is what was seen."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import corpus
import pytest
from corpus import BAD, BENIGN, Case, Result


def result(side: str = BAD, verdict: str = "FAIL", **changes) -> Result:
    plain = Result("price-zero", side, "price", verdict, "facts: 3 differ", (), True, False, 40.0, "c", "s", "abc1234")
    return replace(plain, **changes)


def test_every_case_makes_a_package_of_a_newer_version(tmp_path):
    for case in corpus.cases():
        folder = corpus.package(case, tmp_path / "packages")
        assert sorted(path.name for path in folder.iterdir()) == [f"{name}-1.0.1.zip" for name in case.plugins]
        for plugin in case.plugins:
            with zipfile.ZipFile(folder / f"{plugin}-1.0.1.zip") as archive:
                assert b" * Version: 1.0.1\n" in archive.read(f"{plugin}/{plugin}.php"), case.name


def test_there_are_enough_of_both_and_each_kind_is_written_one_way():
    cases = corpus.cases()
    assert len([case for case in cases if case.side == BAD]) >= 40
    assert len({case.kind for case in cases if case.side == BAD}) >= 15
    assert len([case for case in cases if case.side == BENIGN]) >= 40
    assert len({case.name for case in cases}) == len(cases)
    assert {case.shop for case in cases} == {"plain", "restless"}


def test_an_edit_that_does_not_fit_is_refused(tmp_path):
    case = Case("odd", BAD, "price", "", change={"demo-shop/includes/cart.php": [("no such text", "")]})
    with pytest.raises(ValueError, match=r"odd: demo-shop/includes/cart.php holds 0 × 'no such text'"):
        corpus.package(case, tmp_path / "packages")


def test_a_draw_is_the_same_for_a_seed_and_half_of_each_side():
    drawn = corpus.draw(corpus.cases(), 10, seed=7)
    assert drawn == corpus.draw(corpus.cases(), 10, seed=7)
    assert [case.side for case in drawn] == [BAD] * 5 + [BENIGN] * 5
    assert drawn != corpus.draw(corpus.cases(), 10, seed=8)


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
    assert page.endswith("## Not run, breaking: 1\n\nnoindex\n")
