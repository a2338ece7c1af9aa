"""The nouns of one run, each a frozen value that the next step is given. Imports nothing of ours.

Site ─clone→ Snapshot ─stage→ Stack ─inventory→ Plan ─update→ Trial ─check→ Evidence ─judge→ Judgement
     ─approve→ ApprovedRelease ─promote→ Outcome
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

# --------------------------------------------------------------------------------------------- Site (site.yml)


@dataclass(frozen=True, slots=True)
class Server:
    """How production is reached over ssh. `host_key` is pinned (`ssh-ed25519 AAAA…`), else `known_hosts` is used."""

    host: str
    user: str
    port: int = 22
    key: Path | None = None
    password: str | None = field(default=None, repr=False)
    host_key: str | None = None
    known_hosts: Path | None = None
    work: str = ".updater"
    """Work folder on the server, outside the docroot; relative to the user's home."""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """What the live shop's web server asks before it shows anything (HTTP basic auth)."""

    user: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of `Authorization`: as secret as the password."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class Media(StrEnum):
    """Which pictures, films and documents of the media folders a clone takes. Styles, scripts and fonts there always come."""

    ALL = "all"
    REFERENCED = "referenced"
    """Those that the checked pages show, in all their sizes"""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CloneSettings:
    """`bandwidth` in KiB/s (None: unlimited), `exclude` rsync patterns below the docroot, `scrub` extra table.column pairs."""

    bandwidth: int | None = None
    nice: bool = True
    exclude: tuple[str, ...] = ()
    scrub: tuple[str, ...] = ()
    media: Media = Media.ALL


@dataclass(frozen=True, slots=True)
class Sources:
    """Where update packages come from. `online`: the CMS's public API; None in `api` means the driver's default."""

    folders: tuple[Path, ...] = ()
    online: bool = True
    api: str | None = None
    downloads: str | None = None


@dataclass(frozen=True, slots=True)
class Viewport:
    name: str
    width: int
    height: int


DESKTOP = Viewport("desktop", 1366, 768)
MOBILE = Viewport("mobile", 375, 812)


@dataclass(frozen=True, slots=True)
class Flow:
    """One path a customer takes. `product` is a path on the site; None lets the flow take the first product listed.

    `fill` maps field selectors to values, `close` lists selectors of pop-ups to close, `selectors` overrides the
    flow's own by name (`add_to_cart`, `place_order`, …).
    """

    name: str = "checkout"
    product: str | None = None
    fill: Mapping[str, str] = field(default_factory=dict)
    close: tuple[str, ...] = ()
    selectors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderTable:
    """Where orders are kept when the CMS driver does not know: names of a table (without prefix) and its columns."""

    table: str
    id: str
    total: str
    email: str
    created: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Mask:
    """Pixels not compared: a CSS selector, on pages whose path matches the glob."""

    selector: str
    page: str = "*"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`changed` and `masked` are shares of a picture's pixels (0..1)."""

    changed: float = 0.001
    masked: float = 0.25


