"""A few seconds of recording before the act: is it bright, sharp, heard, and is the animal in the picture?

Advice, not a verdict: it never keeps anybody from recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain.verdict import CAUSES, Box, Cause
from shared.evidence import sandbox
from shared.evidence.confined import Limits
from shared.evidence.decode import Problem
from shared.evidence.frames import Fit, Picture
from shared.evidence.media import Video
from shared.evidence.scene import Detector
from shared.evidence.sound import Samples, Sound, muted

MOST_PICTURES = 4
"""So many seconds of a clip are looked at, however long it is."""

LIMITS = Limits(processor_s=10, answer_s=30.0)

_LOOKS = Fit(416, 416, "rgb24")
_DARK = 70
_BLURRED = 0.54
_KERNEL = 9
_EDGE = 0.01

ADVICE: dict[str, Cause] = {
    "too_dark": Cause(
        "review",
        "It is too dark. Switch on a light or move into the light.",
        "Il fait trop sombre. Allumez une lumière ou placez-vous à la lumière.",
        "المكان مظلم جداً. أشعل ضوءاً أو انتقل إلى مكان مضاء.",
    ),
    "blurred": Cause(
        "review",
        "The picture is blurred. Wipe the lens and hold the camera still.",
        "L'image est floue. Essuyez l'objectif et tenez la caméra immobile.",
        "الصورة غير واضحة. امسح العدسة وثبت الكاميرا.",
    ),
    "out_of_frame": Cause(
        "review",
        "The animal is not in the picture. Point the camera at it.",
        "L'animal n'est pas dans l'image. Dirigez la caméra vers lui.",
        "الحيوان ليس في الصورة. وجه الكاميرا نحوه.",
    ),
    "cut_off": Cause(
        "review",
        "The animal is cut off by the edge of the picture. Step back until all of it is seen.",
        "L'animal est coupé par le bord de l'image. Reculez jusqu'à le voir en entier.",
        "الحيوان مقطوع عند حافة الصورة. ابتعد حتى يظهر كاملاً.",
    ),
    "no_sound": Cause(
        "review",
        "No sound is recorded. Allow the microphone.",
        "Aucun son n'est enregistré. Autorisez le micro.",
        "لا يُسجل أي صوت. اسمح باستخدام الميكروفون.",
    ),
    "muted": Cause(
        "review",
        "The microphone is muted. Unmute it.",
        "Le micro est coupé. Réactivez-le.",
        "الميكروفون مكتوم. ألغ كتم الصوت.",
    ),
}
"""What to do before recording, by code. A clip that cannot be read at all gives a code of ``CAUSES`` instead."""


class Fault(msgspec.Struct, frozen=True):
    """One thing to put right: ``hints`` says how, by language (``ar``, ``en``, ``fr``)."""

    code: str
    hints: dict[str, str]


class Preflight(msgspec.Struct, frozen=True):
    """What was found, the most important first. ``framed`` is false where no model could look for the animal."""

    ready: bool
    faults: tuple[Fault, ...]
    framed: bool


def preflight(video: Video, detector: Detector | None) -> Preflight:
    """Look at and listen to a short clip; under two seconds on two cores at 1080p. Never raises for a bad file."""
    pieces: list[Samples] = []
    pictures: list[NDArray[np.uint8]] = []
    problems: list[str] = []
    with closing(sandbox.decode(video, detector.fit if detector else _LOOKS, LIMITS)) as events:
        for event in events:
            if isinstance(event, Sound):
                pieces.append(event.samples())
            elif isinstance(event, Picture):
                pictures.append(event.array())
            elif isinstance(event, Problem):
                problems.append(event.code)
            if len(pictures) == MOST_PICTURES:
                break
    # A clip that was cut off in the middle of nothing is what a page sends; only one without a picture says nothing.
    codes = assess(pictures, pieces, detector) if pictures else problems[:1] or ["no_picture"]
    return Preflight(not codes, tuple(_fault(code) for code in codes), bool(pictures and detector))


def assess(pictures: Sequence[NDArray[np.uint8]], sound: Sequence[Samples], detector: Detector | None) -> list[str]:
    """The codes of :data:`ADVICE` that fit; ``pictures`` are ``[height, width, 3]``, within what ``detector`` wants."""
    codes = []
    if np.median([brightness(picture) for picture in pictures]) < _DARK:
        codes.append("too_dark")
    elif np.median([blur(picture) for picture in pictures]) > _BLURRED:
        codes.append("blurred")
    elif detector and (code := _framing([_animal(picture, detector) for picture in pictures])):
        codes.append(code)  # in the dark or a blur nobody can say where the animal is
    if not sound:
        codes.append("no_sound")
    elif muted(np.concatenate(sound)):
        codes.append("muted")
    return codes


def brightness(picture: NDArray[np.uint8]) -> float:
    """The level that the brightest tenth of the picture exceeds, 0 to 255: black sheep do not make it dark."""
    return float(np.percentile(picture.mean(axis=2), 90))


def blur(picture: NDArray[np.uint8]) -> float:
    """0 (sharp) to 1: how little of the variation between neighbours a further blur would take away.

    F. Crété-Roffet et al., The Blur Effect: Perception and Estimation with a New No-Reference Perceptual Blur
    Metric, SPIE Electronic Imaging 2007; along the worse of the two directions.
    """
    grey = picture.mean(axis=2)
    return max(_blur_along(grey), _blur_along(grey.T))


def _blur_along(grey: NDArray[np.float64]) -> float:
    if min(grey.shape) <= 2 * _KERNEL:
        return 0.0
    total = np.cumsum(np.pad(grey, ((1, 0), (0, 0))), axis=0)
    blurred = (total[_KERNEL:] - total[:-_KERNEL]) / _KERNEL
    centre = grey[_KERNEL // 2 : _KERNEL // 2 + len(blurred)]
    sharp, soft = (np.abs(np.diff(image, axis=0)) for image in (centre, blurred))
    return float(1 - np.maximum(sharp - soft, 0).sum() / max(sharp.sum(), 1e-9))


def _animal(picture: NDArray[np.uint8], detector: Detector) -> Box | None:
    """The likeliest animal, if there may be one."""
    absent = detector.rule.thresholds["animal"].absent
    boxes = [box for box in detector.detect(picture) if box.group == "animal" and box.score >= absent]
    return max(boxes, key=lambda box: box.score, default=None)


def _framing(animals: Sequence[Box | None]) -> str:
    seen = [box for box in animals if box]
    if not seen:
        return "out_of_frame"
    # Its feet may lie below the picture: the camera stands close. At a side or at the top, half of it is missing.
    cut = [min(box.left, box.top) < _EDGE or box.right > 1 - _EDGE for box in seen]
    return "cut_off" if sum(cut) * 2 > len(cut) else ""


def _fault(code: str) -> Fault:
    cause = ADVICE.get(code) or CAUSES[code]
    return Fault(code, {"ar": cause.ar, "en": cause.en, "fr": cause.fr})
