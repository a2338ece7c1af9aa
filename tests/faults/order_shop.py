"""A small shop with orders, in versions that only work with their own schema, and releases from one to another."""

from __future__ import annotations

import http.client
import re
import time
import uuid
from pathlib import Path

from customers import ACKNOWLEDGED, MIXED, REFUSED, UNKNOWN, Order
from hosting import CUSTOMERS, DOCROOT, PASSWORD, Hosting
from injuries import STOP
from shops import Version, approved

from updater.cms.base import Gate
from updater.model import ApprovedRelease, Database, Installation, Migration, MigrationStep

URL = "http://shop.test/"
GATE = Gate(
    files={
        ".maintenance": "<?php /* {run} */ $h = trim(file_get_contents(__DIR__ . '/.gate-token'));\n"
        "if (!hash_equals($h, hash('sha256', $_COOKIE['pass'] ?? ''))) "
        "{ http_response_code(503); header('Retry-After: 30'); exit('closed'); }\n"
    },
    token_file=".gate-token",
    cookie="pass",
)
PURGE = (MigrationStep("pages", "<?php @unlink('/srv/deploy/page-cache'); echo '{\"ok\": true}';"),)
INSTALLATION = Installation("tiny", "1", DOCROOT, "php", URL, Database("shop", "shop", PASSWORD, prefix="shop_"))

_ENTRY = (
    "<?php if (is_file(__DIR__ . '/.maintenance')) { include __DIR__ . '/.maintenance'; }\n"
    "require __DIR__ . '/lib/shop.php'; require __DIR__ . '/theme/page.php';\n"
)
_CONNECT = (
    "mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);"
    "function db() { return new mysqli('localhost', 'shop', \"pa'ss\\\\word#1\", 'shop'); }"
)
_PAGE = (
    "$d = db(); $s = $d->query(\"SELECT v FROM shop_options WHERE k = 'schema'\")->fetch_row()[0];\n"
    "echo '<h1>Tea since 1913</h1><p>lib=' . LIB . ' theme=' . THEME . ' schema=' . $s . '</p>';\n"
    "foreach ($d->query('SELECT name, price FROM shop_goods') as $r) { echo \"<li>{$r['name']}: {$r['price']} RUB</li>\"; }\n"
)
# The shop may close itself by a row, as many do; nobody sets it but a planted fault.
_ORDER = (
    "$d = db(); if ($d->query(\"SELECT 1 FROM shop_options WHERE k = 'closed' AND v = 'yes'\")->num_rows) "
    "{ http_response_code(503); exit('closed'); }\n"
    "if (!empty($_POST['seconds'])) { $d->query('SELECT SLEEP(' . (float) $_POST['seconds'] . ')'); }\n"
    "place($d, $_POST['token']); echo 'ordered ' . $_POST['token'] . ' lib=' . LIB . ' theme=' . THEME;\n"
)
_PLACE = {
    1: "$q = $d->prepare('INSERT INTO shop_orders VALUES (NULL, ?, NOW(6))');",
    2: "$q = $d->prepare(\"INSERT INTO shop_orders (token, at, channel) VALUES (?, NOW(6), 'web')\");",
}
_BALLAST = "".join(f"// line {number} of a file as long as files are\n" for number in range(40))


def version(number: str, schema: int) -> Version:
    """The whole shop. It sells only while the database has that schema."""
    tree = {path: text.encode() for path, text in _files(number, schema).items()}
    return Version(tree, (f"lib={number} theme={number} schema={schema}", "Tea 12"), schema)


def _files(version: str, schema: int) -> dict[str, str]:
    tree = {
        "index.php": _ENTRY + _PAGE,
        "order.php": _ENTRY + _ORDER,
        "lib/shop.php": f"<?php const LIB = '{version}'; {_CONNECT} function place($d, $token) {{ {_PLACE[schema]} "
        "$q->execute([$token]); }\n",
        "theme/page.php": f"<?php const THEME = '{version}';\n",
        "lib/cache/kept.txt": "of neither version\n",
    }
    tree |= {f"lib/part{number}.php": f"<?php // {version}\n{_BALLAST}" for number in range(20)}
    tree |= {f"theme/img{number}.svg": f"<svg><!-- the same in all --></svg>{number}" for number in range(20)}
    if schema == 1:
        tree["old.php"] = f"<?php // {version}\n"
    else:
        tree["loyalty/loyalty.php"] = f"<?php // {version}\n"
    return tree


