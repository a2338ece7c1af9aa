"""OpenCart 2.3, 3 and 4 (and ocStore): detect, inventory, overlay a release, run its patches by command line, close and open.

The PHP half is opencart.php. Facts are marked in docs/opencart.md, with what was run.

**The gate.** OpenCart includes nothing before it starts, and `config_maintenance` is a row: it lets API calls through, and a
restored database would end closed. So a file has to stand in front, and these were weighed:

- `.htaccess` or `auto_prepend_file` in `.user.ini`: one web server's, or five minutes late by PHP's own cache.
- In the place of index.php: index.php holds VERSION, so every core update swaps it while the gate would stand there; cron.php,
  the admin and export scripts would need gates of their own.
- In the place of config.php and the admin's config.php, chosen: every entry point reads one of them before anything else, even
  scripts that only want the database, and no release holds them. The gate is renamed over the original, which keeps its inode
  under another name beside it; opening renames it back (Gate.kept). opcache is reset after closing, and the gate throws itself
  out of opcache whenever it runs, so that the original is seen the moment it has its name again.

**The patches** of a release are the installer's, and the installer parses and rewrites config.php and must never be public. Its
files travel in the migration's steps; each step unpacks them into a private folder whose root is links to the site's folders and
configuration files written from evaluated values. The site's own are neither read by lines nor rewritten.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

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
from updater.errors import CommandFailed, UnsupportedSite, UpdateFailed
from updater.model import Component, Database, Installation, Inventory, Layout, MigrationStep, OrderTable, Update
from updater.resources import package_text
from updater.secrets import register
from updater.shell import Shell, compose, run_php

NAME = "opencart"
SUPPORTED = "2.3 – 4.1"
_OLDEST, _NEWEST = (2, 3), (4, 1)

API = "https://api.github.com"
DOWNLOADS = "https://github.com"

KEPT = "config.updater-kept.php"
_NOTE = "updater-note.json"
"""What the patches do not keep, among the caches from before the first until after the last"""
NOT_FOUND = "not found"
"""Among the places of 2.3 and 3.x: hashes of what its modifications found no place for already, by production's ocmod.log. Absent
without a log; `*` for whatever they find no place for."""
APPLIED = "applied"
"""Beside it, as JSON: how many operations of each modification found their place, by that log"""
VQMOD = "vqmod"
"""Among the places of a shop with vQmod, as JSON: how many operations of each of its XML files find their place"""
_VQMOD_CACHES = ("vqmod/mods.cache", "vqmod/checked.cache")

_STORAGE_CACHES = ("cache", "logs", "session", "backup")
_STORAGE_MEDIA = ("download", "upload")
_NOT_INSTALLED = (
    "config.php",
    "admin/config.php",
    "config-dist.php",
    "admin/config-dist.php",
    "php.ini",
    "admin/php.ini",
    "robots.txt",
    ".htaccess",
    ".htaccess.txt",
    "install/*",
    "image/catalog/*",
    "image/cache/*",
    *(f"system/storage/{folder}/*" for folder in (*_STORAGE_CACHES, *_STORAGE_MEDIA, "marketplace", "modification")),
)
"""Paths of a release that belong to the site or to nobody: settings of the web server and of robots, samples, the installer, its
demo pictures, what the shop fills itself."""

_VOLATILE = ("session", "api_session", "customer_online", "customer_search", "cart")
_PERSONAL = {
    f"{table}.{prefix}{column}": kind
    for table, prefixes in (
        ("order", ("", "payment_", "shipping_")),
        ("customer", ("",)),
        ("address", ("",)),
        ("return", ("",)),
        ("affiliate", ("",)),
        ("user", ("",)),
        ("subscription", ("payment_", "shipping_")),
    )
    for prefix in prefixes
    for column, kind in (
        ("firstname", "name"),
        ("lastname", "name"),
        ("company", "name"),
        ("email", "email"),
        ("telephone", "phone"),
        ("fax", "phone"),
        ("address_1", "address"),
        ("address_2", "address"),
        ("custom_field", "text"),
    )
} | {
    "order.comment": "text",
    "order.ip": "text",
    "order.forwarded_ip": "text",
    "order_history.comment": "text",
    "customer.ip": "text",
    "customer.password": "text",
    "customer_ip.ip": "text",
    "customer_login.email": "email",
    "customer_login.ip": "text",
    "customer_activity.data": "text",
    "customer_history.comment": "text",
    "user.password": "text",
    "user.ip": "text",
    "review.author": "name",
    "newsletter.email": "email",
    "return.comment": "text",
}


def _ask(shell: Shell, php: str, action: str, docroot: str, **request: Any) -> Any:
    request = {"action": action, "docroot": docroot, "kept": KEPT, "elsewhere": {}, **request}
    return run_php(shell, php, _source(), request)


def _source() -> str:
    return package_text("updater.cms", "opencart.php")


def _before_4(version: str) -> bool:
    """2.3 and 3.x: extensions are modifications (OCMOD), compiled by the admin's refresh."""
    return version.startswith(("2.", "3."))


