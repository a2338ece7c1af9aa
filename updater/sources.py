"""Where update packages come from: folders of zips and the CMS's own API; the newest version of each component that fits becomes the plan.

Order of the plan: core, then themes, then plugins by name. Plugins that ask for the new core find it in place; the database is
migrated once, after the last of them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache as once
from functools import cmp_to_key
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import httpx

from updater import edits, failed
from updater.advisories import Advisories, mended
from updater.advisories import parse as parse_advisories
from updater.cms.base import Driver, Fetch, Listing, Offer, PackageInfo
from updater.errors import CommandFailed, ConfigError, ExitCode, PackageRefused, UpdaterError
from updater.journal import now
from updater.language import mark, sentence
from updater.log import Progress
from updater.model import Component, Failed, Held, Inventory, Plan, Platform, Policy, Site, Update
from updater.policy import beyond_pin, failed_elsewhere, too_young
from updater.policy import held as held_by_policy
from updater.versions import compare_versions

_ORDER = {"core": 0, "theme": 1, "plugin": 2}
_SILENCE, _WHOLE = 30.0, 600.0
"""Seconds that a source may say nothing, and that one answer may take: a core of 30 MB at 50 KiB/s."""


class SourceUnreachable(UpdaterError):
    """An update source gave no answer, or one that cannot be read. That is not "no updates": nothing is known."""

    exit_code = ExitCode.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class _Package:
    """A verified file in the cache, and what it says of itself: an API may know less of its requirements, or none."""

    path: Path
    sha256: str
    info: PackageInfo


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One version that could be had. `get` brings the verified package into the cache."""

    info: PackageInfo
    source: str
    get: Callable[[], _Package]
    offer: Offer | None = None
    """What the API said of it; None for a file that a person put into a folder."""

    @property
    def id(self) -> str:
        return f"{self.info.kind}:{self.info.slug}"


def plan(
    site: Site,
    inventory: Inventory,
    driver: Driver,
    platform: Platform,
    cache: Path,
    progress: Progress,
    fetch: Fetch | None = None,
    only: Collection[str] = (),
    at: datetime | None = None,
    listing: Callable[[], Listing] = Listing,
) -> Plan:
    """The updates to rehearse and those held, with the reason. Touches nothing but `cache`.

    `only`: ids (`plugin:akismet`) or slugs; nothing else is planned, and each must have an update: ConfigError when one has none.
    SourceUnreachable when the online source gives no answer, or breaks off every download, and there is nothing else to do;
    with something to do the plan goes on and lists the silent source, or the package that did not come, as held.
    `at`: the moment that ages, holds and pins are reckoned by; None is now.
    `listing`: what the CMS's own updater offers, asked where `sources.online` is on.

    Where no release date is known the minimum age is not asked: an online offer without one is named in the plan's notes, and
    a file in a folder was put there by a person. An advisory feed that gives no answer is a note too: its fixes wait like others.
    """
    fetch = fetch or http_fetch
    held: list[Held] = []
    silences: list[SourceUnreachable] = []
    candidates = _from_folders(site.sources.folders, driver, cache, held)
    if site.sources.online:
        try:
            candidates += _from_api(site, inventory, driver, cache, fetch)
        except SourceUnreachable as error:
            silences.append(error)
            held.append(Held("source", error.where, "", "", f"{error.what}: {error.cause}"))
        listed = listing()
        held += listed.held
        candidates += [_noted(offer, driver, cache) for offer in listed.offers]
    installed = {f"{component.kind}:{component.slug}": component for component in inventory.components}
    for candidate in candidates:
        if candidate.id not in installed:
            meant = _meant(candidate, inventory)
            if meant is None:
                progress.say(f"{candidate.source}: {candidate.id} is not installed here, left out")
            else:
                held.append(_held(meant, candidate.info, _another_slug(candidate, meant)))
    newer = _newer(candidates, installed, only)
    notes: list[str] = []
    known = _advisories(site.policy.advisories, _reachable(fetch), notes) if newer else {}
    rules = _Rules(site.name, site.policy, known, failed.known(site.shared), at or now())
    updates = _choose(newer, installed, inventory, platform, driver, rules, held, silences, notes)
    updates = _with_what_they_need(updates, installed, held)
    if silences and not updates:
        raise silences[0]
    missing = [name for name in only if not any(name in (u.id, u.slug) for u in updates)]
    if missing:
        reasons = [f"{h.slug}: {h.reason}" for h in held]
        raise ConfigError(
            f"no package for {', '.join(missing)}",
            where=", ".join(str(folder) for folder in site.sources.folders) or "sources",
            cause="; ".join(reasons) or "no newer version was found in any source",
            hint="put the package (a zip) into a folder of `sources.folders`, or leave the component out",
        )
    return Plan(inventory, tuple(updates), tuple(held), tuple(notes))


