"""An update of the demo's second plugin that breaks the shop, to be offered beside a good one."""

from __future__ import annotations

import zipfile
from pathlib import Path


def write(good: Path, into: Path, line: str) -> None:
    """demo-gallery 1.2 into this folder: 1.1, whose package is `good`, with this line of PHP at its end."""
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(into / "demo-gallery-1.2.zip", "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith("/demo-gallery.php"):
                text = text.replace(b"Version: 1.1", b"Version: 1.2") + f"\n{line}\n".encode()
            new.writestr(name, text)
