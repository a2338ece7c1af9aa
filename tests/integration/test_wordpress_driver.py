"""The WordPress driver on a real shop over real ssh: what it finds there, and what its gate lets through."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from visitor import visit

from updater.cms import wordpress
from updater.demo_shop import DOCROOT, URL, DemoShop
from updater.model import Component, Database, Installation, Server
from updater.production.host import Host, connect

PLUGINS = f"{DOCROOT}/wp-content/plugins"
PHP_ERRORS = "/var/www/shop.example/logs/php-error.log"
INSTALLATION = Installation("wordpress", "6.1.9", DOCROOT, "php", URL, Database("shop", "shop", ""))
SORRY = "<h1>Обновляем сайт</h1>"


@pytest.fixture(scope="module")
def server(lasting_shop: DemoShop) -> Iterator[Host]:
    shop = lasting_shop
    with connect(Server(shop.address, shop.user, key=shop.key, host_key=shop.host_key)) as host:
        yield host


@pytest.fixture(scope="module")
def installation(server: Host) -> Installation:
    found = wordpress.detect(server, DOCROOT, "php")
    assert found is not None
    return found


def components(server: Host, installation: Installation) -> dict[str, Component]:
    return {f"{part.kind}:{part.slug}": part for part in wordpress.inventory(server, installation).components}


@contextmanager
def placed(server: Host, path: str, content: bytes) -> Iterator[None]:
    """A file in a folder of its own on the server, as long as the block lasts."""
    folder = path.rpartition("/")[0]
    server.run(["mkdir", folder])
    server.write(path, content, 0o644)
    try:
        yield
    finally:
        server.run(["rm", "-r", folder])


@contextmanager
def switched_on(shop: DemoShop, file: str) -> Iterator[None]:
    """One more active plugin, written into the option as an activation would."""
    where = "FROM sh_options WHERE option_name = 'active_plugins'"
    before = shop.sql(f"SELECT HEX(option_value) {where}")
    names = [line.split('"')[1] for line in bytes.fromhex(before).decode().split(";") if '"' in line] + [file]
    value = f"a:{len(names)}:{{" + "".join(f'i:{n};s:{len(name)}:"{name}";' for n, name in enumerate(names)) + "}"
    shop.sql(f"UPDATE sh_options SET option_value = '{value}' WHERE option_name = 'active_plugins'")
    try:
        yield
    finally:
        shop.sql(f"UPDATE sh_options SET option_value = UNHEX('{before}') WHERE option_name = 'active_plugins'")


# ------------------------------------------------------------------------------------------------------- what is there


def test_an_installation_is_found_with_its_version_address_and_database(installation: Installation) -> None:
    assert (installation.cms, installation.version, installation.url) == ("wordpress", "6.1.9", URL)
    database = installation.database
    assert (database.name, database.user, database.host, database.prefix) == ("shop", "shop", "localhost", "sh_")
    assert database.password == "demo-Only-password-7c1"
    assert database.password not in repr(installation)


def test_the_inventory_names_core_plugins_and_themes_with_version_and_activity(
    server: Host, installation: Installation
) -> None:
    found = {name: (part.version, part.active, part.path) for name, part in components(server, installation).items()}
    assert found["core:wordpress"] == ("6.1.9", True, "")
    assert found["plugin:akismet"] == ("5.0.2", True, "wp-content/plugins/akismet")
    assert found["plugin:demo-shop"] == ("1.0", True, "wp-content/plugins/demo-shop")
    assert found["plugin:demo-gallery"] == ("1.0", True, "wp-content/plugins/demo-gallery")
    on_disk = server.run(["ls", f"{DOCROOT}/wp-content/themes"]).text.split()
    themes = {name.removeprefix("theme:") for name in found if name.startswith("theme:")}
    assert themes == {name for name in on_disk if not name.endswith(".php")}
    assert [name for name, (_, active, _) in found.items() if name.startswith("theme:") and active]


def test_a_plugin_that_is_there_and_switched_off_is_not_active(server: Host, installation: Installation) -> None:
    header = b"<?php\n/*\nPlugin Name: Idle\nVersion: 2.5\nRequires PHP: 7.4\nRequires at least: 5.9\n*/\n"
    with placed(server, f"{PLUGINS}/idle/idle.php", header):
        idle = components(server, installation)["plugin:idle"]
    assert (idle.name, idle.version, idle.active, idle.requires_php, idle.requires_core, idle.file) == (
        "Idle",
        "2.5",
        False,
        "7.4",
        "5.9",
        "idle/idle.php",
    )


def test_a_plugin_that_ends_every_page_is_inventoried_like_the_rest(
    lasting_shop: DemoShop, server: Host, installation: Installation
) -> None:
    before = components(server, installation)
    broken = b"<?php\n/*\nPlugin Name: Broken\nVersion: 0.9\n*/\nno_such_function_anywhere();\n"
    with placed(server, f"{PLUGINS}/broken/broken.php", broken), switched_on(lasting_shop, "broken/broken.php"):
        assert visit(lasting_shop, "/").status_code == 500
        found = components(server, installation)
    assert found.pop("plugin:broken").version == "0.9"
    assert found == before
    assert "samovar" in visit(lasting_shop, "/shop/").text


# ------------------------------------------------------------------------------------------------------ background jobs

JOBS = rb"""<?php
/*
Plugin Name: Jobs
Version: 1.0
*/
add_action('jobs_good', function () { update_option('jobs_mail', var_export(wp_mail('a@example.com', 'report', 'text'), true)); });
add_action('jobs_throws', function () { throw new RuntimeException('no printer'); });
add_action('jobs_fatal', function () { require '/no/such/file.php'; });
add_action('jobs_old', function () { throw new RuntimeException("\xcd\xe5\xf2"); });
add_action('jobs_killed', function () { posix_kill(getmypid(), 9); });
add_action('jobs_exits', function () { exit; });
add_action('jobs_dies', function () { wp_die('no <b>licence</b>'); });
add_action('jobs_again', function () { wp_schedule_single_event(time() - 1, 'jobs_again'); });
add_action('jobs_parts', function ($part) { if ($part < 100) { wp_schedule_single_event(time(), 'jobs_parts', array($part + 1)); } });
foreach (array('jobs_good', 'jobs_throws', 'jobs_fatal', 'jobs_exits', 'jobs_dies', 'jobs_nobody', 'jobs_old', 'jobs_killed') as $name) {
    if (!wp_next_scheduled($name)) { wp_schedule_event(time() + 86400, 'daily', $name); }
}
if (!wp_next_scheduled('jobs_again')) { wp_schedule_single_event(time() - 1, 'jobs_again'); }
if (!wp_next_scheduled('jobs_parts', array(1))) { wp_schedule_single_event(time() - 1, 'jobs_parts', array(1)); }
"""


def test_each_planned_job_is_run_and_told_for_itself_whatever_the_others_do(
    lasting_shop: DemoShop, server: Host, installation: Installation
) -> None:
    with placed(server, f"{PLUGINS}/jobs/jobs.php", JOBS), switched_on(lasting_shop, "jobs/jobs.php"):
        jobs = wordpress.run_jobs(server, installation)
    told = {job.name: job for job in jobs.ran}
    assert (jobs.left, jobs.failure) == ((), "")
    assert told["jobs_throws"].error == "RuntimeException: no printer"
    assert "/no/such/file.php" in told["jobs_fatal"].error
    assert "no licence" in told["jobs_dies"].error
    assert "never ends" in told["jobs_again"].error
    assert told["jobs_old"].error == "RuntimeException: ???"
    assert told["jobs_killed"].error.startswith("PHP was killed while it ran")
    for name in ("jobs_good", "jobs_exits", "jobs_parts", "jobs_nobody", "demo_shop_clean_sessions"):
        assert told[name].error == "", name
    assert [job.name for job in jobs.ran if job.idle and job.name.startswith("jobs_")] == ["jobs_nobody"]
    assert not any(job.hung for job in jobs.ran)
    sent = lasting_shop.sql("SELECT option_value FROM sh_options WHERE option_name = 'jobs_mail'")
    assert sent.strip() == "false"  # no mail leaves while they run


def test_a_job_that_hangs_is_ended_and_the_rest_is_not_waited_for(
    lasting_shop: DemoShop, server: Host, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wordpress, "_JOBS_SECONDS", 2)
    monkeypatch.setattr(wordpress, "_JOBS_GRACE", 1)
    hangs = JOBS.replace(b"throw new RuntimeException('no printer');", b"while (true) { usleep(1000); }")
    with placed(server, f"{PLUGINS}/jobs/jobs.php", hangs), switched_on(lasting_shop, "jobs/jobs.php"):
        jobs = wordpress.run_jobs(server, installation)
    (hung,) = [job for job in jobs.ran if job.hung]
    assert hung.name == "jobs_throws"


def test_a_shop_that_does_not_start_is_an_answer(
    lasting_shop: DemoShop, server: Host, installation: Installation
) -> None:
    broken = b"<?php\n/*\nPlugin Name: Broken\nVersion: 0.9\n*/\nno_such_function_anywhere();\n"
    with placed(server, f"{PLUGINS}/broken/broken.php", broken), switched_on(lasting_shop, "broken/broken.php"):
        jobs = wordpress.run_jobs(server, installation)
    assert "no_such_function_anywhere" in jobs.failure and jobs.ran == ()


QUEUE = b"""<?php
/*
Plugin Name: Queue
Version: 1.0
*/
if (!defined('DISABLE_WP_CRON')) { define('DISABLE_WP_CRON', true); } // as on staging: nobody else runs the queue
require __DIR__ . '/action-scheduler/action-scheduler.php';
add_action('queue_good', function ($id) {});
add_action('queue_throws', function () { throw new RuntimeException('no route'); });
add_action('queue_again', function () { as_enqueue_async_action('queue_again'); });
add_action('init', function () {
    foreach (array('queue_good' => array(7), 'queue_throws' => array(), 'queue_again' => array(), 'queue_nobody' => array()) as $name => $arguments) {
        if (!as_has_scheduled_action($name, $arguments)) { as_schedule_single_action(time() - 5, $name, $arguments); }
    }
}, 20);
"""


@pytest.mark.real
@pytest.mark.skipif("UPDATER_ACTION_SCHEDULER" not in os.environ, reason="UPDATER_ACTION_SCHEDULER names no folder")
def test_the_queue_of_action_scheduler_is_run_action_by_action(
    lasting_shop: DemoShop, server: Host, installation: Installation
) -> None:
    with placed(server, f"{PLUGINS}/queue/queue.php", QUEUE):
        folder = Path(os.environ["UPDATER_ACTION_SCHEDULER"])
        for file in (it for it in folder.rglob("*") if it.suffix == ".php"):
            target = f"{PLUGINS}/queue/action-scheduler/{file.relative_to(folder)}"
            server.run(["mkdir", "-p", target.rpartition("/")[0]])
            server.write(target, file.read_bytes(), 0o644)
        with switched_on(lasting_shop, "queue/queue.php"):
            visit(lasting_shop, "/")  # makes its tables
            visit(lasting_shop, "/")
            jobs = wordpress.run_jobs(server, installation)
    told = {job.name: job.error for job in jobs.ran}
    assert told["queue_good"] == ""
    assert told["queue_throws"].endswith(": no route")
    assert "never ends" in told["queue_again"]
    assert told["queue_nobody"] == "", "what a release no longer listens to is left over"
    assert [job.name for job in jobs.ran if job.idle and job.name.startswith("queue_")] == ["queue_nobody"]
    for table in ("actions", "claims", "groups", "logs"):
        lasting_shop.sql(f"DROP TABLE IF EXISTS sh_actionscheduler_{table}")


# ------------------------------------------------------------------------------------------------------------ the gate


OFFERED = """<?php
require '%s/wp-load.php';
class Stripe { function get_title() { return '<b>Card</b>'; } }
$left = apply_filters('woocommerce_available_payment_gateways', array('cod' => 1, 'demo_pay' => 2, 'stripe' => new Stripe()));
ob_start();
do_action('wp_footer');
preg_match('~<script type="application/json" id="updater-payment-methods">(.*?)</script>~', ob_get_clean(), $told);
$lists = array(apply_filters('woocommerce_upsells_orderby', 'rand'), apply_filters('woocommerce_cross_sells_orderby', 'price'));
foreach (array('rand', 'title') as $by) { $lists[] = apply_filters('woocommerce_output_related_products_args', array('orderby' => $by)); }
foreach (array('rand', 'RAND(7)', 'rand title', array('rand' => 'ASC'), 'title') as $by) {
    $found = get_posts(array('post_type' => 'any', 'numberposts' => -1, 'orderby' => $by, 'order' => 'ASC', 'fields' => 'ids'));
    $sorted = $found;
    sort($sorted);
    $lists[] = count($found) > 5 && $found === $sorted;
}
$call = apply_filters('http_request_args', array(), 'https://api.pay.example/');
echo json_encode(array(array_keys($left), json_decode($told[1]), $call, $lists));
"""


def test_the_guard_leaves_on_what_site_yml_names_tells_of_all_that_is_offered_and_lets_nothing_be_shuffled(
    server: Host, installation: Installation
) -> None:
    wordpress.guard(server, installation, ["shop.example"], ["demo_pay"])
    try:
        told = server.run([installation.php], stdin=(OFFERED % DOCROOT).encode()).text
    finally:
        server.run(["rm", f"{DOCROOT}/{wordpress.GUARD}"])
    left, offered, call, lists = json.loads(told)
    assert left == ["cod", "demo_pay"]
    assert offered == ["cod", "demo_pay", "stripe (Card)"]
    assert call == {"timeout": 3, "sslcertificates": "/etc/ssl/certs/ca-certificates.crt"}
    assert lists[:4] == ["id", "price", {"orderby": "id"}, {"orderby": "title"}]
    assert lists[4:] == [True, True, True, True, False], "by lot is by number; by title stays by title"


@contextmanager
def closed(server: Host, secret: str) -> Iterator[None]:
    """The shop behind its gate, as a promotion puts it there: the token first, the files in order; removed in reverse."""
    gate = wordpress.gate(INSTALLATION)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    server.write(f"{DOCROOT}/{gate.token_file}", digest.encode(), 0o644)
    for path, text in gate.files.items():
        server.write(f"{DOCROOT}/{path}", text.encode(), 0o644)
    try:
        yield
    finally:
        for path in [*reversed(list(gate.files)), gate.token_file]:
            server.run(["rm", "-f", f"{DOCROOT}/{path}"])


@pytest.fixture
def gate(lasting_shop: DemoShop, server: Host) -> Iterator[None]:
    """Closed for one test; afterwards PHP's error log must hold nothing new: the gate itself adds no notice."""
    before = server.read(PHP_ERRORS)
    with closed(server, "a secret"):
        yield
    assert server.read(PHP_ERRORS) == before


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/shop/",
        "/?p=1",
        "/wp-login.php",
        "/xmlrpc.php",
        "/wp-admin/",
        "/wp-admin/admin-ajax.php?action=heartbeat",
        "/wp-admin/admin-post.php",
        "/wp-admin/install.php",
        "/wp-admin/upgrade.php?step=1",
        "/wp-admin/maint/repair.php",
        "/wp-cron.php",
        "/wp-json/",
        "/?wc-ajax=update_order_review",
        "/wp-trackback.php",
        "/wp-mail.php",
        "/wp-signup.php",
        "/wp-activate.php",
        "/wp-admin/setup-config.php",
    ],
)
@pytest.mark.usefixtures("gate")
def test_a_closed_shop_says_once_that_it_will_be_back(lasting_shop: DemoShop, path: str) -> None:
    answer = visit(lasting_shop, path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.text.count("<html") == 1
    assert answer.text.count(SORRY) == 1
    assert "Back in a minute. Your orders and your cart are safe." in answer.text
    assert answer.text.rstrip().endswith("</html>")


@pytest.mark.usefixtures("gate")
def test_the_page_is_shown_once_before_the_last_gate_file_is_in_place(lasting_shop: DemoShop, server: Host) -> None:
    """Core's fatal error handler stands then, and includes .maintenance once more when the answer has been given."""
    last = list(wordpress.gate(INSTALLATION).files)[-1]
    server.run(["rm", f"{DOCROOT}/{last}"])
    for path in ("/", "/wp-login.php", "/wp-json/"):
        answer = visit(lasting_shop, path)
        assert answer.status_code == 503
        assert answer.text.count(SORRY) == 1


@pytest.mark.usefixtures("gate")
def test_an_order_sent_to_a_closed_shop_is_refused_and_not_kept(lasting_shop: DemoShop) -> None:
    orders = lasting_shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders")
    for path in ("/?wc-ajax=checkout", "/checkout/", "/xmlrpc.php", "/wp-comments-post.php"):
        assert visit(lasting_shop, path, method="POST").status_code == 503
    assert lasting_shop.sql("SELECT COUNT(*) FROM sh_demo_shop_orders") == orders


@pytest.mark.usefixtures("gate")
def test_the_bypass_cookie_sees_the_shop_and_a_guess_does_not(lasting_shop: DemoShop) -> None:
    cookie = wordpress.gate(INSTALLATION).cookie
    passed = visit(lasting_shop, "/shop/", {cookie: "a secret"})
    assert passed.status_code == 200
    assert "samovar-tula" in passed.text
    assert SORRY not in passed.text
    for guess in ("", "a guess", hashlib.sha256(b"a secret").hexdigest()):
        refused = visit(lasting_shop, "/shop/", {cookie: guess})
        assert refused.status_code == 503
        assert SORRY in refused.text
    assert visit(lasting_shop, "/shop/", {f"{cookie}[]": "a secret"}).status_code == 503


@pytest.mark.usefixtures("gate")
def test_a_closed_shop_turns_other_command_line_php_away_and_lets_the_runs_own_in(server: Host) -> None:
    script = f"<?php require '{DOCROOT}/wp-load.php'; echo get_option('blogname');".encode()
    stranger = server.run(["php"], stdin=script, check=False)
    assert stranger.exit_code == 75
    assert stranger.text == ""
    assert "closed for a moment" in stranger.stderr
    cron = server.run(["php", f"{DOCROOT}/wp-cron.php"], check=False)
    assert cron.exit_code == 75
    ours = server.run(["php"], stdin=script, env={"UPDATER_RUN": "20260101-000000-aaaa"}, check=False)
    assert ours.exit_code == 0
    assert ours.text.strip()


def test_a_shop_is_open_as_before_once_its_gate_is_gone(lasting_shop: DemoShop, server: Host) -> None:
    before = lasting_shop.code_sha256()
    page = visit(lasting_shop, "/shop/").text
    with closed(server, "a secret"):
        assert visit(lasting_shop, "/shop/").status_code == 503
    opened = visit(lasting_shop, "/shop/")
    assert opened.status_code == 200
    assert opened.text == page
    assert visit(lasting_shop, "/wp-login.php").text.count('id="loginform"') == 1
    assert lasting_shop.code_sha256() == before


def test_a_gate_whose_token_is_gone_lets_nobody_in(lasting_shop: DemoShop, server: Host) -> None:
    gate = wordpress.gate(INSTALLATION)
    with closed(server, "a secret"):
        server.run(["rm", f"{DOCROOT}/{gate.token_file}"])
        for secret in ("", "a secret"):
            assert visit(lasting_shop, "/", {gate.cookie: secret}).status_code == 503
