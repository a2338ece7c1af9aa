"""A promotion into a shop full of traps, on a real web server and database: nothing of it runs, leaks, or leaves the docroot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import test_transaction
from test_transaction import GATE, KILL_MAIN, Container, Shop, digest, fresh, step

from updater.errors import Drifted, PromotionRefused
from updater.log import Silent
from updater.model import Check, Migration, Status
from updater.production.transaction import rollback

container = test_transaction.container

COMMANDS = "\\! touch pwned\nsystem touch pwned\n\\. /tmp/evil\nsource /tmp/evil\n"
TABLE = "shop_`'\"$(touch pwned)\n\\! touch pwned\n-- -x"
QUOTED = "`" + TABLE.replace("`", "``") + "`"


@pytest.fixture
def shop(container: Container, tmp_path: Path) -> Shop:
    return fresh(container, tmp_path, ("dash",))


def sql(shop: Shop, text: str) -> str:
    return shop.box.root("mariadb --binary-mode -N shop", text.encode())


# ------------------------------------------------------------------------------------------- old code kept aside


def test_old_code_kept_aside_is_given_out_under_no_address(shop: Shop) -> None:
    approved = shop.release(steps=())
    work = "/home/deploy/.updater"

    def given_out(cookie: str = "") -> str:
        kept = [path for path in shop.box.root(f"find {work} -type f -path '*/old/*' -print0").split("\0") if path]
        asked = [f"http://127.0.0.1/{part}" for path in kept for part in suffixes(path)]
        assert any(url.endswith("/old/0000/-rf") for url in asked), "the old code is kept there"
        script = f"xargs -0 curl -s -H 'Host: shop.test' -b '{cookie}' | grep -aF '1.0' || true"
        return shop.box.root(script, "\0".join(asked).encode("utf-8", "surrogateescape"))

    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        assert given_out("=".join(cookie)) == "", "not even to whom the gate lets through"
        return shop.passes(cookie)

    assert shop.promote(approved, check).state == "promoted"
    shop.assert_new(rows=2)
    assert given_out() == ""
    # The same look would see it: the web server runs as the user who owns the old code.
    shop.box.root(f"ln -s {work} /srv/shop/seen")
    try:
        assert shop.box.get(f"/seen/runs/{approved.release.run}/old/0000/-rf") == (200, "dash 1.0\n")
    finally:
        shop.box.root("rm /srv/shop/seen")


def suffixes(path: str) -> list[str]:
    """Below whatever folder above it a web server might begin."""
    parts = path.strip("/").split("/")
    return [quote("/".join(parts[cut:]), errors="surrogateescape") for cut in range(len(parts))]


# ------------------------------------------------------------------------------------------------ links that lead out


def test_what_a_link_in_a_unit_points_at_is_neither_read_nor_written(shop: Shop) -> None:
    """The link itself is of neither version: it is carried over as a link, and its target never looked into."""
    box = shop.box
    box.root(
        "rm -rf /home/deploy/outside; mkdir /home/deploy/outside; echo ours > /home/deploy/outside/secret; "
        "chown -R deploy: /home/deploy/outside; su deploy -c 'ln -s /home/deploy/outside /srv/shop/lib/cache/out; "
        "ln -s /home/deploy/outside/secret /srv/shop/lib/file; ln -s nowhere /srv/shop/lib/dangling'"
    )
    seen = "find /home/deploy/outside -printf '%p %i %T@ %s\\n'; cat /home/deploy/outside/secret"
    before = box.root(seen)
    approved = shop.release(steps=())
    assert shop.promote(approved).state == "promoted"
    links = "find /srv/shop -type l -printf '%P>%l\\n' | sort"
    assert (
        box.root(links)
        == "lib/cache/out>/home/deploy/outside\nlib/dangling>nowhere\nlib/file>/home/deploy/outside/secret\n"
    )
    assert box.root(seen) == before
    assert box.root("find /home/deploy/.updater -name secret") == "", "not copied either"
    assert rollback(box, shop.site, shop.installation, approved.release.run, Silent(), gate=GATE).state == "rolled_back"
    assert len(box.root(links).splitlines()) == 3
    assert box.root(seen) == before


@pytest.mark.parametrize("place", ["lib/removed", "lib/deep"])
def test_a_folder_of_the_release_that_became_a_link_is_drift(shop: Shop, place: str) -> None:
    """One holds a file that the release deletes, below the other it makes one: both would happen where the link points."""
    box = shop.box
    approved = shop.release(steps=())
    box.root(
        f"rm -rf /home/deploy/outside; mkdir /home/deploy/outside; [ ! -d /srv/shop/{place} ] || cp /srv/shop/{place}/* "
        f"/home/deploy/outside; rm -rf /srv/shop/{place}; chown -R deploy: /home/deploy/outside; "
        f"su deploy -c 'ln -s /home/deploy/outside /srv/shop/{place}'"
    )
    seen = "find /home/deploy/outside -printf '%p %i %T@ %s\\n'"
    before = box.root(seen)
    with pytest.raises(Drifted, match=f"{place} is a link"):
        shop.promote(approved)
    assert box.root(seen) == before
    shop.assert_clean()


def test_a_unit_behind_a_link_out_of_the_docroot_is_refused(shop: Shop) -> None:
    shop.box.root(
        "rm -rf /home/deploy/outside; mv /srv/shop/lib /home/deploy/outside; su deploy -c 'ln -s /home/deploy/outside /srv/shop/lib'"
    )
    with pytest.raises((PromotionRefused, Drifted), match="link"):
        shop.promote(shop.release(steps=()))
    assert shop.box.root("cat /home/deploy/outside/-rf") == "dash 1.0\n"


# --------------------------------------------------------------------------------------- dumps on the way back


def test_rows_and_names_that_look_like_commands_come_back_and_run_nothing(shop: Shop) -> None:
    """Tables with foreign keys go by dump and client: the way on which a command could be obeyed."""
    box = shop.box
    rows = (COMMANDS + "*/; DROP TABLE shop_options; -- \\n'\"`").replace("\\", "\\\\").replace("'", "''")
    box.root("echo 'system touch pwned' > /tmp/evil")
    sql(
        shop,
        f"CREATE TABLE {QUOTED} (`a\n\\! touch pwned` INT PRIMARY KEY, t TEXT COMMENT '{rows}', "
        f"FOREIGN KEY (`a\n\\! touch pwned`) REFERENCES shop_parent (id)) COMMENT '\n\\! touch pwned';\n"
        f"INSERT INTO {QUOTED} VALUES (1, '{rows}');\n"
        f"CREATE DEFINER = shop@localhost TRIGGER `shop_t\n\\! touch pwned` BEFORE INSERT ON {QUOTED} FOR EACH ROW SET NEW.t = '{rows}';\n",
    )
    tables = sql(shop, f"CHECKSUM TABLE {QUOTED}, shop_parent, shop_child; SHOW CREATE TABLE {QUOTED};\n")
    migration = Migration(
        steps=(
            step(
                "hostile",
                f"SET @s = CONVERT(0x{f'DELETE FROM {QUOTED}'.encode().hex()} USING utf8mb4)",
                "PREPARE hostile FROM @s",
                "EXECUTE hostile",
                "DELETE FROM shop_child",
                "DELETE FROM shop_parent",
            ),
        ),
        changed_tables=(TABLE, "shop_child", "shop_parent"),
    )

    def fails(_: tuple[str, str]) -> tuple[Check, ...]:
        assert sql(shop, f"SELECT COUNT(*) FROM {QUOTED};\n") == "0\n", "the migration took everything"
        return (Check("home", "production", Status.FAILED, "no price"),)

    outcome = shop.promote(shop.release(migration=migration), fails)
    assert outcome.state == "rolled_back", outcome.reason
    assert outcome.reason.endswith("no price")
    assert sql(shop, f"CHECKSUM TABLE {QUOTED}, shop_parent, shop_child; SHOW CREATE TABLE {QUOTED};\n") == tables
    assert "BEFORE INSERT" in sql(shop, "SHOW TRIGGERS;\n").replace("INSERT\t", "BEFORE INSERT\t")
    assert box.root("find / -xdev -name 'pwned*'") == ""
    assert box.get() == (200, "shop 1.0 rows 2")
    shop.assert_clean()


def test_a_trigger_that_could_not_be_put_back_is_refused_before_closing(shop: Shop) -> None:
    """A dump's trigger keeps its DEFINER, which only an administrator may set: the way back would stand still, closed."""
    sql(shop, "CREATE TRIGGER shop_t BEFORE INSERT ON shop_child FOR EACH ROW SET NEW.id = NEW.id;\n")
    tables = shop.tables()
    with pytest.raises(PromotionRefused, match="shop_t of shop_child belongs to root@localhost"):
        shop.promote(shop.release())
    shop.assert_old(tables)
    sql(shop, "DROP TRIGGER shop_t;\n")


