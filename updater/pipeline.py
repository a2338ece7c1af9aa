"""The story of one run, top to bottom. Says what happens; how is in the rooms below.

Site ─clone→ Snapshot ─stage→ Stack ─inventory→ Plan ─update→ Trial ─check→ Evidence ─judge→ Judgement
     ─approve→ ApprovedRelease ─promote→ Outcome

When the updates fail together, the culprit is found, held back, and the rest is updated, checked and judged anew.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from updater import (
    cms,
    culprit,
    edits,
    failed,
    notify,
    orders,
    passport,
    policy,
    report,
    repository,
    resources,
    samples,
    sources,
)
from updater.checks import bake, baseline, browser, crawl, detector, evidence, live, logs, smoke, verdict
from updater.checks.observation import LogLine, Observation, Target
from updater.cms.base import Driver, Listing, ShopState
from updater.config import revision
from updater.errors import (
    ApprovalRefused,
    CommandFailed,
    CulpritUnknown,
    Drifted,
    ExitCode,
    NotNow,
    PromotionRefused,
    StateUnknown,
    UnsupportedSite,
    UpdaterError,
    WaitsForAPerson,
)
from updater.journal import (
    BrokenUpdate,
    Journal,
    converter,
    digest,
    dump,
    new_run_id,
    now,
    release_digest,
    site_lock,
    write_atomically,
)
from updater.language import counted, mark, sentence
from updater.log import Logged, Progress, timed
from updater.model import (
    Check,
    Evidence,
    Failed,
    FalseAlarm,
    Held,
    Installation,
    Inventory,
    Judgement,
    Layout,
    Media,
    Observing,
    Outcome,
    Plan,
    Release,
    Search,
    Server,
    Site,
    Snapshot,
    Stack,
    Stopped,
    Trial,
    Tried,
    Update,
    Verdict,
)
from updater.production import clone, host, media, probe, traffic, transaction, web
from updater.report import month, month_page, observed
from updater.report.record import RunRecord, UpdateResult, shortened
from updater.staging import rehearse, stack

HELD = "held"
"""The outcome of an update that was held back; every other update's is that of its run."""
AWAITING, PROMOTED, REJECTED, INCONCLUSIVE, ROLLED_BACK, NOTHING, STOPPED = (
    "awaiting approval",
    "promoted",
    "rejected",
    "inconclusive",
    "rolled back",
    "nothing to do",
    "stopped",
)


@dataclass(slots=True)
class Run:
    """One run while it lives: its place in the journal, its clock, and the record that becomes the report."""

    site: Site
    journal: Journal
    progress: Progress
    id: str
    folder: Path
    record: RunRecord
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, **names: str) -> Iterator[None]:
        """One arrow of the story: journaled before and after, announced, timed."""
        self.journal.started(self.id, name, **names)
        self.progress.step(name)
        with timed(self.timings, name):
            yield
        self.journal.done(self.id, name)

    def keep(self, name: str, noun: object) -> None:
        """Keep a noun for the commands that come later: approve, rollback, report."""
        self.journal.keep(self.id, name, noun)

    def tell(self, **changes: Any) -> None:
        self.record = replace(self.record, **changes)

    def note(self, text: str) -> None:
        self.tell(notes=(*self.record.notes, text))

    def end(self, state: str, exit_code: ExitCode) -> None:
        self.tell(state=state, exit_code=int(exit_code), finished=now())


@dataclass(slots=True)
class Ground:
    """What every trial of a run stands on: the staged shop at checkpoint `clean`, and all that is known of it un-updated."""

    driver: Driver
    layout: Layout
    snapshot: Snapshot
    shop: stack.StackHandle
    before: Observation
    noise: Observation
    visits: rehearse.Noise
    checks: tuple[Check, ...]
    """Of the un-updated clone itself: is it like production, does it look as a person last approved?"""
    more_noise: tuple[Observation, ...] = ()
    """Further passes over the un-updated shop, made once and when first needed."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A set of updates, and what was found of it. `release` is None when they could not be applied."""

    trial: Trial
    release: Release | None
    evidence: Evidence
    judgement: Judgement


# ------------------------------------------------------------------------------------------------------ updater run


def run(site: Site, journal: Journal, progress: Progress, *, retry: bool = False) -> RunRecord:
    """Clone, stage, update, check and judge; promote when policy approves by itself, else leave it awaiting approval.

    When the updates fail together, whichever breaks the shop is held back and the rest goes on. `retry`: also try what broke
    the shop in earlier runs and is not due yet.
    Expected failures end in the record, with their exit code; every run ends with a report in its folder.
    Raises SiteLocked when another run works on this site.
    """
    run_id = new_run_id()
    with site_lock(site.state, run_id), new_record(site, journal, progress, run_id) as this:
        _begin_observing(site, this.record.started)
        stack.clean(progress)  # what a killed run of this site left behind
        snapshot, layout = _clone(this)
        driver = cms.driver(snapshot.installation.cms)
        production = _look_at_production(this, driver, layout)
        _fetch_media(this, layout, snapshot, production)
        with _staged(this, driver, layout, snapshot) as shop:
            plan = _plan(this, driver, shop, snapshot, retry)
            if plan.updates:
                ground = _know_the_ground(this, driver, layout, snapshot, shop, production)
                proven = _prove(this, ground, plan)
                while proven.judgement.verdict is Verdict.FAIL and plan.updates:
                    search = _find_culprit(this, ground, plan, proven)
                    plan = _hold_back(this, plan, search)
                    if plan.updates:
                        _start_over(this, ground)
                        proven = _prove(this, ground, plan)
        if not this.record.updates:
            this.end(NOTHING, ExitCode.DONE)
        elif proven.judgement.verdict is Verdict.FAIL:
            this.tell(only_look=evidence.only_look_differs(proven.evidence))
            this.end(REJECTED, ExitCode.REJECTED)
        elif proven.judgement.verdict is Verdict.INCONCLUSIVE or proven.release is None:
            this.end(INCONCLUSIVE, ExitCode.INCONCLUSIVE)
        else:
            journal.mended(site.name, [update.id for update in plan.updates])
            _note_losses(this, plan, proven.release)
            forbidden = driver.forbids_promotion(site.switches, restore=False, installation=snapshot.installation)
            this.tell(advice=forbidden)
            this.end(AWAITING, ExitCode.AWAITING_APPROVAL)
            if forbidden:
                this.note(mark("advice only") + f": {forbidden}")
            elif (
                policy.approves(site.policy, plan.updates, _for_a_person(site, driver, plan, snapshot.files))
                and _may_deploy_now(this, now())
                and _short_enough(this, proven.release)
                and _goes_back_by_itself(this, proven.release)
            ):
                save(this)
                _promote_by_policy(this, proven.release, proven.judgement, proven.evidence)
    _end_observing(site, journal, progress)
    return this.record


@dataclass(frozen=True, slots=True)
class ProvingGround:
    """Both take a folder of packages, begin at the un-updated shop, and may be called as often as wanted.

    `prove`: the packages proven as `run` does. `search`: which of them break the shop, None when they do not."""

    prove: Callable[[Path], Proven]
    search: Callable[[Path], Search | None]


