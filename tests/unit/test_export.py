"""A run that waits, carried to another machine in one file: what arrives is what was tested, or nothing is taken in."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import waiting_run
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt import typed

from updater import config, export, fleet, pipeline
from updater.checks import smoke
from updater.errors import ApprovalRefused, ExitCode, UpdaterError
from updater.journal import Journal, converter, digest, release_digest
from updater.model import Release, Site
from updater.report.record import RunRecord

ALWAYS = "policy: {windows: ['Mon-Sun 00:00-24:00 UTC']}\n"


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """The site on the CI's machine, a run of it waiting."""
    path = waiting_run.a_site(tmp_path / "ci" / "tea", "tea", ALWAYS)
    with fleet.opened(config.load(path)) as journal:
        waiting_run.leave(journal, "tea", age=timedelta(hours=2))
    return path


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    """The same site on a person's machine, which never ran anything."""
    return waiting_run.a_site(tmp_path / "laptop" / "tea", "tea", ALWAYS)


def exported(path: Path, into: Path) -> str:
    site = config.load(path)
    with fleet.opened(site) as journal:
        return export.write(site, journal, journal.find("last").run, into)


def taken(path: Path, file: Path, sha256: str = "") -> str:
    site = config.load(path)
    with fleet.opened(site) as journal:
        return export.take_in(site, journal, file, sha256)[0]


