"""The smallest set of updates that breaks the shop is found, in few trials, and nothing innocent is held back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.culprit import Culprit, Needs, changed, closed, find, named, reasons, split, without, words
from updater.model import (
    Check,
    Component,
    Evidence,
    Finding,
    Inventory,
    Migration,
    Plan,
    Search,
    Status,
    Trial,
    Tried,
    Update,
    Verdict,
)

PASS, FAIL, INCONCLUSIVE = Verdict("PASS"), Verdict.FAIL, Verdict.INCONCLUSIVE
CORE = "core:cms"


class Shop:
    """A shop that breaks when all of any guilty set are applied. Asked about no set twice, and about none that cannot be installed."""

    def __init__(self, *guilty: set[str], unknown: set[str] | None = None, needs: Needs | None = None) -> None:
        self.guilty, self.unknown, self.needs = guilty, unknown, needs or {}
        self.asked: list[frozenset[str]] = []

    def trial(self, some: frozenset[str]) -> Verdict:
        assert some not in self.asked, "asked twice"
        assert some, "the un-updated shop is known to pass"
        assert some == closed(some, self.needs), "what an update needs is not there"
        self.asked.append(some)
        if self.unknown is not None and self.unknown <= some:
            return INCONCLUSIVE
        return FAIL if any(guilty <= some for guilty in self.guilty) else PASS


def names(count: int) -> list[str]:
    return [f"plugin:{index:02d}" for index in range(count)]


@given(
    st.integers(2, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.none() | st.integers(0, n - 1))
    )
)
def test_one_culprit_is_found_in_few_trials_whatever_the_findings_name(case: tuple[int, int, int | None]) -> None:
    count, index, guess = case
    updates = names(count)
    shop = Shop({updates[index]})
    found = find(updates, shop.trial, likely=[] if guess is None else [updates[guess]])
    assert found == Culprit(frozenset([updates[index]]), len(shop.asked))
    proof_of_the_rest = 1
    assert len(shop.asked) + proof_of_the_rest <= 2 * math.log2(count) + 3


def test_an_update_that_the_findings_name_is_tried_first_and_alone() -> None:
    updates = names(16)
    shop = Shop({updates[11]})
    assert find(updates, shop.trial, likely=[updates[11], updates[2]]).broken == {updates[11]}
    assert shop.asked == [{updates[11]}]


@given(st.data())
def test_updates_that_only_break_together_are_named_together(data: st.DataObject) -> None:
    updates = names(data.draw(st.integers(2, 12)))
    guilty = set(data.draw(st.permutations(updates))[: data.draw(st.integers(1, min(3, len(updates))))])
    likely = data.draw(st.lists(st.sampled_from(updates), max_size=1))
    assert find(updates, Shop(guilty).trial, likely=likely).broken == guilty


@given(st.data())
def test_of_several_culprits_each_search_finds_one_whole(data: st.DataObject) -> None:
    """As the pipeline does: hold back what was found and ask again, until the rest passes."""
    updates = names(data.draw(st.integers(1, 10)))
    guilty = data.draw(st.lists(st.sets(st.sampled_from(updates), min_size=1, max_size=3), min_size=1, max_size=3))
    rest = tuple(updates)
    while any(some <= set(rest) for some in guilty):
        found = find(rest, Shop(*guilty).trial)
        assert any(some == found.broken for some in guilty)
        rest = without(rest, found.broken, {})


@given(st.data())
def test_an_update_is_never_tried_without_what_it_needs(data: st.DataObject) -> None:
    plugins = names(data.draw(st.integers(1, 10)))
    updates = [CORE, *plugins]
    needs = {plugin: frozenset([CORE]) for plugin in plugins if data.draw(st.booleans())}
    guilty = data.draw(st.sampled_from(updates))
    found = find(updates, Shop({guilty}, needs=needs).trial, needs=needs, likely=[data.draw(st.sampled_from(updates))])
    assert found.broken == {guilty}, (
        "the new core is not blamed for the plugin that needs it, nor the plugin for the core"
    )


def test_what_needs_a_culprit_stays_back_with_it() -> None:
    needs = {"plugin:a": frozenset([CORE]), "plugin:b": frozenset(["plugin:a"])}
    assert without([CORE, "plugin:a", "plugin:b", "plugin:c"], frozenset([CORE]), needs) == ("plugin:c",)


def test_an_update_that_makes_every_trial_inconclusive_hides_no_culprit() -> None:
    updates = names(8)
    found = find(updates, Shop({updates[6]}, unknown={updates[3]}).trial)
    assert found.broken == {updates[6]}


def test_what_was_only_ever_judged_together_is_named_together() -> None:
    updates = names(4)
    found = find(updates, lambda some: INCONCLUSIVE)
    assert found.broken == set(updates)
    assert "could not be told apart" in found.why


def test_one_inconclusive_trial_costs_no_precision_when_another_answers() -> None:
    updates = names(8)

    asked: list[frozenset[str]] = []

    def trial(some: frozenset[str]) -> Verdict:
        asked.append(some)
        return INCONCLUSIVE if len(asked) == 1 else FAIL if updates[6] in some else PASS

    assert find(updates, trial).broken == {updates[6]}


def test_a_culprit_whose_own_trial_is_inconclusive_draws_no_innocent_in() -> None:
    updates = names(4)

    def trial(some: frozenset[str]) -> Verdict:
        if some == {updates[3]}:
            return INCONCLUSIVE
        return FAIL if updates[3] in some else PASS

    assert find(updates, trial).broken == {updates[3]}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_it_gives_up_when_the_trials_run_out(most: int) -> None:
    updates = names(16)
    shop = Shop({updates[3], updates[12]})
    found = find(updates, shop.trial, most=most)
    assert len(shop.asked) == most
    assert found == Culprit(frozenset(), most, f"not found within {most} trials")


def test_findings_name_updates_by_id_by_path_and_by_a_file_that_only_one_changes() -> None:
    changed = {
        "plugin:shop": ["plugins/shop/shop.php", "plugins/shop/assets/checkout.js"],
        "plugin:gallery": ["plugins/gallery/gallery.php", "plugins/gallery/readme.txt"],
        "plugin:forms": ["plugins/forms/readme.txt"],
    }
    assert named(["TypeError: x is undefined (checkout.js:12)"], changed) == ("plugin:shop",)
    assert named(["staging: plugin:forms 1 → 2", "Fatal in /var/www/plugins/gallery/gallery.php:3"], changed) == (
        "plugin:gallery",
        "plugin:forms",
    )
    assert named(["readme.txt is gone"], changed) == (), "two changed a file of that name"


# ------------------------------------------------------------------------------------------------- plans and words


def an_update(kind: str, slug: str) -> Update:
    return Update(kind, slug, slug.title(), "1.0", "2.0", Path(f"/{slug}.zip"), "", "packages")


PLAN = Plan(
    Inventory(
        "cms",
        "6.1",
        "8.2",
        (
            Component("core", "cms", "CMS", "6.1", True, ""),
            Component("plugin", "shop", "Shop", "1.0", True, "plugins/shop"),
            Component("plugin", "shop-tax", "Shop Tax", "1.0", True, "plugins/shop-tax"),
        ),
    ),
    (an_update("core", "cms"), an_update("plugin", "shop"), an_update("plugin", "shop-tax")),
)


def test_each_changed_file_belongs_to_the_update_whose_folder_it_lies_in_and_the_rest_to_the_core() -> None:
    paths = ["index.php", "plugins/shop/a.php", "plugins/shop-tax/b.php", "plugins/hello.php"]
    assert changed(PLAN, paths) == {
        "core:cms": ["index.php", "plugins/hello.php"],
        "plugin:shop": ["plugins/shop/", "plugins/shop/a.php"],
        "plugin:shop-tax": ["plugins/shop-tax/", "plugins/shop-tax/b.php"],
    }


def test_only_what_failed_is_read_for_names() -> None:
    told = Finding("browser error", "checkout (desktop)", "TypeError (checkout.js:3)")
    seen = Evidence(
        (
            Check("browser errors", "compare", Status.FAILED, "1 new", findings=(told,)),
            Check("PHP errors", "compare", Status.PASSED, "", findings=(Finding("notice", "gallery.php", "old"),)),
        )
    )
    trial = Trial((), {}, {}, Migration(), "plugin:shop cannot be applied")
    assert words(seen, trial) == ["plugin:shop cannot be applied", "checkout (desktop) TypeError (checkout.js:3)"]


def test_the_reason_is_what_the_smallest_failing_trial_found() -> None:
    search = Search(
        ("plugin:shop",),
        (
            Tried(("core:cms", "plugin:shop"), FAIL, "too much", 40.0),
            Tried(("plugin:shop",), FAIL, "“Place order” did nothing", 40.0),
            Tried(("core:cms",), PASS, "fine", 40.0),
        ),
    )
    assert reasons(PLAN, search, "the whole") == {"plugin:shop": "“Place order” did nothing"}
    assert reasons(PLAN, Search(("plugin:shop",), ()), "the whole") == {"plugin:shop": "the whole"}


def test_updates_that_only_break_together_name_each_other() -> None:
    told = reasons(PLAN, Search(("plugin:shop", "plugin:shop-tax"), ()), "the total doubled")
    assert told["plugin:shop"] == "together with Shop-Tax 2.0: the total doubled"
    assert told["plugin:shop-tax"] == "together with Shop 2.0: the total doubled"


def test_a_plan_goes_on_without_the_culprit_and_what_needs_it() -> None:
    needs = {"plugin:shop-tax": frozenset(["core:cms"])}
    rest, held = split(PLAN, {"core:cms": "a white page"}, needs)
    assert [update.id for update in rest.updates] == ["plugin:shop"]
    assert held == {"core:cms": "a white page", "plugin:shop-tax": "needs Cms, which is held back"}
