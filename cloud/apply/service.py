"""Taking in what boxes send. Everything of one exchange is one transaction, committed before the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.apply.models import Chain, Conflict, HeldOp, Proof, Record
from cloud.auth import service as auth
from cloud.executors import service as executors
from cloud.platform.core import Platform
from cloud.processing import service as processing
from cloud.uploads import service as uploads
from shared.clock import from_ms, to_ms
from shared.crypto import VerifyKey
from shared.errors import QurbaniError
from sync import hub, merge, tokens
from sync.messages import Exchange, Exchanged, Parked
from sync.ops import GENESIS, Batch, Op, encode

log = structlog.get_logger()

Apply = Callable[..., Awaitable[None]]

APPLY: dict[str, Apply] = {
    "sacrifice": executors.apply_sacrifice,
    "video": uploads.apply_video,
    "verdict": processing.apply_verdict,
}
"""Which service takes in the records that boxes write."""


async def token(session: AsyncSession, form: bytes, platform: Platform, now: datetime) -> tokens.Token:
    """A bearer token for a box that proves who it is, with an assertion that is used up by this.

    Raises ``bad_assertion``, ``clock_skew``, ``unknown_node`` or ``bad_signature``.
    """
    assertion = tokens.from_form(form)
    box = await executors.node(session, tokens.claimed_node(assertion))
    audience = tokens.audience(platform.keys.sign.public)
    proof = tokens.verify(assertion, box.id, VerifyKey(box.sign_key), audience, now_ms=to_ms(now))
    await session.execute(delete(Proof).where(Proof.until < now))
    used = insert(Proof).values(jti=proof.jti, until=from_ms(proof.until_ms)).on_conflict_do_nothing()
    if (await session.execute(used.returning(Proof.jti))).first() is None:
        raise QurbaniError("bad_assertion", "the assertion has been used")
    bearer, life_s = auth.node_token(platform, box.id)
    return tokens.Token(bearer, life_s)


async def exchange(session: AsyncSession, message: Exchange, now: datetime) -> Exchanged:
    """Hold and apply the ops of a box, and hand it the next page of its site's feed.

    Raises ``unknown_node``, ``gap``, ``fork`` or ``bad_signature``; then nothing of the batch is held.
    """
    box = await executors.node(session, message.node)
    chain = await _locked_chain(session, box.id, box.site_id)
    parked: list[Parked] = []
    if message.batch:
        fresh = await _fresh(session, chain, message.batch, VerifyKey(box.sign_key), now)
        await _hold(session, chain, fresh, message.batch.sig, now)
        for new in fresh:
            await _apply(session, new.op, new.stamp, chain.site_id, now)
        parked = await _parked(session, box.id, message.batch)
    await executors.seen(session, box.id, now)
    page = await executors.feed_page(session, box.site_id, message.cursor)
    return Exchanged(chain.acked, to_ms(now), page.cursor, page.changes, page.more, parked)


async def retry_parked(session: AsyncSession, now: datetime) -> int:
    """Try every op that could not be applied once more; how many could be applied now."""
    query = (
        select(HeldOp, Chain.site_id)
        .join(Chain, Chain.node == HeldOp.node)
        .where(HeldOp.parked_code.is_not(None))
        .order_by(HeldOp.node, HeldOp.seq)
        .with_for_update(of=HeldOp)
    )
    applied = 0
    for held, site in (await session.execute(query)).all():
        patch = msgspec.msgpack.decode(held.patch)
        op = Op(held.node, held.seq, held.hlc, held.entity, held.key, patch, held.actor, held.prev)
        if await _apply(session, op, held.stamp, site, now):
            held.parked_code = held.parked_detail = None
            applied += 1
    return applied


async def _locked_chain(session: AsyncSession, node: UUID, site: UUID) -> Chain:
    """Where the box's ops end, locked: two exchanges of one box take turns."""
    begin = insert(Chain).values(node=node, site_id=site, acked=0, hash=GENESIS, stamp=0)
    await session.execute(begin.on_conflict_do_nothing())
    return await session.get_one(Chain, node, with_for_update=True)