# ------------------------------------------------------------------------------------------------------------------ choosing


def _meant(candidate: _Candidate, inventory: Inventory) -> Component | None:
    """The installed component that a package of another slug seems to be made for: by its name, or by the file's name."""
    file = Path(candidate.source).stem
    for component in inventory.components:
        named = re.fullmatch(rf"{re.escape(component.slug)}([-_.]?v?\d.*)?", file, re.IGNORECASE)
        if component.kind == candidate.info.kind and (named or component.name == candidate.info.name):
            return component
    return None


def _another_slug(candidate: _Candidate, meant: Component) -> str:
    return f"{candidate.source}: package refused: another slug (its folder is {candidate.info.slug}, installed is {meant.slug})"


def _newer(
    candidates: Sequence[_Candidate], installed: Mapping[str, Component], only: Collection[str]
) -> dict[str, list[_Candidate]]:
    """Component → versions newer than the installed one, newest first."""
    found: dict[str, list[_Candidate]] = {}
    for candidate in candidates:
        component = installed.get(candidate.id)
        if component is None or (only and candidate.id not in only and candidate.info.slug not in only):
            continue
        if compare_versions(candidate.info.version, component.version) > 0:
            found.setdefault(candidate.id, []).append(candidate)
    return {name: sorted(found[name], key=cmp_to_key(_by_version), reverse=True) for name in sorted(found, key=_place)}


def _by_version(a: _Candidate, b: _Candidate) -> int:
    return compare_versions(a.info.version, b.info.version)


