"""Bytes on one screen, read from it by another one's camera."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, ImageFilter

from shared import codes
from shared.codes import Gathering, Progress
from shared.errors import QurbaniError

RAW = random.Random(5).randbytes(2000)


def pictures(film: bytes) -> list[Image.Image]:
    """What the screen shows, one after the other."""
    with Image.open(io.BytesIO(film)) as shown:
        found = []
        for number in range(shown.n_frames):
            shown.seek(number)
            found.append(shown.convert("L"))
        return found


def seen(picture: Image.Image) -> list[str]:
    return codes.look(picture.tobytes(), picture.width)


def gathered(texts: list[str]) -> Progress | bytes:
    gathering = Gathering()
    return [gathering.add(text) for text in texts][-1]


def test_what_a_screen_shows_is_read_in_any_order_and_again() -> None:
    """Through a camera that is small, askew and out of focus."""
    texts = []
    for picture in pictures(codes.film(codes.parts(RAW))):
        askew = picture.resize((480, 480)).rotate(4, expand=True, fillcolor=128).filter(ImageFilter.GaussianBlur(1))
        texts += seen(askew)
    assert len(texts) == 7
    random.Random(1).shuffle(texts)
    assert gathered([*texts[:3], *texts[:3]]) == Progress(3, 7)
    assert gathered([*texts[:3], *texts]) == RAW


def test_an_empty_wall_and_a_foreign_code() -> None:
    assert codes.look(bytes(640 * 480), 640) == []
    assert seen(codes._picture("https://example.org")) == []


@pytest.mark.parametrize(
    ("pixels", "width"), [(b"1234567", 3), (b"", 640), (b"12", 0), (bytes(10), -5), (bytes(2001), 1)]
)
def test_what_is_no_picture(pixels: bytes, width: int) -> None:
    with pytest.raises(QurbaniError, match="bad_input"):
        codes.look(pixels, width)


def test_a_part_of_something_else_is_found_out() -> None:
    texts, other = codes.parts(RAW), codes.parts(RAW[::-1])
    mixed = texts[3].rsplit(":", 1)[0] + ":" + other[3].rsplit(":", 1)[1]
    with pytest.raises(QurbaniError, match="damaged"):
        gathered([*texts[:3], mixed, *texts[4:]])
    gathering = Gathering()
    for text in texts[:-1]:  # from the start
        gathering.add(text)
    with pytest.raises(QurbaniError, match="damaged"):
        gathering.add(mixed)


@pytest.mark.parametrize("text", ["", "QURBANI1:0123456789ABCDEF:5:5:AA", "QURBANI1:0123456789ABCDEF:0:999:AA",
                                  "QURBANI1:0123456789ABCDEF:0:1:A", "QURBANI2:0123456789ABCDEF:0:1:AA"])  # fmt: skip
def test_what_is_no_code_of_ours(text: str) -> None:
    with pytest.raises(QurbaniError, match="bad_input"):
        Gathering().add(text)


def test_what_never_ends_is_forgotten() -> None:
    gathering, first = Gathering(2), codes.parts(RAW)
    for text in first[:6]:
        gathering.add(text)
    for seed in range(2):
        gathering.add(codes.parts(random.Random(seed).randbytes(900))[0])
    assert gathering.add(first[6]) == Progress(1, 7)


def test_a_stick_is_for_more() -> None:
    with pytest.raises(QurbaniError, match="too_large"):
        codes.parts(bytes(codes.PART_BYTES * codes.MAX_PARTS + 1))
