"""The parts of training; they need `models_tflite/train/requirements.txt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
cv2 = pytest.importorskip("cv2", reason="training needs OpenCV")

from ai_edge_litert.interpreter import Interpreter  # noqa: E402

from models_tflite.train.augment import Augmenter, letterbox  # noqa: E402
from models_tflite.train.boxes import overlap, suppress  # noqa: E402
from models_tflite.train.data import CLASSES, TARGETS, Example, Scene, example_of  # noqa: E402
from models_tflite.train.loop import Recipe, Run  # noqa: E402
from models_tflite.train.loss import assign, cell_centres, collate, detection_loss  # noqa: E402
from models_tflite.train.network import Detector  # noqa: E402
from models_tflite.train.tflite import Writer  # noqa: E402
from models_tflite.train.trace import Trace, deployed  # noqa: E402

KNIFE = CLASSES.index("knife")


def example(*boxes: tuple[float, float, float, float], side: int = 96, kind: int = KNIFE) -> Example:
    """A grey picture with a white rectangle for each box."""
    image = np.full((side, side, 3), 90, np.uint8)
    targets = np.zeros((len(boxes), TARGETS), np.float32)
    targets[:, kind] = 1
    for x1, y1, x2, y2 in boxes:
        image[int(y1) : int(y2), int(x1) : int(x2)] = 255
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return Example(image, corners, targets, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def test_the_teachers_view_joins_the_label_or_stands_alone() -> None:
    scene = Scene({"file_name": "a.jpg"}, ({"bbox": [10, 10, 20, 20], "class": KNIFE},))
    seen = np.array([[10, 10, 31, 30, 43, 0.8], [60, 60, 90, 90, 16, 0.5]], np.float32)
    result = example_of(scene, np.zeros((96, 96, 3), np.uint8), seen)
    assert result.boxes.tolist() == [[10, 10, 30, 30], [60, 60, 90, 90]]
    assert result.targets[0, KNIFE] == 1
    assert result.targets[0, len(CLASSES) + 43] == np.float32(0.8)
    assert result.targets[1, : len(CLASSES)].max() == 0
    assert result.targets[1, len(CLASSES) + 16] == 0.5


@pytest.mark.parametrize("seed", range(8))
def test_boxes_follow_what_happens_to_the_picture(seed: int) -> None:
    source = example((30, 40, 62, 60))
    drawn = Augmenter([source], np.ones(1)).draw(128, np.random.default_rng(seed), 0.4)
    inside = np.zeros((128, 128), bool)
    for x1, y1, x2, y2 in np.round(np.concatenate([drawn.boxes, drawn.ignored])).astype(int):
        inside[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2] = True
    bright = drawn.image.min(axis=2) > int(drawn.image.min()) + 0.75 * int(np.ptp(drawn.image))
    if len(drawn.boxes):
        assert bright.any()
        assert inside[bright].mean() > 0.95


def test_pictures_can_be_drawn_again() -> None:
    augmenter = Augmenter([example((30, 40, 62, 60)), example((5, 5, 40, 30), kind=1)], np.full(2, 0.5))
    first, second = (augmenter.draw(96, np.random.default_rng(4), 1.0) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.boxes, second.boxes)


def test_letterboxing_keeps_the_shape() -> None:
    square, scale = letterbox(np.full((50, 100, 3), 200, np.uint8), 320)
    assert scale == 3.2
    assert (square[:160] == 200).all()
    assert (square[160:] == 114).all()


def test_suppression_keeps_the_best_of_each_class() -> None:
    found = np.array([[0, 0, 10, 10, 1, 0.5], [1, 0, 10, 10, 1, 0.9], [0, 0, 10, 10, 2, 0.4]], np.float32)
    assert suppress(found, 0.5)[:, 4:].tolist() == [[1, np.float32(0.9)], [2, np.float32(0.4)]]
    assert overlap(found[:1, :4], found[1:2, :4])[0, 0] == pytest.approx(0.9)


def test_the_best_cells_inside_an_object_answer_for_it() -> None:
    _, labels = collate([example((16, 16, 80, 80))])
    centres, strides = cell_centres(96)
    scores = torch.full((1, len(centres), TARGETS), 0.5)
    boxes = labels.boxes.expand(1, len(centres), 4) + torch.linspace(0, 20, len(centres))[None, :, None]
    _, quality = assign(scores, boxes, labels, centres, strides)
    answering = quality[0] > 0
    assert 1 <= int(answering.sum()) <= 10
    assert ((centres[answering] > 16) & (centres[answering] < 80)).all()


def test_regions_to_ignore_cost_nothing() -> None:
    plain = example(side=96)
    ignoring = Example(
        plain.image, plain.boxes, plain.targets, np.array([[0, 0, 96, 96]], np.float32), np.array([KNIFE])
    )
    logits = torch.full((1, 189, TARGETS), -20.0)
    logits[..., KNIFE] = 5.0
    distances = torch.ones(1, 189, 4)
    (_, wrong), (_, free) = (detection_loss(logits, distances, collate([one])[1], 96) for one in (plain, ignoring))
    assert wrong["class"] > 100
    assert free["class"] == pytest.approx(0, abs=1e-3)


def test_a_network_learns_one_picture() -> None:
    torch.manual_seed(1)
    network = Detector(TARGETS - len(CLASSES), widths=(8, 8, 16, 16, 16), neck=16)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    images, labels = collate([example((16, 16, 80, 60)), example((30, 40, 62, 90))])
    losses = []
    for _ in range(50):
        loss, _ = detection_loss(*network(images), labels, 96)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_a_written_file_computes_what_the_network_does() -> None:
    torch.manual_seed(2)
    network = Detector(5, widths=(8, 8, 16, 16, 16), neck=16)
    network(torch.rand(4, 3, 64, 64))  # moves the running statistics away from their start
    lean = deployed(network.eval())
    image = torch.rand(1, 3, 64, 64) * 255
    interpreter = Interpreter(model_content=Writer(Trace(lean, 64).graph(), {}).file("test"), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image.permute(0, 2, 3, 1).numpy())
    interpreter.invoke()
    scores, distances = (interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details())
    with torch.no_grad():
        logits, wanted = network(image / 255)
    np.testing.assert_allclose(scores, logits[..., : len(CLASSES)].sigmoid().numpy(), atol=1e-3)
    np.testing.assert_allclose(distances, wanted.numpy(), atol=2e-2)


def test_a_run_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    augmenter = Augmenter([example((30, 40, 62, 60))], np.ones(1))
    first = Run(Recipe(seed=1, size=96, minutes=1), augmenter, tmp_path)
    images, labels = collate([example((16, 16, 80, 60))] * 2)
    first._step(images, labels)
    first.progress.step, first.progress.seconds = 1, 6.0
    first.save()
    second = Run(Recipe(seed=2, size=96, minutes=1), augmenter, tmp_path)
    assert second.resume()
    assert second.share == pytest.approx(0.1)
    for one in (first, second):
        one._step(images, labels)
    for mine, other in zip(first.average.state_dict().values(), second.average.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