@contextmanager
def proving_ground(site: Site, journal: Journal, progress: Progress) -> Iterator[ProvingGround]:
    """The un-updated shop, cloned, staged and known. Production stays as it is, no report is written and nobody is told: this is for
    `make corpus`, which measures the verdict itself."""
    run_id = new_run_id()
    folder = journal.begin(run_id, site.name)
    with site_lock(site.state, run_id), closing(Logged(progress, folder / "run.log")) as log:
        this = Run(site, journal, log, run_id, folder, _blank_record(site, run_id))
        snapshot, layout = _clone(this)
        driver = cms.driver(snapshot.installation.cms)
        production = _look_at_production(this, driver, layout)
        _fetch_media(this, layout, snapshot, production)
        with _staged(this, driver, layout, snapshot) as shop:
            ground = _know_the_ground(this, driver, layout, snapshot, shop, production)

            def proven(packages: Path) -> tuple[Plan, Proven]:
                shop.restore("clean")
                for earlier in (evidence.AFTER, "trials"):
                    shutil.rmtree(folder / earlier, ignore_errors=True)
                this.site = replace(site, sources=replace(site.sources, folders=(packages,), online=False))
                this.tell(searches=())
                plan = _plan(this, driver, shop, snapshot, retry=True)
                return plan, _prove(this, ground, plan)

            def search(packages: Path) -> Search | None:
                plan, broken = proven(packages)
                failed = broken.judgement.verdict is Verdict.FAIL
                return _find_culprit(this, ground, plan, broken) if failed else None

            yield ProvingGround(lambda packages: proven(packages)[1], search)


def _clone(this: Run) -> tuple[Snapshot, Layout]:
    site = this.site
    with this.step("clone"), host.connect(site.server) as server:
        php = probe.find_php(server, site)
        installation = cms.detect(server, site.docroot, php, site.cms)
        driver = cms.driver(installation.cms)
        this.tell(cms=installation.cms)
        this.progress.say(f"found {installation.cms} {installation.version} in {site.docroot}")
        transaction.forget_copies(server, site, installation)
        layout = driver.layout(server, installation)
        platform = probe.read_platform(server, site, installation)
        quiet, unknown = traffic.quiet_hour(server, site, installation)
        this.progress.say(f"quietest hour: {quiet.text if quiet else unknown}")
        this.tell(quiet=quiet)
        mirror, into = site.state / "mirror", this.folder / "snapshot"
        return clone.clone(server, site, installation, layout, platform, this.id, mirror, into, this.progress), layout


def _look_at_production(this: Run, driver: Driver, layout: Layout) -> Observation:
    with this.step("look at production"):
        folder = this.folder / "production"
        return smoke.observe(_production(this.site), this.site, _suite(layout), folder, this.progress)


def _fetch_media(this: Run, layout: Layout, snapshot: Snapshot, production: Observation) -> None:
    """What `clone.media` leaves out, said; and the pictures that production's pages were seen to show, where it asks for these."""
    wanted = this.site.clone.media
    if wanted is Media.REFERENCED:
        with this.step("fetch media"), host.connect(this.site.server) as server:
            addresses = {url for view in production.views for url in view.pictures}
            docroot = snapshot.installation.docroot
            count = media.fetch(server, this.site, docroot, layout, snapshot.files, addresses, this.progress)
        this.note(
            sentence(
                "of pictures, films and documents, {n} that the checked pages show were cloned (clone.media: referenced)",
                n=count,
            )
        )
    elif wanted is Media.NONE:
        this.note(
            mark(
                "pages were compared without their pictures, films and documents (clone.media: none): whether an update still shows them "
                "was not tested"
            )
        )


@contextmanager
def _staged(this: Run, driver: Driver, layout: Layout, snapshot: Snapshot) -> Iterator[stack.StackHandle]:
    with ExitStack() as lifetime:
        with this.step("stage", run=this.id):
            shop = lifetime.enter_context(stack.stage(this.site, snapshot, layout, this.progress))
            driver.guard(shop, shop.installation, shop.stack.hosts, [payment.method for payment in this.site.payments])
            shop.checkpoint("clean")
        if not shop.stack.matched:
            this.note(mark("staging differs from production") + f": {shop.stack.mismatch}")
        if shop.remaining_personal:
            places = ", ".join(f"{it.table}.{it.column} ({it.kind}, {it.rows} rows)" for it in shop.remaining_personal)
            remain = mark("personal data may remain in staging's copy")
            this.note(f"{remain}: {places}; " + mark("name the columns in clone.scrub"))
        try:
            yield shop
        finally:
            for target, calls in sorted(Counter(shop.reached).items()):
                this.note(
                    counted(
                        "staging reached {host} {n} time for its updates, as egress.allow says",
                        "staging reached {host} {n} times for its updates, as egress.allow says",
                        calls,
                        host=target,
                    )
                )


def _plan(this: Run, driver: Driver, shop: stack.StackHandle, snapshot: Snapshot, retry: bool) -> Plan:
    """What is to be updated, without what would overwrite somebody's edits and what broke the shop before."""
    site, root, cache = this.site, snapshot.files, this.site.state / "packages"
    with this.step("plan"):
        inventory = driver.inventory(shop, shop.installation)

        def listing() -> Listing:
            with shop.way_out():
                return driver.listing(shop, shop.installation, inventory)

        offered = sources.plan(site, inventory, driver, snapshot.platform, cache, this.progress, listing=listing)
        known = sources.releases(site, inventory, offered.updates, driver, root, cache, this.progress)
        plan = edits.respect(offered, root, known, site.policy.overwrite, this.folder / "edits")
        if not retry:
            plan = _without_broken(site, this.journal, plan)
    notes = (*this.record.notes, *plan.notes, *_for_a_person(site, driver, plan, root))
    this.tell(inventory=inventory, updates=_results(plan), held=plan.held, notes=notes)
    this.keep("plan", plan)
    return plan


def _for_a_person(site: Site, driver: Driver, plan: Plan, root: Path) -> tuple[str, ...]:
    """Which of the updates only a person may approve, and why. `root`: a copy of the docroot."""
    components = {f"{part.kind}:{part.slug}": part for part in plan.inventory.components}
    reasons = (driver.leap(components[update.id], update.to_version) for update in plan.updates)
    paying = [update for update in plan.updates if driver.takes_payments(components[update.id], root)]
    return (
        *(reason for reason in reasons if reason),
        *policy.new_looks(site.policy, plan.updates),
        *policy.payments(site, plan.updates, paying),
    )


def _know_the_ground(
    this: Run,
    driver: Driver,
    layout: Layout,
    snapshot: Snapshot,
    shop: stack.StackHandle,
    production: Observation,
) -> Ground:
    """The un-updated shop, twice: what differs between the two is noise. Ends at checkpoint `clean`."""
    site, home = this.site, this.site.config.parent
    before = _look(this, driver, layout, shop, evidence.BEFORE, like=production)
    shop.restore("clean")
    noise = _look(this, driver, layout, shop, evidence.NOISE, like=before)
    sighted = _check_the_checks(this, layout, shop, before, noise)
    shop.restore("clean")
    with this.step("update"):
        shop.step("update")
        visits = rehearse.measure_noise(shop, driver, layout, this.progress)
    approved_look = baseline.compare(before, _baselines(site), site.thresholds, this.folder / "drift", home)
    checks = (live.fidelity(production, before), sighted, *approved_look)
    return Ground(driver, layout, snapshot, shop, before, noise, visits, checks)


def _check_the_checks(
    this: Run, layout: Layout, shop: stack.StackHandle, before: Observation, noise: Observation
) -> Check:
    """A fault that we know, laid over this very shop: a detector that does not see it would see nothing after the update."""
    with this.step("look: known fault"):
        shop.step(detector.NAME)
        site, folder = this.site, this.folder / "known fault"
        seen = detector.observe(_staging(site, shop.stack), site, _suite(layout), folder, this.progress, like=before)
        return detector.check(before, noise, seen, site.thresholds, folder / "pictures", this.folder)


def _prove(this: Run, ground: Ground, plan: Plan) -> Proven:
    """Update, check and judge a set. What was proven last is what can be approved."""
    trial, release = _update(this, ground, plan)
    seen = _check(this, ground, trial)
    return Proven(trial, release, seen, _judge(this, ground, seen, trial))


