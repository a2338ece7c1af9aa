"""The twin of OpenCart 4 on the server that is hurt: its driver's own gate, units, caches and patches, a release rehearsed once."""

from __future__ import annotations

import http.client
import io
import json
import re
import secrets
import tarfile
import tempfile
import time
import urllib.parse
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import injuries
import points
from customers import ACKNOWLEDGED, MIXED, REFUSED, UNKNOWN, Order
from harness import Case
from hosting import CUSTOMERS, DOCROOT, PASSWORD, Hosting
from injuries import STOP
from planted import PLANTED, Planted
from points import Point
from shops import Version, approved

from updater import cms, config, sources
from updater.cms.base import Driver, runnable
from updater.demo_shop import DOCROOT as REHEARSED
from updater.demo_shop import DemoShop
from updater.log import Silent
from updater.model import ApprovedRelease, Installation, Inventory, Migration, MigrationStep, Update
from updater.production import probe
from updater.production.host import connect
from updater.shell import Shell, parse_answer

TWIN = Path(__file__).parents[2] / "demo" / "opencart-twin"
ADDRESS = "http://shop.test"
WORDS = "We wrap it as a gift, free of charge."
NEW_WORDS = "Wrapped by hand, free of charge."
GIFT = "extension/gift/catalog/product.php"
PRODUCT, PRICE, DELIVERY = 2, 9, 5
SEED = f"""
UPDATE ocx_setting SET value = '' WHERE `key` = 'config_mail_engine';
UPDATE ocx_product SET quantity = 5000000 WHERE product_id = {PRODUCT};
INSERT INTO ocx_order (store_id, firstname, lastname, email, total, order_status_id, date_added)
  SELECT 0, CONCAT('earlier-', seq), 'Nobody', 'nobody@people.example', 14, 5, NOW() FROM seq_1_to_500;
CREATE TRIGGER slow_customers BEFORE INSERT ON ocx_order_total FOR EACH ROW
  DO SLEEP(IF(NEW.code = 'total', ((NEW.value - {DELIVERY}) / {PRICE} - 1) / 10, 0));
"""
"""An order takes a tenth of a second for each further piece, when half of it is written: what a slow shop would do by itself."""
FROM_CUSTOMERS = frozenset({"ocx_order", "ocx_order_total", "ocx_order_product", "ocx_product", "ocx_session"})
RESTLESS = tuple(f"store-7f3a/{folder}" for folder in ("cache", "logs", "session"))
FORM = {
    "lastname": "Petrova",
    "email": "anna@people.example",
    "shipping_address_1": "Lenina 1",
    "shipping_city": "Moscow",
    "shipping_country_id": "222",
    "shipping_zone_id": "3513",
}
_MIXED = re.compile(r"vendor of \S+ under code of")

COPYING = next(point for point in points.JOURNAL if point.name == "after “begin dumped” is journaled")
HALF_CLOSED = Point("the gate is half up", "closed", "mv", "'shop/manage/config.php'")
HALF_SWAPPED = Point("half of one unit is exchanged", "swapped", "mv", "'shop/catalog old/'", "after")
HALF_BACK = Point("half of one unit is back", "reverted", "mv", "'shop/catalog new/'", "after")
HALF_OPEN = Point("the gate is half down", "opened", "mv", "'shop/config.updater-kept.php'")


