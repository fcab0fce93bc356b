"""Passwords and PINs: how they are kept and compared. Hashes are slow on purpose, and made beside the event loop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

# 64 MiB, 3 passes, 4 lanes: the second recommended option of RFC 9106, a third of a second.
_hasher = PasswordHasher()
_pin_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_hashing = ThreadPoolExecutor(2, "argon2")
"""Two threads, so that a burst of sign-ins costs time, not memory."""


def new_password() -> str:
    """A password for somebody to keep in a password manager: 120 random bits."""
    return secrets.token_urlsafe(15)


async def hash_pin(pin: str) -> str:
    """The argon2id hash of a PIN, cheap enough for a box to check: 19 MiB, 2 passes, 1 lane."""
    return await _aside(lambda: _pin_hasher.hash(pin))


async def hash_password(password: str) -> str:
    """The argon2id hash to keep."""
    return await _aside(lambda: _hasher.hash(password))


async def matches(hashed: str | None, password: str) -> bool:
    """Whether ``hashed`` is of this password; where there is no hash, False after the same time."""
    found = await _aside(lambda: _verify(_nobody() if hashed is None else hashed, password))
    return found and hashed is not None


def is_outdated(hashed: str) -> bool:
    """Whether it was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(hashed)


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
