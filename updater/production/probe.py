"""What the server is and can do, found by doing: PHP, platform, and the capability table of `updater check --connect`."""

from __future__ import annotations

import posixpath
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from updater import cms
from updater.errors import CommandFailed, UnsupportedSite, UpdaterError
from updater.model import Installation, Layout, Platform, Site
from updater.production.clone import dump_client, linked_media
from updater.production.database import DatabaseFacts, other_prefixes, own_tables, read_database
from updater.production.host import Host
from updater.production.web import (
    WebPhp,
    cache_in_front,
    client,
    get,
    one_time_file,
    one_time_php,
    read_named_php,
    read_web_php,
    serves,
)

# Where distributions and hosting panels (cPanel, CloudLinux, Plesk, ISPmanager, Remi) put their command line PHPs.
_PHPS = (
    "php php8.4 php8.3 php8.2 php8.1 php8.0 php7.4 php84 php83 php82 php81 php80 php74 /opt/php*/bin/php /usr/local/php*/bin/php "
    "/opt/cpanel/ea-php*/root/usr/bin/php /opt/alt/php*/usr/bin/php /opt/plesk/php/*/bin/php /opt/remi/php*/root/usr/bin/php"
)
# `php` may be a CGI binary on a hosting: only the command line one reads a script from stdin and prints no headers.
_LIST_PHPS = f"""for p in {_PHPS}; do
  f=$(command -v "$p") || continue
  v=$(printf '%s' '<?php echo PHP_SAPI, " ", PHP_VERSION;' | "$f" 2>/dev/null) || continue
  case "$v" in "cli "*) echo "$f ${{v#cli }}";; esac
done"""

Status = Literal["proven", "fallback", "refused"]


@dataclass(frozen=True, slots=True)
class Capability:
    """One row: what was tried, whether it may be relied on, and the finding in plain words."""

    name: str
    status: Status
    detail: str


def find_php(host: Host, site: Site) -> str:
    """The server's command line PHP: site.yml's, else the one whose version is the web's, else the first that runs.

    UnsupportedSite when none runs.
    """
    if site.php is not None:
        tried = host.run([site.php, "-r", "echo PHP_SAPI;"], check=False)
        if tried.exit_code == 0 and tried.text.strip() == "cli":
            return site.php
        raise UnsupportedSite(
            f"{site.php} is no command line PHP that runs",
            where=host.where,
            cause=(tried.stderr or tried.text).strip()[-300:],
            hint="correct `php` in site.yml, or leave it out",
        )
    found: dict[str, str] = {}
    for line in host.run(["sh", "-c", _LIST_PHPS]).text.splitlines():
        path, _, version = line.rpartition(" ")
        found.setdefault(path, version)
    if not found:
        raise UnsupportedSite(
            "no command line PHP runs on the server", where=host.where, hint="set `php` in site.yml to its full path"
        )
    if len(set(found.values())) > 1:
        try:
            web = read_web_php(host, site).version
        except CommandFailed:  # capabilities() shows that failure; here it only means that the first one is taken
            web = ""
        for path, version in found.items():
            if version == web:
                return path
        for path, version in found.items():
            if _minor(version) == _minor(web):
                return path
    return next(iter(found))


_LIST_DOCROOTS = r"""
for top in "$HOME" /var/www /srv/www; do
    [ ! -d "$top" ] || find "$top" -maxdepth 5 -name index.php -type f ! -path '*/.*' 2>/dev/null
done
"""


def docroots(host: Host, most: int = 20) -> list[str]:
    """Folders that may be a shop's docroot: the outermost ones that hold an index.php. No more than `most`."""
    listed = host.run(["sh", "-c", _LIST_DOCROOTS], check=False).text.splitlines()
    folders = sorted({line.rpartition("/")[0] for line in listed}, key=lambda folder: (folder.count("/"), folder))
    outermost: list[str] = []
    for folder in folders:
        if not any(folder.startswith(f"{known}/") for known in outermost):
            outermost.append(folder)
    return outermost[:most]


