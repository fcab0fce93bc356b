"""The parts of training; they need `models_tflite/train/requirements.txt`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
cv2 = pytest.importorskip("cv2", reason="training needs OpenCV")

from ai_edge_litert.interpreter import Interpreter  # noqa: E402

from models_tflite.train import augment  # noqa: E402
from models_tflite.train.augment import Augmenter, letterbox  # noqa: E402
from models_tflite.train.boxes import overlap, suppress  # noqa: E402
from models_tflite.train.data import CLASSES, Example, Scene, example_of  # noqa: E402
from models_tflite.train.loop import Recipe, Run  # noqa: E402
from models_tflite.train.loss import (  # noqa: E402
    OUTPUTS,
    Labels,
    assign,
    cell_centres,
    collate,
    detection_loss,
)
from models_tflite.train.network import Detector  # noqa: E402
from models_tflite.train.restore import restore  # noqa: E402
from models_tflite.train.teacher import COCO_CLASSES, COW, PERSON, Answers, Teacher  # noqa: E402
from models_tflite.train.tflite import Writer  # noqa: E402
from models_tflite.train.trace import Trace, deployed  # noqa: E402
from tests.beside import MODELS, needs_models  # noqa: E402

KNIFE = CLASSES.index("knife")
torch.set_num_threads(1)  # several tests run at once


def example(*boxes: tuple[float, float, float, float], side: int = 96, kind: int = KNIFE) -> Example:
    """A grey picture with a white rectangle for each box."""
    image = np.full((side, side, 3), 90, np.uint8)
    targets = np.zeros((len(boxes), len(CLASSES)), np.float32)
    targets[:, kind] = 1
    for x1, y1, x2, y2 in boxes:
        image[int(y1) : int(y2), int(x1) : int(x2)] = 255
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return Example(image, corners, targets, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def silence(pictures: int, size: int) -> Answers:
    """A teacher that sees nothing."""
    cells = len(cell_centres(size)[0])
    return Answers(np.zeros((pictures, cells, COCO_CLASSES), np.float32), np.zeros((pictures, cells, 4), np.float32))


class Blind(Teacher):
    """Sees nothing."""

    def __init__(self) -> None:
        pass

    def look(self, images: np.ndarray) -> Answers:
        return silence(len(images), images.shape[1])


def gathered(*examples: Example) -> tuple[torch.Tensor, Labels]:
    return collate(examples, silence(len(examples), examples[0].width))


def test_a_box_that_nobody_has_looked_at_is_half_true() -> None:
    drawn = {"bbox": [10, 10, 20, 20], "class": KNIFE}
    scene = Scene({"file_name": "a.jpg"}, (drawn, drawn | {"pseudo": True}, drawn | {"pseudo": True, "reviewed": True}))
    result = example_of(scene, np.zeros((96, 96, 3), np.uint8))
    assert result.boxes.tolist() == [[10, 10, 30, 30]] * 3
    assert result.targets[:, KNIFE].tolist() == [1, 0.5, 1]


def test_what_the_teacher_sees_is_wanted_of_the_same_cell() -> None:
    answers = silence(1, 96)
    answers.scores[0, 7, COW], answers.scores[0, 9, PERSON] = 0.75, 0.5
    images, labels = collate([example(side=96)], answers)
    wanted = labels.taught[0]
    assert wanted[7, :3].tolist() == [0, 0.75, 0]
    assert wanted[9, :3].tolist() == [0.5, 0, 0]
    answer = torch.full((1, len(wanted), OUTPUTS), -20.0)
    _, blind = detection_loss(answer, torch.ones(1, len(wanted), 4), labels, 96)
    _, seeing = detection_loss(torch.logit(labels.taught, 1e-8), torch.ones(1, len(wanted), 4), labels, 96)
    assert seeing["class"] < 0.2 * blind["class"]
    assert seeing["teacher"] < 0.2 * blind["teacher"]
    assert images.shape == (1, 3, 96, 96)


@needs_models
def test_the_teacher_answers_alike_at_every_size() -> None:
    teacher = Teacher(MODELS / "yolox_nano_416_float16.tflite")
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 255, (4, 4, 3), np.uint8)
    native, smaller = (
        teacher.look(np.kron(coarse, np.ones((side // 4, side // 4, 1), np.uint8))[None]) for side in (416, 288)
    )
    assert native.scores.shape == (1, 52**2 + 26**2 + 13**2, 80)
    assert smaller.scores.shape == (1, len(cell_centres(288)[0]), 80)
    centres, strides = cell_centres(416)
    middles = (native.boxes[0, :, :2] + native.boxes[0, :, 2:]) / 2
    near = np.abs(middles - centres.numpy()).max(axis=1) < 4 * strides[:, 0].numpy()
    assert near.mean() > 0.9  # boxes lie about their cells: rows and columns are in the student's order


def test_an_exported_file_is_restored_to_the_network_it_was() -> None:
    torch.manual_seed(4)
    source = Detector(5, widths=(8, 8, 16, 16, 16), neck=16)
    source(torch.rand(4, 3, 64, 64))
    lean = deployed(source.eval())
    model = Writer(Trace(lean, 64).graph(), {}).file("test")
    again = Detector(5, widths=(8, 8, 16, 16, 16), neck=16)
    batch = torch.rand(8, 3, 64, 64)
    restore(again, model, [batch])
    with torch.no_grad():
        wanted = source(batch)
        result = again.eval()(batch)
        trained = again.train()(batch)
    for some in (result, trained):
        np.testing.assert_allclose(some[0][..., :3].numpy(), wanted[0][..., :3].numpy(), atol=0.02)
        np.testing.assert_allclose(some[1].numpy(), wanted[1].numpy(), atol=0.02)


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


def test_a_telephone_may_lie_where_the_knife_was(monkeypatch: pytest.MonkeyPatch) -> None:
    armed = example((40, 40, 60, 52))
    for share, seen in ((0.0, False), (1.0, True)):
        monkeypatch.setattr(augment, "TELEPHONES", share)
        bare = augment._without_knives(armed, np.random.default_rng(1))
        assert len(bare.boxes) == 0
        assert (np.abs(bare.image[44:48, 47:53].astype(int) - 90).min() > 5) == seen
        assert (bare.image[:20] == 90).all()


def test_a_photograph_hangs_where_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "PICTURES", 1.0)
    rng = np.random.default_rng(1)
    augmenter = augment.Augmenter([example((10, 10, 80, 80))], np.ones(1))
    scene = replace(example((0, 0, 48, 96)), image=np.full((96, 96, 3), 200, np.uint8))
    seen = [augmenter.hang(scene, rng) for _ in range(30)]
    assert all((image[:, :48] == 200).all() for image in seen), "what is there is not hidden"
    assert sum(bool((image[:, 48:] == 90).all(axis=2).any()) for image in seen) > 10, "the photograph can be seen"
    assert (scene.image == 200).all()
    assert (augmenter.hang(replace(scene, boxes=np.array([[0, 0, 96, 96]], np.float32)), rng) == 200).all()


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
    _, labels = gathered(example((16, 16, 80, 80)))
    centres, strides = cell_centres(96)
    scores = torch.full((1, len(centres), len(CLASSES)), 0.5)
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
    logits = torch.full((1, 189, OUTPUTS), -20.0)
    logits[..., KNIFE] = 5.0
    distances = torch.ones(1, 189, 4)
    (_, wrong), (_, free) = (detection_loss(logits, distances, gathered(one)[1], 96) for one in (plain, ignoring))
    assert wrong["class"] > 100
    assert free["class"] == pytest.approx(0, abs=1e-3)


def test_a_network_learns_one_picture() -> None:
    torch.manual_seed(1)
    network = Detector(COCO_CLASSES, widths=(8, 8, 16, 16, 16), neck=16)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    images, labels = gathered(example((16, 16, 80, 60)), example((30, 40, 62, 90)))
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
    first = Run(Recipe(seed=1, size=96, minutes=1, peak=1e-3), augmenter, Blind(), tmp_path)
    images, labels = gathered(*[example((16, 16, 80, 60))] * 2)
    first._step(images, labels)
    first.progress.step, first.progress.seconds = 1, 6.0
    first.save()
    second = Run(Recipe(seed=2, size=96, minutes=1, peak=1e-3), augmenter, Blind(), tmp_path)
    assert second.resume()
    assert second.share == pytest.approx(0.1)
    for one in (first, second):
        one._step(images, labels)
    for mine, other in zip(first.average.state_dict().values(), second.average.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
