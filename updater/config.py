"""site.yml → Site: every mistake at once, each with file, line and path; secrets resolved, registered and never printed.

A file goes through three stages, and each reports all it finds: YAML to nodes with their lines, nodes to plain text
(every scalar stays the text that was written, so `no`, `0123` and `+7900…` keep their meaning), text to typed values.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import json
import os
import re
import tomllib
import unicodedata
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo, available_timezones

import idna
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from updater import model
from updater.errors import ConfigError
from updater.resources import package_text
from updater.secrets import ENV_FILE, from_file, register

_Location = tuple[str | int, ...]

_MAX_BYTES = 200_000
_MAX_NODES = 20_000  # aliases can make a short file endless
_MAX_DEPTH = 40


def load(path: Path, environ: Mapping[str, str] = os.environ) -> model.Site:
    """The site that `path` describes, with absolute paths and resolved secrets.

    Raises ConfigError with every mistake, one per line as `site.yml:12: server.port: …`, sorted by line.
    """
    document = _read(path)
    agency = _agency(path, document)
    if agency and agency.is_file():  # else validation says at its line that there is none
        document = _over(_read(agency), document, agency.parent)
    context = _Context(base=path.absolute().parent, environ=_secrets(path, environ))
    try:
        parsed = _SiteFile.model_validate(document.data, context=context)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            location = detail["loc"]
            if (
                location[-1:] == ("[key]",) and detail["type"] != "extra_forbidden"
            ):  # pydantic's mark for a mapping's key
                location = location[:-1]
            if location not in document.refused:
                document.mistake(location, _explain(detail, document, location))
        raise document.error() from None  # the cause holds what was written, passwords too
    if document.mistakes:
        raise document.error()
    return _site(parsed, path.absolute(), agency)


def revision(path: Path) -> str | None:
    """The commit of the git repository that holds site.yml, with `-dirty` when it or site.yml has uncommitted changes.

    None outside a repository, before its first commit, and where git is not installed.
    """
    try:
        import git  # looks for the git program when imported, which a machine need not have
    except ImportError:
        return None
    try:
        with git.Repo(path.resolve().parent, search_parent_directories=True) as repository:
            commit = repository.head.commit.hexsha
            dirty = repository.is_dirty() or repository.is_dirty(untracked_files=True, path=str(path.resolve()))
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, ValueError):  # ValueError: no commit yet
        return None
    except git.GitCommandError:  # "dubious ownership": the commit can be read, its changes cannot
        return None
    return f"{commit}-dirty" if dirty else commit


def describe(site: model.Site) -> list[tuple[str, str]]:
    """The settings as people read them, name and value, without secrets and without what was left out."""
    server, sources, promote = site.server, site.sources, site.promote
    access = "password" if server.password else f"key {server.key}" if server.key else "the ssh agent or default keys"
    pinned = "pinned in site.yml" if server.host_key else str(server.known_hosts or "~/.ssh/known_hosts")
    online = f"online ({sources.api})" if sources.api else "online"
    lines = [
        ("site", site.name),
        ("defaults", str(site.agency or "")),
        ("url", site.url),
        ("hosts", ", ".join(site.hosts)),
        ("address", site.address or ""),
        ("logged in as", f"{site.basic_auth.user}, for its web server" if site.basic_auth else ""),
        ("server", f"{server.user}@{server.host}:{server.port}, with {access}"),
        ("host key", pinned),
        ("docroot", site.docroot),
        ("cms", site.cms),
        ("php", site.php or "found by trying"),
        ("sources", ", ".join([*map(str, sources.folders), *([online] if sources.online else [])])),
        ("pages", ", ".join([*site.pages, *(["discovered"] if site.discover else [])])),
        ("flows", ", ".join(flow.name for flow in site.flows)),
        ("orders", f"table {site.orders.table}" if site.orders else "as the CMS keeps them"),
        ("smoke tests", f"ours and {site.smoke_tests}" if site.smoke_tests else "ours"),
        ("viewports", ", ".join(f"{view.name} {view.width}x{view.height}" for view in site.viewports)),
        ("masks", ", ".join(f"{mask.selector} on {mask.page}" for mask in site.masks)),
        ("thresholds", f"{site.thresholds.changed:.2%} changed, {site.thresholds.masked:.0%} masked"),
        ("may call", ", ".join(site.calls)),
        ("answered from a recording", ", ".join(f"{it.method} {it.host}{it.path}".strip() for it in site.recordings)),
        ("paid by", ", ".join(payment.method for payment in site.payments)),
        ("staging reaches", ", ".join(site.egress.allow)),
        ("bandwidth", f"{site.clone.bandwidth} KiB/s" if site.clone.bandwidth else "unlimited"),
        ("not cloned", ", ".join(site.clone.exclude)),
        ("media", "" if site.clone.media is model.Media.ALL else f"{site.clone.media}: pictures, films and documents"),
        ("scrubbed too", ", ".join(site.clone.scrub)),
        ("stack", f"{site.stack.image or 'matched'}, {site.stack.memory} memory, {site.stack.cpus:g} CPUs"),
        *_describe_policy(site.policy),
        ("tested", f"every {_duration_text(site.schedule.every)}, {'; '.join(it.text for it in site.schedule.nights)}"),
        ("closed for", f"at most {_duration_text(timedelta(seconds=promote.max_closed))}, else a person is asked"),
        ("watched after", _duration_text(promote.bake) if promote.bake else "not at all: promote.bake is 0"),
        ("tables kept", f"for {_duration_text(promote.keep_tables)} after a migration" if promote.keep_tables else ""),
        ("caches in front", f"{len(promote.purge)} command(s) empty them" if promote.purge else ""),
        ("deployed as", _deployer(site)),
        ("when stopped", "open, half updated" if promote.stopped is model.Stopped.OPEN else ""),
        ("restarter", "not waited for: nothing may start the watchdog again" if promote.without_restarter else ""),
        ("backups", _describe_backup(site.backup) if site.backup else ""),
        ("switched on", ", ".join(sorted(site.switches))),
        ("notify", f"{len(site.notify)} address(es)" if site.notify else ""),
        ("language", site.language),
    ]
    return [(name, value) for name, value in lines if value]


def _deployer(site: model.Site) -> str:
    if site.promote.user is None and site.promote.key is None:
        return ""
    return f"{site.deploying.server.user}, with {f'key {site.promote.key}' if site.promote.key else 'the key above'}"


def _describe_policy(policy: model.Policy) -> list[tuple[str, str]]:
    held = [f"{slug} ({_until(hold.reason, hold.until)})" for slug, hold in policy.hold.items()]
    held += [f"{slug} at {pin.version} ({_until(pin.reason, pin.until)})" for slug, pin in policy.pin.items()]
    age = f"{_duration_text(policy.minimum_age)} after its release"
    if policy.critical:
        age += f", {_duration_text(policy.critical_age)} for {', '.join(policy.critical)}"
    return [
        ("approval", f"{policy.approve}, expires after {_duration_text(policy.expires)}"),
        ("observed", f"for {_duration_text(policy.observe)}, nothing is deployed" if policy.observe else ""),
        ("deployed", "; ".join(window.text for window in policy.windows) or "any time but Friday evening"),
        ("frozen", ", ".join(f"{it.first} – {it.last} ({it.reason})" for it in policy.freezes)),
        ("a version waits", age),
        ("held back", ", ".join(held)),
        ("may be overwritten", ", ".join(f"{slug} ({reason})" for slug, reason in policy.overwrite.items())),
        ("let through", ", ".join(f"{slug} {it.version} ({it.reason})" for slug, it in policy.allow.items())),
        ("may look new", ", ".join(f"{slug} {it.version} ({it.reason})" for slug, it in policy.new_look.items())),
        ("approvers", ", ".join(policy.approvers)),
        ("advisories", policy.advisories or ""),
    ]


def _describe_backup(backup: model.BackupSettings) -> str:
    kept = f"{backup.daily} daily, {backup.weekly} weekly, {backup.monthly} monthly"
    alone = "; one place alone is lost with its disk" if len(backup.places) == 1 else ""
    return f"in {', '.join(backup.places)}, of which {kept} stay{alone}"


def _until(reason: str, until: date | None) -> str:
    return f"{reason}; until {until}" if until else reason


# ------------------------------------------------------------------------------------------ YAML → text with lines


@dataclass
class _Document:
    """What stands in the file: plain text in lists and mappings, the line of each place, and the mistakes found so far."""

    name: str
    data: Any = None
    lines: dict[_Location, int] = field(default_factory=dict)
    files: dict[_Location, str] = field(default_factory=dict)
    """Where a place stands that is in another file than `name`."""
    mistakes: list[tuple[str, int, str]] = field(default_factory=list)
    refused: set[_Location] = field(default_factory=set)
    """Places whose value was dropped with a mistake of its own."""

    def mistake(self, location: Sequence[str | int], message: str) -> None:
        """At the line of this place, or of the nearest one around it."""
        here = tuple(location)
        while here and here not in self.lines:
            here = here[:-1]
        self.mistakes.append((self.files.get(here, self.name), self.lines.get(here, 1), _at(location, message)))

    def mistake_at(self, line: int, message: str) -> None:
        self.mistakes.append((self.name, line, message))

    def error(self) -> ConfigError:
        """Every mistake: those of the file itself by line, then those of the file whose defaults it takes."""
        ordered = sorted(dict.fromkeys(self.mistakes), key=lambda mistake: (mistake[0] != self.name, mistake[:2]))
        alike = all(name != self.name for name, _, _ in ordered)  # every site says the same then, and is told of once
        return ConfigError(
            "\n".join(f"{name}:{line}: {message}" for name, line, message in ordered),
            hint=f"correct {'this line' if len(ordered) == 1 else 'these lines'}, then type `updater check {'SITE' if alike else self.name}`",
        )


def _dotted(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def _at(location: Sequence[str | int], message: str) -> str:
    return f"{_dotted(location)}: {message}" if location else message


def _read(path: Path) -> _Document:
    """The file as a document. ConfigError at once when it is no YAML mapping: nothing else can be said of it then."""
    document = _Document(name=os.fspath(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("there is no such file", where=str(path), hint="write one with `updater init`") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            "cannot read the file", where=str(path), cause=reason, hint="name the site.yml itself"
        ) from None
    if len(raw) > _MAX_BYTES:
        document.mistake_at(1, "the file is over 200 kB: this is no site.yml")
        raise document.error()
    root = _compose(document, raw)
    document.lines[()] = 1
    _Walk(document).mapping_at_top(root)
    if not isinstance(document.data, dict):
        raise document.error()
    return document


_SITES_OWN = ("site", "url", "docroot", "hosts", "address", "agency", "recordings", "payments")
"""Keys that no two sites share."""

_PATHS: tuple[_Location, ...] = (
    ("server", "key"),
    ("server", "known_hosts"),
    ("server", "password", "file"),
    ("basic_auth", "password", "file"),
    ("promote", "key"),
    ("sources", "folders"),
    ("tls_ca",),
    ("smoke_tests",),
    ("policy", "advisories"),
)
"""Keys that hold paths on this machine: relative to the file that they are written in."""


def _secrets(path: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, and what it does not say from the nearest updater.env: a timer, and a person who just logged in, know nothing."""
    found = (folder / ENV_FILE for folder in path.absolute().parents)
    nearest = next((candidate for candidate in found if _is(Path.is_file, candidate)), None)
    if nearest is None:
        return environ
    _refuse_others(nearest, "whoever writes it decides where messages and backups go")
    return ChainMap(dict(environ), dict(from_file(nearest)))


