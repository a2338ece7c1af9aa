"""A stack on real Docker: production's twin under its real names, from which nothing leaves, and of which nothing stays."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest
from served import Handler, served

from updater.checks.browser import Browser
from updater.errors import CommandFailed, StagingFailed
from updater.log import Silent
from updater.model import (
    DESKTOP,
    BasicAuth,
    CloneSettings,
    Database,
    EgressSettings,
    Installation,
    Layout,
    ObjectCache,
    Platform,
    Recording,
    Server,
    Site,
    Snapshot,
    StackSettings,
)
from updater.staging import files, stack
from updater.staging.stack import StackHandle, stage

DOCROOT = "/srv/kunden/shop/httpdocs"
PASSWORD = "p\"w\\d'1 #x"

INDEX = """<?php
header('X-Host: ' . $_SERVER['HTTP_HOST']);
header('X-Https: ' . (isset($_SERVER['HTTPS']) ? $_SERVER['HTTPS'] : 'off'));
$db = new mysqli('db.internal.example', 'shop', %s, 'shop', 3306);
echo 'home of ', $db->query('SELECT COUNT(*) FROM sh_users')->fetch_row()[0];
"""

FETCH = """<?php
$begun = microtime(true);
$context = stream_context_create(array('http' => array('ignore_errors' => true, 'timeout' => 20)));
$body = @file_get_contents($_GET['url'], false, $context);
$answer = array('seconds' => microtime(true) - $begun, 'body' => $body, 'status' => isset($http_response_header) ? $http_response_header[0] : null);
header('Content-Type: application/json');
echo json_encode($answer);
"""

POST = """<?php
$pay = curl_init($_GET['url']);
curl_setopt_array($pay, array(CURLOPT_RETURNTRANSFER => 1, CURLOPT_TIMEOUT => 9, CURLOPT_POSTFIELDS => file_get_contents('php://input'),
    CURLOPT_HTTPHEADER => array('Content-Type: application/json', 'Authorization: Basic c2hvcDpLZXktNDQxNw==')));
echo json_encode(array(curl_exec($pay), curl_error($pay), curl_getinfo($pay, CURLINFO_RESPONSE_CODE)));
"""

PAYMENT = Recording(
    host="api.pay.example",
    path="/v3/payments*",
    method="POST",
    status=201,
    headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked", "X-Of": "{request.amount.value}"},
    body='{"id": "22e12f66", "paid": "{request.amount.value}", "back": "{request.confirmation.return_url}", "no": "{request.none[0].x}"}',
)

SUGGESTION = Recording(
    "suggest.example",
    "/address",
    "",
    200,
    {"Content-Type": "application/json"},
    '{"value": "{request.query}, Lenina 1"}',
)

DUMP = """
CREATE TABLE `sh_users` (`ID` int NOT NULL AUTO_INCREMENT, `user_login` varchar(60) NOT NULL, `user_email` varchar(100) NOT NULL,
  `seen` timestamp NOT NULL DEFAULT '2020-01-02 03:04:05' ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (`ID`), UNIQUE KEY (`user_email`))
  ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4;
INSERT INTO `sh_users` (ID, user_login, user_email) VALUES (1,'admin','Chef@Real-Shop.de'), (2,'Мария','maria@почта.example'), (3,'x','x@y.org');
CREATE TABLE `sh_orders` (`id` int NOT NULL PRIMARY KEY, `email` varchar(100), `phone` varchar(30), `name` varchar(60),
  `street` text, `note` text) DEFAULT CHARSET=utf8mb4;
INSERT INTO `sh_orders` VALUES (1,'chef@real-shop.de','+7 (912) 345-67-89','Пётр Петров','ул. Ленина 5','Звоните Петру 89123456789'),
  (2,NULL,'','','',''), (3,'x@y.org','+49 171 2345678','Joe','Main St 1','ring joe@corp.com');
CREATE TABLE `sh_meta` (`id` int NOT NULL PRIMARY KEY, `k` varchar(20), `v` longtext) DEFAULT CHARSET=utf8mb4;
INSERT INTO `sh_meta` VALUES (1,'billing_email','x@y.org'), (2,'free text','write to hidden@person.net or call +7 912 000-11-22'),
  (3,'colour','red'), (4,'multi','tab\\there\\nline \\\\ slash');
