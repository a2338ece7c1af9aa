"""A hosting server for the tests of production/: real sshd, Apache, PHP and MariaDB, and root on it for playing vandal."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from updater.model import Database, Installation, Layout, Platform, Server, Site
from updater.production.host import connect
from updater.production.probe import read_platform

IMAGE = "updater-test-hosting"
DATABASE_PASSWORD = "db$ecret \"pw\\'1#"
DOCKERFILE = r"""
FROM debian:bookworm-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssh-server rsync \
    apache2 libapache2-mod-php8.2 php8.2-cli php8.2-mysql mariadb-server mariadb-client cron procps \
 && rm -rf /var/lib/apt/lists/* && useradd -m -s /bin/bash deploy && usermod -p '*' deploy \
 && install -d -m 700 -o deploy -g deploy /home/deploy/.ssh && install -d -o deploy -g deploy /srv/shop && mkdir -p /run/sshd \
 && sed -i 's#DocumentRoot .*#DocumentRoot /srv/shop#' /etc/apache2/sites-available/000-default.conf \
 && printf '<Directory /srv/shop>\nRequire all granted\n</Directory>\nServerName shop.test\n' >> /etc/apache2/apache2.conf
COPY start /start
CMD ["bash", "/start"]
"""
START = r"""
printf '%s\n' "$AUTHORIZED_KEY" > /home/deploy/.ssh/authorized_keys; chown deploy: /home/deploy/.ssh/authorized_keys
mariadbd-safe --skip-networking >/dev/null 2>&1 &
cron; apachectl start
until mariadb -e 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done
escaped=${DATABASE_PASSWORD//\\/\\\\}; escaped=${escaped//\'/\\\'}
mariadb -e "CREATE DATABASE shop CHARACTER SET utf8mb4; CREATE USER shop@localhost IDENTIFIED BY '$escaped';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, TRIGGER, SHOW VIEW ON shop.* TO shop@localhost"
mariadb shop -e "CREATE TABLE shop_goods (id INT AUTO_INCREMENT PRIMARY KEY, name TEXT); CREATE TABLE shop_sessions (id INT);
INSERT INTO shop_sessions VALUES (1); INSERT INTO shop_goods (name) SELECT CONCAT('Товар ', seq) FROM seq_1_to_2000;
CREATE VIEW shop_names AS SELECT name FROM shop_goods"
su deploy -c 'cd /srv/shop; mkdir -p media cache lib; echo "<?php echo 1;" > index.php
  for i in $(seq 300); do echo "<?php // $i" > lib/$i.php; done; head -c 500000 /dev/urandom > media/a.jpg'
touch /ready; exec /usr/sbin/sshd -D
"""


@dataclass(frozen=True)
class LiveServer:
    """`root(script, **environment)` runs a shell script as root on the server and returns what it printed, stripped."""

    site: Site
    installation: Installation
    layout: Layout
    platform: Platform
    root: Callable[..., str]

    @property
    def server(self) -> Server:
        return self.site.server

    @property
    def docroot(self) -> str:
        return self.installation.docroot


@contextmanager
def running(folder: Path) -> Iterator[LiveServer]:
    """A fresh server in a container, removed at the end. The image is built once and cached."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    client = docker.from_env()
    build(client, IMAGE, DOCKERFILE, START)
    container = client.containers.run(
        IMAGE,
        detach=True,
        name=f"updater-test-hosting-{uuid.uuid4().hex[:8]}",
        labels={"updater.test": "production"},
        environment={"AUTHORIZED_KEY": (folder / "key.pub").read_text(), "DATABASE_PASSWORD": DATABASE_PASSWORD},
    )

    def root(script: str, **environment: str) -> str:
        done = container.exec_run(["bash", "-c", script], environment=environment, demux=True)
        return (done.output[0] or b"").decode("utf-8", "surrogateescape").strip()

    try:
        ready = container.exec_run(
            ["timeout", "90", "bash", "-c", "until [ -e /ready ] && [ -e /run/sshd.pid ]; do sleep 0.1; done"]
        )
        assert ready.exit_code == 0, container.logs().decode()
        container.reload()
        address = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        host_key = " ".join(root("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        server = Server(host=address, user="deploy", key=folder / "key", host_key=host_key)
        site = Site(
            name="shop.test",
            server=server,
            docroot="/srv/shop",
            url="http://shop.test",
            config=folder / "site.yml",
            address=address,
        )
        database = Database("shop", "shop", DATABASE_PASSWORD, prefix="shop_")
        installation = Installation("none", "1.0", "/srv/shop", "php", site.url, database)
        layout = Layout(("media",), ("cache",), ("sessions",), {}, "none", ())
        with connect(server) as host:
            platform = read_platform(host, site, installation)
        yield LiveServer(site, installation, layout, platform, root)
    finally:
        container.remove(force=True, v=True)
        client.close()


def build(client: docker.DockerClient, tag: str, dockerfile: str, start: str) -> None:
    """An image of a Dockerfile that copies one file, `start`. Cached by Docker."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in (("Dockerfile", dockerfile), ("start", start)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    packed.seek(0)
    client.images.build(fileobj=packed, custom_context=True, tag=tag, network_mode="host", rm=True)
