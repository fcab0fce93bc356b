"""How well spoken names are told, on a folder of labelled recordings: a `names.json` and the files that it names.

`names.json` is a list of `{file, lang, claims: [{name, true, kind}], cohort: [names]}`. Further fields are used where
they are there: `said` (the names of the cohort that are said, in order), `snr` (decibels between voice and noise;
none in a quiet room), `split`.

A claim that is true stands beside the other true ones of its recording, as the shares of one animal do; a false one
stands alone, or the true ones would leave it no words. Two plain ways to compare are judged on the same words.
"""

from __future__ import annotations

import difflib
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import msgspec
import numpy as np
from rapidfuzz import fuzz

from models_tflite import espeak
from models_tflite.evaluate import Share, share
from shared.domain.verdict import Claim, Model, Word
from shared.errors import QurbaniError
from shared.evidence import names
from shared.evidence.media import UNREADABLE
from shared.evidence.sound import Samples, listen
from shared.evidence.speech import Transcriber, hear
from shared.evidence.stages import TRANSCRIBE

CLEAR_DB = 15.0
"""From this signal to noise ratio on, and in a quiet room, speech counts as clear."""
_PLAIN = 0.75
"""The likeness that the two plain ways ask for."""
_PHONEMES, _AHEAD = 0.8, 0.05
"""The same by eSpeak's phonemes, and how far a claim must be ahead of every other name of the site."""


class SpokenClaim(msgspec.Struct, frozen=True):
    """A name, whether it is said, and what kind of case it is (``right``, ``wrong``, ``near``, ...)."""

    name: str
    true: bool
    kind: str = ""


class Recording(msgspec.Struct, frozen=True):
    """One row of ``names.json``."""

    file: str
    lang: str
    claims: tuple[SpokenClaim, ...]
    cohort: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    snr: float | None = None
    split: str = ""

    @property
    def noise(self) -> str:
        return "quiet" if self.snr is None else f"{self.snr:g} dB"

    @property
    def is_clear(self) -> bool:
        return self.snr is None or self.snr >= CLEAR_DB


class Transcript(msgspec.Struct, frozen=True):
    """What a recogniser made of a recording, all readings, and the seconds that it took."""

    words: tuple[Word, ...]
    seconds: float


class Answer(msgspec.Struct, frozen=True):
    """What one way to compare says of a claim: taken or not, how surely, and which other name it heard instead."""

    is_accepted: bool
    score: float
    instead: str = ""


class Rates(msgspec.Struct, frozen=True):
    """True claims that were accepted, false ones that were, and the rate at which both errors are equal."""

    true_accepted: Share | None
    false_accepted: Share | None
    equal_error: float | None


class NameReport(msgspec.Struct, frozen=True):
    """One way to compare. ``clear`` are the recordings from :data:`CLEAR_DB` on; ``near`` the near misses alone.

    ``swapped``: of the false claims where exactly one name of the site is said, how often that name was given.
    """

    all: Rates
    clear: Rates
    by_kind: dict[str, Share]
    by_language: dict[str, Rates]
    by_noise: dict[str, Rates]
    swapped: Share | None


class NameEvaluation(msgspec.Struct, frozen=True):
    """``seconds`` is the median time to transcribe a recording."""

    recogniser: dict[str, Model]
    recordings: int
    claims: int
    seconds: float
    ways: dict[str, NameReport]


Words, Names = Sequence[Word], Sequence[str]

Way = Callable[[Words, Names, Names, str], list[Answer]]
"""Words, claims that are shares of one animal, names of the site, the language: an answer for each claim."""


def read_recordings(folder: Path, split: str = "") -> list[Recording]:
    """The rows of ``names.json``; of rows that are in a split, only those of a named one. Raises ``bad_dataset``."""
    path = folder / "names.json"
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[Recording])
    except (OSError, msgspec.MsgspecError) as error:
        raise QurbaniError("bad_dataset", f"{path}: {error}") from error
    kept = [row for row in rows if not (split and row.split) or row.split == split]
    if not kept:
        raise QurbaniError("bad_dataset", f"{path}: no recordings" + (f" in the split {split}" if split else ""))
    return kept


def transcribed(path: Path, language: str, ears: Transcriber, cache: Path) -> Transcript:
    """What ``ears`` hear in a file, from ``cache`` when they have heard the same bytes before.

    Raises ``bad_dataset`` when the file cannot be read.
    """
    kept = cache / f"{ears.model.name}-{ears.model.version}-{TRANSCRIBE}" / kept_as(path, language)
    if kept.is_file():
        return msgspec.json.decode(kept.read_bytes(), type=Transcript)
    started = time.perf_counter()
    found = Transcript(hear(_sound(path), ears).readings, round(time.perf_counter() - started, 3))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(found))
    return found


def kept_as(path: Path, language: str) -> str:
    """The name of the file that keeps the transcript of a recording. Raises ``bad_dataset``."""
    try:
        return f"{language}-{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}.json"
    except OSError as error:
        raise QurbaniError("bad_dataset", str(error)) from error


