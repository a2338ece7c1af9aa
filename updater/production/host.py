"""One ssh connection to production, with the host key pinned: run, stream, read, write, put, get."""

from __future__ import annotations

import base64
import errno
import io
import logging
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import paramiko
import stamina
from fabric import Config, Connection
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    BadHostKeyException,
    NoValidConnectionsError,
    PasswordRequiredException,
    SSHException,
)

from updater.errors import CommandFailed, ConfigError, ConnectionFailed
from updater.model import Server
from updater.secrets import redact, register
from updater.shell import Completed

# paramiko logs tracebacks of its thread to stderr when nobody listens, and stamina prints each retry to stdout, in the
# middle of --json. What a person must know is in the error that is raised.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
stamina.instrumentation.set_on_retry_hooks(())

_CHUNK = 256 * 1024
_STDERR_KEPT = 256 * 1024
_ALIAS = "updater-production"

# The session leader names itself, so that a command that runs out of time can be ended with all its children.
# Environment comes as one line on stdin: in the command it would show in the process list.
_RUN = 'echo "updater-pid:$$" >&2; exec "$@"'
_RUN_WITH_ENV = 'echo "updater-pid:$$" >&2; IFS= read -r updater_env; eval "$updater_env"; unset updater_env; exec "$@"'
_PID = re.compile(rb"updater-pid:(\d+)\n")

# A file that is lent goes when stdin ends: we said so, were killed, or the line was cut. A line that is merely dead ends
# nothing for hours, hence `timeout`.
_LEND = """f=$1; trap 'rm -f -- "$f"' EXIT; trap 'exit 1' HUP INT TERM; trap '' PIPE; umask 077
limit=; command -v timeout >/dev/null && limit="timeout $4"
head -c "$2" > "$f" && [ "$(wc -c < "$f")" -eq "$2" ] && chmod "$3" -- "$f" || { echo 'the file did not arrive whole' >&2; exit 1; }
echo lent; $limit cat > /dev/null; exit 0
"""
# A cut connection is an end of file to `cat`: only the length tells a whole file from half of one.
_WRITE = """umask 077; t="$1.updater-$$"
if [ -d "$1" ]; then echo "$1 is a folder" >&2; exit 1; fi
trap 'rm -f -- "$t"' EXIT
trap 'exit 1' HUP INT TERM
trap '' PIPE  # the line to say it on may be gone
cat > "$t" || exit 1
n=$(wc -c < "$t")
if [ "$n" -ne "$2" ]; then echo "only $n of $2 bytes arrived" >&2; exit 1; fi
chmod "$3" -- "$t" && { sync -- "$t" 2>/dev/null || sync; } && mv -f -- "$t" "$1"
"""
_NO_SUCH_FILE = 44
_READ = f'[ -e "$1" ] || exit {_NO_SUCH_FILE}; exec cat < "$1"'


def connect(server: Server, *, timeout: float = 15.0) -> Host:
    """Connect and log in. `timeout` in seconds, for each of: TCP, banner, login.

    ConnectionFailed says which of these it was: name, address, port, host key unknown or changed, key file, password.
    Only what may pass by itself (refused, timed out) is tried again; wrong credentials and host keys never are.
    """
    where = _where(server)
    if server.password:
        register(server.password)
    key = _load_key(server.key) if server.key else None
    try:
        for attempt in stamina.retry_context(on=_may_pass, attempts=3, timeout=timeout, wait_initial=0.5, wait_max=2):
            with attempt:
                connection = _open(server, key, timeout)
    except Exception as failure:
        raise _explained(failure, server, where) from failure
    return Host(server, connection)


