"""What a promotion is hurt on: a whole shop in versions that sell only with their own tables, and customers who can order there."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from updater.cms.base import Gate
from updater.model import Approval, ApprovedRelease, Installation, Migration, MigrationStep, Release

if TYPE_CHECKING:
    from customers import Order
    from hosting import Hosting


@dataclass(frozen=True)
class Version:
    """`says`: texts of the shop's page that only a shop of this version with its tables has. `tables`: number of the schema."""

    files: Mapping[str, bytes]
    says: tuple[str, ...]
    tables: int

    @cached_property
    def sums(self) -> dict[str, str]:
        return {path: hashlib.sha256(content).hexdigest() for path, content in self.files.items()}


class Shop(Protocol):
    """`old` becomes `new_code` without a migration, or `new` with one."""

    url: str
    page: str
    """Asked for to see which version answers"""
    installation: Installation
    gate: Gate
    purge: Sequence[MigrationStep]
    old: Version
    new_code: Version
    new: Version
    folders: Sequence[str]
    """Below the docroot, there with nothing in them"""
    restless: Sequence[str]
    """Folders whose files belong to no version and nobody compares: caches and logs"""
    tables: bytes
    """SQL that makes the database anew, with 500 orders of `earlier-…`"""
    from_customers: frozenset[str]
    """Tables that customers write"""
    placed: str
    """SQL: token, number of orders with it"""

    def release(
        self, run: str, before: Version, after: Version, folder: Path, migration: str | None = None
    ) -> ApprovedRelease:
        """`migration`: '' as rehearsed, else how it goes wrong in its middle; None: there is none."""

    def migrate(self, host: Hosting) -> None:
        """With the files of `new` in place: its tables, as a promotion makes them."""

    def follow(self, version: Version) -> Version:
        """The next one after it, without a migration."""

    def place(self, address: str, seconds: float) -> Order:
        """A customer orders; it takes that many seconds in the shop."""


def packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def approved(
    run: str,
    before: Version,
    after: Version,
    folder: Path,
    migration: Migration,
    units: Callable[[Sequence[str]], Sequence[str]],
) -> ApprovedRelease:
    """An approved release of exactly the difference. `units`: changed paths → what is swapped by one rename each."""
    paths = sorted(
        path for path in before.sums.keys() | after.sums.keys() if before.sums.get(path) != after.sums.get(path)
    )
    changed = {path: (before.sums.get(path), after.sums.get(path)) for path in paths}
    archive = folder / f"{run}.tar"
    archive.write_bytes(packed({path: after.files[path] for path in paths if path in after.files}))
    now = datetime.now(UTC)
    it = Release(run, "shop", now, (), tuple(units(paths)), changed, archive, migration, {}, {}, 1.0, "sha")
    return ApprovedRelease(it, Approval(run, "ann", now, now + timedelta(days=1), "e", "sha"))
