"""What is left out of a clone: rsync's exclude patterns, understood alike by rsync, by tar and by our manifests."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


def literal(path: str) -> str:
    """An rsync pattern that matches exactly this path below the root."""
    return (
        "/" + re.sub(r"([*?\[\\])", r"\\\1", path.strip("/")) if re.search(r"[*?\[]", path) else "/" + path.strip("/")
    )


def excluded(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Says of a path below the root whether rsync would leave it out, itself or with a folder above it.

    A pattern with a trailing slash is for folders: it takes all below such a folder, and is not asked for files.
    """
    rules = [(_regex(pattern), pattern.endswith("/")) for pattern in patterns]

    def out(path: str) -> bool:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            here = "/".join(parts[:depth])
            for rule, folders_only in rules:
                if folders_only and depth == len(parts):
                    continue
                if rule.search("/" + here):
                    return True
        return False

    return out


def _regex(pattern: str) -> re.Pattern[str]:
    body = pattern.rstrip("/")
    anchored = body.startswith("/")
    wild = re.search(r"[*?\[]", body) is not None
    out, at = [], 0
    body = body.removeprefix("/")
    while at < len(body):
        character = body[at]
        if body.startswith("/***", at) and at + 4 == len(body):
            out.append("(?:/.*)?")
            at += 4
        elif body.startswith("**", at):
            out.append(".*")
            at += 2
        elif character == "*":
            out.append("[^/]*")
            at += 1
        elif character == "?":
            out.append("[^/]")
            at += 1
        elif character == "[" and (end := body.find("]", at + 2)) > 0:
            inside = body[at + 1 : end].replace("\\", "\\\\")
            out.append("[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]")
            at = end + 1
        elif character == "\\" and wild and at + 1 < len(body):
            out.append(re.escape(body[at + 1]))
            at += 2
        else:
            out.append(re.escape(character))
            at += 1
    return re.compile(("^/" if anchored else "(?:^|/)") + "".join(out) + r"\Z", re.DOTALL)
