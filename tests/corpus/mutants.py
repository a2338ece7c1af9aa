"""`make mutants`: plugin code with one thing changed by lot, judged by the pipeline and, apart from it, by orders placed; writes docs/mutants.md.

    make mutants N=60 SEED=7      sixty, drawn; the seed is printed
    make mutants MINUTES=25       begin no further one after that; those that were never judged come first, then those of older code
    make mutants PAGE=1           judge nothing, write the page from the results that are there

What a mutant does to an order is told by oracle.py, which knows nothing of the checks. Nobody chose what is broken here: these rates tell what
the corpus, whose cases were thought of, cannot. Results stand in docs/mutants.jsonl, which is committed; a run that was cut off goes on.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import corpus
from corpus import ROOT, Case
from judge import judged, proving
from kinds import KINDS
from oracle import differences, oracle

from updater.demo_shop import DEFAULT
from updater.model import Verdict

RESULTS = ROOT / "docs" / "mutants.jsonl"
PAGE = ROOT / "docs" / "mutants.md"
PLUGINS = ("demo-shop", "demo-gallery")
DROPPED = ""
"""Stands for a line that goes"""

_PHP, _JS, _CSS = (".php",), (".js",), (".css",)
RULES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("hook dropped", _PHP, r"^\s*add_(?:action|filter|shortcode)\(.*\);$", DROPPED),
    ("hook dropped", _JS, r"^\s*\w+\.addEventListener\(.*\);$", DROPPED),
    ("include dropped", _PHP, r"^require .*;$", DROPPED),
    ("statement dropped", _PHP + _JS, r"^\t+(?!return|break|exit|add_)[$\w>\-\[\]' ]+(?:\(.*\)| [-+]?= .*);$", DROPPED),
    ("declaration dropped", _CSS, r"^\t[\w-]+:.*;$", DROPPED),
    ("selector renamed", _CSS, r"^(\.[\w-]+)", r"\1-new"),
    ("selector renamed", _JS, r"((?:querySelector|querySelectorAll|getElementById|matches)\( '[^']+)'", r"\1-new'"),
    ("attribute renamed", _PHP, r'(<\w[^<>]*? (?:name|id|class)="[\w-]+)', r"\1-new"),
    ("key renamed", _PHP, r"'(\w+)'(\s+=> )", r"'\1_new'\2"),
    ("condition turned", _PHP, r"\bif \( ! ", "if ( "),
    ("condition turned", _PHP + _JS, r" === ", " !== "),
    ("operator changed", _PHP, r"(\$[\w\]\['\s>-]+?) \+ ", r"\1 - "),
    ("operator changed", _PHP, r"(\$[\w\]\['>-]+) \* ", r"\1 + "),
    ("operator changed", _PHP, r" > ", " >= "),
    ("operator changed", _PHP, r" && ", " || "),
    ("number changed", _PHP, r"(?<![\w.'$-])(\d{2,})(?![\w'])", r"1\1"),
    ("nothing returned", _PHP, r"^(\t+)return (?!;|null).+;$", r"\1return null;"),
)
"""kind, files, what is looked for in a line, what it becomes"""
_COMMENT = re.compile(r"^\s*(?:\*|//|/\*)")


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    kind: str
    path: str
    """Below plugins/"""
    line: int
    was: str
    becomes: str
    case: Case


@dataclass(frozen=True, slots=True)
class Result:
    mutant: str
    kind: str
    place: str
    was: str
    becomes: str
    orders: tuple[str, ...]
    """What the oracle saw go otherwise; () when orders are as before"""
    verdict: str
    reason: str
    seconds: float
    code: str
    commit: str

    @property
    def column(self) -> int:
        """0–2: harms orders and was caught, missed, undecided; 3–5: does not and was rejected, passed, undecided."""
        judged = {Verdict.FAIL.value: 0, Verdict.PASS.value: 1}.get(self.verdict, 2)
        return judged + (0 if self.orders else 3)


def sources() -> dict[str, str]:
    """Path below plugins/ → text, of all that may be changed."""
    trees = {plugin: KINDS[DEFAULT].base(plugin, Path()) for plugin in PLUGINS}
    return {
        f"{plugin}/{path}": text
        for plugin, tree in trees.items()
        for path, text in tree.items()
        if isinstance(text, str)
    }


def places() -> list[Mutant]:
    """Every change that the rules allow, by file and line. Two of one line are two."""
    found = []
    for path, text in sources().items():
        lines = text.split("\n")
        for kind, suffixes, looked_for, becomes in RULES:
            for number, line in enumerate(lines) if path.endswith(suffixes) else ():
                if _COMMENT.match(line) or "ABSPATH" in line:
                    continue
                for match in re.finditer(looked_for, line):
                    new = line[: match.start()] + match.expand(becomes) + line[match.end() :]
                    found.append(_mutant(kind, path, lines, number, new))
    return found


def _mutant(kind: str, path: str, lines: Sequence[str], number: int, new: str) -> Mutant:
    """The line with as many of those around it as make it the only one of its file."""
    text = "\n".join(lines)
    around = 0
    while True:
        before, after = lines[max(0, number - around) : number], lines[number + 1 : number + 1 + around]
        was = "\n".join([*before, lines[number], *after])
        if text.count(was) == 1:
            break
        around += 1
    becomes = "\n".join([*before, new, *after])
    case = Case("mutant", "mutant", kind, "", change={path: [(was, becomes)]})
    return Mutant(
        f"{path}:{number + 1} {kind}", kind, path, number + 1, lines[number].strip(), new.strip() or "(dropped)", case
    )


def drawn(number: int, seed: int) -> list[Mutant]:
    """One of each kind in turn, until there are so many; the same for the same seed."""
    lot = random.Random(seed)
    kinds: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in places():
        kinds[mutant.kind].append(mutant)
    for there in kinds.values():
        lot.shuffle(there)
    chosen: list[Mutant] = []
    while len(chosen) < number and any(kinds.values()):
        chosen += [there.pop() for there in kinds.values() if there]
    return chosen[:number]


def changed(mutant: Mutant) -> str:
    """Its file as it becomes."""
    plugin, _, path = mutant.path.partition("/")
    return str(corpus.files(mutant.case, plugin, Path())[path])


def load() -> list[Result]:
    if not RESULTS.exists():
        return []
    entries = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    return [Result(**{**entry, "orders": tuple(entry["orders"])}) for entry in entries]


def judge(mutants: Iterable[Mutant]) -> Iterator[Result]:
    """Each ordered from and then judged, on two shops that know nothing of each other."""
    with tempfile.TemporaryDirectory(prefix="updater-mutants-") as workdir, oracle(Path(workdir, "oracle")) as order:
        sound = order({})
        again = order({})
        if differences(sound, again):
            raise SystemExit(f"the oracle does not say the same twice of one shop: {differences(sound, again)}")
        with proving(DEFAULT, "plain", Path(workdir, "judge")) as ground:
            for mutant in mutants:
                seen = order({mutant.path: changed(mutant)})
                result = judged(ground.prove, mutant.case)
                yield Result(
                    mutant.name, mutant.kind, f"{mutant.path}:{mutant.line}", mutant.was, mutant.becomes,
                    tuple(differences(sound, seen)), result.verdict, result.reason[:300], result.seconds, result.code,
                    result.commit,
                )  # fmt: skip


def table(results: Iterable[Result]) -> str:
    """docs/mutants.md: both rates, each kind, and every one that is not caught or passed as its orders say."""
    seen = list(results)
    harmful = [it for it in seen if it.orders]
    missed = [it for it in harmful if it.column == 1]
    commits = ", ".join(sorted({it.commit for it in seen})) or "no commit yet"
    lines = [
        HEAD.format(number=len(seen), commits=commits, rules=len({rule[0] for rule in RULES}), places=len(places()))
    ]
    if harmful:
        bound = corpus.at_most(len(missed), len(harmful))
        lines.append(
            f"**{len(harmful)} of {len(seen)} do harm to orders; {len(missed)} of these were let through** "
            f"({len(missed) / len(harmful):.0%}; at most {bound:.0%} with 95 % confidence).\n\n"
        )
    lines.append(COLUMNS)
    kinds: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for result in seen:
        kinds[result.kind][result.column] += 1
    for kind, counts in sorted(kinds.items()):
        lines.append(f"| {kind} | {' | '.join(map(str, counts))} |\n")
    for column, title in (
        (1, "Harms orders and was let through"),
        (2, "Harms orders, inconclusive"),
        (3, "Does no harm to orders and was rejected: does the shop look or behave otherwise all the same?"),
        (5, "Does no harm to orders, inconclusive"),
    ):
        there = [it for it in seen if it.column == column]
        if there:
            lines.append(f"\n## {title}\n\n")
        for it in there:
            said = "; ".join(it.orders) if it.orders and column < 2 else it.reason
            was, becomes = _apart(it.was, it.becomes)
            lines.append(f"- `{it.place}` {it.kind}: `{was}` → `{becomes}`. {_plain(said)}\n")
    return "".join(lines)


def _apart(was: str, becomes: str) -> tuple[str, str]:
    """Both as Markdown code, from a little before where they part."""
    same = next((i for i, (a, b) in enumerate(zip(was, becomes, strict=False)) if a != b), min(len(was), len(becomes)))
    begin = max(0, same - 40)
    short = ["…" * (begin > 0) + text[begin : same + 60].replace("`", "'") for text in (was, becomes)]
    return short[0], short[1]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("<", "‹")[:250]


HEAD = """# Mutants

