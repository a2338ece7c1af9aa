"""agency.yml: what sixty sites share, what one of them says otherwise, and whose line a mistake stands in."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from updater import config, failed, model
from updater.errors import ConfigError, UpdaterError
from updater.model import Allowed, Failed, Policy
from updater.policy import failed_elsewhere

SITE = """\
site: tea-shop
url: https://tea.example
server: {host: tea.example, user: deploy}
docroot: /var/www/tea
"""

AGENCY = """\
server: {port: 2222, work: .updater-agency}
policy:
  approve: patch
  windows: ["Mon-Thu 10:00-16:00 Europe/Moscow"]
  advisories: feed.json
  hold: {slider: no licence}
notify: ["${TELEGRAM_URL}"]
viewports: {wide: 1920x1080}
"""

TELEGRAM = {"TELEGRAM_URL": "tgram://123456789abc/secret-chat-77"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`agency/clients/tea/` with agency.yml two folders above it."""
    site = tmp_path / "agency" / "clients" / "tea"
    site.mkdir(parents=True)
    (tmp_path / "agency" / "feed.json").write_text("{}")
    return site


def load(folder: Path, site: str = SITE, agency: str = AGENCY, environ: dict[str, str] | None = None) -> model.Site:
    (folder / "site.yml").write_text(site)
    (folder.parents[1] / "agency.yml").write_text(agency)
    return config.load(folder / "site.yml", TELEGRAM if environ is None else environ)


def mistakes(folder: Path, site: str = SITE, agency: str = AGENCY, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, site, agency, environ)
    return caught.value.what.replace(f"{folder}/", "").replace(f"{folder.parents[1]}/", "").split("\n")


def test_a_site_takes_the_defaults_of_the_agency_yml_above_it(folder: Path) -> None:
    site = load(folder)
    assert site.agency == folder.parents[1] / "agency.yml"
    assert (site.server.host, site.server.port, site.server.work) == ("tea.example", 2222, ".updater-agency")
    assert site.policy.approve is model.Approve.PATCH
    assert site.viewports == (model.Viewport("wide", 1920, 1080),)
    assert site.notify == ("tgram://123456789abc/secret-chat-77",)


def test_what_a_site_says_wins_key_by_key_and_a_list_as_a_whole(folder: Path) -> None:
    own = SITE + "policy:\n  approve: ask\n  hold: {tea: too young}\nnotify: ['json://other.example']\n"
    site = load(folder, own)
    assert site.policy.approve is model.Approve.ASK
    assert site.policy.windows[0].zone == "Europe/Moscow"
    assert set(site.policy.hold) == {"slider", "tea"}
    assert site.notify == ("json://other.example",)


def test_a_key_without_a_value_takes_the_agencys(folder: Path) -> None:
    assert load(folder, SITE + "policy:\n  approve:\n").policy.approve is model.Approve.PATCH


def test_paths_are_relative_to_the_file_that_they_stand_in(folder: Path) -> None:
    assert load(folder).policy.advisories == str(folder.parents[1] / "feed.json")


def test_another_agency_yml_can_be_named(folder: Path) -> None:
    (folder / "other.yml").write_text("policy: {approve: never}\n")
    site = load(folder, SITE + "agency: other.yml\n")
    assert (site.agency, site.policy.approve) == (folder / "other.yml", model.Approve.NEVER)


def test_each_mistake_names_its_file_and_line(folder: Path) -> None:
    broken = AGENCY.replace("approve: patch", "approve: always").replace("Europe/Moscow", "Europe/Moskow")
    assert mistakes(folder, SITE.replace("/var/www/tea", "var"), broken, {}) == [
        "site.yml:4: docroot: must be an absolute path on the server, like /var/www/shop",
        "agency.yml:3: policy.approve: must be one of: 'never', 'ask', 'patch' or 'passed'",
        "agency.yml:4: policy.windows[0]: Europe/Moskow is no time zone; did you mean Europe/Moscow?",
        "agency.yml:7: notify[0]: the environment variable TELEGRAM_URL is not set; type `export TELEGRAM_URL=…`, or write it into updater.env",
    ]