# ------------------------------------------------------------------------------------------------ one-time PHP files


def test_one_time_php_files_are_gone_when_what_made_them_was_killed_while_they_stood(shop: Shop) -> None:
    tables = shop.tables()
    stood = "/home/deploy/stood"
    shop.box.root(f"rm -f {stood}")
    # In place of the real one: started, and killed once its file is seen to stand in the docroot, where it is asked for in
    # milliseconds; so that they last, the server's processes (deploy's own here) stand still meanwhile.
    web = "for pid in $(grep -lx apache2 /proc/[0-9]*/comm | tr -dc '0-9\\n'); do kill -{} $pid 2>/dev/null; done"
    shop.trap(
        "php",
        "' carry'",
        f'{web.format("STOP")}; "$real" -f "$run/transaction.php" -- "$run" opcache & '
        f"until ls /srv/shop/updater-*.php >{stood} 2>/dev/null; do :; done; kill -9 $!; {web.format('CONT')}; {KILL_MAIN}",
    )
    outcome = shop.promote(shop.release())
    assert outcome.state == "rolled_back"
    assert shop.box.root(f"cat {stood}").startswith("/srv/shop/updater-"), "it stood when its maker was killed"
    shop.assert_old(tables)


def test_a_one_time_php_file_answers_only_with_its_token(shop: Shop) -> None:
    """Their names are unguessable, and whoever learnt one anyway (a log, a listing) gets nothing."""
    box, copied = shop.box, "/srv/copied"
    witness, ini = "/srv/witness.php", "/etc/php/8.2/apache2/conf.d/99-witness.ini"
    # It stands for milliseconds. PHP itself copies what it is asked to run, before it runs it.
    kept = f"<?php copy($_SERVER['SCRIPT_FILENAME'], '{copied}/' . basename($_SERVER['SCRIPT_FILENAME']));\n"
    box.root(f"rm -rf {copied}; install -d -o deploy {copied}; cat > {witness}", kept.encode())
    box.root(f"echo auto_prepend_file={witness} > {ini}; apachectl graceful")
    try:
        assert shop.promote(shop.release()).state == "promoted"
    finally:
        box.root(f"rm {ini} {witness}; apachectl graceful")
    names = box.root(f"cd {copied} && grep -lF '\"off\");' *").split()
    assert names
    for name in names:
        assert len(name.removeprefix("updater-").split("-")[1].removesuffix(".php")) * 4 >= 128
        box.root(f"install -m 644 {copied}/{name} /srv/shop/{name}")
        assert box.get(f"/{name}") == (404, "")
        box.root(f"rm /srv/shop/{name}")


