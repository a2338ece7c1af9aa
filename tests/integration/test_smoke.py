"""Smoke tests by a real pytest in a real browser against a small shop: what passes, what fails, and what proves nothing."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_shop import TinyShop, serve

from updater.checks import facts, live, paying, recorded, walk
from updater.checks.browser import BrowserFailed
from updater.checks.observation import Observation
from updater.checks.smoke import PATIENCE, load, observe
from updater.log import Silent
from updater.model import DESKTOP, MOBILE, Callback, Flow, Mask, Payment, Server, Site, Status
from updater.resources import folder

STRUCTURED = "BreadcrumbList | Product name=Tea | Offer price=1290.00 priceCurrency=RUB"
SUITE = folder("smoke_tests") / "wordpress"


def site(shop: TinyShop, tmp_path: Path, **changes) -> Site:
    plain = Site(
        name="tiny",
        server=Server("127.0.0.1", "deploy"),
        docroot="/var/www",
        url=shop.target.url,
        config=tmp_path / "site.yml",
        viewports=(DESKTOP,),
    )
    return replace(plain, **changes)


def look(
    shop: TinyShop,
    tmp_path: Path,
    name: str = "out",
    suite: Path = SUITE,
    like=None,
    pictures=True,
    patience=PATIENCE,
    **changes,
) -> Observation:
    """`pictures`: not taken where a test is about something else, as they cost as much as the rest of a pass."""
    one = site(shop, tmp_path, **changes)
    return observe(
        shop.target,
        one,
        suite,
        tmp_path / name,
        Silent(),
        state=shop.state,
        like=like,
        pictures=pictures,
        patience=patience,
    )


def failures(seen: Observation) -> str:
    return "\n".join(test.message for test in seen.tests if test.outcome != "passed")


def test_a_shop_that_sells_passes_in_both_window_sizes(tmp_path):
    with serve(TinyShop(title='"><script>alert(1)</script> & ]]> Чай\u2028')) as shop:
        seen = look(shop, tmp_path, viewports=(DESKTOP, MOBILE))
    assert failures(seen) == ""
    assert seen.exit_code == 0
    assert {test.name for test in seen.tests} == {
        f"{module}::{name}[{extra}{viewport}]"
        for module, name, extra in (
            ("test_checkout", "test_a_customer_can_order", "checkout-"),
            ("test_checkout", "test_a_customer_with_an_account_can_order", "checkout-"),
            ("test_pages", "test_pages", ""),
        )
        for viewport in ("desktop", "mobile")
    }
    for viewport in ("desktop", "mobile"):
        labels = {view.page for view in seen.views if view.viewport == viewport}
        assert labels == {
            *("home", "product", "cart", "checkout", "order-received", "search"),
            *("/", "/shop/", "/product/tea/", "/about/"),
        }
        assert seen.facts[f"product.price [checkout, {viewport}]"] == "1 290,00 ₽"
        assert seen.facts[f"checkout.payment [checkout, {viewport}]"] == "Cash"
        assert seen.facts[f"checkout.delivery [checkout, {viewport}]"] == "Courier: 0 ₽"
        assert seen.facts[f"search.finds_product [checkout, {viewport}]"] == "yes"
        assert seen.facts[f"page.products [/shop/, {viewport}]"] == "1", "what is drawn by lot is not counted"
        assert seen.facts[f"page.prices [/shop/, {viewport}]"] == "1 290,00 ₽"
        assert seen.facts[f"page.structured [/product/tea/, {viewport}]"] == STRUCTURED
    assert seen.facts["page.title [/, mobile]"].startswith('"><script>alert(1)</script>')
    assert len(seen.shots) == len(seen.views)
    check = facts.order_check(seen, "after")
    assert check.status is Status.PASSED, check
    assert len(facts.placed_orders(seen)) == 2
    assert load(seen.folder) == seen


CALLBACK = Callback(
    "/paid", "POST", {"Content-Type": "application/json"}, '{"order": "{order.id}", "sum": "{order.total}"}'
)
CARD = (Payment("pay_card", "pay", CALLBACK),)


def pay(tmp_path: Path, name: str, fault: str = "") -> Observation:
    with serve(TinyShop(online=True, fault=fault)) as shop:
        where = site(shop, tmp_path, payments=CARD)
        return observe(
            shop.target, where, SUITE, tmp_path / name, Silent(), state=shop.state, pays=True, pictures=False
        )


def test_a_customer_pays_online_up_to_the_service_and_the_shop_is_told_of_the_money(tmp_path):
    before, after = pay(tmp_path, "before"), pay(tmp_path, "after", "other amount, deaf to money")
    assert failures(before) == failures(after) == ""
    (left,) = before.departures
    assert (left.scope, left.method, left.address) == ("checkout, paying by pay_card", "POST", "pay.example/form")
    assert {name: left.fields[name] for name in ("sum", "order", "receipt.items[0].tax")} == {
        "sum": "1290.00", "order": "101", "receipt.items[0].tax": "vat20",
    }  # fmt: skip
    where = "[checkout, paying by pay_card, desktop]"
    assert before.facts[f"payment.callback {where}"] == "HTTP 200, the order's status: pending → paid"
    assert before.facts[f"payment.status {where}"] == "paid"
    assert before.facts["checkout.payment_offered [checkout, desktop]"] == "cod (Cash) | pay_card (Card) | bank (Loan)"
    assert facts.order_check(before, "before").status is Status.PASSED
    assert "live_Key" not in (tmp_path / "before" / "observation.json").read_text()

    assert paying.check(before, CARD, "before").status is Status.PASSED
    unmoved = paying.check(after, CARD, "before")
    assert unmoved.status is Status.INCONCLUSIVE
    assert "moved no order of the un-updated shop (HTTP 200, the order's status: pending → pending)" in unmoved.detail
    found = facts.compare(before, after, before)[0]
    assert {it.where: it.after for it in found.findings} == {
        f"payment.status {where}": "pending",
        f"payment.callback {where}": "HTTP 200, the order's status: pending → pending",
    }
    passes = [recorded.Pass(step, it) for step, it in (("before", before), ("noise", before), ("after", after))]
    told = recorded.compare((), (), passes[:2], passes[2], (), ())
    assert [it.message for it in told.findings] == [
        "POST by the customer's browser (checkout, paying by pay_card, desktop): sum 1290.00 → 1.00"
    ]


def test_a_place_order_button_that_does_nothing_fails_in_words_a_shop_owner_understands(tmp_path):
    with serve(TinyShop(fault="script throws")) as shop:
        seen = look(shop, tmp_path, patience=6)
    assert seen.exit_code == 1
    said = failures(seen)
    assert "Clicking “Place order” did nothing for 6 s: no order-received page" in said
    assert "the browser reported: ReferenceError: undefinedGateway is not defined (shop.js:" in said
    assert facts.order_check(seen, "after").status is Status.FAILED
    assert (seen.folder / "failure-desktop-checkout.png").exists()


def test_a_hurried_pass_ends_at_the_first_failure_and_says_what_it_was(tmp_path):
    with serve(TinyShop(fault="maintenance")) as shop:
        where = site(shop, tmp_path, viewports=(DESKTOP, MOBILE))
        seen = observe(shop.target, where, SUITE, tmp_path / "out", Silent(), hurried=True)
    assert seen.exit_code == 1
    assert [test.outcome for test in seen.tests] == ["failed"], "neither the other window size nor the pages were tried"
    assert "Opening /: the server answered HTTP 503" in failures(seen)


def test_an_order_that_stands_twice_in_the_database_fails(tmp_path):
    with serve(TinyShop(fault="order twice")) as shop:
        seen = look(shop, tmp_path, pictures=False)
    assert seen.exit_code == 0
    check = facts.order_check(seen, "after")
    assert check.status is Status.FAILED
    assert "1 orders were placed, 2 are new in the database" in check.findings[0].message


def test_a_fatal_error_on_a_page_that_answers_200_fails(tmp_path):
    with serve(TinyShop(fault="fatal about")) as shop:
        seen = look(shop, tmp_path, pictures=False)
    assert seen.exit_code == 1
    assert "/about/: PHP's own words stand on the page: Fatal error: Uncaught Error" in failures(seen)


def test_an_empty_page_is_told_with_all_that_it_says(tmp_path):
    with serve(TinyShop(fault="empty about")) as shop:
        seen = look(shop, tmp_path, pictures=False)
    assert "/about/: the page is empty (its whole text: “Nothing”)" in failures(seen)


def test_a_maintenance_page_is_no_shop(tmp_path):
    with serve(TinyShop(fault="maintenance")) as shop:
        seen = look(shop, tmp_path, pictures=False)
    assert seen.exit_code == 1
    assert "Opening /: the server answered HTTP 503" in failures(seen)


def test_a_changed_price_is_found_and_a_page_no_longer_linked_is_still_visited(tmp_path):
    with serve(TinyShop()) as shop:
        before = look(shop, tmp_path, "a1")
        noise = look(shop, tmp_path, "a2", like=before)
        shop.price, shop.links = "129,00 ₽", ()
        after = look(shop, tmp_path, "b", like=before)
    assert {view.page for view in after.views} == {view.page for view in before.views}
    checks = {check.name: check for check in facts.compare(before, after, noise)}
    changed = {finding.where: (finding.before, finding.after) for finding in checks["facts"].findings}
    assert checks["facts"].status is Status.FAILED
    assert changed["product.price [checkout, desktop]"] == ("1 290,00 ₽", "129,00 ₽")
    assert "order.number [checkout, desktop]" not in changed
    assert "product.stock [checkout, desktop]" not in changed  # each order lowers it: noise
    assert checks["pages"].status is Status.PASSED
    pictures = {shot.page: shot.sha256 for shot in before.shots}
    again = {shot.page: shot.sha256 for shot in noise.shots}
    assert {page for page in pictures if pictures[page] != again[page]} <= {
        "product",
        "/product/tea/",
        "order-received",
    }


def test_a_search_that_finds_nothing_is_a_changed_fact_though_the_page_still_links_the_product(tmp_path):
    with serve(TinyShop()) as shop:
        before = look(shop, tmp_path, "a1", pictures=False)
        shop.fault = "search"
        after = look(shop, tmp_path, "b", like=before, pictures=False)
    assert after.exit_code == 0, failures(after)
    changed = {found.where: (found.before, found.after) for found in facts.compare(before, after, before)[0].findings}
    assert changed["search.finds_product [checkout, desktop]"] == ("yes", "no")
    assert changed["search.results [checkout, desktop]"] == ("1", "0")


def test_a_customer_with_an_account_orders_with_a_coupon_what_has_options(tmp_path):
    with serve(TinyShop(accounts=True)) as shop:
        before = look(shop, tmp_path, "a1", pictures=False)
        shop.fault = "login"
        after = look(shop, tmp_path, "b", like=before, pictures=False)
        reading = replace(shop.target, read_only=True)
        looked = observe(reading, site(shop, tmp_path), SUITE, tmp_path / "live", Silent(), pictures=False)
    assert failures(before) == ""
    mine = {key.partition(" [")[0]: value for key, value in before.facts.items() if "with an account" in key}
    assert mine["account"] == "logged in"
    assert mine["product.options"] == "Small, Blue: 8 ₽"
    assert mine["product.id"] == "7", "the variation, not the product"
    assert mine["cart.coupon"] == "Coupon: −10 %"
    assert mine["order.email"] == "smoke-test-customer@example.com"
    assert mine["account.lists_the_order"] == "yes"
    assert len(facts.placed_orders(before)) == 2
    assert facts.order_check(before, "before").status is Status.PASSED
    # Who can no longer log in is told so, and production is asked for nothing of the sort.
    changed = {found.where: (found.before, found.after) for found in facts.compare(before, after, before)[0].findings}
    assert changed["account [checkout, with an account, desktop]"] == ("logged in", "refused: Unknown name")
    assert live.fidelity(looked, before).status is Status.PASSED
    assert not any("with an account" in key for key in (*live.expectations(before), *looked.facts))


def test_a_shop_that_is_not_open_yet_is_told_so(tmp_path):
    with serve(TinyShop(extra="<meta name='woo-coming-soon-page' content='yes'>")) as shop:
        seen = look(shop, tmp_path, pictures=False)
    assert "WooCommerce → Settings → Site visibility" in failures(seen)


def test_production_is_looked_at_and_nothing_is_bought(tmp_path):
    with serve(TinyShop()) as shop:
        tested = look(shop, tmp_path, "staging")
        shop.asked.clear()
        shop.cookies.clear()
        target = replace(shop.target, read_only=True)
        one = site(shop, tmp_path)
        wanted = live.expectations(tested)
        with live.standing_by(target, one, SUITE, wanted, tmp_path / "live") as check_live:
            assert shop.asked == [], "the browser runs, and asks nothing until it is told to"
            checks = check_live(COOKIE)
        assert [check.status for check in checks] == [Status.PASSED, Status.PASSED], checks
        assert "POST /order" not in shop.asked
        assert "/checkout/" in shop.asked
        assert all("pass=letmein" in cookie for cookie in shop.cookies)
        assert "letmein" not in "".join(
            path.read_text(errors="replace") for path in (tmp_path / "live").rglob("*") if path.is_file()
        )
        shop.price = "1,00 ₽"
        with live.standing_by(target, one, SUITE, wanted, tmp_path / "live2") as check_live:
            checks = check_live(COOKIE)
        assert checks[1].status is Status.FAILED
        shown = observe(target, one, SUITE, tmp_path / "shown", Silent())
        assert live.fidelity(shown, shown).status is Status.PASSED
        assert live.fidelity(shown, tested).status is Status.INCONCLUSIVE
    not_production = replace(target, read_only=False)
    with (
        pytest.raises(ValueError, match="read_only"),
        live.standing_by(not_production, one, SUITE, wanted, tmp_path / "live3"),
    ):
        pass


COOKIE = ("pass", "letmein")


@contextmanager
def stands_by(tmp_path: Path, monkeypatch):
    """What looks at production, the walks that wait for that, and what production was asked."""
    walks: list[walk.Walk] = []

    @contextmanager
    def noted(*args, starting=walk.started, **settings):
        with starting(*args, **settings) as walking:
            walks.append(walking)
            yield walking

    monkeypatch.setattr(walk, "started", noted)
    with serve(TinyShop()) as shop:
        target = replace(shop.target, read_only=True)
        with live.standing_by(target, site(shop, tmp_path), SUITE, {}, tmp_path / "live") as check_live:
            yield check_live, walks, shop.asked


def test_a_browser_that_is_not_needed_after_all_ends_without_asking_anything(tmp_path, monkeypatch):
    with stands_by(tmp_path, monkeypatch) as (_, walks, asked):
        assert [walking.process.poll() for walking in walks] == [None, None], (
            "one walks through the flows, one looks at pages"
        )
    assert all(walking.process.poll() is not None for walking in walks)
    assert asked == []


@pytest.mark.parametrize("which", [0, 1], ids=["of the flows", "of the pages"])
def test_a_browser_that_died_while_it_waited_has_seen_nothing(tmp_path, monkeypatch, which):
    with stands_by(tmp_path, monkeypatch) as (check_live, walks, _):
        os.killpg(walks[which].process.pid, signal.SIGKILL)
        walks[which].process.wait()
        ran, values = check_live(COOKIE)
    assert (ran.status, values.status) == (Status.FAILED, Status.INCONCLUSIVE)
    assert "killed by signal 9" in ran.findings[0].message


def test_browsers_that_wait_for_an_updater_that_died_end_by_themselves(tmp_path, monkeypatch):
    with stands_by(tmp_path, monkeypatch) as (_, walks, asked):
        for walking in walks:
            walking._gate.close()  # as the kernel does for a process that is gone
        assert [walking.process.wait(timeout=60) > 0 for walking in walks] == [True, True]
    assert asked == []


def test_without_a_browser_nothing_is_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("UPDATER_CHROMIUM", "/bin/false")
    with pytest.raises(BrowserFailed, match="nothing was touched") as failed, stands_by(tmp_path, monkeypatch):
        pytest.fail("the promotion went on")
    assert "Chromium did not start" in failed.value.cause


HALF_A_PAGE = """
def test_end(shop, fact):
    shop.open("/")
    shop.click(shop.page.locator("a[href='/checkout/']"), "Checkout", then="form.checkout", expect="checkout form")
    fact("at the end", str(shop.page.locator("#updater-payment-methods").count()))
