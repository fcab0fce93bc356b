"""How many animals will be left when the time is over, by how fast they went so far: a count with an honest range.

Sacrifices come one by one at a rate that nobody knows exactly and that changes: teams tire, eat and pray. So the rate
is a gamma distribution, fed by what was done lately (what lies :data:`HALF_LIFE_H` back counts half), and by the plan
as long as little was done. What is done from now on is then negative binomial (a Poisson process of gamma rate;
Gelman et al., *Bayesian Data Analysis*, section 2.6). However much was counted, the mean rate to come is not known
better than to about a fifth (:data:`MOST_KNOWN`); back-tested on simulated days in
``tests/unit/shared/domain/test_forecast.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

import msgspec

HALF_LIFE_H = 1.5
PLANNED_WEIGHT = 3.0
"""As many animals the plan is worth as evidence."""
LEAST_DONE = 3
"""Without a plan, fewer animals than these say nothing of the rate."""
MOST_KNOWN = 25.0
"""The largest shape of the rate: a relative deviation of one by its root."""
LOW, HIGH = 0.1, 0.9
"""The range holds eight of ten days."""

Alarm = Literal["none", "watch", "alarm"]
WATCH, ALARM = 0.2, 0.5
"""From which probability that some are left it is said."""


class Rate(msgspec.Struct, frozen=True):
    """Animals an hour, as a gamma distribution of this mean and shape."""

    mean: float
    shape: float


class Forecast(msgspec.Struct, frozen=True):
    """How many are left: as likely fewer as more than ``likely``; eight times of ten from ``low`` to ``high``.

    ``risk`` is the probability that any is left.
    """

    low: int
    likely: int
    high: int
    risk: float

    @property
    def alarm(self) -> Alarm:
        return "alarm" if self.risk >= ALARM else "watch" if self.risk >= WATCH else "none"


def rate(done: Sequence[datetime], began: datetime, now: datetime, planned: float | None = None) -> Rate | None:
    """The rate by when animals were ``done`` since work ``began``, and by how many an hour are ``planned``.

    None where neither says enough.
    """
    if planned is None and len(done) < LEAST_DONE:
        return None
    counted = sum(0.5 ** (_hours(now, then) / HALF_LIFE_H) for then in done)
    watched = HALF_LIFE_H / math.log(2) * (1 - 0.5 ** (max(0.0, _hours(now, began)) / HALF_LIFE_H))
    shape = counted + (PLANNED_WEIGHT if planned else 0.0)
    hours = watched + (PLANNED_WEIGHT / planned if planned else 0.0)
    return Rate(shape / hours, min(shape, MOST_KNOWN)) if shape and hours else None


def forecast(remaining: int, hours: float, speed: Rate) -> Forecast:
    """What is left of ``remaining`` animals after so many ``hours`` of work."""
    if not remaining or hours <= 0:
        return Forecast(remaining, remaining, remaining, float(remaining > 0))
    left = {LOW: remaining, 0.5: remaining, HIGH: remaining}
    below = 0.0
    for number, chance in enumerate(_negative_binomial(speed, hours)):
        if number >= remaining:
            break
        below += chance
        for share in left:
            if below < share:
                left[share] = remaining - number - 1
    return Forecast(left[HIGH], left[0.5], left[LOW], min(1.0, below))


def _negative_binomial(speed: Rate, hours: float) -> Iterator[float]:
    """The probability that 0, 1, 2 ... are done."""
    inverse = speed.shape / speed.mean
    more = hours / (inverse + hours)
    chance = (1 - more) ** speed.shape
    for number in range(1_000_000):
        yield chance
        chance *= (speed.shape + number) / (number + 1) * more


def _hours(now: datetime, then: datetime) -> float:
    return max(0.0, (now - then).total_seconds() / 3600)
