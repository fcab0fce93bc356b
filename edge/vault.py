"""The private keys of a box on its disk: as open files, or locked.

Locked, each lies there as PKCS #8 encrypts it (RFC 5958), under one random password. ``lock.json`` holds that password
under what a person or a key file knows, so changing the lock is the change of one file, and at every moment of it, and
of locking what lay open, the folder can be read with what its ``lock.json`` asks for.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from shared.crypto import Locked
from shared.errors import QurbaniError
from shared.files import sync_folder, write_whole

LOCK = "lock.json"

KEY_FILE_BYTES = 32
"""A key file holds at least so many, and as many when it is made here."""

Kind = Literal["passphrase", "key file"]

_BEGIN_LOCKED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_END = re.compile(rb"-----END (?:ENCRYPTED )?PRIVATE KEY-----\n")


class Vault:
    """The folder of the private keys, by the names of their files. With a ``password`` they lie there encrypted.

    A file holds one private key as PEM; what follows the key in it (a certificate) is no secret.
    """

    def __init__(self, folder: Path, password: bytes | None = None) -> None:
        self.folder = folder
        self.password = password

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.pem"))

    def lying_open(self) -> list[str]:
        """Those that whoever has the disk can read."""
        return [name for name in self.names() if not _is_locked((self.folder / name).read_bytes())]

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes:
        """The file as if it were not locked. Raises ``key_locked``, ``wrong_key``, or ``FileNotFoundError``."""
        raw = (self.folder / name).read_bytes()
        if not _is_locked(raw):
            return raw
        if self.password is None:
            raise QurbaniError("key_locked", f"{self.folder / name} is locked")
        try:
            return _rewritten(raw, self.password, NoEncryption())
        except ValueError as error:
            raise QurbaniError("wrong_key", f"{self.folder / name} is not of this box, or damaged") from error

    def write(self, name: str, pem: bytes) -> None:
        """Durable when this returns."""
        locked = _rewritten(pem, None, BestAvailableEncryption(self.password)) if self.password else pem
        write_whole(self.folder / name, [locked])

    def settle(self) -> None:
        """Let no file lie open that is to be locked: enrolled before there was a lock, or cut while it was made."""
        for name in self.lying_open() if self.password else ():
            self.write(name, self.read(name))


class Lock(msgspec.Struct, frozen=True):
    """Under what the password of a vault lies: words that a person knows, or the hash of a key file."""

    kind: Kind
    locked: Locked

    def vault(self, folder: Path, secret: str) -> Vault:
        """The vault in ``folder``. Raises ``key_locked`` when that is not the secret."""
        return Vault(folder, self.locked.open(secret, f"the keys in {folder}"))


def read_lock(folder: Path) -> Lock | None:
    """None where the keys lie open. Raises ``misconfigured`` where nobody can tell."""
    try:
        return msgspec.json.decode((folder / LOCK).read_bytes(), type=Lock)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise QurbaniError("misconfigured", f"{folder / LOCK} is not as it was written: take it from a copy") from error


def lock(vault: Vault, kind: Kind, secret: str) -> Vault:
    """Lock a vault, or lock it otherwise than it is. Safe to repeat, also after it was killed.

    Raises ``key_locked`` for one that is locked and not opened: its password would be lost.
    """
    if vault.password is None and len(vault.lying_open()) < len(vault.names()):
        raise QurbaniError("key_locked", f"the keys in {vault.folder} are locked already")
    password = vault.password or secrets.token_hex(32).encode()
    write_whole(vault.folder / LOCK, [msgspec.json.encode(Lock(kind, Locked.make(password, secret)))])
    locked = Vault(vault.folder, password)
    locked.settle()
    return locked


def lay_open(vault: Vault) -> None:
    """Take the lock away. Safe to repeat, also after it was killed."""
    opened = Vault(vault.folder)
    for name in vault.names():
        opened.write(name, vault.read(name))
    (vault.folder / LOCK).unlink(missing_ok=True)
    sync_folder(vault.folder)


def make_key_file(path: Path) -> None:
    """Random bytes, durable when this returns."""
    write_whole(path, [secrets.token_bytes(KEY_FILE_BYTES)], mode=0o400)


def key_file_secret(path: Path) -> str:
    """What a key file knows. Raises ``key_locked`` where there is none, or one that is too short to be one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise QurbaniError("key_locked", f"the key file {path} cannot be read: {error.strerror}") from error
    if len(content) < KEY_FILE_BYTES:
        raise QurbaniError("key_locked", f"{path} is no key file: it has {len(content)} bytes of at least 32")
    return hashlib.sha256(content).hexdigest()


def _is_locked(raw: bytes) -> bool:
    return raw.startswith(_BEGIN_LOCKED)


def _rewritten(pem: bytes, password: bytes | None, encryption: KeySerializationEncryption) -> bytes:
    """The same private key, encrypted otherwise, and what follows it."""
    key = load_pem_private_key(pem, password)
    _, rest = _END.split(pem, maxsplit=1)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) + rest
