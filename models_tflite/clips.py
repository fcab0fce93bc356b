"""Short clips built from labelled images, so that it is known what they show: for judging the rule over time.

No public clip shows person, animal and knife together with its truth written beside it. So pieces of labelled images
are laid into other images, and a camera is moved over the scene: it pans, zooms, shakes and blurs, the light changes,
a piece is out of the picture for a while. One clip in three shows all that a sacrifice must show; in the others one
thing is missing, or something harmless is in the knife's place. A clip counts as showing all only where the camera has
all of it in view for half of the time: other takes are thrown away.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from models_tflite.evaluate import Floats, Truth, presence
from shared.domain.verdict import GROUPS
from shared.errors import QurbaniError

Kind = Literal["all", "no person", "no animal", "no knife", "other object", "as found"]
KINDS: tuple[Kind, ...] = ("all", "no person", "no animal", "no knife", "other object", "as found")
"""What a clip shows. ``as found`` is one image alone, which shows what it shows, never all three."""

SIZE = (480, 270)
SECONDS = 8
"""One picture a second."""

_PERSON, _ANIMAL, _KNIFE = range(len(GROUPS))
_SMALLEST = 30  # pixels, of a piece worth laying in
_WHOLE = 0.4  # the share of a person's box that must be left once the knife is cut away
_IN_VIEW = 0.6  # the share of a labelled thing that must be uncovered and in view to be shown
_SEEN_FOR = 4  # seconds of a clip in which all is shown
_LONGEST = 24  # pixels: a shorter thing is too small to be shown
_TAKES = 50
_MARGIN = 0.1  # around labelled things, so that the soft edge of a piece does not take them away
_HANDLE = 0.5  # boxes hold the blade only: so much of its length is cut away around it


class Clip(msgspec.Struct, frozen=True):
    """``pictures`` ``[SECONDS, height, width, 3]``, RGB, one a second."""

    kind: Kind
    pictures: NDArray[np.uint8]

    @property
    def true(self) -> bool:
        return self.kind == "all"


class _Piece(msgspec.Struct, frozen=True):
    """A picture, or part of one, with its labelled ``things`` ``[n, 4]`` in its pixels and their ``kinds`` ``[n]``."""

    image: Image.Image
    things: Floats
    kinds: NDArray[np.integer[Any]]

    def cut(self, box: Floats) -> _Piece:
        """What lies within the box."""
        left, top = np.maximum(np.floor(box[:2]), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(box[2:]), self.image.size).astype(int).tolist()
        image = self.image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
        return _Piece(image, self.things - (left, top, left, top), self.kinds)

    def resized(self, width: int, height: int) -> _Piece:
        across, down = width / self.image.width, height / self.image.height
        return _Piece(self.image.resize((width, height)), self.things * (across, down, across, down), self.kinds)

    def fallen(self, to_the_left: bool) -> _Piece:
        """Turned by a quarter."""
        left, top, right, bottom = self.things.T
        width, height = self.image.size
        if to_the_left:
            corners, image = (top, width - right, bottom, width - left), self.image.rotate(90, expand=True)
        else:
            corners, image = (height - bottom, left, height - top, right), self.image.rotate(-90, expand=True)
        return _Piece(image, np.stack(corners, axis=1), self.kinds)


class Studio:
    """Builds clips from labelled images in a folder, the same for the same seed.

    Args:
        truths: what the images show, see :func:`models_tflite.scenes.read_truths`.
        folder: where they lie.

    Raises ``bad_dataset`` where something to put together is missing.
    """

    def __init__(self, truths: Sequence[Truth], folder: Path) -> None:
        self._truths = truths
        self._folder = folder
        present, known = presence(truths)
        absent = known & ~present
        rows = range(len(truths))
        self._animals = [at for at in rows if present[at, _ANIMAL] and absent[at, _KNIFE] and not present[at, _PERSON]]
        self._armed = [at for at in rows if present[at, _PERSON] and present[at, _KNIFE] and absent[at, _ANIMAL]]
        self._knives = [at for at in rows if present[at, _KNIFE] and absent[at, _PERSON] and absent[at, _ANIMAL]]
        self._unarmed = [
            at for at in rows if present[at, _PERSON] and absent[at, _ANIMAL] and self._bare(at) is not None
        ]
        self._objects = [at for at in rows if absent[at].all()]
        self._lacking = [at for at in rows if absent[at].any()]
        if not all((self._animals, self._armed, self._knives, self._unarmed, self._objects)):
            message = "clips need images of armed persons, of persons, animals and knives alone, and of other things"
            raise QurbaniError("bad_dataset", message)

    def clips(self, count: int, seed: int) -> Iterator[Clip]:
        """``count`` clips, a third of them ``all``, the other kinds in equal parts."""
        others = KINDS[1:]
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            kind = "all" if number % 3 == 0 else others[(number - number // 3 - 1) % len(others)]
            yield Clip(kind, self._shot(kind, rng))

    def _shot(self, kind: Kind, rng: Generator) -> NDArray[np.uint8]:
        for _ in range(_TAKES):
            scene, camera = self._scene(kind, rng), _Camera(rng)
            if kind != "all" or scene.shows_all(camera) >= _SEEN_FOR:
                return _filmed(scene, camera, rng)
        raise QurbaniError("bad_dataset", f"of {_TAKES} clips built from it none shows person, animal and knife")

    def _scene(self, kind: Kind, rng: Generator) -> _Scene:
        pieces: list[_Piece] = []
        if kind == "as found":
            background = self._piece(_any(self._lacking, rng))
        else:
            animal_behind = kind != "no animal" and rng.random() < 0.5
            background = self._piece(_any(self._animals if animal_behind else self._objects, rng))
            if kind != "no animal" and not animal_behind:
                pieces.append(self._animal(rng))
            match kind:
                case "all" | "no animal":
                    at = _any(self._armed, rng)
                    pieces.append(self._piece(at).cut(_grown(_around(self._boxes(at, _PERSON, _KNIFE)), _MARGIN)))
                case "no person":
                    at = _any(self._knives, rng)
                    pieces.append(self._piece(at).cut(_grown(_around(self._boxes(at, _KNIFE)), 0.05)))
                case "no knife" | "other object":
                    at = _any(self._unarmed, rng)
                    bare = self._bare(at)
                    assert bare is not None
                    pieces.append(self._piece(at).cut(bare))
            if kind == "other object":
                pieces.append(_middle(self._piece(_any(self._objects, rng))))
        return _Scene(background, pieces, rng)

    def _animal(self, rng: Generator) -> _Piece:
        at = _any(self._animals, rng)
        boxes = self._boxes(at, _ANIMAL)
        largest = boxes[np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))]
        piece = self._piece(at).cut(_grown(largest, _MARGIN))
        return piece.fallen(bool(rng.random() < 0.5)) if rng.random() < 0.15 else piece

    def _boxes(self, at: int, *kinds: int) -> Floats:
        truth = self._truths[at]
        return truth.boxes[np.isin(truth.classes, kinds) & ~truth.ignored]

    def _bare(self, at: int) -> Floats | None:
        """The largest part of a person that touches no knife; None when too little is left."""
        truth = self._truths[at]
        knives = truth.boxes[truth.classes == _KNIFE]
        best, most = None, _WHOLE
        for box in self._boxes(at, _PERSON):
            parts = [box]
            for knife in knives:
                parts = [piece for part in parts for piece in _beside(part, _grown(knife, _HANDLE))]
            whole = (box[2:] - box[:2]).prod()
            for part in parts:
                sides = part[2:] - part[:2]
                if sides.min() >= _SMALLEST and sides.prod() / whole >= most:
                    best, most = part, sides.prod() / whole
        return best

    def _piece(self, at: int) -> _Piece:
        truth = self._truths[at]
        with Image.open(self._folder / truth.file_name) as opened:
            return _Piece(opened.convert("RGB"), truth.boxes[~truth.ignored], truth.classes[~truth.ignored])


class _Scene:
    """A background as large as the camera can look, and where the pieces lie in it."""

    def __init__(self, background: _Piece, pieces: Sequence[_Piece], rng: Generator) -> None:
        self.size = width, height = round(SIZE[0] * 1.3), round(SIZE[1] * 1.3)
        image = background.image
        scale = max(width / image.width, height / image.height)
        covering = background.resized(round(image.width * scale) + 1, round(image.height * scale) + 1)
        self._background = covering.cut(np.array([0, 0, width, height]))
        middles = rng.permutation(np.linspace(0.3, 0.7, len(pieces))) if len(pieces) > 1 else rng.choice([0.3, 0.7], 1)
        self._pieces = []
        for piece, middle in zip(pieces, middles, strict=False):
            room = rng.uniform(0.75, 0.95) * np.array([width / max(len(pieces), 1), height])
            scale = min(room[0] / piece.image.width, room[1] / piece.image.height)
            sized = piece.resized(max(round(piece.image.width * scale), 8), max(round(piece.image.height * scale), 8))
            place = np.array([width * middle, height * rng.uniform(0.45, 0.6)]) - np.array(sized.image.size) / 2
            away = int(rng.integers(SECONDS)) if rng.random() < 0.3 else -1  # out of the picture for one second
            places = (place + rng.normal(0, 4, (SECONDS, 2))).round()
            self._pieces.append((sized, _soft(sized.image.size), places, away))

    def at(self, second: int) -> Image.Image:
        scene = self._background.image.copy()
        for piece, mask, places, away in self._pieces:
            if second != away:
                left, top = places[second].astype(int).tolist()
                scene.paste(piece.image, (left, top), mask)
        return scene

    def shows_all(self, camera: _Camera) -> int:
        """For how many seconds one labelled thing of every group is large enough, in view and uncovered."""
        return sum(len(self._shown(second, camera.view(second, self.size))) == len(GROUPS) for second in range(SECONDS))

    def _shown(self, second: int, view: Floats) -> set[int]:
        layers = [(self._background, np.zeros(2))]
        layers += [(piece, places[second]) for piece, _, places, away in self._pieces if second != away]
        smallest = _LONGEST * (view[2] - view[0]) / SIZE[0]
        shown: set[int] = set()
        covers: list[Floats] = []
        for piece, place in reversed(layers):
            frame = np.concatenate([place, place + piece.image.size])
            for thing, kind in zip(piece.things + np.tile(place, 2), piece.kinds, strict=True):
                seen = _common(_common(thing, frame), view)
                left = _area(seen) - sum(_area(_common(seen, cover)) for cover in covers)
                if left >= _IN_VIEW * _area(thing) and (seen[2:] - seen[:2]).max() >= smallest:
                    shown.add(int(kind))
            covers.append(frame)
        return shown


class _Camera:
    """Held by hand: it zooms, pans and shakes."""

    def __init__(self, rng: Generator) -> None:
        self._zooms = np.linspace(*rng.uniform(1.0, 1.3, 2), SECONDS)
        path = np.linspace(rng.uniform(0.35, 0.65, 2), rng.uniform(0.35, 0.65, 2), SECONDS)
        self._pans = (path + rng.normal(0, 0.03, (SECONDS, 2))).clip(0, 1)

    def view(self, second: int, size: tuple[int, int]) -> Floats:
        """What is in the picture of a scene of this size: left, top, right, bottom."""
        seen = np.array(SIZE) * self._zooms[second]
        start = self._pans[second] * (np.array(size) - seen)
        return np.concatenate([start, start + seen])


def _filmed(scene: _Scene, camera: _Camera, rng: Generator) -> NDArray[np.uint8]:
    """The scene through the camera, in changing light."""
    light = rng.uniform(0.65, 1.15) * np.exp(rng.normal(0, 0.06, SECONDS))
    blurred = rng.random(SECONDS) < 0.15
    quality = int(rng.integers(45, 85))
    pictures = []
    for second in range(SECONDS):
        left, top, right, bottom = camera.view(second, scene.size).tolist()
        picture = scene.at(second).resize(SIZE, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
        if blurred[second]:
            picture = picture.filter(ImageFilter.BoxBlur(float(rng.uniform(0.5, 2))))
        noise = rng.normal(0, rng.uniform(1, 4), (SIZE[1], SIZE[0], 1))
        pixels = (np.asarray(picture, np.float32) * light[second] + noise).clip(0, 255).astype(np.uint8)
        pictures.append(_compressed(pixels, quality))
    return np.stack(pictures)


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _any(rows: Sequence[int] | NDArray[np.intp], rng: Generator) -> int:
    return int(rows[rng.integers(len(rows))])


def _around(boxes: Floats) -> Floats:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def _grown(box: Floats, share: float) -> Floats:
    margin = (box[2:] - box[:2]).max() * share
    return np.concatenate([box[:2] - margin, box[2:] + margin])


def _beside(part: Floats, knife: Floats) -> list[Floats]:
    """What is left of a rectangle on each side of another one; the rectangle itself where they do not touch."""
    if (np.minimum(part[2:], knife[2:]) <= np.maximum(part[:2], knife[:2])).any():
        return [part]
    left, top, right, bottom = part
    pieces = (
        (left, top, knife[0], bottom),
        (knife[2], top, right, bottom),
        (left, top, right, knife[1]),
        (left, knife[3], right, bottom),
    )
    return [np.array(piece) for piece in pieces if piece[2] > piece[0] and piece[3] > piece[1]]


def _middle(piece: _Piece) -> _Piece:
    return piece.cut(np.array([1, 1, 5, 5]) / 6 * np.tile(piece.image.size, 2))


def _common(first: Floats, second: Floats) -> Floats:
    return np.concatenate([np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])])


def _area(box: Floats) -> float:
    return float(np.maximum(box[2:] - box[:2], 0).prod())


def _soft(size: tuple[int, int]) -> Image.Image:
    """A mask with soft edges."""
    edge = max(min(size) // 14, 1)
    mask = Image.new("L", size, 0)
    mask.paste(255, (edge, edge, size[0] - edge, size[1] - edge))
    return mask.filter(ImageFilter.BoxBlur(edge))
