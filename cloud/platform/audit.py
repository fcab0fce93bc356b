"""The audit: who did what to what, who looked at what of other people's, and who was refused.

An entry is a row, committed with what it tells of, so neither is there without the other; that somebody looked is
committed before they see it. It names people and things
by their ids only: it can be kept, and checked, after a person has been erased. Soon after its commit it is linked
into a hash chain (:mod:`cloud.platform.audit_chain`), which shows every later change to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request
from sqlalchemy import BigInteger, Identity, Index, Text, any_, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform.access import NODE, Principal
from cloud.platform.core import Platform
from cloud.platform.database import Database
from cloud.platform.models import Base
from shared.clock import Clock
from shared.errors import QurbaniError

CHANNEL = "qurbani_audit"

SAFE = ("GET", "HEAD", "OPTIONS")
OWN_ROLES = ("donor", "driver", "buyer")
"""Who sees only what is theirs; that they look is nobody's business."""
ONE_VIEW = timedelta(hours=1)
"""A player asks for a video in dozens of pieces: within this time they are one view."""
REFUSALS = ("bad_credentials", "bad_link", "wrong_code", "bad_code", "bad_assertion", "unknown_node")
"""Told of strangers, too. Of who has signed in, every 403 and 404 is: someone else's is as if it were not there."""

_NOTE = "audit"
_COLUMNS = {"actor", "role", "action", "subject"}


class Entry(Base):
    """One act. ``seq``, ``prev`` and ``hash`` are empty until it is linked.

    ``actor`` is None for a stranger and for the hub itself, which ``role`` tells apart (``stranger``, ``hub``).
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_unlinked", "id", postgresql_where="seq IS NULL"),
        Index("ix_audit_subject", "subject", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[UUID | None]
    role: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    """``done``, ``seen`` or ``refused``."""
    facts: Mapped[dict[str, Any]]
    seq: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    prev: Mapped[bytes | None]
    hash: Mapped[bytes | None]


async def record(
    session: AsyncSession, action: str, *, now: datetime, subject: object = "", role: str = "hub",
    actor: UUID | None = None, outcome: str = "done", **facts: Any,
) -> None:
    """An entry, committed with the caller's transaction. ``facts`` hold nothing about a person but ids."""
    await record_each(session, action, [subject], now=now, role=role, actor=actor, outcome=outcome, **facts)


async def record_each(
    session: AsyncSession, action: str, subjects: Sequence[object], *, now: datetime, role: str = "hub",
    actor: UUID | None = None, outcome: str = "done", **facts: Any,
) -> None:
    """As :func:`record`, an entry for each of the ``subjects``."""
    session.add_all(
        Entry(at=now, actor=actor, role=role, action=action, subject=str(subject), outcome=outcome, facts=facts)
        for subject in subjects
    )
    if subjects:
        await session.flush()
        await session.execute(select(func.pg_notify(CHANNEL, "")))


def about(session: AsyncSession, **known: Any) -> None:
    """What the entry of this request cannot know from its address: the ``subject`` it made, the ``actor``, facts."""
    session.info.setdefault(_NOTE, {}).update(known)


async def conclude(session: AsyncSession, request: Request[Any, Any, Any], platform: Platform) -> None:
    """The entry of a request that succeeded, of a change in its transaction.

    Boxes are left out: what they change are ops, signed and chained themselves, of which ``apply`` tells by batches.
    """
    noted = session.info.pop(_NOTE, {})
    if request.method in SAFE:
        await looked(request, platform, noted)
    elif not _is_of_box(request):
        await record(session, **{"now": platform.clock.now(), **_known(request), **noted})


async def looked(
    request: Request[Any, Any, Any], platform: Platform, noted: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """The entry of a look at others' data, unless there is one of this hour."""
    if not _is_of_box(request) and _is_watched(request, request.scope.get("user")):
        known = {**_known(request), **noted}
        facts = {name: known.pop(name) for name in known.keys() - _COLUMNS}
        look = {**known, "subject": str(known["subject"]), "facts": facts, "at": platform.clock.now()}
        await platform.together.ask(_note_looks, platform, look)


class Deed(msgspec.Struct, frozen=True):
    """An entry as whom it tells of may read it."""

    at: datetime
    action: str
    subject: str
    outcome: str


async def deeds(session: AsyncSession, actor: UUID) -> list[Deed]:
    """What somebody did, the oldest first."""
    rows = await session.scalars(select(Entry).where(Entry.actor == actor).order_by(Entry.id))
    return [Deed(row.at, row.action, row.subject, row.outcome) for row in rows]


async def refused(database: Database, clock: Clock, request: Request[Any, Any, Any], error: QurbaniError) -> None:
    """The entry of a request that was turned away, in a transaction of its own: the request's was rolled back."""
    signed_in = request.scope.get("user") is not None
    if error.code not in REFUSALS and not (signed_in and error.kind.status in (403, 404)):
        return
    async with database.begin() as session:
        await record(session, outcome="refused", now=clock.now(), code=error.code, **_known(request))


def _is_watched(request: Request[Any, Any, Any], who: Principal | None) -> bool:
    """Whether looking here is told. A route may say ``audited="always"`` or ``audited="never"`` instead."""
    rule = request.route_handler.opt.get("audited")
    return rule == "always" or (rule != "never" and who is not None and who.role not in OWN_ROLES)


def _known(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Who, what and on what, from the route itself. ``/orders/ID/payments`` has the order as its subject."""
    who: Principal | None = request.scope.get("user")
    ids = [value for value in request.scope.get("path_params", {}).values() if isinstance(value, UUID)]
    handler = request.scope.get("route_handler")
    function = handler.fn if handler else None
    action = f"{function.__module__.split('.')[1]}.{function.__name__}" if function else "unknown"
    return {
        "action": action,
        "subject": ids[-1] if ids else "",
        "actor": who.id if who else None,
        "role": who.role if who else "stranger",
    }


async def _note_looks(platform: Platform, looks: list[dict[str, Any]]) -> list[None]:
    """Entries of those looks that have none of their last hour yet, committed."""
    new = {(look["actor"], look["action"], look["subject"]): look for look in looks}
    asked = {"subjects": [look["subject"] for look in looks], "since": platform.clock.now() - ONE_VIEW}
    async with platform.database.look() as session:
        for row in await session.execute(_LATELY, asked):
            new.pop((row.actor, row.action, row.subject), None)
    if new:
        async with platform.database.begin() as session:
            await session.execute(insert(Entry), [{**look, "outcome": "seen"} for look in new.values()])
            await session.execute(select(func.pg_notify(CHANNEL, "")))
    return [None] * len(looks)


_LATELY = select(Entry.actor, Entry.action, Entry.subject).where(
    Entry.subject == any_(bindparam("subjects", type_=ARRAY(Text))), Entry.at > bindparam("since"),
    Entry.outcome == "seen",
)  # fmt: skip


def _is_of_box(request: Request[Any, Any, Any]) -> bool:
    who: Principal | None = request.scope.get("user")
    return who is not None and who.role == NODE
