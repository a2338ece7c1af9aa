"""A mean shared host: hardly any programs, neighbours in the database, secrets and customers planted in the shop, names that a
shell would run, and a link to a file of this machine. One whole run over it, of a good update and a broken one, and then every place
where something could have come to lie.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import broken_gallery
import pytest
from mean_host import DOCUMENTS, LEGACY, PICTURE, PLUGINS, make_mean, neighbours

from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import ExitCode

SECRETS = {
    "database password": "Pl4nted-db-k3y-e71",
    "salt": "Pl4nted-salt-9bd0f2c4a6",
    "payment key": "sk_live_Pl4nted51Hq8",
    "key in an option": "whsec_Pl4nted77Zx",
    "messenger token": "Pl4nted-bot-token-33",
    "this machine's file": "Pl4nted-local-file-08",
}
PEOPLE = {
    "name": "Филимон Подсадный",
    "email": "filimon.pl4nted@pochta.example",
    "phone": "+7 (495) 777-31-97",
    "phone, digits": "74957773197",
    "address": "Подсадная улица, 97",
}
PLUGIN = 'it\'s "$(touch pwned)"\n-x'
"""A plugin's folder, and a table and an upload of that name too"""
TABLE = "sh_x'\"$(touch pwned)\n\\! touch pwned"


@dataclass
class Watch:
    """Every argument list on this machine while a block lasts: the server's and staging's are among them."""

    seen: set[bytes] = field(default_factory=set)
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.05):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    try:
                        self.seen.add((process / "cmdline").read_bytes())
                    except OSError:
                        continue  # it ended meanwhile


@dataclass(frozen=True)
class Ended:
    """The whole run: what was printed, the folder it left, and all argument lists that were seen."""

    folder: Path
    printed: str
    record: Mapping[str, Any]
    arguments: bytes
    key: tuple[str, ...]
    """Lines of the deploy key, that are in no other"""
    table: str
    """What `updater check --connect` printed"""
    neighbours: str
    """Checksums of what is not the shop's, before"""
    code: tuple[bytes, bytes]
    """A hash of each of production's files before the run, and when it waited for approval"""

    @property
    def run(self) -> Path:
        return max((self.folder / ".updater" / "runs").iterdir())


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outside") / "secret.php"
    path.write_text(SECRETS["this machine's file"])
    return path


@pytest.fixture(scope="module")
def ended(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory, outside: Path) -> Iterator[Ended]:
    make_mean(lasting_shop)
    plant(lasting_shop, outside)
    folder = tmp_path_factory.mktemp("site")
    site = lasting_shop.write_site(folder, ["demo-shop-1.0", "demo-shop-1.1"])
    text = site.read_text().replace("pages: [/, /shop/, /about/]", "pages: [/]")
    text = text.replace(f"docroot: {DOCROOT}", f"docroot: {DOCUMENTS}")
    # What the wheel's demo does: all pages that the sitemap names, and a minute of waiting for cron.
    text = text.replace("promote:\n", "promote:\n  without_restarter: true\n") + "discover: false\n"
    site.write_text(text + 'notify: ["${MESSENGER}"]\nviewports: {mobile: 375x812}\nwordpress: {own_links: true}\n')
    (good,) = lasting_shop.packages(folder / "other", ["demo-gallery-1.1"])
    broken_gallery.write(good, folder / "packages", "demo_gallery_greeting();")
    before, code = neighbours(lasting_shop), code_of(lasting_shop)
    with Watch() as watch:
        table = typed(folder, ExitCode.DONE, "check", "site.yml", "--connect")
        printed = typed(folder, ExitCode.AWAITING_APPROVAL, "run", "--json")
        tested = code_of(lasting_shop)
        printed += typed(folder, ExitCode.DONE, "approve", "--yes", "--person", "Anna")
        printed += typed(folder, ExitCode.DONE, "status")
    # The first line is the format's own, and alike in every key.
    key = tuple(line for line in lasting_shop.key.read_text().splitlines()[2:] if len(line) > 40)
    record = json.loads((max((folder / ".updater" / "runs").iterdir()) / "run.json").read_text())
    yield Ended(folder, table + printed, record, b"\n".join(watch.seen), key, table, before, (code, tested))