Written by `make mutants`: {number} changes of one line, drawn by lot from {places} that {rules} kinds of rules allow in the demo's own plugins,
judged at {commits}. What each does to an order was told by two customers of `tests/corpus/oracle.py` (a desk and a telephone: what they are shown and
charged, what stands in the database and in the mail, what is refused). It shares no code with the checks, and nobody chose the mutants.
What does no harm to an order may still be rightly rejected: a style that is gone, an error in the log, a page that no longer says what it said.

"""
COLUMNS = """| kind | harms orders: caught | missed | inconclusive | harmless to orders: rejected | passed | inconclusive |
|---|---|---|---|---|---|---|
"""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that both shops are removed
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    wanted = [] if os.environ.get("PAGE") else drawn(int(os.environ.get("N") or 60), seed)
    code = corpus.code_sha256()
    ready, before = {it.mutant for it in load() if it.code == code}, {it.mutant for it in load()}
    waiting = sorted((it for it in wanted if it.name not in ready), key=lambda it: it.name in before)
    until = time.monotonic() + 60 * float(os.environ.get("MINUTES") or 24 * 60)
    print(f"{len(wanted)} mutants of {len(places())}, SEED={seed}, {len(waiting)} of them to be judged", flush=True)
    for result in judge(itertools.takewhile(lambda _: time.monotonic() < until, waiting)) if waiting else ():
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
        print(
            f"{result.verdict:>12}  {result.mutant}  orders: {'; '.join(result.orders)[:100] or 'as before'}",
            flush=True,
        )
    last = {it.mutant: it for it in load()}
    PAGE.write_text(table(last.values()), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