CREATE TABLE `other_shop` (`id` int);
"""

PERSONAL = {
    "users.user_email": "email",
    "orders.email": "email",
    "orders.phone": "phone",
    "orders.name": "name",
    "orders.street": "address",
    "orders.note": "text",
    "meta.v[k=billing_email]": "email",
    "never_installed.email": "email",
}
PLANTED = (
    "real-shop.de",
    "почта",
    "x@y.org",
    "345-67-89",
    "2345678",
    "Пётр",
    "Петров",
    "Ленина",
    "Joe",
    "Main St",
    "joe@corp",
)


def make_site(folder: Path, **changes: object) -> Site:
    values: dict[str, object] = {
        "name": "shop",
        "server": Server("192.0.2.9", "nobody"),
        "docroot": DOCROOT,
        "url": "https://shop.example/",
        "hosts": ("www.shop.example", "магазин.example"),
        "config": folder / "site.yml",
        "clone": CloneSettings(),
        "stack": StackSettings(memory="768m"),
    }
    return Site(**{**values, **changes})  # type: ignore[arg-type]


def make_snapshot(folder: Path, run: str, dump: str = DUMP) -> Snapshot:
    mirror = folder / "mirror"
    (mirror / "code" / "old").mkdir(parents=True)
    php_password = "'" + PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "'"
    (mirror / "index.php").write_text(INDEX % php_password)
    (mirror / "fetch.php").write_text(FETCH)
    (mirror / "pay.php").write_text(POST)
    (mirror / "mail.php").write_text(
        "<?php var_dump(mail('kunde@outside.example', '=?UTF-8?B?0JfQsNC60LDQtw==?=', \"Ваш заказ\\n.\\nпринят\","
        ' "Cc: two@outside.example\\r\\nContent-Type: text/plain; charset=UTF-8"));'
    )
    (mirror / "ini.php").write_text(
        "<?php echo json_encode([ini_get('memory_limit'), ini_get('upload_max_filesize'), PHP_VERSION, get_current_user(), posix_geteuid(),"
        " get_loaded_extensions(), gethostbyname('www.shop.example'), gethostbyname('db.internal.example')]);"
    )
    (mirror / "code" / "version.php").write_text("<?php echo 'one';")
    (mirror / "code" / "old" / "deep.txt").write_text("deep")
    (mirror / ".htaccess").write_text("RewriteEngine On\nRewriteRule ^pretty$ code/version.php [L]\n")
    path = folder / "dump.sql.gz"
    path.write_bytes(gzip.compress(dump.encode()))
    database = Database("shop", "shop", PASSWORD, host="db.internal.example", prefix="sh_")
    return Snapshot(
        run=run,
        taken=datetime.now(UTC),
        files=mirror,
        dump=path,
        code={},
        platform=Platform(
            php="8.2.1",
            php_extensions=(
                "Core",
                "apache2handler",
                "mysqli",
                "mysqlnd",
                "posix",
                "mbstring",
                "Zend OPcache",
                "curl",
                "json",
            ),
            php_ini={
                "memory_limit": "77M",
                "upload_max_filesize": "3M",
                "error_reporting": "22527",
                "open_basedir": "/nowhere",
            },
            database="10.11.6",
            database_flavour="mariadb",
            sql_mode="ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES",
            charset="utf8mb4",
            collation="utf8mb4_unicode_ci",
        ),
        installation=Installation("plain", "1", DOCROOT, "/opt/php82/bin/php", "https://shop.example/", database),
        tables={},
    )


def make_layout() -> Layout:
    return Layout((), (), (), PERSONAL, "plain", ())


class Saying:
    """Progress that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, name: str) -> None:
        self.lines.append(name)

    def say(self, message: str) -> None:
        self.lines.append(message)


def run_name(test: str) -> str:
    return f"test-{test}-{time.time_ns() % 10**9}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    """A server of this machine under the machine's name, as `host:port`: what a stack may reach when it is named."""

    class Vendor(Handler):
        def do_GET(self) -> None:
            self.answer(f"{self.path} of the vendor".encode())

    machine = socket.gethostname()
    with served(Vendor, host=machine) as port:
        yield f"{machine}:{port}"


@pytest.fixture(scope="module")
def shop(folder: Path, vendor: str) -> Iterator[StackHandle]:
    site = make_site(folder, egress=EgressSettings(allow=(vendor,)), recordings=(PAYMENT, SUGGESTION))
    with stage(site, make_snapshot(folder, run_name("shop")), make_layout(), Silent()) as handle:
        yield handle


