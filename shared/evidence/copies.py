"""Makes derived copies in a confined process: foreign bytes are decoded there, and what is written there is only
passed to us. A copy is there whole or not at all, and the original is only read."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from pathlib import Path
from typing import IO, BinaryIO, cast

import msgspec

from shared.domain.verdict import CAUSES
from shared.errors import QurbaniError
from shared.evidence.blood import networks
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
from shared.evidence.derive import Derived, Progress, Recipe, derive
from shared.evidence.enhance import Enhancement
from shared.evidence.media import Video, readable
from shared.files import replaced_whole

LIMITS = Limits(memory=3 * 1024**3, processor_s=4 * 3600, answer_s=300.0)
"""A copy takes seconds of work for a second of video, of 900 at the most."""

MOST_BYTES = 4 * 1024**3
"""Of one copy."""

_CHUNK = 1024 * 1024


class _Job(msgspec.Struct, frozen=True):
    size: int
    recipe: Recipe
    parent: str
    limits: Limits


class _Share(msgspec.Struct, frozen=True, tag="share"):
    done: float


_Message = Back | Read | Write | _Share | Derived | Problem


def suffix(recipe: Recipe) -> str:
    """What the name of a copy ends with: NAME_enhanced.mp4, NAME_blurred.mp4."""
    return "_enhanced" if isinstance(recipe, Enhancement) else "_blurred"


def copy(video: Path, target: Path, recipe: Recipe, progress: Progress = lambda done: None) -> Derived:
    """Make ``target`` from ``video``; it is complete and on the disk, or as it was.

    Raises ``not_found``, ``bad_input`` where both are one file, and what :func:`write` raises.
    """
    if target.exists() and target.samefile(video):
        raise QurbaniError("bad_input", "a copy does not replace its original; give it another name")
    with replaced_whole(target) as file:
        return write(video, file, recipe, progress)


def write(video: Video, target: BinaryIO, recipe: Recipe, progress: Progress = lambda done: None,
          limits: Limits = LIMITS) -> Derived:
    """Write the copy to ``target``, a file that can be read back. Raises the reason why there is none, a code of
    :data:`shared.domain.verdict.CAUSES`; ``target`` may then hold a part."""
    with readable(video) as file, child(__spec__.name, limits) as (process, channel):
        try:
            channel.send(_Job(file.seek(0, os.SEEK_END), recipe, _sha256(file), limits))
            return _served(channel, file, target, progress)
        except TimeoutError as error:
            raise QurbaniError("too_demanding", f"no answer within {limits.answer_s:.0f} s") from error
        except (msgspec.MsgspecError, Nonsense) as error:
            raise QurbaniError("decoder_crashed", "it sent what cannot be") from error
        except (EOFError, ConnectionError) as error:
            problem = post_mortem(process)
            raise QurbaniError(problem.code, problem.detail) from error


def _served(channel: Channel, file: IO[bytes], target: BinaryIO, progress: Progress) -> Derived:
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
            case Derived():
                return message
            case Problem():
                if message.code not in CAUSES:
                    raise Nonsense
                raise QurbaniError(message.code, message.detail)


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(_CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def _main(descriptor: int) -> None:
    channel = Channel(socket.socket(fileno=descriptor))
    job: _Job = channel.receive(_Job)
    load_all()
    networks()
    confine(job.limits)
    try:
        made = derive(
            cast(BinaryIO, Remote(channel, job.size)),
            cast(BinaryIO, Target(channel)),
            job.recipe,
            job.parent,
            lambda done: channel.send(_Share(done)),
        )
        channel.send(made)
    except MemoryError:
        channel.send(Problem("too_demanding", "it used up its memory"))
    except QurbaniError as error:
        channel.send(Problem(error.code, error.detail))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
