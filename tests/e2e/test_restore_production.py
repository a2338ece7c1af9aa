"""A shop that somebody ruined, brought back by a person's word: a promotion of an old state, which can itself be taken back."""

from __future__ import annotations

import json
import subprocess
import tarfile
from datetime import datetime

import pytest
from prompt import Prompt

from updater import config
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import ExitCode
from updater.journal import Journal
from updater.log import Silent
from updater.restoring import Loss, into_production

PRODUCT = "/product/samovar-tula/"
PASSWORD = "korotkij-parol-18"
ANNA = ["-c", "user.name=Anna", "-c", "user.email=anna@agency.example"]
PLUGINS = f"{DOCROOT}/wp-content/plugins"
RUIN = f"""set -e
cd {DOCROOT}
echo '<?php // backdoor' > evil.php
mkdir {PLUGINS}/crypto && echo '<?php // mines' > {PLUGINS}/crypto/crypto.php
rm -r {PLUGINS}/akismet
echo '// skims cards' >> {PLUGINS}/demo-shop/demo-shop.php
picture=$(find wp-content/uploads -name '*.jpg' -o -name '*.png' | head -n 1); echo defaced > "$picture"
echo later > wp-content/uploads/later.txt
echo '<?php // among the pictures' > wp-content/uploads/logo.php
chown -R deploy: {DOCROOT}
"""
RUIN_ROWS = """
CREATE TABLE sh_crypto (a INT);
UPDATE sh_options SET option_value = 'Hacked' WHERE option_name = 'blogname';
DELETE FROM sh_posts WHERE post_type = 'page';
CREATE TEMPORARY TABLE late SELECT * FROM sh_demo_shop_orders ORDER BY id DESC LIMIT 1;
UPDATE late SET id = id + 1, email = 'late@pochta.example', order_key = 'late';
INSERT INTO sh_demo_shop_orders SELECT * FROM late;
"""
LAST = RUIN_ROWS[RUIN_ROWS.index("CREATE TEMPORARY") :].replace("late", "last")
"""One more order, of a customer who was at the checkout when the question was answered."""


@pytest.fixture(scope="module")
def prompt(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Prompt:
    folder = tmp_path_factory.mktemp("site")
    path = lasting_shop.write_site(folder, [])
    # That cron starts what died is another test's matter: here it would be a minute of waiting, twice.
    path.write_text(path.read_text().replace("promote:\n", "promote:\n  without_restarter: true\n"))
    with path.open("a") as text:
        text.write('backup:\n  password: "${BACKUP_PASSWORD}"\n  places: {here: backups}\n')
        text.write("viewports: {desktop: 1366x768}\n")
    (folder / ".gitignore").write_text(".updater/\nbackups/\n")
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "site.yml", ".gitignore"],
        [*ANNA, "commit", "-q", "-m", "Tea"],
    ):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return Prompt(folder, {"BACKUP_PASSWORD": PASSWORD})


def code_of(shop: DemoShop) -> str:
    """Every file but those that stay: settings, and what was uploaded later."""
    listing = (
        f"cd {DOCROOT} && find . -type f ! -name later.txt ! -path './wp-content/cache/*' -print0 | LC_ALL=C sort -z"
    )
    return shop.exec(["sh", "-c", f"{listing} | xargs -0 sha256sum"])[1].decode()


def rows_of(shop: DemoShop) -> str:
    return shop.sql(
        "SELECT COUNT(*), SUM(CRC32(post_content)) FROM sh_posts; "
        "SELECT option_value FROM sh_options WHERE option_name = 'blogname'; SHOW TABLES LIKE 'sh%'"
    )


@pytest.fixture(scope="module")
def ruined(prompt: Prompt, lasting_shop: DemoShop) -> tuple[str, str]:
    """(files, rows) as they were before somebody ruined the shop."""
    code, _, err = prompt.type("backup")
    assert code == ExitCode.DONE, err
    before = code_of(lasting_shop), rows_of(lasting_shop)
    assert lasting_shop.exec(["sh", "-c", RUIN]) == (0, b"")
    lasting_shop.sql(RUIN_ROWS)
    assert code_of(lasting_shop) != before[0]
    return before


