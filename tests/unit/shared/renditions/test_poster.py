"""The poster: one JPEG that shows something."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from shared.errors import QurbaniError
from shared.renditions import poster
from tests import blank


def test_a_jpeg_no_larger_than_asked(tmp_path: Path) -> None:
    with blank.make(tmp_path / "clip.mp4", seconds=2).open("rb") as source:
        picture = Image.open(io.BytesIO(poster(source, 320)))
    assert picture.format == "JPEG"
    assert picture.size == (320, 180)


def test_not_the_black_lead_in() -> None:
    """Six seconds, the first of them black: the poster comes out of the second one."""
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for index in range(60):
            picture = np.zeros((90, 160, 3), dtype=np.uint8)
            if index >= 10:
                picture[:, ::2] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    def brightness(at: float | None) -> float:
        return float(np.asarray(Image.open(io.BytesIO(poster(film, at=at))).convert("L")).mean())

    assert brightness(None) > 60
    assert brightness(0.4) < 20, "the moment that was asked for"
    assert brightness(1.2) > 60
    assert brightness(99) > 60, "past the end there is the end"


def test_nothing_to_show_says_so() -> None:
    with pytest.raises(QurbaniError, match="not_a_video"):
        poster(io.BytesIO(b"nothing"))
