"""What `updater init` writes for a new client: a repository that loads, tests and is valid for GitLab and GitHub."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import waiting_run
import yaml

from updater import client, config
from updater.errors import UpdaterError
from updater.model import Approve, Component, Database, Installation, Inventory, Server

FOUND = Inventory(
    "wordpress", "6.8.1", "8.2.29", (Component("plugin", "shop", "Shop: «чай»", "1.0", True, "plugins/shop"),)
)
SHOP = Installation(
    "wordpress", "6.8.1", "/srv/tea shop/public", "php", "https://www.tea.example", Database("s", "s", "hunter2-secret")
)
SERVER = Server("tea.example", "deploy", 2222, Path("/home/anna/.ssh/agency"), host_key=waiting_run.HOST_KEY)
VALID = 0


@pytest.fixture
def made(tmp_path: Path) -> Path:
    client.create(tmp_path / "tea", SERVER, SHOP, FOUND)
    return tmp_path / "tea"


def test_the_new_site_yml_says_what_was_found_and_nothing_of_this_machine(made: Path) -> None:
    site = config.load(made / "site.yml")
    assert (site.name, site.url, site.docroot, site.cms) == (
        "tea.example",
        "https://www.tea.example",
        "/srv/tea shop/public",
        "wordpress",
    )
    assert (site.server.host, site.server.user, site.server.port) == ("tea.example", "deploy", 2222)
    assert site.server.host_key == waiting_run.HOST_KEY
    assert site.server.key is None, "each machine has its own"
    assert site.sources.folders == (made / "packages",)
    assert site.smoke_tests == made / "smoke_tests"


def test_it_is_committed_whole_and_holds_no_secret(made: Path) -> None:
    def git(*words: str) -> list[str]:
        return subprocess.run(
            ["git", "-C", str(made), *words], check=True, capture_output=True, text=True
        ).stdout.splitlines()

    assert git("status", "--porcelain") == []
    assert git("branch", "--show-current") == ["main"]
    files = git("ls-files")
    assert set(files) >= {
        ".github/workflows/updates.yml", ".gitignore", ".gitlab-ci.yml", "README.md", "inventory.yml",
        "smoke_tests/test_example.py",
    }  # fmt: skip
    assert {Path(name).parent.name for name in files} >= {"baselines", "packages"}
    everything = "".join((made / name).read_text() for name in files)
    assert "hunter2-secret" not in everything
    assert "/home/anna" not in everything
    (made / ".updater").mkdir()
    (made / ".updater" / "journal.db").write_text("")
    (made / "updates.release").write_text("")
    assert git("status", "--porcelain") == [], "copies of production and exports are ignored"


def test_the_inventory_is_read_back(made: Path) -> None:
    read = yaml.safe_load((made / "inventory.yml").read_text())
    assert read["components"] == [
        {"kind": "plugin", "slug": "shop", "name": "Shop: «чай»", "version": "1.0", "active": True}
    ]


def test_the_readme_names_the_shop_and_every_placeholder_was_filled(made: Path) -> None:
    assert "https://www.tea.example (wordpress 6.8.1)" in (made / "README.md").read_text()
    for name in ("README.md", ".gitlab-ci.yml", "smoke_tests/test_example.py"):
        assert "{{" not in (made / name).read_text()
    assert "${{ steps.run.outputs.waits }}" in (made / ".github/workflows/updates.yml").read_text()


def test_the_example_is_a_test_that_pytest_collects(made: Path) -> None:
    compile((made / "smoke_tests/test_example.py").read_text(), "test_example.py", "exec")
    assert "\ndef test_" in (made / "smoke_tests/test_example.py").read_text()


# ------------------------------------------------------------------------------------------------------- the CI files

SCHEMAS = {
    ".gitlab-ci.yml": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
    ".github/workflows/updates.yml": ["--builtin-schema", "vendor.github-workflows"],
}


def checked(file: Path, schema: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, str(file)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_ci_files_are_valid_by_their_published_schemas(made: Path, name: str) -> None:
    code, said = checked(made / name, SCHEMAS[name])
    assert code == VALID, said


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_would_see_a_mistake(made: Path, name: str) -> None:
    text = (made / name).read_text()
    broken = text.replace("when: manual", "when: by hand").replace("runs-on:", "run-on:")
    assert broken != text
    (made / name).write_text(broken)
    assert checked(made / name, SCHEMAS[name])[0] != VALID


def test_gitlab_shows_a_waiting_run_as_a_warning_and_everything_else_but_success_as_failed(made: Path) -> None:
    job = yaml.safe_load((made / ".gitlab-ci.yml").read_text())["test"]
    assert job["allow_failure"] == {"exit_codes": [3]}
    assert job["artifacts"]["when"] == "always"


def shell(script: str, folder: Path, ends_with: int) -> tuple[int, str]:
    """A job's script with an `updater` that ends with this code and exports when it ends with 3."""
    (folder / "bin").mkdir()
    (folder / "bin" / "updater").write_text(
        f"#!/bin/sh\nif [ $1 = report ]; then echo report.md; exit 0; fi\n[ {ends_with} != 3 ] || echo it > $4\nexit {ends_with}\n"
    )
    (folder / "bin" / "updater").chmod(0o755)
    (folder / "report.md").write_text("# report")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "GITHUB_OUTPUT": str(folder / "out"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    told = [folder / name for name in ("out", "export.env") if (folder / name).exists()]
    return done.returncode, "".join(file.read_text() for file in told)


@pytest.mark.parametrize(("code", "job"), [(0, 0), (1, 1), (2, 2), (3, 0), (7, 7), (70, 70)])
def test_githubs_job_fails_unless_it_is_done_or_waits_and_always_keeps_the_report(
    made: Path, tmp_path: Path, code: int, job: int
) -> None:
    steps = yaml.safe_load((made / ".github/workflows/updates.yml").read_text())["jobs"]["test"]["steps"]
    (script,) = [step["run"] for step in steps if step.get("id") == "run"]
    ended, told = shell(script, made, code)
    assert ended == job
    assert ("waits=yes" in told, "sha256=" in told) == ((True, True) if code == 3 else (False, False))
    assert (made / "artefacts" / "report.md").is_file()


@pytest.mark.parametrize("code", [0, 1, 3, 7])
def test_gitlabs_job_ends_as_the_run_did_and_always_keeps_the_report(made: Path, code: int) -> None:
    script = "\n".join(yaml.safe_load((made / ".gitlab-ci.yml").read_text())["test"]["script"])
    ended, told = shell(script, made, code)
    assert ended == code
    assert told.startswith("EXPORT_SHA256=") == (code == 3)
    assert (made / "artefacts" / "report.md").is_file()


def test_sixty_sites_are_spread_over_three_nights(tmp_path: Path) -> None:
    hours = Counter(
        (client.weekly(f"shop-{n}.example").day, client.weekly(f"shop-{n}.example").hour) for n in range(60)
    )
    assert len(hours) >= 13, "of fifteen hours"
    assert max(hours.values()) <= 10
    assert client.weekly("tea.example") == client.weekly("tea.example")
    at = client.weekly("tea.example")
    minute, hour, _, _, day = at.cron.split()
    assert (int(minute), int(hour)) == (at.minute, at.hour)
    assert {"2": "Tuesday", "3": "Wednesday", "4": "Thursday"}[day] == at.day


# ------------------------------------------------------------------------------------------------------------ refused


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tea").mkdir()
    client.create(tmp_path / "tea", SERVER, SHOP, FOUND)  # empty: taken
    with pytest.raises(UpdaterError, match="there is something already"):
        client.create(tmp_path / "tea", SERVER, SHOP, FOUND)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tea"], "nothing half-written is left"


def test_what_the_agency_says_for_all_sites_is_not_overridden_by_a_default_written_out(tmp_path: Path) -> None:
    """`approve: never` for every client was `ask` for each new one."""
    (tmp_path / "agency.yml").write_text(
        "server: {user: agency, work: .updater-agency}\npolicy: {approve: never, minimum_age: 3d, expires: 2d}\n"
        "promote: {bake: 9m}\nschedule: {every: 14d}\nviewports: {wide: 1920x1080}\nlanguage: ru\n"
    )
    client.create(tmp_path / "tea", SERVER, SHOP, FOUND)
    site = config.load(tmp_path / "tea" / "site.yml")
    assert (site.policy.approve, site.policy.minimum_age.days, site.policy.expires.days) == (Approve.NEVER, 3, 2)
    assert (site.promote.bake.seconds, site.schedule.every.days, str(site.language)) == (540, 14, "ru")
    assert [viewport.name for viewport in site.viewports] == ["wide"]
    assert (site.server.user, site.server.work) == ("deploy", ".updater-agency"), "how to get there was asked for"
    assert site.promote.max_closed == 300, "what nobody said is the default"
    text = (tmp_path / "tea" / "site.yml").read_text()
    assert "  #approve: ask" in text
    assert "What agency.yml says for all sites is a comment here" in text


def test_without_an_agency_every_default_is_written_out(made: Path) -> None:
    text = (made / "site.yml").read_text()
    assert "  approve: ask" in text
    assert "agency.yml says for all" not in text
