"""A video as a stream of events, whatever was done to it."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

from shared.domain.verdict import CAUSES
from shared.evidence import decode as in_process
from shared.evidence.decode import Event, Problem, decode
from shared.evidence.frames import Fit, Picture
from shared.evidence.media import Probe
from shared.evidence.sound import Sound
from tests.film import babble, film

FIT = Fit(64, 64, "bgr24")
BOXES = (b"stsz", b"stco", b"stts", b"stsc", b"trak", b"mdia", b"tkhd", b"stsd", b"avcC", b"elst", b"ctts", b"stss")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder, sound = tmp_path_factory.mktemp("films"), babble(3, 1, 2)
    made = (
        film(folder / "a.mp4", 3, sound=sound, options={"movflags": "faststart"}),
        film(folder / "b.mp4", 3, sound=sound, options={"movflags": "frag_keyframe+empty_moov"}),
        film(folder / "c.ts", 3, sound=sound),
        film(folder / "d.webm", 2, codec="libvpx"),
    )
    return [path.read_bytes() for path in made]


def test_what_it_is_then_its_sound_then_its_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 3, sound=babble(3, 1, 2))
    kinds = [type(event) for event in decode(path, FIT)]
    assert kinds == [Probe, *[Sound] * kinds.count(Sound), Picture, Picture, Picture]
    assert kinds.count(Sound) > 1
    assert Picture not in [type(event) for event in decode(path, None)]


def test_each_half_tells_of_its_own_damage(films: list[bytes]) -> None:
    events = list(decode(io.BytesIO(films[0][: len(films[0]) * 6 // 10]), FIT))
    assert [event.code for event in events if isinstance(event, Problem)] == ["file_damaged", "file_damaged"]
    assert any(isinstance(event, Picture) for event in events)


def test_what_is_too_long_is_not_even_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "LONGEST_S", 2)
    kinds = [type(event) for event in decode(film(tmp_path / "a.mp4", 3, sound=babble(3, 1, 2)), FIT)]
    assert kinds == [Probe, Problem]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut, or with some bytes changed: anywhere, in the header, or at the head of a box."""
    changed = bytearray(data)
    way = chance.choice(["cut", "anywhere", "header", "box"])
    if way == "cut":
        return data[: chance.randrange(len(data))]
    if way == "box":
        at = data.find(chance.choice(BOXES))
        changed[max(at - 4, 0) : at + 8] = chance.randbytes(12)
        return bytes(changed)
    for _ in range(chance.choice([1, 10, 100])):
        changed[chance.randrange(len(data) if way == "anywhere" else min(len(data), 3000))] = chance.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("count", [80, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_whatever_was_done_to_it_ends_in_events(films: list[bytes], count: int) -> None:
    chance = random.Random(count)
    for _ in range(count):
        data = mutated(chance.choice(films), chance)
        events: list[Event] = list(decode(io.BytesIO(data), FIT))
        assert events
        assert all(event.code in CAUSES for event in events if isinstance(event, Problem))
