"""The same act in another film is found, another act at the same place is not."""

from __future__ import annotations

import io
import sqlite3

import numpy as np
import pytest

from shared.evidence.act_store import SqliteActs
from shared.evidence.acts import Match, find
from shared.evidence.decode import decode
from shared.evidence.fingerprint import FIT, Fingerprint, fingerprint, mirrored
from shared.evidence.trials.copies import act, copied, encoded

SECONDS = 12


def printed(film: bytes) -> Fingerprint:
    return fingerprint(decode(io.BytesIO(film), FIT))


@pytest.fixture(scope="module")
def film() -> bytes:
    return encoded(act(1, 0, SECONDS))


@pytest.fixture(scope="module")
def acts(film: bytes) -> SqliteActs:
    """Two acts at one place, and one elsewhere."""
    kept = SqliteActs(sqlite3.connect(":memory:"))
    kept.add("sold", printed(film))
    kept.add("beside", printed(encoded(act(1, 1, SECONDS))))
    kept.add("elsewhere", printed(encoded(act(2, 0, SECONDS))))
    return kept


def found(acts: SqliteActs, film: bytes) -> list[Match]:
    return find(acts, printed(film))


def test_several_changes_at_once_are_found(acts: SqliteActs, film: bytes) -> None:
    (match,) = found(acts, copied(film, ("mirrored", "colour-shifted", "speed +-5 %"), 4))
    assert match.video == "sold"
    assert match.mirrored
    assert abs(abs(match.speed - 1) - 0.05) < 0.02
    assert match.picture is not None
    assert match.picture < 0.3


def test_the_sound_alone_is_enough(acts: SqliteActs, film: bytes) -> None:
    (match,) = found(acts, copied(film, ("trimmed", "picture replaced"), 4))
    assert match.video == "sold"
    assert match.sound is not None
    assert match.sound < 0.3


def test_another_act_at_the_same_place_is_not_taken_for_it(acts: SqliteActs) -> None:
    assert found(acts, encoded(act(1, 2, SECONDS))) == []


def test_a_removed_video_is_not_found(film: bytes) -> None:
    acts = SqliteActs(sqlite3.connect(":memory:"))
    acts.add("sold", printed(film))
    acts.add("sold", printed(film))
    assert [match.video for match in found(acts, film)] == ["sold"]
    acts.remove("sold")
    assert found(acts, film) == []


def test_mirrored_marks_are_those_of_the_mirrored_film(film: bytes) -> None:
    one, other = printed(film).picture, printed(copied(film, "mirrored", 0)).picture
    meet = np.intersect1d(one.times, other.times, return_indices=True)
    differ = np.unpackbits((mirrored(one).bits[meet[1]] ^ other.bits[meet[2]]).view(np.uint8)).mean()
    plain = np.unpackbits((one.bits[meet[1]] ^ other.bits[meet[2]]).view(np.uint8)).mean()
    assert differ < 0.2 < 0.35 < plain


def test_nothing_to_see_or_hear_is_nothing_to_compare(acts: SqliteActs) -> None:
    nothing = fingerprint([])
    assert len(nothing.picture.times) == len(nothing.sound.times) == 0
    assert find(acts, nothing) == []


def test_an_index_is_looked_up_and_not_scanned(acts: SqliteActs) -> None:
    plan = acts.plan()
    assert "SEARCH m USING PRIMARY KEY" in plan
    assert "SCAN m" not in plan
