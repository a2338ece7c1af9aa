"""The light look between runs: a sample for the monthly report, and a message for each concern that begins or ends.

Only what a pipeline over ssh can honestly know. It looks when it is called, from one machine: no replacement for an uptime service.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from updater import advisories, cms, notify, samples
from updater.errors import SiteLocked, UpdaterError
from updater.journal import converter, dump, now, write_atomically
from updater.language import Words, mark, speak
from updater.log import Progress
from updater.model import BackupEvent, Inventory, Sample, Site, Urgency
from updater.production import host, look, probe

DOWN = "down"
_DAYS_BEFORE = (1, 7, 14, 30)
_DISK_LOW, _DISK_FULL = 0.10, 0.02
_FAILING = (0.05, 10)
"""Share and number of answers with 5xx since the look before, from which on it is a concern"""
_GAPS_KNOWN, _KNOWN_FOR, _GAP_AT_LEAST, _GAP_TIMES = 20, timedelta(days=14), timedelta(hours=6), 1.5
"""A gap between orders is told when it is 1.5 times the longest of the known ones, of which there must be enough."""
_GAPS_KEPT = 200
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that a person should know. `key` is the same at each look while it goes on."""

    key: str
    urgency: Urgency
    title: str
    """A message of ours, to be translated, with `{site}` and `values`"""
    body: str
    values: tuple[tuple[str, str | int], ...] = ()
    passing: bool = False
    """Seen once: it happened, and does not end"""


@dataclass(frozen=True, slots=True)
class Hole:
    """A known vulnerability of an installed version."""

    component: str
    title: str
    rating: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the next look needs of this one. `told`: concern → message. `order_times`: when looks found new orders."""

    clock: int | None = None
    log: look.LogPlace | None = None
    deployed: int = 0
    versions: Mapping[str, str] | None = None
    order_count: int | None = None
    order_times: tuple[datetime, ...] = ()
    watched_since: datetime | None = None
    feed: str = ""
    """Which feed and which versions `holes` is of: a feed of 100 MB is not read every ten minutes."""
    holes: tuple[Hole, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. `server` is None where ssh failed, and `unreachable` says why."""

    at: datetime
    web: look.WebLook
    server: look.ServerLook | None = None
    versions: Mapping[str, str] | None = None
    order_count: int | None = None
    unreachable: str = ""
    feed: str = ""
    holes: tuple[Hole, ...] | None = None
    """None where no feed was read"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look gave: the sample that was kept, all concerns of now, and which of them are new or over."""

    sample: Sample
    concerns: tuple[Concern, ...]
    begun: tuple[Concern, ...]
    ended: tuple[str, ...]
    remarks: tuple[str, ...]
    """What could not be looked at there"""


def watch(site: Site, progress: Progress, *, wait: Callable[[float], None] = time.sleep) -> Looked:
    """Look once, keep the sample, and put word of what began or ended into the outbox. SiteLocked beside another look.

    A server that does not answer over ssh is a concern and no error.
    """
    with _one_at_a_time(site):
        known = _load(site)
        progress.step("look at the shop")
        web = look.from_outside(site, wait=wait)
        progress.step("look at the server")
        seen = _with_holes(site, _from_inside(site, Seen(now(), web), known), known)
        sample = sample_of(seen)
        samples.add(site.state, sample)
        found = concerns(site, seen, known, samples.backups(site.state))
        told, begun, ended = _tell(site, seen, known, found)
        _keep(site, replace(_remember(seen, known), told=told))
    return Looked(sample, found, begun, ended, remarks(site, seen, known))


def _from_inside(site: Site, seen: Seen, known: Remembered) -> Seen:
    try:
        with host.connect(site.server) as server:
            installation = cms.detect(server, site.docroot, probe.find_php(server, site), site.cms)
            driver = cms.driver(installation.cms)
            layout = driver.layout(server, installation)
            seen = replace(seen, server=look.from_inside(server, site, layout, known.clock, known.log))
            seen = replace(seen, versions=_versions(driver.inventory(server, installation)))
            return replace(seen, order_count=driver.orders(server, installation, site.orders).order_count)
    except UpdaterError as failed:
        return replace(seen, unreachable=str(failed))


