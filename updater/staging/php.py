"""Production's effective PHP settings as the stack's php.ini, and its extensions by the names of Debian's packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ERROR_LOG = "/var/log/php/errors.log"
"""Where the stack's PHP writes its errors, for both the web and the command line."""

_KEPT = (
    "allow_url_fopen",
    "allow_url_include",
    "arg_separator.output",
    "assert.exception",
    "date.timezone",
    "default_charset",
    "default_socket_timeout",
    "disable_classes",
    "disable_functions",
    "error_reporting",
    "file_uploads",
    "intl.default_locale",
    "max_execution_time",
    "max_file_uploads",
    "max_input_nesting_level",
    "max_input_time",
    "max_input_vars",
    "mbstring.func_overload",
    "mbstring.language",
    "memory_limit",
    "opcache.enable",
    "opcache.interned_strings_buffer",
    "opcache.jit",
    "opcache.jit_buffer_size",
    "opcache.max_accelerated_files",
    "opcache.memory_consumption",
    "opcache.save_comments",
    "output_buffering",
    "pcre.backtrack_limit",
    "pcre.jit",
    "pcre.recursion_limit",
    "post_max_size",
    "precision",
    "realpath_cache_size",
    "realpath_cache_ttl",
    "request_order",
    "serialize_precision",
    "session.cookie_httponly",
    "session.cookie_lifetime",
    "session.cookie_path",
    "session.cookie_samesite",
    "session.cookie_secure",
    "session.gc_maxlifetime",
    "session.name",
    "session.use_cookies",
    "session.use_strict_mode",
    "session.use_trans_sid",
    "short_open_tag",
    "upload_max_filesize",
    "user_agent",
    "variables_order",
    "zend.assertions",
    "zlib.output_compression",
)
"""Settings that change what a shop does. Paths of production's own (open_basedir, save_path) are not among them."""

_ONLY_WEB = frozenset({"memory_limit", "max_execution_time", "max_input_time", "disable_functions", "output_buffering"})
"""Production's command line has its own values of these, which a Platform does not hold."""

_OURS = {
    "display_errors": "0",
    "error_log": ERROR_LOG,
    "log_errors": "1",
    "opcache.revalidate_freq": "0",
    "opcache.validate_timestamps": "1",
    "sendmail_path": "/usr/sbin/sendmail -t -i",
    "session.save_handler": "files",
}

_INTERFACES = frozenset({"apache2handler", "cgi-fcgi", "cli", "fpm-fcgi", "litespeed", "phpdbg_webhelper"})
_PACKAGED = {"zend opcache": "opcache", "mysqlnd_mysqli": "mysqli"}


def ini(settings: Mapping[str, str], *, web: bool) -> bytes:
    """A php.ini of production's values, with what staging needs of its own below them."""
    kept = {name: settings[name] for name in _KEPT if name in settings and (web or name not in _ONLY_WEB)}
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in (kept | _OURS).items()).encode()


def extensions(names: Sequence[str]) -> tuple[str, ...]:
    """Production's extensions (`get_loaded_extensions()`) in the names of php.ini files: lower case, no server interface."""
    lower = (name.lower() for name in names)
    return tuple(sorted({_PACKAGED.get(name, name) for name in lower} - _INTERFACES))


def _quoted(value: str) -> str:
    """A value that php.ini reads back as it is: numbers and words bare, the rest between double quotes."""
    if value.lstrip("-").isalnum():
        return value
    cleaned = "".join(character for character in value if character.isprintable())
    return '"' + cleaned.replace("\\", "\\\\").replace('"', '\\"') + '"'