def _update(this: Run, ground: Ground, plan: Plan) -> tuple[Trial, Release | None]:
    trial = _rehearse(this, ground, plan.updates)
    if trial.failure:
        return trial, None
    with this.step("update"):
        release = rehearse.build_release(
            ground.shop, ground.driver, ground.snapshot, plan.inventory, trial, this.site.name, this.folder
        )
    this.keep("release", release)
    this.tell(changed_files=len(release.changed), migration=trial.migration)
    return trial, release


def _note_losses(this: Run, plan: Plan, release: Release) -> None:
    removed = [path for path, (_before, after) in release.changed.items() if after is None]
    for note in edits.losses(plan.updates, plan.inventory, removed):
        this.note(note)


def _rehearse(this: Run, ground: Ground, updates: Sequence[Update]) -> Trial:
    with this.step("update"):
        ground.shop.step("update")
        return rehearse.rehearse(ground.shop, ground.driver, ground.layout, ground.visits, updates, this.progress)


def _look(
    this: Run,
    driver: Driver,
    layout: Layout,
    shop: stack.StackHandle,
    phase: str,
    like: Observation,
    *,
    folder: Path | None = None,
    hurried: bool = False,
) -> Observation:
    """One pass over the staged shop: smoke tests, pictures, facts, and what its logs and its database say.

    `hurried`: end at the first smoke test that fails."""
    with this.step(f"look: {phase}"):
        shop.step(phase)
        target = _staging(this.site, shop.stack)
        crawl.pass_by(target, evidence.ROUND.index(phase) if phase in evidence.ROUND else 0)
        paths = (shop.php_errors, *driver.error_logs(shop, shop.installation))
        offsets = logs.mark(shop, paths)
        seen = smoke.observe(
            target,
            this.site,
            _suite(layout),
            folder or this.folder / phase,
            this.progress,
            state=lambda: driver.orders(shop, shop.installation, this.site.orders),
            jobs=lambda: driver.run_jobs(shop, shop.installation),
            errors=lambda: logs.read_errors(shop, paths, offsets),
            crawl=lambda: crawl.crawl(target, this.site.pages, like=like.crawl, queries=shop.queries),
            like=like,
            hurried=hurried,
            pays=True,
        )
    if this.site.clone.media is Media.NONE:
        views = (replace(view, failed=media.without_missing(view.failed, layout)) for view in seen.views)
        seen = replace(seen, views=tuple(views))
    return seen


def _check(this: Run, ground: Ground, trial: Trial) -> Evidence:
    seen = _compare(this, ground, trial, this.folder)
    this.keep("evidence", seen)
    this.tell(evidence=seen, evidence_sha256=digest(seen))
    return seen


def _compare(this: Run, ground: Ground, trial: Trial, folder: Path, *, hurried: bool = False) -> Evidence:
    """The updated shop, and all that differs from the un-updated one. Pictures lie below `folder`.

    When only what pages show differs, the un-updated shop is looked at again: a banner that turns slowly widens the noise. Of a
    later trial that is slower only its time is taken again, in the same minutes.
    The updated shop is looked at once and never again until it passes.
    """
    shop, begun, after = ground.shop, now(), None
    if not trial.failure:
        into = folder / evidence.AFTER
        after = _look(
            this, ground.driver, ground.layout, shop, evidence.AFTER, ground.before, folder=into, hurried=hurried
        )
    mail = evidence.of_this_trial(shop.mail(), begun)

    def gathered() -> Evidence:
        with this.step("compare"):
            seen = evidence.gather(
                ground.before,
                ground.noise,
                after,
                more_noise=ground.more_noise,
                ground=ground.checks,
                blocked=evidence.of_this_trial(shop.blocked(), begun),
                mail=mail,
                thresholds=this.site.thresholds,
                root=this.folder,
                pictures=folder / "pictures",
                known_calls=this.site.calls,
                answered=evidence.of_this_trial(shop.answered(), begun),
                recordings=this.site.recordings,
                payments=this.site.payments,
                updates=trial.applied,
            )
            return evidence.without_look(seen) if policy.new_looks(this.site.policy, trial.applied) else seen

    seen = gathered()
    if evidence.only_pages_differ(seen):
        if not ground.more_noise:
            for phase in evidence.MORE_NOISE:
                shop.restore("clean")
                again = _look(this, ground.driver, ground.layout, shop, phase, like=ground.before)
                ground.more_noise = (*ground.more_noise, again)
            seen = gathered()
        elif evidence.slower(seen):
            ground.more_noise = (*ground.more_noise[:-1], _crawled_again(this, ground, ground.more_noise[-1]))
            seen = gathered()
    return seen


def _crawled_again(this: Run, ground: Ground, noise: Observation) -> Observation:
    """This pass over the un-updated shop with the pages of its sitemap fetched anew: the machine may be busier by now."""
    shop, phase = ground.shop, evidence.MORE_NOISE[-1]
    with this.step(f"look: {phase}"):
        shop.restore("clean")
        shop.step(phase)
        target, like = _staging(this.site, shop.stack), ground.before.crawl
        return replace(noise, crawl=crawl.crawl(target, this.site.pages, like=like, queries=shop.queries))


def _judge(this: Run, ground: Ground, seen: Evidence, trial: Trial) -> Judgement:
    with this.step("judge"):
        judgement = _judged(this.site, ground.shop.stack, seen, trial)
    this.keep("judgement", judgement)
    this.tell(verdict=judgement.verdict, reasons=judgement.reasons)
    return judgement


def _judged(site: Site, staged: Stack, seen: Evidence, trial: Trial) -> Judgement:
    return verdict.judge(
        seen,
        stack_matched=staged.matched,
        mismatch=staged.mismatch,
        accept_nearest=site.policy.accept_nearest_stack,
        trial_failure=trial.failure,
    )


# ------------------------------------------------------------------------------------------------ which one broke it


def _find_culprit(this: Run, ground: Ground, plan: Plan, broken: Proven) -> Search:
    """The smallest set of these updates that breaks the shop, found on the same clone. CulpritUnknown when it is not found."""
    this.progress.step("find the culprit")
    ids = [update.id for update in plan.updates]
    spent = sum(len(search.trials) for search in this.record.searches)
    tried: list[Tried] = []

    def trial(some: frozenset[str]) -> Verdict:
        updates = tuple(update for update in plan.updates if update.id in some)
        tried.append(_try(this, ground, updates, spent + len(tried) + 1))
        return tried[-1].verdict

    found = culprit.Culprit(frozenset(ids), 0)
    if len(ids) > 1:
        found = culprit.find(
            ids,
            trial,
            needs=sources.needs(plan),
            likely=culprit.named(
                culprit.words(broken.evidence, broken.trial),
                culprit.changed(plan, broken.release.changed if broken.release else ()),
            ),
            most=culprit.MOST_TRIALS - spent,
        )
    search = Search(tuple(update for update in ids if update in found.broken), tuple(tried), found.why)
    this.tell(searches=(*this.record.searches, search))
    if not search.broken:
        this.tell(verdict=Verdict.INCONCLUSIVE)
        raise CulpritUnknown(
            "the updates break the shop, and which of them does was not found",
            where=str(this.folder / "trials"),
            cause=f"{found.why}; together: {broken.judgement.reasons[0]}",
            hint="hold some of them back (policy.hold in site.yml), then `updater run` again",
        )
    return search


