"""Production's PHP settings reach the stack; its paths and our own switches do not mix."""

from __future__ import annotations

from updater.staging.php import ERROR_LOG, extensions, ini


def test_settings_that_matter_are_kept_and_production_s_paths_are_not() -> None:
    text = ini(
        {"memory_limit": "256M", "open_basedir": "/home/u", "error_log": "/home/u/e", "date.timezone": "Europe/Moscow"},
        web=True,
    ).decode()
    lines = text.splitlines()
    assert "memory_limit = 256M" in lines
    assert 'date.timezone = "Europe/Moscow"' in lines
    assert f'error_log = "{ERROR_LOG}"' in lines
    assert "/home/u" not in text


def test_the_command_line_keeps_its_own_limits() -> None:
    assert b"memory_limit" not in ini({"memory_limit": "64M"}, web=False)


def test_opcache_may_never_serve_the_code_of_before_a_restore() -> None:
    assert b"opcache.validate_timestamps = 1\n" in ini({"opcache.validate_timestamps": "0"}, web=True)


def test_a_value_cannot_add_a_line() -> None:
    text = ini({"user_agent": 'x"\nextension = evil.so', "disable_functions": "exec,system"}, web=True).decode()
    assert 'user_agent = "x\\"extension = evil.so"' in text.splitlines()
    assert 'disable_functions = "exec,system"' in text.splitlines()


def test_extensions_are_named_as_their_files_and_server_interfaces_are_none() -> None:
    assert extensions(["Core", "Zend OPcache", "SimpleXML", "apache2handler", "cgi-fcgi"]) == (
        "core",
        "opcache",
        "simplexml",
    )
