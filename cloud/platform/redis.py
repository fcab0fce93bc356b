"""Redis: what may be lost. Caches, bells, counters and live channels; nothing true lives only there."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis


def connect(url: str) -> Redis:
    """A client that waits for a free connection instead of failing at the hundredth. Connects at first use."""
    pool = BlockingConnectionPool.from_url(url, max_connections=50, timeout=5, socket_timeout=5)
    return Redis.from_pool(pool)