def _refuse_others(file: Path, cause: str) -> None:
    if file.stat().st_uid not in (os.getuid(), 0):
        raise ConfigError(
            f"this {file.name} belongs to another user",
            where=str(file),
            cause=cause,
            hint=f"make it yours: chown $(id -un) {file}",
        )


def _agency(path: Path, document: _Document) -> Path | None:
    """The agency.yml that site.yml names, or the nearest one in a folder around it."""
    named = document.data.get("agency")
    if isinstance(named, str):
        try:
            return (path.absolute().parent / Path(named).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError):  # as in _local, which says so at its line
            return None
    return _agency_around(path)


def _agency_around(path: Path) -> Path | None:
    found = (folder / "agency.yml" for folder in path.absolute().parents)
    nearest = next((candidate for candidate in found if _is(Path.is_file, candidate)), None)
    if nearest:
        _refuse_others(nearest, "whoever writes it decides what is deployed")
    return nearest


def _over(shared: _Document, own: _Document, base: Path) -> _Document:
    """`own` with what only `shared` says. Sections are joined key by key; a list or a value of `own` replaces that of `shared`."""
    for key in _SITES_OWN:
        if key in shared.data:
            shared.mistake((key,), "belongs in each site.yml: sites differ in it")
            del shared.data[key]
    for place in _PATHS:
        _make_absolute(shared.data, place, base)
    whole = _Document(own.name, None, dict(own.lines), {}, [*own.mistakes, *shared.mistakes], set(own.refused))
    whole.data = _joined(shared, own.data, shared.data, (), whole)
    return whole


def _joined(
    shared: _Document, own: Any, defaults: Mapping[str, Any], here: _Location, whole: _Document
) -> dict[str, Any]:
    joined = dict(own)
    for key, value in defaults.items():
        place = (*here, key)
        if isinstance(joined.get(key), dict) and isinstance(value, dict):
            joined[key] = _joined(shared, joined[key], value, place, whole)
        elif joined.get(key) is None:
            joined[key] = value
            for location, line in shared.lines.items():
                if location[: len(place)] == place:
                    whole.lines[location], whole.files[location] = line, shared.name
            whole.refused |= {location for location in shared.refused if location[: len(place)] == place}
    return joined


def _make_absolute(data: Any, place: _Location, base: Path) -> None:
    *sections, last = place
    for section in sections:
        data = data.get(section) if isinstance(data, dict) else None
    if not isinstance(data, dict):
        return

    def absolute(value: Any) -> Any:
        return str(base / Path(value)) if isinstance(value, str) and not re.match(r"~|/|\$|\w+://|$", value) else value

    if last in data:
        value = data[last]
        data[last] = [absolute(entry) for entry in value] if isinstance(value, list) else absolute(value)


def _compose(document: _Document, raw: bytes) -> yaml.Node:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.mistake_at(raw[: error.start].count(b"\n") + 1, "not UTF-8; save the file in UTF-8")
        raise document.error() from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (
        yaml.YAMLError,
        RecursionError,
        ValueError,
        OverflowError,
    ) as error:  # the last two: the escape "\UFFFFFFFF"
        # Not the error's own text: it quotes the lines around, and a password may stand there.
        tabs = [number for number, line in enumerate(text.split("\n"), 1) if re.match(r" *\t", line)]
        for number in tabs:
            document.mistake_at(number, "indented with a tab; YAML takes spaces only")
        if not tabs:
            document.mistake_at(*_syntax(error, text))
        raise document.error() from None
    if root is None:
        document.mistake_at(1, "the file is empty; write one with `updater init`")
        raise document.error()
    return root


def _syntax(error: Exception, text: str) -> tuple[int, str]:
    if isinstance(error, yaml.reader.ReaderError):
        return text[: error.position].count("\n") + 1, "a character that YAML does not allow"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "too deeply nested or malformed"
    # A quoted word may be the user's: an alias or a tag that was meant as a password. YAML's own are like <scalar>.
    problem = re.sub(r"'([^']*)'", lambda word: word[0] if len(word[1]) < 2 or word[1][0] == "<" else "…", problem)
    number = mark.line + 1 if mark else 1
    bare = "${" in "".join(text.split("\n")[number - 1 : number])
    return number, f"this is not YAML: {problem}" + '; between braces write "${NAME}" with quotes' * bare


