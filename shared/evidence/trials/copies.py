"""Acts at places, and what somebody makes of a film to sell it twice.

Several acts share a place: its ground, its light, its machines, its camera. What differs is who moves where and who
says what. A copy is decoded, changed, and encoded again, as an editor does.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import msgspec
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray
from PIL import Image

from shared.evidence.trials.scenery import made, noise

SIZE = (160, 90)
RATE = 12
HERTZ = 16_000

Pictures = list[NDArray[Any]]
Samples = NDArray[np.float32]


class Film(msgspec.Struct, frozen=True):
    """Pictures (``RATE`` a second) and sound (``HERTZ``, -1 to 1)."""

    pictures: Pictures
    sound: Samples
    rate: Fraction = Fraction(RATE)


def act(place: int, number: int, seconds: float) -> Film:
    """One act at one place; the same film for the same numbers."""
    here, now = np.random.default_rng((place, 77)), np.random.default_rng((place, number, 78))
    ground = next(made(here, SIZE, 1))
    actors = [_actor(now) for _ in range(now.integers(2, 5))]
    shake = now.normal(0, here.choice([0.0, 0.4]), (round(seconds * RATE), 2)).cumsum(axis=0)
    pictures = []
    for index in range(round(seconds * RATE)):
        picture = np.roll(ground, tuple(np.clip(shake[index], -3, 3).astype(int)), (0, 1)).copy()
        for look, mask, path in actors:
            _put(picture, look, mask, path(index / RATE))
        picture += now.normal(0, 0.012, picture.shape).astype(np.float32)
        pictures.append((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return Film(pictures, _voices(here, now, seconds))


def _actor(rng: np.random.Generator) -> tuple[Any, Any, Callable[[float], tuple[float, float]]]:
    """Somebody or an animal: clothes, an outline, and a way through the picture."""
    width, height = int(rng.integers(14, 40)), int(rng.integers(20, 60))
    look = rng.random(3).astype(np.float32) * (0.6 + 0.6 * noise(rng, (width, height), 12)[..., None])
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    mask = (x**2 + y**2 + 0.3 * (noise(rng, (width, height), 8) - 0.5)) < 1
    start = rng.uniform((0, 0), (SIZE[0] - width, SIZE[1] - height))
    swings = rng.uniform(2, 14, (4, 2)), rng.uniform(0.15, 2.5, (4, 2)), rng.uniform(0, 6.3, (4, 2))

    def path(second: float) -> tuple[float, float]:
        x, y = start + (swings[0] * np.sin(swings[1] * second + swings[2])).sum(axis=0)
        return float(x), float(y)

    return look, mask, path


def _put(picture: Any, look: Any, mask: Any, at: tuple[float, float]) -> None:
    left, top = round(at[0]), round(at[1])
    x, y = max(left, 0), max(top, 0)
    right, bottom = min(left + mask.shape[1], SIZE[0]), min(top + mask.shape[0], SIZE[1])
    if right > x and bottom > y:
        part = (slice(y - top, bottom - top), slice(x - left, right - left))
        picture[y:bottom, x:right][mask[part]] = look[part][mask[part]]


def _voices(here: np.random.Generator, now: np.random.Generator, seconds: float) -> Samples:
    """The hum of the place, and somebody who speaks in syllables of their own, with pauses."""
    time = np.arange(round(seconds * HERTZ)) / HERTZ
    sound = 0.02 * now.standard_normal(time.size)
    for hertz in here.uniform(60, 2000, 4):
        sound += 0.01 * np.sin(2 * np.pi * hertz * time)
    at, pitch = now.uniform(0, 1), now.uniform(90, 220)
    while at < seconds:
        length = now.uniform(0.08, 0.3)
        span = slice(int(at * HERTZ), int((at + length) * HERTZ))
        inside = time[span] - at
        formants = now.uniform((300, 900), (900, 2600))
        for order in range(1, 20):
            hertz = pitch * order * (1 + 0.05 * np.sin(5 * at))
            loud = sum(np.exp(-(((hertz - formant) / 150) ** 2)) for formant in formants)
            sound[span] += 0.2 * loud * np.sin(2 * np.pi * hertz * inside) * np.sin(np.pi * inside / length)
        at += length + now.choice([0.02, 0.05, 0.6], p=[0.5, 0.3, 0.2])
    return np.clip(sound, -1, 1).astype(np.float32)


def encoded(film: Film, crf: int = 26, bits: int = 48_000) -> bytes:
    """H.264 and AAC in an MP4."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        video = out.add_stream("libx264", rate=film.rate, options={"crf": str(crf), "preset": "veryfast"})
        video.height, video.width = (side // 2 * 2 for side in film.pictures[0].shape[:2])
        video.pix_fmt = "yuv420p"
        audio = out.add_stream("aac", rate=HERTZ, layout="mono")
        audio.bit_rate = bits
        for index, picture in enumerate(film.pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[: video.height, : video.width]), "rgb24")
            frame.pts, frame.time_base = index, 1 / film.rate
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for piece in _pieces(film.sound):
            out.mux(audio.encode(piece))
        out.mux(audio.encode(None))
    return file.getvalue()


