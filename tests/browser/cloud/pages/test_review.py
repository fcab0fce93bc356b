"""A reviewer at a desk: signs in, and decides one video after the other without a mouse."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlsplit

import pytest

from demo.answers import wait_for
from shared.ids import new_id
from tests.browser.chromium import PROGRAM, Tab
from tests.cloud_hub import ADMIN, CloudHub
from tests.filmed import Filmed, another, clip, seal

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")

SECONDS = 4
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def flagged(hub: CloudHub, *names: str) -> Filmed:
    film = Filmed(hub, *names, language="en", content=another(clip(seconds=SECONDS)))
    film.tell()
    film.send()
    film.judge("review")
    wait_for("the review", lambda: str(film.video) in [row["video_id"] for row in hub.admin.get("/api/v1/reviews")])
    return film


def photograph(film: Filmed) -> None:
    """The animal as it came, at the hub."""
    sealed = seal(PIXEL, film.hub.platform.keys.unseal.public)
    film.box.write("photo", new_id(), {
        "of": film.order["animals"][0]["id"], "media_type": "image/png", "sha256": hashlib.sha256(PIXEL).hexdigest(),
        "size": len(PIXEL), "blob_id": hashlib.sha256(sealed).hexdigest(), "blob_size": len(sealed),
    })  # fmt: skip
    film.box.seal(sealed, kind="photo")
    film.box.sync()


def shown(page: Tab) -> str:
    """The video that the page is about, once the page is there."""
    return str(page.settle(lambda: page.run("document.readyState === 'complete' && location.pathname")).split("/")[-1])


def test_a_reviewer_needs_only_keys(hub: CloudHub, browser: Tab) -> None:
    first, second = flagged(hub, "Ahmed Benali"), flagged(hub, "خديجة المنصوري")
    photograph(first)
    page, app = browser, hub.authenticator
    page.size(1280, 900)
    page.open(hub.url + "/sign-in")
    page.submit(email=ADMIN, password=hub.password)
    page.settle(lambda: shown(page) == "second-factor")
    page.submit(code=app.code())
    page.settle(lambda: page.run("location.pathname") == "/review")
    page.settle(lambda: page.run("document.activeElement?.getAttribute('href')") == "/review/next")
    page.press("Enter")
    page.settle(lambda: shown(page) == str(first.video))
    assert "Ahmed Benali" in page.run("document.querySelector('h1').innerText")
    page.settle(lambda: page.run("document.querySelector('video').readyState") >= 2)

    page.settle(lambda: page.run("document.querySelector('.card img')?.naturalWidth") == 1)
    assert page.run("document.querySelectorAll('[data-frame]:not([hidden])').length") == 0
    page.press("1")
    page.settle(lambda: page.run("document.querySelector('video').currentTime") == 1)
    page.settle(lambda: page.run("document.querySelectorAll('[data-frame]:not([hidden])').length") == 1)
    page.press("ArrowRight")
    page.settle(lambda: page.run("document.querySelector('video').currentTime") == 2)

    for language, direction in (("ar", "rtl"), ("fr", "ltr"), ("en", "ltr")):
        page.open(f"{hub.url}/language/{language}?to=/review/{first.video}")
        assert page.run("[document.documentElement.lang, document.dir]") == [language, direction]
        assert page.run("document.documentElement.scrollWidth <= innerWidth")

    page.press("a")
    page.settle(lambda: shown(page) == str(second.video))
    wait_for("the order to be verified", lambda: first.order_state() == "verified")

    page.press("m")  # a remedy without words is asked for again
    page.settle(lambda: page.run("!!document.querySelector('[role=alert]')"))
    page.run("document.querySelector('#note').focus()")
    for letter in "arm":  # keys that decide elsewhere are letters here
        page.press(letter)
    assert page.run("document.querySelector('#note').value") == "arm"
    page.run("document.querySelector('[value=remedy]').click()")
    page.settle(lambda: page.run("location.pathname") == "/review")
    assert hub.admin.get(f"/api/v1/reviews/{second.video}")["decision"] == "remedy"

    assert [each for each in page.complaints if "400" not in each] == []
    hosts = {urlsplit(url).netloc for url in page.requested if not url.startswith("data:")}
    assert hosts == {urlsplit(hub.url).netloc}