def code_of(shop: DemoShop) -> bytes:
    """A hash of each file, also of those behind the link."""
    listing = f"find {DOCROOT} {PLUGINS} -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum"
    return shop.exec(["sh", "-c", listing])[1]


def typed(folder: Path, code: ExitCode, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "updater.cli", *words],
        cwd=folder,
        env={**os.environ, "MESSENGER": f"json://{SECRETS['messenger token']}@127.0.0.1:9/"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr
    return done.stdout + done.stderr


def plant(shop: DemoShop, outside: Path) -> None:
    config = f"{DOCROOT}/wp-config.php"
    salt, payment = SECRETS["salt"], SECRETS["payment key"]
    script = f"""set -e
sed -i "s/demo-Only-password-7c1/{SECRETS["database password"]}/; s/demo-[0-9a-f]\\{{10\\}}/{salt}/; 2i define('PAYMENT_KEY', '{payment}');" {config}
cd {DOCROOT}/wp-content; mkdir "$NAME"; printf '%s' "<?php // $NAME" > "$NAME/-rf.php"; mv "$NAME" plugins/
printf '<?php\\n/* Plugin Name: Odd\\nVersion: 1.0 */\\n' > "plugins/$NAME/$NAME.php"
mkdir -p uploads; printf x > "uploads/$NAME.jpg"; printf x > "uploads/$(printf 'caf\\351').jpg"
ln -s {outside} linked.php; ln -s {outside.parent} uploads/linked
"""
    shop.sql(f"ALTER USER shop@localhost IDENTIFIED BY '{SECRETS['database password']}'")
    code, said = shop.exec(["env", f"NAME={PLUGIN}", "sh", "-c", script], user=shop.user)
    assert code == 0, said
    escaped = TABLE.replace("`", "``")
    code, said = shop.exec(
        ["mariadb", "--binary-mode", "--default-character-set=utf8mb4", "shop"],
        stdin=f"""CREATE TABLE `{escaped}` (id INT PRIMARY KEY, t TEXT);
INSERT INTO `{escaped}` VALUES (1, '\\\\! touch pwned\nsystem touch pwned\n');
INSERT INTO sh_options (option_name, option_value) VALUES ('payment_settings', '{SECRETS["key in an option"]}');
UPDATE sh_demo_shop_orders SET name = '{PEOPLE["name"]}', email = '{PEOPLE["email"]}', phone = '{PEOPLE["phone"]}',
  address = '{PEOPLE["address"]}';
UPDATE sh_users SET user_email = '{PEOPLE["email"]}', display_name = '{PEOPLE["name"]}' WHERE ID > 1;
INSERT INTO sh_options (option_name, option_value) VALUES ('last_caller', '{PEOPLE["name"]} {PEOPLE["phone, digits"]}');
""".encode(),
    )
    assert code == 0, said


def spellings(text: str) -> set[bytes]:
    """As a file may hold it: plain, for JSON, for HTML, for an address, in base64 (whatever stands before it), in UTF-16."""
    found = {text.encode(), json.dumps(text)[1:-1].encode(), html.escape(text).encode(), quote(text).encode()}
    raw = text.encode()
    found |= {base64.b64encode(b"\0" * shift + raw)[(0, 2, 3)[shift] : -4] for shift in range(3)}
    return found | {text.encode("utf-16-le")}


def found_in(data: bytes, ended: Ended) -> list[str]:
    planted = {**SECRETS, **PEOPLE, **{f"deploy key, line {n}": line for n, line in enumerate(ended.key)}}
    return [what for what, text in planted.items() if any(spelling in data for spelling in spellings(text))]


def left_by(ended: Ended) -> Iterator[Path]:
    """Every file but the copy of production itself: the mirror, and the dump in the run's private folder."""
    state = ended.folder / ".updater"
    for path in sorted(ended.folder.rglob("*")):
        below = path.relative_to(ended.folder)
        if path.is_file() and (state / "mirror") not in path.parents and "snapshot" not in below.parts:
            yield path


def test_the_look_would_see_what_was_planted(ended: Ended) -> None:
    """It was live: all of it is in the copy of production, which nobody but its owner can read."""
    config = (ended.folder / ".updater/mirror/wp-config.php").read_bytes()
    assert {"database password", "salt", "payment key"} <= set(found_in(config, ended))
    dump = zlib.decompress((ended.run / "snapshot" / "database.sql.gz").read_bytes(), wbits=47)
    assert {"key in an option", *PEOPLE} <= set(found_in(dump, ended))
    assert len(ended.key) >= 3
    for folder in (ended.folder / ".updater" / "mirror", ended.run / "snapshot"):
        assert folder.stat().st_mode & 0o077 == 0


def test_the_run_was_whole(ended: Ended) -> None:
    assert ended.record["state"] == "promoted"
    assert b"transaction.php" in ended.arguments, "the server's argument lists were seen"
    assert "migration" in ended.record


def test_the_table_names_each_fallback(ended: Ended) -> None:
    table = " ".join(ended.table.split())
    for said in (
        "/opt/php82/bin/php",
        "tar over ssh",
        "neither mariadb-dump nor mysqldump: by /opt/php82/bin/php itself",
        "never touched: old_",
        "not part of one consistent snapshot: sh_legacy",
        "cloned as links",
        "the media folder behind a link is copied: wp-content/uploads",
        f"code behind a link is copied, and updated where it lies: wp-content/plugins in {PLUGINS}",
    ):
        assert said in table, ended.table
    log = (ended.run / "run.log").read_text()
    assert "copying files by tar: the server has no rsync" in log
    assert "tables by PHP: the server has no client for it" in log


def test_no_argument_list_here_or_there_held_any_of_it(ended: Ended) -> None:
    planted = {**SECRETS, **PEOPLE, **dict(enumerate(ended.key))}
    lists = [line for line in ended.arguments.split(b"\n") if b"test_mean_host" not in line]
    assert [what for what, text in planted.items() if any(text.encode() in line for line in lists)] == []


def test_nothing_that_the_run_printed_logged_or_left_here_holds_any_of_it(ended: Ended) -> None:
    assert found_in(ended.printed.encode(), ended) == []
    looked = {path.relative_to(ended.folder): found_in(path.read_bytes(), ended) for path in left_by(ended)}
    for path in left_by(ended):
        if path.suffix == ".html":
            embedded = b"".join(decoded(path.read_text()))
            assert found_in(embedded, ended) == [], path
    assert {path: found for path, found in looked.items() if found} == {}
    names = {path.name for path in looked}
    assert names >= {"run.log", "run.json", "report.html", "report.md", "junit.xml", "release.tar", "record.json"}
    assert any(path.suffix in (".db", ".sqlite", ".sqlite3") for path in looked), "the journal"


def decoded(page: str) -> Iterator[bytes]:
    for data in re.findall(r"data:[\w/+.-]+;base64,([A-Za-z0-9+/=]+)", page):
        try:
            yield base64.b64decode(data)
        except binascii.Error:
            continue


def test_pictures_are_pixels_and_nothing_else(ended: Ended) -> None:
    pictures = [path for path in left_by(ended) if path.suffix == ".png"]
    assert len(pictures) > 8
    kinds = {kind for path in pictures for kind in chunks(path.read_bytes())}
    assert kinds <= {"IHDR", "IDAT", "IEND", "PLTE", "tRNS", "sRGB", "gAMA", "sBIT", "pHYs"}, "no text, time or Exif"


def chunks(png: bytes) -> Iterator[str]:
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8].decode()
        at += 12 + length


