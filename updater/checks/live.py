"""Production itself, looked at and never bought from: does it show what staging showed, and what the clone shows?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from updater.checks import smoke
from updater.checks.observation import Observation, Target, is_address
from updater.fact import split_fact
from updater.language import counted, mark, sentence
from updater.log import Progress, Silent
from updater.model import Check, Finding, Site, Status

VALUES = frozenset({"product.name", "product.price", "products.listed", "checkout.fields"})
"""Facts that a faithful clone shares with production. Payment methods are not among them (staging has only an offline one), nor is
what depends on them, and pixels of live adverts and chats prove nothing."""
STAGING_ONLY = frozenset({"order-received", "search", "account"})
"""Pages that a flow opens after it placed its order or logged in: production is never asked for them."""
WITH_AN_ACCOUNT = ", with an account"
"""How the scope of a flow ends that logs in: staging alone knows what it saw."""
PAGE_FACTS = frozenset({"page.title", "page.canonical", "page.robots", "page.products"})


def expectations(tested: Observation) -> dict[str, str]:
    """What `standing_by` wants to find in production: values of the tested shop, by fact key, and `page.status [page, viewport]`."""
    values = {
        key: value
        for key, value in tested.facts.items()
        if split_fact(key)[0] in VALUES | PAGE_FACTS and not split_fact(key)[1].endswith(WITH_AN_ACCOUNT)
    }
    statuses = {f"page.status [{view.page}, {view.viewport}]": str(view.status) for view in tested.views}
    return {**values, **statuses}


@contextmanager
def standing_by(
    target: Target,
    site: Site,
    suite: Path,
    expected: Mapping[str, str],
    out: Path,
    progress: Progress | None = None,
    time_limit: float = 120.0,
) -> Iterator[Callable[[tuple[str, str]], tuple[Check, ...]]]:
    """What renders pages, cart and checkout of production in one window size, without pictures, once it is called: production is
    closed then and every second counts, so the browser runs already. It is given the cookie that passes the gate.

    After `time_limit` seconds the pass is ended and has failed: a page that hangs must not use up the closed window.

    `target` must be read-only: nothing is placed, sent or logged in to. `expected` as `expectations` gives it; a page that it
    names and that is not found fails. ValueError for a target that is not read-only, BrowserFailed when no browser starts.
    """
    if not target.read_only:
        raise ValueError("production is looked at: the target must be read_only")
    viewport = site.viewports[0]
    here = {key: value for key, value in expected.items() if split_fact(key)[2] == viewport.name}
    paths = tuple(dict.fromkeys(scope for _, scope, _ in map(split_fact, here) if is_address(scope)))
    narrowed = replace(site, viewports=(viewport,), pages=paths or site.pages, discover=False, smoke_tests=None)

    with smoke.standing_by(target, narrowed, suite, out, progress or Silent(), time_limit=time_limit) as look:

        def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
            seen = look(cookie)
            return _ran(seen), _as_expected(here, expectations(seen))

        yield check


def _ran(seen: Observation) -> Check:
    broken = [test for test in seen.tests if test.outcome != "passed"]
    findings = tuple(Finding("smoke test", test.name, test.message or test.outcome) for test in broken)
    if broken or seen.exit_code != 0:
        detail = sentence(
            "{broken} of {all} checks on production did not pass (exit {code})",
            broken=len(broken),
            all=len(seen.tests),
            code=seen.exit_code,
        )
        return Check("production pages", "production", Status.FAILED, detail, findings=findings, seconds=seen.seconds)
    detail = sentence("pages of production rendered, cart and checkout among them: {n}", n=len(seen.views))
    return Check("production pages", "production", Status.PASSED, detail, seconds=seen.seconds)


def _as_expected(expected: Mapping[str, str], found: Mapping[str, str]) -> Check:
    wanted = {key: value for key, value in expected.items() if split_fact(key)[1] not in STAGING_ONLY}
    findings = tuple(
        Finding(
            "production",
            key,
            f"{key}: {_otherwise(value, found.get(key))}",
            value,
            found.get(key, ""),
        )
        for key, value in wanted.items()
        if found.get(key) != value
    )
    name = "production values"
    if not wanted:
        return Check(
            name, "production", Status.INCONCLUSIVE, mark("nothing is known of the tested shop to compare with")
        )
    if findings:
        named = "; ".join(finding.message for finding in findings[:3])
        differ = sentence(
            "{differ} of {all} values differ from the tested shop's", differ=len(findings), all=len(wanted)
        )
        detail = f"{differ}: {named}"
        return Check(name, "production", Status.FAILED, detail, findings=findings)
    detail = counted("{n} value is that of the tested shop", "{n} values are those of the tested shop", len(wanted))
    return Check(name, "production", Status.PASSED, detail)


def _otherwise(tested: str, shown: str | None) -> str:
    if shown is None:
        return sentence("tested “{tested}”, production shows nothing", tested=tested)
    return sentence("tested “{tested}”, production shows “{shown}”", tested=tested, shown=shown)


def _unlike(shown: str, copy: str | None) -> str:
    if copy is None:
        return sentence("production “{shown}”, clone nothing", shown=shown)
    return sentence("production “{shown}”, clone “{copy}”", shown=shown, copy=copy)


def fidelity(production: Observation, clone: Observation) -> Check:
    """Whether the clone shows what production shows: status and title of pages, prices, number of products, form fields.

    A difference is INCONCLUSIVE, never a fault of the updates: what is tested would not be the shop.
    """
    live, copy = expectations(production), expectations(clone)
    # A clone keeps robots and canonical of its own accord; production may hide nothing from robots, staging everything.
    compared = {key for key in live if not key.startswith(("page.robots", "page.canonical"))}
    findings = tuple(
        Finding(
            "fidelity",
            key,
            f"{key}: {_unlike(live[key], copy.get(key))}",
            live[key],
            copy.get(key, ""),
        )
        for key in live
        if key in compared and copy.get(key) != live[key]
    )
    seconds = production.seconds
    if not compared:
        detail = mark("nothing could be read from production to compare the clone with")
        return Check("fidelity", "before", Status.INCONCLUSIVE, detail, seconds=seconds)
    if findings:
        named = "; ".join(finding.message for finding in findings[:3])
        differs = sentence(
            "values in which the clone differs from production: {differ} of {all}",
            differ=len(findings),
            all=len(compared),
        )
        detail = f"{differs}: {named}"
        return Check("fidelity", "before", Status.INCONCLUSIVE, detail, findings=findings, seconds=seconds)
    detail = counted(
        "{n} value is the same on production and the clone",
        "{n} values are the same on production and the clone",
        len(compared),
    )
    return Check("fidelity", "before", Status.PASSED, detail, seconds=seconds)
