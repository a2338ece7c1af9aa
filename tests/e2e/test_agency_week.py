"""An agency's week on a real shop: a client repository made by looking at the server, its CI job with a key that only reads, and an
approval typed on the machine with the deploy key, which merges what was deployed. Each test goes on from the one before it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest
import yaml

from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import ExitCode

PRODUCT = "/product/samovar-tula/"
PLUGIN = f"{DOCROOT}/wp-content/plugins/demo-shop/demo-shop.php"
PEOPLE = ("anna.sokolova@pochta.example", "555-01-23", "Соколова", "buh@zavod-tula.example")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Agency:
    """Three places: where the client was added, the CI's machine, and the laptop of whoever approves. And the remote between."""

    root: Path
    shop: DemoShop

    @property
    def remote(self) -> Path:
        return self.root / "tea.git"

    def machine(self, name: str, **promote: str) -> Path:
        """A folder with the agency.yml of that machine: where its key is, and on one of them the key that deploys."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        shared = {
            "server": {"key": str(self.reader_key)},
            "tls_ca": str(self.shop.ca),
            "policy": {"windows": ["Mon-Sun 00:00-24:00 UTC"], "approvers": ["Anna"]},
            "promote": promote,
        }
        (folder / "agency.yml").write_text(yaml.safe_dump(shared))
        return folder

    @property
    def reader_key(self) -> Path:
        return self.root / "reader"

    def add_reader(self) -> None:
        """A user on the server who may read the shop, its configuration too, and write nothing of it."""
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.reader_key)], check=True)
        script = (
            "useradd -m -G deploy reader && install -d -m 700 -o reader ~reader/.ssh && cat > ~reader/.ssh/authorized_keys && "
            "chown reader ~reader/.ssh/authorized_keys && chmod -R g+rX,g-w " + DOCROOT + " && "
            "sed -i 's/^AllowUsers .*/& reader/' /etc/ssh/sshd_config.d/shop.conf && kill -HUP $(cat /run/sshd.pid)"
        )
        code, said = self.shop.exec(["bash", "-c", script], stdin=self.reader_key.with_suffix(".pub").read_bytes())
        assert code == 0, said
        assert self.shop.exec(["touch", f"{DOCROOT}/x"], user="reader")[0] != 0, "the test would prove nothing"

    def type(self, folder: Path, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "updater.cli", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def agency(lasting_shop: DemoShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agency]:
    made = Agency(tmp_path_factory.mktemp("agency"), lasting_shop)
    subprocess.run(["git", "init", "--bare", "--quiet", "-b", "main", str(made.remote)], check=True)
    made.add_reader()
    yield made


def test_a_client_repository_is_written_from_what_the_server_holds(agency: Agency) -> None:
    shop, desk = agency.shop, agency.machine("desk")
    before = shop.code_sha256()
    words = ("--host", shop.address, "--user", "reader", "--key", str(agency.reader_key), "--host-key", shop.host_key)
    code, said = agency.type(desk, "init", "tea", *words)
    assert code == ExitCode.DONE, said
    assert f"in {DOCROOT}" in said
    inventory = yaml.safe_load((desk / "tea" / "inventory.yml").read_text())
    assert ("plugin", "demo-shop", "1.0") in [(it["kind"], it["slug"], it["version"]) for it in inventory["components"]]
    assert git(desk / "tea", "status", "--porcelain") == ""
    assert shop.code_sha256() == before, "looking changes nothing"


def test_a_person_fills_in_what_nobody_can_find_and_pushes(agency: Agency) -> None:
    shop, tea = agency.shop, agency.root / "desk" / "tea"
    path = tea / "site.yml"
    text = path.read_text()
    for old, new in {
        "#address: 203.0.113.7": f"address: {shop.address}",
        "  online: true": "  online: false",
        "pages: [/]": "pages: [/, /shop/]",
        "  bake: 5m": "  bake: 4s",
        "#flows:\n": f"flows: [{{name: checkout, product: {PRODUCT}}}]\n#flows:\n",
        "#orders: {table: shop_orders": "orders: {table: demo_shop_orders, id: id, total: total, email: email}\n#orders: {table: shop_orders",
        "#clone:\n": "clone:\n  scrub: [demo_shop_orders.name, demo_shop_orders.phone, demo_shop_orders.address, demo_shop_orders.note]\n#clone:\n",
    }.items():
        assert old in text, f"the template no longer says {old!r}"
        text = text.replace(old, new, 1)
    php = shop.exec(["sh", "-c", "ls /usr/bin/php[0-9]*.[0-9]*"])[1].decode().split()[0]
    path.write_text(text.replace("#php: /usr/bin/php8.2", f"php: {php}"))
    shop.packages(tea / "packages", ["demo-shop-1.1"])
    code, said = agency.type(tea, "check")
    assert code == ExitCode.DONE, said
    git(tea, "add", "--all")
    git(tea, "-c", "user.name=Anna", "-c", "user.email=anna@agency.example", "commit", "--quiet", "-m", "Filled in")
    git(tea, "remote", "add", "origin", str(agency.remote))
    git(tea, "push", "--quiet", "-u", "origin", "main")


def test_the_weekly_job_tests_and_leaves_a_branch_a_report_and_an_export(agency: Agency) -> None:
    tea = agency.machine("runner") / "tea"
    git(agency.root / "runner", "clone", "--quiet", f"file://{agency.remote}", "tea")
    git(tea, "checkout", "--quiet", "--detach")
    before = agency.shop.code_sha256()
    bin_ = agency.root / "bin"
    bin_.mkdir()
    (bin_ / "updater").write_text(f'#!/bin/sh\nexec {sys.executable} -m updater.cli "$@"\n')
    (bin_ / "updater").chmod(0o755)
    job = yaml.safe_load((tea / ".gitlab-ci.yml").read_text())["test"]
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])],
        cwd=tea,
        env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode in job["allow_failure"]["exit_codes"], done.stdout[-3000:]
    assert f"updater approve --import updates.release --sha256 {sha256(tea)}" in done.stdout
    assert {file.name for file in (tea / "artefacts").iterdir()} == {
        "report.html",
        "report.md",
        "run.json",
        "junit.xml",
    }
    whole = (tea / "updates.release").read_bytes()
    assert [person for person in PEOPLE if person.encode() in whole] == [], "nothing personal leaves the runner"
    (branch,) = git(agency.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads/updates").splitlines()
    assert "demo-shop" in git(agency.remote, "show", f"{branch}:inventory.yml")
    assert agency.shop.code_sha256() == before, "testing does not touch production"
    code, said = agency.type(tea, "recover")
    assert code == ExitCode.USAGE, said
    assert "reader may only read this shop" in said, "nothing to recover would be a lie: it could not see"


def sha256(tea: Path) -> str:
    return (tea / "export.env").read_text().strip().removeprefix("EXPORT_SHA256=")


def test_the_approval_typed_on_another_machine_deploys_what_ci_tested_and_merges_it(agency: Agency) -> None:
    runner, laptop = (
        agency.root / "runner" / "tea",
        agency.machine("laptop", user=agency.shop.user, key=str(agency.shop.key)),
    )
    git(laptop, "clone", "--quiet", str(agency.remote), "tea")
    orders = agency.shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders").strip()
    words = ["approve", "--import", str(runner / "updates.release"), "--sha256", sha256(runner), "--person", "Anna"]
    person = pexpect.spawn(
        sys.executable, ["-m", "updater.cli", *words], cwd=str(laptop), encoding="utf-8", timeout=60, dimensions=(40, 120),
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    person.expect("1.0 → 1.1")
    person.expect("q leave: ")
    person.sendline("a")
    person.expect("comment")
    person.sendline("Monday's coffee")
    person.expect(pexpect.EOF, timeout=240)
    person.close()
    assert person.exitstatus == ExitCode.DONE, person.before
    assert (
        "Version:     1.1" in agency.shop.exec(["cat", PLUGIN])[1].decode()
        or "1.1" in agency.shop.exec(["grep", "-m1", "Version:", PLUGIN])[1].decode()
    )
    assert agency.shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders").strip() == orders
    assert git(agency.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads") == "main"
    told = git(agency.remote, "log", "-1", "--format=%s|%(trailers:key=Approved-by,valueonly)", "main")
    assert told.startswith("Deployed: ")
    assert told.endswith("|Anna")
    merged = yaml.safe_load(git(agency.remote, "show", "main:inventory.yml"))
    assert ("demo-shop", "1.1") in [(it["slug"], it["version"]) for it in merged["components"]]
    assert git(laptop / "tea", "rev-parse", "main") == git(agency.remote, "rev-parse", "main")
    assert git(laptop / "tea", "status", "--porcelain") == ""
