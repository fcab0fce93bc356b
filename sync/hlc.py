"""Hybrid logical clocks: times that never run backwards and still mean something to people.

After Kulkarni et al., "Logical Physical Clocks" (2014). A stamp is one 64-bit integer: 48 bits of Unix
milliseconds, 16 bits of counter, so stamps compare as integers. A box whose clock is a day ahead must not
win every conflict, nor be refused: its ops keep the stamps they were signed with, and the hub orders them by
stamps that are at most :data:`MAX_LEAD_MS` ahead of the time it trusts.
"""

from __future__ import annotations

COUNTER_BITS = 16
MAX_LEAD_MS = 60_000


def pack(ms: int, counter: int = 0) -> int:
    return ms << COUNTER_BITS | counter


def unpack(stamp: int) -> tuple[int, int]:
    """A stamp as (Unix milliseconds, counter)."""
    return stamp >> COUNTER_BITS, stamp & (1 << COUNTER_BITS) - 1


def tick(last: int, now_ms: int) -> int:
    """The next stamp after ``last`` at wall time ``now_ms``; strictly greater than ``last``.

    A box ticks on from its last op, or from the hub's time where it has heard a later one since.
    """
    return max(last + 1, pack(now_ms))


def admit(last: int, stamp: int, now_ms: int) -> int:
    """The stamp by which the hub orders an op: its own, but no further ahead of the trusted time than allowed.

    ``last`` is what this gave for the node's op before, so that a node's ops keep their order. Without the
    clamp, a box a day ahead would win against every correction that people make after it has synced.
    """
    return max(last + 1, min(stamp, pack(now_ms + MAX_LEAD_MS)))
