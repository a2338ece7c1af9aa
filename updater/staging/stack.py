"""Snapshot → Stack: production's twin in Docker, with checkpoints, that reaches nothing outside and is gone afterwards.

Web, database and sink share one network namespace on an internal network. It belongs to the sink's container, which
turns every connection that would leave to itself (stacks/egress/wall.sh); web and database can stop, be put back to a
checkpoint and start again without a new address.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

import docker
from docker.errors import DockerException
from docker.models.containers import Container
from docker.types import Mount
from requests.exceptions import RequestException

from updater import secrets
from updater.errors import CommandFailed, StagingFailed
from updater.log import Progress, timed
from updater.model import (
    AnsweredCall,
    BlockedCall,
    CaughtMail,
    Installation,
    Layout,
    ObjectCache,
    Platform,
    Site,
    Snapshot,
    Stack,
)
from updater.shell import Completed
from updater.staging import daemon, egress, files, images, php, scrub
from updater.staging.certificate import Certificates, throw_away
from updater.staging.container import checked, execute, logs, put_files, put_path
from updater.staging.database import StagedDatabase, missing_tables, server_command
from updater.staging.door import Door
from updater.staging.names import Names, remove_all

_SINK = 15001
"""Where the sink listens (stacks/egress/sink.py)."""
_WEB_USER = "web"
_OVERRIDE = "FileInfo Indexes Limit Options Nonfatal=Override"
"""What an .htaccess may say where production's asks for a password: all but that. Its users lie outside what was cloned."""
_LOG = "/log"
_READY_SECONDS = 120
"""Starting takes one or two; a machine that builds images beside it takes long."""
_CHECKPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NO_SUCH_FILE = 44

# What Apache and MariaDB need to begin as root and go on as somebody else; nothing about the network is among it.
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")


def stage(site: Site, snapshot: Snapshot, layout: Layout, progress: Progress) -> StackHandle:
    """A running stack of this snapshot, personal data scrubbed. Close it, or use it as a context manager.

    StagingFailed when Docker is missing, a build, a mount, the import or the self check fails; nothing is left then.
    """
    client = daemon.connect()
    try:
        handle = _Staging(client, site, snapshot, layout, progress).run()
    except BaseException:
        client.close()
        raise
    return handle


def clean(progress: Progress, run: str | None = None) -> list[str]:
    """Remove every stack whose process is gone, or everything of one run. Returns what was removed.

    StagingFailed when Docker does not answer, or would not remove something.
    """
    with contextlib.closing(daemon.connect()) as client:
        return remove_all(client, run, progress)


def recorded(site: Site, staged: Stack) -> dict[str, str]:
    """Host that recordings stand for → where a browser, which is outside the stack, gets them: `address:port` of the sink."""
    return {recording.host: f"{staged.address}:{_SINK}" for recording in site.recordings}