def get(
    shop: StackHandle, path: str, *, host: str = "shop.example", tls: bool = False
) -> tuple[int, str, dict[str, str]]:
    connection: http.client.HTTPConnection
    if tls:
        context = ssl.create_default_context(cadata=shop._certificates.authority.decode())
        connection = stack._NamedConnection(host, shop.stack.address, context)
    else:
        connection = http.client.HTTPConnection(shop.stack.address, 80, timeout=30)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, {key.lower(): value for key, value in answer.getheaders()}


def test_the_shop_answers_under_all_its_names_with_production_s_database_credentials(shop: StackHandle) -> None:
    for host in ("shop.example", "www.shop.example", "xn--80aaafqnqidd3l.example"):
        if host in shop.stack.hosts:
            status, text, headers = get(shop, "/", host=host, tls=True)
            assert (status, text, headers["x-host"], headers["x-https"]) == (200, "home of 3", host, "on")
    assert len(shop.stack.hosts) == 3
    assert shop.stack.hosts[2].startswith("xn--")
    assert get(shop, "/pretty")[1] == "one", ".htaccess counts"


def test_php_is_production_s_in_settings_extensions_and_user(shop: StackHandle) -> None:
    memory, upload, version, owner, uid, extensions, www, db = json.loads(get(shop, "/ini.php")[1])
    assert (memory, upload) == ("77M", "3M")
    assert version.startswith("8.2.")
    assert uid != 0
    assert owner == "web"
    assert "gd" not in extensions, "production has no gd"
    assert {"mysqli", "mbstring", "curl"} <= set(extensions)
    assert www == db == shop.stack.address, "the site's names and its database lead to the stack itself"
    assert shop.stack.matched
    assert shop.stack.mismatch == ""


def test_nothing_leaves_and_what_tried_is_named(shop: StackHandle) -> None:
    shop.step("fetching")
    for url in (
        "https://example.com/pay?x=1",
        "http://1.1.1.1/beacon",
        "http://tracker.example/hit",
        "ftp://files.example/x",
    ):
        answer = json.loads(get(shop, f"/fetch.php?url={url}")[1])
        assert answer["seconds"] < 1, f"{url} was refused at once"
        assert answer["status"] is None or " 503 " in answer["status"], f"{url} was not answered"
    shop.step("later")
    seen = {(call.protocol, call.target, call.port, call.path, call.step) for call in shop.blocked()}
    assert ("https", "example.com", 443, "", "fetching") in seen
    assert ("http", "1.1.1.1", 80, "GET /beacon", "fetching") in seen
    assert ("http", "tracker.example", 80, "GET /hit", "fetching") in seen
    assert ("tcp", "files.example", 21, "", "fetching") in seen


def test_what_site_yml_has_a_recording_of_is_answered_over_tls_and_nothing_else(shop: StackHandle) -> None:
    def pay(url: str, body: str) -> tuple[str, str, int]:
        connection = http.client.HTTPConnection(shop.stack.address, 80, timeout=30)
        connection.request("POST", f"/pay.php?url={url}", body=body, headers={"Host": "shop.example"})
        text, error, status = json.loads(connection.getresponse().read())
        connection.close()
        return text, error, status

    shop.step("paying")
    back = 'https://shop.example/thanks?a="b"'
    payment = {"amount": {"value": "129.50"}, "confirmation": {"return_url": back}, "text": "Ф" * 5000}
    for scheme in ("https", "http"):
        text, error, status = pay(f"{scheme}://api.pay.example/v3/payments?test=1", json.dumps(payment))
        assert (error, status) == ("", 201)
        assert json.loads(text) == {"id": "22e12f66", "paid": "129.50", "back": back, "no": ""}
    streamed = json.loads(get(shop, "/fetch.php?url=https://suggest.example/address%3Fquery=Len")[1])
    assert (streamed["status"], streamed["body"]) == ("HTTP/1.1 200 Recorded", '{"value": "Len, Lenina 1"}')
    assert streamed["seconds"] < 1
    assert pay("https://api.pay.example/v4/payments?key=a", "{}")[2] == 503, "what was not recorded is refused"
    assert pay("https://api.other.example/v3/payments", "{}")[2] == 0, "and so is every other host"
    first, second = [call for call in shop.answered() if call.step == "paying" and call.target == PAYMENT.host]
    assert (first.target, first.method, first.path, first.recording) == (
        PAYMENT.host,
        "POST",
        "/v3/payments",
        PAYMENT.path,
    )
    assert (first.query, json.loads(first.body), first.authorization[:5]) == ("test=1", payment, "Basic")
    assert json.loads(second.body) == payment
    assert "Key" not in repr(first), "what the service knows the shop by is in no message"
    assert "c2hvc" not in repr(first)
    seen = {(call.protocol, call.target, call.path, call.answered) for call in shop.blocked() if call.step == "paying"}
    assert seen >= {
        ("https", "api.pay.example", "POST /v3/payments*", True),
        ("http", "api.pay.example", "POST /v3/payments*", True),
        ("https", "api.pay.example", "POST /v4/payments", False),
        ("https", "api.other.example", "", False),
    }


