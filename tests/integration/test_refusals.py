"""What cannot be updated is refused in plain words, and production is byte for byte what it was."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from updater import cli
from updater.demo_shop import DOCROOT, ROOT, DemoShop

GOOD = ("wordpress", "akismet", "demo-shop-1.1", "demo-gallery-1.1")


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: str
    stderr: str


Typed = Callable[..., Answer]


@pytest.fixture
def updater(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """The command as typed, in this process and without a terminal."""

    def typed(*arguments: object) -> Answer:
        capsys.readouterr()
        code: object = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        shown = capsys.readouterr()
        assert isinstance(code, int)
        return Answer(int(code), shown.out, shown.err)

    return typed


@pytest.fixture(scope="module")
def untouched(lasting_shop: DemoShop) -> str:
    """The hash of the shop's files before the first test."""
    return lasting_shop.code_sha256()


@pytest.fixture
def shop(lasting_shop: DemoShop, untouched: str) -> Iterator[DemoShop]:
    """The module's shop. Whatever was refused, the shop's files are afterwards what they always were."""
    yield lasting_shop
    assert lasting_shop.code_sha256() == untouched


@pytest.fixture
def site(shop: DemoShop, tmp_path: Path) -> Path:
    """A site.yml with a folder for packages that is still empty."""
    return shop.write_site(tmp_path / "site", ())


def root(shop: DemoShop, script: str) -> str:
    code, output = shop.exec(["sh", "-c", script])
    assert code == 0, output
    return output.decode()


def deploy(shop: DemoShop, script: str) -> None:
    code, output = shop.exec(["sh", "-c", f"set -e; {script}"], user=shop.user)
    assert code == 0, output


@contextmanager
def changed(shop: DemoShop, script: str, back: str) -> Iterator[None]:
    """The server as `script` leaves it, while the block lasts."""
    deploy(shop, script)
    try:
        yield
    finally:
        deploy(shop, back)


def at(site: Path, docroot: str) -> Path:
    site.write_text(site.read_text().replace(f"docroot: {DOCROOT}", f"docroot: {docroot}"))
    return site


def refused(answer: Answer, *words: str) -> None:
    """Exit code 2, in these words, with the place and what to do next."""
    assert answer.exit_code == 2, answer
    for word in (*words, "where: deploy@", "next: "):
        assert word in answer.stderr, answer.stderr


# --------------------------------------------------------------------------------------------------- sites that are refused


def test_a_docroot_without_a_cms(shop: DemoShop, site: Path, updater: Typed) -> None:
    refused(
        updater("check", at(site, "/var/www/html"), "--connect"),
        "no CMS found",
        ":/var/www/html",
        "looked for: wordpress",
        "`docroot`",
    )


def test_a_docroot_that_does_not_exist(shop: DemoShop, site: Path, updater: Typed) -> None:
    refused(updater("plan", at(site, f"{ROOT}/pubilc")), "the docroot does not exist", f"{ROOT}/pubilc", "`docroot`")


@pytest.mark.parametrize("version", ["5.6", "8.0"])
def test_a_version_that_is_not_supported(shop: DemoShop, site: Path, updater: Typed, version: str) -> None:
    file = f"{DOCROOT}/wp-includes/version.php"
    script = f"cp -p {file} /tmp/version.php; sed -i \"s/^\\$wp_version = .*/\\$wp_version = '{version}';/\" {file}"
    with changed(shop, script, f"cp -p /tmp/version.php {file}"):
        refused(updater("plan", site), f"WordPress {version} is not supported", "supported: 5.7", "by hand")


def test_a_multisite(shop: DemoShop, site: Path, updater: Typed) -> None:
    file = f"{DOCROOT}/wp-config.php"
    script = f"cp -p {file} /tmp/wp-config.php; sed -i \"1a define( 'MULTISITE', true );\" {file}"
    with changed(shop, script, f"cp -p /tmp/wp-config.php {file}"):
        refused(updater("plan", site), "a WordPress multisite is not supported", "every site of the network")


@pytest.mark.parametrize("folder", [DOCROOT, ROOT])
def test_a_git_checkout(shop: DemoShop, site: Path, updater: Typed, folder: str) -> None:
    script = f"mkdir {folder}/.git; echo 'ref: refs/heads/main' > {folder}/.git/HEAD"
    with changed(shop, script, f"rm -r {folder}/.git"):
        refused(
            updater("plan", site), "a Git checkout is not updated in place", f"found {folder}/.git", "where it is built"
        )


