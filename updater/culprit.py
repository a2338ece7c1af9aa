"""Which update broke it: the smallest set of updates that fails together, found in few trials. Imports no step.

The updates come in an order in which none needs a later one, so that every beginning of that order can be installed.
The shortest beginning that fails ends with a culprit. When it does not fail alone, the same is asked again with it in
place: which update before it does it need to break? One culprit among n is found in at most log2(n) + 3 trials, and
each further member of a set that only breaks together costs log2(n) + 1 more. (Minimal sets by bisection: Junker,
"QuickXplain", 2004; delta debugging's ddmin finds the same sets in more trials, and tries sets that cannot be installed.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from updater.language import sentence
from updater.model import Evidence, Plan, Search, Status, Trial, Verdict

Try = Callable[[frozenset[str]], Verdict]
Needs = Mapping[str, frozenset[str]]
"""Update → the updates that must be applied with it: a plugin's new version may ask for the new core."""

MOST_TRIALS = 30


@dataclass(frozen=True, slots=True)
class Culprit:
    """`broken`: the smallest set found to fail together, empty when it could not be found; `why` says what is not known.

    `trials`: how many were made.
    """

    broken: frozenset[str]
    trials: int
    why: str = ""


class _OutOfTrials(Exception):
    pass


def find(
    updates: Sequence[str],
    trial: Try,
    *,
    needs: Needs | None = None,
    likely: Sequence[str] = (),
    most: int = MOST_TRIALS,
) -> Culprit:
    """The culprit among `updates`, which failed as a whole; the un-updated shop is known to pass.

    `updates` stand in an order in which none needs a later one. `trial` is asked about a set at most once, and only
    about sets that hold whatever their members need. `likely`: updates that the findings name; the first of them is
    tried alone before anything else. INCONCLUSIVE counts as neither: it makes no set guilty or innocent, and updates
    that cannot be told apart because of it are named together.
    """
    search = _Search(updates, trial, needs or {}, most)
    try:
        for suspect in likely[:1]:
            alone = frozenset([suspect])
            if closed(alone, search.needs) == alone and search.ask(alone) is Verdict.FAIL:
                return Culprit(alone, search.trials)
        return search.smallest()
    except _OutOfTrials:
        return Culprit(frozenset(), search.trials, sentence("not found within {most} trials", most=most))


class _Search:
    """What was asked in one search. Lives as long as `find`."""

    def __init__(self, updates: Sequence[str], trial: Try, needs: Needs, most: int) -> None:
        self._updates = list(updates)
        self._trial = trial
        self.needs = needs
        self._most = most
        self._known: dict[frozenset[str], Verdict] = {frozenset(updates): Verdict.FAIL}

    @property
    def trials(self) -> int:
        return len(self._known) - 1

    def ask(self, some: Iterable[str]) -> Verdict:
        whole = closed(some, self.needs)
        if whole not in self._known:
            if self.trials >= self._most:
                raise _OutOfTrials
            self._known[whole] = self._trial(whole)
        return self._known[whole]

    def smallest(self) -> Culprit:
        found: list[str] = []
        why = ""
        before = self._updates
        while True:
            passing, failing = self._shortest_failing(before, found)
            suspects = self._narrowed(before[:passing], before[passing:failing], found)
            if len(suspects) > 1:
                why = sentence("{names} could not be told apart", names=", ".join(suspects))
            found += suspects
            before = before[:passing]
            if not before or self.ask(found) is not Verdict.PASS:
                return Culprit(frozenset(found), self.trials, why)

    def _shortest_failing(self, before: Sequence[str], found: Sequence[str]) -> tuple[int, int]:
        """(passing, failing): the longest beginning of `before` that, with `found`, is known to pass, and the shortest known to
        fail; one apart unless every trial between them was inconclusive."""
        passing, failing = 0, len(before)
        unknown: set[int] = set()
        while True:
            between = [length for length in range(passing + 1, failing) if length not in unknown]
            if not between:
                return passing, failing
            middle = min(between, key=lambda length: abs(2 * length - passing - failing))
            match self.ask([*before[:middle], *found]):
                case Verdict.FAIL:
                    failing = middle
                case Verdict.INCONCLUSIVE:
                    unknown.add(middle)
                case _:
                    passing = middle

    def _narrowed(self, passing: Sequence[str], suspects: Sequence[str], found: Sequence[str]) -> Sequence[str]:
        """More than one suspect is left when the trials between them could not be judged: leave out one after the other."""
        for suspect in suspects if len(suspects) > 1 else ():
            others = [other for other in suspects if other != suspect]
            whole = closed([*passing, *others, *found], self.needs)
            if others and suspect not in whole and self.ask(whole) is Verdict.FAIL:
                suspects = others
        return suspects


