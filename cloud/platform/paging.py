"""Lists that may grow without end are read a page at a time: ``Link: <...>; rel="next"`` (RFC 8288) leads on.

A cursor holds the sort keys of the last row that was given, so what comes and goes meanwhile neither repeats a row nor
skips one. Clients follow the link and take no cursor apart.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.params import QueryParameter
from litestar.types import Message, Scope
from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import QurbaniError

PAGE = 100
MOST = 500

Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MOST, description="How many at most.")]
Cursor = Annotated[str, QueryParameter(name="cursor", max_length=500, description="As the last `Link` has it.")]

R = TypeVar("R", bound=tuple[Any, ...])


class Paging(msgspec.Struct):
    """Where in a list a request reads; ``next`` is where it goes on, empty at the end."""

    limit: int = PAGE
    cursor: str = ""
    next: str = ""


def paging(request: Request[Any, Any, Any], limit: Limit = PAGE, cursor: Cursor = "") -> Paging:
    """What a route gets that asks for ``paging``."""
    request.scope["state"]["paging"] = asked = Paging(limit, cursor)
    return asked


async def page(
    session: AsyncSession, query: Select[R], keys: Sequence[Any], asked: Paging | None, *, newest_first: bool = False
) -> list[R]:
    """The rows of ``query`` that were asked for, by the columns ``keys``, which tell any two rows apart.

    Raises ``bad_input`` for a cursor that is none of ours.
    """
    asked = asked or Paging()
    if asked.cursor:
        last = tuple_(*_values(asked.cursor, keys))
        query = query.where(tuple_(*keys) < last if newest_first else tuple_(*keys) > last)
    ordered = query.order_by(*(key.desc() if newest_first else key.asc() for key in keys))
    rows = (await session.execute(ordered.add_columns(*keys).limit(asked.limit + 1))).all()
    if len(rows) > asked.limit:
        asked.next = _cursor(rows[asked.limit - 1][-len(keys) :])
    return [row[: -len(keys)] for row in rows[: asked.limit]]  # type: ignore[misc]


async def link(message: Message, scope: Scope) -> None:
    """Say before an answer is sent where its list goes on."""
    asked: Paging | None = scope.get("state", {}).get("paging")
    if message["type"] == "http.response.start" and asked and asked.next:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"))) | {"cursor": asked.next}
        headers = MutableScopeHeaders.from_message(message)
        headers.add("Link", f'<{scope["path"]}?{urlencode(query)}>; rel="next"')


def _cursor(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(list(values))).decode().rstrip("=")


def _values(cursor: str, keys: Sequence[Any]) -> list[Any]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        kinds = tuple(key.type.python_type for key in keys)
        return list(msgspec.json.decode(raw, type=tuple[kinds]))  # type: ignore[valid-type]
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise QurbaniError("bad_input", "this cursor is none of ours", field="cursor") from error