async def _fresh(session: AsyncSession, chain: Chain, batch: Batch, key: VerifyKey, now: datetime) -> list[hub.Fresh]:
    meet = hub.joint(batch, chain.acked)
    held = chain.hash if meet == chain.acked else await _hash_at(session, chain.node, meet)
    return hub.accept(batch, key, acked=chain.acked, held=held, stamp=chain.stamp, now_ms=to_ms(now))


async def _hash_at(session: AsyncSession, node: UUID, seq: int) -> bytes:
    if seq == 0:
        return GENESIS
    found = await session.scalars(select(HeldOp.hash).where(HeldOp.node == node, HeldOp.seq == seq))
    return found.one()


async def _hold(session: AsyncSession, chain: Chain, fresh: list[hub.Fresh], sig: bytes, now: datetime) -> None:
    """Keep the ops as they came; the hub answers for them from this commit on."""
    if not fresh:
        return
    last = fresh[-1]
    await session.execute(insert(HeldOp), [
        {
            "node": new.op.node, "seq": new.op.seq, "hlc": new.op.hlc, "stamp": new.stamp, "entity": new.op.entity,
            "key": new.op.key, "patch": encode(new.op.patch), "actor": new.op.actor, "prev": new.op.prev,
            "hash": new.hash, "sig": sig if new is last else None, "received": now,
        }
        for new in fresh
    ])  # fmt: skip
    chain.acked, chain.hash, chain.stamp = last.op.seq, last.hash, last.stamp
    await session.flush()


async def _apply(session: AsyncSession, op: Op, stamp: int, site: UUID, now: datetime) -> bool:
    """Merge one op and hand the record to its service. What cannot be applied is parked and holds up nothing."""
    try:
        async with session.begin_nested():
            await _merge(session, op, stamp, site, now)
    except Exception as error:
        if isinstance(error, QurbaniError) and error.code == "unavailable":
            raise
        # Whatever it is, it is this op's: the box's other ops must not wait until somebody has mended it.
        known = error if isinstance(error, QurbaniError) else QurbaniError("internal", repr(error))
        log.error("op.parked", node=str(op.node), seq=op.seq, code=known.code, detail=known.detail)
        held = await session.get_one(HeldOp, (op.node, op.seq))
        held.parked_code, held.parked_detail = known.code, known.detail
        await session.flush()
        return False
    return True


async def _merge(session: AsyncSession, op: Op, stamp: int, site: UUID, now: datetime) -> None:
    merge.check(op)
    record = await _locked_record(session, op, site)
    merged = merge.merge(_cells(record.cells), op, stamp)
    record.cells = encode(merged.record)
    await session.flush()
    await _note(session, op, merged.conflicts, now)
    if merged.changed:
        apply = APPLY[op.entity]
        await apply(session, op.key, merge.values(merged.record), node=op.node, site=site, now=now)


async def _locked_record(session: AsyncSession, op: Op, site: UUID) -> Record:
    """The record that an op is about, new or not. Raises ``bad_op`` where it is another site's."""
    begin = insert(Record).values(entity=op.entity, key=op.key, site_id=site, cells=encode({}))
    await session.execute(begin.on_conflict_do_nothing())
    record = await session.get_one(Record, (op.entity, op.key), with_for_update=True, populate_existing=True)
    if record.site_id != site:
        raise QurbaniError("bad_op", f"this {op.entity} is another site's")
    return record


def _cells(raw: bytes) -> dict[str, merge.Cell]:
    return msgspec.msgpack.decode(raw, type=dict[str, merge.Cell])


async def _note(session: AsyncSession, op: Op, conflicts: Iterable[merge.Conflict], now: datetime) -> None:
    rows: list[dict[str, Any]] = [
        {"entity": op.entity, "key": op.key, "field": conflict.field, "noticed": now} for conflict in conflicts
    ]
    if rows:
        await session.execute(insert(Conflict).on_conflict_do_nothing(), rows)


async def _parked(session: AsyncSession, node: UUID, batch: Batch) -> list[Parked]:
    """The parked ops of a batch, also of one that is sent again because the first answer was lost."""
    query = (
        select(HeldOp.seq, HeldOp.parked_code, HeldOp.parked_detail)
        .where(HeldOp.node == node, HeldOp.seq.between(batch.first, batch.last), HeldOp.parked_code.is_not(None))
        .order_by(HeldOp.seq)
    )
    return [Parked(*row) for row in await session.execute(query)]
