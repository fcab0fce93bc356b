"""Boxes: how one becomes a node of a site, and how it is shut out."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import models, schemas
from cloud.executors.sites import site
from cloud.platform.core import Platform
from shared.errors import QurbaniError
from shared.ids import NewId
from sync import enrolment
from sync.messages import Enrol, Enrolled

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
    used by another box, and what :func:`sync.enrolment.check` raises.
    """
    enrolment.check(message)
    query = select(models.Code).where(models.Code.hash == _code_hash(message.code)).with_for_update()
    code = await session.scalar(query)
    if code is None:
        raise QurbaniError("bad_code")
    if code.node_id is None:
        if now >= code.expires:
            raise QurbaniError("bad_code", "the code has expired")
        code.node_id = await _add_node(session, code.site_id, message, now, platform.new_id)
    box = await session.get_one(models.Node, code.node_id)
    if (box.sign_key, box.seal_key) != (message.sign_key, message.seal_key):
        raise QurbaniError("bad_code", "the code has been used")
    keys = platform.keys
    return Enrolled(box.id, box.site_id, keys.sign.public.raw, keys.unseal.public.raw)


async def node(session: AsyncSession, node_id: UUID) -> models.Node:
    """A box that may speak. Raises ``unknown_node`` where there is none or it was shut out."""
    box = await session.get(models.Node, node_id, populate_existing=True)
    if box is None or box.revoked:
        raise QurbaniError("unknown_node")
    return box


async def seen(session: AsyncSession, node_id: UUID, now: datetime) -> None:
    """The box has spoken with the hub."""
    await session.execute(update(models.Node).where(models.Node.id == node_id).values(seen=now))


async def nodes(session: AsyncSession, site_id: UUID) -> list[schemas.Node]:
    query = select(models.Node).where(models.Node.site_id == site_id).order_by(models.Node.enrolled)
    return [
        schemas.Node(row.id, row.site_id, row.name, row.enrolled, row.seen, row.revoked)
        for row in await session.scalars(query)
    ]


async def revoke(session: AsyncSession, node_id: UUID, now: datetime) -> None:
    """Shut a box out, at once. What it sent before stays. Raises ``not_found``."""
    box = await session.get(models.Node, node_id)
    if box is None:
        raise QurbaniError("not_found", "there is no such box")
    box.revoked = box.revoked or now


async def _add_node(session: AsyncSession, site_id: UUID, message: Enrol, now: datetime, new_id: NewId) -> UUID:
    box = models.Node(
        id=new_id(), site_id=site_id, name=message.name, sign_key=message.sign_key, seal_key=message.seal_key,
        enrolled=now,
    )  # fmt: skip
    session.add(box)
    await session.flush()
    return box.id


def _code_hash(code: str) -> bytes:
    # 80 random bits that live for minutes need no slow hash.
    return hashlib.sha256(enrolment.tidy_code(code).encode()).digest()
