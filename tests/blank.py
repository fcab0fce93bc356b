"""Small videos in which there is nothing to recognise: moving shapes and a hum, another for each seed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, FPS, RATE = 640, 360, 15, 16_000


def make(target: Path, *, seconds: int = 6, seed: int = 1) -> Path:
    """Write an MP4 (H.264, AAC) of ``seconds`` and return its path; the same seed gives the same picture and sound."""
    noise = np.random.default_rng(seed)
    with av.open(str(target), "w", options={"movflags": "+faststart"}) as out:
        video = out.add_stream("libx264", rate=FPS, options={"crf": "28", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        for index in range(seconds * FPS):
            frame = av.VideoFrame.from_ndarray(_picture(index, noise), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(video.encode(frame))
        for index, samples in enumerate(np.split(_hum(seconds, noise), seconds * 10)):
            sound = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
            sound.rate, sound.pts, sound.time_base = RATE, index * len(samples), Fraction(1, RATE)
            out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return target


def _picture(index: int, noise: np.random.Generator) -> np.ndarray:
    rows = np.linspace(60, 200, HEIGHT, dtype=np.uint8)
    picture = np.repeat(rows[:, np.newaxis, np.newaxis], WIDTH, axis=1).repeat(3, axis=2)
    left = 40 + index * 4 % (WIDTH - 160)
    picture[120:220, left : left + 120] = (180, 140, 90)
    return picture + noise.integers(0, 8, picture.shape, dtype=np.uint8)


def _hum(seconds: int, noise: np.random.Generator) -> np.ndarray:
    time = np.arange(seconds * RATE) / RATE
    return (800 * np.sin(2 * np.pi * 110 * time) + noise.normal(0, 200, time.size)).astype(np.int16)
