"""A dump counts as whole only with a whole gzip stream, the client's own last line, and ours after it."""

from __future__ import annotations

import gzip
import io
import subprocess
import zlib

import pytest

from updater.production.clone import _DumpCheck, dump_script

WHOLE = b"INSERT INTO `a` VALUES\n(1,'x');\n-- Dump completed on 2024-01-01  0:00:00\n-- updater: complete\n"


def _check(data: bytes, *, packed: bool) -> tuple[bool, bytes]:
    target = io.BytesIO()
    check = _DumpCheck(target, packed=packed)
    for at in range(0, len(data), 7):
        check.take(data[at : at + 7])
    check.finish()
    return check.whole, target.getvalue()


@pytest.mark.parametrize("packed", [True, False])
def test_a_whole_dump_is_whole_and_lands_compressed(packed: bool) -> None:
    whole, landed = _check(gzip.compress(WHOLE) if packed else WHOLE, packed=packed)
    assert whole
    assert gzip.decompress(landed) == WHOLE


@pytest.mark.parametrize("cut", [1, 25, 60])
@pytest.mark.parametrize("packed", [True, False])
def test_a_dump_without_its_end_is_not_whole(packed: bool, cut: int) -> None:
    data = gzip.compress(WHOLE[:-cut]) if packed else WHOLE[:-cut]
    assert not _check(data, packed=packed)[0]


def test_a_gzip_stream_without_its_checksum_is_not_whole() -> None:
    assert not _check(gzip.compress(WHOLE)[:-4], packed=True)[0]


def test_a_damaged_gzip_stream_is_an_error() -> None:
    data = bytearray(gzip.compress(WHOLE))
    data[-6] ^= 0xFF
    with pytest.raises(zlib.error):
        _check(bytes(data), packed=True)


def test_a_row_that_imitates_the_end_is_not_the_end() -> None:
    assert not _check(WHOLE + b"(2,'more'),\n", packed=False)[0]


def _run(script: str) -> tuple[str, str]:
    done = subprocess.run(["sh", "-c", script], input=b"[client]\n", capture_output=True, check=False)
    return done.stdout.decode(), done.stderr.decode()


def test_the_script_reports_a_client_that_failed_and_writes_no_end() -> None:
    out, err = _run(
        dump_script(["sh", "-c", "echo '-- Dump completed'; exit 2", "client"], "shop", [], [], ["wp_a"], gzip=False)
    )
    assert "updater-dump:2" in err
    assert "updater: complete" not in out


def test_the_script_asks_for_schema_only_of_volatile_tables_and_quotes_every_name() -> None:
    client = ["sh", "-c", 'cat > /dev/null; printf "[%s]" "$@"; echo', "client"]
    out, err = _run(
        dump_script(client, "shop", ["--quick", "--routines"], ["wp_s"], ["wp_$(id)", "wp_it's"], gzip=False)
    )
    first, second, last = out.splitlines()
    assert first == "[--defaults-file=/dev/stdin][--quick][--no-data][--][shop][wp_s]"
    assert second == "[--defaults-file=/dev/stdin][--quick][--routines][--][shop][wp_$(id)][wp_it's]"
    assert last == "-- updater: complete"
    assert "updater-dump:0" in err
    assert "updater-compress:0" in err


def test_definers_are_removed_from_definitions_and_never_from_rows() -> None:
    row = "INSERT INTO `a` VALUES\n(1,'/*!50017 DEFINER=`root`@`localhost`*/');"
    text = (
        "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER t\nCREATE DEFINER=`r`@`h` PROCEDURE p()\n"
        + row
    )
    out, _ = _run(dump_script(["printf", "%s\\n"], "shop", [text], [], ["a"], gzip=False))
    assert "/*!50003 CREATE*/ /*!50017*/ /*!50003 TRIGGER t" in out
    assert "CREATE PROCEDURE p()" in out
    assert row in out


def test_no_table_at_all_is_refused_because_the_client_would_dump_everything() -> None:
    with pytest.raises(ValueError, match="no tables"):
        dump_script(["mariadb-dump"], "shop", [], [], [], gzip=True)
