"""The tus client: a generator that yields requests and takes answers, and a driver for httpx.

:func:`upload` does no network. Whoever drives it sends each :class:`TusRequest` and gives back the answer, or
None when none came or it asked to wait; the generator then asks the server where the upload stands. How long to
wait before that, how often, and when to leave it for later, is the driver's. :func:`send_upload` drives it over
httpx; so can a test, a simulation or the sync agent.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Generator, Mapping
from typing import BinaryIO, Protocol
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from shared.errors import TABLE, QurbaniError
from shared.sealed import Bytes
from shared.tus.wire import CHUNK_TYPE, VERSION, read_number, write_checksum, write_metadata

WAIT_AND_ASK = frozenset({408, 423, 425, 429, 500, 502, 503, 504})
"""Answers that say nothing about the upload, only that now is not the time."""

SETBACKS = 4

_ALWAYS = {"Tus-Resumable": VERSION}


class TusRequest(msgspec.Struct, frozen=True):
    method: str
    url: str
    headers: dict[str, str]
    body: Bytes = b""


class TusAnswer(msgspec.Struct, frozen=True):
    """``headers`` by their lower-case names; ``body`` is looked at only where the server refuses."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


Uploading = Generator[TusRequest, TusAnswer | None, str]


class Source(Protocol):
    """What is uploaded: ``size`` bytes that can be read from any place, again and again."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> Bytes: ...


class Pace:
    """How much to send in one request: about what the link carries in ``aim_s`` seconds.

    A cut then costs a few seconds of a slow link, and a fast one does not stop all the time to be acknowledged.
    """

    def __init__(self, *, low: int = 64 * 1024, high: int = 8 * 1024 * 1024, aim_s: float = 5) -> None:
        self.chunk = min(4 * low, high)
        self._low, self._high, self._aim_s = low, high, aim_s

    def took(self, size: int, seconds: float) -> None:
        """``size`` bytes were acknowledged after ``seconds``. Grows at most twofold at a time."""
        fitting = int(size / max(seconds, 0.001) * self._aim_s)
        self.chunk = max(self._low, min(fitting, 2 * self.chunk, self._high))

    def failed(self) -> None:
        self.chunk = max(self._low, self.chunk // 2)


class FileSource:
    """A file, opened in binary mode, as it was when this was made."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)


def upload(source: Source, endpoint: str, metadata: Mapping[str, str], pace: Pace, *,
           checksum: str = "sha256") -> Uploading:
    """Upload ``source`` to the creation URL ``endpoint``; returns the URL of the finished upload.

    The metadata key ``id`` names the upload, so that a later call goes on where this one was left; ``sha256``
    (hex) lets the server check the whole. Raises what the server refuses for good, as the error that its problem
    document names; also after ``SETBACKS`` refusals without a new byte in between.
    """
    location: str | None = None
    offset: int | None = None
    best = setbacks = 0
    while offset != source.size:
        start = offset or 0
        if location is None:
            request = TusRequest("POST", endpoint, {
                **_ALWAYS, "Upload-Length": str(source.size), "Upload-Metadata": write_metadata(metadata)})
        elif offset is None:
            request = TusRequest("HEAD", location, _ALWAYS)
        else:
            chunk = source.read(offset, min(pace.chunk, source.size - offset))
            request = TusRequest("PATCH", location, {
                **_ALWAYS, "Content-Type": CHUNK_TYPE, "Upload-Offset": str(offset),
                "Upload-Checksum": write_checksum(checksum, chunk)}, chunk)
        offset = None
        answer = yield request
        if answer is None:
            continue
        if answer.status in (200, 201, 204):
            location = location or _same_origin(endpoint, answer.headers.get("location", ""))
            offset = _offset(request, answer, start)
            if offset is not None and offset > best:
                best, setbacks = offset, 0
            continue
        setbacks += 1
        if answer.status not in (404, 409, 410, 460) or setbacks == SETBACKS:
            raise _refusal(answer)
        if answer.status in (404, 410):
            location = None
    assert location is not None
    return location


def full_jitter(attempt: int, rng: random.Random, *, base_s: float = 0.5, cap_s: float = 60) -> float:
    """Seconds to wait after the failure number ``attempt`` (from 0): anything up to a bound that doubles.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return rng.uniform(0, min(cap_s, base_s * 2 ** min(attempt, 30)))


def send_upload(http: httpx.Client, uploading: Uploading, pace: Pace, *, wait: Callable[[int, float], bool],
                clock: Callable[[], float]) -> str:
    """Drive :func:`upload` over HTTP; returns the URL of the finished upload.

    ``wait(failures, at_least_s)`` is called after a failure: ``failures`` counts from 1 since the last progress,
    ``at_least_s`` is what Retry-After asked for. It sleeps and returns True to go on, or False to leave it for
    later: then ``unavailable`` is raised, and a later call with the same metadata goes on. ``clock`` gives
    monotonic seconds.
    """
    failures = 0
    request = next(uploading)
    while True:
        started = clock()
        answer, retry_after = _exchange(http, request)
        if answer is None:
            failures += 1
            pace.failed()
            if not wait(failures, retry_after):
                raise QurbaniError("unavailable", f"{request.url} did not take the upload")
        elif request.method == "PATCH" and answer.status == 204:
            failures = 0
            pace.took(len(request.body), clock() - started)
        try:
            request = uploading.send(answer)
        except StopIteration as done:
            return str(done.value)


def _exchange(http: httpx.Client, request: TusRequest) -> tuple[TusAnswer | None, float]:
    """The answer, or None and for how long Retry-After asks to wait."""
    try:
        response = http.request(request.method, request.url, headers=request.headers, content=bytes(request.body))
    except httpx.TransportError:
        return None, 0
    if response.status_code in WAIT_AND_ASK:
        return None, float(read_number("Retry-After", response.headers.get("retry-after")) or 0)
    return TusAnswer(response.status_code, response.headers, response.content), 0


def _same_origin(endpoint: str, location: str) -> str:
    """The absolute URL of the upload; what goes there may carry credentials, so it is where we asked."""
    url = urljoin(endpoint, location)
    if not location or urlsplit(url)[:2] != urlsplit(endpoint)[:2]:
        raise QurbaniError("bad_answer", f"the server sends the upload elsewhere: {location!r}")
    return url


def _offset(request: TusRequest, answer: TusAnswer, start: int) -> int | None:
    """Where the upload stands by this answer; a creation need not say it."""
    offset = read_number("Upload-Offset", answer.headers.get("upload-offset"))
    if (offset is None and request.method != "POST") or (request.method == "PATCH" and (offset or 0) <= start):
        raise QurbaniError("bad_answer", f"{request.method} was answered with Upload-Offset {offset}")
    return offset


def _refusal(answer: TusAnswer) -> QurbaniError:
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    if problem.code in TABLE:
        return QurbaniError(problem.code, problem.detail)
    return QurbaniError("bad_answer", f"the server answered {answer.status} to an upload")


class _Problem(msgspec.Struct):
    """What the client reads of an RFC 9457 document."""

    code: str = ""
    detail: str = ""
