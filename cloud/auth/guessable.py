"""Passwords that guessers try first, by rule instead of by list: what is left when all that is easy is taken out?

Easy are rows of keys, runs of one sign, letters and digits in order, words that stand in every list of stolen
passwords, words of this product, and one's own name and address; in capitals, spelt with digits or said twice they are
no better (NIST SP 800-63B-4, section 3.1.1.2, asks to refuse what is "commonly used, expected, or compromised").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

LEFT = 6
"""So many different signs have to be left."""
IN_ORDER = 4
"""So many keys in order are no accident."""

_ORDERS = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "azertyuiop", "qsdfghjklm",
    "wxcvbn", "qwertzuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p", "!@#$%^&*()",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "ضصثقفغعهخحجد", "شسيبلاتنمكط",
)  # fmt: skip
_WORDS = (
    # of every list
    "password", "passwort", "passphrase", "passe", "motdepasse", "contrasena", "letmein", "welcome", "bienvenue",
    "administrator", "administrateur", "admin", "root", "login", "logon", "user", "guest", "test", "default", "change",
    "secret", "master", "iloveyou", "jetaime", "love", "monkey", "dragon", "football", "soccer", "baseball", "superman",
    "batman", "sunshine", "princess", "shadow", "michael", "qwerty", "azerty", "asdfgh", "zxcvbn", "abcdef", "computer",
    "internet", "summer", "winter", "hello", "bonjour", "salam", "marhaba", "habibi", "access", "trustno",
    "correcthorsebatterystaple",
    "مرحبا", "سلام", "كلمةالسر", "كلمةالمرور", "حبيبي",
    # of this product and those whom it serves
    "qurbani", "kurbani", "qurban", "kurban", "adhiya", "udhiya", "oudhia", "adha", "eidmubarak", "eid", "aidmabrouk",
    "tabaski", "bakra", "sacrifice", "slaughter", "sheep", "mouton", "goat", "chevre", "buffalo", "camel", "donor",
    "donation", "charity", "executor", "auditor", "allah", "bismillah", "alhamdulillah", "inshallah", "mubarak",
    "ramadan", "muhammad", "mohamed", "mohammed", "ahmed", "islam", "makkah", "mecca",
    "قرباني", "اضحية", "أضحية", "عيدالاضحى", "عيد", "مبارك", "بسمالله", "الحمدلله", "الله", "محمد", "احمد", "رمضان",
)  # fmt: skip
_AS_LETTERS = str.maketrans("01345789@$!|l", "oieastbgasiii")
"""What digits are written for; one of them is for two letters, which therefore are one."""
_RUN = re.compile(r"(.)\1{2,}")


def is_guessable(password: str, own: Iterable[str] = ()) -> bool:
    """Whether less than :data:`LEFT` is left of ``password``; ``own`` is what is known of its owner."""
    text, words = password.casefold(), sorted({*_BARE_WORDS, *_parts(own)}, key=len, reverse=True)
    # "1234" is a row, and "123a" is one of a word: look for rows both before and after digits are read as letters.
    readings = _spelt(_without_rows(text, _ROWS)), _without_rows(_spelt(text), _SPELT_ROWS)
    return any(_left(reading, words) < LEFT for reading in readings)


def _left(text: str, words: Sequence[str]) -> int:
    """How many different signs are left of ``text`` without ``words``."""
    bare = "".join(sign for sign in text if sign.isalnum())
    for word in words:
        bare = bare.replace(word, "")
    return len(set(_once(_RUN.sub(r"\1", bare))))


def _without_rows(text: str, rows: Sequence[str]) -> str:
    kept, at = "", 0
    while at < len(text):
        size = max(_in_row(text[at:], row) for row in rows)
        kept += "" if size else text[at]
        at += size or 1
    return kept


def _in_row(text: str, row: str) -> int:
    """How many signs of ``text`` from its beginning stand so in ``row``; 0 where they may be an accident."""
    if text[:IN_ORDER] not in row or len(text) < IN_ORDER:
        return 0
    return next(size for size in range(min(len(text), len(row)), 0, -1) if text[:size] in row)


def _parts(own: Iterable[str]) -> Iterator[str]:
    for text in own:
        yield from (_spelt(part) for part in re.split(r"[\W_]+", text.casefold()) if len(part) > 2)


def _spelt(text: str) -> str:
    return text.translate(_AS_LETTERS)


def _once(text: str) -> str:
    """``abc`` of ``abcabcabc``."""
    return text[: (text + text).find(text, 1)] if text else ""


_BARE_WORDS = frozenset(map(_spelt, _WORDS))
_ROWS = tuple(row[::step] for row in _ORDERS for step in (1, -1))
_SPELT_ROWS = tuple(map(_spelt, _ROWS))
