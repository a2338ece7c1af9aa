"""restic itself, on folders: what stays, what is refused, and that no secret shows."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from updater import restic
from updater.errors import BackupFailed, ExitCode
from updater.restic import Repository

PASSWORD = "dlinnyj-parol-44"
NIGHT = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Repository:
    found = Repository("away", str(tmp_path / "repository"), PASSWORD, tmp_path / "cache")
    assert restic.make(found)
    assert not restic.make(found), "it is made once"
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """What a backup is made of: names that hurt, a link that leads nowhere, an empty folder."""
    files = tmp_path / "shop" / "mirror"
    (files / "empty").mkdir(parents=True)
    (files / "new\nline.php").write_text("<?php")
    (files / "-rf").write_text("x")
    (files / os.fsdecode(b"caf\xe9.php")).write_text("x")
    (files / "link").symlink_to("/nowhere")
    return tmp_path / "shop"


def save(place: Repository, shop: Path, *taken: datetime, site: str = "shop") -> None:
    for number, at in enumerate(taken):
        restic.save(place, site, f"b{number}", at, shop, ["mirror"])


def ids(place: Repository, site: str = "shop") -> list[str]:
    return [kept.backup for kept in restic.find(place, site)]


def test_what_was_saved_comes_back_with_its_names_and_links(place: Repository, shop: Path, tmp_path: Path) -> None:
    save(place, shop, NIGHT)
    (kept,) = restic.find(place, "shop")
    assert (kept.backup, kept.taken, kept.proven) == ("b0", NIGHT, False)
    restic.fetch(place, kept, tmp_path / "back")
    found = {os.fsencode(path.name) for path in (tmp_path / "back/mirror").iterdir()}
    assert found == {b"empty", b"new\nline.php", b"-rf", b"caf\xe9.php", b"link"}
    assert (tmp_path / "back/mirror/link").readlink() == Path("/nowhere")
    assert (tmp_path / "back").stat().st_mode & 0o077 == 0


def test_policy_keeps_days_weeks_and_months(place: Repository, shop: Path) -> None:
    save(place, shop, *(NIGHT - timedelta(days=n) for n in (62, 31, 2, 1, 0)))
    assert restic.forget(place, "shop", daily=2, weekly=0, monthly=2) == 2
    assert ids(place) == ["b4", "b3", "b1"]
    assert restic.forget(place, "shop", daily=2, weekly=0, monthly=2) == 0


def test_the_newest_that_was_proven_stays_whatever_policy_says(place: Repository, shop: Path) -> None:
    save(place, shop, *(NIGHT - timedelta(days=n) for n in range(3, -1, -1)))
    for proven in ("b0", "b1"):
        restic.mark_proven(place, next(kept for kept in restic.find(place, "shop") if kept.backup == proven))
    restic.forget(place, "shop", daily=1, weekly=0, monthly=0)
    assert {kept.backup: kept.proven for kept in restic.find(place, "shop")} == {"b3": False, "b1": True}
    restic.check(place)


def test_two_shops_in_one_repository_never_touch_each_other(place: Repository, shop: Path) -> None:
    save(place, shop, NIGHT - timedelta(days=1), NIGHT)
    save(place, shop, NIGHT - timedelta(days=9), site="other")
    assert restic.forget(place, "shop", daily=1, weekly=0, monthly=0) == 1
    assert (ids(place), ids(place, "other")) == (["b1"], ["b0"])


def test_a_wrong_password_is_named_and_makes_no_repository(place: Repository) -> None:
    wrong = replace(place, password="another-word-9")
    for act in (lambda: restic.make(wrong), lambda: restic.find(wrong, "shop")):
        with pytest.raises(BackupFailed) as caught:
            act()
        assert "wrong password" in caught.value.cause
        assert "vault" in caught.value.hint
        assert caught.value.exit_code is ExitCode.INCONCLUSIVE
        assert "another-word-9" not in str(caught.value)


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A script in restic's place in PATH; `$real` is the program."""
    real = subprocess.run(["sh", "-c", "command -v restic"], capture_output=True, text=True, check=True).stdout.strip()

    def put(script: str) -> None:
        program = tmp_path / "bin" / "restic"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nreal={real}\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return put


def test_a_file_that_cannot_be_read_leaves_no_backup_that_looks_whole(
    place: Repository, shop: Path, instead: Callable[[str], None]
) -> None:
    """restic makes its snapshot all the same then, and ends with 3: said of a file that root, who runs this, could read."""
    instead('"$real" "$@"; code=$?; [ "$1" != backup ] || exit 3; exit $code')
    with pytest.raises(BackupFailed) as caught:
        restic.save(place, "shop", "b0", NIGHT, shop, ["mirror"])
    assert "could not be saved" in str(caught.value)
    assert ids(place) == []


def test_a_folder_that_is_not_there_is_no_backup(place: Repository, shop: Path) -> None:
    """restic itself calls that a success."""
    with pytest.raises(FileNotFoundError):
        restic.save(place, "shop", "b0", NIGHT, shop, ["mirror", "is-not-there"])
    assert ids(place) == []


@contextmanager
def somebody_at_work(place: Repository) -> Iterator[None]:
    """Another restic that reads what never comes, and so holds its lock."""
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": place.address}
    process = subprocess.Popen(
        ["restic", "backup", "--stdin", "--no-cache"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        limit = time.monotonic() + 30
        while not any(Path(place.address, "locks").iterdir()):
            assert time.monotonic() < limit, "restic took no lock"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def test_what_another_restic_holds_is_told_and_what_a_killed_one_left_is_no_obstacle(
    place: Repository, shop: Path
) -> None:
    save(place, shop, NIGHT - timedelta(days=1), NIGHT)
    with somebody_at_work(place):
        with pytest.raises(BackupFailed) as caught:
            restic.forget(place, "shop", daily=1, weekly=0, monthly=0)
        assert "another restic works there" in caught.value.hint
    assert any(Path(place.address, "locks").iterdir()), "the killed one left its lock"
    assert restic.forget(place, "shop", daily=1, weekly=0, monthly=0) == 1


def test_no_secret_is_in_restics_arguments(
    place: Repository, shop: Path, tmp_path: Path, instead: Callable[[str], None]
) -> None:
    seen = tmp_path / "arguments"
    instead(f'printf "%s\\n" "$@" >> {seen}\nexec "$real" "$@"')
    secret = replace(place, environment={"AWS_SECRET_ACCESS_KEY": "s3-secret-33"})
    save(secret, shop, NIGHT)
    restic.check(secret)
    words = seen.read_text().splitlines()
    assert "backup" in words
    assert not {PASSWORD, "s3-secret-33", place.address} & set(words)


def test_restic_that_is_not_installed_is_told_with_what_to_type(
    place: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed) as caught:
        restic.find(place, "shop")
    assert caught.value.hint == "apt-get install restic"


def test_a_repository_can_be_opened_by_restic_alone(place: Repository, shop: Path) -> None:
    """Whoever has lost this program still has a backup."""
    save(place, shop, NIGHT)
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": place.address}
    done = subprocess.run(
        ["restic", "snapshots", "--json", "--no-cache"], env=environment, capture_output=True, check=True
    )
    (entry,) = json.loads(done.stdout)
    assert entry["hostname"] == "shop"
    assert "backup=b0" in entry["tags"]
