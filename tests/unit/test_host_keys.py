"""Host keys as people paste them into site.yml, and what a command line shows."""

from __future__ import annotations

import subprocess

import pytest

from updater.errors import ConfigError
from updater.production.host import _environment, fingerprint, parse_host_key

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIC/mGNpUGLD7pxhCEUzGnYsFX34s98cIBbURbhwyoEjF"


@pytest.mark.parametrize(
    "text", [f"ssh-ed25519 {KEY}", f"ssh-ed25519 {KEY} root@shop", f"[shop.example]:2222 ssh-ed25519 {KEY}\n"]
)
def test_a_pinned_key_is_read_as_ssh_keyscan_and_ssh_keygen_print_it(text: str) -> None:
    assert fingerprint(parse_host_key(text)) == "SHA256:AMWGLGv9nc8/pOTlXJVVbGkZfwQ12nAlU3OJQXO/MEw"


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 not*base64", "SHA256:AMWGLGv9nc8"]
)
def test_what_is_no_public_key_is_refused_with_what_to_type(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_host_key(text)
    assert "ssh-keyscan" in refused.value.hint


def test_environment_reaches_a_posix_shell_byte_by_byte() -> None:
    value = 'it\'s $(id) `id` \\ "q"\nsecond line\n'
    script = 'IFS= read -r line; eval "$line"; printf "%s" "$SECRET"'
    done = subprocess.run(["sh", "-c", script], input=_environment({"SECRET": value}), capture_output=True, check=True)
    assert done.stdout.decode() == value


def test_a_variable_name_that_is_code_is_refused() -> None:
    with pytest.raises(ValueError, match="not a variable name"):
        _environment({"A;id": "1"})