def test_a_page_is_answered_from_a_recording_too_and_reaches_nothing_else(shop: StackHandle) -> None:
    ask = """async () => {
      const asked = [];
      for (const url of ['https://suggest.example/address', 'http://suggest.example/address', 'https://suggest.example/people',
                         'https://api.other.example/']) {
        asked.push(await fetch(url, {method: 'POST', body: '{"query": "Лен"}', headers: {'Content-Type': 'application/json', 'X-Token': 'a'}})
          .then(async it => [it.status, (await it.text()).slice(0, 40)]).catch(error => [0, error.name]));
      }
      return asked;
    }"""
    shop.step("typing")
    hosts = dict.fromkeys(shop.stack.hosts, shop.stack.address)
    recorded = stack.recorded(make_site(Path(), recordings=(SUGGESTION,)), shop.stack)
    with Browser(hosts, recorded=recorded, trust_any_certificate=True) as browser, browser.tab(DESKTOP) as tab:
        assert tab.open("http://shop.example/") == 200
        assert tab.page.evaluate(ask) == [
            [200, '{"value": "Лен, Lenina 1"}'], [200, '{"value": "Лен, Lenina 1"}'], [0, "TypeError"], [0, "TypeError"],
        ]  # fmt: skip
        assert set(tab.asked()) == {"suggest.example", "api.other.example"}
    calls = [(it.target, it.path, it.port, it.answered) for it in shop.blocked() if it.step == "typing" and it.path]
    assert ("suggest.example", "POST /address", 443, True) in calls
    assert ("suggest.example", "POST /address", 80, True) in calls
    assert [it[1:] for it in calls if not it[3]] == [("OPTIONS /people", 443, False)]
    assert len([it for it in shop.answered() if it.step == "typing"]) == 2, (
        "a browser's own question is no call of the shop"
    )


def test_a_named_host_is_reached_while_the_way_out_is_held_and_no_other(shop: StackHandle, vendor: str) -> None:
    def body(url: str) -> str:
        return str(json.loads(get(shop, f"/fetch.php?url={url}")[1])["body"])

    named, other = f"http://{vendor}/updates", f"http://{vendor.partition(':')[0]}:{int(vendor.partition(':')[2]) ^ 1}/"
    assert "reaches nothing outside" in body(named)
    with shop.way_out():
        assert body(named) == "/updates of the vendor"
        assert "reaches nothing outside" in body(other)
        assert "reaches nothing outside" in body("http://tracker.example/hit")
        assert body(named) == "/updates of the vendor"
    assert "reaches nothing outside" in body(named), "closed again"
    assert shop.reached == [vendor, vendor]


def test_neither_the_machine_itself_nor_raw_addresses_are_reached(shop: StackHandle) -> None:
    machine = shop.stack.address.rsplit(".", 1)[0] + ".1"
    source = """
    foreach (array('tcp://%s:22', 'tcp://[2606:4700::1111]:80', 'udp://9.9.9.9:123') as $to) {
        $begun = microtime(true);
        $socket = @stream_socket_client($to, $code, $text, 5);
        if ($socket) { stream_set_timeout($socket, 5); fwrite($socket, 'x'); $got = fread($socket, 10); } else { $got = ''; }
        echo json_encode(array($to, (string) $got, microtime(true) - $begun)), "\\n";
    }
    """
    for line in shop.run(["php", "-r", source % machine]).text.splitlines():
        target, got, seconds = json.loads(line)
        assert got == "", f"{target} answered"
        assert seconds < 1, f"{target} hung"
    assert (machine, 22) in {(call.target, call.port) for call in shop.blocked()}


