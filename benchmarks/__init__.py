"""One file a benchmark: ours beside the limit, in the same run. ``qurbani bench NAME`` runs them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

Say = Callable[[str], None]


class Row(msgspec.Struct, frozen=True):
    """One figure of ours and what it is held against, both in ``unit``.

    ``goal`` bounds ``ratio`` (ours / beside): at most this where less is better, at least this where more is.
    """

    what: str
    unit: str
    ours: float
    beside: float
    beside_what: str
    goal: float
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        return self.ours / self.beside

    @property
    def is_met(self) -> bool:
        return self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal
