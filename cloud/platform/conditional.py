"""``ETag`` on every JSON that is read: who has it already is told so in a line (304), and who changes it can say which
reading they decided on (``If-Match``; RFC 9110, 13.1).

A tag is the hash of the answer itself: it needs no column, and holds for whatever the answer is made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from shared.errors import QurbaniError

_OF_THE_BODY = ("content-length", "content-type")


def etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def unchanged(record: msgspec.Struct | Sequence[msgspec.Struct], if_match: str) -> None:
    """Return where ``record``, or a whole list, is what was read under the tag ``if_match``, or nobody asks.

    Raises ``stale``.
    """
    if if_match and not _names(if_match, etag(msgspec.json.encode(record))):
        raise QurbaniError("stale")


class Conditional:
    """The middleware: holds a JSON answer to a GET back until it is whole, and sends it under its tag."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        asked = _header(scope, b"if-none-match")
        held: HTTPResponseStartEvent | None = None

        async def tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_record(message):
                held = {**message, "headers": list(message["headers"])}  # the cache below keeps its own
                return
            if held and message["type"] == "http.response.body":
                start, held, message = held, None, {**message}
                if not message.get("more_body"):
                    _tag(start, message, asked)
                await send(start)
            await send(message)

        await self.app(scope, receive, tagged)


def _tag(start: HTTPResponseStartEvent, body: Any, asked: str) -> None:
    tag = etag(body["body"])
    headers = MutableScopeHeaders.from_message(start)
    headers["ETag"] = tag
    if _names(asked, tag):
        start["status"], body["body"] = 304, b""
        for name in _OF_THE_BODY:
            del headers[name]


def _is_record(start: HTTPResponseStartEvent) -> bool:
    headers = MutableScopeHeaders.from_message(start)
    return start["status"] == 200 and headers.get("content-type") == "application/json" and "etag" not in headers


def _names(asked: str, tag: str) -> bool:
    return asked.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in asked.split(",")]


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
