"""The demo production: a real shop on a server of its own, in one container that starts in seconds."""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import ssl
import tarfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from updater import resources
from updater.cms import DRIVERS
from updater.errors import StagingFailed
from updater.log import Progress, Silent
from updater.staging import container as containers
from updater.staging import daemon, images

URL = "https://shop.example"
HOSTS = ("shop.example", "www.shop.example")
ROOT = "/var/www/shop.example"
DOCROOT = f"{ROOT}/public"
MAIL = f"{ROOT}/mail"
PACKAGES = "/srv/packages"
LABEL = "updater.demo"
"""On the container and the network, with the shop's name."""

_START_SECONDS = 60
_POLL_SECONDS = 0.1
_STOP_SECONDS = 5


DEFAULT = next(iter(DRIVERS))
"""The shop of the first driver: the image that the others are made from."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What `updater demo` offers this shop in two acts, and what it says to that."""

    opening: str
    first: str
    offered: tuple[str, ...]
    broken: str
    """Slug of the update in the first act that must be held back"""
    second: str
    newer: str
    by_hand: str = ""
    """For a CMS that is advised on and not deployed: what the shop's owner then types on the live server; '' for the others"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One shop of demo/, as its `<name>.toml` describes it."""

    name: str
    folder: str
    """Of its Dockerfile, below demo/"""
    ready: str
    """A page that answers 200 once everything works"""
    site: str
    """Its part of site.yml; `$address` is the server's"""
    demo: Demo | None = None
    """None: the shop is for tests alone"""
    build: Mapping[str, str] = field(default_factory=dict)
    """Build arguments"""
    online: bool = False
    """Whether the CMS's own updater is asked what is new"""
    hosts: tuple[str, ...] = HOSTS
    user: str = ""
    """Who its web server lets in, by `password`; '' for everybody"""
    password: str = ""
    vendor: str = ""
    """A command on the server that makes the CMS's own update source offer what is named; '' where packages lie in a folder"""

    @classmethod
    def load(cls, name: str) -> Kind:
        """FileNotFoundError when demo/ has no such shop."""
        described = tomllib.loads((resources.folder("demo") / f"{name}.toml").read_text(encoding="utf-8"))
        demo = described.pop("demo", None)
        if demo is not None:
            described["demo"] = Demo(**{**demo, "offered": tuple(demo["offered"])})
        if "hosts" in described:
            described["hosts"] = tuple(described["hosts"])
        return cls(name=name, **described)


def image(client: Any, progress: Progress, kind: str = DEFAULT) -> str:
    """The tag of the shop's image, built when its folder changed since the last time. StagingFailed when that fails.

    The tag holds a hash of that folder. The first build takes a few minutes: it installs the CMS and fills the shop. The
    others stand on the first one's server.
    """
    shop = Kind.load(kind)
    folder = resources.folder("demo") / shop.folder
    if kind == DEFAULT:
        tag = images.content_tag("demo", folder)
        if not images.exists(client, tag):
            images.ensure_base(client, "bookworm", progress)
        return images.build(client, folder, tag, progress)
    args = {**shop.build, "SERVER": image(client, progress)}
    return images.build(client, folder, images.content_tag(f"demo-{kind}", folder, **args), progress, args)