def _edition(version: str, core: str) -> tuple[str, str]:
    """Slug and name of the core. ocStore says so in VERSION_CORE from its 3 on; its 2.3 counts a fifth number (2.3.0.2.3)."""
    store = core == "ocStore" or (version.startswith("2.") and version.count(".") == 4)
    return ("ocstore", "ocStore") if store else (NAME, "OpenCart")


# ------------------------------------------------------------------------------------------------------------- what is there


def detect(shell: Shell, docroot: str, php: str) -> Installation | None:
    """OpenCart in this docroot, or None. UnsupportedSite names what is recognised and refused."""
    seen = _ask(shell, php, "recognise", docroot)
    if not seen["core"]:
        return None
    where = f"{shell.where}:{docroot}"
    version = str(seen["version"])
    _refuse(where, seen, version)
    admin = str(seen["admins"][0])
    catalog = _ask(shell, php, "config", docroot, folder="")
    constants: Mapping[str, Any] = catalog["constants"]
    _ask(shell, php, "config", docroot, folder=admin)
    storage, elsewhere = _storage(where, catalog)
    if catalog["vendor"]:
        elsewhere[_VENDOR] = str(catalog["vendor"])
    url = str(constants.get("HTTPS_SERVER") or constants.get("HTTP_SERVER") or "").rstrip("/")
    if not re.match(r"https?://", url):
        raise UnsupportedSite(
            "OpenCart knows no address of its own",
            where=where,
            cause=f"HTTP_SERVER is {url!r}",
            hint="set it in config.php",
        )
    database = _database(where, constants)
    places = {"admin": admin, "storage": storage}
    if _before_4(version):
        inside = elsewhere.get(storage, f"{docroot}/{storage}")
        log = f"{constants.get('DIR_LOGS') or f'{inside}/logs/'}ocmod.log"
        said = _ask(shell, php, "not-found", docroot, log=log)
        if said["known"] is not None:
            places |= {NOT_FOUND: " ".join(said["known"]), APPLIED: json.dumps(said["applied"])}
    if seen["vqmod"]:
        found = _ask(shell, php, "vqmod", docroot, admin=admin, storage=storage, elsewhere=elsewhere)
        places[VQMOD] = json.dumps(found["applied"])
    return Installation(NAME, version, docroot.rstrip("/") or "/", php, url, database, places, elsewhere)


def _refuse(where: str, seen: Mapping[str, Any], version: str) -> None:
    match = re.match(r"(\d+)\.(\d+)", version)
    number = (int(match[1]), int(match[2])) if match else (0, 0)
    if not _OLDEST <= number <= _NEWEST:
        cause, hint = f"supported: {SUPPORTED}", "update it by hand to a supported version first"
        raise UnsupportedSite(f"OpenCart {version} is not supported", where=where, cause=cause, hint=hint)
    if seen["trees"]:
        cause, hint = f"found {seen['trees'][0]}/.git", "update it where it is built"
        raise UnsupportedSite("a Git checkout is not updated in place", where=where, cause=cause, hint=hint)
    if not seen["config"]:
        cause, hint = "its installation was never finished", "finish it in a browser first"
        raise UnsupportedSite("OpenCart has no config.php", where=where, cause=cause, hint=hint)
    if len(seen["admins"]) != 1:
        found = ", ".join(seen["admins"]) or "none"
        raise UnsupportedSite(
            "OpenCart's admin folder cannot be told",
            where=where,
            cause=f"folders whose config.php is the admin's: {found}",
            hint="remove copies of the admin folder: exactly one may be there",
        )
    if seen["installer"]:
        cause = "install/ is still there: anybody who opens it can overwrite the shop"
        raise UnsupportedSite("OpenCart's installer is public", where=where, cause=cause, hint="remove install/ now")
    if seen["vqmod"] and not _before_4(version):
        raise UnsupportedSite(
            "OpenCart 4 with vQmod is not supported",
            where=where,
            cause="vQmod was written for OpenCart 1 to 3, and nobody has seen here what it compiles of 4",
            hint="leave this site out",
        )


_VENDOR = ".updater-elsewhere/vendor"
"""By what name the libraries go that 2.3 looks for beside the docroot"""
_OUTSIDE = ".updater-elsewhere/storage"
"""By what name storage goes that lies outside the docroot, as OpenCart's own installers recommend it"""