def _try(this: Run, ground: Ground, updates: Sequence[Update], number: int) -> Tried:
    """One trial of the search: ended at the first smoke test that fails, and no release is made of it."""
    begun = time.monotonic()
    this.progress.step(f"trial {number}: {', '.join(update.name for update in updates)}")
    ground.shop.restore("clean")
    trial = _rehearse(this, ground, updates)
    seen = _compare(this, ground, trial, this.folder / "trials" / str(number), hurried=True)
    judgement = _judged(this.site, ground.shop.stack, seen, trial)
    this.progress.say(f"{judgement.verdict}: {judgement.reasons[0]}")
    seconds = round(time.monotonic() - begun, 1)
    return Tried(tuple(update.id for update in updates), judgement.verdict, judgement.reasons[0], seconds)


def _hold_back(this: Run, plan: Plan, search: Search) -> Plan:
    """The plan without the culprit and what needs it. Remembered, so that the next runs do not try it each time."""
    together = this.record.reasons[0]
    reasons = culprit.reasons(plan, search, together)
    for update in plan.updates:
        if update.id in reasons:
            this.journal.broke(this.site.name, update.id, update.to_version, reasons[update.id], this.id)
            if len(search.broken) == 1:  # a set that breaks the shop together says little of another shop
                _tell_the_other_sites(this, update, together)
    rest, held = culprit.split(plan, reasons, sources.needs(plan))
    this.tell(
        updates=tuple(
            replace(it, outcome=HELD, reason=held.get(it.id, "")) if it.id in held else it for it in this.record.updates
        )
    )
    this.keep("plan", rest)
    return rest


def _without_broken(site: Site, journal: Journal, plan: Plan) -> Plan:
    """The plan without the versions that broke the shop in an earlier run and are not due to be tried again."""
    known = journal.broken(site.name)
    reasons = {
        update.id: _broke(known[update.id])
        for update in plan.updates
        if update.id in known
        and known[update.id].version == update.to_version
        and now() < known[update.id].again
        and not (evidence.is_of_look(known[update.id].reason) and policy.new_looks(site.policy, (update,)))
    }
    rest, held = culprit.split(plan, reasons, sources.needs(plan))
    left_out = (it for it in plan.updates if it.id in held)
    return replace(
        rest,
        held=(*plan.held, *(Held(it.kind, it.slug, it.from_version, it.to_version, held[it.id]) for it in left_out)),
    )


def _broke(known: BrokenUpdate) -> str:
    told = sentence(
        "broke the shop in run {run}; tried again after {moment:%-d %B %Y, %H:%M} UTC, or when there is a newer version",
        run=known.run,
        moment=known.again,
    )
    return f"{told}: {known.reason}"


def _start_over(this: Run, ground: Ground) -> None:
    """The clone as it was. What was seen of the set that failed is kept, for people: what is proven next takes its place."""
    ground.shop.restore("clean")
    seen = this.folder / evidence.AFTER
    if seen.exists():
        aside = this.folder / "trials" / f"before hold {len(this.record.searches)}"
        aside.mkdir(parents=True)
        seen.rename(aside / evidence.AFTER)


def _tell_the_other_sites(this: Run, broke: Update, reason: str) -> None:
    """A version that broke this shop alone is held on the agency's other sites."""
    if this.site.shared:
        failure = Failed(broke.kind, broke.slug, broke.to_version, this.site.name, this.id, now(), reason)
        failed.remember(this.site.shared, failure)


def _may_deploy_now(this: Run, at: datetime) -> bool:
    why = deploys_later(this.site, at) or policy.not_quiet(this.site.policy, this.record.quiet, at)
    if why:
        this.note(mark("policy approves it, but it is not deployed now") + f": {why}")
    return not why


def deploys_later(site: Site, at: datetime | None = None) -> str:
    """Why policy lets nothing be deployed at this moment, and when it will; '' when it may be."""
    at = (at or now()).astimezone()
    closed = policy.closed(site.policy, at)
    if not closed:
        return ""
    opens = policy.opens(site.policy, at)
    return f"{closed}; " + (f"it may be from {opens:%a %Y-%m-%d %H:%M %Z}" if opens else "and not within a year")


def _short_enough(this: Run, release: Release) -> bool:
    """A closed shop of that length is no policy's decision."""
    limit, allowed = transaction.deadline(this.site.promote, release.rehearsed_seconds), this.site.promote.max_closed
    if limit > allowed:
        long = sentence(
            "the shop may be closed for {limit} s, promote.max_closed is {allowed} s", limit=limit, allowed=allowed
        )
        this.note(f"{_NOT_BY_POLICY}: {long}")
    return limit <= allowed


_NOT_BY_POLICY = mark("not deployed by policy")


def _goes_back_by_itself(this: Run, release: Release) -> bool:
    """What may stop half way and wait for a person is not begun without one."""
    stops = release.replay is not None and release.replay.returns not in this.site.switches
    if stops:
        waits = mark("should it fail half way, the shop waits for a person, since its database may not go back")
        this.note(f"{_NOT_BY_POLICY}: {waits}")
    return not stops


def _promote_by_policy(this: Run, release: Release, judgement: Judgement, seen: Evidence) -> None:
    """What the server refuses before closing is left to a person: what was tested is still good."""
    try:
        approve_and_promote(this, release, judgement, f"policy (approve: {this.site.policy.approve})", seen)
    except PromotionRefused as refused:
        this.note(f"{_NOT_BY_POLICY}: {refused}")


