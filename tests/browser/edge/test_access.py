"""The tablet's pages by keyboard alone, and by rules that screen readers and weak eyes depend on.

The rules are those of WCAG 2.2 that a program can check: 1.1.1 (images have a text), 1.3.1 (headings, lists, landmarks,
labels), 1.4.3 (contrast of what is drawn, in each brightness), 2.4.1 to 2.4.3, 2.4.7 (a visible focus), 3.1.1, 4.1.2 (a
name for each control).
"""

from __future__ import annotations

from typing import Any

from shared.ids import new_id
from tests.box import PIN
from tests.browser.chromium import Tab
from tests.browser.edge.conftest import Site, at
from tests.browser.edge.test_recording import KEPT, reaches

RULES = """(() => {
  const broken = []
  const seen = [...document.body.querySelectorAll('*')].filter((each) => each.checkVisibility())
  const say = (rule, elements) => elements.forEach((each) => broken.push([rule, each.outerHTML.slice(0, 120)]))
  const all = (selector) => seen.filter((each) => each.matches(selector))
  if (!document.documentElement.lang) broken.push(['page without a language'])
  if (!document.title.trim()) broken.push(['page without a title'])
  if (all('main').length !== 1 || all('h1').length !== 1) broken.push(['not one main and one h1', all('h1').length])
  if (!document.querySelector('a.skip[href="#content"]')) broken.push(['no way past the navigation'])
  let level = 0
  for (const heading of all('h1, h2, h3, h4')) {
    if (heading.tagName[1] - level > 1) say('a level of headings is left out', [heading])
    level = Number(heading.tagName[1])
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => broken.push(['an id twice', id]))
  say('image without a text', all('img:not([alt])'))
  say('order of focus by hand', all('[tabindex]').filter((each) => each.tabIndex > 0))
  say('something else in a list', all('ul > :not(li), ol > :not(li)'))
  const legend = (set) => set.querySelector(':scope > legend')?.innerText.trim()
  say('choices without a name', all('fieldset').filter((each) => !legend(each)))
  const isTold = (each) => each.matches('[role], [role] *, [aria-live] *')
  say('an error that is not announced', all('.notice').filter((each) => !isTold(each)))
  for (const each of document.querySelectorAll('[aria-labelledby]')) {
    if (!document.getElementById(each.getAttribute('aria-labelledby'))) say('a label that is not there', [each])
  }
  return broken
})()"""

PALE = """(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number)
  const light = (color) => rgb(color).slice(0, 3).map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0)
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor
      if ((rgb(color)[3] ?? 1) === 1) return color
    }
    return 'rgb(255, 255, 255)'
  }
  const pale = []
  for (const element of document.body.querySelectorAll('*')) {
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
    if (!isText || !element.checkVisibility({ opacityProperty: true }) || element.matches('.skip, .unseen')) continue
    const style = getComputedStyle(element)
    const [a, b] = [light(style.color), light(behind(element))].sort((x, y) => y - x)
    const size = parseFloat(style.fontSize)
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5
    const ratio = (a + 0.05) / (b + 0.05)
    if (ratio < least) pale.push([element.outerHTML.slice(0, 100), ratio.toFixed(2), style.color, behind(element)])
  }
  return pale
})()"""
"""Text that stands out too little from what is behind it."""

UNNAMED = {"link", "button", "textbox", "searchbox", "checkbox", "radio", "meter", "progressbar", "navigation",
           "region", "combobox", "spinbutton"}  # fmt: skip

FOCUSED = """(() => {
  const each = document.activeElement
  const shown = [each, each.nextElementSibling, each.closest('.animal')].filter(Boolean)
  return [each.outerHTML.slice(0, 100), shown.some((part) => getComputedStyle(part).outlineStyle !== 'none')]
})()"""


def go_to(page: Tab, selector: str) -> None:
    """By Tab, as often as it takes; whatever gets the focus on the way shows it."""
    page.settle(lambda: page.run(f"document.querySelector({selector!r})?.checkVisibility()"))
    for _ in range(60):
        if page.run(f"document.activeElement.matches({selector!r})"):
            return
        page.press("Tab")
        what, is_shown = page.run(FOCUSED)
        assert is_shown or "<body" in what, f"the focus cannot be seen on {what}"
    raise AssertionError(f"no Tab leads to {selector}")


