"""Versions that broke one client's shop, kept for the agency's other sites: they hold them until a person says otherwise.

One file each in `.updater/failed/` beside agency.yml, written whole or not at all: runs of many sites may write at once.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import cattrs

from updater.errors import UpdaterError
from updater.journal import converter, dump, write_atomically
from updater.model import Failed


def remember(shared: Path, failure: Failed) -> None:
    """Keep it; what was known of the same version and site is replaced."""
    name = "_".join((failure.kind, failure.slug, failure.version, failure.site))
    write_atomically(shared / "failed" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.json", dump(failure))


def known(shared: Path | None) -> tuple[Failed, ...]:
    """All that failed on any site. UpdaterError names a file that cannot be read: what it warned of would be forgotten."""
    found = []
    for path in sorted((shared / "failed").glob("*.json")) if shared else ():
        try:
            found.append(converter.structure(json.loads(path.read_bytes()), Failed))
        except (ValueError, cattrs.BaseValidationError) as error:
            raise UpdaterError(
                "what failed on another site cannot be read",
                where=str(path),
                cause=str(error) or type(error).__name__,
                hint="delete that file when you know what it was about",
            ) from error
    return tuple(found)
