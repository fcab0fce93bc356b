"""Keys of boxes and of the hub: Ed25519 to sign (RFC 8032), X25519 to wrap file keys (HPKE, RFC 9180).

A private key lies on disk as PKCS #8 PEM (RFC 5958, RFC 8410), readable by its owner only, and when there is
a passphrase, inside an envelope of Argon2id (RFC 9106) and AES-256-GCM: PKCS #8's own encryption stretches a
passphrase too little for a box that can be stolen.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from shared.errors import QurbaniError
from shared.files import write_whole

FILE_KEY_SIZE = 32
WRAPPED_SIZE = 32 + FILE_KEY_SIZE + 16
"""A wrapped file key: HPKE's encapsulated key, the ciphertext, its tag."""

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_WRAP_INFO = b"qurbani file key 1"


def key_id(public: bytes) -> str:
    """The short name of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


class _PublicKey:
    """The 32 raw bytes of a public key and its ``id``; equal where the bytes are equal."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 32:
            raise QurbaniError("bad_input", f"a public key has 32 bytes, this one {len(raw)}")
        self.raw = bytes(raw)
        self.id = key_id(self.raw)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _PublicKey) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash((type(self), self.raw))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


class VerifyKey(_PublicKey):
    """The Ed25519 public key of a box or the hub."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._key = Ed25519PublicKey.from_public_bytes(self.raw)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return when ``signature`` is this key's over ``message``; raise ``bad_signature`` otherwise."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise QurbaniError("bad_signature", f"not signed by key {self.id}") from error


class SealKey(_PublicKey):
    """The X25519 public key for which file keys are wrapped."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._key = X25519PublicKey.from_public_bytes(self.raw)

    def wrap(self, file_key: bytes) -> bytes:
        """``WRAPPED_SIZE`` bytes that only the holder of the private key can turn back into ``file_key``."""
        try:
            return _SUITE.encrypt(file_key, self._key, _WRAP_INFO)
        except ValueError as error:  # a point of low order, which shares its secret with everybody
            raise QurbaniError("bad_input", f"{self.id} is not a usable key") from error


class _PrivateKey:
    """32 secret bytes, and how they become a PKCS #8 PEM and come back."""

    _kind: ClassVar[type[Ed25519PrivateKey] | type[X25519PrivateKey]]

    def __init__(self, secret: bytes) -> None:
        self._key = self._kind.from_private_bytes(secret)

    @classmethod
    def generate(cls) -> Self:
        return cls(os.urandom(32))

    def pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Raises ``wrong_key`` when ``pem`` holds something else."""
        try:
            key = load_pem_private_key(pem, password=None)
        except ValueError as error:
            raise QurbaniError("wrong_key", "this is not a private key") from error
        if not isinstance(key, Ed25519PrivateKey | X25519PrivateKey) or not isinstance(key, cls._kind):
            raise QurbaniError("wrong_key", f"this is not a key for {cls.__name__}")
        return cls(key.private_bytes_raw())


class SigningKey(_PrivateKey):
    """The Ed25519 private key of a box or the hub."""

    _kind = Ed25519PrivateKey
    _key: Ed25519PrivateKey

    def __init__(self, secret: bytes) -> None:
        super().__init__(secret)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature; equal messages give equal signatures."""
        return self._key.sign(message)


class UnsealKey(_PrivateKey):
    """The X25519 private key that opens what was wrapped for its ``public`` half."""

    _kind = X25519PrivateKey
    _key: X25519PrivateKey

    def __init__(self, secret: bytes) -> None:
        super().__init__(secret)
        self.public = SealKey(self._key.public_key().public_bytes_raw())

    def unwrap(self, wrapped: bytes) -> bytes:
        """The file key. Raises ``wrong_key`` when it was wrapped for another key or has been altered."""
        try:
            return _SUITE.decrypt(wrapped, self._key, _WRAP_INFO)
        except InvalidTag as error:
            raise QurbaniError("wrong_key", f"key {self.public.id} does not open this file key") from error


PrivateKey = TypeVar("PrivateKey", SigningKey, UnsealKey)


def save_key(path: Path, key: SigningKey | UnsealKey, passphrase: str | None = None) -> None:
    """Write a private key, mode 0600, durable when this returns; locked when there is a ``passphrase``."""
    pem = key.pem()
    write_whole(path, [pem if passphrase is None else msgspec.json.encode(Locked.make(pem, passphrase))], mode=0o600)


def load_key(path: Path, kind: type[PrivateKey], passphrase: str | None = None) -> PrivateKey:
    """Read a private key that :func:`save_key` wrote.

    Raises ``key_locked`` when the passphrase is missing or wrong, ``wrong_key`` when the file holds no such key.
    """
    raw = path.read_bytes()
    return kind.from_pem(_unlock(raw, passphrase, path) if raw.startswith(b"{") else raw)


class Locked(msgspec.Struct, tag="argon2id+aes-256-gcm", tag_field="lock"):
    """A secret under a passphrase, with what is needed to derive its key again."""

    salt: bytes
    memory_kib: int
    passes: int
    lanes: int
    nonce: bytes
    sealed: bytes

    @classmethod
    def make(cls, plain: bytes, passphrase: str) -> Self:
        # RFC 9106's second recommended option: 64 MiB and three passes, about a third of a second on a box.
        locked = cls(os.urandom(16), 64 * 1024, 3, 4, os.urandom(12), b"")
        locked.sealed = locked._cipher(passphrase).encrypt(locked.nonce, plain, None)
        return locked

    def open(self, passphrase: str, what: str) -> bytes:
        """The secret. Raises ``key_locked``, which says ``what`` does not open."""
        try:
            return self._cipher(passphrase).decrypt(self.nonce, self.sealed, None)
        except InvalidTag as error:
            raise QurbaniError("key_locked", f"the passphrase does not open {what}") from error

    def _cipher(self, passphrase: str) -> AESGCM:
        return AESGCM(hash_secret_raw(
            passphrase.encode(), self.salt, self.passes, self.memory_kib, self.lanes, 32, Type.ID))


def _unlock(raw: bytes, passphrase: str | None, path: Path) -> bytes:
    try:
        locked = msgspec.json.decode(raw, type=Locked)
    except msgspec.DecodeError as error:
        raise QurbaniError("wrong_key", f"{path} does not hold a private key") from error
    if passphrase is None:
        raise QurbaniError("key_locked", f"{path} needs its passphrase")
    return locked.open(passphrase, str(path))