def judge_names(
    recordings: Sequence[Recording], transcripts: Sequence[Transcript], recogniser: dict[str, Model]
) -> NameEvaluation:
    """The report on our way to compare and on the plain ones, all on the same words."""
    return NameEvaluation(
        recogniser=recogniser,
        recordings=len(recordings),
        claims=sum(len(row.claims) for row in recordings),
        seconds=float(np.median([found.seconds for found in transcripts])),
        ways={name: _report(way, recordings, transcripts) for name, way in WAYS.items()},
    )


def by_sound(words: Words, claims: Names, cohort: Names, language: str) -> list[Answer]:
    """Ours."""
    roll = names.roll_call(words, [Claim(name) for name in claims], [Claim(name) for name in cohort])
    return [
        Answer(share.heard == "heard", margin, share.which)
        for share, margin in zip(roll.shares, roll.margins, strict=True)
    ]


def by_ratio(words: Words, claims: Names, cohort: Names, language: str) -> list[Answer]:
    """Part of the transcript, or like the whole of it by difflib."""
    said = _text(words)
    scores = [
        1.0 if name.casefold() in said else difflib.SequenceMatcher(None, name.casefold(), said).ratio()
        for name in claims
    ]
    return [Answer(score >= _PLAIN, score) for score in scores]


def by_partial_ratio(words: Words, claims: Names, cohort: Names, language: str) -> list[Answer]:
    """The best stretch of the transcript, letter by letter."""
    scores = [fuzz.partial_ratio(name.casefold(), _text(words)) / 100 for name in claims]
    return [Answer(score >= _PLAIN, score) for score in scores]


def by_phonemes(words: Words, claims: Names, cohort: Names, language: str) -> list[Answer]:
    """The best stretch of the transcript, phoneme by phoneme as eSpeak reads it, ahead of the other names."""
    said = espeak.phonemes(_text(words), language)
    scores = {
        name: fuzz.partial_ratio(espeak.phonemes(name, language), said) / 100 for name in {*claims, *cohort}
    }
    answers = []
    for name in claims:
        score, other = max(((scores[other], other) for other in cohort if other not in claims), default=(0.0, ""))
        margin = min(scores[name] - _PHONEMES, scores[name] - score - _AHEAD)
        answers.append(Answer(margin >= 0, margin, other if score >= _PHONEMES and margin < 0 else ""))
    return answers


WAYS: dict[str, Way] = {"by sound": by_sound, "difflib": by_ratio, "partial_ratio": by_partial_ratio}
if espeak.is_here():
    WAYS["phonemes"] = by_phonemes


class _Case(msgspec.Struct, frozen=True):
    recording: Recording
    claim: SpokenClaim
    answer: Answer


def _report(way: Way, recordings: Sequence[Recording], transcripts: Sequence[Transcript]) -> NameReport:
    cases = [case for row, found in zip(recordings, transcripts, strict=True) for case in _cases(way, row, found)]
    kinds, languages, noises = defaultdict(list), defaultdict(list), defaultdict(list)
    for case in cases:
        kinds[case.claim.kind].append(case)
        languages[case.recording.lang].append(case)
        noises[case.recording.noise].append(case)
    swapped = [case for case in cases if not case.claim.true and len(set(case.recording.said)) == 1]
    return NameReport(
        all=_rates(cases),
        clear=_rates([case for case in cases if case.recording.is_clear]),
        by_kind={kind: found for kind, some in kinds.items() if (found := _accepted(some))},
        by_language={language: _rates(some) for language, some in languages.items()},
        by_noise={noise: _rates(some) for noise, some in noises.items()},
        swapped=share(sum(case.answer.instead in case.recording.said for case in swapped), len(swapped)),
    )


def _cases(way: Way, row: Recording, found: Transcript) -> Iterator[_Case]:
    together = [claim for claim in row.claims if claim.true]
    for group in (together, *([claim] for claim in row.claims if not claim.true)):
        answers = way(found.words, [claim.name for claim in group], row.cohort, row.lang)
        yield from (_Case(row, claim, answer) for claim, answer in zip(group, answers, strict=True))


def _rates(cases: Sequence[_Case]) -> Rates:
    right = [case for case in cases if case.claim.true]
    wrong = [case for case in cases if not case.claim.true]
    return Rates(_accepted(right), _accepted(wrong), _equal_error(right, wrong))


def _accepted(cases: Sequence[_Case]) -> Share | None:
    return share(sum(case.answer.is_accepted for case in cases), len(cases))


def _equal_error(right: Sequence[_Case], wrong: Sequence[_Case]) -> float | None:
    """The rate at which as many true claims fall below a threshold as false ones reach it."""
    if not (right and wrong):
        return None
    ours, others = (np.array([case.answer.score for case in cases]) for cases in (right, wrong))
    thresholds = np.unique(np.concatenate([ours, others]))
    missed = (ours[None] < thresholds[:, None]).mean(axis=1)
    taken = (others[None] >= thresholds[:, None]).mean(axis=1)
    at = int(np.abs(missed - taken).argmin())
    return round(float(missed[at] + taken[at]) / 2, 4)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words if not word.reading).casefold()


def _sound(path: Path) -> list[Samples]:
    """Of any kind of file that holds sound: who labels recordings is trusted with their form."""
    try:
        with av.open(str(path)) as container:
            return [piece.samples() for piece in listen(container)]
    except (*UNREADABLE, QurbaniError) as error:
        raise QurbaniError("bad_dataset", f"{path}: {error}") from error
