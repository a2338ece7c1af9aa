"""PHP errors: read since a mark, grouped, and compared with those that were there before."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater.checks import logs
from updater.checks.observation import LogLine, Observation
from updater.model import Status
from updater.shell import Completed

FATAL = """[21-Nov-2026 05:31:00 UTC] PHP Fatal error:  Uncaught Error: Class "WC_Legacy_API" not found in /var/www/a.php:12
Stack trace:
#0 /var/www/index.php(17): require()
#1 {main}
  thrown in /var/www/a.php on line 12
"""


class Files:
    """A Shell over a dict of files, that knows only the commands which reading a log needs."""

    where = "files"

    def __init__(self, **files: str) -> None:
        self.files = {f"/{name}": text.encode() for name, text in files.items()}

    def run(self, argv, *, stdin=b"", env=None, timeout=600.0, check=True) -> Completed:
        match list(argv):
            case ["test", "-e", path]:
                return Completed(tuple(argv), 0 if path in self.files else 1, b"", "")
            case ["wc", "-c", path]:
                return Completed(tuple(argv), 0, f"{len(self.files[path])} {path}\n".encode(), "")
            case ["tail", "-c", start, path]:
                return Completed(tuple(argv), 0, self.files[path][int(start) - 1 :], "")
        raise AssertionError(f"unexpected command {argv}")


def seen(*errors: LogLine) -> Observation:
    return Observation(Path("/nowhere"), 0, (), (), (), {}, errors=errors)


def test_a_fatal_error_is_one_line_without_its_stack_trace():
    (line,) = logs.parse(FATAL)
    assert line.level == "fatal"
    assert line.message == 'Fatal error: Uncaught Error: Class "WC_Legacy_API" not found in /var/www/a.php:12'


def test_lines_that_differ_in_time_client_and_ids_are_one():
    text = "".join(
        f"[Sun Nov 22 05:3{n}:00.123456 2026] [php:warn] [pid 1{n}] [client 10.0.0.{n}:5321{n}] PHP Warning:  "
        f"Undefined variable $tea for order 10{n}3 in /var/www/b.php on line 7, referer: http://shop.example/?x={n}\n"
        for n in range(4)
    )
    (line,) = logs.parse(text)
    assert (line.level, line.count) == ("warning", 4)
    assert line.message == "Warning: Undefined variable $tea for order … in /var/www/b.php on line 7"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("PHP Deprecated:  Optional parameter before required in /a.php on line 3", "deprecated"),
        ("PHP Notice:  Undefined index in /a.php on line 3", "notice"),
        ("PHP Parse error:  syntax error in /a.php on line 3", "fatal"),
        ("WordPress database error Table 'x.wp_y' doesn't exist for query SELECT 1", "warning"),
        ("something the shop logs itself", "other"),
    ],
)
def test_each_line_has_its_level(text, level):
    assert [line.level for line in logs.parse(f"[21-Nov-2026 05:31:00 UTC] {text}\n")] == [level]


def test_only_what_came_after_the_mark_is_read():
    shell = Files(log="[21-Nov-2026 05:31:00 UTC] PHP Warning:  old in /a.php on line 1\n")
    offsets = logs.mark(shell, ["/log", "/absent"])
    assert logs.read_errors(shell, ["/log", "/absent"], offsets) == ()
    shell.files["/log"] += FATAL.encode()
    assert [line.level for line in logs.read_errors(shell, ["/log", "/absent"], offsets)] == ["fatal"]
    shell.files["/absent"] = FATAL.encode()
    assert [line.count for line in logs.read_errors(shell, ["/log", "/absent"], offsets)] == [2]


def test_a_rotated_log_is_read_whole():
    shell = Files(log="x" * 5000)
    offsets = logs.mark(shell, ["/log"])
    shell.files["/log"] = FATAL.encode()
    assert len(logs.read_errors(shell, ["/log"], offsets)) == 1


def test_of_a_flood_only_the_newest_is_read_and_that_is_said():
    shell = Files(log="PHP Warning:  again in /a.php on line 1\n" * 150_000)
    first, second, *_ = logs.read_errors(shell, ["/log"], {})
    assert "bytes were skipped" in first.message
    assert second.count > 1000 or second.level == "other"


WARNING = LogLine("warning", "Warning: old in /a.php on line 10", 3)


def test_a_warning_that_was_there_before_is_no_finding_even_on_another_line():
    moved = LogLine("warning", "Warning: old in /a.php on line 14", 900)
    check = logs.compare_errors(seen(WARNING), seen(moved), seen())
    assert check.status is Status.PASSED
    assert check.findings == ()


def test_a_new_fatal_fails_and_names_its_place():
    (fatal,) = logs.parse(FATAL)
    check = logs.compare_errors(seen(WARNING), seen(WARNING, fatal), seen(WARNING))
    assert check.status is Status.FAILED
    assert [finding.where for finding in check.findings] == ["/var/www/a.php:12"]


def test_new_deprecations_are_told_and_do_not_fail():
    check = logs.compare_errors(seen(), seen(LogLine("deprecated", "Deprecated: x in /a.php on line 1")), seen())
    assert check.status is Status.PASSED
    assert len(check.findings) == 1
    assert "1 new notice or deprecation" in check.detail
