"""Names by their sound: one form for the many ways a name is written, in Arabic or in Latin letters.

``Khadidja`` and ``خديجة``, ``Ouali`` and ``Wali``, ``Abd ar-Rahman`` and ``Abderrahmane`` come out the same or
nearly so. The form is made for an ordinary edit distance: each sound is spelled with as many letters as it
weighs, and sounds that recognisers confuse share some of theirs. A vowel is one letter (the most confused, and
in Arabic mostly not written); a consonant is three, of which ``t`` and ``d`` share two, ``s`` and ``sh`` one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

# Arabic, Persian and Urdu letters as the Latin ones that the rules below read.
_ARABIC = {
    "ا": "a", "ب": "b", "ت": "t", "ث": "th", "ج": "j", "ح": "h", "خ": "kh", "د": "d", "ذ": "dh", "ر": "r",
    "ز": "z", "س": "s", "ش": "sh", "ص": "s", "ض": "d", "ط": "t", "ظ": "dh", "ع": "a", "غ": "gh", "ف": "f",
    "ق": "q", "ك": "k", "ل": "l", "م": "m", "ن": "n", "ه": "h", "ة": "a", "و": "w", "ي": "y", "ى": "a",
    "ء": "", "ٱ": "a", "پ": "p", "چ": "ch", "ژ": "zh", "ک": "k", "گ": "g", "ی": "y", "ہ": "h", "ھ": "h",
    "ں": "n", "ٹ": "t", "ڈ": "d", "ڑ": "r", "ے": "y", "ـ": "",
}  # fmt: skip

# Arabic words (without their signs) whose unwritten vowels matter, or would be guessed wrongly.
_READ = {
    "محمد": "mohamed", "احمد": "ahmed", "حسن": "hasan", "حسين": "husein", "عمر": "omar", "عثمان": "othman",
    "عبد": "abd", "بن": "ben", "ابن": "ben", "بنت": "bint", "الله": "allah", "عبدالله": "abdallah", "ام": "um",
    "سعد": "saad", "صالح": "saleh", "خالد": "khaled", "طارق": "tariq", "جابر": "jaber", "يوسف": "yusuf",
    "ابراهيم": "ibrahim", "اسماعيل": "ismail", "مصطفى": "mustafa", "عايشة": "aisha", "فاطمة": "fatima",
}  # fmt: skip

_LETTERS = str.maketrans({
    "ş": "sh", "ç": "ch", "ğ": "", "ı": "i", "ø": "o", "œ": "e", "æ": "e", "ß": "ss", "ł": "l", "đ": "d", "ɗ": "d",
    "ɓ": "b", "ƙ": "k", "ŋ": "n", "ɲ": "n", "ñ": "n", "ʿ": "", "ʾ": "", "’": "", "'": "", "ʼ": "", "‘": "",
})  # fmt: skip

_SILENT = set("ءـğʿʾʼ")

_BEN = {"ibn", "bin", "ben", "bn"}
_BINT = {"bint", "bent", "bnt"}
_MOHAMED = {"mohd", "md", "med", "mhd", "muhd"}
_ARTICLE = re.compile(r"[aeui]l")
_SUN_ARTICLE = re.compile(r"[aeu]([dnrstz])\1?|[ae]ch|[ae]sh")
_ABD = re.compile(r"abd(?:ou|[aeu])(?:l|([rsznt])(?=\1))?")
_DIN = re.compile(r"(?<=[a-z]{2})[aeou]{1,2}d{1,2}ine?$|^[aeou]dd?ine?$")

# A word in Latin letters, rewritten from top to bottom until each sound is one sign of _WEIGHT.
_RULES = tuple((re.compile(pattern), sign) for pattern, sign in (
    (r"(?<=[aeiou])h$", ""),
    (r"(?<=[b-df-hj-np-tv-z])e$", ""),
    (r"tch|sch|sh|ch", "C"),
    (r"dsch|dj|dg|zh", "j"),
    (r"kh", "X"),
    (r"gh", "G"),
    (r"th", "T"),
    (r"dh", "D"),
    (r"ph", "f"),
    (r"x", "ks"),
    (r"qu(?=[aeiy])|ck|q", "k"),
    (r"c(?=[eiy])", "s"),
    (r"c", "k"),
    (r"gu(?=[eiy])", "g"),
    (r"g(?=[eiy])", "j"),
    (r"ou|oo|w", "u"),
    (r"ee|y", "i"),
    (r"[ae]i|ae", "i"),
    (r"e", "a"),
    (r"o", "u"),
    (r"(.)\1+", r"\1"),
    (r"i(?=[au])", "I"),
    (r"u(?=[ai])", "U"),
))  # fmt: skip

_WEIGHT = str.maketrans({
    "a": "a", "i": "i", "u": "u", "I": "ii", "U": "uu", "h": "h",
    "b": "BBb", "p": "BBp", "v": "BFv", "f": "FFf", "m": "MNm", "n": "NNn",
    "t": "TTt", "d": "TTd", "T": "TSy", "D": "TSw", "s": "SSs", "z": "SSz", "C": "JSc", "j": "JSj",
    "k": "KKk", "g": "KKg", "X": "KKh", "G": "KRg", "r": "RRr", "l": "LLl",
})  # fmt: skip


PHONES = "aiuIUhbpvfmntdTDszCjkgXGrl"
"""The sounds that are told apart; ``I`` and ``U`` glide into a vowel, the other capitals are two letters in Latin."""


@lru_cache(maxsize=8192)
def sound(text: str) -> str:
    """The sound of ``text`` as letters to be compared by edit distance; empty when it cannot be read."""
    return "".join(_respelled(word) for word in parts(text)).translate(_WEIGHT)


@lru_cache(maxsize=8192)
def phones(text: str) -> tuple[str, ...]:
    """The sounds of each word of ``text``, one sign of :data:`PHONES` each; no word when it cannot be read."""
    return tuple(filter(None, (_respelled(word) for word in parts(text))))


def readable(text: str) -> float:
    """The share of the letters of ``text`` that :func:`sound` can read: 0 for a script it does not know."""
    letters = [letter for letter in text if letter.isalpha()]
    known = sum(letter.casefold() in _SILENT or bool(_latin(letter)) for letter in letters)
    return known / len(letters) if letters else 0.0


def parts(text: str) -> list[str]:
    """The words of ``text`` in the Latin letters that the rules read, particles made alike, articles left out."""
    words = re.findall("[a-z]+", _latin(text))
    kept = [_word(word) for position, word in enumerate(words)
            if not _is_article(word, words[position + 1] if position + 1 < len(words) else "")]  # fmt: skip
    return kept or words


def _latin(text: str) -> str:
    """Lower-case ASCII with blanks and punctuation, whatever the script; what cannot be read is left out."""
    lowered = text.casefold().translate(_LETTERS)
    # A stressed last syllable is not a silent one: Touré, Koné.
    lowered = re.sub(r"é\b", "ei", unicodedata.normalize("NFC", lowered))
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(sign))
    spelled = re.sub("[\u0600-\u06ff]+", lambda match: _from_arabic(match.group()), bare)
    return spelled.encode("ascii", "ignore").decode()


def _from_arabic(word: str) -> str:
    """One Arabic word. An ``a`` stands in for each short vowel that may lie between two consonants, unwritten."""
    bare = word if word in _READ or len(word) <= 4 else word.removeprefix("ال")
    if bare in _READ:
        return _READ[bare]
    letters = [_ARABIC.get(letter, "") for letter in bare]
    return "".join(
        one + ("a" if _is_consonant(one) and _is_consonant(two) else "") for one, two in pairwise([*letters, ""])
    )


def _is_consonant(letter: str) -> bool:
    return letter[:1] not in ("", "a", "w", "y")


def _word(word: str) -> str:
    if word in _BEN:
        return "ben"
    if word in _BINT:
        return "bint"
    if word in _MOHAMED:
        return "mohamed"
    return _DIN.sub("din", _ABD.sub("abd", word, count=1) if word.startswith("abd") else word)


def _is_article(word: str, following: str) -> bool:
    """``al``, ``el`` before another word; ``ar``, ``ed``, ... before one that begins with that sound."""
    if _ARTICLE.fullmatch(word):
        return bool(following)
    sun = _SUN_ARTICLE.fullmatch(word)
    return bool(sun and following.startswith(sun.group(1) or word[1:]))


def _respelled(word: str) -> str:
    for pattern, sign in _RULES:
        word = pattern.sub(sign, word)
    return word


# What is left of a sound where only letters are compared, not likeness: each sound stands for all it is confused with.
_CORE = {
    "b": "b", "p": "b", "v": "bf", "f": "f", "m": "m", "n": "n", "t": "t", "d": "t", "T": "ts", "D": "ts", "s": "s",
    "z": "s", "C": "c", "j": "j", "k": "k", "g": "kj", "X": "kh", "G": "k", "r": "r", "l": "l", "h": "h",
    "I": "i", "U": "u",
}  # fmt: skip
_MOST_CORES = 16
_ABD_AL = re.compile(r"\bعبد(?=ال)")
"""Written as one word as often as not."""


@lru_cache(maxsize=8192)
def cores(text: str) -> tuple[frozenset[str], ...]:
    """Of each word of ``text`` the forms under which it is looked up, where nothing but equality can be asked.

    Two spellings of a name have forms in common, word by word: vowels are left out, as Arabic leaves them out, and
    words that some write as one (``Ben Ali``, ``Nour Eddine``) have the form of that, too. Names that sound alike share
    forms as well, so what is found wants to be looked at. What cannot be read stands for itself.
    """
    words = phones(_ABD_AL.sub("عبد ", text))
    if not words:
        return tuple(frozenset({word}) for word in text.casefold().split())
    joined = [_cores(one + two) for one, two in pairwise(words)]
    return tuple(_cores(word).union(*joined[max(0, at - 1) : at + 1]) for at, word in enumerate(words))


@lru_cache(maxsize=8192)
def _cores(word: str) -> frozenset[str]:
    begins = "a" if word[0] in "aiu" else ""
    sounds = [sign for at, sign in enumerate(word) if sign not in "aiu" and (at == 0 or sign not in "IU")]
    if len(sounds) < 2:  # too little to tell it by: Aya, Awa
        sounds = [sign for sign in word if sign not in "aiu"]
    forms = [begins]
    for sign in sounds:
        forms = [form + other for form in forms for other in _CORE[sign]][:_MOST_CORES]
    return frozenset(forms)
