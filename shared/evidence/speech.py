"""What is said in a video: the recogniser is handed in and never told what it ought to hear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, Protocol

import msgspec
import numpy as np

from shared.domain.verdict import Model, Word
from shared.evidence.sound import RATE, Samples, Span, muted, speech

Silence = Literal["no_sound", "muted", "no_speech"]


class Transcriber(Protocol):
    """A recogniser. ``languages`` are those it can tell words of (ISO 639-1); none listed means any."""

    @property
    def model(self) -> Model: ...

    @property
    def languages(self) -> tuple[str, ...]: ...

    def transcribe(self, spans: Iterable[Span]) -> Iterator[Word]:
        """The words of the stretches, in order, timed from the start of the video; each reading in its own order.

        Takes each stretch when it needs it, so that a recogniser may start before the last one is there.
        """
        ...


class Hearing(msgspec.Struct, frozen=True):
    """What was heard, by what. ``silence`` tells why there was nothing to transcribe.

    ``others`` are the words of further readings of the same sound: nobody is shown them, names are looked for in them.
    ``over_noise`` is by how many decibels the voice stands out, ``languages`` those the recogniser knows.
    """

    words: tuple[Word, ...] = ()
    silence: Silence | None = None
    over_noise: float = 0.0
    recogniser: Model | None = None
    languages: tuple[str, ...] = ()
    others: tuple[Word, ...] = ()

    @property
    def readings(self) -> tuple[Word, ...]:
        return (*self.words, *self.others)


def hear(
    pieces: Sequence[Samples],
    transcriber: Transcriber | None,
    progress: Callable[[float], None] = lambda done: None,
) -> Hearing:
    """Listen to the whole sound of a video, its ``pieces`` in order. ``progress`` is told the share that is done."""
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    if not samples.size:
        return Hearing(silence="no_sound")
    if muted(samples):
        return Hearing(silence="muted")
    voice = speech(samples)
    if not voice.spans:
        return Hearing(silence="no_speech", over_noise=voice.over_noise)
    if transcriber is None:
        return Hearing(over_noise=voice.over_noise)
    words = []
    for word in transcriber.transcribe(voice.spans):
        words.append(word)
        progress(word.end / (len(samples) / RATE))
    progress(1.0)
    return Hearing(
        words=tuple(word for word in words if not word.reading),
        over_noise=voice.over_noise,
        recogniser=transcriber.model,
        languages=transcriber.languages,
        others=tuple(word for word in words if word.reading),
    )