def read_platform(host: Host, site: Site, installation: Installation) -> Platform:
    """The web's PHP by a one-time file over HTTP, and the database by the shop's own credentials. CommandFailed says which failed.

    A user who may not write into the docroot needs the web's PHP named in site.yml; a promotion, whose user can, compares it.
    """
    web = read_web_php(host, site) if may_write(host, site.docroot) else _named_php(host, site)
    database = read_database(host, installation)
    return Platform(
        php=web.version,
        php_extensions=web.extensions,
        php_ini=web.ini,
        database=database.version,
        database_flavour=database.flavour,
        sql_mode=database.sql_mode,
        charset=database.charset,
        collation=database.collation,
        web_server=web.software,
        web_docroot=posixpath.dirname(web.file),
    )


def may_write(host: Host, folder: str) -> bool:
    """Whether the ssh user may; one who tests need not, one who deploys has to."""
    return host.run(["test", "-w", folder], check=False).exit_code == 0


def _named_php(host: Host, site: Site) -> WebPhp:
    if site.php is None:
        raise CommandFailed(
            "the web's PHP cannot be asked",
            where=f"{host.where}:{site.docroot}",
            cause="this user may not write into the docroot, and so cannot put a one-time file there",
            hint="name the PHP that serves the shop in site.yml, like `php: /usr/bin/php8.2`",
        )
    return read_named_php(host, site)


# ---------------------------------------------------------------------------------------------------- capabilities


class _Tried:
    """What several rows need, asked once. A question that failed fails each row that asks it."""

    def __init__(self, host: Host, site: Site, installation: Installation) -> None:
        self.host = host
        self.site = site
        self.installation = installation
        self._web: WebPhp | UpdaterError | None = None
        self._database: DatabaseFacts | UpdaterError | None = None

    @property
    def docroot(self) -> str:
        return self.installation.docroot.rstrip("/")

    @property
    def work(self) -> str:
        return self.site.server.work

    def web(self) -> WebPhp:
        if self._web is None:
            try:
                self._web = read_web_php(self.host, self.site)
            except UpdaterError as failure:
                self._web = failure
        if isinstance(self._web, UpdaterError):
            raise self._web
        return self._web

    def database(self) -> DatabaseFacts:
        if self._database is None:
            try:
                self._database = read_database(self.host, self.installation)
            except UpdaterError as failure:
                self._database = failure
        if isinstance(self._database, UpdaterError):
            raise self._database
        return self._database

    def layout(self) -> Layout:
        return cms.driver(self.installation.cms).layout(self.host, self.installation)

    def sh(self, script: str, *arguments: str, timeout: float = 120.0) -> tuple[int, str]:
        """Exit code and output of a shell script; arguments are `$1`…"""
        done = self.host.run(["sh", "-c", script, "sh", *arguments], check=False, timeout=timeout)
        return done.exit_code, (done.text + done.stderr).strip()


Row = Callable[[_Tried], tuple[Status, str]]


def capabilities(host: Host, site: Site, installation: Installation) -> tuple[Capability, ...]:
    """The table of `updater check --connect`: each row by doing; a row that cannot even be tried is refused, with why."""
    tried = _Tried(host, site, installation)
    work = site.server.work
    made = host.run(["sh", "-c", '[ -d "$1" ] || { mkdir -p -m 700 -- "$1" && echo made; }', "sh", work]).text.strip()
    try:
        return tuple(_row(name, row, tried) for name, row in ROWS.items())
    finally:
        if made:
            host.run(["rmdir", "--", work])


def _row(name: str, row: Row, tried: _Tried) -> Capability:
    try:
        status, detail = row(tried)
    except UpdaterError as failure:
        return Capability(name, "refused", f"{failure.what}{': ' + failure.cause if failure.cause else ''}")
    return Capability(name, status, detail)


