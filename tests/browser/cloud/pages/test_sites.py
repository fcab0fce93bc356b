"""The page of a site on a phone and on a desk, left to right and right to left, and with the keyboard."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import PROGRAM, Tab
from tests.cloud_hub import CloudHub

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def place(hub: CloudHub) -> str:
    """A site with something in every part of its page."""
    site = str(hub.admin.post("/api/v1/sites", {
        "name": "Blida, the large yard behind the old market", "timezone": "Africa/Algiers", "languages": ["ar"],
        "latitude": 36.47, "longitude": 2.83, "country": "DZ",
    })["id"])  # fmt: skip
    path = f"/api/v1/sites/{site}"
    hub.admin.ask("PUT", "/api/v1/moons/DZ", {"day": hub.platform.clock.now().date().isoformat()})
    hub.admin.ask("PUT", f"{path}/eid", {"begins": "00:01:00", "per_hour": 30})
    donor = hub.donor()
    for tag in ("DZ-0101", "DZ-0102"):
        for animal in hub.admin.get(f"{path}/animals"):
            hub.admin.post(f"{path}/freeze", {"animals": [animal["id"]]})
        hub.admin.post(f"{path}/animals", {"tag": tag, "species": "cow"})
        hub.allocated_order(donor, site, "cow", "خديجة المنصوري", "Ahmed Benali")
    for animal in hub.admin.get(f"{path}/animals"):
        hub.admin.post(f"/api/v1/animals/{animal['id']}/thaw", {"reason": "To begin anew."})
    people = [
        hub.admin.post(f"{path}/executors", {"name": name, "language": "ar", "pin": "271828"})["id"]
        for name in ("كريم بن عمر", "Salim Haddad")
    ]
    hub.admin.post(f"{path}/teams", {"name": "North", "members": people, "lead_id": people[1]})
    hub.box(site).sync()
    return site


def test_the_page_of_a_site_fits_every_screen_and_is_read_from_either_side(
    hub: CloudHub, browser: Tab, place: str, tmp_path: Path
) -> None:
    page = browser
    page.call("Network.setCookie", name="session", value=hub.page_session(hub.admin.id), url=hub.url)
    for language, direction in (("ar", "rtl"), ("fr", "ltr"), ("en", "ltr")):
        for width, height in ((390, 844), (1280, 900)):
            page.size(width, height, dark=language == "fr")
            for path in ("/sites", f"/sites/{place}"):
                page.open(f"{hub.url}/language/{language}?to={path}")
                page.settle(lambda path=path: page.run("location.pathname") == path)
                assert page.run("[document.documentElement.lang, document.dir]") == [language, direction]
                assert page.run("document.documentElement.scrollWidth <= innerWidth"), (language, width, path)
                page.picture(tmp_path / f"{path.split('/')[1]}-{len(path) > 8}-{language}-{width}.png")

    assert page.run("document.querySelectorAll('[data-move]').length") == 2
    page.run("document.querySelector('form[action$=filling] button').focus()")
    page.press("Enter")
    page.settle(lambda: page.run("document.readyState === 'complete' && !document.querySelector('[data-move]')"))
    assert urlsplit(page.run("location.href")).path == f"/sites/{place}"
    unnamed = """[...document.querySelectorAll('main :is(input:not([type=hidden]), select)')].filter(
        field => !field.labels?.length).length"""
    assert page.run(unnamed) == 0
    assert page.complaints == []
    assert [url for url in page.requested if not url.startswith((hub.url, "data:", "about:"))] == []
