"""The training run: resumable, repeatable, measured as it goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models_tflite.evaluate import (
    Found,
    Point,
    average_precision,
    best_scores,
    point,
    presence,
    threshold_for,
)
from models_tflite.scenes import read_truths
from models_tflite.train.augment import Augmenter, letterbox, weather
from models_tflite.train.boxes import suppress
from models_tflite.train.data import CLASSES, read_image
from models_tflite.train.loss import Labels, cell_centres, collate, decode, detection_loss
from models_tflite.train.network import Detector
from models_tflite.train.restore import restore
from models_tflite.train.teacher import COCO_CLASSES, Teacher

BATCH = 16
FINAL_RATE = 2e-5
WARM_UP = 300  # steps
WEIGHT_DECAY = 0.02
AVERAGE_DECAY = 0.998  # an average over some 500 steps: a run on two cores has only a few thousand
LEAST_STRENGTH = 0.3  # of the distortions and collages at the end of the run; they fade from 1
SIZES = 3  # each 32 pixels smaller than the one before
SMALL_UNTIL = 0.9  # the share of the run that sees smaller pictures, too, which take less time
CHECK_EVERY = 1500  # steps
SAVE_EVERY = 100
SCORE_FLOOR = 0.02
SUPPRESSION = 0.6


@dataclass(frozen=True)
class Recipe:
    """What a run is repeated from.

    size: of the square images at run time, in pixels.
    minutes: of training time, pauses not counted. The learning rate and the pictures follow the share of it that has
        passed, so that a slower machine makes fewer steps, not fewer phases.
    peak: the highest learning rate.
    """

    seed: int
    size: int
    minutes: float
    peak: float


@dataclass
class Progress:
    step: int = 0
    seconds: float = 0.0


class Run:
    """A network in training and all that is needed to go on with it after an interruption."""

    def __init__(self, recipe: Recipe, augmenter: Augmenter, teacher: Teacher, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.augmenter = augmenter
        self.teacher = teacher
        self.folder = folder
        self.progress = Progress()
        self.network = Detector(auxiliary=COCO_CLASSES).to(memory_format=torch.channels_last)
        self.average = deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(_groups(self.network), lr=recipe.peak)

    @property
    def share(self) -> float:
        """How much of the run has passed, 0 to 1."""
        return min(self.progress.seconds / (self.recipe.minutes * 60), 1.0)

    def resume(self) -> bool:
        """Goes on from the folder's checkpoint; False when there is none."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        kept = torch.load(path, weights_only=True)
        self.network.load_state_dict(kept["network"])
        self.average.load_state_dict(kept["average"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.progress = Progress(**kept["progress"])
        return True

    def start_from(self, model: bytes) -> None:
        """Takes the weights of an exported float16 file."""
        batches = [self._batch(10**9 + index, 0.0)[0] for index in range(4)]
        restore(self.network, model, batches)
        self.average.load_state_dict(self.network.state_dict())

    def save(self) -> None:
        """Leaves a checkpoint in the folder, whole or not at all."""
        partial = self.folder / "checkpoint.partial"
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "progress": asdict(self.progress),
                "recipe": asdict(self.recipe),
            },
            partial,
        )
        partial.replace(self.folder / "checkpoint.pt")

    def train(self, check: Callable[[Detector], dict[str, Any]], say: Callable[[str], None]) -> None:
        """Steps until the minutes are over, checking and saving on the way."""
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(self._batch, self.progress.step, self.share)
            while self.share < 1:
                started = time.monotonic()
                images, labels = pending.result()
                pending = ahead.submit(self._batch, self.progress.step + 1, self.share)
                parts = self._step(images, labels)
                self.progress.step += 1
                self.progress.seconds += time.monotonic() - started
                step = self.progress.step
                if step % 50 == 0:
                    speed = BATCH / (time.monotonic() - started)
                    told = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
                    say(f"{self.share:6.1%} step {step} {images.shape[-1]} px {speed:.0f} images/s: {told}")
                if step % SAVE_EVERY == 0:
                    self.save()
                if step % CHECK_EVERY == 0:
                    self._report(check, say)
        self.save()
        self._report(check, say)

    def _batch(self, step: int, share: float) -> tuple[Tensor, Labels]:
        rng = np.random.default_rng([self.recipe.seed, step])
        smaller = int(rng.integers(SIZES)) if share < SMALL_UNTIL else 0
        strength = 1 - (1 - LEAST_STRENGTH) * share
        size = self.recipe.size - 32 * smaller
        examples = [self.augmenter.draw(size, rng, strength) for _ in range(BATCH)]
        answers = self.teacher.look(np.stack([one.image for one in examples]))
        # The teacher sees each picture before somebody hangs a photograph in it, and dusk and dust fall on it.
        seen = [weather(self.augmenter.hang(one, rng), rng, strength) for one in examples]
        return collate([replace(one, image=image) for one, image in zip(examples, seen, strict=True)], answers)

    def _step(self, images: Tensor, labels: Labels) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits, distances = self.network(images)
        loss, parts = detection_loss(logits.float(), distances.float(), labels, images.shape[-1])
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimiser.step()
        _average_in(self.average, self.network, self.progress.step)
        return parts

    def _rate(self) -> float:
        cosine = FINAL_RATE + (self.recipe.peak - FINAL_RATE) * (1 + math.cos(math.pi * self.share)) / 2
        return cosine * min((self.progress.step + 1) / WARM_UP, 1.0)

    def _report(self, check: Callable[[Detector], dict[str, Any]], say: Callable[[str], None]) -> None:
        row = {**asdict(self.progress), **check(self.average)}
        with (self.folder / "progress.jsonl").open("a") as log:
            log.write(msgspec.json.encode(row).decode() + "\n")
        say(msgspec.json.encode(row).decode())


