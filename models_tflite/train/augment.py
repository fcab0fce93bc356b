"""Training pictures made from labelled ones: what a site's camera may show and the photographs do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models_tflite.train.boxes import Boxes, area, intersection
from models_tflite.train.data import CLASSES, Example

PAD = 114
VISIBLE = 0.3  # an object counts as long as so much of its box is left in view ...
HINTED = 0.08  # ... and is a region to ignore while there is so much
SMALLEST = 5.0  # pixels; a narrower object is a region to ignore
ANIMAL, KNIFE = CLASSES.index("animal"), CLASSES.index("knife")
PICTURES = 0.08  # the share of drawn scenes in which a photograph hangs, where there is a free place
PLACES = 10  # where one is looked for
TELEPHONES = 0.3  # of the knives that are wiped away, the share in whose place a telephone lies


def letterbox(image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], float]:
    """The image scaled to fit a grey square at its top left, as at run time, and the scale."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    canvas = np.full((size, size, 3), PAD, np.uint8)
    columns, rows = round(width * scale), round(height * scale)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[:rows, :columns] = cv2.resize(image, (columns, rows), interpolation=way)
    return canvas, scale


class Augmenter:
    """Draws pictures of a square size from a pool of examples.

    Args:
        examples: the pool.
        weights: how often each is drawn, summing to 1.
    """

    def __init__(self, examples: Sequence[Example], weights: NDArray[np.float64]) -> None:
        self._examples = examples
        self._weights = weights
        self._cutouts = [
            [
                (index, row)
                for index, example in enumerate(examples)
                for row in np.flatnonzero(example.targets[:, kind] > 0)
                if area(example.boxes[row : row + 1])[0] > 24**2
            ]
            for kind in range(len(CLASSES))
        ]

    def draw(self, size: int, rng: Generator, strength: float) -> Example:
        """A picture of `size` pixels in fair weather; `strength` from 0 (mild) to 1 (mosaics, pastes, distortion)."""
        if rng.random() < 0.5 * strength:
            example = self._mosaic(size, rng)
        else:
            example = _place(self._pick(rng), size, size, rng, strength)
        if rng.random() < 0.6 * strength:
            for _ in range(rng.integers(1, 4)):
                example = self._paste(example, rng)
        return example

    def hang(self, scene: Example, rng: Generator) -> NDArray[np.uint8]:
        """The scene's picture, now and then with a framed photograph where nothing is.

        Whoever and whatever is on the photograph is not there. A teacher does not know that: ask it before.
        """
        if rng.random() >= PICTURES:
            return scene.image
        width, height = (int(side) for side in scene.width * rng.uniform(0.15, 0.5, 2))
        taken = np.concatenate([scene.boxes, scene.ignored])
        for x, y in rng.random((PLACES, 2)):
            place = int(x * (scene.width - width)), int(y * (scene.height - height))
            if _free(place, width, height, taken):
                return _covered(scene.image, self._photograph(width, height, rng), *place)
        return scene.image

    def _photograph(self, width: int, height: int, rng: Generator) -> NDArray[np.uint8]:
        """Any picture of the pool in a mount and a frame."""
        border = max(round(min(width, height) * rng.uniform(0.05, 0.12)), 2)
        content = _place(self._pick(rng), width - 2 * border, height - 2 * border, rng, 0.3).image
        mount, wood = (np.clip(rng.uniform(0, 255) + rng.normal(0, 15, 3), 0, 255).tolist() for _ in range(2))
        framed = cv2.copyMakeBorder(content, *[border] * 4, cv2.BORDER_CONSTANT, value=mount)
        return cv2.rectangle(framed, (0, 0), (width - 1, height - 1), wood, max(border // 2, 1))

    def _pick(self, rng: Generator) -> Example:
        example = self._examples[rng.choice(len(self._examples), p=self._weights)]
        return _without_knives(example, rng) if rng.random() < 0.12 else example

    def _mosaic(self, size: int, rng: Generator) -> Example:
        """Four pictures that meet at a random point (Bochkovskiy et al., YOLOv4, 2020)."""
        across, down = rng.integers(int(size * 0.3), int(size * 0.7), 2)
        canvas = _blank(size)
        for x1, y1, x2, y2 in (
            (0, 0, across, down),
            (across, 0, size, down),
            (0, down, across, size),
            (across, down, size, size),
        ):
            tile = _place(self._pick(rng), x2 - x1, y2 - y1, rng, 1.0)
            canvas.image[y1:y2, x1:x2] = tile.image
            canvas = _join(canvas, _shift(tile, x1, y1))
        return canvas

    def _paste(self, scene: Example, rng: Generator) -> Example:
        """A boxed object, or any piece of another picture, with soft edges, somewhere in the scene."""
        kind = int(rng.integers(len(CLASSES) + 1))
        if kind < len(CLASSES) and self._cutouts[kind]:
            index, row = self._cutouts[kind][rng.integers(len(self._cutouts[kind]))]
            source = self._examples[index]
            window = _grown(source.boxes[row], rng.uniform(0.0, 0.2))
        else:
            source = self._pick(rng)
            window = _any_window(source, rng)
        longest = scene.width * (rng.uniform(0.1, 0.45) if kind == KNIFE else rng.uniform(0.2, 0.7))
        scale = longest / max(window[2] - window[0], window[3] - window[1])
        quarter = int(rng.integers(4)) if kind in (ANIMAL, KNIFE) and rng.random() < 0.4 else 0
        turn = _turn(quarter, rng.random() < 0.5, scale)
        corners = _moved(window[None].astype(np.float32), turn)[0]
        piece_width, piece_height = (int(side) for side in np.ceil(corners[2:] - corners[:2]))
        if min(piece_width, piece_height) < 8:
            return scene
        turn[:, 2] -= corners[:2]
        piece = _warp(source, turn, piece_width, piece_height)
        left = int(rng.integers(-piece_width // 4, max(scene.width - 3 * piece_width // 4, 1)))
        top = int(rng.integers(-piece_height // 4, max(scene.height - 3 * piece_height // 4, 1)))
        return _lay_over(scene, piece, left, top)


def _place(example: Example, width: int, height: int, rng: Generator, strength: float) -> Example:
    """The example turned, scaled and moved at random into a frame of the given size."""
    has_animal = bool((example.targets[:, ANIMAL] > 0).any())
    turned = rng.random() < (0.3 if has_animal else 0.08) * strength
    matrix = _turn(int(rng.integers(4)) if turned else 0, rng.random() < 0.5, 1.0)
    if rng.random() < 0.3:
        lean = np.deg2rad(rng.uniform(-10, 10) * strength)
        matrix = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]]) @ matrix
    frame = _moved(np.array([[0, 0, example.width, example.height]], np.float32), matrix)[0]
    sides = frame[2:] - frame[:2]
    fits, covers = sorted((width / sides[0], height / sides[1]))
    scale = np.exp(rng.uniform(np.log(fits * (1 - 0.4 * strength)), np.log(covers * (1 + 0.5 * strength))))
    stretch = np.exp(rng.uniform(-0.15, 0.15) * strength)
    matrix = matrix * (scale * np.array([[stretch], [1 / stretch]]))
    frame = _moved(np.array([[0, 0, example.width, example.height]], np.float32), matrix)[0]
    spare = np.array([width, height]) - (frame[2:] - frame[:2])
    matrix[:, 2] += spare * rng.random(2) - frame[:2]
    return _warp(example, matrix, width, height)


def _turn(quarters: int, mirrored: bool, scale: float) -> NDArray[np.float64]:
    """The affine matrix `[2, 3]` of a number of quarter turns, a mirroring and a scaling."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0]], np.float64) * scale
    if mirrored:
        matrix[:, 0] *= -1
    return matrix


def _moved(boxes: Boxes, matrix: NDArray[np.float64]) -> Boxes:
    """The upright boxes around moved boxes."""
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)


def _warp(example: Example, matrix: NDArray[np.float64], width: int, height: int) -> Example:
    image = cv2.warpAffine(example.image, matrix, (width, height), borderValue=(PAD, PAD, PAD))
    return _in_view(
        replace(example, image=image, boxes=_moved(example.boxes, matrix), ignored=_moved(example.ignored, matrix))
    )


def _in_view(example: Example) -> Example:
    """Boxes clipped to the picture; what is hardly left of an object becomes a region to ignore."""
    frame = np.array([example.width, example.height, example.width, example.height], np.float32)
    clipped = example.boxes.clip(0, frame)
    visible = area(clipped) / np.maximum(area(example.boxes), 1e-6)
    narrow = (clipped[:, 2:] - clipped[:, :2]).min(axis=1, initial=np.inf) < SMALLEST
    kept = (visible >= VISIBLE) & ~narrow
    hinted = ~kept & (visible >= HINTED)
    ignored = example.ignored.clip(0, frame)
    still = area(ignored) > 0
    return Example(
        example.image,
        clipped[kept],
        example.targets[kept],
        np.concatenate([ignored[still], clipped[hinted]]),
        np.concatenate([example.ignored_classes[still], example.targets[hinted].argmax(axis=1)]),
    )


def _blank(size: int) -> Example:
    return Example(
        np.full((size, size, 3), PAD, np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros((0, len(CLASSES)), np.float32),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int64),
    )


def _shift(example: Example, x: int, y: int) -> Example:
    offset = np.array([x, y, x, y], np.float32)
    return replace(example, boxes=example.boxes + offset, ignored=example.ignored + offset)


def _join(scene: Example, piece: Example) -> Example:
    """The scene's picture with the labels of both."""
    return Example(
        scene.image,
        np.concatenate([scene.boxes, piece.boxes]),
        np.concatenate([scene.targets, piece.targets]),
        np.concatenate([scene.ignored, piece.ignored]),
        np.concatenate([scene.ignored_classes, piece.ignored_classes]),
    )


def _lay_over(scene: Example, piece: Example, left: int, top: int) -> Example:
    """The piece on top of the scene; objects that it mostly hides are gone."""
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + piece.width, scene.width), min(top + piece.height, scene.height)
    if x2 - x1 < 8 or y2 - y1 < 8:
        return scene
    window = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    mask = _soft_mask(piece.width, piece.height)[window][..., None]
    image = scene.image.copy()
    under = image[y1:y2, x1:x2]
    image[y1:y2, x1:x2] = (under + (piece.image[window] - under.astype(np.float32)) * mask).astype(np.uint8)
    cover = np.array([[x1, y1, x2, y2]], np.float32)
    left_over = 1 - intersection(scene.boxes, cover)[:, 0] / np.maximum(area(scene.boxes), 1e-6)
    kept = left_over >= VISIBLE
    below = replace(scene, image=image, boxes=scene.boxes[kept], targets=scene.targets[kept])
    return _in_view(_join(below, _shift(piece, left, top)))


def _covered(image: NDArray[np.uint8], piece: NDArray[np.uint8], left: int, top: int) -> NDArray[np.uint8]:
    result = image.copy()
    result[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
    return result


def _soft_mask(width: int, height: int) -> NDArray[np.float32]:
    edge_x, edge_y = max(width // 12, 1), max(height // 12, 1)
    mask = np.zeros((height, width), np.float32)
    mask[edge_y:-edge_y, edge_x:-edge_x] = 1
    return cv2.blur(mask, (edge_x * 2 + 1, edge_y * 2 + 1))


def _grown(box: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    margin = (box[2:] - box[:2]) * share
    return np.concatenate([box[:2] - margin, box[2:] + margin])


def _any_window(example: Example, rng: Generator) -> NDArray[np.float32]:
    sides = np.array([example.width, example.height]) * rng.uniform(0.15, 0.6, 2)
    start = (np.array([example.width, example.height]) - sides) * rng.random(2)
    return np.concatenate([start, start + sides]).astype(np.float32)


def _without_knives(example: Example, rng: Generator) -> Example:
    """The same picture with every knife covered by its surroundings: an empty hand, a bare table, or a telephone."""
    knives = np.flatnonzero(example.targets[:, KNIFE] > 0)
    image = example.image
    frame = np.array([example.width, example.height, example.width, example.height])
    for row in knives:
        x1, y1, x2, y2 = _grown(example.boxes[row], 0.08).clip(0, frame).astype(int)
        width, height = x2 - x1, y2 - y1
        places = [
            (x, y)
            for x, y in ((x1 - width, y1), (x2, y1), (x1, y1 - height), (x1, y2))
            if x >= 0 and y >= 0 and x + width <= example.width and y + height <= example.height
        ]
        free = [place for place in places if _free(place, width, height, example.boxes[knives])]
        if not free or min(width, height) < 8:
            return example
        x, y = free[rng.integers(len(free))]
        cover = _blank(1)
        cover = replace(cover, image=image[y : y + height, x : x + width])
        image = _lay_over(replace(_blank(1), image=image), cover, x1, y1).image
        if rng.random() < TELEPHONES:
            image = _with_telephone(image, (x1, y1, width, height), rng)
    kept = example.targets[:, KNIFE] == 0
    return replace(example, image=image, boxes=example.boxes[kept], targets=example.targets[kept])


def _with_telephone(image: NDArray[np.uint8], frame: tuple[int, int, int, int], rng: Generator) -> NDArray[np.uint8]:
    """A telephone, nearly as long as the frame (left, top, width, height), along either of its diagonals."""
    left, top, width, height = frame
    length = max(width, height)
    angle = float(np.rad2deg(np.arctan2(height, width))) * (1 if rng.random() < 0.5 else -1) + rng.uniform(-15, 15)
    middle = left + width / 2, top + height / 2
    body, screen = rng.random(2) ** 2 * 255
    result = image.copy()
    for share, colour in ((1.0, body), (0.86, screen)):
        sides = 0.9 * length * share, 0.43 * length * share
        corners = cv2.boxPoints((middle, sides, angle)).round().astype(np.int32)
        cv2.fillConvexPoly(result, corners, np.clip(colour + rng.normal(0, 12, 3), 0, 255).tolist(), cv2.LINE_AA)
    return result


def _free(place: tuple[int, int], width: int, height: int, knives: Boxes) -> bool:
    x, y = place
    window = np.array([[x, y, x + width, y + height]], np.float32)
    return bool((intersection(window, knives) == 0).all())


def weather(image: NDArray[np.uint8], rng: Generator, strength: float) -> NDArray[np.uint8]:
    """Light, colour, dust, motion and compression as a hand-held camera in the open meets them."""
    pixels = image.astype(np.float32)
    pixels *= rng.uniform(1 - 0.35 * strength, 1 + 0.35 * strength)
    pixels *= 1 + rng.uniform(-0.12, 0.12, 3).astype(np.float32) * strength
    if rng.random() < 0.5 * strength:
        grey = pixels.mean(axis=2, keepdims=True)
        pixels = grey + (pixels - grey) * rng.uniform(0.0, 1.5)
    if rng.random() < 0.12 * strength:  # dusk: dark and noisy
        pixels *= rng.uniform(0.15, 0.5)
        pixels += rng.normal(0, rng.uniform(2, 9), pixels.shape).astype(np.float32)
    if rng.random() < 0.1 * strength:  # dust or haze
        veil = rng.uniform(0.15, 0.5)
        pixels = pixels * (1 - veil) + veil * np.array([205, 190, 165], np.float32) * rng.uniform(0.7, 1.2)
    pixels = pixels.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.15 * strength:
        pixels = cv2.filter2D(pixels, -1, _motion(int(rng.integers(3, 10)), rng))
    if rng.random() < 0.15 * strength:
        quality = int(rng.integers(25, 80))
        pixels = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return pixels


def _motion(length: int, rng: Generator) -> NDArray[np.float32]:
    """A blur kernel along a random direction."""
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    middle = (length - 1) / 2
    start, end = np.round(middle - reach).astype(int), np.round(middle + reach).astype(int)
    cv2.line(kernel, tuple(int(v) for v in start), tuple(int(v) for v in end), 1.0)
    return kernel / kernel.sum()
