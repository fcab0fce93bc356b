"""Keeps the marks of all videos in SQLite; in memory with ``:memory:``.

Only SQL that other databases speak as well, but for ``json_each``, with which one question asks for all keys.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.errors import QurbaniError
from shared.evidence.acts import Postings, keys_of
from shared.evidence.fingerprint import Fingerprint, Marks

_KEPT_S = 0.5
"""One mark of each half second is kept to be compared."""

_TICKS = 1000  # a second

_SCHEMA = """
CREATE TABLE IF NOT EXISTS act_videos (number INTEGER PRIMARY KEY, video TEXT NOT NULL UNIQUE, marks BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS act_marks (
    key INTEGER NOT NULL, number INTEGER NOT NULL, tick INTEGER NOT NULL, PRIMARY KEY (key, number, tick)
) WITHOUT ROWID;
"""


_LOOK_UP = "SELECT m.key, m.number, m.tick FROM json_each(?) AS asked JOIN act_marks AS m ON m.key = asked.value"


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """Times in ticks and bits, each as little-endian 32 bit, of picture, cropped and sound."""

    marks: tuple[tuple[bytes, bytes], ...]


class SqliteActs:
    """An :class:`shared.evidence.acts.Index` over one connection, which the caller opens, commits and closes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.executescript(_SCHEMA)

    def add(self, video: str, fingerprint: Fingerprint) -> None:
        self.add_all([(video, fingerprint)])

    def add_all(self, videos: Iterable[tuple[str, Fingerprint]]) -> None:
        """Many at once, which is several times faster: their keys are written in order."""
        rows: list[tuple[int, int, int]] = []
        for video, fingerprint in videos:
            self.remove(video)
            cursor = self._connection.execute(
                "INSERT INTO act_videos (video, marks) VALUES (?, ?)", (video, packed(fingerprint))
            )
            number = cursor.lastrowid
            assert number is not None
            rows.extend((key, number, tick) for key, tick in posted(fingerprint))
        self._connection.executemany("INSERT OR IGNORE INTO act_marks VALUES (?, ?, ?)", sorted(rows))

    def remove(self, video: str) -> None:
        """Forget a video; one that is not kept is no error. Reads all marks: it is rare."""
        row = self._connection.execute("SELECT number FROM act_videos WHERE video = ?", (video,)).fetchone()
        if row:
            self._connection.execute("DELETE FROM act_marks WHERE number = ?", row)
            self._connection.execute("DELETE FROM act_videos WHERE number = ?", row)

    def postings(self, keys: NDArray[np.int64]) -> Postings:
        asked = msgspec.json.encode(np.unique(keys).tolist()).decode()
        return answered(keys, self._connection.execute(_LOOK_UP, (asked,)).fetchall())

    def plan(self) -> str:
        """How the database answers :meth:`postings`."""
        return "\n".join(row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {_LOOK_UP}", ("[]",)))

    def get(self, number: int) -> tuple[str, Fingerprint]:
        row = self._connection.execute("SELECT video, marks FROM act_videos WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise QurbaniError("not_found", f"there is no video {number}")
        return row[0], unpacked(row[1])


def posted(fingerprint: Fingerprint) -> Iterator[tuple[int, int]]:
    """The keys under which a video is kept, and their ticks."""
    for keys, times in keys_of(fingerprint):
        yield from zip(keys.tolist(), (times * _TICKS).astype(np.int64).tolist(), strict=True)


def answered(asked: NDArray[np.int64], rows: Sequence[Sequence[int]]) -> Postings:
    """The postings of each key asked for, in turn, out of rows of (key, number, tick) in any order.

    A key asked for twice has them twice."""
    found = np.array(rows, np.int64).reshape(-1, 3)
    key, number, tick = found[np.argsort(found[:, 0], kind="stable")].T
    first, last = np.searchsorted(key, asked, "left"), np.searchsorted(key, asked, "right")
    counts = last - first
    whose = np.repeat(np.arange(len(asked)), counts)
    at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    return Postings(whose, number[at], tick[at] / _TICKS)


def packed(fingerprint: Fingerprint) -> bytes:
    """As much of it as is compared later on; see :func:`unpacked`."""
    every = (fingerprint.picture, fingerprint.cropped, fingerprint.sound)
    return msgspec.msgpack.encode(_Kept(tuple(map(_thinned, every))))


def _thinned(marks: Marks) -> tuple[bytes, bytes]:
    slots = (marks.times // _KEPT_S).astype(np.int64)
    first = np.unique(slots, return_index=True)[1]
    return (marks.times[first] * _TICKS).astype("<u4").tobytes(), marks.bits[first].astype("<u4").tobytes()


def unpacked(data: bytes) -> Fingerprint:
    kept = msgspec.msgpack.decode(data, type=_Kept)
    return Fingerprint(*(_marks(*pair) for pair in kept.marks))


def _marks(times: bytes, bits: bytes) -> Marks:
    ticks = np.frombuffer(times, "<u4")
    margins = np.zeros((len(ticks), 0), np.float32)
    return Marks((ticks / _TICKS).astype(np.float32), np.frombuffer(bits, "<u4").astype(np.uint32), margins)
