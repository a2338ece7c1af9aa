"""Values that never reach a log, a report, an argument list or a diff."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path

from updater.errors import ConfigError

ENV_FILE = "updater.env"
"""Around the sites: lines NAME=value for the ${NAME} of site.yml and agency.yml. Never in git."""
_LINE = re.compile(r"""([A-Za-z_][A-Za-z0-9_]*)=(?:'([^']*)'|"([^"`$\\]*)"|([\w./:@%+,=-]*))\s*""", re.ASCII)
"""What /bin/sh (cron), systemd and we read as the same value."""

REDACTED = "[redacted]"
_known: set[str] = set()
_lock = threading.Lock()


def register(value: str) -> str:
    """Remember a secret, so that `redact` removes it everywhere from now on. Returns it unchanged.

    Values under 4 characters are not registered: removing every "a" would hide nothing and destroy every text.
    """
    if len(value) >= 4:
        with _lock:
            _known.add(value)
    return value


def redact(text: str) -> str:
    """`text` without any registered secret, longest first so that no tail of one remains."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, REDACTED)
    return text


def from_file(path: Path) -> Mapping[str, str]:
    """The variables of an updater.env. ConfigError with the line that a shell would read otherwise; never what stands in it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the secrets cannot be read", where=str(path), cause=type(error).__name__) from None
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(
                "this line is not NAME='value'",
                where=f"{path}:{number}",
                cause="cron's shell, systemd and updater would each read something else",
                hint="put the value in single quotes: an address with & or ? in it needs them",
            )
        found[match[1]] = match[2] or match[3] or match[4] or ""
    return found