class Approve(StrEnum):
    NEVER = "never"
    ASK = "ask"
    PATCH = "patch"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Window:
    """When production may be changed: from `start` to `end` on these weekdays (0 is Monday), by the clock of `zone`.

    `end` at or before `start` is the next morning's; the window belongs to the day it starts on.
    """

    days: tuple[int, ...]
    start: time
    end: time
    zone: str
    text: str
    """As it was written, for people."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often a site is tested by itself, and the hours in which that begins."""

    every: timedelta = timedelta(days=7)
    nights: tuple[Window, ...] = (Window((0, 1, 2, 3), time(1), time(6), "UTC", "Mon-Thu 01:00-06:00 UTC"),)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Days, the last one included, on which nothing is deployed."""

    first: date
    last: date
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A component that is not updated, up to and with the day `until` (None: until a person takes the line away)."""

    reason: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """A component that is not updated beyond `version`."""

    version: str
    reason: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """A version that a person lets through here although it failed elsewhere, or although it changes the look."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A version that broke a shop in its rehearsal: what the agency's other sites are told of it."""

    kind: str
    slug: str
    version: str
    site: str
    run: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Who approves, when production may be changed, what is held back, and what staging may differ in.

    Components are named by slug or id (`shop`, `plugin:shop`).
    """

    approve: Approve = Approve.ASK
    expires: timedelta = timedelta(days=7)
    hold: Mapping[str, Hold] = field(default_factory=dict)
    pin: Mapping[str, Pin] = field(default_factory=dict)
    overwrite: Mapping[str, str] = field(default_factory=dict)
    """slug → why edits made by hand in it may be overwritten"""
    allow: Mapping[str, Allowed] = field(default_factory=dict)
    """Versions that failed on another site of the agency and are tried here all the same."""
    new_look: Mapping[str, Allowed] = field(default_factory=dict)
    """Versions that draw pages anew, which is right so: with one of them pictures are for a person to judge."""
    approvers: tuple[str, ...] = ()
    """Who may approve; none named: anybody who can reach the server."""
    minimum_age: timedelta = timedelta(hours=24)
    """Since the release, where its date is known: others meet a bad release first."""
    critical: tuple[str, ...] = ()
    """Components that money passes through: they wait for `critical_age`."""
    critical_age: timedelta = timedelta(days=7)
    windows: tuple[Window, ...] = ()
    """None: any time but Friday evening."""
    freezes: tuple[Freeze, ...] = ()
    advisories: str | None = None
    """A file or address with known vulnerabilities: what mends one is not held for its age."""
    accept_nearest_stack: bool = False
    observe: timedelta | None = None
    """With `approve: never`: after this time a page says what would have happened."""


class Stopped(StrEnum):
    """How a replay leaves the shop that can go neither on nor back by itself, until a person comes."""

    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class PromoteSettings:
    """Limits of the closed window, in seconds."""

    max_closed: int = 300
    """A deadline above it is never approved by policy: a person is asked."""
    drain: int = 30
    deadline: int | None = None
    """None: twice the rehearsed dump + migrate + restore and at least 120 s, and a minute for cron to start what died."""
    without_restarter: bool = False
    """Close the shop also where cron was not seen to restart the watchdog."""
    bake: timedelta = timedelta(minutes=5)
    """How long the open shop is watched after a promotion. Nothing: it is not."""
    keep_tables: timedelta | None = None
    """How long copies of migrated tables stay after a promotion, for `rollback --discard-orders-since`. None: not kept."""
    user: str | None = None
    """Who deploys, where the runs' own user (`server.user`) only reads. None: the same."""
    key: Path | None = None
    """The deploy key; it lies on machines that promote, never on one that tests."""
    purge: tuple[str, ...] = field(default=(), repr=False)
    """Shell commands for the server that empty what caches pages in front of it; secrets in them are resolved."""
    stopped: Stopped = Stopped.CLOSED


@dataclass(frozen=True, slots=True)
class StackSettings:
    image: str | None = None
    memory: str = "1g"
    cpus: float = 2.0
    processes: int = 400


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """Where backups go, each place a restic repository, and how many of each kind stay. `places`: name → restic's address."""

    password: str = field(repr=False)
    """Encrypts every place: without it nothing can be restored."""
    places: Mapping[str, str] = field(repr=False)
    daily: int = 7
    weekly: int = 5
    monthly: int = 12
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What restic reads beside its address: `AWS_ACCESS_KEY_ID`, …"""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What `updater watch` looks at and when it worries."""

    access_log: str = ""
    """On the server; '' looks where hostings keep it."""
    backup_age: timedelta = timedelta(hours=36)
    """A newest backup older than that is told of, where site.yml names places."""
    restore_age: timedelta = timedelta(days=45)
    """So is it when the last proven restore is older than that."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to call. `contact` as people write it: a telephone number, an address, a chat."""

    name: str
    role: str
    contact: str


@dataclass(frozen=True, slots=True)
class Licence:
    """Something paid for that ends: a plugin's, the domain's, the hosting's."""

    name: str
    until: date


@dataclass(frozen=True, slots=True)
class PassportSettings:
    """What no program can find out of a site, for its passport. No secrets: `access` names the vault's entries."""

    domain: str = ""
    """Who owns it and where it is registered"""
    hosting: str = ""
    """Whose account it is, and where"""
    people: tuple[Person, ...] = ()
    access: Mapping[str, str] = field(default_factory=dict)
    """What it opens → the vault's entry that holds it"""
    licences: tuple[Licence, ...] = ()
    integrations: Mapping[str, str] = field(default_factory=dict)
    """CRM, 1C, payment, delivery… → what it does here, and who looks after it"""
    notes: tuple[str, ...] = ()


