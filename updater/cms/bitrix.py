"""1C-Bitrix: detect, inventory, update by its own console with the answer always given, close and open by a file.

The PHP half is bitrix.php. Bitrix is proprietary: everything here was run on a twin alone, and docs/bitrix.md says what that proves.

**The gate.** `main/site_stopped` is a row: administrators pass it, its page may answer 200, and a restored database would end
closed. Every entry point includes the kernel, and bitrix/php_interface/dbconn.php is the first of the site's own files that it
reads: the gate is renamed over that one, which keeps its inode under another name beside it (Gate.kept).

**The console.** Its confirmation defaults to YES: a closed stdin installs, and so does `-n`. So nothing is left to stdin: the
answer is piped into it on the place itself, and a dry run says "no" to whatever is asked. `update:versions` is never called: it
lists nothing and lowers what modules say of themselves.

**The licence.** Every call tells the vendor's server which installation asks. A copy that does not say that it is one can block
the key, so no call is made before the developer flag (`main/update_devsrv`) was read back as set. Only `guard` sets it, on staging.

**The replay.** Production hears of an update from the vendor itself, so its own console installs the tested versions anew: two steps
of the transaction (`replay`), which call the console by the rules of `apply`, without the flag, in bitrix.php.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from updater.cms import archive, base
from updater.cms.base import (
    COOKIE,
    REFUSED_FILE,
    TOKEN_FILE,
    Fetch,
    Gate,
    Jobs,
    Listing,
    Offer,
    OrderRow,
    PackageInfo,
    Published,
    ShopState,
    gate_file,
    refuse_payments,
)
from updater.errors import CommandFailed, UnsupportedSite, UpdateFailed, VendorSilent
from updater.language import mark
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
from updater.secrets import register
from updater.shell import Completed, Shell, compose, run_php

NAME = "bitrix"
SUPPORTED = "with `update:modules` in its console; run on a twin alone"

CORE = "main"
_CONNECTION = "bitrix/php_interface/dbconn.php"
KEPT = "bitrix/php_interface/dbconn.updater-kept.php"
_CACHES = ("bitrix/cache", "bitrix/managed_cache", "bitrix/stack_cache", "bitrix/html_pages")
_WORK = ("bitrix/updates", "bitrix/tmp")
"""Where the console downloads and unpacks"""
_OFFLINE = ("cash", "cashondelivery", "cashondeliverycalc", "bill", "inner")
"""Handlers of payment that talk to nobody, by the names of their folders"""

_VOLATILE = (
    "b_event",  # years of mail with names and addresses, serialised, so that scrubbing leaves it alone; and what waits to be sent
    "b_user_session",
    "b_sec_session",
    "b_cache_tag",
    *(f"b_perf_{name}" for name in ("hit", "component", "sql", "cache", "error")),
)
_PERSONAL = {
    **{
        f"b_user.{column}": kind
        for column, kind in (
            ("LOGIN", "email"),
            ("EMAIL", "email"),
            ("NAME", "name"),
            ("LAST_NAME", "name"),
            ("SECOND_NAME", "name"),
            ("WORK_COMPANY", "name"),
            ("PERSONAL_PHONE", "phone"),
            ("PERSONAL_MOBILE", "phone"),
            ("WORK_PHONE", "phone"),
            ("PERSONAL_STREET", "address"),
            ("PERSONAL_NOTES", "text"),
            ("ADMIN_NOTES", "text"),
            ("PASSWORD", "text"),
        )
    },
    "b_user_phone_auth.PHONE_NUMBER": "phone",
    "b_user_index.SEARCH_USER_CONTENT": "text",
    "b_user_index.SEARCH_ADMIN_CONTENT": "text",
    # One column for names, addresses, telephones and mail: which is which, each site says in a table of its own.
    "b_sale_order_props_value.VALUE": "text",
    "b_sale_user_props_value.VALUE": "text",
    "b_sale_user_props.NAME": "name",
    "b_sale_order.USER_DESCRIPTION": "text",
    "b_sale_order.COMMENTS": "text",
    "b_subscription.EMAIL": "email",
    "b_event_log.DESCRIPTION": "text",
    "b_form_result_answer.USER_TEXT": "text",
}

_HEADLINE = "Available updates"
_NOTHING = "No updates found"
_AGAIN = "Restart the command"
_LISTED = re.compile(r"^\W*([A-Za-z0-9_.]+) \((\d[\d.]*)\)\s*$", re.MULTILINE)
_WRONG_CODE = "ERROR_WRONG_CODE"
_ROUNDS = 10
"""Of one update: the console may stop to renew itself, and some updates come after others only."""
_CONSOLE_SECONDS = 3600.0
_MODULE = re.compile(r"[a-z][a-z0-9_]*")
_ROLLBACK = f"{NAME}.allow_database_rollback"
_RISK = "a database that goes back can make the vendor's server block the licence key ([ERROR_WRONG_CODE]), which only the vendor lifts"


def _ask(shell: Shell, php: str, action: str, docroot: str, **request: Any) -> Any:
    payload = {"action": action, "docroot": docroot, "kept": KEPT, "caches": _CACHES, **request}
    return run_php(shell, php, _source(), payload)


def _source() -> str:
    return package_text("updater.cms", "bitrix.php")


# ------------------------------------------------------------------------------------------------------------- what is there


def detect(shell: Shell, docroot: str, php: str) -> Installation | None:
    """1C-Bitrix in this docroot, or None. UnsupportedSite names what is recognised and refused."""
    seen = _ask(shell, php, "recognise", docroot)
    if seen["version"] is None:
        return None
    where = f"{shell.where}:{docroot}"
    _refuse(where, seen)
    old = _ask(shell, php, "old-credentials", docroot)
    settings = _ask(shell, php, "new-credentials", docroot)
    database = reconcile(where, old, settings["connection"])
    address = _ask(shell, php, "address", docroot, database=_credentials(database))["name"]
    places = {"cache": str(settings["cache"]), **({"composite": "on"} if seen["composite"] else {})}
    root = docroot.rstrip("/") or "/"
    return Installation(NAME, str(seen["version"]), root, php, f"https://{address}", database, places)


def _refuse(where: str, seen: Mapping[str, Any]) -> None:
    if seen["trees"]:
        cause, hint = f"found {seen['trees'][0]}/.git", "update it where it is built"
        raise UnsupportedSite("a Git checkout is not updated in place", where=where, cause=cause, hint=hint)
    if seen["linked"]:
        raise UnsupportedSite(
            "1C-Bitrix with a shared core is not supported",
            where=where,
            cause="bitrix/ is a link: the core belongs to several sites, and one cannot be updated alone",
            hint="manage the site that holds the real folder, or leave this one out",
        )
    if not seen["connection"]:
        cause, hint = f"there is no {_CONNECTION}", "finish its installation in a browser first"
        raise UnsupportedSite("1C-Bitrix does not say how to reach its database", where=where, cause=cause, hint=hint)


def reconcile(where: str, old: Mapping[str, str | None], new: Mapping[str, str | None]) -> Database:
    """The credentials of dbconn.php (old kernel) and .settings.php (new kernel). UnsupportedSite when they lead to two databases."""
    known = {key: value for key, value in old.items() if value is not None}
    newer = {key: value for key, value in new.items() if value is not None}
    different = sorted(key for key in known.keys() & newer.keys() if known[key] != newer[key])
    if different:
        raise UnsupportedSite(
            "1C-Bitrix names its database twice, and not alike",
            where=where,
            cause=f"{_CONNECTION} and bitrix/.settings.php differ in: {', '.join(different)}",
            hint="make them the same: the old kernel reads the one, the new kernel the other",
        )
    both = {**known, **newer}
    missing = [key for key in ("name", "user", "password") if key not in both]
    if missing:
        raise CommandFailed(
            "1C-Bitrix does not say how to reach its database",
            where=where,
            cause=f"not set, neither in {_CONNECTION} nor in bitrix/.settings.php: {', '.join(missing)}",
            hint="they may come from the web server's environment, which the command line does not see: write them into the files",
        )
    host, _, rest = both.get("host", "localhost").removeprefix("p:").partition(":")
    socket = rest if rest.startswith("/") else None
    port = int(rest) if rest.isdigit() else 3306
    return Database(both["name"], both["user"], register(both["password"]), host or "localhost", port, socket)


def _credentials(database: Database) -> dict[str, Any]:
    """For the PHP half, which gets it on stdin."""
    return {name: getattr(database, name) for name in ("name", "user", "password", "host", "port", "socket", "prefix")}


def layout(shell: Shell, installation: Installation) -> Layout:
    """What lies where. Tables have no prefix of the site's own: the whole database is the shop's."""
    return Layout(
        media=("upload",),
        caches=(
            *_CACHES,
            "bitrix/backup",
            *_WORK,
            "bitrix/modules/updater.log",
            "bitrix/modules/updater_partner.log",
            "bitrix/modules/error.log",
            "upload/resize_cache",
        ),
        volatile_tables=_VOLATILE,
        personal=_PERSONAL,
        smoke_tests=NAME,
        settings_files=(
            *(
                f"{folder}/{name}"
                for folder in ("bitrix", "local")
                for name in (".settings.php", ".settings_extra.php")
            ),
            "bitrix/license_key.php",
            _CONNECTION,
            KEPT,
        ),
    )


def inventory(shell: Shell, installation: Installation) -> Inventory:
    """`main` as the core, and every module of b_module with the version that its files say; partners' (with a dot) as well."""
    seen = _ask(
        shell, installation.php, "inventory", installation.docroot, database=_credentials(installation.database)
    )
    components = [
        Component(_kind(row["id"]), row["id"], row["id"], row["version"], True, row["path"]) for row in seen["modules"]
    ]
    components.sort(key=lambda component: (component.kind != "core", component.slug))
    return Inventory(NAME, str(seen["version"]), str(seen["php"]), tuple(components), installation.places)