@dataclass(frozen=True)
class TwinShop:
    """Made by `rehearsed`; `installation` is the one on the server that is hurt."""

    installation: Installation
    inventory: Inventory
    updates: Sequence[Update]
    driver: Driver
    steps: Sequence[MigrationStep]
    old: Version
    new: Version
    folders: Sequence[str]
    changed: tuple[str, ...]
    """Tables that the patches change"""
    created: tuple[str, ...]

    url = f"{ADDRESS}/"
    page = "/index.php?route=product/product&product_id=1"
    restless = RESTLESS
    tables = (
        "DROP DATABASE shop; CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;\n"
        + (TWIN / "seed" / "shop.sql").read_text()
        + (TWIN / "seed" / "shop-4.sql").read_text()
        + SEED
    ).encode()
    from_customers = FROM_CUSTOMERS
    placed = "SELECT firstname, COUNT(*) FROM ocx_order GROUP BY firstname"

    @property
    def gate(self):
        return self.driver.gate(self.installation)

    @property
    def purge(self):
        return self.driver.purge(self.installation)

    @property
    def new_code(self) -> Version:
        return self._with_words(self.old, NEW_WORDS)

    def release(
        self, run: str, before: Version, after: Version, folder: Path, migration: str | None = None
    ) -> ApprovedRelease:
        changes = Migration()
        if migration is not None:
            changes = Migration(self._steps(migration), self.changed, self.created)
        return approved(run, before, after, folder, changes, self._units)

    def _units(self, paths: Sequence[str]) -> Sequence[str]:
        return self.driver.units(self.updates, self.inventory, paths)

    def _steps(self, ends: str = "") -> tuple[MigrationStep, ...]:
        """The driver's own, and between its patches a place where the harness can stop it. `ends`: '' or 'fails'."""
        middle = next(number for number, step in enumerate(self.steps) if step.name == "patch 10")
        wrong = {"": "", "fails": "exit(3);\n"}[ends]
        between = MigrationStep("between two", f"<?php {STOP}{wrong}echo '{{\"ok\": true}}';")
        return (*self.steps[:middle], between, *self.steps[middle:])

    def migrate(self, host: Hosting) -> None:
        with connect(host.server) as server:
            _run(server, self.installation, self.steps)

    def follow(self, version: Version) -> Version:
        return self._with_words(version, f"{version.says[-1]} Always.")

    def _with_words(self, version: Version, words: str) -> Version:
        was, said = version.files[GIFT], version.says[-1]
        assert was.count(said.encode()) == 1
        files = {**version.files, GIFT: was.replace(said.encode(), words.encode())}
        return Version(files, (*version.says[:-1], words), version.tables)

    def place(self, address: str, seconds: float) -> Order:
        """Into the cart, the address, “Confirm Order”: what the storefront's script asks for."""
        token, session = uuid.uuid4().hex, secrets.token_hex(13)
        quantity = 1 + round(seconds * 10)
        sent = time.time()
        connection = http.client.HTTPConnection(address, CUSTOMERS, timeout=15)
        outcome, gate, code = REFUSED, False, ""

        def ask(route: str, form: Mapping[str, str]) -> tuple[int, str]:
            headers = {
                "Host": "shop.test",
                "Cookie": f"OCSESSID={session}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            connection.request("POST", f"/index.php?route={route}", urllib.parse.urlencode(form), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")

        try:
            steps = (
                ("checkout/cart.add", {"product_id": str(PRODUCT), "quantity": str(quantity)}),
                ("checkout/register.save", {"firstname": token, **FORM}),
                ("checkout/confirm.order", {}),
            )
            for route, form in steps:
                if route == steps[-1][0]:  # from here on something may have been ordered, whatever is answered
                    outcome = UNKNOWN
                status, body = ask(route, form)
                if _MIXED.search(body):
                    code = MIXED
                if status == 503 and "Back in a minute" in body:
                    outcome, gate = REFUSED, True
                    break
                if route == steps[-1][0]:
                    if status == 200 and "checkout/success" in str(json.loads(body).get("redirect")):
                        outcome = ACKNOWLEDGED
                    elif status == 400:  # the cart was empty: nothing was ordered
                        outcome = REFUSED
                elif status != 200 or "success" not in json.loads(body):
                    break
        except (OSError, http.client.HTTPException, ValueError):
            pass
        finally:
            connection.close()
        return Order(token, sent, time.time(), outcome, gate, code, seconds > 0)


def cases() -> tuple[Case, ...]:
    """A sample: every kind of fault once, beside what is special here — a gate that stands in for two files of the shop, patches, the tables put
    back. The faults that stop the database wait until the gate is closed: a query that fails in an open OpenCart is its own loss."""
    migrating = points.IN_MIGRATION
    acts = {point.state: point for point in points.ACTS}
    return (
        Case(injuries.NOTHING, expects="new"),
        Case(injuries.NOTHING, migration=None, revalidates=True, expects="new"),
        Case(injuries.SSH_CUT, HALF_CLOSED, expects="new"),
        Case(injuries.ALL_KILLED, HALF_CLOSED, revalidates=True, expects="old"),
        Case(injuries.RESTART, HALF_CLOSED, expects="old"),
        Case(injuries.DATABASE, COPYING),
        Case(injuries.DISK_FULL, COPYING),
        Case(injuries.PROCESS_KILLED, HALF_SWAPPED, expects="old"),
        Case(injuries.NETWORK, HALF_SWAPPED),
        Case(injuries.RESTART, migrating, expects="old"),
        Case(injuries.WATCHDOG_KILLED, migrating, revalidates=True, expects="new"),
        Case(injuries.MIGRATION_FAILS, migration="fails", expects="old"),
        Case(injuries.UPDATER_KILLED, acts["checked"], expects="old"),
        Case(injuries.CHECK_FAILS, check="fails", expects="old"),
        Case(injuries.CHECK_FAILS, migration=None, check="breaks", revalidates=True, expects="old"),
        Case(injuries.ALL_KILLED, HALF_BACK, check="fails", expects="old"),
        Case(injuries.RESTART, HALF_OPEN, expects="new"),
        Case(injuries.PROCESS_KILLED, HALF_OPEN, revalidates=True, expects="new"),
        Case(injuries.REPLY_LOST, points.answer("confirm"), expects="new"),
    )


