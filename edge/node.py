"""Who this box is: its private keys, and what the hub said when it enrolled."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from uuid import UUID

import msgspec

from edge.db import Database, Tx
from shared.crypto import SealKey, SigningKey, UnsealKey, VerifyKey, load_key, save_key
from shared.errors import QurbaniError

KEY_FILES = ("sign.pem", "seal.pem")


class Keys(msgspec.Struct, frozen=True):
    """The private keys. They never leave the box; the hub knows their public halves."""

    sign: SigningKey
    seal: UnsealKey

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The keys in ``folder``. Raises ``misconfigured`` when they are not there: new ones would help nobody."""
        sign, seal = (folder / name for name in KEY_FILES)
        try:
            return cls(load_key(sign, SigningKey), load_key(seal, UnsealKey))
        except FileNotFoundError as error:
            raise QurbaniError("misconfigured", f"the private key {error.filename} is missing") from error

    @classmethod
    def make(cls, folder: Path) -> Self:
        """As :meth:`load`; what is not there yet is made. For a box that enrols."""
        sign, seal = (folder / name for name in KEY_FILES)
        if not sign.exists():
            save_key(sign, SigningKey.generate())
        if not seal.exists():
            save_key(seal, UnsealKey.generate())
        return cls.load(folder)


class Node(msgspec.Struct, frozen=True):
    """An enrolled box: its id, its site, and the hub that it trusts."""

    id: UUID
    site_id: UUID
    name: str
    hub_url: str
    hub_sign_key: bytes
    hub_seal_key: bytes

    @property
    def hub_verify(self) -> VerifyKey:
        return VerifyKey(self.hub_sign_key)

    @property
    def hub_seal(self) -> SealKey:
        return SealKey(self.hub_seal_key)


def load(db: Database) -> Node | None:
    """Who the box is, or None before it has enrolled."""
    rows = db.rows("SELECT id, site_id, name, hub_url, hub_sign_key, hub_seal_key FROM node")
    return msgspec.convert(rows[0], Node) if rows else None


def save(db: Database, node: Node) -> None:
    """Remember the enrolment. Raises ``conflict`` when the box has a history under another id."""

    def work(tx: Tx) -> None:
        if tx.table("op").count and not tx.table("node").count_where("id = ?", [str(node.id)]):
            raise QurbaniError("conflict", "this box has recorded under another identity; start with an empty folder")
        row = msgspec.to_builtins(node, builtin_types=(bytes,))
        tx.table("node").upsert({"one": 1, **row}, pk="one")

    db.write(work)