def _storage(where: str, config: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """DIR_STORAGE relative to the docroot, and where that name really lies when it is outside."""
    root, storage = str(config["root"]), str(config["storage"])
    if config["scattered"]:
        raise UnsupportedSite(
            "OpenCart 2 with its folders in different places is not supported",
            where=where,
            cause=f"not beside DIR_CACHE, or under another name: {', '.join(config['scattered'])}",
            hint="put cache, download, logs, modification and upload into one folder, and name them in both config.php",
        )
    if not storage:
        cause, hint = f"DIR_STORAGE is {config['constants'].get('DIR_STORAGE')}", "correct it in config.php"
        raise UnsupportedSite("OpenCart's storage folder does not exist", where=where, cause=cause, hint=hint)
    if storage.startswith(f"{root}/"):
        return storage.removeprefix(f"{root}/"), {}
    if f"{root}/".startswith(f"{storage}/"):
        raise UnsupportedSite(
            "OpenCart's storage holds the site itself",
            where=where,
            cause=f"DIR_STORAGE is {storage}, the site lies in {root}",
            hint="give storage a folder of its own, beside the docroot, and name it in both config.php",
        )
    # As config.php says it, so that its code finds it in staging too; a way through `..` is made straight.
    given = str(config["constants"].get("DIR_STORAGE") or storage).rstrip("/")
    straight = given.startswith("/") and not {"", ".", ".."} & set(given.split("/")[1:])
    return _OUTSIDE, {_OUTSIDE: given if straight else storage}


def _absolute(installation: Installation, path: str) -> str:
    """A path below the docroot, or of the storage outside it."""
    for name, folder in installation.elsewhere.items():
        if path == name or path.startswith(f"{name}/"):
            return folder + path.removeprefix(name)
    return f"{installation.docroot.rstrip('/')}/{path}"


def _database(where: str, constants: Mapping[str, Any]) -> Database:
    names = ("DB_HOSTNAME", "DB_USERNAME", "DB_PASSWORD", "DB_DATABASE", "DB_PREFIX")
    missing = [name for name in names if constants.get(name) is None]
    if missing:
        raise CommandFailed(
            "config.php does not say how to reach the database",
            where=where,
            cause=f"not set: {', '.join(missing)}; they may come from the web server's environment, which the command line does not see",
            hint="write them into config.php",
        )
    password = register(str(constants["DB_PASSWORD"]))
    port = int(constants.get("DB_PORT") or 3306)
    user, name, host = (str(constants[key]) for key in ("DB_USERNAME", "DB_DATABASE", "DB_HOSTNAME"))
    return Database(name, user, password, host, port, None, str(constants["DB_PREFIX"]))


def _credentials(database: Database) -> dict[str, Any]:
    """For the PHP half, which gets it on stdin."""
    return {name: getattr(database, name) for name in ("name", "user", "password", "host", "port", "socket", "prefix")}


def layout(shell: Shell, installation: Installation) -> Layout:
    """What lies where. `vendor`, `marketplace` and the compiled `modification` of the storage folder are code."""
    admin, storage = installation.places["admin"], installation.places["storage"]
    return Layout(
        media=("image/catalog", "image/data", *(f"{storage}/{folder}" for folder in _STORAGE_MEDIA)),
        caches=(
            "image/cache",
            "error_log",
            f"{admin}/error_log",
            *(f"{storage}/{each}" for each in _STORAGE_CACHES),
            *(("vqmod/vqcache", "vqmod/logs", *_VQMOD_CACHES) if VQMOD in installation.places else ()),
        ),
        volatile_tables=_VOLATILE,
        personal=_PERSONAL,
        smoke_tests=NAME,
        settings_files=("config.php", f"{admin}/config.php", KEPT, f"{admin}/{KEPT}"),
    )


def inventory(shell: Shell, installation: Installation) -> Inventory:
    """Core, and extensions by the rows that OpenCart keeps: of 4.x those it installed, of 3.x its modifications (OCMOD)."""
    seen = _ask(
        shell,
        installation.php,
        "inventory",
        installation.docroot,
        database=_credentials(installation.database),
    )
    version = str(seen["version"])
    extensions = (
        Component("plugin", row["slug"], row["name"], row["version"], row["active"], row["path"])
        for row in seen["extensions"]
    )
    core = Component("core", *_edition(version, str(seen["core"])), version, True, "")
    return Inventory(NAME, version, str(seen["php"]), (core, *extensions), installation.places)


# ---------------------------------------------------------------------------------------------------------------- packages


def read_package(path: Path, name: str = "") -> PackageInfo:
    """A release of OpenCart, an extension of 4.x (install.json), or one of 3.x (install.xml). PackageRefused by name and reason.

    OpenCart 4 knows an extension by the name of its zip, `<code>.ocmod.zip`; a version in that name is left out.
    """
    with archive.opened(path) as package:
        names = set(package.namelist())
        if (prefix := _core_prefix(names)) is not None:
            return _core_package(path, package, prefix)
        if "install.json" in names:
            return _extension_of_4(path, package, name or path.name)
        if "install.xml" in names:
            return _extension_of_3(path, package)
    raise archive.refused(path, "neither OpenCart nor an extension", "no install.json, no install.xml, no index.php")


def _core_prefix(names: Iterable[str]) -> str | None:
    """'upload/' of the official zip, '<folder>/upload/' of a source archive; None when it is no OpenCart."""
    for name in names:
        prefix = name.removesuffix("system/startup.php")
        if prefix != name and f"{prefix}index.php" in names and f"{prefix}admin/index.php" in names:
            return prefix
    return None


def _core_package(path: Path, package: zipfile.ZipFile, prefix: str) -> PackageInfo:
    text = package.read(f"{prefix}index.php").decode("utf-8", "replace")
    version = re.search(r"define\(\s*['\"]VERSION['\"]\s*,\s*['\"]([^'\"]+)['\"]", text)
    if version is None:
        raise archive.refused(path, "index.php names no version")
    names = set(package.namelist())
    if not any(name.startswith(f"{prefix}install/") for name in names):
        raise archive.refused(path, "not a whole OpenCart", "no install/: the patches of the database are there")
    if not version[1].startswith("2.") and not any(
        name.startswith(f"{prefix}system/storage/vendor/") for name in names
    ):
        raise archive.refused(
            path, "not a whole OpenCart", "no system/storage/vendor/: take the release, not a bare source"
        )
    startup = package.read(f"{prefix}system/startup.php").decode("utf-8", "replace")
    php = re.search(r"version_compare\(phpversion\(\),\s*'([\d.]+)',\s*'<'\)", startup)
    core = re.search(r"define\(\s*['\"]VERSION_CORE['\"]\s*,\s*['\"]([^'\"]+)['\"]", text)
    slug, name = _edition(version[1], core[1] if core else "")
    return PackageInfo("core", slug, name, version[1], php[1] if php else None)


_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*(-[A-Za-z_]+)*")


def _extension_of_4(path: Path, package: zipfile.ZipFile, name: str) -> PackageInfo:
    try:
        said = json.loads(package.read("install.json"))
    except ValueError as error:
        raise archive.refused(path, "its install.json is no JSON", str(error)) from error
    if not isinstance(said, dict) or not said.get("version"):
        raise archive.refused(path, "its install.json names no version")
    outside = [entry for entry in package.namelist() if entry.startswith(("image/", "system/storage/"))]
    if outside:
        raise archive.refused(path, "puts files outside its own folder", outside[0])
    compiled = [entry for entry in package.namelist() if entry.startswith("ocmod/") and entry.endswith(".xml")]
    if compiled:
        raise archive.refused(
            path, "brings a modification (OCMOD), which is not compiled for OpenCart 4 yet", compiled[0]
        )
    code = re.sub(r"(\.ocmod)?\.zip$", "", name)
    code = re.sub(r"[-_.]?v?\d+(\.\d+)+$", "", code)
    if not _CODE.fullmatch(code):
        raise archive.refused(path, "its name is no code of an extension", f"{name}: call it <code>.ocmod.zip")
    return PackageInfo("plugin", code, str(said.get("name") or code), str(said["version"]))


_INSTALLED_BY_3 = tuple(
    f"upload/{folder}/"
    for folder in (
        "admin/controller/extension",
        "admin/language",
        "admin/model/extension",
        "admin/view/image",
        "admin/view/javascript",
        "admin/view/stylesheet",
        "admin/view/template/extension",
        "catalog/controller/extension",
        "catalog/language",
        "catalog/model/extension",
        "catalog/view/javascript",
        "catalog/view/theme",
        "system/config",
        "system/library",
        "vqmod/xml",
    )
)
"""Where the installer of 3.x lets an extension write (marketplace/install.php of 3.0.4.1), without its pictures in image/catalog: those
are the shop's own and are never deployed. An entry point or a configuration is never among them. vQmod's XML files people copy by hand."""


def _extension_of_3(path: Path, package: zipfile.ZipFile) -> PackageInfo:
    try:
        root = ElementTree.fromstring(package.read("install.xml"))  # noqa: S314 - expat of today bounds entities
    except ElementTree.ParseError as error:
        raise archive.refused(path, "its install.xml cannot be read", str(error)) from error
    code, version, name = (root.findtext(key, "").strip() for key in ("code", "version", "name"))
    if not code or not version or set(code) & set("/\\\0"):
        raise archive.refused(path, "its install.xml names no code or no version")
    names = [entry for entry in package.namelist() if not entry.endswith("/")]
    if any(entry.startswith("install.") and entry != "install.xml" for entry in names):
        raise archive.refused(path, "runs SQL or PHP of its own when it is installed", "install.sql or install.php")
    outside = [entry for entry in names if entry.startswith("upload/") and not entry.startswith(_INSTALLED_BY_3)]
    if outside:
        raise archive.refused(path, "puts files where OpenCart's own installer would not", outside[0])
    return PackageInfo("plugin", code, name or code, version)


def members(package: Path, component: Component, places: Mapping[str, str]) -> Mapping[str, str]:
    """What a package installs; of a release without what belongs to the site, the admin under the site's name for it."""
    with zipfile.ZipFile(package) as opened:
        names = [entry.filename for entry in opened.infolist() if not entry.is_dir()]
    if component.kind == "core":
        prefix = _core_prefix(names)
        below = [name for name in names if prefix is not None and name.startswith(prefix)]
        paths = {name.removeprefix(prefix or ""): name for name in below}
        return {
            _placed(path, places): name
            for path, name in paths.items()
            if not any(fnmatch.fnmatchcase(path, pattern) for pattern in _NOT_INSTALLED)
        }
    if component.path:
        return {name: name for name in names}
    uploads = [name for name in names if name.startswith("upload/")]
    return {_placed(name.removeprefix("upload/"), places): name for name in uploads}


def _placed(path: str, places: Mapping[str, str]) -> str:
    if path.startswith("admin/"):
        return f"{places['admin']}/{path.removeprefix('admin/')}"
    if path.startswith("system/storage/"):
        return f"{places['storage']}/{path.removeprefix('system/storage/')}"
    return path


# -------------------------------------------------------------------------------------------------------- GitHub's releases API


def offers(inventory: Inventory, fetch: Fetch, api: str | None, downloads: str | None) -> Sequence[Offer]:
    """Releases of OpenCart newer than the installed one, by GitHub's API. Whatever `fetch` raises passes through.

    https://docs.github.com/rest/releases/releases#list-releases: `tag_name`, `prerelease`, `published_at`,
    `assets[].browser_download_url`, `assets[].digest` (`sha256:…`, on newer uploads). OpenCart's marketplace has no API without an
    account: extensions come from folders.
    """
    url = f"{(api or API).rstrip('/')}/repos/opencart/opencart/releases?per_page=100"
    try:
        releases = json.loads(fetch(url, None))
    except ValueError as error:
        raise CommandFailed("the update API gave no JSON", where=url, cause=str(error), hint=_AGAIN) from error
    if not isinstance(releases, list) or not all(isinstance(release, dict) for release in releases):
        cause = f"not a list of releases: {str(releases)[:100]}"
        raise CommandFailed("the update API gave another answer than it documents", where=url, cause=cause, hint=_AGAIN)
    return [offer for release in releases for offer in _offer(release, downloads)]


_AGAIN = "try again, or set `sources.api`"


def _offer(release: Mapping[str, Any], downloads: str | None) -> Iterable[Offer]:
    version = str(release.get("tag_name") or "").removeprefix("v")
    if release.get("prerelease") or release.get("draft") or not re.fullmatch(r"\d+(\.\d+)+", version):
        return
    for asset in release.get("assets") or ():
        address = str(asset.get("browser_download_url") or "")
        if not re.fullmatch(rf"opencart-{re.escape(version)}\.zip", PurePosixPath(address).name):
            continue
        if downloads and address.startswith(f"{DOWNLOADS}/"):
            address = f"{downloads.rstrip('/')}/{address.removeprefix(f'{DOWNLOADS}/')}"
        digest = str(asset.get("digest") or "")
        checksum = digest if digest.startswith("sha256:") else None
        released = datetime.fromisoformat(str(release["published_at"])) if release.get("published_at") else None
        yield Offer(PackageInfo("core", NAME, "OpenCart", version), address, checksum, released=released)


def listing(shell: Shell, installation: Installation, inventory: Inventory) -> Listing:
    """Nothing: what there is, folders and the public API say."""
    return Listing()


def verify_download(package: Path, offer: Offer, fetch: Fetch) -> None:
    """PackageRefused unless the archive has the checksum that the API names. An old release has none: it rests on TLS alone."""
    if offer.checksum is not None:
        found = f"sha256:{archive.sha256(package)}"
        if found != offer.checksum:
            raise archive.refused(package, "wrong checksum", f"{found}, published is {offer.checksum}")


def refuses(component: Component, version: str) -> str:
    """Between 2, 3 and 4 lies a new shop: no extension, no theme and not every table goes along. 2.3 has come to its end."""
    old, new = component.version.split(".")[0], version.split(".")[0]
    if component.kind != "core":
        return ""
    if old == new:
        return (
            ""
            if old != "2"
            else f"{component.name} 2 has no further releases that this program knows how to install; by hand, on a copy"
        )
    return f"OpenCart {old} becomes OpenCart {new} by a migration to a new shop, not by an update"


def leap(component: Component, version: str) -> str:
    """The second number of OpenCart counts its incompatible releases: 4.0.2.3 → 4.1.0.4 restyled 23 to 46 % of each page."""
    old, new = component.version.split(".")[:2], version.split(".")[:2]
    if component.kind != "core" or old == new:
        return ""
    return (
        f"OpenCart {component.version} → {version} is a major jump: themes and extensions for {'.'.join(old)} may not go along, "
        f"and pages look different; a person decides"
    )


def takes_payments(component: Component, root: Path) -> bool:
    """Whether a controller of its own stands among the payment methods: in the extension's folder; in 3.x, which puts them all
    together, by its name."""
    if component.kind == "core":
        return False
    if not component.path:
        return (root / "catalog/controller/extension/payment" / f"{component.slug}.php").is_file()
    return any((root / component.path).glob("catalog/controller/**/payment/*.php"))


def published(
    component: Component, root: Path, fetch: Fetch, api: str | None, downloads: str | None
) -> Published | None:
    """OpenCart publishes no checksums of single files: edits are told only where the installed version's zip is in a folder."""
    return None


# ------------------------------------------------------------------------------------------------------------- staging only


def staging_only() -> tuple[str, ...]:
    return ()


def guard(shell: Shell, installation: Installation, hosts: Sequence[str], payments: Sequence[str] = ()) -> None:
    """Rows of staging's own database: payment off save cash on delivery, mail to PHP's mail(), cron off. No file is made.

    It comes before the checkpoint that everything is compared with: none of these rows is taken for the update's.
    """
    refuse_payments("OpenCart", payments)
    storage = installation.places["storage"]
    folders = [f"{storage}/{folder}" for folder in (*_STORAGE_CACHES, *_STORAGE_MEDIA)]
    _ask(
        shell,
        installation.php,
        "guard",
        installation.docroot,
        database=_credentials(installation.database),
        folders=folders,
        elsewhere=dict(installation.elsewhere),
    )


# ------------------------------------------------------------------------------------------------------------ update, migrate


def apply(shell: Shell, installation: Installation, update: Update, package: str) -> str:
    """The files of a release or an extension over the old ones, and what only the old one held taken away where its zip is known.

    OpenCart has no updater of its own: this is what its documentation tells a person to do. The database is not touched:
    rows are the migration's. UpdateFailed when the package cannot be opened, a file cannot be written, or does not read back.
    """
    where = f"{shell.where}: {update.id} {update.from_version} → {update.to_version}"
    hint = f"look at the package {update.package.name}, or hold it: `policy.hold` in site.yml"
    if reason := _unfit(update, installation):
        raise UpdateFailed(f"{update.name} is not installed", where=where, cause=reason, hint=hint)
    component = _component(update, installation)
    new = _below(component, members(update.package, component, installation.places))
    old = _below(component, members(update.base, component, installation.places)) if update.base else {}
    request = {
        "package": package,
        "members": new,
        "stale": sorted(old.keys() - new.keys()),
        "archive": _marketplace(update, installation),
        "elsewhere": dict(installation.elsewhere),
    }
    try:
        _ask(shell, installation.php, "overlay", installation.docroot, **request)
        found = _ask(shell, installation.php, "read-back", installation.docroot, **request)
    except CommandFailed as error:
        raise UpdateFailed(
            f"{update.name} could not be updated", where=where, cause=f"{error.what}: {error.cause}", hint=hint
        ) from error
    if found["wrong"]:
        cause = f"not as in the package: {', '.join(found['wrong'][:5])}"
        raise UpdateFailed(f"{update.name} does not read back", where=where, cause=cause, hint=hint)
    version = str(found["version"]) if update.kind == "core" else _version_of(update.package)
    if version != update.to_version:
        cause = f"read back: {version}"
        raise UpdateFailed(f"{update.name} is not at {update.to_version}", where=where, cause=cause, hint=hint)
    return version


def _unfit(update: Update, installation: Installation) -> str:
    """Why vQmod forbids this update; '' when it does not."""
    has = VQMOD in installation.places
    if update.kind == "core":
        return "the release would replace index.php and the admin's, in which vQmod is installed" if has else ""
    return "it brings an XML file for vQmod, which this shop does not have" if _xml_files(update) and not has else ""


def _xml_files(update: Update) -> list[str]:
    """Those for vQmod that an extension brings, by their name."""
    with zipfile.ZipFile(update.package) as package:
        return [
            PurePosixPath(name).name for name in package.namelist() if re.fullmatch(r"upload/vqmod/xml/[^/]+", name)
        ]


def _version_of(package: Path) -> str:
    """What an extension's package says of itself; its files were compared with it byte by byte."""
    return read_package(package, "any.ocmod.zip").version


def _component(update: Update, installation: Installation) -> Component:
    inside = f"extension/{update.slug}" if update.kind != "core" and not _before_4(installation.version) else ""
    return Component(update.kind, update.slug, update.name, update.from_version, True, inside)


def _below(component: Component, found: Mapping[str, str]) -> dict[str, str]:
    """By path below the docroot."""
    return {f"{component.path}/{path}" if component.path else path: name for path, name in found.items()}


def _marketplace(update: Update, installation: Installation) -> str:
    """Where OpenCart 4 keeps the zip of an extension: its own uninstaller reads it."""
    if update.kind == "core" or _before_4(installation.version):
        return ""
    return f"{installation.places['storage']}/marketplace/{update.slug}.ocmod.zip"


def migration(installation: Installation, updates: Sequence[Update]) -> Sequence[MigrationStep]:
    """The patches of the release in numeric order, the rows of extensions, modifications restored and refreshed (3.x), caches, a visit.

    Patch 1006 of 3.x switches every modification off, 1005 overrides a setting, 5 of 4.x doubles an event: what is the shop's is noted
    first and put back after the last patch.
    """
    core = next((update for update in updates if update.kind == "core"), None)
    versions = [(update.kind, update.slug, update.to_version) for update in updates]
    caches = f"{installation.places['storage']}/cache"
    steps = [_step(installation, "front page as a visitor", "visit")] if core is None else []
    if core is not None:
        note = f"{caches}/{_NOTE}"
        steps.append(_step(installation, "note what is the shop's", "note", note=note))
        steps += [_step(installation, name, "patch", **request) for name, request in _patches(core, installation)]
        steps.append(_step(installation, "put back what is the shop's", "put-back", note=note))
    steps += [
        _step(installation, f"rows of {update.slug}", "extension", extension=_rows(update))
        for update in updates
        if update.kind != "core"
    ]
    if updates and _before_4(installation.version):
        steps.append(refresh_step(installation, updates))
    if updates and VQMOD in installation.places:
        brought = [name for update in updates for name in _xml_files(update)]
        known = json.loads(installation.places[VQMOD])
        steps.append(_step(installation, "count what vQmod applies", "vqmod", known=known, brought=brought))
    # Answers of the old code, kept for an hour, would be shown by the new one.
    steps += [
        _step(installation, "caches", "purge", folders=[caches, *_vqcache(installation)], files=_VQMOD_CACHES),
        _step(installation, "front page again", "visit"),
        _step(installation, "verify", "verify", versions=versions),
    ]
    return tuple(steps)


def _vqcache(installation: Installation) -> list[str]:
    return ["vqmod/vqcache"] if VQMOD in installation.places else []


def refresh_step(installation: Installation, updates: Sequence[Update] = ()) -> MigrationStep:
    """2.3 and 3.x compile their modifications, as the admin's Refresh button does."""
    known = installation.places.get(NOT_FOUND)
    applied = json.loads(installation.places.get(APPLIED, "{}"))
    request = {
        "known": None if known is None else known.split(),
        # A new version may ask for less than the old one did.
        "applied": {name: count for name, count in applied.items() if name not in {it.name for it in updates}},
    }
    return _step(installation, "refresh modifications", "refresh", **request)


def _step(installation: Installation, name: str, action: str, **request: Any) -> MigrationStep:
    payload = {
        "action": action,
        "docroot": installation.docroot,
        "kept": KEPT,
        "url": installation.url,
        "admin": installation.places["admin"],
        "storage": installation.places["storage"],
        "database": _credentials(installation.database),
        "three": _before_4(installation.version),
        "elsewhere": dict(installation.elsewhere),
        **request,
    }
    return base.step(name, _source(), payload)


def _patches(update: Update, installation: Installation) -> Iterable[tuple[str, dict[str, Any]]]:
    """One request for each patch of the release. 4.x: classes called by name; 3.x: files called by their place in the list."""
    with zipfile.ZipFile(update.package) as package:
        prefix = _core_prefix(package.namelist()) or ""
        names = [name.removeprefix(prefix) for name in package.namelist() if not name.endswith("/")]
        kept = [name for name in names if name.startswith("install/") and not _UNUSED.match(name)]
        installer = {name: base64.b64encode(package.read(f"{prefix}{name}")).decode() for name in kept}
    constants = _constants(installation)
    request: dict[str, Any] = {"installer": installer, "constants": constants, "query": {}}
    if _before_4(installation.version):
        files = sorted(name for name in names if re.fullmatch(r"install/model/upgrade/\d+\.php", name))
        for number, name in enumerate(files, start=1):
            patch = PurePosixPath(name).stem
            query = {"route": "upgrade/upgrade/next", "step": str(number)}
            yield f"patch {patch}", {**request, "patch": patch, "query": query}
        return
    found = (re.fullmatch(r"install/controller/upgrade/upgrade_(\d+)\.php", name) for name in names)
    for number in sorted(int(match[1]) for match in found if match):
        query = {
            "route": f"upgrade/upgrade_{number}",
            "version": update.to_version,
            "admin": installation.places["admin"],
        }
        yield f"patch {number}", {**request, "patch": str(number), "query": query}


_UNUSED = re.compile(r"install/(view/(?!template/)|index\.php|cli_|opencart-(?!en-gb)[a-z-]+\.sql)")


def _constants(installation: Installation) -> dict[str, str]:
    """What the installer's own reading of config.php wants: plain values."""
    database = installation.database
    return {
        "HTTP_SERVER": f"{installation.url}/",
        "HTTPS_SERVER": f"{installation.url}/",
        "HTTP_CATALOG": f"{installation.url}/",
        "HTTPS_CATALOG": f"{installation.url}/",
        "DIR_STORAGE": f"{_absolute(installation, installation.places['storage'])}/",
        "DB_DRIVER": "mysqli",
        "DB_HOSTNAME": database.host,
        "DB_USERNAME": database.user,
        "DB_PASSWORD": database.password,
        "DB_DATABASE": database.name,
        "DB_PORT": str(database.port),
        "DB_PREFIX": database.prefix,
    }


def _rows(update: Update) -> dict[str, Any]:
    with zipfile.ZipFile(update.package) as package:
        names = package.namelist()
        if "install.xml" in names:
            xml = base64.b64encode(package.read("install.xml")).decode()
            return {"code": update.slug, "version": update.to_version, "name": update.name, "xml": xml}
    files = [f"{update.slug}/{name.rstrip('/')}" for name in names]
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents if str(parent) != "."}
    paths = sorted(folders | set(files))
    return {"code": update.slug, "version": update.to_version, "name": update.name, "paths": paths}


