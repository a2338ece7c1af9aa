"""A night over several sites as it really is: each run a process of its own, one message to people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import waiting_run
from webhook import listening

from updater import cli
from updater.errors import ExitCode


def test_the_runs_of_a_night_are_processes_of_their_own_and_people_get_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real thing: two sites whose servers cannot be reached, and one that is broken."""
    for name in ("books", "pets"):
        waiting_run.a_site(tmp_path / name, name)
    (tmp_path / "tea").mkdir()
    (tmp_path / "tea/site.yml").write_text("site: tea\n")
    with listening() as channel:
        (tmp_path / "agency.yml").write_text(f"notify: ['{channel.url}']\n")
        with pytest.raises(SystemExit) as end:
            cli.main(["fleet", "run", str(tmp_path), "--json", "--at-once", "2"])
    shown = json.loads(capsys.readouterr().out)
    ended = {it["site"]: (it["state"], it["exit_code"], it["detail"]) for it in shown["sites"]}
    assert ended["tea"][:2] == ("not run", ExitCode.USAGE)
    assert "server: missing" in ended["tea"][2]
    for name in ("books", "pets"):  # where no Docker is, that is what they say
        assert ended[name][0] in ("failed", "inconclusive"), ended
        assert "port 1" in ended[name][2] or "Docker" in ended[name][2]
    assert end.value.code == max(it[1] for it in ended.values())
    assert Path(shown["page"]).is_file()
    assert channel.titles == ["2 sites: 2 messages"]


def test_backups_of_a_night_are_processes_of_their_own_and_people_get_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real thing: two sites whose servers cannot be reached, so that there is nothing to prove either."""
    places = (
        "backup: {password: {file: word}, places: {here: backups}}\nschedule: {nights: ['Mon-Sun 00:00-24:00 UTC']}\n"
    )
    for name in ("books", "pets"):
        waiting_run.a_site(tmp_path / name, name, places)
        (tmp_path / name / "word").write_text("a long password")
        (tmp_path / name / "word").chmod(0o600)
    with listening() as channel:
        (tmp_path / "agency.yml").write_text(f"notify: ['{channel.url}']\n")
        with pytest.raises(SystemExit) as end:
            cli.main(["fleet", "backup", str(tmp_path), "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert [(it["site"], it["task"], it["exit_code"]) for it in shown] == [
        ("books", "make", ExitCode.USAGE),
        ("pets", "make", ExitCode.USAGE),
    ]
    assert all("port 1" in it["detail"] for it in shown), shown
    assert end.value.code == ExitCode.USAGE
    assert channel.titles == ["2 sites: 2 messages"]
    assert len(list((tmp_path / "books/.updater/backups").glob("*.log"))) == 1, (
        "which keeps the next look from trying again"
    )
