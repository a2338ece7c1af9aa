"""A run whose user only reads the shop, and the promotion that another user makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import waiting_run

from updater import config
from updater.errors import CommandFailed
from updater.model import Database, Installation
from updater.production import probe
from updater.shell import Completed

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
SHOP = Installation("wordpress", "6.8", "/srv/shop", "php", "https://tea.example", Database("s", "s", "s"))


def test_who_deploys_is_another_user_with_another_key_than_who_tests(tmp_path: Path) -> None:
    for name in ("reader", "deploy"):
        (tmp_path / name).write_text(KEY)
    (tmp_path / "agency.yml").write_text("server: {key: reader}\npromote: {user: deployer, key: deploy}\n")
    site = config.load(waiting_run.a_site(tmp_path / "tea", "tea"))
    assert (site.server.user, site.server.key) == ("deploy", tmp_path / "reader")
    assert (site.deploying.server.user, site.deploying.server.key) == ("deployer", tmp_path / "deploy")
    assert (site.deploying.server.host, site.deploying.server.host_key) == (site.server.host, site.server.host_key)
    assert ("deployed as", f"deployer, with key {tmp_path / 'deploy'}") in config.describe(site)


def test_a_site_with_one_user_deploys_as_that_one(tmp_path: Path) -> None:
    site = config.load(waiting_run.a_site(tmp_path, "tea"))
    assert site.deploying == site
    assert "deployed as" not in dict(config.describe(site))


class Server:
    """A server whose docroot this user may not write."""

    where = "reader@tea.example"

    def run(self, argv: Sequence[str], **_options: Any) -> Completed:
        assert list(argv) == ["test", "-w", "/srv/shop"], f"nobody should run {argv}"
        return Completed(tuple(argv), 1, b"", "")


def test_a_user_who_only_reads_is_told_to_name_the_webs_php(tmp_path: Path) -> None:
    site = config.load(waiting_run.a_site(tmp_path, "tea"))
    with pytest.raises(CommandFailed, match="the web's PHP cannot be asked") as caught:
        probe.read_platform(Server(), site, SHOP)  # type: ignore[arg-type]
    assert "`php: /usr/bin/php8.2`" in caught.value.hint