def _with_holes(site: Site, seen: Seen, known: Remembered) -> Seen:
    """What the advisory feed knows of the installed versions. A feed at an address is read by runs alone: it is large."""
    feed, versions = Path(site.policy.advisories or ""), seen.versions
    if versions is None or not site.policy.advisories or not feed.is_file():
        return seen
    stat = feed.stat()
    of = hashlib.sha256(f"{feed} {stat.st_size} {stat.st_mtime_ns} {sorted(versions.items())}".encode()).hexdigest()
    if of == known.feed:
        return replace(seen, feed=of, holes=known.holes)
    try:
        found = advisories.unmended(advisories.parse(feed.read_bytes(), str(feed)), versions)
    except UpdaterError:
        return seen  # `updater run` says what is wrong with it; here the holes stay unknown, and a remark says so
    return replace(seen, feed=of, holes=tuple(Hole(name, it.title, it.rating) for name, it in found))


def _versions(inventory: Inventory) -> dict[str, str]:
    return {f"{it.kind}:{it.slug}": it.version for it in inventory.components}


# ------------------------------------------------------------------------------------------- what was seen, and why care


def sample_of(seen: Seen) -> Sample:
    server = seen.server
    return Sample(
        at=seen.at,
        up=not seen.web.problem,
        status=seen.web.status,
        seconds=seen.web.seconds,
        problem=f"closed by the deployment {server.closed_by}" if _closed_by_us(seen) and server else seen.web.problem,
        requests=server.requests if server else None,
        client_errors=server.client_errors if server else None,
        server_errors=server.server_errors if server else None,
        certificate_days=look.days_left(seen.web.certificate_ends, seen.at),
        disk_free=server.disk_free if server else None,
    )


def _closed_by_us(seen: Seen) -> bool:
    return bool(seen.web.problem and seen.server and seen.server.closed_by)


def remarks(site: Site, seen: Seen, known: Remembered) -> tuple[str, ...]:
    """What this look could not know, so that nobody takes silence for health."""
    if seen.server is None:
        return ()
    found = []
    if seen.server.log is None:
        found.append(
            "the access log cannot be read: name it in site.yml (watch.access_log), or its errors stay unknown"
        )
    elif seen.server.requests is None:
        found.append(f"errors of visitors are counted from now on, in {seen.server.log.path}")
    if known.clock is None:
        found.append("changes made by others are told from the next look on")
    elif seen.server.changed is None:
        found.append("changed files are not told: `find` on the server does not know -newerct")
    if site.policy.advisories and seen.holes is None:
        found.append("known vulnerabilities: the feed is no file here, or cannot be read; runs read it")
    if not seen.order_count:
        found.append("no order was found: name their table in site.yml (orders) if the shop keeps them elsewhere")
    return tuple(found)


def concerns(site: Site, seen: Seen, known: Remembered, backups: Sequence[BackupEvent]) -> tuple[Concern, ...]:
    """Everything that a person should know now, the worst first. Pure."""
    found = [
        *_availability(seen),
        *_certificate(seen),
        *_server(seen),
        *_others_at_work(seen, known),
        *_orders(seen, known),
        *_backups(site, seen.at, backups),
        *_licences(site, seen.at),
        *_known_holes(seen),
    ]
    return tuple(sorted(found, key=lambda concern: ("urgent", "work", "info").index(concern.urgency)))


def _availability(seen: Seen) -> Iterator[Concern]:
    if seen.web.problem and not _closed_by_us(seen):
        yield Concern(DOWN, "urgent", mark("{site}: the shop does not answer"), seen.web.problem)
    if seen.unreachable:
        yield Concern("ssh", "work", mark("{site}: the server could not be looked at"), seen.unreachable)


def _certificate(seen: Seen) -> Iterator[Concern]:
    days = look.days_left(seen.web.certificate_ends, seen.at)
    limit = next((limit for limit in _DAYS_BEFORE if days is not None and days <= limit), None)
    if days is None or limit is None:
        return
    ends = f"{seen.web.certificate_ends:%Y-%m-%d %H:%M} UTC: renew it, and look why it is not renewed by itself"
    urgency: Urgency = "urgent" if limit <= 7 else "work"
    if days < 0:
        yield Concern("certificate over", "urgent", mark("{site}: the certificate is over"), ends)
    else:
        title = mark("{site}: the certificate ends in {days} days")
        yield Concern(f"certificate {limit}", urgency, title, ends, (("days", days),))


