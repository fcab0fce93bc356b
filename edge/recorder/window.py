"""The window between the recorder and whoever wants to look: a question, and its answer, over a socket of the box."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
import zmq

from edge.recorder.address import parse
from edge.recorder.view import CameraView
from edge.settings import Settings
from shared.errors import QurbaniError

CAMERAS = "cameras"
"""All cameras and how they are, as JSON."""
PICTURE = "picture"
"""What one sees now, as a JPEG."""
SAMPLE = "sample"
"""Its last seconds, as an MP4."""

SEND_S, ANSWER_S = 0.3, 5.0
"""How soon a recorder that runs is there, and how long it may take."""

_FINE, _REFUSED = b"", b"!"

_log = structlog.get_logger(__name__)


class Window:
    """Answers with what ``answer(question, camera)`` gives; its :class:`QurbaniError` is raised at the other side."""

    def __init__(self, folder: Path, answer: Callable[[str, str], bytes]) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REP)
        self._socket.bind(_address(folder))
        self._answer = answer

    def open(self) -> None:
        """Answer from now on, in a thread of its own."""
        threading.Thread(target=self._serve, name="window", daemon=True).start()

    def _serve(self) -> None:
        while True:
            asked = self._socket.recv_multipart()
            try:
                question, camera = (part.decode() for part in asked)
                said = [_FINE, self._answer(question, camera)]
            except QurbaniError as error:
                said = [_REFUSED, msgspec.json.encode((error.code, error.detail))]
            except Exception as error:  # a picture that cannot be drawn must not end the recordings
                _log.error("question_failed", exc_info=error)
                said = [_REFUSED, msgspec.json.encode(("internal", ""))]
            self._socket.send_multipart(said)


class Looker:
    """Asks the recorder of a box. For all threads."""

    def __init__(self, settings: Settings) -> None:
        self._address = _address(settings.run)
        self._names = [address.name for address in parse(settings.edge_cameras)]

    def cameras(self) -> list[CameraView]:
        """How each is; all of them lost when no recorder runs."""
        if not self._names:
            return []
        try:
            return msgspec.json.decode(self._ask(CAMERAS), type=list[CameraView])
        except QurbaniError as error:
            return [CameraView(name, "lost", 0.0, trouble=error.detail) for name in self._names]

    def picture(self, camera: str) -> bytes:
        """A JPEG. Raises ``not_found``, or ``camera_lost``."""
        return self._ask(PICTURE, camera)

    def sample(self, camera: str) -> bytes:
        """An MP4. Raises ``not_found``, or ``camera_lost``."""
        return self._ask(SAMPLE, camera)

    def _ask(self, question: str, camera: str = "") -> bytes:
        with zmq.Context.instance().socket(zmq.REQ) as asking:
            asking.setsockopt(zmq.IMMEDIATE, 1)
            asking.setsockopt(zmq.LINGER, 0)
            asking.setsockopt(zmq.SNDTIMEO, int(SEND_S * 1000))
            asking.setsockopt(zmq.RCVTIMEO, int(ANSWER_S * 1000))
            asking.connect(self._address)
            try:
                asking.send_multipart([question.encode(), camera.encode()])
                status, said = asking.recv_multipart()
            except zmq.Again as error:
                raise QurbaniError("camera_lost", "the recorder does not answer") from error
        if status == _REFUSED:
            raise QurbaniError(*msgspec.json.decode(said, type=tuple[str, str]))
        return said


def _address(folder: Path) -> str:
    return f"ipc://{folder / 'recorder.ask'}"
