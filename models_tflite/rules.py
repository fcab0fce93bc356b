"""The rule over time, fitted to and judged on clips whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models_tflite.clips import KINDS, Kind, Studio
from models_tflite.evaluate import Flags, Floats, Share, Truth, halves, share
from models_tflite.scenes import as_fitted
from shared.domain.verdict import GROUPS, Frame, Group, Model, Outcome, ShareMatch, Word
from shared.evidence.frames import Fit, Picture
from shared.evidence.judge import Facts, judge
from shared.evidence.odds import FAINTEST, probability
from shared.evidence.scene import Calibration, Detector, Rule, Sight, Threshold, belief, look, together
from shared.evidence.speech import Hearing

FRAMES, WITHIN = 2, 3
"""Of three neighbouring pictures two must show all (docs/evaluation.md tells what else was tried)."""

FALSE = 0.005
"""At most this share of the clips that a rule is fitted to may pass though something is missing."""

_MISSED = 0.005  # the share of clips that show a group in which its best score lies below "absent"

_SHOWN: Mapping[Kind, tuple[bool, bool, bool]] = {
    "all": (True, True, True),
    "no person": (False, True, True),
    "no animal": (True, False, True),
    "no knife": (True, True, False),
    "other object": (True, True, False),
}


class Shot(msgspec.Struct, frozen=True):
    """What a detector saw in a clip of a ``kind``, built from images of the ``first`` half or of the other one."""

    kind: Kind
    first: bool
    frames: tuple[Frame, ...]


class Outcomes(msgspec.Struct, frozen=True):
    """``found`` of the clips that show all are ``authentic``, ``refused`` of them ``rejected``, the rest ``review``.

    ``mistaken`` are the others that are ``authentic``, by kind and in all.
    """

    found: Share | None
    refused: Share | None
    mistaken: Share | None
    mistaken_by_kind: dict[Kind, Share | None]


class ClipEvaluation(msgspec.Struct, frozen=True):
    """One detector on built clips.

    ``chosen`` is by its own rule. ``held_out`` is by rules that were fitted to clips of the other half of the images,
    and ``single`` the same if one picture were enough. ``calibration_error`` is, of the held-out probabilities of each
    group in a picture, how far they lie from the shares that come true (expected calibration error, ten equal bins).
    """

    model: str
    clips: int
    chosen: Outcomes
    held_out: Outcomes
    single: Outcomes
    calibration_error: dict[Group, float]


def shoot(
    truths: Sequence[Truth],
    folder: Path,
    detectors: Sequence[Detector],
    count: int,
    seed: int,
    progress: Callable[[float], None],
) -> list[list[Shot]]:
    """What each detector sees in the same ``count`` clips, half of them built from each half of the images.

    Args:
        truths: what the images in the folder show, see :func:`models_tflite.scenes.read_truths`.
        folder: where the images lie.
        detectors: should be :func:`models_tflite.manifest.sensitive`.
        count: of clips.
        seed: the same one builds the same clips.
        progress: is told the share of clips done.
    """
    seen: list[list[Shot]] = [[] for _ in detectors]
    sides = halves(truths)
    for first in (True, False):
        studio = Studio([truth for truth, side in zip(truths, sides, strict=True) if side == first], folder)
        for clip in studio.clips(count // 2, seed):
            for shots, detector in zip(seen, detectors, strict=True):
                pictures = enumerate(clip.pictures)
                frames = tuple(
                    look(_picture(pixels, float(second), detector.fit), detector) for second, pixels in pictures
                )
                shots.append(Shot(clip.kind, first, frames))
            progress(len(seen[0]) / (count // 2 * 2))
    return seen


def _picture(pixels: NDArray[np.uint8], time: float, fit: Fit) -> Picture:
    fitted, _ = as_fitted(Image.fromarray(pixels), fit)
    return Picture(time, fitted.shape[1], fitted.shape[0], fitted.tobytes())


def judge_shots(shots: Sequence[Shot], rule: Rule, model: Model) -> ClipEvaluation:
    """The report on a detector whose rule is ``rule``."""
    halves = [[one for one in shots if one.first is first] for first in (True, False)]
    crossed = list(zip(reversed([fit(half) for half in halves]), halves, strict=True))
    short = list(zip(reversed([fit(half, 1, 1) for half in halves]), halves, strict=True))
    return ClipEvaluation(
        model.name,
        len(shots),
        _outcomes([(one, _outcome(one, rule, model)) for one in shots]),
        _outcomes([(one, _outcome(one, fitted, model)) for fitted, half in crossed for one in half]),
        _outcomes([(one, _outcome(one, fitted, model)) for fitted, half in short for one in half]),
        {group: _calibration_error(crossed, column) for column, group in enumerate(GROUPS)},
    )


def fit(shots: Sequence[Shot], frames: int = FRAMES, within: int = WITHIN) -> Rule:
    """The rule that lets the most clips pass that show all, and hardly any other."""
    calibration = {group: _platt(*_examples(shots, column)) for column, group in enumerate(GROUPS)}
    open_to_all = {group: Threshold(0.0, 0.0) for group in GROUPS}
    rule = Rule(open_to_all, frames, within, calibration)
    others = sorted((event(one.frames, rule) for one in shots if one.kind != "all"), reverse=True)
    believed = round(others[int(FALSE * len(others))] + 0.001, 3)
    thresholds = {group: _threshold(shots, group, calibration[group], believed) for group in GROUPS}
    return Rule(thresholds, frames, within, calibration, believed)


def as_toml(rule: Rule) -> str:
    """The rule as it stands in ``manifest.toml``."""
    lines = ["[detector.rule]", f"frames = {rule.frames}", f"within = {rule.within}", f"believed = {rule.believed}"]
    for group, at in rule.thresholds.items():
        lines.append(f"thresholds.{group} = {{ present = {at.present}, absent = {at.absent} }}")
    for group, curve in rule.calibration.items():
        lines.append(f"calibration.{group} = {{ slope = {curve.slope}, offset = {curve.offset} }}")
    return "\n".join(lines)


def event(frames: Sequence[Frame], rule: Rule) -> float:
    """The highest belief from which the rule would be met."""
    plain = msgspec.structs.replace(rule, believed=0.0)
    beliefs = [belief(frame, rule) if together(frame, plain) else 0.0 for frame in frames]
    needed = min(rule.frames, len(beliefs))
    windows = [beliefs[at : at + rule.within] for at in range(max(1, len(beliefs) - rule.within + 1))]
    return max(sorted(window, reverse=True)[needed - 1] for window in windows)


def _examples(shots: Sequence[Shot], column: int) -> tuple[Floats, Flags]:
    """Of every picture of clips that were put together: the score of a group, and whether the clip shows it."""
    group = GROUPS[column]
    rows = [
        (frame.score(group), _SHOWN[one.kind][column]) for one in shots if one.kind in _SHOWN for frame in one.frames
    ]
    return np.array([score for score, _ in rows]), np.array([shown for _, shown in rows], bool)


def _threshold(shots: Sequence[Shot], group: Group, calibration: Calibration, likely: float) -> Threshold:
    """Present from where it is as likely as is believed; absent below what almost all clips reach that show it."""
    column = GROUPS.index(group)
    best = [max(frame.score(group) for frame in one.frames) for one in shots if _SHOWN.get(one.kind, (0, 0, 0))[column]]
    present = probability((math.log(likely / (1 - likely)) - calibration.offset) / calibration.slope)
    absent = min(max(float(np.quantile(best, _MISSED)), FAINTEST), present)
    return Threshold(present=round(present, 3), absent=round(absent, 3))


def _platt(scores: Floats, shown: Flags) -> Calibration:
    """Slope and offset of a logistic regression on the scores' log odds, by Newton's method (Platt, 1999).

    Pictures that show the group weigh as much in all as those that do not: how many there are is a whim of the clips.
    """
    odds = np.log(np.clip(scores, FAINTEST, 1 - FAINTEST) / np.clip(1 - scores, FAINTEST, 1 - FAINTEST))
    wanted = shown.astype(float)
    weights = np.where(shown, 0.5 / shown.mean(), 0.5 / (~shown).mean())
    inputs = np.stack([odds, np.ones_like(odds)], axis=1)

    def loss(at: Floats) -> float:
        values = inputs @ at
        return float((weights * (np.logaddexp(0, values) - wanted * values)).sum())

    point: Floats = np.array([1.0, 0.0])
    for _ in range(50):
        chances = 1 / (1 + np.exp(-(inputs @ point)))
        slope = inputs.T @ (weights * (chances - wanted))
        curve = (inputs * (weights * chances * (1 - chances))[:, None]).T @ inputs + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        while loss(point - step) > loss(point) and np.abs(step).max() > 1e-6:
            step = step / 2
        point = point - step
    return Calibration(slope=round(max(float(point[0]), 0.05), 3), offset=round(float(point[1]), 3))


def _outcome(shot: Shot, rule: Rule, model: Model) -> Outcome:
    """The verdict on the clip if its sound were beyond doubt."""
    name = ShareMatch("Amina", "heard", 1.0)
    hearing = Hearing((Word("Amina", 0.0, 1.0, 1.0),), None, 30.0, model)
    sight = Sight(shot.frames, model, rule)
    return judge(Facts(float(len(shot.frames)), (), True, sight, hearing, (name,))).outcome


def _outcomes(judged: Sequence[tuple[Shot, Outcome]]) -> Outcomes:
    true = [outcome for shot, outcome in judged if shot.kind == "all"]
    false = [(shot.kind, outcome == "authentic") for shot, outcome in judged if shot.kind != "all"]
    return Outcomes(
        share(true.count("authentic"), len(true)),
        share(true.count("rejected"), len(true)),
        share(sum(passed for _, passed in false), len(false)),
        {
            kind: share(sum(passed for one, passed in false if one == kind), sum(one == kind for one, _ in false))
            for kind in KINDS[1:]
        },
    )


def _calibration_error(crossed: Sequence[tuple[Rule, Sequence[Shot]]], column: int) -> float:
    chances: list[float] = []
    shown: list[bool] = []
    for rule, half in crossed:
        scores, flags = _examples(half, column)
        chances += [rule.calibration[GROUPS[column]].probability(score) for score in scores.tolist()]
        shown += flags.tolist()
    found, true = np.array(chances), np.array(shown)
    weights = np.where(true, 0.5 / true.mean(), 0.5 / (~true).mean()) / len(true)
    bins = np.minimum((found * 10).astype(int), 9)
    gaps = [abs((weights * (found - true))[bins == at].sum()) for at in np.unique(bins)]
    return round(float(sum(gaps)), 4)