def test_a_composer_project(shop: DemoShop, site: Path, updater: Typed) -> None:
    manifest = '{"require": {"johnpbloch/wordpress": "6.1.*", "wpackagist-plugin/akismet": "^5.0"}}'
    script = f"echo '{manifest}' > {ROOT}/composer.json"
    with changed(shop, script, f"rm {ROOT}/composer.json"):
        refused(updater("plan", site), "a Composer-managed WordPress is not updated in place", f"{ROOT}/composer.json")


def test_a_bedrock_project(shop: DemoShop, site: Path, updater: Typed) -> None:
    """Its docroot holds no core: WordPress lies in web/wp, its settings in config/, both outside of what we would look at."""
    project = "/home/deploy/bedrock"
    script = f"""mkdir -p {project}/config {project}/web/wp/wp-includes {project}/web/app/plugins
        echo '<?php' > {project}/config/application.php
        echo '{{"require": {{"roots/wordpress": "6.1.9"}}}}' > {project}/composer.json
        cp {DOCROOT}/wp-includes/version.php {project}/web/wp/wp-includes/
        echo "<?php require __DIR__ . '/wp/wp-blog-header.php';" > {project}/web/index.php"""
    with changed(shop, script, f"rm -r {project}"):
        refused(
            updater("plan", at(site, f"{project}/web")),
            "a Bedrock site is not updated in place",
            f"Bedrock in {project}",
        )


def test_wordpress_in_its_own_directory(shop: DemoShop, site: Path, updater: Typed) -> None:
    script = f"""mkdir -p {ROOT}/own/wp; cp {DOCROOT}/wp-load.php {ROOT}/own/wp/
        echo "<?php require __DIR__ . '/wp/wp-blog-header.php';" > {ROOT}/own/index.php"""
    with changed(shop, script, f"rm -r {ROOT}/own"):
        refused(updater("plan", at(site, f"{ROOT}/own")), "WordPress lives in its own directory", "loads it from wp/")


@pytest.mark.parametrize("name", ["install.php", "fatal-error-handler.php"])
def test_a_drop_in_that_stands_where_the_gate_must(shop: DemoShop, site: Path, updater: Typed, name: str) -> None:
    file = f"{DOCROOT}/wp-content/{name}"
    with changed(shop, f"echo '<?php' > {file}", f"rm {file}"):
        refused(updater("plan", site), f"its own wp-content/{name}", "the gate that closes the shop")


@pytest.mark.parametrize(
    ("folder", "there", "why"),
    [
        ("wp-content", "~/elsewhere", "the gate that closes the shop needs that folder"),
        ("wp-content/themes", f"{DOCROOT}/elsewhere", "one of them and the docroot lies in the other"),
    ],
)
def test_components_behind_a_link_that_nothing_can_be_swapped_behind(
    shop: DemoShop, site: Path, updater: Typed, folder: str, there: str, why: str
) -> None:
    place = f"{DOCROOT}/{folder}"
    with changed(shop, f"mv {place} {there}; ln -s {there} {place}", f"rm {place}; mv {there} {place}"):
        refused(updater("plan", site), f"WordPress whose {folder} is such a link is not supported", why)


def test_plugins_behind_a_link_may_be_several_sites(shop: DemoShop, site: Path, updater: Typed) -> None:
    """Tested all the same; deployed only where site.yml says that nobody shares them (test_mean_host.py)."""
    place = f"{DOCROOT}/wp-content/plugins"
    with changed(shop, f"mv {place} ~/elsewhere; ln -s ~/elsewhere {place}", f"rm {place}; mv ~/elsewhere {place}"):
        answer = updater("check", site, "--connect", "--json")
    row = next(row for row in json.loads(answer.stdout) if row["name"] == "symlinks")
    assert row["kind"] == "refused"
    assert "clone only: behind a link lie wp-content/plugins (/home/deploy/elsewhere)" in row["detail"]
    assert "write `wordpress: {own_links: true}`" in row["detail"]


def test_a_database_that_refuses_the_shops_password(shop: DemoShop, site: Path, updater: Typed) -> None:
    file = f"{DOCROOT}/wp-config.php"
    script = f"cp -p {file} /tmp/wp-config.php; sed -i 's/demo-Only-password-7c1/another-Password-9d2/' {file}"
    with changed(shop, script, f"cp -p /tmp/wp-config.php {file}"):
        answer = updater("plan", site)
    assert answer.exit_code == 7
    assert "cannot connect to the site's database" in answer.stderr
    assert "Access denied for user" in answer.stderr
    assert "another-Password-9d2" not in answer.stderr + answer.stdout


