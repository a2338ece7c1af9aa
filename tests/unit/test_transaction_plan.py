"""The plan of a promotion is pure text: what the server gets, and what is refused before anything leaves this machine."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from updater.cms import bitrix, opencart, wordpress
from updater.cms.base import Driver, Gate
from updater.errors import CommandFailed, PackageRefused
from updater.model import (
    Database,
    Installation,
    Migration,
    MigrationStep,
    PromoteSettings,
    Release,
    Replay,
    Server,
    Site,
    Stopped,
)
from updater.production.transaction import (
    by_hand,
    client_settings,
    deadline,
    gate_files,
    parse_refused,
    parse_report,
    plan_files,
    rolls_back_after,
    verify_archive,
)

GATE = Gate(files={".maintenance": "<?php // {run}"}, token_file=".gate-token", cookie="pass")
INSTALLATION = Installation(
    "wordpress", "6.1", "/srv/shop/", "php8.2", "https://shop.test/", Database("shop", "u", 'p"\\w')
)
SITE = Site("shop", Server("shop.test", "deploy"), "/srv/shop", "https://shop.test/", Path("/x/site.yml"))
SHA = "0" * 64


def release(
    tmp_path: Path, changed: dict[str, tuple[str | None, str | None]], units: tuple[str, ...], **more: object
) -> Release:
    migration = more.get("migration", Migration())
    assert isinstance(migration, Migration)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Release("run-1", "shop", now, (), units, changed, tmp_path / "a.tar", migration, {}, {}, 10.0, SHA)


def plan(made: Release) -> dict[str, bytes]:
    return plan_files(
        SITE, INSTALLATION, made, GATE, (), token="secret-token", owner={"person": "ann"}, archive_bytes=1
    )


def archive(path: Path, *members: tarfile.TarInfo) -> None:
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_the_deadline_is_twice_the_rehearsal_and_at_least_two_minutes() -> None:
    alone = PromoteSettings(without_restarter=True)
    assert deadline(alone, 10) == 120
    assert deadline(alone, 200) == 400
    assert deadline(PromoteSettings(deadline=7), 200) == 7


def test_the_deadline_holds_the_minute_that_cron_may_take_to_start_what_died() -> None:
    assert deadline(PromoteSettings(), 10) == 180
    for seconds in (90, 180, 460):
        core = seconds - 60
        assert rolls_back_after(seconds, restarted=True) == rolls_back_after(core, restarted=False)
        # Killed right then, begun a minute later: a quarter of the rest is still there for the way back.
        assert rolls_back_after(seconds, restarted=True) + 60 + core // 4 <= seconds


def test_the_way_back_begins_before_the_deadline() -> None:
    assert [rolls_back_after(it, restarted=False) for it in (1, 8, 120, 1000)] == [1, 6, 90, 750]


def test_names_travel_byte_by_byte_one_a_file(tmp_path: Path) -> None:
    unit = 'it\'s "$(x)"\n-rf\udcff'
    files = plan(release(tmp_path, {unit: (SHA, None)}, (unit,)))
    raw = unit.encode("utf-8", "surrogateescape")
    assert files["units/0000"] == raw
    assert base64.b64decode(json.loads(files["plan.json"])["changed"][0][0]) == raw


def test_the_token_is_stored_hashed_and_before_any_gate_file() -> None:
    files = gate_files(GATE, "run-1", "secret-token")
    assert files["gate/00/path"] == b".gate-token"
    assert len(files["gate/00/content"]) == 64
    assert files["gate/01/content"] == b"<?php // run-1"
    assert not any(b"secret-token" in content for content in files.values())


def test_without_a_changed_table_there_is_no_migration_in_the_plan(tmp_path: Path) -> None:
    steps = (MigrationStep("db", "<?php"),)
    files = plan(release(tmp_path, {"a": (None, SHA)}, ("a",), migration=Migration(steps=steps)))
    assert not [path for path in files if path.startswith("migrat")]
    files = plan(release(tmp_path, {"a": (None, SHA)}, ("a",), migration=Migration(steps=steps, changed_tables=("t",))))
    assert files["migrate/000.php"] == b"<?php"
    assert "migration" in files


def test_a_replay_is_a_migration_whose_tables_stay_unless_site_yml_lets_them_go_back(tmp_path: Path) -> None:
    replay = Replay(
        MigrationStep("may it", "<?php //ask"), (MigrationStep("again", "<?php //do"),), "x.returns", "a risk"
    )
    made = replace(release(tmp_path, {"a": (None, SHA)}, ("a",)), replay=replay)
    keeps = replace(SITE, promote=PromoteSettings(keep_tables=timedelta(days=1)))

    def plan_of(site: Site) -> dict[str, bytes]:
        return plan_files(site, INSTALLATION, made, GATE, (), token="t", owner={}, archive_bytes=1, loose=("upload",))

    files = plan_of(keeps)
    assert (files["ask/000.php"], files["replay/000.php"]) == (b"<?php //ask", b"<?php //do")
    assert files.keys() >= {"migration", "stays"}
    assert not files.keys() & {"keep", "stopped-open"}, "a rollback of the tables would be what was not allowed"
    assert [base64.b64decode(it) for it in json.loads(files["plan.json"])["loose"]] == [b"upload"]
    may = plan_of(replace(keeps, switches=frozenset({"x.returns"})))
    assert "stays" not in may
    assert "keep" in may
    assert "stopped-open" in plan_of(replace(SITE, promote=PromoteSettings(stopped=Stopped.OPEN)))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a//b", "./a", "", "a\0b"])
def test_a_path_that_leaves_the_docroot_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(PackageRefused, match="leaves the docroot"):
        plan(release(tmp_path, {path: (None, SHA)}, (path,)))


def test_a_path_outside_the_units_and_overlapping_units_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageRefused, match="outside its units"):
        plan(release(tmp_path, {"ab/c": (None, SHA)}, ("a",)))
    with pytest.raises(PackageRefused, match="overlap"):
        plan(release(tmp_path, {"a/b": (None, SHA)}, ("a", "a/b")))


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([member("../x")], "leaves the docroot"),
        ([member("a/other")], "does not name"),
        ([member("a/x", tarfile.SYMTYPE, "/etc/passwd")], "does not name"),
        ([member("a/x", tarfile.LNKTYPE, "/etc/passwd")], "does not name"),
        ([member("a/l", tarfile.SYMTYPE, "/etc"), member("a/l/x")], "through a link"),
        ([], "not whole"),
    ],
)
def test_an_archive_that_is_not_exactly_the_release_is_refused(
    tmp_path: Path, members: list[tarfile.TarInfo], why: str
) -> None:
    changed = (
        {"a/x": (None, SHA), "a/l": (None, "link:/etc"), "a/l/x": (None, SHA)}
        if len(members) == 2
        else {"a/x": (None, SHA)}
    )
    made = release(tmp_path, changed, ("a",))
    archive(made.archive, *members)
    with pytest.raises(PackageRefused, match=why):
        verify_archive(made)


def test_a_password_is_quoted_for_the_defaults_file() -> None:
    assert 'password="p\\"\\\\w"' in client_settings(INSTALLATION)


def test_the_lines_by_hand_are_three_and_quote_the_folder() -> None:
    lines = by_hand(SITE.server, "/home/a b/runs/r").splitlines()
    assert len(lines) == 3
    assert "'/home/a b/runs/r/transaction.sh' recover" in lines[1]


def test_a_cut_report_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(CommandFailed):
        parse_report("decided=new\nfinished=promoted\n")
    report = parse_report(
        "decided=new\nfinished=\nreason=\nclosed=1.5\nopened=\nactor=alive\n--journal--\n1.0 begin checked\n"
    )
    assert report.begun("checked")
    assert not report.finished


def test_a_gates_account_is_read_callbacks_first_and_without_torn_lines() -> None:
    text = "<?php exit; __halt_compiler();\n9\tGET\t/a\t::1\n8\tGET\t/b\t::1\n10\tPOST\t/1c_exchange.php\t::1\nx\tGET\t/\t\n11\tGE"
    assert [(it.at, it.path) for it in parse_refused(text)] == [
        ("1970-01-01T00:00:10+00:00", "/1c_exchange.php"),
        ("1970-01-01T00:00:08+00:00", "/b"),
        ("1970-01-01T00:00:09+00:00", "/a"),
    ]


@pytest.mark.parametrize("driver", [wordpress, opencart, bitrix])
def test_a_driver_s_steps_hold_no_password_until_they_run(tmp_path: Path, driver: Driver) -> None:
    """They are kept with the release and the run's record; the password is that of where they run."""
    places = {"admin": "admin", "storage": "/srv/storage"}
    here = replace(INSTALLATION, places=places, database=replace(INSTALLATION.database, password="rehearsed-with"))
    steps = tuple(driver.migration(here, ()))
    assert steps
    assert not any("rehearsed-with" in decoded(step.script) for step in steps)
    made = release(tmp_path, {"a": (None, SHA)}, ("a",), migration=Migration(steps=steps, changed_tables=("t",)))
    scripts = [
        content.decode()
        for path, content in plan(made).items()
        if path.startswith("migrate/") and path.endswith(".php")
    ]
    assert len(scripts) == len(steps)
    assert all(INSTALLATION.database.password in decoded(script) for script in scripts)


def decoded(script: str) -> str:
    return "\n".join(
        base64.b64decode(found).decode() for found in re.findall(r"base64_decode\('([A-Za-z0-9+/=]+)'\)", script)
    )
