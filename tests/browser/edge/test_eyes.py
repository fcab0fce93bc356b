"""The box's own cameras on the page of an animal: chosen, framed by, recorded with, lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.box import Box, Tablet, running, until
from tests.browser.chromium import PROGRAM, Tab, tab
from tests.browser.edge.conftest import at, sign_in
from tests.hub import Hub, serving

STATE = "document.querySelector('[data-record]')?.dataset.state"
SEEN = "document.querySelector('[data-picture]').naturalWidth"


class Yard:
    def __init__(self, box: Box, tablet: Tablet, animals: list[UUID]) -> None:
        self.box = box
        self.tablet = tablet
        self.animals = animals

    def videos(self, animal: UUID) -> list[dict[str, Any]]:
        listed = {each["id"]: each for each in self.tablet.ask("GET", "/api/v1/animals").json()}[str(animal)]
        return self.tablet.sacrifice(listed["sacrifice_id"])["videos"] if listed["sacrifice_id"] else []


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    if PROGRAM is None:
        pytest.skip("there is no Chromium on this machine")
    cameras = "gate=sim:?size=640x360 shed=rtsp://127.0.0.1:1/"
    settings = {"QURBANI_EDGE_CAMERAS": cameras, "QURBANI_EDGE_PREROLL_S": "1"}
    with ExitStack() as stack:
        hub = stack.enter_context(serving(Hub()))
        folder = tmp_path_factory.mktemp("site") / "box"
        yield Yard(*stack.enter_context(running(folder, hub, 3, **settings)))


@pytest.fixture(scope="module")
def page(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tablet without a camera, upon which somebody has signed in."""
    with tab(tmp_path_factory.mktemp("browser")) as page:
        page.size(800, 1200)
        page.open(f"{yard.box.url}/animals")
        sign_in(page)
        yield page


def reaches(page: Tab, state: str) -> None:
    page.settle(lambda: page.run(STATE) == state)


def choose(page: Tab, name: str) -> None:
    page.click(f".choice:has([name=eye][value='{name}'])")


def test_framed_recorded_and_judged_without_a_camera_of_the_tablet(yard: Yard, page: Tab) -> None:
    animal = yard.animals[0]
    page.run("localStorage.removeItem('eye')")
    page.open(f"{yard.box.url}/animals/{animal}")
    reaches(page, "no-camera")
    choose(page, "gate")
    reaches(page, "ready")
    assert page.settle(lambda: page.run(SEEN)) == 640
    small = """[...document.querySelectorAll('.choice, [data-shutter]')].filter(each => each.checkVisibility())
        .map(each => each.getBoundingClientRect()).filter(({ width, height }) => Math.min(width, height) < 64).length"""
    assert page.run(small) == 0, "gloves need 64 px"
    page.settle(lambda: page.run("document.querySelector('[data-found]').children.length"))  # the look before the act
    page.click("[data-shutter]")
    reaches(page, "recording")
    until(lambda: yard.box.rows("SELECT 1 FROM recording WHERE state = 'running'"))
    # Whoever comes back finds it recording.
    page.open(f"{yard.box.url}/animals/{animal}")
    reaches(page, "recording")
    page.settle(lambda: page.run(SEEN))
    assert page.run("document.querySelector('.eyes').checkVisibility()") is False
    page.click("[data-shutter]")
    reaches(page, "judged")
    assert page.run("document.querySelector('.verdict').dataset.outcome") == "rejected"
    assert len(yard.videos(animal)) == 1
    assert page.run("document.querySelector('[name=eye]:checked').value") == "gate"


def test_by_keyboard_and_in_arabic(yard: Yard, page: Tab) -> None:
    page.open(f"{yard.box.url}/language/ar?to=/animals/{yard.animals[1]}")
    choose(page, "gate")
    reaches(page, "ready")
    assert page.run("document.documentElement.dir") == "rtl"
    page.run("document.querySelector('[name=eye][value=gate]').focus()")
    press(page, "ArrowDown")
    reaches(page, "camera-lost")
    assert page.run("document.querySelector('[name=eye]:checked').value") == "shed"
    assert page.run("document.querySelector('[data-shutter]').checkVisibility()") is False
    press(page, "ArrowUp")
    reaches(page, "ready")
    press(page, "Tab")
    assert page.run("document.activeElement.matches('[data-shutter]')")
    press(page, "Enter")
    reaches(page, "recording")
    press(page, "Enter")
    reaches(page, "judged")
    page.open(f"{yard.box.url}/language/en?to=/overview")
    page.settle(lambda: at(page, "/overview"))
    assert page.run("document.querySelector('[data-camera=shed]').dataset.tone") == "bad"
    assert "Ready" in page.run("document.querySelector('[data-camera=gate]').innerText")


@pytest.mark.slow
def test_a_recorder_that_dies_is_said_and_goes_on(yard: Yard, page: Tab) -> None:
    animal = yard.animals[2]
    page.open(f"{yard.box.url}/animals/{animal}")
    choose(page, "gate")
    reaches(page, "ready")
    page.click("[data-shutter]")
    reaches(page, "recording")
    until(lambda: yard.box.rows("SELECT 1 FROM recording WHERE state = 'running'"))
    os.kill(yard.box.children()["recorder"], signal.SIGKILL)
    page.click("[data-shutter]")
    reaches(page, "judged")
    assert len(yard.videos(animal)) == 1


def press(page: Tab, key: str) -> None:
    code = {"ArrowDown": 40, "ArrowUp": 38, "Tab": 9, "Enter": 13}[key]
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)


@pytest.mark.slow
def test_how_it_looks(yard: Yard, page: Tab, tmp_path: Path) -> None:
    """Pictures for people: `--basetemp` says where."""
    for language, width, height in (("en", 800, 1200), ("ar", 400, 800), ("fr", 1280, 800)):
        page.size(width, height)
        page.open(f"{yard.box.url}/language/{language}?to=/animals/{yard.animals[0]}")
        choose(page, "gate")
        page.settle(lambda: page.run(SEEN))
        page.picture(tmp_path / f"{language}-{width}.png")
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), f"{language} at {width} px"
