"""Passwords and PINs: which may be chosen, how they are kept and compared.

Hashes are slow on purpose, and made beside the event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cloud.auth.guessable import is_guessable
from shared.errors import QurbaniError

T = TypeVar("T")

LEAST = 15
"""Characters of a password that is all there is (NIST SP 800-63B-4, section 3.1.1.2)."""
LEAST_OF_TWO = 8
"""Of one beside a second factor."""

# 64 MiB, 3 passes, 4 lanes: the second recommended option of RFC 9106, a third of a second.
_hasher = PasswordHasher()
_pin_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashing = ThreadPoolExecutor(2, "argon2")
"""Two threads, so that a burst of sign-ins costs time, not memory."""


def new_password() -> str:
    """A password for somebody to keep in a password manager: 120 random bits."""
    return secrets.token_urlsafe(15)


def check_new(password: str, *own: str, least: int = LEAST) -> None:
    """Raise ``weak_password`` where a password is too short or easy to guess; ``own`` is known of its owner.

    Nothing is asked of the signs in it, and it never expires.
    """
    password = _normal(password)
    if len(password) < least:
        raise QurbaniError("weak_password", f"a password has at least {least} characters", reason="short", least=least)
    if is_guessable(password, own):
        raise QurbaniError("weak_password", "this is among what guessers try first", reason="guessable")


async def hash_pin(pin: str) -> str:
    """The argon2id hash of a PIN, cheap enough for a box to check: 19 MiB, 2 passes, 1 lane."""
    return await _aside(lambda: _pin_hasher.hash(pin))


async def hash_password(password: str) -> str:
    """The argon2id hash to keep."""
    return await _aside(lambda: _hasher.hash(_normal(password)))


async def matches(hashed: str | None, password: str) -> bool:
    """Whether ``hashed`` is of this password; where there is no hash, False after the same time."""
    found = await _aside(lambda: _verify(_nobody() if hashed is None else hashed, _normal(password)))
    return found and hashed is not None


def is_outdated(hashed: str) -> bool:
    """Whether it was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(hashed)


def _normal(password: str) -> str:
    """The same for every keyboard that writes the same (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def _verify(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """A hash to compare with where there is no account."""
    return _hasher.hash(secrets.token_urlsafe())


async def _aside(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_hashing, work)
