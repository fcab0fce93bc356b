"""Makes the copies of a video in a confined process, which reads the original and writes the copy through us."""

from __future__ import annotations

import os
import socket
import sys
from typing import IO, BinaryIO, cast

import msgspec
from PIL import Image

from shared.domain.verdict import CAUSES
from shared.errors import QurbaniError
from shared.evidence.confined import (
    Back,
    Channel,
    Limits,
    Nonsense,
    Read,
    Remote,
    Target,
    Write,
    child,
    confine,
    load_all,
    post_mortem,
)
from shared.evidence.decode import Problem
from shared.evidence.media import Video, readable
from shared.renditions.compress import WATCHABLE, Progress, Quality, Rendition, compress
from shared.renditions.poster import poster

LIMITS = Limits(memory=3 * 1024**3, processor_s=2 * 3600, answer_s=600.0)
"""Encoding takes longer than decoding, and some hundreds of megabytes where there are many cores."""

MOST_BYTES = 4 * 1024**3
"""Of one copy."""


class _Job(msgspec.Struct, frozen=True):
    size: int
    quality: Quality
    limits: Limits


class _Share(msgspec.Struct, frozen=True, tag="share"):
    done: float


class _Made(msgspec.Struct, frozen=True, tag="made"):
    rendition: Rendition
    poster: bytes


_Message = Back | Read | Write | _Share | _Made | Problem


def copies(
    source: Video,
    target: BinaryIO,
    quality: Quality = WATCHABLE,
    progress: Progress | None = None,
    limits: Limits = LIMITS,
) -> tuple[Rendition, bytes]:
    """Write the copy to watch to ``target``, a file that can be read back; what it is like, and the poster (JPEG).

    Raises the reason why there is none, a code of :data:`shared.domain.verdict.CAUSES`; ``target`` may then hold a
    part. What ``progress`` raises ends the work and is passed on.
    """
    with readable(source) as file, child(__spec__.name, limits) as (process, channel):
        try:
            channel.send(_Job(file.seek(0, os.SEEK_END), quality, limits))
            made = _served(channel, file, target, progress)
        except TimeoutError as error:
            raise QurbaniError("too_demanding", f"no answer within {limits.answer_s:.0f} s") from error
        except (msgspec.MsgspecError, Nonsense) as error:
            raise QurbaniError("decoder_crashed", "it sent what cannot be") from error
        except (EOFError, ConnectionError) as error:
            problem = post_mortem(process)
            raise QurbaniError(problem.code, problem.detail) from error
    return made.rendition, made.poster


def _served(channel: Channel, file: IO[bytes], target: BinaryIO, progress: Progress | None) -> _Made:
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
                if progress is not None:
                    progress(min(max(message.done, 0.0), 1.0))
            case _Made():
                return message
            case Problem():
                if message.code not in CAUSES:
                    raise Nonsense
                raise QurbaniError(message.code, message.detail)


def _main(descriptor: int) -> None:
    channel = Channel(socket.socket(fileno=descriptor))
    job: _Job = channel.receive(_Job)
    load_all()
    Image.init()
    confine(job.limits)
    source, target = cast(BinaryIO, Remote(channel, job.size)), cast(BinaryIO, Target(channel))
    try:
        still = poster(source)
        channel.send(_Made(compress(source, target, job.quality, lambda done: channel.send(_Share(done))), still))
    except MemoryError:
        channel.send(Problem("too_demanding", "it used up its memory"))
    except QurbaniError as error:
        channel.send(Problem(error.code, error.detail))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
