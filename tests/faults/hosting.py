"""A hosting server that can be hurt: real sshd, cron, Apache with PHP and opcache, MariaDB, on one small disk that can be full."""

from __future__ import annotations

import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import live_server

from updater.model import Server

IMAGE = "updater-test-faults"
PASSWORD = r"pa'ss\word#1"
HOME = "/srv/deploy"
DOCROOT = "/srv/shop"
CUSTOMERS = 8080
"""Customers come by a port of their own: when the updater's network is dropped, theirs is not."""
DOCKERFILE = rf"""
FROM {live_server.IMAGE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends iptables curl busybox \
 && rm -rf /var/lib/apt/lists/* && usermod -d {HOME} -s /bin/sh deploy \
 && touch /var/mail/deploy && chown deploy:mail /var/mail/deploy \
 && sed -i 's/APACHE_RUN_USER=.*/APACHE_RUN_USER=deploy/; s/APACHE_RUN_GROUP=.*/APACHE_RUN_GROUP=deploy/' /etc/apache2/envvars \
 && sed -i 's/^<VirtualHost.*/<VirtualHost *:80 *:{CUSTOMERS}>/; s#DocumentRoot .*#DocumentRoot {DOCROOT}#' \
   /etc/apache2/sites-available/000-default.conf \
 && echo 'Listen {CUSTOMERS}' >> /etc/apache2/ports.conf \
 && printf 'PasswordAuthentication no\nMaxStartups 100\nMaxSessions 50\n' > /etc/ssh/sshd_config.d/keys-only.conf \
 && printf '[mysqld]\ndatadir=/srv/mysql\nskip-networking\ninnodb_buffer_pool_size=32M\n' > /etc/mysql/mariadb.conf.d/99-small.cnf
COPY start /start
CMD ["bash", "/start"]
"""
START = rf"""
if ! [ -e /srv/mysql ]; then
    new=yes
    chmod 755 /srv; cp -a /var/lib/mysql /srv/mysql
    install -d -o deploy -g deploy {HOME} {DOCROOT} && install -d -m 700 -o deploy -g deploy {HOME}/.ssh
    printf '%s\n' "$AUTHORIZED_KEY" > {HOME}/.ssh/authorized_keys; chown deploy: {HOME}/.ssh/authorized_keys
fi
rm -f /run/apache2/apache2.pid /run/crond.pid
mkdir -p /run/sshd /run/mysqld; chown mysql: /run/mysqld
(while :; do mariadbd --user=mysql 2>>/var/log/mariadbd.log; sleep 0.5; done) &
/usr/sbin/sshd; cron; apachectl start
if [ -n "${{new:-}}" ]; then
    until mariadb -e 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done
    mariadb -e "CREATE DATABASE shop; CREATE USER shop@localhost IDENTIFIED BY 'pa''ss\\\\word#1';
        GRANT ALL ON shop.* TO shop@localhost"
fi
touch /ready
exec sleep infinity
"""


class Hosting:
    """One running server. `signals` is a folder that both sides see (`/fault` there)."""

    def __init__(self, client: docker.DockerClient, container: docker.models.containers.Container, folder: Path):
        self.container = container
        self.signals = folder / "signals"
        self.folder = folder
        self._client = client
        container.reload()
        self.address = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        host_key = " ".join(self.root("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        self.server = Server(host=self.address, user="deploy", key=folder / "key", host_key=host_key)

    def root(self, script: str, stdin: bytes = b"", check: bool = True) -> str:
        """Run a shell script as root and return what it printed. CalledProcessError when `check` and it fails."""
        command = ["docker", "exec", "-i", self.container.name, "sh", "-c", script]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)
        if check and done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, script[:200], done.stdout, done.stderr.decode())
        return done.stdout.decode("utf-8", "surrogateescape")

    def holds(self, condition: str, seconds: float) -> bool:
        """Whether the shell condition became true there in time. One process asks; it may die with the server."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            asked = ["timeout", f"{left:.1f}", "sh", "-c", f"until {condition}; do sleep 0.1; done"]
            done = subprocess.run(["docker", "exec", self.container.name, *asked], capture_output=True)
            if done.returncode == 0:
                return True
            time.sleep(0.1)
        return False

    def restart(self) -> None:
        """Power off and on: nothing in it gets a word."""
        self.root("rm -f /ready")
        self.container.kill()
        self.container.wait()
        self.container.start()
        self.container.reload()
        address = next(iter(self.container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        assert address == self.address, "the server came back at another address"


@contextmanager
def running() -> Iterator[Hosting]:
    """A fresh server on a network of its own, removed at the end."""
    client = docker.from_env()
    name = f"updater-test-faults-{uuid.uuid4().hex[:8]}"
    labels = {"updater.test": "faults"}
    with tempfile.TemporaryDirectory(prefix="updater-faults-") as temporary:
        folder = Path(temporary)
        (folder / "signals").mkdir()
        (folder / "signals").chmod(0o777)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
        network = client.networks.create(name, labels=labels)
        # In memory, of a fixed size. It lives as long as somebody uses it: over a power cut of the server that is the keeper.
        disk = {"type": "tmpfs", "device": "tmpfs", "o": "size=400m"}
        client.volumes.create(name, driver="local", driver_opts=disk, labels=labels)
        volumes = {name: {"bind": "/srv", "mode": "rw"}}
        started = []
        try:
            keeper = ["sleep", "infinity"]
            started.append(
                client.containers.run(
                    IMAGE, keeper, init=True, detach=True, labels=labels, volumes=volumes, network_mode="none"
                )
            )
            container = client.containers.run(
                IMAGE,
                detach=True,
                name=name,
                init=True,
                cap_add=["NET_ADMIN"],
                network=name,
                labels=labels,
                volumes=volumes | {str(folder / "signals"): {"bind": "/fault", "mode": "rw"}},
                environment={"AUTHORIZED_KEY": (folder / "key.pub").read_text()},
            )
            started.append(container)
            it = Hosting(client, container, folder)
            assert it.holds("[ -e /ready ]", 60), container.logs().decode()
            yield it
        finally:
            for one in reversed(started):
                one.remove(force=True, v=True)
            network.remove()
            client.volumes.get(name).remove(force=True)
            client.close()


def build() -> None:
    """The image, once for all servers."""
    client = docker.from_env()
    live_server.build(client, live_server.IMAGE, live_server.DOCKERFILE, live_server.START)
    live_server.build(client, IMAGE, DOCKERFILE, START)
    client.close()