# ------------------------------------------------------------------------------------------------------ the token


def test_the_tokens_of_two_runs_differ_and_neither_is_readable_on_the_server(shop: Shop) -> None:
    tokens: list[str] = []

    def check(cookie: tuple[str, str]) -> tuple[Check, ...]:
        tokens.append(cookie[1])
        assert shop.box.root("grep -rlF -f - /home/deploy /srv/shop /var/log /tmp || true", cookie[1].encode()) == ""
        hashed = digest(cookie[1])
        assert shop.box.root("cat /srv/shop/.gate-token") == hashed
        assert shop.box.get(cookie=f"pass={hashed}")[0] == 503, "the hash is no key"
        return (Check("home", "production", Status.FAILED, "enough was seen"),)

    for _ in range(2):
        assert shop.promote(shop.release(steps=()), check).state == "rolled_back"
    assert len(set(tokens)) == 2
    assert all(len(token) * 6 >= 128 for token in tokens)


def test_a_work_folder_inside_the_docroot_is_refused_by_the_server_too(shop: Shop) -> None:
    shop.site = replace(shop.site, server=replace(shop.site.server, work="/srv/shop/lib/work"))
    with pytest.raises(PromotionRefused, match="inside the docroot"):
        shop.promote(shop.release(steps=()))
    assert shop.box.root("grep -rlF 'ss\\\\word' /srv/shop/lib/work || true") == ""
