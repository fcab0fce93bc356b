"""Loads what looks and what listens: the model that was asked for, or the best that is here."""

from __future__ import annotations

from importlib.util import find_spec

from models_tflite.detector import TfliteDetector
from models_tflite.manifest import DetectorEntry, RecogniserEntry, sensitive
from models_tflite.pair import Pair
from models_tflite.store import Store
from shared.domain.verdict import Model
from shared.errors import QurbaniError
from shared.evidence.recognisers import Vosk, Whisper
from shared.evidence.scene import Detector
from shared.evidence.speech import Transcriber


def load_detector(store: Store, name: str = "", threads: int = 1) -> Detector | None:
    """The detector called ``name``, else the first of the manifest that is here and may be taken unasked, else None.

    Raises ``no_model`` when the named one is not here, ``model_damaged`` when its sha256 is not the manifest's.
    """
    for entry in store.known.detector:
        if (name == entry.name or not (name or entry.by_name_only)) and store.find(entry):
            return _pair(store, entry, threads) if entry.beside else _single(store, entry, threads)
    if name:
        raise QurbaniError("no_model", f"the detector {name!r} is not here")
    return None


def _single(store: Store, entry: DetectorEntry, threads: int) -> TfliteDetector:
    path = store.find(entry)
    if path is None:
        raise QurbaniError("no_model", f"the detector {entry.name!r} is not here")
    if store.wrong(entry, path):
        raise QurbaniError("model_damaged", f"{path} is not {entry.name}: its sha256 differs")
    return TfliteDetector(path, entry, threads)


def _pair(store: Store, entry: DetectorEntry, threads: int) -> Pair:
    other = next(row for row in store.known.detector if row.name == entry.beside)
    first, second = (_single(store, sensitive(member), threads) for member in (entry, other))
    model = Model(entry.name, f"{entry.version}+{other.version}")
    return Pair(first, second, model, entry.rule, entry.output.overlap)


def load_transcriber(
    store: Store, engine: str = "", name: str = "", language: str = "", threads: int = 1
) -> Transcriber | None:
    """The recogniser that :func:`choose_recogniser` chooses; None when there is none. Raises as it does."""
    entry = choose_recogniser(store, engine, name, language)
    folder = store.find(entry) if entry else None
    if entry is None or folder is None:
        return None
    model = Model(entry.name, store.version(entry, folder))
    if entry.engine == "vosk":
        return Vosk(folder, model, entry.languages)
    return Whisper(folder, model, entry.languages, language, threads)


def choose_recogniser(
    store: Store, engine: str = "", name: str = "", language: str = ""
) -> RecogniserEntry | None:
    """The recogniser called ``name``; else one of ``engine`` (``vosk``, ``whisper``); else the best for ``language``.

    The best is the first of the manifest (Whisper, then Vosk) that is here with its library and knows the language
    spoken at the site (ISO 639-1); failing that, a Whisper that does not, whose findings will be taken with care;
    else None. Raises ``no_model`` when what was asked for by name or engine is not here.
    """
    here = [entry for entry in store.known.recogniser if find_spec(_LIBRARY[entry.engine]) and store.find(entry)]
    asked = [entry for entry in here if name in ("", entry.name) and engine in ("", entry.engine)]
    if (name or engine) and not asked:
        raise QurbaniError("no_model", f"the recogniser {name or engine!r} is not here, or not its library")
    knowing = [entry for entry in asked if language and (not entry.languages or language in entry.languages)]
    # Vosk knows one language each: unless it was asked for, none is taken whose language may not be spoken here.
    others = asked if name or engine else [entry for entry in asked if entry.engine == "whisper"]
    return next(iter(knowing + others), None)


_LIBRARY = {"vosk": "vosk", "whisper": "faster_whisper"}
