"""Which passwords may be chosen: none that guessers try first, and every other that is long enough."""

from __future__ import annotations

from itertools import product

import pytest

from cloud.auth import passwords
from cloud.auth.guessable import is_guessable
from shared.errors import QurbaniError

COMMON = ("password", "motdepasse", "letmein", "welcome", "iloveyou", "admin", "administrator", "dragon", "football",
          "sunshine", "princess", "superman", "qwerty", "azerty", "asdfgh", "zxcvbn", "1qaz2wsx", "123456", "987654321",
          "abcdef", "aaaaaa", "111111", "monkey", "shadow", "hello")  # fmt: skip
OURS = ("qurbani", "kurban", "adhiya", "udhiya", "eidmubarak", "sacrifice", "ramadan", "bismillah", "charity",
        "muhammad")  # fmt: skip
TWISTS = (str, str.upper, str.title, lambda word: word.replace("a", "@").replace("o", "0").replace("e", "3"),
          lambda word: word.replace("i", "1").replace("s", "$"))  # fmt: skip
ENDS = ("", "1", "123", "2026", "!", "01", "007", "1234567890")


def _long(piece: str) -> str:
    return piece * (15 // len(piece) + 1)


def variants(words: tuple[str, ...]) -> set[str]:
    twisted = {twist(word) + end for word, twist, end in product(words, TWISTS, ENDS)}
    return {_long(piece) for piece in twisted} | {f"{piece}-{piece}{piece}" for piece in twisted if len(piece) > 5}


def test_what_guessers_try_first_is_refused() -> None:
    common, ours = variants(COMMON), variants(OURS)
    assert len(common) >= 1500
    assert len(ours) >= 200
    assert [found for found in common | ours if not is_guessable(found)] == []


@pytest.mark.parametrize("password", [
    "qwertyuiopasdfghjkl", "1q2w3e4r5t6y7u8i9o0p", "abcdefghijklmnopqrst", "zyxwvutsrqponmlk", "aaaaaaaaaaaaaaaa",
    "abcabcabcabcabcabc", "Password1234567!", "P@ssw0rdP@ssw0rd", "AminaHaddad2026!", "amina.haddad@example",
    "قرباني قرباني قرباني", "بسم الله 1234567890", "QURBANI-QURBANI-1", "correct horse battery staple",
])  # fmt: skip
def test_easy_ones_are_refused(password: str) -> None:
    with pytest.raises(QurbaniError) as refused:
        passwords.check_new(password, "Amina Haddad", "amina@example.org")
    assert refused.value.facts["reason"] == "guessable"


@pytest.mark.parametrize("password", [
    "teapot river cloud", "quatre mots sans lien", "السماء تمطر على الجبل", "x9Kq2mWv7TzR4bL", "🐑 ساعة 🐐 باب 🐄 نهر",
    "my bicycle has three yellow wheels", "qq" + "velvet harbour 91" * 14,
])  # fmt: skip
def test_whatever_else_is_long_enough_will_do(password: str) -> None:
    passwords.check_new(password, "Amina Haddad", "amina@example.org")


@pytest.mark.parametrize("password", ["", "fourteen chars", "cafe\u0301 e\u0301te\u0301 bleu"])
def test_short_ones_are_refused(password: str) -> None:
    """Counted as the hash sees them: a letter and its accent are one."""
    with pytest.raises(QurbaniError) as refused:
        passwords.check_new(password)
    assert refused.value.facts == {"reason": "short", "least": 15}


def test_a_password_that_we_make_will_do() -> None:
    for _ in range(100):
        passwords.check_new(passwords.new_password())


async def test_two_keyboards_write_the_same_password() -> None:
    composed, decomposed = "caf\u00e9 rivi\u00e8re nuage", "cafe\u0301 rivie\u0300re nuage"
    assert await passwords.matches(await passwords.hash_password(composed), decomposed)