def test_mail_is_caught_with_its_step_and_text(shop: StackHandle) -> None:
    shop.step("order")
    assert "bool(true)" in get(shop, "/mail.php")[1]
    (mail,) = [mail for mail in shop.mail() if mail.step == "order"]
    assert sorted(mail.recipients) == ["kunde@outside.example", "two@outside.example"]
    assert mail.subject == "Заказ"
    assert mail.body.splitlines() == ["Ваш заказ", ".", "принят"]


def test_mail_by_smtp_with_tls_is_caught_too(shop: StackHandle) -> None:
    shop.step("smtp")
    source = """
    $s = stream_socket_client('ssl://smtp.mailer.example:465', $c, $t, 5) or exit(1);
    foreach (array('EHLO x', 'MAIL FROM:<a@b.example>', 'RCPT TO:<far@away.example>', 'DATA',
        "Subject: by smtp\\r\\n\\r\\nbody\\r\\n.", 'QUIT') as $line) {
        fgets($s); if ($line === 'MAIL FROM:<a@b.example>') { for ($i = 0; $i < 3; $i++) { fgets($s); } }
        fwrite($s, "$line\\r\\n");
    }
    fgets($s);
    """
    shop.run(["php", "-r", source])
    (mail,) = [mail for mail in shop.mail() if mail.step == "smtp"]
    assert (mail.recipients, mail.subject, mail.body.strip()) == (("far@away.example",), "by smtp", "body")


def test_no_planted_personal_data_is_left_in_declared_columns_and_joins_still_work(shop: StackHandle) -> None:
    text = "\n".join(
        "\t".join(row)
        for statement in (
            "SELECT user_email FROM sh_users",
            "SELECT * FROM sh_orders",
            "SELECT v FROM sh_meta WHERE id = 1",
        )
        for row in shop.sql(statement)
    )
    assert [planted for planted in PLANTED if planted in text] == []
    assert shop.sql("SELECT u.ID, o.id FROM sh_users u JOIN sh_orders o ON o.email = u.user_email ORDER BY 1") == [
        ("1", "1"),
        ("3", "3"),
    ]
    assert shop.sql("SELECT m.v = u.user_email FROM sh_meta m, sh_users u WHERE m.id = 1 AND u.ID = 3") == [("1",)]
    assert shop.sql("SELECT user_login FROM sh_users WHERE ID = 1") == [("admin",)], (
        "the administrator keeps the login name"
    )
    assert shop.sql("SELECT DISTINCT seen FROM sh_users") == [("2020-01-02 03:04:05",)], "scrubbing is no edit"
    ((phone, name, note),) = shop.sql("SELECT phone, name, note FROM sh_orders WHERE id = 1")
    assert [index for index, sign in enumerate(phone) if not sign.isdigit()] == [0, 2, 3, 7, 8, 12, 15]
    assert name.endswith(" Пробный")
    assert note == "xxxxxxx xxxxx 00000000000"
    assert shop.sql("SELECT email, phone FROM sh_orders WHERE id = 2") == [("NULL", "")]


def test_the_search_names_columns_that_nobody_declared(shop: StackHandle) -> None:
    found = {(place.table, place.column, place.kind, place.rows) for place in shop.remaining_personal}
    assert found == {("sh_meta", "v", "email", 1), ("sh_meta", "v", "phone", 1)}


def test_the_site_s_user_may_nothing_outside_its_database(shop: StackHandle) -> None:
    for statement in (
        "SELECT * FROM mysql.global_priv",
        "CREATE DATABASE more",
        "SELECT LOAD_FILE('/etc/passwd') IS NULL OR 1/0",
        "SET GLOBAL max_connections = 5",
    ):
        if "LOAD_FILE" in statement:
            assert shop.sql("SELECT LOAD_FILE('/etc/passwd')") == [("NULL",)]
            continue
        with pytest.raises(CommandFailed):
            shop.sql(statement)


def test_sql_gives_values_back_as_they_are(shop: StackHandle) -> None:
    assert shop.sql("SELECT v, NULL FROM sh_meta WHERE id = 4") == [("tab\there\nline \\ slash", "NULL")]


