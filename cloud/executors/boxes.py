"""Boxes: how one becomes a node of a site, and how it is shut out."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import models, schemas
from cloud.executors.sites import site
from cloud.platform import audit
from cloud.platform.access import NODE
from cloud.platform.core import Platform
from shared.errors import QurbaniError
from sync import enrolment
from sync.messages import Enrol, Enrolled, Renew

CODE_LIFE = timedelta(minutes=15)


async def new_code(session: AsyncSession, site_id: UUID, now: datetime) -> schemas.EnrolmentCode:
    """A code with which one box may join this site, for :data:`CODE_LIFE`. It is shown once and kept as a hash."""
    await site(session, site_id)
    code = enrolment.new_code(os.urandom(enrolment.CODE_BYTES))
    session.add(models.Code(hash=_code_hash(code), site_id=site_id, created=now, expires=now + CODE_LIFE))
    return schemas.EnrolmentCode(code, now + CODE_LIFE)


async def enrol(session: AsyncSession, message: Enrol, platform: Platform, now: datetime) -> Enrolled:
    """Make a box a node of the code's site.

    Repeating it with the same key answers the same. Raises ``bad_code`` where the code is unknown, expired or
    used by another box, ``conflict`` where another box has the name that this one asks for, and what
    :func:`sync.enrolment.check` raises.
    """
    enrolment.check(message)
    query = select(models.Code).where(models.Code.hash == _code_hash(message.code)).with_for_update()
    code = await session.scalar(query)
    if code is None:
        raise QurbaniError("bad_code")
    if code.node_id is None:
        if now >= code.expires:
            raise QurbaniError("bad_code", "the code has expired")
        code.node_id = await _add_node(session, code.site_id, message, now, message.node or platform.new_id())
    box = await session.get_one(models.Node, code.node_id)
    if (box.sign_key, box.seal_key) != (message.sign_key, message.seal_key):
        raise QurbaniError("bad_code", "the code has been used")
    audit.about(session, subject=box.id, actor=box.id, role=NODE)
    return _enrolled(box, platform)


async def heir(session: AsyncSession, parent: models.Node, message: Renew) -> models.Node | None:
    """The box that ``parent`` has become already by the key of this message, if it has."""
    found = models.Node.parent == parent.id, models.Node.sign_key == message.sign_key
    box: models.Node | None = await session.scalar(select(models.Node).where(*found))
    return box


async def renew(
    session: AsyncSession, parent: models.Node, message: Renew, platform: Platform, now: datetime
) -> Enrolled:
    """Give a box that goes by another one's name a name of its own, at the same site. Repeating answers the same."""
    box = await heir(session, parent, message)
    if box is None:
        box = models.Node(
            id=platform.new_id(), site_id=parent.site_id, name=parent.name, sign_key=message.sign_key,
            seal_key=message.seal_key, enrolled=now, parent=parent.id, fork=message.seq,
        )  # fmt: skip
        session.add(box)
        await session.flush()
    return _enrolled(box, platform)


async def node(session: AsyncSession, node_id: UUID) -> models.Node:
    """A box, also one that was shut out. Raises ``unknown_node``."""
    box = await session.get(models.Node, node_id, populate_existing=True)
    if box is None:
        raise QurbaniError("unknown_node")
    return box


async def trusted(session: AsyncSession, node_id: UUID) -> models.Node:
    """A box that may be told things. Raises ``unknown_node``, or ``revoked`` where it was shut out."""
    box = await node(session, node_id)
    if box.revoked:
        raise QurbaniError("revoked")
    return box


async def seen(session: AsyncSession, node_id: UUID, cursor: int, mark: bytes, now: datetime) -> None:
    """The box has spoken with the hub, and said how far it has read the feed."""
    told = update(models.Node).where(models.Node.id == node_id).values(seen=now, cursor=cursor, mark=mark)
    await session.execute(told)


async def nodes(session: AsyncSession, site_id: UUID) -> list[schemas.Node]:
    """The boxes of a site. Raises ``not_found``."""
    await site(session, site_id)
    query = select(models.Node).where(models.Node.site_id == site_id).order_by(models.Node.enrolled)
    return [
        schemas.Node(row.id, row.site_id, row.name, row.enrolled, row.seen, row.revoked, row.parent)
        for row in await session.scalars(query)
    ]


async def box_keys(session: AsyncSession) -> dict[UUID, schemas.BoxKey]:
    """The public key of every box there ever was, also of those that were shut out: what they signed stays signed."""
    rows = await session.scalars(select(models.Node))
    return {row.id: schemas.BoxKey(row.site_id, row.sign_key, row.revoked) for row in rows}


async def revoke(session: AsyncSession, node_id: UUID, now: datetime) -> None:
    """Shut a box out, at once. What it sent before stays, what it sends from now on is kept aside.

    Raises ``not_found``.
    """
    box = await session.get(models.Node, node_id)
    if box is None:
        raise QurbaniError("not_found", "there is no such box")
    box.revoked = box.revoked or now


async def reinstate(session: AsyncSession, node_id: UUID) -> None:
    """Trust a box again that was shut out. Raises ``not_found``."""
    box = await session.get(models.Node, node_id)
    if box is None:
        raise QurbaniError("not_found", "there is no such box")
    box.revoked = None


def _enrolled(box: models.Node, platform: Platform) -> Enrolled:
    return Enrolled(box.id, box.site_id, platform.keys.sign.public.raw, platform.keys.unseal.public.raw)


async def _add_node(session: AsyncSession, site_id: UUID, message: Enrol, now: datetime, node_id: UUID) -> UUID:
    """The box by that name, which is new here or has the same keys and site. Raises ``conflict``."""
    row = {"site_id": site_id, "sign_key": message.sign_key, "seal_key": message.seal_key}
    new = insert(models.Node).values(id=node_id, name=message.name, enrolled=now, **row).on_conflict_do_nothing()
    await session.execute(new)
    box = await node(session, node_id)
    if any(getattr(box, name) != value for name, value in row.items()):
        raise QurbaniError("conflict", "another box goes by that name")
    return box.id


def _code_hash(code: str) -> bytes:
    # 80 random bits that live for minutes need no slow hash.
    return hashlib.sha256(enrolment.tidy_code(code).encode()).digest()