def replay(installation: Installation, updates: Sequence[Update]) -> None:
    """The files that were tested are brought to production."""


def noise_rows() -> Mapping[str, Sequence[str]]:
    """Rows that any visit changes."""
    every = ("1 = 1",)
    return {
        **dict.fromkeys((*_VOLATILE, "customer_activity", "customer_ip", "statistics"), every),
        "currency": every,
    }


# ------------------------------------------------------------------------------------------------------- close, swap, open


def forbids_promotion(switches: frozenset[str], *, restore: bool, installation: Installation | None = None) -> str:
    return ""


def gate(installation: Installation) -> Gate:
    """Stands in for both configuration files: see the top of this module."""
    admin = installation.places["admin"]
    return Gate(
        files={
            "config.php": gate_file("opencart-gate.php"),
            f"{admin}/config.php": gate_file("opencart-gate.php", "dirname(__DIR__)"),
        },
        token_file=TOKEN_FILE,
        cookie=COOKIE,
        kept={"config.php": KEPT, f"{admin}/config.php": f"{admin}/{KEPT}"},
        refused_file=REFUSED_FILE,
    )


def units(updates: Sequence[Update], inventory: Inventory, changed: Sequence[str]) -> Sequence[str]:
    """Whole folders where nothing of the site's own lies: below system, the admin and storage one level deeper."""
    found = sorted({_unit(path, inventory.places) for path in changed})
    return tuple(unit for unit in found if not any(unit.startswith(f"{other}/") for other in found))


