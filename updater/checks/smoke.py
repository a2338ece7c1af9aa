"""One pass over the shop: smoke_tests/ by pytest in a process of its own, read back as an Observation."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import cattrs

from updater.checks import fields, paying
from updater.checks.browser import BrowserFailed, find_chromium
from updater.checks.facts import UNSETTLED
from updater.checks.observation import (
    Crawl,
    Departure,
    LogLine,
    Observation,
    PageView,
    Shot,
    Target,
    Test,
    is_address,
)
from updater.cms.base import Jobs, ShopState
from updater.fact import fact_key, split_fact
from updater.log import Progress, Silent
from updater.model import Site, Viewport

PATIENCE = 20.0
"""Seconds that a customer waits for a click to do something."""
TIME_LIMIT = 900.0
"""Seconds for one pass. A pass that takes longer is killed and is never a success."""
START_LIMIT = 60.0
"""Seconds that a browser may take to start."""
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
    job = {**_job(target, site, out, like, pictures), "payments": methods, "patience": patience, "fault": fault}
    folders = _folders(suite, site)
    with _started(job, chromium, folders, out, hurried=hurried) as process:
        exit_code = _follow(process, out, progress, time_limit)
    seconds = time.monotonic() - begun
    seen = _read(out, exit_code)
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
    """A pass without pictures whose browser runs already and has asked the shop for nothing: it begins when it is called, with the
    cookie that passes the gate. So a shop that is closed meanwhile waits for no browser to start.

    `time_limit` counts from there. BrowserFailed when the browser does not start: nothing has been closed yet.
    """
    out.mkdir(parents=True, exist_ok=True)
    chromium, folders = find_chromium(), _folders(suite, site)
    ours, theirs = socket.socketpair()
    with ours, theirs, _started(_job(target, site, out, None, False), chromium, folders, out, gate=theirs) as process:
        theirs.close()
        ours.settimeout(START_LIMIT)
        try:
            said = ours.makefile(encoding="utf-8").readline().strip()
        except TimeoutError:
            said = f"it took longer than {START_LIMIT:.0f} s"
        if said != "ready":
            _kill(process)
            _follow(process, out, Silent(), START_LIMIT)
            raise BrowserFailed(
                "the browser that looks at the shop did not come to its start",
                where=str(chromium),
                cause=said or _last_words((out / "pytest.log").read_text(encoding="utf-8")),
                hint=f"{chromium} --headless --version must work; {out / 'pytest.log'} has all of it",
            )

        def begin(cookie: tuple[str, str]) -> Observation:
            begun = time.monotonic()
            with suppress(OSError):  # it died while it waited: its exit code tells so
                ours.sendall(json.dumps(cookie).encode() + b"\n")
            seen = _read(out, _follow(process, out, progress, time_limit))
            observation = _observation(
                out, seen, _gaps(seen, site, (), folders, None, hurried=False), time.monotonic() - begun
            )
            save(observation)
            return observation

        yield begin


def _observation(out: Path, seen: _Seen, faults: Sequence[str], seconds: float) -> Observation:
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


def _job(target: Target, site: Site, out: Path, like: Observation | None, pictures: bool) -> dict[str, Any]:
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
        "out": str(out.resolve()),
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


def _command(folders: Sequence[Path], out: Path, hurried: bool) -> list[str]:
    return [
        sys.executable,
        "-B",  # the folders may be installed read-only
        "-m",
        "pytest",
        "-v",
        *(["--exitfirst"] if hurried else []),
        "--disable-plugin-autoload",  # what else is installed has no part in a verdict, and takes a second of each pass
        "-p",
        "shop_plugin",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",  # the client's test_checkout.py may stand beside ours
        f"--rootdir={folders[0].parent}",
        "-c",
        str(folders[0].parent / "pytest.ini"),
        f"--junitxml={out.resolve() / 'junit.xml'}",
        *map(str, folders),
    ]


@contextmanager
def _started(
    job: Mapping[str, Any],
    chromium: Path,
    folders: Sequence[Path],
    out: Path,
    *,
    hurried: bool = False,
    gate: socket.socket | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """pytest in a process of its own, ended at the end of the block. `gate`: it waits there before its first test."""
    for stale in ("junit.xml", "seen.jsonl"):
        (out / stale).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="updater-smoke-") as home:
        # The job holds what production's web server asks for: it lives outside `out`, which becomes an artefact.
        file = Path(home, "job.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "LANG": "C.UTF-8",
            "UPDATER_SMOKE": str(file),
            "UPDATER_CHROMIUM": str(chromium),
            **({"UPDATER_SMOKE_GATE": str(gate.fileno())} if gate else {}),
        }
        with subprocess.Popen(
            _command(folders, out, hurried),
            cwd=folders[0].parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=[gate.fileno()] if gate else [],
            start_new_session=True,  # so that Chromium dies with it, and Ctrl-C is ours to handle
        ) as process:
            try:
                yield process
            finally:
                _kill(process)


def _follow(process: subprocess.Popen[str], out: Path, progress: Progress, limit: float) -> int:
    """pytest's exit code, or a negative number when it crashed or was killed for taking too long. `pytest.log` has its words."""
    timer = threading.Timer(limit, _kill, [process])
    timer.daemon = True  # Ctrl-C may come while it starts, and the program must not wait for it at its end
    try:
        timer.start()
        assert process.stdout is not None
        with (out / "pytest.log").open("w", encoding="utf-8") as log:
            for line in process.stdout:
                log.write(line)
                ended = re.match(r"(\S*::\S.*?) (PASSED|FAILED|ERROR|SKIPPED)\b", line)
                if ended:
                    progress.say(f"{ended[1].rpartition('::')[2]}: {ended[2].lower()}")
        return process.wait()
    finally:
        timer.cancel()


