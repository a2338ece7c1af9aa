"""Secrets: where they may come from, and that none shows in a value's repr, a message, a log or a redacted text."""

from __future__ import annotations

import subprocess
import traceback
from pathlib import Path

import pytest

from updater import config
from updater.errors import ConfigError
from updater.model import Site
from updater.secrets import ENV_FILE, REDACTED, from_file, redact, register

SECRET = "hunter2-S3cret"
MINIMAL = "site: a\nurl: https://a.example\ndocroot: /var/www\nserver: {host: a.example, user: b, password: %s}\n"


def load(folder: Path, text: str, **environ: str) -> Site:
    path = folder / "site.yml"
    path.write_text(text)
    return config.load(path, environ)


def refused(folder: Path, text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value)
    assert SECRET not in shown
    return caught.value


def test_a_password_from_the_environment_is_known_and_never_shown(tmp_path: Path) -> None:
    site = load(tmp_path, MINIMAL % "'${SHOP_PASSWORD}'", SHOP_PASSWORD="env-secret-1")
    assert site.server.password == "env-secret-1"
    assert "env-secret-1" not in repr(site) + str(site) + repr(config.describe(site))
    assert redact("login with env-secret-1 failed") == f"login with {REDACTED} failed"


def test_a_password_from_a_file_loses_its_line_end_only(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(" file secret 1 \n")
    site = load(tmp_path, MINIMAL % "{file: password}")
    assert site.server.password == " file secret 1 "
    assert redact(f"<{site.server.password}>") == f"<{REDACTED}>"


@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n"])
def test_a_password_file_must_hold_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "password").write_text(content)
    assert "must hold the password in one line" in str(refused(tmp_path, MINIMAL % "{file: password}"))


def test_what_the_environment_does_not_say_an_updater_env_around_the_sites_does(tmp_path: Path) -> None:
    """A timer knows no environment, nor does a person who just logged in to approve."""
    (tmp_path / ENV_FILE).write_text("# of the agency\n\nSHOP_PASSWORD='file & secret'\nMAIL=mailto://a.example/x\n")
    (tmp_path / "tea").mkdir()
    assert load(tmp_path / "tea", MINIMAL % "'${SHOP_PASSWORD}'").server.password == "file & secret"
    assert redact("<file & secret>") == f"<{REDACTED}>"
    assert load(tmp_path / "tea", MINIMAL % "'${SHOP_PASSWORD}'", SHOP_PASSWORD="shell").server.password == "shell"


@pytest.mark.parametrize(
    "line",
    [
        f"SHOP_PASSWORD=mailto://{SECRET}/?mode=insecure&from=a",
        f"SHOP_PASSWORD={SECRET} $x",
        f"export SHOP_PASSWORD={SECRET}",
        f'SHOP_PASSWORD="{SECRET}$(id)"',
        f"SHOP_PASSWORD='{SECRET}",
        SECRET,
    ],
)
def test_a_line_that_a_shell_would_read_otherwise_is_a_mistake_and_not_shown(tmp_path: Path, line: str) -> None:
    (tmp_path / ENV_FILE).write_text(f"# secrets\n{line}\n")
    error = refused(tmp_path, MINIMAL % "'${SHOP_PASSWORD}'")
    assert error.where == f"{tmp_path / ENV_FILE}:2"


@pytest.mark.parametrize("value", ["'a & b ? c'", '"a & b"', "json://127.0.0.1:80/a-b_c,d@e%20", "''", ""])
def test_a_shell_reads_every_line_as_we_do(tmp_path: Path, value: str) -> None:
    (tmp_path / ENV_FILE).write_text(f"A={value}\n")
    script = f'. {tmp_path / ENV_FILE}; printf %s "$A"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert from_file(tmp_path / ENV_FILE) == {"A": said}


def test_a_missing_variable_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, MINIMAL % '"${SHOP_PASSWORD}"' + "notify:\n  - ${NOTIFY}\n")
    assert error.what.replace(f"{tmp_path}/", "").split("\n") == [
        "site.yml:4: server.password: the environment variable SHOP_PASSWORD is not set; type `export SHOP_PASSWORD=…`, or write it into updater.env",
        "site.yml:6: notify[0]: the environment variable NOTIFY is not set; type `export NOTIFY=…`, or write it into updater.env",
    ]


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"'{SECRET}'",
        f"[{SECRET}]",
        f"{{{SECRET}: x}}",
        f"{{value: {SECRET}}}",
        f"{{file: [{SECRET}]}}",
        f"${{{SECRET}!}}",
        f"x${{PATH}}{SECRET}",
        f"!{SECRET} x",
        f"!!{SECRET} x",
        f"*{SECRET}",
        f"'{SECRET}",
        f'"\\q{SECRET}"',
        f"|\n   {SECRET}\n {SECRET}: [",
        f"@{SECRET}",
        f"%{SECRET}",
    ],
)
def test_a_password_written_in_site_yml_is_refused_without_repeating_it(tmp_path: Path, value: str) -> None:
    refused(tmp_path, MINIMAL % value, PATH="/bin")


def test_a_literal_password_is_refused_with_the_way_to_write_it(tmp_path: Path) -> None:
    error = refused(tmp_path, MINIMAL % SECRET)
    assert "server.password: a password must not stand in site.yml; write `${SHOP_PASSWORD}`" in error.what
    assert "notify[0]: a password must not stand in site.yml" in str(
        refused(tmp_path, MINIMAL % "{}" + f"notify: ['mailto://me:{SECRET}@example.org']\n")
    )


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    text = (MINIMAL % "").replace("password: }", f"pasword: {SECRET}, port: {SECRET}}}")
    assert 'server.pasword: unknown key; did you mean "password"?' in str(refused(tmp_path, text))


def test_the_tokens_inside_a_notify_address_are_secrets_of_their_own(tmp_path: Path) -> None:
    url = "tgram://123456789:AAF-token-99887766/4242"
    site = load(tmp_path, MINIMAL % "" + "notify: ['${TELEGRAM_URL}']\n", TELEGRAM_URL=url)
    assert site.notify == (url,)
    assert url not in repr(site)
    assert "AAF-token" not in redact("POST https://api.telegram.org/bot123456789:AAF-token-99887766/sendMessage: 400")


def test_a_variable_without_quotes_between_braces_is_told_how_to_write_it(tmp_path: Path) -> None:
    assert "site.yml:4: this is not YAML" in str(error := refused(tmp_path, MINIMAL % "${SHOP_PASSWORD}"))
    assert 'between braces write "${NAME}" with quotes' in str(error)


def test_the_longest_secret_is_removed_first() -> None:
    register("abcd-long")
    register("abcd")
    assert redact("x abcd-long y abcd z") == f"x {REDACTED} y {REDACTED} z"


def test_short_values_are_not_registered_because_they_would_destroy_every_text() -> None:
    assert register("abc") == "abc"
    assert redact("abc") == "abc"
