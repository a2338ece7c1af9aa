"""The transaction on a real server: Apache with an opcache that never revalidates, MariaDB, cron, and a tiny PHP shop."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from updater.cms.base import Gate
from updater.errors import (
    ApprovalRefused,
    CommandFailed,
    ConnectionFailed,
    Drifted,
    PromotionRefused,
    SiteLocked,
    StateUnknown,
)
from updater.log import Silent
from updater.model import (
    Approval,
    ApprovedRelease,
    Check,
    Database,
    Installation,
    Migration,
    MigrationStep,
    Outcome,
    PromoteSettings,
    Release,
    Server,
    Site,
    Status,
)
from updater.production.transaction import (
    RESTARTER,
    Patience,
    fetch_discarded,
    forget_copies,
    open_shop,
    promote,
    recover,
    rollback,
    rolls_back_after,
    state,
)
from updater.shell import Completed

IMAGE = "updater-test-transaction"
DOCKERFILE = r"""
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends apache2 libapache2-mod-php8.2 php8.2-fpm php8.2-cli php8.2-mysql \
    mariadb-server mariadb-client cron busybox procps curl && rm -rf /var/lib/apt/lists/* \
 && useradd -m -s /bin/sh deploy \
 && sed -i 's/APACHE_RUN_USER=.*/APACHE_RUN_USER=deploy/; s/APACHE_RUN_GROUP=.*/APACHE_RUN_GROUP=deploy/' /etc/apache2/envvars \
 && sed -i 's#DocumentRoot .*#DocumentRoot /srv/shop#' /etc/apache2/sites-available/000-default.conf \
 && printf '<Directory /srv/shop>\nRequire all granted\nDirectoryIndex index.php\n</Directory>\nServerName shop.test\n' >> /etc/apache2/apache2.conf \
 && printf 'opcache.validate_timestamps=0\nopcache.enable=1\n' > /etc/php/8.2/apache2/conf.d/99-opcache.ini \
 && cp /etc/php/8.2/apache2/conf.d/99-opcache.ini /etc/php/8.2/fpm/conf.d/ && a2enmod proxy_fcgi \
 && sed -i 's/^\(user\|group\|listen.owner\|listen.group\) = .*/\1 = deploy/' /etc/php/8.2/fpm/pool.d/www.conf \
 && printf '%s\n' 'Listen 8080' '<VirtualHost *:8080>' 'DocumentRoot /srv/shop' '<FilesMatch "[.]php$">' \
    'SetHandler "proxy:unix:/run/php/php8.2-fpm.sock|fcgi://localhost"' '</FilesMatch>' '</VirtualHost>' > /etc/apache2/sites-enabled/fpm.conf \
 && install -d -o deploy -g deploy /srv/shop /home/deploy/bin
RUN printf '%s\n' '#!/bin/sh' 'mariadbd-safe --skip-networking >/dev/null 2>&1 &' 'cron' 'php-fpm8.2' \
    'until mariadb -e "SELECT 1" >/dev/null 2>&1; do sleep 0.2; done' \
    "mariadb -e \"CREATE DATABASE shop; CREATE USER shop@localhost IDENTIFIED BY 'pa''ss\\\\\\\\word#1'; GRANT ALL ON shop.* TO shop@localhost\"" \
    'touch /ready' 'exec apachectl -D FOREGROUND' > /start && chmod +x /start
CMD ["/start"]
"""
PATIENT = Patience()
PURGE = (
    MigrationStep("pages", "<?php file_put_contents('/home/deploy/purged', 'x', FILE_APPEND); echo '{\"ok\": true}';"),
)
PASSWORD = r"pa'ss\word#1"
HOSTILE = 'it\'s "$(touch pwned)"\n-x'
CRONTAB = "# mine\n0 5 * * * /bin/true 100\\%  \n"

GATE = Gate(
    files={
        ".maintenance": "<?php /* {run} */ $h = trim(file_get_contents(__DIR__ . '/.gate-token'));\n"
        "if (!hash_equals($h, hash('sha256', $_COOKIE['pass'] ?? ''))) "
        "{ $f = @fopen(__DIR__ . '/.gate-refused.php', 'r+'); if ($f) { flock($f, LOCK_EX); fseek($f, 0, SEEK_END);"
        "fwrite($f, implode(\"\\t\", [time(), $_SERVER['REQUEST_METHOD'], $_SERVER['REQUEST_URI'], $_SERVER['REMOTE_ADDR']]) . \"\\n\"); }"
        "http_response_code(503); header('Retry-After: 30'); exit('closed'); }\n"
    },
    token_file=".gate-token",
    cookie="pass",
    refused_file=".gate-refused.php",
    locks={"another updater": "SELECT 1 FROM {prefix}options WHERE v = 'lock'"},
)
# A CMS that includes nothing before it starts: the gate takes the place of its first file, which opcache holds for good here.
STANDS_IN = Gate(
    files={
        "index.php": "<?php opcache_invalidate(__FILE__, true); $h = trim(file_get_contents(__DIR__ . '/.gate-token'));\n"
        "if (!hash_equals($h, hash('sha256', $_COOKIE['pass'] ?? ''))) "
        "{ http_response_code(503); header('Retry-After: 30'); exit('closed'); }\n"
        "require __DIR__ . '/.kept-index.php';\n"
    },
    token_file=".gate-token",
    cookie="pass",
    kept={"index.php": ".kept-index.php"},
)
INDEX = (
    "<?php if (is_file(__DIR__ . '/.maintenance')) { include __DIR__ . '/.maintenance'; }\n"
    "require __DIR__ . '/lib/shop.php'; echo 'shop ' . version() . ' rows ' . rows();\n"
)
SHOP = (
    "<?php function version() {{ return '{v}'; }} function rows() {{ "
    "if (isset($_GET['pays'])) {{ sleep((int) $_GET['pays']); }}"
    "$d = new mysqli('localhost', 'shop', \"pa'ss\\\\word#1\", 'shop');"
    "if (isset($_GET['slow'])) {{ $d->query('SELECT SLEEP(' . (int) $_GET['slow'] . ')'); }}"
    "if (isset($_GET['pays'])) {{ $d->query(\"INSERT INTO shop_options (v) VALUES ('paid')\"); }}"
    "return $d->query('SELECT COUNT(*) FROM shop_options')->fetch_row()[0]; }}\n"
)
BEFORE = {
    "index.php": INDEX,
    "lib/shop.php": SHOP.format(v="1.0"),
    "lib/removed/only.php": "<?php // 1.0 only\n",
    "lib/-rf": "dash 1.0\n",
    f"{HOSTILE}/{HOSTILE}.txt": "hostile 1.0\n",
    f"{HOSTILE}/bin\udcff": "not utf-8 1.0\n",
    "gone.txt": "1.0 only\n",
}
AFTER = {
    "index.php": INDEX,
    "lib/shop.php": SHOP.format(v="2.0"),
    "lib/-rf": "dash 2.0\n",
    "lib/deep/er/new.php": "<?php // 2.0 only\n",
    f"{HOSTILE}/{HOSTILE}.txt": "hostile 2.0\n",
    f"{HOSTILE}/bin\udcff": "not utf-8 2.0\n",
    "brand-new/a.txt": "2.0 only\n",
}
CARRIED = {"lib/cache/left.txt": "of neither version\n"}
UNITS = ("lib", HOSTILE, "gone.txt", "brand-new")

ROWS_SQL = """
DROP DATABASE shop; CREATE DATABASE shop; USE shop;
CREATE TABLE shop_options (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(50), g INT AS (length(v)) STORED) DEFAULT CHARSET utf8mb4;
SET sql_mode='NO_AUTO_VALUE_ON_ZERO'; INSERT INTO shop_options (id, v) VALUES (0, 'zero'), (1, 'Привет');
ALTER TABLE shop_options AUTO_INCREMENT = 77;
CREATE TABLE shop_old (a INT) ENGINE=MyISAM; INSERT INTO shop_old VALUES (5);
CREATE TABLE shop_parent (id INT PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE shop_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop_parent (id)) ENGINE=InnoDB;
INSERT INTO shop_parent VALUES (1); INSERT INTO shop_child VALUES (1, 1);
"""


def step(name: str, *queries: str, tail: str = 'echo "\\n{\\"ok\\": true}\\n";') -> MigrationStep:
    done = "".join(f"$d->query({query!r}) or exit(3);\n" for query in queries)
    connect = "mysqli_report(0); $d = new mysqli('localhost', 'shop', \"pa'ss\\\\word#1\", 'shop');\n"
    return MigrationStep(name, f"<?php\n{connect}{done}{tail}\n")


# As MariaDB 10.11 shows it: what the rehearsal saw, and production must show.
SHOP_NEW = """CREATE TABLE `shop_new` (
  `a` int(11) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"""
MIGRATE = (
    step("widen", "ALTER TABLE shop_options ADD COLUMN extra INT", "INSERT INTO shop_options (v) VALUES (1)"),
    step(
        "tables",
        "CREATE TABLE shop_new (a INT)",
        "DROP TABLE shop_old",
        "DELETE FROM shop_child",
        "DELETE FROM shop_parent",
    ),
)


@dataclass
class Container:
    """A `Remote` that speaks through `docker exec` as the deploy user."""

    name: str
    where: str = "deploy@container"
    env: list[str] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        check: bool = True,
    ) -> Completed:
        assert not env
        command = [
            "docker",
            "exec",
            "-i",
            "-u",
            "deploy",
            "-w",
            "/home/deploy",
            "-e",
            "HOME=/home/deploy",
            self.name,
            *argv,
        ]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout)
        if check and done.returncode != 0:
            raise CommandFailed(f"exit {done.returncode}: {argv}", cause=done.stderr.decode("utf-8", "replace"))
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def put(self, local: Path, remote: str) -> None:
        self.run(["sh", "-c", 'umask 077; cat > "$1"', "sh", remote], stdin=local.read_bytes())

    def read(self, path: str) -> bytes:
        raise AssertionError("not used")

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        assert mode == 0o600
        self.run(["sh", "-c", 'umask 077; cat > "$1"', "sh", path], stdin=data)

    def stream(
        self, argv: Sequence[str], into: BinaryIO, *, stdin: BinaryIO | None = None, timeout: float = 3600.0
    ) -> None:
        raise AssertionError("not used")

    def root(self, script: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["docker", "exec", "-i", self.name, "sh", "-c", script], input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode("utf-8", "surrogateescape")

    def get(self, path: str = "/", cookie: str = "") -> tuple[int, str]:
        said = self.root(
            f"curl -s -m 20 -H 'Host: shop.test' -b '{cookie}' -w '\\n%{{http_code}}' 'http://127.0.0.1{path}'"
        )
        body, _, code = said.rpartition("\n")
        return int(code), body


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    subprocess.run(
        ["docker", "build", "-q", "--network=host", "--label", "updater.test=transaction", "-t", IMAGE, "-"],
        input=DOCKERFILE.encode(), check=True, capture_output=True,
    )  # fmt: skip
    name = f"updater-test-transaction-{time.time_ns()}"
    subprocess.run(
        ["docker", "run", "-d", "--name", name, "--label", "updater.test=transaction", "--tmpfs", "/small:size=3m,mode=1777", IMAGE],
        check=True, capture_output=True,
    )  # fmt: skip
    it = Container(name)
    try:
        while subprocess.run(["docker", "exec", name, "test", "-e", "/ready"], check=False).returncode != 0:
            time.sleep(0.3)
        yield it
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", name], check=True, capture_output=True)


@dataclass
class Forgetful(Container):
    """A connection that is lost once, right after the server did what it was asked by this verb: the reply never comes."""

    verb: str = ""
    lost: bool = False

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        check: bool = True,
    ) -> Completed:
        if self.lost:
            raise ConnectionFailed("the connection is still lost")
        done = super().run(argv, stdin=stdin, env=env, timeout=timeout, check=check)
        if argv[-1] == self.verb:
            self.lost = True
            raise ConnectionFailed("lost")
        return done


def tar_of(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content.encode())
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass
class CutOff(Container):
    """Out of reach from the moment that a trap was sprung there, as the server sees it: what is under way is not let in then."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        check: bool = True,
    ) -> Completed:
        reached = ["sh", "-c", '[ ! -e /home/deploy/sprung ] || exit 111; exec "$@"', "sh", *argv]
        done = super().run(reached, stdin=stdin, env=env, timeout=timeout, check=False)
        if done.exit_code == 111:
            raise ConnectionFailed("out of reach")
        assert done.exit_code == 0 or not check, done
        return done