class Host:
    """A live connection; a context manager and an `updater.shell.Shell`. Relative paths start at the user's home."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server = server
        self.where = _where(server)
        self._connection = connection
        self._private: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()
        if self._private is not None:
            self._private.cleanup()
            self._private = None

    @property
    def host_key(self) -> str:
        """The server's own key, which was verified when connecting: `ssh-ed25519 AAAA…`."""
        return _line(self._connection.transport.get_remote_server_key())

    # ------------------------------------------------------------------------------------------------ commands

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        check: bool = True,
    ) -> Completed:
        """Run without a shell in between. CommandFailed when `check` and exit ≠ 0, or on time-out (seconds)."""
        out = io.BytesIO()
        code, stderr = self._execute(argv, io.BytesIO(stdin), out.write, env, timeout)
        completed = Completed(tuple(argv), code, out.getvalue(), stderr)
        if check and code != 0:
            raise self._failed(argv, code, stderr or completed.text)
        return completed

    def stream(
        self, argv: Sequence[str], into: BinaryIO, *, stdin: BinaryIO | None = None, timeout: float = 3600.0
    ) -> None:
        """Run and copy stdout into `into` as it comes, stdin likewise, in constant memory. CommandFailed on exit ≠ 0."""
        self.pipe(argv, into.write, stdin=stdin, timeout=timeout)

    def pipe(
        self,
        argv: Sequence[str],
        take: Callable[[bytes], object],
        *,
        stdin: BinaryIO | None = None,
        timeout: float = 3600.0,
    ) -> str:
        """Like `stream`, but hands each chunk to `take` and returns stderr. What `take` raises ends the command."""
        code, stderr = self._execute(argv, stdin or io.BytesIO(), take, None, timeout)
        if code != 0:
            raise self._failed(argv, code, stderr)
        return stderr

    def read(self, path: str) -> bytes:
        """The file's bytes. FileNotFoundError when there is none."""
        completed = self.run(["sh", "-c", _READ, "sh", path], check=False)
        if completed.exit_code == _NO_SUCH_FILE:
            raise FileNotFoundError(errno.ENOENT, f"no such file on {self.where}", path)
        if completed.exit_code != 0:
            raise self._failed(["read", path], completed.exit_code, completed.stderr)
        return completed.stdout

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write by temporary file, fsync and rename, in a folder that exists."""
        self._upload(io.BytesIO(data), len(data), path, mode)

    def put(self, local: Path, remote: str, mode: int = 0o600) -> None:
        """Upload a file whole or not at all: temporary name, length checked, fsync, rename."""
        with local.open("rb") as source:
            self._upload(source, local.stat().st_size, remote, mode)

    @contextmanager
    def lend(self, path: str, data: bytes, mode: int, seconds: int) -> Iterator[None]:
        """A file that is there while the block lasts: the server takes it away by itself when this process dies or the line
        is cut, at the latest after `seconds`. CommandFailed when it cannot be written."""
        content = _Lent(data)
        there = threading.Event()
        failure: list[BaseException] = []

        def hold() -> None:
            try:
                argv = ["sh", "-c", _LEND, "sh", path, str(len(data)), f"{mode:04o}", str(seconds)]
                self.pipe(argv, lambda _: there.set(), stdin=cast(BinaryIO, content), timeout=seconds + 60)
            except BaseException as reason:  # noqa: BLE001 - raised in the caller's thread below
                failure.append(reason)
            finally:
                there.set()

        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        there.wait()
        try:
            if not failure:
                yield
        finally:
            content.given_back.set()
            holder.join()
        if failure:
            raise failure[0]

    def get(self, remote: str, local: Path) -> None:
        """Download a file whole or not at all. FileNotFoundError when there is none on the server."""
        size = self.run(["sh", "-c", f'[ -e "$1" ] || exit {_NO_SUCH_FILE}; wc -c < "$1"', "sh", remote], check=False)
        if size.exit_code == _NO_SUCH_FILE:
            raise FileNotFoundError(errno.ENOENT, f"no such file on {self.where}", remote)
        part = local.with_name(local.name + ".part")
        try:
            with part.open("wb") as target:
                part.chmod(0o600)
                self.stream(["sh", "-c", _READ, "sh", remote], target)
            if size.exit_code != 0 or part.stat().st_size != int(size.stdout):
                raise CommandFailed(
                    f"{remote} changed while it was downloaded", where=self.where, hint="run the same command again"
                )
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)

    def _upload(self, source: BinaryIO, size: int, path: str, mode: int) -> None:
        code, stderr = self._execute(
            ["sh", "-c", _WRITE, "sh", path, str(size), f"{mode:04o}"], source, lambda _: None, None, 3600.0
        )
        if code != 0:
            raise self._failed(["write", path], code, stderr)

    def _failed(self, argv: Sequence[str], code: int, output: str) -> CommandFailed:
        ended = f"ended with {code}" if code >= 0 else "was killed by a signal"
        return CommandFailed(
            f"{_short(argv)} {ended}",
            where=self.where,
            cause=redact(output.strip()[-2000:]),
            hint="see what the server can do: updater check site.yml --connect",
        )

    def _execute(
        self,
        argv: Sequence[str],
        stdin: BinaryIO,
        take: Callable[[bytes], object],
        env: Mapping[str, str] | None,
        timeout: float,
    ) -> tuple[int, str]:
        """Exit code (-1: killed by a signal) and stderr. Stdin goes over the channel itself: Fabric's own way moves
        100 bytes a second. Stdin, stdout and stderr move at the same time, so that no full pipe can block the rest."""
        doing = _short(argv)
        deadline = time.monotonic() + timeout
        channel = self._channel(doing)
        errors = bytearray()
        sender_failure: list[BaseException] = []

        def keep_stderr() -> None:
            with suppress(TimeoutError):  # the receiving thread meets the same deadline and reports it
                while chunk := channel.recv_stderr(_CHUNK):
                    errors.extend(chunk)
                    if len(errors) > 2 * _STDERR_KEPT:  # keep the pid at the start and the reason at the end
                        del errors[_STDERR_KEPT:-_STDERR_KEPT]

        def send_stdin() -> None:
            try:
                going = not env or _went(channel.sendall, _environment(env))
                while going and (chunk := stdin.read(_CHUNK)):
                    going = _went(channel.sendall, chunk)
                if going:
                    _went(channel.shutdown_write)
            except Exception as failure:  # noqa: BLE001 - reading stdin's source failed; raised in the caller's thread
                sender_failure.append(failure)
                channel.close()

        try:
            wrapped = ["sh", "-c", _RUN_WITH_ENV if env else _RUN, "sh", *argv]
            channel.exec_command(os.fsencode("exec " + shlex.join(wrapped)))
            threads = [threading.Thread(target=job, daemon=True) for job in (keep_stderr, send_stdin)]
            for thread in threads:
                thread.start()
            _receive(channel, take, deadline)
            threads[0].join(max(0.1, deadline - time.monotonic()))
        except TimeoutError as late:
            self._end(bytes(errors))
            raise CommandFailed(
                f"{doing} took longer than {timeout:.0f} s and was ended",
                where=self.where,
                hint="run the same command again",
            ) from late
        except (SSHException, EOFError, ConnectionError) as lost:  # which of them depends on how the line was cut
            raise self._lost(doing, lost) from lost
        except BaseException:
            self._end(bytes(errors))
            raise
        finally:
            channel.close()
        if sender_failure:
            raise sender_failure[0]
        code = channel.exit_status
        if code == -1 and not self._alive():
            raise self._lost(doing, None)
        return code, _PID.sub(b"", bytes(errors), count=1).decode("utf-8", "replace")

    def _channel(self, doing: str) -> paramiko.Channel:
        transport = self._connection.transport
        if transport is None or not transport.is_active():
            raise self._lost(doing, None)
        try:
            channel: paramiko.Channel = transport.open_session(timeout=30)
        except (SSHException, EOFError, OSError) as failure:
            raise self._lost(doing, failure) from failure
        return channel

    def _end(self, stderr: bytes) -> None:
        """Kill the remote command with its children, as well as that can be done; the failure that led here is what counts."""
        found = _PID.search(stderr)
        if found is None or not self._alive():
            return
        group = found.group(1).decode()
        try:
            channel = self._channel("kill")
            channel.settimeout(10)
            # No `--`: dash does not know it here, and would kill nothing.
            channel.exec_command(f"kill -TERM -{group}; sleep 1; kill -KILL -{group}")
            channel.status_event.wait(10)
            channel.close()
        except (ConnectionFailed, SSHException, EOFError, OSError):
            return

    def _alive(self) -> bool:
        transport = self._connection.transport
        return transport is not None and transport.is_active()

    def _lost(self, doing: str, cause: BaseException | None) -> ConnectionFailed:
        return ConnectionFailed(
            f"the connection to production was lost during: {doing}",
            where=self.where,
            cause=redact(str(cause)) if cause else "the server or the network closed it",
            hint="run the same command again; `updater status` shows where the run stands",
        )

    # --------------------------------------------------------------------------------------------------- rsync

    def rsync_transport(self) -> list[str]:
        """The ssh command for `rsync -e`: this connection's host key and nothing else is accepted, no question is asked."""
        if self._private is None:
            self._private = tempfile.TemporaryDirectory(prefix="updater-ssh-")
            key = self._connection.transport.get_remote_server_key()
            known = Path(self._private.name, "known_hosts")
            known.write_text(f"{_ALIAS} {_line(key)}\n", encoding="ascii")
            known.chmod(0o600)
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(Path(self._private.name, "known_hosts")),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": _ALIAS,
            "UpdateHostKeys": "no",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "ForwardAgent": "no",
            "ConnectTimeout": "15",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "4",
            "LogLevel": "ERROR",
        }
        command = ["ssh", "-F", "none", "-p", str(self.server.port), "-l", self.server.user]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        if self.server.key is not None:
            command += ["-i", str(self.server.key)]
        return command

    def without_rsync(self) -> str:
        """Why rsync cannot be used here, by trying; '' when it can."""
        if self.server.key is None and self.server.password is not None:
            return "the server is reached by password, which rsync cannot be given"
        for tool in ("rsync", "ssh"):
            if shutil.which(tool) is None:
                return f"{tool} is not installed on this machine"
        tried = subprocess.run(
            [*self.rsync_transport(), self.server.host, "rsync --version"], capture_output=True, timeout=60, check=False
        )
        if tried.returncode == 0 and tried.stdout.startswith(b"rsync "):
            return ""
        if tried.returncode == 0:
            return "the server's shell prints text of its own at login"
        if tried.returncode in (126, 127):
            return "the server has no rsync"
        return (
            redact(tried.stderr.decode("utf-8", "replace").strip())
            or f"rsync on the server ends with {tried.returncode}"
        )


