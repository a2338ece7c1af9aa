"""An agency's week with a real shop, in one go: a client repository made by looking at the server; its CI job, with a key that only
reads; a message to a webhook and by mail; an approval typed where the deploy key is; the deploy and its merge; and the pages that are
read afterwards. `PICTURES=docs` writes those of README.md.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pictures
import pytest
import yaml
from mail_server import Mailbox, receiving
from playwright.sync_api import Page, expect
from prompt import Prompt
from webhook import Listener, listening

from updater.checks.browser import Browser
from updater.demo_shop import DOCROOT, DemoShop
from updater.errors import ExitCode
from updater.model import Viewport

PLUGIN = f"{DOCROOT}/wp-content/plugins/demo-shop/demo-shop.php"
PEOPLE = ("anna.sokolova@pochta.example", "555-01-23", "Соколова", "buh@zavod-tula.example")
COMMENT = "the owner was told by telephone"
CRON_PASSWORD = "kron-parol-31"
HOLE = "Demo Shop < 1.1 - Orders of other customers can be read"
FEED = {
    "1": {
        "title": HOLE,
        "cve": "CVE-2026-0001",
        "cvss": {"rating": "High"},
        "software": [
            {
                "type": "plugin",
                "slug": "demo-shop",
                "affected_versions": {
                    "* - 1.0": {"from_version": "*", "from_inclusive": True, "to_version": "1.0", "to_inclusive": True}
                },
            }
        ],
    }
}
FILLED_IN = {
    "#address: 203.0.113.7": "address: {address}",
    "  online: true": "  online: false",
    "pages: [/]\ndiscover: true": "pages: [/, /shop/]\ndiscover: false",
    "viewports: {desktop: 1366x768, mobile: 375x812}": "viewports: {{desktop: 1366x768}}",
    "  bake: 5m": "  bake: 4s\n  without_restarter: true",
    "#php: /usr/bin/php8.2": "php: {php}",
    "#flows:\n": "flows: [{{name: checkout, product: /product/samovar-tula/}}]\n#flows:\n",
    "#orders:": "orders: {{table: demo_shop_orders, id: id, total: total, email: email}}\n#orders:",
    "#clone:\n": "clone:\n  scrub: [demo_shop_orders.name, demo_shop_orders.phone, demo_shop_orders.address, demo_shop_orders.note]\n",
    "#passport:\n": """passport:
  domain: Tea Ltd at registrar.example, renews in March
  hosting: the agency's account at hosting.example
  people: [{{name: Anna K., role: project manager, contact: "+7 900 000-00-00"}}]
  access: {{"ssh key": "vault: clients/tea/ssh"}}
  integrations: {{warehouse: orders go to warehouse.partner.example; Boris looks after it}}
""",
}
"""What a person changes in site.yml, by what stood there."""


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Agency:
    """Three machines: where the client was added, the CI's runner, and the laptop of whoever approves. Between them the remote."""

    root: Path
    shop: DemoShop
    webhook: Listener
    mailbox: Mailbox

    @property
    def remote(self) -> Path:
        return self.root / "tea.git"

    @property
    def reader_key(self) -> Path:
        return self.root / "reader"

    def machine(self, name: str, **promote: str) -> Path:
        """A folder with what that machine knows: its keys, on one of them the one that deploys, and whom to tell."""
        folder = self.root / name
        folder.mkdir()
        shared = {
            "server": {"key": str(self.reader_key)},
            "tls_ca": str(self.shop.ca),
            "policy": {"windows": ["Mon-Sun 00:00-24:00 UTC"], "approvers": ["Anna"], "advisories": "feed.json"},
            "notify": ["${WEBHOOK_URL}", "${MAIL_URL}"],
            "promote": promote,
        }
        (folder / "agency.yml").write_text(yaml.safe_dump(shared))
        (folder / "feed.json").write_text(json.dumps(FEED))
        (folder / "updater.env").write_text(f"WEBHOOK_URL='{self.webhook.url}'\nMAIL_URL='{self.mailbox.url}'\n")
        (folder / "updater.env").chmod(0o600)
        return folder

    def orders(self) -> str:
        return self.shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders").strip()

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


