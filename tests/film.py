"""Small films made on the spot, of which every second and every sound is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000


def grey(second: int) -> int:
    """The shade of the picture within half a second of ``second``: far enough from its neighbours to survive."""
    return 30 + (second * 37) % 200


def film(
    path: Path,
    seconds: float = 4,
    *,
    size: tuple[int, int] = (160, 96),
    rate: int = 10,
    gop: int = 20,
    codec: str = "libx264",
    sound: NDArray[np.int16] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    still: NDArray[np.uint8] | None = None,
) -> Path:
    """A film whose picture is the shade of the nearest second below a white band, in which a dot moves.

    With a ``still`` of ``[height, width, 3]`` it shows nothing but that.
    """
    size = size if still is None else (still.shape[1], still.shape[0])
    width, height = size
    with av.open(str(path), "w", options=options or {}) as out:
        video = out.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.gop_size = gop
        if codec == "libx264":
            video.codec_context.options = {"preset": "veryfast", "sc_threshold": "0"}
        if rotation:
            video.set_display_rotation(rotation)
        audio = out.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        for index in range(round(seconds * rate)):
            picture = still if still is not None else _shade(width, height, index, rate)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            fifo = av.AudioFifo()
            fifo.write(frame)
            for piece in fifo.read_many(1024, partial=True):
                out.mux(audio.encode(piece))
            out.mux(audio.encode(None))
    return path


def _shade(width: int, height: int, index: int, rate: int) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), grey((index + rate // 2) // rate), np.uint8)
    picture[: height // 8] = 255
    picture[: height // 16, index * 4 % width :][:, :4] = 0
    return picture


def babble(seconds: float, start: float, end: float, loud: float = 0.3) -> NDArray[np.int16]:
    """Faint noise, and between ``start`` and ``end`` something with the pitch and the syllables of a voice."""
    noise = np.random.default_rng(7)
    time = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(2, 25))
    voice *= 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)
    speaking = (time >= start) & (time < end)
    samples = loud * voice * speaking + 0.001 * noise.standard_normal(time.size)
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)