# -------------------------------------------------------------------------------------------------- updater approve


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run with all that a person needs to decide, and that promote() needs afterwards."""

    record: RunRecord
    release: Release
    judgement: Judgement
    evidence: Evidence
    deadline: int
    """Seconds after which production opens again by itself, whatever happened."""
    stops: Stopped | None = None
    """How a replay that fails half way leaves the shop, whose database may not go back; None where it may, or nothing is replayed"""


def waiting(site: Site, journal: Journal, run_id: str) -> Waiting:
    """What `updater approve` shows. ApprovalRefused when nobody may approve it, before anybody is asked anything."""
    forbidden = policy.forbids_approval(site.policy)
    if forbidden:
        raise ApprovalRefused(f"run {run_id} cannot be approved", where=str(site.config), cause=forbidden)
    judgement = journal.output(run_id, "judgement", Judgement)
    journal.refuse_unless_waiting(run_id, judgement, site.policy.expires)
    record = journal.output(run_id, "record", RunRecord)
    forbidden = cms.driver(record.cms).forbids_promotion(site.switches, restore=bool(record.restored))
    if forbidden:
        raise ApprovalRefused(
            f"run {run_id} cannot be approved",
            where=str(site.config),
            cause=forbidden,
            hint=f"updater report {run_id}   # which versions were tested, and how they did",
        )
    if record.restored:
        raise ApprovalRefused(
            f"run {run_id} restores a backup",
            cause="what would be lost is shown and consented to by the command that restores",
            hint="updater restore SITE --into-production",
        )
    release = journal.output(run_id, "release", Release)
    return Waiting(
        record,
        release,
        judgement,
        journal.output(run_id, "evidence", Evidence),
        transaction.deadline(site.promote, release.rehearsed_seconds),
        site.promote.stopped if release.replay and release.replay.returns not in site.switches else None,
    )


def approve(
    site: Site,
    journal: Journal,
    progress: Progress,
    run_id: str,
    *,
    person: str,
    shown_sha256: str,
    comment: str = "",
    anyway: str = "",
    max_closed: int | None = None,
) -> RunRecord:
    """Record the approval of exactly the evidence that was shown, and promote. Refuses when production drifted.

    NotNow outside the deploy windows, unless `anyway` says why it cannot wait; that reason is kept with the run.
    `max_closed`: seconds that the person accepts the shop to be closed, None for what site.yml allows.
    """
    with site_lock(site.state, run_id), _known_record(site, journal, progress, run_id) as this:
        what = waiting(site, journal, run_id)
        forbidden = policy.forbids_person(site.policy, person)
        if forbidden:
            raise ApprovalRefused(f"run {run_id} cannot be approved", where=str(site.config), cause=forbidden)
        accepted = site.promote.max_closed if max_closed is None else max_closed
        if what.deadline > accepted:
            raise ApprovalRefused(
                f"run {run_id} needs a person's word for its deadline",
                where=str(site.config),
                cause=f"the shop may be closed for up to {what.deadline} s, and {accepted} s were accepted",
                hint=f"updater approve {run_id} --max-closed {what.deadline}, or raise promote.max_closed in site.yml",
            )
        if digest(what.evidence) != shown_sha256 or not _intact(what.release):
            raise ApprovalRefused(
                f"run {run_id} cannot be approved",
                where=str(this.folder),
                cause="its evidence or release on disk is not what was shown",
                hint="`updater run` starts a fresh one",
            )
        closed = refuse_now(site, anyway)
        if closed:
            at_once = sentence("deployed at once by {person} ({reason}), although", person=person, reason=anyway)
            this.note(f"{at_once}: {closed}")
        if comment:
            this.note(sentence("approved by {person}", person=person) + f": {comment}")
        approve_and_promote(this, what.release, what.judgement, person, what.evidence)
    return this.record


def refuse_now(site: Site, anyway: str) -> str:
    """Why policy lets nothing be deployed now, when `anyway` is a reason to do it all the same; else NotNow."""
    closed = deploys_later(site)
    if closed and not anyway:
        hint = "approve it then, or now with the reason: `updater approve --anyway 'it is being attacked'`"
        raise NotNow("not deployed now", where=str(site.config), cause=closed, hint=hint)
    return closed


def reject(site: Site, journal: Journal, progress: Progress, run_id: str, *, person: str, reason: str) -> RunRecord:
    """Close a waiting run without promoting it."""
    with site_lock(site.state, run_id), _known_record(site, journal, progress, run_id, mark("not rejected")) as this:
        if this.record.state != AWAITING:
            raise ApprovalRefused(f"run {run_id} cannot be rejected", cause=f"it is {this.record.state}")
        this.note(sentence("rejected by {person}", person=person) + (f": {reason}" if reason else ""))
        this.end(REJECTED, ExitCode.REJECTED)
    return this.record


def approve_and_promote(
    this: Run, release: Release, judgement: Judgement, person: str, seen: Evidence, dump: Path | None = None
) -> None:
    """Bring the release to production on this person's word. `dump`: of a restore, which replaces whatever drifted meanwhile;
    what it swaps the server compares by itself, and what its tables lose is exported while the shop is closed."""
    # Also for what follows: the open shop is watched, and taken back, by who may.
    site = this.site = this.site.deploying
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
        driver = cms.driver(installation.cms)
        layout = driver.layout(server, installation)
        with this.step("compare with production"):
            refuse_reader(server, site)
            refuse_advice_only(site, installation, restore=dump is not None)
            if dump is None:
                _refuse_drift(server, site, installation, driver, layout, release)
            _refuse_cached_pages(site)
            transaction.refuse_served(server, site, installation)
        approved = this.journal.approve(
            release,
            judgement,
            evidence_sha256=digest(seen),
            shown_sha256=this.record.evidence_sha256,
            person=person,
            lasts=this.site.policy.expires,
        )
        this.tell(approval=approved.approval)
        before = _remember_orders(this, server, driver, installation)
        log = _remember_errors(server, driver, installation)
        try:
            with this.step("promote", run=this.id), _standing_by(this, layout) as check:
                outcome = transaction.promote(
                    server,
                    site,
                    installation,
                    approved,
                    check,
                    this.progress,
                    gate=driver.gate(installation),
                    purge=driver.purge(installation),
                    loose=(*layout.media, *layout.caches),
                    dump=dump,
                    restarter=0 if this.site.promote.without_restarter else transaction.RESTARTER,
                )
        except StateUnknown:
            raise
        except (UpdaterError, KeyboardInterrupt):
            this.journal.withdraw(this.id)  # production is as it was: the approval was not used
            raise
    _tell_outcome(this, outcome)
    if outcome.state == "promoted":
        _name_outcomes(this)
        keep_record(this)  # whatever dies from here on, this run is promoted
    if outcome.state == "promoted" and dump is not None:
        _fetch_discarded(this)
    if outcome.state == "promoted" and this.site.promote.bake:
        _watch_the_open_shop(this, driver, installation, release, before, log)
    if this.record.state == PROMOTED:
        assert this.record.approval is not None
        given, tested = this.record.approval, smoke.load(this.folder / evidence.AFTER)
        baseline.keep(tested, _baselines(this.site), run=this.id, person=given.person, at=given.at)


def _standing_by(this: Run, layout: Layout) -> AbstractContextManager[transaction.Checks]:
    """What looks at the closed shop through the gate: rendered only. No order, no mail, no login."""
    tested = smoke.load(this.folder / evidence.AFTER)
    target, folder = _production(this.site), this.folder / "promoted"
    return live.standing_by(target, this.site, _suite(layout), live.expectations(tested), folder, this.progress)


def _tell_outcome(this: Run, outcome: Outcome) -> None:
    this.timings["closed"] = outcome.closed_seconds
    if outcome.refused:
        this.keep("refused", outcome.refused)  # whole addresses and queries stay in the private folder of the run
    this.tell(outcome=replace(outcome, refused=tuple(map(shortened, outcome.refused))))
    if outcome.state == "promoted":
        this.end(PROMOTED, ExitCode.DONE)
    else:
        this.end(ROLLED_BACK, ExitCode.ROLLED_BACK)


def _fetch_discarded(this: Run) -> None:
    """By now the shop is what it is: what cannot be fetched is said, and no failure."""
    try:
        with host.connect(this.site.server) as server:
            path = transaction.fetch_discarded(server, this.site, this.id, this.folder)
    except (UpdaterError, KeyboardInterrupt) as lost:
        this.note(
            mark("the rows that were lost could not be fetched; the tables kept on the server hold them") + f": {lost}"
        )
    else:
        this.note(mark("the rows that were lost, as they were when the shop closed") + f": {path}")


# ------------------------------------------------------------------------------------------------- the open shop


@dataclass(frozen=True, slots=True)
class ErrorLog:
    """Production's error logs before it was closed: their sizes, and what they held. `known` is None when none can be read."""

    offsets: Mapping[str, int]
    known: tuple[LogLine, ...] | None


def _remember_errors(server: host.Host, driver: Driver, installation: Installation) -> ErrorLog:
    try:
        paths = [path for path in driver.error_logs(server, installation) if logs.readable(server, path)]
        offsets = logs.mark(server, paths)
        return ErrorLog(offsets, logs.read_errors(server, paths, {}) if paths else None)
    except CommandFailed:
        return ErrorLog({}, None)


def _watch_the_open_shop(
    this: Run, driver: Driver, installation: Installation, release: Release, before: ShopState | None, log: ErrorLog
) -> None:
    """The bake time. A sick shop goes back by itself only when nothing migrated; else orders may be in what would be lost."""
    site, seconds = this.site, this.site.promote.bake.total_seconds()
    wanted = bake.pages(smoke.load(this.folder / evidence.AFTER))
    usual = _usual_orders(this, before)
    with this.step("watch the open shop"):
        this.progress.say(f"watching the open shop for {seconds:.0f} s; Ctrl-C ends that and leaves it as it is")
        seen = bake.watch(
            lambda: _look_at_the_open_shop(site, driver, installation, wanted, log), wanted, log.known, usual, seconds
        )
    _add_to_outcome(this, checks=seen.checks)
    if not seen.sick:
        return
    this.progress.say(f"the open shop is not well: {seen.sick}")
    if release.migration.needed or release.replay:
        came = _orders_since(this, driver, installation)
        _leave_it_to_a_person(this, seen.sick, f"the database migrated, so that going back may lose orders ({came})")
        return
    try:
        _go_back(this, installation, driver, release, seen.sick)
    except StateUnknown:
        raise
    except KeyboardInterrupt:
        raise StateUnknown(
            "interrupted on the way back to the old code",
            where=site.server.host,
            cause="the server goes on by itself",
            hint=f"updater recover {site.config.name}",
        ) from None
    except UpdaterError as refused:
        _leave_it_to_a_person(this, seen.sick, f"the old code could not be brought back: {refused.what}")


