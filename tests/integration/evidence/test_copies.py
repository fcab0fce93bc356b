"""Derived copies through the command: whole or not at all, the sound as it was, the original untouched."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from qurbani import main
from shared.domain.verdict import Box, Frame
from shared.errors import QurbaniError
from shared.evidence.confined import Limits
from shared.evidence.copies import copy, write
from shared.evidence.derive import Recipe
from shared.evidence.enhance import Enhancement
from shared.evidence.redact import Redaction
from tests.film import babble, film
from tests.unit.shared.evidence.test_sandbox import Meddling

BLOOD = (110, 8, 12)
GRASS = (92, 120, 60)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", 2, sound=babble(2, 0.5, 1.5))


@pytest.fixture(scope="module")
def bloody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grass in light and shade, and on it a wet pool."""
    path = tmp_path_factory.mktemp("film") / "bloody.mp4"
    rng = np.random.default_rng(5)
    ground = np.array(GRASS) * (0.7 + 0.6 * rng.random((180, 320, 1)))
    y, x = np.mgrid[:180, :320]
    pool = ((x - 140) / 40) ** 2 + ((y - 90) / 30) ** 2 < 1
    ground[pool] = np.array(BLOOD) * (0.9 + 0.2 * rng.random((pool.sum(), 1)))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"crf": "15"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(ground.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def pictures(path: Path) -> Iterator[NDArray[np.int16]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.int16)


def sound(path: Path) -> list[tuple[bytes, int | None]]:
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.pts) for packet in container.demux(audio=0) if packet.size]


def qurbani(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["qurbani", "evidence", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize(
    ("verb", "suffix", "size"), [("redact", "blurred", (160, 96)), ("enhance", "enhanced", (320, 192))]
)
def test_a_copy_beside_its_original(video: Path, verb: str, suffix: str, size: tuple[int, int],
                                    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = video.read_bytes()
    assert qurbani(monkeypatch, verb, video, "--json") == 0
    target = video.with_name(f"a_{suffix}.mp4")
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["width"], told["height"]) == (str(target), *size)
    assert told["sound_copied"]
    assert sound(target) == sound(video)
    assert video.read_bytes() == before
    with av.open(str(target)) as container:
        assert f"sha256:{hashlib.sha256(before).hexdigest()}" in container.metadata["comment"]
        assert container.metadata["comment"].startswith("derived copy")
        assert [frame.time for frame in container.decode(video=0)] == [index / 10 for index in range(20)]
    assert target.read_bytes().index(b"moov") < target.read_bytes().index(b"mdat")


def test_blood_is_coarse_and_the_rest_is_as_it_was(bloody: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    assert not copy(bloody, target, Redaction()).sound
    inside = (slice(75, 105), slice(120, 160))
    for before, after in zip(pictures(bloody), pictures(target), strict=True):
        detail, left = (np.abs(np.diff(each[inside], axis=1)).mean() for each in (before, after))
        assert left < detail / 3
        assert np.abs(before - after)[:, 240:].mean() < 4


def test_a_bystander_has_no_face_and_who_holds_the_animal_keeps_theirs(video: Path, tmp_path: Path) -> None:
    near = Box("person", "person", 0.9, 0.05, 0.1, 0.25, 0.9)
    far = Box("person", "person", 0.9, 0.75, 0.1, 0.95, 0.9)
    sheep = Box("animal", "sheep", 0.9, 0.2, 0.5, 0.45, 0.9)
    seen = tuple(Frame(float(time), 0.9, 0.9, 0.0, (near, far, sheep)) for time in range(3))
    target = tmp_path / "out.mp4"
    copy(video, target, Redaction(True, seen))
    pairs = zip(pictures(video), pictures(target), strict=True)
    changed = np.mean([np.abs(before - after).mean(axis=2) for before, after in pairs], axis=0)
    assert changed[8:20, 130:142].mean() > 10  # the white band ends here; a coarse one does not
    assert changed[8:20, 16:28].mean() < 4


@pytest.mark.parametrize("recipe", [Redaction(), Enhancement()], ids=["redaction", "enhancement"])
@pytest.mark.parametrize("data", [b"", b"nothing", b"\0\0\0\x18ftypmp42" + bytes(500)], ids=["empty", "text", "torso"])
def test_what_is_no_video_leaves_nothing_behind(data: bytes, recipe: Recipe, tmp_path: Path) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    source.write_bytes(data)
    target.write_bytes(b"as it was")
    with pytest.raises(QurbaniError) as error:
        copy(source, target, recipe)
    assert error.value.code in ("file_empty", "not_a_video", "file_damaged")
    assert target.read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_a_crash_of_the_decoder_is_a_reason(video: Path) -> None:
    meddling = Meddling(video.read_bytes(), lambda child: os.kill(child, signal.SIGSEGV), after=60)
    with pytest.raises(QurbaniError) as error:
        write(meddling, io.BytesIO(), Redaction())
    assert error.value.code == "decoder_crashed"


def test_a_decoder_that_falls_silent_is_given_up(video: Path) -> None:
    meddling = Meddling(video.read_bytes(), lambda child: os.kill(child, signal.SIGSTOP), after=60)
    with pytest.raises(QurbaniError) as error:
        write(meddling, io.BytesIO(), Redaction(), limits=Limits(answer_s=0.3))
    assert error.value.code == "too_demanding"


def test_the_original_is_never_replaced(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "link.mp4"
    link.hardlink_to(video)
    before = video.read_bytes()
    assert "does not replace its original" in str(qurbani(monkeypatch, "redact", video, link))
    assert video.read_bytes() == before


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    turned = film(tmp_path / "turned.mp4", 1, rotation=90)
    made = copy(turned, tmp_path / "out.mp4", Redaction())
    assert (made.width, made.height) == (96, 160)


def test_sound_that_no_mp4_can_hold_is_encoded(tmp_path: Path) -> None:
    source = tmp_path / "a.avi"
    with av.open(str(source), "w") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 160, 96, "yuv420p"
        track = out.add_stream("pcm_mulaw", rate=16_000, layout="mono")
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 20 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(babble(1, 0, 1)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    made = copy(source, tmp_path / "out.mp4", Redaction())
    assert (made.sound, made.sound_copied) == (True, False)
    assert len(sound(tmp_path / "out.mp4")) > 20