def _pieces(sound: Samples) -> list[Any]:
    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = HERTZ, 0
    fifo = av.AudioFifo()
    fifo.write(frame)
    return list(fifo.read_many(1024, partial=True))


def decoded(data: bytes) -> Film:
    """The film out of a file that :func:`encoded` made."""
    with av.open(io.BytesIO(data), "r") as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    with av.open(io.BytesIO(data), "r") as file:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    return Film(pictures, sound.astype(np.float32))


Change = Callable[[Film, np.random.Generator], Film]


def _again(film: Film, rng: np.random.Generator) -> Film:
    return film


def _cropped(film: Film, rng: np.random.Generator) -> Film:
    """A window of nine tenths of each side, anywhere."""
    height, width = film.pictures[0].shape[:2]
    top, left = int(rng.uniform(0, 0.1) * height), int(rng.uniform(0, 0.1) * width)
    window = (slice(top, top + int(0.9 * height)), slice(left, left + int(0.9 * width)))
    return Film([picture[window] for picture in film.pictures], film.sound)


def _mirrored(film: Film, rng: np.random.Generator) -> Film:
    return Film([picture[:, ::-1] for picture in film.pictures], film.sound)


def _rescaled(film: Film, rng: np.random.Generator) -> Film:
    size = rng.choice([(96, 54), (128, 96), (240, 136)])
    return Film([np.asarray(Image.fromarray(picture).resize(tuple(size))) for picture in film.pictures], film.sound)


def _recoloured(film: Film, rng: np.random.Generator) -> Film:
    gain, lift = rng.uniform(0.75, 1.25, 3), rng.uniform(-20, 20)
    gamma = rng.uniform(0.8, 1.25)
    table = 255 * (np.arange(256) / 255) ** gamma
    pictures = [np.clip(table[picture] * gain + lift, 0, 255).astype(np.uint8) for picture in film.pictures]
    return Film(pictures, film.sound)


def _faster(film: Film, rng: np.random.Generator) -> Film:
    """Five in a hundred faster or slower, with the pitch as it was or not."""
    by = float(rng.choice([0.95, 1.05]))
    if rng.random() < 0.5:
        places = np.arange(0, len(film.sound) - 1, by)
        sound = np.interp(places, np.arange(len(film.sound)), film.sound).astype(np.float32)
    else:
        sound = _stretched(film.sound, by)
    return Film(film.pictures, sound, film.rate * Fraction(by).limit_denominator(100))


def _stretched(sound: Samples, by: float) -> Samples:
    graph = Graph()
    source = graph.add_abuffer(sample_rate=HERTZ, format="fltp", layout="mono", time_base=Fraction(1, HERTZ))
    graph.link_nodes(source, graph.add("atempo", str(by)), graph.add("abuffersink")).configure()
    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = HERTZ, 0
    graph.push(frame)
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray()[0])
        except (av.EOFError, av.BlockingIOError):
            return np.concatenate(pieces).astype(np.float32)


def _trimmed(film: Film, rng: np.random.Generator) -> Film:
    """Up to a third off, at both ends."""
    seconds = len(film.pictures) / RATE
    start, end = rng.uniform(0, 0.2) * seconds, seconds * (1 - rng.uniform(0, 0.15))
    return Film(film.pictures[int(start * RATE) : int(end * RATE)], film.sound[int(start * HERTZ) : int(end * HERTZ)])


def _silent(film: Film, rng: np.random.Generator) -> Film:
    return Film(film.pictures, np.zeros_like(film.sound))


def _dubbed(film: Film, rng: np.random.Generator) -> Film:
    """Another picture with the same sound."""
    return Film(act(999, int(rng.integers(1 << 30)), len(film.pictures) / RATE).pictures, film.sound)


def _all(film: Film, rng: np.random.Generator) -> Film:
    for change in (_trimmed, _cropped, _mirrored, _recoloured, _faster):
        film = change(film, rng)
    return film


CHANGES: dict[str, Change] = {
    "re-encoded": _again, "cropped 10 %": _cropped, "mirrored": _mirrored, "rescaled": _rescaled,
    "colour-shifted": _recoloured, "speed +-5 %": _faster, "trimmed": _trimmed, "sound removed": _silent,
    "picture replaced": _dubbed, "trimmed, cropped, mirrored, recoloured and sped up": _all,
}  # fmt: skip


def copied(original: bytes, change: Sequence[str] | str, seed: int) -> bytes:
    """A copy of a film, changed and encoded again, worse than before."""
    rng = np.random.default_rng(seed)
    film = decoded(original)
    for name in [change] if isinstance(change, str) else change:
        film = CHANGES[name](film, rng)
    return encoded(film, crf=30, bits=32_000)
