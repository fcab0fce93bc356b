"""Looks at and listens to a recorded video. Its plaintext is only ever in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import structlog

from edge.blobs import Blobs
from edge.site import Site
from models_tflite.loader import load_detector, load_transcriber
from models_tflite.store import Store
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.evidence.pipeline import validate
from shared.evidence.scene import Detector
from shared.evidence.speech import Transcriber
from shared.evidence.stages import Stages

M = TypeVar("M")

_log = structlog.get_logger(__name__)


class Checker:
    """Checks one video after the other, with the models that are in ``store``.

    ``engine`` names the recogniser (``vosk``, ``whisper``; empty: the best for the site's language), ``detector`` the
    detector (empty: the best). A model that is missing or damaged makes verdicts ``review``; it never stops the work.
    What a model has found in a video stays in ``stages``, so that a check that was cut short goes on from there.
    """

    def __init__(self, site: Site, blobs: Blobs, store: Store, stages: Stages, engine: str, detector: str = "") -> None:
        self._site = site
        self._blobs = blobs
        self._store = store
        self._stages = stages
        self._engine = engine
        self._detector_name = detector
        # The detector and the recogniser work at the same time, beside the decoder.
        self._threads = max(1, (os.cpu_count() or 1) // 2)
        self._detector: Detector | None = None
        self._transcriber: Transcriber | None = None
        self._language: str | None = None

    def __call__(self, video_id: UUID) -> Verdict:
        """The verdict on a video of this box."""
        names = self._site.names(video_id)
        self._load(names.spoken[0] if names.spoken else "")
        with self._blobs.opened(names.blob_id) as video:
            return validate(
                video,
                names.claims,
                names.cohort,
                detector=self._detector,
                transcriber=self._transcriber,
                spoken=names.spoken,
                done=self._stages.of(names.sha256),
            )

    def _load(self, language: str) -> None:
        """Load what is not there yet; also what was put into the folder since, or what a new language needs."""
        if self._detector is None:
            self._detector = _if_usable(lambda: load_detector(self._store, self._detector_name, self._threads))
        if self._transcriber is None or self._language != language:
            self._transcriber = _if_usable(
                lambda: load_transcriber(
                    self._store, engine=self._engine, language=language, threads=self._threads
                )
            )
            self._language = language


def _if_usable(load: Callable[[], M | None]) -> M | None:
    try:
        return load()
    except QurbaniError as error:
        _log.warning("model_not_usable", code=error.code, detail=error.detail)
        return None
