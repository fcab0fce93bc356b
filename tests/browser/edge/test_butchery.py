"""A hide and a batch of meat by touch; and the salting clock goes on by itself."""

from __future__ import annotations

from shared.ids import new_id
from tests.browser.chromium import Tab
from tests.browser.edge.conftest import Site, at


def test_a_hide_is_written_down_and_salted_and_the_meat_weighed(site: Site, page: Tab) -> None:
    animal = site.animals[5]
    site.tablet.upload(site.tablet.open_sacrifice(animal), new_id(), b"some video" * 100)
    page.click("nav a[href='/hides']")
    page.click(f"[id='b-{animal}']")
    page.settle(lambda: at(page, "/hides/new"))
    page.click("[name=grade][value=B]")
    page.click("[name=faults][value=cut]")
    page.click("[name=flayed_ago][value='240']")
    page.click("main form > .button:not(a)")
    page.settle(lambda: at(page, "/hides"))
    shown = page.settle(lambda: page.run("document.querySelector('[data-hide]')?.innerText"))
    assert "too late: salt it now" in shown
    assert page.run("document.querySelector('[data-grade=B] b').innerText") == "1"
    page.click("[data-hide] .over .button")
    page.settle(lambda: page.run("Boolean(document.querySelector('[data-salted]'))"))
    page.click("nav a[href='/meat']")
    page.click("a[href='/meat/new']")
    page.click("[name=weight]")
    page.call("Input.insertText", text="17,2")
    page.click(f"[name=animals][value='{animal}']")
    page.click("main form > .button:not(a)")
    page.settle(lambda: at(page, "/meat"))
    assert "17.2" in page.settle(lambda: page.run("document.querySelector('[data-meat]')?.innerText"))
    assert page.complaints == []
