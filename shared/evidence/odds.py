"""Scores as odds: what several pictures or detectors say is put together there."""

from __future__ import annotations

import math

FAINTEST = 0.005
"""Scores below are all alike; what was not found at all has this one."""


def log_odds(score: float) -> float:
    bounded = min(max(score, FAINTEST), 1 - FAINTEST)
    return math.log(bounded / (1 - bounded))


def probability(odds: float) -> float:
    """Of log odds."""
    return 1 / (1 + math.exp(-odds))
