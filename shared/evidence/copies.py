"""Makes derived copies in a confined process. A copy is there whole or not at all, and the original is only read."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from shared.errors import QurbaniError
from shared.evidence import workshop
from shared.evidence.blood import networks
from shared.evidence.confined import Limits
from shared.evidence.derive import Derived, Progress, Recipe, derive
from shared.evidence.enhance import Enhancement
from shared.evidence.media import Video, readable
from shared.files import replaced_whole

LIMITS = Limits(memory=3 * 1024**3, processor_s=4 * 3600, answer_s=300.0)
"""A copy takes seconds of work for a second of video, of 900 at the most."""

_CHUNK = 1024 * 1024


class _Wanted(msgspec.Struct, frozen=True):
    recipe: Recipe
    parent: str


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
    """Write the copy to ``target``, a file that can be read back. Raises what :func:`workshop.make` raises."""
    with readable(video) as file:
        wanted = _Wanted(recipe, _sha256(file))
        return workshop.make(__spec__.name, file, target, wanted, Derived, limits, progress)


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(_CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def _made(video: BinaryIO, target: BinaryIO, wanted: _Wanted, progress: Progress) -> Derived:
    return derive(video, target, wanted.recipe, wanted.parent, progress)


if __name__ == "__main__":
    workshop.serve(int(sys.argv[1]), _Wanted, _made, networks)
