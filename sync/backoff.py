"""How long to wait after a failure, so that five hundred boxes do not come back in the same second.

Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), on top of what the hub
asked for: a Retry-After that all boxes obey to the second would only move the herd.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import QurbaniError

BASE_S = 1.0
CAP_S = 300.0


def delay_s(attempt: int, error: QurbaniError, draw: Callable[[], float], cap_s: float = CAP_S) -> float:
    """Seconds before the next try after ``attempt`` failures in a row (1, 2, ...), at most ``cap_s`` of our own.

    ``draw`` gives numbers in [0, 1). What a repetition does not cure is tried rarely: somebody may have cured it.
    """
    ceiling = min(cap_s, BASE_S * 2 ** min(attempt - 1, 16)) if error.retry else cap_s
    asked: float = error.facts.get("retry_after", 0)
    return asked + draw() * ceiling