def _public_site(tried: _Tried) -> tuple[Status, str]:
    nonce = secrets.token_hex(16)
    with one_time_file(tried.host, tried.site, ".txt", nonce.encode()) as url, client(tried.site) as http:
        seen = [get(http, url).text.strip() == nonce for _ in range(10)]
    if all(seen):
        there = posixpath.dirname(tried.web().file)
        elsewhere = f"; the web has it as {there}, and so has staging" if there != tried.docroot else ""
        return "proven", f"a file put into {tried.docroot} came back over HTTP, 10 of 10 times{elsewhere}"
    if any(seen):
        return (
            "refused",
            f"only {sum(seen)} of 10 requests reached this docroot: several servers answer for {tried.site.url}",
        )
    return "refused", f"{tried.site.url} is not served from {tried.docroot} on this server"


def _php(tried: _Tried) -> tuple[Status, str]:
    web = tried.web()
    code, text = tried.sh('exec "$1" -r "echo PHP_VERSION;"', tried.installation.php)
    if code != 0:
        return "refused", f"{tried.installation.php} does not run: {text[-200:]}"
    if text == web.version:
        return "proven", f"{tried.installation.php} and the web ({web.sapi}) are both PHP {text}"
    if _minor(text) == _minor(web.version):
        return "proven", f"{tried.installation.php} is PHP {text}, the web ({web.sapi}) is {web.version}"
    return (
        "refused",
        f"{tried.installation.php} is PHP {text} but the web is {web.version}: set `php` in site.yml to the web's",
    )


def _copy(tried: _Tried) -> tuple[Status, str]:
    why = tried.host.without_rsync()
    if not why:
        return "proven", "rsync over ssh with the pinned host key"
    code, _ = tried.sh("command -v tar")
    return (
        ("fallback", f"tar over ssh, all files each time: {why}") if code == 0 else ("refused", f"no tar either; {why}")
    )


def _dump(tried: _Tried) -> tuple[Status, str]:
    found, facts = dump_client(tried.host), tried.database()
    said = f"the database is {facts.flavour} {facts.version}"
    if found is not None:
        return "proven", f"{found}; {said}"
    code, _ = tried.sh('"$1" -r "exit(extension_loaded(\'mysqli\') ? 0 : 1);"', tried.installation.php)
    if code != 0:
        return "refused", f"neither mariadb-dump nor mysqldump, and {tried.installation.php} has no mysqli: no clone"
    return (
        "fallback",
        f"neither mariadb-dump nor mysqldump: by {tried.installation.php} itself, exact but slower; {said}",
    )


# What transaction.sh and its PHP half call without another way to do the same.
_MISSING = """for tool in setsid nohup tar mv cp cmp sed grep find awk dd df; do command -v "$tool" >/dev/null || echo "$tool"; done
[ "$("$1" -r 'echo extension_loaded("mysqli") ? "yes" : "no";' 2>/dev/null)" = yes ] || echo "mysqli in $1"
"""


def _tools(tried: _Tried) -> tuple[Status, str]:
    _, text = tried.sh(_MISSING, tried.installation.php)
    if text:
        return "refused", f"clone only: a promotion needs {', '.join(text.splitlines())}, which the server has not"
    return "proven", "all programs that a promotion calls are there, and the command line PHP has mysqli"


def _grants(tried: _Tried) -> tuple[Status, str]:
    facts = tried.database()
    held = privileges(facts.grants, tried.installation.database.name)
    needed = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "LOCK TABLES"}
    if "SELECT" not in held:
        return "refused", "the database user may not read its tables"
    if missing := sorted(needed - held):
        return "refused", f"clone only: the database user lacks {', '.join(missing)}"
    optional = sorted({"TRIGGER", "EVENT", "CREATE ROUTINE", "CREATE VIEW"} - held)
    return "proven", "all that a promotion needs" + (f"; without {', '.join(optional)}" if optional else "")


def _shared_database(tried: _Tried) -> tuple[Status, str]:
    facts = tried.database()
    prefix = tried.installation.database.prefix
    own = own_tables(facts.tables, prefix)
    size = sum(facts.tables[name].bytes for name in own)
    others = other_prefixes(facts.tables, prefix)
    said = f"{len(own)} tables with prefix {prefix!r}, {size / 1e6:.0f} MB"
    if others:
        return "fallback", f"{said}; also there and never touched: {', '.join(others)}"
    return "proven", f"{said}, nothing else in the database"


