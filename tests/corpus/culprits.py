"""`make culprits`: does the search name the update that breaks the shop, among others that do not? Part of docs/verdicts.md.

    make culprits N=12 SEED=7     twelve breaking cases, drawn; the seed is printed

Each is offered together with a harmless update of every plugin in `company/`, in an order that the case has no part in. Results stand in
docs/culprits.jsonl, which is committed; a run that was cut off goes on.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import corpus
import judge
from corpus import BAD, CULPRITS, Named
from kinds import COMPANY

from updater.demo_shop import DEFAULT
from updater.errors import CulpritUnknown


def named(ground: judge.Ground, case: corpus.Case) -> Named:
    begun = time.monotonic()
    trials, found, why = 0, (), ""
    try:
        search = ground.search(case)
        if search is None:
            why = "the updates did not fail together"
        else:
            trials, why = len(search.trials), search.why
            found = tuple(sorted(update.partition(":")[2] for update in search.broken))
    except CulpritUnknown as unknown:
        why = str(unknown)
    seconds = round(time.monotonic() - begun, 1)
    return Named(
        case.name,
        tuple(case.units),
        found,
        trials,
        why,
        seconds,
        corpus.code_sha256(),
        corpus.sha256(case),
        corpus.commit(),
    )


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the shop and its clone are removed
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    # What the plan itself holds back never comes to a search.
    tried = {it.case for it in corpus.load(judge.RESULTS) if not it.held}
    there = [it for it in corpus.cases(cms=DEFAULT) if it.side == BAD and it.shop == "plain" and it.name in tried]
    wanted = random.Random(seed).sample(there, min(int(os.environ.get("N") or 12), len(there)))
    print(f"{len(wanted)} of {len(there)} cases, SEED={seed}", flush=True)
    ready = {(it.case, it.code) for it in corpus.load_named()}
    waiting = [case for case in wanted if (case.name, corpus.code_sha256()) not in ready]
    right = True
    if waiting:
        with (
            tempfile.TemporaryDirectory(prefix="updater-culprits-") as workdir,
            judge.proving(DEFAULT, "plain", Path(workdir), company=COMPANY) as ground,
        ):
            for case in waiting:
                result = named(ground, case)
                with CULPRITS.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
                right &= result.right
                told = f"{', '.join(result.found) or 'none'}  {result.trials} trials  {result.seconds:.0f} s  {result.why[:150]}"
                print(f"{'right' if result.right else 'wrong':>12}  {case.name}: {told}", flush=True)
    judge.write_page()
    return 0 if right else 1


if __name__ == "__main__":
    raise SystemExit(main())