class DemoShop:
    """One running shop. Made by `start`; a context manager that stops it. Several can run at once."""

    docroot = DOCROOT
    url = URL
    hosts = HOSTS
    user = "deploy"
    mail = MAIL

    def __init__(self, client: Any, kind: Kind, name: str, workdir: Path, container: Any, network: Any) -> None:
        self._client = client
        self.kind = kind
        self._container = container
        self._network = network
        self._packages: Path | None = None
        self.name = name
        self.workdir = workdir
        self.key = workdir / "id_ed25519"
        self.ca = workdir / "ca.pem"
        self.address = ""
        """The container's address, reachable from this machine alone."""
        self.host_key = ""
        """`ssh-ed25519 AAAA…`, made when the container started."""

    @classmethod
    def start(cls, workdir: Path, progress: Progress | None = None, name: str = "", kind: str = DEFAULT) -> DemoShop:
        """A fresh shop of that kind on a network of its own that leads nowhere else, once it answers over HTTPS and ssh.

        `workdir` gets the ssh key, the shop's CA and later its site.yml. StagingFailed when the shop does not come up;
        nothing of it is left then.
        """
        progress = progress or Silent()
        client = daemon.connect()
        tag = image(client, progress, kind)
        name = name or f"updater-demo-{secrets.token_hex(4)}"
        workdir.mkdir(parents=True, exist_ok=True)
        progress.say(f"starting {name}")
        network = client.networks.create(name, internal=True, labels={LABEL: name}, check_duplicate=True)
        shop = cls(client, Kind.load(kind), name, workdir, None, network)
        try:
            shop._container = client.containers.create(
                tag,
                name=name,
                hostname="shop",
                network=name,
                labels={LABEL: name},
            )
            shop._prepare()
        except BaseException:
            shop.stop()
            raise
        return shop

    def _prepare(self) -> None:
        public_key = _write_key(self.key)
        self._container.start()
        self._wait()
        home = "/home/deploy/.ssh"
        self.exec(
            ["sh", "-c", f"cat > {home}/authorized_keys && chmod 600 {home}/authorized_keys"],
            user=self.user,
            stdin=public_key,
        )
        _, host_key = self.exec(["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
        self.host_key = " ".join(host_key.decode().split()[:2])

    def _wait(self) -> None:
        """Until the catalogue answers 200 under the shop's own name and certificate: all four services work then."""
        deadline = time.monotonic() + _START_SECONDS
        seen = "the container did not start"
        while time.monotonic() < deadline:
            self._container.reload()
            if self._container.status == "exited":
                break
            try:
                self.address = self._container.attrs["NetworkSettings"]["Networks"][self.name]["IPAddress"]
                code, ca = self.exec(["cat", "/etc/demo-ca/up"])
                if code == 0:
                    self.ca.write_bytes(ca)
                    status = self.get(self.kind.ready).status_code
                    if status == httpx.codes.OK:
                        return
                    seen = f"{self.kind.ready} answered {status}"
            except (httpx.TransportError, ssl.SSLError) as error:
                seen = str(error)
            time.sleep(_POLL_SECONDS)
        raise StagingFailed(
            "the demo shop did not come up",
            where=self.name,
            cause=f"{seen}\n{containers.logs(self._container)}",
            hint="repeat the command; when it fails again, `docker image rm` the image updater/demo and let it be built anew",
        )

    def get(self, path: str, host: str = HOSTS[0]) -> httpx.Response:
        """One page of the shop, by its address and under that name, with its certificate verified."""
        trust = ssl.create_default_context(cafile=str(self.ca))
        auth = (self.kind.user, self.kind.password) if self.kind.user else None
        with httpx.Client(verify=trust, timeout=30, auth=auth) as http:
            return http.get(
                f"https://{self.address}{path}",
                headers={"Host": host},
                extensions={"sni_hostname": host},
            )

    def exec(self, argv: Sequence[str], user: str = "root", stdin: bytes | None = None) -> tuple[int, bytes]:
        """Run a command on the server: its exit code and standard output, followed by standard error."""
        done = containers.execute(self._client, self._container.id, argv, user=user, stdin=stdin or b"", timeout=120)
        return done.exit_code, done.stdout + done.stderr.encode()

    def sql(self, statement: str) -> str:
        """What the database answers: a line for each row, columns separated by tabs. StagingFailed on an SQL error."""
        code, answer = self.exec(
            ["mariadb", "--default-character-set=utf8mb4", "-N", "-B", "shop"], stdin=statement.encode()
        )
        text = answer.decode("utf-8", "replace").rstrip("\n")
        if code != 0:
            raise StagingFailed("the demo shop's database refused a statement", where=statement, cause=text)
        return text

    def mails(self) -> list[str]:
        """Mail that the shop sent, raw, oldest first."""
        _, names = self.exec(["find", MAIL, "-name", "*.eml"])
        return [self.exec(["cat", name])[1].decode("utf-8", "replace") for name in sorted(names.decode().split())]

    def code_sha256(self) -> str:
        """One hash over every file of the site, uploads too: names and bytes."""
        listing = f"cd {DOCROOT} && find . -type f -print0 | LC_ALL=C sort -z"
        code, sums = self.exec(["sh", "-c", f"{listing} | xargs -0 sha256sum"])
        if code != 0:
            raise StagingFailed("the demo shop's files could not be read", where=self.name, cause=sums[-500:].decode())
        return hashlib.sha256(sums).hexdigest()

    def offered(self) -> list[str]:
        """The packages in the image, like `demo-shop-1.1.zip`; those taken from Debian carry its version in their names."""
        _, names = self.exec(["ls", PACKAGES])
        return names.decode().split()

    def packages(self, folder: Path, names: Sequence[str]) -> list[Path]:
        """Copy packages out of the image into `folder`. A name may leave out the version when there is only one."""
        folder.mkdir(parents=True, exist_ok=True)
        return [self._copy_out(self._match(name), folder) for name in names]

    def _match(self, name: str) -> str:
        offered = self.offered()
        alone = re.compile(rf"{re.escape(name)}(\.[a-z]+)?\.zip")
        found = [file for file in offered if file == name or alone.fullmatch(file) or file.startswith(f"{name}-")]
        if len(found) != 1:
            raise StagingFailed(f"no single package {name!r} in the demo", cause=f"there are: {', '.join(offered)}")
        return found[0]

    def _copy_out(self, file: str, folder: Path) -> Path:
        chunks, _ = self._container.get_archive(f"{PACKAGES}/{file}")
        target = folder / file
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.extractfile(file)
            assert member is not None  # a regular file: `offered` listed it
            target.write_bytes(member.read())
        return target

    def write_site(self, folder: Path, packages: Sequence[str]) -> Path:
        """A site.yml for this shop in `folder`, with these packages in `folder/packages`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._packages = folder / "packages"
        self.packages(self._packages, packages)
        path = folder / "site.yml"
        path.write_text(self._site_yml(), encoding="utf-8")
        return path

    def offer(self, *names: str) -> None:
        """More packages into the folder that `write_site` made; where the CMS asks an update source of its own, there."""
        assert self._packages is not None, "write_site comes first"
        if self.kind.vendor:
            self.typed(f"{self.kind.vendor} {' '.join(names)}", user="root")
        else:
            self.packages(self._packages, names)

    def typed(self, command: str, user: str = "") -> None:
        """One line in a shell on the server, as its own user. StagingFailed when it ends badly."""
        code, said = self.exec(["sh", "-c", command], user=user or self.user)
        if code != 0:
            cause = said.decode("utf-8", "replace")[-500:]
            raise StagingFailed(
                "a command on the demo shop's server failed", where=f"{self.name}: {command}", cause=cause
            )

    def _site_yml(self) -> str:
        quoted = {key: json.dumps(str(value)) for key, value in (("key", self.key), ("ca", self.ca))}
        return f"""\
site: demo-shop
url: {URL}
hosts: [{", ".join(self.kind.hosts[1:])}]
address: {self.address}
tls_ca: {quoted["ca"]}
{self._basic_auth()}server:
  host: {self.address}
  user: {self.user}
  port: 22
  key: {quoted["key"]}
  host_key: "{self.host_key}"
docroot: {DOCROOT}
cms: auto
sources:
  folders: [packages]
  online: {json.dumps(self.kind.online)}
policy:
  windows: ["Mon-Sun 00:00-24:00 UTC"]
promote:
  bake: 4s
{Template(self.kind.site).substitute(address=self.address)}"""

    def _basic_auth(self) -> str:
        if not self.kind.user:
            return ""
        file = self.workdir / "password"
        file.touch(mode=0o600)
        file.write_text(self.kind.password, encoding="utf-8")
        return f"basic_auth: {{user: {self.kind.user}, password: {{file: {json.dumps(str(file))}}}}}\n"

    def how_to_look(self) -> str:
        """What to type to see this shop in a browser on this machine."""
        return (
            f"chromium --user-data-dir={self.workdir / 'chromium'} --ignore-certificate-errors "
            f"--host-resolver-rules='MAP *shop.example {self.address}' {URL}/  "
            f"(stop it: docker rm -f {self.name} && docker network rm {self.name})"
        )

    def stop(self) -> None:
        """Remove the container and its network, whatever state they are in."""
        if self._container is not None:
            self._container.remove(force=True, v=True)
            self._container = None
        if self._network is not None:
            self._network.remove()
            self._network = None
        self._client.close()

    def __enter__(self) -> DemoShop:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _write_key(path: Path) -> bytes:
    """A new ed25519 key pair: private (0600) and `.pub`. Returns the public line."""
    key = Ed25519PrivateKey.generate()
    path.touch(mode=0o600, exist_ok=True)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" updater-demo\n"
    path.with_name(f"{path.name}.pub").write_bytes(public)
    return public
