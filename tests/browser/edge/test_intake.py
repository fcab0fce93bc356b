"""An animal arrives: its form on a tablet, with a photo, in two scripts; and one that does not count."""

from __future__ import annotations

from pathlib import Path

from tests.box import until
from tests.browser.chromium import Tab
from tests.browser.edge.conftest import Site, at

PICTURE = """new Promise(async done => {
  const canvas = new OffscreenCanvas(3000, 2000)
  canvas.getContext('2d').fillRect(0, 0, 10, 10)
  const file = new File([await canvas.convertToBlob()], 'sheep.png', { type: 'image/png' })
  const given = new DataTransfer()
  given.items.add(file)
  const input = document.querySelector('[data-photo] input')
  input.files = given.files
  input.dispatchEvent(new Event('change'))
  done()
})"""


def fill(page: Tab, **fields: str) -> None:
    for name, text in fields.items():
        page.click(f"[name={name}]")
        page.call("Input.insertText", text=text)


def test_an_animal_with_its_photo_is_written_down_and_listed(site: Site, page: Tab, tmp_path: Path) -> None:
    page.click("a[href='/intake']")
    page.settle(lambda: at(page, "/intake"))
    fill(page, tag="Z 1", weight="41,5", age_months="14", pen="Z")
    page.click("[name=species][value=sheep]")
    page.run(PICTURE)
    page.settle(lambda: page.run("document.querySelector('[data-photo]').dataset.state") == "kept")
    page.click("main form > .button:not(a)")
    page.settle(lambda: page.run("document.querySelector('[data-last]')?.innerText.includes('Z 1')"))
    (row,) = site.box.rows("SELECT * FROM photo")
    assert (row["media_type"], row["size"] < 200_000) == ("image/jpeg", True), "it is made small before it is sent"
    (animal,) = (each for each in site.tablet.ask("GET", "/api/v1/animals").json() if each["tag"] == "Z 1")
    assert (animal["weight_g"], animal["photo_id"]) == (41_500, row["id"])
    page.open(f"{site.box.url}/animals")
    page.settle(lambda: page.run(f"Boolean(document.getElementById('a-{animal['id']}'))"))
    page.open(f"{site.box.url}/animals/{animal['id']}")
    page.settle(lambda: page.run("document.querySelector('.record-head img')?.naturalWidth"))
    until(lambda: row["blob_id"] in site.hub.arrived, what="the photo at the hub")
    assert page.complaints == []


def test_one_that_does_not_count_is_told_in_the_readers_language_and_has_no_camera(site: Site, page: Tab) -> None:
    page.open(f"{site.box.url}/language/ar?to=/intake")
    page.settle(lambda: page.run("document.dir === 'rtl' && document.readyState === 'complete'"))
    fill(page, tag="Z ٢", age_months="٥")
    page.click("[name=species][value=goat]")
    page.click("[name=defects][value=lame]")
    page.click("main form > .button:not(a)")
    told = page.settle(lambda: page.run("document.querySelector('[data-last] [data-ineligible]')?.innerText"))
    assert "بيّن العرج" in told
    assert "صغير السن" in told
    (animal,) = (each for each in site.tablet.ask("GET", "/api/v1/animals").json() if each["tag"] == "Z 2")
    page.open(f"{site.box.url}/animals/{animal['id']}")
    assert page.run("document.querySelector('[data-ineligible]') && !document.querySelector('video')")
    page.open(f"{site.box.url}/language/en?to=/animals")
    page.settle(lambda: at(page, "/animals"))
