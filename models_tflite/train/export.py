"""`python -m models_tflite.train.export --checkpoint FILE --data DIR --out DIR`: writes the TFLite files.

Beside them it leaves `stored.npz`: a picture and what the network in PyTorch makes of it, for the test that compares.
The picture is dreamt by the network itself, so that its scores are high and nobody's photograph lies in the tests.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models_tflite.train.augment import letterbox
from models_tflite.train.data import read_image, read_scenes
from models_tflite.train.network import Detector
from models_tflite.train.quantise import quantised
from models_tflite.train.teacher import COCO_CLASSES
from models_tflite.train.tflite import Writer
from models_tflite.train.trace import Trace, deployed

NAME = "qurbani_scene"
CALIBRATION_IMAGES = 80
DREAM_STEPS = 40
DREAM_COARSENESS = 4  # pixels of the input for one of the dream


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models_tflite.train.export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with annotations.json and images/")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()

    network, size = load(asked.checkpoint)
    trace = Trace(network, size)
    graph = trace.graph()
    pictures = calibration_pictures(asked.data, size)
    integers, scales = quantised(graph, trace.ranges(as_input(picture) for picture in pictures))
    asked.out.mkdir(parents=True, exist_ok=True)
    for kind, content in (
        ("float16", Writer(graph, {}).file(f"{NAME}: person, animal, knife; float16")),
        ("int8", Writer(integers, scales).file(f"{NAME}: person, animal, knife; int8")),
    ):
        path = asked.out / f"{NAME}_{size}_{kind}.tflite"
        path.write_bytes(content)
        sys.stderr.write(f"{path}: {len(content)} bytes, {graph.multiplications / 1e6:.0f} million multiplications\n")
    np.savez_compressed(asked.out / "stored.npz", **stored(network, size))


def load(checkpoint: Path) -> tuple[Detector, int]:
    """The averaged network of a run, made ready to deploy, and its image size."""
    kept = torch.load(checkpoint, weights_only=True)
    network = Detector(auxiliary=COCO_CLASSES)
    network.load_state_dict(kept["average"])
    return deployed(network), kept["recipe"]["size"]


def calibration_pictures(folder: Path, size: int) -> list[NDArray[np.uint8]]:
    """Training images at even distances through the set, letterboxed."""
    scenes = read_scenes(folder, "train")
    chosen = scenes[:: max(len(scenes) // CALIBRATION_IMAGES, 1)][:CALIBRATION_IMAGES]
    return [letterbox(read_image(folder / scene.file_name), size)[0] for scene in chosen]


def as_input(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()


def stored(network: Detector, size: int) -> dict[str, NDArray[Any]]:
    """A dream `[size / 4, size / 4, 3]`, to be enlarged by repetition, and the scores and distances that it gives."""
    dream = dreamt(network, size)
    picture = dream.repeat(DREAM_COARSENESS, axis=0).repeat(DREAM_COARSENESS, axis=1)
    with torch.no_grad():
        logits, distances = network(as_input(picture))
    return {"picture": dream, "scores": logits.sigmoid().numpy(), "distances": distances.numpy()}


def dreamt(network: Detector, size: int) -> NDArray[np.uint8]:
    """A picture that starts as noise and follows the gradient of the best scores of each class."""
    side = size // DREAM_COARSENESS
    noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)) * 255
    dream = noise.requires_grad_()
    optimiser = torch.optim.Adam([dream], lr=12.0)
    for _ in range(DREAM_STEPS):
        logits, _ = network(functional.interpolate(dream.clamp(0, 255), scale_factor=DREAM_COARSENESS))
        loss = -functional.logsigmoid(logits[0].topk(5, dim=0).values).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pixels = dream.detach().clamp(0, 255).round()[0].permute(1, 2, 0)
    return pixels.to(torch.uint8).contiguous().numpy()


if __name__ == "__main__":
    main()
