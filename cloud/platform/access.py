"""Who may call a route: every route declares ``roles=``, and one that declares none is closed to everybody."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from shared.errors import QurbaniError

ANYONE = "anyone"
ROLES = ("admin", "executor", "donor", "driver", "buyer", "auditor")
"""What people are. A route for all who have signed in says ``roles=ROLES``."""
NODE = "node"
"""What a box is; no route is for boxes and people both."""


class Principal(msgspec.Struct, frozen=True):
    """Who is asking. A donor's ``id`` is the id of the donor record, too.

    ``key`` is the public key that a box has to prove its hold of with every call; people have a ``session``.
    """

    id: UUID
    role: str
    name: str
    language: str
    key: bytes = b""
    session: UUID | None = None


def permitted(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of the whole application. Raises ``not_signed_in`` or ``forbidden``."""
    roles = handler.opt.get("roles", ())
    if ANYONE in roles:
        return
    who: Principal | None = connection.scope.get("user")
    if who is None:
        raise QurbaniError("not_signed_in")
    if who.role not in roles:
        raise QurbaniError("forbidden", f"role {who.role} may not do this")