@dataclass
class Shop:
    """A fresh shop 1.0 in the container and a release that makes it 2.0."""

    box: Container
    site: Site
    installation: Installation
    folder: Path
    sh: tuple[str, ...] = ("sh",)
    purge: tuple[MigrationStep, ...] = PURGE
    runs: int = 0
    gate: Gate = GATE

    def release(self, steps: tuple[MigrationStep, ...] = MIGRATE, **changes: object) -> ApprovedRelease:
        self.runs += 1
        run = f"run-{time.time_ns()}"
        paths = sorted({*BEFORE, *AFTER})
        changed = {
            path: (
                digest(BEFORE[path]) if path in BEFORE else None,
                digest(AFTER[path]) if path in AFTER else None,
            )
            for path in paths
            if BEFORE.get(path) != AFTER.get(path)
        }
        archive = self.folder / f"{run}.tar"
        archive.write_bytes(tar_of({path: AFTER[path] for path in changed if path in AFTER}))
        migration = Migration(
            steps=steps,
            changed_tables=("shop_options", "shop_child", "shop_parent") if steps else (),
            created_tables=("shop_new",) if steps else (),
            dropped_tables=("shop_old",) if steps else (),
            schema={"shop_new": digest(SHOP_NEW)} if steps else {},
        )
        now = datetime.now(UTC)
        release = Release(run, "shop", now, (), UNITS, changed, archive, migration, {}, {}, 1.0, "sha")
        release = replace(release, **changes)
        return ApprovedRelease(release, Approval(run, "ann", now, now + timedelta(days=1), "e", "sha"))

    def promote(
        self,
        approved: ApprovedRelease,
        check: Callable[[tuple[str, str]], tuple[Check, ...]] | None = None,
        patience: Patience = PATIENT,
        restarter: int = 0,
        dump: Path | None = None,
    ) -> Outcome:
        return promote(
            self.box, self.site, self.installation, approved, check or self.passes, Silent(),
            gate=self.gate, purge=self.purge, sh=self.sh, patience=patience, restarter=restarter, dump=dump,
        )  # fmt: skip

    def passes(self, cookie: tuple[str, str]) -> tuple[Check, ...]:
        assert self.box.get()[0] == 503
        assert self.box.root("cat /home/deploy/purged").endswith("xx"), "caches of the open shop are not looked at"
        code, body = self.box.get(cookie="=".join(cookie))
        good = code == 200 and body.startswith("shop 2.0")
        return (Check("home", "production", Status.PASSED if good else Status.FAILED, body),)

    def tree(self) -> dict[str, str]:
        said = self.box.root("cd /srv/shop && find . -type f -print0 | xargs -0 sha256sum -z --")
        rows = (row.split("  ", 1) for row in said.split("\0") if row)
        return {path.removeprefix("./"): sha for sha, path in rows}

    def tables(self) -> str:
        names = self.box.root("mariadb -N shop -e 'SHOW TABLES'").split()
        checks = self.box.root(f"mariadb -N shop -e 'CHECKSUM TABLE {','.join(names)}'")
        return checks + self.box.root("mariadb-dump --no-data --skip-comments shop")

    def assert_clean(self) -> None:
        """No gate, lock, crontab line, watchdog, one-time file, copy or secret is left."""
        wait_until(
            lambda: "transaction.sh" not in self.box.root("ps -eo args | grep -v grep | grep transaction.sh || true")
        )
        assert self.box.root("ls -A /srv/shop | grep -E '^[.]|updater-' || true") == ""
        assert state(self.box, self.site).lock == {}
        assert state(self.box, self.site).unfinished == ()
        assert self.box.run(["crontab", "-l"]).text == CRONTAB
        assert "updater_" not in self.box.root("mariadb -N shop -e 'SHOW TABLES'")
        assert self.box.root("grep -rlF --exclude-dir=old 'ss\\\\word' /home/deploy/.updater || true") == ""
        assert self.box.root("find / -xdev -name pwned") == ""

    def assert_old(self, tables: str) -> None:
        assert self.tree() == {path: digest(text) for path, text in (BEFORE | CARRIED).items()}
        assert self.tables() == tables
        assert self.box.get() == (200, "shop 1.0 rows 2")
        self.assert_clean()

    def assert_new(self, rows: int = 3) -> None:
        assert self.tree() == {path: digest(text) for path, text in (AFTER | CARRIED).items()}
        assert self.box.get() == (200, f"shop 2.0 rows {rows}")
        self.assert_clean()

    def trap(self, tool: str, pattern: str, what: str, after: bool = False) -> None:
        """A wrapper in front of `tool` that does `what` once, when its arguments or its input match."""
        script = f"""#!/bin/sh
real={self.box.root(f"PATH=/usr/bin:/bin command -v {tool}").strip()}
run=$(ls -d /home/deploy/.updater/runs/*/ | tail -n 1)
spring() {{ mv /home/deploy/trap /home/deploy/sprung 2>/dev/null || return; {what}; }}
input=; [ {tool} = dd ] && input=$(cat)
case "$* $input" in
*{pattern}*) [ -n "{int(after) or ""}" ] || spring
  if [ {tool} = dd ]; then printf '%s\\n' "$input" | "$real" "$@"; else "$real" "$@"; fi; code=$?
  [ -z "{int(after) or ""}" ] || spring
  exit $code;;
esac
if [ {tool} = dd ]; then printf '%s\\n' "$input" | exec "$real" "$@"; else exec "$real" "$@"; fi
"""
        self.box.root(
            f"touch /home/deploy/trap; chown deploy /home/deploy/trap; cat > /home/deploy/bin/{tool}; chmod 755 /home/deploy/bin/{tool}",
            script.encode(),
        )
        self.sh = ("env", "PATH=/home/deploy/bin:/usr/bin:/bin", *self.sh)
        self.installation = replace(self.installation, php="/home/deploy/bin/php" if tool == "php" else "php")


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come true in time"
        time.sleep(0.1)