def _look_at_the_open_shop(
    site: Site, driver: Driver, installation: Installation, wanted: Mapping[str, int], log: ErrorLog
) -> bake.Look:
    answers = {url: bake.Answer(*answer) for url, answer in web.answers(site, list(wanted)).items()}
    errors, count = None, None
    try:
        with host.connect(site.server) as server:
            errors = logs.read_errors(server, list(log.offsets), log.offsets)
            count = driver.orders(server, installation, site.orders).order_count
    except UpdaterError:  # told as a look that saw less
        pass
    return bake.Look(answers, errors, count)


def _usual_orders(this: Run, before: ShopState | None) -> bake.Rate | None:
    """What came between the clone and the approval; not known where the run was tested on another machine."""
    if before is None or not smoke.looked(this.folder / evidence.BEFORE):
        return None
    cloned = smoke.load(this.folder / evidence.BEFORE).state_before
    return bake.rate(before.order_count, now(), cloned.order_count, this.record.started)


def _go_back(this: Run, installation: Installation, driver: Driver, release: Release, sick: str) -> None:
    site = this.site
    with this.step("go back", run=this.id), host.connect(site.server) as server:
        gate, purge = driver.gate(installation), driver.purge(installation)
        back = transaction.rollback(server, site, installation, this.id, this.progress, gate=gate, purge=purge)
    for update in release.updates:
        this.journal.broke(site.name, update.id, update.to_version, f"after opening: {sick}", this.id)
    outcome = this.record.outcome
    assert outcome is not None
    _add_to_outcome(
        this,
        state=back.state,
        reason=mark("the open shop was not well, so the old code was brought back") + f": {sick}",
        closed_seconds=outcome.closed_seconds + back.closed_seconds,
        refused=(*outcome.refused, *map(shortened, back.refused)),
        recover=back.recover,
    )
    this.end(ROLLED_BACK, ExitCode.ROLLED_BACK)


def _orders_since(this: Run, driver: Driver, installation: Installation) -> str:
    try:
        with host.connect(this.site.server) as server:
            return _export_orders(this, server, driver, installation)
    except UpdaterError as lost:
        return f"the orders that came since cannot be read: {lost.what}"


def _leave_it_to_a_person(this: Run, sick: str, why: str) -> None:
    this.tell(
        error=f"the open shop is not well: {sick}; nothing was undone by itself: {why}",
        hint=f"updater rollback {this.site.config.name}   # says what going back would lose, before anything is lost",
    )
    this.end(PROMOTED, ExitCode.UNKNOWN_STATE)


def _add_to_outcome(this: Run, *, checks: tuple[Check, ...] = (), **changes: Any) -> None:
    outcome = this.record.outcome
    assert outcome is not None
    this.tell(outcome=replace(outcome, checks=(*outcome.checks, *checks), **changes))


def refuse_reader(server: host.Host, site: Site) -> None:
    """A user who tests sees neither what another one promoted nor whether it came to an end."""
    if not probe.may_write(server, site.docroot):
        raise PromotionRefused(
            f"{site.server.user} may only read this shop; nothing was touched",
            where=f"{server.where}:{site.docroot}",
            cause="whoever deploys, takes back or recovers has to write into the docroot",
            hint="type it on the machine with the key that deploys, or name that user and key in its agency.yml: "
            "`promote: {user: deploy, key: ~/.ssh/deploy}`",
        )


def refuse_advice_only(site: Site, installation: Installation, *, restore: bool) -> None:
    """Some CMSs are tested and not deployed, or go back with their database at a price: site.yml has to say so first."""
    driver = cms.driver(installation.cms)
    forbidden = driver.forbids_promotion(site.switches, restore=restore, installation=installation)
    if forbidden:
        raise PromotionRefused(
            "production is not touched", where=str(site.config), cause=forbidden, hint="docs/ has a page on each CMS"
        )


def _refuse_cached_pages(site: Site) -> None:
    """A cache in front would go on showing old pages with new prices behind them, and nothing here empties it."""
    seen = "" if site.promote.purge else web.cache_in_front(site)
    if seen:
        raise PromotionRefused(
            "pages come from a cache in front of the shop that nothing empties; nothing was touched",
            where=site.url,
            cause=f"the answer said {seen}",
            hint="name the command that empties it in promote.purge of site.yml, then approve the same run again",
        )


def _refuse_drift(
    server: host.Host, site: Site, installation: Installation, driver: Driver, layout: Layout, release: Release
) -> None:
    """Drifted when production is no longer what the release was made from, naming each difference."""
    code, tables = clone.fingerprint(server, site, installation, layout)
    php = probe.read_platform(server, site, installation).php
    versions = rehearse.versions_of(driver.inventory(server, installation), php)
    drift = [
        *(f"file {path}" for path, (before, _after) in release.changed.items() if code.get(path) != before),
        *_named_differences("component", release.versions_before, versions),
        *_named_differences("table", release.schema_before, tables),
    ]
    if drift:
        raise Drifted(
            "production changed since it was cloned: what was tested is not what would be deployed",
            where=f"{server.where}:{site.docroot}",
            cause="; ".join(drift[:10]) + (f"; and {len(drift) - 10} more" if len(drift) > 10 else ""),
            hint="`updater run` tests the shop as it is now",
        )


