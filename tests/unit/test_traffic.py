"""When a shop is quiet, by access logs as servers write and rotate them; counted by the shell and the awk of this machine."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from updater import policy
from updater.model import Policy, QuietHour, Window
from updater.production.traffic import _COUNT, judge

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
START = datetime(2026, 11, 20, tzinfo=UTC)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64)"


def line(
    at: datetime, request: str = "GET / HTTP/1.1", zone: str = "+0300", agent: str = BROWSER, before: str = ""
) -> str:
    stamp = f"{at:%d}/{MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S} {zone}"
    return f'{before}10.0.0.1 - - [{stamp}] "{request}" 200 512 "https://shop.example/" "{agent}"\n'


def busy(hour: int) -> int:
    """Visitors an hour: a night that is quietest at four."""
    return {4: 1, 3: 5, 5: 5}.get(hour, 10)


def days(count: int, start: datetime = START, visits: Callable[[int], int] = busy) -> str:
    hours = (start + timedelta(hours=hour) for hour in range(24 * count))
    return "".join(line(at + timedelta(minutes=n)) for at in hours for n in range(visits(at.hour)))


def counted(path: Path) -> str:
    done = subprocess.run(["sh", "-c", _COUNT, "sh", str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def quiet(folder: Path, files: dict[str, str | bytes]) -> tuple[QuietHour | None, str]:
    for name, content in files.items():
        (folder / name).write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        )
    path = folder / next(iter(files))
    return judge(counted(path), str(path))


def test_the_hour_with_the_fewest_requests_is_found_and_said_with_its_figures(tmp_path: Path) -> None:
    found, why = quiet(tmp_path, {"access.log": days(3)})
    assert found is not None, why
    assert (found.hour, found.hours, found.offset, found.requests, found.busiest, found.days) == (
        4,
        (4,),
        180,
        1,
        10,
        3,
    )
    assert (
        found.text == f"04:00-05:00 (UTC+03:00): 1 requests, 10 in the busiest hour, by 3 days of {tmp_path}/access.log"
    )


def test_rotated_and_compressed_logs_count_too(tmp_path: Path) -> None:
    old = gzip.compress(days(2).encode())
    dated = gzip.compress(days(1, START + timedelta(days=2)).encode())
    files: dict[str, str | bytes] = {
        "access.log": days(1, START + timedelta(days=4)),
        "access.log.1": days(1, START + timedelta(days=3)),
        "access.log-20261122.gz": dated,
        "access.log.2.gz": old,
        "access.log.3.gz": b"no archive at all",
    }
    found, why = quiet(tmp_path, files)
    assert found is not None, why
    assert (found.hour, found.requests, found.days) == (4, 1, 5)


def test_another_shops_log_beside_it_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "access.log.of-others").write_text(days(3, visits=lambda hour: 100 if hour == 4 else 0))
    found, _ = quiet(tmp_path, {"access.log": days(3)})
    assert found is not None
    assert found.hour == 4


@pytest.mark.parametrize("before", ["shop.example:443 ", "www.shop.example "])
def test_a_virtual_hosts_name_may_stand_first(tmp_path: Path, before: str) -> None:
    text = "".join(before + entry for entry in days(3).splitlines(keepends=True))
    found, why = quiet(tmp_path, {"access.log": text})
    assert found is not None, why
    assert found.hour == 4


def test_pictures_scripts_and_our_own_visits_are_no_visitors(tmp_path: Path) -> None:
    at = START + timedelta(hours=4)
    ours = "".join(line(at + timedelta(seconds=n), agent="cms-updater") for n in range(99))
    files = "".join(line(at + timedelta(seconds=n), f"GET /{n}.CSS?ver=2 HTTP/2.0") for n in range(99))
    found, _ = quiet(tmp_path, {"access.log": days(3) + ours + files})
    assert found is not None
    assert (found.hour, found.requests) == (4, 1)
    visited = "".join(line(at + timedelta(seconds=n), "GET /?style=a.css HTTP/2.0") for n in range(99))
    found, _ = quiet(tmp_path, {"access.log": days(3) + visited})
    assert found is not None
    assert found.hour != 4


def test_hours_that_are_about_as_quiet_are_as_good(tmp_path: Path) -> None:
    found, _ = quiet(tmp_path, {"access.log": days(3, visits=lambda hour: {2: 4, 3: 5, 4: 6, 5: 7}.get(hour, 40))})
    assert found is not None
    assert (found.hour, found.hours) == (2, (2, 3, 4))


def test_an_hour_without_a_request_is_the_quietest(tmp_path: Path) -> None:
    found, _ = quiet(tmp_path, {"access.log": days(3, visits=lambda hour: 0 if hour == 6 else 3)})
    assert found is not None
    assert (found.hour, found.requests) == (6, 0)


def test_a_clock_that_was_changed_meanwhile_counts_by_the_newest(tmp_path: Path) -> None:
    summer = "".join(line(START + timedelta(hours=n), zone="+0300") for n in range(48) if n % 24 != 5)
    winter = "".join(line(START + timedelta(hours=48 + n), zone="+0200") for n in range(48) if n % 24 != 4)
    found, _ = quiet(tmp_path, {"access.log": summer + winter})
    assert found is not None
    assert (found.hour, found.offset) == (4, 120)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (days(1), "less than 2 days"),
        ('{"time": "2026-11-20T04:00:00Z", "request": "GET /"}\n' * 500, "not in the common or combined format"),
        ("\0" * 500 + "\n" + "\udcff\n", "not in the common or combined format"),
        ("", "not in the common or combined format"),
        (line(START).replace("20/Nov", "31/Feb") * 9, "not in the common or combined format"),
    ],
    ids=["a day", "json", "bytes", "empty", "no date"],
)
def test_what_tells_no_habit_is_named(tmp_path: Path, text: str, why: str) -> None:
    found, said = quiet(tmp_path, {"access.log": text})
    assert found is None
    assert why in said


def test_a_name_that_looks_like_an_option_or_a_command_is_a_file(tmp_path: Path) -> None:
    found, why = quiet(tmp_path, {"$(touch pwned) -rf access.log": days(3)})
    assert found is not None, why
    assert list(Path().glob("pwned")) == []


# ------------------------------------------------------------------------------------------------------ what follows

NIGHT = QuietHour(4, (3, 4), 180, 1, 10, 9, "/var/log/access.log")


def at(hours: Iterable[int]) -> list[bool]:
    moments = (datetime(2026, 11, 25, hour, 30, tzinfo=UTC) for hour in hours)
    return [policy.not_quiet(Policy(), NIGHT, moment) == "" for moment in moments]


def test_without_windows_policy_waits_for_the_quiet_hours_of_the_servers_clock() -> None:
    assert at([23, 0, 1, 2, 3, 4]) == [False, True, True, False, False, False]
    told = policy.not_quiet(Policy(), NIGHT, datetime(2026, 11, 25, 12, tzinfo=UTC))
    assert told.startswith(
        "the shop is quietest 04:00-05:00 (UTC+03:00; about as quiet: 03): 1 requests, 10 in the busiest"
    )


def test_windows_of_a_person_and_a_log_that_nobody_can_read_leave_it_as_it_was() -> None:
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    window = Window((2,), START.time(), START.time(), "UTC", "Wed")
    assert policy.not_quiet(Policy(windows=(window,)), NIGHT, noon) == ""
    assert policy.not_quiet(Policy(), None, noon) == ""
