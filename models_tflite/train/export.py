"""`python -m models_tflite.train.export --checkpoint FILE --data DIR --out DIR`: writes the TFLite files.

Beside them it leaves `stored.npz`: pictures and what the network in PyTorch makes of them, for the test that compares.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models_tflite.train.augment import letterbox
from models_tflite.train.data import CLASSES, TARGETS, read_image, read_scenes
from models_tflite.train.network import Detector
from models_tflite.train.quantise import quantised
from models_tflite.train.tflite import Writer
from models_tflite.train.trace import Trace, deployed

NAME = "qurbani_scene"
CALIBRATION_IMAGES = 80
STORED_IMAGES = 3


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
    store(network, pictures[:: CALIBRATION_IMAGES // STORED_IMAGES][:STORED_IMAGES], asked.out / "stored.npz")


def load(checkpoint: Path) -> tuple[Detector, int]:
    """The averaged network of a run, made ready to deploy, and its image size."""
    kept = torch.load(checkpoint, weights_only=True)
    network = Detector(auxiliary=TARGETS - len(CLASSES))
    network.load_state_dict(kept["average"])
    return deployed(network), kept["recipe"]["size"]


def calibration_pictures(folder: Path, size: int) -> list[NDArray[np.uint8]]:
    """Training images at even distances through the set, letterboxed."""
    scenes = read_scenes(folder, "train")
    chosen = scenes[:: max(len(scenes) // CALIBRATION_IMAGES, 1)][:CALIBRATION_IMAGES]
    return [letterbox(read_image(folder / scene.file_name), size)[0] for scene in chosen]


def as_input(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()


def store(network: Detector, pictures: list[NDArray[np.uint8]], path: Path) -> None:
    with torch.no_grad():
        results = [network(as_input(picture)) for picture in pictures]
    np.savez_compressed(
        path,
        pictures=np.stack(pictures),
        scores=np.concatenate([logits.sigmoid().numpy() for logits, _ in results]).astype(np.float32),
        distances=np.concatenate([distances.numpy() for _, distances in results]).astype(np.float32),
    )


if __name__ == "__main__":
    main()
