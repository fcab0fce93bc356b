"""State machines as tables: a transition that is not in the table raises."""

from __future__ import annotations

from collections.abc import Mapping

from shared.errors import QurbaniError


class Machine:
    """The allowed transitions of one kind of record.

    ``table`` maps each state to the states that may follow it. The order of its keys is the order of
    progress: :meth:`rank` makes a status a lattice, so that two copies of a record that met different
    news agree on the one that is further along.
    """

    def __init__(self, noun: str, table: Mapping[str, tuple[str, ...]]) -> None:
        self.noun = noun
        self._table = dict(table)
        self._rank = {state: rank for rank, state in enumerate(table)}

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(self._table)

    @property
    def first(self) -> str:
        return self.states[0]

    def rank(self, state: str) -> int:
        """How far along ``state`` is; later states have higher ranks."""
        return self._rank[state]

    def allows(self, state: str, to: str) -> bool:
        """Whether ``to`` may follow ``state`` or is the same."""
        return to == state or to in self._table[state]

    def move(self, state: str, to: str) -> str:
        """``to`` if it may follow ``state`` (or is the same, so that a repeated step is harmless).

        Raises ``bad_transition`` otherwise.
        """
        if self.allows(state, to):
            return to
        raise QurbaniError("bad_transition", f"{self.noun}: {state} cannot become {to}", state=state, to=to)
