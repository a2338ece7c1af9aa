"""Break promotions in every way we know and count what is left of the shop: `make faults [CMS=opencart] [N=12] [SEED=7]`.

Without N: all cases and the planted faults, and docs/faults.md is written anew. With CMS: a sample on the twin of that CMS, by its driver's own
gate, caches and migration, and its part of the page. Ends with 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from concurrent.futures import as_completed
from contextlib import ExitStack
from pathlib import Path

import matrix
import table
import twin_shop
from bench import servers
from harness import Result
from order_shop import OrderShop
from planted import PLANTED, Planted

AT_ONCE = 6
"""Servers: a case is mostly waiting, and two cores are busy with six."""
TOO_MANY = 3
TABLE = Path(__file__).parents[2] / "docs/faults.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__.splitlines()[0])
    parser.add_argument("--cms", default="", choices=("", *table.TWINS), help="a sample on the twin of that CMS")
    parser.add_argument("-n", type=int, help="run that many of the cases, drawn by the seed")
    parser.add_argument("--every", action="store_true", help="each fault at each place")
    parser.add_argument("--seed", type=int, default=matrix.SEED)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--planted", action="store_true", help="the planted faults alone")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no server is left behind
    if words.cms:
        cases = twin_shop.cases()[: words.n]
    else:
        cases = matrix.drawn(words.n, words.seed) if words.n else matrix.cases(words.seed, every=words.every)
    cases = tuple(case for case in cases if words.only in case.name)
    if words.list:
        print(*(case.name for case in cases), sep="\n")
        return 0
    whole = not words.n and not words.only and not words.planted
    cases = () if words.planted else cases
    plants = () if not whole and not words.planted else twin_shop.planted() if words.cms else PLANTED
    print(f"{len(cases)} cases, seed {words.seed}", flush=True)
    start = time.monotonic()
    with ExitStack() as stack:
        pool = stack.enter_context(servers(words.at_once, twin_shop.rehearsed() if words.cms else OrderShop()))
        planted = {pool.submit(it.case, stack.enter_context(it.program())): it for it in plants}
        # In any order: those that only wait for cron lie among those that are busy.
        waiting = {pool.submit(case): case for case in random.Random(words.seed).sample(cases, len(cases))}
        results, seen, broken = [], {}, []
        for number, future in enumerate(as_completed(waiting | planted), 1):
            if failure := future.exception():
                what = planted[future].name if future in planted else waiting[future].name
                broken.append(f"the harness broke in “{what}”: {failure!r}")
                print(broken[-1], flush=True)
                if len(broken) > TOO_MANY:
                    sys.exit("the harness cannot work here; look at docker ps, docker network ls, and the disk")
            elif future in planted:
                seen[planted[future].name] = future.result()
                print(_planted(planted[future], future.result()), flush=True)
            else:
                results.append(future.result())
                print(_line(number, len(waiting | planted), future.result()), flush=True)
        void = tuple(pool.void)
    minutes = (time.monotonic() - start) / 60
    if whole and words.cms:
        TABLE.write_text(table.with_twin(TABLE.read_text(), words.cms, results, void, seen, minutes))
    elif whole:
        TABLE.write_text(table.written(results, void, seen, words.seed, minutes, TABLE.read_text()))
    print("\n" + table.summary(results, void))
    return int(
        bool(broken)
        or any(it.wrong or it.void for it in results)
        or any(not _red(it, seen[it.name]) for it in plants if whole)
    )


def _line(number: int, of: int, it: Result) -> str:
    line = (
        f"[{number:3}/{of}] {it.end:7} closed {it.closed:5.1f} s, {it.orders['acknowledged']:3} orders  {it.case.name}"
    )
    if it.wrong:
        line += "\n" + "\n".join(f"    WRONG {what}" for what in it.wrong) + "\n" + it.evidence
    return line + ("\n    VOID twice: too few orders came" if it.void else "")


def _planted(planted: Planted, it: Result) -> str:
    return f"planted: {planted.name}: " + (
        "; ".join(it.wrong) if _red(planted, it) else f"NOT SEEN ({'; '.join(it.wrong)})"
    )


def _red(planted: Planted, it: Result) -> bool:
    return any(planted.says in what for what in it.wrong)


if __name__ == "__main__":
    sys.exit(main())