def test_the_shop_is_back_file_by_file_and_row_by_row(
    prompt: Prompt, lasting_shop: DemoShop, ruined: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_PASSWORD", PASSWORD)
    site = config.load(prompt.folder / "site.yml")
    asked: list[Loss] = []

    def consents(loss: Loss) -> bool:
        """The moment of the question: all was tested, and production is untouched and open."""
        assert "evil.php" in code_of(lasting_shop)
        assert lasting_shop.sql("SHOW TABLES LIKE 'sh_crypto'").strip() == "sh_crypto"
        assert lasting_shop.get(PRODUCT).status_code == 200
        asked.append(loss)
        lasting_shop.sql(LAST)
        return True

    journal = Journal(site.state)
    record = into_production(site, journal, Silent(), consents, person="Anna", at=asked_for(prompt))
    journal.close()
    assert (record.state, record.exit_code) == ("promoted", ExitCode.DONE), (record.reasons, record.error)
    assert record.approval is not None
    assert record.approval.person == "Anna"
    assert record.restored == asked[0].taken
    assert asked[0].stay == ("wp-config.php",)
    assert asked[0].came.startswith("1 order came since")
    assert 0 < record.timings["closed"] < 120
    assert code_of(lasting_shop) == ruined[0]
    assert rows_of(lasting_shop) == ruined[1]
    assert lasting_shop.exec(["cat", f"{DOCROOT}/wp-content/uploads/later.txt"])[0] == 0, "a later upload stays"
    page = lasting_shop.get(PRODUCT)
    assert page.status_code == 200
    assert "12 490,00" in page.text.replace("\xa0", " ").replace("&nbsp;", " ")


def asked_for(prompt: Prompt) -> datetime:
    """The moment of the first backup."""
    return datetime.fromisoformat(json.loads(prompt.type("backup", "list", "--json")[1])[-1]["taken"])


def test_what_was_given_up_is_a_backup_and_its_orders_are_exported(prompt: Prompt) -> None:
    assert len(json.loads(prompt.type("backup", "list", "--json")[1])) == 2, "production was backed up as it was first"
    (exported,) = (prompt.folder / ".updater" / "runs").glob("*/orders-since.csv")
    assert exported.stat().st_mode & 0o077 == 0
    assert "late@pochta.example" in exported.read_text()
    assert "last@pochta.example" not in exported.read_text(), "it came after the question"
    with tarfile.open(prompt.run_folder / "discarded-rows.tar") as tar:
        member = tar.extractfile("since/sh_demo_shop_orders.csv")
        assert member is not None
        rows = member.read().decode()
    assert "late@pochta.example" in rows
    assert "last@pochta.example" in rows, "what came until the shop closed is not lost without a trace"


def test_the_clients_history_says_what_was_restored(prompt: Prompt) -> None:
    words = ["git", "-C", str(prompt.folder), "log", "-1", "--format=%s|%(trailers:key=Approved-by,valueonly)"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    taken = asked_for(prompt)
    assert (
        said
        == f"Deployed: the backup of {taken:%Y-%m-%d %H:%M} UTC of {json.loads((prompt.run_folder / 'run.json').read_text())['site']}|Anna"
    )


def test_nothing_of_it_is_left_on_the_server_but_the_way_back(lasting_shop: DemoShop) -> None:
    found = lasting_shop.exec(
        ["sh", "-c", "find ~deploy/.updater -name '*.sql*'; ls -d ~deploy/.updater/lock 2>/dev/null"]
    )[1]
    assert found.decode() == ""
    assert lasting_shop.exec(["sh", "-c", f"find {DOCROOT} -name '.updater*' -o -name .maintenance"])[1] == b""


def test_the_restore_itself_can_be_taken_back_by_naming_what_is_lost(prompt: Prompt, lasting_shop: DemoShop) -> None:
    code, _, err = prompt.type("rollback")
    assert code == ExitCode.USAGE
    assert "--discard-orders-since" in err
    since = err.partition("--discard-orders-since '")[2].partition("'")[0]
    code, _, err = prompt.type("rollback", "--discard-orders-since", since)
    assert code == ExitCode.DONE, err
    assert "evil.php" in code_of(lasting_shop)
    assert lasting_shop.sql("SELECT option_value FROM sh_options WHERE option_name = 'blogname'") == "Hacked"
