"""Copies sealed files while they grow.

A sealed file grows by whole segments, and only what was never acknowledged is ever taken back and written otherwise:
each segment then has another nonce. So two copies agree as far as the nonces of their segments do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from shared.errors import QurbaniError
from shared.files import pieces, sync_folder, write_whole
from shared.sealed import NONCE_SIZE, Header


class Follower:
    """Remembers how much of each copy it has written itself: what was there before may be torn, and is compared."""

    def __init__(self) -> None:
        self._sure: dict[Path, int] = {}

    def follow(self, source: Path, target: Path, deadline: float, size: int | None = None) -> int:
        """Let ``target`` hold the whole segments of ``source``, or, where its ``size`` is final, all of it.

        Ends early after ``deadline`` (monotonic). The number of bytes that ``target`` then holds durably.
        """
        with source.open("rb") as file, target.open("r+b" if target.exists() else "w+b") as copy:
            try:
                header = Header.read(file)
            except QurbaniError:
                return 0  # it has only just begun
            whole = header.place(header.whole_segments(os.fstat(file.fileno()).st_size)) if size is None else size
            there = min(whole, os.fstat(copy.fileno()).st_size)
            at = _common(file, copy, header, there, self._sure.get(target, 0))
            copy.truncate(at)
            file.seek(at)
            copy.seek(at)
            while at < whole and time.monotonic() < deadline:
                piece = file.read(min(header.segment_size, whole - at))
                if not piece:
                    break
                copy.write(piece)
                at += len(piece)
            copy.flush()
            os.fsync(copy.fileno())
        if target not in self._sure:
            sync_folder(target.parent)
        self._sure[target] = at
        return at

    def take_over(self, source: Path, begun: Iterable[Path], target: Path) -> None:
        """Let ``target`` begin with what one of the files in the folders ``begun`` has of ``source`` already."""
        first = _first(source)
        for each in chain.from_iterable(folder.iterdir() for folder in begun):
            if _first(each) == first:
                try:
                    os.link(each, target)
                except OSError:  # a file system without links
                    write_whole(target, pieces(each))
                self._sure[target] = self._sure.get(each, 0)
                return


def _common(file: BinaryIO, copy: BinaryIO, header: Header, end: int, sure: int) -> int:
    """Where the first segment begins that the first ``end`` bytes of both do not have in common."""
    if end < header.size or not _same(file, copy, 0, header.size):
        return 0
    for index in range(header.whole_segments(end)):
        begins, ends = header.place(index), header.place(index + 1)
        if not _same(file, copy, begins, NONCE_SIZE if ends <= sure else ends - begins):
            return begins
    return header.place(header.whole_segments(end))


def _same(file: BinaryIO, copy: BinaryIO, at: int, size: int) -> bool:
    file.seek(at)
    copy.seek(at)
    return file.read(size) == copy.read(size)


def _first(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)
