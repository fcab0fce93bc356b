"""Whoever writes a program for the hub reads its reference there, and the browser asks nobody else."""

from __future__ import annotations

import pytest

from tests.browser.chromium import PROGRAM, Tab
from tests.cloud_hub import ADMIN, CloudHub

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")


def test_the_reference_is_drawn_by_what_the_hub_has(hub: CloudHub, browser: Tab) -> None:
    page, app = browser, hub.authenticator
    page.size(1280, 900)
    page.open(hub.url + "/api-docs")
    assert page.run("location.pathname") == "/sign-in"
    page.submit(email=ADMIN, password=hub.password)
    page.settle(lambda: page.run("document.readyState === 'complete' && location.pathname") == "/second-factor")
    page.submit(code=app.code())
    page.settle(lambda: page.run("/donors[^]*executors[^]*Models/.test(document.body?.innerText)"))
    assert [url for url in page.requested if not url.startswith((hub.url, "data:", "blob:", "about:"))] == []
    assert page.complaints == []
