"""Clips of sacrifices that never happened: cut-out photographs moving in a made-up yard, and a synthetic voice.

``demo/pictures/SOURCES.md`` says where pictures and voices come from. The knife and the yard are drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import sin
from pathlib import Path

import av
import msgspec
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, FPS, RATE = 640, 360, 12, 16_000
_HERE = Path(__file__).parent

_BEFORE_S, _AFTER_S = 1.0, 1.5
Piece = tuple[Image.Image, tuple[int, int], tuple[float, float]]
"""A picture, where its upper left corner is, and by how much it has moved from there; pixels."""

_SHAKE = 6
"""Pixels by which the hand that holds the camera moves, to each side."""


class Scene(msgspec.Struct, frozen=True):
    """Who is in the picture, and which of ``demo/voices`` speaks."""

    voice: str
    animal: str = "sheep"
    knife: bool = True


SCENES = {
    "authentic_ahmed_benali.mp4": Scene("ahmed_benali"),
    "no_knife_ahmed_benali.mp4": Scene("ahmed_benali", knife=False),
    "no_animal_ahmed_benali.mp4": Scene("ahmed_benali", animal=""),
    "wrong_name_khadija_mansouri.mp4": Scene("khadija_mansouri"),
    "cow_seven_names.mp4": Scene("seven_names", animal="cow"),
}

SEVEN = (
    "Ahmed Benali", "Khadija Mansouri", "Omar Farouk Bello", "Leila Benchaabane", "Moussa Keita", "Samira Toumi",
    "Tariq Aziz Khan",
)  # fmt: skip
"""The names that ``cow_seven_names.mp4`` says, in that order."""


def make(folder: Path, name: str, seed: int = 1) -> Path:
    """Film the scene called ``name`` (of :data:`SCENES`) into ``folder``; returns the MP4 (H.264, AAC)."""
    scene, target, noise = SCENES[name], folder / name, np.random.default_rng(seed)
    sound = _sound(scene.voice, noise)
    with av.open(str(target), "w", options={"movflags": "+faststart"}) as out:
        video = out.add_stream("libx264", rate=FPS, options={"crf": "25", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        for index, picture in enumerate(_pictures(scene, round(len(sound) / RATE * FPS), noise)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(video.encode(frame))
        samples = av.AudioFrame.from_ndarray(sound[np.newaxis], format="s16", layout="mono")
        samples.sample_rate, samples.pts = RATE, 0
        pieces = av.AudioFifo()
        pieces.write(samples)
        for piece in pieces.read_many(1024, partial=True):
            out.mux(audio.encode(piece))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return target


def _sound(voice: str, noise: np.random.Generator) -> NDArray[np.int16]:
    """The voice between some quiet, over the hiss of a microphone."""
    with av.open(str(_HERE / "voices" / f"{voice}.opus")) as file:
        resampler, frames = AudioResampler("s16", "mono", RATE), (*file.decode(audio=0), None)
        pieces = [piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)]
    spoken = np.pad(np.concatenate(pieces), (round(_BEFORE_S * RATE), round(_AFTER_S * RATE)))
    return np.clip(spoken + noise.normal(0, 40, spoken.size), -32768, 32767).astype(np.int16)


def _pictures(scene: Scene, count: int, noise: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """The yard with who is in it, each moving a little by itself, filmed by an unsteady hand."""
    yard = _yard(noise)
    for index in range(count):
        time = index / FPS
        whole = yard.copy()
        for piece in _pieces(scene, time):
            _put(whole, *piece)
        across, down = _SHAKE + _SHAKE * sin(time * 0.7), _SHAKE + _SHAKE * sin(time * 1.1)
        shift = (1, 0, across, 0, 1, down)
        seen = whole.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
        grain = noise.normal(0, 3, (HEIGHT, WIDTH, 1))
        yield np.clip(np.asarray(seen.convert("RGB")) + grain, 0, 255).astype(np.uint8)


def _pieces(scene: Scene, time: float) -> list[Piece]:
    """What is put into the yard at ``time``, in seconds, the farthest first."""
    step, lean = (sin(time * 1.3) * 2, sin(time * 2.1)), (sin(time * 0.9) * 4, sin(time * 1.7) * 2)
    man = (_picture("man"), (_SHAKE, HEIGHT + _SHAKE - _picture("man").height + 32), lean)
    if not scene.knife:
        # His fist is behind the animal: of a raised one nobody could say that it is empty.
        across, down = _FEET[scene.animal]
        return [man, (_picture(scene.animal), (across - _NEAR, down), step)]
    animal = [(_picture(scene.animal), _FEET[scene.animal], step)] if scene.animal else []
    return [*animal, (_knife(), _GRIP, lean), man]


# Where in the yard the upper left corners are, and how wide the pictures; pixels.
_FEET = {"sheep": (347, 67), "cow": (240, 88)}
_GRIP = (191, 57)
_NEAR = 165
"""So much farther to the left stands the animal behind which the man's fist is."""
_WIDTHS = {"man": 222, "sheep": 239, "cow": 465}