def typed_by_hand(text: str) -> bool:
    """Whether it ends with our command and the three lines that do it without us."""
    folder = r"/home/deploy/\.updater/runs/run-\d+/transaction\.sh"
    lines = (
        rf"updater recover site\.yml\s+or by hand:\s+ssh -p 22 \S+@\S+\s+sh {folder} recover .*\s+sh {folder} open .*"
    )
    return re.search(rf"{lines}\Z", text) is not None


KILL_MAIN = 'kill -9 -$(cat "$run/actor.pid")'
KILL_BOTH = f'kill -9 $(cat "$run/watch.pid"); {KILL_MAIN}'
KILL_UNSEEN = f'while pgrep -f "transaction.sh report"; do sleep 0.05; done >/dev/null; {KILL_BOTH}'
"""Nobody who was let in before sees them gone: they would be right to start a watchdog again."""


@pytest.fixture(params=["dash", pytest.param("busybox", marks=pytest.mark.faults)])
def shop(container: Container, tmp_path: Path, request: pytest.FixtureRequest) -> Shop:
    sh = ("busybox", "sh") if request.param == "busybox" else ("dash",)
    return fresh(container, tmp_path, sh)


@pytest.fixture
def dash_shop(container: Container, tmp_path: Path) -> Shop:
    return fresh(container, tmp_path, ("dash",))


def fresh(box: Container, folder: Path, sh: tuple[str, ...]) -> Shop:
    box.root(
        "rm -rf /srv/shop/* /srv/shop/.[!.]* /home/deploy/.updater /home/deploy/bin/* /home/deploy/trap /home/deploy/sprung /home/deploy/purged; "
        "tar -xf - -C /srv/shop; chown -R deploy: /srv/shop; apachectl graceful; mariadb <<'END'\n"
        + ROWS_SQL
        + "END\n",
        tar_of(BEFORE | CARRIED),
    )
    box.run(["crontab", "-"], stdin=CRONTAB.encode())
    database = Database("shop", "shop", PASSWORD, prefix="shop_")
    installation = Installation("tiny", "1", "/srv/shop", "php", "http://shop.test/", database)
    site = Site(
        "shop", Server("127.0.0.1", "deploy"), "/srv/shop", "http://shop.test/", folder / "site.yml",
        address="127.0.0.1", promote=PromoteSettings(drain=2, deadline=40),
    )  # fmt: skip
    it = Shop(box, site, installation, folder, sh)
    wait_until(lambda: box.get() == (200, "shop 1.0 rows 2"))
    return it


@pytest.mark.parametrize("shop", ["dash", "busybox"], indirect=True)
def test_a_release_with_a_migration_is_promoted_whole(shop: Shop) -> None:
    outcome = shop.promote(shop.release())
    assert outcome.state == "promoted", outcome.reason
    assert 0 < outcome.closed_seconds < 30
    shop.assert_new()
    assert "extra" in shop.tables()
    assert "shop_old" not in shop.tables()
    purged = "tried in the open shop, before the closed one is looked at, and after the promotion"
    assert shop.box.root("cat /home/deploy/purged") == "xxx", purged


LOADED = """SET FOREIGN_KEY_CHECKS = 0;
ALTER TABLE shop_options ADD COLUMN extra INT; INSERT INTO shop_options (v) VALUES (1);
CREATE TABLE shop_new (a INT); DROP TABLE shop_old; DELETE FROM shop_child; DELETE FROM shop_parent;
"""
"""What MIGRATE does, as a restore's dump."""


def restore(shop: Shop, sql: bytes) -> tuple[ApprovedRelease, Path]:
    migration = Migration(
        (), ("shop_options", "shop_child", "shop_parent"), ("shop_new",), ("shop_old",), {"shop_new": digest(SHOP_NEW)}
    )
    dump = shop.folder / "dump.sql.gz"
    dump.write_bytes(sql)
    return shop.release(migration=migration), dump


def test_the_dump_of_a_restore_is_loaded_in_the_closed_shop(shop: Shop) -> None:
    approved, dump = restore(shop, gzip.compress(LOADED.encode()))
    outcome = shop.promote(approved, dump=dump)
    assert outcome.state == "promoted", outcome.reason
    shop.assert_new()
    assert "extra" in shop.tables()
    assert shop.box.root("find /home/deploy/.updater -name '*.sql*'") == "", "no rows stay in the work folder"


def test_what_a_restore_loses_is_exported_as_it_was_when_the_shop_closed(dash_shop: Shop, tmp_path: Path) -> None:
    loses = "DELETE FROM shop_options WHERE id = 1; UPDATE shop_options SET v = 'other' WHERE id = 0;"
    approved, dump = restore(dash_shop, gzip.compress(f"{LOADED} {loses}".encode()))
    assert dash_shop.promote(approved, dump=dump).state == "promoted"
    lost = fetch_discarded(dash_shop.box, dash_shop.site, approved.release.run, tmp_path)
    assert lost.stat().st_mode & 0o077 == 0
    with tarfile.open(lost) as tar:
        rows = {it.name: tar.extractfile(it).read().decode() for it in tar if it.isfile()}  # type: ignore[union-attr]
    assert set(rows) == {"since/shop_options.csv", "since/shop_old.csv", "since.json"}
    assert rows["since/shop_old.csv"] == "a\n5\n", "a table that the backup does not know is lost whole"
    assert [row.split(",")[0] for row in rows["since/shop_options.csv"].splitlines()] == ["id", "1"], "0 only changed"
    assert dash_shop.box.root("find /home/deploy/.updater -name since") == "", "it holds personal data, and was fetched"