def test_schema_and_checksums_cover_the_site_s_own_tables_and_ignore_the_counter(shop: StackHandle) -> None:
    schema = shop.schema()
    assert set(schema) == set(shop.checksums()) == {"sh_users", "sh_orders", "sh_meta"}
    shop.sql("ALTER TABLE sh_users AUTO_INCREMENT = 500")
    assert shop.schema() == schema


def test_row_hashes_leave_out_what_changes_by_itself(shop: StackHandle) -> None:
    hashes = shop.row_hashes("sh_meta", ["k = 'free text'", "k IS NULL"])
    assert set(hashes) == {"1", "3", "4"}
    assert len(set(hashes.values())) == 3


def test_the_shell_runs_reads_and_writes_as_the_web_user(shop: StackHandle, tmp_path: Path) -> None:
    assert shop.run(["printf", "%s", "a b'\"$x\n"]).text == "a b'\"$x\n"
    assert shop.run(["cat"], stdin=b"\x00\xff" * 500_000).stdout == b"\x00\xff" * 500_000
    assert shop.run(["sh", "-c", "echo $ONE; id -un; pwd"], env={"ONE": "1"}).text.split() == ["1", "web", DOCROOT]
    shop.write(f"{DOCROOT}/new.txt", b"new", 0o640)
    assert shop.read(f"{DOCROOT}/new.txt") == b"new"
    assert shop.run(["stat", "-c", "%a %U", "new.txt"]).text.strip() == "640 web"
    with pytest.raises(FileNotFoundError):
        shop.read(f"{DOCROOT}/none.txt")
    package = tmp_path / "package.zip"
    package.write_bytes(b"zip" * 1_000_000)
    shop.put(package, "/tmp/package.zip")
    assert shop.read("/tmp/package.zip") == package.read_bytes()
    with (tmp_path / "out").open("wb") as out, package.open("rb") as source:
        shop.stream(["cat"], out, stdin=source)
    assert (tmp_path / "out").read_bytes() == package.read_bytes()


def test_a_failing_and_an_endless_command_say_so(shop: StackHandle) -> None:
    with pytest.raises(CommandFailed, match="exit code 3") as failed:
        shop.run(["sh", "-c", "echo told >&2; exit 3"])
    assert failed.value.cause == "told"
    assert shop.run(["false"], check=False).exit_code == 1
    begun = time.monotonic()
    with pytest.raises(CommandFailed, match="did not end within 1 s"):
        shop.run(["sleep", "60"], timeout=1)
    assert time.monotonic() - begun < 10
    assert "sleep" not in shop.run(["sh", "-c", "cat /proc/[0-9]*/comm"], check=False).text


def test_a_restored_checkpoint_is_exact_in_files_and_database_and_serves_no_stale_code(
    shop: StackHandle, folder: Path
) -> None:
    listing = [
        "sh",
        "-c",
        "find . -printf '%p %y %m %u %s %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum",
    ]
    address, before, rows, sums = (
        shop.stack.address,
        shop.run(listing).text,
        shop.sql("SELECT * FROM sh_meta"),
        shop.checksums(),
    )
    assert get(shop, "/code/version.php")[1] == "one"
    shop.checkpoint("clean")
    assert shop.run(listing).text == before
    # Whose a file is here was no change of the shop's: such a copy of a large shop took most of a checkpoint's time.
    copied = 'found=$(find /checkpoints -path \'*/files/*\' -name ini.php) && [ -z "$found" ] && [ -n "$(find /checkpoints -type d -name files)" ]'
    files.helper(shop._client, shop._names, shop.stack.image, copied, {shop._names.of("checkpoints"): "/checkpoints"})

    shop.run(["mv", "code", "code.old"])
    shop.run(["mkdir", "code"])
    shop.write(f"{DOCROOT}/code/version.php", b"<?php echo 'two';", 0o644)
    shop.run(["rm", "-r", "fetch.php", "code.old/old"])
    shop.run(["ln", "-s", "index.php", "link"])
    shop.sql("DROP TABLE sh_orders; UPDATE sh_meta SET v = 'x'; CREATE TABLE sh_more (id int)")
    assert get(shop, "/code/version.php")[1] == "two"
    shop.checkpoint("updated")

    shop.restore("clean")
    assert shop.run(listing).text == before
    assert (shop.sql("SELECT * FROM sh_meta"), shop.checksums()) == (rows, sums)
    assert get(shop, "/code/version.php")[1] == "one"
    shop.restore("updated")
    assert get(shop, "/code/version.php")[1] == "two"
    assert "sh_more" in shop.schema()
    shop.restore("clean")
    assert shop.run(listing).text == before
    assert shop.stack.address == address
    print("seconds", shop.timings)
    assert (folder / "mirror" / "code" / "version.php").read_text() == "<?php echo 'one';", (
        "the mirror is never written"
    )
    assert not (folder / "mirror" / "link").is_symlink()