TABLES = """
DROP TABLE IF EXISTS shop_child, shop_parent, shop_goods, shop_options, shop_orders, shop_old, shop_loyalty;
CREATE TABLE shop_goods (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50), price DECIMAL(9,2)) ENGINE=InnoDB;
INSERT INTO shop_goods (name, price) SELECT CONCAT('Tea ', seq), seq * 100 FROM seq_1_to_12;
CREATE TABLE shop_options (k VARCHAR(20) PRIMARY KEY, v VARCHAR(50)) ENGINE=InnoDB;
INSERT INTO shop_options VALUES ('schema', '1'), ('name', 'Чай');
CREATE TABLE shop_orders (id INT AUTO_INCREMENT PRIMARY KEY, token VARCHAR(40), at DATETIME(6)) ENGINE=InnoDB;
INSERT INTO shop_orders (token, at) SELECT CONCAT('earlier-', seq), NOW(6) FROM seq_1_to_500;
CREATE TABLE shop_old (a INT) ENGINE=InnoDB; INSERT INTO shop_old VALUES (5);
CREATE TABLE shop_parent (id INT PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE shop_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop_parent (id)) ENGINE=InnoDB;
INSERT INTO shop_parent VALUES (1), (2); INSERT INTO shop_child VALUES (1, 1), (2, 2);
"""
MIGRATION_SQL = (
    ("ALTER TABLE shop_orders ADD COLUMN channel VARCHAR(10) NOT NULL DEFAULT 'old'",),
    (
        "CREATE TABLE shop_loyalty (customer INT, points INT) ENGINE=InnoDB",
        "DROP TABLE shop_old",
        "DELETE FROM shop_child WHERE id = 2",
        "DELETE FROM shop_parent WHERE id = 2",
    ),
    ("UPDATE shop_options SET v = '2' WHERE k = 'schema'",),
)


def migration_steps(ends: str = "") -> tuple[MigrationStep, ...]:
    """`ends`: '' as rehearsed, else how it goes wrong in its middle: 'fails', 'hangs in php', 'hangs in sql', 'says nothing'."""
    wrong = {
        "": "",
        "fails": "exit(3);\n",
        "hangs in php": "while (true) { sleep(1); }\n",
        "hangs in sql": "$d->query('SELECT SLEEP(600) FROM shop_goods LIMIT 1');\n",
        "says nothing": "exit(0);\n",
    }[ends]
    steps = []
    for number, queries in enumerate(MIGRATION_SQL):
        lines = [f"$d->query({query!r}) or exit(3);\n" for query in queries]
        if number == 1:
            lines.insert(2, STOP + wrong)
        connect = "<?php mysqli_report(0); $d = new mysqli('localhost', 'shop', \"pa'ss\\\\word#1\", 'shop');\n"
        steps.append(MigrationStep(f"step {number}", connect + "".join(lines) + 'echo "\\n{\\"ok\\": true}\\n";'))
    return tuple(steps)


class OrderShop:
    """The small shop, as the harness has it promoted."""

    url = URL
    page = "/"
    installation = INSTALLATION
    gate = GATE
    purge = PURGE
    old = version("1.0", 1)
    new_code = version("1.1", 1)
    new = version("2.0", 2)
    folders = ()
    restless = ()
    tables = TABLES.encode()
    from_customers = frozenset({"shop_orders"})
    placed = "SELECT token, COUNT(*) FROM shop_orders GROUP BY token"

    def release(
        self, run: str, before: Version, after: Version, folder: Path, migration: str | None = None
    ) -> ApprovedRelease:
        changes = Migration()
        if migration is not None:
            changes = Migration(
                steps=migration_steps(migration),
                changed_tables=("shop_orders", "shop_options", "shop_child", "shop_parent"),
                created_tables=("shop_loyalty",),
                dropped_tables=("shop_old",),
            )
        return approved(
            run, before, after, folder, changes, lambda paths: sorted({path.split("/", 1)[0] for path in paths})
        )

    def migrate(self, host: Hosting) -> None:
        host.root("mariadb shop", ";".join(query for step in MIGRATION_SQL for query in step).encode())

    def follow(self, before: Version) -> Version:
        number = before.says[0].split()[0].removeprefix("lib=")
        return version(f"{number}.1", before.tables)

    def place(self, address: str, seconds: float) -> Order:
        token = uuid.uuid4().hex
        sent = time.time()
        connection = http.client.HTTPConnection(address, CUSTOMERS, timeout=15)
        outcome, gate, code = REFUSED, False, ""  # nobody there to hear the order
        try:
            connection.connect()
            outcome = UNKNOWN
            headers = {"Host": "shop.test", "Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/order.php", f"token={token}&seconds={seconds}", headers)
            answer = connection.getresponse()
            body = answer.read().decode("utf-8", "replace")
            if answer.status == 200 and (taken := re.fullmatch(rf"ordered {token} lib=(\S+) theme=(\S+)\n?", body)):
                outcome, code = ACKNOWLEDGED, taken[1] if taken[1] == taken[2] else MIXED
            elif answer.status == 503 and body == "closed":
                outcome, gate = REFUSED, True
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        return Order(token, sent, time.time(), outcome, gate, code, seconds > 0)
