"""The master keys: they wrap the key of each person's data, and lie in a file that no database has.

A line is a key, ``ID HEX``, the newest first. The newest wraps; older ones open what they wrapped until
:mod:`cloud.platform.rotation` has wrapped it anew, and go then. Running programs notice: who wraps reads the file
each time, and who meets a key that it does not know reads it again.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.crypto import key_id
from shared.errors import QurbaniError
from shared.files import kept_once, write_whole

NONCE_SIZE = 12


class Masters:
    """The keys in ``path``, which is made with a first one when somebody wraps; without a path, only ``held``."""

    def __init__(self, path: Path | None, *held: bytes) -> None:
        self._path = path
        self._held = {key_id(key): key for key in held}

    def wrap(self, subject: UUID, key: bytes) -> tuple[str, bytes]:
        """``key`` wrapped for ``subject`` alone, and the id of the master key that opens it."""
        newest = self.ids()[0]
        nonce = os.urandom(NONCE_SIZE)
        return newest, nonce + AESGCM(self._held[newest]).encrypt(nonce, key, subject.bytes)

    def unwrap(self, subject: UUID, master: str, wrapped: bytes) -> bytes:
        """Raises ``misconfigured`` where the master key is not here, ``damaged`` for what is another subject's."""
        if master not in self._held and master not in self.ids():
            raise QurbaniError("misconfigured", f"master key {master} is not in {self._path}")
        try:
            return AESGCM(self._held[master]).decrypt(wrapped[:NONCE_SIZE], wrapped[NONCE_SIZE:], subject.bytes)
        except (InvalidTag, ValueError) as error:
            raise QurbaniError("damaged", f"the key of {subject} is not what was wrapped") from error

    def ids(self) -> list[str]:
        """The keys that the file has now, the newest first. Raises ``misconfigured`` where it holds something else."""
        if self._path:
            try:
                lines = [line.split() for line in kept_once(self._path, _line()).splitlines() if line]
                self._held = {id: bytes.fromhex(key) for id, key in lines}
            except ValueError as error:
                raise QurbaniError("misconfigured", f"{self._path} holds something else than keys") from error
        return list(self._held)

    def begin(self) -> str:
        """Put a new key in front, unless there are several already: then a rotation was begun. The newest's id."""
        if len(self.ids()) == 1:
            self._write(_line(), *self._lines())
        return self.ids()[0]

    def end(self) -> None:
        """Leave only the newest. Whatever another one wraps can never be opened again."""
        self.ids()
        self._write(self._lines()[0])

    def _lines(self) -> list[str]:
        return [f"{id} {key.hex()}\n" for id, key in self._held.items()]

    def _write(self, *lines: str) -> None:
        assert self._path, "the keys of a hub in memory stay"
        write_whole(self._path, [line.encode() for line in lines])


def _line() -> str:
    key = secrets.token_bytes(32)
    return f"{key_id(key)} {key.hex()}\n"
