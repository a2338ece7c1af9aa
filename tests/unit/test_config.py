"""site.yml: what is accepted, and that every mistake is reported at once, with its line and a hint, and no secret."""

from __future__ import annotations

import base64
import re
import textwrap
from datetime import date, time, timedelta
from pathlib import Path

import git
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from updater import config, model
from updater.errors import ConfigError, ExitCode
from updater.secrets import redact

HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()

MINIMAL = """\
site: demo-shop
url: https://shop.example
server: {host: shop.example, user: deploy}
docroot: /var/www/shop
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything that a full site.yml names."""
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA me\n")
    (tmp_path / "known_hosts").write_text(f"shop.example {HOST_KEY}\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "password").write_text("from-the-file-42\n")
    (tmp_path / "packages").mkdir()
    (tmp_path / "smoke_tests").mkdir()
    (tmp_path / "smoke_tests" / "test_wishlist.py").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "payment.yml").write_text(
        'status: 201\nheaders: {X-Id: 7}\nbody: {id: "5", to: "https://pay.example/?b={request.amount}"}\n'
    )
    (tmp_path / "recordings" / "paid.yml").write_text('path: /?wc-api=pay\nbody: "order={order.id}"\n')
    return tmp_path


def load(folder: Path, text: str, **environ: str) -> model.Site:
    path = folder / "site.yml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return config.load(path, environ)


def mistakes(folder: Path, text: str, **environ: str) -> list[str]:
    """The reported lines, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "updater check" in caught.value.hint or "updater init" in caught.value.hint
    return caught.value.what.replace(f"{folder}/", "").split("\n")


def mistake(folder: Path, line: str) -> str:
    """The only mistake of a minimal site.yml with this line more, or instead of the line with the same key."""
    key = line.split(":")[0]
    kept = [old for old in MINIMAL.splitlines() if old.split(":")[0] != key]
    (only,) = mistakes(folder, "\n".join([*kept, line]))
    prefix, separator, message = only.partition(f"site.yml:{len(kept) + 1}: ")
    assert not prefix and separator, only
    return message


def accept(folder: Path, line: str, **environ: str) -> model.Site:
    key = line.split(":")[0]
    kept = [old for old in MINIMAL.splitlines() if old.split(":")[0] != key]
    return load(folder, "\n".join([*kept, line]), **environ)


POLICY_KEYS = ", ".join(config._Policy.model_fields)

# ------------------------------------------------------------------------------------------------------ accepted


def test_a_minimal_file_takes_every_default_of_the_model(folder: Path) -> None:
    assert load(folder, MINIMAL) == model.Site(
        name="demo-shop",
        server=model.Server(host="shop.example", user="deploy"),
        docroot="/var/www/shop",
        url="https://shop.example",
        hosts=("shop.example",),
        config=folder / "site.yml",
    )


FULL = f"""\
site: demo-shop
url: https://Магазин.рф:8443/shop/
hosts: [www.shop.example, магазин.рф, чай.магазин.рф]
address: 172.30.0.2
tls_ca: ca.pem
server:
  host: 172.30.0.2
  user: deploy
  port: 2222
  key: key
  password: ${{SHOP_PASSWORD}}
  host_key: {HOST_KEY} root@shop
  known_hosts: known_hosts
  work: .updater-work
docroot: /var/www/shop/
cms: auto
php: /usr/bin/php8.2
sources: {{folders: [packages], online: no, api: "https://api.example/", downloads: "https://d.example"}}
pages: [/, "/shop/?orderby=price"]
discover: false
flows:
  - name: checkout
    product: /product/tea/
    fill: {{"#billing_phone": +79001234567, "#billing_postcode": 0123, "#note": no, "#empty": "", "#vat": "${{VAT}}"}}
    close: [".cookie button"]
    selectors: {{add_to_cart: button.buy}}
  - name: wholesale
orders: {{table: shop_orders, id: id, total: total, email: email, created: created_at}}
smoke_tests: smoke_tests
viewports: {{desktop: 1366x768, mobile: 375x812}}
masks:
  - {{selector: ".feed", page: "/blog/*"}}
  - selector: .stock