def _unit(path: str, places: Mapping[str, str]) -> str:
    parts = path.split("/")
    storage = places["storage"].split("/")
    if parts[: len(storage)] == storage:
        # The zips of extensions lie beside those of others: each by itself.
        deep = len(storage) + (2 if parts[len(storage) : len(storage) + 1] == ["marketplace"] else 1)
        return "/".join(parts[:deep])
    if parts[0] == "catalog":
        return parts[0]
    if parts[0] in ("system", "extension", places["admin"]) and len(parts) > 2:
        return "/".join(parts[:2])
    return path


def purge(installation: Installation) -> Sequence[MigrationStep]:
    """Compiled templates and cached queries. Never boots OpenCart: it also runs after a rollback."""
    request = {
        "action": "purge",
        "docroot": installation.docroot,
        "kept": KEPT,
        "elsewhere": dict(installation.elsewhere),
        "folders": [f"{installation.places['storage']}/cache", *_vqcache(installation)],
        "files": _VQMOD_CACHES,
    }
    return (MigrationStep("caches", compose(_source(), request)),)


# ---------------------------------------------------------------------------------------------------------- the shop's records


def orders(shell: Shell, installation: Installation, table: OrderTable | None) -> ShopState:
    """OpenCart's orders that were placed, or the table that site.yml names; stock and number of products."""
    names = ("table", "id", "total", "email", "created")
    named = {name: getattr(table, name) for name in names} if table is not None else None
    seen = _ask(
        shell,
        installation.php,
        "orders",
        installation.docroot,
        database=_credentials(installation.database),
        table=named,
    )
    rows = tuple(
        OrderRow(str(row["id"]), f"{float(row['total'] or 0):.2f}", str(row["email"])) for row in seen["orders"]
    )
    stock = {str(product): str(amount) for product, amount in dict(seen["stock"]).items()}
    return ShopState(rows, int(seen["count"]), stock, int(seen["products"]) or None)


def run_jobs(shell: Shell, installation: Installation) -> Jobs:
    """Nothing: a shop of its own makes a request for them, and what that request does differs with each release."""
    return Jobs()


def error_logs(shell: Shell, installation: Installation) -> Sequence[str]:
    """OpenCart's own log, where a page that answers 200 writes what went wrong, under the name that the shop gave it."""
    logs = _absolute(installation, f"{installation.places['storage']}/logs")
    database = _credentials(installation.database)
    seen = _ask(shell, installation.php, "error-logs", installation.docroot, database=database)
    return tuple(f"{logs}/{name}" for name in seen["names"])
