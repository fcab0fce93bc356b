"""How the tablet's pages look and are worked: on every screen, in every language, with gloves and screen readers."""

from __future__ import annotations

from typing import Any

from tests.browser.chromium import Tab
from tests.browser.edge.conftest import Site

SIZES = {"phone": (390, 800), "tablet": (800, 1200), "desktop": (1280, 800)}
DIRECTIONS = {"ar": "rtl", "fr": "ltr", "en": "ltr"}

SPOKEN = "document.readyState === 'complete' && [document.documentElement.lang, document.dir]"

CUT = """[...document.querySelectorAll('.scroll')]
  .filter(each => each.scrollWidth > each.clientWidth).map(each => each.ariaLabel)"""
SMALL = """[...document.querySelectorAll('a, button, .choice, textarea, input:not(.choice input):not([type=hidden])')]
  .filter(each => each.checkVisibility() && !each.matches('.skip, .net a'))
  .map(each => [each, (each.closest('.animal') ?? each).getBoundingClientRect()])
  .filter(([, box]) => box.width < 64 || box.height < 64)
  .map(([each, box]) => [each.outerHTML.slice(0, 80), box.width, box.height])"""
"""What a finger in a glove would miss."""

ROLES = {"link", "button", "textbox", "searchbox", "checkbox", "radio", "meter"}


def unnamed(page: Tab) -> list[dict[str, Any]]:
    """What a screen reader could only call by its kind."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    return [node for node in nodes
            if not node["ignored"] and node["role"]["value"] in ROLES and not node.get("name", {}).get("value")]


def test_every_page_fits_every_screen_in_every_language(site: Site, page: Tab) -> None:
    animal = site.animals[3]
    paths = ["/animals", f"/animals/{animal}", "/overview", "/intake", f"/intake/{animal}", "/hides",
             f"/hides/new?animal={animal}", "/meat", "/meat/new", "/nothing"]
    for language, direction in DIRECTIONS.items():
        for path in paths:
            page.open(f"{site.box.url}/language/{language}?to={path}")
            page.settle(lambda spoken=[language, direction]: page.run(SPOKEN) == spoken)
            for name, size in SIZES.items():
                page.size(*size)
                where = (language, path, name)
                assert page.run("document.documentElement.scrollWidth - innerWidth") <= 0, where
                assert page.run(CUT) == [], where
                assert page.run(SMALL) == [], where
            assert unnamed(page) == [], (language, path)
    missing = [line for line in page.complaints if "404" not in line]
    assert missing == []


def test_brightness_is_chosen_and_remembered(site: Site, page: Tab) -> None:
    grounds = {}
    for theme in ("sunlight", "dark", "auto"):
        page.open(f"{site.box.url}/theme/{theme}?to=/animals")
        grounds[theme] = page.run("getComputedStyle(document.documentElement).backgroundColor")
    assert grounds["sunlight"] == "rgb(255, 255, 255)"
    assert len(set(grounds.values())) == 3


def test_a_finger_on_the_wrong_pin(site: Site, page: Tab) -> None:
    page.run("fetch('/sign-out', { method: 'POST' })")
    page.open(f"{site.box.url}/overview")
    page.settle(lambda: page.run("location.pathname") == "/sign-in")
    page.click("[name=executor_id]")
    page.click("[data-keypad] [value='1']")
    page.click("[data-keypad] .button")
    page.settle(lambda: page.run("document.querySelector('[role=alert]')?.innerText"))
    assert page.run("document.querySelector('[name=executor_id]').checked")
    assert page.run("caches.has('pages')") is False, "what one has seen is not for the next"
