"""The hub's keys: one secret of 32 bytes, and from it one key for each purpose (HKDF, RFC 5869)."""

from __future__ import annotations

import secrets
from functools import cached_property
from hashlib import sha256
from hmac import digest
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloud.platform.masters import Masters
from cloud.platform.settings import Settings
from shared.crypto import SigningKey, UnsealKey
from shared.errors import QurbaniError
from shared.files import kept_once

SIZE = 32


class Keys:
    """Derives the key of a purpose. Two purposes never share a key; the same purpose always gets the same."""

    def __init__(self, secret: bytes, masters: Path | None = None) -> None:
        """``masters`` is the file of the master keys; without, there is one, for a hub in memory."""
        self._secret = secret
        self._derived: dict[str, bytes] = {}
        self.masters = Masters(masters) if masters else Masters(None, self.derive("master/1"))

    @classmethod
    def load(cls, settings: Settings) -> Keys:
        """From the environment, else from the data folder, where it is made at the first start.

        Raises ``misconfigured`` for a secret that is not 32 bytes in hex.
        """
        text = settings.secret or kept_once(settings.data_path / "secret.key", secrets.token_hex(SIZE)).strip()
        try:
            secret = bytes.fromhex(text)
        except ValueError as error:
            raise QurbaniError("misconfigured", "QURBANI_SECRET is not hex") from error
        if len(secret) != SIZE:
            raise QurbaniError("misconfigured", f"QURBANI_SECRET has {len(secret)} bytes, not {SIZE}")
        return cls(secret, settings.master_path)

    @cached_property
    def sign(self) -> SigningKey:
        """The hub's identity: signs what boxes and auditors check."""
        return SigningKey(self.derive("sign/1"))

    @cached_property
    def unseal(self) -> UnsealKey:
        """Opens the file keys of sealed blobs."""
        return UnsealKey(self.derive("unseal/1"))

    def blind(self, purpose: str, text: str) -> bytes:
        """What ``text`` is looked up by where it must not stand: without this key, nobody can try out what it was."""
        return digest(self.derive(f"blind/1/{purpose}"), text.encode(), sha256)

    def derive(self, purpose: str) -> bytes:
        """The 32 bytes for ``purpose``."""
        if purpose not in self._derived:
            info = f"qurbani/{purpose}".encode()
            self._derived[purpose] = HKDF(hashes.SHA256(), SIZE, salt=None, info=info).derive(self._secret)
        return self._derived[purpose]
