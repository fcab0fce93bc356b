"""The bundled files compute what the network in PyTorch did when they were written.

`stored.npz` was left by the export: a picture that the network dreamt, and its outputs in float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

import models_tflite
from models_tflite.loader import load_detector
from models_tflite.manifest import DetectorEntry, manifest
from models_tflite.pair import Pair
from models_tflite.store import Store
from shared.errors import QurbaniError
from shared.evidence.frames import Fit
from tests.beside import MODELS, needs_models

HERE = Path(__file__).parent
FOLDER = Path(models_tflite.__file__).parent
OURS = [entry for entry in manifest().detector if entry.training]

# How far outputs may lie from PyTorch's: 99 in 100 of them, and on average. Scores are 0 to 1, distances in strides.
TOLERANCES = {"float16": ((0.001, 0.0001), (0.02, 0.002)), "int8": ((0.1, 0.01), (1.0, 0.2))}


def outputs(path: Path, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None].astype(np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: entry.name)
def test_a_bundled_file_computes_what_the_network_did(entry: DetectorEntry) -> None:
    with np.load(HERE / "stored.npz") as stored:
        times = entry.input.width // stored["picture"].shape[1]
        picture = stored["picture"].repeat(times, axis=0).repeat(times, axis=1)
        wanted = stored["scores"], stored["distances"]
    assert wanted[0].max(axis=(0, 1)).min() > 0.5  # every class is seen somewhere, so that agreement means something
    for result, expected, (most, mean) in zip(
        outputs(FOLDER / entry.file, picture), wanted, TOLERANCES[entry.file.split("_")[-1].split(".")[0]], strict=True
    ):
        errors = np.abs(result - expected)
        assert np.quantile(errors, 0.99) <= most
        assert errors.mean() <= mean


@pytest.mark.parametrize("entry", OURS, ids=lambda entry: entry.name)
def test_a_clone_alone_has_the_bundled_detectors(entry: DetectorEntry) -> None:
    store = Store([])
    path = FOLDER / entry.file
    assert not store.wrong(entry, path)
    assert path.stat().st_size == entry.bytes <= 4_000_000
    assert store.find(entry) == (None if entry.beside else path)


def test_a_clone_alone_looks_with_ours() -> None:
    store = Store([])
    unasked = load_detector(store)
    assert unasked is not None
    assert unasked.model.name == "qurbani-scene"
    for entry in OURS:
        if entry.beside:
            with pytest.raises(QurbaniError) as missed:
                load_detector(store, entry.name)
            assert missed.value.code == "no_model"
        else:
            detector = load_detector(store, entry.name)
            assert detector is not None
            assert detector.model.name == entry.name


@needs_models
def test_beside_the_larger_one_ours_is_taken_first() -> None:
    detector = load_detector(Store([MODELS]))
    assert isinstance(detector, Pair)
    (entry,) = (entry for entry in OURS if entry.beside)
    assert detector.model.name == entry.name
    assert detector.fit == Fit(416, 416, "bgr24")
    assert detector.detect(np.full((234, 416, 3), 128, np.uint8)) == []
