"""WordPress and WooCommerce: detect, inventory, update with WordPress's own Upgrader, migrate until quiet, close, open.

The PHP half is wordpress.php. It reads files where that is enough and boots WordPress only where its own code must run.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode

from updater.cms import archive, base
from updater.cms.base import (
    COOKIE,
    REFUSED_FILE,
    TOKEN_FILE,
    Fetch,
    Gate,
    Job,
    Jobs,
    Listing,
    Offer,
    OrderRow,
    PackageInfo,
    Published,
    ShopState,
    gate_file,
)
from updater.errors import CommandFailed, UnsupportedSite, UpdateFailed, UpdaterError
from updater.model import (
    Component,
    Database,
    Installation,
    Inventory,
    Layout,
    MigrationStep,
    ObjectCache,
    OrderTable,
    Update,
)
from updater.resources import package_text
from updater.secrets import register
from updater.shell import Completed, Shell, compose, parse_answer, run_php

NAME = "wordpress"
_OWN_LINKS = f"{NAME}.own_links"
SUPPORTED = "5.7 – 7.x"
_OLDEST, _NEWEST_MAJOR = (5, 7), 7

API = "https://api.wordpress.org"
_PAGES = "https://wordpress.org"
DOWNLOADS = "https://downloads.wordpress.org"

GUARD = "wp-content/mu-plugins/00-updater-staging.php"

# What core includes even where WP_INSTALLING makes it skip .maintenance: install.php for wp-admin/install.php and upgrade.php,
# fatal-error-handler.php for those and wp-activate.php and setup-config.php (not where WP_DISABLE_FATAL_ERROR_HANDLER is set).
_DOORS = ("wp-content/install.php", "wp-content/fatal-error-handler.php")

# Folders whose content any page view may write or delete. Backups of backup plugins belong to no release either.
_CACHES = (
    "wp-content/cache",
    "wp-content/upgrade",
    "wp-content/upgrade-temp-backup",
    "wp-content/et-cache",
    "wp-content/litespeed",
    "wp-content/w3tc-config",
    "wp-content/wphb-cache",
    "wp-content/wphb-logs",
    "wp-content/wflogs",
    "wp-content/wc-logs",
    "wp-content/debug.log",
    "wp-content/updraft",
    "wp-content/ai1wm-backups",
    "wp-content/backups-dup-lite",
    "wp-content/backups-dup-pro",
    "wp-content/backupwordpress",
    "wp-content/backup-db",
    "wp-content/backups",
    "wp-content/wpvividbackups",
    "wp-content/wpo-cache",
    "wp-content/webtoffee_import",
    "wp-snapshots",
    "error_log",
    "wp-admin/error_log",
)
_PURGED = (
    "wp-content/cache",
    "wp-content/et-cache",
    "wp-content/litespeed",
    "wp-content/wphb-cache",
    "wp-content/wpo-cache/page",
)
_VOLATILE = (
    "woocommerce_sessions",
    "actionscheduler_logs",
    "wflogs",
    "wfhits",
    "wflogins",
    "wftrafficrates",
    "wfcrawlers",
    "wffilemods",
    "wfknownfilelist",
    "redirection_logs",
    "redirection_404",
    "simple_history",
    "simple_history_contexts",
    "wsal_occurrences",
    "wsal_metadata",
    "statistics_visitor",
    "statistics_visitor_relationships",
    "statistics_pages",
    "statistics_useronline",
    "yoast_indexable_hierarchy_log",
    "litespeed_crawler",
    "litespeed_crawler_blacklist",
    "itsec_logs",
    "itsec_log",
    "wpmailsmtp_emails_log",
    "wpml_mails",
    "email_log",
    "fsmpt_email_logs",
)
_ADDRESS = {
    "first_name": "name",
    "last_name": "name",
    "company": "name",
    "address_1": "address",
    "address_2": "address",
    "email": "email",
    "phone": "phone",
}
_PERSONAL = {
    # WooCommerce keeps a customer's addresses beside the user, and an order's beside the post where orders have no tables of their own.
    **{
        f"{table}.meta_value[meta_key={start}{kind}_{field}]": what
        for table, start in (("usermeta", ""), ("postmeta", "_"))
        for kind in ("billing", "shipping")
        for field, what in _ADDRESS.items()
    },
    **{f"usermeta.meta_value[meta_key={key}]": "name" for key in ("first_name", "last_name", "nickname")},
    **{
        f"{table}.meta_value[meta_key=_{key}]": "text"
        for table in ("postmeta", "wc_orders_meta")
        for key in ("billing_address_index", "shipping_address_index", "customer_ip_address")
    },
    "wc_stock_notifications.user_email": "email",
    "woocommerce_payment_tokens.token": "text",
    "users.user_email": "email",
    "users.display_name": "name",
    "users.user_pass": "text",
    "comments.comment_author": "name",
    "comments.comment_author_email": "email",
    "comments.comment_author_IP": "text",
    "wc_orders.billing_email": "email",
    "wc_orders.ip_address": "text",
    "wc_order_addresses.first_name": "name",
    "wc_order_addresses.last_name": "name",
    "wc_order_addresses.company": "name",
    "wc_order_addresses.address_1": "address",
    "wc_order_addresses.address_2": "address",
    "wc_order_addresses.email": "email",
    "wc_order_addresses.phone": "phone",
    "wc_customer_lookup.username": "name",
    "wc_customer_lookup.first_name": "name",
    "wc_customer_lookup.last_name": "name",
    "wc_customer_lookup.email": "email",
    "wc_download_log.user_ip_address": "text",
    "woocommerce_downloadable_product_permissions.user_email": "email",
    "frm_item_metas.meta_value": "text",
    "gf_entry_meta.meta_value": "text",
    "gf_entry.ip": "text",
    "wpforms_entries.fields": "text",
    "wpforms_entry_fields.value": "text",
    "fluentform_submissions.response": "text",
    "db7_forms.form_value": "text",
    "mailpoet_subscribers.email": "email",
    "mailpoet_subscribers.first_name": "name",
    "mailpoet_subscribers.last_name": "name",
    "newsletter.email": "email",
    "newsletter.name": "name",
}


_GATEWAY = re.compile(
    rb"\bextends\s+\\?WC_Payment_Gateway|['\"]woocommerce_payment_gateways['\"]|\\AbstractPaymentMethodType\b"
)
_GATEWAY_ITSELF = re.compile(rb"^\s*abstract\s+class\s+WC_Payment_Gateway\b", re.M)


def _source() -> str:
    return package_text("updater.cms", "wordpress.php")


def _ask(shell: Shell, php: str, action: str, docroot: str, **request: Any) -> Any:
    return run_php(shell, php, _source(), {"action": action, "docroot": docroot, **request})


# ------------------------------------------------------------------------------------------------------------- what is there


def detect(shell: Shell, docroot: str, php: str) -> Installation | None:
    """WordPress in this docroot, or None. UnsupportedSite names what is recognised and refused."""
    seen = _ask(shell, php, "recognise", docroot, doors=_DOORS)
    if not seen["exists"]:
        raise _unsupported(
            shell,
            docroot,
            "the docroot does not exist on the server",
            "there is no such folder",
            "correct `docroot` in site.yml",
        )
    _refuse_managed(shell, docroot, seen)
    if not seen["core"]:
        return None
    version = str(seen["version"])
    _refuse_version(shell, docroot, version)
    if not seen["config"]:
        raise _unsupported(
            shell,
            docroot,
            "WordPress has no wp-config.php",
            "its installation was never finished",
            "finish it in a browser first",
        )
    config = _ask(shell, php, "config", docroot)
    constants: Mapping[str, Any] = config["constants"]
    _refuse_configuration(shell, docroot, seen, constants)
    database = _database(shell, docroot, constants, config["prefix"])
    site = _ask(shell, php, "site", docroot, database=_credentials(database))
    url = str(constants.get("WP_HOME") or site["home"] or "").rstrip("/")
    if not re.match(r"https?://", url):
        raise _unsupported(
            shell, docroot, "WordPress knows no address of its own", f"option `home` is {url!r}", "set it in wp-admin"
        )
    return Installation(NAME, version, docroot.rstrip("/") or "/", php, url, database, elsewhere=seen["links"])


def _unsupported(shell: Shell, docroot: str, what: str, cause: str, hint: str) -> UnsupportedSite:
    return UnsupportedSite(what, where=f"{shell.where}:{docroot}", cause=cause, hint=hint)


def _refuse_managed(shell: Shell, docroot: str, seen: Mapping[str, Any]) -> None:
    """A site that is deployed from elsewhere would lose our update at its next deployment."""
    hint = "update it where it is built: this program updates sites whose server is the only copy"
    for kind, folder, *_content in seen["trees"]:
        if kind == "bedrock":
            raise _unsupported(
                shell, docroot, "a Bedrock site is not updated in place", f"found Bedrock in {folder}", hint
            )
    for kind, folder, *content in seen["trees"]:
        text = content[0] if content else ""
        if kind.startswith("composer") and re.search(
            r"(johnpbloch/wordpress|roots/wordpress|wordpress/core|wpackagist)", text
        ):
            raise _unsupported(
                shell,
                docroot,
                "a Composer-managed WordPress is not updated in place",
                f"{folder}/{kind} names its packages",
                hint,
            )
    if not seen["core"] and seen["below"]:
        raise _unsupported(
            shell,
            docroot,
            "WordPress lives in its own directory",
            f"index.php loads it from {seen['below']}/: that layout is not supported yet",
            "move WordPress to the docroot, or leave this site out",
        )
    for kind, folder, *_content in seen["trees"]:
        if kind == "git" and seen["core"]:
            raise _unsupported(shell, docroot, "a Git checkout is not updated in place", f"found {folder}/.git", hint)


def _refuse_version(shell: Shell, docroot: str, version: str) -> None:
    match = re.match(r"(\d+)\.(\d+)", version)
    number = (int(match[1]), int(match[2])) if match else (0, 0)
    if number < _OLDEST or number[0] > _NEWEST_MAJOR:
        raise _unsupported(
            shell,
            docroot,
            f"WordPress {version} is not supported",
            f"supported: {SUPPORTED}",
            "update it by hand to a supported version first",
        )


def _refuse_configuration(shell: Shell, docroot: str, seen: Mapping[str, Any], constants: Mapping[str, Any]) -> None:
    if constants.get("MULTISITE"):
        raise _unsupported(
            shell,
            docroot,
            "a WordPress multisite is not supported",
            "wp-config.php defines MULTISITE: one update would change every site of the network, and only one would be tested",
            "leave this site out",
        )
    content = str(constants.get("WP_CONTENT_DIR") or f"{docroot.rstrip('/')}/wp-content").rstrip("/")
    plugins = str(constants.get("WP_PLUGIN_DIR") or f"{docroot.rstrip('/')}/wp-content/plugins").rstrip("/")
    if PurePosixPath(content).name != "wp-content" or PurePosixPath(plugins).parts[-2:] != ("wp-content", "plugins"):
        raise _unsupported(
            shell,
            docroot,
            "WordPress with a renamed content folder is not supported",
            f"wp-config.php sets WP_CONTENT_DIR or WP_PLUGIN_DIR to {content}, {plugins}",
            "leave this site out",
        )
    for link, folder in seen["links"].items():
        if why := _cannot_lie_behind(link, PurePosixPath(folder or "."), PurePosixPath(docroot)):
            raise _unsupported(
                shell,
                docroot,
                f"WordPress whose {link} is such a link is not supported",
                why,
                "put the folder itself there, or leave this site out",
            )
    for dropin in seen["dropins"]:
        raise _unsupported(
            shell,
            docroot,
            f"WordPress with its own {dropin} is not supported",
            "the gate that closes the shop needs that place",
            "remove the drop-in, or leave this site out",
        )


def _cannot_lie_behind(link: str, folder: PurePosixPath, docroot: PurePosixPath) -> str:
    """Why nothing can be updated in a folder that this link leads to; '' when it can."""
    if link == "wp-content":
        return "the gate that closes the shop needs that folder, which may be shared with other sites"
    if not folder.is_absolute():
        return "it leads to no folder"
    if folder.is_relative_to(docroot) or docroot.is_relative_to(folder):
        return f"it leads to {folder}: one of them and the docroot lies in the other"
    return ""


def parse_db_host(value: str) -> tuple[str, int, str | None]:
    """host, port, socket of a DB_HOST, as wpdb::parse_db_host() reads it: `localhost`, `host:3307`, `localhost:/path/sock`, `[::1]:3307`."""
    socket = None
    position = value.find(":/")
    if position >= 0:
        value, socket = value[:position], value[position + 1 :]
    pattern = (
        r"\[?(?P<host>[0-9a-fA-F:]+)(?:\]:(?P<port>\d+))?"
        if value.count(":") > 1
        else r"(?P<host>[^:/]*)(?::(?P<port>\d+))?"
    )
    match = re.match(pattern, value)
    host = (match["host"] if match else "") or "localhost"
    return host, int(match["port"]) if match and match["port"] else 3306, socket


def _database(shell: Shell, docroot: str, constants: Mapping[str, Any], prefix: Any) -> Database:
    missing = [name for name in ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST") if constants.get(name) is None]
    if not isinstance(prefix, str) or not re.fullmatch(r"[A-Za-z0-9_]+", prefix):
        missing.append("$table_prefix")
    if missing:
        raise CommandFailed(
            "wp-config.php does not say how to reach the database",
            where=f"{shell.where}:{docroot}",
            cause=f"not set: {', '.join(missing)}; they may come from the web server's environment, which the command line does not see",
            hint="write them into wp-config.php",
        )
    host, port, socket = parse_db_host(str(constants["DB_HOST"]))
    charset = str(constants.get("DB_CHARSET") or "utf8mb4")
    password = register(str(constants["DB_PASSWORD"]))
    return Database(str(constants["DB_NAME"]), str(constants["DB_USER"]), password, host, port, socket, prefix, charset)


def _credentials(database: Database) -> dict[str, Any]:
    """For the PHP half, which gets it on stdin."""
    return {name: getattr(database, name) for name in ("name", "user", "password", "host", "port", "socket", "prefix")}


def _site(installation: Installation) -> dict[str, Any]:
    return {"url": installation.url, "database": _credentials(installation.database)}


def layout(shell: Shell, installation: Installation) -> Layout:
    """What lies where. `uploads` follows the UPLOADS constant."""
    config = _ask(shell, installation.php, "config", installation.docroot)
    uploads = str(config["constants"].get("UPLOADS") or "wp-content/uploads").strip("/")
    return Layout(
        media=tuple(dict.fromkeys(("wp-content/uploads", uploads))),
        caches=_CACHES,
        volatile_tables=_VOLATILE,
        personal=_PERSONAL,
        smoke_tests=NAME,
        settings_files=("wp-config.php", ".env", ".htpasswd", "wp-content/db-config.php"),
        front="/index.php?$args",
        object_cache=_object_cache(config["object_cache"]),
        unknown_cache=_UNKNOWN_CACHE if (config["object_cache"] or {}).get("kind") == "unknown" else "",
    )


_UNKNOWN_CACHE = "wp-content/object-cache.php, which is neither for Redis nor for memcached"


def _object_cache(seen: Mapping[str, Any] | None) -> ObjectCache | None:
    if seen is None or seen["kind"] != "redis":
        return None
    password = register(str(seen["password"])) if seen["password"] else ""
    return ObjectCache(
        str(seen["host"]), int(seen["port"]), seen["socket"], str(seen["user"]), password, int(seen["database"])
    )


def inventory(shell: Shell, installation: Installation) -> Inventory:
    """Core, plugins, themes, must-use plugins and drop-ins, from files and two options: a broken plugin does not hide the others."""
    docroot = installation.docroot
    seen = _ask(shell, installation.php, "inventory", docroot, database=_credentials(installation.database))
    active = set(seen["active"])
    version = str(seen["core"]["wp_version"])
    components = [
        Component("core", NAME, "WordPress", version, True, "", seen["core"]["required_php_version"]),
    ]
    for plugin in seen["plugins"]:
        running = bool(active.intersection(plugin["files"]))
        components.append(_component("plugin", plugin, active=running, file=plugin["file"]))
    for theme in seen["themes"]:
        components.append(_component("theme", theme, active=theme["slug"] in (seen["template"], seen["stylesheet"])))
    components.extend(
        _component(extra["kind"], extra, active=True)
        for extra in seen["extras"]
        if extra["path"] not in (GUARD, *_DOORS)
    )
    return Inventory(NAME, version, str(seen["php"]), tuple(components))


def _component(kind: str, seen: Mapping[str, Any], *, active: bool, file: str = "") -> Component:
    name = str(seen["name"] or seen["slug"])
    return Component(
        kind,
        seen["slug"],
        name,
        str(seen["version"]),
        active,
        seen["path"],
        seen["php"] or None,
        seen["core"] or None,
        file,
    )


# ---------------------------------------------------------------------------------------------------------------- packages

_HEADER_BYTES = 8192


def read_package(path: Path, name: str = "") -> PackageInfo:
    """What the zip holds, whatever it is called, by WordPress's own headers. PackageRefused by name and reason."""
    with archive.opened(path) as package:
        slug = archive.top_folder(path, package)
        names = set(package.namelist())

        def head(name: str) -> str:
            with package.open(name) as file:
                return file.read(_HEADER_BYTES).decode("utf-8", "replace").replace("\r", "\n")

        if slug == "wordpress" and "wordpress/wp-includes/version.php" in names:
            return _core_package(path, head("wordpress/wp-includes/version.php"), names)
        if f"{slug}/style.css" in names and (name := _header(text := head(f"{slug}/style.css"), "Theme Name")):
            return _package(path, "theme", slug, name, text)
        mains = sorted(n for n in names if n.count("/") == 1 and n.startswith(f"{slug}/") and n.endswith(".php"))
        mains.sort(key=lambda n: n != f"{slug}/{slug}.php")
        for main in mains:
            if name := _header(text := head(main), "Plugin Name"):
                return _package(path, "plugin", slug, name, text)
    raise archive.refused(path, "neither WordPress, nor a plugin, nor a theme", f"no file in {slug}/ has a header")


