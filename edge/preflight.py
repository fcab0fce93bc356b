"""A few seconds of recording, looked at before the act: what would spoil the video, and how to put it right.

``POST /api/v1/preflight`` with ``Authorization: Bearer TOKEN`` and two to four seconds of recording as the body, as
MediaRecorder or a camera makes them (WebM, MP4; at most 16 MiB). The answer, within two seconds, is a
:class:`shared.evidence.preflight.Preflight`::

    {"ready": false, "framed": true,
     "faults": [{"code": "too_dark", "hints": {"ar": "...", "en": "...", "fr": "..."}}]}

Codes, the most important first: ``too_dark``, ``blurred``, ``out_of_frame``, ``cut_off``, ``no_sound``, ``muted``, or
why the clip cannot be read (``not_a_video``, ``file_empty``, ``no_picture``, ...). ``framed`` is false where no model
could look for the animal. Advice only: a tablet records all the same. Nothing of the clip is kept.
"""

from __future__ import annotations

import asyncio
import io
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar import Request, post

from edge.auth import Executor
from models_tflite.store import Store
from shared.errors import QurbaniError

if TYPE_CHECKING:
    from shared.evidence.scene import Detector

LARGEST = 16 * 1024 * 1024

_log = structlog.get_logger(__name__)


class Preflights:
    """Looks at one clip at a time, with the detector in ``store``; without one, at all but the framing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._detector: Detector | None = None

    def __call__(self, clip: bytes) -> dict[str, Any]:
        # Imported when first asked for: a box on which nobody asks is spared a media library and a model.
        from shared.evidence.preflight import preflight

        with self._lock:
            return dict(msgspec.to_builtins(preflight(io.BytesIO(clip), self._loaded())))

    def _loaded(self) -> Detector | None:
        from models_tflite.loader import load_detector

        try:
            self._detector = self._detector or load_detector(self._store)
        except QurbaniError as error:
            _log.warning("model_not_usable", code=error.code, detail=error.detail)
        return self._detector


@post("/api/v1/preflight", request_max_body_size=LARGEST, status_code=200)
async def preflight(request: Request[Any, Any, Any], executor: Executor, preflights: Preflights) -> dict[str, Any]:
    """Whether a short clip is bright, sharp and loud enough, with the animal in it."""
    return await asyncio.to_thread(preflights, await request.body())