def _kind(module: str) -> str:
    return "core" if module == CORE else "plugin"


# ---------------------------------------------------------------------------------------------------------------- packages


def read_package(path: Path, name: str = "") -> PackageInfo:
    """A note of the version that the console is asked for: a zip with `<module>.json` alone, `{"sale": "25.100.0", "catalog": "25.100.0"}`.

    The module itself, and each that it brings along. What is installed comes from the vendor's server. PackageRefused by name and reason.
    """
    with archive.opened(path):
        pass
    try:
        module, pins = read_pins(path.read_bytes())
    except ValueError as error:
        raise archive.refused(path, "no note of a version for 1C-Bitrix's console", str(error)) from None
    needs = {f"{_kind(other)}:{other}": version for other, version in pins.items() if other != module}
    return PackageInfo(_kind(module), module, module, pins[module], needs=needs)


def read_pins(data: bytes) -> tuple[str, dict[str, str]]:
    """(module, module → version). ValueError says what is wrong with the zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            names = package.namelist()
            if len(names) != 1 or not names[0].endswith(".json"):
                raise ValueError("it holds something else than one <module>.json")
            pins = json.loads(package.read(names[0]))
    except zipfile.BadZipFile as error:
        raise ValueError(f"truncated or not a zip: {error}") from None
    module = names[0].removesuffix(".json")
    sound = isinstance(pins, dict) and all(
        _MODULE.fullmatch(key) and isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)+", value)
        for key, value in pins.items()
    )
    if not sound or module not in pins:
        raise ValueError(f"{names[0]} is no flat object of modules and versions that names {module}")
    return module, pins


def write_pins(module: str, pins: Mapping[str, str]) -> bytes:
    """What `read_pins` reads; the same bytes for the same versions."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr(zipfile.ZipInfo(f"{module}.json", (2024, 1, 1, 0, 0, 0)), json.dumps(pins, sort_keys=True))
    return buffer.getvalue()