def members(package: Path, component: Component, places: Mapping[str, str]) -> Mapping[str, str]:
    """Everything below the one top folder."""
    with zipfile.ZipFile(package) as opened:
        names = [entry.filename for entry in opened.infolist() if not entry.is_dir()]
    return {name.partition("/")[2]: name for name in names if not name.startswith("__MACOSX/")}


def _header(text: str, name: str) -> str:
    """As get_file_data() of WordPress reads it."""
    match = re.search(rf"^(?:[ \t]*<\?php)?[ \t/*#@]*{re.escape(name)}:(.*)$", text, re.IGNORECASE | re.MULTILINE)
    return re.sub(r"\s*(?:\*/|\?>).*", "", match[1]).strip() if match else ""


def _package(path: Path, kind: str, slug: str, name: str, text: str) -> PackageInfo:
    version = _header(text, "Version")
    if not version:
        raise archive.refused(path, "its header names no version", name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", slug):
        raise archive.refused(path, "its folder has an unusual name", repr(slug))
    return PackageInfo(
        kind, slug, name, version, _header(text, "Requires PHP") or None, _header(text, "Requires at least") or None
    )


def _core_package(path: Path, text: str, names: set[str]) -> PackageInfo:
    def value(name: str) -> str | None:
        match = re.search(rf"^\s*\${name}\s*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
        return match[1] if match else None

    version = value("wp_version")
    if version is None:
        raise archive.refused(path, "wp-includes/version.php names no version")
    needed = ("wp-load.php", "wp-settings.php", "wp-admin/includes/update-core.php", "wp-includes/functions.php")
    missing = [name for name in needed if f"wordpress/{name}" not in names]
    if missing:
        raise archive.refused(path, "not a whole WordPress", f"missing: {', '.join(missing)}")
    if "wordpress/wp-config.php" in names:
        raise archive.refused(path, "holds a wp-config.php", "it would replace the site's own")
    return PackageInfo("core", NAME, "WordPress", version, value("required_php_version"))


# -------------------------------------------------------------------------------------------------------- wordpress.org's API


def offers(inventory: Inventory, fetch: Fetch, api: str | None, downloads: str | None) -> Sequence[Offer]:
    """What api.wordpress.org offers for this inventory. Whatever `fetch` raises passes through: no answer is not "no updates".

    https://codex.wordpress.org/WordPress.org_API: core/version-check/1.7, plugins/update-check/1.1, themes/update-check/1.1.
    """
    base = (api or API).rstrip("/")
    found = [*_core_offers(inventory, fetch, base, downloads)]
    plugins = [component for component in inventory.components if component.kind == "plugin" and component.file]
    themes = [component for component in inventory.components if component.kind == "theme"]
    if plugins:
        found.extend(_plugin_offers(inventory, plugins, fetch, base, downloads))
    if themes:
        found.extend(_theme_offers(inventory, themes, fetch, base, downloads))
    return found


_AGAIN = "try again, or set `sources.api`"


def _json(data: bytes, url: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise CommandFailed("the update API gave no JSON", where=url, cause=str(error), hint=_AGAIN) from error
    if not isinstance(answer, dict):
        cause = f"not an object: {str(answer)[:100]}"
        raise CommandFailed("the update API gave another answer than it documents", where=url, cause=cause, hint=_AGAIN)
    return answer


def _offered(data: bytes, url: str, key: str) -> dict[str, Mapping[str, Any]]:
    """Name → offer below `key`; a list is numbered. An answer without `key` (`{"error": …}`) is not "no updates": CommandFailed.

    PHP writes an empty map as `[]`.
    """
    answer = _json(data, url)
    found = answer.get(key)
    named = {str(number): offer for number, offer in enumerate(found)} if isinstance(found, list) else found
    if not isinstance(named, dict) or not all(isinstance(offer, dict) for offer in named.values()):
        cause = f"no offers below `{key}`: {str(answer)[:100]}"
        raise CommandFailed("the update API gave another answer than it documents", where=url, cause=cause, hint=_AGAIN)
    return named


def _download(url: str, downloads: str | None) -> str:
    return (
        f"{downloads.rstrip('/')}/{url.removeprefix(f'{DOWNLOADS}/')}"
        if downloads and url.startswith(f"{DOWNLOADS}/")
        else url
    )


def _core_offers(inventory: Inventory, fetch: Fetch, base: str, downloads: str | None) -> Iterable[Offer]:
    query = urlencode({"version": inventory.version, "php": inventory.php, "locale": "en_US"})
    url = f"{base}/core/version-check/1.7/?{query}"
    seen = set()
    for offer in _offered(fetch(url, None), url, "offers").values():
        version = str(offer.get("version") or offer.get("current") or "")
        package = (offer.get("packages") or {}).get("full") or offer.get("download")
        if offer.get("response") not in ("upgrade", "autoupdate") or not package or not version or version in seen:
            continue
        seen.add(version)
        checksums = (
            f"{base}/core/checksums/1.0/?{urlencode({'version': version, 'locale': offer.get('locale') or 'en_US'})}"
        )
        info = PackageInfo("core", NAME, "WordPress", version, offer.get("php_version") or None)
        yield Offer(
            info,
            _download(package, downloads),
            checksums_url=checksums,
            security=offer.get("response") == "autoupdate",
            changelog=f"{_PAGES}/documentation/wordpress-version/version-{quote(version.replace('.', '-'))}/",
        )


def _plugin_offers(
    inventory: Inventory, plugins: Sequence[Component], fetch: Fetch, base: str, downloads: str | None
) -> Iterable[Offer]:
    url = f"{base}/plugins/update-check/1.1/"
    headers = {plugin.file: {"Name": plugin.name, "Version": plugin.version} for plugin in plugins}
    request = {"plugins": headers, "active": [plugin.file for plugin in plugins if plugin.active]}
    form = {"plugins": json.dumps(request), "translations": "[]", "locale": "[]", "all": "true"}
    by_file = {plugin.file: plugin for plugin in plugins}
    dates = _Dates(fetch, base)
    for file, offer in _offered(fetch(url, form), url, "plugins").items():
        plugin = by_file.get(file)
        if plugin is None or not offer.get("package") or not offer.get("new_version"):
            continue
        version = str(offer["new_version"])
        slug = str(offer.get("slug") or plugin.slug)
        checksums = f"{(downloads or DOWNLOADS).rstrip('/')}/plugin-checksums/{slug}/{version}.json"
        info = PackageInfo(
            "plugin",
            plugin.slug,
            plugin.name,
            version,
            offer.get("requires_php") or None,
            offer.get("requires") or None,
        )
        yield Offer(
            info,
            _download(str(offer["package"]), downloads),
            checksums_url=checksums,
            released=dates.released(slug, version),
            changelog=f"{_PAGES}/plugins/{quote(slug)}/#developers",
        )


class _Dates:
    """When plugins were released, as far as the API says. Once it gives no answer it is asked no more: a date is no reason to wait."""

    def __init__(self, fetch: Fetch, base: str) -> None:
        self._fetch: Fetch | None = fetch
        self._base = base

    def released(self, slug: str, version: str) -> datetime | None:
        """The last change of the plugin, which is its newest version's release or later.

        https://codex.wordpress.org/WordPress.org_API: plugins/info/1.2, `last_updated` like `2024-03-21 5:43pm GMT`.
        None when it is about another version, or cannot be had: the plan then says that the age is not known.
        """
        if self._fetch is None:
            return None
        query = urlencode({"action": "plugin_information", "request[slug]": slug})
        url = f"{self._base}/plugins/info/1.2/?{query}"
        try:
            answer = _json(self._fetch(url, None), url)
        except UpdaterError:
            self._fetch = None
            return None
        if str(answer.get("version")) != version:
            return None
        try:
            return datetime.strptime(str(answer.get("last_updated")), "%Y-%m-%d %I:%M%p GMT").replace(tzinfo=UTC)
        except ValueError:
            return None


def _theme_offers(
    inventory: Inventory, themes: Sequence[Component], fetch: Fetch, base: str, downloads: str | None
) -> Iterable[Offer]:
    url = f"{base}/themes/update-check/1.1/"
    headers = {theme.slug: {"Name": theme.name, "Version": theme.version, "Stylesheet": theme.slug} for theme in themes}
    active = next((theme.slug for theme in themes if theme.active), "")
    form = {"themes": json.dumps({"active": active, "themes": headers}), "translations": "[]", "locale": "[]"}
    by_slug = {theme.slug: theme for theme in themes}
    for slug, offer in _offered(fetch(url, form), url, "themes").items():
        theme = by_slug.get(slug)
        if theme is None or not offer.get("package") or not offer.get("new_version"):
            continue
        info = PackageInfo(
            "theme",
            slug,
            theme.name,
            str(offer["new_version"]),
            offer.get("requires_php") or None,
            offer.get("requires") or None,
        )
        yield Offer(info, _download(str(offer["package"]), downloads), changelog=f"{_PAGES}/themes/{quote(slug)}/")


# wp-cli leaves these out as well: plugin authors edit them in place, and they are not run.
_SOFT = re.compile(r"(^|/)(readme\.(txt|md)|changelog\.(txt|md))$", re.IGNORECASE)


def listing(shell: Shell, installation: Installation, inventory: Inventory) -> Listing:
    """Nothing: what there is, folders and the public API say."""
    return Listing()


def verify_download(package: Path, offer: Offer, fetch: Fetch) -> None:
    """PackageRefused unless the archive is what the API describes: its own checksum where there is one, else each file's.

    WordPress.org publishes per-file checksums for core and plugins and none for themes: those rest on TLS alone.
    """
    if offer.checksum is not None:
        algorithm, _, expected = offer.checksum.partition(":")
        found = hashlib.new(algorithm, package.read_bytes(), usedforsecurity=False).hexdigest()
        if found != expected:
            raise archive.refused(package, "wrong checksum", f"{algorithm} is {found}, published is {expected}")
    if offer.checksums_url is None:
        return
    answer = _json(fetch(offer.checksums_url, None), offer.checksums_url)
    published = answer.get("checksums") if offer.info.kind == "core" else answer.get("files")
    if not isinstance(published, dict) or not published:
        raise archive.refused(package, "no checksums are published for it", offer.checksums_url)
    with archive.opened(package) as opened:
        top = archive.top_folder(package, opened)
        for entry in opened.infolist():
            name = entry.filename.removeprefix(f"{top}/")
            if entry.is_dir() or _SOFT.search(name):
                continue
            if name not in published:
                raise archive.refused(package, "holds a file that was never published", name)
            _verify_file(package, name, opened.read(entry), published[name])
        held = {entry.filename.removeprefix(f"{top}/") for entry in opened.infolist()}
    for name in sorted(published):
        if name not in held and not _SOFT.search(name):
            raise archive.refused(package, "lacks a file that was published", name)


def _verify_file(package: Path, name: str, data: bytes, published: Any) -> None:
    accepted = _accepted(published)
    algorithm = accepted[0].partition(":")[0] if accepted else "md5"
    found = f"{algorithm}:{hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()}"
    if found not in accepted:
        raise archive.refused(
            package, "a file differs from what was published", f"{name}: {found.replace(':', ' is ')}"
        )


def _accepted(published: Any) -> tuple[str, ...]:
    """`published`: an md5, or {"md5": …, "sha256": …} of one or several accepted values; the stronger is taken."""
    sums = published if isinstance(published, dict) else {"md5": published}
    algorithm = "sha256" if sums.get("sha256") else "md5"
    accepted = sums.get(algorithm) or []
    return tuple(f"{algorithm}:{each}" for each in ([accepted] if isinstance(accepted, str) else accepted))


def refuses(component: Component, version: str) -> str:
    """WordPress updates from any version to any newer one."""
    return ""


def leap(component: Component, version: str) -> str:
    return ""


def takes_payments(component: Component, root: Path) -> bool:
    """Whether its code registers a gateway with WooCommerce, which itself brings what they are made of."""
    place = root / component.path
    if component.kind != "plugin" or not component.path:
        return False
    files = place.rglob("*.php") if place.is_dir() else [place]
    code = [path.read_bytes() for path in files if path.is_file()]
    return any(map(_GATEWAY.search, code)) and not any(map(_GATEWAY_ITSELF.search, code))


def published(
    component: Component, root: Path, fetch: Fetch, api: str | None, downloads: str | None
) -> Published | None:
    """Core's and a plugin's own checksums from wordpress.org; it publishes none for themes. Whatever `fetch` raises passes through.

    Core is asked for in the language it was installed in: version.php and the readme differ.
    """
    if component.kind == "core":
        query = urlencode({"version": component.version, "locale": _language_of_core(root)})
        url = f"{(api or API).rstrip('/')}/core/checksums/1.0/?{query}"
        files = _json(fetch(url, None), url).get("checksums")
        left_out = re.compile(r"wp-content/|wp-config-sample\.php$|(readme|license)[^/]*$")
    elif component.kind == "plugin" and component.path.count("/") == 2 and not component.path.endswith(".php"):
        url = f"{(downloads or DOWNLOADS).rstrip('/')}/plugin-checksums/{component.slug}/{component.version}.json"
        files = _json(fetch(url, None), url).get("files")
        left_out = _SOFT
    else:
        return None
    if not isinstance(files, dict) or not files:
        return None
    return {name: () if left_out.search(name) else _accepted(sums) for name, sums in files.items()}


def _language_of_core(root: Path) -> str:
    version = root / "wp-includes/version.php"
    text = version.read_text("utf-8", "replace") if version.is_file() else ""
    found = re.search(r"^\s*\$wp_local_package\s*=\s*'([A-Za-z_]+)'", text, re.MULTILINE)
    return found[1] if found else "en_US"


# ------------------------------------------------------------------------------------------------------------- staging only


def staging_only() -> tuple[str, ...]:
    """Paths below the docroot that exist on staging alone: never in a manifest, never in a release."""
    return (GUARD,)


def guard(shell: Shell, installation: Installation, hosts: Sequence[str], payments: Sequence[str] = ()) -> None:
    """The must-use plugin that keeps staging quiet and still. It changes no row: rows that differ must be the update's."""
    own = json.dumps(sorted({host.lower() for host in hosts} | {"localhost", "127.0.0.1"}), ensure_ascii=True)
    text = package_text("updater.cms", "wordpress-guard.php")
    for name, value in (("%HOSTS%", own), ("%PAYMENTS%", json.dumps(list(payments)))):
        text = text.replace(name, value.replace("\\", "\\\\").replace("'", "\\'"))
    folder = str(PurePosixPath(installation.docroot) / PurePosixPath(GUARD).parent)
    shell.run(["mkdir", "-p", folder])
    shell.write(str(PurePosixPath(installation.docroot) / GUARD), text.encode(), 0o644)


# ------------------------------------------------------------------------------------------------------------ update, migrate


def apply(shell: Shell, installation: Installation, update: Update, package: str) -> str:
    """Core_Upgrader, Plugin_Upgrader or Theme_Upgrader on a local package; the version is read back from files in a fresh process.

    Plugins are not loaded meanwhile and the database is not migrated: production gets bytes and the rehearsed migration.
    UpdateFailed with the Upgrader's own messages.
    """
    where = f"{shell.where}: {update.id} {update.from_version} → {update.to_version}"
    request = {"kind": update.kind, "slug": update.slug, "version": update.to_version}
    docroot, php = installation.docroot, installation.php
    said: Mapping[str, Any] = {"ok": False, "messages": [], "had_upgrade": True}
    broken = ""
    try:
        said = _ask(shell, php, "apply", docroot, **request, **_site(installation), package=package)
    except CommandFailed as error:
        broken = f"{error.what}: {error.cause}"
    clean = [".maintenance", "wp-content/upgrade-temp-backup", *([] if said["had_upgrade"] else ["wp-content/upgrade"])]
    found = _ask(shell, php, "version", docroot, kind=update.kind, slug=update.slug, clean=clean)
    messages = broken or "; ".join(said["messages"]) or "WordPress gave no message"
    hint = f"look at the package {update.package.name}, or hold it: `policy.hold` in site.yml"
    if not said["ok"]:
        raise UpdateFailed(f"WordPress could not update {update.name}", where=where, cause=messages, hint=hint)
    if found["version"] != update.to_version:
        seen = found["version"] or "no such component"
        cause = f"read back: {seen}. WordPress said: {messages}"
        raise UpdateFailed(
            f"{update.name} is not at {update.to_version} after the update", where=where, cause=cause, hint=hint
        )
    if found["left"] or found["upgrade"]:
        left = ", ".join([*found["left"], *found["upgrade"]])
        raise UpdateFailed(f"the update of {update.name} left files behind", where=where, cause=left, hint=hint)
    return str(found["version"])


def migration(installation: Installation, updates: Sequence[Update]) -> Sequence[MigrationStep]:
    """Database of core first, then one visit of each kind, WooCommerce's updates, cron and queue, rewrite rules, the admin again.

    Cron and Action Scheduler run only hooks that migrate (wordpress.php, is_migration_hook): mail and HTTP are off meanwhile, and
    a newsletter's job run without them would be lost. The second round sees what the first one left for the next request.
    """
    versions = [(update.kind, update.slug, update.to_version) for update in updates]

    def step(name: str, action: str, **request: Any) -> MigrationStep:
        payload = {"action": action, "docroot": installation.docroot, **_site(installation), **request}
        return base.step(name, _source(), payload)

    # Objects and pages that the old code kept would be shown in place of what the new one makes, and hide what it broke.
    def emptied(name: str) -> MigrationStep:
        return step(name, "purge", folders=list(_PURGED), tolerant=True)

    return (
        emptied("page and object caches"),
        step("core database", "migrate-core"),
        step("front page as a visitor", "visit-front"),
        step("dashboard as an administrator", "visit-admin", page="index.php"),
        step("REST", "visit-rest"),
        step("WooCommerce database", "migrate-woocommerce"),
        step("cron", "run-cron"),
        step("action queue", "run-queue"),
        step("rewrite rules", "flush-rewrite"),
        step("plugins page as an administrator", "visit-admin", page="plugins.php"),
        step("cron again", "run-cron"),
        step("action queue again", "run-queue"),
        step("front page again", "visit-front"),
        emptied("page and object caches again"),
        step("verify", "verify", versions=versions),
    )


def replay(installation: Installation, updates: Sequence[Update]) -> None:
    """The files that were tested are brought to production."""


def noise_rows() -> Mapping[str, Sequence[str]]:
    """Rows that any visit changes. LEFT() and not LIKE: `_` is a wildcard, and its escape depends on the SQL mode."""
    return {
        "options": (
            "LEFT(option_name, 11) = '_transient_'",
            "LEFT(option_name, 16) = '_site_transient_'",
            "option_name IN ('cron', 'recently_edited', 'action_scheduler_lock_async-request-runner', 'auto_updater.lock', 'core_updater.lock')",
            "LEFT(option_name, 22) = 'action_scheduler_lock_'",
            "LEFT(option_name, 12) = '_wp_session_'",
        ),
        "usermeta": (
            "meta_key IN ('session_tokens', 'wc_last_active', 'community-events-location', 'wfls-last-login')",
            "LEFT(meta_key, 28) = '_woocommerce_persistent_cart'",
        ),
        "postmeta": ("meta_key IN ('_edit_lock', '_edit_last')",),
        "posts": ("post_status = 'auto-draft'",),
        "woocommerce_sessions": ("1 = 1",),
        "actionscheduler_logs": ("1 = 1",),
        "actionscheduler_claims": ("1 = 1",),
        "actionscheduler_actions": ("status IN ('pending', 'in-progress', 'complete')",),
    }


# ------------------------------------------------------------------------------------------------------- close, swap, open


def forbids_promotion(switches: frozenset[str], *, restore: bool, installation: Installation | None = None) -> str:
    """A folder of components behind a link may be several sites': an update of one would be one of all, and only one was tested."""
    if installation is None or not installation.elsewhere or _OWN_LINKS in switches:
        return ""
    links = ", ".join(f"{name} ({folder})" for name, folder in installation.elsewhere.items())
    return (
        f"behind a link lie {links}, which other sites may share, and they would be updated too; where they are this site's alone, "
        f"write `{NAME}: {{own_links: true}}` into site.yml"
    )


def gate(installation: Installation) -> Gate:
    """`.maintenance` stands before everything that loads WordPress, save what defines WP_INSTALLING (wp-admin/upgrade.php would let
    a stranger migrate the database in mid-swap): two drop-ins that core includes there lead to the same file."""
    door = "<?php\n// While the shop is closed: what defines WP_INSTALLING skips .maintenance, and loads this.\n"
    return Gate(
        files={
            ".maintenance": gate_file("wordpress-gate.php"),
            **dict.fromkeys(_DOORS, f"{door}require dirname(__DIR__) . '/.maintenance';\n"),
        },
        token_file=TOKEN_FILE,
        cookie=COOKIE,
        refused_file=REFUSED_FILE,
        # WP_Upgrader::create_lock() keeps the time there; the automatic updater takes its own for an hour.
        locks={
            "WordPress's own updater": "SELECT 1 FROM `{prefix}options` WHERE option_name IN "
            "('core_updater.lock', 'auto_updater.lock') AND option_value + 0 > UNIX_TIMESTAMP() - 900"
        },
    )


def units(updates: Sequence[Update], inventory: Inventory, changed: Sequence[str]) -> Sequence[str]:
    """Whole folders for core's two and for each plugin and theme; everything else file by file. No unit lies inside another."""
    found = sorted({_unit(path) for path in changed})
    outer: list[str] = []
    for unit in found:
        if not any(unit.startswith(f"{other}/") for other in outer):
            outer.append(unit)
    return tuple(outer)


def _unit(path: str) -> str:
    parts = path.split("/")
    if parts[0] in ("wp-admin", "wp-includes"):
        return parts[0]
    if parts[0] == "wp-content" and len(parts) > 2 and parts[1] in ("plugins", "themes"):
        return "/".join(parts[:3])
    return path


def purge(installation: Installation) -> Sequence[MigrationStep]:
    """Page caches on disk and the object cache (Redis, memcached). Never boots WordPress: it also runs after a rollback."""
    request = {"action": "purge", "docroot": installation.docroot, "folders": list(_PURGED)}
    return (MigrationStep("page and object caches", compose(_source(), request)),)


# ---------------------------------------------------------------------------------------------------------- the shop's records


def orders(shell: Shell, installation: Installation, table: OrderTable | None) -> ShopState:
    """WooCommerce's orders (own tables or posts), or the table that site.yml names; stock and products of WooCommerce's kind."""
    named = None
    if table is not None:
        named = {name: getattr(table, name) for name in ("table", "id", "total", "email", "created", "status")}
    seen = _ask(
        shell,
        installation.php,
        "orders",
        installation.docroot,
        database=_credentials(installation.database),
        table=named,
    )
    rows = tuple(
        OrderRow(str(row["id"]), _money(row["total"]), str(row["email"] or ""), str(row["status"] or ""))
        for row in seen["orders"]
    )
    stock = {str(product): str(amount) for product, amount in dict(seen["stock"]).items()}
    return ShopState(rows, int(seen["count"]), stock, int(seen["products"]) or None)


def _money(value: Any) -> str:
    """`1290.00000000` of a decimal column and `1290` of a meta value are the same total."""
    text = str(value or "0")
    try:
        return f"{float(text):.2f}"
    except ValueError:
        return text


_JOBS_SECONDS, _JOBS_GRACE = 20, 10
"""For all jobs of one pass together, and what the one under way then may take"""
_SAME_NAME, _AT_ONCE, _ENDED_PHP = 3, 30, 8
"""How many jobs of one name are run, how often one that asks for it at once, and how many may end PHP before the rest is left"""
_NOT_OURS = (
    "wp_version_check", "wp_update_plugins", "wp_update_themes", "wp_maybe_auto_update", "wp_site_health_scheduled_check",
    "wp_https_detection", "action_scheduler_run_queue", "action_scheduler/migration_hook",
)  # fmt: skip
"""Jobs that ask wordpress.org or the shop itself over HTTP, and those that only begin other jobs, which are run one by one"""


def run_jobs(shell: Shell, installation: Installation) -> Jobs:
    """WP-Cron's events and Action Scheduler's pending actions, each kind of them now. Mail is off meanwhile; HTTP goes to the sink."""
    had: dict[str, Job] = {}
    until = time.monotonic() + _JOBS_SECONDS
    for _ in range(_ENDED_PHP):
        seconds = max(1, round(until - time.monotonic()))
        script = compose(
            _source(),
            {
                "action": "run-jobs",
                "docroot": installation.docroot,
                **_site(installation),
                "seconds": seconds,
                "had": sorted(had),
                "of_a_name": _SAME_NAME,
                "again": _AT_ONCE,
                "never": _NOT_OURS,
            },
        )
        # Ended from within, so that what was told until then comes back.
        argv = ["timeout", "-k", "1", str(seconds + _JOBS_GRACE), installation.php, "-d", "display_errors=stderr"]
        begun, spent = time.monotonic(), sum(job.seconds for job in had.values())
        completed = shell.run(argv, stdin=script.encode(), check=False)
        died = _note_jobs(completed, had)
        took = time.monotonic() - begun
        if completed.exit_code in _ENDED and took >= seconds + _JOBS_GRACE:
            if died is None:
                return Jobs(tuple(had.values()), failure=f"WordPress did not start within {took:.0f} s")
            took -= sum(job.seconds for job in had.values()) - spent
            had[died] = replace(had[died], hung=True, seconds=took, error=f"it did not end within {took:.0f} s")
            return Jobs(tuple(had.values()))
        if died and completed.exit_code not in _BY_ITSELF:  # a crash of PHP, or the kernel ended what took all memory
            had[died] = replace(had[died], error=f"PHP was killed while it ran (exit {completed.exit_code})")
            continue
        try:
            answer = parse_answer(completed, f"{shell.where}, job {died}" if died else shell.where)
        except CommandFailed as error:
            failure = f"{error.what}: {error.cause}"
            if died is None:
                return Jobs(tuple(had.values()), failure=failure)
            had[died] = replace(had[died], error=failure)
            continue
        if not answer.get("exited"):
            return Jobs(tuple(had.values()), tuple(answer["left"]))
    return Jobs(tuple(had.values()), (f"those after {_ENDED_PHP} that ended PHP",))


_ENDED, _BY_ITSELF = frozenset({124, 137}), frozenset({0, 1, 255})
"""What timeout(1) ends with when it had to end PHP; what PHP ends with by itself"""


def _note_jobs(completed: Completed, had: dict[str, Job]) -> str | None:
    """Adds what that process told of its jobs; given is the one that it had begun and not ended."""
    begun = None
    for line in completed.stderr.splitlines():
        if not line.startswith("updater-job "):
            continue
        told = json.loads(line.removeprefix("updater-job "))
        name = begun = str(told.get("begun") or told["ended"])
        known = had.get(name, Job(name))
        if "ended" in told:
            begun = None
            error = known.error or str(told["error"])
            had[name] = replace(known, error=error, idle=bool(told["idle"]), seconds=known.seconds + told["seconds"])
        else:
            had[name] = known
    return begun


def error_logs(shell: Shell, installation: Installation) -> Sequence[str]:
    """wp-content/debug.log (or where WP_DEBUG_LOG points), what php.ini names, and the `error_log` beside a script of shared hostings."""
    docroot = installation.docroot.rstrip("/")
    config = _ask(shell, installation.php, "config", docroot)
    constants = config["constants"]
    wanted = constants.get("WP_DEBUG_LOG")
    found = []
    if constants.get("WP_DEBUG") and wanted:
        named = isinstance(wanted, str) and wanted.lower() not in ("true", "1")
        found.append(str(wanted) if named else f"{docroot}/wp-content/debug.log")
    ini = str(config["error_log"])
    if ini.startswith("/"):
        found.append(ini)
    elif ini and ini != "syslog":
        found += [f"{docroot}/{ini}", f"{docroot}/wp-admin/{ini}"]
    return tuple(dict.fromkeys(found))
