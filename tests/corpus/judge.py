"""`make corpus`: every case of a CMS, judged by the pipeline on a running shop; writes docs/verdicts.md.

    make corpus                         all of WordPress that this code has not judged yet; a run that was cut off goes on
    make corpus CMS=opencart            those of another one: opencart, opencart-3, bitrix, or all
    make corpus ONLY=price              the cases whose name or kind has this in it
    make corpus N=10 SEED=7             five bad and five benign ones, drawn; the seed is printed
    make corpus REPEAT=3                each until it was judged three times; of a case that is wrong once, the wrong verdict counts
    make corpus MINUTES=25              begin no further case after that; of each shop the sample of `make test` first, the rest drawn
    make corpus SHOPS=1                 one shop at a time, not two: a case waits for pages nearly half of its time
    make corpus FRESH=1                 forget earlier results of that CMS
    make corpus KEEP=1                  results of older code count too; the page names every commit that judged
    make corpus PAGE=1                  judge nothing, write the page from the results that are there

Results stand in docs/verdicts.jsonl, which is committed: another machine goes on with them.
Exit 0 when every case asked for was run and went as it should.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import corpus
import kinds
from corpus import CAUGHT, QUIET, ROOT, Case, Result
from kinds import KINDS

from updater import config, pipeline
from updater.demo_shop import DEFAULT, DemoShop
from updater.errors import UpdaterError
from updater.journal import Journal
from updater.log import Silent
from updater.model import Allowed, Search, Site

RESULTS = ROOT / "docs" / "verdicts.jsonl"
VERDICTS = ROOT / "docs" / "verdicts.md"
SHOPS = 2
"""At once, on two cores"""
Prove = Callable[[Case], pipeline.Proven]
Where = tuple[str, str]
"""The CMS and the state of its shop (`Case.shop`)"""


@dataclass(frozen=True, slots=True)
class Ground:
    """One clone of a shop, where each case begins at the same checkpoint.

    `search`: which of the case's units and their `company` break the shop, None when they do not."""

    site: Site
    prove: Prove
    search: Callable[[Case], Search | None]


@contextmanager
def proving(
    cms: str,
    state: str,
    workdir: Path,
    *,
    narrow: bool = False,
    look: Mapping[str, Allowed] | None = None,
    company: Sequence[str] = (),
) -> Iterator[Ground]:
    """A shop in this state (`Case.shop`), cloned, and what proves cases on it.

    `narrow`: in one window size only. `look`: policy.new_look. `company`: plugins of `company/` that the shop has besides, each with
    a harmless update that is offered along with every case."""
    kind = KINDS[cms]
    with DemoShop.start(workdir / "shop", kind=cms) as shop:
        path = corpus.HERE / "shops" / f"{state}.php"
        if path.exists():
            kinds.lay(shop, kind.states, path)
        kind.prepare(shop)
        if company:
            kinds.install(shop, company)
        written = shop.write_site(workdir / "site", kind.releases)
        if path.with_suffix("").is_dir():
            kinds.settle(shop, path.with_suffix(""), written)
        site = config.load(written)
        site = replace(site, policy=replace(site.policy, new_look=look or {}))
        if narrow:
            site = replace(site, viewports=site.viewports[:1])
        with closing(Journal(site.state)) as journal, pipeline.proving_ground(site, journal, Silent()) as ground:

            def packed(case: Case) -> Path:
                made = corpus.package(case, workdir / "packages", workdir / "site" / "packages")
                for unit, tree in made.items():
                    kind.serve(shop, unit, tree)
                for plugin in company:
                    kinds.update_of(plugin, workdir / "packages")
                return workdir / "packages"

            yield Ground(site, lambda case: ground.prove(packed(case)), lambda case: ground.search(packed(case)))


def judged(prove: Prove, case: Case) -> Result:
    """What `proving` gives, for this case, timed."""
    begun = time.monotonic()
    try:
        proven = prove(case)
    except UpdaterError as error:
        return corpus.broken_off(case, error, time.monotonic() - begun)
    return corpus.judged(case, proven, time.monotonic() - begun)


class Deal:
    """The cases that are left, for several shops at once: dealt out where they are judged soonest."""

    WORTH = 3
    """So many cases take as long as a shop and its clone to stand"""

    def __init__(self, cases: Iterable[Case], until: float = float("inf")) -> None:
        """`until`: no case is dealt after that (time.time)."""
        self._left: dict[Where, deque[Case]] = defaultdict(deque)
        for case in cases:
            self._left[case.cms, case.shop].append(case)
        self._stands: Counter[Where] = Counter()
        self._until = until
        self._lock = threading.Lock()

    def shop(self) -> Where | None:
        """Where to go next: where the fewest judge and most is left. None when it is not worth a shop of one's own."""
        with self._lock:
            worth = [at for at, left in self._left.items() if len(left) > (self.WORTH if self._stands[at] else 0)]
            if not worth or time.time() > self._until:
                return None
            best = min(worth, key=lambda at: (self._stands[at], -len(self._left[at])))
            self._stands[best] += 1
            return best

    def case(self, at: Where) -> Case | None:
        """The next one there; None when there is none: whoever asked leaves."""
        with self._lock:
            if self._left[at] and time.time() <= self._until:
                return self._left[at].popleft()
            self._stands[at] -= 1
            return None

    def give_up(self, at: Where) -> None:
        """Nobody is sent there any more: what broke one process would break the next."""
        with self._lock:
            self._left[at].clear()