def members(package: Path, component: Component, places: Mapping[str, str]) -> Mapping[str, str]:
    """None: a note of a version holds no file of it."""
    return {}


def offers(inventory: Inventory, fetch: Fetch, api: str | None, downloads: str | None) -> Sequence[Offer]:
    """None: the vendor's server talks to the site's own console alone. See `listing`."""
    return ()


def verify_download(package: Path, offer: Offer, fetch: Fetch) -> None:
    """A note of a version is not downloaded."""


def refuses(component: Component, version: str) -> str:
    return ""


def leap(component: Component, version: str) -> str:
    return ""


def takes_payments(component: Component, root: Path) -> bool:
    """Whether handlers of payment systems lie in the module, as they do in `sale`."""
    return bool(component.path) and any((root / component.path / "handlers" / "paysystem").glob("*/handler.php"))


def published(
    component: Component, root: Path, fetch: Fetch, api: str | None, downloads: str | None
) -> Published | None:
    """The vendor publishes no checksums: edits in the core are not told from it."""
    return None


# ---------------------------------------------------------------------------------------------------------------- the console


def console(shell: Shell, installation: Installation, answer: str, *arguments: str, check: bool = True) -> Completed:
    """`php bitrix.php …` with this answer to everything it asks. VendorSilent when the developer flag is not set, and on exit 1.

    yes(1) on the place itself gives the answer: were it sent from here, a line that broke would be a closed stdin, and that installs.
    """
    asked = _ask(
        shell, installation.php, "developer", installation.docroot, database=_credentials(installation.database)
    )
    if asked["flag"] is not True:
        raise VendorSilent(
            "1C-Bitrix's updater was not called: this copy does not say that it is one",
            where=f"{shell.where}:{installation.docroot}",
            cause="main/update_devsrv is not Y: the vendor's server would take the copy for a second public site and may block the key",
            hint="stage the site anew: `updater run SITE`; on the live site nobody but its own administrator may update",
        )
    script = (
        'root=$1 answer=$2 php=$3; shift 3; cd "$root/bitrix" && yes "$answer" 2>/dev/null | '
        # The command line's PHP may show no errors: a console that dies of one would leave no word of it.
        '"$php" -d display_errors=stderr bitrix.php "$@"'
    )
    argv = ["sh", "-c", script, "console", installation.docroot, answer, installation.php, *arguments]
    done = shell.run(argv, timeout=_CONSOLE_SECONDS, check=False)
    if check and done.exit_code == 1:
        raise _vendor_said(shell, installation, done, str(asked["site"]))
    return done


