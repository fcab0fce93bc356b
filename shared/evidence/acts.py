"""Finds an act that was shown before: a new video's fingerprint against those of all earlier ones.

Two steps. An index from the lowest bits of marks to where they occur gives the few videos that share several marks
in the same order and at one speed (a vote over offsets and speeds, as for sound by Wang, 2003); only of those are
all marks compared, bit by bit, along that alignment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.evidence.fingerprint import STEP_S, Fingerprint, Marks, mirrored

KEY_BITS = 24
"""Of a mark, its lowest: they change least."""

INDEXED_S = 0.5
"""One mark of each half second is in the index, the one whose bits are surest; of a new video every mark is asked."""

_PROBED = 4  # bits that are tried both ways: those nearest to changing their sign
_SPEEDS = (1.0, 0.99, 1.01, 0.98, 1.02, 0.97, 1.03, 0.96, 1.04, 0.95, 1.05, 0.94, 1.06)  # the likeliest first
_BIN_S = 0.5
_VOTES = 3
_CANDIDATES = 12
_LEAST = 12  # marks that are compared at the least
_ALIKE = {"picture": 0.30, "sound": 0.30}
_NEAR_S = STEP_S * 0.6

Kind = Literal["picture", "sound"]
_SOUND = 1 << KEY_BITS
_KINDS: tuple[Kind, ...] = ("picture", "sound")


class Postings(msgspec.Struct, frozen=True):
    """Where keys occur, in parallel: the place of the key among those asked for, the video's number, the second."""

    key: NDArray[np.int64]
    video: NDArray[np.int64]
    time: NDArray[np.float64]


class Index(Protocol):
    """Keeps marks and finds them by key; a database, or memory."""

    def add(self, video: str, fingerprint: Fingerprint) -> None:
        """Keep a video; one that is kept already is replaced."""
        ...

    def postings(self, keys: NDArray[np.int64]) -> Postings:
        """Where each of the keys occurs. Looks up, never scans."""
        ...

    def get(self, number: int) -> tuple[str, Fingerprint]:
        """The video of a number."""
        ...


class Match(msgspec.Struct, frozen=True):
    """An earlier video of the same act. ``differ`` is the share of bits that differ (unrelated: about 0.5) of
    ``picture`` and ``sound``, None where they cannot be compared. Second t of the new one is ``speed * t + offset``
    of the earlier."""

    video: str
    picture: float | None
    sound: float | None
    mirrored: bool
    speed: float
    offset: float

    @property
    def differ(self) -> float:
        """Of what is more alike, picture or sound."""
        return min(_or_one(self.picture), _or_one(self.sound))


class Candidate(msgspec.Struct, frozen=True):
    """A video that shares marks with the new one in the same order: second t of the new is near
    ``speed * t + offset`` of it; ``face`` is 1 where the picture is mirrored."""

    video: int
    votes: int
    speed: float
    offset: float
    face: int


