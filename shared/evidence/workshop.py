"""Makes copies of foreign videos in a confined process: it reads the original and writes the copy through us."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, BinaryIO, TypeVar, cast

import msgspec

from shared.domain.verdict import CAUSES
from shared.errors import QurbaniError
from shared.evidence.confined import FAILURES, Back, Channel, Limits, Nonsense, Read, Target, Write, child, told, why
from shared.evidence.decode import Problem
from shared.evidence.media import Video, readable

Progress = Callable[[float], None]
"""Told the share that is done, 0.0 to 1.0."""

MOST_BYTES = 4 * 1024**3
"""Of one copy."""

T = TypeVar("T")
R = TypeVar("R")


class _Share(msgspec.Struct, frozen=True, tag="share"):
    done: float


class _Made(msgspec.Struct, frozen=True, tag="made"):
    about: msgspec.Raw


_Message = Back | Read | Write | _Share | _Made | Problem


def make(
    module: str, video: Video, target: BinaryIO, request: Any, kind: type[T], limits: Limits, progress: Progress
) -> T:
    """Let ``module``, whose process calls :func:`serve`, write a copy of ``video`` to ``target``, a file that can be
    read back; what it says of it, of ``kind``.

    Raises the reason why there is none, a code of :data:`shared.domain.verdict.CAUSES`; ``target`` may then hold a
    part. What ``progress`` raises ends the work and is passed on.
    """
    with readable(video) as file, child(module, file, request, limits) as (process, channel):
        try:
            return msgspec.msgpack.decode(answered(channel, file, target, progress), type=kind)
        except FAILURES as error:
            problem = why(error, process, limits)
            raise QurbaniError(problem.code, problem.detail) from error


def answered(channel: Channel, file: IO[bytes], target: BinaryIO, progress: Progress) -> msgspec.Raw:
    """Answer the child until it is done. Whoever took it over can send anything, so only what can be is believed."""
    while True:
        message: _Message = channel.receive(_Message)
        match message:
            case Back():
                message.answer(channel, target)
            case Read():
                message.answer(channel, file)
            case Write():
                message.apply(target, MOST_BYTES)
            case _Share():
                progress(min(max(message.done, 0.0), 1.0))
            case _Made():
                return message.about
            case Problem():
                if message.code not in CAUSES:
                    raise Nonsense
                raise QurbaniError(message.code, message.detail)


def serve(
    descriptor: int,
    kind: type[R] | Any,
    made: Callable[[BinaryIO, BinaryIO, R, Progress], Any],
    *loads: Callable[[], object],
) -> None:
    """In the child: tell what ``made`` returns of video, target, the request (of ``kind``) and progress."""
    channel, video, request = told(descriptor, kind, *loads)
    try:
        about = made(cast(BinaryIO, video), cast(BinaryIO, Target(channel)), request,
                     lambda done: channel.send(_Share(done)))  # fmt: skip
        channel.send(_Made(msgspec.Raw(msgspec.msgpack.encode(about))))
    except MemoryError:
        channel.send(Problem("too_demanding", "it used up its memory"))
    except QurbaniError as error:
        channel.send(Problem(error.code, error.detail))
