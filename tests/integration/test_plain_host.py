"""A host that has PHP and little else: what its missing programs did is done by its PHP, as exactly."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import test_transaction
from live_server import LiveServer
from test_transaction import Container, Shop, fresh, step

from updater.errors import CloneFailed
from updater.log import Silent
from updater.model import Check, Migration, Status
from updater.production.clone import clone
from updater.production.host import Host
from updater.production.probe import ROWS, _Tried

container = test_transaction.container


@contextmanager
def without_dump_client(live: LiveServer) -> Iterator[None]:
    live.root("mv /usr/bin/mariadb-dump /usr/bin/hidden")
    try:
        yield
    finally:
        live.root("mv /usr/bin/hidden /usr/bin/mariadb-dump")


def sql(statement: str) -> str:
    return f'mariadb shop -e "{statement}"'


@pytest.mark.parametrize(
    ("row", "take", "give_back", "status", "why"),
    [
        ("copy files", "mv /usr/bin/rsync /root/", "mv /root/rsync /usr/bin/", "fallback", "tar over ssh"),
        ("programs", "mv /usr/bin/cmp /root/", "mv /root/cmp /usr/bin/", "refused", "needs cmp"),
        ("lock", "mv /usr/bin/flock /root/", "mv /root/flock /usr/bin/", "fallback", "PHP's held a lock"),
        ("background", "mv /usr/bin/setsid /root/", "mv /root/setsid /usr/bin/", "refused", "no setsid"),
        ("cron", "mv /usr/bin/crontab /root/", "mv /root/crontab /usr/bin/", "refused", "no crontab"),
        (
            "grants",
            sql("REVOKE ALTER ON shop.* FROM shop@localhost"),
            sql("GRANT ALTER ON shop.* TO shop@localhost"),
            "refused",
            "clone only: the database user lacks ALTER",
        ),
        (
            "grants",
            sql("REVOKE SELECT ON shop.* FROM shop@localhost"),
            sql("GRANT SELECT ON shop.* TO shop@localhost"),
            "refused",
            "may not read",
        ),
        (
            "engines",
            sql("CREATE TABLE shop_my (a INT) ENGINE = MyISAM"),
            sql("DROP TABLE shop_my"),
            "fallback",
            "shop_my",
        ),
        ("database", sql("CREATE TABLE blog_a (a INT)"), sql("DROP TABLE blog_a"), "fallback", "never touched: blog_"),
        ("deployment", "mkdir /srv/shop/.git", "rmdir /srv/shop/.git", "refused", "/srv/shop/.git"),
    ],
)
def test_what_a_server_lacks_is_said_with_what_follows(
    live: LiveServer, host: Host, row: str, take: str, give_back: str, status: str, why: str
) -> None:
    tried = _Tried(host, live.site, live.installation)
    host.run(["mkdir", "-p", tried.work])
    assert ROWS[row](tried)[0] == "proven"
    live.root(take)
    try:
        now, said = ROWS[row](_Tried(host, live.site, live.installation))
    finally:
        live.root(give_back)
    assert (now, why in said) == (status, True), said


def test_a_work_folder_on_another_file_system_is_refused(live: LiveServer, host: Host) -> None:
    site = replace(live.site, server=replace(live.server, work="/dev/shm/updater"))
    host.run(["mkdir", "-p", "/dev/shm/updater"])
    status, said = ROWS["work folder"](_Tried(host, site, live.installation))
    assert (status, "different file systems: set server.work" in said) == ("refused", True), said


# One of each kind, with the values that a careless dump loses.
KINDS = r"""
GRANT ALL ON shop.* TO shop@localhost; GRANT SELECT ON mysql.proc TO shop@localhost; USE shop;
CREATE TABLE shop_kinds (id INT AUTO_INCREMENT PRIMARY KEY, f FLOAT, d DOUBLE, n DECIMAL(20,10), b BIT(9), y YEAR, z INT(5) ZEROFILL,
  bin BINARY(4), vb VARBINARY(300), bl LONGBLOB, t TEXT, j JSON, e ENUM('да','x''y'), s SET('a','b'), dt DATETIME(6), ts TIMESTAMP NULL,
  p POINT, big BIGINT UNSIGNED, g INT AS (z + 1) STORED, v INT AS (z + 2) VIRTUAL, `odd ``"' name` INT) DEFAULT CHARSET utf8mb4;
