"""`make corpus`: every case of a CMS, judged by the pipeline on a running shop; writes docs/verdicts.md.

    make corpus                         all of WordPress that this code has not judged yet; a run that was cut off goes on
    make corpus CMS=opencart            those of another one: opencart, opencart-3, bitrix, or all
    make corpus ONLY=price              the cases whose name or kind has this in it
    make corpus N=10 SEED=7             five bad and five benign ones, drawn; the seed is printed
    make corpus REPEAT=3                each until it was judged three times; of a case that is wrong once, the wrong verdict counts
    make corpus MINUTES=25              begin no further case after that; the sample of `make test` first, the rest drawn, one shop after the other
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
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
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
Prove = Callable[[Case], pipeline.Proven]


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
        with written.open("a", encoding="utf-8") as stream:
            stream.write(kind.site.format(address=shop.address))
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


def write_page(results: Sequence[Result] | None = None) -> None:
    """docs/verdicts.md. `results`: None for those that fit the cases as they are, whichever code gave them."""
    whole = corpus.cases()
    shas = {case.name: corpus.sha256(case) for case in whole}
    if results is None:
        results = [it for it in corpus.load(RESULTS) if it.sha256 == shas.get(it.case)]
    VERDICTS.write_text(corpus.table(results, whole, corpus.load_named()), encoding="utf-8")
    print(f"{VERDICTS.relative_to(ROOT)} is written")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the shop and its clone are removed
    names = ("CMS", "ONLY", "N", "SEED", "REPEAT", "MINUTES", "FRESH", "KEEP", "PAGE")
    asked = {name: os.environ.get(name, "") for name in names}
    cms = "" if asked["CMS"] == "all" else asked["CMS"] or DEFAULT
    if cms and cms not in KINDS:
        sys.exit(f"make corpus: no shop {cms!r}; there are {', '.join(KINDS)}, and all")
    code, whole = corpus.code_sha256(), corpus.cases()
    wanted = corpus.cases(asked["ONLY"], cms)
    if asked["FRESH"]:
        corpus.forget(RESULTS, {case.name for case in whole if cms in ("", case.cms)})
    seed = int(asked["SEED"] or random.SystemRandom().randrange(10**6))
    if asked["N"]:
        wanted = corpus.draw(wanted, int(asked["N"]), seed)
    print(f"{len(wanted)} cases, SEED={seed}", flush=True)
    shas = {case.name: corpus.sha256(case) for case in whole}

    def known() -> list[Result]:
        fits = (it for it in corpus.load(RESULTS) if it.sha256 == shas.get(it.case))
        return [it for it in fits if asked["KEEP"] or it.code == code]

    times = int(asked["REPEAT"] or 1)
    ready = Counter(result.case for result in known())
    waiting = [case for case in wanted for _ in range(times - ready[case.name])]
    random.Random(seed).shuffle(waiting)
    first = {name for names in corpus.SAMPLE.values() for name in names}
    waiting.sort(key=lambda case: (list(KINDS).index(case.cms), case.shop, f"{case.side}/{case.name}" not in first))
    until = time.monotonic() + 60 * float(asked["MINUTES"] or 24 * 60)
    if asked["PAGE"]:
        waiting = []
    for (kind, state), group in groupby(waiting, key=lambda case: (case.cms, case.shop)):
        if time.monotonic() > until:
            break
        with (
            tempfile.TemporaryDirectory(prefix="updater-corpus-") as workdir,
            proving(kind, state, Path(workdir)) as ground,
        ):
            for case in group:
                if time.monotonic() > until:
                    break
                result = judged(ground.prove, case)
                corpus.keep(RESULTS, result)
                said = f"{case.side}/{case.name}  {result.seconds:.0f} s  {result.reason[:150]}"
                print(f"{result.outcome:>12}  {said}", flush=True)
                if result.outcome not in (CAUGHT, QUIET):
                    kept = Path(tempfile.mkdtemp(prefix=f"updater-odd-{case.name.replace('/', '-')}-"))
                    shutil.copytree(ground.site.state / "runs", kept, dirs_exist_ok=True)
                    print(f"{'':>12}  what was seen lies in {kept}", flush=True)
    write_page(known())
    right = {name for name, it in corpus.standing(known()).items() if it.outcome in (CAUGHT, QUIET)}
    return 0 if {case.name for case in wanted} <= right else 1


if __name__ == "__main__":
    raise SystemExit(main())
