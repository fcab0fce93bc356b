"""Whatever is sent gets its reason in little time, and the next good video is checked as ever (E25, E26)."""

from __future__ import annotations

import ast
import io
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.domain.verdict import CAUSES, Box, Claim, Model, Verdict
from shared.evidence.confined import Channel
from shared.evidence.frames import Fit
from shared.evidence.media import Video
from shared.evidence.pipeline import validate
from shared.evidence.scene import Rule, Threshold
from tests import hostile
from tests.film import babble, film
from tests.unit.shared.evidence.test_sandbox import children

ROOT = Path(__file__).parents[4]
TIME_S = 10
"""Processor time for one file, the start of the decoder included. On an idle machine, more than the clock shows."""

MANY = """
import io, socket, sys, time
from shared.evidence import decode
from shared.evidence.confined import Channel, Limits, confine, load_all
from shared.evidence.decode import Problem
from shared.evidence.frames import Fit
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
load_all()
confine(Limits(processor_s=600))
while True:
    try:
        data = bytes(channel.receive_bytes())
    except EOFError:
        break
    began, codes = time.process_time(), set()
    for event in decode.decode(io.BytesIO(data), Fit(64, 64, "bgr24")):
        if isinstance(event, Problem):
            codes.add(event.code)
    channel.send_bytes(repr((sorted(codes), time.process_time() - began)).encode())
"""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", 2, rate=5, sound=babble(2, 1, 2)).read_bytes()


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("others")
    return [
        film(folder / "a.webm", 2, rate=5, codec="libvpx").read_bytes(),
        film(folder / "a.ts", 2, rate=5, sound=babble(2, 1, 2)).read_bytes(),
        film(folder / "a.avi", 2, rate=5, codec="mpeg4").read_bytes(),
    ]


class Blind:
    """Looks at every picture and sees nothing."""

    model = Model("blind", "1")
    fit = Fit(64, 64, "bgr24")
    rule = Rule({"person": Threshold(0.4, 0.1), "animal": Threshold(0.3, 0.1), "knife": Threshold(0.2, 0.01)}, 2, 3)

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        return []


def judged(video: Video) -> tuple[Verdict, float]:
    """The verdict by way of the sandbox, and the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = validate(video, [Claim("Ahmed Benali")], detector=Blind(), transcriber=None)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def all_decoded(corpus: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, list[str], float]]:
    """Each file decoded, one after the other, in one confined process: the codes, and the processor time."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", MANY, str(theirs.fileno())]
    environ = {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environ) as child, ours, theirs:
        theirs.close()  # and ours at the end, whatever happens: the child then ends as well
        channel = Channel(ours)
        for name, data in corpus:
            channel.send_bytes(data)
            try:
                codes, seconds = ast.literal_eval(channel.receive_bytes().decode())
            except (EOFError, ConnectionError):
                pytest.fail(f"{name} ended the decoder: {child.wait()}")
            yield name, codes, seconds
        ours.shutdown(socket.SHUT_WR)
        assert child.wait() == 0


def test_hostile_files_get_a_reason_and_the_next_good_one_its_verdict(good: bytes, tmp_path: Path) -> None:
    """Through the real sandbox, a process for each."""
    before = set(children())
    corpus: dict[str, Video] = {name: io.BytesIO(text) for name, text in hostile.PLAYLISTS.items()}
    corpus |= {
        "nothing": io.BytesIO(b""),
        "one byte": io.BytesIO(b"\0"),
        "nested": io.BytesIO(hostile.nested(100_000)),
        "16k": io.BytesIO(hostile.large()),
        "ten hours": hostile.black(tmp_path / "black.webm", 10, 1, says_so=True),
        "ten hours, unsaid": hostile.black(tmp_path / "live.webm", 10, 1, says_so=False),
    }
    corpus["large in words only"] = io.BytesIO(hostile.claims_to_be_large(good))
    readable = {"large in words only": "no_person"}
    expected = {
        "nothing": "file_empty",
        "reference movie": "no_picture",
        "16k": "file_damaged",
        "ten hours": "too_long",
        "ten hours, unsaid": "too_long",
        **readable,
    }
    for name, video in corpus.items():
        found, seconds = judged(video)
        codes = [reason.code for reason in found.reasons]
        assert expected.get(name, "not_a_video") in codes, name
        assert (found.outcome == "review") == (name not in readable), name
        assert seconds < TIME_S, name
    found, _ = judged(io.BytesIO(good))
    assert [reason.code for reason in found.reasons][:3] == ["no_person", "no_animal", "no_knife"]
    assert set(children()) == before


def test_a_film_that_points_elsewhere_reads_nothing_there(good: bytes) -> None:
    """Nobody follows the pointer: what is found is what this file holds."""
    assert judged(io.BytesIO(hostile.elsewhere(good)))[0] == judged(io.BytesIO(good))[0]


def decoded_well(corpus: Iterator[tuple[str, bytes]]) -> int:
    count = 0
    for name, codes, seconds in all_decoded(corpus):
        assert seconds < TIME_S, name
        assert set(codes) <= set(CAUSES), name
        count += 1
    return count


def test_mutations_get_a_reason_or_are_read(good: bytes, others: list[bytes]) -> None:
    """A sample: cut at every border, sizes that cannot be, and bytes that are not what they were."""
    sizes = [each for number, each in enumerate(hostile.sizes(good)) if number % 7 == 0]
    some = [hostile.mutations(other, 100, seed) for seed, other in enumerate([good, *others])]
    assert decoded_well(chain(hostile.cut(good), sizes, *some)) > 500


@pytest.mark.slow
def test_mutations_at_full_size(good: bytes, others: list[bytes], tmp_path: Path) -> None:
    """Two thousand of each, or as many as QURBANI_MUTATIONS says; and ten hours at 25 pictures a second."""
    count = int(os.environ.get("QURBANI_MUTATIONS", "2000"))
    everything = [hostile.mutations(other, count, seed) for seed, other in enumerate([good, *others], 1000)]
    decoded_well(chain(hostile.cut(good), hostile.sizes(good), *everything))
    found, seconds = judged(hostile.black(tmp_path / "live.webm", 10, 25, says_so=False))
    assert [reason.code for reason in found.reasons] == ["too_long"]
    assert seconds < TIME_S