@pytest.fixture
def agency(shop: DemoShop, tmp_path: Path) -> Iterator[Agency]:
    with listening() as webhook, receiving() as mailbox:
        made = Agency(tmp_path, shop, webhook, mailbox)
        subprocess.run(["git", "init", "--bare", "--quiet", "-b", "main", str(made.remote)], check=True)
        made.add_reader()
        nightly = f"15 3 * * * mysqldump -p{CRON_PASSWORD} shop > /dev/null"
        assert shop.exec(["sh", "-c", f"echo '{nightly}' | crontab -"], user=shop.user)[0] == 0
        yield made


def test_an_agencys_week(agency: Agency) -> None:
    untouched = agency.shop.code_sha256()
    a_client_repository_is_written_from_what_the_server_holds(agency)
    a_person_fills_in_what_no_program_finds_and_pushes(agency)
    runner = the_weekly_job_tests_with_a_key_that_only_reads(agency)
    what_it_found_waits_on_a_branch_and_in_an_export(agency, runner)
    assert agency.shop.code_sha256() == untouched, "looking and testing change nothing"
    people_are_told(agency, "awaiting approval")
    laptop, transcript = a_person_approves_on_another_machine(agency, runner)
    the_shop_runs_what_was_tested_and_history_says_who_agreed(agency, laptop)
    people_are_told(agency, "awaiting approval", "promoted")
    month, passport = the_pages_of_the_month_and_for_the_day_when_nobody_is_there(agency, laptop)
    everything_reads_well_in_a_browser(runner / "artefacts" / "report.html", transcript, month, passport)
    without_the_server_the_passport_still_says_what_is_known(agency, laptop)


def a_client_repository_is_written_from_what_the_server_holds(agency: Agency) -> None:
    shop, desk = agency.shop, agency.machine("desk")
    words = ("--host", shop.address, "--user", "reader", "--key", str(agency.reader_key), "--host-key", shop.host_key)
    code, out, said = Prompt(desk).type("init", "tea", *words)
    assert code == ExitCode.DONE, said
    assert f"in {DOCROOT}" in out
    assert ("demo-shop", "1.0") in versions((desk / "tea" / "inventory.yml").read_text())
    assert git(desk / "tea", "status", "--porcelain") == ""


def versions(inventory: str) -> list[tuple[str, str]]:
    return [(it["slug"], it["version"]) for it in yaml.safe_load(inventory)["components"]]


def a_person_fills_in_what_no_program_finds_and_pushes(agency: Agency) -> None:
    shop, tea = agency.shop, agency.root / "desk" / "tea"
    text = (tea / "site.yml").read_text()
    php = shop.exec(["sh", "-c", "ls /usr/bin/php[0-9]*.[0-9]*"])[1].decode().split()[0]
    for old, new in FILLED_IN.items():
        assert old in text, f"the template no longer says {old!r}"
        text = text.replace(old, new.format(address=shop.address, php=php), 1)
    (tea / "site.yml").write_text(text)
    shop.packages(tea / "packages", ["demo-shop-1.1"])
    code, _, said = Prompt(tea).type("check")
    assert code == ExitCode.DONE, said
    git(tea, "add", "--all")
    git(tea, "-c", "user.name=Anna", "-c", "user.email=anna@agency.example", "commit", "--quiet", "-m", "Filled in")
    git(tea, "remote", "add", "origin", str(agency.remote))
    git(tea, "push", "--quiet", "-u", "origin", "main")


