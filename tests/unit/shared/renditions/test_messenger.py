"""A copy for messengers keeps to its size, however long and restless the film."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from shared.renditions import MESSENGER_BYTES, compress, messenger
from tests import blank


@pytest.mark.parametrize("most", [60_000, 250_000])
def test_it_is_as_small_as_it_must_be(tmp_path: Path, most: int) -> None:
    with blank.make(tmp_path / "clip.mp4", seconds=6).open("rb") as whole:
        copy = io.BytesIO()
        made = compress(whole, copy, messenger(6.0, most))
    assert len(copy.getvalue()) <= most
    assert made.seconds == pytest.approx(6.0, abs=0.2)
    assert made.sound


def test_a_longer_film_gets_fewer_bits_and_never_more_than_there_is_room_for() -> None:
    for seconds in (1.0, 20.0, 60.0, 300.0, 900.0):
        quality = messenger(seconds)
        bits = (quality.video_rate + 2 * quality.audio_rate) * seconds + quality.video_rate * 2
        assert bits <= MESSENGER_BYTES * 8
    assert messenger(900.0).long_side < messenger(60.0).long_side
