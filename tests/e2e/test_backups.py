"""A shop's backups, typed at a prompt: made in two places, restored when the server is gone, and told when they cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt import Prompt

from updater import samples
from updater.demo_shop import DemoShop
from updater.errors import ExitCode
from updater.journal import converter
from updater.model import Message
from updater.staging import daemon

PASSWORD = "korotkij-parol-17"
ORDER_OF = "Соколова"
"""A customer's name, in the database and nowhere else"""


def outbox(prompt: Prompt) -> list[Message]:
    return [
        converter.structure(json.loads(path.read_bytes()), Message)
        for path in sorted((prompt.state / "outbox").rglob("*.json"))
    ]


@pytest.fixture(scope="module")
def prompt(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompt]:
    folder = tmp_path_factory.mktemp("site")
    site = lasting_shop.write_site(folder, [])
    with site.open("a") as text:
        text.write('backup:\n  password: "${BACKUP_PASSWORD}"\n  places: {here: backups, away: away/restic}\n')
        text.write("viewports: {desktop: 1366x768}\n")
    yield Prompt(folder, {"BACKUP_PASSWORD": PASSWORD})


def test_a_backup_is_in_every_place_and_production_was_only_read(prompt: Prompt, lasting_shop: DemoShop) -> None:
    before = lasting_shop.code_sha256()
    code, out, err = prompt.type("backup", "--json")
    assert code == ExitCode.DONE, err
    answer = json.loads(out)
    assert [(it["place"], it["ok"]) for it in answer["places"]] == [("here", True), ("away", True)]
    assert all(it["bytes"] > 10_000_000 for it in answer["places"])
    assert lasting_shop.code_sha256() == before
    code, out, _ = prompt.type("backup", "list", "--json")
    assert [(it["place"], it["backup"], it["proven"]) for it in json.loads(out)] == [
        ("here", answer["backup"], False),
        ("away", answer["backup"], False),
    ]


def test_what_lies_in_a_place_cannot_be_read_without_the_password(prompt: Prompt) -> None:
    for place in (prompt.folder / "backups", prompt.folder / "away/restic"):
        content = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
        assert len(content) > 1_000_000
        for secret in (ORDER_OF, "wp-settings.php", "demo_shop_orders", PASSWORD):
            assert secret.encode() not in content
    assert not (prompt.state / "backup").exists(), "the dump in plain does not stay"


def test_a_backup_is_fetched_as_it_was_with_the_rows_of_every_table(prompt: Prompt, lasting_shop: DemoShop) -> None:
    code, out, err = prompt.type("restore", "--into", "taken")
    assert code == ExitCode.DONE, err
    assert "it holds personal data" in out
    folder = prompt.folder / "taken"
    assert folder.stat().st_mode & 0o077 == 0
    assert ORDER_OF in (folder / "backup/database.sql").read_text()
    uploads = lasting_shop.exec(["sh", "-c", f"cd {lasting_shop.docroot} && find wp-content/uploads -type f"])[1]
    assert len(uploads.split()) > 3
    for name in uploads.decode().splitlines():
        assert (folder / "mirror" / name).is_file(), "pictures of products are in it"
    code, _, err = prompt.type("restore", "--into", "taken")
    assert code == ExitCode.INCONCLUSIVE
    assert "not empty" in err


def test_a_moment_before_the_first_backup_is_told_with_what_there_is(prompt: Prompt) -> None:
    code, _, err = prompt.type("restore", "--at", "2020-01-01 00:00", "--into", "none")
    assert code == ExitCode.INCONCLUSIVE
    assert "there is no backup in away of 2020-01-01 00:00 UTC or before" in err
    assert "the oldest is of 20" in err
    assert not (prompt.folder / "none").exists()


def test_a_place_whose_disk_is_not_mounted_is_not_made_anew(prompt: Prompt) -> None:
    (prompt.folder / "away").rename(prompt.folder / "unmounted")
    try:
        code, out, _ = prompt.type("backup", "--json")
        assert code == ExitCode.INCONCLUSIVE, "it is not in every place"
        here, away = json.loads(out)["places"]
        assert here["ok"]
        assert "perhaps its disk is not mounted" in away["detail"]
        assert not (prompt.folder / "away").exists()
        told = [message for message in outbox(prompt) if "the backup failed" in message.title]
        assert [message.urgency for message in told] == ["work"]
        assert "away: the repository is gone" in told[0].body
    finally:
        (prompt.folder / "unmounted").rename(prompt.folder / "away")


def test_a_backup_is_proven_by_buying_in_it_when_the_server_is_gone(prompt: Prompt, lasting_shop: DemoShop) -> None:
    lasting_shop.stop()
    code, out, err = prompt.type("backup", "verify", "--from", "away", "--json")
    proof = json.loads(out)
    assert code == ExitCode.DONE, (proof, err)
    assert (proof["verdict"], proof["place"]) == ("PASS", "away")
    assert {it["name"]: it["status"] for it in proof["checks"]} == dict.fromkeys(
        ("backup whole", "smoke tests", "orders"), "passed"
    )
    assert 0 < proof["seconds"]["fetched"] <= proof["seconds"]["restored"]
    assert any(Path(proof["seen"]).rglob("*.png")), "what was seen can be looked at"
    assert not list((prompt.state / "restored").glob("*/files")), "what was fetched holds personal data and is gone"
    client = daemon.connect()
    assert client.containers.list(all=True, filters={"label": f"updater.run={Path(proof['seen']).parent.name}"}) == []
    client.close()


def test_the_proof_is_marked_in_the_place_and_noted_for_the_month(prompt: Prompt) -> None:
    _, out, _ = prompt.type("backup", "list", "--json")
    listed = {(it["place"], it["backup"]): it["proven"] for it in json.loads(out)}
    noted = samples.backups(prompt.state)
    (restored,) = (it for it in noted if it.kind == "restored")
    assert restored.ok
    assert restored.seconds > 0
    assert [key for key, proven in listed.items() if proven] == [("away", restored.backup)]
    assert [(it.place, it.ok) for it in noted if it.kind == "made"] == [
        ("here", True),
        ("away", True),
        ("here", True),
        ("away", False),
    ]


def test_a_damaged_place_is_found_and_told(prompt: Prompt) -> None:
    pack = max(
        (prompt.folder / "backups/data").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0
    )
    pack.chmod(0o600)
    with pack.open("r+b") as stream:
        stream.seek(pack.stat().st_size // 2)
        stream.write(b"\0" * 64)
    code, _, err = prompt.type("backup", "verify", "--from", "here")
    assert code == ExitCode.INCONCLUSIVE
    assert "here (" in err, "the place is named"
    (told,) = (message for message in outbox(prompt) if "could not be restored" in message.title)
    assert told.urgency == "work"
    assert not samples.backups(prompt.state)[-1].ok
