"""The detector: an anchor-free, single-stage convolutional network with a decoupled head.

Of the family of YOLOX and YOLOv8 (CSP backbone, PAN neck, one prediction a cell on strides 8, 16 and 32), made of plain
3x3 and 1x1 convolutions, ReLU, nearest-neighbour upsampling and concatenation only: each is a single TFLite operator
that runs well in float16 and int8, and batch normalisation folds into the convolution before it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models_tflite.train.data import CLASSES

STRIDES = (8, 16, 32)
# The share of cells expected to hold an object, so that the first steps are not spent on background.
PRIOR, RARE_PRIOR = 0.01, 0.0005


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation, ReLU; folds into one operator."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
            nn.ReLU(inplace=True),
        )


class Bottleneck(nn.Module):
    """Two 3x3 convolutions with a residual connection (He et al., 2016)."""

    def __init__(self, channels: int, residual: bool = True) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels, 3)
        self.second = ConvUnit(channels, channels, 3)
        self.residual = residual

    def forward(self, features: Tensor) -> Tensor:
        result = self.second(self.first(features))
        return features + result if self.residual else result


class CspStage(nn.Module):
    """Half of the channels pass through bottlenecks, half go past them (Wang et al., CSPNet, 2019)."""

    def __init__(self, inputs: int, outputs: int, depth: int, residual: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.main = ConvUnit(inputs, half)
        self.bypass = ConvUnit(inputs, half)
        self.blocks = nn.Sequential(*(Bottleneck(half, residual) for _ in range(depth)))
        self.merge = ConvUnit(2 * half, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.merge(torch.cat([self.blocks(self.main(features)), self.bypass(features)], dim=1))


class PyramidPooling(nn.Module):
    """Three stacked 5x5 max pools seen side by side: context for objects larger than a cell's view (SPPF)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(inputs, inputs // 2)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.merge = ConvUnit(inputs // 2 * 4, outputs)

    def forward(self, features: Tensor) -> Tensor:
        levels = [self.reduce(features)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        return self.merge(torch.cat(levels, dim=1))


class Head(nn.Module):
    """Class logits and box distances of one pyramid level, by separate branches."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classify = ConvUnit(channels, channels, 3)
        self.locate = ConvUnit(channels, channels, 3)
        self.logits = nn.Conv2d(channels, classes, 1)
        self.distances = nn.Conv2d(channels, 4, 1)
        with torch.no_grad():
            self.logits.bias[: len(CLASSES)] = math.log(PRIOR / (1 - PRIOR))
            self.logits.bias[len(CLASSES) :] = math.log(RARE_PRIOR / (1 - RARE_PRIOR))
        nn.init.constant_(self.distances.bias, 2.0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits(self.classify(features)), self.distances(self.locate(features))


class Detector(nn.Module):
    """Images to class logits and box distances.

    Args:
        auxiliary: further classes, known to the teacher only, that are learned beside `CLASSES` to enrich the features
            and are cut off before export.
        widths: channels after each halving of the resolution.
        neck: channels of each pyramid level.

    Input: `[n, 3, size, size]`, RGB, 0 to 1, size a multiple of 32.
    Output: logits `[n, cells, classes]` and distances `[n, cells, 4]` (left, top, right, bottom from the cell's centre,
    in strides), cells ordered by stride, then row by row.
    """

    def __init__(
        self,
        auxiliary: int = 0,
        widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 192),
        neck: int = 64,
    ) -> None:
        super().__init__()
        self.widths, self.neck = widths, neck
        self.classes = len(CLASSES) + auxiliary
        stem, low, fine, middle, coarse = widths
        self.stem = nn.Sequential(ConvUnit(3, stem, 3, 2), ConvUnit(stem, low, 3, 2), CspStage(low, low, 1))
        self.fine = nn.Sequential(ConvUnit(low, fine, 3, 2), CspStage(fine, fine, 2))
        self.middle = nn.Sequential(ConvUnit(fine, middle, 3, 2), CspStage(middle, middle, 2))
        self.coarse = nn.Sequential(
            ConvUnit(middle, coarse, 3, 2), CspStage(coarse, coarse, 1), PyramidPooling(coarse, coarse)
        )
        self.from_coarse = ConvUnit(coarse, neck)
        self.from_middle = ConvUnit(middle, neck)
        self.from_fine = ConvUnit(fine, neck)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.down_middle = CspStage(2 * neck, neck, 1, residual=False)
        self.down_fine = CspStage(2 * neck, neck, 1, residual=False)
        self.shrink_fine = ConvUnit(neck, neck, 3, 2)
        self.up_middle = CspStage(2 * neck, neck, 1, residual=False)
        self.shrink_middle = ConvUnit(neck, neck, 3, 2)
        self.up_coarse = CspStage(2 * neck, neck, 1, residual=False)
        self.heads = nn.ModuleList(Head(neck, self.classes) for _ in STRIDES)

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Features at strides 8, 16 and 32, each knowing of the others (PAN, Liu et al., 2018)."""
        fine = self.fine(self.stem(images))
        middle = self.middle(fine)
        coarse = self.from_coarse(self.coarse(middle))
        middle = self.down_middle(torch.cat([self.upsample(coarse), self.from_middle(middle)], dim=1))
        fine = self.down_fine(torch.cat([self.upsample(middle), self.from_fine(fine)], dim=1))
        middle = self.up_middle(torch.cat([self.shrink_fine(fine), middle], dim=1))
        coarse = self.up_coarse(torch.cat([self.shrink_middle(middle), coarse], dim=1))
        return [fine, middle, coarse]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, distances = [], []
        for head, features in zip(self.heads, self.pyramid(images), strict=True):
            level_logits, level_distances = head(features)
            logits.append(level_logits.flatten(2).transpose(1, 2))
            distances.append(level_distances.flatten(2).transpose(1, 2))
        return torch.cat(logits, dim=1), torch.cat(distances, dim=1)
