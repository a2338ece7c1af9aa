"""What a person types and reads: help, messages, exit codes. Nothing here connects anywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
import waiting_run

from updater import cli, notify, resources, restoring
from updater.demo_shop import Kind
from updater.errors import ExitCode
from updater.journal import Journal
from updater.model import Server, Site

COMMANDS = [
    "init",
    "check",
    "plan",
    "run",
    "export",
    "approve",
    "reject",
    "rollback",
    "backup",
    "restore",
    "recover",
    "open",
    "status",
    "watch",
    "tell",
    "ack",
    "runs",
    "report",
    "observe",
    "fleet",
    "schedule",
    "passport",
    "doctor",
    "clean",
    "demo",
]


@dataclass(frozen=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


class Typed(Protocol):
    def __call__(self, *arguments: str, cwd: Path) -> Answer: ...


@pytest.fixture
def updater(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """The command as typed in a folder, without a terminal. In this process: starting Python costs more than the command."""

    def typed(*arguments: str, cwd: Path) -> Answer:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code: object = 0
        try:
            cli.main(list(arguments))
        except SystemExit as end:
            code = end.code
        shown = capsys.readouterr()
        return Answer(int(code or 0), shown.out, shown.err)  # type: ignore[call-overload]

    return typed


@pytest.fixture
def site(tmp_path: Path, updater: Typed) -> Path:
    made = updater(
        "init",
        "--host",
        "127.0.0.1",
        "--user",
        "deploy",
        "--docroot",
        "/srv/shop",
        "--url",
        "https://shop.example",
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr
    return tmp_path


def test_help_names_every_command_in_the_order_of_the_story(tmp_path: Path, updater: Typed) -> None:
    text = updater("--help", cwd=tmp_path).stdout
    listed = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, tmp_path: Path, updater: Typed) -> None:
    shown = updater(command, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert "Usage: " in shown.stdout


def test_what_init_writes_is_valid(site: Path, updater: Typed) -> None:
    assert updater("check", cwd=site).returncode == ExitCode.DONE


def test_init_never_overwrites(site: Path, updater: Typed) -> None:
    before = (site / "site.yml").read_bytes()
    again = updater("init", cwd=site)
    assert again.returncode == ExitCode.USAGE
    assert "there is a file already" in again.stderr
    assert (site / "site.yml").read_bytes() == before


def test_a_missing_site_says_what_to_type(tmp_path: Path, updater: Typed) -> None:
    for command in ("check", "run", "plan", "status"):
        answer = updater(command, cwd=tmp_path)
        assert answer.returncode == ExitCode.USAGE
        assert "updater init" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_five_mistakes_are_told_at_once_with_their_lines(site: Path, updater: Typed) -> None:
    (site / "site.yml").write_text(
        "site: shop\n"
        "url: shop.example\n"
        "server: {host: h, user: u, prot: 22}\n"
        "docroot: relative/path\n"
        "flows: [{name: checkout, viewport: desktop}]\n"
        "policy: {approve: always}\n"
    )
    answer = updater("run", cwd=site)
    assert answer.returncode == ExitCode.USAGE
    for line in (2, 3, 4, 5, 6):
        assert f"site.yml:{line}: " in answer.stderr
    assert "flows[0].viewport" in answer.stderr


def test_an_unreachable_server_is_an_error_with_a_report_and_not_a_crash(site: Path, updater: Typed) -> None:
    config = site / "site.yml"
    config.write_text(config.read_text().replace("  port: 22", "  port: 1"))  # nobody listens on 127.0.0.1:1
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    config.write_text(config.read_text().replace("  #host_key: ssh-ed25519 AAAA…", f"  host_key: {key}"))
    answer = updater("run", "--json", cwd=site)
    record = json.loads(answer.stdout)
    assert answer.returncode == record["exit_code"] == ExitCode.USAGE
    assert "127.0.0.1" in record["error"]
    assert (site / ".updater" / "runs" / record["run"] / "report.html").is_file()
    listed = json.loads(updater("runs", "--json", cwd=site).stdout)
    assert [(row["run"], row["state"]) for row in listed] == [(record["run"], "failed")]


def test_a_silent_channel_changes_nothing_and_is_listed(
    site: Path, updater: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = site / "site.yml"
    config.write_text(config.read_text().replace("  port: 22", "  port: 1") + 'notify: ["${HOOK}"]\n')
    monkeypatch.setenv("HOOK", "json://127.0.0.1:1/a-token-1234567")
    answer = updater("run", "--json", cwd=site)
    assert answer.returncode == json.loads(answer.stdout)["exit_code"] == ExitCode.USAGE
    assert "could not be told, and is tried again: json: my-shop: failed" in answer.stderr
    assert "a-token-1234567" not in answer.stderr
    (line,) = json.loads(updater("status", "--json", cwd=site).stdout)["outbox"]
    assert line.endswith("could not be sent to json")


def test_without_runs_there_is_nothing_to_approve(site: Path, updater: Typed) -> None:
    answer = updater("approve", cwd=site)
    assert answer.returncode == ExitCode.USAGE
    assert "there are no runs yet" in answer.stderr


def test_an_approval_by_flag_needs_a_name(site: Path, updater: Typed) -> None:
    answer = updater("approve", "--yes", cwd=site)
    assert answer.returncode == ExitCode.USAGE
    assert "--person" in answer.stderr


@pytest.fixture
def waiting(site: Path, updater: Typed) -> str:
    """A run of `site` that waits for its approval."""
    journal = Journal(site / ".updater")
    run = waiting_run.leave(journal, "my-shop").run
    journal.close()
    return run


FROZEN = "policy:\n  freezes: [{first: 2020-01-01, last: 2099-12-31, reason: the shop is being sold}]\n"


def test_nothing_is_deployed_while_policy_forbids_it_and_the_run_waits_on(
    site: Path, waiting: str, updater: Typed
) -> None:
    config = site / "site.yml"
    config.write_text(config.read_text().replace("policy:\n", FROZEN))
    answer = updater("approve", "--yes", "--person", "Anna", cwd=site)
    assert answer.returncode == ExitCode.AWAITING_APPROVAL
    assert "frozen from 2020-01-01 to 2099-12-31: the shop is being sold; and not within a year" in answer.stderr
    assert "--anyway" in answer.stderr
    assert json.loads(updater("runs", "--json", cwd=site).stdout)[0]["state"] == "awaiting approval"


def test_a_person_may_deploy_anyway(site: Path, waiting: str, updater: Typed) -> None:
    config = site / "site.yml"
    config.write_text(
        config.read_text().replace("policy:\n", FROZEN).replace("  port: 22", "  port: 1")  # nobody listens there
    )
    answer = updater("approve", "--yes", "--person", "Anna", "--anyway", "it is being attacked", cwd=site)
    assert "error: nothing answers on port 1" in answer.stderr, "policy let it go on to production"


def test_a_site_that_is_only_reported_on_cannot_be_approved(site: Path, waiting: str, updater: Typed) -> None:
    config = site / "site.yml"
    config.write_text(config.read_text().replace("approve: ask", "approve: never"))
    answer = updater("approve", "--yes", "--person", "Anna", "--anyway", "please", cwd=site)
    assert answer.returncode == ExitCode.USAGE
    assert "policy.approve is never" in answer.stderr


def test_a_clock_that_was_set_back_is_no_reason_to_wait_forever(site: Path, updater: Typed) -> None:
    journal = Journal(site / ".updater")
    run = waiting_run.leave(journal, "my-shop").run
    with journal._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET finished = '2099-01-01T00:00:00+00:00'")
    journal.close()
    answer = updater("approve", run, cwd=site)
    assert answer.returncode == ExitCode.USAGE
    assert "set this machine's clock" in answer.stderr


@pytest.fixture
def two_waiting(tmp_path: Path) -> Path:
    """A folder with two sites, a run of each waiting."""
    for name in ("tea", "books"):
        waiting_run.a_site(tmp_path / name, name, "policy: {windows: ['Mon-Sun 00:00-24:00 UTC']}\n")
        journal = Journal(tmp_path / name / ".updater")
        waiting_run.leave(journal, name)
        journal.close()
    return tmp_path


def test_without_a_terminal_what_waits_is_listed_and_nothing_hangs(two_waiting: Path, updater: Typed) -> None:
    answer = updater("approve", "--no-input", cwd=two_waiting)
    assert answer.returncode == ExitCode.AWAITING_APPROVAL
    assert "1  tea" in answer.stderr
    assert "2  books" in answer.stderr
    assert "an answer is needed" in answer.stderr


def test_yes_approves_one_run_and_never_whichever_comes_first(two_waiting: Path, updater: Typed) -> None:
    answer = updater("approve", "--yes", "--person", "Anna", cwd=two_waiting)
    assert answer.returncode == ExitCode.USAGE
    assert "more than one run waits" in answer.stderr
    assert "updater approve 20" in answer.stderr


def test_a_folder_of_sites_where_nothing_waits_is_no_error(tmp_path: Path, updater: Typed) -> None:
    for name in ("tea", "books"):
        waiting_run.a_site(tmp_path / name, name)
    answer = updater("approve", cwd=tmp_path)
    assert answer.returncode == ExitCode.DONE
    assert "nothing waits" in answer.stderr


def test_status_shows_the_steps_of_the_newest_run(site: Path, updater: Typed) -> None:
    journal = Journal(site / ".updater")
    journal.begin("20260101-000000-abcd", "my-shop")
    journal.started("20260101-000000-abcd", "clone")
    journal.close()
    shown = updater("status", cwd=site)
    assert "20260101-000000-abcd" in shown.stdout
    assert "clone" in shown.stdout


def test_an_urgent_message_is_listed_until_someone_takes_care(site: Path, updater: Typed) -> None:
    state = site / ".updater"
    Journal(state).begin("20260101-000000-abcd", "my-shop")
    notify.put(state, "urgent", "my-shop: rolled back", "why")
    assert "my-shop: rolled back" in updater("status", cwd=site).stdout
    assert "my-shop: rolled back" in updater("tell", cwd=site).stdout
    assert "acknowledged by Anna" in updater("ack", "--person", "Anna", cwd=site).stdout
    assert "rolled back" not in updater("status", cwd=site).stdout
    assert "everything was told" in updater("tell", cwd=site).stdout
    assert "no urgent message is open" in updater("ack", cwd=site).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "--month", "November"), "--month 2026-11"),
        (("report", "--all"), "--month 2026-11"),
        (("report", "--all", "--month", "2026-11"), "there is no site.yml"),
    ],
)
def test_a_month_that_is_none_is_refused(arguments: tuple[str, ...], said: str, tmp_path: Path, updater: Typed) -> None:
    answer = updater(*arguments, cwd=tmp_path)
    assert answer.returncode == ExitCode.USAGE
    assert said in answer.stderr


def test_a_site_in_place_of_a_run_means_its_last_one(
    site: Path, updater: Typed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Journal(site / ".updater").begin("20261122-051407-3f9a", "my-shop")
    (folder / "report.html").write_text("the page")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for named in (site / "site.yml", site):
        assert updater("report", str(named), cwd=elsewhere).stdout.split() == [str(folder / "report.html")]
    missing = updater("report", "gone/site.yml", cwd=elsewhere)
    assert (missing.returncode, "gone/site.yml" in missing.stderr) == (ExitCode.USAGE, True)


def test_a_bug_is_told_from_an_error_of_the_user(site: Path, updater: Typed) -> None:
    (site / ".updater").write_text("a file where the folder should be")
    answer = updater("runs", cwd=site)
    assert answer.returncode in (ExitCode.BUG, ExitCode.USAGE)
    assert "Traceback" not in answer.stderr


def test_the_demo_offers_every_shop_that_is_described_with_its_acts() -> None:
    described = [Kind.load(path.stem) for path in resources.folder("demo").glob("*.toml")]
    assert sorted(cli.DEMOS) == sorted(kind.name for kind in described if kind.demo and kind.demo.broken)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nobody is there to consent"),
        (("--consent", "shop", "--person", "Anna"), "--consent is not the site's name: 'shop'"),
        (("--consent", "my-shop"), "--consent needs --person"),
        (("--into", "there"), "--into and --into-production were both named"),
    ],
)
def test_a_restore_into_production_that_nobody_can_consent_to_begins_nothing(
    words: tuple[str, ...], said: str, updater: Typed, site: Path
) -> None:
    answer = updater("restore", "site.yml", "--into-production", *words, cwd=site)
    assert answer.returncode == ExitCode.USAGE
    assert said in answer.stderr
    assert not (site / ".updater" / "runs").exists()


@pytest.mark.parametrize(("typed", "consents"), [("tea", True), ("yes", False), ("Tea", False), ("", False)])
def test_only_the_sites_own_name_consents_to_losing_what_came_since(
    typed: str, consents: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site("tea", Server("shop.example", "deploy"), "/srv", "https://shop.example", tmp_path / "site.yml")
    taken = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    loss = restoring.Loss(
        taken, "away", "20261125-120000-aaaa", "2 orders came since: 7 (10.00)", 3, 40, ("config.php",), 120
    )
    assert cli._consents(site, loss, typed) is consents
    shown = capsys.readouterr().err
    for said in (
        "2026-11-24 03:00 UTC",
        "3 files and 40 tables",
        "2 orders came since",
        "config.php",
        "20261125-120000-aaaa",
    ):
        assert said in shown


def test_a_restore_into_production_is_not_approved_like_an_update(updater: Typed, site: Path) -> None:
    journal = Journal(site / ".updater")
    record = waiting_run.leave(journal, "my-shop")
    journal.keep(record.run, "record", replace(record, restored=datetime(2026, 11, 24, tzinfo=UTC)))
    journal.close()
    answer = updater("approve", record.run, "--yes", "--person", "Anna", cwd=site)
    assert answer.returncode == ExitCode.USAGE
    assert "restores a backup" in answer.stderr