def test_nothing_stays_in_this_machine_s_temporary_folder(ended: Ended) -> None:
    begun = (ended.folder / "site.yml").stat().st_mtime
    mine = [path for path in Path(tempfile.gettempdir()).glob("updater-*") if path.stat().st_mtime >= begun]
    for folder in mine:  # another run of another shop may work beside this one
        for path in folder.rglob("*"):
            assert not path.is_file() or found_in(path.read_bytes(), ended) == []


def test_the_server_s_work_folder_and_logs_hold_none_of_it(ended: Ended, lasting_shop: DemoShop) -> None:
    for folder in ("/home/deploy/.updater", "/var/log", "/tmp", "/var/tmp", "/var/spool/cron"):
        _, packed = lasting_shop.exec(["sh", "-c", f"cd {folder} && tar -cf - . 2>/dev/null"])
        assert len(packed) > 1000
        assert found_in(packed, ended) == [], folder


def test_no_name_was_run_and_no_link_followed(ended: Ended, lasting_shop: DemoShop, outside: Path) -> None:
    assert lasting_shop.exec(["find", "/", "-xdev", "-name", "pwned"])[1] == b""
    assert not list(ended.folder.rglob("pwned"))
    assert not Path("pwned").exists()
    mirror = ended.folder / ".updater" / "mirror"
    assert (mirror / "wp-content" / "linked.php").readlink() == outside
    assert (mirror / "wp-content" / "plugins" / PLUGIN / "-rf.php").read_text() == f"<?php // {PLUGIN}"
    assert [path.name for path in outside.parent.iterdir()] == [outside.name]
    assert outside.read_text() == SECRETS["this machine's file"]
    there = lasting_shop.exec(["cat", f"{DOCROOT}/wp-content/plugins/{PLUGIN}/-rf.php"])[1]
    assert there.decode() == f"<?php // {PLUGIN}"