def test_a_run_on_a_refused_site_ends_with_the_reason_and_a_report(shop: DemoShop, site: Path, updater: Typed) -> None:
    with changed(shop, f"mkdir {DOCROOT}/.git", f"rmdir {DOCROOT}/.git"):
        answer = updater("run", site, "--json")
    record = json.loads(answer.stdout)
    assert (answer.exit_code, record["exit_code"]) == (2, 2)
    assert record["updates"] == []
    folder = site.parent / ".updater" / "runs" / record["run"]
    assert "a Git checkout is not updated in place" in (folder / "report.html").read_text()
    assert not (folder / "snapshot").exists()


# ------------------------------------------------------------------------------------------------ packages that are refused


def plugin(slug: str, version: str, header: str = "", name: str = "Akismet Anti-Spam") -> dict[str, str]:
    return {f"{slug}/{slug}.php": f"<?php\n/*\nPlugin Name: {name}\nVersion: {version}\n{header}\n*/\n"}


def pack(path: Path, files: dict[str, str], link: str | None = None) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        if link is not None:
            entry = zipfile.ZipInfo(link)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, "/etc/passwd")


def planned(updater: Typed, site: Path) -> tuple[list[str], dict[str, str]]:
    """`updater plan`: ids of the updates with their versions, and of what is held its slug or file with the reason."""
    answer = updater("plan", site, "--json")
    assert answer.exit_code == 0, answer.stderr
    told = json.loads(answer.stdout)
    return [f"{u['kind']}:{u['slug']} {u['to']}" for u in told["updates"]], {
        h["slug"]: h["reason"] for h in told["held"]
    }


def test_packages_that_must_not_be_opened_are_held_by_file_and_reason(
    shop: DemoShop, site: Path, updater: Typed
) -> None:
    folder = site.parent / "packages"
    [whole] = shop.packages(folder, ["demo-gallery-1.1"])
    (folder / "akismet-6.1.zip").write_bytes(whole.read_bytes()[:-200])
    pack(folder / "akismet-6.2.zip", plugin("akismet", "6.2") | {"akismet/../../../wp-config.php": "<?php"})
    pack(folder / "akismet-6.3.zip", plugin("akismet", "6.3"), link="akismet/passwords")
    (folder / "akismet-6.4.zip").write_bytes(b"<html>Your licence has expired</html>")
    (folder / "akismet-6.5.zip").symlink_to(folder / "gone.zip")
    (folder / "akismet-6.6.zip").mkdir()
    pack(folder / "akismet-6.7.zip", {"akismet/readme.txt": "no header anywhere"})
    updates, held = planned(updater, site)
    assert updates == ["plugin:demo-gallery 1.1"]
    assert {name: reason.partition("package refused: ")[2] for name, reason in held.items()} == {
        "akismet-6.1.zip": "truncated or not a zip (File is not a zip file)",
        "akismet-6.2.zip": "holds a path that climbs out (akismet/../../../wp-config.php)",
        "akismet-6.3.zip": "holds a symlink (akismet/passwords)",
        "akismet-6.4.zip": "truncated or not a zip (File is not a zip file)",
        "akismet-6.5.zip": "cannot be read (No such file or directory)",
        "akismet-6.6.zip": "cannot be read (Is a directory)",
        "akismet-6.7.zip": "neither WordPress, nor a plugin, nor a theme (no file in akismet/ has a header)",
    }


@pytest.mark.parametrize(
    ("file", "name"), [("akismet-6.0.zip", "Something else"), ("download.zip", "Akismet Anti-Spam")]
)
def test_a_package_of_another_slug_is_held_for_the_plugin_it_was_meant_for(
    shop: DemoShop, site: Path, updater: Typed, file: str, name: str
) -> None:
    installed = root(shop, f"grep -h 'Plugin Name:' {DOCROOT}/wp-content/plugins/akismet/akismet.php")
    assert "Akismet Anti-Spam" in installed
    pack(
        site.parent / "packages" / file,
        plugin("akismet-main", "6.0", name=installed.split(":")[1].strip() if name.startswith("Akismet") else name),
    )
    updates, held = planned(updater, site)
    assert updates == []
    assert held == {
        "akismet": f"packages/{file}: package refused: another slug (its folder is akismet-main, installed is akismet)"
    }


def test_a_package_for_something_that_is_not_installed_is_left_out(shop: DemoShop, site: Path, updater: Typed) -> None:
    pack(site.parent / "packages" / "forms-2.0.zip", plugin("forms", "2.0", name="Forms"))
    answer = updater("plan", site)
    assert answer.exit_code == 0
    assert "nothing to update" in answer.stdout
    assert "packages/forms-2.0.zip: plugin:forms is not installed here, left out" in answer.stderr


