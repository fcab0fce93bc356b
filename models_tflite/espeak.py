"""eSpeak NG as a peer to be measured against: what a text sounds like by its rules. It comes as a package, or not."""

from __future__ import annotations

import ctypes
import re
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

VOICES = {"en": "en-us", "fr": "fr", "ar": "ar"}

_SYNCHRONOUS = 1
_IPA = 0x02
_UTF8 = 1
_PUNCTUATION = "[,.;:!?،]+"


def is_here() -> bool:
    return find_spec("espeakng_loader") is not None


@lru_cache(maxsize=4096)
def phonemes(text: str, language: str) -> str:
    """``text`` in the International Phonetic Alphabet, punctuation kept."""
    assert library().espeak_SetVoiceByName(VOICES[language].encode()) == 0
    spelled = []
    for part in re.split(f"({_PUNCTUATION})", text):
        if re.fullmatch(_PUNCTUATION, part):
            spelled.append(part.replace("،", ","))
            continue
        rest = ctypes.pointer(ctypes.cast(ctypes.c_char_p(part.encode()), ctypes.c_void_p))
        while rest.contents.value:
            spelled.append(" " + library().espeak_TextToPhonemes(rest, _UTF8, _IPA).decode())
    return re.sub(r"\(\w+\)", "", "".join(spelled)).strip()


@lru_cache(maxsize=1)
def library() -> Any:
    import espeakng_loader

    found = ctypes.CDLL(espeakng_loader.get_library_path())
    found.espeak_TextToPhonemes.restype = ctypes.c_char_p
    assert found.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0) > 0
    return found
