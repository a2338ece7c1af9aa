"""What differs between CMSs: one module and its PHP half each, one contract (base.py), one explicit list."""

from __future__ import annotations

from updater.cms import bitrix, opencart, wordpress
from updater.cms.base import Driver
from updater.errors import ConfigError, UnsupportedSite
from updater.model import Installation
from updater.shell import Shell

DRIVERS: dict[str, Driver] = {wordpress.NAME: wordpress, opencart.NAME: opencart, bitrix.NAME: bitrix}


def driver(name: str) -> Driver:
    """The driver of that name. ConfigError when there is none."""
    try:
        return DRIVERS[name]
    except KeyError:
        raise ConfigError(f"unknown CMS {name!r}", hint=f"write one of: auto, {', '.join(DRIVERS)}") from None


def _real(shell: Shell, docroot: str) -> str:
    """The folder itself where a hosting leads to it by a link: what looks for files does not follow one."""
    found = shell.run(["sh", "-c", 'cd -- "$1" 2>/dev/null && pwd -P', "sh", docroot], check=False)
    return found.text.removesuffix("\n") if found.exit_code == 0 else docroot


def detect(shell: Shell, docroot: str, php: str, cms: str = "auto") -> Installation:
    """The installation in this docroot. UnsupportedSite when no driver recognises it."""
    docroot = _real(shell, docroot)
    candidates = list(DRIVERS.values()) if cms == "auto" else [driver(cms)]
    for candidate in candidates:
        found = candidate.detect(shell, docroot, php)
        if found is not None:
            return found
    raise UnsupportedSite(
        "no CMS found" if cms == "auto" else f"no {cms} found",
        where=f"{shell.where}:{docroot}",
        cause=f"looked for: {', '.join(candidate.NAME for candidate in candidates)}",
        hint="check `docroot` in site.yml: it is the folder that holds index.php",
    )
