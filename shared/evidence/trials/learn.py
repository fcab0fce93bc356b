"""Trains the networks of ``shared/evidence/blood.py``: ``python -m shared.evidence.trials.learn DIR``.

DIR is a folder in COCO format; only images that state a licence (``licence_group``) and are for training are filmed
on. Seeds from 0 on are for training; the evaluation uses others (see ``trials/redaction.py``).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.evidence.blood import SIDE, Map, Network, Where, features, reddish, sigmoid, surroundings
from shared.evidence.trials.gore import Shot, film
from shared.evidence.trials.scenery import Photographs, made

FILMS = 1300
EVEN = range(2000, 2350)
"""Seeds of films with even blood, of which there is hardly any in the others."""

_EACH = 200  # pixels of blood, and as many others, of a picture
_HIDDEN = (64, 32)
_EPOCHS = 12
_BATCH = 512
_RATE = 3e-3
_JITTER = 0.15
"""Of a feature's spread: painted blood is not blood, so no decision may hang on fine differences."""

Shown = tuple[NDArray[np.uint8], Where, Where]
"""A picture, where in it blood is possible, and where it is."""


def photographs(folder: Path, split: str, *, licensed: bool) -> list[Path]:
    """The image files of a split of a COCO folder."""
    images = msgspec.json.decode((folder / "annotations.json").read_bytes())["images"]
    return [folder / image["file_name"] for image in images
            if image["split"] == split and (image["licence_group"] == "licensed" or not licensed)]  # fmt: skip


def shown(folder: Path, films: int) -> Iterator[Shown]:
    """One picture out of each of ``films`` films and those with even blood, as it comes out of a compressed video,
    small."""
    photos = Photographs(photographs(folder, "train", licensed=True))
    for seed in range(films):
        grounds = made if seed % 3 == 0 else photos
        yield from _looked_at(seed, film(seed, grounds, (320, 180), 2, bloody=seed % 4 != 1))
    for seed in EVEN:
        grounds = made if seed % 2 else photos
        yield from _looked_at(seed, film(seed, grounds, (320, 180), 2, clean=seed % 4 == 0, even=True))


def _looked_at(seed: int, shots: Iterator[Shot]) -> Iterator[Shown]:
    """Every other film by its second picture; nothing of one in which nothing is red."""
    shot = list(shots)[seed % 2]
    picture = _sent(shot.picture, np.random.default_rng(seed))
    truth = Image.fromarray(shot.shows("blood")).resize(picture.shape[1::-1], Image.Resampling.NEAREST)
    where = reddish(picture)
    if where.any():
        yield picture, where, np.asarray(truth)[where]


def _sent(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=int(rng.integers(40, 92)))
    size = (SIDE, SIDE * picture.shape[0] // picture.shape[1])
    return np.asarray(Image.open(file).resize(size, Image.Resampling.BOX))


def examples(pictures: Sequence[Shown], look: Callable[[NDArray[np.uint8], Where], Map], seed: int) -> tuple[Map, Map]:
    """Features and truth of some pixels of each picture, half of them blood where there is so much."""
    rng = np.random.default_rng(seed)
    rows, truths = [], []
    for picture, where, truth in pictures:
        found = look(picture, where)
        for kind in (True, False):
            picked = rng.permutation(np.flatnonzero(truth == kind))[:_EACH]
            rows.append(found[picked])
            truths.append(truth[picked].astype(np.float32))
    return np.concatenate(rows), np.concatenate(truths)


def train(rows: Map, truth: Map, seed: int = 0) -> Network:
    """Two hidden layers, by Adam on the cross entropy."""
    rng = np.random.default_rng(seed)
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    rows = (rows - mean) / spread
    sizes = (rows.shape[1], *_HIDDEN, 1)
    layers = [rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32) for a, b in pairwise(sizes)]
    values: list[Map] = [value for layer in layers for value in (layer, np.zeros(layer.shape[1], np.float32))]
    first: list[Map] = [np.zeros_like(value) for value in values]
    second: list[Map] = [np.zeros_like(value) for value in values]
    step = 0
    for epoch in range(_EPOCHS):
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * epoch / _EPOCHS))
        losses = []
        for batch in _batches(rng, len(rows)):
            step += 1
            jitter = _JITTER * rng.standard_normal((len(batch), sizes[0]), np.float32)
            loss, slopes = _slopes(values, rows[batch] + jitter, truth[batch, None])
            losses.append(loss)
            for at, slope in enumerate(slopes):
                first[at] = 0.9 * first[at] + 0.1 * slope
                second[at] = 0.999 * second[at] + 0.001 * slope**2
                size = np.sqrt(second[at] / (1 - 0.999**step)) + 1e-8
                values[at] = values[at] - rate * (first[at] / (1 - 0.9**step)) / size
        print(f"epoch {epoch}: {np.mean(losses):.4f}", file=sys.stderr)  # noqa: T201
    first_w, first_b, second_w, second_b, last_w, last_b = values
    return Network(mean, spread, first_w, first_b, second_w, second_b, last_w[:, 0], last_b)


def _batches(rng: np.random.Generator, count: int) -> Iterator[NDArray[np.int64]]:
    yield from np.array_split(rng.permutation(count), count // _BATCH)


def _slopes(values: list[Map], rows: Map, truth: Map) -> tuple[float, list[Map]]:
    """The loss, and its derivative by each of the values."""
    a = np.maximum(rows @ values[0] + values[1], 0)
    b = np.maximum(a @ values[2] + values[3], 0)
    likeness = sigmoid(b @ values[4] + values[5])
    loss = -np.mean(truth * np.log(likeness + 1e-7) + (1 - truth) * np.log(1 - likeness + 1e-7))
    out = (likeness - truth) / len(rows)
    into_b = (out @ values[4].T) * (b > 0)
    into_a = (into_b @ values[2].T) * (a > 0)
    return float(loss), [rows.T @ into_a, into_a.sum(0), a.T @ into_b, into_b.sum(0), b.T @ out, out.sum(0)]


def main(folder: Path, films: int = FILMS) -> None:
    pictures = list(shown(folder, films))
    print(f"{len(pictures)} pictures", file=sys.stderr)  # noqa: T201
    first = train(*examples(pictures, features, 0))

    def in_context(picture: NDArray[np.uint8], where: Where) -> Map:
        looks = features(picture, where)
        return np.concatenate((looks, surroundings(where, first(looks))), axis=1)

    second = train(*examples(pictures, in_context, 1))
    arrays = {f"{name}_{at}": value.astype(np.float16) for at, network in ((1, first), (2, second))
              for name, value in zip(Network._fields, network, strict=True)}  # fmt: skip
    np.savez_compressed(Path(__file__).parents[1] / "blood.npz", **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
