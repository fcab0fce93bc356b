"""The hub's keys: one secret of 32 bytes, and from it one key for each purpose (HKDF, RFC 5869)."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloud.platform.settings import Settings
from shared.crypto import SigningKey, UnsealKey
from shared.errors import QurbaniError
from shared.files import sync_folder

SIZE = 32


class Keys:
    """Derives the key of a purpose. Two purposes never share a key; the same purpose always gets the same."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def load(cls, settings: Settings) -> Keys:
        """From the environment, else from the data folder, where it is made at the first start.

        Raises ``misconfigured`` for a secret that is not 32 bytes in hex.
        """
        text = settings.secret or _kept(settings.data_path / "secret.key")
        try:
            secret = bytes.fromhex(text)
        except ValueError as error:
            raise QurbaniError("misconfigured", "QURBANI_SECRET is not hex") from error
        if len(secret) != SIZE:
            raise QurbaniError("misconfigured", f"QURBANI_SECRET has {len(secret)} bytes, not {SIZE}")
        return cls(secret)

    @cached_property
    def sign(self) -> SigningKey:
        """The hub's identity: signs what boxes and auditors check."""
        return SigningKey(self.derive("sign/1"))

    @cached_property
    def unseal(self) -> UnsealKey:
        """Opens the file keys of sealed blobs."""
        return UnsealKey(self.derive("unseal/1"))

    def derive(self, purpose: str) -> bytes:
        """The 32 bytes for ``purpose``."""
        return HKDF(hashes.SHA256(), SIZE, salt=None, info=f"qurbani/{purpose}".encode()).derive(self._secret)


def _kept(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with NamedTemporaryFile("w", dir=path.parent) as fresh:
            fresh.write(secrets.token_hex(SIZE))
            fresh.flush()
            os.fsync(fresh.fileno())
            # Several programs may start at once: whoever links first wins, and all read the winner's.
            with suppress(FileExistsError):
                os.link(fresh.name, path)
        sync_folder(path.parent)
    return path.read_text().strip()