class Search:
    """A new video's questions to an index, and what the answers mean."""

    def __init__(self, new: Fingerprint) -> None:
        self._new = new
        self._faces = (new.picture, mirrored(new.picture))
        asked = [(*_probes(marks), face, 0) for face, marks in enumerate(self._faces)]
        asked.append((*_probes(new.sound), 0, _SOUND))
        self.keys = np.concatenate([keys + of for keys, _, _, of in asked])
        self._times = np.concatenate([times for _, times, _, _ in asked])
        self._face = np.concatenate([np.full(len(keys), face) for keys, _, face, _ in asked])

    def candidates(self, hits: Postings) -> list[Candidate]:
        """The videos with the most votes, by where the ``keys`` occur."""
        when, where, turned = self._times[hits.key], hits.time, self._face[hits.key]
        best: dict[int, Candidate] = {}
        for speed in _SPEEDS:
            slot = np.round((where - speed * when) / _BIN_S).astype(np.int64)
            for shift in (0, 1):  # bins overlap by half, so that no alignment falls between two
                votes = np.stack((hits.video, (slot + shift) // 2, turned, when.astype(np.int64)), axis=1)
                of_second = np.unique(votes, axis=0)
                lines, counts = np.unique(of_second[:, :3], axis=0, return_counts=True)
                enough = counts >= _VOTES
                for (video, at, face), count in zip(lines[enough].tolist(), counts[enough].tolist(), strict=True):
                    if video not in best or count > best[video].votes:
                        best[video] = Candidate(video, count, speed, (at * 2 - shift + 0.5) * _BIN_S, face)
        return sorted(best.values(), key=lambda one: -one.votes)[:_CANDIDATES]

    def match(self, video: str, old: Fingerprint, candidate: Candidate) -> Match | None:
        """The match along the best alignment near the candidate's, if the marks are alike."""
        best: tuple[float, Match] | None = None
        # The middle of the video stays where the vote put it while the speed is tried.
        middle = float((self._new.picture if len(self._new.picture.times) else self._new.sound).times[-1]) / 2
        for by in np.arange(-0.06, 0.0601, 0.01):
            for more in np.arange(-0.75, 0.751, STEP_S):
                a, b = candidate.speed + by, candidate.offset + more - by * middle
                face = self._faces[candidate.face]
                picture = min((_differ(kept, face, a, b) for kept in (old.picture, old.cropped)), key=_or_one)
                sound = _differ(old.sound, self._new.sound, a, b)
                worth = min(_or_one(picture), _or_one(sound))
                if best is None or worth < best[0]:
                    turned = bool(candidate.face)
                    best = worth, Match(video, picture, sound, turned, round(float(a), 3), round(float(b), 2))
        assert best
        match = best[1]
        alike = any(value is not None and value <= _ALIKE[kind]
                    for kind, value in zip(_KINDS, (match.picture, match.sound), strict=True))  # fmt: skip
        return match if alike else None


def find(index: Index, new: Fingerprint) -> list[Match]:
    """The earlier videos that show the same act, the most alike first."""
    search = Search(new)
    candidates = search.candidates(index.postings(search.keys))
    found = filter(None, (search.match(*index.get(one.video), one) for one in candidates))
    return sorted(found, key=lambda match: match.differ)


def keys_of(fingerprint: Fingerprint) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The keys under which a video is kept, and their seconds."""
    for marks, of in ((fingerprint.picture, 0), (fingerprint.cropped, 0), (fingerprint.sound, _SOUND)):
        surest = _surest(marks)
        yield _keys(marks.bits[surest]) + of, marks.times[surest]


def _surest(marks: Marks) -> NDArray[np.int64]:
    """Of each half second the mark whose least sure bits are surest, for their size."""
    if not len(marks.times):
        return np.zeros(0, np.int64)
    low = marks.margins[:, :KEY_BITS]
    sure = np.sort(low, axis=1)[:, _PROBED] / (low.mean(axis=1) + 1e-9)
    slot = (marks.times // INDEXED_S).astype(np.int64)
    order = np.lexsort((-sure, slot))
    return order[np.unique(slot[order], return_index=True)[1]]


def _keys(bits: NDArray[np.uint32]) -> NDArray[np.int64]:
    return (bits & np.uint32((1 << KEY_BITS) - 1)).astype(np.int64)


def _probes(marks: Marks) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The keys under which a mark may be found, and its second: its own, and with its least sure bits turned."""
    unsure = np.argsort(marks.margins[:, :KEY_BITS], axis=1)[:, :_PROBED]
    keys = [_keys(marks.bits)]
    for place in range(_PROBED):
        flip = np.int64(1) << unsure[:, place].astype(np.int64)
        keys += [key ^ flip for key in keys]
    return np.concatenate(keys), np.tile(marks.times.astype(np.float64), len(keys))


def _or_one(value: float | None) -> float:
    return 1.0 if value is None else value


def _differ(old: Marks, new: Marks, speed: float, offset: float) -> float | None:
    """The share of bits in which marks of the same moments differ; None where fewer than ``_LEAST`` meet."""
    if not len(old.times) or not len(new.times):
        return None
    moved = speed * new.times + offset
    after = np.clip(np.searchsorted(moved, old.times), 0, len(moved) - 1)
    before = np.maximum(after - 1, 0)
    at = np.where(np.abs(moved[before] - old.times) < np.abs(moved[after] - old.times), before, after)
    meet = np.abs(moved[at] - old.times) <= _NEAR_S
    if meet.sum() < _LEAST:
        return None
    return float(np.unpackbits((old.bits[meet] ^ new.bits[at[meet]]).view(np.uint8)).mean())