"""


def test_what_stands_at_the_end_of_a_page_is_read_although_it_comes_late(tmp_path):
    with serve(TinyShop(online=True, links=("/checkout/",))) as shop:
        seen = look(
            shop, tmp_path, suite=own_suite(tmp_path), smoke_tests=client_tests(tmp_path, HALF_A_PAGE), pictures=False
        )
    assert failures(seen) == ""
    assert [value for name, value in seen.facts.items() if name.startswith("at the end")] == ["1"]


KNOWN = """
def test_known(shop, job, fact, capture):
    shop.open("/")
    capture("moving")
    fact("known", " ".join(f"{page}: {sha256}" for page, sha256 in job.known.get("desktop", {}).items()))
"""
MOVING = "<p id=n></p><script>(function f(i){n.textContent=i;requestAnimationFrame(()=>f(i+1))})(0)</script>"


def test_a_pass_knows_the_pictures_of_the_one_before_that_stood_still(tmp_path):
    suite, client = own_suite(tmp_path), client_tests(tmp_path, KNOWN)
    with serve(TinyShop()) as shop:
        still = look(shop, tmp_path, suite=suite, smoke_tests=client)
    assert still.facts["known [test_known, desktop]"] == ""
    with serve(TinyShop(extra=MOVING)) as shop:
        moving = look(shop, tmp_path, "moving", suite=suite, smoke_tests=client, like=still)
        again = look(shop, tmp_path, "again", suite=suite, smoke_tests=client, like=moving)
    pictures = {shot.page: shot.sha256 for shot in still.shots}
    assert moving.facts["known [test_known, desktop]"] == " ".join(f"{page}: {it}" for page, it in pictures.items())
    assert pictures.keys() == {"home", "moving"}
    assert again.facts["known [test_known, desktop]"] == "", "what moved is no proof"


# ---------------------------------------------------------------------------------------- passes that prove nothing


def own_suite(tmp_path: Path) -> Path:
    """Our plugin with a suite of one small flow: what these tests are about is beside it."""
    suite = tmp_path / "suite" / "wordpress"
    suite.mkdir(parents=True)
    (suite / "test_flow.py").write_text(FLOW)
    for name in ("shop_plugin.py", "pytest.ini"):
        (suite.parent / name).write_text((SUITE.parent / name).read_text())
    return suite


def client_tests(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "test_flow.py").write_text(text)
    return folder


FLOW = "def test_flow(shop, flow, capture):\n    shop.open('/')\n    capture('home')\n"


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("", "holds no test"),
        ("import pytest\ndef test_flow(shop, flow):\n    pytest.skip('later')\n", "was skipped: later"),
        ("import os\ndef test_flow(shop, flow):\n    os._exit(0)\n", "no test ran"),
        ("import os\ndef test_flow(shop, flow):\n    os.kill(os.getpid(), 11)\n", "killed by signal 11"),
        ("import time\ndef test_flow(shop, flow):\n    time.sleep(900)\n", "killed by signal 9"),
        ("def test_flow(shop, flow) oops", "SyntaxError"),
        (
            FLOW + "def test_lost(job):\n    [p.unlink() for p in job.out.glob('*.png')]\n",
            "there is no picture of home",
        ),
    ],
    ids=["no test", "skipped", "exit", "crash", "endless", "syntax", "picture lost"],
)
def test_a_pass_that_proves_nothing_is_never_a_success(tmp_path, tests, message):
    client = client_tests(tmp_path, tests)
    limit = 8 if "sleep" in tests else 90
    with serve(TinyShop()) as shop:
        one = site(shop, tmp_path, smoke_tests=client)
        seen = observe(shop.target, one, own_suite(tmp_path), tmp_path / "out", Silent(), time_limit=limit)
    assert seen.exit_code != 0
    assert any(test.outcome != "passed" for test in seen.tests)
    assert message in failures(seen)


def test_no_flow_at_all_is_never_a_success(tmp_path):
    with serve(TinyShop()) as shop:
        seen = look(shop, tmp_path, suite=own_suite(tmp_path), flows=())
    assert seen.exit_code != 0
    assert "lists no flow" in failures(seen)


def test_the_tests_see_no_secret_in_their_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPLOY_PASSWORD", "hunter22")
    writes = "import os\ndef test_env(job):\n    (job.out / 'env').write_text(' '.join(sorted(os.environ)))\n"
    client = client_tests(tmp_path, writes)
    with serve(TinyShop()) as shop:
        seen = look(shop, tmp_path, suite=own_suite(tmp_path), smoke_tests=client)
    assert seen.exit_code == 0, failures(seen)
    names = set((seen.folder / "env").read_text().split())
    allowed = {"PATH", "HOME", "LANG", "UPDATER_SMOKE", "UPDATER_CHROMIUM", "PYTEST_CURRENT_TEST", "PYTEST_VERSION"}
    assert names - allowed <= {"LC_CTYPE"}
    assert "DEPLOY_PASSWORD" in os.environ


def test_popups_are_closed_and_fields_of_site_yml_are_filled(tmp_path):
    popup = "<div id=popup style='position:fixed;inset:0;background:#fff'><button id=no onclick='popup.remove()'>No</button></div>"
    with serve(TinyShop(extra=popup)) as shop:
        flow = Flow(close=("#no",), fill={"#billing_city": "Тверь"}, selectors={"product_name": ".summary .stock"})
        seen = look(shop, tmp_path, flows=(flow,), masks=(Mask("h1", "/about/"),))
        wrong = look(shop, tmp_path, "wrong", flows=(replace(flow, fill={"#absent": "x"}),))
    assert seen.exit_code == 0, failures(seen)
    assert seen.facts["product.name [checkout, desktop]"].endswith("in stock")
    assert "The checkout shows no field #absent" in failures(wrong)
    masked = {shot.page for shot in seen.shots if shot.masks}
    assert "/about/" in masked
    assert "home" not in masked


@pytest.mark.parametrize(
    ("mask", "page", "hidden"),
    [(".summary", "product", "the price"), ("#order_review", "checkout", "the total")],
    ids=["price", "pay button"],
)
def test_a_mask_over_what_sells_is_refused(tmp_path, mask, page, hidden):
    with serve(TinyShop()) as shop:
        seen = look(shop, tmp_path, masks=(Mask(mask, page),))
    assert seen.exit_code == 1
    assert f"The mask {mask} of site.yml lies over {hidden}" in failures(seen)
