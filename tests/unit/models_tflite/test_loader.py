"""Which recogniser listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_tflite.loader import choose_recogniser, load_detector, load_transcriber
from models_tflite.manifest import Manifest, RecogniserEntry
from models_tflite.store import Store
from shared.errors import QurbaniError


def entry(name: str, engine: str, *languages: str) -> RecogniserEntry:
    return RecogniserEntry(name, engine, languages, "-", "-", "-", ("model",), 1, url="https://example.org/x.zip")


KNOWN = Manifest((), (
    entry("whisper-any", "whisper"), entry("whisper-en", "whisper", "en"),
    entry("vosk-ar", "vosk", "ar"), entry("vosk-fr", "vosk", "fr"),
))  # fmt: skip


def store(folder: Path, *here: str) -> Store:
    for name in here:
        (folder / name).mkdir()
        (folder / name / "model").touch()
    return Store([folder], KNOWN)


@pytest.mark.parametrize(
    ("here", "language", "chosen"),
    [
        (["whisper-any", "whisper-en", "vosk-ar"], "ar", "whisper-any"),
        (["whisper-en", "vosk-ar", "vosk-fr"], "ar", "vosk-ar"),
        (["whisper-en", "vosk-ar", "vosk-fr"], "fr", "vosk-fr"),
        (["whisper-en", "vosk-ar"], "en", "whisper-en"),
        (["whisper-en", "vosk-ar"], "", "whisper-en"),
        (["whisper-en", "vosk-ar"], "tr", "whisper-en"),  # with care: the verdict will know that it does not fit
        (["vosk-ar"], "", None),
        (["vosk-ar"], "fr", None),
        ([], "ar", None),
    ],
)
def test_the_best_for_the_language(tmp_path: Path, here: list[str], language: str, chosen: str | None) -> None:
    found = choose_recogniser(store(tmp_path, *here), language=language)
    assert (found and found.name) == chosen


def test_what_is_asked_for_is_taken_or_missed(tmp_path: Path) -> None:
    known = store(tmp_path, "whisper-any", "vosk-ar", "vosk-fr")
    assert choose_recogniser(known, engine="vosk", language="fr") == KNOWN.recogniser[3]
    assert choose_recogniser(known, engine="vosk", language="en") == KNOWN.recogniser[2]
    assert choose_recogniser(known, name="vosk-ar", language="fr") == KNOWN.recogniser[2]
    for asked in ({"name": "whisper-en"}, {"engine": "telepathy"}, {"engine": "whisper", "name": "vosk-ar"}):
        with pytest.raises(QurbaniError) as error:
            choose_recogniser(known, **asked)
        assert error.value.code == "no_model"


def test_nothing_here_is_none(tmp_path: Path) -> None:
    assert load_transcriber(store(tmp_path)) is None
    assert load_detector(store(tmp_path)) is None


@pytest.mark.parametrize("name", ["whisper-any", "vosk-ar"])
def test_a_folder_that_holds_no_model_is_said_to_be_damaged(tmp_path: Path, name: str) -> None:
    with pytest.raises(QurbaniError) as error:
        load_transcriber(store(tmp_path, name), name=name)
    assert error.value.code == "model_damaged"
