"""One shop's week, typed at a prompt: updates tested, approved and deployed; production that changed meanwhile refused;
a broken update found among good ones and held back until a newer version comes; the report opened in a browser.
Each test goes on from where the one before it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prompt import Prompt

from updater import failed
from updater.checks.browser import find_chromium
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import ExitCode
from updater.staging import daemon

PLUGIN = f"{DOCROOT}/wp-content/plugins/demo-shop/demo-shop.php"
THEIRS = f"{DOCROOT}/wp-content/plugins/demo-shop/certificates/bank.pem"
"""Somebody's file inside the plugin's folder: of neither version"""
PROMISED = {
    "run", "site", "cms", "state", "exit_code", "verdict", "updates", "checks", "timings", "evidence_sha256", "report",
}  # fmt: skip
PEOPLE = (
    "anna.sokolova@pochta.example",
    "555-01-23",
    "Соколова",
    "buh@zavod-tula.example",
    "n.kuzmina@buhgalter.example",
)


@pytest.fixture(scope="module")
def prompt(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompt]:
    folder = tmp_path_factory.mktemp("site")
    lasting_shop.write_site(folder, ["wordpress", "akismet", "demo-shop-1.0", "demo-shop-1.1"])
    script = f"mkdir -p {THEIRS.rpartition('/')[0]} && echo 'a certificate' > {THEIRS} && chmod 600 {THEIRS}"
    assert lasting_shop.exec(["sh", "-c", script], user=lasting_shop.user)[0] == 0
    (folder / "agency.yml").write_text("policy: {approvers: [Anna]}\n")
    yield Prompt(folder)


def test_good_updates_end_awaiting_approval(prompt: Prompt, lasting_shop: DemoShop) -> None:
    before = lasting_shop.code_sha256()
    code, out, err = prompt.type("run", "--json")
    record = json.loads(out)
    assert code == ExitCode.AWAITING_APPROVAL, (record["reasons"], err)
    assert record.keys() >= PROMISED
    assert (record["state"], record["verdict"], record["cms"]) == ("awaiting approval", "PASS", "wordpress")
    assert {(u["slug"], u["to"], u["outcome"]) for u in record["updates"]} >= {
        ("demo-shop", "1.1", "passed"),
        ("akismet", "5.5", "passed"),
    }
    assert record["migration"]["created"] == ["sh_demo_shop_order_notes"]
    assert "sh_demo_shop_orders" in record["migration"]["changed"]
    (carried,) = [note for note in record["notes"] if "neither version" in note]
    assert "certificates/bank.pem" in carried
    (personal,) = [note for note in record["notes"] if "personal data" in note]
    assert "sh_options.option_value" in personal, "where personal data may remain is named"
    assert "demo_shop_orders" not in personal, "declared columns are scrubbed"
    assert lasting_shop.code_sha256() == before, "testing must not touch production"


def test_every_step_said_what_it_did(prompt: Prompt) -> None:
    code, out, _ = prompt.type("status")
    assert code == 0
    for step in ("clone", "look at production", "stage", "plan", "look: before", "update", "look: after", "judge"):
        assert step in out


def test_the_order_was_really_placed_and_everything_it_sent_was_caught(prompt: Prompt) -> None:
    evidence = json.loads((prompt.run_folder / "steps" / "evidence.json").read_text())
    placed = [check for check in evidence["checks"] if check["name"] == "orders"]
    assert [check["status"] for check in placed] == ["passed", "passed"]
    assert {call["target"] for call in evidence["blocked"]} == {"warehouse.partner.example"}
    assert {mail["step"] for mail in evidence["mail"]} == {"before", "noise", "after"}
    assert {check["name"]: check["status"] for check in evidence["checks"]}["order mail"] == "passed"


def test_nothing_personal_is_in_what_leaves_the_run(prompt: Prompt) -> None:
    for name in ("report.html", "run.json", "junit.xml", "report.md"):
        text = (prompt.run_folder / name).read_text()
        assert [person for person in PEOPLE if person in text] == [], name


def test_nothing_of_the_stack_is_left(prompt: Prompt) -> None:
    client = daemon.connect()
    label = {"label": f"updater.run={prompt.newest()['run']}"}
    assert client.containers.list(all=True, filters=label) == []
    assert client.networks.list(filters=label) == []
    assert client.volumes.list(filters=label) == []
    client.close()


def test_approving_needs_a_person(prompt: Prompt, lasting_shop: DemoShop) -> None:
    before = lasting_shop.code_sha256()
    code, _, err = prompt.type("approve", "--no-input")
    assert code == ExitCode.AWAITING_APPROVAL
    assert "demo-shop" in err.lower()
    assert "the database migrates" in err
    assert lasting_shop.code_sha256() == before


def test_production_that_changed_since_the_clone_is_refused(prompt: Prompt, lasting_shop: DemoShop) -> None:
    lasting_shop.exec(["sh", "-c", f"cp -p {PLUGIN} /tmp/plugin && echo '// a hand at work' >> {PLUGIN}"])
    before = lasting_shop.code_sha256()
    code, _, err = prompt.type("approve", "--yes", "--person", "Anna")
    assert code == ExitCode.REJECTED
    assert "production changed since it was cloned" in err
    assert "wp-content/plugins/demo-shop/demo-shop.php" in err
    assert lasting_shop.code_sha256() == before
    assert prompt.newest()["state"] == "awaiting approval", "undoing the change makes the run good again"
    lasting_shop.exec(["cp", "-p", "/tmp/plugin", PLUGIN])


def test_an_approved_run_is_deployed(prompt: Prompt, lasting_shop: DemoShop) -> None:
    orders = lasting_shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders").strip()
    code, _, err = prompt.type("approve", "--yes", "--person", "Anna")
    assert code == ExitCode.DONE, err
    record = prompt.newest()
    assert record["state"] == "promoted"
    assert record["approval"]["person"] == "Anna"
    assert 0 < record["timings"]["closed"] < 120
    assert "Version: 1.1" in lasting_shop.exec(["cat", PLUGIN])[1].decode()
    assert lasting_shop.exec(["stat", "-c", "%a %s", THEIRS])[1].split() == [b"600", b"14"], "somebody's file stays"
    assert "6.8" in lasting_shop.exec(["cat", f"{DOCROOT}/wp-includes/version.php"])[1].decode()
    assert lasting_shop.sql("SHOW TABLES LIKE 'sh_demo_shop_order_notes'").strip(), "the migration ran in production"
    assert lasting_shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders").strip() == orders, "a deploy places no order"
    page = lasting_shop.get("/product/samovar-tula/")
    assert page.status_code == 200
    assert "12 490,00" in page.text.replace("\xa0", " ").replace("&nbsp;", " ")


def test_nothing_of_the_deploy_is_left_in_the_docroot_or_the_crontab(lasting_shop: DemoShop) -> None:
    found = lasting_shop.exec(["find", DOCROOT, "-name", ".updater*", "-o", "-name", ".maintenance"])[1].decode()
    assert found == ""
    assert "updater" not in lasting_shop.exec(["crontab", "-l"], user="deploy")[1].decode()
    assert lasting_shop.exec(["sh", "-c", "ls -d ~deploy/.updater/lock"])[0] != 0


def test_a_run_is_deployed_once(prompt: Prompt) -> None:
    code, _, err = prompt.type("approve", "--yes", "--person", "Boris")
    assert code == ExitCode.USAGE
    assert "it is promoted" in err or "approved already" in err


def test_rolling_back_a_migrated_shop_is_refused(prompt: Prompt, lasting_shop: DemoShop) -> None:
    before = lasting_shop.code_sha256()
    code, _, err = prompt.type("rollback")
    assert code == ExitCode.USAGE
    assert "migrat" in err
    assert lasting_shop.code_sha256() == before


def test_a_broken_update_is_found_and_held_back_and_the_rest_goes_on(prompt: Prompt, lasting_shop: DemoShop) -> None:
    lasting_shop.offer("demo-shop-1.2", "demo-gallery-1.1")
    before = lasting_shop.code_sha256()
    code, out, err = prompt.type("run", "--json")
    record = json.loads(out)
    assert code == ExitCode.AWAITING_APPROVAL, (record["reasons"], err)
    assert (record["state"], record["verdict"]) == ("awaiting approval", "PASS")
    assert {u["slug"]: u["outcome"] for u in record["updates"]} == {"demo-gallery": "passed", "demo-shop": "held"}
    (held,) = (u for u in record["updates"] if u["outcome"] == "held")
    assert "Place order" in held["reason"]
    (search,) = record["searches"]
    assert search["broken"] == ["plugin:demo-shop"]
    assert [(tried["updates"], tried["verdict"]) for tried in search["trials"]] == [(["plugin:demo-shop"], "FAIL")], (
        "the script's name in the browser's complaint leads to the plugin at once"
    )
    assert lasting_shop.code_sha256() == before, "production is untouched"


def test_the_agencys_other_sites_hold_the_version_that_broke_this_one(prompt: Prompt) -> None:
    (told,) = failed.known(prompt.folder / ".updater")
    assert (told.kind, told.slug, told.version, told.site) == ("plugin", "demo-shop", "1.2", "demo-shop")
    assert "Place order" in told.reason


def test_the_report_shows_the_held_update_and_how_it_was_found_in_a_browser(prompt: Prompt) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), chromium_sandbox=False)
        page = browser.new_page()
        page.goto((prompt.run_folder / "report.html").as_uri())
        text = page.locator("body").inner_text()
        browser.close()
    assert "Some updates break the shop and are held back." in text
    assert "Clicking “Place order” did nothing" in text
    assert "Found in 1 trial" in text


def test_what_is_deployed_is_the_rest_as_it_was_proven_last(prompt: Prompt, lasting_shop: DemoShop) -> None:
    code, _, err = prompt.type("approve", "--yes", "--person", "Anna")
    assert code == ExitCode.DONE, err
    plugins = f"{DOCROOT}/wp-content/plugins"
    assert "Version: 1.1" in lasting_shop.exec(["cat", f"{plugins}/demo-gallery/demo-gallery.php"])[1].decode()
    assert "Version: 1.1" in lasting_shop.exec(["cat", PLUGIN])[1].decode(), "the held update stays out"


def test_an_update_that_would_overwrite_an_edit_is_held_with_the_diff(prompt: Prompt, lasting_shop: DemoShop) -> None:
    lasting_shop.exec(["sh", "-c", f"cp -p {PLUGIN} /tmp/plugin && echo '// our discount' >> {PLUGIN}"])
    code, out, err = prompt.type("run", "--json")
    lasting_shop.exec(["cp", "-p", "/tmp/plugin", PLUGIN])
    assert code == ExitCode.DONE, err
    record = json.loads(out)
    assert record["updates"] == []
    (held,) = record["held"]
    assert held["slug"] == "demo-shop"
    assert "edited by hand, and the update would overwrite it: demo-shop.php" in held["reason"]
    assert "+// our discount" in (prompt.run_folder / "edits" / "plugin-demo-shop.diff").read_text().splitlines()


def test_a_held_update_is_not_tried_again_the_same_day(prompt: Prompt) -> None:
    code, out, err = prompt.type("run", "--json")
    assert code == ExitCode.DONE, err
    record = json.loads(out)
    assert (record["state"], record["updates"]) == ("nothing to do", [])
    (held,) = record["held"]
    assert (held["slug"], held["to"]) == ("demo-shop", "1.2")
    assert "tried again after" in held["reason"]
    assert "Place order" in held["reason"]


def test_a_newer_version_of_what_was_held_is_tried(prompt: Prompt, lasting_shop: DemoShop) -> None:
    """How a broken version that comes alone is rejected is played by the demo (test_wheel.py)."""
    lasting_shop.offer("demo-shop-1.3")
    code, out, err = prompt.type("plan", "--json")
    assert code == ExitCode.DONE, err
    planned = json.loads(out)
    assert [(update["slug"], update["to"]) for update in planned["updates"]] == [("demo-shop", "1.3")]
    assert planned["held"] == []