Urgency = Literal["urgent", "work", "info"]
"""urgent: wake someone, at once and again until acknowledged. work: someone has to act in working hours. info: good to know."""


class Language(StrEnum):
    """What a shop's owner reads: reports, messages, the passport. Errors for engineers are English."""

    EN = "en"
    RU = "ru"
    UK = "uk"


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """The one exception to a stack that reaches nothing."""

    allow: tuple[str, ...] = ()
    """`host:port` that it may reach while the CMS's own updater runs, where that alone brings updates"""


@dataclass(frozen=True, slots=True)
class Recording:
    """What staging's sink says in place of a service: to requests of this host, method ('' for any) and path (a glob, without query).

    In `headers` and `body` `{request.<field>}` stands for a field of the request, as `amount.value`.
    """

    host: str
    path: str
    method: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """What a payment service tells the shop once money came. In `path`, `headers` and `body` `{order.id}`, `{order.total}`,
    `{order.cents}` and `{order.email}` stand for the order's, `{md5:…}`, `{sha1:…}` and `{sha256:…}` for a digest of what they hold."""

    path: str = field(repr=False)
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Payment:
    """An online payment method that staging offers and pays by; its service answers from recordings.

    `plugin`: the component that brings it, by slug or id ('': found by the driver). `callback` None: nobody tells the shop of money.
    """

    method: str
    plugin: str = ""
    callback: Callback | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One managed site, as its site.yml describes it. All paths absolute, all secrets resolved and registered."""

    name: str
    server: Server
    docroot: str
    url: str
    config: Path
    """The site.yml itself; `.updater/` lies beside it."""
    agency: Path | None = None
    """The agency.yml whose defaults it takes."""
    cms: str = "auto"
    hosts: tuple[str, ...] = ()
    """Other names of the site: www, language subdomains. The name in `url` is always included."""
    address: str | None = None
    """Reach the site's names at this address instead of asking DNS (like `curl --resolve`)."""
    tls_ca: Path | None = None
    """A CA to trust for production's certificate, beside the system's."""
    basic_auth: BasicAuth | None = None
    """Asked by the live shop alone: staging shows itself to whoever reaches it, which is this machine"""
    php: str | None = None
    """PHP's command line binary on the server; None: found by trying."""
    sources: Sources = field(default_factory=Sources)
    pages: tuple[str, ...] = ()
    """Paths of the name in `url`, and whole addresses of the other names"""
    discover: bool = True
    flows: tuple[Flow, ...] = (Flow(),)
    orders: OrderTable | None = None
    smoke_tests: Path | None = None
    """The client's own tests, run beside ours."""
    viewports: tuple[Viewport, ...] = (DESKTOP, MOBILE)
    masks: tuple[Mask, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    calls: tuple[str, ...] = ()
    """Other hosts, or their domains, that an update may begin to call or to load from."""
    recordings: tuple[Recording, ...] = ()
    payments: tuple[Payment, ...] = ()
    clone: CloneSettings = field(default_factory=CloneSettings)
    egress: EgressSettings = field(default_factory=EgressSettings)
    stack: StackSettings = field(default_factory=StackSettings)
    policy: Policy = field(default_factory=Policy)
    schedule: Schedule = field(default_factory=Schedule)
    promote: PromoteSettings = field(default_factory=PromoteSettings)
    backup: BackupSettings | None = None
    watch: WatchSettings = field(default_factory=WatchSettings)
    passport: PassportSettings = field(default_factory=PassportSettings)
    switches: frozenset[str] = frozenset()
    """Those of one CMS alone that site.yml switches on, as `<cms>.<name>`."""
    notify: tuple[str, ...] = field(default=(), repr=False)
    language: Language = Language.EN

    @property
    def state(self) -> Path:
        """The folder `.updater/` beside site.yml."""
        return self.config.parent / ".updater"

    @property
    def deploying(self) -> Site:
        """The same site, reached by whoever may change it."""
        user, key = self.promote.user or self.server.user, self.promote.key or self.server.key
        password = None if self.promote.key else self.server.password
        return replace(self, server=replace(self.server, user=user, key=key, password=password))

    @property
    def shared(self) -> Path | None:
        """The folder `.updater/` beside agency.yml: what the agency's sites know of each other. None without one."""
        return self.agency.parent / ".updater" if self.agency else None

    @property
    def names(self) -> tuple[str, ...]:
        """Every host name that the site answers to, the one in `url` first."""
        main = urlsplit(self.url).hostname or ""
        return (main, *(name for name in self.hosts if name != main))


# ------------------------------------------------------------------------------- what the CMS driver says of a site


@dataclass(frozen=True, slots=True)
class Database:
    """Credentials as the CMS itself uses them. Exactly one of host/socket leads there; `host` may be `localhost`."""

    name: str
    user: str
    password: str = field(repr=False)
    host: str = "localhost"
    port: int = 3306
    socket: str | None = None
    prefix: str = ""
    charset: str = "utf8mb4"


@dataclass(frozen=True, slots=True)
class QuietHour:
    """The hour of the day in which a shop has the fewest visitors, by its access log, on the clock of the server.

    `requests` are those of that hour on an average day, `busiest` those of the busiest one; files that no page is made of are
    not counted. `hours` are all that are about as quiet.
    """

    hour: int
    hours: tuple[int, ...]
    offset: int
    """Minutes of the server's clock before UTC"""
    requests: float
    busiest: float
    days: int
    """That the log covers"""
    log: str

    @property
    def text(self) -> str:
        """`04:00-05:00 (UTC+03:00): 12 requests a day, 830 in the busiest hour, by 9 days of /var/log/…`"""
        sign, minutes = "-" if self.offset < 0 else "+", abs(self.offset)
        zone = f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"
        others = [f"{hour:02}" for hour in self.hours if hour != self.hour]
        return (
            f"{self.hour:02}:00-{(self.hour + 1) % 24:02}:00 ({zone}{'; about as quiet: ' + ', '.join(others) if others else ''}): "
            f"{self.requests:g} requests, {self.busiest:g} in the busiest hour, by {self.days} days of {self.log}"
        )


@dataclass(frozen=True, slots=True)
class Installation:
    """A CMS found in a docroot, with what a driver needs in every call: the same on production and in staging."""

    cms: str
    version: str
    docroot: str
    php: str
    """Command line PHP of that place (`php`, `/opt/php82/bin/php`)."""
    url: str
    database: Database
    places: Mapping[str, str] = field(default_factory=dict)
    """Folders that a site may keep elsewhere than its CMS's default, by the driver's own names: `admin` → `manage`."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Folders of the shop outside its docroot: the path below the docroot by which they go here → where they lie. Mirror and staging
    have a folder there; production has a link to it, or nothing."""


@dataclass(frozen=True, slots=True)
class Component:
    """`kind`: core, plugin, theme. `path`: folder or file below the docroot ('' for core)."""

    kind: str
    slug: str
    name: str
    version: str
    active: bool
    path: str
    requires_php: str | None = None
    requires_core: str | None = None
    file: str = ""
    """The file that carries the header, as the CMS names it (`akismet/akismet.php`); '' where it has no such name"""


@dataclass(frozen=True, slots=True)
class Inventory:
    cms: str
    version: str
    php: str
    components: tuple[Component, ...]
    places: Mapping[str, str] = field(default_factory=dict)
    """As Installation.places."""


@dataclass(frozen=True, slots=True)
class ObjectCache:
    """A Redis in which the shop keeps what it read from its database, as the shop's own settings name it: `host` and `port`, or `socket`."""

    host: str = "127.0.0.1"
    port: int = 6379
    socket: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0

    @property
    def place(self) -> str:
        return self.socket or f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies where below the docroot. All paths are relative to it, without a leading slash.

    `media` and `caches` are not code; everything else is. `volatile_tables` (without prefix) are cloned without rows.
    `personal` are table.column pairs (without prefix) scrubbed on import, with the kind of value: email, phone, name,
    address, text.
    """

    media: tuple[str, ...]
    caches: tuple[str, ...]
    volatile_tables: tuple[str, ...]
    personal: Mapping[str, str]
    smoke_tests: str
    """Folder below smoke_tests/ with this CMS's default flows."""
    settings_files: tuple[str, ...]
    """Files that hold credentials: cloned, never shown in a diff or report."""
    front: str = ""
    """What nginx answers an address with that is no file, as its configuration says it: `/index.php?$args`. '': not known of this CMS"""
    object_cache: ObjectCache | None = None
    unknown_cache: str = ""
    """An object cache that nothing here can empty, in words; '' when there is none"""


@dataclass(frozen=True, slots=True)
class Platform:
    """What production runs on, read by doing. Versions are full (`8.2.29`, `10.11.14`)."""

    php: str
    php_extensions: tuple[str, ...]
    php_ini: Mapping[str, str]
    """Effective settings of the *web's* PHP."""
    database: str
    database_flavour: str
    """mariadb or mysql"""
    sql_mode: str
    charset: str
    collation: str
    web_server: str = ""
    """What hands requests to PHP, as it names itself: `nginx/1.22.1`, `Apache/2.4.62 (Debian)`; '' where it was not asked"""
    web_docroot: str = ""
    """Where the web's PHP has the docroot: another place than an ssh user sees who is locked into a folder. '' where it was not asked"""


# ---------------------------------------------------------------------------------------------------- the story


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Production as it was at `taken`: a mirror of its files, one consistent dump, and a hash for each code file."""

    run: str
    taken: datetime
    files: Path
    """The local mirror of the docroot. Shared between runs: mount it read-only or copy, never write."""
    dump: Path
    """zstd- or gzip-compressed SQL, schema and rows of the site's own tables; private, deleted after import."""
    code: Mapping[str, str]
    """path below the docroot → sha256, or `link:<target>` for a symlink, or `dir` for an empty folder"""
    platform: Platform
    installation: Installation
    tables: Mapping[str, str]
    """table → `SHOW CREATE TABLE` sha256, AUTO_INCREMENT taken out"""
    moved_bytes: int = 0
    """Bytes that crossed the network for the files (a second clone moves only what changed)."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running staging stack, by name. The site answers on `address`:80 and :443 under its real names."""

    run: str
    network: str
    web: str
    database: str
    egress: str
    address: str
    hosts: tuple[str, ...]
    image: str
    matched: bool
    """False when PHP or database major could not be matched; `mismatch` says how."""
    mismatch: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """One component from one version to another, with the verified package that does it."""

    kind: str
    slug: str
    name: str
    from_version: str
    to_version: str
    package: Path
    sha256: str
    source: str
    """Where the package came from, for people: `packages/x-1.1.zip`, `wordpress.org`."""
    requires_php: str | None = None
    requires_core: str | None = None
    released: datetime | None = None
    """None where the source does not say."""
    security: tuple[str, ...] = ()
    """The known vulnerabilities that it mends, for people."""
    carry: tuple[str, ...] | None = None
    """Paths below the docroot, inside the component's folder, that belong to neither version: they stay as they are.
    None when the installed release is not known, so that nobody can tell."""
    needs: tuple[str, ...] = ()
    """Ids of components whose updates have to come along."""
    base: Path | None = None
    """The package of the installed version, where it is known: what the newer one no longer holds can then be removed."""
    changelog: str = ""
    """Address of the page where a person reads what changed; '' where the source knows none."""

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.slug}"


