"""The recognisers: Vosk for the box, Whisper for the hub and as a second opinion.

Neither is given a grammar or a prompt: a recogniser that knows the expected name hears it in anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.domain.verdict import Model, Word
from shared.errors import QurbaniError
from shared.evidence.sound import RATE, Span

_CHUNK = RATE // 4
_WINDOW_S = 28
"""Whisper looks at 30 s at a time, whatever it is given."""


class Vosk:
    """A Vosk model: streams, knows one language."""

    def __init__(self, folder: Path, model: Model, languages: Sequence[str]) -> None:
        """Load the model in ``folder`` (seconds for a large one). Raises ``missing_extra`` or ``model_damaged``."""
        try:
            import vosk
        except ModuleNotFoundError as error:
            raise QurbaniError("missing_extra", "Vosk is not installed: pip install 'qurbani[evidence]'") from error
        vosk.SetLogLevel(-1)
        self.model = model
        self.languages = tuple(languages)
        self._recogniser = vosk.KaldiRecognizer
        try:
            self._model = vosk.Model(str(folder))
        except Exception as error:  # what it raises when it cannot be loaded
            raise QurbaniError("model_damaged", f"Vosk cannot load {folder.name}") from error

    def transcribe(self, spans: Iterable[Span]) -> Iterator[Word]:
        for span in spans:
            recogniser = self._recogniser(self._model, RATE)
            recogniser.SetWords(True)
            for start in range(0, len(span.samples), _CHUNK):
                if recogniser.AcceptWaveform(span.samples[start : start + _CHUNK].tobytes()):
                    yield from _vosk_words(recogniser.Result(), span.start)
            yield from _vosk_words(recogniser.FinalResult(), span.start)


def _vosk_words(result: str, start: float) -> Iterator[Word]:
    for word in json.loads(result).get("result", ()):
        yield Word(word["word"], round(start + word["start"], 2), round(start + word["end"], 2), round(word["conf"], 3))


class Whisper:
    """A Whisper model in CTranslate2's form: one language when told it, else it finds out by itself."""

    def __init__(
        self, folder: Path, model: Model, languages: Sequence[str], language: str = "", threads: int = 1
    ) -> None:
        """Load the model in ``folder``; ``languages`` as in its description, ``language`` the one spoken at the site.

        Raises ``missing_extra`` or ``model_damaged``.
        """
        try:
            from faster_whisper import WhisperModel
        except ModuleNotFoundError as error:
            message = "faster-whisper is not installed: pip install 'qurbani[whisper]'"
            raise QurbaniError("missing_extra", message) from error
        self.model = model
        self.languages = (language,) if language and not languages else tuple(languages)
        self._language = self.languages[0] if len(self.languages) == 1 else None
        try:
            self._whisper = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        except (RuntimeError, OSError, ValueError) as error:
            raise QurbaniError("model_damaged", f"Whisper cannot load {folder.name}: {error}") from error

    def transcribe(self, spans: Iterable[Span]) -> Iterator[Word]:
        for window in _windows(spans):
            joined = np.concatenate([span.samples for span in window]).astype(np.float32) / 32768
            segments, _ = self._whisper.transcribe(
                joined,
                language=self._language,
                word_timestamps=True,
                # The same words for the same sound: no second tries at random, no memory of the window before.
                temperature=0.0,
                condition_on_previous_text=False,
            )
            for word in (word for segment in segments for word in segment.words or ()):
                yield _whisper_word(word, window)


def _windows(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Short stretches together, since a window costs the same full or empty."""
    window: list[Span] = []
    for span in spans:
        if window and sum(len(other.samples) for other in window) + len(span.samples) > _WINDOW_S * RATE:
            yield window
            window = []
        window.append(span)
    if window:
        yield window


def _whisper_word(word: Any, window: list[Span]) -> Word:
    return Word(
        word.word.strip(),
        round(_in_video(float(word.start), window), 2),
        round(_in_video(float(word.end), window), 2),
        round(float(word.probability), 3),
    )


def _in_video(seconds: float, window: list[Span]) -> float:
    """A time within the joined stretches as a time of the video."""
    for span in window[:-1]:
        length = len(span.samples) / RATE
        if seconds < length:
            return span.start + seconds
        seconds -= length
    return window[-1].start + seconds