def _engines(tried: _Tried) -> tuple[Status, str]:
    facts = tried.database()
    own = own_tables(facts.tables, tried.installation.database.prefix)
    other = [name for name in own if facts.tables[name].engine not in ("InnoDB", None)]
    if other:
        return (
            "fallback",
            f"not part of one consistent snapshot: {', '.join(other[:8])}{' …' if len(other) > 8 else ''}",
        )
    return "proven", "all tables are InnoDB: one consistent snapshot"


# Size in KiB and number of files of all that is not left out; `find` and not `du`, whose --exclude is GNU's own.
_CODE_SIZE = """cd -- "$1" || exit 1; shift
find . -type f "$@" -exec ls -ld {} + | awk '{k += int(($5 + 4095) / 4096) * 4; n++} END {print k + 0, n + 0}'"""
_FREE = 'df -Pk -- "$1" | tail -n 1; df -Pi -- "$1" 2>/dev/null | tail -n 1'


def _space(tried: _Tried) -> tuple[Status, str]:
    """Against the largest promotion there can be: every file of code replaced, every table copied and dumped."""
    kilobytes = number = 0
    for folder, not_code in _code_folders(tried).items():
        left_out = [word for path in not_code for word in ("!", "-path", f"./{path}/*")]
        code, text = tried.sh(_CODE_SIZE, folder, *left_out, timeout=600)
        sizes = text.splitlines()[-1].split() if text else []
        if code != 0 or len(sizes) != 2:
            return "refused", f"the size of {folder} cannot be read: {text[-200:]}"
        kilobytes, number = kilobytes + int(sizes[0]), number + int(sizes[1])
    facts = tried.database()
    own = own_tables(facts.tables, tried.installation.database.prefix)
    tables = sum(facts.tables[name].bytes for name in own) / 1024**2
    # The uploaded archive, what it unpacks to and the new tree beside it: three times the code. The old tree is moved.
    need, files = 3 * kilobytes / 1024 + 2 * tables, 2 * number
    code, text = tried.sh(_FREE, tried.work)
    lines = [line.split() for line in text.splitlines()]
    if code != 0 or not lines or len(lines[0]) < 6:
        return "refused", f"free space of {tried.work} cannot be read: {text[-200:]}"
    free = int(lines[0][3]) / 1024
    inodes = int(lines[1][3]) if len(lines) > 1 and lines[1][3].isdigit() and int(lines[1][1]) > 0 else None
    said = f"{free:.0f} MB" + (f" and {inodes} inodes" if inodes is not None else "") + " free in the work folder"
    said += f"; all code and all tables replaced would take {need:.0f} MB and {files} files (a quota is not seen)"
    if free < need or (inodes is not None and inodes < files):
        return "fallback", f"{said}: a large update is refused before the shop is closed"
    return "proven", said


def _code_folders(tried: _Tried) -> dict[str, list[str]]:
    """The docroot and each folder of the shop outside it → what in it is no code, by paths below that folder."""
    layout = tried.layout()
    not_code = [*layout.media, *layout.caches]
    found = {tried.docroot: not_code}
    for name, folder in tried.installation.elsewhere.items():
        found[folder] = [path.removeprefix(f"{name}/") for path in not_code if path.startswith(f"{name}/")]
    return found


# A rename keeps the inode; mv's copy across file systems makes a new one.
_RENAME = """set -e; name=updater-rename-$$; rm -rf -- "$1/$name" "$2/$name"
trap 'rm -rf -- "$1/$name" "$2/$name"' EXIT
mkdir -- "$1/$name"; : > "$1/$name/file"; before=$(ls -di -- "$1/$name" | awk '{print $1}')
mv -- "$1/$name" "$2/$name"; after=$(ls -di -- "$2/$name" | awk '{print $1}')
mv -- "$2/$name" "$1/$name"; [ "$before" = "$after" ] || exit 9"""