class _Walk:
    """Nodes to plain data, noting the line of each place and what no site.yml may hold: tags, aliases without end, …"""

    _TEXT = frozenset(
        f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "timestamp", "value", "merge")
    )
    _NULL = "tag:yaml.org,2002:null"
    _NAMEABLE = re.compile(r"tag:yaml\.org,2002:(python/[a-z/]+|binary|set|omap|pairs)")

    def __init__(self, document: _Document) -> None:
        self.document = document
        self.nodes = 0

    def mapping_at_top(self, root: yaml.Node) -> None:
        self.document.data = self.value(root, ())
        if not isinstance(self.document.data, dict) and not self.document.mistakes:
            self.document.mistake_at(
                root.start_mark.line + 1, "the file must hold `key: value` lines, like `site: my-shop`"
            )

    def value(self, node: yaml.Node, here: _Location) -> Any:
        self.nodes += 1
        line = node.start_mark.line + 1
        if self.nodes > _MAX_NODES or len(here) > _MAX_DEPTH:
            self.document.mistake_at(
                line, "nested too deeply or repeated too often; write the values out without aliases"
            )
            raise self.document.error()
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, here)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            for index, item in enumerate(node.value):
                self.document.lines[(*here, index)] = item.start_mark.line + 1
            return [self.value(item, (*here, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in self._TEXT:
            if not _printable(node.value):
                self.document.mistake(here, "holds a control character")
                self.document.refused.add(here)
                return None
            return str(node.value)
        if isinstance(node, yaml.ScalarNode) and node.tag == self._NULL:
            return None
        named = self._NAMEABLE.match(node.tag)
        self.document.refused.add(here)
        self.document.mistake_at(
            line, _at(here, f"the tag {f'!!{named[1]} ' if named else ''}is not allowed; write a plain value")
        )
        return None

    def mapping(self, node: yaml.MappingNode, here: _Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or not _printable(key_node.value):
                self.document.mistake_at(line, _at(here, "a key must be plain text"))
                continue
            key = str(key_node.value)
            if key in found:
                first = self.document.lines[(*here, key)]
                self.document.mistake_at(line, _at((*here, key), f"written twice, first in line {first}"))
                continue
            self.document.lines[(*here, key)] = line
            found[key] = self.value(value_node, (*here, key))
        return found


def _printable(text: str) -> bool:
    return all(character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs") for character in text)


# --------------------------------------------------------------------------------------------- one value at a time


@dataclass(frozen=True)
class _Context:
    """What validation needs beside the text: where relative paths start, and the environment."""

    base: Path
    environ: Mapping[str, str]


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{message}", {"message": message})


def _context(info: ValidationInfo) -> _Context:
    assert isinstance(info.context, _Context)
    return info.context


def _literal(value: str) -> str:
    if not value.strip():
        raise _wrong("is empty")
    if "\n" in value:
        raise _wrong("must be one line")
    if "${" in value:
        raise _wrong(
            "${…} is read only in server.password, basic_auth.password, flows[].fill, promote.purge, backup and notify; write the value itself"
        )
    return value


def _matching(pattern: str, expected: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise _wrong(f"must be {expected}")
        return value

    return AfterValidator(check)


def _local(value: str, info: ValidationInfo) -> Path:
    try:
        return (_context(info).base / Path(value).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):  # RuntimeError: `~nobody`, a loop of symlinks
        raise _wrong(f"{value} is not a path on this machine") from None


def _is(test: Callable[[Path], bool], path: Path) -> bool:
    try:
        return test(path)
    except (OSError, ValueError):  # a name that is too long, a folder that may not be entered
        return False


def _file(value: str, info: ValidationInfo) -> Path:
    path = _local(value, info)
    if not _is(Path.is_file, path):
        raise _wrong(f"there is no file {path}; paths are relative to the file that names them")
    return path


def _folder(value: str, info: ValidationInfo) -> Path:
    path = _local(value, info)
    if not _is(Path.is_dir, path):
        raise _wrong(f"there is no folder {path}; paths are relative to the file that names them")
    return path


def _head(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(65_536).decode("utf-8", "replace")
    except OSError as error:
        raise _wrong(f"cannot read {path}: {error.strerror}") from None


def _private_key(path: Path) -> Path:
    head = _head(path)
    if head.startswith(("ssh-", "ecdsa-", "sk-")):
        raise _wrong(f"{path} is a public key; name the private one" + f" ({path.stem})" * (path.suffix == ".pub"))
    if "PRIVATE KEY-----" not in head:
        raise _wrong(f"{path} is not a private ssh key; make one with `ssh-keygen -t ed25519`")
    return path


def _certificate(path: Path) -> Path:
    if "-----BEGIN CERTIFICATE-----" not in _head(path):
        raise _wrong(f"{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    return path


def _tests(path: Path) -> Path:
    if not _is(lambda folder: any(folder.rglob("test_*.py")), path):
        raise _wrong(f"{path} holds no test_*.py; leave the key out when the site has no tests of its own")
    return path


_RECORDING_KEYS = {"status", "headers", "body"}
_CALLBACK_KEYS = {"path", "method", "headers", "body"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _answer(value: Any, info: ValidationInfo) -> dict[str, Any]:
    path, data = _recorded(value, info, _RECORDING_KEYS)
    status = data.get("status", 200)
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise _wrong(f"{path}: status must be a number from 200 to 599")
    return {"status": status, "headers": data["headers"], "body": data["body"]}


def _callback(value: Any, info: ValidationInfo) -> model.Callback:
    path, data = _recorded(value, info, _CALLBACK_KEYS)
    data["headers"] = {name: _expanded(said, info) for name, said in data["headers"].items()}
    data["body"] = _expanded(data["body"], info)
    to, method = data.get("path", ""), data.get("method", "POST")
    if not isinstance(to, str) or not re.fullmatch(r"/(?!/)\S*", to):
        raise _wrong(f"{path}: path must be the shop's own, like /?wc-api=gateway")
    if method not in _METHODS:
        raise _wrong(f"{path}: method must be one of {', '.join(_METHODS)}")
    return model.Callback(_expanded(to, info), method, data["headers"], data["body"])


def _recorded(value: Any, info: ValidationInfo, keys: set[str]) -> tuple[Path, dict[str, Any]]:
    """What stands in a recording's file, `headers` and `body` as text. A body that is a mapping or a list is JSON."""
    if not isinstance(value, str):
        raise _wrong("must name a file")
    path, base = _file(value, info), _context(info).base.resolve()
    if not path.is_relative_to(base):
        raise _wrong(f"{path} must lie in {base}, beside site.yml: it is part of the site's repository")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError):
        # Not the error's own text: it quotes the lines around, and a recording may hold a customer.
        raise _wrong(f"{path} cannot be read as YAML or JSON in UTF-8") from None
    if not isinstance(data, dict):
        raise _wrong(f"{path} must hold `key: value` lines: {', '.join(sorted(keys))}")
    unknown = sorted(str(key) for key in set(data) - keys)
    if unknown:
        raise _wrong(f"{path}: unknown key {unknown[0]}; known here: {', '.join(sorted(keys))}")
    headers, body = data.get("headers") or {}, data.get("body", "")
    fits = isinstance(headers, dict) and all(
        re.fullmatch(r"[A-Za-z0-9-]+", str(name)) and _printable(str(said)) and "\n" not in str(said)
        for name, said in headers.items()
    )
    if not fits:
        raise _wrong(f"{path}: headers must be `Name: value` lines")
    headers = {str(name): str(said) for name, said in headers.items()}
    if not isinstance(body, str):
        body = json.dumps(body, ensure_ascii=False, default=str)
        headers = {"Content-Type": "application/json", **headers}
    return path, {**data, "headers": headers, "body": body}


_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


def _ascii_host(name: str) -> str:
    """Lower case and punycode (UTS 46, as browsers do), or a mistake. Addresses pass as they are."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        ascii_name = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:
        raise _wrong(f"{name} is not a host name") from None
    ascii_name = ascii_name.removesuffix(".")
    if len(ascii_name) > 253 or not _HOST.fullmatch(ascii_name):
        raise _wrong(f"{name} is not a host name")
    return ascii_name


def _service(value: str) -> str:
    host, colon, port = value.partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise _wrong("must be a host and its port, like updates.example:443")
    return f"{_host_only(host)}:{int(port or 443)}"


def _host_only(value: str) -> str:
    if "://" in value or "/" in value:
        raise _wrong(
            f"must be a name only, without https:// or a path; did you mean {_host_in(value)!r}?".replace("'", '"')
        )
    if re.search(r":[0-9]+$", value) and value.count(":") == 1:
        raise _wrong("must be a name only, without a port")
    if "*" in value:
        raise _wrong("must be one name, without *; list each name the shop answers to")
    return _ascii_host(value)


def _host_in(value: str) -> str:
    try:
        return urlsplit(value if "://" in value else f"//{value}").hostname or "shop.example"
    except ValueError:
        return "shop.example"


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise _wrong("must be an IP address, like 203.0.113.7") from None


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _wrong("is not a URL; write it like https://shop.example") from None
    if parts.scheme not in ("http", "https") or not host:
        raise _wrong("must start with http:// or https:// and name a host, like https://shop.example")
    if parts.username is not None or parts.password is not None:
        raise _wrong("must not hold a user name or password")
    if parts.query or parts.fragment:
        raise _wrong("must end before ? and #")
    ascii_host = _ascii_host(host)
    authority = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    if port is not None:
        authority += f":{port}"
    return urlunsplit((parts.scheme, authority, parts.path.rstrip("/"), "", ""))


def _page(value: str) -> str:
    if not value.startswith("/") or value.startswith("//") or re.search(r"\s", value):
        raise _wrong("must be a path on the site, like /shop/")
    return value


def _page_of_any_name(value: str, info: ValidationInfo) -> str:
    """A path of the name in `url`, or a whole address under another of the site's names."""
    if not re.match(r"https?://", value):
        return _page(value)
    try:
        parts = urlsplit(value)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        raise _wrong("is not a URL; write it like https://en.shop.example/") from None
    host = _ascii_host(name)
    main = urlsplit(info.data.get("url", ""))  # absent when it has mistakes of its own
    path = _page((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    if main.netloc and (parts.scheme, port) != (main.scheme, main.port):
        raise _wrong(f"must begin with {main.scheme}:// and have the port of `url`, as all of the site's names")
    if host == main.hostname:
        return path
    if main.netloc and host not in (info.data.get("hosts") or ()):
        raise _wrong(f"{host} is none of the site's names: add it to hosts")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def _absolute(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute():
        raise _wrong("must be an absolute path on the server, like /var/www/shop")
    if ".." in path.parts:
        raise _wrong("must not hold ..")
    if len(path.parts) < 2:
        raise _wrong("must not be the whole server")
    return "/" + "/".join(path.parts[1:])


def _work(value: str) -> str:
    path = PurePosixPath(value)
    if ".." in path.parts or value.startswith("~") or not path.parts or path == PurePosixPath("/"):
        raise _wrong("must be a folder below the user's home, like .updater, or an absolute path without ..")
    return str(path)


_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def _host_key(value: str) -> str:
    """`type base64`, without host and comment; the type is also inside the key (RFC 4253, 6.6), and both must agree."""
    wanted = "must be like `ssh-ed25519 AAAA…`: the line that `ssh-keyscan HOST` prints, without the host"
    if value.startswith(("SHA256:", "MD5:")):
        raise _wrong(f"is a fingerprint; {wanted}")
    words = value.split()
    if len(words) < 2 or words[0] not in _KEY_TYPES:
        raise _wrong(wanted)
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(f"the key is cut or mistyped; {wanted}") from None
    kind = words[0].encode()
    if len(blob) < 4 + len(kind) + 32 or blob[: 4 + len(kind)] != len(kind).to_bytes(4, "big") + kind:
        raise _wrong(f"the key is cut or mistyped; {wanted}")
    return f"{words[0]} {words[1]}"


_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?")


def _span(value: Any) -> timedelta:
    match = _DURATION.fullmatch(value.strip().replace(" ", "")) if isinstance(value, str) else None
    if not match or not any(match.groups()):
        raise _wrong("must be a time with its unit: 30s, 5m, 2h, 7d or 1h30m")
    return timedelta(seconds=sum(int(part[:-1]) * _UNITS[part[-1]] for part in match.groups() if part))


def _duration(value: Any) -> timedelta:
    span = _span(value)
    if not timedelta() < span <= timedelta(days=3_650):
        raise _wrong("must be between 1s and 3650d")
    return span


def _weeks(value: Any) -> timedelta:
    """As `_duration`, and as people say it: `4 weeks`."""
    match = re.fullmatch(r"([0-9]{1,3}) ?(?:weeks?|w)", value.strip()) if isinstance(value, str) else None
    span = timedelta(weeks=int(match[1])) if match else _span(value)
    if not timedelta(days=1) <= span <= timedelta(days=365):
        raise _wrong("must be between 1d and 365d, like 4 weeks")
    return span


def _turn(value: Any) -> timedelta:
    span = _span(value)
    if not timedelta(days=1) <= span <= timedelta(days=90):
        raise _wrong("must be between 1d and 90d; runs begin at night, so a day is the shortest")
    return span


def _age(value: Any) -> timedelta:
    """As `_duration`, and none at all."""
    span = timedelta() if value == "0" else _span(value)
    if span > timedelta(days=365):
        raise _wrong("must be at most 365d")
    return span


def _duration_text(value: timedelta) -> str:
    seconds, text = int(value.total_seconds()), ""
    for unit, size in _UNITS.items():
        if seconds >= size:
            text += f"{seconds // size}{unit}"
            seconds %= size
    return text or "0s"


def _seconds(value: Any) -> int:
    return int(_duration(value).total_seconds())


def _ratio(value: Any) -> float:
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9]{0,3}(\.[0-9]{1,12})?%?", text) or text in ("", "%"):
        raise _wrong("must be a share like 0.001 or 0.1%")
    share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= share <= 1:
        raise _wrong("must lie between 0 and 1 (0% and 100%)")
    return share


def _size(value: Any) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{2,5}) ?[x×] ?([0-9]{2,5})", value) if isinstance(value, str) else None
    if not match:
        raise _wrong("must be WIDTHxHEIGHT in pixels, like 1366x768")
    width, height = int(match[1]), int(match[2])
    if not (200 <= width <= 8_000 and 200 <= height <= 8_000):
        raise _wrong("must be between 200x200 and 8000x8000 pixels")
    return width, height


# --------------------------------------------------------------------------------------------------- days and hours

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(r"(\S+) +([0-9]{2}:[0-9]{2}) ?[-–] ?([0-9]{2}:[0-9]{2})(?: +(\S+))?")


def _window(value: Any) -> model.Window:
    match = _WINDOW.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise _wrong("must be days, hours and a time zone, like Mon-Thu 10:00-16:00 Europe/Moscow")
    days, start, end, zone = match.groups()
    return model.Window(_weekdays(days), _clock(start), _clock(end), _zone(zone), value.strip())


def _weekdays(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.replace("–", "-").partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise _wrong(f"{part} is no day of the week; write {', '.join(_DAYS)}, Mon-Fri or Mon,Wed")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return tuple(sorted(found))


def _clock(text: str) -> time:
    if text == "24:00":
        return time()
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise _wrong(f"{text} is no time of day; write it like 09:30") from None


_zones = cache(available_timezones)  # it reads some hundred files


def _zone(name: str | None) -> str:
    if name is None:
        raise _wrong("must end with a time zone, like Europe/Moscow")
    if name not in _zones():
        near = difflib.get_close_matches(name, _zones(), n=1)
        raise _wrong(f"{name} is no time zone" + (f"; did you mean {near[0]}?" if near else ", like Europe/Moscow"))
    ZoneInfo(name)
    return name


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _wrong("must be a day like 2026-12-31") from None


def _feed(value: str, info: ValidationInfo) -> str:
    return _url(value) if "://" in value else str(_file(value, info))


def _as(key: str) -> BeforeValidator:
    """A mapping whose only important key may be written alone."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


# ------------------------------------------------------------------------------------------------------- secrets

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _expanded(value: str, info: ValidationInfo) -> str:
    """`value` with each ${NAME} replaced by the environment's secret, which is registered."""

    def resolve(match: re.Match[str]) -> str:
        found = _context(info).environ.get(match[1], "")
        if not found:
            raise _wrong(
                f"the environment variable {match[1]} is not set; type `export {match[1]}=…`, or write it into {ENV_FILE}"
            )
        return register(found)

    text = _VARIABLE.sub(resolve, value)
    if "${" in _VARIABLE.sub("", value):
        raise _wrong("holds ${…} that names no environment variable; write it like ${SHOP_SECRET}")
    return text


def _password(value: Any, info: ValidationInfo) -> str:
    """From `${NAME}` or `{file: path}`. Nothing of `value` may show in a message: it may be a password."""
    how = "write `${SHOP_PASSWORD}` and export that variable, or `{file: secrets/password}`"
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return _expanded(value, info)
    if isinstance(value, str):
        raise _wrong(f"a password must not stand in site.yml; {how}")
    if not isinstance(value, dict) or set(value) != {"file"} or not isinstance(value["file"], str):
        raise _wrong(f"cannot be read; {how}")
    path = _file(value["file"], info)
    secret = _head(path).rstrip("\r\n")
    if not secret or "\n" in secret:
        raise _wrong(f"{path} must hold the password in one line")
    return register(secret)


_RESTIC = ("sftp:", "s3:", "rest:", "b2:", "azure:", "gs:", "swift:", "rclone:")


def _place(value: str, info: ValidationInfo) -> str:
    """restic's address of a repository, or a folder on this machine."""
    if re.search(r"://[^/@]*:[^/@]+@", value) and not _VARIABLE.search(value):
        raise _wrong("a password must not stand in site.yml; write `${BACKUP_ADDRESS}` and export that variable")
    address = _expanded(value, info)
    if address.startswith(_RESTIC):
        return address
    if re.match(r"[a-z0-9]+:", address):
        raise _wrong(f"must be a folder, or an address of restic's that begins with {', '.join(_RESTIC)}")
    return str(_local(address, info))


def _apart(places: dict[str, str]) -> dict[str, str]:
    if len(set(places.values())) < len(places):
        raise _wrong("two of these are the same place")
    return places


def _notify(value: str, info: ValidationInfo) -> str:
    if re.search(r"://[^/@]*:[^/@]+@", value) and not _VARIABLE.search(value):
        raise _wrong("a password must not stand in site.yml; write `${NOTIFY_URL}` and export that variable")
    url = register(_expanded(value, info))
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", url):
        raise _wrong("must be an Apprise address, like ${TELEGRAM_URL} with tgram://TOKEN/CHAT in it")
    for part in re.split(r"[/:@?&=]+", url):  # services put the token into other addresses, which errors then quote
        if len(part) >= 12 and "." not in part and any(character.isdigit() for character in part):
            register(part)
    return url


# -------------------------------------------------------------------------------------------------- the sections

_Text = Annotated[str, AfterValidator(_literal)]
_Count = Annotated[int, Field(ge=1, le=10_000_000)]
_Label = Annotated[_Text, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "letters, digits, . _ - (at most 63)")]
_Column = Annotated[_Text, _matching(r"[A-Za-z0-9_$]{1,64}", "a name of a table or column: letters, digits, _")]
_Host = Annotated[_Text, AfterValidator(_host_only)]
_Service = Annotated[_Text, AfterValidator(_service)]
_Url = Annotated[_Text, AfterValidator(_url)]
_Page = Annotated[_Text, AfterValidator(_page)]
_PageOfAnyName = Annotated[_Text, AfterValidator(_page_of_any_name)]
_Folder = Annotated[_Text, AfterValidator(_folder)]
_File = Annotated[_Text, AfterValidator(_file)]
_Seconds = Annotated[int, PlainValidator(_seconds)]
_Ratio = Annotated[float, PlainValidator(_ratio)]
_Entries = Annotated[str, AfterValidator(_expanded)]
_Date = Annotated[date, PlainValidator(_date)]


_LEFT_OUT: Any = None
"""The value of a key that was not written. Never read: `given` hands on only what was."""


class _Section(BaseModel):
    """A mapping of site.yml. What is left out is left to the defaults of model.py, so they stand in one place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _a_key_without_a_value_is_left_out(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    def given(self, *but: str) -> dict[str, Any]:
        """The values that were written, lists as tuples."""
        values = {name: getattr(self, name) for name in self.model_fields_set if name not in but}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


_User = Annotated[_Text, _matching(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}\$?", "a user name on the server")]


class _Server(_Section):
    host: _Host
    user: _User
    port: Annotated[int, Field(ge=1, le=65_535)] = _LEFT_OUT
    key: Annotated[_File, AfterValidator(_private_key)] = _LEFT_OUT
    password: Annotated[str, PlainValidator(_password)] = _LEFT_OUT
    host_key: Annotated[_Text, AfterValidator(_host_key)] = _LEFT_OUT
    known_hosts: _File = _LEFT_OUT
    work: Annotated[_Text, AfterValidator(_work)] = _LEFT_OUT


class _BasicAuth(_Section):
    user: _Text
    password: Annotated[str, PlainValidator(_password)]


class _Sources(_Section):
    folders: list[_Folder] = _LEFT_OUT
    online: bool = _LEFT_OUT
    api: _Url = _LEFT_OUT
    downloads: _Url = _LEFT_OUT


class _Flow(_Section):
    name: _Label = _LEFT_OUT
    product: _Page = _LEFT_OUT
    fill: dict[_Text, _Entries] = _LEFT_OUT
    close: list[_Text] = _LEFT_OUT
    selectors: dict[_Text, _Text] = _LEFT_OUT


class _Orders(_Section):
    table: _Column
    id: _Column
    total: _Column
    email: _Column
    created: _Column = _LEFT_OUT
    status: _Column = _LEFT_OUT


class _Mask(_Section):
    selector: _Text
    page: _Text = _LEFT_OUT


class _Thresholds(_Section):
    changed: _Ratio = _LEFT_OUT
    masked: _Ratio = _LEFT_OUT


class _Recording(_Section):
    host: _Host
    path: _Page
    method: Annotated[_Text, _matching("|".join(_METHODS), f"one of {', '.join(_METHODS)}")] = _LEFT_OUT
    answer: Annotated[dict[str, Any], PlainValidator(_answer)]


class _Payment(_Section):
    method: Annotated[_Text, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "a method's id: letters, digits, . _ -")]
    plugin: _Text = _LEFT_OUT
    callback: Annotated[model.Callback, PlainValidator(_callback)] = _LEFT_OUT


def _of_others(recordings: list[_Recording], info: ValidationInfo) -> list[_Recording]:
    own = {urlsplit(info.data.get("url") or "").hostname, *(info.data.get("hosts") or ())}
    for recording in recordings:
        if recording.host in own:
            raise _wrong(f"{recording.host} is the shop itself, which answers on staging; record what is elsewhere")
    return recordings


def _each_once(payments: list[_Payment]) -> list[_Payment]:
    names = [payment.method for payment in payments]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _wrong(f"the method {twice[0]} stands twice")
    return payments


class _Clone(_Section):
    bandwidth: _Count = _LEFT_OUT
    nice: bool = _LEFT_OUT
    exclude: list[_Text] = _LEFT_OUT
    scrub: list[Annotated[_Text, _matching(r"[A-Za-z0-9_$]+\.[A-Za-z0-9_$]+", "table.column")]] = _LEFT_OUT
    media: model.Media = _LEFT_OUT


class _Egress(_Section):
    allow: list[_Service] = _LEFT_OUT


class _Stack(_Section):
    image: Annotated[_Text, _matching(r"[a-z0-9][A-Za-z0-9./:@_-]*", "the name of a Docker image")] = _LEFT_OUT
    memory: Annotated[_Text, _matching(r"[1-9][0-9]{0,11}[kmg]", "a size like 512m or 1g")] = _LEFT_OUT
    cpus: Annotated[float, Field(gt=0, le=1_024, allow_inf_nan=False)] = _LEFT_OUT
    processes: Annotated[int, Field(ge=50, le=1_000_000)] = _LEFT_OUT


class _Hold(_Section):
    reason: _Text
    until: _Date = _LEFT_OUT


class _Pin(_Section):
    version: _Text
    reason: _Text
    until: _Date = _LEFT_OUT


class _Allowed(_Section):
    version: _Text
    reason: _Text


class _Freeze(_Section):
    first: _Date
    last: _Date
    reason: _Text

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> _Freeze:
        if self.last < self.first:
            raise _wrong("ends before it begins")
        return self


class _Policy(_Section):
    approve: model.Approve = _LEFT_OUT
    expires: Annotated[timedelta, PlainValidator(_duration)] = _LEFT_OUT
    approvers: list[_Text] = _LEFT_OUT
    windows: list[Annotated[model.Window, PlainValidator(_window)]] = _LEFT_OUT
    freezes: list[_Freeze] = _LEFT_OUT
    minimum_age: Annotated[timedelta, PlainValidator(_age)] = _LEFT_OUT
    critical: list[_Text] = _LEFT_OUT
    critical_age: Annotated[timedelta, PlainValidator(_age)] = _LEFT_OUT
    hold: dict[_Text, Annotated[_Hold, _as("reason")]] = _LEFT_OUT
    overwrite: dict[_Text, _Text] = _LEFT_OUT
    pin: dict[_Text, Annotated[_Pin, _as("version")]] = _LEFT_OUT
    allow: dict[_Text, Annotated[_Allowed, _as("version")]] = _LEFT_OUT
    new_look: dict[_Text, Annotated[_Allowed, _as("version")]] = _LEFT_OUT
    advisories: Annotated[_Text, AfterValidator(_feed)] = _LEFT_OUT
    accept_nearest_stack: bool = _LEFT_OUT
    observe: Annotated[timedelta, PlainValidator(_weeks)] = _LEFT_OUT

    @model_validator(mode="after")
    def _observing_deploys_nothing(self) -> _Policy:
        if self.observe is not _LEFT_OUT and self.approve is not model.Approve.NEVER:
            raise _wrong("observe goes with `approve: never`: nothing is deployed meanwhile")
        return self


def _bake(value: Any) -> timedelta:
    span = _age(value)
    if span > timedelta(hours=2):
        raise _wrong("must be at most 2h")
    return span


def _with_crons_minute(seconds: int, info: ValidationInfo) -> int:
    if seconds < 90 and info.data.get("without_restarter") is not True:
        raise _wrong("must be 90s or longer: a minute of it is cron's, which looks once a minute for what died")
    return seconds


class _Schedule(_Section):
    every: Annotated[timedelta, PlainValidator(_turn)] = _LEFT_OUT
    nights: Annotated[list[Annotated[model.Window, PlainValidator(_window)]], Field(min_length=1)] = _LEFT_OUT


class _Promote(_Section):
    user: _User = _LEFT_OUT
    key: Annotated[_File, AfterValidator(_private_key)] = _LEFT_OUT
    max_closed: _Seconds = _LEFT_OUT
    drain: _Seconds = _LEFT_OUT
    without_restarter: bool = _LEFT_OUT
    deadline: Annotated[_Seconds, AfterValidator(_with_crons_minute)] = _LEFT_OUT
    bake: Annotated[timedelta, PlainValidator(_bake)] = _LEFT_OUT
    purge: list[_Entries] = _LEFT_OUT
    stopped: model.Stopped = _LEFT_OUT
    keep_tables: Annotated[timedelta, PlainValidator(_duration)] = _LEFT_OUT


class _Backup(_Section):
    password: Annotated[str, PlainValidator(_password)]
    places: Annotated[dict[_Label, Annotated[str, AfterValidator(_place)]], Field(min_length=1), AfterValidator(_apart)]
    daily: Annotated[int, Field(ge=1, le=1_000)] = _LEFT_OUT
    weekly: Annotated[int, Field(ge=0, le=1_000)] = _LEFT_OUT
    monthly: Annotated[int, Field(ge=0, le=1_000)] = _LEFT_OUT
    environment: dict[Annotated[_Text, _matching(r"[A-Z_][A-Z0-9_]*", "a variable's name")], _Entries] = _LEFT_OUT


class _Watch(_Section):
    access_log: Annotated[_Text, AfterValidator(_absolute)] = _LEFT_OUT
    backup_age: Annotated[timedelta, PlainValidator(_duration)] = _LEFT_OUT
    restore_age: Annotated[timedelta, PlainValidator(_duration)] = _LEFT_OUT


class _Person(_Section):
    name: _Text
    role: _Text
    contact: _Text


class _Licence(_Section):
    name: _Text
    until: _Date


class _Passport(_Section):
    domain: _Text = _LEFT_OUT
    hosting: _Text = _LEFT_OUT
    people: list[_Person] = _LEFT_OUT
    access: dict[_Text, _Text] = _LEFT_OUT
    licences: list[_Licence] = _LEFT_OUT
    integrations: dict[_Text, _Text] = _LEFT_OUT
    notes: list[_Text] = _LEFT_OUT


def _not_twice(flows: list[_Flow]) -> list[_Flow]:
    names = [flow.given().get("name", model.Flow().name) for flow in flows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _wrong(f"the name {twice[0]} is used twice; give each flow its own")
    return flows


def _without_work(docroot: str, info: ValidationInfo) -> str:
    server = info.data.get("server")  # absent when it has mistakes of its own
    if isinstance(server, _Server) and server.work and PurePosixPath(server.work).is_relative_to(docroot):
        raise _wrong("holds server.work, which anyone could then read; move the work folder out of the docroot")
    return docroot


class _Common(_Section):
    """What every site has. Each field is optional in the file unless it has no default here."""

    site: _Label
    agency: _File = _LEFT_OUT
    url: _Url
    server: _Server
    docroot: Annotated[_Text, AfterValidator(_absolute), AfterValidator(_without_work)]
    hosts: list[_Host] = _LEFT_OUT
    address: Annotated[_Text, AfterValidator(_address)] = _LEFT_OUT
    tls_ca: Annotated[_File, AfterValidator(_certificate)] = _LEFT_OUT
    basic_auth: _BasicAuth = _LEFT_OUT
    cms: Annotated[_Text, _matching(r"[a-z][a-z0-9_-]{0,31}", "auto or the name of a CMS in lower case")] = _LEFT_OUT
    php: Annotated[_Text, _matching(r"(/[\w.+-]+)+|[A-Za-z0-9][\w.+-]*", "a program like /usr/bin/php8.2")] = _LEFT_OUT
    sources: _Sources = _LEFT_OUT
    pages: list[_PageOfAnyName] = _LEFT_OUT
    discover: bool = _LEFT_OUT
    flows: Annotated[list[_Flow], Field(min_length=1), AfterValidator(_not_twice)] = _LEFT_OUT
    orders: _Orders = _LEFT_OUT
    smoke_tests: Annotated[_Folder, AfterValidator(_tests)] = _LEFT_OUT
    viewports: Annotated[dict[_Label, Annotated[tuple[int, int], PlainValidator(_size)]], Field(min_length=1)] = (
        _LEFT_OUT
    )
    masks: list[_Mask] = _LEFT_OUT
    thresholds: _Thresholds = _LEFT_OUT
    calls: list[_Host] = _LEFT_OUT
    recordings: Annotated[list[_Recording], AfterValidator(_of_others)] = _LEFT_OUT
    payments: Annotated[list[_Payment], AfterValidator(_each_once)] = _LEFT_OUT
    clone: _Clone = _LEFT_OUT
    egress: _Egress = _LEFT_OUT
    stack: _Stack = _LEFT_OUT
    policy: _Policy = _LEFT_OUT
    schedule: _Schedule = _LEFT_OUT
    promote: _Promote = _LEFT_OUT
    backup: _Backup = _LEFT_OUT
    watch: _Watch = _LEFT_OUT
    passport: _Passport = _LEFT_OUT
    notify: list[Annotated[str, AfterValidator(_notify)]] = _LEFT_OUT
    language: model.Language = _LEFT_OUT


def _switches(section: str, names: Mapping[str, str]) -> type[_Section]:
    fields: dict[str, Any] = {name: (bool, Field(_LEFT_OUT, description=meant)) for name, meant in names.items()}
    return create_model(f"_Switches_{section}", __base__=_Section, **fields)


_OF_A_CMS = {
    section: _switches(section, names)
    for section, names in tomllib.loads(package_text("updater.cms", "switches.toml")).items()
}
"""Sections with what only one CMS knows, by its name: switches that are off unless they are written."""

_fields: dict[str, Any] = {name: (section, _LEFT_OUT) for name, section in _OF_A_CMS.items()}
_SiteFile: type[_Common] = create_model("_SiteFile", __base__=_Common, **_fields)
"""The whole file."""


def _site(parsed: _Common, config: Path, agency: Path | None) -> model.Site:
    """The sections on the dataclasses of model.py."""
    values = parsed.given("site", "server", "hosts", "viewports", "agency", *_OF_A_CMS)
    written = {name: getattr(parsed, name).given() for name in _OF_A_CMS if name in parsed.model_fields_set}
    switches = frozenset(f"{section}.{name}" for section, its in written.items() for name, on in its.items() if on)
    sections: Mapping[str, Callable[..., Any]] = {
        "basic_auth": model.BasicAuth,
        "sources": model.Sources,
        "orders": model.OrderTable,
        "thresholds": model.Thresholds,
        "clone": model.CloneSettings,
        "egress": model.EgressSettings,
        "stack": model.StackSettings,
        "policy": _policy,
        "schedule": model.Schedule,
        "promote": model.PromoteSettings,
        "backup": model.BackupSettings,
        "watch": model.WatchSettings,
        "passport": _passport,
    }
    for name, make in sections.items():
        if name in values:
            values[name] = make(**values[name].given())
    entries: Mapping[str, Callable[..., Any]] = {
        "flows": model.Flow,
        "masks": model.Mask,
        "payments": model.Payment,
        "recordings": _recording,
    }
    for name, make in entries.items():
        if name in values:
            values[name] = tuple(make(**entry.given()) for entry in values[name])
    if "viewports" in parsed.model_fields_set:
        values["viewports"] = tuple(model.Viewport(name, *size) for name, size in parsed.viewports.items())
    own = urlsplit(parsed.url).hostname or ""
    others = parsed.hosts if "hosts" in parsed.model_fields_set else []
    return model.Site(
        name=parsed.site,
        server=model.Server(**parsed.server.given()),
        hosts=tuple(dict.fromkeys([own, *others])),
        config=config,
        agency=agency,
        switches=switches,
        **values,
    )


def _recording(answer: Mapping[str, Any], **written: Any) -> model.Recording:
    return model.Recording(**{"method": "", **written, **answer})


def _policy(**written: Any) -> model.Policy:
    parts: Mapping[str, Callable[[Any], Any]] = {
        "hold": lambda holds: {name: model.Hold(**hold.given()) for name, hold in holds.items()},
        "pin": lambda pins: {name: model.Pin(**pin.given()) for name, pin in pins.items()},
        "allow": lambda given: {name: model.Allowed(**it.given()) for name, it in given.items()},
        "new_look": lambda given: {name: model.Allowed(**it.given()) for name, it in given.items()},
        "freezes": lambda freezes: tuple(model.Freeze(it.first, it.last, it.reason) for it in freezes),
    }
    return model.Policy(**{name: parts.get(name, lambda value: value)(value) for name, value in written.items()})


def _passport(**written: Any) -> model.PassportSettings:
    parts: Mapping[str, Callable[[Any], Any]] = {
        "people": lambda people: tuple(model.Person(**it.given()) for it in people),
        "licences": lambda licences: tuple(model.Licence(**it.given()) for it in licences),
    }
    return model.PassportSettings(
        **{name: parts.get(name, lambda value: value)(value) for name, value in written.items()}
    )


# ------------------------------------------------------------------------------------------- mistakes, explained


def _explain(detail: ErrorDetails, document: _Document, location: _Location) -> str:
    """One of pydantic's findings in plain words. Never shows the value: it may be a secret in the wrong place."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "mistake":
        return str(context["message"])
    if kind == "extra_forbidden":
        return _unknown(location)
    if kind == "missing":
        return "has no value" if location in document.lines else "missing"
    if _value_at(document.data, location) is None:
        return "has no value"
    if kind in _PLAIN:
        return _PLAIN[kind].format(**context)
    return detail["msg"]


_PLAIN = {
    "string_type": "must be one value, not a list or a mapping",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list, like [first, second]",
    "dict_type": "must hold `name: value` pairs",
    "model_type": "must hold `name: value` pairs",
    "model_attributes_type": "must hold `name: value` pairs",
    "too_short": "must not be empty; leave the key out for the default",
    "enum": "must be one of: {expected}",
}


def _value_at(data: Any, location: _Location) -> Any:
    for part in location:
        data = data[part]
    return data


def _unknown(location: _Location) -> str:
    """With the key that was probably meant: of the same section first, else of another."""
    key, section = str(location[-1]), _section_at(location[:-1])
    near = difflib.get_close_matches(key, section.model_fields, n=1)
    if near:
        return f'unknown key; did you mean "{near[0]}"?'
    elsewhere = {name: place for place, names in _sections() for name in names}
    near = [key] if key in elsewhere else difflib.get_close_matches(key, elsewhere, n=1, cutoff=0.8)
    if near:
        return f'unknown key; did you mean "{near[0]}"? It belongs {elsewhere[near[0]]}'
    return f"unknown key; known here: {', '.join(section.model_fields)}"


def _section_at(location: _Location) -> type[_Section]:
    section: type[_Section] = _SiteFile
    for part in location:
        if isinstance(part, str) and part in section.model_fields:  # else a name of the user's own: `hold: {slider: …}`
            section = _section_in(section.model_fields[part].annotation) or section
    return section


def _section_in(annotation: Any) -> type[_Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, _Section):
        return annotation
    return next((found for found in map(_section_in, get_args(annotation)) if found), None)


def _sections() -> list[tuple[str, list[str]]]:
    """Where keys stand, for people, and the keys; the top level last, so that it wins over an equal name below."""
    below = [(name, _section_in(field.annotation)) for name, field in _SiteFile.model_fields.items()]
    named = [(f"under `{name}:`", list(section.model_fields)) for name, section in below if section]
    return [*named, ("at the top level, without indent", list(_SiteFile.model_fields))]


# ------------------------------------------------------------------------------------------------- a new site.yml

_TEMPLATE = """\
# One shop. Lines like this one explain. Lines with no blank or more than one after the "#" are settings that are off,
# with their default or an example: take the "#" away to use one. Paths are relative to this file.
# After each change type: updater check site.yml

# A short name for reports and messages: letters, digits, . _ -
site: {site}
# What all sites of the agency share; left out: the nearest agency.yml in a folder around this one, if there is any.
#agency: ../agency.yml
# The address that customers type.
url: {url}
# Every other name the shop answers to: www, language and city subdomains. Staging answers to all of them.
{hosts}
# Reach these names at this address instead of asking DNS, when the live server is behind a proxy.
#address: 203.0.113.7
# A certificate authority of your own, when the shop's certificate is signed by one.
#tls_ca: ca.pem
# What the live shop's web server asks before it shows anything (basic auth). The password as for the server below.
#basic_auth: {{user: guest, password: "${{SHOP_PASSWORD}}"}}

# The live server, over ssh. The user needs the rights of a deploy user, never root.
server:
  host: {host}
  user: {user}
  port: {port}
  # The private key to log in with.
  {key}
  # Or a password: from an environment variable, or from a file that git ignores. Never written here.
  #password: ${{SHOP_PASSWORD}}
  # The server's own key, so that nobody can stand in for it. Print it with: ssh-keyscan -t ed25519 {host}
  {host_key}
  # Or a known_hosts file that holds it. Without both, your ~/.ssh/known_hosts must know the server.
  #known_hosts: known_hosts
  # Our work folder there, outside the docroot; relative to the user's home.
  #work: .updater

# The folder on the server that holds the shop's index.php.
docroot: {docroot}
# Which CMS it is; auto looks.
cms: {cms}
# PHP's command line program on the server, when the one found by itself is not the web's version.
{php}

# Where update packages come from.
sources:
  # Folders with zip files, for paid and your own plugins.
  {folders}
  # Also ask the CMS's public update service.
  online: true
  # Another address of that service and of its downloads, for a mirror of your own.
  #api: https://api.mirror.example
  #downloads: https://downloads.mirror.example

# Pages that are photographed before and after, and whether more are found by following the menu: paths, and whole addresses
# under another name (https://en.shop.example/).
pages: [/]
discover: true

# What a customer does. The default goes home, product, cart, checkout, order received.
#flows:
#  - name: checkout
#    # The product to buy, as a path. Left out: the first one listed.
#    product: /product/tea/
#    # What to type into which field. Secrets as ${{NAME}}.
#    fill: {{"#billing_city": Москва}}
#    # Pop-ups to close, by CSS selector.
#    close: [".cookie-notice button"]
#    # Where your theme differs: selectors of the flow, by name.
#    selectors: {{add_to_cart: "button.buy"}}

# Where orders are kept, when a plugin keeps them in its own table (name without prefix) and columns.
#orders: {{table: shop_orders, id: id, total: total, email: email, created: created_at, status: status}}

# Your own pytest tests, run beside ours.
{smoke_tests}

# Window sizes to look at.
viewports: {{desktop: 1366x768, mobile: 375x812}}
# What is never compared: a CSS selector, on pages whose path matches.
#masks:
#  - {{selector: ".instagram-feed", page: "/*"}}
# Shares of a picture: changed beyond the noise is a finding; masked more than this is inconclusive.
thresholds: {{changed: 0.001, masked: 0.25}}
# Other hosts (with all below them) that an update may begin to call, or its pages to load from: a new one fails otherwise.
#calls: [api.payments.example]

# Services that staging answers in place of (payment, delivery prices, address hints), each by a file beside this one: docs/recordings.md.
#recordings:
#  - {{host: api.payments.example, path: /v3/payments, method: POST, answer: recordings/payment.yml}}
# Online payment methods that staging keeps and pays by; the plugin that brings each, and what its service tells the shop afterwards.
#payments:
#  - {{method: gateway_card, plugin: gateway, callback: recordings/paid.yml}}

# The one exception to a staging copy that reaches nothing: hosts and ports that it may reach while the CMS's own updater runs,
# for a CMS whose updates come from its vendor's server alone.
#egress:
#  allow: [updates.vendor.example:443]

#clone:
#  # KiB a second, for a server that must not notice.
#  bandwidth: 4096
#  nice: true
#  # Not copied, as rsync patterns below the docroot.
#  exclude: [backups/, "*.log"]
#  # Pictures, films and documents of the media folder: all, referenced (those that the checked pages show), or none.
#  media: referenced
#  # Personal data beside what the CMS driver knows (table without prefix, column): replaced in staging.
#  scrub: [customers.phone]

# The staging stack. The image is matched to the server's PHP; name one to override.
#stack:
#  image: registry.example/shop-php:8.2
#  memory: 1g
#  cpus: 2
#  processes: 400

policy:
  # Who approves a run that passed: never (report only), ask (a person), patch (by itself for patch releases), passed.
  approve: ask
  # How long a run may wait for its approval.
  expires: 7d
  # With `approve: never`: after that time a page says what would have been deployed, what held, and which alarms were false.
  #observe: 4 weeks
  # Who may approve. Left out: anybody who can reach the server.
  #approvers: [anna]
  # When it may be deployed. Left out: any time but Friday evening. A person can say otherwise, with a reason.
  #windows: ["Mon-Thu 10:00-16:00 Europe/Moscow"]
  # Days on which nothing is deployed.
  #freezes:
  #  - {{first: 2026-12-20, last: 2027-01-10, reason: Christmas trade}}
  # How old a release must be, where its date is known (others meet a bad one first). Security fixes never wait.
  minimum_age: 24h
  # Components that money passes through wait longer.
  #critical: [payment-gateway]
  critical_age: 7d
  # Updates held back, with the reason, and until when.
  #hold: {{some-plugin: "2.0 needs a new licence", other: {{reason: the theme follows in March, until: 2027-03-31}}}}
  # Updated up to this version and not beyond.
  #pin: {{third: {{version: "3.9", reason: 4.0 drops the old templates, until: 2027-06-30}}}}
  # Where edits made by hand may be overwritten, with the reason; elsewhere an update that would do so is held.
  #overwrite: {{some-plugin: "its fix is in 2.1"}}
  # A version that failed on another site of the agency and is tried here all the same.
  #allow: {{fourth: {{version: "5.1", reason: only their theme breaks with it}}}}
  # A version that draws pages anew, seen in the report of a rejected run and found right. With it pictures are for a person to judge.
  #new_look: {{fifth: {{version: "6.0", reason: new icons everywhere}}}}
  # Known vulnerabilities (Wordfence Intelligence's JSON), a file or an address.
  #advisories: https://advisories.example/feed.json
  # Accept a stack whose PHP or database version differs from the server's.
  #accept_nearest_stack: false

schedule:
  # How often `updater fleet run --due` tests this site (a day or longer), and the hours in which that begins.
  every: 7d
  nights: ["Mon-Thu 01:00-06:00 UTC"]

promote:
  # The longest the shop may be closed; above it a person is asked first.
  max_closed: 5m
  # Who deploys, when the user and key above can only read (a CI runner's). The key belongs on the machine that approves:
  # name it in the agency.yml there.
  #user: deploy
  #key: ~/.ssh/deploy
  # How long to wait for requests under way before closing is given up.
  drain: 30s
  # The longest the shop may stay closed whatever dies: what is undecided is undone before, by itself. Left out: twice the
  # rehearsed time, at least 2m, and 1m for cron, which looks once a minute for what died.
  #deadline: 10m
  # Close the shop also where cron was not seen to start the watchdog again, should the server kill it.
  #without_restarter: true
  # How long the open shop is watched after a deploy (pages, error log, orders); 0 for not at all.
  bake: 5m
  # Keep copies of the tables that a migration changes, until the next promotion and at most this long: they take their
  # size in the database again, and `updater rollback --discard-orders-since` can restore them.
  #keep_tables: 3d
  # Commands for the server that empty a page cache in front of it (CDN, Varnish); secrets as ${{NAME}}.
  #purge: ["curl -fsS -X PURGE http://127.0.0.1:6081/"]
  # Where production is updated by its own updater, and the database may not go back: how an update that failed half way leaves
  # the shop, until a person comes.
  #stopped: closed            # or open, half updated as it is

# Where `updater backup` keeps copies of files and database: restic repositories, each encrypted with this password. Two
# places, one of them far from the server; without the password nobody can restore, so it also belongs into your vault.
#backup:
#  password: ${{BACKUP_PASSWORD}}
#  # A folder on this machine, or restic's own address; what restic needs beside it goes under environment.
#  places: {{here: backups, away: "s3:https://s3.example/shop-backups"}}
#  environment: {{AWS_ACCESS_KEY_ID: "${{S3_ID}}", AWS_SECRET_ACCESS_KEY: "${{S3_SECRET}}"}}
#  # How many of the last days, weeks and months stay; the newest that was proven by a restore stays besides.
#  daily: 7
#  weekly: 5
#  monthly: 12

# What `updater watch` looks at between runs.
#watch:
#  # The access log on the server. Left out: looked for where hostings keep it.
#  access_log: /var/log/nginx/shop.access.log
#  # A backup, and a proven restore, that are older than this are told of.
#  backup_age: 36h
#  restore_age: 45d

# What no program can find out, for `updater passport`: who takes over when the one person who knew is away. No secrets:
# access names the entries of your vault.
#passport:
#  domain: registered by Tea Ltd at registrar.example, renews in March
#  hosting: the agency's account at hosting.example
#  people:
#    - {{name: Anna K., role: project manager, contact: "+7 900 000-00-00"}}
#  access: {{"ssh key": "vault: clients/tea/ssh", "backup password": "vault: clients/tea/backup"}}
#  # What ends and has to be paid; `updater watch` tells 30, 14, 7 days and 1 day before.
#  licences: [{{name: Filters Pro, until: 2027-03-31}}]
#  integrations: {{CRM: "orders go to crm.example by a webhook; Boris looks after it"}}
#  notes: ["the printer of the warehouse reads orders@ every five minutes"]

# Who hears about results (Apprise addresses). They hold tokens, so they come from the environment.
#notify: ["${{TELEGRAM_URL}}"]
# What the reports and messages are written in: en, ru or uk.
language: en
"""


def template(
    *,
    name: str = "my-shop",
    url: str = "https://shop.example",
    host: str = "shop.example",
    user: str = "deploy",
    docroot: str = "/var/www/html",
    port: int | str = 22,
    key: str | None = None,
    host_key: str | None = None,
    hosts: Sequence[str] = (),
    cms: str = "auto",
    php: str | None = None,
    folders: Sequence[str] = (),
    smoke_tests: str | None = None,
) -> str:
    """A commented site.yml with what is known filled in; the rest stays an example in a comment."""
    text = _TEMPLATE.format(
        site=_scalar(name),
        url=_scalar(url),
        host=_scalar(host),
        user=_scalar(user),
        port=port,
        docroot=_scalar(docroot),
        cms=_scalar(cms),
        key=f"key: {_scalar(key)}" if key else "#key: ~/.ssh/id_ed25519",
        host_key=f"host_key: {_scalar(host_key)}" if host_key else "#host_key: ssh-ed25519 AAAA…",
        hosts=f"hosts: {_list(hosts)}" if hosts else "#hosts: [www.shop.example]",
        php=f"php: {_scalar(php)}" if php else "#php: /usr/bin/php8.2",
        folders=f"folders: {_list(folders)}" if folders else "#folders: [packages]",
        smoke_tests=f"{'' if smoke_tests else '#'}smoke_tests: {_scalar(smoke_tests or 'smoke_tests')}",
    )
    return text + "".join(_shown(section, its) for section, its in _OF_A_CMS.items() if cms in ("auto", section))


def _shown(section: str, its: type[_Section]) -> str:
    lines = (f"# {field.description}\n#  {name}: false\n" for name, field in its.model_fields.items())
    return f"\n# For {section} alone.\n#{section}:\n{''.join(lines)}"


def left_to_agency(text: str, path: Path) -> str:
    """The template as a site.yml at `path`, with what the agency.yml around it says as comments: each default written out would win.

    Where the server is and how to get there stays: it was asked for.
    """
    agency = _agency_around(path)
    shared = _read(agency).data if agency else {}
    section, lines = "", []
    for line in text.splitlines(keepends=True):
        key = re.match(r"(  )?([a-z_]+):(.*)", line)
        if key is None:
            lines.append(line)
            continue
        if not key[1]:
            section = key[2]
        said = shared.get(section) if key[1] else shared
        value = key[3].split("#")[0].strip()  # a section's own line has none, and stays for what is written below it
        left = bool(value) and section != "server" and isinstance(said, Mapping) and key[2] in said
        lines.append(f"{key[1] or ''}#{line.lstrip()}" if left else line)
    if agency and lines:
        lines.insert(
            2, f"# What {agency.name} says for all sites is a comment here: without its # this site differs.\n"
        )
    return "".join(lines)


def _scalar(text: str) -> str:
    """Plain where YAML reads it back as the same text, else in double quotes (JSON's are YAML's)."""
    return (
        text
        if re.fullmatch(r"[\w/~][\w./:+@ =-]*[\w/=]|[\w/]", text) and ": " not in text
        else json.dumps(text, ensure_ascii=False)
    )


def _list(entries: Sequence[str]) -> str:
    return "[" + ", ".join(map(_scalar, entries)) + "]"
