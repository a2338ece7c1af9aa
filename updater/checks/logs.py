"""PHP errors that were not there before: what the error logs gained during a pass, grouped, and compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from updater.checks.observation import LogLine, Observation
from updater.language import counted, sentence
from updater.model import Check, Finding, Status
from updater.shell import Shell

LEAST = 4 << 20
"""Bytes of one log that are read at most: its newest. A log that grows faster than that has one message, many times."""
FAILING = frozenset({"fatal", "warning"})

_STAMP = re.compile(
    r"^\[[^\]]*\d{4}[^\]]*\]\s*"
)  # PHP's `[21-Nov-2026 05:31:00 UTC]`, Apache's `[Sun Nov 22 05:31:00.1 2026]`
_BRACKETS = re.compile(r"^(?:\[[^\]]*\]\s*)+")  # Apache's `[php:warn] [pid 12:tid 12] [client 10.0.0.1:53210]`
_LEVELS = (
    ("fatal", re.compile(r"(fatal|parse|compile) error|uncaught |allowed memory size", re.I)),
    ("deprecated", re.compile(r"\bdeprecated\b", re.I)),
    ("warning", re.compile(r"\bwarning\b|\bdatabase error\b", re.I)),
    ("notice", re.compile(r"\bnotice\b|strict standards", re.I)),
)
_TRACE = re.compile(r"^(#\d+ |Stack trace:|\s+thrown in |\s*$|PHP Stack trace:|PHP +\d+\. )")


def mark(shell: Shell, paths: Sequence[str]) -> dict[str, int]:
    """The size in bytes of each log now, 0 for one that does not exist yet."""
    return {path: _size(shell, path) for path in paths}


def read_errors(shell: Shell, paths: Sequence[str], offsets: Mapping[str, int]) -> tuple[LogLine, ...]:
    """What the logs gained since `offsets` (see `mark`; a path that it does not name is read whole), grouped.

    A log smaller than its mark was rotated and is read whole. CommandFailed when one exists and cannot be read.
    """
    lines: list[LogLine] = []
    for path in paths:
        size, start = _size(shell, path), offsets.get(path, 0)
        start = 0 if size < start else start
        if size - start > LEAST:
            lines.append(
                LogLine("other", f"{path}: {size - start - LEAST} bytes were skipped, only the newest are read")
            )
            start = size - LEAST
        if size > start:
            lines += parse(shell.run(["tail", "-c", f"+{start + 1}", path]).text)
    merged: Counter[tuple[str, str]] = Counter()
    for line in lines:
        merged[line.level, line.message] += line.count
    return tuple(LogLine(level, message, count) for (level, message), count in merged.items())


def readable(shell: Shell, path: str) -> bool:
    """Whether it can be read, or would be when it is first written: a log that holds nothing yet need not exist."""
    script = 'test -r "$1" || { test ! -e "$1" && test -x "$(dirname -- "$1")"; }'
    return shell.run(["sh", "-c", script, "sh", path], check=False).exit_code == 0


def _size(shell: Shell, path: str) -> int:
    if shell.run(["test", "-e", path], check=False).exit_code != 0:
        return 0
    return int(shell.run(["wc", "-c", path]).text.split()[0])


def parse(text: str) -> tuple[LogLine, ...]:
    """The messages of a PHP or Apache error log, without stack traces, times, addresses and ids, each kind once."""
    found: Counter[tuple[str, str]] = Counter()
    for line in text.split("\n"):
        stamped = _STAMP.match(line) is not None
        bare = _BRACKETS.sub("", line).strip()
        if not bare or _TRACE.match(line if not stamped else bare):
            continue
        message = _group(bare)
        found[_level(message), message] += 1
    return tuple(LogLine(level, message, count) for (level, message), count in found.items())


def _level(message: str) -> str:
    return next((level for level, pattern in _LEVELS if pattern.search(message[:120])), "other")


def _group(message: str) -> str:
    """The message without what differs each time. `file.php:12` and `line 12` stay."""
    message = re.sub(r"^PHP ", "", message)
    message = re.sub(r", referer: \S+$", "", message)
    message = re.sub(r"\b0x[0-9a-f]+\b", "0x…", message)
    message = re.sub(r"\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b", "…", message)
    message = re.sub(r"\b[0-9a-f]{16,}\b", "…", message)
    message = re.sub(r"(?<!line )(?<!:)(?<![\w.])\d{3,}(?![\w.]*\d)", "…", message)
    return " ".join(message.split())[:600]


def same(message: str) -> str:
    """The message without its line number: an update moves code, and an old warning on another line is no new one."""
    return re.sub(r"(\.\w+:|line )\d+", r"\1…", message)


def compare_errors(before: Observation, after: Observation, noise: Observation) -> Check:
    """Fatal errors and warnings that the un-updated shop did not log in either pass. The rest is told and does not fail."""
    known = {(line.level, same(line.message)) for seen in (before, noise) for line in seen.errors}
    new = [line for line in after.errors if (line.level, same(line.message)) not in known]
    findings = tuple(
        Finding(f"PHP {line.level}", _place(line.message), line.message, "", f"{line.count} ×")
        for line in sorted(new, key=lambda line: (line.level not in FAILING, line.level, -line.count))
    )
    failing = [line for line in new if line.level in FAILING]
    others = len(new) - len(failing)
    told = "; " + counted("{n} new notice or deprecation", "{n} new notices and deprecations", others) if others else ""
    if failing:
        detail = counted(
            "{n} new PHP error or warning after the update",
            "{n} new PHP errors and warnings after the update",
            len(failing),
        )
        detail += told
        return Check("PHP errors", "compare", Status.FAILED, detail, findings=findings)
    return Check(
        "PHP errors", "compare", Status.PASSED, sentence("no new PHP errors or warnings") + told, findings=findings
    )


def _place(message: str) -> str:
    match = re.search(r"in (/\S+?\.\w+)(?::| on line )(\d+)", message)
    return f"{match[1]}:{match[2]}" if match else "error log"
