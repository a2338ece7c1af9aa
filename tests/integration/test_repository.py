"""The client's git repository: real ones, with a bare remote between a CI runner and a person's laptop."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import waiting_run
import yaml
from prompt import typed

from updater import client, config, export, fleet, repository
from updater.errors import ExitCode
from updater.journal import converter, now, release_digest
from updater.model import Approval, Component, Database, Installation, Inventory, Release, Server, Site
from updater.report.record import RunRecord

PARTS = (
    Component("core", "cms", "Core", "6.8.1", True, ""),
    Component("plugin", "shop", "Shop", "1.0", True, "plugins/shop"),
    Component("plugin", "чай", "Чай", "0.9", False, "plugins/tea"),
)
FOUND = Inventory("wordpress", "6.8.1", "8.2.29", PARTS)
SHOP = Installation("wordpress", "6.8.1", "/srv/shop", "php", "https://www.tea.example", Database("s", "s", "s"))
SERVER = Server("127.0.0.1", "deploy", 1, host_key=waiting_run.HOST_KEY)
PASSPORT = "# Technical passport: tea\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass
class Clone:
    """A checkout of the client's repository on one machine."""

    folder: Path

    @property
    def site(self) -> Site:
        return config.load(self.folder / "site.yml")

    def git(self, *words: str) -> str:
        return git(self.folder, *words)

    def leave_run(self, age: timedelta = timedelta()) -> RunRecord:
        """A run that passed and waits, as the pipeline leaves it, without its branch."""
        with fleet.opened(self.site) as journal:
            return replace(waiting_run.leave(journal, "tea", age=age), inventory=FOUND)

    def release(self, run: str) -> str:
        with fleet.opened(self.site) as journal:
            return journal.output(run, "release", Release).sha256

    def propose(self, record: RunRecord) -> str:
        return repository.propose(self.site, record, self.runs / record.run, self.release(record.run), lambda: PASSPORT)

    def accept(self, record: RunRecord, person: str = "Anna") -> str:
        approval = Approval(record.run, person, now(), now(), "e", "r")
        deployed = replace(record, state="promoted", approval=approval)
        release = self.release(record.run)
        return repository.accept(self.site, deployed, self.runs / record.run, release, lambda: PASSPORT)

    @property
    def runs(self) -> Path:
        return self.folder / ".updater" / "runs"


@pytest.fixture(autouse=True)
def nobody_is_known_to_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CI runner: no name, no address, nothing of this machine's settings."""
    (tmp_path / "gitconfig").write_text("[init]\n\tdefaultBranch = trunk\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--bare", "--quiet", "-b", "main", str(tmp_path / "tea.git")], check=True)
    return tmp_path / "tea.git"


@pytest.fixture
def laptop(tmp_path: Path, remote: Path) -> Iterator[Clone]:
    """Where `updater init` was typed and the repository pushed from."""
    client.create(tmp_path / "laptop" / "tea", SERVER, SHOP, FOUND)
    clone = Clone(tmp_path / "laptop" / "tea")
    clone.git("remote", "add", "origin", str(remote))
    clone.git("push", "--quiet", "-u", "origin", "main")
    yield clone


@pytest.fixture
def runner(tmp_path: Path, remote: Path, laptop: Clone) -> Clone:
    """A CI job's checkout: shallow, and on no branch."""
    folder = tmp_path / "runner" / "tea"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{remote}", str(folder)], check=True)
    git(folder, "checkout", "--quiet", "--detach")
    return Clone(folder)


