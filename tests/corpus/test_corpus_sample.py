"""Of the corpus the two cases that `make test` can afford, in one window size; `make corpus` has all of them."""

from __future__ import annotations

import corpus
from run import judge

SAMPLE = ("delivery-method-gone", "column-added")


def test_a_breaking_update_is_caught_and_named_and_a_harmless_one_passes(tmp_path):
    cases = [case for case in corpus.cases() if case.name in SAMPLE]
    bad, benign = judge(cases, "plain", tmp_path, narrow=True)
    assert (bad.case, bad.outcome, bad.named) == ("delivery-method-gone", "caught", True), bad
    assert (benign.case, benign.outcome) == ("column-added", "quiet"), benign