def _vendor_said(shell: Shell, installation: Installation, done: Completed, site: str) -> VendorSilent:
    """Exit 1 is licence, network or archive: of the updates it says nothing."""
    said = " ".join(f"{done.stderr} {done.text}".split())[-600:]
    hint = "see docs/bitrix.md, “The vendor's server”; then `updater run SITE` again"
    if _WRONG_CODE in said:
        hint = "do not try again: ask the vendor to free the key, then see docs/bitrix.md, “The licence”"
    return VendorSilent(
        "1C-Bitrix's updater did not get what it asked for",
        where=f"{shell.where}:{installation.docroot}, update server {site or 'of the vendor'}",
        cause=said,
        hint=hint,
    )


def parse_list(text: str) -> dict[str, str]:
    """Module → version, in the order of installation, of what the console shows below “Available updates”. {} when it found none.

    CommandFailed when it says neither: nothing may be read into an answer that is not known.
    """
    _, headline, listed = text.partition(_HEADLINE)
    if headline:
        found = dict(_LISTED.findall(listed))
        if found:
            return found
    elif _NOTHING in text:
        return {}
    raise CommandFailed(
        "1C-Bitrix's console answered in a way that is not known here",
        cause=" ".join(text.split())[-600:] or "it said nothing",
        hint="send these words to whoever maintains updater/cms/bitrix.py",
    )


def _dry_run(shell: Shell, installation: Installation, *arguments: str) -> dict[str, str]:
    """What `update:modules` would install: it is told no. The console may renew itself first, and then has to be asked again."""
    for _ in range(_ROUNDS):
        done = console(shell, installation, "no", "update:modules", *arguments)
        if done.exit_code != 0:
            raise _broke(shell, installation, done)
        if _AGAIN not in done.text:
            return parse_list(done.text)
    raise CommandFailed(
        "1C-Bitrix's console only renews itself",
        where=f"{shell.where}:{installation.docroot}",
        cause=f"it said “{_AGAIN}” {_ROUNDS} times",
        hint="run `php bitrix.php update:modules` by hand on a copy and read what it says",
    )