def test_a_dump_that_cannot_be_loaded_to_its_end_brings_back_every_row(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    approved, dump = restore(dash_shop, gzip.compress(f"{LOADED} THIS IS NO SQL;".encode()))
    outcome = dash_shop.promote(approved, dump=dump)
    assert (outcome.state, outcome.reason) == ("rolled_back", "the backup cannot be loaded")
    dash_shop.assert_old(tables)


def test_killed_while_a_dump_is_loaded_every_row_is_back(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    dash_shop.trap("mariadb", "--binary-mode", KILL_MAIN, after=True)
    approved, dump = restore(dash_shop, gzip.compress(LOADED.encode()))
    outcome = dash_shop.promote(approved, dump=dump)
    assert outcome.state == "rolled_back"
    dash_shop.assert_old(tables)


def test_a_damaged_dump_is_refused_in_the_open_shop(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    approved, dump = restore(dash_shop, gzip.compress(LOADED.encode())[:-9])
    with pytest.raises(PromotionRefused) as caught:
        dash_shop.promote(approved, dump=dump)
    assert "dump cannot be unpacked" in caught.value.cause
    dash_shop.assert_old(tables)


def test_a_failing_check_brings_back_every_byte_and_row(shop: Shop) -> None:
    tables = shop.tables()

    def fails(cookie: tuple[str, str]) -> tuple[Check, ...]:
        assert shop.passes(cookie)[0].status is Status.PASSED  # and the new code is in opcache now
        return (Check("home", "production", Status.FAILED, "no price"),)

    outcome = shop.promote(shop.release(), fails)
    assert outcome.state == "rolled_back"
    assert "no price" in outcome.reason
    assert typed_by_hand(outcome.recover)
    shop.assert_old(tables)


def test_a_release_without_a_migration_takes_no_dump_and_can_be_rolled_back_later(shop: Shop) -> None:
    tables = shop.tables()
    approved = shop.release(steps=())
    assert shop.promote(approved).state == "promoted"
    shop.assert_new(rows=2)
    assert shop.tables() == tables
    run = approved.release.run
    assert shop.box.root(f"grep -cE 'dumped|migrated' /home/deploy/.updater/runs/{run}/journal || true").strip() == "0"
    outcome = rollback(shop.box, shop.site, shop.installation, run, Silent(), gate=GATE, sh=shop.sh)
    assert outcome.state == "rolled_back"
    shop.assert_old(tables)


def test_a_folder_outside_the_docroot_is_swapped_with_the_rest_and_goes_back_with_it(shop: Shop) -> None:
    name, folder = ".elsewhere/st ore", "/srv/out side"
    before = {
        "vendor/a.php": "one",
        "vendor/old/gone.php": "old",
        "vendor/own.txt": "of neither",
        "logs/x.log": "grows",
    }
    after = {"vendor/a.php": "two", "vendor/new.php": "new", "vendor/own.txt": "of neither", "logs/x.log": "grows"}
    shop.box.root(f"mkdir -p '{folder}' && tar -xf - -C '{folder}' && chown -R deploy: '{folder}'", tar_of(before))
    shop = replace(shop, installation=replace(shop.installation, elsewhere={name: folder}))
    tables, plain = shop.tables(), shop.release(steps=()).release

    def approved() -> ApprovedRelease:
        changed = {
            f"{name}/{path}": (
                digest(before[path]) if path in before else None,
                digest(after[path]) if path in after else None,
            )
            for path in {*before, *after}
            if before.get(path) != after.get(path)
        }
        own = {path: AFTER[path] for path in plain.changed if path in AFTER}
        archive = shop.folder / "elsewhere.tar"
        archive.write_bytes(tar_of(own | {f"{name}/vendor/a.php": "two", f"{name}/vendor/new.php": "new"}))
        units, changed = (*UNITS, f"{name}/vendor"), dict(plain.changed) | changed
        return shop.release(steps=(), changed=changed, units=units, archive=archive)

    def there() -> dict[str, str]:
        found = shop.box.root(f"cd '{folder}' && find . -type f").split("\n")
        return {path[2:]: shop.box.root(f"cat '{folder}/{path}'") for path in found if path}

    try:
        failed = shop.promote(approved(), lambda _: (Check("home", "production", Status.FAILED, "no price"),))
        assert (failed.state, there()) == ("rolled_back", before)
        shop.assert_old(tables)
        promoted = approved()
        assert shop.promote(promoted).state == "promoted"
        assert there() == after
        shop.assert_new(rows=2)
        back = rollback(shop.box, shop.site, shop.installation, promoted.release.run, Silent(), gate=GATE, sh=shop.sh)
        assert (back.state, there()) == ("rolled_back", before)
        shop.assert_old(tables)
        shop.box.root(f"cd '{folder}' && mv vendor /srv/theirs && ln -s /srv/theirs vendor")
        with pytest.raises(PromotionRefused, match="is a link to a folder"):
            shop.promote(approved())
    finally:
        shop.box.root(f"rm -rf '{folder}' /srv/theirs")


def test_a_migration_that_leaves_another_table_than_rehearsed_is_rolled_back(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    # A table that this migration does not touch is no business of its: production may differ from the rehearsal there.
    other = {"shop_new": digest(SHOP_NEW.replace("int(11)", "bigint(20)")), "shop_untouched": digest("another")}
    migration = Migration(MIGRATE, ("shop_options", "shop_child", "shop_parent"), ("shop_new",), ("shop_old",), other)

    def check(_: tuple[str, str]) -> tuple[Check, ...]:
        raise AssertionError("the tables are looked at first")

    outcome = dash_shop.promote(dash_shop.release(migration=migration), check)
    assert outcome.state == "rolled_back"
    assert outcome.reason.endswith("other tables than rehearsed: shop_new")
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_code_of_a_run_that_migrated_is_not_rolled_back(dash_shop: Shop) -> None:
    approved = dash_shop.release()
    assert dash_shop.promote(approved).state == "promoted"
    with pytest.raises(ApprovalRefused, match="migrated"):
        rollback(dash_shop.box, dash_shop.site, dash_shop.installation, approved.release.run, Silent(), gate=GATE)
    dash_shop.assert_new()


# ------------------------------------------------------------------------- a gate that stands in for a file of the shop


def test_a_gate_may_stand_in_for_a_file_of_the_shop_and_gives_it_back(shop: Shop) -> None:
    shop.gate = STANDS_IN
    inode = shop.box.root("stat -c '%i %y' /srv/shop/index.php")
    assert shop.promote(shop.release()).state == "promoted"
    shop.assert_new()
    assert shop.box.root("stat -c '%i %y' /srv/shop/index.php") == inode


def test_a_failed_check_behind_a_gate_that_stands_in_brings_back_every_byte(shop: Shop) -> None:
    shop.gate = STANDS_IN
    tables = shop.tables()
    outcome = shop.promote(shop.release(), lambda _: (Check("home", "production", Status.FAILED, "no price"),))
    assert outcome.state == "rolled_back"
    shop.assert_old(tables)


@pytest.mark.parametrize(
    ("tool", "pattern", "after"),
    [
        pytest.param("ln", "/.kept-index.php", True, id="kept, and not yet closed"),
        pytest.param("mv", "index.php.updater-", False, id="before the gate"),
        pytest.param("mv", "index.php.updater-", True, id="after the gate"),
        pytest.param("mv", "/.kept-index.php", True, id="given back"),
    ],
)
def test_killed_around_a_gate_that_stands_in_the_file_is_back(
    dash_shop: Shop, tool: str, pattern: str, after: bool
) -> None:
    dash_shop.gate = STANDS_IN
    dash_shop.trap(tool, pattern, KILL_MAIN, after)
    outcome = dash_shop.promote(dash_shop.release())
    assert dash_shop.box.root("ls /home/deploy/sprung").strip()
    if outcome.state == "promoted":
        dash_shop.assert_new()
    else:
        assert dash_shop.box.get() == (200, "shop 1.0 rows 2")
        dash_shop.assert_clean()
    assert digest(INDEX) == dash_shop.tree()["index.php"]


def test_the_file_that_a_gate_stands_in_for_must_be_there_and_its_kept_name_free(dash_shop: Shop) -> None:
    dash_shop.gate = STANDS_IN
    dash_shop.box.run(["touch", "/srv/shop/.kept-index.php"])
    with pytest.raises(PromotionRefused, match=r"\.kept-index\.php is there already"):
        dash_shop.promote(dash_shop.release())
    assert dash_shop.box.get() == (200, "shop 1.0 rows 2")


# ------------------------------------------------------------------------------------ going back after a migration


def test_tables_are_restored_only_when_a_person_names_since_when_everything_is_lost(
    dash_shop: Shop, tmp_path: Path
) -> None:
    shop, box = dash_shop, dash_shop.box
    tables = shop.tables()
    shop.site = replace(shop.site, promote=replace(shop.site.promote, keep_tables=timedelta(days=3)))
    approved = shop.release()
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    assert shop.promote(approved).state == "promoted"
    copies = "mariadb -N shop -e \"SHOW TABLES LIKE 'updater\\_%'\""
    assert box.root(copies).split(), "what a restore needs is kept"
    assert box.root("grep -rlF --exclude-dir=old 'ss\\word' /home/deploy/.updater || true") == ""
    box.root("mariadb shop -e \"INSERT INTO shop_options (v) VALUES ('=an order')\"")
    arguments = (box, shop.site, shop.installation, approved.release.run, Silent())

    def go_back(since: datetime | None) -> Outcome:
        return rollback(
            *arguments,
            gate=GATE,
            purge=PURGE,
            sh=shop.sh,
            discard_since=since,
            came="1 order came since",
            into=tmp_path,
        )

    with pytest.raises(ApprovalRefused, match=r"1 order came since(.|\n)*--discard-orders-since '20"):
        go_back(None)
    with pytest.raises(ApprovalRefused, match="is lost too"):
        go_back(datetime.now(UTC) + timedelta(minutes=1))
    assert box.get() == (200, "shop 2.0 rows 4")
    assert go_back(before).state == "rolled_back"
    shop.assert_old(tables)
    with tarfile.open(tmp_path / "discarded-rows.tar") as tar:
        rows = tar.extractfile("since/shop_options.csv")
        assert rows is not None
        text = rows.read().decode()
    assert "=an order" in text
    assert "zero" not in text
    assert (tmp_path / "discarded-rows.tar").stat().st_mode & 0o077 == 0


@pytest.mark.faults
@pytest.mark.parametrize(
    ("tool", "pattern"), [("php", "' drain'"), ("php", "' since'"), ("mv", "'old/0001'"), ("php", "' restore'")]
)
def test_a_rollback_with_tables_that_is_killed_is_done_again_behind_the_gate(
    dash_shop: Shop, tmp_path: Path, tool: str, pattern: str
) -> None:
    shop = dash_shop
    tables = shop.tables()
    shop.site = replace(shop.site, promote=replace(shop.site.promote, keep_tables=timedelta(days=3)))
    approved, before = shop.release(), datetime.now(UTC).replace(second=0, microsecond=0)
    assert shop.promote(approved).state == "promoted"
    shop.trap(tool, pattern, KILL_MAIN)
    outcome = rollback(
        shop.box, shop.site, shop.installation, approved.release.run, Silent(), gate=GATE, sh=shop.sh, discard_since=before
    )  # fmt: skip
    assert shop.box.root("ls /home/deploy/sprung").strip(), "the trap was never reached"
    assert outcome.state == "rolled_back"
    # What could not be exported any more is kept in tables of ours.
    shop.box.root(
        'mariadb -N shop -e "SHOW TABLES LIKE \'updater\\_%\'" | while read t; do mariadb shop -e "DROP TABLE $t"; done'
    )
    shop.assert_old(tables)


def test_kept_tables_go_with_the_next_promotion_or_their_age(dash_shop: Shop) -> None:
    shop = dash_shop
    kept = "mariadb -N shop -e \"SHOW TABLES LIKE 'updater\\_%'\" | wc -l"
    shop.site = replace(shop.site, promote=replace(shop.site.promote, keep_tables=timedelta(days=3)))
    first = shop.release()
    assert shop.promote(first).state == "promoted"
    assert int(shop.box.root(kept)) > 0
    assert forget_copies(shop.box, shop.site, shop.installation, sh=shop.sh) == 0, "not old enough"
    folder = f"/home/deploy/.updater/runs/{first.release.run}"
    shop.box.root(f"touch -d '4 days ago' {folder}/finished")
    assert forget_copies(shop.box, shop.site, shop.installation, sh=shop.sh) == 1
    shop.assert_new()
    # And by the next promotion, whatever it does to the database.
    shop.box.root(
        "tar -xf - -C /srv/shop; rm -rf /srv/shop/brand-new /srv/shop/lib/deep; chown -R deploy: /srv/shop",
        tar_of(BEFORE),
    )
    shop.box.root("mariadb", ROWS_SQL.encode())
    assert shop.promote(shop.release()).state == "promoted"
    assert int(shop.box.root(kept)) > 0
    shop.site = replace(shop.site, promote=replace(shop.site.promote, keep_tables=None))
    shop.box.root(
        "tar -xf - -C /srv/shop; rm -rf /srv/shop/brand-new /srv/shop/lib/deep; chown -R deploy: /srv/shop",
        tar_of(BEFORE),
    )
    assert shop.promote(shop.release(steps=())).state == "promoted"
    assert int(shop.box.root(kept)) == 0


HALF = (
    MIGRATE[0],
    step("half", "CREATE TABLE shop_new (a INT)", "DROP TABLE shop_old", "DELETE FROM shop_child", "NO SUCH STATEMENT"),
)
HANGS = (*MIGRATE, step("hangs", "SELECT SLEEP(600) FROM shop_options LIMIT 1"))
LIES = (*MIGRATE, step("lies", tail="echo 'Fine!';"))
SAYS_ERROR = (*MIGRATE, step("error", tail='echo "\\n{\\"error\\": \\"no such version\\"}\\n";'))


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        pytest.param(HALF, "half", id="half way"),
        pytest.param(LIES, "without saying", id="lies", marks=pytest.mark.faults),
        pytest.param(SAYS_ERROR, "no such version", id="error", marks=pytest.mark.faults),
        pytest.param(HANGS, "the deadline passed", id="hangs"),
    ],
)
def test_a_migration_that_fails_leaves_the_old_shop(shop: Shop, steps: tuple[MigrationStep, ...], reason: str) -> None:
    tables = shop.tables()
    if steps is HANGS:
        shop.site = replace(shop.site, promote=PromoteSettings(drain=2, deadline=10))
    outcome = shop.promote(shop.release(steps=steps))
    assert outcome.state == "rolled_back"
    assert reason in outcome.reason or reason == "half"
    shop.assert_old(tables)
    assert "SLEEP" not in shop.box.root("mariadb -e 'SHOW FULL PROCESSLIST'")


@pytest.mark.faults
def test_a_check_that_breaks_or_never_ran_is_a_failed_check(dash_shop: Shop) -> None:
    tables = dash_shop.tables()

    def broken(_: tuple[str, str]) -> tuple[Check, ...]:
        raise ValueError("no browser")

    assert "no browser" in dash_shop.promote(dash_shop.release(), broken).reason
    assert "no required check" in dash_shop.promote(dash_shop.release(), lambda _: ()).reason
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_what_is_decided_once_stays_decided(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    approved = dash_shop.release()
    program = [*dash_shop.sh, f"/home/deploy/.updater/runs/{approved.release.run}/transaction.sh"]

    def overruled(cookie: tuple[str, str]) -> tuple[Check, ...]:
        checks = dash_shop.passes(cookie)
        assert dash_shop.box.run([*program, "reject"], stdin=b"a colleague said no").text == "old\n"
        assert dash_shop.box.run([*program, "confirm"]).text == "old\n"
        return checks

    outcome = dash_shop.promote(approved, overruled)
    assert outcome.state == "rolled_back"
    assert outcome.reason.startswith("a colleague said no")
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_a_confirmation_after_the_deadline_is_refused(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    dash_shop.site = replace(dash_shop.site, promote=PromoteSettings(drain=2, deadline=10))

    def late(cookie: tuple[str, str]) -> tuple[Check, ...]:
        checks = dash_shop.passes(cookie)
        wait_until(lambda: dash_shop.box.get() == (200, "shop 1.0 rows 2"))
        return checks

    outcome = dash_shop.promote(dash_shop.release(), late)
    assert outcome.state == "rolled_back"
    assert "the deadline passed" in outcome.reason
    assert outcome.closed_seconds <= 12
    dash_shop.assert_old(tables)


def test_a_visitor_who_is_not_done_in_time_opens_the_shop_again(shop: Shop) -> None:
    tables = shop.tables()
    visitor = subprocess.Popen(
        ["docker", "exec", shop.box.name, "curl", "-s", "-H", "Host: shop.test", "http://127.0.0.1/?slow=9"],
        stdout=subprocess.PIPE,
    )
    wait_until(lambda: "SLEEP" in shop.box.root("mariadb -e 'SHOW FULL PROCESSLIST'"))
    outcome = shop.promote(shop.release())
    assert outcome.state == "rolled_back"
    assert "not drained" in outcome.reason
    assert typed_by_hand(outcome.recover)
    assert visitor.communicate(timeout=30)[0] == b"shop 1.0 rows 2"
    shop.assert_old(tables)


SEEN_IN = {"the web server's status page": 80, "php-fpm's connections": 8080}


@pytest.mark.parametrize("seen_in", SEEN_IN)
def test_an_order_that_waits_for_its_payment_without_the_database_is_waited_for(dash_shop: Shop, seen_in: str) -> None:
    box, port = dash_shop.box, SEEN_IN[seen_in]
    promoting = PromoteSettings(drain=20, deadline=80)
    dash_shop.site = replace(dash_shop.site, url=f"http://shop.test:{port}/", promote=promoting)
    pays = f"curl -s -m 30 -H 'Host: shop.test' 'http://127.0.0.1:{port}/?pays=5' </dev/null >/home/deploy/answer 2>&1 & sleep 0.5"
    if port == 8080:
        box.root("a2dismod -q status && apachectl graceful")
    try:
        dash_shop.trap("dd", "'begin closed'", pays)
        outcome = dash_shop.promote(
            dash_shop.release(), lambda _: (Check("home", "production", Status.FAILED, "no price"),)
        )
    finally:
        box.root("a2enmod -q status && apachectl graceful")
    # It migrated, so the tables were put back: as they were copied, after the order.
    journal = box.root("cat /home/deploy/.updater/runs/*/journal")
    assert f"note requests under way are seen in {seen_in}\n" in journal
    assert "done restored" in journal
    assert "no price" in outcome.reason
    assert box.root("cat /home/deploy/answer") == "shop 1.0 rows 3"
    assert box.root("mariadb -N shop -e \"SELECT COUNT(*) FROM shop_options WHERE v = 'paid'\"").strip() == "1"
    dash_shop.assert_clean()


def test_an_order_that_nothing_saw_coming_stops_the_migration_and_stays(dash_shop: Shop) -> None:
    late = "<?php $d = new mysqli('localhost', 'shop', \"pa'ss\\\\word#1\", 'shop'); $d->query(\"INSERT INTO shop_options (v) VALUES ('paid')\");"
    dash_shop.box.root("cat > /home/deploy/late.php", late.encode())
    dash_shop.trap("php", "' carry'", "/usr/bin/php /home/deploy/late.php")
    outcome = dash_shop.promote(dash_shop.release())
    assert outcome.state == "rolled_back"
    assert "the table shop_options changed after it was copied" in outcome.reason
    assert dash_shop.tree() == {path: digest(text) for path, text in (BEFORE | CARRIED).items()}
    assert dash_shop.box.get() == (200, "shop 1.0 rows 3")
    dash_shop.assert_clean()


def test_whom_the_gate_refused_is_told_callbacks_first_and_nothing_of_it_is_served(dash_shop: Shop) -> None:
    def knocked(cookie: tuple[str, str]) -> tuple[Check, ...]:
        for path in ("/?page=1", "/index.php?wc-api=pay&order=7"):
            assert dash_shop.box.get(path)[0] == 503
        assert dash_shop.box.get("/.gate-refused.php") == (200, ""), "its first line ends PHP"
        return dash_shop.passes(cookie)

    approved = dash_shop.release(steps=())
    refused = dash_shop.promote(approved, knocked).refused
    assert [(it.method, it.path, it.address) for it in refused] == [
        ("GET", "/index.php?wc-api=pay&order=7", "127.0.0.1"),
        ("GET", "/?page=1", "127.0.0.1"),
        ("GET", "/", "127.0.0.1"),
    ]
    assert dash_shop.box.root(f"ls -A /home/deploy/.updater/runs/{approved.release.run} | grep refused || true") == ""
    dash_shop.assert_new(rows=2)


def test_no_secret_is_in_an_argument_list_and_the_token_is_dead_afterwards(dash_shop: Shop) -> None:
    box, seen = dash_shop.box, "/tmp/argument-lists"
    watching = f"rm -f {seen} /tmp/enough; while [ ! -e /tmp/enough ]; do cat /proc/[0-9]*/cmdline 2>/dev/null >>{seen}; sleep 0.02; done"
    watcher = subprocess.Popen(["docker", "exec", box.name, "sh", "-c", watching])
    tokens: list[str] = []

    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        tokens.append(cookie[1])
        # Not by curl: its argument list would be the test's own.
        return (Check("home", "production", Status.PASSED, "not looked at"),)

    approved = dash_shop.release()
    try:
        assert dash_shop.promote(approved, check).state == "promoted"
    finally:
        box.root("touch /tmp/enough")
        watcher.wait()
    (token,) = tokens
    assert len(token) * 6 >= 128
    assert box.root(f"grep -c 'transaction.php' {seen}").strip() != "0", "the promotion was watched"
    assert box.root("grep -rlF -f - /home/deploy/.updater /srv/shop || true", token.encode()) == "", (
        "only its hash was there"
    )
    for secret in (PASSWORD, token):
        assert box.root(f"grep -cF -f - {seen} || true", secret.encode()).strip() == "0"
    # The same gate over the same opcache, which never looks at files again: the first run's cookie is refused.
    dash_shop.box.root("mariadb", ROWS_SQL.encode())

    def stale(_: tuple[str, str]) -> tuple[Check, ...]:
        assert box.get(cookie=f"pass={token}")[0] == 503
        return ()

    box.root(
        "tar -xf - -C /srv/shop; rm -rf /srv/shop/brand-new /srv/shop/lib/deep; chown -R deploy: /srv/shop",
        tar_of(BEFORE),
    )
    assert dash_shop.promote(dash_shop.release(), stale).state == "rolled_back"
    dash_shop.assert_clean()


def test_what_could_go_wrong_in_the_closed_shop_is_refused_before_it_is_closed(dash_shop: Shop) -> None:
    tables = dash_shop.tables()

    def refused(why: str, **changes: object) -> None:
        shop = replace(dash_shop, **changes)
        with pytest.raises(PromotionRefused, match=why):
            shop.promote(shop.release())
        assert dash_shop.box.get() == (200, "shop 1.0 rows 2")

    def commands(*lines: str) -> Site:
        return replace(dash_shop.site, promote=replace(dash_shop.site.promote, purge=lines))

    refused("promote.purge in site.yml ended with 3", site=commands("true", "exit 3"))
    dash_shop.box.root("chown root /srv/shop/lib")
    refused("lib belongs to another user and cannot be moved")
    dash_shop.box.root("chown deploy /srv/shop/lib")
    fails = MigrationStep("redis", """<?php echo '{"error": "no answer", "cause": "refused"}';""")
    refused(r"emptying a cache failed: no answer \(refused\)", purge=(fails,))
    dash_shop.box.root("""mariadb shop -e "UPDATE shop_options SET v = 'lock' WHERE id = 0" """)
    refused("another updater holds a lock")
    dash_shop.box.root("""mariadb shop -e "UPDATE shop_options SET v = 'zero' WHERE id = 0" """)
    # A quota as hostings enforce it: the rights to write are taken away.
    dash_shop.box.root(
        "mariadb -e 'REVOKE ALL ON shop.* FROM shop@localhost; GRANT SELECT ON shop.* TO shop@localhost'"
    )
    try:
        refused("did not take 1 MB beside its tables")
    finally:
        dash_shop.box.root("mariadb -e 'GRANT ALL ON shop.* TO shop@localhost'")
    dash_shop.assert_old(tables)


def test_drift_is_refused_by_name_before_closing(dash_shop: Shop) -> None:
    approved = dash_shop.release()
    dash_shop.box.root("echo edited >> '/srv/shop/lib/-rf'")
    with pytest.raises(Drifted, match="lib/-rf"):
        dash_shop.promote(approved)
    dash_shop.box.root("printf 'dash 1.0\\n' > '/srv/shop/lib/-rf'")
    dash_shop.box.root("mariadb shop -e 'CREATE TABLE shop_new (a INT)'")
    with pytest.raises(Drifted, match="shop_new"):
        dash_shop.promote(dash_shop.release())
    dash_shop.box.root("mariadb shop -e 'DROP TABLE shop_new'")
    dash_shop.assert_clean()


@pytest.mark.faults
def test_a_gate_of_somebody_else_is_left_alone(dash_shop: Shop) -> None:
    dash_shop.box.root("echo '<?php // theirs' > /srv/shop/.maintenance")
    with pytest.raises(PromotionRefused, match=r"\.maintenance is there already"):
        dash_shop.promote(dash_shop.release())
    assert dash_shop.box.root("cat /srv/shop/.maintenance") == "<?php // theirs\n"


@pytest.mark.faults
def test_a_release_that_does_not_fit_is_refused_before_closing(dash_shop: Shop) -> None:
    dash_shop.site = replace(dash_shop.site, server=replace(dash_shop.site.server, work="/small/work"))
    with pytest.raises(PromotionRefused, match=r"different file systems|MB free"):
        dash_shop.promote(dash_shop.release())
    dash_shop.box.root("rm -rf /small/work")


@pytest.mark.faults
def test_a_web_server_whose_opcache_cannot_be_reset_is_not_promoted_to(dash_shop: Shop) -> None:
    ini = "/etc/php/8.2/apache2/conf.d/99-opcache.ini"
    dash_shop.box.root(f"echo opcache.restrict_api=/nowhere >> {ini}; apachectl graceful")
    try:
        with pytest.raises(PromotionRefused, match="opcache cannot be reset"):
            dash_shop.promote(dash_shop.release())
    finally:
        dash_shop.box.root(f"sed -i /restrict_api/d {ini}; apachectl graceful")
    wait_until(lambda: dash_shop.box.get()[0] == 200)
    dash_shop.assert_clean()


def test_a_second_run_names_who_holds_the_site(shop: Shop) -> None:
    first = shop.release()

    def meanwhile(cookie: tuple[str, str]) -> tuple[Check, ...]:
        with pytest.raises(SiteLocked, match=f"{first.release.run}(.|\\n)*person ann"):
            shop.promote(shop.release())
        assert recover(shop.box, shop.site, None, Silent(), sh=shop.sh) == [f"{first.release.run}: still at work"]
        return shop.passes(cookie)

    assert shop.promote(first, meanwhile).state == "promoted"
    shop.assert_new()


@pytest.mark.faults
def test_files_of_neither_version_that_change_until_the_swap_are_kept(dash_shop: Shop) -> None:
    # A log written after the copy was made and before the swap: the drain is in between.
    dash_shop.trap(
        "php", "'- '*' drain'", "echo late > /srv/shop/lib/cache/late.txt; echo more >> /srv/shop/lib/cache/left.txt"
    )
    assert dash_shop.promote(dash_shop.release()).state == "promoted"
    assert (
        dash_shop.box.root("cat /srv/shop/lib/cache/late.txt /srv/shop/lib/cache/left.txt")
        == "late\nof neither version\nmore\n"
    )


KILLS = [
    ("php", "preflight", "old"),
    ("php", "' stage'", "old"),
    ("dd", "'begin closed'", "old"),
    ("dd", "'done closed'", "old"),
    ("php", "' drain'", "old"),
    ("php", "' copy'", "old"),
    ("dd", "'done dumped'", "old"),
    ("php", "' carry'", "old"),
    ("mv", "'brand-new'", "old"),
    ("mv", "'old/0001'", "old"),
    ("dd", "'done swapped'", "old"),
    ("dd", "'begin migrated'", "old"),
    ("php", "' answer'", "old"),
    ("dd", "'done migrated'", "old"),
    ("dd", "'decided new'", "new"),
    ("dd", "'begin opened'", "new"),
    ("dd", "'done opened'", "new"),
    ("php", "' drop-copies'", "new"),
]


# A telling part for every day: while it is closed, half swapped, and migrated.
DAILY = [("dd", "'done closed'", False), ("mv", "'old/0001'", True), ("dd", "'done migrated'", True)]
ALL_KILLS = [
    pytest.param(
        *kill, after,
        id=f"{'after' if after else 'before'}-{kill[0]} {kill[1]}",
        marks=[] if (*kill[:2], after) in DAILY else pytest.mark.faults,
    )
    for kill in KILLS
    for after in (False, True)
]  # fmt: skip


def test_every_daily_kill_is_one_of_the_kills() -> None:
    assert {it[:2] for it in DAILY} <= {it[:2] for it in KILLS}


@pytest.mark.parametrize(("tool", "pattern", "end", "after"), ALL_KILLS)
def test_a_killed_process_on_the_server_is_brought_to_an_end_by_the_watchdog(
    dash_shop: Shop, tool: str, pattern: str, end: str, after: bool
) -> None:
    tables = dash_shop.tables()
    dash_shop.trap(tool, pattern, KILL_MAIN, after)
    outcome = dash_shop.promote(dash_shop.release())
    assert dash_shop.box.root("ls /home/deploy/sprung").strip(), "the trap was never reached"
    # After the last word of a state the next begins: `checked` may be lost to the kill, the decision never.
    if outcome.state == "promoted":
        assert end == "new"
        dash_shop.assert_new()
    else:
        assert end == "old"
        dash_shop.assert_old(tables)


ROLLBACK_KILLS = [
    ("mv", "'old/0001'"),
    ("dd", "'done reverted'"),
    ("php", "' restore'"),
    ("dd", "'done restored'"),
    ("php", "' verify-tables'"),
    ("dd", "'done reset'"),
    ("dd", "'done opened'"),
]


@pytest.mark.faults
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("tool", "pattern"), ROLLBACK_KILLS)
def test_a_rollback_that_is_killed_is_done_again(dash_shop: Shop, tool: str, pattern: str, after: bool) -> None:
    tables = dash_shop.tables()
    approved = dash_shop.release()

    def fails(_: tuple[str, str]) -> tuple[Check, ...]:
        dash_shop.box.root("touch /home/deploy/trap; chown deploy /home/deploy/trap")
        return (Check("home", "production", Status.FAILED, "no price"),)

    dash_shop.trap(tool, pattern, KILL_MAIN, after)
    dash_shop.box.root("rm /home/deploy/trap")
    assert dash_shop.promote(approved, fails).state == "rolled_back"
    assert dash_shop.box.root("ls /home/deploy/sprung").strip(), "the trap was never reached"
    dash_shop.assert_old(tables)


@pytest.mark.parametrize(
    ("tool", "pattern", "end"),
    [KILLS[3], *(pytest.param(*KILLS[number], marks=pytest.mark.faults) for number in (9, 12, 15))],
)
def test_with_the_watchdog_dead_too_recover_ends_it_and_twice_is_once(
    dash_shop: Shop, tool: str, pattern: str, end: str
) -> None:
    tables = dash_shop.tables()
    # No cron, and an updater that is cut off: nothing but `recover` is left.
    dash_shop.box.root("service cron stop")
    reached = dash_shop.box
    try:
        dash_shop.trap(tool, pattern, KILL_UNSEEN)
        dash_shop.site = replace(dash_shop.site, promote=PromoteSettings(drain=2, deadline=8))
        dash_shop.box = CutOff(reached.name)
        with pytest.raises(StateUnknown) as unknown:
            dash_shop.promote(dash_shop.release(), patience=Patience(staging=4, after_deadline=2, lost=0))
        dash_shop.box = reached
        assert typed_by_hand(str(unknown.value))
        assert dash_shop.box.get()[0] == 503
        assert state(dash_shop.box, dash_shop.site).lock["person"] == "ann"
        ended = recover(dash_shop.box, dash_shop.site, None, Silent(), sh=dash_shop.sh)
        assert [line.split(": ")[1] for line in ended] == ["rolled back" if end == "old" else "promoted"]
        assert recover(dash_shop.box, dash_shop.site, None, Silent(), sh=dash_shop.sh) == []
    finally:
        dash_shop.box.root("service cron start")
    if end == "old":
        dash_shop.assert_old(tables)
    else:
        dash_shop.assert_new()


JAILED = b"""#!/bin/sh
dash "$@"; code=$?
for left in $(pgrep -u deploy -P 1 -f transaction.sh); do kill -9 "$left"; done
exit $code
"""
AS_CRON = b"""until [ -e /tmp/seen ]; do
    for run in /home/deploy/.updater/runs/*; do [ ! -e "$run/crontab.ours" ] || CRON=1 sh "$run/transaction.sh" watch; done
    sleep 0.5
done
"""


def test_a_server_that_ends_what_outlives_its_ssh_command_is_refused_in_plain_words(dash_shop: Shop) -> None:
    """What `start` left behind is killed when it returns; what cron starts is not."""
    box, tables = dash_shop.box, dash_shop.tables()
    box.root("cat > /usr/local/bin/jailed && chmod 755 /usr/local/bin/jailed", JAILED)
    box.root("cat > /tmp/as-cron", AS_CRON)
    box.root("rm -f /tmp/seen; su deploy -c 'setsid sh /tmp/as-cron >/dev/null 2>&1 &'")
    jailed = replace(dash_shop, sh=("jailed",))
    try:
        with pytest.raises(PromotionRefused) as refused:
            jailed.promote(jailed.release())
    finally:
        box.root("touch /tmp/seen; rm /usr/local/bin/jailed")
    assert "kill background processes when their ssh command ends" in refused.value.cause
    assert box.get() == (200, "shop 1.0 rows 2")
    dash_shop.assert_old(tables)


def test_an_updater_that_follows_starts_the_watchdog_again_where_no_cron_does(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    dash_shop.box.root("service cron stop")
    try:
        dash_shop.trap("dd", "'done swapped'", KILL_BOTH)
        outcome = dash_shop.promote(dash_shop.release())
    finally:
        dash_shop.box.root("service cron start")
    assert (outcome.state, outcome.reason) == ("rolled_back", "the process on the server was gone")
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_what_stands_in_the_way_of_an_end_is_named_and_once_gone_it_ends(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    dash_shop.site = replace(dash_shop.site, promote=PromoteSettings(drain=2, deadline=20))

    def edited(_: tuple[str, str]) -> tuple[Check, ...]:
        dash_shop.box.root("echo '<?php // theirs' >> /srv/shop/.maintenance")
        return ()

    with pytest.raises(StateUnknown):
        dash_shop.promote(dash_shop.release(), edited, Patience(staging=60, after_deadline=0))
    with pytest.raises(StateUnknown, match=r"\.maintenance was changed by somebody else") as stuck:
        recover(dash_shop.box, dash_shop.site, None, Silent(), sh=dash_shop.sh)
    assert typed_by_hand(str(stuck.value))
    dash_shop.box.root("rm /srv/shop/.maintenance")
    wait_until(lambda: state(dash_shop.box, dash_shop.site).unfinished == ())
    dash_shop.assert_old(tables)


def test_the_shop_is_closed_only_after_cron_was_seen_to_start_the_watchdog(dash_shop: Shop) -> None:
    approved = dash_shop.release()
    tables = dash_shop.tables()
    dash_shop.site = replace(dash_shop.site, promote=PromoteSettings(drain=2, deadline=100))
    dash_shop.box.root("service cron stop")
    try:
        with pytest.raises(PromotionRefused, match=r"promote: \{without_restarter: true\}"):
            dash_shop.promote(approved, restarter=2)
        dash_shop.assert_old(tables)
    finally:
        dash_shop.box.root("service cron start")

    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        folder = f"/home/deploy/.updater/runs/{approved.release.run}"
        assert dash_shop.box.root(f"find {folder}/closed-at -newer {folder}/restarter-seen").strip()
        return dash_shop.passes(cookie)

    # The same approval is good once the cause is mended.
    assert dash_shop.promote(approved, check, restarter=RESTARTER).state == "promoted"
    dash_shop.assert_new()


@pytest.mark.parametrize(
    ("tool", "pattern"), [("dd", "'done opened'"), ("mv", "'finished.tmp'"), ("mv", "'lock.released'")]
)
def test_what_ended_and_was_killed_lets_go_of_crontab_and_lock(dash_shop: Shop, tool: str, pattern: str) -> None:
    dash_shop.trap(tool, pattern, KILL_BOTH, after=tool == "dd")
    assert dash_shop.promote(dash_shop.release()).state == "promoted"
    assert dash_shop.box.root("ls /home/deploy/sprung").strip(), "the trap was never reached"
    dash_shop.assert_new()


def test_the_next_promotion_takes_over_from_one_that_ended_and_kept_lock_and_crontab_line(dash_shop: Shop) -> None:
    done = dash_shop.release()
    assert dash_shop.promote(done).state == "promoted"
    folder = f"/home/deploy/.updater/runs/{done.release.run}"
    lock = "/home/deploy/.updater/lock"
    dash_shop.box.root(f"mkdir {lock} && echo run={done.release.run} > {lock}/owner && chown -R deploy {lock}")
    line = f"0 0 1 1 * CRON=1 sh {folder}/transaction.sh watch # updater {done.release.run}\n"
    dash_shop.box.run(["crontab", "-"], stdin=(CRONTAB + line).encode())
    assert state(dash_shop.box, dash_shop.site).unfinished == (done.release.run,)
    # Its files are the new ones already: it was let in, and refused for that.
    with pytest.raises(Drifted):
        dash_shop.promote(dash_shop.release())
    dash_shop.assert_new()


@pytest.mark.faults
def test_cron_brings_back_a_watchdog_that_was_killed_with_everything(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    dash_shop.trap("dd", "'done swapped'", KILL_BOTH)
    assert dash_shop.promote(dash_shop.release()).state == "rolled_back"
    dash_shop.assert_old(tables)


def test_what_cron_started_stands_by_and_takes_over_at_once(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    approved = dash_shop.release()
    folder = f"/home/deploy/.updater/runs/{approved.release.run}"
    dash_shop.box.root("service cron stop")

    def killed_beside_a_standby(_: tuple[str, str]) -> tuple[Check, ...]:
        # As cron would, a moment before.
        watch = ["dash", f"{folder}/transaction.sh", "watch"]
        subprocess.run(["docker", "exec", "-d", "-u", "deploy", "-e", "CRON=1", dash_shop.box.name, *watch], check=True)
        wait_until(lambda: dash_shop.box.root(f"ls {folder}/restarter-seen 2>/dev/null || true") != "")
        dash_shop.box.run(["sh", "-c", f'kill -9 "$(cat {folder}/watch.pid)" "-$(cat {folder}/actor.pid)"'])
        return (Check("home", "production", Status.FAILED, "no price"),)

    try:
        outcome = dash_shop.promote(approved, killed_beside_a_standby, Patience(staging=60, after_deadline=5))
    finally:
        dash_shop.box.root("service cron start")
    assert outcome.state == "rolled_back"
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_all_killed_at_the_last_moment_the_shop_is_open_by_its_deadline(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    limit = 90
    dash_shop.site = replace(dash_shop.site, promote=PromoteSettings(drain=2, deadline=limit))
    last = rolls_back_after(limit, restarted=True)

    def killed(_: tuple[str, str]) -> tuple[Check, ...]:
        closed = float(dash_shop.box.root("cat /home/deploy/.updater/runs/*/closed-at"))
        wait_until(lambda: time.time() > closed + last - 2)
        dash_shop.box.root("for pid in $(pgrep -u deploy -f transaction.sh); do kill -9 $pid; done")
        wait_until(lambda: dash_shop.box.get()[0] == 200, seconds=limit)
        assert time.time() - closed < limit
        return ()

    outcome = dash_shop.promote(dash_shop.release(), killed, restarter=RESTARTER)
    assert outcome.state == "rolled_back"
    assert last < outcome.closed_seconds < limit
    dash_shop.assert_old(tables)


@contextmanager
def without_flock(box: Container) -> Iterator[None]:
    box.root("mv /usr/bin/flock /root/")
    try:
        yield
    finally:
        box.root("mv /root/flock /usr/bin/")


def test_without_the_program_flock_phps_locks_keep_the_watchdog_off_and_let_it_in(shop: Shop) -> None:
    tables = shop.tables()
    with without_flock(shop.box):
        # Had the process not held its lock, the watchdog would have undone this.
        assert shop.promote(shop.release()).state == "promoted"
        shop.assert_new()
        shop = fresh(shop.box, shop.folder, shop.sh)
        # Had its death not freed it, nobody would.
        shop.trap("dd", "'done swapped'", KILL_MAIN)
        outcome = shop.promote(shop.release())
        assert (outcome.state, outcome.reason) == ("rolled_back", "the process on the server was gone")
        shop.assert_old(tables)


@pytest.mark.faults
@pytest.mark.parametrize("verb", ["start", "confirm", "follow"])
def test_a_reply_that_is_lost_after_the_act_is_asked_for_again(dash_shop: Shop, verb: str) -> None:
    forgetful = Forgetful(dash_shop.box.name, verb=verb)
    outcome = promote(
        forgetful, dash_shop.site, dash_shop.installation, dash_shop.release(), dash_shop.passes, Silent(),
        gate=GATE, purge=PURGE, sh=dash_shop.sh, reconnect=lambda _: nullcontext(dash_shop.box),
    )  # fmt: skip
    assert forgetful.lost
    assert outcome.state == "promoted", outcome.reason
    dash_shop.assert_new()


@pytest.mark.faults
def test_a_lost_reply_to_a_rollback_does_not_start_it_twice(dash_shop: Shop) -> None:
    tables = dash_shop.tables()
    approved = dash_shop.release(steps=())
    assert dash_shop.promote(approved).state == "promoted"
    forgetful = Forgetful(dash_shop.box.name, verb="rollback")
    outcome = rollback(
        forgetful, dash_shop.site, dash_shop.installation, approved.release.run, Silent(),
        gate=GATE, sh=dash_shop.sh, reconnect=lambda _: nullcontext(dash_shop.box),
    )  # fmt: skip
    assert forgetful.lost
    assert outcome.state == "rolled_back", outcome.reason
    dash_shop.assert_old(tables)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("tool", "pattern"), [("mv", "'journal.promoted'"), ("dd", "'decided old'"), ("dd", "'begin swapped'")]
)
def test_a_rollback_that_dies_before_it_touched_anything_can_be_asked_for_again(
    dash_shop: Shop, tool: str, pattern: str
) -> None:
    tables = dash_shop.tables()
    approved = dash_shop.release(steps=())
    assert dash_shop.promote(approved).state == "promoted"
    plain = dash_shop.sh
    # The shell that was asked, and nothing else: no watchdog runs yet.
    dash_shop.trap(tool, pattern, 'kill -9 "$(cat "$run/actor.pid")"')
    arguments = (dash_shop.box, dash_shop.site, dash_shop.installation, approved.release.run, Silent())
    with pytest.raises((CommandFailed, StateUnknown)):
        rollback(*arguments, gate=GATE, sh=dash_shop.sh)
    assert dash_shop.box.root("ls /home/deploy/sprung").strip(), "the trap was never reached"
    dash_shop.sh = plain
    assert dash_shop.box.get() == (200, "shop 2.0 rows 2")
    assert rollback(*arguments, gate=GATE, sh=plain).state == "rolled_back"
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_open_opens_at_once_and_recover_ends_the_rest(dash_shop: Shop) -> None:
    tables = dash_shop.tables()

    def emergency(_: tuple[str, str]) -> tuple[Check, ...]:
        open_shop(dash_shop.box, dash_shop.site, Silent(), sh=dash_shop.sh)
        assert dash_shop.box.get()[0] == 200
        return ()

    assert dash_shop.promote(dash_shop.release(), emergency).state == "rolled_back"
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_an_open_that_cannot_take_the_gate_away_says_what_to_type(dash_shop: Shop) -> None:
    tables = dash_shop.tables()

    def edited(_: tuple[str, str]) -> tuple[Check, ...]:
        dash_shop.box.root("echo '<?php // theirs' >> /srv/shop/.maintenance")
        with pytest.raises(StateUnknown, match="gate could not be removed") as stuck:
            open_shop(dash_shop.box, dash_shop.site, Silent(), sh=dash_shop.sh)
        assert typed_by_hand(str(stuck.value))
        dash_shop.box.root("rm /srv/shop/.maintenance")
        return ()

    assert dash_shop.promote(dash_shop.release(), edited).state == "rolled_back"
    dash_shop.assert_old(tables)


@pytest.mark.faults
def test_a_database_that_is_restarted_during_a_migration_is_waited_for(dash_shop: Shop) -> None:
    tables = dash_shop.tables()

    def restart(_: tuple[str, str]) -> tuple[Check, ...]:
        dash_shop.box.root("mariadb-admin shutdown")
        subprocess.Popen(
            ["docker", "exec", "-d", dash_shop.box.name, "sh", "-c", "sleep 4; exec mariadbd-safe --skip-networking"]
        )
        return (Check("home", "production", Status.FAILED, "the database is away"),)

    assert dash_shop.promote(dash_shop.release(), restart).state == "rolled_back"
    wait_until(lambda: dash_shop.box.get()[0] == 200)
    dash_shop.assert_old(tables)
