"""A donor on a phone orders, sees the ledger, hands on a link; somebody without an account follows it, and checks."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from demo.answers import wait_for
from tests.browser.chromium import PROGRAM, Tab
from tests.browser.cloud.pages.test_donor import DESKTOP, PHONE
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed, clip

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")

DIRECTIONS = {"ar": "rtl", "fr": "ltr", "en": "ltr"}
READY = "document.readyState === 'complete' && location.pathname"
SPOKEN = "document.readyState === 'complete' && [document.documentElement.lang, document.dir]"

LINKS = "document.querySelectorAll('#links a').length"

SMALL = """[...document.querySelectorAll('main a.button, main button, main select, main input:not([type=hidden], .option input)')]
  .filter(each => each.checkVisibility() && !each.matches('.unseen'))
  .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect().height])
  .filter(([, height]) => height < 44)"""  # noqa: E501
"""What a thumb would miss."""


def fits(hub: CloudHub, page: Tab, path: str) -> None:
    """The page in each language and on each screen."""
    for language, direction in DIRECTIONS.items():
        page.open(f"{hub.url}/language/{language}?to={path}")
        page.settle(lambda spoken=[language, direction]: page.run(SPOKEN) == spoken)
        assert page.run("location.pathname") == path
        for size in (PHONE, DESKTOP):
            page.size(*size)
            assert page.run("document.documentElement.scrollWidth <= innerWidth"), (path, language, size)
            assert page.run(SMALL) == [], (path, language, size)


def sign_in(hub: CloudHub, page: Tab, film: Filmed, path: str) -> None:
    page.open(hub.url + path)
    page.settle(lambda: page.run(READY) == "/sign-in")
    page.submit(email=film.donor.email, password=film.donor.password)
    page.settle(lambda: page.run(READY) == path)


def test_a_donor_orders_and_others_follow_and_check(hub: CloudHub, browser: Tab) -> None:
    page = browser
    page.size(*PHONE)
    film = Filmed(hub, "Ahmed Benali", "خديجة المنصوري", species="cow", language="en", content=clip(seconds=2))
    price = {"species": "sheep", "currency": "EUR", "animal": 20_000, "transport": 3_000, "fee": 2_050}
    hub.admin.ask("PUT", "/api/v1/prices", price)
    film.tell()
    film.send()
    film.judge()
    sign_in(hub, page, film, "/orders/new")
    fits(hub, page, "/orders/new")

    page.size(*PHONE)
    page.run("document.querySelector('[name=name-0]').value = 'Zohra Kaddour'")
    page.click("main form > .button[value=see]")
    page.settle(lambda: "€250.50" in (page.run("document.querySelector('[data-quoted]')?.innerText") or ""))
    page.click("[data-quoted] .button")
    order = page.settle(lambda: (page.run(READY) or "").removeprefix("/orders/").replace("new", ""))
    fits(hub, page, f"/orders/{order}")
    fits(hub, page, f"/orders/{order}/ledger")
    assert set(page.run("[...document.querySelectorAll('[data-sum]')].map(each => each.dataset.sum)")) == {"0"}

    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    path = f"/orders/{film.order_id}"
    page.open(hub.url + path)
    page.click("#certificate .button")
    page.settle(lambda: page.run("document.querySelectorAll('#certificate [download]').length") == 3)
    before = page.run(LINKS)  # those of letters
    page.click("#links form[action$=links] button")
    page.settle(lambda: page.run(LINKS) == before + 1)
    fits(hub, page, path)
    addresses = [page.run(f"document.querySelector('{place} a[href^=\"/{kind}/\"]').getAttribute('href')")
                 for place, kind in (("#links", "track"), ("#certificate", "check"))]  # fmt: skip

    page.call("Network.clearBrowserCookies")
    for address in addresses:
        page.open(hub.url + address)
        shown = page.run("document.querySelector('main').innerText")
        assert not any(name in shown for name in film.names)
        fits(hub, page, address)
    assert page.run("document.querySelector('[data-stands]').dataset.stands") == "yes"
    assert page.complaints == []
    assert {urlsplit(url).netloc for url in page.requested if not url.startswith("data:")} == {urlsplit(hub.url).netloc}
