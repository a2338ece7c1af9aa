"""`make corpus`: every case, judged by the pipeline on a real shop; writes docs/verdicts.md.

    make corpus                         all that this code has not judged yet; a run that was cut off goes on
    make corpus ONLY=price              the cases whose name or kind has this in it
    make corpus N=10 SEED=7             five bad and five benign ones, drawn; the seed is printed
    make corpus MINUTES=25              begin no further case after that; what was tried is then a fair draw
    make corpus FRESH=1                 forget earlier results
    make corpus KEEP=1                  results of older code count too; the page names every commit that judged
    make corpus PAGE=1                  judge nothing, write the page from the results that are there

Results stand in .corpus/results.jsonl. Exit 0 when every case went as it should.
"""

from __future__ import annotations

import math
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import corpus
from corpus import CAUGHT, QUIET, ROOT, Case, Result

from updater import config, pipeline
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import UpdaterError
from updater.journal import Journal
from updater.log import Silent

RESULTS = ROOT / ".corpus" / "results.jsonl"
VERDICTS = ROOT / "docs" / "verdicts.md"


def judge(
    cases: Sequence[Case],
    shop_name: str,
    workdir: Path,
    results: Path | None = None,
    *,
    narrow: bool = False,
    until: float = math.inf,
) -> list[Result]:
    """Each case on one clone of this shop, from the same checkpoint. Told as they come, kept in `results`.

    `narrow`: in one window size only. `until`: begin no case after this moment of `time.monotonic()`."""
    done = []
    with DemoShop.start(workdir / "shop") as shop:
        state = corpus.HERE / "shops" / f"{shop_name}.php"
        if state.exists():
            plugins = f"{DOCROOT}/wp-content/mu-plugins"
            shop.exec(["mkdir", "-p", plugins], user=shop.user)
            shop.exec(["sh", "-c", f"cat > {plugins}/{state.name}"], user=shop.user, stdin=state.read_bytes())
        site = config.load(shop.write_site(workdir / "site", ["demo-shop-1.0", "demo-gallery-1.0"]))
        if narrow:
            site = replace(site, viewports=site.viewports[:1])
        with closing(Journal(site.state)) as journal, pipeline.proving_ground(site, journal, Silent()) as prove:
            for case in cases:
                begun = time.monotonic()
                if begun > until:
                    break
                try:
                    proven = prove(corpus.package(case, workdir / "packages"))
                    result = corpus.judged(case, proven, time.monotonic() - begun)
                except UpdaterError as error:
                    result = corpus.broken_off(case, error, time.monotonic() - begun)
                done.append(result)
                if results is not None:
                    corpus.keep(results, result)
                print(
                    f"{result.outcome:>12}  {case.side}/{case.name}  {result.seconds:.0f} s  {result.reason[:150]}",
                    flush=True,
                )
    return done


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the shop and its clone are removed
    asked = {name: os.environ.get(name, "") for name in ("ONLY", "N", "SEED", "MINUTES", "FRESH", "KEEP", "PAGE")}
    if asked["FRESH"]:
        RESULTS.unlink(missing_ok=True)
    code, whole = corpus.code_sha256(), corpus.cases()
    wanted = corpus.cases(asked["ONLY"])
    seed = int(asked["SEED"] or random.SystemRandom().randrange(10**6))
    if asked["N"]:
        wanted = corpus.draw(wanted, int(asked["N"]), seed)
    print(f"{len(wanted)} cases, SEED={seed}", flush=True)
    shas = {case.name: corpus.sha256(case) for case in whole}

    def known() -> list[Result]:
        fits = [
            it for it in corpus.load(RESULTS) if it.sha256 == shas.get(it.case) and (asked["KEEP"] or it.code == code)
        ]
        last = {it.case: it for it in fits}
        return [last[case.name] for case in whole if case.name in last]

    ready = {result.case for result in known()}
    waiting = [case for case in wanted if case.name not in ready]
    random.Random(seed).shuffle(waiting)
    waiting.sort(key=lambda case: case.shop)
    until = time.monotonic() + 60 * float(asked["MINUTES"] or 24 * 60)
    if asked["PAGE"]:
        waiting = []
    for shop, group in groupby(waiting, key=lambda case: case.shop):
        if time.monotonic() > until:
            break
        with tempfile.TemporaryDirectory(prefix="updater-corpus-") as workdir:
            judge(list(group), shop, Path(workdir), RESULTS, until=until)
    VERDICTS.write_text(corpus.table(known(), whole), encoding="utf-8")
    print(f"{VERDICTS.relative_to(ROOT)} is written")
    names = {case.name for case in wanted}
    return 0 if all(it.outcome in (CAUGHT, QUIET) for it in known() if it.case in names) else 1


if __name__ == "__main__":
    raise SystemExit(main())
