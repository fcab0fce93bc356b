"""Who this box is: its private keys, and what the hub said when it enrolled."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from edge.db import Database, Tx, one
from edge.vault import Vault
from shared.crypto import PrivateKey, SealKey, SigningKey, UnsealKey, VerifyKey
from shared.errors import QurbaniError

FIRST = "sign.pem"
KEY_FILES = (FIRST, "seal.pem")


class Keyring:
    """The keys that the box signs with, by the names of their files: one for each name that it has gone by."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._keys: dict[str, SigningKey] = {}

    def __getitem__(self, name: str) -> SigningKey:
        """Raises ``misconfigured`` when the file is not there."""
        if name not in self._keys:
            self._keys[name] = _load(self._vault, name, SigningKey)
        return self._keys[name]

    def make(self, name: str) -> SigningKey:
        """The key of that name, which is on the disk when this returns; the same one every time."""
        if not self._vault.has(name):
            self._vault.write(name, SigningKey.generate().pem())
        return self[name]


class Keys(msgspec.Struct, frozen=True):
    """The private keys. They never leave the box; the hub knows their public halves.

    ``sign`` is the first of the ``ring``; ``seal`` opens what lies on this disk.
    """

    sign: SigningKey
    seal: UnsealKey
    ring: Keyring
    vault: Vault

    @classmethod
    def load(cls, vault: Vault) -> Self:
        """The keys in ``vault``. Raises ``misconfigured`` when they are not there: new ones would help nobody."""
        ring = Keyring(vault)
        return cls(ring[FIRST], _load(vault, KEY_FILES[1], UnsealKey), ring, vault)

    @classmethod
    def make(cls, vault: Vault) -> Self:
        """As :meth:`load`; what is not there yet is made. For a box that enrols."""
        sign, seal = KEY_FILES
        if not vault.has(sign):
            vault.write(sign, SigningKey.generate().pem())
        if not vault.has(seal):
            vault.write(seal, UnsealKey.generate().pem())
        return cls.load(vault)


class Node(msgspec.Struct, frozen=True):
    """An enrolled box: its id, its site, the hub that it trusts, and the file of the key that it signs with."""

    id: UUID
    site_id: UUID
    name: str
    hub_url: str
    hub_sign_key: bytes
    hub_seal_key: bytes
    sign_file: str = FIRST

    @property
    def hub_verify(self) -> VerifyKey:
        return VerifyKey(self.hub_sign_key)

    @property
    def hub_seal(self) -> SealKey:
        return SealKey(self.hub_seal_key)


def load(db: Database) -> Node | None:
    """Who the box is, or None before it has enrolled."""
    rows = db.rows("SELECT id, site_id, name, hub_url, hub_sign_key, hub_seal_key, sign_file FROM node")
    return msgspec.convert(rows[0], Node) if rows else None


def its_site(tx: Tx) -> dict[str, Any]:
    """The fields of the site that the box belongs to, as far as the hub has said; none as long as it has not."""
    return one(tx, "SELECT site.* FROM site JOIN node ON node.site_id = site.id") or {}


def its_zone(tx: Tx) -> tzinfo:
    """The time zone of that site; UTC as long as it is not known, or not known here."""
    try:
        return ZoneInfo(its_site(tx).get("timezone") or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def save(db: Database, node: Node) -> None:
    """Remember the enrolment. Raises ``conflict`` when the box has a history under another id or at another hub."""
    same = [str(node.id), node.hub_sign_key]

    def work(tx: Tx) -> None:
        if tx.table("op").count and not tx.table("node").count_where("id = ? AND hub_sign_key = ?", same):
            raise QurbaniError("conflict", "this box has recorded under another identity; start with an empty folder")
        row = msgspec.to_builtins(node, builtin_types=(bytes,))
        tx.table("node").upsert({"one": 1, **row}, pk="one")

    db.write(work)


def _load(vault: Vault, name: str, kind: type[PrivateKey]) -> PrivateKey:
    try:
        return kind.from_pem(vault.read(name))
    except FileNotFoundError as error:
        raise QurbaniError("misconfigured", f"the private key {error.filename} is missing") from error