SET sql_mode = ''; SET time_zone = '+05:00';
INSERT INTO shop_kinds (f, d, n, b, y, z, bin, vb, bl, t, j, e, s, dt, ts, p, big, `odd ``"' name`) VALUES
  (1.2345678, 0.1e-300, -1234567890.0123456789, b'100000001', 2026, 7, x'00ff0a27', x'', x'0001275c0a0d1aff',
   CONCAT('it''s \\ ', CHAR(0), '\n', CHAR(26), '🛒'), '{"a": "\\u0420"}', 'да', 'a,b',
   '0000-00-00 00:00:00', '2026-03-29 01:30:00', ST_GeomFromText('POINT(1 2)'), 18446744073709551615, 1),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (16777217, 1e308, 0, b'0', 0, 0, 'a', 'b', '', '', '[]', '', '', '1970-01-01', '1970-01-01 10:00:00', NULL, 0, 0);
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO shop_kinds (id, t) VALUES (0, 'zero'); ALTER TABLE shop_kinds AUTO_INCREMENT = 4711;
CREATE TABLE shop_old (t VARCHAR(50), KEY (t)) ENGINE = MyISAM DEFAULT CHARSET cp1251; INSERT INTO shop_old VALUES ('Ёлка №5 «да»');
CREATE TABLE shop_none (g INT AS (1) VIRTUAL); CREATE TABLE shop_empty (a INT);
CREATE TABLE shop_long (id INT PRIMARY KEY, b LONGBLOB); INSERT INTO shop_long VALUES (1, REPEAT(x'00ff', 1500000)), (2, 'x');
"""
PROGRAMS = r"""
CREATE TABLE shop_b_table (id INT); CREATE VIEW shop_z AS SELECT t FROM shop_old; CREATE VIEW shop_b AS SELECT t AS `o``dd` FROM shop_z;
DELIMITER //
CREATE TRIGGER shop_t BEFORE INSERT ON shop_empty FOR EACH ROW BEGIN SET NEW.a = NEW.a + 1; SET NEW.a = NEW.a; END//
CREATE PROCEDURE shop_p() BEGIN SELECT 1; SELECT 2; END//
CREATE FUNCTION shop_f(a INT) RETURNS INT DETERMINISTIC RETURN a + 1//
CREATE EVENT shop_e ON SCHEDULE EVERY 1 YEAR DO BEGIN SELECT 1; SELECT 2; END//
DELIMITER ;
"""


def test_a_dump_by_php_is_the_database_itself(live: LiveServer, host: Host, tmp_path: Path) -> None:
    said: list[str] = []

    class Said(Silent):
        def say(self, message: str) -> None:
            said.append(message)

    load = 'printf "%s" "$SQL" | mariadb --default-character-set=utf8mb4 shop'
    live.root(load, SQL=KINDS)
    live.root(load, SQL=PROGRAMS)
    with without_dump_client(live):
        assert ROWS["dump"](_Tried(host, live.site, live.installation))[0] == "fallback"
        snapshot = clone(
            host,
            live.site,
            live.installation,
            live.layout,
            live.platform,
            "one",
            tmp_path / "m",
            tmp_path / "one",
            Said(),
        )
    assert any("by PHP" in line for line in said)
    sql = gzip.decompress(snapshot.dump.read_bytes())
    assert b"DEFINER=" not in sql
    assert sql.endswith(b"-- Dump completed\n-- updater: complete\n")
    live.root("mariadb -e 'CREATE DATABASE restored'")
    with snapshot.dump.open("rb") as dump:
        host.stream(["sh", "-c", "cat > dump.gz"], open("/dev/null", "wb"), stdin=dump)  # noqa: SIM115
    assert live.root("zcat ~deploy/dump.gz | mariadb --binary-mode restored 2>&1") == ""
    names = live.root("mariadb -N shop -e \"SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'\"").split("\n")
    tables = [line.split("\t")[0] for line in names if not line.startswith("shop_sessions")]
    assert {"shop_kinds", "shop_old", "shop_none", "shop_long", "shop_goods"} <= set(tables)

    def seen(database: str) -> str:
        sums = live.root(f"mariadb -N {database} -e 'CHECKSUM TABLE {','.join(tables)} EXTENDED'")
        shapes = live.root(f"mariadb-dump --no-data --routines --events --skip-comments {database}")
        return sums.replace(f"{database}.", "") + shapes.replace(" DEFINER=`root`@`localhost`", "").replace(
            "/*!50017 DEFINER=`root`@`localhost`*/", ""
        ).replace(" DEFINER=`shop`@`localhost`", "")

    # Text is told in utf8mb4: that a view was once typed in another encoding is not kept, and changes nothing of it.
    other = re.compile("DEFINER|SET character_set_|SET collation_connection")
    before, after = (
        [line for line in seen(name).splitlines() if not other.search(line)] for name in ("shop", "restored")
    )
    assert before == after
    assert live.root("mariadb -N restored -e 'SELECT COUNT(*) FROM shop_sessions'") == "0", "volatile: without rows"
    assert "Ёлка №5 «да»" in live.root("mariadb --default-character-set=utf8mb4 -N restored -e 'SELECT * FROM shop_b'")
    live.root("mariadb -e 'DROP DATABASE restored'")


def test_a_dump_by_php_that_ends_early_is_never_taken_for_whole(live: LiveServer, host: Host, tmp_path: Path) -> None:
    """The database goes away in the middle of a table: what came of it looks like a table that was read to its end."""
    live.root("mariadb shop -e 'CREATE TABLE shop_slow (a INT, t LONGTEXT)'")
    live.root("mariadb shop -e \"INSERT INTO shop_slow SELECT seq, REPEAT('x', 20000) FROM seq_1_to_3000\"")
    kill = (
        "for i in $(seq 400); do id=$(mariadb -N -e \"SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%FROM \\`shop_slow\\`%' "
        'AND ID <> CONNECTION_ID()" | head -1); [ -n "$id" ] && mariadb -e "KILL $id" && break; done'
    )
    try:
        with without_dump_client(live):
            live.root(
                f"setsid sh -c '{kill.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}' >/dev/null 2>&1 &"
            )
            with pytest.raises(CloneFailed, match=r"could not be dumped|cut short"):
                clone(
                    host,
                    live.site,
                    live.installation,
                    live.layout,
                    live.platform,
                    "one",
                    tmp_path / "m",
                    tmp_path / "one",
                    Silent(),
                )
    finally:
        live.root("mariadb shop -e 'DROP TABLE shop_slow'")
    assert not list((tmp_path / "one").iterdir())


@pytest.fixture
def shop(container: Container, tmp_path: Path) -> Shop:
    return fresh(container, tmp_path, ("dash",))


@pytest.mark.parametrize("client", [True, False])
def test_tables_that_cannot_be_copied_come_back_to_the_last_digit(shop: Shop, client: bool) -> None:
    """Foreign keys: by dump. The client's rounds a FLOAT, and not every server has a client."""
    box = shop.box
    sql = (
        "ALTER TABLE shop_parent ADD f FLOAT, ADD b LONGBLOB, ADD t TEXT CHARACTER SET cp1251;"
        "UPDATE shop_parent SET f = 1.2345678, b = x'00ff275c0a', t = 'Ёлка';"
        "CREATE DEFINER = shop@localhost TRIGGER shop_t BEFORE INSERT ON shop_child FOR EACH ROW SET NEW.p = NEW.p;"
    )
    box.root("mariadb --default-character-set=utf8mb4 shop", sql.encode())
    if not client:
        box.root("rm -rf /few; mkdir /few; ln -s /usr/bin/* /few/; rm -f /few/mariadb* /few/mysql* /few/*/mariadb*")
        shop.sh = ("env", "PATH=/few", *shop.sh)
    tables = shop.tables()
    migration = Migration(
        steps=(step("widen", "ALTER TABLE shop_child ADD x INT", "DELETE FROM shop_child", "DELETE FROM shop_parent"),),
        changed_tables=("shop_child", "shop_parent"),
    )
    fails = Check("home", "production", Status.FAILED, "no price")
    outcome = shop.promote(shop.release(migration=migration), lambda _: (fails,))
    assert (outcome.state, outcome.reason.endswith("no price")) == ("rolled_back", True), outcome.reason
    run = box.root("ls -t /home/deploy/.updater/runs").split()[0]
    assert "done restored" in box.root(f"cat /home/deploy/.updater/runs/{run}/journal")
    shop.assert_old(tables)