def _place(name: str) -> tuple[int, str]:
    return _ORDER.get(name.split(":", 1)[0], 3), name


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the policy has to say of each version: see policy.py."""

    site: str
    policy: Policy
    known: Advisories
    failed: Sequence[Failed]
    at: datetime

    def against(self, component: Component, candidate: _Candidate) -> str:
        kind, slug, offer = component.kind, component.slug, candidate.offer
        version = candidate.info.version
        told = beyond_pin(self.policy, kind, slug, version, self.at.date()) or failed_elsewhere(
            self.policy, kind, slug, version, self.failed, self.site
        )
        security = bool(self.mended(component, candidate))
        return told or too_young(
            self.policy, kind, slug, offer.released if offer else None, security=security, at=self.at
        )

    def mended(self, component: Component, candidate: _Candidate) -> tuple[str, ...]:
        found = mended(self.known, component.kind, component.slug, component.version, candidate.info.version)
        said = ("its maker offers it as a security release",) if candidate.offer and candidate.offer.security else ()
        return found or said

    def unknown(self, candidate: _Candidate) -> str:
        """A note when the minimum age could not be asked."""
        if candidate.offer is None or candidate.offer.released or candidate.offer.security:
            return ""
        undated = sentence("{source} gives no release date, its age is not known", source=candidate.source)
        return f"{candidate.info.name} {candidate.info.version}: {undated}"


def _choose(
    newer: Mapping[str, list[_Candidate]],
    installed: Mapping[str, Component],
    inventory: Inventory,
    platform: Platform,
    driver: Driver,
    rules: _Rules,
    held: list[Held],
    silences: list[SourceUnreachable],
    notes: list[str],
) -> list[Update]:
    """The newest version of each component that fits. Core comes first, so that its new version counts for the rest; a leap is
    taken only where no ordinary version is left.

    A package that is refused or does not come is put into `held`; why it did not come, into `silences` as well.
    """
    updates: list[Update] = []
    core = inventory.version
    for name, candidates in newer.items():
        component = installed[name]
        reason = held_by_policy(rules.policy, component.kind, component.slug, rules.at.date())
        if reason:
            held.append(_held(component, candidates[0].info, reason))
            continue
        ordinary = sorted(candidates, key=lambda it: bool(driver.leap(component, it.info.version)))
        for candidate in ordinary:
            refused = driver.refuses(component, candidate.info.version)
            problem = (
                refused or rules.against(component, candidate) or _incompatible(candidate.info, platform.php, core)
            )
            if problem:
                held.append(_held(component, candidate.info, problem))
                continue
            try:
                package = candidate.get()
            except PackageRefused as error:
                held.append(_held(component, candidate.info, _refusal(error)))
                continue
            except SourceUnreachable as error:
                held.append(_held(component, candidate.info, f"{error.what}: {error.cause}"))
                silences.append(error)
                continue
            problem = _incompatible(package.info, platform.php, core)
            if problem:
                held.append(_held(component, candidate.info, problem))
                continue
            updates.append(_update(component, candidate, package, rules.mended(component, candidate), installed))
            notes += filter(None, [rules.unknown(candidate)])
            if component.kind == "core":
                core = candidate.info.version
            break
    return updates


def _with_what_they_need(
    updates: Sequence[Update], installed: Mapping[str, Component], held: list[Held]
) -> list[Update]:
    """Without those whose companion is not in the plan, however long that chain is."""
    planned = {update.id for update in updates}
    alone = {update.id: [it for it in update.needs if it not in planned] for update in updates}
    lost = [update for update in updates if alone[update.id]]
    if not lost:
        return list(updates)
    for update in lost:
        missing = ", ".join(it.partition(":")[2] for it in alone[update.id])
        reason = sentence("comes only together with {others}, which is not updated", others=missing)
        held.append(Held(update.kind, update.slug, update.from_version, update.to_version, reason))
    return _with_what_they_need([update for update in updates if not alone[update.id]], installed, held)


def _incompatible(info: PackageInfo, php: str, core: str) -> str:
    if info.requires_php and compare_versions(php, info.requires_php) < 0:
        return sentence("requires PHP {wanted}, the server has {has}", wanted=info.requires_php, has=php)
    if info.kind != "core" and info.requires_core and compare_versions(core, info.requires_core) < 0:
        return sentence("requires core {wanted}, this plan ends at {has}", wanted=info.requires_core, has=core)
    return ""


def _held(component: Component, info: PackageInfo, reason: str) -> Held:
    return Held(component.kind, component.slug, component.version, info.version, reason)


def _refusal(error: PackageRefused) -> str:
    return f"{Path(error.where).name}: {error.what}" + (f" ({error.cause})" if error.cause else "")


def _update(
    component: Component,
    candidate: _Candidate,
    package: _Package,
    security: tuple[str, ...],
    installed: Mapping[str, Component],
) -> Update:
    info = package.info
    needs = (
        other
        for other, least in info.needs.items()
        if other not in installed or compare_versions(installed[other].version, least) < 0
    )
    return Update(
        component.kind,
        component.slug,
        component.name,
        component.version,
        info.version,
        package.path,
        package.sha256,
        candidate.source,
        info.requires_php or candidate.info.requires_php,
        info.requires_core or candidate.info.requires_core,
        candidate.offer.released if candidate.offer else None,
        security,
        changelog=candidate.offer.changelog if candidate.offer else "",
        needs=tuple(needs),
    )


# ------------------------------------------------------------------------------------------------------------------- folders


def _from_folders(folders: Sequence[Path], driver: Driver, cache: Path, held: list[Held]) -> list[_Candidate]:
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                "a folder of packages does not exist",
                where=str(folder),
                hint="create it, or correct `sources.folders` in site.yml",
            )
        for path in sorted(folder.glob("*.zip")):
            try:
                # What is read, hashed, planned and applied is one file of our own: the folder may change meanwhile.
                package, sha256 = _keep(path, cache)
                info = driver.read_package(package, path.name)
            except PackageRefused as error:
                cause = f" ({error.cause})" if error.cause else ""
                held.append(Held("package", path.name, "", "", f"{path}: {error.what}{cause}"))
                continue
            _remember(cache, info, sha256)
            found.append(_Candidate(info, f"{folder.name}/{path.name}", _kept(_Package(package, sha256, info))))
    return found


def _noted(offer: Offer, driver: Driver, cache: Path) -> _Candidate:
    """A version that the CMS's own updater fetches: the package is the note of it."""
    cache.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=cache, prefix="incoming-", suffix=".zip")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(offer.content)
        info = driver.read_package(temporary)
        kept, sha256 = _keep(temporary, cache)
    finally:
        temporary.unlink(missing_ok=True)
    return _Candidate(info, offer.url, _kept(_Package(kept, sha256, info)), offer)


def _kept(package: _Package) -> Callable[[], _Package]:
    return lambda: package


