"""`python -m models_tflite.train --data DIR --teacher FILE --out DIR --minutes N`: trains the detector.

Run again with the same folder to go on after an interruption.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import torch

from models_tflite.train.augment import Augmenter
from models_tflite.train.data import Scene, example_of, read_image, read_scenes, sampling_weights
from models_tflite.train.loop import Recipe, Run, checker
from models_tflite.train.teacher import Teacher


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models_tflite.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with annotations.json and images/")
    parser.add_argument("--teacher", type=Path, required=True, help="the YOLOX-Nano TFLite file")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--minutes", type=float, default=120, help="training time in all, pauses not counted")
    parser.add_argument("--size", type=int, default=352, help="image size at run time, a multiple of 32")
    parser.add_argument("--extra", type=Path, help="folder of unlabelled JPEG pictures without knives, see gather.py")
    parser.add_argument("--start-from", type=Path, help="an exported float16 file whose weights the run starts with")
    parser.add_argument("--peak", type=float, help="highest learning rate; 2e-3, with --start-from 1e-3")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()

    torch.set_num_threads(asked.threads)
    cv2.setNumThreads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    scenes = read_scenes(asked.data, "train")
    examples = [example_of(scene, read_image(asked.data / scene.file_name)) for scene in scenes]
    for path in sorted(asked.extra.glob("*.jpg")) if asked.extra else ():
        scenes.append(Scene({"file_name": path.name, "subset": "extra"}, ()))
        examples.append(example_of(scenes[-1], read_image(path)))
    say(f"{len(examples)} training images")
    augmenter = Augmenter(examples, sampling_weights(scenes))
    recipe = Recipe(asked.seed, asked.size, asked.minutes, asked.peak or (1e-3 if asked.start_from else 2e-3))
    run = Run(recipe, augmenter, Teacher(asked.teacher), asked.out)
    if run.resume():
        say(f"going on from step {run.progress.step}")
    elif asked.start_from:
        run.start_from(asked.start_from.read_bytes())
    run.train(checker(asked.data, asked.size), say)


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
