"""The progress bars of commands that take long: for bytes, and for time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


@contextmanager
def moving(what: str) -> Iterator[Callable[[int], None]]:
    """Shows how much has been moved, on a terminal; the function is told of each further piece, in bytes."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda size: bar.advance(task, size)


@contextmanager
def passing(what: str, seconds: float) -> Iterator[Callable[[float], None]]:
    """Shows how much of ``seconds`` has passed, on a terminal; the function is told how many have."""
    columns = (TextColumn(what), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=seconds)
        yield lambda passed: bar.update(task, completed=passed)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how many are done of how many, on a terminal; the function is told both."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
