"""Who may call a route: every route declares ``roles=``, and one that declares none is closed to everybody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from shared.errors import QurbaniError

ANYONE = "anyone"
ROLES = ("admin", "executor", "donor", "driver", "buyer", "auditor")
"""What people are. A route for all who have signed in says ``roles=ROLES``."""
PROGRAMS = ("bookkeeper", "monitor")
"""What programs with an account of their own are: the books of a charity, and what watches over a hub."""
NODE = "node"
"""What a box is; no route is for boxes and people both."""
SECOND_FACTOR = ("admin", "auditor")
"""Who does nothing before they have shown a second factor; of the others, who has set one up."""
STEP_UP = timedelta(minutes=10)
"""How long ago the second factor may have been shown where a route says ``step_up=True``: money, roles, erasure."""


class Principal(msgspec.Struct, frozen=True):
    """Who is asking. A donor's ``id`` is the id of the donor record, too.

    ``key`` is the public key that a box has to prove its hold of with every call; people have a ``session``,
    in which they showed their second factor last when ``proved`` says; ``waits`` is set where they still have to.
    """

    id: UUID
    role: str
    language: str
    key: bytes = b""
    session: UUID | None = None
    proved: datetime | None = None
    waits: bool = False


def permitted(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of the whole application.

    A route that says ``step_up=True`` wants a second factor that was shown within :data:`STEP_UP`; one that says
    ``waiting=True`` is also for who has not shown any yet. Raises ``not_signed_in``, ``forbidden``,
    ``second_factor_needed`` or ``step_up_needed``.
    """
    roles = handler.opt.get("roles", ())
    if ANYONE in roles:
        return
    who: Principal | None = connection.scope.get("user")
    if who is None:
        raise QurbaniError("not_signed_in")
    if who.role not in roles:
        raise QurbaniError("forbidden", f"role {who.role} may not do this")
    if who.waits and not handler.opt.get("waiting"):
        raise QurbaniError("second_factor_needed")
    if handler.opt.get("step_up") and not _proved_lately(who, connection.app.state.platform.clock.now()):
        raise QurbaniError("step_up_needed")


def _proved_lately(who: Principal, now: datetime) -> bool:
    return who.proved is not None and now - who.proved <= STEP_UP
