"""One video from its bytes to its verdict, with what looks and listens standing in."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.domain.verdict import Box, Claim, Model, Word
from shared.evidence import decode, sandbox
from shared.evidence.frames import Fit
from shared.evidence.pipeline import Decode, validate
from shared.evidence.scene import Rule, Threshold
from shared.evidence.sound import Span
from tests.film import babble, film, grey

AHMED = Claim("Ahmed Benali", order="1042")
OMAR = Claim("Omar Bello", order="1043")


class Eyes:
    """Sees all three in every picture, but for the seconds of which it is told that the knife is hidden."""

    model = Model("eyes", "1")
    fit = Fit(64, 64, "rgb24")
    rule = Rule(
        {"person": Threshold(0.4, 0.1), "animal": Threshold(0.3, 0.05), "knife": Threshold(0.2, 0.01)}, 2, 3
    )

    def __init__(self, hidden: Iterable[int] = ()) -> None:
        self._hidden = [grey(second) for second in hidden]
        self.threads: set[int] = set()

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        self.threads.add(threading.get_ident())
        assert picture.shape == (38, 64, 3)
        shade = int(np.median(picture))
        knife = not any(abs(shade - hidden) < 8 for hidden in self._hidden)
        groups = ("person", "animal", "knife") if knife else ("person", "animal")
        return [Box(group, group, 0.9, 0.1, 0.1, 0.9, 0.9) for group in groups]


class Ears:
    """Hears the same words whenever somebody speaks."""

    model = Model("ears", "1")
    languages = ("en",)

    def __init__(self, said: str) -> None:
        self._said = said
        self.spans: list[Span] = []
        self.threads: set[int] = set()

    def transcribe(self, spans: Iterable[Span]) -> Iterator[Word]:
        self.threads.add(threading.get_ident())
        self.spans = list(spans)
        for at, word in enumerate(self._said.split()):
            yield Word(word, self.spans[0].start + at * 0.3, self.spans[0].start + at * 0.3 + 0.2, 0.9)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", 5, sound=babble(5, 1, 4))


@pytest.mark.parametrize("way", [decode.decode, sandbox.decode], ids=["in process", "in the sandbox"])
def test_authentic(video: Path, way: Decode) -> None:
    eyes, ears = Eyes(), Ears("this is for Ahmed Benali")
    told: list[tuple[str, float]] = []
    found = validate(
        video, [AHMED], [AHMED, OMAR], detector=eyes, transcriber=ears, spoken=["en"], decode=way,
        progress=lambda stage, done: told.append((stage, done)),
    )  # fmt: skip
    assert (found.outcome, found.reasons) == ("authentic", ())
    assert (found.sampled, found.together, found.seconds) == (5, 5, pytest.approx(5, abs=0.2))
    assert (found.detector, found.recogniser) == (eyes.model, ears.model)
    assert [word.text for word in found.words] == ["this", "is", "for", "Ahmed", "Benali"]
    assert found.shares[0].start == pytest.approx(0.7 + 0.9, abs=0.2)
    assert {("detect", 1.0), ("transcribe", 1.0)} <= set(told)
    assert all(0 <= done <= 1.05 for _, done in told)
    # Only what may be speech is listened to, and not in the thread that looks.
    assert sum(len(span.samples) for span in ears.spans) / 16000 == pytest.approx(3.6, abs=0.4)
    assert not eyes.threads & ears.threads


def test_a_file_object_does_as_well_as_a_path(video: Path) -> None:
    models = {"detector": Eyes(), "transcriber": Ears("this is for Ahmed Benali")}
    assert validate(io.BytesIO(video.read_bytes()), [AHMED], **models) == validate(video, [AHMED], **models)


def test_no_knife_in_any_picture(video: Path) -> None:
    found = validate(video, [AHMED], detector=Eyes(hidden=range(9)), transcriber=Ears("for Ahmed Benali"))
    assert (found.outcome, [reason.code for reason in found.reasons]) == ("rejected", ["no_knife"])


def test_a_knife_in_neighbouring_pictures_is_enough(video: Path) -> None:
    found = validate(video, [AHMED], detector=Eyes(hidden=(0, 1, 4)), transcriber=Ears("for Ahmed Benali"))
    assert (found.outcome, found.together) == ("authentic", 2)


def test_another_order_was_named(video: Path) -> None:
    found = validate(video, [AHMED], [AHMED, OMAR], detector=Eyes(), transcriber=Ears("this is for Omar Bello"))
    assert found.outcome == "rejected"
    assert found.reasons[0].code == "other_name_said"
    assert (found.shares[0].which, found.shares[0].which_order) == ("Omar Bello", "1043")


@pytest.mark.parametrize(
    ("eyes", "ears", "code"),
    [
        (None, Ears("for Ahmed Benali"), "no_detector"),
        (Eyes(), None, "no_recogniser"),
        (Eyes(), Ears(""), "speech_unclear"),
    ],
)
def test_without_a_model_it_is_review(video: Path, eyes: Eyes | None, ears: Ears | None, code: str) -> None:
    found = validate(video, [AHMED], detector=eyes, transcriber=ears)
    assert (found.outcome, found.reasons[0].code) == ("review", code)


def test_sound_that_is_missing_or_says_nothing(tmp_path: Path) -> None:
    silent = film(tmp_path / "silent.mp4", 2, sound=np.zeros(32000, np.int16))
    noisy = film(tmp_path / "noisy.mp4", 4, sound=np.random.default_rng(1).normal(0, 900, 64000).astype(np.int16))
    for path, code in ((film(tmp_path / "mute.mp4", 2), "no_sound"), (silent, "muted"), (noisy, "no_speech")):
        found = validate(path, [AHMED], detector=Eyes(), transcriber=Ears("for Ahmed Benali"))
        assert (found.outcome, [reason.code for reason in found.reasons]) == ("review", [code])
        assert not found.words


def test_what_is_cut_keeps_what_it_showed(video: Path, tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", 8, sound=babble(8, 1, 7), options={"movflags": "faststart"}).read_bytes()
    found = validate(
        io.BytesIO(whole[: len(whole) * 6 // 10]), [AHMED], detector=Eyes(), transcriber=Ears("for Ahmed Benali")
    )
    assert (found.outcome, [reason.code for reason in found.reasons]) == ("review", ["file_damaged"])
    assert 0 < found.sampled < 8
    assert found.words


@pytest.mark.parametrize("content", [b"", b"no video at all" * 99])
def test_what_is_no_video_is_review(content: bytes) -> None:
    found = validate(io.BytesIO(content), [AHMED], detector=Eyes(), transcriber=Ears("for Ahmed Benali"))
    assert found.outcome == "review"
    assert [reason.code for reason in found.reasons] == ["file_empty" if not content else "not_a_video"]


def test_a_live_recording_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    """As a browser sends it: no length, no index."""
    path = film(tmp_path / "live.webm", 4, codec="libvpx", options={"live": "1"})
    found = validate(path, [AHMED], detector=Eyes(), transcriber=None)
    assert found.seconds == pytest.approx(4, abs=0.2)
    assert found.together == found.sampled in (4, 5)  # nothing says that there is no picture at 4.0 to come


def test_a_detector_that_breaks_leaves_nothing_running(video: Path) -> None:
    class Broken(Eyes):
        def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
            raise RuntimeError("out of order")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of order"):
        validate(video, [AHMED], detector=Broken(), transcriber=Ears("for Ahmed Benali"))
    assert threading.active_count() == before
    assert not children()


def children() -> list[str]:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