def _went(send: Callable[..., object], *what: bytes) -> bool:
    """Whether the other side took it. If not, the command closed its stdin or the line broke: its exit code or its lack tells."""
    try:
        send(*what)
    except (OSError, EOFError, SSHException):  # which of them depends on how the line was cut
        return False
    return True


class _Lent:
    """Stdin of a file that is lent: its bytes, and then no end until it is given back."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.given_back = threading.Event()

    def read(self, size: int) -> bytes:
        if chunk := self._data.read(size):
            return chunk
        self.given_back.wait()
        return b""


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -l` prints it: `SHA256:…`."""
    return str(key.fingerprint)


# ------------------------------------------------------------------------------------------------ opening, details


class _UnknownHostKey(Exception):
    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__("unknown host key")
        self.key = key


class _RejectUnknown(paramiko.MissingHostKeyPolicy):
    """Fabric's default accepts any key it does not know. This one carries the key to the message instead."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise _UnknownHostKey(key)


def _open(server: Server, key: paramiko.PKey | None, timeout: float) -> Connection:
    # site.yml says all there is to say: ~/.ssh/config must not redirect, forward or add keys.
    config = Config(overrides={"load_ssh_configs": False})
    connection = Connection(
        host=server.host,
        user=server.user,
        port=server.port,
        config=config,
        forward_agent=False,
        gateway=False,
        connect_kwargs={
            "timeout": timeout,
            "banner_timeout": timeout,
            "auth_timeout": timeout,
            "allow_agent": False,
            "look_for_keys": server.key is None and server.password is None,
            "pkey": key,
            "password": server.password,
        },
    )
    client = connection.client
    client.set_missing_host_key_policy(_RejectUnknown())
    if server.host_key is not None:
        name = server.host if server.port == 22 else f"[{server.host}]:{server.port}"
        pinned = parse_host_key(server.host_key)
        client.get_host_keys().add(name, pinned.get_name(), pinned)
    else:
        known = server.known_hosts or Path("~/.ssh/known_hosts").expanduser()
        if known.is_file():
            client.load_host_keys(str(known))
        elif server.known_hosts is not None:
            raise ConfigError(
                "the file in server.known_hosts does not exist", where=str(known), hint="correct it in site.yml"
            )
    try:
        connection.open()
    except BaseException:
        client.close()
        raise
    transport = connection.transport
    transport.set_keepalive(15)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # a cut cable is noticed in a minute, not in fifteen
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
    return connection


def parse_host_key(text: str) -> paramiko.PKey:
    """`ssh-ed25519 AAAA… comment`, or a whole line of ssh-keyscan. ConfigError when it is neither."""
    words = text.split()
    for kind, data in pairwise(words):
        if kind.startswith(("ssh-", "ecdsa-")):
            try:
                return paramiko.PKey.from_type_string(kind, base64.b64decode(data, validate=True))
            except Exception as failure:
                raise _bad_host_key(str(failure)) from failure
    raise _bad_host_key("expected a type and a key, like: ssh-ed25519 AAAAC3Nza…")


def _bad_host_key(cause: str) -> ConfigError:
    return ConfigError(
        "server.host_key in site.yml is not an ssh public key", cause=cause, hint="get it with: ssh-keyscan HOST"
    )


def _load_key(path: Path) -> paramiko.PKey:
    where = str(path)
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError as missing:
        raise ConnectionFailed(
            "the ssh key file does not exist", where=where, hint="correct `server.key` in site.yml"
        ) from missing
    except PermissionError as denied:
        raise ConnectionFailed(
            "the ssh key file cannot be read", where=where, hint=f"type: chmod 600 {path}"
        ) from denied
    except (PasswordRequiredException, TypeError) as locked:
        # cryptography says TypeError for an encrypted key without a passphrase
        raise ConnectionFailed(
            "the ssh key has a passphrase",
            where=where,
            cause="nobody is there to type it when a scheduled run starts",
            hint=f"make a key for this program: ssh-keygen -t ed25519 -N '' -f {path}-updater, and name it in server.key",
        ) from locked
    except Exception as failure:
        raise ConnectionFailed(
            "the ssh key file holds no private key that can be used",
            where=where,
            cause=str(failure),
            hint="correct `server.key` in site.yml; it names the private key, not the .pub file",
        ) from failure


def _may_pass(failure: Exception) -> bool:
    """Worth another try: refused, timed out, closed before the banner. Never credentials or host keys."""
    if isinstance(failure, AuthenticationException | BadHostKeyException | _UnknownHostKey | socket.gaierror):
        return False
    if isinstance(failure, SSHException):
        return "banner" in str(failure)
    return isinstance(failure, NoValidConnectionsError | TimeoutError | ConnectionError | EOFError)


def _explained(failure: Exception, server: Server, where: str) -> Exception:
    """The failure in plain words, with what to type next; anything unexpected as it is."""
    hint = "check `server.host` and `server.port` in site.yml, or what was typed as --host and --port"
    match failure:
        case ConnectionFailed() | ConfigError():
            return failure
        case BadHostKeyException():
            return ConnectionFailed(
                "the server's host key is not the expected one: this may be another machine in between",
                where=where,
                cause=f"expected {fingerprint(failure.expected_key)} ({failure.expected_key.get_name()}), "
                f"offered {fingerprint(failure.key)} ({failure.key.get_name()})",
                hint="ask the hosting whether the server was reinstalled; only if it confirms that fingerprint, put "
                f"into site.yml under server: host_key: {_line(failure.key)}",
            )
        case _UnknownHostKey():
            return ConnectionFailed(
                "the server's host key is not known yet",
                where=where,
                cause=f"it offers {fingerprint(failure.key)} ({failure.key.get_name()})",
                hint="compare this with what the hosting publishes, then put into site.yml under server (or give to "
                f"`updater init --host-key`): host_key: {_line(failure.key)}",
            )
        case BadAuthenticationType():
            return ConnectionFailed(
                f"the server does not accept {_credential(server)}",
                where=where,
                cause=f"it offers: {', '.join(failure.allowed_types)}",
                hint="set `server.key` or `server.password` in site.yml to what the server accepts",
            )
        case AuthenticationException():
            return ConnectionFailed(
                f"the server refused {_credential(server)} for user {server.user}",
                where=where,
                cause=redact(str(failure)),
                hint="check `server.user` and the credential in site.yml; for a key, its .pub belongs into the "
                "server's ~/.ssh/authorized_keys",
            )
        case socket.gaierror():
            return ConnectionFailed(
                f"the name {server.host} does not resolve",
                where=where,
                cause=failure.strerror or str(failure),
                hint=hint,
            )
        case NoValidConnectionsError() if any(
            getattr(one, "errno", None) == errno.ECONNREFUSED for one in failure.errors.values()
        ):
            return ConnectionFailed(
                f"nothing answers on port {server.port}", where=where, cause="connection refused", hint=hint
            )
        case NoValidConnectionsError() | TimeoutError():
            return ConnectionFailed(
                "the server cannot be reached", where=where, cause=str(failure) or "no answer in time", hint=hint
            )
        case SSHException() if "No authentication methods" in str(failure):
            return ConnectionFailed(
                "there is no key and no password to log in with",
                where=where,
                hint="set `server.key` or `server.password` in site.yml",
            )
        case SSHException() | EOFError():
            return ConnectionFailed(
                "what answers there does not speak ssh as expected",
                where=where,
                cause=redact(str(failure)) or "it closed the connection",
                hint=hint,
            )
        case OSError():
            return ConnectionFailed("the server cannot be reached", where=where, cause=str(failure), hint=hint)
    return failure


def _credential(server: Server) -> str:
    if server.key is not None and server.password is not None:
        return f"both the key {server.key} and the password"
    if server.key is not None:
        return f"the key {server.key}"
    return "the password" if server.password is not None else "the keys in ~/.ssh"


def _where(server: Server) -> str:
    return f"{server.user}@{server.host}" + ("" if server.port == 22 else f":{server.port}")


def _line(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def _short(argv: Sequence[str]) -> str:
    """A command for people: scripts given with -c are named by the words after them."""
    shown = list(argv)
    if shown[:2] == ["sh", "-c"] and len(shown) > 3:
        shown = ["sh", *shown[4:]]
    text = redact(shlex.join(shown)).replace("\n", " ")
    return text if len(text) <= 160 else text[:157] + "…"


def _receive(channel: paramiko.Channel, take: Callable[[bytes], object], deadline: float) -> None:
    """Hand on stdout until it ends and the exit code is there. TimeoutError at the deadline (monotonic seconds)."""
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        channel.settimeout(remaining)
        chunk = channel.recv(_CHUNK)
        if not chunk:
            break
        take(chunk)
    if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
        raise TimeoutError


def _environment(env: Mapping[str, str]) -> bytes:
    """One line for the server's `eval`. Octal escapes, because a value may hold a newline and `read` ends there."""
    words = []
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"not a variable name: {name!r}")
        octal = "".join(f"\\{byte:03o}" for byte in value.encode("utf-8", "surrogateescape"))
        words.append(f"{name}=$(printf '{octal}_'); {name}=${{{name}%_}}; export {name};")
    return (" ".join(words) + "\n").encode()
