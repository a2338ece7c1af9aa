"""The contract of a CMS driver: a plain module that satisfies `Driver`. Everything that differs between CMSs is here."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from updater.errors import UnsupportedSite
from updater.model import (
    Component,
    Database,
    Held,
    Installation,
    Inventory,
    Layout,
    MigrationStep,
    OrderTable,
    Replay,
    Update,
)
from updater.resources import package_text
from updater.shell import Shell, compose


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """What an update package says of itself, read without unpacking it to disk."""

    kind: str
    slug: str
    name: str
    version: str
    requires_php: str | None = None
    requires_core: str | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    """Other components' ids → the version that each has to have at least"""


@dataclass(frozen=True, slots=True)
class Offer:
    """A newer version that the CMS's public API offers. `sha256`/`md5` None: the API names no checksum for the archive."""

    info: PackageInfo
    url: str
    checksum: str | None = None
    """`sha256:…`, `md5:…` or None"""
    checksums_url: str | None = None
    """Where per-file checksums of this version are published"""
    security: bool = False
    released: datetime | None = None
    """None: the API does not say"""
    changelog: str = ""
    """Address of the page where a person reads what changed; '' when there is none"""
    content: bytes = b""
    """The package itself, where there is nothing to download: the CMS's own updater fetches what it names"""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the CMS's own updater offers a staged shop, and what is known and cannot be updated that way."""

    offers: tuple[Offer, ...] = ()
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """Files that close the shop, as data for the transaction. Put in place in this order, removed in reverse.

    Paths are relative to the docroot. `{run}` is replaced by the run's id. The token's sha256 (hex) is written to
    `token_file` by the transaction; `cookie` is the name of the cookie whose value, hashed, must equal it.

    `refused_file` is there while the gate stands: the gate appends a line for each request that it refuses, as
    `<seconds since 1970>\\t<method>\\t<path with query>\\t<address>` in printable ASCII, never makes it itself, and stops at
    REFUSED_BYTES. It begins with REFUSED_HEAD, so that PHP shows nothing of it over HTTP. '' when the gate keeps no account.

    `locks`: who would hold it → a query that finds a row while that is so; `{prefix}` is the tables'. Somebody else's
    update in progress: the shop is not closed then.
    """

    files: Mapping[str, str]
    token_file: str
    cookie: str
    kept: Mapping[str, str] = field(default_factory=dict)
    """Gate file → where the file of that name is kept meanwhile, in the same folder: for a CMS that includes nothing
    before it starts, so that the gate has to stand in for a file of its own. Closing links the original under the kept
    name and renames the gate over the first; opening renames it back: the same file again, and never a moment without one.
    No unit of a release may cover either name."""
    refused_file: str = ""
    locks: Mapping[str, str] = field(default_factory=dict)


TOKEN_FILE = ".updater-gate-token"  # noqa: S105 - the name of a file
COOKIE = "updater_bypass"
REFUSED_FILE = ".updater-gate-refused.php"
"""What gate.php reads and writes in the docroot, and whom it lets through."""
REFUSED_HEAD = "<?php exit; __halt_compiler();\n"
REFUSED_BYTES = 65536


def gate_file(name: str, root: str = "__DIR__") -> str:
    """A driver's gate, with gate.php in it. `root`: the docroot as a PHP expression, seen from where the file will stand."""
    gate = package_text("updater.cms", "gate.php").removeprefix("<?php\n").rstrip("\n")
    return package_text("updater.cms", name).replace("%GATE%", gate).replace("%ROOT%", root)


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as the shop's database holds it. `total` is the decimal as text, like "1290.00"; `status` '' where it is not read."""

    id: str
    total: str
    email: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class ShopState:
    """What the database says of the shop: newest orders (newest first, at most 20), stock by product id, number of products."""

    orders: tuple[OrderRow, ...] = ()
    order_count: int = 0
    stock: Mapping[str, str] = field(default_factory=dict)
    products: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A background job that the shop has planned, run once on staging. All of one name count as one, the worst of them."""

    name: str
    error: str = ""
    """Why it did not end well; '' when it did"""
    idle: bool = False
    """Nothing in the shop's code listens to it"""
    seconds: float = 0.0
    hung: bool = False
    """It was ended when the time for all of them was over"""


@dataclass(frozen=True, slots=True)
class Jobs:
    """`left`: those for which no time was left. `failure`: why the shop did not start for them, '' when it did."""

    ran: tuple[Job, ...] = ()
    left: tuple[str, ...] = ()
    failure: str = ""


def refuse_payments(title: str, payments: Sequence[str]) -> None:
    """For a driver that switches every online payment off: UnsupportedSite where site.yml wants one left on."""
    if payments:
        raise UnsupportedSite(
            f"staging cannot leave an online payment method of {title} on",
            where="site.yml: payments",
            cause=f"named: {', '.join(payments)}",
            hint="take `payments` out of site.yml; updates of what brings it are for a person to approve all the same",
        )


_WHERE_IT_RUNS = "'the password of the database where this runs'"


def step(name: str, source: str, request: Mapping[str, Any]) -> MigrationStep:
    """A migration step of a driver. It is kept with the release and the run's record, so it holds no password: `request`'s
    `database` is given one by `runnable`, where and when it runs."""
    database = {**request["database"], "password": None}
    head, _, rest = compose(source, {**request, "database": database}).partition("\n")
    return MigrationStep(name, f"{head}\n$REQUEST['database']['password'] = base64_decode({_WHERE_IT_RUNS});\n{rest}")