def closed(some: Iterable[str], needs: Needs) -> frozenset[str]:
    """These updates and all that they need, directly or not."""
    whole: set[str] = set()
    waiting = list(some)
    while waiting:
        update = waiting.pop()
        if update not in whole:
            whole.add(update)
            waiting += needs.get(update, ())
    return frozenset(whole)


def without(updates: Sequence[str], broken: frozenset[str], needs: Needs) -> tuple[str, ...]:
    """The updates that can go on when `broken` is held back: what needs one of those stays back with it."""
    return tuple(update for update in updates if not closed([update], needs) & broken)


def reasons(plan: Plan, search: Search, together: str) -> dict[str, str]:
    """Update → why it is held back: what the smallest failing trial found. `together`: what was found of the whole plan."""
    names = {update.id: f"{update.name} {update.to_version}" for update in plan.updates}
    failing = [it for it in search.trials if it.verdict is Verdict.FAIL and set(search.broken) <= set(it.updates)]
    found = min(failing, key=lambda it: len(it.updates)).reason if failing else together

    def why(update: str) -> str:
        others = ", ".join(names[other] for other in search.broken if other != update)
        return sentence("together with {others}", others=others) + f": {found}" if others else found

    return {update: why(update) for update in search.broken}


def split(plan: Plan, broken: Mapping[str, str], needs: Needs) -> tuple[Plan, dict[str, str]]:
    """(the plan that can go on, update → why it is held). `broken`: update → reason; what needs one of them is held with it."""
    rest = without([update.id for update in plan.updates], frozenset(broken), needs)
    names = ", ".join(update.name for update in plan.updates if update.id in broken)
    held = {
        update.id: broken.get(update.id, sentence("needs {names}, which is held back", names=names))
        for update in plan.updates
        if update.id not in rest
    }
    return replace(plan, updates=tuple(update for update in plan.updates if update.id in rest)), held


# -------------------------------------------------------------------------------------------- a first guess


def named(texts: Iterable[str], changed: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The updates that findings point at, most often first: by their id, or by a file that only this update changes.

    `changed`: update → paths below the docroot of the files that it changes. A file's bare name counts too (browsers tell no
    more), when no other update changes a file of that name.
    """
    whole = "\n".join(texts)
    owners: dict[str, set[str]] = {}
    for update, paths in changed.items():
        for path in paths:
            for name in (path, path.rpartition("/")[2]):
                owners.setdefault(name, set()).add(update)
    words = {update: [update] for update in changed}
    for name, those in owners.items():
        if len(those) == 1 and ("." in name or "/" in name):
            words[next(iter(those))].append(name)
    counts = {update: sum(whole.count(word) for word in names) for update, names in words.items()}
    return tuple(sorted((update for update in counts if counts[update]), key=lambda update: -counts[update]))


def words(evidence: Evidence, trial: Trial) -> list[str]:
    """Everything that the evidence of a failed trial says of what broke."""
    broken = [check for check in evidence.checks if check.status is Status.FAILED]
    found = [finding for check in broken for finding in check.findings]
    return [trial.failure, *(f"{finding.where} {finding.message}" for finding in found)]


def changed(plan: Plan, paths: Iterable[str]) -> dict[str, list[str]]:
    """Update → its folder, and those of the changed files that lie in it; what lies in no other's is the core's."""
    folders = {f"{it.kind}:{it.slug}": it.path for it in plan.inventory.components}
    found = {update.id: [f"{folders[update.id]}/"] if folders[update.id] else [] for update in plan.updates}
    for path in paths:
        inside = [it for it in found if folders[it] and f"{path}/".startswith(f"{folders[it]}/")]
        core = next((it for it in found if not folders[it]), "")
        owner = max(inside, key=lambda it: len(folders[it]), default=core)
        if owner:
            found[owner].append(path)
    return found
