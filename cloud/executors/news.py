"""News for a box that no road reaches, for somebody to carry: see :mod:`sync.news`."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import feed
from cloud.executors.boxes import node
from cloud.platform.keys import Keys
from shared import sealed
from shared.clock import to_ms
from shared.crypto import SealKey
from shared.errors import QurbaniError
from sync import news
from sync.bundle import Sender


async def write_news(session: AsyncSession, keys: Keys, node_id: UUID, now: datetime) -> bytes:
    """What a box has not been told yet, signed and sealed for it. Raises ``not_found``, ``revoked`` or ``conflict``."""
    try:
        box = await node(session, node_id)
    except QurbaniError as error:
        raise QurbaniError("not_found", "there is no such box") from error
    if box.revoked:
        raise QurbaniError("revoked")
    page = await feed.since(session, box.site_id, box.cursor, box.mark, news.TOLD)
    to = SealKey(box.seal_key)
    told = news.News(box.id, box.site_id, box.cursor, box.mark, page.cursor, to_ms(now), page.changes)
    return news.write(Sender(box.id, keys.sign, to, partial(sealed.seal, recipients=[to])), told)
