"""Where the files that travel with the program lie: at the top of a checkout, or inside the installed package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """`stacks`, `smoke_tests` or `demo`: the checkout's own folder when there is one, else the wheel's copy."""
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def package_text(package: str, name: str) -> str:
    """A text file that lies beside the module that uses it, like `updater/cms/wordpress.php`."""
    return (files(package) / name).read_text(encoding="utf-8")
