"""A detector is fed and read as its row says. The model here hands its input on as its output, so both are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import msgspec
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models_tflite.detector import TfliteDetector
from models_tflite.loader import load_detector
from models_tflite.manifest import DetectorEntry, Input, Manifest, Output
from models_tflite.store import Store, digest
from shared.domain.verdict import Box
from shared.errors import QurbaniError
from shared.evidence.scene import Rule, Threshold

SIDE = 8
NUMBERS = SIDE * SIDE * 3
LABELS = ("person", "sheep", "dog", "knife", *(f"other{at}" for at in range(NUMBERS - 9)))

ENTRY = DetectorEntry(
    name="mirror",
    file="mirror.tflite",
    sha256="",
    bytes=0,
    licence="-",
    source="-",
    about="-",
    input=Input(SIDE, SIDE, "nhwc", "rgb24", pad=0, scale=1 / 255),
    output=Output("yolox", (SIDE,), 0.5, LABELS),  # one cell: x, y, w, h, objectness, and a score for each label
    groups={"person": {"person": 1.0}, "animal": {"sheep": 1.0, "dog": 0.5}, "knife": {"knife": 1.0}},
    rule=Rule({group: Threshold(0.5, 0.1) for group in ("person", "animal", "knife")}, 1, 1),
)


def mirror(path: Path, kind: int = schema.TensorType.FLOAT32) -> Path:
    """A model of one operator: ``[1, 8, 8, 3]`` becomes ``[1, 1, 192]``."""

    def tensor(shape: list[int], name: str, buffer: int, type_: int = kind) -> Any:
        made = schema.TensorT()
        made.shape, made.name, made.buffer, made.type = shape, name, buffer, type_
        if type_ == schema.TensorType.UINT8:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [1 / 255], [0]
        return made

    shape = schema.BufferT()
    shape.data = np.frombuffer(np.array([1, 1, NUMBERS], np.int32).tobytes(), np.uint8)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor([1, SIDE, SIDE, 3], "in", 0),
        tensor([3], "shape", 1, schema.TensorType.INT32),
        tensor([1, 1, NUMBERS], "out", 0),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT(), shape]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def picture(height: int = SIDE, **scores: int) -> NDArray[np.uint8]:
    """A picture whose first pixels say: a box of 8 pixels around (4, 4), sure, with these scores of 255."""
    values = np.zeros(height * SIDE * 3, np.uint8)
    values[:5] = [128, 128, 0, 0, 255]
    for label, score in scores.items():
        values[5 + LABELS.index(label)] = score
    return values.reshape(height, SIDE, 3)


@pytest.fixture(params=[schema.TensorType.FLOAT32, schema.TensorType.UINT8], ids=["float", "quantised"])
def detector(request: pytest.FixtureRequest, tmp_path: Path) -> TfliteDetector:
    return TfliteDetector(mirror(tmp_path / "mirror.tflite", request.param), ENTRY)


def test_a_box_has_its_group_its_label_its_score_and_its_place(detector: TfliteDetector) -> None:
    (box,) = detector.detect(picture(knife=204))
    assert (box.group, box.label) == ("knife", "knife")
    assert box.score == pytest.approx(0.8, abs=0.005)
    # Half a stride right of and below the corner of its cell, one stride wide.
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((0, 0, 1, 1), abs=0.01)


def test_the_scores_of_a_group_add_up_by_their_weight(detector: TfliteDetector) -> None:
    (both,) = detector.detect(picture(sheep=102, dog=102))
    assert (both.group, both.label) == ("animal", "sheep")
    assert both.score == pytest.approx(0.4 + 0.2, abs=0.005)
    (dog,) = detector.detect(picture(dog=255))
    assert (dog.label, dog.score) == ("dog", pytest.approx(0.5, abs=0.005))
    (most,) = detector.detect(picture(sheep=255, dog=255))
    assert most.score == 1.0


def test_below_absent_there_is_nothing(detector: TfliteDetector) -> None:
    assert detector.detect(picture(person=20, other1=255)) == []
    assert [box.group for box in detector.detect(picture(person=200, knife=200))] == ["person", "knife"]


def test_places_are_told_within_the_picture_and_not_within_what_pads_it(detector: TfliteDetector) -> None:
    (box,) = detector.detect(picture(height=4, person=255))
    assert (box.top, box.bottom) == (pytest.approx(0, abs=0.01), 1.0)
    assert isinstance(box, Box)
    assert all(isinstance(number, float) for number in (box.score, box.left, box.top, box.right, box.bottom))


def test_the_rest_is_padded_at_the_right_and_below(tmp_path: Path) -> None:
    padded = msgspec.structs.replace(ENTRY, input=msgspec.structs.replace(ENTRY.input, pad=102))
    found = TfliteDetector(mirror(tmp_path / "mirror.tflite"), padded)
    values = found._prepared(np.full((2, 3, 3), 255, np.uint8))
    assert values.shape == (1, SIDE, SIDE, 3)
    assert values[0, :2, :3] == pytest.approx(1)
    assert values[0, 2:] == pytest.approx(0.4)
    assert values[0, :, 3:] == pytest.approx(0.4)


def store(folder: Path, entry: DetectorEntry) -> Store:
    return Store([folder], Manifest((entry,), ()))


def test_loads_what_is_what_it_should_be(tmp_path: Path) -> None:
    entry = msgspec.structs.replace(ENTRY, sha256=digest(mirror(tmp_path / "mirror.tflite")))
    loaded = load_detector(store(tmp_path, entry))
    assert loaded is not None
    assert (loaded.model.name, loaded.model.version) == ("mirror", entry.version)
    with (tmp_path / "mirror.tflite").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(QurbaniError) as error:
        load_detector(store(tmp_path, entry))
    assert error.value.code == "model_damaged"


def test_none_is_none_but_one_that_was_asked_for_is_missed(tmp_path: Path) -> None:
    assert load_detector(store(tmp_path, ENTRY)) is None
    with pytest.raises(QurbaniError) as error:
        load_detector(store(tmp_path, ENTRY), "mirror")
    assert error.value.code == "no_model"


def test_what_is_no_model_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "mirror.tflite").write_bytes(b"no model" * 100)
    with pytest.raises(QurbaniError) as error:
        TfliteDetector(tmp_path / "mirror.tflite", ENTRY)
    assert error.value.code == "model_damaged"


@pytest.mark.parametrize(
    "wrong",
    [
        msgspec.structs.replace(ENTRY, output=msgspec.structs.replace(ENTRY.output, decoder="crystal ball")),
        msgspec.structs.replace(ENTRY, groups=ENTRY.groups | {"knife": {"sword": 1.0}}),
    ],
)
def test_a_row_that_contradicts_itself_is_named(tmp_path: Path, wrong: DetectorEntry) -> None:
    with pytest.raises(QurbaniError, match="mirror") as error:
        TfliteDetector(mirror(tmp_path / "mirror.tflite"), wrong)
    assert error.value.code == "misconfigured"
