"""A stage that was done is not done again, and another model's result is not mistaken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.domain.verdict import Box, Claim, Model, Verdict, Word
from shared.evidence import decode
from shared.evidence.frames import Fit
from shared.evidence.media import Video
from shared.evidence.pipeline import validate
from shared.evidence.scene import Rule, Threshold
from shared.evidence.sound import Span
from shared.evidence.stages import Done, Stages
from tests.film import babble, film

AHMED = Claim("Ahmed Benali")
SHA = "ab" * 32


class Eyes:
    fit = Fit(64, 64, "rgb24")

    def __init__(self, version: str = "1", absent: float = 0.1, fails_at: int = -1) -> None:
        self.model = Model("eyes", version)
        self.rule = Rule({group: Threshold(0.4, absent) for group in ("person", "animal", "knife")}, 2, 3)  # type: ignore[misc]
        self.looks = 0
        self._fails_at = fails_at

    def detect(self, picture: NDArray[np.uint8]) -> list[Box]:
        if self.looks == self._fails_at:
            raise RuntimeError("the power goes")
        self.looks += 1
        return [Box(group, group, 0.9, 0.1, 0.1, 0.9, 0.9) for group in ("person", "animal", "knife")]


class Ears:
    languages = ("en",)

    def __init__(self, version: str = "1") -> None:
        self.model = Model("ears", version)
        self.listens = 0

    def transcribe(self, spans: Iterable[Span]) -> Iterator[Word]:
        self.listens += 1
        for at, word in enumerate(("for", "Ahmed", "Benali")):
            yield Word(word, next(iter(spans)).start + at * 0.3, at * 0.3 + 0.2, 0.9)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", 3, sound=babble(3, 1, 2))


Check = Callable[..., Verdict]


@pytest.fixture
def check(tmp_path: Path, video: Path) -> Check:
    """Validate with the results of earlier runs at hand; ``check.fits`` tells what was asked of the decoder."""
    fits: list[Fit | None] = []

    def decoding(video: Video, fit: Fit | None) -> Iterator[decode.Event]:
        fits.append(fit)
        return decode.decode(video, fit)

    def run(eyes: Eyes | None, ears: Ears | None, source: Video = video, done: Done | None = None) -> Verdict:
        kept = done or Stages(tmp_path).of(SHA)
        return validate(source, [AHMED], detector=eyes, transcriber=ears, decode=decoding, done=kept)

    run.fits = fits  # type: ignore[attr-defined]
    return run


def test_the_second_time_nothing_is_opened(check: Check) -> None:
    first = check(Eyes(), Ears())
    eyes, ears = Eyes(), Ears()
    assert check(eyes, ears) == first
    assert (eyes.looks, ears.listens, check.fits) == (0, 0, [eyes.fit])
    assert first.outcome == "authentic"


def test_another_model_does_only_its_own_stage(check: Check) -> None:
    check(Eyes(), Ears())
    eyes, ears = Eyes("2"), Ears()
    assert check(eyes, ears).detector == Model("eyes", "2")
    assert (eyes.looks, ears.listens) == (3, 0)
    eyes, ears = Eyes("2"), Ears("2")
    check(eyes, ears)
    assert (eyes.looks, ears.listens, check.fits[-1]) == (0, 1, None)
    old_eyes, old_ears = Eyes(), Ears()
    check(old_eyes, old_ears)  # what the first models found is still there
    assert (old_eyes.looks, old_ears.listens) == (0, 0)


def test_a_detector_that_tells_less_is_another(check: Check) -> None:
    check(Eyes(), None)
    eyes = Eyes(absent=0.2)
    check(eyes, None)
    assert eyes.looks == 3


def test_a_check_that_was_cut_short_goes_on_from_there(check: Check) -> None:
    with pytest.raises(RuntimeError):
        check(Eyes(fails_at=2), Ears())
    eyes, ears = Eyes(), Ears()
    assert check(eyes, ears).outcome == "authentic"
    assert (eyes.looks, ears.listens) == (3, 0)


def test_of_a_broken_video_nothing_is_kept(check: Check, video: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(film(tmp_path / "b.mp4", 8, options={"movflags": "faststart"}).read_bytes()[:4000])
    assert check(Eyes(), None, cut).outcome == "review"
    assert check(Eyes(), None, video).sampled == 3


def test_other_videos_have_results_of_their_own(check: Check, tmp_path: Path) -> None:
    check(Eyes(), Ears())
    eyes = Eyes()
    check(eyes, Ears(), done=Stages(tmp_path).of("cd" * 32))
    assert eyes.looks == 3


def test_a_result_that_cannot_be_read_was_not_done(check: Check, tmp_path: Path) -> None:
    check(Eyes(), Ears())
    for kept in tmp_path.rglob("*.json"):
        kept.write_bytes(kept.read_bytes()[:-9])
    eyes, ears = Eyes(), Ears()
    assert check(eyes, ears).outcome == "authentic"
    assert (eyes.looks, ears.listens) == (3, 1)


def test_without_room_the_verdict_is_the_same(check: Check, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    assert check(Eyes(), Ears(), done=Stages(blocked).of(SHA)).outcome == "authentic"


def test_what_is_forgotten_is_gone(check: Check, tmp_path: Path) -> None:
    check(Eyes(), Ears())
    Stages(tmp_path).forget(SHA)
    assert not list(tmp_path.rglob("*.json"))
    eyes = Eyes()
    check(eyes, Ears())
    assert eyes.looks == 3
