"""What a stage found in a video, kept so that a stage that was done is not done again.

A result is one file, ``FOLDER/SHA256[:2]/SHA256/STAGE-KEY.json``, named by everything that it depends on: the video,
the stage and the version of its code, the model and its build, the parameters. Another model or newer code has another
name, so nothing is ever overwritten by something else, and old results stay for whoever compares. All of it can be
found again from the videos: losing the folder costs time, nothing else.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from shared.domain.verdict import Frame, Model
from shared.evidence.frames import STEP_S
from shared.evidence.media import Probe
from shared.evidence.scene import Detector
from shared.evidence.speech import Hearing, Transcriber
from shared.evidence.version import version_of
from shared.files import write_whole

DETECT = "1"
"""The version of what leads to :class:`Seen`: raised with every change that can change one for the same model."""
TRANSCRIBE = "2"
"""The same of :class:`Heard`."""

T = TypeVar("T")


class Seen(msgspec.Struct, frozen=True):
    """Of the stages probe, sample and detect: what the file is, and what each sampled picture shows."""

    found: Probe | None
    frames: tuple[Frame, ...]


class Heard(msgspec.Struct, frozen=True):
    """Of the stages probe and transcribe: what the file is, what is said, and for how many seconds there is sound."""

    found: Probe | None
    hearing: Hearing
    seconds: float


class Key(msgspec.Struct, frozen=True):
    """All that a result depends on besides the video."""

    stage: str
    version: str
    model: Model
    parameters: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.stage}-{version_of(self, letters=24)}.json"


def detecting(detector: Detector) -> Key:
    """What :class:`Seen` depends on: below its ``absent`` threshold a detector tells of nothing."""
    absent = {group: threshold.absent for group, threshold in detector.rule.thresholds.items()}
    return Key("detect", DETECT, detector.model, {"step_s": STEP_S, "absent": absent})


def transcribing(transcriber: Transcriber) -> Key:
    """What :class:`Heard` depends on."""
    return Key("transcribe", TRANSCRIBE, transcriber.model, {"languages": list(transcriber.languages)})


class Done:
    """The results of one video. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def find(self, key: Key, kind: type[T]) -> T | None:
        """The result, if the stage was done; one that cannot be read was not."""
        if self._folder is None:
            return None
        try:
            return msgspec.json.decode((self._folder / key.name).read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError):
            return None

    def keep(self, key: Key, result: Seen | Heard) -> None:
        """Write a result down; where there is no room it will be found again when it is needed."""
        if self._folder is None:
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self._folder / key.name, [msgspec.json.encode(result)])


class Stages:
    """The results of all videos, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, sha256: str) -> Done:
        """Those of the video with this hash (hex)."""
        return Done(self._folder / sha256[:2] / sha256)

    def forget(self, sha256: str) -> None:
        """For when the video itself is erased."""
        shutil.rmtree(self._folder / sha256[:2] / sha256, ignore_errors=True)
