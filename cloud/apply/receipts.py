"""Receipts for whole files: what lets a box free its disk. See :mod:`sync.receipts`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.platform.keys import Keys
from shared.clock import to_ms
from sync import receipts
from sync.receipts import Receipt


async def give_receipt(
    session: AsyncSession, keys: Keys, site_id: UUID, blob_id: str, size: int, now: datetime
) -> None:
    """Tell the boxes of a site, signed, that the hub holds a blob of ``size`` bytes.

    Only when its bytes are durable in the store and their hash is checked. By whatever road they came, and however
    often: the first receipt stands.
    """
    if await executors.feed_has_told(session, site_id, receipts.ENTITY, receipts.key(blob_id)):
        return
    fields = receipts.sign(Receipt(blob_id, size, to_ms(now)), keys.sign)
    await executors.feed_tell(session, site_id, [(receipts.ENTITY, receipts.key(blob_id), fields)])
