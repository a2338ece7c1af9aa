"""One pass over the shop: what smoke_tests/ saw of it (walk.py), whether that proves anything, and what its database and logs say."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cattrs

from updater.checks import fields, paying, walk
from updater.checks.browser import BrowserFailed, find_chromium
from updater.checks.facts import UNSETTLED
from updater.checks.observation import Crawl, LogLine, Observation, Target, Test, is_address
from updater.cms.base import Jobs, ShopState
from updater.fact import split_fact
from updater.log import Progress
from updater.model import Site, Viewport

PATIENCE = 20.0
"""Seconds that a customer waits for a click to do something."""
TIME_LIMIT = 900.0
"""Seconds for one pass. A pass that takes longer is killed and is never a success."""
DID_NOT_RUN = 5
"""pytest's own exit code for "no tests collected", used for every pass that proves nothing."""


def observe(
    target: Target,
    site: Site,
    suite: Path,
    out: Path,
    progress: Progress,
    *,
    state: Callable[[], ShopState] | None = None,
    jobs: Callable[[], Jobs] | None = None,
    errors: Callable[[], tuple[LogLine, ...]] | None = None,
    crawl: Callable[[], Crawl] | None = None,
    like: Observation | None = None,
    pictures: bool = True,
    hurried: bool = False,
    pays: bool = False,
    patience: float = PATIENCE,
    fault: str = "",
    time_limit: float = TIME_LIMIT,
) -> Observation:
    """Walk through the shop as `suite` (smoke_tests/<cms>) and the client's own tests say; everything seen lands in `out`.

    `state` is asked before and after, `jobs` (they may change everything) after it, `errors` last, `crawl` once and first.
    `like`: visit the pages and the product that this observation visited, so that a link which the update removed is missed and
    not overlooked. `hurried`: end at the first test that fails; a pass without a failure is the same either way. `pays`: also by
    each of site.yml's `payments`, whose callbacks are then replayed. `fault`: a script laid over every page (detector.py).
    A failing shop is a result and no exception; BrowserFailed when there is no Chromium.
    """
    out.mkdir(parents=True, exist_ok=True)
    chromium = find_chromium()
    crawled = crawl() if crawl else None
    state_before = state() if state else ShopState()
    begun = time.monotonic()
    payments = site.payments if pays else ()
    methods = [payment.method for payment in payments]
    job = {**_job(target, site, like, pictures), "payments": methods, "patience": patience, "fault": fault}
    folders = _folders(suite, site)
    with walk.started(job, chromium, folders, out, root=folders[0].parent, hurried=hurried) as walking:
        seen = walking.follow(progress, time_limit)
    seconds = time.monotonic() - begun
    faults = _gaps(seen, site, methods, folders, out if pictures else None, hurried)
    placed = state() if state else ShopState()
    answers = paying.replay(target, payments, seen.facts, placed)
    finished = state() if state and answers else placed
    observation = replace(
        _observation(out, seen, faults, seconds),
        facts={**seen.facts, **paying.facts(payments, seen.facts, placed, finished, answers)},
        state_before=state_before,
        state_after=finished,
        jobs=jobs() if jobs else None,  # before the logs are read, and after the database was
        errors=errors() if errors else (),
        crawl=crawled,
    )
    save(observation)
    return observation


@contextmanager
def standing_by(
    target: Target, site: Site, suite: Path, out: Path, progress: Progress, *, time_limit: float = TIME_LIMIT
) -> Iterator[Callable[[tuple[str, str]], Observation]]:
    """A pass without pictures whose browsers run already and have asked the shop for nothing: it begins when it is called, with the
    cookie that passes the gate. So a shop that is closed meanwhile waits for no browser to start, nor for the flows before its
    pages are looked at: each file of `suite` has a browser of its own, which a shop that is only looked at bears.

    `time_limit` counts from there. BrowserFailed when a browser does not start: nothing has been closed yet.
    """
    chromium, job, root = find_chromium(), _job(target, site, None, False), suite.resolve().parent
    with ExitStack() as stack:
        walks = [
            stack.enter_context(walk.started(job, chromium, [tests], out / tests.stem, root=root, at_gate=True))
            for tests in sorted(suite.resolve().glob("test_*.py"))
        ]
        for walking in walks:
            missing = walking.stands_by()
            if missing:
                raise BrowserFailed(
                    "the browser that looks at the closed shop did not start; nothing was touched",
                    where=str(chromium),
                    cause=missing,
                    hint=f"{chromium} --headless --version must work; {walking.log} has more",
                )

        def begin(cookie: tuple[str, str]) -> Observation:
            begun = time.monotonic()
            for walking in walks:
                walking.begin(cookie)
            end = begun + time_limit
            # All walk at once; what they say is read of one after the other.
            seen = walk.together([walking.follow(progress, max(0.0, end - time.monotonic())) for walking in walks])
            faults = _gaps(seen, site, (), [suite.resolve()], None, hurried=False)
            observation = _observation(out, seen, faults, time.monotonic() - begun)
            save(observation)
            return observation

        yield begin


def _observation(out: Path, seen: walk.Seen, faults: Sequence[str], seconds: float) -> Observation:
    """What pytest saw; `faults` say why it proves nothing."""
    return Observation(
        folder=out,
        exit_code=(seen.exit_code or DID_NOT_RUN) if faults else seen.exit_code,
        tests=(*seen.tests, *(Test("the pass itself", "error", fault) for fault in faults)),
        views=seen.views,
        shots=seen.shots,
        facts=seen.facts,
        seconds=round(seconds, 1),
        departures=seen.departures,
    )