def _broke(shell: Shell, installation: Installation, done: Completed) -> CommandFailed:
    return CommandFailed(
        f"1C-Bitrix's console ended with exit code {done.exit_code}",
        where=f"{shell.where}:{installation.docroot}",
        cause=" ".join(f"{done.stderr} {done.text}".split())[-600:],
        hint="run `php bitrix.php list` in its folder bitrix/ and read what it says",
    )


def listing(shell: Shell, installation: Installation, inventory: Inventory) -> Listing:
    """What the console offers in the staged shop, each with what it brings along; and partners' modules, which it passes over.

    Nothing is installed. Where the console cannot be asked, that is what is held: of the updates nothing is known.
    """
    partners = [
        Held(
            it.kind,
            it.slug,
            it.version,
            "",
            mark("a partner's module: the console updates none of them, its maker does"),
        )
        for it in inventory.components
        if "." in it.slug
    ]
    try:
        _probe(shell, installation)
        found = _dry_run(shell, installation)
        bundles = {module: _dry_run(shell, installation, "-m", module) for module in found}
    except (VendorSilent, CommandFailed) as error:
        reason = f"cannot be tested without the vendor's server: {error.what} ({error.cause})"
        return Listing((), (Held("source", "1C-Bitrix's update server", "", "", reason), *partners))
    offered = []
    for module, version in found.items():
        pins = {module: version, **{other: found.get(other, it) for other, it in bundles[module].items()}}
        needs = {f"{_kind(other)}:{other}": it for other, it in pins.items() if other != module}
        info = PackageInfo(_kind(module), module, module, pins[module], needs=needs)
        offered.append(Offer(info, "1C-Bitrix's update server", content=write_pins(module, pins)))
    return Listing(tuple(offered), tuple(partners))


def _probe(shell: Shell, installation: Installation) -> None:
    """Whether there is a console that updates: it needs symfony/console, which an installation may lack."""
    done = console(shell, installation, "no", "list", check=False)
    if done.exit_code != 0 or "update:modules" not in done.text:
        raise CommandFailed(
            "this 1C-Bitrix has no console that updates",
            where=f"{shell.where}:{installation.docroot}/bitrix/bitrix.php",
            cause=" ".join(f"{done.stderr} {done.text}".split())[-300:] or "it says nothing",
            hint="install symfony/console by its composer.json, or update it in its admin",
        )


# ------------------------------------------------------------------------------------------------------------- staging only


def staging_only() -> tuple[str, ...]:
    return ()


def guard(shell: Shell, installation: Installation, hosts: Sequence[str], payments: Sequence[str] = ()) -> None:
    """Rows of staging's own database: the developer flag, agents off, no mail that waits, payment only by who talks to nobody.

    SMTP stays as it is set: the stack answers every mail server by its trap. No file is made or changed.
    """
    refuse_payments("1C-Bitrix", payments)
    database = _credentials(installation.database)
    _ask(shell, installation.php, "guard", installation.docroot, database=database, offline=_OFFLINE, folders=_WORK)


# ------------------------------------------------------------------------------------------------------------ update, migrate


def apply(shell: Shell, installation: Installation, update: Update, package: str) -> str:
    """`update:modules` for this module at this version, until nothing is left of it; the versions of all modules are compared.

    UpdateFailed when the console installs something else than was asked for, says that it is done and is not, or breaks.
    VendorSilent when its server does not answer, or refuses the key: that is no word on the update.
    """
    where = f"{shell.where}: {update.id} {update.from_version} → {update.to_version}"
    hint = "it is held until the vendor offers another version; `updater run SITE --retry` tries this one again at once"

    def failed(what: str, cause: str) -> UpdateFailed:
        return UpdateFailed(f"{update.name} {what}", where=where, cause=cause, hint=hint)

    try:
        module, pins = read_pins(shell.read(package))
    except (ValueError, FileNotFoundError) as error:
        raise failed("could not be updated: its package cannot be read", str(error)) from error
    if (module, pins[module]) != (update.slug, update.to_version):
        raise failed("could not be updated: its package is another one", f"it names {module} {pins[module]}")
    first = _versions(shell, installation)
    try:
        _install(shell, installation, module, pins, f"{package}.json", failed)
    except CommandFailed as error:
        raise failed("could not be updated", f"{error.what}: {error.cause}") from error
    last = _versions(shell, installation)
    strange = sorted(it for it in first.keys() | last.keys() if first.get(it) != last.get(it) and it not in pins)
    if strange:
        told = ", ".join(f"{it} {first.get(it, 'missing')} → {last.get(it, 'missing')}" for it in strange)
        raise failed("brought other modules along", told)
    if last.get(module) != update.to_version:
        raise failed(f"is not at {update.to_version}", f"the console found no more updates; it is {last.get(module)}")
    return last[module]


