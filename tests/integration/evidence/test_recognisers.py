"""Both real recognisers do what is asked of a transcriber."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from models_tflite.loader import load_transcriber
from models_tflite.store import Store
from shared.domain.verdict import Claim, Word
from shared.evidence.decode import decode
from shared.evidence.judge import Facts, judge
from shared.evidence.names import match
from shared.evidence.scene import Sight
from shared.evidence.sound import RATE, Samples, Sound, Span, speech
from shared.evidence.speech import Hearing, Transcriber, hear
from tests.beside import MEDIA, needs_media

pytestmark = needs_media


@functools.cache
def transcriber(name: str) -> Transcriber:
    found = load_transcriber(Store([]), name=name)
    assert found is not None
    return found


@functools.cache
def voice() -> Samples:
    """Two seconds and a half of real speech."""
    events = decode(MEDIA / "authentic_ahmed_benali.mp4", None)
    samples = np.concatenate([event.samples() for event in events if isinstance(event, Sound)])
    (span,) = speech(samples).spans
    return span.samples[-5 * RATE // 2 :]


class Run(msgspec.Struct):
    """What a recogniser made of the same words said at 10 and at 100 s; ``early``: before it had the second."""

    words: list[Word] = []
    early: list[Word] = []


@functools.cache
def run(name: str) -> Run:
    made = Run()

    def spans() -> Iterator[Span]:
        yield Span(10.0, voice())
        made.early = list(made.words)
        yield Span(100.0, voice())

    for word in transcriber(name).transcribe(spans()):
        made.words.append(word)
    return made


RECOGNISERS = ["whisper-tiny-en", "vosk-ko"]


@pytest.mark.parametrize("name", RECOGNISERS)
def test_words_come_with_times_of_the_video_and_confidence(name: str) -> None:
    words = [word for word in run(name).words if not word.reading]
    seconds = len(voice()) / RATE
    first = [word for word in words if 10 <= word.start < 10 + seconds]
    second = [word for word in words if 99.9 <= word.start < 100 + seconds]
    assert first
    assert second
    assert first + second == words
    for word in words:
        assert word.start <= word.end
        assert 0 <= word.confidence <= 1
        assert word.text == word.text.strip() != ""
    assert transcriber(name).model.name == name


@pytest.mark.parametrize("name", RECOGNISERS)
def test_nothing_to_hear_is_nothing_said(name: str) -> None:
    assert list(transcriber(name).transcribe([])) == []
    silence = np.random.default_rng(1).normal(0, 20, 20 * RATE).astype(np.int16)
    assert hear([silence], transcriber(name)).silence == "no_speech"


def test_vosk_streams() -> None:
    """It tells the words of the first stretch before it takes the second."""
    assert run("vosk-ko").early
    assert all(word.start < 20 for word in run("vosk-ko").early)


def test_whisper_reads_a_sound_in_several_ways_of_the_same_time() -> None:
    found = run("whisper-tiny-en").words
    readings = [[word for word in found if word.reading == number] for number in {word.reading for word in found}]
    assert len({" ".join(word.text for word in words).casefold() for words in readings}) >= 2
    for words in readings:
        assert 10 <= words[0].start < 13
        assert 99.9 <= words[-1].start < 103


def test_who_speaks_for_longer_than_a_window_is_heard_to_the_end() -> None:
    long = np.tile(voice(), 14)
    words = [word for word in transcriber("whisper-tiny-en").transcribe([Span(5.0, long)]) if not word.reading]
    assert words[-1].end == pytest.approx(5 + len(long) / RATE, abs=2)


def test_whisper_hears_the_name() -> None:
    (share,) = match(run("whisper-tiny-en").words, [Claim("Ahmed Benali")])
    assert share.heard == "heard"


@pytest.mark.parametrize("spoken", [("en",), ()])
def test_a_recogniser_of_another_language_refutes_nothing(spoken: tuple[str, ...]) -> None:
    """English heard by a Korean model: no name comes out of it, and that proves nothing."""
    ears, words = transcriber("vosk-ko"), tuple(run("vosk-ko").words)
    hearing = Hearing(words, None, 30.0, ears.model, ears.languages)
    found = judge(Facts(16.0, (), True, Sight(), hearing, match(words, [Claim("Ahmed Benali")]), spoken))
    assert found.outcome == "review"
    assert [share.heard for share in found.shares] == ["unclear"]
