"""A donor on a phone: signs in, reads, changes the language, watches."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from demo.answers import wait_for
from tests.browser.chromium import PROGRAM, Tab
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed, clip

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")

PHONE, DESKTOP = (390, 800), (1280, 800)

PLAY = """(async () => {
  const video = document.querySelector('video')
  video.muted = true
  video.currentTime = 2
  await video.play()
  await new Promise(done => video.addEventListener('timeupdate', () => video.currentTime > 2 && done()))
  return [video.videoWidth, video.videoHeight, Math.round(video.duration)]
})()"""


@pytest.fixture
def film(hub: CloudHub) -> Filmed:
    """A verified sacrifice of a cow, two names in two scripts."""
    names = ("Ahmed Benali", "خديجة المنصوري")
    film = Filmed(hub, *names, species="cow", language="en", content=clip(seconds=4))
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    return film


@pytest.fixture
def phone(browser: Tab) -> Tab:
    browser.size(*PHONE)
    return browser


def at(page: Tab, path: str) -> bool:
    return page.run("location.pathname") == path and page.run("document.readyState") == "complete"


def test_a_donor_signs_in_reads_and_watches(hub: CloudHub, film: Filmed, phone: Tab) -> None:
    order = f"/orders/{film.order_id}"
    phone.open(hub.url + order)
    phone.settle(lambda: at(phone, "/sign-in"))
    phone.submit(email=film.donor.email, password=film.donor.password)
    phone.settle(lambda: at(phone, order))
    assert phone.run("document.querySelector('h1').innerText") == "Ahmed Benali and خديجة المنصوري"
    assert phone.run(PLAY) == [640, 360, 4]

    for language, direction in (("ar", "rtl"), ("fr", "ltr")):
        phone.open(f"{hub.url}/language/{language}?to={order}")
        assert phone.run("[document.documentElement.lang, document.dir]") == [language, direction]
        for size in (PHONE, DESKTOP):
            phone.size(*size)
            assert phone.run("document.documentElement.scrollWidth <= innerWidth"), (language, size)

    assert phone.complaints == []
    hosts = {urlsplit(url).netloc for url in phone.requested if not url.startswith("data:")}
    assert hosts == {urlsplit(hub.url).netloc}


def test_an_order_that_is_looked_at_goes_on_by_itself(hub: CloudHub, phone: Tab) -> None:
    donor = hub.donor(language="en")
    order = donor.post("/api/v1/orders", {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]})["id"]
    phone.open(f"{hub.url}/sign-in?to=/orders/{order}")
    phone.submit(email=donor.email, password=donor.password)
    phone.settle(lambda: at(phone, f"/orders/{order}"))
    phone.run("globalThis.here = true")
    for act, pill in ((pay, "Paid"), (allocate, "Animal chosen")):
        act(hub, order)
        phone.settle(lambda pill=pill: pill in phone.run("document.querySelector('.pill').innerText"))
    assert phone.run("globalThis.here"), "nothing was loaded anew but what had changed"
    assert phone.complaints == []


def pay(hub: CloudHub, order: str) -> None:
    payment = {"key": order, "minor": 25_000, "currency": "EUR", "method": "cash"}
    hub.admin.post(f"/api/v1/orders/{order}/payments", payment)


def allocate(hub: CloudHub, order: str) -> None:
    hub.admin.post(f"/api/v1/orders/{order}/allocate", {"site_id": hub.site(A1="sheep")})
