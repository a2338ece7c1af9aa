"""The demo shop on a mean shared host: hardly any programs, an old PHP under the name that everybody types, links where folders
are expected, somebody else's files, and neighbours in the database."""

from __future__ import annotations

from updater.demo_shop import DOCROOT, DemoShop

NEIGHBOUR = "old_"
"""The prefix of another shop in the same database"""
LEGACY = "Ёлка №5 «да»"
"""In a MyISAM table in windows-1251"""
PICTURE = "wp-content/uploads/Самовар тульский.jpg"
DOCUMENTS = "/home/deploy/www"
"""The docroot as the hosting shows it to who logs in: a link. Uploads and plugins lie behind others."""
PLUGINS = "/home/deploy/disk/plugins"

# PHP 7.4 of the command line is what its version says; whoever ran anything else with it would get nonsense.
# The database's client stays where root finds it and the ssh user does not.
_STRIP = f"""set -e
mv /usr/bin/mariadb /usr/bin/mariadb-admin /usr/local/sbin/
rm -f /usr/bin/rsync /usr/bin/mariadb-dump /usr/bin/mysqldump /usr/bin/mysql /usr/bin/gzip
mkdir -p /opt/php82/bin && mv /usr/bin/php8.2 /opt/php82/bin/php && rm -f /usr/bin/php /etc/alternatives/php
printf '#!/bin/sh\\ncat >/dev/null\\nprintf "cli 7.4.33"\\n' > /usr/bin/php
chmod 755 /usr/bin/php
cd {DOCROOT} && printf x > '{PICTURE}' && chown www-data: '{PICTURE}'
ln -s {DOCROOT} {DOCUMENTS}; install -d -o deploy -g deploy /home/deploy/disk
mv wp-content/uploads /home/deploy/disk/ && ln -s /home/deploy/disk/uploads wp-content/uploads && chown -h deploy: wp-content/uploads
mv wp-content/plugins {PLUGINS} && ln -s {PLUGINS} wp-content/plugins && chown -h deploy: wp-content/plugins
"""


def make_mean(shop: DemoShop) -> None:
    """Take the programs away, and move the neighbours in."""
    code, said = shop.exec(["sh", "-c", _STRIP])
    assert code == 0, said
    for table in shop.sql("SHOW TABLES LIKE 'sh\\_%'").split():
        other = NEIGHBOUR + table.removeprefix("sh_")
        shop.sql(f"CREATE TABLE {other} LIKE {table}; INSERT INTO {other} SELECT * FROM {table}")
    shop.sql(
        "CREATE TABLE sh_legacy (id INT PRIMARY KEY, t VARCHAR(50)) ENGINE = MyISAM DEFAULT CHARSET cp1251; "
        f"INSERT INTO sh_legacy VALUES (1, '{LEGACY}')"
    )


def neighbours(shop: DemoShop) -> str:
    """A checksum of each table of the other shop, and of ours that no update touches."""
    tables = shop.sql(f"SHOW TABLES LIKE '{NEIGHBOUR[:-1]}\\_%'").split()
    assert len(tables) > 10
    return shop.sql(f"CHECKSUM TABLE {', '.join(tables)}, sh_legacy EXTENDED")
