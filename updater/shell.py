"""One shell, two places: what a CMS driver may do, the same on production over ssh and in a staging container.

PHP runs by being fed on stdin, so nothing is left on the server and nothing shows in a process list.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO, Protocol

from updater.errors import CommandFailed
from updater.resources import package_text


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended. `stderr` is decoded for people; `stdout` stays bytes."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class Shell(Protocol):
    """A place where commands run as the site's own user. Implemented by production.host.Host and staging.stack.StackHandle."""

    where: str
    """For messages: `deploy@shop.example` or `staging`."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        check: bool = True,
    ) -> Completed:
        """Run without a shell in between; arguments are passed literally. CommandFailed when `check` and exit ≠ 0, or on time-out."""

    def stream(
        self, argv: Sequence[str], into: BinaryIO, *, stdin: BinaryIO | None = None, timeout: float = 3600.0
    ) -> None:
        """Run and copy stdout into `into` as it comes, in constant memory. CommandFailed on exit ≠ 0."""

    def read(self, path: str) -> bytes:
        """The file's bytes. FileNotFoundError when there is none."""

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write by temporary file and rename, in a folder that exists."""


# The answer stands between these lines: CMSs and plugins print notices of their own to stdout.
_BEGIN = "\n--updater-answer--\n"
_END = "\n--updater-end--\n"


def compose(source: str, request: Mapping[str, Any]) -> str:
    """A self-contained PHP script: `source` (starting with `<?php`) run with `$REQUEST`, its `answer($value)` printed as JSON."""
    payload = base64.b64encode(json.dumps(request).encode()).decode()
    head = f"<?php $REQUEST = json_decode(base64_decode('{payload}'), true);\n"
    return head + package_text("updater", "answer.php").removeprefix("<?php") + source.removeprefix("<?php")


def parse_answer(completed: Completed, where: str) -> Any:
    """The JSON that the script answered. CommandFailed with PHP's own words when it did not: exit 0 proves nothing."""
    text = completed.text
    start, end = text.rfind(_BEGIN), text.rfind(_END)
    if start < 0 or end < start:
        raise CommandFailed(
            "PHP ended without an answer",
            where=where,
            cause=(completed.stderr.strip() or text.strip() or f"exit {completed.exit_code}, no output")[-2000:],
            hint="read the site's PHP error log; run the same step with `updater check site.yml --connect`",
        )
    answer = json.loads(text[start + len(_BEGIN) : end])
    if isinstance(answer, dict) and "error" in answer:
        raise CommandFailed(
            str(answer["error"]), where=where, cause=str(answer.get("cause", "")), hint=str(answer.get("hint", ""))
        )
    return answer


def run_php(shell: Shell, php: str, source: str, request: Mapping[str, Any], *, timeout: float = 600.0) -> Any:
    """Run `source` in that place's own PHP and return what it answered. CommandFailed when it did not answer."""
    completed = shell.run(
        [php, "-d", "display_errors=stderr"], stdin=compose(source, request).encode(), timeout=timeout, check=False
    )
    return parse_answer(completed, shell.where)


def code_manifest(
    shell: Shell, php: str, root: str, exclude: Sequence[str], elsewhere: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Path below `root` → sha256, `link:<target>` or `dir` (empty folder), by that place's own PHP.

    `exclude` are paths relative to `root` (folders or files) left out with all below them. `elsewhere`: a path by which a folder
    goes that lies outside `root` → that folder. Names that are not UTF-8 come back surrogate-escaped. Raises CommandFailed when
    a file cannot be read.
    """
    request = {"root": root, "exclude": list(exclude), "elsewhere": dict(elsewhere)}
    answer = run_php(shell, php, package_text("updater", "tree.php"), request, timeout=1800)
    return {
        base64.b64decode(path).decode("utf-8", "surrogateescape"): base64.b64decode(value).decode(
            "utf-8", "surrogateescape"
        )
        for path, value in answer["entries"]
    }
