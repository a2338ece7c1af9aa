"""Known vulnerabilities, so that the update which mends one is known as a security fix. Pure: the feed's bytes come as an argument."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from updater.errors import ExitCode, UpdaterError
from updater.versions import compare_versions


class FeedUnreadable(UpdaterError):
    """The advisory feed is not what it should be. That is not "no vulnerabilities": nothing is known."""

    exit_code = ExitCode.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Affected:
    """Versions from `first` to `last`, None meaning without end; the ends themselves when included."""

    first: str | None
    first_included: bool
    last: str | None
    last_included: bool

    def holds(self, version: str) -> bool:
        return _beyond(version, self.first, self.first_included) and (
            self.last is None or compare_versions(version, self.last) < (1 if self.last_included else 0)
        )


@dataclass(frozen=True, slots=True)
class Advisory:
    title: str
    affected: tuple[Affected, ...]
    rating: str = ""
    """Critical, High, Medium, Low, as the feed says; '' where it does not"""

    def affects(self, version: str) -> bool:
        return any(versions.holds(version) for versions in self.affected)


Advisories = Mapping[str, Sequence[Advisory]]
"""`kind:slug` → what is known of it"""


def parse(data: bytes, where: str) -> Advisories:
    """Wordfence Intelligence's vulnerability feed, as its V2 and V3 give it: an object of records by id.

    https://www.wordfence.com/help/wordfence-intelligence/v2-accessing-and-consuming-the-vulnerability-data-feed/
    FeedUnreadable when it is another thing, or a record lacks what is needed here; `where` names it.
    """
    try:
        records = json.loads(data)
    except ValueError as error:
        raise _unreadable(where, f"no JSON: {error}") from error
    if not isinstance(records, dict):
        raise _unreadable(where, "not an object of records")
    found: dict[str, list[Advisory]] = {}
    for name, record in records.items():
        try:
            for software in record["software"]:
                ranges = tuple(_affected(versions) for versions in software["affected_versions"].values())
                found.setdefault(f"{software['type']}:{software['slug']}", []).append(
                    Advisory(_title(record), ranges, str((record.get("cvss") or {}).get("rating") or ""))
                )
        except (KeyError, TypeError, AttributeError) as error:
            raise _unreadable(where, f"record {name}: {type(error).__name__} {error}") from error
    return found


def mended(known: Advisories, kind: str, slug: str, from_version: str, to_version: str) -> tuple[str, ...]:
    """What this update mends: the titles of all that is known of the old version and not of the new one."""
    advisories = known.get(f"{kind}:{slug}", ())
    return tuple(it.title for it in advisories if it.affects(from_version) and not it.affects(to_version))


def unmended(known: Advisories, versions: Mapping[str, str]) -> tuple[tuple[str, Advisory], ...]:
    """(`kind:slug`, advisory) of everything that is known of these installed versions, the worst rating first."""
    found = [
        (component, it)
        for component, version in versions.items()
        for it in known.get(component, ())
        if it.affects(version)
    ]
    worst = ("Critical", "High", "Medium", "Low")
    return tuple(sorted(found, key=lambda it: worst.index(it[1].rating) if it[1].rating in worst else len(worst)))


def _title(record: Mapping[str, Any]) -> str:
    rating = (record.get("cvss") or {}).get("rating")
    return " ".join(part for part in (record.get("cve"), record["title"], f"({rating})" if rating else "") if part)


def _affected(versions: Mapping[str, Any]) -> Affected:
    first, last = str(versions["from_version"]), str(versions["to_version"])
    return Affected(
        None if first == "*" else first,
        bool(versions["from_inclusive"]),
        None if last == "*" else last,
        bool(versions["to_inclusive"]),
    )


def _beyond(version: str, first: str | None, included: bool) -> bool:
    return first is None or compare_versions(version, first) > (-1 if included else 0)


def _unreadable(where: str, cause: str) -> FeedUnreadable:
    return FeedUnreadable(
        "the advisory feed cannot be read", where=where, cause=cause, hint="correct `policy.advisories` in site.yml"
    )
