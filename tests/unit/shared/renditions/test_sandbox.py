"""The copies made in a process of their own: the same ones, and a crash is only its own."""

from __future__ import annotations

import io
import os
import signal

import pytest

from shared.errors import QurbaniError
from shared.evidence.confined import Nonsense, Write
from shared.evidence.decode import decode
from shared.evidence.frames import Fit, Picture
from shared.evidence.workshop import MOST_BYTES
from shared.renditions import Quality, compress, poster, sandbox
from tests import hostile
from tests.film import babble, film
from tests.unit.shared.evidence.test_sandbox import Meddling, children

SMALL = Quality(long_side=160)
FIT = Fit(64, 64, "rgb24")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", 3, rate=5, sound=babble(3, 1, 2)).read_bytes()


def test_the_same_copies_as_in_process(video: bytes) -> None:
    here, there = io.BytesIO(), io.BytesIO()
    told: list[float] = []
    made, still = sandbox.copies(io.BytesIO(video), there, SMALL, told.append)
    assert made == compress(io.BytesIO(video), here, SMALL)
    # Its threads make an encoder spend its bits a little differently each time.
    pictures = [[event.time for event in decode(copy, FIT) if isinstance(event, Picture)] for copy in (there, here)]
    assert pictures[0] == pictures[1] != []
    assert there.getvalue().index(b"moov") < there.getvalue().index(b"mdat")
    assert still == poster(io.BytesIO(video))
    assert told[-1] == 1.0


def test_a_crash_is_a_reason_and_the_next_one_is_made(video: bytes) -> None:
    meddling = Meddling(video, lambda child: os.kill(child, signal.SIGSEGV))
    with pytest.raises(QurbaniError, match="decoder_crashed"):
        sandbox.copies(meddling, io.BytesIO(), SMALL)
    assert not set(children()) - meddling._before
    assert sandbox.copies(io.BytesIO(video), io.BytesIO(), SMALL)[0].sound


def test_whoever_loses_the_lease_ends_the_work(video: bytes) -> None:
    before = set(children())

    def lost(done: float) -> None:
        raise QurbaniError("lost_lease")

    with pytest.raises(QurbaniError, match="lost_lease"):
        sandbox.copies(io.BytesIO(video), io.BytesIO(), SMALL, lost)
    assert set(children()) == before


@pytest.mark.parametrize(("content", "code"), [
    (b"", "file_empty"),
    (hostile.PLAYLISTS["m3u8"], "not_a_video"),
    (hostile.large(), "file_damaged"),
])  # fmt: skip
def test_what_cannot_be_copied_says_why(content: bytes, code: str) -> None:
    with pytest.raises(QurbaniError) as error:
        sandbox.copies(io.BytesIO(content), io.BytesIO(), SMALL)
    assert error.value.code == code


def test_a_child_cannot_fill_the_disk() -> None:
    with pytest.raises(Nonsense):
        Write(MOST_BYTES - 3, b"four").apply(io.BytesIO(), MOST_BYTES)
