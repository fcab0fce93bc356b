"""Arabic with its vowel signs as the sounds that it stands for: so written, Arabic is spelled as it is said."""

from __future__ import annotations

import re
import unicodedata

_CONSONANTS = {
    "ب": "b", "ت": "t", "ث": "θ", "ج": "ʤ", "ح": "h", "خ": "χ", "د": "d", "ذ": "ð", "ر": "ɾ", "ز": "z", "س": "s",
    "ش": "ʃ", "ص": "s", "ض": "d", "ط": "t", "ظ": "ð", "ع": "ʔ", "غ": "ɣ", "ف": "f", "ق": "q", "ك": "k", "ل": "l",
    "م": "m", "ن": "n", "ه": "h", "و": "w", "ي": "j", "ء": "ʔ", "أ": "ʔ", "إ": "ʔ", "آ": "ʔaː", "ئ": "ʔ", "ؤ": "ʔ",
}  # fmt: skip
_VOWELS = {"\u064e": "a", "\u064f": "u", "\u0650": "i", "\u064b": "an", "\u064c": "un", "\u064d": "in"}
_DOUBLED = "\u0651"
_LONG = {"ا": "a", "ى": "a", "و": "u", "ي": "i"}
_GOD = ("الله", "ال\u0644\u064e\u0651اه")


def phonemes(text: str) -> str:
    """``text`` in the International Phonetic Alphabet as far as Kokoro has signs for it, punctuation kept."""
    text = unicodedata.normalize("NFC", text).replace(*_GOD)
    return " ".join(_word(word) for word in text.split()).replace("،", ",")


def _word(word: str) -> str:
    letters = re.findall("(.)([\u064b-\u0652]*)", word)
    sounds: list[str] = []
    for at, (letter, signs) in enumerate(letters):
        following = letters[at + 1][1] if at + 1 < len(letters) else ""
        vowel = "".join(_VOWELS.get(sign, "") for sign in signs)
        if letter in _LONG and not signs and sounds and sounds[-1] == _LONG[letter]:
            sounds.append("ː")
        elif letter == "ا":
            sounds += [vowel] if vowel else [] if sounds else ["a"]
        elif letter == "ل" and not signs and _DOUBLED in following and at and letters[at - 1][0] == "ا":
            continue
        elif letter == "ة":
            sounds += ["t", vowel] if vowel else []
        elif letter in _CONSONANTS:
            sounds += [_CONSONANTS[letter], "ː" if _DOUBLED in signs else "", *vowel]
        elif letter == "ى":
            sounds.append("a")
        else:
            sounds.append(letter)
        sounds = [sound for sound in sounds if sound]
    return _stressed("".join(sounds)).rstrip("ː")


def _stressed(word: str) -> str:
    """On the last syllable that is long, unless it ends the word; else on the last but two."""
    vowels = [match.start() for match in re.finditer("[aiu]", word)]
    inner = [at for at in vowels if re.match("ː.|[^aiuː](?:[^aiuː]|ː)", word[at + 1 :])]
    if not vowels:
        return word
    at = inner[-1] if inner else vowels[max(len(vowels) - 3, 0)]
    return f"{word[:at]}ˈ{word[at:]}"
