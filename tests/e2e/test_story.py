"""A shop's good updates, typed at a prompt: tested, approved and deployed once, and production that changed meanwhile refused.
Each test goes on from where the one before it ended. How a broken update is found and held back is the demo's (test_wheel.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prompt import Prompt

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
    site = lasting_shop.write_site(folder, ["wordpress", "akismet", "demo-shop-1.0", "demo-shop-1.1"])
    # Cron's minute is waited for in the demo (test_wheel.py), which looks through two windows too.
    told = site.read_text().replace("promote:\n", "promote:\n  without_restarter: true\n")
    site.write_text(f"{told}viewports: {{mobile: 375x812}}\n")
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


def test_nothing_of_the_deploy_is_left_in_the_docroot(lasting_shop: DemoShop) -> None:
    found = lasting_shop.exec(["find", DOCROOT, "-name", ".updater*", "-o", "-name", ".maintenance"])[1].decode()
    assert found == ""
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