def _install(
    shell: Shell,
    installation: Installation,
    module: str,
    pins: Mapping[str, str],
    note: str,
    failed: Any,
) -> None:
    """Round by round: see what would come, refuse what was not asked for, let it come, and see that versions moved."""
    shell.write(note, json.dumps(pins).encode(), 0o600)
    arguments = ("-m", module, "-i", note)
    try:
        before = _versions(shell, installation)
        for _ in range(_ROUNDS):
            offered = _dry_run(shell, installation, *arguments)
            if not offered:
                return
            other = [f"{it} {version}" for it, version in offered.items() if pins.get(it) != version]
            if other:
                raise failed(
                    "asks for something that is not in its package", f"the console would install {', '.join(other)}"
                )
            done = console(shell, installation, "yes", "update:modules", *arguments)
            if done.exit_code != 0:
                raise _broke(shell, installation, done)
            after = _versions(shell, installation)
            if after == before and _AGAIN not in done.text:
                raise failed(
                    "did not change", f"the console ended well, and every module is as it was: {done.text[-300:]}"
                )
            before = after
        raise failed("is never done", f"after {_ROUNDS} rounds the console still offers {', '.join(offered)}")
    finally:
        shell.run(["rm", "-f", note])


def _versions(shell: Shell, installation: Installation) -> dict[str, str]:
    database = _credentials(installation.database)
    return dict(_ask(shell, installation.php, "versions", installation.docroot, database=database))


def migration(installation: Installation, updates: Sequence[Update]) -> Sequence[MigrationStep]:
    """The console migrated the database when it installed: what is left is a visit with empty caches, and to see every version."""
    versions = {update.slug: update.to_version for update in updates}
    return (
        _step(installation, "front page as a visitor", "visit"),
        _step(installation, "caches", "purge"),
        _step(installation, "front page again", "visit"),
        _step(installation, "verify", "verify", versions=versions),
    )


def _step(installation: Installation, name: str, action: str, **request: Any) -> MigrationStep:
    payload = {
        "action": action,
        "docroot": installation.docroot,
        "kept": KEPT,
        "caches": _CACHES,
        "url": installation.url,
        "database": _credentials(installation.database),
        **request,
    }
    return base.step(name, _source(), payload)


def replay(installation: Installation, updates: Sequence[Update]) -> Replay:
    """The updates again, in the order in which they were tested, by production's own console at exactly the versions of their packages."""
    each = [read_pins(update.package.read_bytes()) for update in updates]
    pins = {module: version for _, versions in each for module, version in versions.items()}
    words = {"headline": _HEADLINE, "nothing": _NOTHING, "again": _AGAIN}
    told = {"pins": pins, "words": words, "rounds": _ROUNDS}
    notes = [{"module": module, "pins": versions} for module, versions in each]
    return Replay(
        ask=_step(installation, "whether the vendor still offers what was tested", "ask", **told),
        steps=(_step(installation, "the site's own console", "replay", updates=notes, **told),),
        returns=_ROLLBACK,
        risk=_RISK,
        # The vendor's server goes on from the code that it gave last: an older one is another installation to it.
        keeps={"b_option": "MODULE_ID = 'main' AND NAME = 'crc_code'"},
    )


def noise_rows() -> Mapping[str, Sequence[str]]:
    """Rows that any visit changes, and the code that the vendor's server gives with each answer."""
    every = ("1 = 1",)
    return {
        **dict.fromkeys((*_VOLATILE, "b_agent", "b_event_log", "b_search_suggest", "b_sale_fuser"), every),
        "b_option": ("MODULE_ID = 'main' AND NAME IN ('crc_code', 'update_devsrv', 'last_files_count')",),
    }


