"""What a session asks of the network, as values: a call and its reply. Whoever drives it does the I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

import msgspec

from shared.errors import TABLE, QurbaniError

T = TypeVar("T")

MAX_RETRY_AFTER_S = 3600


class Call(msgspec.Struct, frozen=True):
    """An HTTP request to the hub. ``path`` goes below the hub's address."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """The hub's answer. The names in ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


Steps = Generator[Call, Reply, T]
"""A conversation: yields calls, is sent their replies, returns its result or raises :class:`QurbaniError`."""


def drive(steps: Steps[T], send: Callable[[Call], Reply]) -> T:
    """Run a conversation over ``send``, which raises when no reply comes; the conversation is then closed."""
    try:
        call = next(steps)
        while True:
            call = steps.send(send(call))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def refusal(reply: Reply) -> QurbaniError | None:
    """The error in a reply (RFC 9457), None for a success. The fact ``retry_after`` is its Retry-After in seconds.

    A reply that is neither comes from something between box and hub, such as a network's sign-in page:
    ``not_the_hub``. A code that this version does not know is of a later one.
    """
    if 200 <= reply.status < 300:
        return None
    wait = _retry_after(reply)
    problem = _problem(reply)
    if problem is None:
        return QurbaniError("not_the_hub", f"status {reply.status} without a problem document", **wait)
    code, detail = str(problem.get("code")), str(problem.get("detail") or "")
    if code not in TABLE:
        return QurbaniError("unavailable" if problem.get("retry") else "bad_version", f"{code}: {detail}", **wait)
    facts = {name: value for name, value in problem.items() if name not in _NOT_FACTS}
    return QurbaniError(code, detail, **facts | wait)


_SECONDS = re.compile(r"[0-9]{1,9}")  # ours are never dates
_NOT_FACTS = {"type", "code", "title", "status", "detail", "hint", "retry", "self"}


def _problem(reply: Reply) -> dict[str, Any] | None:
    if not reply.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        return msgspec.json.decode(reply.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _retry_after(reply: Reply) -> dict[str, int]:
    value = reply.headers.get("retry-after", "")
    return {"retry_after": min(int(value), MAX_RETRY_AFTER_S)} if _SECONDS.fullmatch(value) else {}
