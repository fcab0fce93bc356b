"""Which cells answer for which object, and how wrong the answers are.

Assignment is task-aligned (Feng et al., TOOD, 2021): for each object the cells inside its box are ranked by
`score * IoU^6`, the best ten answer for it, and how well they are aligned is the score they should give. What the
teacher says of a cell is wanted, too, where it says more. Class loss is binary cross-entropy against those scores; box
loss is generalised IoU (Rezatofighi et al., 2019), weighted by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models_tflite.train.data import CLASSES, Example
from models_tflite.train.network import STRIDES
from models_tflite.train.teacher import COCO_CLASSES, COW, PERSON, SHEEP, Answers

CANDIDATES = 10
IOU_POWER = 6.0
BOX_WEIGHT = 2.5
CLASS_WEIGHTS = (1.0, 1.0, 2.5)  # knives have labels only, and the teacher's many answers outnumber them
FURTHER_WEIGHT = 0.5  # of the teacher's 80 classes
MOST_OBJECTS = 64
UNSEEN = 0.1  # a teacher's score below which a region to ignore stays one
SEEN = 0.3  # a teacher's score from which its box is wanted
OUTPUTS = len(CLASSES) + COCO_CLASSES


@dataclass(frozen=True)
class Labels:
    """A batch's objects, padded to the same number, and the teacher's answers.

    boxes `[n, m, 4]` in pixels, targets `[n, m, 3]`, real `[n, m]` (false for padding), ignored `[n, cells, 3]` (true
    where a cell's score for one of our classes is not judged), taught `[n, cells, OUTPUTS]`, taught_boxes
    `[n, cells, 4]` in pixels.
    """

    boxes: Tensor
    targets: Tensor
    real: Tensor
    ignored: Tensor
    taught: Tensor
    taught_boxes: Tensor


def cell_centres(size: int) -> tuple[Tensor, Tensor]:
    """Centres `[cells, 2]` in pixels and strides `[cells, 1]`, in the order of the network's output."""
    centres, strides = [], []
    for stride in STRIDES:
        line = (torch.arange(size // stride) + 0.5) * stride
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        centres.append(torch.stack([columns.flatten(), rows.flatten()], dim=1))
        strides.append(torch.full((len(line) ** 2, 1), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def decode(distances: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Boxes `[..., cells, 4]` in pixels from distances in strides."""
    return torch.cat([centres - distances[..., :2] * strides, centres + distances[..., 2:] * strides], dim=-1)


def collate(examples: Sequence[Example], answers: Answers) -> tuple[Tensor, Labels]:
    """Images `[n, 3, size, size]`, 0 to 1, and their labels."""
    size = examples[0].width
    centres = cell_centres(size)[0].numpy()
    most = min(max(max(len(one.boxes) for one in examples), 1), MOST_OBJECTS)
    boxes = np.zeros((len(examples), most, 4), np.float32)
    targets = np.zeros((len(examples), most, len(CLASSES)), np.float32)
    real = np.zeros((len(examples), most), bool)
    ignored = np.zeros((len(examples), len(centres), len(CLASSES)), bool)
    for index, one in enumerate(examples):
        count = min(len(one.boxes), most)
        boxes[index, :count] = one.boxes[:count]
        targets[index, :count] = one.targets[:count]
        real[index, :count] = True
        for box, kind in zip(one.ignored, one.ignored_classes, strict=True):
            ignored[index, ((centres >= box[:2]) & (centres <= box[2:])).all(axis=1), kind] = True
    pixels = np.stack([one.image for one in examples])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255  # strides stay channels-last
    arrays = (boxes, targets, real, ignored, taught(answers), answers.boxes)
    return images, Labels(*(torch.from_numpy(array) for array in arrays))


def taught(answers: Answers) -> NDArray[np.float32]:
    """The teacher's scores `[n, cells, OUTPUTS]`: of our classes (the knife it hardly knows), then of its own.

    Horses, dogs and the like are no animals of ours, and what else a lying sheep looks like the labels tell.
    """
    scores = answers.scores
    ours = np.zeros((*scores.shape[:2], len(CLASSES)), np.float32)
    ours[..., CLASSES.index("person")] = scores[..., PERSON]
    ours[..., CLASSES.index("animal")] = np.maximum(scores[..., SHEEP], scores[..., COW])
    return np.concatenate([ours, scores], axis=-1)


def detection_loss(logits: Tensor, distances: Tensor, labels: Labels, size: int) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch and its parts.

    Args:
        logits: `[n, cells, OUTPUTS]`.
        distances: `[n, cells, 4]` in strides.
        labels: what is there.
        size: of the square images in pixels.
    """
    centres, strides = cell_centres(size)
    ours = len(CLASSES)
    boxes = decode(distances, centres, strides)
    owner, quality = assign(logits[..., :ours].detach().sigmoid(), boxes.detach(), labels, centres, strides)
    labelled = labels.targets.gather(1, owner[..., None].expand(-1, -1, ours)) * quality[..., None]
    wanted = torch.maximum(labelled, labels.taught[..., :ours])
    judged = ~(labels.ignored & (wanted < UNSEEN))
    errors = functional.binary_cross_entropy_with_logits(logits[..., :ours], wanted, reduction="none")
    class_loss = (errors * judged * torch.tensor(CLASS_WEIGHTS)).sum() / wanted.sum().clamp(min=1)
    further = labels.taught[..., ours:]
    teacher_loss = functional.binary_cross_entropy_with_logits(logits[..., ours:], further, reduction="sum")
    teacher_loss = teacher_loss / further.sum().clamp(min=1)
    seen = labels.taught[..., :ours].amax(dim=-1)
    weights = torch.where(quality > 0, quality, seen * (seen > SEEN))
    owned = labels.boxes.gather(1, owner[..., None].expand(-1, -1, 4))
    wanted_boxes = torch.where((quality > 0)[..., None], owned, labels.taught_boxes)
    answering = weights > 0
    box_errors = 1 - generalised_iou(boxes[answering], wanted_boxes[answering])
    box_loss = (box_errors * weights[answering]).sum() / weights.sum().clamp(min=1)
    loss = class_loss + BOX_WEIGHT * box_loss + FURTHER_WEIGHT * teacher_loss
    return loss, {"class": class_loss.item(), "box": box_loss.item(), "teacher": teacher_loss.item()}


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, labels: Labels, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """Each cell's object `[n, cells]` and how well it is aligned with it `[n, cells]`, zero for background."""
    half = ((labels.boxes[..., 2:] - labels.boxes[..., :2]) / 2)[:, :, None]
    middle = ((labels.boxes[..., 2:] + labels.boxes[..., :2]) / 2)[:, :, None]
    reach = torch.maximum(half, strides * 0.6)  # an object smaller than a cell still has a cell
    inside = ((centres - middle).abs() < reach).all(dim=-1) & labels.real[..., None]
    shared = pairwise_iou(labels.boxes, boxes)
    weights = labels.targets / labels.targets.sum(dim=-1, keepdim=True).clamp(min=1e-6)
    alignment = torch.bmm(weights, scores.transpose(1, 2)) * shared**IOU_POWER * inside
    threshold = alignment.topk(CANDIDATES, dim=-1).values[..., -1:]
    alignment = alignment * (alignment >= threshold)
    # An alignment is scaled so that the object's best cell is wanted at the IoU it reaches.
    best = alignment.amax(dim=-1, keepdim=True).clamp(min=1e-9)
    reached = (shared * (alignment > 0)).amax(dim=-1, keepdim=True)
    quality = alignment / best * reached
    owned, owner = (shared * (quality > 0)).max(dim=1)
    return owner, quality.gather(1, owner[:, None]).squeeze(1) * (owned > 0)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """`[n, m, 4]` against `[n, k, 4]`: `[n, m, k]`."""
    top_left = torch.maximum(first[:, :, None, :2], second[:, None, :, :2])
    bottom_right = torch.minimum(first[:, :, None, 2:], second[:, None, :, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    return shared / (_area(first)[:, :, None] + _area(second)[:, None] - shared).clamp(min=1e-6)


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """`[n, 4]` against `[n, 4]`, row by row: `[n]`, -1 to 1."""
    shared = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    joint = _area(first) + _area(second) - shared.prod(dim=-1)
    hull = (torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])).prod(dim=-1)
    return shared.prod(dim=-1) / joint.clamp(min=1e-6) - (hull - joint) / hull.clamp(min=1e-6)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