def test_restoring_what_was_never_saved_fails_and_leaves_the_shop_up(shop: StackHandle) -> None:
    with pytest.raises(StagingFailed):
        shop.restore("never")
    assert get(shop, "/")[1] == "home of 3"


def test_limits_hold_and_no_container_has_a_way_to_the_network_s_settings(shop: StackHandle) -> None:
    client = docker.from_env()
    for name in (shop.stack.web, shop.stack.database):
        host = client.containers.get(name).attrs["HostConfig"]
        assert (host["Memory"], host["PidsLimit"], host["NanoCpus"]) == (768 * 1024 * 1024, 400, 2_000_000_000)
        assert host["CapDrop"] == ["ALL"]
        assert not {"NET_ADMIN", "NET_RAW", "SYS_ADMIN"} & {name.removeprefix("CAP_") for name in host["CapAdd"]}
    assert client.networks.get(shop.stack.network).attrs["Internal"]
    assert all(bytes_used > 1_000_000 for bytes_used in shop.peak_memory().values())
    client.close()


def left_of(run: str) -> list[str]:
    client = docker.from_env()
    filters = {"label": f"updater.run={run}"}
    left = [
        *client.containers.list(all=True, filters=filters),
        *client.networks.list(filters=filters),
        *client.volumes.list(filters=filters),
    ]
    client.close()
    return [thing.name for thing in left]


def test_everything_is_gone_after_close_and_seen_before(tmp_path: Path) -> None:
    run = run_name("gone")
    site, snapshot = make_site(tmp_path, basic_auth=BasicAuth("guest", "let-me-in-77")), make_snapshot(tmp_path, run)
    with (snapshot.files / ".htaccess").open("a") as rules:
        rules.write("AuthType Basic\nAuthName soon\nAuthUserFile /home/shop/.htpasswd\nRequire valid-user\n")
    with stage(site, snapshot, make_layout(), Silent()) as handle:
        assert get(handle, "/pretty")[:2] == (200, "one"), "no password is asked, and the rest of it counts"
        handle.checkpoint("one")
        assert len(left_of(run)) == 3 + 1 + 5
    assert left_of(run) == []


@pytest.mark.parametrize(
    ("dump", "words"),
    [
        (DUMP + "INSERT INTO nowhere VALUES (1);\n", "nowhere"),
        ("\\! touch /tmp/owned\n" + DUMP, "Unknown command"),
        (DUMP + "INSERT INTO sh_users VALUES (9,'x','\n\\! touch /tmp/owned\nsource /etc/passwd\n", "syntax"),
    ],
)
def test_a_failing_import_says_why_and_leaves_nothing_behind(tmp_path: Path, dump: str, words: str) -> None:
    run = run_name("bad")
    with pytest.raises(StagingFailed) as failed:
        stage(make_site(tmp_path), make_snapshot(tmp_path, run, dump), make_layout(), Silent())
    assert words in failed.value.cause
    assert PASSWORD not in str(failed.value)
    assert left_of(run) == []


def test_client_commands_inside_a_dump_run_nothing(tmp_path: Path) -> None:
    """Lines that look like client commands inside a value are data; a comment that switches the sandbox on is none."""
    dump = (
        "/*M!999999\\- enable the sandbox mode */\n"
        + DUMP
        + "INSERT INTO sh_meta VALUES (9,'hostile','\n\\! touch /tmp/owned\n');\n-- \\! touch /tmp/owned\n"
    )
    run = run_name("hostile")
    with stage(make_site(tmp_path), make_snapshot(tmp_path, run, dump), make_layout(), Silent()) as handle:
        assert handle.sql("SELECT v FROM sh_meta WHERE id = 9") == [("\n! touch /tmp/owned\n",)]
        client = docker.from_env()
        assert client.containers.get(handle.stack.database).exec_run(["test", "-e", "/tmp/owned"]).exit_code == 1
        client.close()


