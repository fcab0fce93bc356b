"""`python -m models_tflite.train --data DIR --teacher FILE --out DIR --minutes N`: trains the detector.

Run again with the same folder to go on after an interruption.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from models_tflite.train.augment import Augmenter
from models_tflite.train.data import example_of, read_image, read_scenes, sampling_weights
from models_tflite.train.loop import Recipe, Run, checker
from models_tflite.train.teacher import Teacher, look_at_all


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models_tflite.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with annotations.json and images/")
    parser.add_argument("--teacher", type=Path, required=True, help="the YOLOX-Nano TFLite file")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--minutes", type=float, default=120, help="training time in all, pauses not counted")
    parser.add_argument("--size", type=int, default=288, help="image size at run time, a multiple of 32")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()

    torch.set_num_threads(asked.threads)
    asked.out.mkdir(parents=True, exist_ok=True)
    scenes = read_scenes(asked.data, "train")
    say(f"{len(scenes)} training images; the teacher looks at them once")
    images = {scene.file_name: read_image(asked.data / scene.file_name) for scene in scenes}
    seen = look_at_all(Teacher(asked.teacher), images, images.__getitem__, asked.out / "teacher.json")
    examples = [example_of(scene, images[scene.file_name], seen[scene.file_name]) for scene in scenes]
    run = Run(Recipe(asked.seed, asked.size, asked.minutes), Augmenter(examples, sampling_weights(scenes)), asked.out)
    if run.resume():
        say(f"going on from step {run.progress.step}")
    run.train(checker(asked.data, asked.size), say)


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