class Dealer(BaseManager):
    """One `Deal` for several processes."""

    Deal: Callable[..., Deal]


Dealer.register("Deal", Deal)


def work(deal: Deal) -> None:
    """Judge what is dealt, shop after shop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the shop and its clone are removed
    while at := deal.shop():
        try:
            with (
                tempfile.TemporaryDirectory(prefix="updater-corpus-") as workdir,
                proving(*at, Path(workdir)) as ground,
            ):
                while case := deal.case(at):
                    _judge_one(ground, case)
        except Exception:  # noqa: BLE001 - of one shop; the others are judged all the same
            traceback.print_exc()
            print(f"{'not judged':>12}  what is left of {'/'.join(at)}: see above", flush=True)
            deal.give_up(at)


def _judge_one(ground: Ground, case: Case) -> None:
    result = judged(ground.prove, case)
    corpus.keep(RESULTS, result)
    said = f"{case.side}/{case.name}  {result.seconds:.0f} s  {result.reason[:150]}"
    print(f"{result.outcome:>12}  {said}", flush=True)
    if result.outcome not in (CAUGHT, QUIET):
        kept = Path(tempfile.mkdtemp(prefix=f"updater-odd-{case.name.replace('/', '-')}-"))
        shutil.copytree(ground.site.state / "runs", kept, dirs_exist_ok=True)
        print(f"{'':>12}  what was seen lies in {kept}", flush=True)


def judge(waiting: Sequence[Case], shops: int, until: float) -> None:
    """Each case, on so many shops at once. A shop that does not stand leaves its cases unjudged; the others go on."""
    process = get_context("spawn").Process
    with Dealer(ctx=get_context("spawn")) as dealer:
        deal = dealer.Deal(waiting, until)
        working = [process(target=work, args=(deal,)) for _ in range(shops)]
        try:
            for one in working:
                one.start()
            for one in working:
                one.join()
        finally:
            for one in working:
                if one.is_alive():
                    one.terminate()
                one.join()


def write_page(results: Sequence[Result] | None = None) -> None:
    """docs/verdicts.md. `results`: None for those that fit the cases as they are, whichever code gave them."""
    whole = corpus.cases()
    shas = {case.name: corpus.sha256(case) for case in whole}
    if results is None:
        results = [it for it in corpus.load(RESULTS) if it.sha256 == shas.get(it.case)]
    VERDICTS.write_text(corpus.table(results, whole, corpus.load_named()), encoding="utf-8")
    print(f"{VERDICTS.relative_to(ROOT)} is written")


def _number(name: str, written: str, default: int) -> int:
    if not written:
        return default
    if not written.isascii() or not written.isdecimal() or int(written) < 1:
        sys.exit(f"make corpus: {name}={written} must be a whole number from 1 on")
    return int(written)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the shop and its clone are removed
    names = ("CMS", "ONLY", "N", "SEED", "REPEAT", "MINUTES", "SHOPS", "FRESH", "KEEP", "PAGE")
    asked = {name: os.environ.get(name, "") for name in names}
    cms = "" if asked["CMS"] == "all" else asked["CMS"] or DEFAULT
    if cms and cms not in KINDS:
        sys.exit(f"make corpus: no shop {cms!r}; there are {', '.join(KINDS)}, and all")
    usual = {"N": 0, "SEED": random.SystemRandom().randrange(1, 10**6), "REPEAT": 1, "MINUTES": 24 * 60, "SHOPS": SHOPS}
    drawn, seed, times, limit, shops = (_number(name, asked[name], number) for name, number in usual.items())
    code, whole = corpus.code_sha256(), corpus.cases()
    wanted = corpus.cases(asked["ONLY"], cms)
    if not wanted:
        sys.exit(
            f"make corpus: no case of {cms or 'any shop'} has {asked['ONLY']!r} in its name or kind; tests/corpus/ holds them all"
        )
    if asked["FRESH"]:
        corpus.forget(RESULTS, {case.name for case in whole if cms in ("", case.cms)})
    if drawn:
        wanted = corpus.draw(wanted, drawn, seed)
    print(f"{len(wanted)} cases, SEED={seed}", flush=True)
    shas = {case.name: corpus.sha256(case) for case in whole}

    def known() -> list[Result]:
        fits = (it for it in corpus.load(RESULTS) if it.sha256 == shas.get(it.case))
        return [it for it in fits if asked["KEEP"] or it.code == code]

    ready = Counter(result.case for result in known())
    waiting = [case for case in wanted for _ in range(times - ready[case.name])]
    random.Random(seed).shuffle(waiting)
    first = {name for names in corpus.SAMPLE.values() for name in names}
    waiting.sort(key=lambda case: f"{case.side}/{case.name}" not in first)
    if waiting and not asked["PAGE"]:
        begun = time.monotonic()
        judge(waiting, shops, time.time() + 60 * limit)
        print(f"{(time.monotonic() - begun) / 60:.0f} minutes", flush=True)
    write_page(known())
    right = {name for name, it in corpus.standing(known()).items() if it.outcome in (CAUGHT, QUIET)}
    return 0 if {case.name for case in wanted} <= right else 1


if __name__ == "__main__":
    raise SystemExit(main())
