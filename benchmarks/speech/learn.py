"""``python -m benchmarks.speech.learn DIR``: count in DIR what recognisers write for which sound.

Reads the recordings of the split ``tune`` alone and their transcripts, as `qurbani evidence evaluate names` keeps them;
writes ``shared/evidence/confusions.json``. What was never met keeps the odds of a guess: sounds that are made alike are
taken for one another.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from models_tflite.names import Recording, Transcript, kept_as, read_recordings
from shared.evidence.alignment import Odds
from shared.evidence.phonetics import PHONES, phones

OUT = Path("shared/evidence/confusions.json")
ROUNDS = 4
GUESSED = 40.0
"""The guess weighs as much as this many sounds counted."""
MADE_UP = 0.2
"""Sounds made up for each that was said."""
_AT_LEAST = 0.25
"""Of its best score a name must reach this for the place to be believed."""

_ALIKE = (
    "bpvf", "mn", "tdTD", "szCTj", "kgXG", "hXG", "rl", "rG", "UvbI", "jI", "zD", "nl", "mb",
)  # fmt: skip

Floats = NDArray[np.float64]
Step = tuple[int | None, int | None]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    given = arguments.parse_args()
    heard = list(_heard(given.folder))
    table = _Table.guessed([text for _, texts in heard for text in texts])
    for _ in range(ROUNDS):
        table = table.counted(heard)
    OUT.write_bytes(msgspec.json.encode(table.odds()) + b"\n")


def _heard(folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Of each recording the names that are said, and the readings, all as sounds."""
    kept = {path.name: path for path in (folder / "transcripts").rglob("*.json")}
    for row in read_recordings(folder, "tune"):
        found = _transcript(folder, row, kept)
        numbers = sorted({word.reading for word in found.words})
        readings = [" ".join(word.text for word in found.words if word.reading == number) for number in numbers]
        yield ["".join(phones(name)) for name in set(row.said)], ["".join(phones(text)) for text in readings]


class _Table(msgspec.Struct, frozen=True):
    """Probabilities: of ``heard[said][written]`` given that it is not lost, of being ``lost``, ``made_up`` in all."""

    heard: Floats
    lost: Floats
    made_up: Floats
    usual: Floats

    @classmethod
    def guessed(cls, texts: Sequence[str]) -> _Table:
        met = Counter("".join(texts))
        usual = np.array([met[sign] + 1.0 for sign in PHONES])
        alike = np.array([[_alike(said, written) for written in PHONES] for said in PHONES])
        lost = np.array([0.3 if sign == "h" else 0.15 if sign in "aiuIU" else 0.06 for sign in PHONES])
        made_up = np.array([0.1 if sign in "aiu" else 0.05 if sign in "hIU" else 0.03 for sign in PHONES])
        return cls(alike / alike.sum(axis=1, keepdims=True), lost, made_up / made_up.sum(), usual / usual.sum())

    def counted(self, heard: Sequence[tuple[Sequence[str], Sequence[str]]]) -> _Table:
        """The table that the best alignments by this one give."""
        kept, lost, made_up = np.zeros_like(self.heard), np.zeros_like(self.lost), np.zeros_like(self.made_up)
        first = _Table.guessed([text for _, texts in heard for text in texts])
        for names, texts in heard:
            for name in names:
                for text in texts:
                    for said, written in self._steps(_encoded(name), _encoded(text)):
                        weight = 3 / len(texts)
                        if said is None:
                            made_up[written] += weight
                        elif written is None:
                            lost[said] += weight
                        else:
                            kept[said, written] += weight
        total = kept.sum(axis=1) + lost
        return _Table(
            (kept + GUESSED * first.heard) / (kept.sum(axis=1, keepdims=True) + GUESSED),
            (lost + GUESSED * first.lost) / (total + GUESSED),
            (made_up + GUESSED * first.made_up) / (made_up.sum() + GUESSED),
            self.usual,
        )

    def odds(self) -> Odds:
        heard = np.log(self.heard * (1 - self.lost)[:, None] / self.usual)
        made_up = np.minimum(np.log(MADE_UP * self.made_up / self.usual), -0.3)
        return Odds(*(np.round(each, 2).tolist() for each in (heard, np.log(self.lost), made_up)))

    def _steps(self, said: Sequence[int], written: Sequence[int]) -> list[Step]:
        """The best alignment of a name within a text, if it is one to be believed."""
        odds = self.odds()
        rows, columns = len(said) + 1, len(written) + 1
        score, come = np.zeros((rows, columns)), np.zeros((rows, columns), int)
        for row in range(1, rows):
            for column in range(columns):
                ways = [(score[row - 1, column] + odds.lost[said[row - 1]], 1)]
                if column:
                    one = odds.heard[said[row - 1]][written[column - 1]]
                    ways.append((score[row - 1, column - 1] + one, 0))
                    ways.append((score[row, column - 1] + odds.made_up[written[column - 1]], 2))
                score[row, column], come[row, column] = max(ways)
        row, column = rows - 1, int(score[-1].argmax())
        if score[row, column] < _AT_LEAST * sum(odds.heard[sign][sign] for sign in said):
            return []
        steps: list[Step] = []
        while row:
            way = come[row, column]
            steps.append((None if way == 2 else said[row - 1], None if way == 1 else written[column - 1]))
            row, column = row - (way != 2), column - (way != 1)
        return steps


def _alike(said: str, written: str) -> float:
    if said == written:
        return 1.0
    if said in "aiuIU" and written in "aiuIU":
        return 0.06
    return 0.04 if any(said in group and written in group for group in _ALIKE) else 0.004


def _encoded(signs: str) -> list[int]:
    return [PHONES.index(sign) for sign in signs]


def _transcript(folder: Path, row: Recording, kept: dict[str, Path]) -> Transcript:
    path = kept.get(kept_as(folder / row.file, row.lang))
    if path is None:
        raise SystemExit(f"{row.file} was not transcribed: run `qurbani evidence evaluate names` first")
    return msgspec.json.decode(path.read_bytes(), type=Transcript)


if __name__ == "__main__":
    main()
