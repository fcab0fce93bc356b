"""Which blob goes next, and when: proofs before films, nobody forgotten, and no more of the line than it may have.

Records do not wait here: verdicts and receipts are ops and news, which every exchange carries first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from shared.errors import QurbaniError
from sync.ports import Outgoing

KINDS = ("poster", "preview", "photo", "original")
"""In the order in which they go: a donor sees a proof after a hundredth of the bytes. What is not listed goes last."""
SMALL_BYTES = 256 << 10
"""What is no larger goes at any time, also where every byte is paid for."""
HOUR_MS = 3_600_000
PATIENCE_MS = {"authentic": 6 * HOUR_MS, "review": 12 * HOUR_MS, "rejected": 48 * HOUR_MS}
"""How long after it was recorded a video should be there, by its verdict: whoever can be told soonest goes first.

As every video has such a moment, and the earliest goes first, the one that has waited longest is never passed for ever.
"""

_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def due_ms(recorded_ms: int, outcome: str | None) -> int:
    """When a video should be at the hub; one that is not judged yet is taken for one that needs a person."""
    return recorded_ms + PATIENCE_MS.get(outcome or "review", PATIENCE_MS["review"])


def order(blobs: Iterable[Outgoing]) -> list[Outgoing]:
    """Most wanted first: by kind, then by when it is due (earliest deadline first)."""
    rank = {kind: n for n, kind in enumerate(KINDS)}
    return sorted(blobs, key=lambda blob: (rank.get(blob.kind, len(KINDS)), blob.due_ms))


class Line(msgspec.Struct, frozen=True):
    """What may go over a site's line.

    ``bytes_s`` caps the blobs' bytes per second (0: no cap). ``windows`` are the times of the site's day at which
    large blobs may go, as (from, until) in minutes since midnight; none means always. On a ``metered`` line they
    never may.
    """

    bytes_s: float = 0
    windows: tuple[tuple[int, int], ...] = ()
    metered: bool = False

    def allows(self, blob: Outgoing, minute: int) -> bool:
        """Whether ``blob`` may go at ``minute`` of the site's day."""
        return blob.size <= SMALL_BYTES or (not self.metered and self._is_open(minute))

    def _is_open(self, minute: int) -> bool:
        return not self.windows or any(
            start <= minute < end if start < end else minute >= start or minute < end for start, end in self.windows)


def windows(text: str) -> tuple[tuple[int, int], ...]:
    """``22:00-06:00,13:00-14:30`` as minutes. Raises ``bad_input``."""
    found = []
    for part in filter(None, text.split(",")):
        if not (match := _WINDOW.fullmatch(part.strip())):
            raise QurbaniError("bad_input", f"{part!r} is not a time like 22:00-06:00")
        hour, minute, until_hour, until_minute = map(int, match.groups())
        found.append((hour * 60 + minute, until_hour * 60 + until_minute))
    return tuple(found)


class Bucket:
    """A token bucket: ``rate`` tokens a second, at most ``burst`` at once. Times are seconds of any steady clock."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, now

    def take(self, tokens: float, now: float) -> float:
        """Take ``tokens`` in any case; how many seconds to wait until they were there."""
        self._fill(now)
        self._tokens -= tokens
        return max(0.0, -self._tokens / self._rate)

    def wait_s(self, tokens: float, now: float) -> float:
        """How long until ``tokens`` are there; nothing is taken."""
        self._fill(now)
        return max(0.0, (min(tokens, self._burst) - self._tokens) / self._rate)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
