"""The recognisers: Vosk for the box, Whisper for the hub and as a second opinion.

Neither is given a grammar or a prompt: a recogniser that knows the expected name hears it in anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shared.domain.verdict import Model, Word
from shared.errors import QurbaniError
from shared.evidence.sound import RATE, Span

_CHUNK = RATE // 4
_WINDOW_S = 14
"""At most so much at a time: Whisper was taught on 30 s, and is apt to stop early in what is that long."""

_FRAMES_PER_S = 100
_ALL_FRAMES, _FEWEST_FRAMES = 3000, 1000
"""What Whisper was taught on, and to what a shorter sound is filled up for a model of many languages: at a seventh of
the price it hears as well. The small English ones lose words by it, and by not being asked for times."""

_TOKENS_PER_S = 12
"""Nobody speaks faster: what is longer is one syllable over and over."""

_BEAMS = 5
_READINGS = 3
"""Ways to write the same sound in the language spoken; see :class:`Whisper`."""

_OTHERS = ("en", "fr", "ar")


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
    """A Whisper model in CTranslate2's form: one language when told it, else it finds out by itself.

    A name is no word of any language, and is written another way each time. So each stretch is encoded once, for as
    many frames as it lasts, and decoded into several readings: the best few in the language spoken, and, where the
    model knows more, what a listener of another language would write.
    """

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
            for number, words in enumerate(self._readings(window)):
                for word in words:
                    yield _whisper_word(word, window, number)

    def _readings(self, window: list[Span]) -> Iterator[list[dict[str, Any]]]:
        many = self._whisper.model.is_multilingual
        samples = np.concatenate([span.samples for span in window]).astype(np.float32) / 32768
        features = self._whisper.feature_extractor(samples)
        frames = features.shape[-1]
        # An even number, because the model takes every other one.
        total = max(frames + frames % 2, _FEWEST_FRAMES if many else _ALL_FRAMES)
        filled = np.full((features.shape[0], total), features.min(), np.float32)
        filled[:, :frames] = features
        heard = self._whisper.encode(filled)
        spoken = self._language or self._whisper.model.detect_language(heard)[0][0][0].strip("<|>")
        asked = [(spoken, True, 1), (spoken, False, _READINGS - 1)]
        if many:
            asked = [(spoken, False, _READINGS), *((each, False, 1) for each in _OTHERS if each != spoken)]
        longest = min(int(len(samples) / RATE * _TOKENS_PER_S) + 16, 220)
        for language, timed, wanted in asked:
            tokenizer = self._tokenizer(language)
            (found,) = self._whisper.model.generate(
                heard,
                [[*tokenizer.sot_sequence, *([] if timed else [tokenizer.no_timestamps])]],
                beam_size=_BEAMS,
                num_hypotheses=_BEAMS if wanted > 1 else 1,
                max_length=longest,
            )
            different: dict[str, list[int]] = {}
            for sequence in found.sequences_ids:
                tokens = [token for token in sequence if token < tokenizer.eot]
                different.setdefault(_letters(tokenizer.decode(tokens)), tokens)
            for tokens in [*different.values()][:wanted]:
                (words,) = self._whisper.find_alignment(tokenizer, [tokens], heard, frames) or [[]]
                yield _with_signs(words)

    def _tokenizer(self, language: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        many = self._whisper.model.is_multilingual
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(self._whisper.hf_tokenizer, many, "transcribe", language)
        return self._tokenizers[language]

    @cached_property
    def _tokenizers(self) -> dict[str, Any]:
        return {}


def _windows(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Short stretches together, since a window costs the same full or empty."""
    window: list[Span] = []
    for span in (piece for each in spans for piece in _cut(each)):
        if window and sum(len(other.samples) for other in window) + len(span.samples) > _WINDOW_S * RATE:
            yield window
            window = []
        window.append(span)
    if window:
        yield window


def _cut(span: Span) -> Iterator[Span]:
    """A stretch longer than a window in pieces, cut at the quietest moment of each window's last third."""
    start, samples = span.start, span.samples
    while len(samples) > _WINDOW_S * RATE:
        third = samples[_WINDOW_S * RATE * 2 // 3 : _WINDOW_S * RATE].astype(np.float32)
        loudness = np.abs(third[: len(third) // _CHUNK * _CHUNK]).reshape(-1, _CHUNK).mean(axis=1)
        at = _WINDOW_S * RATE * 2 // 3 + int(loudness.argmin()) * _CHUNK + _CHUNK // 2
        yield Span(start, samples[:at])
        start, samples = start + at / RATE, samples[at:]
    yield Span(start, samples)


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _with_signs(words: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Commas and full stops as a part of the word before them."""
    merged: list[dict[str, Any]] = []
    for word in words:
        if _letters(word["word"]):
            merged.append(dict(word))
        elif merged:
            merged[-1]["word"] += word["word"]
    return merged


def _whisper_word(word: dict[str, Any], window: list[Span], reading: int) -> Word:
    return Word(
        word["word"].strip(),
        round(_in_video(float(word["start"]), window), 2),
        round(_in_video(float(word["end"]), window), 2),
        round(float(word["probability"]), 3),
        reading,
    )


def _in_video(seconds: float, window: list[Span]) -> float:
    """A time within the joined stretches as a time of the video."""
    for span in window[:-1]:
        length = len(span.samples) / RATE
        if seconds < length:
            return span.start + seconds
        seconds -= length
    return window[-1].start + seconds
