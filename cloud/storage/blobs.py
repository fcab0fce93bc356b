"""What all backends say of a blob: which names there are, and whether bytes are what their name says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from shared.errors import QurbaniError

_NAME = re.compile("[0-9a-f]{64}")
_PIECE = 1024 * 1024


def named(blob_id: str) -> str:
    """``blob_id``, which is nothing but a hash. Raises ``bad_input``."""
    if not _NAME.fullmatch(blob_id):
        raise QurbaniError("bad_input", "a blob is named by 64 hex digits")
    return blob_id


def proved(blob_id: str, part: Path, piece_size: int = _PIECE) -> Iterator[bytes]:
    """The bytes of a file, of which the last piece comes only when all of them are what their name says.

    So whatever is sent piece by piece is never complete unless it is right. Raises ``damaged``.
    """
    digest = hashlib.sha256()
    with part.open("rb") as file:
        piece = file.read(piece_size)
        while True:
            following = file.read(piece_size) if len(piece) == piece_size else b""
            digest.update(piece)
            if not following:
                break
            yield piece
            piece = following
    _compare(blob_id, digest.hexdigest())
    yield piece


def prove(blob_id: str, file: BinaryIO) -> None:
    """Read a blob to its end. Raises ``damaged`` where it is not what its name says."""
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    _compare(blob_id, digest.hexdigest())


def _compare(blob_id: str, found: str) -> None:
    if found != blob_id:
        raise QurbaniError("damaged", f"the bytes of {blob_id} are not what their name says")