def test_what_is_not_the_shop_s_is_as_it_was(ended: Ended, lasting_shop: DemoShop) -> None:
    assert neighbours(lasting_shop) == ended.neighbours
    assert lasting_shop.sql("SELECT t FROM sh_legacy") == LEGACY
    assert (ended.folder / ".updater" / "mirror" / PICTURE).is_file()
    assert lasting_shop.exec(["stat", "-c", "%U %N", f"{DOCROOT}/{PICTURE}"])[1].startswith(b"www-data")
    assert lasting_shop.exec(["readlink", f"{DOCROOT}/wp-content/uploads"])[1] == b"/home/deploy/disk/uploads\n"


def test_a_plugin_behind_a_link_is_updated_where_it_lies(ended: Ended, lasting_shop: DemoShop) -> None:
    assert lasting_shop.exec(["readlink", f"{DOCROOT}/wp-content/plugins"])[1].decode() == f"{PLUGINS}\n"
    assert b"Version: 1.1" in lasting_shop.exec(["cat", f"{PLUGINS}/demo-shop/demo-shop.php"])[1]
    mirror = ended.folder / ".updater" / "mirror" / "wp-content" / "plugins"
    assert mirror.is_dir() and not mirror.is_symlink()


def test_the_broken_update_is_held_and_leaves_the_mean_host_as_it_was(ended: Ended, lasting_shop: DemoShop) -> None:
    before, tested = ended.code
    assert tested == before
    outcomes = {it["slug"]: (it["outcome"], it["reason"]) for it in ended.record["updates"]}
    assert outcomes["demo-shop"][0] == "promoted"
    outcome, reason = outcomes["demo-gallery"]
    assert outcome == "held"
    assert "demo_gallery_greeting" in reason
    assert len(before.splitlines()) > 1000
    there = lasting_shop.exec(["cat", f"{PLUGINS}/demo-gallery/demo-gallery.php"])[1]
    assert b"Version: 1.0" in there
    assert b"demo_gallery_greeting" not in there