def _work_folder(tried: _Tried) -> tuple[Status, str]:
    _, both = tried.sh('cd -- "$1" && pwd -P; cd - >/dev/null; cd -- "$2" && pwd -P', tried.work, tried.docroot)
    work, _, docroot = both.partition("\n")
    if f"{work}/".startswith(f"{docroot}/"):
        return "refused", f"the work folder {work} lies inside the docroot: set server.work in site.yml"
    if served := serves(tried.host, tried.site, tried.work):
        return "refused", f"clone only: the work folder {work} is served as {served}: set server.work in site.yml"
    for folder in (docroot, *tried.installation.elsewhere.values()):
        code, text = tried.sh(_RENAME, tried.work, folder)
        if code == 9:
            return "refused", f"{work} and {folder} are on different file systems: set server.work beside it"
        if code != 0:
            return "refused", f"a folder cannot be renamed from {work} into {folder}: {text[-200:]}"
    return "proven", f"{work} is outside the docroot and not served, and a folder was renamed across and back"


_EACH_FOLDER = """name=updater-try-$$
for f in "$@"; do
  if mkdir -- "$f/$name" && mv -- "$f/$name" "$f/$name.2" && rmdir -- "$f/$name.2"; then continue; fi 2>/dev/null
  rmdir -- "$f/$name" "$f/$name.2" 2>/dev/null
  echo "$f"
done"""


def _folders(tried: _Tried) -> tuple[Status, str]:
    inventory = cms.driver(tried.installation.cms).inventory(tried.host, tried.installation)
    below = {posixpath.dirname(component.path) for component in inventory.components if component.path}
    folders = [tried.docroot, *(posixpath.join(tried.docroot, path) for path in sorted(below - {""}))]
    _, text = tried.sh(_EACH_FOLDER, *folders)
    if text:
        return (
            "refused",
            f"clone only: the ssh user cannot create, rename and delete in: {', '.join(text.splitlines())}",
        )
    return "proven", f"created, renamed and deleted in {len(folders)} folders"


def _owners(tried: _Tried) -> tuple[Status, str]:
    """A folder of another owner cannot be moved to another parent, and a copy of such a file would change its owner."""
    script = 'cd -- "$1" || exit 1; shift; find . "$@" ! -user "$(id -un)" -print 2>&1 | head -n 6'
    lines: list[str] = []
    for folder, not_code in _code_folders(tried).items():
        left_out = [word for path in not_code for word in ("-path", f"./{path}", "-prune", "-o")]
        code, text = tried.sh(script, folder, *left_out)
        below = "" if folder == tried.docroot else f"{folder}/"
        lines += [below + line.removeprefix("./") for line in text.splitlines() or [f"exit {code}"] * bool(code)]
    if not lines:
        return "proven", "all code belongs to the ssh user"
    shown = f"{', '.join(lines[:5])}{' …' if len(lines) > 5 else ''}"
    return (
        "refused",
        f"clone only: not owned by the ssh user, so that a promotion cannot put it back as it was: {shown}",
    )


_LED = 'cd -- "$1" || exit 1; shift; for name in "$@"; do [ ! -L "$name" ] || printf "%s\\n" "$name"; done'


def _symlinks(tried: _Tried) -> tuple[Status, str]:
    _, text = tried.sh('find "$1" -type l 2>/dev/null | head -n 6', tried.docroot)
    links = text.splitlines()
    if not links:
        return "proven", "none in the docroot"
    media, behind = linked_media(tried.host, tried.installation, tried.layout()), tried.installation.elsewhere
    others = [path for link in links if (path := link.removeprefix(tried.docroot + "/")) not in (*media, *behind)]
    shown = f"{', '.join(others[:5])}{' …' if len(others) > 5 else ''}"
    said = [f"the media folder behind a link is copied: {', '.join(media)}"] if media else []
    _, text = tried.sh(_LED, tried.docroot, *behind)
    if led := [f"{name} in {behind[name]}" for name in text.splitlines()]:
        driver = cms.driver(tried.installation.cms)
        forbidden = driver.forbids_promotion(tried.site.switches, restore=False, installation=tried.installation)
        if forbidden:
            return "refused", f"clone only: {forbidden}"
        said.append(f"code behind a link is copied, and updated where it lies: {', '.join(led)}")
    said += [f"cloned as links, what they point at is not: {shown}"] if others else []
    return "fallback", "; ".join(said)