def runnable(step: MigrationStep, database: Database) -> bytes:
    """The step's script as PHP's stdin."""
    password = base64.b64encode(database.password.encode("utf-8", "surrogateescape")).decode()
    return step.script.replace(_WHERE_IT_RUNS, f"'{password}'").encode()


Fetch = Any
"""Callable[[str, Mapping[str, str] | None], bytes]: POST form data to a URL (GET when None).

Injected, so that drivers open no connection of their own."""


Published = Mapping[str, Sequence[str]]
"""Path below a component's folder → the checksums it may have, `sha256:…` or `md5:…`; none where its makers change it in place"""


class Driver(Protocol):
    """One CMS. Functions take a Shell and never know whether it is production or staging.

    Raises: UnsupportedSite for a site that is recognised and refused, CommandFailed when PHP gives no answer.
    """

    NAME: str
    SUPPORTED: str
    """Versions the driver knows, for people: `6.0 – 6.9`."""

    def detect(self, shell: Shell, docroot: str, php: str) -> Installation | None:
        """The CMS in this docroot with its version and database credentials, or None when it is not this CMS.

        UnsupportedSite names multisite, Git-, Composer- or Bedrock-managed trees and versions out of range."""

    def layout(self, shell: Shell, installation: Installation) -> Layout: ...

    def inventory(self, shell: Shell, installation: Installation) -> Inventory: ...

    def read_package(self, path: Path, name: str = "") -> PackageInfo:
        """What is in the archive. PackageRefused by name and reason: truncated, no header, a path that climbs out, a symlink.

        `name`: what its maker called the file, where a CMS goes by that; '' is the name of `path`."""

    def members(self, package: Path, component: Component, places: Mapping[str, str]) -> Mapping[str, str]:
        """What a verified package installs: path below the component's folder → its name in the archive."""

    def offers(self, inventory: Inventory, fetch: Fetch, api: str | None, downloads: str | None) -> Sequence[Offer]:
        """Newer versions according to the CMS's public API (base URLs as in site.yml, None: the CMS's own)."""

    def listing(self, shell: Shell, installation: Installation, inventory: Inventory) -> Listing:
        """Staging only: what the CMS's own updater offers, where no public API says it. Installs nothing; empty for others."""

    def verify_download(self, package: Path, offer: Offer, fetch: Fetch) -> None:
        """PackageRefused unless every file in the archive has the checksum that the API publishes for it."""

    def refuses(self, component: Component, version: str) -> str:
        """Why this version cannot follow the installed one in place, '' when it can."""

    def leap(self, component: Component, version: str) -> str:
        """Why this version is more than an update, so that only a person may approve it; '' for an ordinary one."""

    def takes_payments(self, component: Component, root: Path) -> bool:
        """Whether this component brings a way to pay. `root`: a copy of the docroot."""

    def published(
        self, component: Component, root: Path, fetch: Fetch, api: str | None, downloads: str | None
    ) -> Published | None:
        """The checksums that the makers publish for the *installed* version of a component; None when they publish none.

        `root` is a copy of the docroot."""

    def guard(
        self, shell: Shell, installation: Installation, hosts: Sequence[str], payments: Sequence[str] = ()
    ) -> None:
        """Staging only: mail to the trap, cron off, no update checks, payment gateways off save an offline one and `payments`,
        whose services answer from recordings. UnsupportedSite where that is not known how."""

    def staging_only(self) -> Sequence[str]:
        """Paths below the docroot that `guard` makes: never part of a comparison or a release."""

    def apply(self, shell: Shell, installation: Installation, update: Update, package: str) -> str:
        """Install the package (a path on that shell's place) with the CMS's own updater and return the version read back.

        UpdateFailed with the CMS's own words."""

    def migration(self, installation: Installation, updates: Sequence[Update]) -> Sequence[MigrationStep]:
        """The sequence that brings the database to the new code and leaves nothing for a first visit: each its own process.

        Its last step verifies: versions in the database equal those in the code. Order matters; each is safe to run twice."""

    def replay(self, installation: Installation, updates: Sequence[Update]) -> Replay | None:
        """How production gets these updates from its own updater; None where the files that were tested are brought there."""

    def noise_rows(self) -> Mapping[str, Sequence[str]]:
        """Table (without prefix) → SQL conditions of rows that change by themselves (transients, cron, sessions)."""

    def forbids_promotion(
        self, switches: frozenset[str], *, restore: bool, installation: Installation | None = None
    ) -> str:
        """Why this program must not change production, in words that end with what to do; '' when it may.

        `switches`: those of site.yml that are on (switches.toml). `restore`: a backup is brought back, database and all.
        `installation`: production's, once it is known."""

    def gate(self, installation: Installation) -> Gate: ...

    def units(self, updates: Sequence[Update], inventory: Inventory, changed: Sequence[str]) -> Sequence[str]:
        """The folders and files that a promotion swaps by rename to bring these changed paths. Covers every changed path once."""

    def purge(self, installation: Installation) -> Sequence[MigrationStep]:
        """Empty page and object caches; run after either outcome of a promotion. Never boots the CMS."""

    def orders(self, shell: Shell, installation: Installation, table: OrderTable | None) -> ShopState:
        """The shop's own records. `table` from site.yml overrides what the driver finds by itself."""

    def run_jobs(self, shell: Shell, installation: Installation) -> Jobs:
        """Staging only: what the shop does behind its pages (planned jobs, queues), each kind once, in half a minute at most.

        None of it for a CMS whose jobs are not known here. A job that fails is an answer, and so is a shop that does not start."""

    def error_logs(self, shell: Shell, installation: Installation) -> Sequence[str]:
        """Absolute paths of PHP error logs that the CMS writes itself."""