def test_a_folder_of_packages_that_is_missing(shop: DemoShop, site: Path, updater: Typed) -> None:
    (site.parent / "packages").rmdir()
    answer = updater("plan", site)
    assert answer.exit_code == 2
    assert "folder" in answer.stderr
    assert str(site.parent / "packages") in answer.stderr
    assert "sources.folders" in answer.stderr


def test_what_needs_a_newer_php_or_core_is_held_before_anything_is_touched(
    shop: DemoShop, site: Path, updater: Typed
) -> None:
    folder = site.parent / "packages"
    pack(folder / "akismet.zip", plugin("akismet", "6.0", "Requires PHP: 99.1"))
    pack(folder / "gallery.zip", plugin("demo-gallery", "2.0", "Requires at least: 6.7", name="Demo Gallery"))
    php = root(shop, "php -r 'echo PHP_VERSION;'")
    updates, held = planned(updater, site)
    assert updates == []
    assert held == {
        "akismet": f"requires PHP 99.1, the server has {php}",
        "demo-gallery": "requires core 6.7, this plan ends at 6.1.9",
    }
    shop.packages(folder, ["wordpress"])
    updates, held = planned(updater, site)
    assert updates == ["core:wordpress 6.8.12", "plugin:demo-gallery 2.0"]
    assert list(held) == ["akismet"]


# --------------------------------------------------------------------------------------------------- looking leaves nothing


def left_on_server(shop: DemoShop) -> str:
    """Every name below the site and the user's home with its type, size, owner and mode; and the user's crontab."""
    names = f"find {ROOT} /home/deploy -name '*.log' -o -printf '%y %s %u %m %p\\n' | LC_ALL=C sort"
    return root(shop, f"{names}; crontab -u deploy -l 2>&1 || true")


def test_a_check_prints_what_the_server_can_do_and_leaves_nothing_there(
    shop: DemoShop, site: Path, updater: Typed
) -> None:
    before = left_on_server(shop)
    assert "/home/deploy/.updater" not in before
    answer = updater("check", site, "--connect", "--json")
    assert left_on_server(shop) == before
    assert answer.exit_code == 0, answer
    rows = {row["name"]: row for row in json.loads(answer.stdout) if row["kind"] != "setting"}
    assert {row["kind"] for row in rows.values()} == {"proven"}, rows
    assert "10 of 10" in rows["public site"]["detail"]
    assert "mysqli" in rows["programs"]["detail"]
    assert rows["database"]["detail"].startswith("15 tables with prefix 'sh_'")
    assert "all code belongs to the ssh user" in rows["owners"]["detail"]


def test_a_check_of_a_server_that_cannot_be_promoted_to_says_clone_only_and_why(
    shop: DemoShop, site: Path, updater: Typed
) -> None:
    theme = f"{DOCROOT}/wp-content/themes/of-root"
    root(shop, f"mkdir {theme} && touch {theme}/style.css && mv /usr/bin/flock /usr/bin/setsid /root/")
    work = "mkdir -p ~/.updater/runs/old; echo kept > ~/.updater/runs/old/journal"
    try:
        with changed(shop, work, "rm -r ~/.updater"):
            before = left_on_server(shop)
            answer = updater("check", site, "--connect")
            assert left_on_server(shop) == before
    finally:
        root(shop, f"rm -r {theme}; mv /root/flock /root/setsid /usr/bin/")
    assert answer.exit_code == 2
    crossed = [line.split("✗", 1)[1].strip() for line in answer.stdout.splitlines() if line.startswith(" ✗  ")]
    rows = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in crossed}
    assert set(rows) == {"programs", "owners", "background"}
    assert all(detail.startswith("clone only: ") for detail in rows.values()), rows
    assert "setsid" in rows["programs"]
    assert "PHP's held a lock" in answer.stdout, "what stands in for flock was tried"
    assert "wp-content/themes/of-root" in rows["owners"]


def test_a_plan_lists_the_four_updates_and_leaves_nothing_there(shop: DemoShop, tmp_path: Path, updater: Typed) -> None:
    site = shop.write_site(tmp_path / "four", GOOD)
    before = left_on_server(shop)
    answer = updater("plan", site)
    assert left_on_server(shop) == before
    assert answer.exit_code == 0
    lines = [" ".join(line.split()) for line in answer.stdout.splitlines() if line.split()[:1] == ["update"]]
    assert lines == [
        "update WordPress 6.1.9 6.8.12 packages/wordpress-6.8.12.zip",
        "update Akismet Anti-Spam 5.0.2 5.5 packages/akismet-5.5.zip",
        "update Demo Gallery 1.0 1.1 packages/demo-gallery-1.1.zip",
        "update Demo Shop 1.0 1.1 packages/demo-shop-1.1.zip",
    ]
    assert "held" not in answer.stdout