def _opcache(tried: _Tried) -> tuple[Status, str]:
    web = tried.web()
    if not web.opcache:
        return "proven", "off in the web's PHP"
    ini = web.ini
    setting = f"validate_timestamps={ini.get('opcache.validate_timestamps', '?')}, revalidate_freq={ini.get('opcache.revalidate_freq', '?')}"
    if _reset_proven(tried):
        return "proven", f"on ({setting}); after a reset over HTTP changed code was seen to run"
    return "refused", f"on ({setting}), and old code still ran after a reset over HTTP: clone only"


def _reset_proven(tried: _Tried) -> bool:
    """Cache one version, put another under it with the same time, reset, and see which one runs."""
    host, site = tried.host, tried.site
    with one_time_php(host, site) as ask, one_time_file(host, site, ".php", b"<?php echo 'one';") as url:
        path = f"{tried.docroot}/{url.rsplit('/', 1)[1]}"
        # An hour ago: opcache does not keep files younger than opcache.file_update_protection.
        age = ["touch", "-t", "202001010000", "--", path]
        host.run(age)
        with client(site) as http:
            if any(get(http, url).text != "one" for _ in range(3)):
                return False
            host.write(path, b"<?php echo 'two';", 0o644)
            host.run(age)
            ask("?reset=1")
            return all(get(http, url).text == "two" for _ in range(3))


_ANSWERS = '$s = @stream_socket_client($argv[1], $number, $why, 3); echo $s ? "yes" : $why;'


def _caches(tried: _Tried) -> tuple[Status, str]:
    """What a promotion empties, before and after. Nothing is emptied here: the shop is open."""
    layout = tried.layout()
    commands = tried.site.promote.purge
    if not commands and (front := cache_in_front(tried.site)):
        return (
            "refused",
            f"clone only: pages come from a cache in front ({front}): name what empties it in promote.purge",
        )
    if layout.unknown_cache:
        return "refused", f"clone only: nothing here can empty {layout.unknown_cache}"
    said = "promote.purge empties what is in front" if commands else "none in front"
    if layout.object_cache is None:
        return "proven", f"{said}, no object cache; page caches on disk are emptied"
    place = layout.object_cache.place
    address = f"unix://{place}" if layout.object_cache.socket else f"tcp://{place}"
    _, answer = tried.sh('"$1" -n -r "$2" "$3"', tried.installation.php, _ANSWERS, address)
    if answer != "yes":
        return "refused", f"clone only: the shop's Redis at {place} does not answer: {answer[-200:]}"
    return "proven", f"{said}; Redis at {place} answers: it and page caches on disk are emptied, a rollback too"


def _cron(tried: _Tried) -> tuple[Status, str]:
    code, text = tried.sh("crontab -l")
    if code == 0 or "no crontab" in text.lower():
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")] if code == 0 else []
        return (
            "proven",
            f"crontab can be read: {len(lines)} lines; each promotion waits until cron was seen to run its own",
        )
    why = f"no crontab ({text[-200:]}): nothing starts the watchdog again should the server kill it while the shop is closed"
    if tried.site.promote.without_restarter:
        return "fallback", f"{why}; accepted by promote.without_restarter"
    return "refused", f"clone only: {why}; to promote all the same: promote: {{without_restarter: true}} in site.yml"


# As transaction.sh does it where there is no flock: PHP locks what the shell has open, and the shell goes on holding it.
_PHP_LOCK = """f="$1/lock-try"; exec 5>>"$f" || exit 7
try() { "$2" -n -r 'exit(flock(fopen("php://fd/" . $argv[1], "a"), LOCK_EX | LOCK_NB) ? 0 : 1);' "$1"; }
if ! try 5 "$2"; then c=8; elif (exec 6>>"$f"; try 6 "$2"); then c=9; else c=0; fi; rm -f -- "$f"; exit $c"""