@cache
def _picture(name: str) -> Image.Image:
    with Image.open(_HERE / "pictures" / f"{name}.webp") as file:
        picture = file.convert("RGBA")
    width = _WIDTHS[name]
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


def _put(whole: Image.Image, piece: Image.Image, at: tuple[int, int], moved: tuple[float, float]) -> None:
    whole.alpha_composite(piece, (round(at[0] + moved[0]), round(at[1] + moved[1])))


def _yard(noise: np.random.Generator, horizon: int = 240) -> Image.Image:
    """A plastered wall above sandy ground, a margin larger than the picture."""
    width, height = WIDTH + 2 * _SHAKE, HEIGHT + 2 * _SHAKE
    grain = sum(weight * _cloud(width, height, size, noise) for size, weight in ((64, 24), (16, 14), (4, 14), (1, 10)))
    whole = np.empty((height, width, 3))
    whole[:horizon] = np.array((210, 205, 200)) + 0.45 * grain[:horizon, :, np.newaxis]
    whole[horizon:] = np.array((168, 146, 112)) + 1.3 * grain[horizon:, :, np.newaxis]
    whole[horizon - 3 : horizon + 4] *= 0.8
    yard = Image.fromarray(np.clip(whole, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    return yard.convert("RGBA")


def _cloud(width: int, height: int, size: int, noise: np.random.Generator) -> NDArray[np.float64]:
    """Smooth noise between -0.5 and 0.5 whose spots are about ``size`` pixels wide."""
    coarse = Image.fromarray(noise.integers(0, 256, (height // size + 1, width // size + 1), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255 - 0.5


@cache
def _knife(length: int = 90, degrees: float = 80) -> Image.Image:
    """A knife, its handle to the left, turned up by ``degrees``."""
    fine, wide = 4, length * 0.2
    plain = Image.new("RGBA", ((length + 70) * fine, round(wide + 30) * fine))
    draw = ImageDraw.Draw(plain)

    def scaled(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * fine, (y + 10) * fine) for x, y in points]

    tip, back, belly = (60 + length, wide * 0.55), (60 + length * 0.72, 1), (60 + length * 0.8, wide * 0.9)
    draw.polygon(scaled((60, 0), back, tip, belly, (64, wide)), (196, 200, 206))
    draw.polygon(scaled((60, 0), back, (60 + length * 0.97, wide * 0.5), (60, wide * 0.35)), (232, 235, 238))
    draw.line(scaled((62, wide), belly, tip), (120, 124, 130), 2 * fine)
    draw.rounded_rectangle(scaled((2, 2), (62, wide * 0.7)), 6 * fine, (38, 26, 20))
    for rivet in (14, 32, 50):
        draw.ellipse(scaled((rivet - 2, wide * 0.3), (rivet + 2, wide * 0.3 + 4)), (170, 150, 110))
    small = plain.resize((plain.width // fine, plain.height // fine), Image.Resampling.LANCZOS)
    return small.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
