"""A tablet in a real browser with a camera that shows a film: from the list to the verdict, and what goes wrong."""

from __future__ import annotations

import hashlib
import io
from typing import Any
from uuid import UUID

import av

from shared.crypto import UnsealKey
from shared.sealed import SealedReader
from tests.box import until
from tests.browser.chromium import Tab
from tests.browser.edge.conftest import Site, enter

STATE = "document.querySelector('[data-record]')?.dataset.state"

KEPT = """(async () => {
  const all = await new Promise(done => {
    const opening = indexedDB.open('qurbani')
    opening.onsuccess = () => {
      const asking = opening.result.transaction('pieces').objectStore('pieces').getAll()
      asking.onsuccess = () => { opening.result.close(); done(asking.result) }
    }
  })
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(all.map(piece => piece.data)).arrayBuffer())
  return [all.length, [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('')]
})()"""
"""How many pieces of recordings the tablet keeps, and the SHA-256 of them all."""


def reaches(page: Tab, state: str) -> None:
    page.settle(lambda: page.run(STATE) == state)


def begin(page: Tab, animal: UUID) -> None:
    """Two of the three taps; returns when pieces of the recording are kept on the tablet."""
    page.click(f"[id='a-{animal}']")
    reaches(page, "ready")
    page.click("[data-shutter]")
    reaches(page, "recording")
    page.settle(lambda: page.run(KEPT)[0] >= 2)


def test_three_taps_from_the_list_to_the_verdict(site: Site, page: Tab) -> None:
    animal = site.animals[0]
    begin(page, animal)
    assert page.run("document.querySelector('.placard li bdi').innerText") == "Ahmed Benali"
    page.click("[data-shutter]")
    reaches(page, "judged")
    assert page.run("document.querySelector('.verdict').dataset.outcome") == "rejected"
    assert "No person" in page.run("document.querySelector('#verdicts').innerText")
    assert page.run(KEPT)[0] == 0, "what the box has must not stay on the tablet"

    (video,) = site.videos(animal)
    until(lambda: site.videos(animal)[0]["place"] == "in_cloud")
    assert played(site, video) >= 1
    page.click(".next")
    page.settle(lambda: page.run(f"document.getElementById('a-{animal}')?.closest('li').dataset.phase") == "again")
    assert page.complaints == []
    assert {url.split("/")[2] for url in page.requested if url.startswith("http")} == {site.box.url.split("/")[2]}


def test_the_box_goes_away_in_mid_recording(site: Site, page: Tab) -> None:
    """Killed, and back again: what was recorded without it arrives to the last byte, and is judged."""
    animal = site.animals[1]
    begin(page, animal)
    site.box.kill()
    page.settle(lambda: page.run("document.querySelector('[data-net]').dataset.state") == "offline")
    so_far = page.run(KEPT)[0]
    page.settle(lambda: page.run(KEPT)[0] > so_far)
    page.click("[data-shutter]")
    reaches(page, "sending")
    _, kept = page.run(KEPT)
    page.open(f"{site.box.url}/animals")
    assert page.run("document.querySelectorAll('.animal').length") == 6, "the list must open without the box"
    site.box.start()
    (video,) = site.arrived(animal)
    assert video["sha256"] == kept
    page.settle(lambda: page.run(KEPT)[0] == 0)


def test_a_closed_tab_loses_nothing_that_was_kept(site: Site) -> None:
    animal = site.animals[2]
    with site.browser() as page:
        enter(site, page)
        begin(page, animal)
        site.box.kill()
        page.settle(lambda: page.run(KEPT)[0] >= 3)
    site.box.start()
    with site.browser() as page:
        enter(site, page)
        (video,) = site.arrived(animal)
        page.settle(lambda: page.run(KEPT)[0] == 0)
    assert played(site, video) >= 1


def played(site: Site, video: dict[str, Any]) -> float:
    """Seconds of picture in a video, as the hub can open it; checks that it is the one that was recorded."""
    rows = site.box.rows(f"SELECT blob_id FROM video WHERE id = '{video['id']}'")
    until(lambda: rows[0]["blob_id"] in site.hub.arrived, what="the blob at the hub")
    content = SealedReader(io.BytesIO(site.hub.uploads[rows[0]["blob_id"]]), UnsealKey(b"h" * 32)).read()
    assert hashlib.sha256(content).hexdigest() == video["sha256"]
    with av.open(io.BytesIO(content)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    return times[-1] - times[0]