def _folders(suite: Path, site: Site) -> list[Path]:
    """Of the tests: the CMS's own first."""
    return [suite.resolve(), *([site.smoke_tests.resolve()] if site.smoke_tests else [])]


def save(observation: Observation) -> Path:
    """Write `observation.json` into its folder, whole or not at all."""
    path = observation.folder / "observation.json"
    temporary = path.with_suffix(".new")
    data = {**_CONVERTER.unstructure(observation), "folder": ""}
    temporary.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
    temporary.replace(path)
    return path


def looked(folder: Path) -> bool:
    """Whether an observation was written there: an export brings only that of the updated shop."""
    return (folder / "observation.json").is_file()


def load(folder: Path) -> Observation:
    """The observation that `observe` wrote there. FileNotFoundError when it never ended."""
    data = json.loads((folder / "observation.json").read_text(encoding="utf-8"))
    return _CONVERTER.structure({**data, "folder": str(folder)}, Observation)


_CONVERTER = cattrs.Converter()
_CONVERTER.register_unstructure_hook(Path, str)
_CONVERTER.register_structure_hook(Path, lambda value, _: Path(value))


def _job(target: Target, site: Site, like: Observation | None, pictures: bool) -> dict[str, Any]:
    hosts = {urlsplit(target.url).hostname or "": "", **target.hosts}
    flows = [replace(flow, product=flow.product or _product(like, flow.name)) for flow in site.flows]
    seen_pages = tuple(dict.fromkeys(view.page for view in like.views if is_address(view.page))) if like else ()
    return {
        "url": target.url,
        "hosts": {host: address for host, address in hosts.items() if address},
        "recorded": dict(target.recorded),
        "trust_any_certificate": target.trust_any_certificate,
        "log_in": target.log_in,
        "read_only": target.read_only,
        "pictures": pictures,
        "known": {viewport.name: _stood_still(like, viewport) for viewport in site.viewports} if like else {},
        "flows": [{**asdict(flow), "fill": dict(flow.fill), "selectors": dict(flow.selectors)} for flow in flows],
        "pages": list(dict.fromkeys((*site.pages, *seen_pages))),
        "discover": site.discover and like is None,
        "viewports": [asdict(viewport) for viewport in site.viewports],
        "masks": [asdict(mask) for mask in site.masks],
        "payments": (),
        "salt": fields.SALT,
        "patience": PATIENCE,
        "fault": "",
    }


def _product(like: Observation | None, flow: str) -> str | None:
    for key, value in (like.facts if like else {}).items():
        name, scope, _ = split_fact(key)
        if (name, scope) == ("product.path", flow):
            return value
    return None


def _stood_still(seen: Observation, viewport: Viewport) -> dict[str, str]:
    """Page → SHA-256 of its picture, of those that were the same twice in a row."""
    moving = {
        scope for name, scope, where in map(split_fact, seen.facts) if (name, where) == (UNSETTLED, viewport.name)
    }
    return {shot.page: shot.sha256 for shot in seen.shots if shot.viewport == viewport.name and shot.page not in moving}


def _gaps(
    seen: walk.Seen, site: Site, methods: Sequence[str], folders: Sequence[Path], pictures: Path | None, hurried: bool
) -> list[str]:
    """Why this pass proves nothing, whatever pytest's exit code says. Empty when every required test ran."""
    gaps = []
    if seen.exit_code < 0:
        gaps.append(f"the tests were killed by signal {-seen.exit_code}: they crashed or ran out of time (pytest.log)")
    elif not seen.tests:
        gaps.append(f"no test ran (pytest ended with {seen.exit_code}): {seen.last_words}")
    elif len(seen.tests) < seen.collected and not (hurried and seen.exit_code == 1):
        gaps.append(f"only {len(seen.tests)} of {seen.collected} tests ran")
    if not site.flows:
        gaps.append("site.yml lists no flow: nothing proves that the shop sells")
    for folder in folders:
        if seen.exit_code >= 0 and not any(path.is_relative_to(folder) for path in seen.files):
            gaps.append(f"{folder} holds no test")
    if seen.exit_code == 0:
        gaps += _missing(seen, site)
        tried = {paying.method_of(departure.scope) for departure in seen.departures}
        gaps += [f"nobody paid by {method} (site.yml: payments)" for method in methods if method not in tried]
        gaps += _without_picture(seen, pictures) if pictures else []
    return gaps


def _missing(seen: walk.Seen, site: Site) -> list[str]:
    """What a pass without a failure must have left: each flow in each window size, and the picture of each page opened."""
    gaps = []
    for viewport in site.viewports:
        for flow in site.flows:
            if not any(test.name.endswith(f"[{flow.name}-{viewport.name}]") for test in seen.tests):
                gaps.append(f"the flow {flow.name!r} did not run on {viewport.name}")
        if not any(view.viewport == viewport.name for view in seen.views):
            gaps.append(f"no page was opened on {viewport.name}")
    gaps += [f"{test.name} was skipped: {test.message}" for test in seen.tests if test.outcome == "skipped"]
    return gaps


def _without_picture(seen: walk.Seen, folder: Path) -> list[str]:
    """Pages opened without a picture, and pictures whose file is gone or altered."""
    shots = {(shot.page, shot.viewport): shot for shot in seen.shots}
    gaps = []
    for view in seen.views:
        shot = shots.get((view.page, view.viewport))
        file = folder / shot.file if shot else None
        if shot is None or file is None or not file.is_file():
            gaps.append(f"there is no picture of {view.page} on {view.viewport}")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != shot.sha256:
            gaps.append(f"the picture of {view.page} on {view.viewport} is not the one that was taken")
    return gaps
