"""Where a program's log goes: to standard error, because standard output is for answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import structlog
from structlog.typing import Processor


def to_stderr(processors: Sequence[Processor] | None = None) -> None:
    """Send structlog's events there, through ``processors`` (None: structlog's own, for people to read)."""
    # Asked for at each event: whoever replaced standard error meanwhile (a test, a daemon) gets what follows.
    structlog.configure(processors, logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