@dataclass(frozen=True, slots=True)
class Held:
    """An update that is known and not applied, with the reason in plain words."""

    kind: str
    slug: str
    from_version: str
    to_version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    inventory: Inventory
    updates: tuple[Update, ...]
    held: tuple[Held, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be known when it was made, for people."""


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """One process of a migration: a PHP script for the server's own `php`, fed on stdin. Exit 0 and a last line of
    JSON with `"ok": true` mean done; each step loops by itself until quiet. Safe to run twice."""

    name: str
    script: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Replay:
    """Production gets a release from its own updater, and not as bytes: installed anew at the versions that were tested, then compared."""

    ask: MigrationStep
    """In the open shop, last before closing: is done only when exactly those versions can be had now. Installs nothing."""
    steps: tuple[MigrationStep, ...]
    """What installs them, as the first steps of the migration. Not safe to run twice: it never is."""
    returns: str
    """The switch of site.yml (`<cms>.<name>`) without which tables that were written do not go back by themselves"""
    risk: str
    """What it can mean when they do, for people"""
    keeps: Mapping[str, str] = field(default_factory=dict)
    """Table (without prefix) → SQL condition of rows that do not go back with it: somebody else remembers them too"""


@dataclass(frozen=True, slots=True)
class Migration:
    """What updating did to the database, as seen on staging (A/A noise taken off)."""

    steps: tuple[MigrationStep, ...] = ()
    changed_tables: tuple[str, ...] = ()
    created_tables: tuple[str, ...] = ()
    dropped_tables: tuple[str, ...] = ()
    schema: Mapping[str, str] = field(default_factory=dict)
    """table → sha256 of its definition, after the migration: what production must show too"""
    seconds: float = 0.0

    @property
    def needed(self) -> bool:
        return bool(self.changed_tables or self.created_tables or self.dropped_tables)


@dataclass(frozen=True, slots=True)
class Trial:
    """A set of updates applied to staging: the versions read back, the code tree and what the database went through."""

    applied: tuple[Update, ...]
    versions: Mapping[str, str]
    """Update.id → version read back"""
    code: Mapping[str, str]
    """As Snapshot.code, after the updates."""
    migration: Migration
    failure: str = ""
    """Why the updates could not even be applied; empty when they were."""
    applied_seconds: float = 0.0
    """What the CMS's own updater took for all of them"""


class Status(StrEnum):
    """What one check says. A run's verdict is another type, made in checks/verdict.py alone."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that differs or broke: `where` is a page, a file or a step; `before` and `after` are values."""

    kind: str
    where: str
    message: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One page in one viewport, before, after, and what differs. Paths are relative to the run's folder."""

    page: str
    viewport: str
    before: str
    after: str
    difference: str
    """'' when nothing differs"""
    noise: str
    """'' when two captures of the un-updated shop were equal"""
    changed: float
    """Share of pixels changed beyond the noise, 0..1."""
    noisy: float
    masked: float


@dataclass(frozen=True, slots=True)
class Check:
    """One check and what it found. `phase`: before, after, compare, production, open (production after it opened)."""

    name: str
    phase: str
    status: Status
    detail: str
    required: bool = True
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BlockedCall:
    """Something staging tried to send. `target`: host or address; `path` where it could be read. `answered`: from a recording."""

    at: datetime
    protocol: str
    target: str
    port: int
    path: str = ""
    step: str = ""
    answered: bool = False


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A call that the sink answered from a recording, as it was sent. It holds keys of the service: compared in memory, never kept.

    `recording`: the path of the recording that fits, which may be a glob. `cut`: the body was longer than what the sink keeps.
    """

    at: datetime
    target: str
    method: str
    path: str
    recording: str
    query: str = field(repr=False)
    content_type: str = ""
    authorization: str = field(repr=False, default="")
    body: bytes = field(repr=False, default=b"")
    cut: bool = False
    step: str = ""


@dataclass(frozen=True, slots=True)
class CaughtMail:
    at: datetime
    recipients: tuple[str, ...]
    subject: str
    body: str = field(repr=False, default="")
    step: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was seen of one trial. Its sha256 is what a person approves."""

    checks: tuple[Check, ...]
    pictures: tuple[Picture, ...] = ()
    blocked: tuple[BlockedCall, ...] = ()
    mail: tuple[CaughtMail, ...] = ()


class Verdict(StrEnum):
    """The gate's answer. PASS is constructed in checks/verdict.py alone (a test greps)."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial of the search for what broke the shop: these updates alone (by id), and what came of it."""

    updates: tuple[str, ...]
    verdict: Verdict
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Search:
    """How it was found which updates break the shop: `broken` by id, empty when they were not found. `why`: what stays unknown."""

    broken: tuple[str, ...]
    trials: tuple[Tried, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """The byte-exact difference between the tested shop and the one it was made from.

    `units` are the folders and files swapped by one rename each; `changed` holds every differing path below them:
    path → (sha256 before or None, sha256 after or None). `archive` is a tar of the `after` files. `sha256` covers all.
    """

    run: str
    site: str
    made: datetime
    updates: tuple[Update, ...]
    units: tuple[str, ...]
    changed: Mapping[str, tuple[str | None, str | None]]
    archive: Path
    migration: Migration
    schema_before: Mapping[str, str]
    versions_before: Mapping[str, str]
    """`kind:slug` → version of every component when cloned, and `kind:slug:active` → yes/no"""
    rehearsed_seconds: float
    """dump + migrate + restore, as timed on staging; with a replay its updater too"""
    sha256: str
    replay: Replay | None = None
    """None: production gets the bytes of `archive`"""

    @property
    def portable(self) -> Release:
        """Without the folders that its files lie in on one machine: what `sha256` covers."""
        updates = tuple(
            replace(it, package=Path(it.package.name), base=Path(it.base.name) if it.base else None)
            for it in self.updates
        )
        return replace(self, archive=Path(self.archive.name), updates=updates)


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved what. Made by journal.approve() alone."""

    run: str
    person: str
    at: datetime
    expires: datetime
    evidence_sha256: str
    release_sha256: str


@dataclass(frozen=True, slots=True)
class ApprovedRelease:
    """What promote() takes. Made by journal.approve() alone: deploying without a PASS and an approval is a type error."""

    release: Release
    approval: Approval


_CALLBACK = re.compile(
    r"pay|webhook|hook|wc-api|ipn|callback|notif|result|1c_exchange|exchange|yookassa|robokassa|tinkoff|sber", re.I
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that met the gate while the shop was closed. `at`: UTC, ISO 8601; `path` may carry a query."""

    at: str
    method: str
    path: str
    address: str

    @property
    def callback(self) -> bool:
        """Whether a machine probably asked that told of a payment or an exchange, and has to ask again."""
        return _CALLBACK.search(self.path) is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a promotion ended. `state`: promoted or rolled_back (anything else is an error)."""

    state: str
    closed_seconds: float
    checks: tuple[Check, ...] = ()
    reason: str = ""
    refused: tuple[Refused, ...] = ()
    """Callbacks first, then by time"""
    recover: str = ""
    """What to type should the server not stand as this says, with our program and without; '' after a promotion."""


# ---------------------------------------------------------------------------------------------- between and after runs


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell. `attachments` are paths below `.updater/`; `sent` has every time it was said, by channel."""

    id: str
    at: datetime
    urgency: str
    title: str
    body: str
    run: str = ""
    attachments: tuple[Path, ...] = ()
    sent: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    failed: Mapping[str, datetime] = field(default_factory=dict)
    """channel → when it was last tried in vain"""
    acknowledged: datetime | None = None
    by: str = ""
    closed: datetime | None = None
    """When what an urgent message told of was over (the site answers again); it is not repeated then."""

    @property
    def settled(self) -> bool:
        """Nothing more is expected of anybody."""
        return self.urgency != "urgent" or bool(self.acknowledged or self.closed)


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A run that found a fault, or could not know, where a person saw none."""

    run: str
    person: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Observing:
    """Since when a site is only observed, and what a person said of its runs. `told`: its closing page was sent."""

    since: datetime
    false_alarms: tuple[FalseAlarm, ...] = ()
    told: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the shop between runs. `seconds` is how long the home page took; None where it did not come or was not looked at.

    The figures of the access log are of the time since the look before; None where it cannot be read.
    """

    at: datetime
    up: bool
    status: int = 0
    seconds: float | None = None
    problem: str = ""
    requests: int | None = None
    client_errors: int | None = None
    server_errors: int | None = None
    certificate_days: int | None = None
    disk_free: float | None = None
    """Share of the docroot's file system, 0..1"""


@dataclass(frozen=True, slots=True)
class BackupEvent:
    """What became of one backup in one place: `made` (saved there) or `restored` (brought up in a stack and tested)."""

    at: datetime
    kind: Literal["made", "restored"]
    backup: str
    place: str
    ok: bool
    taken: datetime
    """When production was copied"""
    detail: str = ""
    """Why not; of a restore, what was proven"""
    seconds: float = 0.0
    """made: for all of it. restored: from the repository to a shop that answers, without its tests."""
    bytes: int = 0
    """made: of the whole copy, before packing"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a visitor's browser is shown under `name`. `ends` is None where no certificate could be read."""

    name: str
    addresses: tuple[str, ...]
    """Where the name leads, as this machine's DNS says; () when nowhere"""
    issuer: str = ""
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself, for the passport. '' and None where it does not say."""

    system: str
    web_server: str
    disk_total: int | None
    disk_free: int | None
    """Bytes, of the docroot's file system"""
    cron: tuple[str, ...]
    """The ssh user's crontab without comments, secrets masked"""
    tables: int
    table_bytes: int
    certificates: tuple[Certificate, ...]
    user: str = ""
    """Who asked: what another user may see, and has in a crontab, is not known"""