# ------------------------------------------------------------------------------------------------------- close, swap, open


def forbids_promotion(switches: frozenset[str], *, restore: bool, installation: Installation | None = None) -> str:
    """Test and advise by default. Never bytes: the licence server has to hear of an update from the site that gets it."""
    if restore and _ROLLBACK not in switches:
        return f"{_RISK}; `bitrix: {{allow_database_rollback: true}}` in site.yml accepts that (docs/bitrix.md)"
    if not restore and f"{NAME}.promote" not in switches:
        advised = mark("1C-Bitrix is tested and advised on, not deployed (bitrix.promote is off)")
        return f"{advised}; " + mark(
            "install the versions of the report by the site's own updater, on the live site and by its administrator"
        )
    if installation is not None and installation.places.get("cache", "files") != "files":
        return (
            f"the shop keeps its cache in {installation.places['cache']}, which nothing here empties: it would go on with "
            f"options of the database that was replaced"
        )
    return ""


def gate(installation: Installation) -> Gate:
    """Stands in for dbconn.php: see the top of this module. Composite pages may be answered before it."""
    return Gate(
        files={_CONNECTION: gate_file("bitrix-gate.php", "dirname(dirname(__DIR__))")},
        token_file=TOKEN_FILE,
        cookie=COOKIE,
        kept={_CONNECTION: KEPT},
        refused_file=REFUSED_FILE,
    )


def units(updates: Sequence[Update], inventory: Inventory, changed: Sequence[str]) -> Sequence[str]:
    """Whole folders below bitrix/ and local/ (`bitrix/modules/sale`); settings and what lies elsewhere file by file."""
    found = sorted({_unit(path) for path in changed})
    return tuple(unit for unit in found if not any(unit.startswith(f"{other}/") for other in found))


def _unit(path: str) -> str:
    parts = path.split("/")
    if parts[0] not in ("bitrix", "local") or parts[1] == "php_interface":
        return path
    deep = 4 if parts[1] == "components" else 3  # components lie in a folder of their maker's name
    return "/".join(parts[:deep]) if len(parts) > deep else path


def purge(installation: Installation) -> Sequence[MigrationStep]:
    """Caches in files, composite pages too. Never boots Bitrix: it also runs after a rollback."""
    request = {"action": "purge", "docroot": installation.docroot, "kept": KEPT, "caches": _CACHES}
    return (MigrationStep("caches", compose(_source(), request)),)


# ---------------------------------------------------------------------------------------------------------- the shop's records


def orders(shell: Shell, installation: Installation, table: OrderTable | None) -> ShopState:
    """The orders of module `sale`, or the table that site.yml names; stock and number of products of `catalog`."""
    names = ("table", "id", "total", "email", "created")
    named = {name: getattr(table, name) for name in names} if table is not None else None
    database = _credentials(installation.database)
    seen = _ask(shell, installation.php, "orders", installation.docroot, database=database, table=named)
    rows = tuple(
        OrderRow(str(row["id"]), f"{float(row['total'] or 0):.2f}", str(row["email"])) for row in seen["orders"]
    )
    stock = {str(product): f"{float(amount):g}" for product, amount in dict(seen["stock"]).items()}
    return ShopState(rows, int(seen["count"]), stock, int(seen["products"]) or None)


def run_jobs(shell: Shell, installation: Installation) -> Jobs:
    """Nothing: agents are off in a copy (guard), and running them all would exchange data with others."""
    return Jobs()


def error_logs(shell: Shell, installation: Installation) -> Sequence[str]:
    """What .settings.php names for exceptions, and PHP's own."""
    docroot = installation.docroot
    seen = _ask(shell, installation.php, "new-credentials", docroot)
    named = str(seen["log"])
    logs = [named if named.startswith("/") else f"{docroot}/{named}"] if named else []
    if str(seen["error_log"]).startswith("/"):
        logs.append(str(seen["error_log"]))
    return tuple(dict.fromkeys(logs))
