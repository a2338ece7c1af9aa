"""The corpus: small updates of the demo shops, breaking and harmless ones, and what the verdict says of each.

A case is one YAML file in `bad/` or `benign/`, for another CMS than the first in `<cms>/bad/` or `<cms>/benign/` (README.md says what
stands in it). Its update is a real package, made of what the demo's shop consists of (kinds.py); what judges it is the pipeline as it is:
the CMS's own way to update, staging, smoke tests, pictures, facts, logs.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import shutil
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml
from kinds import COMPANY, KINDS, Kind, Tree

from updater.demo_shop import DEFAULT
from updater.model import Verdict
from updater.pipeline import Proven

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CULPRITS = ROOT / "docs" / "culprits.jsonl"
BAD, BENIGN = "bad", "benign"
OFFERED = "1.0.1"
JUDGING = ("updater", "smoke_tests", "stacks", "demo", "tests/corpus/shops")
"""All that a verdict depends on and that stands in this repository"""

CAUGHT, MISSED, QUIET, FALSE_ALARM, UNDECIDED, REFUSED = (
    "caught", "missed", "quiet", "false alarm", "inconclusive", "error",
)  # fmt: skip

SAMPLE: Mapping[str, Mapping[str, str]] = {
    DEFAULT: {
        "bad/delivery-method-gone": "facts: checkout.delivery",
        "bad/error-500-on-posts": "PHP errors: ",
        "bad/mail-empty": "order mail: mail.recipients",
        "bad/noindex": "facts: page.robots",
        "bad/order-total-wrong": "facts: order.total",
        "bad/sends-orders-abroad": "calls: ",
        "bad/stock-not-reduced": "orders: ",
        "bad/warning-logged": "PHP errors: ",
        "benign/asset-renamed": "",
        "benign/column-added": "",
        "benign/css-hover": "",
        "benign/files-moved": "",
        "benign/hidden-field": "",
        "benign/option-stored": "",
        "benign/preload-added": "",
        "benign/refactored-cart": "",
    },
    "opencart": {
        "bad/opencart/order-mail-not-sent": "order mail: ",
        "bad/opencart/stock-not-reduced": "orders: ",
        "benign/opencart/refactored": "",
    },
}
"""What `make test` judges of each CMS, the bad ones `together` in one update, the harmless ones in another; `make corpus` has them first, each alone.
Case → how its finding begins, which together with what the case itself `finds` is no other's; '' for a harmless one. Pictures have none: they
would change for several at once."""


@dataclass(frozen=True, slots=True)
class Case:
    """`change`: `<unit>/<path>` → (text as it is, text as it becomes), each standing there exactly once."""

    name: str
    """`<cms>/<name of the file>` for another CMS than the first"""
    side: str
    kind: str
    says: str
    shop: str = "plain"
    finds: str = ""
    """What a reason or a finding has to name, so that the engineer knows where to look"""
    change: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    new: Mapping[str, str] = field(default_factory=dict)
    remove: Sequence[str] = ()
    version: str = OFFERED

    @property
    def cms(self) -> str:
        return self.name.rpartition("/")[0] or DEFAULT

    @property
    def of(self) -> Kind:
        return KINDS[self.cms]

    @property
    def units(self) -> list[str]:
        touched = {path.partition("/")[0] for path in (*self.change, *self.new, *self.remove)}
        return sorted((touched or {self.of.unit}) | set(self.of.along))


@dataclass(frozen=True, slots=True)
class Result:
    case: str
    side: str
    kind: str
    verdict: str
    reason: str
    findings: tuple[str, ...]
    named: bool
    """Whether what `finds` asks for was said"""
    held: bool
    """Never applied: the plan itself held it back"""
    seconds: float
    code: str
    """`code_sha256()` of the program that judged"""
    sha256: str
    """of the case"""
    commit: str
    ended: float = 0.0
    """Unix time; 0 in results from before this was kept"""

    @property
    def outcome(self) -> str:
        if self.held:
            return CAUGHT if self.side == BAD else FALSE_ALARM
        if self.verdict == Verdict.INCONCLUSIVE:
            return UNDECIDED
        if self.verdict not in (Verdict.PASS, Verdict.FAIL):
            return REFUSED
        if self.side == BAD:
            return CAUGHT if self.verdict == Verdict.FAIL else MISSED
        return QUIET if self.verdict == Verdict.PASS else FALSE_ALARM


# ---------------------------------------------------------------------------------------------------------- cases


def cases(only: str = "", cms: str = "") -> list[Case]:
    """All of them, by name. `only`: those whose name, side or kind has this in it. `cms`: those of this CMS, '' for each."""
    found = [
        read(path, it) for it in KINDS for side in (BAD, BENIGN) for path in sorted(folder(it, side).glob("*.yml"))
    ]
    return [case for case in found if only in f"{case.side}/{case.name} {case.kind}" and cms in ("", case.cms)]


def folder(cms: str, side: str) -> Path:
    return HERE / side if cms == DEFAULT else HERE / cms / side


def draw(of: Sequence[Case], number: int, seed: int) -> list[Case]:
    """As many bad as benign ones, in the corpus' order; the same ones for the same seed."""
    lot = random.Random(seed)
    drawn: set[str] = set()
    for side, wanted in ((BAD, number // 2 + number % 2), (BENIGN, number // 2)):
        there = [case.name for case in of if case.side == side]
        drawn |= set(lot.sample(there, min(wanted, len(there))))
    return [case for case in of if case.name in drawn]


def read(path: Path, cms: str = DEFAULT) -> Case:
    data = yaml.load(
        path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )  # safe, and quick where libyaml is
    change = {file: [(edit["was"], edit["is"]) for edit in edits] for file, edits in data.pop("change", {}).items()}
    name = path.stem if cms == DEFAULT else f"{cms}/{path.stem}"
    return Case(name=name, side=path.parent.name, change=change, **data)


def sha256(case: Case) -> str:
    return hashlib.sha256(json.dumps(asdict(case), sort_keys=True).encode()).hexdigest()


def code_sha256() -> str:
    """Of `JUDGING`."""
    seen = hashlib.sha256()
    for folder in JUDGING:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                seen.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return seen.hexdigest()


def files(case: Case, unit: str, releases: Path) -> Tree:
    """The new version of this unit. `releases`: the packages that its kind names. ValueError when an edit does not fit."""
    held = dict(case.of.base(unit, releases))
    edits = {path: [edit] for path, edit in case.of.raise_version(unit, case.version, held).items()}
    for path, wanted in case.change.items():
        if path.startswith(f"{unit}/"):
            edits.setdefault(path.removeprefix(f"{unit}/"), []).extend(wanted)
    for path, wanted in edits.items():
        for was, becomes in wanted:
            text = held.get(path, "")
            assert isinstance(text, str)
            if text.count(was) != 1:
                raise ValueError(f"{case.name}: {unit}/{path} holds {text.count(was)} × {was!r}")
            held[path] = text.replace(was, becomes)
    held |= {path.removeprefix(f"{unit}/"): text for path, text in case.new.items() if path.startswith(f"{unit}/")}
    for path in case.remove:
        if path.startswith(f"{unit}/"):
            del held[path.removeprefix(f"{unit}/")]
    return held


def package(case: Case, into: Path, releases: Path) -> dict[str, Tree]:
    """A folder with the packages of this case, as a source of updates. What is in them: unit → its files."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    made = {unit: files(case, unit, releases) for unit in case.units}
    for unit, tree in made.items():
        for name, content in case.of.packages(unit, case.version, tree, releases).items():
            (into / name).write_bytes(content)
    return made


def together(of: Sequence[Case]) -> Case:
    """One update with the edits of all these, of one side and one CMS."""
    change: dict[str, list[tuple[str, str]]] = {}
    for case in of:
        for path, edits in case.change.items():
            change.setdefault(path, []).extend(edits)
    new = {path: text for case in of for path, text in case.new.items()}
    remove = [path for case in of for path in case.remove]
    name = f"{of[0].cms}/together" if of[0].cms != DEFAULT else "together"
    says = "; ".join(case.name for case in of)
    return Case(name, of[0].side, "several at once", says, change=change, new=new, remove=remove)


# -------------------------------------------------------------------------------------------------------- results


def findings_of(proven: Proven) -> list[str]:
    """`<check>: <where>: <message>` of each finding that is a reason to say no."""
    broken = [check for check in proven.evidence.checks if check.required and check.status != "passed"]
    return [f"{check.name}: {finding.where}: {finding.message}" for check in broken for finding in check.findings]


def judged(case: Case, proven: Proven, seconds: float) -> Result:
    findings = findings_of(proven)
    said = "\n".join([*proven.judgement.reasons, *findings])
    return Result(
        case.name,
        case.side,
        case.kind,
        proven.judgement.verdict.value,
        reason=proven.judgement.reasons[0],
        findings=tuple(text[:300] for text in findings[:20]),
        named=case.finds in said,
        held=not proven.trial.applied,
        seconds=round(seconds, 1),
        code=code_sha256(),
        sha256=sha256(case),
        commit=commit(),
        ended=round(time.time(), 1),
    )


def broken_off(case: Case, error: Exception, seconds: float) -> Result:
    """The pipeline itself failed: no verdict at all."""
    known = {"seconds": round(seconds, 1), "code": code_sha256(), "sha256": sha256(case), "commit": commit()}
    return Result(
        case.name,
        case.side,
        case.kind,
        "none",
        str(error),
        (),
        named=False,
        held=False,
        **known,
        ended=round(time.time(), 1),
    )


@dataclass(frozen=True, slots=True)
class Named:
    """What the search for the culprit came to. `units`: what breaks the shop; `found`: what was named."""

    case: str
    units: tuple[str, ...]
    found: tuple[str, ...]
    trials: int
    why: str
    """What is not known; '' after a search that found all"""
    seconds: float
    code: str
    sha256: str
    commit: str

    @property
    def right(self) -> bool:
        return set(self.found) == set(self.units)


def load_named() -> list[Named]:
    entries = map(json.loads, CULPRITS.read_text(encoding="utf-8").splitlines()) if CULPRITS.exists() else ()
    return [Named(**{**it, "units": tuple(it["units"]), "found": tuple(it["found"])}) for it in entries]


def load(path: Path) -> list[Result]:
    if not path.exists():
        return []
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Result(**{**entry, "findings": tuple(entry["findings"])}) for entry in entries]


def keep(path: Path, result: Result) -> None:
    """Appended at once: a corpus that is cut off goes on where it stood."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")


def forget(path: Path, names: Collection[str]) -> None:
    """Whatever these cases, and those that are no more, gave before."""
    of = {case.name for case in cases()} - set(names)
    kept = [it for it in load(path) if it.case in of]
    path.unlink(missing_ok=True)
    for result in kept:
        keep(path, result)


def at_most(wrong: int, of: int, confidence: float = 0.95) -> float:
    """The highest rate that so many wrong ones among `of` leave possible (Clopper and Pearson, one-sided)."""
    if wrong >= of:
        return 1.0

    def so_few(rate: float) -> float:
        return sum(math.comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(wrong + 1))

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if so_few(middle) > 1 - confidence else (low, middle)
    return high


def standing(results: Iterable[Result]) -> dict[str, Result]:
    """Of each case the result that counts: by the code that judged it last, and of several the one that is wrong, if one is."""
    counts: dict[str, Result] = {}
    for result in results:
        before = counts.get(result.case)
        if before is None or before.code != result.code or before.outcome in (CAUGHT, QUIET):
            counts[result.case] = result
    return counts


def repeated(results: Iterable[Result]) -> str:
    """How often the same code gave the same for the same case, in a sentence."""
    judged: dict[tuple[str, str], list[str]] = defaultdict(list)
    for result in results:
        judged[result.case, result.code].append(result.outcome)
    often = {case: outcomes for (case, _), outcomes in judged.items() if len(outcomes) > 1}
    if not often:
        return "No case was repeated."
    odd = sorted(case for case, outcomes in often.items() if len(set(outcomes)) > 1)
    times = sum(map(len, often.values()))
    told = f"; not so: {', '.join(odd)}" if odd else ""
    return f"{len(often)} cases were judged {times} times by the same code, and {len(often) - len(odd)} gave the same each time{told}."


def minutes(results: Iterable[Result]) -> float:
    """How long something was judged: what was judged side by side counts once."""
    spent, until = 0.0, 0.0
    for began, ended in sorted((it.ended - it.seconds, it.ended) for it in results):
        if ended <= 0:  # when, is not known
            spent += ended - began
        else:
            spent += max(0.0, ended - max(began, until))
            until = max(until, ended)
    return spent / 60


def table(results: Sequence[Result], of: Sequence[Case], culprits: Sequence[Named] = ()) -> str:
    """docs/verdicts.md: of each CMS both rates, each kind, each case that did not go as it should; and what the search named."""
    there = {case.name: case for case in of}
    counts = standing(results)
    seen = [counts[name] for name in there if name in counts]
    commits = ", ".join(sorted({it.commit for it in seen})) or "no commit yet"
    head = HEAD.format(commits=commits, ran=len(seen), cases=len(of), minutes=minutes(seen), repeated=repeated(results))
    page = [head]
    for cms, kind in KINDS.items():
        cases = {name: case for name, case in there.items() if case.cms == cms}
        if cases:
            page.append(f"\n## {kind.title}\n\n")
            page += _section([it for it in seen if it.case in cases], cases)
    page.append(BLIND)
    page += _searched([it for it in culprits if it.case in there and it.sha256 == sha256(there[it.case])])
    return "".join(page)


def _searched(seen: Sequence[Named]) -> list[str]:
    lines = ["\n## Which one broke it\n\n"]
    if not seen:
        return [*lines, "Not measured yet (`make culprits`).\n"]
    last = {it.case: it for it in seen}
    wrong = [it for it in last.values() if not it.right]
    trials = [it.trials for it in last.values()]
    lines.append(
        f"{len(last)} breaking updates, drawn, were each offered together with {len(COMPANY)} harmless ones of other plugins. The search named "
        f"what breaks the shop and nothing else in **{len(last) - len(wrong)} of {len(last)}** (wrong: at most {at_most(len(wrong), len(last)):.0%} "
        f"with 95 % confidence), in {statistics.median(trials):.0f} trials at the median and {max(trials)} at most, "
        f"{statistics.median(it.seconds for it in last.values()):.0f} s with the first look at all of them together.\n"
    )
    lines += [f"- **{it.case}**: named {', '.join(it.found) or 'none'}. {_plain(it.why)}\n" for it in wrong]
    return lines


def _section(seen: Sequence[Result], of: Mapping[str, Case]) -> list[str]:
    by_side = {side: [it for it in seen if it.side == side] for side in (BAD, BENIGN)}
    lines = [f"{len(seen)} of {len(of)} cases were run.\n\n", RATES]
    for side, wrong, title in (
        (BAD, MISSED, "breaking updates that were let through"),
        (BENIGN, FALSE_ALARM, "harmless updates that were rejected"),
    ):
        ran = by_side[side]
        if not ran:
            lines.append(f"| {title} | none was tried | |\n")
            continue
        bad = [it for it in ran if it.outcome == wrong]
        bound = at_most(len(bad), len(ran))
        lines.append(f"| {title} | {len(bad)} of {len(ran)} ({len(bad) / len(ran):.0%}) | {bound:.0%} |\n")
    undecided = [it for it in seen if it.outcome in (UNDECIDED, REFUSED)]
    lines.append(f"| inconclusive: never deployed, and of no help either | {len(undecided)} of {len(seen)} | |\n")
    named = [it for it in by_side[BAD] if it.outcome == CAUGHT]
    right = sum(1 for it in named if it.named)
    lines.append(f"| of those caught, the finding names what broke | {right} of {len(named)} | |\n")
    for side, title in ((BAD, "Breaking updates"), (BENIGN, "Harmless updates")):
        lines.append(f"\n### {title}\n\n{BY_KIND}")
        kinds: dict[str, list[Result]] = defaultdict(list)
        for result in by_side[side]:
            kinds[result.kind].append(result)
        for kind, ran in sorted(kinds.items()):
            tally = [sum(1 for it in ran if it.outcome in names) for names in _COLUMNS]
            lines.append(
                f"| {kind} | {' | '.join(map(str, tally))} | {statistics.median(it.seconds for it in ran):.0f} |\n"
            )
    lines.append("\n### What did not go as it should\n\n")
    odd = [it for it in seen if it.outcome not in (CAUGHT, QUIET) or not it.named]
    lines += [f"- **{it.outcome}**, {it.case} ({of[it.case].says}) {_plain(it.reason)}\n" for it in odd]
    if not odd:
        lines.append("Nothing of what was run.\n")
    names = {it.case for it in seen}
    for side, title in ((BAD, "breaking"), (BENIGN, "harmless")):
        left = [case.name for case in of.values() if case.side == side and case.name not in names]
        if left:
            lines.append(f"\n### Not run, {title}: {len(left)}\n\n{', '.join(left)}\n")
    return lines


_COLUMNS = ((CAUGHT, QUIET), (MISSED, FALSE_ALARM), (UNDECIDED, REFUSED))
HEAD = """# How far a verdict can be trusted

Written by `make corpus`: {ran} of {cases} cases were run, judged at {commits}. Each case is an update of what a demo shop consists of
(`tests/corpus/`), applied and judged by the pipeline as it is, alone and on a fresh checkpoint. The goal is that no breaking update is let through
and no harmless one rejected. Rates are of the cases that were run; what another shop meets is as varied as shops are.

WordPress is the demo's own shop. OpenCart and 1C-Bitrix are twins written by hand, and their cases a sample: they show that the same harness and
the same detectors work there, not how good they are on a real one.

{repeated} Of a case that was judged several times a wrong verdict counts.
On two cores they took {minutes:.0f} minutes, those side by side counted once; a machine that is busy with other things easily takes twice as long.
"""
BLIND = """
## What nothing here looks at

An update that breaks only one of these passes, unless a test of the client's own or a line in site.yml looks there:

- **Forms other than the checkout's** (contact, comments, newsletter): looked at and not sent. A test in the client's repository may send them.
- **What only somebody signed in sees**: an account's pages and what becomes of a cart at login are walked through on WooCommerce alone; of the
  administration a page or two is opened, and nothing is clicked.
- **Other products than the ones ordered**: pages of the sitemap are drawn and must answer as before, their prices are compared where a picture or a
  fact shows them. What is sold with a rare option, in another language or currency, or to another group of customers is not tried.
- **Online payment and delivery services** without a recording in site.yml (docs/recordings.md): that they are offered is compared, what they are
  told is not.
- **Redirects of old addresses** that no sitemap lists: name them in `pages`.
- **Exchange with others**: feeds, exports to a warehouse or to 1C, webhooks. Calls to new hosts are found, a changed content is not.
- **Mail other than the order's**, and what is sent later, by a queue or a newsletter.
- **Many visitors at once**: speed is measured one request at a time.
- **Background jobs of OpenCart and 1C-Bitrix**, and those of WordPress for which half a minute is not enough.
"""
RATES = "| | of the cases | at most, with 95 % confidence |\n|---|---|---|\n"
BY_KIND = "| kind | right | wrong | inconclusive | median seconds |\n|---|---|---|---|---|\n"


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "/")[:300]


def commit() -> str:
    """The one that is checked out, `-dirty` when something in `JUDGING` is not as committed: results, which are kept meanwhile, do not count."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", *JUDGING)
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