def nothing_was_taken_in(path: Path) -> bool:
    site = config.load(path)
    with fleet.opened(site) as journal:
        return journal.runs() == [] and not list((site.state / "runs").glob("*"))


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def packed(file: Path, content: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


# --------------------------------------------------------------------------------------------------- what is carried


def test_what_was_tested_there_waits_here_as_the_same_run(runner: Path, laptop: Path, tmp_path: Path) -> None:
    exported(runner, tmp_path / "tea.release")
    run = taken(laptop, tmp_path / "tea.release")
    there, here = fleet.waiting_run(config.load(runner), run), fleet.waiting_run(config.load(laptop), run)
    assert here.since == there.since, "it does not wait anew"
    assert digest(here.what.evidence) == here.what.record.evidence_sha256 == there.what.record.evidence_sha256
    assert here.what.release.sha256 == there.what.release.sha256 == release_digest(here.what.release)
    assert here.what.release.archive.parent == laptop.parent / ".updater" / "runs" / run
    assert here.what.release.archive.read_bytes() == there.what.release.archive.read_bytes()
    shown = smoke.load(here.what.release.archive.parent / "after")
    assert [(shown.folder / shot.file).is_file() for shot in shown.shots] == [True], "it becomes the approved look"


def test_one_run_gives_the_same_file_each_time(runner: Path, tmp_path: Path) -> None:
    hashes = {exported(runner, tmp_path / name) for name in ("first", "second")}
    assert hashes == {hashlib.sha256((tmp_path / "first").read_bytes()).hexdigest()}


def test_the_file_holds_nothing_of_production_and_only_its_owner_reads_it(runner: Path, tmp_path: Path) -> None:
    folder = next((runner.parent / ".updater" / "runs").glob("*-*"))
    for name in ("snapshot/database.sql.gz", "production/home.png", "run.log", "steps/refused.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("anna@pochta.example")
    exported(runner, tmp_path / "tea.release")
    assert sorted(members(tmp_path / "tea.release")) == [
        "after/home.png", "after/observation.json", "export.json", "junit.xml", "release.tar", "report.html", "report.md",
        "run.json", "steps/evidence.json", "steps/judgement.json", "steps/record.json", "steps/release.json",
    ]  # fmt: skip
    everything = b"".join(members(tmp_path / "tea.release").values())
    assert b"pochta.example" not in everything
    assert str(runner.parent).encode() not in members(tmp_path / "tea.release")["steps/release.json"]
    assert (tmp_path / "tea.release").stat().st_mode & 0o077 == 0


def test_taken_in_twice_is_once(runner: Path, laptop: Path, tmp_path: Path) -> None:
    exported(runner, tmp_path / "tea.release")
    assert taken(laptop, tmp_path / "tea.release") == taken(laptop, tmp_path / "tea.release")
    assert len(fleet.waiting_below(laptop)[0]) == 1


def test_an_import_that_was_killed_before_the_journal_knew_it_is_begun_again(
    runner: Path, laptop: Path, tmp_path: Path
) -> None:
    exported(runner, tmp_path / "tea.release")
    run = next(iter((runner.parent / ".updater" / "runs").glob("*-*"))).name
    half = laptop.parent / ".updater" / "runs" / run
    half.mkdir(parents=True)
    (half / "half").write_text("")
    taken(laptop, tmp_path / "tea.release")
    assert not (half / "half").exists()
    assert len(fleet.waiting_below(laptop)[0]) == 1


# --------------------------------------------------------------------------------------------------- what is refused


def test_a_run_that_does_not_wait_is_not_exported(runner: Path, tmp_path: Path) -> None:
    assert typed("reject", "--site", str(runner)) == ExitCode.DONE
    with pytest.raises(ApprovalRefused, match="cannot be approved"):
        exported(runner, tmp_path / "tea.release")
    assert not (tmp_path / "tea.release").exists()


def test_an_export_of_another_site_is_refused_and_names_both(runner: Path, tmp_path: Path) -> None:
    books = waiting_run.a_site(tmp_path / "books", "books", ALWAYS)
    exported(runner, tmp_path / "tea.release")
    with pytest.raises(export.ExportRefused, match="of another site") as caught:
        taken(books, tmp_path / "tea.release")
    assert "tea (https://tea.example)" in caught.value.cause
    assert "books (https://books.example)" in caught.value.cause
    assert nothing_was_taken_in(books)


def test_a_run_that_waited_too_long_is_refused(runner: Path, laptop: Path, tmp_path: Path) -> None:
    exported(runner, tmp_path / "tea.release")
    laptop.write_text(laptop.read_text().replace("policy: {", "policy: {expires: 1h, "))
    with pytest.raises(ApprovalRefused) as caught:
        taken(laptop, tmp_path / "tea.release")
    assert "longer than policy.expires" in caught.value.cause
    assert nothing_was_taken_in(laptop)


def test_another_sha256_than_the_run_printed_is_refused(runner: Path, laptop: Path, tmp_path: Path) -> None:
    sha256 = exported(runner, tmp_path / "tea.release")
    with pytest.raises(export.ExportRefused, match="not what the run wrote"):
        taken(laptop, tmp_path / "tea.release", sha256.replace(sha256[0], "0" if sha256[0] != "0" else "1"))
    assert nothing_was_taken_in(laptop)
    assert taken(laptop, tmp_path / "tea.release", sha256.upper())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An export of tea."""
    folder = tmp_path_factory.mktemp("ci")
    with fleet.opened(config.load(waiting_run.a_site(folder, "tea", ALWAYS))) as journal:
        waiting_run.leave(journal, "tea")
    exported(folder / "site.yml", folder / "tea.release")
    return (folder / "tea.release").read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_byte_altered_anywhere_is_refused_or_changes_nothing(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    altered = bytearray(whole)
    altered[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    file = tmp_path_factory.mktemp("bytes") / "tea.release"
    file.write_bytes(whole)
    content = members(file)
    file.write_bytes(altered)
    laptop = waiting_run.a_site(file.parent, "tea", ALWAYS)
    try:
        run = taken(laptop, file)
    except UpdaterError as error:
        assert error.hint
        assert nothing_was_taken_in(laptop)
    else:  # a byte of the tar's own, like a date or the padding: what was taken in is what was exported
        here = laptop.parent / ".updater" / "runs" / run
        for name, data_in_it in content.items():
            if name not in ("export.json", "steps/release.json"):
                assert (here / name).read_bytes() == data_in_it
        assert release_digest(fleet.waiting_run(config.load(laptop), run).what.release)


def forged(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    """A change of the release together with every hash that the file itself holds, but not the release's own."""

    def forge(content: dict[str, bytes]) -> None:
        release = converter.structure(json.loads(content["steps/release.json"]), Release)
        content["steps/release.json"] = export.dump(replace(release, **changes))

    return forge


def other_run(content: dict[str, bytes]) -> None:
    record = converter.structure(json.loads(content["steps/record.json"]), RunRecord)
    content["steps/record.json"] = export.dump(replace(record, run="20261125-000000-abcd"))


def climbs_out(content: dict[str, bytes]) -> None:
    content["../../../site.yml"] = b"policy: {approve: passed}"


def absolute(content: dict[str, bytes]) -> None:
    content["/etc/cron.d/updater"] = b"* * * * * root true"


def without_release(content: dict[str, bytes]) -> None:
    del content["release.tar"]


def no_json(content: dict[str, bytes]) -> None:
    content["steps/judgement.json"] = b"PASS"


@pytest.mark.parametrize(
    "forge",
    [forged(units=("wp-content",)), forged(site="books"), other_run, climbs_out, absolute, without_release, no_json],
)
def test_a_file_whose_hashes_were_written_anew_is_refused_when_its_parts_do_not_belong_together(
    runner: Path, laptop: Path, tmp_path: Path, forge: Callable[[dict[str, bytes]], None]
) -> None:
    file = tmp_path / "tea.release"
    exported(runner, file)
    content = members(file)
    about = json.loads(content.pop("export.json"))
    forge(content)
    about["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    packed(file, {"export.json": json.dumps(about).encode(), **content})
    with pytest.raises(export.ExportRefused, match="not what the run wrote"):
        taken(laptop, file)
    assert nothing_was_taken_in(laptop)
    assert not (tmp_path / "site.yml").exists()


def test_a_link_in_it_is_refused(runner: Path, laptop: Path, tmp_path: Path) -> None:
    file = tmp_path / "tea.release"
    exported(runner, file)
    with tarfile.open(file, "a") as tar:
        link = tarfile.TarInfo("after/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(export.ExportRefused, match="not what the run wrote"):
        taken(laptop, file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\0" * 20_000])
def test_another_kind_of_file_is_refused(laptop: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.zip").write_bytes(content)
    with pytest.raises(export.ExportRefused, match="no export of a run"):
        taken(laptop, tmp_path / "report.zip")


def test_an_export_of_a_later_version_says_so(runner: Path, laptop: Path, tmp_path: Path) -> None:
    file = tmp_path / "tea.release"
    exported(runner, file)
    content = members(file)
    packed(file, {**content, "export.json": content["export.json"].replace(b'"format": 1', b'"format": 2')})
    with pytest.raises(export.ExportRefused, match="another version of updater"):
        taken(laptop, file)


def test_a_known_run_with_another_release_is_refused(runner: Path, laptop: Path, tmp_path: Path) -> None:
    run = fleet.waiting_below(runner)[0][0].run
    site: Site = config.load(laptop)
    with fleet.opened(site) as journal:
        waiting_run.leave(journal, "tea", (waiting_run.an_update("other"),), run=run)
    exported(runner, tmp_path / "tea.release")
    with pytest.raises(export.ExportRefused) as caught:
        taken(laptop, tmp_path / "tea.release")
    assert "its release is another one" in caught.value.cause


# ------------------------------------------------------------------------------------------------------ as it is typed


def test_what_export_prints_is_what_the_other_machine_types(
    runner: Path, laptop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("export", str(tmp_path / "tea.release"), "--site", str(runner)) == ExitCode.DONE
    words = capsys.readouterr().err.splitlines()[-1].partition("updater ")[2].split()
    clients = laptop.parents[1]
    assert typed(*words, "--site", str(clients), "--no-input") == ExitCode.AWAITING_APPROVAL
    shown = capsys.readouterr().err
    assert "of tea" in shown
    assert "(as given)" in shown
    assert "Shop: 1.0 → 1.1" in shown


def test_an_import_without_its_sha256_asks_to_compare_and_yes_refuses(
    runner: Path, laptop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = exported(runner, tmp_path / "tea.release")
    words = ("approve", "--import", str(tmp_path / "tea.release"), "--site", str(laptop))
    assert typed(*words, "--yes", "--person", "Anna") == ExitCode.USAGE
    assert "--sha256" in capsys.readouterr().err
    assert nothing_was_taken_in(laptop)
    assert typed(*words, "--no-input") == ExitCode.AWAITING_APPROVAL
    assert f"sha256 {sha256} (compare it" in capsys.readouterr().err


def test_an_approved_import_goes_on_to_production_from_here(
    runner: Path, laptop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = exported(runner, tmp_path / "tea.release")
    words = ("approve", "--import", str(tmp_path / "tea.release"), "--sha256", sha256, "--site", str(laptop))
    assert typed(*words, "--yes", "--person", "Anna") == ExitCode.USAGE
    assert "127.0.0.1" in capsys.readouterr().err, "it went on to production, which nobody answers for"
    assert [row.state for row in runs(laptop)] == [pipeline.AWAITING]


def runs(path: Path) -> list[Any]:
    with fleet.opened(config.load(path)) as journal:
        assert isinstance(journal, Journal)
        return list(journal.runs())


def test_no_site_of_that_name_is_told(runner: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported(runner, tmp_path / "tea.release")
    waiting_run.a_site(tmp_path / "clients" / "books", "books", ALWAYS)
    code = typed("approve", "--import", str(tmp_path / "tea.release"), "--site", str(tmp_path / "clients"))
    assert code == ExitCode.USAGE
    assert "no site here is called tea" in capsys.readouterr().err


def test_a_folder_that_cannot_take_the_export_is_told_before_the_run(
    runner: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("run", str(runner), "--export", "/nowhere/tea.release") == ExitCode.USAGE
    assert "the export cannot be written" in capsys.readouterr().err
    assert len(runs(runner)) == 1, "no run was begun"


def test_the_export_of_an_earlier_run_does_not_stand_for_one_that_failed(runner: Path, tmp_path: Path) -> None:
    file = tmp_path / "tea.release"
    exported(runner, file)
    assert typed("run", str(runner), "--export", str(file)) != ExitCode.AWAITING_APPROVAL
    assert not file.exists()
