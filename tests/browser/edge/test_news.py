"""Late orders at a dark site: codes on a phone's screen before the camera of a tablet, and a file from a stick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from edge.main import Box as OpenBox
from edge.settings import Settings
from shared import codes, sealed
from shared.crypto import SigningKey, UnsealKey
from shared.ids import new_id
from sync import news
from sync.bundle import Sender
from sync.messages import Change
from sync.news import News
from tests.box import PIN, PIN_HASH, Box, running, until
from tests.browser.chromium import PROGRAM, Tab, camera, tab
from tests.browser.edge.conftest import at, sign_in
from tests.hub import Hub, serving
from tests.unit.sync.chains import HUB_KEY, SITE

SIZE = (640, 480)
LATE = new_id()


@pytest.fixture
def dark(tmp_path: Path) -> Iterator[tuple[Box, Any]]:
    """A box that has heard of one animal, and no more since."""
    if PROGRAM is None:
        pytest.skip("there is no Chromium on this machine")
    hub = Hub()
    with ExitStack() as stack:
        with serving(hub):
            box, tablet, _ = stack.enter_context(running(tmp_path / "box", hub))
        yield box, tablet


def told(box: Box, *, key: SigningKey = HUB_KEY, to: UnsealKey | None = None, **change: Any) -> bytes:
    """What the hub writes for the box: one more animal, with a name."""
    opened = OpenBox.open(Settings(data=str(box.folder)))
    try:
        link = opened.db.rows("SELECT cursor, mark, coalesce(contact_hub_ms, 0) AS heard FROM link")[0]
        at, recipient = link["cursor"], (to or opened.keys.seal).public
        animal = {"site_id": str(SITE), "tag": "late", "species": "sheep", "pen": "B"}
        share = {"animal_id": str(LATE), "name": "Moussa Keïta", "language": "fr", "reference": "2001"}
        changes = [Change(at + 1, "animal", LATE, animal), Change(at + 2, "share", new_id(), share)]
        made = replace(
            News(opened.node.id, SITE, at, link["mark"], at + 2, link["heard"] + 60_000, changes), **change
        )
    finally:
        opened.db.close()
    return news.write(Sender(made.node, key, recipient, partial(sealed.seal, recipients=[recipient])), made)


def filmed(path: Path, texts: list[str]) -> Path:
    """A phone in somebody's hand, as the tablet's camera sees it: each code for some pictures, in any order."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        for number, text in enumerate([text for text in texts for _ in range(5)]):
            seen = Image.new("L", SIZE, 90)
            seen.paste(codes._picture(text).resize((420, 420)).rotate(3, expand=True, fillcolor=90), (100, 10))
            rgb = av.VideoFrame.from_ndarray(np.stack([np.array(seen)] * 3, -1), "rgb24")
            picture = rgb.reformat(format="yuvj420p")
            picture.pts, picture.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def show(box: Box, folder: Path, texts: list[str], picture: Path | None = None, language: str = "en") -> str:
    """What the page says in the end when the tablet's camera sees these codes again and again."""
    with tab(folder / "browser", *camera(filmed(folder / "phone.mjpeg", texts))) as page:
        page.size(800, 1200)
        page.open(f"{box.url}/language/{language}?to=/sign-in")
        sign_in(page)
        page.open(f"{box.url}/news")
        page.click("[data-look]")
        state = page.settle(lambda: ended(page))
        assert page.run("document.scrollingElement.scrollWidth") <= 800
        if picture:
            page.picture(picture)
        assert not [each for each in page.complaints if "409" not in each and "422" not in each], page.complaints
        assert all(url.startswith((box.url, "blob:", "data:")) for url in page.requested if "://" in url)
        return str(state)


def ended(page: Tab) -> str | None:
    state = page.run("document.querySelector('[data-news]').dataset.state")
    return None if state in ("", "looking", "reading") else str(state)


