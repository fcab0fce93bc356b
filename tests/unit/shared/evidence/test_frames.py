"""One picture a second: the right one, upright, scaled, and no more decoded than that needs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from shared.errors import QurbaniError
from shared.evidence import frames
from shared.evidence.frames import Fit, Picture, sample
from shared.evidence.media import Video, opened, video_stream
from tests.film import film, grey

FIT = Fit(64, 64, "rgb24")


def pictures(video: Video, fit: Fit = FIT) -> list[Picture]:
    with opened(video) as container:
        return list(sample(container, fit))


def shades(found: list[Picture]) -> list[int]:
    return [int(np.median(picture.array())) for picture in found]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("two_second_gop.mp4", {"gop": 20}),
        ("odd_gop.mp4", {"gop": 13}),
        ("one_gop.mp4", {"gop": 250}),
        ("all_key.mp4", {"gop": 1}),
        ("fragmented.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("stream.ts", {}),
        ("matroska.mkv", {"gop": 30}),
        ("browser.webm", {"codec": "libvpx", "gop": 50}),
    ],
)
def test_each_second_shows_itself(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    found = pictures(film(tmp_path / name, 6, **options))
    assert [picture.time for picture in found] == pytest.approx(range(6), abs=0.35)
    assert shades(found) == pytest.approx([grey(second) for second in range(6)], abs=6)


def test_decodes_little_of_a_long_film(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 12, rate=25, gop=50)
    with opened(path) as container:
        stream = video_stream(container)
        assert stream is not None
        reader = frames._Reader(container, stream)
        decoded, due = 0, 0.0
        for time, _ in reader.frames():
            decoded += 1
            if time + 0.1 >= due:
                due += 1
                reader.skip_to(due)
    assert due == 12
    # Half of each group of pictures lies beyond its last wanted time; of the rest not all are referred to.
    assert decoded < 0.55 * 300


def test_scaled_to_fit_upright_and_in_the_order_of_colours(tmp_path: Path) -> None:
    path = film(tmp_path / "wide.mp4", 1, size=(320, 160))
    (picture,) = pictures(path, Fit(64, 64, "bgr24"))
    assert (picture.width, picture.height) == (64, 32)
    assert picture.array().shape == (32, 64, 3)
    (tall,) = pictures(film(tmp_path / "tall.mp4", 1, size=(160, 320)), Fit(64, 64, "bgr24"))
    assert (tall.width, tall.height) == (32, 64)


@pytest.mark.parametrize(("rotation", "side"), [(90, np.s_[:, :4]), (-90, np.s_[:, -4:]), (180, np.s_[-4:, :])])
def test_turned_as_a_player_would_turn_it(tmp_path: Path, rotation: int, side: tuple[slice, slice]) -> None:
    """The white band along the top: turned counterclockwise by 90 degrees it is on the left."""
    (picture,) = pictures(film(tmp_path / "a.mp4", 1, size=(128, 128), rotation=rotation))
    assert np.median(picture.array()[side]) > 240
    assert np.median(picture.array()) == pytest.approx(grey(0), abs=6)


def test_a_cut_file_gives_its_pictures_and_then_the_reason(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", 8, options={"movflags": "faststart"}).read_bytes()
    found = []
    with pytest.raises(QurbaniError) as error, opened(io.BytesIO(whole[: len(whole) * 6 // 10])) as container:
        found.extend(picture.time for picture in sample(container, FIT))
    assert error.value.code == "file_damaged"
    assert 0 < len(found) < 8


def test_garbage_in_the_middle_is_noticed(tmp_path: Path) -> None:
    data = bytearray(film(tmp_path / "a.mp4", 8, options={"movflags": "faststart"}).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    with pytest.raises(QurbaniError) as error, opened(io.BytesIO(bytes(data))) as container:
        list(sample(container, FIT))
    assert error.value.code == "file_damaged"


def test_too_long_is_said_and_not_sat_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LONGEST_S", 3)
    with pytest.raises(QurbaniError) as error:
        pictures(film(tmp_path / "a.mp4", 5))
    assert error.value.code == "too_long"


def test_pictures_too_large_are_refused_before_one_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MOST_PIXELS", 160 * 96 - 1)
    with pytest.raises(QurbaniError, match="160 x 96") as error:
        pictures(film(tmp_path / "a.mp4", 1))
    assert error.value.code == "too_demanding"