def _named_differences(noun: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [
        f"{noun} {key}: {before.get(key, 'absent')} → {after.get(key, 'absent')}"
        if noun == "component"
        else f"{noun} {key}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _intact(release: Release) -> bool:
    return release_digest(release) == release.sha256 and release.archive.is_file()


# ------------------------------------------------------------------------------------------------- updater rollback


def rollback(site: Site, journal: Journal, progress: Progress, *, discard_since: datetime | None = None) -> RunRecord:
    """Bring back the code that the last promotion replaced.

    After a migration the orders that came since are exported, and it is refused: only `discard_since`, a time that a
    person typed and that is not after the closing of the shop, restores the tables too, where their copies were kept.
    """
    site = site.deploying
    promoted = [row for row in journal.runs() if row.state == PROMOTED]
    if not promoted:
        raise UpdaterError("nothing to roll back", cause="no run of this site was promoted", hint="`updater runs`")
    run_id = promoted[0].run
    with site_lock(site.state, run_id), _known_record(site, journal, progress, run_id, mark("not rolled back")) as this:
        with this.step("roll back", run=run_id), host.connect(site.server) as server:
            refuse_reader(server, site)
            installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
            driver = cms.driver(installation.cms)
            migrated = this.record.migration is not None and this.record.migration.needed
            came = _export_orders(this, server, driver, installation) if migrated else ""
            outcome = transaction.rollback(
                server,
                site,
                installation,
                run_id,
                progress,
                gate=driver.gate(installation),
                purge=driver.purge(installation),
                discard_since=discard_since,
                came=came,
                into=this.folder,
            )
        this.tell(outcome=outcome)
        this.end(ROLLED_BACK, ExitCode.DONE)
    return this.record


ORDERS_BEFORE, ORDERS_SINCE = "orders-before", "orders-since.csv"


def _remember_orders(this: Run, server: host.Host, driver: Driver, installation: Installation) -> ShopState | None:
    """The shop's orders before it is closed, kept without whose they are: what is not among them came since."""
    try:
        before = driver.orders(server, installation, this.site.orders)
    except CommandFailed as unknown:
        this.note(mark("orders could not be read before the deploy") + f": {unknown.what}")
        return None
    this.keep(ORDERS_BEFORE, replace(before, orders=tuple(replace(row, email="") for row in before.orders)))
    return before


def _export_orders(this: Run, server: host.Host, driver: Driver, installation: Installation) -> str:
    """What came since the promotion, in words; the rows go to a file in the private folder of the run."""
    try:
        before = this.journal.output(this.id, ORDERS_BEFORE, ShopState)
    except UpdaterError as unknown:
        return f"the orders that came since cannot be read: {unknown.what}"
    return export_orders(this, before, server, driver, installation)


def export_orders(this: Run, before: ShopState, server: host.Host, driver: Driver, installation: Installation) -> str:
    """What the shop took in since `before`, in words; the rows go to a file in the private folder of the run."""
    try:
        found = orders.since(before, driver.orders(server, installation, this.site.orders))
    except UpdaterError as unknown:
        return f"the orders that came since cannot be read: {unknown.what}"
    if not found.count:
        return found.told
    path = this.folder / ORDERS_SINCE
    write_atomically(path, orders.as_csv(found).encode(), mode=0o600)
    return f"{found.told}; exported to {path}" + (
        f" (the newest {len(found.rows)})" if len(found.rows) < found.count else ""
    )


# ----------------------------------------------------------------------------------------- updater recover and open


def recover(site: Site, progress: Progress) -> list[str]:
    """Finish or undo whatever a dead run left on production, from the server's own journal. Twice is the same as once."""
    site = site.deploying
    with site_lock(site.state, "recover"), host.connect(site.server) as server:
        lines = transaction.recover(server, site, None, progress)
        if not lines:
            refuse_reader(server, site)
        return lines


def open_shop(site: Site, progress: Progress) -> list[str]:
    """Take the gate away now, whatever else is wrong. `recover` afterwards."""
    site = site.deploying
    with host.connect(site.server) as server:
        lines = transaction.open_shop(server, site, progress)
        if not lines:
            refuse_reader(server, site)
        return lines


# ----------------------------------------------------------------------------------------------------- updater init


@dataclass(frozen=True, slots=True)
class Found:
    """What a server holds, for a new site.yml. `host_key`: the server's own, as `server.host_key` takes it."""

    installation: Installation
    inventory: Inventory
    host_key: str


def discover(server: Server, docroot: str, progress: Progress) -> Found:
    """The CMS on this server, found by looking; leaves nothing there. `docroot` '' looks for it below the home folder and /var/www.

    UnsupportedSite when there is no shop, more than one, or one that is refused.
    """
    with host.connect(server) as connected:
        site = Site("new", server, docroot or "/", f"https://{server.host}", Path("site.yml"))
        php = probe.find_php(connected, site)
        progress.say("looking for the shop")
        installation = cms.detect(connected, docroot, php) if docroot else _only_shop(connected, php)
        driver = cms.driver(installation.cms)
        return Found(installation, driver.inventory(connected, installation), connected.host_key)


def _only_shop(server: host.Host, php: str) -> Installation:
    found, refused = [], []
    for docroot in probe.docroots(server):
        try:
            found.append(cms.detect(server, docroot, php))
        except UnsupportedSite as error:
            refused.append(error)
    if len(found) == 1:
        return found[0]
    if not found and len(refused) == 1:
        raise refused[0]
    places = ", ".join(it.docroot for it in found)
    raise UnsupportedSite(
        "more than one shop was found" if found else "no shop was found",
        where=server.where,
        cause=f"in {places}" if found else "below the user's home folder and /var/www",
        hint=f"say which: --docroot {found[0].docroot if found else '/path/on/the/server'}",
    )


# ----------------------------------------------------------------------------------------------------- updater plan


def plan(site: Site, journal: Journal, progress: Progress) -> Plan:
    """What would be updated, from production's own inventory: reads only, stages nothing."""
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
        driver = cms.driver(installation.cms)
        inventory = driver.inventory(server, installation)
        platform = probe.read_platform(server, site, installation)
        found = sources.plan(site, inventory, driver, platform, site.state / "packages", progress)
        return _without_broken(site, journal, found)


# ------------------------------------------------------------------------------------------- updater check and clean


def check(site: Site, progress: Progress) -> tuple[probe.Capability, ...]:
    """What the server can do for whoever deploys, found by doing. Leaves nothing there."""
    site = site.deploying
    with host.connect(site.server) as server:
        installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
        progress.say(f"found {installation.cms} {installation.version}")
        return probe.capabilities(server, site, installation)


def clean(site: Site | None, progress: Progress) -> list[str]:
    """Remove stacks of dead runs, and with a site its private copies of production. Returns what was removed."""
    if site is None:
        return stack.clean(progress)
    with site_lock(site.state, "clean"):
        removed = stack.clean(progress)
        for folder in (
            *(site.state / it for it in ("mirror", "backup", "restored")),
            *site.state.glob("runs/*/snapshot"),
        ):
            if folder.exists():
                shutil.rmtree(folder)
                removed.append(str(folder))
        return removed


# ------------------------------------------------------------------------------------------------- updater observe


def observe(site: Site, journal: Journal) -> tuple[observed.Observed, Path]:
    """What would have happened since observing began, and the page that says so (`.updater/observed.html`)."""
    since, length = _observing(site), site.policy.observe
    if since is None or length is None:
        raise UpdaterError(
            "this site is not observed" if length is None else "no run was made since observing began",
            where=str(site.config),
            hint="updater run" if length else "write `policy: {approve: never, observe: 4 weeks}` into site.yml",
        )
    rows = [row for row in journal.runs(limit=100_000) if row.started >= since.since]
    records = [journal.output(row.run, "record", RunRecord) for row in rows if journal.has(row.run, "record")]
    seen = observed.summarise(site, since, length, records, now())
    page = site.state / "observed.html"
    write_atomically(page, observed.render(seen).encode())
    return seen, page


def call_false(site: Site, journal: Journal, run_id: str, *, person: str, reason: str) -> None:
    """Keep a person's word that this run's alarm was a false one. UpdaterError for a run that raised none."""
    record = journal.output(run_id, "record", RunRecord)
    since = _observing(site)
    if since is None:
        raise UpdaterError("this site is not observed", where=str(site.config), hint="see docs/agency.md, “Observing”")
    if record.state in (AWAITING, PROMOTED, NOTHING) and not record.held_here:
        raise UpdaterError(f"run {run_id} raised no alarm", cause=f"it is {record.state}", hint="updater runs")
    others = tuple(it for it in since.false_alarms if it.run != run_id)
    _keep_observing(site, replace(since, false_alarms=(*others, FalseAlarm(run_id, person, now(), reason))))


def _observing(site: Site) -> Observing | None:
    path = site.state / "observing.json"
    return converter.structure(json.loads(path.read_bytes()), Observing) if path.exists() else None


def _keep_observing(site: Site, observing: Observing) -> None:
    write_atomically(site.state / "observing.json", dump(observing))


def _begin_observing(site: Site, at: datetime) -> None:
    """With the first run under `observe`; a site that is no longer observed begins anew the next time."""
    if site.policy.observe is None:
        (site.state / "observing.json").unlink(missing_ok=True)
    elif _observing(site) is None:
        _keep_observing(site, Observing(at))


def _end_observing(site: Site, journal: Journal, progress: Progress) -> None:
    """The closing page, told once."""
    since = _observing(site)
    if since is None or site.policy.observe is None or since.told or now() < since.since + site.policy.observe:
        return
    seen, page = observe(site, journal)
    body = "\n".join([*observed.lines(seen), "", str(page)])
    notify.put(site.state, "work", f"{site.name}: observing ended", body, attachments=(page,))
    _keep_observing(site, replace(since, told=True))
    progress.say(f"observing ended: {page}")


# ------------------------------------------------------------------------------------------- updater report --month


def report_month(site: Site, journal: Journal, first: date) -> tuple[Path, Path]:
    """The month that begins at `first` as (HTML, PDF) in `.updater/months/`. BrowserFailed without a Chromium."""
    since = month.last_months(first)[0]
    rows = [row for row in journal.runs(limit=100_000) if row.started.date() >= since]
    records = [journal.output(row.run, "record", RunRecord) for row in rows if journal.has(row.run, "record")]
    looks, backups = samples.of_month(site.state, first), samples.backups(site.state)
    summary = month.summarise(site, first, records, notify.told(site.state), looks, backups, now())
    page = site.state / "months" / f"{first:%Y-%m}.html"
    write_atomically(page, month_page.render(summary).encode())
    write_atomically(page.with_suffix(".pdf"), browser.pdf(page))
    return page, page.with_suffix(".pdf")


# ---------------------------------------------------------------------------------------------- the record of a run


@contextmanager
def new_record(site: Site, journal: Journal, progress: Progress, run_id: str) -> Iterator[Run]:
    """A run from its beginning: however the block ends, the record says how, and the report is written."""
    folder = journal.begin(run_id, site.name)
    log = Logged(progress, folder / "run.log")
    this = Run(site, journal, log, run_id, folder, _blank_record(site, run_id))
    try:
        yield this
    except UpdaterError as error:
        log.failed(error)
        this.tell(error=str(error), hint=error.hint)
        this.end(_state(error), error.exit_code)
    except KeyboardInterrupt:
        this.tell(error="interrupted by Ctrl-C; production was left whole")
        this.end("interrupted", ExitCode.INTERRUPTED)
    except BaseException as bug:
        log.failed(bug)
        this.tell(error=f"{type(bug).__name__}: {bug}", hint=f"the details are in {folder / 'run.log'}")
        this.end("failed", ExitCode.BUG)
        raise
    finally:
        save(this)
        log.close()


def _blank_record(site: Site, run_id: str) -> RunRecord:
    return RunRecord(
        run=run_id,
        site=site.name,
        url=site.url,
        cms=site.cms,
        state="running",
        exit_code=int(ExitCode.DONE),
        started=now(),
        config=revision(site.config),
        language=site.language,
    )


@contextmanager
def _known_record(
    site: Site, journal: Journal, progress: Progress, run_id: str, undone: str = mark("not deployed")
) -> Iterator[Run]:
    """A run taken up again. What fails with production untouched leaves it as it was, with a note that it was `undone` and why:
    it can be approved once more."""
    record = journal.output(run_id, "record", RunRecord)
    log = Logged(progress, journal.folder(run_id) / "run.log")
    this = Run(site, journal, log, run_id, journal.folder(run_id), record, dict(record.timings))
    try:
        yield this
        save(this)
    except StateUnknown as error:
        log.failed(error)
        this.tell(error=str(error), hint=error.hint)
        this.end(_state(error), error.exit_code)
        save(this)
        raise
    except (UpdaterError, KeyboardInterrupt) as error:
        log.failed(error)
        if this.record.outcome is record.outcome:
            this.record = record
            this.note(f"{now():%Y-%m-%d %H:%M} UTC: {undone}: {_in_a_line(error)}")
        save(this)
        raise
    finally:
        log.close()


def _in_a_line(error: BaseException) -> str:
    """As a remark of a report has it: what, why and what to type next."""
    if not isinstance(error, UpdaterError):
        return mark("interrupted")
    return "; ".join(part for part in (error.what, error.cause, error.hint) if part)


_STATES = {
    ExitCode.REJECTED: REJECTED,
    ExitCode.INCONCLUSIVE: INCONCLUSIVE,
    ExitCode.ROLLED_BACK: ROLLED_BACK,
    ExitCode.UNKNOWN_STATE: "unknown",
}
"""How an expected failure names the state of a run; anything else is `failed`."""


def _state(error: UpdaterError) -> str:
    return STOPPED if isinstance(error, WaitsForAPerson) else _STATES.get(error.exit_code, "failed")


def save(this: Run) -> None:
    """The record, the journal's line, the report, and word to whoever should know (which never changes a verdict)."""
    _name_outcomes(this)
    _keep_history(this)
    keep_record(this)
    _tell_people(this)


def _name_outcomes(this: Run) -> None:
    outcomes = {PROMOTED: "promoted", AWAITING: "passed", REJECTED: "rejected", ROLLED_BACK: "rolled back"}
    outcome = outcomes.get(this.record.state, "not decided")
    updates = (it if it.outcome == HELD else replace(it, outcome=outcome) for it in this.record.updates)
    this.tell(timings=dict(this.timings), updates=tuple(updates))


def keep_record(this: Run) -> None:
    this.keep("record", this.record)
    this.journal.finish(this.id, this.record.state, this.record.exit_code)
    report.write(this.record, this.folder)


def _keep_history(this: Run) -> None:
    """The client's git repository follows: a branch for what waits, merged when it was deployed, gone when it was not."""
    if not this.journal.has(this.id, "release"):
        return
    release = this.journal.output(this.id, "release", Release)

    def page() -> str:
        return passport.of_run(this.site, this.journal, this.progress, this.record)

    try:
        if this.record.waits:
            branch = repository.propose(this.site, this.record, this.folder, release.sha256, page)
            if branch:
                this.progress.say(f"waits on branch {branch}")
        elif this.record.state == PROMOTED:
            repository.accept(this.site, this.record, this.folder, release.sha256, page)
        elif this.record.state in (REJECTED, ROLLED_BACK):
            repository.discard(this.site, this.id)
    except (OSError, UpdaterError) as error:
        this.progress.say(str(error))
        this.note(str(error))


def _tell_people(this: Run) -> None:
    """Word to whoever should know: urgent at once, the rest with the digest that ends the command. Changes no verdict."""
    urgency, title, body = report.message(this.record)
    attachments = report.attachments(this.record, this.folder)
    try:
        notify.put(this.site.state, urgency, title, body, run=this.id, attachments=attachments)
        for failed in notify.deliver([this.site], only_urgent=True):
            this.progress.say(f"could not be told, and is tried again: {failed}")
    except (OSError, UpdaterError) as error:
        this.progress.say(f"could not be told: {error}")


def _results(plan: Plan) -> tuple[UpdateResult, ...]:
    return tuple(
        UpdateResult(it.kind, it.slug, it.name, it.from_version, it.to_version, "planned", security=it.security)
        for it in plan.updates
    )


# ------------------------------------------------------------------------------------------------ where a shop answers


def _production(site: Site) -> Target:
    hosts = {name: site.address or name for name in site.names}
    log_in = (site.basic_auth.user, site.basic_auth.password) if site.basic_auth else None
    any_certificate = site.tls_ca is not None
    return Target(site.url, hosts, trust_any_certificate=any_certificate, read_only=True, log_in=log_in)


def _staging(site: Site, staged: Stack) -> Target:
    hosts = dict.fromkeys(staged.hosts, staged.address)
    return Target(site.url, hosts, trust_any_certificate=True, recorded=stack.recorded(site, staged))


def _baselines(site: Site) -> Path:
    """`baselines/<site>/` beside site.yml: part of the client's repository, not of `.updater/`."""
    return site.config.parent / "baselines" / site.name


def _suite(layout: Layout) -> Path:
    return resources.folder("smoke_tests") / layout.smoke_tests