def _kill(process: subprocess.Popen[str]) -> None:
    """End the whole session. Playwright's driver and Chromium end when the pipe to their parent closes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True, slots=True)
class _Seen:
    tests: tuple[Test, ...]
    views: tuple[PageView, ...]
    shots: tuple[Shot, ...]
    facts: Mapping[str, str]
    departures: tuple[Departure, ...]
    collected: int
    files: tuple[Path, ...]
    log: str
    exit_code: int


def _read(out: Path, exit_code: int) -> _Seen:
    views: list[PageView] = []
    shots: list[Shot] = []
    facts: dict[str, str] = {}
    departures: list[Departure] = []
    collected: list[str] = []
    record = out / "seen.jsonl"
    for line in record.read_text(encoding="utf-8").split("\n")[:-1] if record.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            break  # the line that a crash cut in half is the last one; the exit code tells of the crash
        match entry.pop("kind"):
            case "view":
                views.append(_CONVERTER.structure(entry, PageView))
            case "shot":
                shots.append(_CONVERTER.structure(entry, Shot))
            case "fact":
                facts[fact_key(entry["name"], entry["scope"], entry["viewport"])] = entry["value"]
            case "departure":
                departures.append(_CONVERTER.structure(entry, Departure))
            case "collected":
                collected = entry["files"]
    log = out / "pytest.log"
    said = log.read_text(encoding="utf-8") if log.exists() else ""
    return _Seen(
        tests=_junit(out / "junit.xml"),
        views=tuple(views),
        shots=tuple(shots),
        facts=facts,
        departures=tuple(departures),
        collected=len(collected),
        files=tuple(Path(file) for file in collected),
        log=said,
        exit_code=exit_code,
    )


def _junit(path: Path) -> tuple[Test, ...]:
    """The tests in pytest's JUnit report, () when it wrote none. A test that fails and then breaks down in teardown stands twice."""
    if not path.exists():
        return ()
    tests = []
    for case in ElementTree.parse(path).iter("testcase"):  # noqa: S314 - written by the pytest that we started
        outcome, message = "passed", ""
        for kind, name in (("skipped", "skipped"), ("failure", "failed"), ("error", "error")):
            found = case.find(kind)
            if found is not None:
                outcome, message = name, _message(found)
        module = (case.get("classname") or "").rpartition(".")[2]
        tests.append(Test(f"{module}::{case.get('name')}", outcome, message, float(case.get("time") or 0)))
    return tuple(tests)


def _message(found: ElementTree.Element) -> str:
    """What the test itself said; of a module that cannot be imported the last line, which names the mistake."""
    short = (found.get("message") or "").removeprefix("Failed: ")
    if short and short != "collection failure":
        return short
    lines = [line.strip() for line in (found.text or "").strip().splitlines() if line.strip()]
    return ": ".join([*([short] if short else []), *lines[-1:]])


def _gaps(
    seen: _Seen, site: Site, methods: Sequence[str], folders: Sequence[Path], pictures: Path | None, hurried: bool
) -> list[str]:
    """Why this pass proves nothing, whatever pytest's exit code says. Empty when every required test ran."""
    gaps = []
    if seen.exit_code < 0:
        gaps.append(f"the tests were killed by signal {-seen.exit_code}: they crashed or ran out of time (pytest.log)")
    elif not seen.tests:
        gaps.append(f"no test ran (pytest ended with {seen.exit_code}): {_last_words(seen.log)}")
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


def _missing(seen: _Seen, site: Site) -> list[str]:
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


def _last_words(log: str) -> str:
    return " ".join(log.split())[-500:] or "it said nothing"


def _without_picture(seen: _Seen, folder: Path) -> list[str]:
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
