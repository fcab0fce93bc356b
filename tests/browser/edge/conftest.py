"""A site with a box that keeps its address, and a tablet in a real browser whose camera shows a film."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import numpy as np
import pytest

from demo.servers.server import Port
from tests.box import PIN, Box, Tablet, running, until
from tests.browser.chromium import PROGRAM, Tab, camera, tab
from tests.film import RATE, babble, film
from tests.hub import Hub, serving


class Site:
    """A box that keeps its address over restarts, its animals, and the folder of a tablet's browser."""

    def __init__(self, hub: Hub, box: Box, tablet: Tablet, animals: list[UUID], folder: Path) -> None:
        self.hub = hub
        self.box = box
        self.tablet = tablet
        self.animals = animals
        self._folder = folder
        self._flags = camera(_shown(folder / "camera.mjpeg"), _heard(folder / "microphone.wav"))

    def browser(self) -> Any:
        return tab(self._folder / "browser", *self._flags)

    def videos(self, animal: UUID) -> list[dict[str, Any]]:
        listed = {each["id"]: each for each in self.tablet.ask("GET", "/api/v1/animals").json()}[str(animal)]
        return self.tablet.sacrifice(listed["sacrifice_id"])["videos"] if listed["sacrifice_id"] else []

    def arrived(self, animal: UUID) -> list[dict[str, Any]]:
        return until(lambda: self.videos(animal), what="the video")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if PROGRAM is None:
        pytest.skip("there is no Chromium on this machine")
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        hub = stack.enter_context(serving(Hub()))
        port = stack.enter_context(Port()).number
        yield Site(hub, *stack.enter_context(running(folder / "box", hub, 6, QURBANI_EDGE_PORT=str(port))), folder)


@pytest.fixture
def page(site: Site) -> Iterator[Tab]:
    """A tablet upon which somebody has signed in; it is the same tablet in every test."""
    with site.browser() as page:
        page.size(800, 1200)
        enter(site, page)
        yield page


def enter(site: Site, page: Tab) -> None:
    page.open(f"{site.box.url}/animals")
    if page.run("location.pathname") == "/sign-in":
        sign_in(page)


def sign_in(page: Tab) -> None:
    page.click("[name=executor_id]")
    for digit in PIN:
        page.click(f"[data-keypad] [value='{digit}']")
    page.click("[data-keypad] .button")
    page.settle(lambda: at(page, "/animals"))


def at(page: Tab, path: str) -> bool:
    return bool(page.run("location.pathname") == path and page.run("document.readyState") == "complete")


def _shown(path: Path) -> Path:
    """The film of :mod:`tests.film` as the pictures that Chromium's fake camera takes."""
    with av.open(str(film(path.with_suffix(".mp4"), 3, size=(320, 180)))) as source, av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuvj420p"
        for number, frame in enumerate(source.decode(video=0)):
            picture = frame.reformat(format="yuvj420p")
            picture.pts, picture.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def _heard(path: Path) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(babble(3, 0.2, 2.8).astype(np.int16).tobytes())
    return path
