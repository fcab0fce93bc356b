"""Receipts: the hub's signed word that it holds a whole file, which is what lets a box free the space.

The hub signs when the bytes are durable and their hash is checked, never before. A receipt is a record of the
site feed (``receipt``, its key made of the blob's name), so that it reaches the box by every road and as often
as needed, and anybody with the hub's public key can check it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec

from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError
from sync.ops import encode

ENTITY = "receipt"

_SIGNED = b"qurbani/receipt/1\0"


class Receipt(msgspec.Struct, frozen=True):
    """The hub holds the blob of ``size`` bytes whose SHA-256 is ``blob_id``, durably since ``durable_ms``."""

    blob_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    size: int
    durable_ms: int


def key(blob_id: str) -> UUID:
    """The key of the record that is the receipt of a blob: its first 16 bytes."""
    return UUID(bytes=bytes.fromhex(blob_id)[:16])


def sign(receipt: Receipt, hub: SigningKey) -> dict[str, Any]:
    """The fields of the record that carries ``receipt``."""
    return {**msgspec.structs.asdict(receipt), "signature": hub.sign(_bound(receipt)).hex()}


def check(fields: Mapping[str, Any], hub: VerifyKey) -> Receipt:
    """The receipt in a record. Raises ``bad_input``, or ``bad_signature`` when the hub has not signed it."""
    try:
        receipt = msgspec.convert(fields, Receipt)
        signature = bytes.fromhex(fields["signature"])
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise QurbaniError("bad_input", f"this is not a receipt: {error}") from error
    hub.verify(signature, _bound(receipt))
    return receipt


def _bound(receipt: Receipt) -> bytes:
    return _SIGNED + encode([bytes.fromhex(receipt.blob_id), receipt.size, receipt.durable_ms])