def _server(seen: Seen) -> Iterator[Concern]:
    server = seen.server
    if server is None:
        return
    if server.disk_free is not None and server.disk_free < _DISK_LOW:
        full = server.disk_free < _DISK_FULL
        body = f"{server.disk_free:.1%} of the file system that holds the shop is free; a full disk stops orders"
        title = mark("{site}: the server's disk is nearly full")
        yield Concern("disk full" if full else "disk low", "urgent" if full else "work", title, body)
    share, number = _FAILING
    if server.requests and (server.server_errors or 0) >= max(number, share * server.requests):
        body = f"{server.server_errors} of {server.requests} answers since the look before were 5xx; read the error log"
        yield Concern("errors", "work", mark("{site}: the server answers with errors"), body)


def _others_at_work(seen: Seen, known: Remembered) -> Iterator[Concern]:
    """What changed since the look before and was not deployed by us."""
    server = seen.server
    if server is None:
        return
    ours = server.deployed > known.deployed or server.closed_by
    if known.versions is not None and seen.versions is not None and not ours:
        changed = [
            f"{name.partition(':')[2]} {known.versions.get(name, 'absent')} → {seen.versions.get(name, 'absent')}"
            for name in sorted(known.versions.keys() | seen.versions.keys())
            if known.versions.get(name) != seen.versions.get(name)
        ]
        if changed:
            yield _happened("components", mark("{site}: somebody else updates this shop"), changed)
    elif server.closed_by:
        return
    if server.executable_media:
        title = mark("{site}: code was put where only uploads belong")
        yield _happened("uploads", title, server.executable_media)
    rest = [path for path in server.changed or () if path not in (server.executable_media or ())]
    if rest:
        yield _happened("files", mark("{site}: code was changed on the server, not by us"), rest)


def _happened(key: str, title: str, what: Sequence[str]) -> Concern:
    more = f"\n… and {len(what) - _NAMED} more" if len(what) > _NAMED else ""
    body = "\n".join(what[:_NAMED]) + more
    return Concern(f"{key} {hashlib.sha256(body.encode()).hexdigest()[:8]}", "work", title, body, passing=True)


