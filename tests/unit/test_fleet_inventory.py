"""Which of my sites run it, below which version? From what runs saw and from inventory.yml; no server is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import waiting_run
from prompt import typed

from updater import config, fleet
from updater.errors import ExitCode
from updater.model import Component, Inventory
from updater.repository import inventory_yml


def inventory(shop: str, php: str = "8.2.29") -> Inventory:
    parts = (
        Component("core", "wordpress", "WordPress", "6.8.3", True, ""),
        Component("plugin", "shop", "Shop", shop, True, "wp-content/plugins/shop"),
        Component("plugin", "oak", "Oak Import", "2.0", False, "wp-content/plugins/oak"),
        Component("theme", "oak", "Oak", "2.0", True, "wp-content/themes/oak"),
    )
    return Inventory("wordpress", "6.8.3", php, parts)


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    """tea and books as `init` found them, pets as its newest run saw it."""
    for name, shop, php in (("books", "1.10", "8.2.29"), ("pets", "0.9", "8.2.29"), ("tea", "1.9", "7.4.33")):
        site = waiting_run.a_site(tmp_path / name, name)
        (site.parent / "inventory.yml").write_text(inventory_yml(inventory(shop, php)))
    a_run(tmp_path / "pets" / "site.yml", "1.0")
    return tmp_path


def a_run(site: Path, shop: str, state: str = "awaiting approval") -> str:
    """A run that saw this version of the shop plugin, and brings 1.1."""
    run = waiting_run.waits(site)
    with fleet.opened(config.load(site)) as journal:
        record = replace(waiting_run.record(site), inventory=inventory(shop), state=state)
        journal.keep(run, "record", record)
    return run


def asked(capsys: pytest.CaptureFixture[str], clients: Path, *words: str) -> tuple[int, list[tuple[str, str]]]:
    capsys.readouterr()
    code = typed("fleet", "inventory", str(clients), *words, "--json")
    return code, [(it["site"], it["version"]) for it in json.loads(capsys.readouterr().out)["installed"]]


def test_versions_are_compared_as_versions(clients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, clients, "-c", "shop", "--below", "1.10") == (0, [("pets", "1.0"), ("tea", "1.9")])
    assert asked(capsys, clients, "-c", "shop", "--at-least", "1.9", "--below", "1.10") == (0, [("tea", "1.9")])
    assert asked(capsys, clients, "-c", "php", "--below", "8.1") == (0, [("tea", "7.4.33")])


def test_a_kind_tells_two_of_one_slug_apart_and_what_is_switched_off_is_listed(
    clients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(asked(capsys, clients, "-c", "oak")[1]) == 6
    assert len(asked(capsys, clients, "-c", "theme:oak")[1]) == 3
    capsys.readouterr()
    assert typed("fleet", "inventory", str(clients), "-c", "plugin:oak") == ExitCode.DONE
    assert capsys.readouterr().out.count("switched off") == 3


def test_the_newest_look_counts_and_a_deploy_with_what_it_brought(clients: Path) -> None:
    def pets() -> tuple[str, str]:
        (found,) = [it for it in fleet.running(fleet.installed_below(clients)[0], "shop") if it.site == "pets"]
        return found.version, found.run

    deployed = a_run(clients / "pets" / "site.yml", "1.0", "promoted")
    assert pets() == ("1.1", deployed)
    later = f"{deployed[:-4]}zzzz"  # a run of another machine, pulled with the repository
    (clients / "pets" / "inventory.yml").write_text(inventory_yml(inventory("1.2"), later))
    assert pets() == ("1.2", later)


def test_no_is_only_said_of_sites_that_are_known(clients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, clients, "-c", "shop", "--below", "0.1") == (ExitCode.DONE, [])
    waiting_run.a_site(clients / "new", "new")
    (clients / "torn").mkdir()
    (clients / "torn/site.yml").write_text((clients / "tea/site.yml").read_text())
    (clients / "torn/inventory.yml").write_text("<<<<<<< HEAD\ncms: wordpress\n")
    capsys.readouterr()
    assert typed("fleet", "inventory", str(clients), "-c", "shop", "--below", "0.1") == ExitCode.INCONCLUSIVE
    said = capsys.readouterr().err
    assert "new/site.yml: nothing is known of what it runs" in said
    assert "torn/inventory.yml" in said
    assert "git checkout -- inventory.yml" in said


def test_a_mistyped_slug_is_no_all_clear(clients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("fleet", "inventory", str(clients), "-c", "wordpess", "--below", "9") == ExitCode.USAGE
    assert "is it one of these: wordpress" in capsys.readouterr().err


def test_an_inventory_is_read_back_as_it_was_written(clients: Path) -> None:
    found = fleet.running(fleet.installed_below(clients)[0], "plugin:shop")
    assert [(it.site, it.version, it.active) for it in found] == [
        ("books", "1.10", True),
        ("pets", "1.0", True),
        ("tea", "1.9", True),
    ]