def _groups(network: nn.Module) -> list[dict[str, Any]]:
    """Weight decay for kernels only, not for biases and normalisation."""
    kernels = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": kernels, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]


@torch.no_grad()
def _average_in(average: nn.Module, network: nn.Module, step: int) -> None:
    """Moves the averaged weights towards the current ones (exponential moving average, slower as the run matures)."""
    decay = min(AVERAGE_DECAY, (1 + step) / (20 + step))
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[name], 1 - decay)
        else:
            value.copy_(current[name])


@torch.no_grad()
def detect(network: Detector, images: Sequence[NDArray[np.uint8]], size: int) -> Iterator[Found]:
    """What the network finds on RGB images, one by one."""
    centres, strides = cell_centres(size)
    for image in images:
        square, scale = letterbox(image, size)
        logits, distances = network(torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255)
        scores = logits[0, :, : len(CLASSES)].sigmoid().numpy()
        boxes = (decode(distances[0], centres, strides) / scale).numpy()
        cells, kinds = np.nonzero(scores > SCORE_FLOOR)
        found = np.concatenate([boxes[cells], kinds[:, None], scores[cells, kinds][:, None]], axis=1)
        found = suppress(found[np.argsort(-found[:, 5])[:300]], SUPPRESSION)
        yield Found(found[:, :4], found[:, 4].astype(int), found[:, 5])


def checker(folder: Path, size: int) -> Callable[[Detector], dict[str, Any]]:
    """A function that measures a network on a folder's images for judging, of whatever licence."""
    truths = read_truths(folder, "val")
    images = [read_image(folder / truth.file_name) for truth in truths]
    present, known = presence(truths)

    def check(network: Detector) -> dict[str, Any]:
        found = list(detect(network, images, size))
        scores = best_scores(found)
        return {
            name: {
                "boxes": average_precision(found, truths, index),
                "images": _at_nine_in_ten(scores[known[:, index], index], present[known[:, index], index]),
            }
            for index, name in enumerate(CLASSES)
        }

    return check


def _at_nine_in_ten(scores: NDArray[Any], present: NDArray[np.bool_]) -> Point | None:
    threshold = threshold_for(scores, present, 0.9)
    return None if threshold is None else point(scores, present, threshold)