thresholds: {{changed: 0.1%, masked: 0.5}}
calls: [api.payments.example]
clone: {{bandwidth: 4096, nice: off, exclude: [backups/], scrub: [customers.phone]}}
stack: {{image: "registry.example/php:8.2", memory: 512m, cpus: 1.5, processes: 200}}
policy: {{approve: patch, expires: 36h, hold: {{slider: needs a licence}}, accept_nearest_stack: true}}
promote: {{max_closed: 5m, drain: 1m30s, deadline: 10m}}
notify: ["${{TELEGRAM_URL}}", "tgram://${{TELEGRAM_TOKEN}}/42"]
"""

ENVIRON = {
    "SHOP_PASSWORD": "hunter2-and-more",
    "TELEGRAM_URL": "tgram://123456789abc/secret-chat-77",
    "TELEGRAM_TOKEN": "987654321xyz",
    "VAT": "DE-VAT-123456",
}


def test_every_setting_arrives_in_the_site_with_its_type(folder: Path) -> None:
    site = load(folder, FULL, **ENVIRON)
    assert site.url == "https://xn--80aairftm.xn--p1ai:8443/shop"
    assert site.hosts == ("xn--80aairftm.xn--p1ai", "www.shop.example", "xn--80as4b.xn--80aairftm.xn--p1ai")
    assert site.address == "172.30.0.2"
    assert site.tls_ca == folder / "ca.pem"
    assert site.server == model.Server(
        host="172.30.0.2",
        user="deploy",
        port=2222,
        key=folder / "key",
        password="hunter2-and-more",
        host_key=HOST_KEY,
        known_hosts=folder / "known_hosts",
        work=".updater-work",
    )
    assert site.docroot == "/var/www/shop"
    assert site.php == "/usr/bin/php8.2"
    assert site.sources == model.Sources((folder / "packages",), False, "https://api.example", "https://d.example")
    assert site.pages == ("/", "/shop/?orderby=price")
    assert site.discover is False
    assert site.flows == (
        model.Flow(
            "checkout",
            "/product/tea/",
            {
                "#billing_phone": "+79001234567",
                "#billing_postcode": "0123",
                "#note": "no",
                "#empty": "",
                "#vat": "DE-VAT-123456",
            },
            (".cookie button",),
            {"add_to_cart": "button.buy"},
        ),
        model.Flow("wholesale"),
    )
    assert site.orders == model.OrderTable("shop_orders", "id", "total", "email", "created_at")
    assert site.smoke_tests == folder / "smoke_tests"
    assert site.viewports == (model.DESKTOP, model.MOBILE)
    assert site.masks == (model.Mask(".feed", "/blog/*"), model.Mask(".stock"))
    assert site.thresholds == model.Thresholds(0.001, 0.5)
    assert site.calls == ("api.payments.example",)
    assert site.clone == model.CloneSettings(4096, False, ("backups/",), ("customers.phone",))
    assert site.stack == model.StackSettings("registry.example/php:8.2", "512m", 1.5, 200)
    assert site.policy == model.Policy(
        model.Approve.PATCH, timedelta(hours=36), {"slider": model.Hold("needs a licence")}, accept_nearest_stack=True
    )
    assert site.promote == model.PromoteSettings(300, 90, 600)
    assert site.notify == (ENVIRON["TELEGRAM_URL"], "tgram://987654321xyz/42")
    assert site.state == folder / ".updater"


def test_international_names_become_punycode_as_browsers_do_it(folder: Path) -> None:
    site = accept(folder, "url: http://ПРИМЕР.испытание")
    assert site.url == "http://xn--e1afmkfd.xn--80akhbyknj4f"
    assert accept(folder, "url: https://straße.example").url == "https://xn--strae-oqa.example"


def test_a_page_may_stand_under_another_of_the_site_s_names(folder: Path) -> None:
    site = load(
        folder,
        "url: https://shop.example\nhosts: [en.shop.example, магазин.example]\n"
        + "\n".join(line for line in MINIMAL.splitlines() if not line.startswith("url:"))
        + "\npages: [/a/, 'https://EN.shop.example', 'https://shop.example/b?c=1', 'https://магазин.example/x/']\n",
    )
    assert site.pages == ("/a/", "https://en.shop.example/", "/b?c=1", "https://xn--80aairftm.example/x/")


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("https://other.example/", "other.example is none of the site's names: add it to hosts"),
        ("http://shop.example/", "must begin with https://"),
        ("https://shop.example:8443/", "have the port of `url`"),
        ("shop/", "must be a path on the site"),
        ("https://shop.example:99999/", "pages[0]: is not a URL"),
        ("https://[shop/", "pages[0]: is not a URL"),
        ("https://-shop-/", "-shop- is not a host name"),
    ],
)
def test_a_page_of_nobody_we_know_is_a_mistake(folder: Path, page: str, why: str) -> None:
    kept = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith("url:"))
    with pytest.raises(ConfigError, match=re.escape(why)):
        load(folder, f"url: https://shop.example\n{kept}\npages: ['{page}']\n")


def test_what_the_web_server_asks_for_is_a_secret(folder: Path) -> None:
    site = accept(folder, "basic_auth: {user: guest, password: '${GUEST}'}", GUEST="let-me-in-77")
    assert site.basic_auth == model.BasicAuth("guest", "let-me-in-77")
    assert site.basic_auth.header == "Basic Z3Vlc3Q6bGV0LW1lLWluLTc3"
    assert "let-me-in-77" not in repr(site)
    assert redact("let-me-in-77") == "[redacted]"
    with pytest.raises(ConfigError, match=r"must not stand in site\.yml"):
        accept(folder, "basic_auth: {user: guest, password: let-me-in-77}")


def test_a_key_without_a_value_takes_the_default(folder: Path) -> None:
    site = load(folder, MINIMAL + "address:\npolicy:\nflows:\n")
    assert (site.address, site.policy, site.flows) == (None, model.Policy(), (model.Flow(),))


def test_paths_are_relative_to_site_yml_and_not_to_the_current_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "site.yml").write_text(MINIMAL + "tls_ca: ca.pem\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert config.load(folder / "site.yml", {}).tls_ca == folder / "ca.pem"
    monkeypatch.chdir(folder)
    site = config.load(Path("site.yml"), {})
    assert (site.config, site.tls_ca) == (folder / "site.yml", folder / "ca.pem")


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(folder: Path) -> None:
    (folder / "site.yml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert config.load(folder / "site.yml", {}).docroot == "/var/www/shop"


# ------------------------------------------------------------------------------------------------------ mistakes


def test_five_mistakes_are_reported_together_in_the_order_of_their_lines(folder: Path) -> None:
    assert mistakes(
        folder,
        """\
        site: demo-shop
        url: shop.example
        server:
          host: shop.example
          user: deploy
          port: many
        docroot: var/www
        flows:
          - name: checkout
            viewport: mobile
        polcy: {approve: ask}
        """,
    ) == [
        "site.yml:2: url: must start with http:// or https:// and name a host, like https://shop.example",
        "site.yml:6: server.port: must be a whole number",
        "site.yml:7: docroot: must be an absolute path on the server, like /var/www/shop",
        'site.yml:10: flows[0].viewport: unknown key; did you mean "viewports"? It belongs at the top level, without indent',
        'site.yml:11: polcy: unknown key; did you mean "policy"?',
    ]


def test_missing_keys_are_named_and_an_empty_one_has_its_line(folder: Path) -> None:
    assert mistakes(folder, "site: x\n\nserver:\n  user: deploy\ndocroot:\n") == [
        "site.yml:1: url: missing",
        "site.yml:3: server.host: missing",
        "site.yml:5: docroot: has no value",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hostz: [a.example]", 'hostz: unknown key; did you mean "hosts"?'),
        ("approve: ask", 'approve: unknown key; did you mean "approve"? It belongs under `policy:`'),
        (
            "policy: {xyzzy: 1}",
            f"policy.xyzzy: unknown key; known here: {POLICY_KEYS}",
        ),
        (
            'policy: {"[key]": 1}',
            f'policy["[key]"]: unknown key; known here: {POLICY_KEYS}',
        ),
    ],
)
def test_an_unknown_key_comes_with_the_one_that_was_meant(folder: Path, line: str, message: str) -> None:
    assert mistake(folder, line) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("site: ../shop", "site: must be letters, digits, . _ - (at most 63)"),
        ("site: ''", "site: is empty"),
        ("site: [a]", "site: must be one value, not a list or a mapping"),
        ("url: ftp://shop.example", "url: must start with http:// or https://"),
        ("url: https://", "url: must start with http:// or https://"),
        ("url: https://me:pw@shop.example", "url: must not hold a user name or password"),
        ("url: https://shop.example/?a=b", "url: must end before ? and #"),
        ("url: https://shop.example:99999", "url: is not a URL"),
        ("url: https://[::1", "url: is not a URL"),
        ("url: https://shop example", "url: shop example is not a host name"),
        ("url: https://${HOST}", "url: ${…} is read only in"),
        (
            "hosts: ['https://www.shop.example/']",
            'hosts[0]: must be a name only, without https:// or a path; did you mean "www.shop.example"?',
        ),
        ("hosts: ['shop.example:443']", "hosts[0]: must be a name only, without a port"),
        ("hosts: ['*.shop.example']", "hosts[0]: must be one name, without *"),
        ("hosts: www.shop.example", "hosts: must be a list, like [first, second]"),
        ("hosts: [www.shop.example, ]\n", None),
        ("hosts: [~]", "hosts[0]: has no value"),
        ("address: shop.example", "address: must be an IP address, like 203.0.113.7"),
        ("tls_ca: nowhere.pem", "tls_ca: there is no file "),
        ("tls_ca: key", "holds no certificate in PEM form"),
        ("server: deploy@shop.example", "server: must hold `name: value` pairs"),
        ("server: {host: -oProxyCommand=x, user: deploy}", "server.host: -oProxyCommand=x is not a host name"),
        ("server: {host: a, user: -l}", "server.user: must be a user name on the server"),
        ("server: {host: a, user: b, port: 0}", "server.port: must be at least 1"),
        ("server: {host: a, user: b, port: 65536}", "server.port: must be at most 65535"),
        ("server: {host: a, user: b, port: 99999999999999999999999999}", "server.port: must be "),
        ("server: {host: a, user: b, key: nokey}", "server.key: there is no file "),
        ("server: {host: a, user: b, key: packages}", "server.key: there is no file "),
        ("server: {host: a, user: b, key: key.pub}", "is a public key; name the private one (key)"),
        ("server: {host: a, user: b, key: ca.pem}", "is not a private ssh key"),
        (
            "server: {host: a, user: b, key: ~nobody-at-all/k}",
            "server.key: ~nobody-at-all/k is not a path on this machine",
        ),
        (f"server: {{host: a, user: b, key: {'k' * 300}}}", "server.key: there is no file "),
        ("server: {host: a, user: b, known_hosts: no}", "server.known_hosts: there is no file "),
        ("server: {host: a, user: b, host_key: 'SHA256:abc'}", "server.host_key: is a fingerprint; must be like"),
        (f"server: {{host: a, user: b, host_key: {HOST_KEY[:-8]}}}", "server.host_key: the key is cut or mistyped"),
        (f"server: {{host: a, user: b, host_key: shop {HOST_KEY}}}", "server.host_key: must be like"),
        (
            f"server: {{host: a, user: b, host_key: {HOST_KEY.replace('ssh-ed25519', 'ssh-rsa')}}}",
            "server.host_key: the key is cut",
        ),
        ("server: {host: a, user: b, work: ../x}", "server.work: must be a folder below the user's home"),
        ("docroot: /", "docroot: must not be the whole server"),
        ("docroot: /var/../etc", "docroot: must not hold .."),
        ("php: php -n", "php: must be a program like /usr/bin/php8.2"),
        ("sources: {folders: [nowhere]}", "sources.folders[0]: there is no folder "),
        ("sources: {folders: [key]}", "sources.folders[0]: there is no folder "),
        ("sources: {online: maybe}", "sources.online: must be true or false"),
        ("sources: {api: api.example}", "sources.api: must start with http:// or https://"),
        ("pages: [shop]", "pages[0]: must be a path on the site, like /shop/"),
        ("pages: [//evil.example]", "pages[0]: must be a path on the site"),
        ("flows: []", "flows: must not be empty; leave the key out for the default"),
        ("flows: [{name: a}, {name: a}]", "flows: the name a is used twice"),
        ("flows: [{}, {name: checkout}]", "flows: the name checkout is used twice"),
        ('flows: [{fill: {"#a": [b]}}]', 'flows[0].fill["#a"]: must be one value'),
        ('flows: [{fill: {"#a": }}]', 'flows[0].fill["#a"]: has no value'),
        ("orders: {table: 'a; DROP', id: id, total: t, email: e}", "orders.table: must be a name of a table or column"),
        ("orders: {table: a, id: id, total: t}", "orders.email: missing"),
        ("smoke_tests: empty", "holds no test_*.py"),
        ("viewports: {}", "viewports: must not be empty"),
        ("viewports: {desktop: big}", "viewports.desktop: must be WIDTHxHEIGHT in pixels, like 1366x768"),
        ("viewports: {desktop: 10x10}", "viewports.desktop: must be between 200x200 and 8000x8000 pixels"),
        ("viewports: {'a b': 800x600}", 'viewports["a b"]: must be letters'),
        ("thresholds: {changed: 5}", "thresholds.changed: must lie between 0 and 1"),
        ("thresholds: {changed: few}", "thresholds.changed: must be a share like 0.001 or 0.1%"),
        ("thresholds: {masked: [1]}", "thresholds.masked: must be a share like"),
        ("clone: {bandwidth: 0}", "clone.bandwidth: must be at least 1"),
        ("clone: {scrub: [phone]}", "clone.scrub[0]: must be table.column"),
        ("stack: {memory: lots}", "stack.memory: must be a size like 512m or 1g"),
        ("stack: {cpus: nan}", "stack.cpus: must be a number"),
        ("stack: {cpus: 0}", "stack.cpus: must be more than 0"),
        ("policy: {approve: maybe}", "policy.approve: must be one of: 'never', 'ask', 'patch' or 'passed'"),
        ("policy: {expires: 7}", "policy.expires: must be a time with its unit: 30s, 5m, 2h, 7d or 1h30m"),
        ("policy: {expires: 0s}", "policy.expires: must be between 1s and 3650d"),
        ("policy: {windows: Mon-Thu}", "policy.windows: must be a list"),
        (
            "policy: {windows: [always]}",
            "policy.windows[0]: must be days, hours and a time zone, like Mon-Thu 10:00-16:00",
        ),
        (
            "policy: {windows: ['Mon-Thu 10:00-16:00']}",
            "policy.windows[0]: must end with a time zone, like Europe/Moscow",
        ),
        (
            "policy: {windows: ['Mon 10:00-16:00 Europe/Moskow']}",
            "policy.windows[0]: Europe/Moskow is no time zone; did you mean Europe/Moscow?",
        ),
        ("policy: {windows: ['Mon 10:00-16:00 ../../etc/passwd']}", "../../etc/passwd is no time zone"),
        (
            "policy: {windows: ['Mo-Do 10:00-16:00 UTC']}",
            "policy.windows[0]: Mo-Do is no day of the week; write Mon, Tue",
        ),
        (
            "policy: {windows: ['Mon 10:00-25:00 UTC']}",
            "policy.windows[0]: 25:00 is no time of day; write it like 09:30",
        ),
        (
            "policy: {freezes: [{first: soon, last: 2027-01-10, reason: x}]}",
            "freezes[0].first: must be a day like 2026-12-31",
        ),
        ("policy: {freezes: [{first: 2027-01-10, last: 2026-12-20, reason: x}]}", "freezes[0]: ends before it begins"),
        ("policy: {freezes: [{first: 2026-12-20, last: 2027-01-10}]}", "policy.freezes[0].reason: missing"),
        ("policy: {minimum_age: 400d}", "policy.minimum_age: must be at most 365d"),
        ("policy: {minimum_age: a week}", "policy.minimum_age: must be a time with its unit"),
        ("policy: {hold: {slider: {until: 2027-01-01}}}", "policy.hold.slider.reason: missing"),
        ("policy: {hold: {slider: {reason: x, until: 31.12.2026}}}", "policy.hold.slider.until: must be a day like"),
        ("policy: {hold: {slider: {reason: x, untill: 1}}}", 'hold.slider.untill: unknown key; did you mean "until"?'),
        ("policy: {hold: {slider: [x]}}", "policy.hold.slider: must hold `name: value` pairs"),
        ("policy: {pin: {slider: '2.0'}}", "policy.pin.slider.reason: missing"),
        ("policy: {advisories: nowhere.json}", "policy.advisories: there is no file "),
        ("policy: {advisories: 'ftp://x/feed'}", "policy.advisories: must start with http:// or https://"),
        ("promote: {drain: soon}", "promote.drain: must be a time with its unit"),
        ("promote: {deadline: 80s}", "promote.deadline: must be 90s or longer"),
        ("backup: {places: {here: b}}", "backup.password: missing"),
        ("backup: {password: plain-word, places: {here: b}}", "backup.password: a password must not stand in site.yml"),
        (
            "backup: {password: '${WORD}', places: {here: b}}",
            "backup.password: the environment variable WORD is not set",
        ),
        ("backup: {password: {file: password}}", "backup.places: missing"),
        ("backup: {password: {file: password}, places: {}}", "backup.places: must not be empty"),
        (
            "backup: {password: {file: password}, places: {a: b, c: ./b}}",
            "backup.places: two of these are the same place",
        ),
        (
            "backup: {password: {file: password}, places: {a: 'ftp://x/y'}}",
            "backup.places.a: must be a folder, or an address",
        ),
        (
            "backup: {password: {file: password}, places: {a: 'rest:https://me:pass@x/'}}",
            "backup.places.a: a password must not stand in site.yml",
        ),
        ("backup: {password: {file: password}, places: {a: b}, daily: 0}", "backup.daily: must be at least 1"),
        (
            "backup: {password: {file: password}, places: {a: b}, environment: {'a b': c}}",
            'backup.environment["a b"]: must be a variable',
        ),
        ("notify: tgram://x", "notify: must be a list"),
        ("notify: [me]", "notify[0]: must be an Apprise address"),
    ],
)
def test_each_value_is_checked_and_the_message_says_what_is_wanted(
    folder: Path, line: str, message: str | None
) -> None:
    if message is None:
        accept(folder, line)
    else:
        assert message in mistake(folder, line)


def test_a_work_folder_that_the_web_would_serve_is_refused(folder: Path) -> None:
    text = MINIMAL.replace("deploy}", "deploy, work: /var/www/shop/.updater}")
    (only,) = mistakes(folder, text)
    assert only.startswith("site.yml:4: docroot: holds server.work, which anyone could then read")


# ------------------------------------------------------------------------------------------------ broken as YAML


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["site.yml:1: the file is empty; write one with `updater init`"]),
        ("# only a comment\n", ["site.yml:1: the file is empty; write one with `updater init`"]),
        ("- a\n- b\n", ["site.yml:1: the file must hold `key: value` lines, like `site: my-shop`"]),
        ("\njust words\n", ["site.yml:2: the file must hold `key: value` lines, like `site: my-shop`"]),
        (
            "site: a\nserver:\n\thost: b\n\tuser: c\n",
            [f"site.yml:{line}: indented with a tab; YAML takes spaces only" for line in (3, 4)],
        ),
        ("site: a\nurl: [b\n", ["site.yml:3: this is not YAML: expected ',' or ']', but got '<stream end>'"]),
        ("site: a\n---\nsite: b\n", ["site.yml:2: this is not YAML: but found another document"]),
        ("site: a\nb: \x07\n", ["site.yml:2: a character that YAML does not allow"]),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_told_with_its_line(folder: Path, text: str, expected: list[str]) -> None:
    assert mistakes(folder, text) == expected


def test_a_file_in_another_encoding_is_told_with_its_line(folder: Path) -> None:
    (folder / "site.yml").write_bytes("site: a\n# Магазин".encode("cp1251"))
    with pytest.raises(ConfigError, match=r"site\.yml:2: not UTF-8"):
        config.load(folder / "site.yml", {})


def test_duplicate_keys_are_refused_with_both_lines(folder: Path) -> None:
    assert mistakes(folder, MINIMAL + "cms: auto\npolicy: {approve: ask, approve: passed}\ncms: other\n") == [
        "site.yml:6: policy.approve: written twice, first in line 6",
        "site.yml:7: cms: written twice, first in line 5",
    ]


@pytest.mark.parametrize(
    "value", ["!!python/object/apply:os.system ['touch hacked']", "!!python/name:os.system", "!!set {a}"]
)
def test_yaml_tags_are_refused_and_run_nothing(folder: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert re.fullmatch(r"php: the tag !!\S+ is not allowed; write a plain value", mistake(folder, f"php: {value}"))
    assert not (folder / "hacked").exists()


def test_aliases_that_never_end_are_refused(folder: Path) -> None:
    assert "nested too deeply" in mistakes(folder, "a: &a\n  b: *a\n")[0]
    bomb = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))])
    assert "nested too deeply or repeated too often" in mistakes(folder, bomb)[0]
    assert "not YAML" in mistakes(folder, "[" * 1500)[0]


@pytest.mark.parametrize("name", ["nowhere.yml", "packages", "key/site.yml"])
def test_a_file_that_cannot_be_read_is_a_clear_error(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(folder / name, {})
    assert caught.value.where == str(folder / name)
    assert caught.value.hint


_KEYS = st.sampled_from(
    [*config._SiteFile.model_fields, *config._Server.model_fields, *config._Flow.model_fields, "[key]", "", "'", "\\"]
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.sampled_from(["7d", "${A}", "1x1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS | st.text(), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=_VALUES | st.dictionaries(_KEYS, _VALUES, max_size=8))
def test_any_yaml_values_end_in_a_site_or_in_mistakes(folder: Path, data: object) -> None:
    _loads_or_explains(folder, yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    raw=st.binary(max_size=60) | st.text(alphabet="a:-#&*!|>'\"%@`{}[],? \n\t\\Uxud0F~<=", max_size=60).map(str.encode)
)
@example(raw=b'a: "\\UFFFFFFFF"')
@example(raw=b'a: "\\ud800"')
@example(raw=b"? [a]\n: b")
@example(raw=b"%TAG ! x\n---\na: !b c")
def test_any_bytes_end_in_a_site_or_in_mistakes(folder: Path, raw: bytes) -> None:
    _loads_or_explains(folder, raw)


def _loads_or_explains(folder: Path, raw: bytes) -> None:
    path = folder / "any.yml"
    path.write_bytes(raw)
    try:
        config.load(path, {})
    except ConfigError as error:
        assert all(line.startswith(f"{path}:") for line in error.what.split("\n")), error.what
        str(error).encode("utf-8")


# ----------------------------------------------------------------------------------------- template and describe

UNCOMMENT = re.compile(r"^( *)#(?! \S)", re.MULTILINE)


def test_the_template_loads_as_it_is_written(folder: Path) -> None:
    site = load(
        folder,
        config.template(
            name="tea",
            url="https://tea.example",
            host="203.0.113.9",
            user="deploy",
            port=2222,
            key="key",
            host_key=HOST_KEY,
            docroot="/var/www/tea: shop",
            hosts=["www.tea.example"],
            folders=["packages"],
            php="/opt/php82/bin/php",
        ),
    )
    assert site.hosts == ("tea.example", "www.tea.example")
    assert site.docroot == "/var/www/tea: shop"
    assert site.server == model.Server("203.0.113.9", "deploy", 2222, folder / "key", host_key=HOST_KEY)
    assert site.sources.folders == (folder / "packages",)
    assert (site.policy, site.promote, site.viewports, site.thresholds) == (
        model.Policy(),
        model.PromoteSettings(),
        (model.DESKTOP, model.MOBILE),
        model.Thresholds(),
    )


def test_the_template_without_any_knowledge_loads_too(folder: Path) -> None:
    assert load(folder, config.template()).name == "my-shop"


def test_every_setting_that_the_template_shows_is_accepted_and_none_is_left_out(folder: Path) -> None:
    text = UNCOMMENT.sub(r"\1", config.template(key="key", host_key=HOST_KEY, folders=["packages"]))
    text = text.replace("../agency.yml", "shared.yml").replace("~/.ssh/deploy", "key")
    text = text.replace("approve: ask", "approve: never")  # which `observe` goes with
    (folder / "shared.yml").write_text("{}")
    secrets = {"BACKUP_PASSWORD": "backup-word-1", "S3_ID": "s3-id-12", "S3_SECRET": "s3-secret-12"}
    site = load(folder, text, SHOP_PASSWORD="pass-word-1", TELEGRAM_URL="tgram://1234/5678", **secrets)
    assert site.flows[0].fill == {"#billing_city": "Москва"}
    written = yaml.safe_load(text)
    assert set(written) == set(config._SiteFile.model_fields)
    for name, info in config._SiteFile.model_fields.items():
        section = config._section_in(info.annotation)
        if section:
            entry = written[name][0] if isinstance(written[name], list) else written[name]
            assert set(entry) == set(section.model_fields), name


@pytest.mark.parametrize(
    "text", ["yes", "a: b", "#x", "'", '"', "x #y", "a, b", "@x", "- x", "1:2", "", " x", "{x}", "/a b/c", "x:"]
)
def test_the_template_quotes_what_yaml_would_read_differently(text: str) -> None:
    assert yaml.load(f"[{config._scalar(text)}]", yaml.BaseLoader) == [text]
    assert yaml.load(f"k: {config._scalar(text)}", yaml.BaseLoader) == {"k": text}


def test_places_of_backups_are_folders_beside_site_yml_or_restics_own_addresses(folder: Path) -> None:
    text = (
        MINIMAL
        + 'backup: {password: {file: password}, places: {here: b, away: "${FAR}"}, environment: {AWS_X: "${KEY}"}}\n'
    )
    site = load(folder, text, FAR="sftp:backup@nas.example:/srv/restic", KEY="key-of-aws-1")
    assert site.backup is not None
    assert site.backup.places == {"here": str(folder / "b"), "away": "sftp:backup@nas.example:/srv/restic"}
    assert site.backup.environment == {"AWS_X": "key-of-aws-1"}
    assert (site.backup.daily, site.backup.weekly, site.backup.monthly) == (7, 5, 12)
    shown = dict(config.describe(site))["backups"]
    assert shown == "in here, away, of which 7 daily, 5 weekly, 12 monthly stay"
    assert "from-the-file-42" not in repr(site)
    alone = load(folder, MINIMAL + "backup: {password: {file: password}, places: {here: b}}\n")
    assert "one place alone is lost with its disk" in dict(config.describe(alone))["backups"]


def test_describe_shows_the_settings_as_people_read_them(folder: Path) -> None:
    shown = dict(config.describe(load(folder, FULL, **ENVIRON)))
    assert shown["server"] == "deploy@172.30.0.2:2222, with password"
    assert shown["host key"] == "pinned in site.yml"
    assert shown["viewports"] == "desktop 1366x768, mobile 375x812"
    assert shown["approval"] == "patch, expires after 1d12h"
    assert shown["closed for"] == "at most 5m, else a person is asked"
    assert shown["held back"] == "slider (needs a licence)"
    assert shown["notify"] == "2 address(es)"


def test_a_policy_says_when_what_and_until_when(folder: Path) -> None:
    (folder / "feed.json").write_text("{}")
    policy = accept(
        folder,
        "policy: {windows: ['Mon-Thu 10:00–16:00 Europe/Moscow', 'Sat,Sun 22:00-02:00 UTC', 'Fri-Mon 00:00-24:00 UTC'],"
        " freezes: [{first: 2026-12-20, last: 2027-01-10, reason: Christmas}], minimum_age: 0, critical: [pay],"
        " critical_age: 10d, hold: {slider: {reason: licence, until: 2027-01-31}}, advisories: feed.json,"
        " pin: {tea: {version: 3.10, reason: templates}}}",
    ).policy
    week, night, weekend = policy.windows
    assert (week.days, week.start, week.end, week.zone) == ((0, 1, 2, 3), time(10), time(16), "Europe/Moscow")
    assert (night.days, night.start, night.end) == ((5, 6), time(22), time(2))
    assert (weekend.days, weekend.start, weekend.end) == ((0, 4, 5, 6), time(0), time(0))
    assert policy.freezes == (model.Freeze(date(2026, 12, 20), date(2027, 1, 10), "Christmas"),)
    assert policy.hold == {"slider": model.Hold("licence", date(2027, 1, 31))}
    assert policy.pin == {"tea": model.Pin("3.10", "templates")}, "a version is text: 3.10 is not 3.1"
    assert (policy.minimum_age, policy.critical, policy.critical_age) == (timedelta(), ("pay",), timedelta(days=10))
    assert policy.advisories == str(folder / "feed.json")


# ------------------------------------------------------------------------------------------------------ revision


def test_the_revision_is_the_commit_and_says_when_something_is_not_committed(folder: Path) -> None:
    path = folder / "site.yml"
    path.write_text(MINIMAL)
    assert config.revision(path) is None
    with git.Repo.init(folder) as repository:
        assert config.revision(path) is None
        repository.index.add(["known_hosts"])
        person = git.Actor("A", "a@example.org")
        first = repository.index.commit("first", author=person, committer=person).hexsha
        assert config.revision(path) == f"{first}-dirty"
        repository.index.add(["site.yml"])
        second = repository.index.commit("second", author=person, committer=person).hexsha
        assert config.revision(path) == second
        path.write_text(MINIMAL + "cms: auto\n")
        assert config.revision(path) == f"{second}-dirty"


def test_switches_of_one_cms_are_off_unless_written(folder: Path) -> None:
    assert load(folder, MINIMAL).switches == frozenset()
    text = MINIMAL + "bitrix:\n  promote: false\n  allow_database_rollback: true\n"
    assert load(folder, text).switches == {"bitrix.allow_database_rollback"}
    assert ("switched on", "bitrix.allow_database_rollback") in config.describe(load(folder, text))
    with pytest.raises(ConfigError, match=r'bitrix\.promot: unknown key; did you mean "promote"\?'):
        load(folder, MINIMAL + "bitrix: {promot: true}\n")


# --------------------------------------------------------------------------------------------------------- recordings


def test_a_recording_is_read_from_its_file_and_a_body_that_is_no_text_becomes_json(folder: Path) -> None:
    site = accept(
        folder,
        """recordings:
  - {host: API.Pay.example, path: /v3/payments, method: POST, answer: recordings/payment.yml}