def test_codes_before_the_camera(dark: tuple[Box, Any], tmp_path: Path) -> None:
    box, tablet = dark
    texts = codes.parts(told(box))
    assert len(texts) > 1
    assert show(box, tmp_path, texts[::-1], tmp_path / "taken.png") == "taken"
    animals = {each["tag"]: each for each in tablet.ask("GET", "/api/v1/animals").json()}
    assert [share["name"] for share in animals["late"]["shares"]] == ["Moussa Keïta"]
    assert show(box, tmp_path, texts, tmp_path / "again.png", "ar") == "old_news"


def test_a_list_of_people_that_is_too_old(tmp_path: Path) -> None:
    """A box that has not heard the hub for too long: two sign in together, and recording goes on."""
    if PROGRAM is None:
        pytest.skip("there is no Chromium on this machine")
    hub, witness = Hub(), new_id()
    with ExitStack() as stack:
        with serving(hub):
            box, tablet, _ = stack.enter_context(running(tmp_path / "box", hub))
            hub.publish("executor", witness, {"name": "Amina", "pin_hash": PIN_HASH, "language": "fr"})
            until(lambda: len(tablet.ask("GET", "/api/v1/executors").json()) == 2, what="both")
        box.stop()
        box.environ["QURBANI_EDGE_PEOPLE_HOURS"] = "0.000001"
        box.start()
        alone = {"executor_id": str(tablet.executor), "pin": PIN}
        together = alone | {"witness": {"executor_id": str(witness), "pin": PIN}}
        session = f"{box.url}/api/v1/session"
        assert tablet.http.post(session, json=alone).json()["code"] == "people_old"
        assert tablet.http.post(session, json=together).is_success
        assert tablet.ask("GET", "/api/v1/animals").json(), "whoever is signed in goes on"
        with tab(tmp_path / "browser") as page:
            page.size(800, 1200)
            page.open(f"{box.url}/language/ar?to=/sign-in")
            assert page.run("document.querySelector('[data-people]').dataset.people") == "old"
            assert page.run("document.scrollingElement.scrollWidth") <= 800
            page.click(f"[name=executor_id][value='{tablet.executor}'] + span")
            page.click(f"[name=witness_id][value='{witness}'] + span")
            page.run(f"document.querySelector('[name=witness_pin]').value = '{PIN}'")
            page.picture(tmp_path / "two.png")
            for digit in PIN:
                page.click(f"[data-keypad] [value='{digit}']")
            page.click("[data-keypad] .button")
            page.settle(lambda: at(page, "/animals"))
            page.open(f"{box.url}/overview")
            assert page.run("document.querySelector('[data-people]').dataset.people") == "old"
        assert tablet.ask("GET", "/api/v1/status").json()["people"]["is_old"]


def test_what_is_refused_and_a_file(dark: tuple[Box, Any], tmp_path: Path) -> None:
    box, tablet = dark
    good = told(box)
    whole, altered = codes.parts(good), codes.parts(good[:-1] + bytes([good[-1] ^ 1]))
    forged = [*whole[:-1], whole[-1].rsplit(":", 1)[0] + ":" + altered[-1].rsplit(":", 1)[1]]
    assert show(box, tmp_path, forged) == "damaged"
    for raw, code in (
        (told(box, key=SigningKey.generate()), "bad_signature"),
        (told(box, to=UnsealKey.generate()), "foreign_bundle"),
        (told(box, site=new_id()), "foreign_bundle"),
    ):
        answer = tablet.http.post(f"{box.url}/api/v1/news", content=raw)
        assert (answer.json()["code"], answer.is_success) == (code, False)
    assert tablet.http.post(f"{box.url}/api/v1/news", content=good, headers={"authorization": ""}).status_code == 401
    (tmp_path / "stick").write_bytes(good)
    assert "2 records are news" in box.command("import-news", str(tmp_path / "stick")).stdout
    again = box.command("import-news", str(tmp_path / "stick"), check=False)
    assert (again.returncode, "[old_news]" in again.stderr, "Traceback" in again.stderr) == (1, True, False)
    assert "late" in {each["tag"] for each in tablet.ask("GET", "/api/v1/animals").json()}
