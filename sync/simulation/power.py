"""When the power goes, or the disk is full: in which of the coming transactions, and on which side of its commit."""

from __future__ import annotations


class PowerCut(Exception):
    """The machine stopped. What had been committed is on its disk, nothing else."""


class DiskFull(Exception):
    """The transaction could not be written and was rolled back."""


class Power:
    """Counts the transactions of one machine and strikes in those that the tape names."""

    def __init__(self) -> None:
        self._cut_in: int | None = None
        self._is_after = False
        self._full_for = 0

    def cut(self, transactions: int, *, is_after: bool) -> None:
        """Cut the power in the ``transactions``-th transaction from now (from 0), before or after its commit."""
        self._cut_in, self._is_after = transactions, is_after

    def fill(self, transactions: int) -> None:
        """Let the next ``transactions`` transactions find no room."""
        self._full_for = transactions

    def mend(self) -> None:
        self._cut_in, self._full_for = None, 0

    def before_commit(self) -> None:
        """Ask inside a transaction, when all of its work is done; what this raises rolls it back."""
        if self._full_for:
            self._full_for -= 1
            raise DiskFull
        if self._cut_in == 0 and not self._is_after:
            self._cut_in = None
            raise PowerCut

    def after_commit(self) -> None:
        """Ask when a transaction is durable and nobody has been told."""
        if self._cut_in == 0:
            self._cut_in = None
            raise PowerCut
        if self._cut_in is not None:
            self._cut_in -= 1