def branches(folder: Path) -> list[str]:
    return git(folder, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()


# ---------------------------------------------------------------------------------------------------- what waits


def test_what_passed_is_one_commit_on_a_branch_that_the_remote_gets(laptop: Clone, runner: Clone, remote: Path) -> None:
    record = runner.leave_run()
    branch = runner.propose(record)
    assert branch == f"updates/{record.started:%Y-%m-%d}"
    assert git(remote, "rev-list", "--count", f"main..{branch}") == "1"
    changed = git(remote, "diff", "--name-only", "main", branch).splitlines()
    assert changed == ["baselines/tea.example/baseline.yml", "baselines/tea.example/home/desktop.png", "inventory.yml",
                       "passport.md", f"updates/{record.run}.md"]  # fmt: skip
    inventory = yaml.safe_load(git(remote, "show", f"{branch}:inventory.yml"))
    assert {part["slug"]: part["version"] for part in inventory["components"]} == {
        "cms": "6.8.1",
        "shop": "1.1",
        "чай": "0.9",
    }
    assert "Shop" in git(remote, "show", f"{branch}:updates/{record.run}.md")
    message = git(remote, "log", "-1", "--format=%B", branch)
    assert message.startswith("Passed: Shop 1.0 → 1.1 of tea")
    assert f"Updater-Run: {record.run}" in message
    assert f"Updater-Release: {runner.release(record.run)}" in message


def test_uncommitted_changes_of_a_person_are_left_alone(laptop: Clone) -> None:
    (laptop.folder / "README.md").write_text("half a sentence")
    (laptop.folder / "inventory.yml").write_text("mine")
    (laptop.folder / "packages" / "paid.zip").write_text("zip")
    laptop.git("add", "README.md")
    before = laptop.git("status", "--porcelain")
    branch = laptop.propose(laptop.leave_run())
    assert laptop.git("status", "--porcelain") == before
    assert laptop.git("branch", "--show-current") == "main"
    assert "half a sentence" not in laptop.git("show", f"{branch}:README.md")
    assert laptop.git("worktree", "list").count("\n") == 0, "the tree of its own is gone"


def test_a_second_run_of_a_day_has_a_branch_of_its_own_and_the_same_run_has_one(laptop: Clone) -> None:
    first, second = laptop.leave_run(), laptop.leave_run()
    names = [laptop.propose(record) for record in (first, second, first)]
    assert names == [names[0], f"{names[0]}-2", names[0]]


def test_a_folder_that_is_no_client_repository_gets_no_branch(tmp_path: Path) -> None:
    """Like the demo's, whose folder is ignored by the repository around it; and one with no commit yet."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("tea/\n")
    clone = Clone(tmp_path / "tea")
    waiting_run.a_site(clone.folder, "tea")
    assert clone.propose(clone.leave_run()) == ""
    git(tmp_path, "add", ".gitignore")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@a", "commit", "--quiet", "-m", "around")
    assert clone.propose(clone.leave_run()) == ""
    assert branches(tmp_path) == ["trunk"]


# ------------------------------------------------------------------------------------------- deployed, or rejected


def imported(runner: Clone, laptop: Clone, record: RunRecord) -> None:
    """The run of the CI, taken in on the laptop."""
    with fleet.opened(runner.site) as journal:
        sha256 = export.write(replace(runner.site, name="tea"), journal, record.run, runner.folder / "tea.release")
    with fleet.opened(laptop.site) as journal:
        site = replace(laptop.site, name="tea", url=record.url)
        export.take_in(site, journal, runner.folder / "tea.release", sha256)


def test_what_ci_tested_and_a_laptop_deployed_is_merged_with_who_approved(
    laptop: Clone, runner: Clone, remote: Path
) -> None:
    record = runner.leave_run()
    branch = runner.propose(record)
    imported(runner, laptop, record)
    (laptop.folder / "README.md").write_text("half a sentence")
    pictures = laptop.folder / "baselines" / "tea.example" / "home"
    pictures.mkdir(parents=True)
    (pictures / "desktop.png").write_text("the promotion keeps the approved look here before it commits")
    (laptop.folder / "passport.md").write_text("as somebody typed `updater passport` meanwhile")
    assert laptop.accept(record, "Anna") == "main"
    assert branches(remote) == branches(laptop.folder) == ["main"]
    assert laptop.git("rev-parse", "main") == git(remote, "rev-parse", "main")
    assert len(git(remote, "log", "-1", "--format=%P", "main").split()) == 2, (
        "a merge: the branch's commit stays visible"
    )
    told = git(
        remote, "log", "--first-parent", "--format=%s|%(trailers:key=Approved-by,valueonly)", "main", "--", "updates"
    )
    assert told.splitlines()[0] == "Deployed: Shop 1.0 → 1.1 of tea|Anna"
    assert yaml.safe_load(git(remote, "show", "main:baselines/tea.example/baseline.yml"))["approved_by"] == "Anna"
    assert git(remote, "show", "main:passport.md") == PASSPORT.strip()
    assert laptop.git("status", "--porcelain") == "M README.md", (
        "the person's change is still there, and ours are committed"
    )
    assert branch not in laptop.git("branch", "-a")


def test_a_run_whose_branch_nobody_made_is_merged_all_the_same(laptop: Clone, remote: Path) -> None:
    record = laptop.leave_run()
    assert laptop.accept(record) == "main"
    assert '"1.1"' in git(remote, "show", "main:inventory.yml") or "1.1" in git(remote, "show", "main:inventory.yml")
    assert branches(remote) == ["main"]


def test_a_job_on_no_branch_merges_into_the_remotes_own(laptop: Clone, runner: Clone, remote: Path) -> None:
    record = runner.leave_run()
    runner.propose(record)
    runner.git("fetch", "--quiet", "--unshallow")
    assert runner.accept(record, "boris") == "main"
    assert git(remote, "log", "-1", "--format=%s", "main").startswith("Deployed")


def commit(clone: Clone, file: str, text: str) -> None:
    (clone.folder / file).write_text(text)
    clone.git("-c", "user.name=b", "-c", "user.email=b@b", "commit", "--quiet", "-m", f"{file} changed", file)


def test_a_remote_that_moved_on_is_merged_on_top_of(laptop: Clone, remote: Path, tmp_path: Path) -> None:
    record = laptop.leave_run()
    laptop.propose(record)
    git(tmp_path, "clone", "--quiet", str(remote), "colleague")
    colleague = Clone(tmp_path / "colleague")
    commit(colleague, "README.md", "moved on")
    colleague.git("push", "--quiet")
    assert laptop.accept(record) == "main"
    assert git(remote, "show", "main:README.md") == "moved on"
    assert (laptop.folder / "README.md").read_text() == "moved on"


def test_a_remote_and_a_laptop_that_both_moved_on_are_a_persons_to_join_and_nothing_is_lost(
    laptop: Clone, remote: Path, tmp_path: Path
) -> None:
    record = laptop.leave_run()
    branch = laptop.propose(record)
    git(tmp_path, "clone", "--quiet", str(remote), "colleague")
    colleague = Clone(tmp_path / "colleague")
    commit(colleague, "README.md", "moved on")
    colleague.git("push", "--quiet")
    commit(laptop, ".gitignore", ".updater/\n*.release\n")
    before = laptop.git("rev-parse", "main"), git(remote, "rev-parse", "main")
    with pytest.raises(repository.RepositoryFailed, match="went different ways") as caught:
        laptop.accept(record)
    assert "git pull --rebase" in caught.value.hint
    assert before == (laptop.git("rev-parse", "main"), git(remote, "rev-parse", "main"))
    assert branch in branches(remote)


def test_an_uncommitted_change_in_the_way_of_a_colleagues_is_told_and_the_merge_is_not_lost(
    laptop: Clone, remote: Path, tmp_path: Path
) -> None:
    record = laptop.leave_run()
    branch = laptop.propose(record)
    git(tmp_path, "clone", "--quiet", str(remote), "colleague")
    colleague = Clone(tmp_path / "colleague")
    commit(colleague, "README.md", "moved on")
    colleague.git("push", "--quiet")
    (laptop.folder / "README.md").write_text("half a sentence")
    with pytest.raises(repository.RepositoryFailed, match="uncommitted changes stand in the way") as caught:
        laptop.accept(record)
    assert f"git merge {branch}" in caught.value.hint
    assert (laptop.folder / "README.md").read_text() == "half a sentence"
    assert laptop.git("rev-parse", branch) == git(remote, "rev-parse", "main"), (
        "deployed, and in the history of the remote"
    )
    laptop.git("checkout", "--quiet", "README.md")
    laptop.git("merge", "--ff-only", "--quiet", branch)  # as the hint says


def test_a_remote_that_refuses_keeps_the_commit_here(laptop: Clone, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'branch main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    record = laptop.leave_run()
    with pytest.raises(repository.RepositoryFailed, match="did not take the commit") as caught:
        laptop.propose(record)
    assert "branch main is protected" in caught.value.cause
    (branch,) = [name for name in branches(laptop.folder) if name.startswith("updates/")]
    assert caught.value.hint.endswith(f"git push origin {branch}")
    with pytest.raises(repository.RepositoryFailed):
        laptop.accept(record)
    assert laptop.git("log", "-1", "--format=%s", branch).startswith("Deployed"), "the merge has a name"


def test_what_was_rejected_is_gone_on_both_sides(laptop: Clone, runner: Clone, remote: Path) -> None:
    record = runner.leave_run()
    branch = runner.propose(record)
    laptop.git("fetch", "--quiet")
    assert repository.discard(laptop.site, record.run) == branch
    assert branches(remote) == ["main"]
    assert repository.discard(laptop.site, record.run) == ""


# ------------------------------------------------------------------------------------------- through the commands


def test_rejecting_a_run_deletes_its_branch_and_a_dead_remote_is_a_note_in_its_report(
    laptop: Clone, remote: Path, tmp_path: Path
) -> None:
    first, second = laptop.leave_run(), laptop.leave_run()
    names = [laptop.propose(record) for record in (first, second)]
    assert typed("reject", first.run, "--site", str(laptop.folder)) == ExitCode.DONE
    assert names[0] not in branches(remote)
    remote.rename(tmp_path / "gone.git")
    assert typed("reject", second.run, "--site", str(laptop.folder)) == ExitCode.DONE, "the decision stands"
    told = json.loads((laptop.runs / second.run / "run.json").read_text())
    assert told["state"] == "rejected"
    assert any("the client repository could not be brought up to date" in note for note in told["notes"])


def test_what_waits_in_ci_is_in_the_list_of_what_waits_until_it_is_taken_in(
    laptop: Clone, runner: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    record = runner.leave_run()
    branch = runner.propose(record)
    laptop.git("fetch", "--quiet")
    clients = laptop.folder.parent
    assert typed("approve", "--site", str(clients)) == ExitCode.DONE
    assert f"run {record.run} waits in CI (branch {branch})" in capsys.readouterr().err
    imported(runner, laptop, record)
    _, troubles = fleet.waiting_below(clients)
    assert [it for it in troubles if "waits in CI" in it.message] == []


def test_an_export_whose_release_is_not_the_one_on_its_branch_is_refused(
    laptop: Clone, runner: Clone, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Somebody who can write the artefact wrote every hash in it anew."""
    for clone in (laptop, runner):
        text = (clone.folder / "site.yml").read_text()
        (clone.folder / "site.yml").write_text(
            text.replace("tea.example", "tea", 1).replace("www.tea.example", "tea.example")
        )
    record = runner.leave_run()
    runner.propose(record)
    file = tmp_path / "tea.release"
    with fleet.opened(runner.site) as journal:
        export.write(runner.site, journal, record.run, file)
    with tarfile.open(file) as tar:
        content: dict[str, bytes] = {it.name: tar.extractfile(it).read() for it in tar}  # type: ignore[union-attr]
    release = converter.structure(json.loads(content["steps/release.json"]), Release)
    forged = replace(release, units=("plugins",))
    content["steps/release.json"] = export.dump(replace(forged, sha256=release_digest(forged)))
    about: dict[str, Any] = json.loads(content.pop("export.json"))
    about["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    with tarfile.open(file, "w") as tar:
        for name, data in {"export.json": json.dumps(about).encode(), **content}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert typed("approve", "--import", str(file), "--site", str(laptop.folder), "--no-input") == ExitCode.USAGE
    assert "not the one that the run committed to its branch" in capsys.readouterr().err