def _lock(tried: _Tried) -> tuple[Status, str]:
    code, text = tried.sh(
        "command -v flock >/dev/null || exit 8; "
        'f="$1/lock-try"; flock -n "$f" sh -c \'flock -n "$1" true && exit 9; exit 0\' sh "$f"; c=$?; rm -f -- "$f"; exit $c',
        tried.work,
    )
    if code == 0:
        return "proven", "flock held a lock against a second process"
    if code == 8:
        code, text = tried.sh(_PHP_LOCK, tried.work, tried.installation.php)
        if code == 0:
            return "fallback", "the server has no flock; PHP's held a lock against a second process"
    return "refused", f"clone only: flock does not lock in {tried.work}{f': {text[-200:]}' if code != 9 else ''}"


def _detached(tried: _Tried) -> tuple[Status, str]:
    """A process that goes on when its ssh session has ended, started as the watchdog is."""
    if tried.sh("command -v setsid && command -v nohup")[0] != 0:
        return "refused", "clone only: the server has no setsid or no nohup, which the watchdog is started with"
    flag = f"{tried.work}/detached-{secrets.token_hex(8)}"
    tried.sh('setsid nohup sh -c \'sleep 2; : > "$1"\' sh "$1" </dev/null >/dev/null 2>&1 &', flag)
    code, _ = tried.sh(
        'for i in 1 2 3 4 5 6; do [ -e "$1" ] && break; sleep 1; done; [ -e "$1" ] && rm -f -- "$1"', flag
    )
    if code == 0:
        return "proven", "a process started by setsid went on when its ssh command had ended"
    return "refused", "clone only: background processes are killed when their ssh command ends"


def _managed(tried: _Tried) -> tuple[Status, str]:
    _, text = tried.sh(
        'for d in "$1" "$1/.."; do for m in .git .hg .svn composer.json composer.lock; do [ -e "$d/$m" ] && echo "$d/$m"; done; done',
        tried.docroot,
    )
    if text:
        return (
            "refused",
            f"deployed by another tool, which would undo an update: {', '.join(posixpath.normpath(p) for p in text.splitlines())}",
        )
    return "proven", "no Git or Composer deployment"


ROWS: Mapping[str, Row] = {
    "public site": _public_site,
    "php": _php,
    "copy files": _copy,
    "dump": _dump,
    "programs": _tools,
    "grants": _grants,
    "database": _shared_database,
    "engines": _engines,
    "space": _space,
    "work folder": _work_folder,
    "folders": _folders,
    "owners": _owners,
    "symlinks": _symlinks,
    "opcache": _opcache,
    "caches": _caches,
    "cron": _cron,
    "lock": _lock,
    "background": _detached,
    "deployment": _managed,
}


def privileges(grants: tuple[str, ...], database: str) -> frozenset[str]:
    """What SHOW GRANTS allows on this database as a whole; ALL PRIVILEGES is spelled out."""
    held: set[str] = set()
    for grant in grants:
        match = re.match(r"GRANT (.+?) ON (?:TABLE )?(\*|`(?:[^`]|``)*`)\.\* TO ", grant)
        if match is None or not _covers(match.group(2), database):
            continue
        words = {re.sub(r"\s*\(.*", "", word).strip() for word in match.group(1).split(",")}
        held |= _ALL if words & {"ALL PRIVILEGES", "ALL"} else words
    return frozenset(held)


_ALL = frozenset(
    {
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "CREATE",
        "DROP",
        "ALTER",
        "INDEX",
        "LOCK TABLES",
        "TRIGGER",
        "EVENT",
        "CREATE ROUTINE",
        "ALTER ROUTINE",
        "EXECUTE",
        "CREATE VIEW",
        "SHOW VIEW",
        "REFERENCES",
        "CREATE TEMPORARY TABLES",
    }
)


def _covers(scope: str, database: str) -> bool:
    """`*`, or a database name in which `%` and `_` are wildcards unless a backslash stands before them."""
    if scope == "*":
        return True
    pattern = ""
    for escaped, plain in re.findall(r"\\(.)|(.)", scope[1:-1].replace("``", "`")):
        pattern += re.escape(escaped) if escaped else {"%": ".*", "_": "."}.get(plain, re.escape(plain))
    return re.fullmatch(pattern, database) is not None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
