"""The compressed copy: plays anywhere, starts at once, whatever the original was."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from shared.errors import QurbaniError
from shared.renditions import Quality, compress
from shared.scratch import Scratch
from tests import blank

QUICK = Quality(preset="ultrafast", long_side=320)


def film(*, size: tuple[int, int] = (320, 180), fps: int = 15, seconds: float = 1.0, codec: str = "libx264",
         container: str = "mp4", turn: int = 0, aspect: Fraction | None = None) -> io.BytesIO:
    """A silent video, left half white, right half black."""
    target = io.BytesIO()
    target.name = f"film.{container}"
    with av.open(target, "w", format=container) as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turn:
            stream.set_display_rotation(turn)
        picture = np.zeros((size[1], size[0], 3), dtype=np.uint8)
        picture[:, : size[0] // 2] = 255
        for index in range(int(fps * seconds)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target


def boxes(data: bytes) -> list[str]:
    """The names of the top boxes of an MP4, in order."""
    names, at = [], 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        names.append(name.decode())
        at += length
    return names


def copy(original: io.BytesIO, quality: Quality = QUICK) -> io.BytesIO:
    target = io.BytesIO()
    compress(original, target, quality)
    return target


def test_a_part_begins_where_it_is_wanted_and_at_zero(tmp_path: Path) -> None:
    with blank.make(tmp_path / "clip.mp4", seconds=6).open("rb") as whole:
        part = io.BytesIO()
        made = compress(whole, part, msgspec.structs.replace(QUICK, fps=5, begin=3.3, seconds=1.5))
    assert made.seconds == pytest.approx(1.5, abs=0.25)
    with av.open(part) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times[0] == pytest.approx(0, abs=0.1)
    assert times[-1] == pytest.approx(1.3, abs=0.25)
    part.seek(0)
    with av.open(part) as container:
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert heard == pytest.approx(1.5, abs=0.3)
    beyond = io.BytesIO()
    with (tmp_path / "clip.mp4").open("rb") as whole:
        assert compress(whole, beyond, msgspec.structs.replace(QUICK, begin=60, seconds=1)).seconds > 0.5


def test_h264_and_aac_with_the_index_in_front(tmp_path: Path) -> None:
    original = blank.make(tmp_path / "clip.mp4", seconds=2)
    with original.open("rb") as source, Scratch(tmp_path) as target:
        made = compress(source, target, QUICK)
        target.seek(0)
        data = target.read()
    assert boxes(data).index("moov") < boxes(data).index("mdat")
    with av.open(io.BytesIO(data)) as seen:
        video, audio = seen.streams.video[0], seen.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert audio.codec_context.name == "aac"
        assert (video.width, video.height) == (made.width, made.height) == (320, 180)
        assert seen.duration / av.time_base == pytest.approx(2.0, abs=0.1)
        assert made.seconds == pytest.approx(2.0, abs=0.1)
        assert made.sound
        assert sum(1 for _ in seen.decode(video)) == 30


def test_without_sound_stays_without_sound() -> None:
    target = io.BytesIO()
    assert not compress(film(), target, QUICK).sound
    with av.open(target) as seen:
        assert not seen.streams.audio


@pytest.mark.parametrize(("size", "expected"), [((321, 179), (320, 178)), ((64, 640), (32, 320)), ((90, 50), (90, 50))])
def test_sides_come_out_even_and_no_larger(size: tuple[int, int], expected: tuple[int, int]) -> None:
    with av.open(copy(film(size=size, codec="mpeg4"))) as seen:
        assert (seen.streams.video[0].width, seen.streams.video[0].height) == expected


@pytest.mark.parametrize(("turn", "bright"), [(90, "bottom"), (270, "top"), (180, "right")])
def test_a_phone_held_upright_is_shown_upright(turn: int, bright: str) -> None:
    with av.open(copy(film(turn=turn))) as seen:
        grey = next(seen.decode(video=0)).to_ndarray(format="gray").astype(int)
    height, width = grey.shape
    assert (height > width) == (turn in (90, 270))
    halves = {"top": grey[: height // 2], "bottom": grey[height // 2 :],
              "left": grey[:, : width // 2], "right": grey[:, width // 2 :]}
    assert max(halves, key=lambda half: halves[half].mean()) == bright


def test_wide_pixels_become_square() -> None:
    with av.open(copy(film(size=(160, 120), aspect=Fraction(4, 3)))) as seen:
        assert (seen.streams.video[0].width, seen.streams.video[0].height) == (214, 120)


def test_sixty_frames_a_second_become_thirty() -> None:
    with av.open(copy(film(fps=60))) as seen:
        assert sum(1 for _ in seen.decode(video=0)) == 30


def test_a_browser_recording_is_an_original_as_well() -> None:
    with av.open(copy(film(codec="libvpx", container="webm"))) as seen:
        assert seen.streams.video[0].codec_context.name == "h264"


def test_what_a_cut_file_still_holds_is_shown() -> None:
    whole = film(container="mpegts", seconds=4).getvalue()
    with av.open(copy(io.BytesIO(whole[: len(whole) // 2]))) as seen:
        assert 0 < sum(1 for _ in seen.decode(video=0)) < 60


@pytest.mark.parametrize(("data", "code"), [
    (b"", "file_empty"), (b"no video at all" * 100, "not_a_video"), (film().getvalue()[:500], "not_a_video"),
])  # fmt: skip
def test_a_file_that_is_no_video_says_so(data: bytes, code: str) -> None:
    target = io.BytesIO()
    with pytest.raises(QurbaniError, match=code):
        compress(io.BytesIO(data), target)
    assert target.getvalue() == b""


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    secret = blank.make(tmp_path / "secret.mp4", seconds=1)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n"
    with pytest.raises(QurbaniError, match="not_a_video"):
        copy(io.BytesIO(playlist.encode()))


def test_a_picture_larger_than_any_camera_is_refused() -> None:
    with pytest.raises(QurbaniError, match="file_damaged"):
        copy(film(size=(9_000, 4_400), fps=1, codec="mjpeg", container="avi"))


def test_progress_only_grows_and_ends_at_one(tmp_path: Path) -> None:
    told: list[float] = []
    with blank.make(tmp_path / "clip.mp4", seconds=2).open("rb") as source:
        compress(source, io.BytesIO(), QUICK, told.append)
    assert told == sorted(told)
    assert len(told) > 10
    assert told[-1] == 1.0
