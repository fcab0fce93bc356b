"""One trace (W3C Trace Context) for all that is done about one sacrifice, from the tablet to the donor's mail.

Its id is the id of the sacrifice, which the tablet makes; both are sixteen bytes. So whatever names the sacrifice names
the trace: an op, a record, an event, over a line or on a stick, and the protocol between box and hub carries nothing
more. What is about something else has an id of its own, from the caller's ``traceparent`` or new, which events and jobs
carry on. Log lines have it as ``trace``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from litestar.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars, get_contextvars

HEADER = "traceparent"

_RAW = HEADER.encode()
_SHAPE = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def of(sacrifice: UUID) -> str:
    """The trace of a sacrifice."""
    return sacrifice.hex


def of_record(entity: str, key: UUID, fields: Mapping[str, Any]) -> str:
    """The trace of a record that boxes write; empty where it names no sacrifice."""
    told = str(key) if entity == "sacrifice" else str(fields.get("sacrifice_id", ""))
    try:
        return of(UUID(told))
    except ValueError:
        return ""


def current() -> str:
    """The trace under which this is done; empty where there is none."""
    return str(get_contextvars().get("trace", ""))


def header(trace: str) -> str:
    """The ``traceparent`` of somebody who goes on with a trace."""
    return f"00-{trace}-{secrets.token_hex(8)}-01"


def told_by(traceparent: str) -> str:
    """The trace that a ``traceparent`` names; empty for what is none."""
    found = _SHAPE.fullmatch(traceparent)
    return found[1] if found else ""


@contextmanager
def under(trace: str) -> Iterator[None]:
    """What is logged here has this trace; with an empty one, that of whoever calls."""
    with bound_contextvars(**({"trace": trace} if trace else {})):
        yield


class Traced:
    """The middleware: every request has a trace, its caller's or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = next((value for name, value in scope.get("headers", ()) if name == _RAW), b"").decode("latin-1")
        with under(told_by(told) or secrets.token_hex(16)):
            await self.app(scope, receive, send)