class StackHandle:
    """One running stack: a Shell as the web user, its database, its checkpoints and what it tried to send."""

    where = "staging"
    php_errors = php.ERROR_LOG

    def __init__(
        self,
        client: docker.DockerClient,
        stack: Stack,
        installation: Installation,
        staged_files: files.Files,
        containers: Mapping[str, Container],
        certificates: Certificates,
        progress: Progress,
        allowed: Sequence[str] = (),
    ) -> None:
        self.stack = stack
        self.installation = installation
        self.reached: list[str] = []
        """What was called through `way_out`, `host:port` each time."""
        self.remaining_personal: tuple[scrub.Remaining, ...] = ()
        """Columns where the search after scrubbing still found e-mail addresses or phone numbers."""
        self.timings: dict[str, float] = {}
        """Seconds by name: import, scrub, checkpoint, restore."""
        self.database = StagedDatabase(client, containers["database"], installation.database)
        self._client = client
        self._names = Names(stack.run)
        self._files = staged_files
        self._containers = containers
        self._certificates = certificates
        self._progress = progress
        self._allowed = tuple(allowed)
        self._steps: list[egress.Step] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove every container, network and volume of this run. StagingFailed names what would not go."""
        if self._closed:
            return
        try:
            remove_all(self._client, self.stack.run, _Quiet())
        finally:
            self._closed = True
            self._client.close()

    # ------------------------------------------------------------------------------------------------- the shell

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        check: bool = True,
    ) -> Completed:
        """As updater.shell.Shell, as the web user in the docroot."""
        completed = self._execute(argv, stdin=stdin, env=env, timeout=timeout)
        return checked(completed, self.where) if check else completed

    def stream(
        self, argv: Sequence[str], into: BinaryIO, *, stdin: BinaryIO | None = None, timeout: float = 3600.0
    ) -> None:
        """As updater.shell.Shell."""
        checked(self._execute(argv, stdin=stdin or b"", timeout=timeout, into=into), self.where)

    def read(self, path: str) -> bytes:
        """As updater.shell.Shell."""
        script = f'[ -e "$1" ] || exit {_NO_SUCH_FILE}; exec cat -- "$1"'
        completed = self._execute(["sh", "-c", script, "sh", path])
        if completed.exit_code == _NO_SUCH_FILE:
            raise FileNotFoundError(path)
        return checked(completed, self.where, f"{path} could not be read").stdout

    def write(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """As updater.shell.Shell."""
        script = (
            'set -e; new="$1.updater-$$"; umask 077; trap \'rm -f -- "$new"\' EXIT; '
            'cat >"$new"; chmod "$2" "$new"; mv -fT -- "$new" "$1"'
        )
        completed = self._execute(["sh", "-c", script, "sh", path, f"{mode:o}"], stdin=data)
        checked(completed, self.where, f"{path} could not be written")

    def put(self, local: Path, remote: str) -> None:
        """Copy a local file to an absolute path in the web container, owned by the web user, mode 0600."""
        put_path(self._containers["web"], local, remote, uid=self._files.uid, gid=self._files.gid)

    def _execute(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | BinaryIO = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        into: BinaryIO | None = None,
    ) -> Completed:
        return execute(
            self._client,
            self.stack.web,
            argv,
            stdin=stdin,
            env={"HOME": "/home/web", **(env or {})},
            user=_WEB_USER,
            workdir=self.installation.docroot,
            timeout=timeout,
            into=into,
        )

    # ----------------------------------------------------------------------------------------------- checkpoints

    def checkpoint(self, name: str) -> None:
        """Keep files and database as they are now under `name`, in place of an earlier checkpoint of that name."""
        self._frozen(files.save_script(self._files, _checkpoint_name(name)), "checkpoint")

    def restore(self, name: str) -> None:
        """Make files and database exactly what they were at the checkpoint. StagingFailed when there is none."""
        self._frozen(files.restore_script(self._files, _checkpoint_name(name)), "restore")

    def _frozen(self, script: str, what: str) -> None:
        """Run a script on the volumes while web and database stand still: both at one moment, and no stale opcache after."""
        with timed(self.timings, what):
            _each(self._stoppable, lambda container: container.stop(timeout=30))
            volumes = {
                self._files.changes: "/changes",
                self._names.of("database"): "/database",
                self._names.of("checkpoints"): "/checkpoints",
            }
            try:
                files.helper(self._client, self._names, self.stack.image, script, volumes)
            finally:
                self.start()

    @property
    def _stoppable(self) -> list[Container]:
        return [self._containers["database"], self._containers["web"]]

    def start(self) -> None:
        """Start web and database, and return when both answer. StagingFailed with their logs when one does not."""
        try:
            _each(self._stoppable, lambda container: container.start())
        except (DockerException, RequestException) as error:
            raise StagingFailed(
                "the stack did not start", cause=str(error), hint="run `updater clean`, then repeat"
            ) from error
        self.database.wait()
        self._wait_for_web()

    def _wait_for_web(self) -> None:
        """The self check: http and https answer from this machine, with any status, under the site's first name."""
        host = self.stack.hosts[0]
        context = ssl.create_default_context(cadata=self._certificates.authority.decode())
        deadline = time.monotonic() + _READY_SECONDS
        ways: tuple[Callable[[], http.client.HTTPConnection], ...] = (
            lambda: http.client.HTTPConnection(self.stack.address, 80, timeout=5),
            lambda: _NamedConnection(host, self.stack.address, context),
        )
        for connect in ways:
            while (problem := _asks(connect(), host)) is not None:
                if time.monotonic() > deadline:
                    raise StagingFailed(
                        "the stack's web server does not answer",
                        where=f"{self.stack.web} at {self.stack.address}",
                        cause=f"{problem}\n{logs(self._containers['web'])}".strip(),
                        hint="is this machine's firewall closed towards Docker's networks? `docker logs` shows the rest",
                    )
                time.sleep(0.05)

    # ------------------------------------------------------------------------------------------- what left, or tried to

    def step(self, name: str) -> None:
        """Calls and mails from now on belong to this step."""
        self._steps.append(egress.Step(name, datetime.now(UTC)))

    @contextlib.contextmanager
    def way_out(self) -> Iterator[None]:
        """Meanwhile the stack reaches the hosts of `egress.allow`, and nothing else; without any, nothing at all."""
        if not self._allowed:
            yield
            return
        self._progress.say(f"staging may reach {', '.join(self._allowed)} for this step")
        with Door(self._client, self.stack.egress, self._allowed) as door:
            try:
                yield
            finally:
                self.reached += door.calls

    def blocked(self) -> tuple[BlockedCall, ...]:
        """Every call that the stack tried to make since it began."""
        return egress.blocked_calls(self._sink_log("egress.jsonl"), self._steps)

    def answered(self) -> tuple[AnsweredCall, ...]:
        """Every call that was answered from a recording, with what it sent: for comparing, not for keeping."""
        return egress.answered_calls(self._sink_log("answered.jsonl"), self._steps)

    def mail(self) -> tuple[CaughtMail, ...]:
        """Every mail that the stack sent since it began."""
        return egress.caught_mail(self._sink_log("mail.jsonl"), self._steps)

    def _sink_log(self, name: str) -> str:
        return checked(execute(self._client, self.stack.egress, ["cat", f"{_LOG}/{name}"]), self.stack.egress).text

    # ---------------------------------------------------------------------------------------------- the database

    def schema(self) -> dict[str, str]:
        """As StagedDatabase.schema: comparable with Snapshot.tables."""
        return self.database.schema()

    def checksums(self) -> dict[str, str]:
        """As StagedDatabase.checksums."""
        return self.database.checksums()

    def row_hashes(self, table: str, where_not: Sequence[str]) -> dict[str, str]:
        """As StagedDatabase.row_hashes."""
        return self.database.row_hashes(table, where_not)

    def sql(self, statement: str) -> list[tuple[str, ...]]:
        """As StagedDatabase.sql."""
        return self.database.sql(statement)

    def queries(self) -> int:
        """How many queries the database was asked since it started, this one included."""
        return int(self.sql("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])

    def peak_memory(self) -> dict[str, int]:
        """Most bytes that web and database used since they were last started; {} where the kernel does not tell."""
        script = "cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null || true"
        peaks = {}
        for part in ("web", "database"):
            words = execute(self._client, self._names.of(part), ["sh", "-c", script]).text.split()
            if words:
                peaks[part] = int(words[0])
        return peaks


class _Staging:
    """The steps from snapshot to handle, which share one run's names. Nothing of them outlives `run`."""

    def __init__(
        self, client: docker.DockerClient, site: Site, snapshot: Snapshot, layout: Layout, progress: Progress
    ) -> None:
        self.client = client
        self.site = site
        self.snapshot = snapshot
        self.layout = layout
        self.progress = progress
        self.names = Names(snapshot.run)
        self.database = snapshot.installation.database
        self.hosts = _hosts(site)
        self.certificates = throw_away(self.hosts)

    def run(self) -> StackHandle:
        """The whole of it. On any failure, Ctrl-C included, what was made is removed again."""
        secrets.register(self.database.password)
        remove_all(self.client, self.snapshot.run, self.progress)  # left by an earlier try of this run
        try:
            handle = self._start()
            self._fill(handle)
        except (DockerException, RequestException) as error:
            self._remove()
            raise StagingFailed(
                "Docker refused a part of the stack", cause=str(error), hint="look at `docker info`"
            ) from error
        except BaseException:
            self._remove()
            raise
        return handle

    def _remove(self) -> None:
        remove_all(self.client, self.snapshot.run, _Quiet())

    def _start(self) -> StackHandle:
        platform, settings = self.snapshot.platform, self.site.stack
        matched = images.match(platform, settings, self.site.policy.accept_nearest_stack)
        if matched.mismatch:
            self.progress.say(f"nearest images: {matched.mismatch}")
        image = {
            "egress": images.stack_image(self.client, "egress", "bookworm", self.progress),
            "database": images.stack_image(self.client, "database", matched.database_suite.name, self.progress),
            "web": matched.image or images.stack_image(self.client, "web", matched.php_suite.name, self.progress),
        }
        if not images.exists(self.client, image["web"]):
            raise StagingFailed(
                f"there is no image {image['web']}", where="site.yml: stack.image", hint=f"docker pull {image['web']}"
            )

        self.progress.say("preparing files, network and containers")
        network = self.client.networks.create(
            self.names.of("network"), driver="bridge", internal=True, labels=self.names.labels
        )
        staged_files = files.prepare(self.client, self.names, image["web"], self.snapshot.files, self.progress)
        for volume in ("database", "socket", "checkpoints"):
            self.client.volumes.create(self.names.of(volume), labels=self.names.labels)
        sink = self._sink(image["egress"], str(network.name))
        containers = {
            "egress": sink,
            "database": self._database(image["database"], sink, platform),
            "web": self._web(image["web"], sink, staged_files),
        }
        sink.reload()
        stack = Stack(
            run=self.snapshot.run,
            network=str(network.name),
            web=self.names.of("web"),
            database=self.names.of("database"),
            egress=self.names.of("egress"),
            address=sink.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"],
            hosts=self.hosts,
            image=image["web"],
            matched=matched.matched,
            mismatch=matched.mismatch,
        )
        installation = replace(self.snapshot.installation, php="php")
        return StackHandle(
            self.client,
            stack,
            installation,
            staged_files,
            containers,
            self.certificates,
            self.progress,
            self.site.egress.allow,
        )

    def _sink(self, image: str, network: str) -> Container:
        """The namespace's holder, started first: before its rules stand, nothing else runs in there."""
        cache = self.layout.object_cache
        names, addresses = _split([*self.hosts, self.database.host, *([cache.host] if cache else [])])
        sink = self.client.containers.create(
            image,
            name=self.names.of("egress"),
            labels=self.names.labels,
            hostname="staging",
            network=network,
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN", "NET_RAW", "DAC_OVERRIDE"],
            environment={"OWN_NAMES": " ".join(names), "LOCAL_ADDRESSES": " ".join(addresses), "LOG": _LOG},
            mem_limit="256m",
            pids_limit=100,
            init=True,
        )
        recordings = [asdict(recording) for recording in self.site.recordings]
        authority = {
            "/opt/egress/ca.pem": self.certificates.authority,
            "/opt/egress/ca.key": self.certificates.authority_key,
            "/opt/egress/recordings.json": json.dumps(recordings).encode(),
        }
        put_files(sink, authority, mode=0o600)
        sink.start()
        script = f"for i in $(seq {_READY_SECONDS * 10}); do [ -e {_LOG}/ready ] && exit 0; sleep 0.1; done; exit 1"
        try:
            ready = execute(self.client, str(sink.id), ["sh", "-c", script], timeout=_READY_SECONDS + 5).exit_code == 0
        except CommandFailed:
            ready = False
        if not ready:
            raise StagingFailed(
                "the sink did not start, so nothing else may",
                where=str(sink.name),
                cause=logs(sink),
                hint="the kernel needs netfilter's nat and conntrack, as Docker itself does: `iptables -t nat -L`",
            )
        return sink

    def _database(self, image: str, sink: Container, platform: Platform) -> Container:
        return self.client.containers.create(
            image,
            server_command(platform, self.database),
            name=self.names.of("database"),
            mounts=[
                Mount("/var/lib/mysql", self.names.of("database")),
                Mount("/run/mysqld", self.names.of("socket")),
            ],
            **self._limits(sink),
        )

    def _web(self, image: str, sink: Container, staged_files: files.Files) -> Container:
        platform = self.snapshot.platform
        docroot, served = self.snapshot.installation.docroot, self._served()
        web = self.client.containers.create(
            image,
            name=self.names.of("web"),
            mounts=[
                *(Mount(path, staged_files.volume, no_copy=True) for path in dict.fromkeys((docroot, served))),
                Mount("/run/mysqld", self.names.of("socket"), no_copy=True),
            ],
            environment={
                "SITE_NAME": self.hosts[0],
                "SITE_DOCROOT": served,
                # A line each: where it lies on production, and its name below the docroot here.
                "SITE_ELSEWHERE": "".join(
                    f"{folder}\t{name}\n" for name, folder in self.snapshot.installation.elsewhere.items()
                ),
                "WEB_UID": str(staged_files.uid),
                "WEB_GID": str(staged_files.gid),
                "PHP_EXTENSIONS": " ".join(php.extensions(platform.php_extensions)),
                "DATABASE_SOCKET": self.database.socket or "",  # where production's code looks for it
                "NGINX_FRONT": self._nginx_front(),
                "SITE_OVERRIDE": _OVERRIDE if self.site.basic_auth else "",
            },
            **self._limits(sink),
        )
        put_files(
            web,
            {
                "/opt/web/site.pem": self.certificates.site,
                "/opt/web/ca.pem": self.certificates.authority,
                "/opt/web/web.ini": php.ini(platform.php_ini, web=True),
                "/opt/web/cli.ini": php.ini(platform.php_ini, web=False),
            },
        )
        private = {"/opt/web/site.key": self.certificates.site_key}
        if cache := self.layout.object_cache:
            self.progress.say(f"staging has an empty Redis at {cache.place}, as production has one")
            private["/opt/web/redis.conf"] = redis_conf(cache)
        put_files(web, private, mode=0o600)
        return web

    def _served(self) -> str:
        """Where production's web has the docroot: its code may hold that path, and an ssh user locked into a folder sees another."""
        docroot, web = self.snapshot.installation.docroot, self.snapshot.platform.web_docroot
        apart = (
            web.count("/") > 1 and not f"{web}/".startswith(f"{docroot}/") and not f"{docroot}/".startswith(f"{web}/")
        )
        return web if apart else docroot

    def _nginx_front(self) -> str:
        """What nginx hands to the CMS, where production's web server is nginx with PHP-FPM; '' for Apache, as on all others."""
        if not self.snapshot.platform.web_server.lower().startswith("nginx"):
            return ""
        if not self.layout.front:
            self.progress.say("staging answers by Apache: how nginx leads to this CMS is not known")
        else:
            self.progress.say("staging answers by nginx and PHP-FPM, as production does: .htaccess is not read")
        return self.layout.front

    def _limits(self, sink: Container) -> dict[str, Any]:
        """What web and database have in common: the sink's network, production's like in size, no way to more rights."""
        settings = self.site.stack
        return {
            "labels": self.names.labels,
            "network_mode": f"container:{sink.id}",
            "mem_limit": settings.memory,
            "nano_cpus": int(settings.cpus * 1_000_000_000),
            "pids_limit": settings.processes,
            "cap_drop": ["ALL"],
            "cap_add": list(_CAPABILITIES),
            "security_opt": ["no-new-privileges:true"],
        }

    def _fill(self, handle: StackHandle) -> None:
        """Start web and database, load the dump, scrub it, and see that this is the shop that was cloned."""
        handle.start()
        self.progress.say("loading the database")
        with timed(handle.timings, "import"):
            handle.database.create(self.snapshot.platform)
            handle.database.load(self.snapshot.dump)
        missing = missing_tables(self.snapshot.tables, handle.database.tables(views=True))
        if missing:
            raise StagingFailed(
                "the dump does not hold every table of production",
                where=str(self.snapshot.dump),
                cause=f"missing: {', '.join(missing)}",
                hint="clone again: `updater run SITE`",
            )
        self.progress.say("scrubbing personal data")
        with timed(handle.timings, "scrub"):
            handle.remaining_personal = self._scrub(handle)
        self._compare_php(handle)

    def _scrub(self, handle: StackHandle) -> tuple[scrub.Remaining, ...]:
        personal = scrub.declared(self.layout.personal, self.site.clone.scrub)
        if self.site.orders is not None:
            personal[f"{self.site.orders.table}.{self.site.orders.email}"] = "email"
        # Secret, and the same in the next run: pictures of two runs stay comparable.
        secret = f"{self.site.name}:{self.database.password}"

        def query(statement: str) -> list[tuple[str, ...]]:
            return handle.sql(f"SET SESSION sql_mode = '';\n{statement};")

        remaining = scrub.scrub(query, handle.database.tables(), self.database.prefix, personal, secret)
        for place in remaining:
            self.progress.say(f"{place.kind} remains in {place.table}.{place.column} ({place.rows} rows)")
        return remaining

    def _compare_php(self, handle: StackHandle) -> None:
        """PHP as it really is in there, an image of site.yml's included: another series or a missing extension is told."""
        source = 'echo json_encode([PHP_MAJOR_VERSION . "." . PHP_MINOR_VERSION, get_loaded_extensions()]);'
        series, loaded = json.loads(handle.run(["php", "-r", source]).text)
        platform = self.snapshot.platform
        differences = [handle.stack.mismatch] if handle.stack.mismatch else []
        if self.site.stack.image is not None and not f"{platform.php}.".startswith(f"{series}."):
            differences.append(f"PHP {series} in {self.site.stack.image} instead of production's {platform.php}")
        absent = set(php.extensions(platform.php_extensions)) - set(php.extensions(loaded))
        if absent:
            differences.append(f"PHP extensions that the stack does not have: {', '.join(sorted(absent))}")
        accepted = self.site.policy.accept_nearest_stack
        handle.stack = replace(handle.stack, mismatch="; ".join(differences), matched=accepted or not differences)


def redis_conf(cache: ObjectCache) -> bytes:
    """A Redis that answers where the shop's settings name it, with their password, and keeps nothing when it ends. Pure."""
    lines = ["daemonize yes", 'save ""', "appendonly no", "protected-mode no", "unixsocketperm 777", 'dir "/run/redis"']
    lines += [f"databases {max(16, cache.database + 1)}", "maxmemory 128mb", "maxmemory-policy allkeys-lru"]
    lines += (
        ["port 0", f"unixsocket {_quoted(cache.socket)}"] if cache.socket else [f"port {cache.port}", "bind 0.0.0.0"]
    )
    if cache.user:
        lines += ["user default off", f"user {_quoted(cache.user)} on {_quoted('>' + cache.password)} ~* +@all"]
    elif cache.password:
        lines.append(f"requirepass {_quoted(cache.password)}")
    return "".join(f"{line}\n" for line in lines).encode()


def _quoted(text: str) -> str:
    """As redis.conf reads it back, byte for byte."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in text.encode())
    return '"' + "".join(plain) + '"'


class _NamedConnection(http.client.HTTPSConnection):
    """HTTPS to an address under another name, as the stack's visitors come."""

    def __init__(self, host: str, address: str, context: ssl.SSLContext) -> None:
        super().__init__(address, 443, timeout=5, context=context)
        self._name, self._ssl = host, context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._ssl.wrap_socket(self.sock, server_hostname=self._name)


class _Quiet:
    """Progress that shows nothing: removing a stack is no news."""

    def step(self, name: str) -> None: ...

    def say(self, message: str) -> None: ...


def _asks(connection: http.client.HTTPConnection, host: str) -> Exception | None:
    """None when the server answered with any status. `OPTIONS *` is answered by Apache or nginx alone: it wakes no CMS."""
    try:
        with contextlib.closing(connection):
            connection.request("OPTIONS", "*", headers={"Host": host})
            connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        return error
    return None


def _each(containers: Sequence[Container], act: Callable[[Container], object]) -> None:
    """Both at once; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(len(containers)) as pool:
        for done in [pool.submit(act, container) for container in containers]:
            done.result()


def _checkpoint_name(name: str) -> str:
    if not _CHECKPOINT.fullmatch(name):
        raise ValueError(f"not a checkpoint's name: {name!r}")
    return name


def _hosts(site: Site) -> tuple[str, ...]:
    """The site's names as browsers send them: lower case, `xn--…`, the one in `url` first, each once."""
    names = [urlsplit(site.url).hostname or "", *site.hosts]
    return tuple(dict.fromkeys(name.strip("[]").encode("idna").decode().lower() for name in names if name))


def _split(hosts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names that the sink's DNS leads home, and IPv4 addresses that must be our own. What is local anyway is neither."""
    names, addresses = [], []
    for host in hosts:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            names.append(host)
            continue
        if not address.is_loopback and address.version == 4:
            addresses.append(host)
    return names, addresses
