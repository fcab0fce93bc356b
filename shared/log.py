"""Where a program's log goes: to standard error, because standard output is for answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import structlog
from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback, set_exc_info
from structlog.processors import StackInfoRenderer, TimeStamper, add_log_level
from structlog.typing import Processor

FOR_PEOPLE: Sequence[Processor] = (
    merge_contextvars,
    add_log_level,
    StackInfoRenderer(),
    set_exc_info,
    TimeStamper("%Y-%m-%d %H:%M:%S", utc=False),
    # structlog's own would show the values of variables as well: names, tokens and keys.
    ConsoleRenderer(exception_formatter=plain_traceback),
)


def to_stderr(processors: Sequence[Processor] = FOR_PEOPLE) -> None:
    """Send structlog's events there, through ``processors``."""
    # Asked for at each event: whoever replaced standard error meanwhile (a test, a daemon) gets what follows.
    structlog.configure(list(processors), logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