def test_a_mistake_that_the_site_overrides_is_none(folder: Path) -> None:
    broken = AGENCY.replace("approve: patch", "approve: always")
    assert load(folder, SITE + "policy: {approve: ask}\n", broken).policy.approve is model.Approve.ASK


@pytest.mark.parametrize(
    "line", ["site: all", "url: https://x.example", "docroot: /srv", "hosts: [a.example]", "agency: x"]
)
def test_what_every_site_differs_in_belongs_in_its_own_file(folder: Path, line: str) -> None:
    assert mistakes(folder, agency=AGENCY + line + "\n") == [
        f"agency.yml:9: {line.partition(':')[0]}: belongs in each site.yml: sites differ in it"
    ]


def test_an_agency_yml_that_is_no_yaml_is_told_by_its_own_name(folder: Path) -> None:
    (only,) = mistakes(folder, agency="policy: [\n")
    assert only.startswith("agency.yml:2: this is not YAML")


def test_a_named_file_that_is_not_there_is_a_mistake_of_site_yml(folder: Path) -> None:
    (only,) = mistakes(folder, SITE + "agency: nowhere.yml\n")
    assert re.fullmatch(r"site.yml:5: agency: there is no file .*nowhere.yml; .*", only)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
def test_somebody_elses_agency_yml_decides_nothing(folder: Path) -> None:
    load(folder)
    os.chown(folder.parents[1] / "agency.yml", 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to another user"):
        config.load(folder / "site.yml", TELEGRAM)


def test_describe_names_the_file_of_the_defaults(folder: Path) -> None:
    assert dict(config.describe(load(folder)))["defaults"] == str(folder.parents[1] / "agency.yml")


# --------------------------------------------------------------------------------------------- what failed elsewhere

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
BROKE = Failed("plugin", "shop", "1.2", "anna-shop", "20261123-090000-abcd", AT, "“Place order” did nothing")


def test_a_version_that_failed_on_one_site_is_held_on_the_others_and_names_no_client(folder: Path) -> None:
    site = load(folder)
    assert site.shared is not None
    failed.remember(site.shared, BROKE)
    failed.remember(site.shared, BROKE)
    known = failed.known(site.shared)
    assert known == (BROKE,)
    reason = failed_elsewhere(Policy(), "plugin", "shop", "1.2", known, "tea-shop")
    assert reason.startswith("failed its tests on another shop on 2026-11-23: “Place order” did nothing; ")
    assert "anna-shop" not in reason
    assert failed_elsewhere(Policy(), "plugin", "shop", "1.3", known, "tea-shop") == ""
    assert failed_elsewhere(Policy(), "plugin", "shop", "1.2", known, "anna-shop") == "", "its own runs try it again"


def test_a_person_lets_exactly_that_version_through() -> None:
    policy = Policy(allow={"shop": Allowed("1.2", "only her theme breaks")})
    later = Failed("plugin", "shop", "1.3", "anna-shop", "r2", AT + timedelta(days=7), "prices differ")
    assert failed_elsewhere(policy, "plugin", "shop", "1.2", [BROKE, later], "tea-shop") == ""
    assert failed_elsewhere(policy, "plugin", "shop", "1.3", [BROKE, later], "tea-shop") != ""


def test_a_site_without_an_agency_knows_of_no_other() -> None:
    assert failed.known(None) == ()


def test_a_damaged_note_is_an_error_and_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "plugin_shop_1.2_anna.json").write_text("{}")
    with pytest.raises(UpdaterError, match="cannot be read") as caught:
        failed.known(tmp_path)
    assert caught.value.where.endswith("plugin_shop_1.2_anna.json")