def test_a_dump_without_one_of_production_s_tables_is_refused(tmp_path: Path) -> None:
    run = run_name("half")
    snapshot = make_snapshot(tmp_path, run)
    with pytest.raises(StagingFailed, match="every table") as failed:
        stage(
            make_site(tmp_path),
            replace(snapshot, tables={"sh_users": "", "sh_lost": ""}),
            make_layout(),
            Silent(),
        )
    assert "sh_lost" in failed.value.cause
    assert left_of(run) == []


SOFTWARE = """<?php
$redis = new Redis();
$redis->connect('cache.internal.example', 6380);
$told = array($_SERVER['SERVER_SOFTWARE'], PHP_SAPI, __DIR__, $redis->auth(array('shop', %s)), $redis->get('seen'));
$redis->set('seen', 'kept');
echo json_encode($told);
"""


def test_production_s_nginx_and_redis_have_their_twins(tmp_path: Path) -> None:
    run = make_snapshot(tmp_path, run_name("nginx"))
    (run.files / "software.php").write_text(SOFTWARE % ("'" + PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "'"))
    extensions = (*run.platform.php_extensions, "igbinary", "redis")
    run = replace(
        run,
        platform=replace(
            run.platform, web_server="nginx/1.22.1", web_docroot="/home/u77/httpdocs", php_extensions=extensions
        ),
    )
    cache = ObjectCache("cache.internal.example", 6380, user="shop", password=PASSWORD, database=20)
    layout = replace(make_layout(), front="/index.php?$args", object_cache=cache)
    with stage(make_site(tmp_path), run, layout, Silent()) as shop:
        assert get(shop, "/pretty/address/")[1] == "home of 3", "by index.php, as .htaccess is not read"
        assert get(shop, "/code/old/deep.txt")[1] == "deep"
        assert get(shop, "/.htaccess")[0] == 403
        headers = get(shop, "/", host="www.shop.example", tls=True)[2]
        assert (headers["x-host"], headers["x-https"]) == ("www.shop.example", "on")
        for kept in (False, "kept"):
            software, *told = json.loads(get(shop, "/software.php")[1])
            assert software.startswith("nginx/")
            assert told == ["fpm-fcgi", "/home/u77/httpdocs", True, kept], (
                "as production's web sees it, and not its ssh user"
            )
        memory, upload, *_ = json.loads(get(shop, "/ini.php")[1])
        assert (memory, upload) == ("77M", "3M")
        shop.checkpoint("one")
        assert json.loads(get(shop, "/software.php")[1])[4] is False, "nothing in it is older than the checkpoint"


def test_a_mirror_that_no_overlay_takes_is_copied(tmp_path: Path) -> None:
    """A comma ends an overlay option: such a mirror goes the other way, and everything holds there too."""
    folder = tmp_path / "a,b"
    folder.mkdir()
    progress = Saying()
    with stage(make_site(folder), make_snapshot(folder, run_name("copy")), make_layout(), progress) as handle:
        assert any("copying the files" in line for line in progress.lines)
        assert get(handle, "/")[1] == "home of 3"
        handle.checkpoint("one")
        handle.run(["rm", "-r", "code"])
        handle.restore("one")
        assert get(handle, "/code/version.php")[1] == "one"
        handle.write(f"{DOCROOT}/code/version.php", b"<?php echo 'two';")
    assert (folder / "mirror" / "code" / "version.php").read_text() == "<?php echo 'one';"


def test_clean_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    run = run_name("killed")
    handle = stage(make_site(tmp_path), make_snapshot(tmp_path, run), make_layout(), Silent())
    handle._client.close()
    assert not any(run in name for name in stack.clean(Silent())), "its process lives: only its own name removes it"
    removed = stack.clean(Silent(), run)
    assert len(removed) == 3 + 1 + 5
    assert left_of(run) == []


def test_without_docker_the_error_names_the_command_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    with pytest.raises(StagingFailed) as failed:
        stage(make_site(tmp_path), make_snapshot(tmp_path, "never"), make_layout(), Silent())
    assert "scripts/bootstrap" in failed.value.hint
    assert "dead.sock" in failed.value.where