def _keep(path: Path, cache: Path) -> tuple[Path, str]:
    """A private copy under its own sha256, made by temporary file and rename. PackageRefused when it cannot be opened."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise PackageRefused("package refused: cannot be read", where=str(path), cause=str(error.strerror)) from error
    cache.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=cache, prefix="incoming-")
    temporary = Path(name)
    try:
        with file, os.fdopen(descriptor, "wb") as into:
            shutil.copyfileobj(file, into)
            into.flush()
            os.fsync(into.fileno())
        sha256 = _sha256(temporary)
        kept = cache / f"{sha256}.zip"
        temporary.replace(kept)
    finally:
        temporary.unlink(missing_ok=True)
    return kept, sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -------------------------------------------------------------------------------------------------------------------- online


def _from_api(site: Site, inventory: Inventory, driver: Driver, cache: Path, fetch: Fetch) -> list[_Candidate]:
    asked = _reachable(fetch)
    try:
        offers = driver.offers(inventory, asked, site.sources.api, site.sources.downloads)
    except CommandFailed as error:
        raise _unreadable(error) from error

    def getter(offer: Offer) -> Callable[[], _Package]:
        return lambda: _download(offer, driver, cache, asked)

    return [_Candidate(offer.info, _host(offer.url), getter(offer), offer) for offer in offers]


def _advisories(feed: str | None, fetch: Fetch, notes: list[str]) -> Advisories:
    if feed is None:
        return {}
    try:
        data = fetch(feed, None) if "://" in feed else Path(feed).read_bytes()
        return parse_advisories(data, _host(feed))
    except (UpdaterError, OSError) as error:
        cause = error.cause if isinstance(error, UpdaterError) else error.strerror
        notes.append(mark("security fixes are not known") + f": {_host(feed)}: {cause}")
        return {}


def _reachable(fetch: Fetch) -> Fetch:
    """`fetch` whose every failure is a SourceUnreachable that names the source."""

    def asked(url: str, form: Mapping[str, str] | None) -> bytes:
        try:
            data: bytes = fetch(url, form)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Some time-outs have no text of their own.
            raise SourceUnreachable(
                "an update source does not answer",
                where=_host(url),
                cause=f"{url}: {str(error) or type(error).__name__}",
                hint=_ALONE,
            ) from error
        return data

    return asked


def _host(url: str) -> str:
    """For people. An API may hand out an address that is none: fetching it says so."""
    try:
        return urlsplit(url).netloc or url
    except ValueError:
        return url


_ALONE = "try again later, or set `sources.online: false` to use the folders alone"


def _unreadable(error: CommandFailed) -> SourceUnreachable:
    """What the driver could not read: a page of a proxy or a login in place of the API's answer."""
    return SourceUnreachable(
        "an update source gave an answer that cannot be read",
        where=_host(error.where),
        cause=f"{error.where}: {error.what} ({error.cause})",
        hint=_ALONE,
    )


def _is_missing(error: SourceUnreachable) -> bool:
    """True when the source did answer: that it has no such file."""
    cause = error.__cause__
    return isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code in (404, 410)


def _download(offer: Offer, driver: Driver, cache: Path, fetch: Fetch) -> _Package:
    """The offered package from the cache, or downloaded and verified. Only what was verified gets a note of its address.

    PackageRefused names the address, not our temporary file. SourceUnreachable when the package or its checksums do not come.
    """
    cache.mkdir(parents=True, exist_ok=True)
    note = cache / f"{hashlib.sha256(offer.url.encode()).hexdigest()}.address"
    if note.is_file():
        sha256 = note.read_text(encoding="ascii").strip()
        kept = cache / f"{sha256}.zip"
        if kept.is_file() and _sha256(kept) == sha256:
            return _Package(kept, sha256, driver.read_package(kept, _file_name(offer.url)))
    try:
        package = _verified(offer, driver, cache, fetch)
    except CommandFailed as error:
        raise _unreadable(error) from error
    except PackageRefused as error:
        raise PackageRefused(error.what, where=offer.url, cause=error.cause, hint=error.hint) from error
    except SourceUnreachable as error:
        if not _is_missing(error):
            raise
        raise PackageRefused(
            "package refused: it, or its checksums, are not there to download",
            where=offer.url,
            cause=error.cause,
            hint="download it from its maker into a folder of `sources.folders`",
        ) from error
    note.write_text(package.sha256, encoding="ascii")
    _remember(cache, package.info, package.sha256)
    return package


def _file_name(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).name