def the_weekly_job_tests_with_a_key_that_only_reads(agency: Agency) -> Path:
    """The script of the job in the repository, as GitLab's runner types it. Returns the checkout."""
    tea = agency.machine("runner") / "tea"
    git(tea.parent, "clone", "--quiet", f"file://{agency.remote}", "tea")
    git(tea, "checkout", "--quiet", "--detach")
    program = tea.parent / "bin" / "updater"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m updater.cli "$@"\n')
    program.chmod(0o755)
    job = yaml.safe_load((tea / ".gitlab-ci.yml").read_text())["test"]
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])],
        cwd=tea,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode in job["allow_failure"]["exit_codes"], done.stdout[-3000:]
    assert f"updater approve --import updates.release --sha256 {sha256(tea)}" in done.stdout
    code, _, said = Prompt(tea).type("recover")
    assert code == ExitCode.USAGE, said
    assert "reader may only read this shop" in said, "nothing to recover would be a lie: it could not see"
    return tea


def sha256(tea: Path) -> str:
    return (tea / "export.env").read_text().strip().removeprefix("EXPORT_SHA256=")


def what_it_found_waits_on_a_branch_and_in_an_export(agency: Agency, runner: Path) -> None:
    left = {file.name for file in (runner / "artefacts").iterdir()}
    assert left == {"junit.xml", "report.html", "report.md", "run.json"}
    whole = (runner / "updates.release").read_bytes()
    assert [person for person in PEOPLE if person.encode() in whole] == [], "nothing personal leaves the runner"
    (branch,) = git(agency.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads/updates").splitlines()
    run = json.loads((runner / "artefacts" / "run.json").read_text())["run"]
    assert branch == f"updates/{run[:4]}-{run[4:6]}-{run[6:8]}"
    changed = git(agency.remote, "diff", "--name-only", "main", branch).splitlines()
    assert {"inventory.yml", "passport.md", f"updates/{run}.md"} < set(changed)
    assert [file for file in changed if file.startswith("baselines/") and file.endswith(".png")]
    assert ("demo-shop", "1.1") in versions(git(agency.remote, "show", f"{branch}:inventory.yml"))
    passport = git(agency.remote, "show", f"{branch}:passport.md")
    assert "| Demo Shop | plugin | 1.1 |" in passport
    assert "The crontab of reader is empty." in passport


def people_are_told(agency: Agency, *states: str) -> None:
    """Everything so far, once by each channel, with the report."""
    titles = [f"shop.example: {state}" for state in states]
    assert agency.webhook.titles == agency.mailbox.subjects == titles
    got, mail = agency.webhook.received[-1], agency.mailbox.mails[-1]
    assert "Demo Shop 1.0 → 1.1" in got["message"]
    assert "report.html" in [it["filename"] for it in got["attachments"]]
    assert "report.html" in [it.get_filename() for it in mail.iter_attachments()]


def a_person_approves_on_another_machine(agency: Agency, runner: Path) -> tuple[Path, str]:
    """Downloads the artefact, types the line that the job's log ends with, and answers. Returns the checkout and what was shown."""
    laptop = agency.machine("laptop", user=agency.shop.user, key=str(agency.shop.key))
    git(laptop, "clone", "--quiet", str(agency.remote), "tea")
    shutil.copy(runner / "updates.release", laptop)
    orders, shown = agency.orders(), io.StringIO()
    words = ["approve", "--import", "updates.release", "--sha256", sha256(runner), "--person", "Anna"]
    shown.write(f"$ updater {' '.join(words)}\n")
    person = pexpect.spawn(
        sys.executable, ["-m", "updater.cli", *words], cwd=str(laptop), encoding="utf-8", timeout=180, dimensions=(40, 120),
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    person.logfile_read = shown
    person.expect("1.0 → 1.1")
    person.expect(f"mends CVE-2026-0001 {HOLE}")
    person.expect("q leave: ")
    person.sendline("a")
    person.expect("comment")
    person.sendline(COMMENT)
    person.expect(pexpect.EOF, timeout=900)
    person.close()
    assert person.exitstatus == ExitCode.DONE, person.before
    assert agency.orders() == orders
    return laptop / "tea", shown.getvalue().replace(str(laptop), "~/clients")


def the_shop_runs_what_was_tested_and_history_says_who_agreed(agency: Agency, laptop: Path) -> None:
    assert "1.1" in agency.shop.exec(["grep", "-m1", "Version:", PLUGIN])[1].decode()
    assert git(agency.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads") == "main"
    told = git(agency.remote, "log", "-1", "--format=%s|%(trailers:key=Approved-by,valueonly)", "main")
    assert told == "Deployed: Demo Shop 1.0 → 1.1 of shop.example|Anna"
    assert ("demo-shop", "1.1") in versions(git(agency.remote, "show", "main:inventory.yml"))
    assert "| Demo Shop | plugin | 1.1 |" in git(agency.remote, "show", "main:passport.md")
    assert git(laptop, "rev-parse", "main") == git(agency.remote, "rev-parse", "main")
    assert git(laptop, "status", "--porcelain") == ""


def the_pages_of_the_month_and_for_the_day_when_nobody_is_there(agency: Agency, laptop: Path) -> tuple[Path, Path]:
    prompt = Prompt(laptop)
    code, out, said = prompt.type("watch")
    assert code == ExitCode.DONE, out + said
    month = f"{prompt.newest()['run'][:4]}-{prompt.newest()['run'][4:6]}"
    code, out, said = prompt.type("report", "--month", month)
    assert code == ExitCode.DONE, said
    page, pdf = map(Path, out.split())
    assert pdf.read_bytes().startswith(b"%PDF-")
    code, out, said = prompt.type("passport")
    assert code == ExitCode.DONE, said
    text, passport = (Path(line) for line in out.split())
    for told in (
        "Debian GNU/Linux 12",
        "Apache",
        "mariadb 10.11",
        "The crontab of deploy:",
        "mysqldump -p…",
        "Anna K.",
    ):
        assert told in text.read_text(), told
    assert CRON_PASSWORD not in text.read_text() + passport.read_text()
    return page, passport


def everything_reads_well_in_a_browser(report: Path, transcript: str, month: Path, passport: Path) -> None:
    with Browser({}) as browser:
        with opened(browser, report) as page:
            expect(page.get_by_role("heading", level=1)).to_have_text(
                "The updates passed. They wait for your approval."
            )
            pictures.keep(page, "week-report", 660)
        with opened(browser, month) as page:
            name = datetime.strptime(month.stem, "%Y-%m").replace(tzinfo=UTC)
            expect(page.get_by_role("heading", level=1)).to_have_text(f"Your shop in {name:%B %Y}")
            expect(page.get_by_role("cell", name="Demo Shop").first).to_be_visible()
            expect(page.get_by_text(HOLE).first).to_be_visible()
            expect(page.get_by_role("img", name="Availability by day")).to_be_visible()
            pictures.keep(page, "week-month", 900)
        with opened(browser, passport) as page:
            expect(page.get_by_role("heading", level=1)).to_have_text("Technical passport")
            expect(page.get_by_text("Anna K.").first).to_be_visible()
            expect(page.locator(".gaps")).to_contain_text("No backup is made by us")
            pictures.keep(page, "week-passport", 870)
            page.set_viewport_size({"width": 375, "height": 812})
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, "it fits a telephone"
        with browser.tab(PAGE) as tab:
            tab.page.set_content(pictures.terminal(transcript, ("a", COMMENT)))
            pictures.keep(tab.page, "week-approve")


PAGE = Viewport("page", 760, 900)


@contextmanager
def opened(browser: Browser, file: Path) -> Iterator[Page]:
    """A page that asks nobody for anything, and of which the browser has nothing to say."""
    asked: list[str] = []
    said: list[str] = []
    with browser.tab(PAGE) as tab:
        tab.page.on("request", lambda request: asked.append(request.url))
        tab.page.on("console", lambda message: said.append(message.text))
        tab.page.goto(file.as_uri())
        yield tab.page
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert said == []


def without_the_server_the_passport_still_says_what_is_known(agency: Agency, laptop: Path) -> None:
    agency.shop.stop()
    code, _, said = Prompt(laptop).type("passport")
    assert code == ExitCode.DONE, said
    text = (laptop / "passport.md").read_text()
    assert "The server was not asked" in text
    assert "| Demo Shop | plugin | 1.1 |" in text
    assert "Anna K." in text
