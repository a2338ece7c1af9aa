"""What the shop does behind its pages: planned jobs and queues, each kind run once in every pass over the staged shop."""

from __future__ import annotations

from collections.abc import Sequence

from updater.checks.observation import Observation
from updater.cms.base import Job
from updater.language import counted, mark, sentence
from updater.model import Check, Finding, Status

NAME = "background jobs"

_AT_LEAST, _FACTOR = 10, 10
"""A job that had to be ended fails the update when it had that many seconds, and that many times what it took before: less may be the machine."""


def compare(old: Sequence[Observation], after: Observation) -> tuple[Check, ...]:
    """Jobs that fail and did not in any pass over the un-updated shop (`old`); no check where no pass ran any.

    A job that nothing listens to any more, and one that no time was left for, are told and decide nothing: plugins rename their
    jobs and leave the old ones planned.
    """
    earlier = [seen.jobs for seen in old if seen.jobs]
    if after.jobs is None or not any(jobs.ran or jobs.failure for jobs in (*earlier, after.jobs)):
        return ()
    failures = [jobs.failure for jobs in earlier if jobs.failure]
    if failures:
        detail = mark("the un-updated shop does not start for its background jobs") + f": {failures[0]}"
        return (Check(NAME, "compare", Status.INCONCLUSIVE, detail),)
    if after.jobs.failure:
        message = mark("the shop does not start for its background jobs") + f": {after.jobs.failure}"
        finding = Finding(NAME, "start", message)
        return (Check(NAME, "compare", Status.FAILED, finding.message, findings=(finding,)),)
    findings, told = [], []
    for job in after.jobs.ran:
        known = [it for jobs in earlier for it in jobs.ran if it.name == job.name]
        if job.error and not any(it.error for it in known) and (not job.hung or _much_longer(job, known)):
            slowest = max((it.seconds for it in known), default=0)
            was = sentence("ended well in {seconds:.1f} s", seconds=slowest) if known else mark("not planned")
            message = sentence("the job {name} failed", name=job.name) + f": {job.error}"
            findings.append(Finding(NAME, job.name, message, was, job.error))
        elif job.idle and known and not any(it.idle for it in known):
            told.append(sentence("nothing listens to {job} any more", job=job.name))
    left = {*after.jobs.left, *(job.name for job in after.jobs.ran if job.hung)} - {it.where for it in findings}
    if left:
        told.append(sentence("no time was left for {jobs}", jobs=", ".join(sorted(left))))
    rest = f"; {'; '.join(told)}" if told else ""
    if findings:
        fail = counted(
            "{n} background job fails after the update", "{n} background jobs fail after the update", len(findings)
        )
        detail = f"{fail}: {findings[0].message}{rest}"
        return (Check(NAME, "compare", Status.FAILED, detail, findings=tuple(findings)),)
    ran = counted(
        "{n} background job ends as it did before", "{n} background jobs end as they did before", len(after.jobs.ran)
    )
    return (Check(NAME, "compare", Status.PASSED, f"{ran}{rest}"),)


def _much_longer(job: Job, known: Sequence[Job]) -> bool:
    slowest = max((it.seconds for it in known), default=job.seconds)
    return job.seconds >= max(_AT_LEAST, _FACTOR * slowest)