def unnamed(page: Tab) -> list[dict[str, Any]]:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    return [node for node in nodes
            if not node["ignored"] and node["role"]["value"] in UNNAMED and not node.get("name", {}).get("value")]


def test_every_page_keeps_the_rules_in_every_brightness(site: Site, page: Tab) -> None:
    animal = site.animals[3]  # whose page claims it, until long after this browser is gone
    lame = {"tag": "L 1", "species": "sheep", "defects": ["lame"]}
    site.tablet.ask("PUT", f"/api/v1/animals/{(unfit := new_id())}", json=lame)
    paths = ["/animals", f"/animals/{animal}", f"/animals/{unfit}", "/overview", "/intake", f"/intake?last={unfit}",
             "/hides", f"/hides/new?animal={animal}", "/meat", "/meat/new", "/nothing", "/sign-in"]  # fmt: skip
    for path in paths:
        page.open(f"{site.box.url}{path}")
        page.settle(lambda: page.run("document.readyState") == "complete")
        assert page.run(RULES) == [], path
        assert unnamed(page) == [], path
        for theme in ("", "sunlight", "dark"):
            page.run(f"document.documentElement.dataset.theme = '{theme}'")
            assert page.run(PALE) == [], (path, theme)


def test_from_sign_in_to_a_verdict_without_a_finger(site: Site, page: Tab) -> None:
    """Tab, Enter, Space, arrows and digits only."""
    animal = site.animals[4]
    page.run("fetch('/sign-out', { method: 'POST' })")
    page.open(f"{site.box.url}/animals")
    go_to(page, "[name=executor_id]")
    page.press("Space")
    go_to(page, "#pin")
    for digit in PIN:
        page.press(digit)
    page.press("Enter")
    page.settle(lambda: at(page, "/animals"))
    go_to(page, f"[id='a-{animal}']")
    page.press("Enter")
    reaches(page, "ready")
    go_to(page, "[data-shutter]")
    page.press("Space")
    reaches(page, "recording")
    page.settle(lambda: page.run(KEPT)[0] >= 2)
    assert page.run("document.activeElement.matches('[data-shutter]')"), "the focus stays on the button"
    page.press("Space")
    reaches(page, "judged")
    assert page.run("document.querySelector('#verdicts').getAttribute('aria-live')") == "polite"
    go_to(page, ".next")
    page.press("Enter")
    page.settle(lambda: at(page, "/animals"))


def test_an_animal_is_written_down_and_its_hide_salted_without_a_finger(site: Site, page: Tab) -> None:
    go_to(page, "a[href='/intake']")
    page.press("Enter")
    page.settle(lambda: at(page, "/intake"))
    go_to(page, "#tag")
    for letter in "K9":
        page.press(letter)
    go_to(page, "[name=species]")
    page.press("Space")
    page.press("ArrowDown")
    assert page.run("document.querySelector('[name=species]:checked').value") == "goat"
    go_to(page, "[name=defects]")
    page.press("Space")
    page.press("Space")
    go_to(page, "main form > button")
    page.press("Enter")
    assert "K9" in page.settle(lambda: page.run("document.querySelector('[data-last]')?.innerText"))
    (animal,) = (each["id"] for each in site.tablet.ask("GET", "/api/v1/animals").json() if each["tag"] == "K9")
    site.tablet.upload(site.tablet.open_sacrifice(animal), new_id(), b"some video" * 100)
    page.open(f"{site.box.url}/hides")
    go_to(page, f"[id='b-{animal}']")
    page.press("Enter")
    page.settle(lambda: at(page, "/hides/new"))
    go_to(page, "main form > button")
    page.press("Enter")
    page.settle(lambda: at(page, "/hides"))
    go_to(page, "[data-hide] .button")
    before = page.run("document.activeElement.id")
    site.tablet.ask("PUT", f"/api/v1/animals/{new_id()}", json={"tag": "K10", "species": "goat"})
    page.run("new Promise(done => document.addEventListener('refreshed', done, { once: true }))")
    assert page.run("document.activeElement.id") == before, "news must not take the focus away"
    page.press("Space")
    page.settle(lambda: page.run("Boolean(document.querySelector('[data-salted]'))"))
    assert page.complaints == []
