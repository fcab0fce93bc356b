"""What would spoil a recording is told before it begins."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from shared.domain.verdict import Box, Model
from shared.evidence.frames import Fit
from shared.evidence.preflight import ADVICE, assess, preflight
from shared.evidence.scene import Rule, Threshold
from tests.film import babble, film

VOICE = babble(2, 0, 2)


def yard(seed: int = 1) -> NDArray[np.uint8]:
    """Something with the edges and the light of a photograph: blocks of many sizes, one on top of the other."""
    chance = np.random.default_rng(seed)
    picture = np.full((240, 320, 3), 140, np.uint8)
    for _ in range(300):
        left, top, size = chance.integers(0, 320), chance.integers(0, 240), chance.integers(3, 50)
        picture[top : top + size, left : left + size] = chance.integers(0, 256, 3)
    return picture


def blurred(picture: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def shaken(picture: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    return np.mean([np.roll(picture, at, axis=1) for at in range(pixels)], axis=0).astype(np.uint8)


class Eyes:
    """Sees an animal where it is told, or none."""

    model = Model("eyes", "1")
    fit = Fit(320, 320, "rgb24")
    rule = Rule({"person": Threshold(0.4, 0.1), "animal": Threshold(0.3, 0.1), "knife": Threshold(0.2, 0.01)}, 2, 3)

    def __init__(self, *corners: float, score: float = 0.8) -> None:
        self._boxes = [Box("animal", "sheep", score, *corners)] if corners else []

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        return [Box("person", "person", 0.9, 0, 0, 0.2, 1), *self._boxes]


IN_FRAME = Eyes(0.2, 0.3, 0.8, 0.9)


@pytest.mark.parametrize("seed", range(5))
def test_a_good_picture_is_ready_and_a_spoilt_one_is_told(seed: int) -> None:
    good = yard(seed)
    for picture, codes in (
        (good, []),
        ((good * 0.2).astype(np.uint8), ["too_dark"]),
        (blurred(good, 3), ["blurred"]),
        (shaken(good, 10), ["blurred"]),
        (shaken(good.transpose(1, 0, 2), 10).transpose(1, 0, 2)[:, :240], ["blurred"]),
    ):
        assert assess([picture] * 3, [VOICE], IN_FRAME) == codes


def test_one_blurred_moment_is_no_fault() -> None:
    assert assess([yard(), blurred(yard(), 4), yard()], [VOICE], IN_FRAME) == []


@pytest.mark.parametrize(
    ("eyes", "codes"),
    [
        (Eyes(), ["out_of_frame"]),
        (Eyes(0.2, 0.3, 0.8, 0.9, score=0.05), ["out_of_frame"]),
        (Eyes(0.0, 0.3, 0.5, 0.9), ["cut_off"]),
        (Eyes(0.5, 0.3, 1.0, 0.9), ["cut_off"]),
        (Eyes(0.2, 0.0, 0.8, 0.9), ["cut_off"]),
        (Eyes(0.2, 0.3, 0.8, 1.0), []),
        (None, []),
    ],
)
def test_the_animal_ought_to_be_in_the_picture(eyes: Eyes | None, codes: list[str]) -> None:
    assert assess([yard()] * 3, [VOICE], eyes) == codes


def test_the_microphone() -> None:
    assert assess([yard()], [], IN_FRAME) == ["no_sound"]
    assert assess([yard()], [np.zeros(16000, np.int16)] * 2, IN_FRAME) == ["muted"]
    assert assess([yard()], [np.zeros(16000, np.int16), VOICE], IN_FRAME) == []


def test_a_clip_as_it_is_recorded(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", 3, still=yard(), sound=VOICE)
    found = preflight(clip, IN_FRAME)
    assert (found.ready, found.faults, found.framed) == (True, (), True)
    dark = film(tmp_path / "dark.webm", 3, still=(yard() * 0.15).astype(np.uint8), codec="libvpx",
                options={"live": "1"})  # fmt: skip
    found = preflight(io.BytesIO(dark.read_bytes()), None)
    assert [fault.code for fault in found.faults] == ["too_dark", "no_sound"]
    assert found.faults[0].hints == {"ar": ADVICE["too_dark"].ar, "en": ADVICE["too_dark"].en,
                                     "fr": ADVICE["too_dark"].fr}  # fmt: skip
    assert (found.ready, found.framed) == (False, False)


@pytest.mark.parametrize(("content", "code"), [(b"", "file_empty"), (b"no clip" * 99, "not_a_video")])
def test_what_cannot_be_read_is_told_like_the_rest(content: bytes, code: str) -> None:
    found = preflight(io.BytesIO(content), IN_FRAME)
    assert [fault.code for fault in found.faults] == [code]
    assert not found.framed
    assert set(found.faults[0].hints) == {"ar", "en", "fr"}