def _verified(offer: Offer, driver: Driver, cache: Path, fetch: Fetch) -> _Package:
    data = fetch(offer.url, None)
    descriptor, name = tempfile.mkstemp(dir=cache, prefix="incoming-", suffix=".zip")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        info = driver.read_package(temporary, _file_name(offer.url))
        if (info.kind, info.slug, info.version) != (offer.info.kind, offer.info.slug, offer.info.version):
            raise PackageRefused(
                "package refused: not what was offered",
                where=offer.url,
                cause=f"offered {offer.info.kind} {offer.info.slug} {offer.info.version}, "
                f"received {info.kind} {info.slug} {info.version}",
                hint="run `updater plan` again later",
            )
        driver.verify_download(temporary, offer, fetch)
        kept, sha256 = _keep(temporary, cache)
        return _Package(kept, sha256, info)
    finally:
        temporary.unlink(missing_ok=True)


# Reading the CAs costs 25 ms of CPU, and a plan asks dozens of times.
_tls = once(httpx.create_ssl_context)


def http_fetch(url: str, form: Mapping[str, str] | None, *, silence: float = _SILENCE, whole: float = _WHOLE) -> bytes:
    """GET, or POST of form data. httpx.HTTPError when there is no answer, or another status than 200.

    `silence`: seconds to the next byte; `whole`: seconds to the last one, so that a trickle ends as well.
    """
    ends = time.monotonic() + whole
    body = bytearray()
    with (
        httpx.Client(
            timeout=silence, follow_redirects=True, headers={"User-Agent": "cms-updater"}, verify=_tls()
        ) as client,
        client.stream("GET" if form is None else "POST", url, data=None if form is None else dict(form)) as response,
    ):
        response.raise_for_status()
        for chunk in response.iter_bytes():
            body += chunk
            if time.monotonic() > ends:
                raise httpx.ReadTimeout(f"not complete after {whole:g} s", request=response.request)
    return bytes(body)


# --------------------------------------------------------------------------------------------------------- installed releases


def releases(
    site: Site,
    inventory: Inventory,
    updates: Sequence[Update],
    driver: Driver,
    root: Path,
    cache: Path,
    progress: Progress,
    fetch: Fetch | None = None,
) -> dict[str, edits.Known]:
    """Update id → the release that is installed now: its zip of a folder or an earlier run, else the makers' published checksums.

    `root` is a copy of the docroot. A source that is silent here makes a component unknown; it stops nothing.
    """
    installed = {f"{component.kind}:{component.slug}": component for component in inventory.components}
    known: dict[str, edits.Known] = {}
    for update in updates:
        package = _remembered(cache, update.kind, update.slug, update.from_version)
        if package is not None:
            members = driver.members(package, installed[update.id], inventory.places)
            if members:  # a note of a version holds no file, so that nothing can be told by it
                known[update.id] = edits.of_package(package, members)
        elif site.sources.online:
            asked = _reachable(fetch or http_fetch)
            try:
                files = driver.published(installed[update.id], root, asked, site.sources.api, site.sources.downloads)
            except (SourceUnreachable, CommandFailed) as error:
                progress.say(f"{update.id} {update.from_version}: no checksums of its release: {error.cause}")
                continue
            if files:
                known[update.id] = edits.Known(files)
    return known


def _remember(cache: Path, info: PackageInfo, sha256: str) -> None:
    """Which package a version is: once that version is installed, edits in it can be told."""
    _release_note(cache, info.kind, info.slug, info.version).write_text(sha256, encoding="ascii")


def _remembered(cache: Path, kind: str, slug: str, version: str) -> Path | None:
    note = _release_note(cache, kind, slug, version)
    if not note.is_file():
        return None
    sha256 = note.read_text(encoding="ascii").strip()
    kept = cache / f"{sha256}.zip"
    return kept if kept.is_file() and _sha256(kept) == sha256 else None


def _release_note(cache: Path, kind: str, slug: str, version: str) -> Path:
    return cache / f"{hashlib.sha256(f'{kind}:{slug}@{version}'.encode()).hexdigest()}.release"


def needs(plan: Plan) -> dict[str, frozenset[str]]:
    """Update → the updates of this plan that it cannot do without: a plugin's new version may ask for the new core."""
    core = next((update for update in plan.updates if update.kind == "core"), None)
    planned = {update.id for update in plan.updates}
    found = {}
    for update in plan.updates:
        needed = planned & set(update.needs)
        asked = update.requires_core if core is not None and update is not core else None
        if core is not None and asked and compare_versions(plan.inventory.version, asked) < 0:
            needed.add(core.id)
        if needed:
            found[update.id] = frozenset(needed)
    return found