def telling() -> tuple[Case, ...]:
    """For `make test`."""
    shown = ((injuries.SSH_CUT, HALF_CLOSED), (injuries.PROCESS_KILLED, HALF_SWAPPED))
    hurt = (case for case in cases() if (case.fault, case.point) in shown)
    return (*hurt, Case(injuries.CHECK_FAILS, check="fails", expects="old"))


def planted() -> tuple[Planted, ...]:
    """Of the planted faults those that this shop can show."""
    return tuple(it for it in PLANTED if it.name in ("no table drop", "no opcache reset", "a decision taken twice"))


def rehearsed() -> TwinShop:
    """The update of OpenCart and of an extension, applied by the driver to a twin of its own; what came of it is the release."""
    with (
        tempfile.TemporaryDirectory(prefix="updater-faults-twin-") as temporary,
        DemoShop.start(Path(temporary) / "shop", Silent(), kind="opencart") as shop,
    ):
        written = shop.write_site(Path(temporary) / "site", ("opencart-4.1.0.3", "opencart-4.1.0.4", "gift-1.0"))
        _pack_gift(written.parent / "packages" / "gift-1.1.ocmod.zip")
        bases = {
            it.name.split("-")[0]: it
            for it in shop.packages(Path(temporary) / "bases", ("opencart-4.1.0.3", "gift-1.0"))
        }
        site = config.load(written)
        with connect(site.server) as server:
            here = cms.detect(server, site.docroot, probe.find_php(server, site))
            driver = cms.driver(here.cms)
            inventory = driver.inventory(server, here)
            platform = probe.read_platform(server, site, here)
            plan = sources.plan(site, inventory, driver, platform, Path(temporary) / "cache", Silent())
            assert {it.slug: it.to_version for it in plan.updates} == {"opencart": "4.1.0.4", "gift": "1.1"}, plan.held
            before, folders = _files(shop)
            tables = _tables(shop)
            for update in plan.updates:
                there = f"/home/{shop.user}/{update.slug}.zip"
                server.put(update.package, there)
                driver.apply(server, here, replace(update, base=bases[update.slug]), there)
            _run(server, here, driver.migration(here, plan.updates))
            after, _ = _files(shop)
            then = _tables(shop)
        database = replace(here.database, password=PASSWORD)
        hurt = replace(here, docroot=DOCROOT, php="php", url=ADDRESS, database=database)
        steps = tuple(driver.migration(hurt, plan.updates))
    changed = tuple(sorted(name for name in tables if name not in ("ocx_session",) and then[name] != tables[name]))
    says = ("Green tea", "SKU: SKU-001")
    return TwinShop(
        hurt, inventory, plan.updates, driver, steps, Version(before, (*says, WORDS), 1), Version(after, (*says, NEW_WORDS), 2),
        folders, changed, tuple(sorted(then.keys() - tables.keys())),
    )  # fmt: skip


def _pack_gift(into: Path) -> None:
    folder = TWIN / "extensions" / "gift" / "1.0"
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr("install.json", (folder / "install.json").read_text().replace('"1.0"', '"1.1"'))
        archive.writestr(
            "catalog/product.php", (folder / "catalog" / "product.php").read_text().replace(WORDS, NEW_WORDS)
        )


def _run(server: Shell, installation: Installation, steps: Sequence[MigrationStep]) -> None:
    for step in steps:
        stdin = runnable(step, installation.database)
        done = server.run([installation.php], stdin=stdin, env={"UPDATER_RUN": "rehearsal"}, check=False)
        assert parse_answer(done, step.name).get("ok") is True, done


def _files(shop: DemoShop) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """(path → content, folders), under the name and the password of the server that is hurt."""
    code, said = shop.exec(["tar", "-C", REHEARSED, "-cf", "-", "."])
    assert code == 0, said[-300:]
    files: dict[str, bytes] = {}
    folders = []
    with tarfile.open(fileobj=io.BytesIO(said)) as tar:
        for member in tar:
            path = member.name.removeprefix("./")
            if member.isdir() and path != ".":
                folders.append(path)
            elif member.isfile() and not path.startswith(tuple(f"{folder}/" for folder in RESTLESS)):
                files[path] = tar.extractfile(member).read()
    for path in ("config.php", "manage/config.php"):
        text = files[path].decode()
        for was, becomes in (
            ("'https://' . SHOP_HOST . '/'", f"'{ADDRESS}/'"),
            (
                """'demo-Only-' . "it's-a-\\\\-password\"""",
                "'" + PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "'",
            ),
        ):
            assert text.count(was) == 1, (path, was)
            text = text.replace(was, becomes)
        files[path] = text.encode()
    return files, tuple(folders)


def _tables(shop: DemoShop) -> dict[str, str]:
    """Table → its definition and the checksum of its rows."""
    names = shop.sql("SHOW TABLES").split()
    sums = dict(line.split("\t") for line in shop.sql(f"CHECKSUM TABLE {', '.join(names)}").splitlines())
    return {name: shop.sql(f"SHOW CREATE TABLE {name}") + sums[f"shop.{name}"] for name in names}