def _orders(seen: Seen, known: Remembered) -> Iterator[Concern]:
    """A gap longer than this shop ever had while we looked. Nothing is said before enough is known of its rhythm."""
    times = _order_times(seen, known)
    if len(times) <= _GAPS_KNOWN or known.watched_since is None or seen.at - known.watched_since < _KNOWN_FOR:
        return
    gaps = [later - earlier for earlier, later in pairwise(times)]
    limit = max(_GAP_AT_LEAST, max(gaps) * _GAP_TIMES)
    if seen.at - times[-1] > limit:
        hours = int((seen.at - times[-1]).total_seconds() // 3600)
        body = f"the longest gap known was {max(gaps).total_seconds() / 3600:.0f} hours: place a test order, look at the payment service"
        title = mark("{site}: no order for {hours} hours, longer than ever seen")
        yield Concern("orders", "work", title, body, (("hours", hours),))


def _order_times(seen: Seen, known: Remembered) -> tuple[datetime, ...]:
    if seen.order_count is None or known.order_count is None or seen.order_count <= known.order_count:
        return known.order_times
    return (*known.order_times, seen.at)[-_GAPS_KEPT:]


def _backups(site: Site, at: datetime, events: Sequence[BackupEvent]) -> Iterator[Concern]:
    if site.backup is None:
        return
    for place in site.backup.places:
        taken = max((it.taken for it in events if it.kind == "made" and it.ok and it.place == place), default=None)
        if taken is None or at - taken > site.watch.backup_age:
            body = f"{place}: " + (f"the newest is of {taken:%Y-%m-%d %H:%M} UTC" if taken else "there is none yet")
            title = mark("{site}: the newest backup is too old")
            yield Concern(f"backup {place}", "work", title, f"{body}; type: updater backup {site.config.name}")
    proven = max((it.at for it in events if it.kind == "restored" and it.ok), default=None)
    made = min((it.at for it in events if it.kind == "made" and it.ok), default=at)
    if at - (proven or made) > site.watch.restore_age:
        body = f"the last proof was on {proven:%Y-%m-%d}" if proven else "none was ever restored"
        title = mark("{site}: no backup was proven by a restore for a long time")
        yield Concern("restore", "work", title, f"{body}; type: updater backup verify {site.config.name}")


def _known_holes(seen: Seen) -> Iterator[Concern]:
    """A concern for each component: what is critical wakes somebody, for it is attacked within hours."""
    for component in dict.fromkeys(hole.component for hole in seen.holes or ()):
        holes = [hole for hole in seen.holes or () if hole.component == component]
        critical = any(hole.rating == "Critical" for hole in holes)
        title = mark("{site}: {name} has a known vulnerability")
        body = "\n".join(hole.title for hole in holes) + "\ntype: updater run; a security fix never waits for its age"
        values = (("name", component.partition(":")[2]),)
        yield Concern(f"hole {component} {critical}", "urgent" if critical else "work", title, body, values)


def _licences(site: Site, at: datetime) -> Iterator[Concern]:
    """As certificates, by the days that site.yml names in its passport; a paid thing that ended is work and no outage."""
    for licence in site.passport.licences:
        days = (licence.until - at.date()).days
        limit = next((limit for limit in _DAYS_BEFORE if days <= limit), None)
        if limit is not None:
            title = mark("{site}: {name} ends on {day}")
            values = (("name", licence.name), ("day", licence.until.isoformat()))
            body = "renew it, then correct passport.licences in site.yml"
            yield Concern(f"licence {limit if days >= 0 else 'over'} {licence.name}", "work", title, body, values)


# ----------------------------------------------------------------------------------------------- telling, remembering


def _tell(
    site: Site, seen: Seen, known: Remembered, found: Sequence[Concern]
) -> tuple[dict[str, str], tuple[Concern, ...], tuple[str, ...]]:
    """A message for each concern that begins; what is over is closed. (told, begun, titles of what ended)"""
    words, keys = speak(site.language), {concern.key for concern in found}
    begun = tuple(concern for concern in found if concern.key not in known.told)
    told = {key: message for key, message in known.told.items() if key in keys or _unseen(key, seen)}
    for concern in begun:
        message = notify.put(site.state, concern.urgency, title_of(concern, site, words), concern.body, at=seen.at)
        if not concern.passing:
            told[concern.key] = message.id
    ended = []
    for key, message_id in known.told.items():
        if key not in told:
            ended.append(key)
            notify.close(site.state, message_id, seen.at)
    if DOWN in ended:
        notify.put(
            site.state, "info", words.gettext("{site}: the shop answers again").format(site=site.name), "", at=seen.at
        )
    return told, begun, tuple(ended)


def _unseen(key: str, seen: Seen) -> bool:
    """What could not be looked at is not over: a certificate while nothing answers, a disk while ssh does not."""
    if key.startswith("certificate"):
        return seen.web.certificate_ends is None
    if key.startswith("hole"):
        return seen.holes is None
    return key.startswith(("disk", "errors", "orders")) and seen.server is None


def title_of(concern: Concern, site: Site, words: Words) -> str:
    return words.gettext(concern.title).format(site=site.name, **dict(concern.values))


def _remember(seen: Seen, known: Remembered) -> Remembered:
    server = seen.server
    return Remembered(
        clock=server.clock if server else known.clock,
        log=(server.log if server else None) or known.log,
        deployed=server.deployed if server else known.deployed,
        versions=seen.versions if seen.versions is not None else known.versions,
        order_count=seen.order_count if seen.order_count is not None else known.order_count,
        order_times=_order_times(seen, known),
        watched_since=known.watched_since or seen.at,
        feed=seen.feed,
        holes=seen.holes or (),
    )


def _file(site: Site) -> Path:
    return site.state / "watch" / "state.json"


def _load(site: Site) -> Remembered:
    """What was remembered, nothing at the first look. UpdaterError when the file cannot be read."""
    try:
        return converter.structure(json.loads(_file(site).read_bytes()), Remembered)
    except FileNotFoundError:
        return Remembered()
    except Exception as broken:
        raise UpdaterError(
            "what the looks before remembered cannot be read",
            where=str(_file(site)),
            cause=str(broken),
            hint="move the file away: the next look then begins anew",
        ) from broken


def _keep(site: Site, remembered: Remembered) -> None:
    write_atomically(_file(site), dump(remembered), mode=0o600)


@contextmanager
def _one_at_a_time(site: Site) -> Iterator[None]:
    """Beside another look, never beside a run's lock: a run takes minutes, and the shop is watched meanwhile."""
    folder = site.state / "watch"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SiteLocked(
                "another look at this site is still going on",
                where=str(folder / "lock"),
                hint="wait for it; when that happens often, look less often",
            ) from None
        yield
