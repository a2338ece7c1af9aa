"""Reports: what they say, that hostile names stay text, that secrets stay out, and that a crash leaves no half of one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import imagecodecs
import numpy as np
import pytest

from updater.errors import ExitCode
from updater.model import (
    BlockedCall,
    CaughtMail,
    Check,
    Evidence,
    Finding,
    Held,
    Language,
    Migration,
    Outcome,
    Picture,
    Refused,
    Search,
    Status,
    Tried,
    Verdict,
)
from updater.report import RunRecord, UpdateResult, message, run_json, write
from updater.report.pictures import embed
from updater.report.record import masked_recipient, public, shortened, tell
from updater.report.write import ReportFailed
from updater.secrets import register

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} \u202e\x00\x1b[31m |`*_"
START = datetime(2026, 3, 4, 14, 12, tzinfo=UTC)
CHECKS = (
    Check("flow: checkout", "before", Status.PASSED, "12 tests", seconds=41.25),
    Check("flow: checkout", "after", Status.FAILED, "No order was placed."),
    Check("logs", "after", Status.INCONCLUSIVE, "The log could not be read."),
    Check("titles", "after", Status.FAILED, "A title differs.", required=False),
)


def record(text: str = "Demo Shop", **changes: object) -> RunRecord:
    whole = RunRecord(
        run="20260304-4f2a",
        site=text,
        url="https://shop.example/",
        cms="wordpress",
        state="rejected",
        exit_code=1,
        started=START,
        finished=START + timedelta(minutes=5),
        verdict=Verdict.FAIL,
        reasons=("flow: checkout: No order was placed.", text),
        updates=(UpdateResult("plugin", text, text, text, text, "failed", text),),
        held=(Held("plugin", text, "5.0", "5.5", text),),
        evidence=Evidence(
            (*CHECKS, Check(text, "after", Status.FAILED, text, True, (Finding("k", text, text, text, text + "2"),))),
            (Picture(text, text, "gone.png", "gone.png", "gone.png", "", 0.1, 0.0, 0.0),),
            (BlockedCall(START, "https", text, 443, "/path?key=SecretQuery"),),
            (CaughtMail(START, ("anna.petrova@example.com", text), text, body="Dear Anna"),),
        ),
        timings={"clone": 1.23456, "check": 2.0},
        evidence_sha256="ab" * 32,
        notes=(text,),
        changed_files=3,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_four_files_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    assert write(record(), tmp_path) == tmp_path / "report.html"
    write(record(), tmp_path)  # again, as the run goes on
    assert set(texts(tmp_path)) == {"report.html", "run.json", "junit.xml", "report.md"}


def test_run_json_holds_what_other_programs_read() -> None:
    answer = run_json(record(), Path("/runs/x"))
    assert {key: answer[key] for key in ("run", "site", "cms", "state", "exit_code", "verdict", "report")} == {
        "run": "20260304-4f2a",
        "site": "Demo Shop",
        "cms": "wordpress",
        "state": "rejected",
        "exit_code": 1,
        "verdict": "FAIL",
        "report": "/runs/x/report.html",
    }
    assert set(answer["updates"][0]) == {"kind", "slug", "name", "from", "to", "outcome", "reason"}
    assert answer["checks"][0] == {
        "name": "flow: checkout",
        "phase": "before",
        "verdict": "passed",
        "detail": "12 tests",
        "required": True,
        "seconds": 41.25,
    }
    assert answer["timings"] == {"closed": 0.0, "clone": 1.235, "check": 2.0}
    assert answer["evidence_sha256"] == "ab" * 32
    json.dumps(answer)


def test_a_run_that_hardly_began_is_reported_too(tmp_path: Path) -> None:
    bare = RunRecord("r", "shop", "https://x/", "auto", "failed", 2, START, error="the host key changed", hint="look")
    write(bare, tmp_path)
    for name, text in texts(tmp_path).items():
        assert "the host key changed" in text, name
    assert json.loads(texts(tmp_path)["run.json"])["verdict"] is None


def test_the_closed_seconds_and_production_checks_of_a_promotion_are_told(tmp_path: Path) -> None:
    outcome = Outcome("promoted", 7.5, (Check("home", "production", Status.PASSED, "200, PHP booted the new code"),))
    done = record(state="promoted", exit_code=0, verdict=None, outcome=outcome, timings={"closed": 7.5})
    write(done, tmp_path)
    answer = json.loads(texts(tmp_path)["run.json"])
    assert answer["timings"]["closed"] == 7.5
    assert answer["checks"][-1]["phase"] == "production"
    assert "PHP booted the new code" in texts(tmp_path)["report.html"]


def test_hostile_names_stay_text_everywhere(tmp_path: Path) -> None:
    write(record(HOSTILE), tmp_path)
    written = texts(tmp_path)
    html = written["report.html"]
    assert html.count("<script>") == 1
    assert "<img src=x" not in html
    assert "onerror=alert(2)>" not in html.replace("&gt;", "")
    assert "{{ 7*7 }}" in html  # shown as it is, not computed
    assert "<script>" not in written["report.md"].replace("\\<script\\>", "")
    assert "\u202e" not in written["report.md"]
    ET.fromstring(written["junit.xml"])
    assert json.loads(written["run.json"])["updates"][0]["slug"] == HOSTILE


def test_a_file_name_that_is_no_unicode_does_not_stop_the_report(tmp_path: Path) -> None:
    write(record("caf\udce9"), tmp_path)
    assert "caf?" in texts(tmp_path)["report.html"]


def test_the_page_forbids_itself_every_request(tmp_path: Path) -> None:
    html = write(record(), tmp_path).read_text(encoding="utf-8")
    assert "default-src &#39;none&#39;; img-src data:;" in html
    assert "unsafe-inline" not in html
    assert 'src="http' not in html


def test_secrets_never_reach_a_report_even_where_escaping_would_hide_them(tmp_path: Path) -> None:
    secret = register("p&ss<w>\"ord'42")
    write(record(f"mysql said: {secret}"), tmp_path)
    for name, text in texts(tmp_path).items():
        assert "ord'42" not in text, name
        assert "ord&#39;42" not in text, name
        assert "redacted" in text, name


def test_mail_shows_no_person_and_calls_no_query(tmp_path: Path) -> None:
    write(record(), tmp_path)
    for text in texts(tmp_path).values():
        assert "anna.petrova" not in text
        assert "Dear Anna" not in text
        assert "SecretQuery" not in text
    assert "a…@example.com" in texts(tmp_path)["report.html"]
    assert masked_recipient("root") == "r…"


def test_a_call_that_a_recording_answered_is_told_from_one_that_was_blocked(tmp_path: Path) -> None:
    evidence = record().evidence
    assert evidence is not None
    answered = BlockedCall(START, "https", "api.pay.example", 443, "POST /v3/payments", "after", answered=True)
    write(record(evidence=replace(evidence, blocked=(*evidence.blocked, answered, answered))), tmp_path)
    rows = texts(tmp_path)["report.html"].split("<tr>")
    (row,) = [row for row in rows if "POST /v3/payments" in row]
    assert "answered from a recording" in row
    assert ">2</td>" in row
    assert sum("answered from a recording" in row for row in rows) == 1


def test_junit_counts_what_failed_and_leaves_information_out(tmp_path: Path) -> None:
    write(record(), tmp_path)
    root = ET.fromstring(texts(tmp_path)["junit.xml"])
    suites = {suite.get("name"): suite for suite in root}
    assert suites["verdict"].find("testcase/failure") is not None
    after = suites["after"]
    assert [after.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["4", "2", "1", "1"]
    assert len(after.findall("testcase/failure")) == 2
    assert len(after.findall("testcase/error")) == 1
    assert len(after.findall("testcase/skipped")) == 1


def test_only_what_decides_is_counted_and_both_counts_of_a_page_agree(tmp_path: Path) -> None:
    shown = (
        Check("logs", "compare", Status.PASSED, ""),
        Check("speed", "compare", Status.FAILED, "slower", required=False),
    )
    told_only = (Check("error log", "production", Status.PASSED, "", required=False),)
    write(record(evidence=Evidence((*shown, *told_only))), tmp_path)
    page, text = texts(tmp_path)["report.html"], texts(tmp_path)["report.md"]
    assert page.count("<b>1</b> check passed") == page.count("1 of 1 passed") == text.count("1 of 1 passed") == 1
    assert " of 2 passed" not in page + text
    assert "0 of 0" not in page + text
    assert "speed: slower" in text, "what is shown for information is still told"


def test_an_inconclusive_run_is_no_success_for_ci(tmp_path: Path) -> None:
    write(record(state="inconclusive", exit_code=7, verdict=Verdict.INCONCLUSIVE), tmp_path)
    verdict = next(iter(ET.fromstring(texts(tmp_path)["junit.xml"])))
    assert verdict.get("errors") == "1"


def test_a_report_that_cannot_be_written_leaves_the_old_one_whole(tmp_path: Path) -> None:
    write(record(), tmp_path)
    old = (tmp_path / "run.json").read_text()
    (tmp_path / "report.md").unlink()
    (tmp_path / "report.md").mkdir()
    (tmp_path / "report.md" / "in the way").touch()
    with pytest.raises(ReportFailed):
        write(record(state="promoted"), tmp_path)
    assert (tmp_path / "run.json").read_text() == old
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# ------------------------------------------------------------------------------------------------------ pictures


def png(path: Path, side: int = 40, seed: int = 1) -> str:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    path.write_bytes(imagecodecs.png_encode(noise))
    return path.name


def pictured(folder: Path, page: str, difference: bool = False, side: int = 40) -> Picture:
    names = [png(folder / f"{page}-{part}.png", side, n) for n, part in enumerate("abd")]
    return Picture(page, "desktop", names[0], names[1], names[2] if difference else "", "", 0.1 * difference, 0.0, 0.0)


def test_findings_come_first_and_equal_pages_are_shown_once(tmp_path: Path) -> None:
    pictures = (pictured(tmp_path, "home"), pictured(tmp_path, "cart", difference=True))
    check = Check("picture of cart (desktop)", "compare", Status.FAILED, "changed")
    first, second = embed(pictures, (check,), tmp_path)
    assert (first.picture.page, first.status, first.detail) == ("cart", Status.FAILED, "changed")
    assert all((first.before, first.after, first.difference))
    assert second.alike
    assert (bool(second.after), second.before) == (True, "")


def test_the_page_stays_within_its_budget_and_says_what_it_left_out(tmp_path: Path) -> None:
    pictures = tuple(pictured(tmp_path, name, difference=True, side=300) for name in ("a", "b", "c"))
    shown = embed(pictures, (), tmp_path, budget=250_000)
    total = sum(len(uri) for shot in shown for uri in (shot.before, shot.after, shot.difference))
    assert total < 250_000 * 4 / 3 + 1000
    assert not shown[0].left_out
    assert shown[-1].left_out


def test_only_pictures_of_the_runs_own_folder_are_embedded(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    png(tmp_path / "outside.png")
    (run / "key.png").write_text("ssh private key")
    (run / "link.png").symlink_to(tmp_path / "outside.png")
    for path in ("../outside.png", "key.png", "link.png", "gone.png"):
        (shot,) = embed((Picture("p", "v", path, path, path, "", 0.1, 0, 0),), (), run)
        assert shot.left_out
        assert not any((shot.before, shot.after, shot.difference))


# -------------------------------------------------------------------------------------------------- words and messages


@pytest.mark.parametrize(
    ("state", "code", "urgency", "command"),
    [
        ("awaiting approval", ExitCode.AWAITING_APPROVAL, "work", "updater approve 20260304-4f2a"),
        ("promoted", ExitCode.DONE, "info", "updater rollback"),
        ("nothing to do", ExitCode.DONE, "info", ""),
        ("rejected", ExitCode.REJECTED, "work", "updater run"),
        ("inconclusive", ExitCode.INCONCLUSIVE, "work", "updater run"),
        ("rolled_back", ExitCode.ROLLED_BACK, "urgent", "updater run"),
        ("failed", ExitCode.UNKNOWN_STATE, "urgent", "updater status"),
        ("stopped", ExitCode.UNKNOWN_STATE, "urgent", "Someone must decide now"),
        ("a state of tomorrow", ExitCode.BUG, "work", "updater status"),
    ],
)
def test_each_end_is_told_with_its_urgency_and_the_next_command(
    state: str, code: ExitCode, urgency: str, command: str
) -> None:
    how_urgent, title, body = message(record(state=state, exit_code=int(code)))
    assert how_urgent == urgency
    assert "Demo Shop" in title
    assert command in body
    assert tell(record(state=state, exit_code=int(code))).headline in body


def test_a_promoted_shop_whose_database_migrated_is_told_what_names_the_price_of_going_back() -> None:
    migrated = Migration(changed_tables=("sh_options",))
    ((why, command),) = tell(record(state="promoted", migration=migrated)).next
    assert "a person decides" in why
    assert command == "updater rollback site.yml"


BY_HAND = (
    "updater recover site.yml\n         or by hand:\n         ssh -p 22 deploy@shop.example\n"
    "         sh /home/deploy/.updater/runs/r/transaction.sh recover   # finishes or undoes it\n"
    "         sh /home/deploy/.updater/runs/r/transaction.sh open      # only if still closed"
)


@pytest.mark.parametrize(
    "ended",
    [
        record(
            state="rolled back", exit_code=4, outcome=Outcome("rolled_back", 9.0, reason="no price", recover=BY_HAND)
        ),
        record(state="unknown", exit_code=5, error="the end was not seen", hint=BY_HAND, outcome=None),
    ],
    ids=["exit 4", "exit 5"],
)
def test_what_a_page_someone_message_ends_with_can_be_typed(ended: RunRecord, tmp_path: Path) -> None:
    typed = [line.strip() for line in BY_HAND.splitlines()]
    assert message(ended)[2].splitlines()[-5:] == typed
    write(ended, tmp_path)
    assert [line.strip() for line in texts(tmp_path)["report.md"].splitlines()[-5:]] == typed
    assert "deploy@shop.example\n" in texts(tmp_path)["report.html"]


def test_a_refused_request_is_told_without_what_is_personal() -> None:
    asked = Refused(
        "2026-03-04T14:12:00+00:00", "POST", "/?wc-api=pay&email=anna@pochta.example&key=77", "203.0.113.77"
    )
    told = shortened(asked)
    assert (told.path, told.address) == ("/?wc-api=pay", "203.0.113.…")
    assert shortened(replace(asked, path="/pay?token=7", address="2001:db8:1:2::7")).path == "/pay?…"
    assert shortened(replace(asked, address="2001:db8:1:2::7")).address == "2001:db8:1:…"
    promoted = record(state="promoted", exit_code=0, outcome=Outcome("promoted", 3.0, refused=(told, told)))
    assert "Look whether these came again: POST /?wc-api=pay\n" in message(promoted)[2]
    assert run_json(promoted)["outcome"]["callbacks_refused"] == ["POST /?wc-api=pay"]


@pytest.mark.parametrize(
    ("state", "code", "headline", "command"),
    [
        ("promoted", 0, "The shop is back as it was on 24 November 2026, 03:00 UTC.", "updater rollback site.yml"),
        ("promoted", 5, "The restored shop is live, and has shown faults since. Someone must look now.", ""),
        ("rejected", 1, "The backup was not restored.", "updater backup list site.yml"),
        ("inconclusive", 7, "It cannot be told whether the shop", "updater restore site.yml --into-production"),
        ("rolled back", 4, "The restore failed and was undone.", "updater restore site.yml --into-production"),
        ("rolled back", 0, "The restore was taken back.", ""),
        ("unknown", 5, "The state of production is not known.", "updater status site.yml"),
    ],
)
def test_a_restore_is_never_told_as_an_update(state: str, code: int, headline: str, command: str) -> None:
    told = tell(record(state=state, exit_code=code, updates=(), restored=datetime(2026, 11, 24, 3, tzinfo=UTC)))
    assert told.headline.startswith(headline)
    assert "update" not in told.headline
    assert command in [typed for _, typed in told.next] or not command


def test_an_unknown_state_never_claims_that_production_is_untouched() -> None:
    told = tell(record(state="rejected", exit_code=5))
    assert "not known" in told.headline
    assert "not touched" not in told.production


def test_a_look_alone_that_was_rejected_is_told_how_to_be_accepted() -> None:
    updates = (UpdateResult("plugin", "forms", "Forms", "1.0", "2.0", "rejected"),)
    told = tell(record(state="rejected", exit_code=1, updates=updates, only_look=True))
    assert told.next[0][1] == 'policy: {new_look: {forms: {version: "2.0", reason: …}}}'
    assert told.next[1][1] == "updater run --retry site.yml"
    assert "new_look" not in str(tell(record(state="rejected", exit_code=1, updates=updates)))


def test_messages_carry_no_secret() -> None:
    secret = register("sesame-open-77")
    assert secret not in "".join(message(record(secret)))
    assert public({"a": (secret,)}) == {"a": ("[redacted]",)}


# ------------------------------------------------------------------------------------------------ what broke the shop

SEARCH = Search(
    ("plugin:forms",),
    (
        Tried(("core:cms", "plugin:forms"), Verdict.FAIL, "smoke tests: “Place order” did nothing", 40.0),
        Tried(("plugin:forms",), Verdict.FAIL, "smoke tests: “Place order” did nothing", 34.0),
    ),
)
HELD_BACK = (
    UpdateResult("core", "cms", "CMS", "6.1", "6.8", "planned"),
    UpdateResult("plugin", "forms", "Forms", "1.0", "2.0", "held", "smoke tests: “Place order” did nothing"),
)


@pytest.mark.parametrize("updates", [HELD_BACK[:1], HELD_BACK], ids=["all passed", "some held back"])
def test_what_is_only_advised_sends_nobody_to_an_approval_that_is_refused(updates: tuple[UpdateResult, ...]) -> None:
    advised = record(state="awaiting approval", exit_code=3, updates=updates, advice="not deployed; install it by hand")
    _, _, body = message(advised)
    assert "updater approve" not in body
    assert "nothing is deployed there by this program" in body
    assert body.endswith("by the shop's own updater on the live site")
    assert "copy" in tell(advised).headline
    assert run_json(advised)["advice"] == advised.advice


def test_a_held_update_is_told_with_its_reason_and_how_it_was_found(tmp_path: Path) -> None:
    told = record(state="awaiting approval", exit_code=3, updates=HELD_BACK, searches=(SEARCH,))
    write(told, tmp_path)
    written = texts(tmp_path)
    (search,) = json.loads(written["run.json"])["searches"]
    assert (search["broken"], search["seconds"], len(search["trials"])) == (["plugin:forms"], 74.0, 2)
    assert [u["outcome"] for u in json.loads(written["run.json"])["updates"]] == ["planned", "held"]
    for name in ("report.html", "report.md"):
        assert "Found in 2 trials" in written[name].replace("\\", ""), name
        assert "“Place order” did nothing" in written[name], name
    (suite,) = (suite for suite in ET.fromstring(written["junit.xml"]) if suite.get("name") == "updates")
    assert (suite.get("tests"), suite.get("skipped"), suite.get("failures")) == ("2", "1", "0")
    assert "Found in 2 trials" in (suite[1][0].text or "")
    urgency, _, body = message(replace(told, state="promoted", exit_code=0))
    assert urgency == "work", "somebody has to look at the plugin"
    assert "Forms 1.0 → 2.0: held (smoke tests: “Place order” did nothing)" in body


# -------------------------------------------------------------------------------------------------------- languages


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            Language.RU,
            (
                "Обновления отклонены.",
                "Рабочий сайт не тронут.",
                "сценарии покупателя: не пройдено 1 из 8: Заказ не был принят",
                "отклонено",
            ),
        ),
        (
            Language.UK,
            (
                "Оновлення відхилено.",
                "Робочого сайту не торкалися.",
                "сценарії покупця: не пройдено 1 із 8: Замовлення не було прийнято",
                "відхилено",
            ),
        ),
    ],
)
def test_an_owner_reads_the_report_and_the_message_in_their_language(
    language: Language, said: tuple[str, ...], tmp_path: Path
) -> None:
    found = "1 of 8 smoke tests did not pass: The order was not accepted"
    smoke = Check("smoke tests", "after", Status.FAILED, found)
    update = UpdateResult("plugin", "tea", "Tea", "1.0", "1.1", "rejected")
    reason = f"smoke tests: {found}"
    told = record(language=language, evidence=Evidence((smoke,)), updates=(update,), reasons=(reason,))
    write(told, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in page
    assert [text for text in said if text not in page] == []
    assert [text for text in said if text not in markdown] == []
    _, title, body = message(told)
    assert [text for text in said[:3] if text not in body] == []
    assert title.endswith(said[3])
    for english in ("What you can do next", "Held back", "The updates were", "not touched", "did not pass"):
        assert english not in page + markdown + body


def test_ci_reads_english_whatever_the_owner_reads(tmp_path: Path) -> None:
    write(record(), tmp_path / "en")
    write(record(language=Language.RU), tmp_path / "ru")
    for name in ("junit.xml", "run.json"):
        english, russian = ((tmp_path / folder / name).read_text(encoding="utf-8") for folder in ("en", "ru"))
        assert russian.replace("/ru/", "/en/") == english


def test_a_hostile_word_is_not_taken_for_a_message(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    update = UpdateResult(evil, "s", "n", "1", "2", evil)
    write(record(language=Language.RU, updates=(update,)), tmp_path)
    assert evil not in (tmp_path / "report.html").read_text(encoding="utf-8")