payments:
  - {method: pay_card, plugin: pay, callback: recordings/paid.yml}
  - {method: other}""",
    )
    (recording,) = site.recordings
    assert (recording.host, recording.path, recording.method) == ("api.pay.example", "/v3/payments", "POST")
    assert recording.status == 201
    assert recording.headers == {"Content-Type": "application/json", "X-Id": "7"}
    assert recording.body == '{"id": "5", "to": "https://pay.example/?b={request.amount}"}'
    paid = model.Callback("/?wc-api=pay", "POST", {}, "order={order.id}")
    assert site.payments == (model.Payment("pay_card", "pay", paid), model.Payment("other"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("status: 99", "status must be a number from 200 to 599"),
        ("- a", "must hold `key: value` lines: body, headers, status"),
        ("url: x", "unknown key url; known here: body, headers, status"),
        ("headers: {'a b': 1}", "headers must be `Name: value` lines"),
        ("{", "cannot be read as YAML or JSON in UTF-8"),
        ("body: !!python/object:os.x {}", "cannot be read as YAML or JSON in UTF-8"),
    ],
)
def test_a_recording_that_cannot_be_used_is_told_without_what_stands_in_it(
    folder: Path, content: str, message: str
) -> None:
    (folder / "recordings" / "bad.yml").write_text(content)
    said = mistake(folder, "recordings: [{host: a.example, path: /x, answer: recordings/bad.yml}]")
    assert said.startswith("recordings[0].answer: ")
    assert message in said


def test_keys_of_a_callback_come_from_the_environment_and_are_secrets(folder: Path) -> None:
    (folder / "recordings" / "signed.yml").write_text('path: /paid\nbody: "s={md5:{order.id}:${PAY_KEY}}"\n')
    line = "payments: [{method: a, callback: recordings/signed.yml}]"
    (payment,) = accept(folder, line, PAY_KEY="second-word-77").payments
    assert payment.callback is not None
    assert payment.callback.body == "s={md5:{order.id}:second-word-77}"
    assert "second-word" not in repr(payment)
    assert redact("second-word-77") == "[redacted]"
    assert "PAY_KEY is not set" in mistake(folder, line)


def test_a_recording_lies_beside_site_yml_and_a_callback_goes_to_the_shop_itself(folder: Path) -> None:
    itself = "recordings: [{host: shop.example, path: /x, answer: recordings/payment.yml}]"
    assert "shop.example is the shop itself" in mistake(folder, itself)
    outside = "recordings: [{host: a.example, path: /x, answer: /etc/hostname}]"
    assert "must lie in" in mistake(folder, outside)
    (folder / "recordings" / "bad.yml").write_text("path: https://elsewhere.example/")
    assert "path must be the shop's own" in mistake(folder, "payments: [{method: a, callback: recordings/bad.yml}]")
    assert "the method a stands twice" in mistake(folder, "payments: [{method: a}, {method: a}]")
