"""What boxes say of people at rest: verdicts tell which names were said, so their ops and records are sealed.

A verdict speaks of all who have a share of an animal, and of whom the words could mean, so it has a key of its own
(:mod:`cloud.platform.personal`). Without that key its ops still have their hashes and their places in the chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import database, personal
from cloud.platform.personal import DataKey, place
from sync.ops import encode

PERSONAL = ("verdict",)

EMPTY = encode({})
"""A record that has just begun, and what is left of one, or of a patch, when its key was destroyed."""

Keys = Mapping[UUID, DataKey]


async def keys_for(session: AsyncSession, things: Iterable[tuple[str, UUID]]) -> Keys:
    """The keys of those of ``things`` (entity and key) that speak of people."""
    subjects = {key for entity, key in things if entity in PERSONAL}
    return await personal.keys_of(session, subjects) if subjects else {}


def closed(keys: Keys, entity: str, key: UUID, raw: bytes, table: type[database.Base], *row: object) -> bytes:
    """The bytes as a row keeps them."""
    if entity not in PERSONAL:
        return raw
    return keys[key].seal_if_kept(place(table, *row), raw)


def opened(keys: Keys, entity: str, key: UUID, kept: bytes, table: type[database.Base], *row: object) -> bytes:
    """What :func:`closed` was given."""
    if entity not in PERSONAL or kept == EMPTY:
        return kept  # a record that has just begun
    return keys[key].open(place(table, *row), kept, bytes) or EMPTY
