"""Taking in what boxes send. Everything of one exchange is one transaction, committed before the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.apply.models import Chain, Conflict, Divergence, HeldOp, Proof, Record
from cloud.auth import service as auth
from cloud.executors import service as executors
from cloud.platform import audit
from cloud.platform.access import NODE
from cloud.platform.core import Platform
from cloud.processing import manifests
from cloud.processing import service as processing
from cloud.uploads import service as uploads
from shared.clock import from_ms, to_ms
from shared.crypto import VerifyKey
from shared.errors import QurbaniError
from shared.ids import NewId
from sync import hub, merge, tokens
from sync.messages import Compare, Compared, Enrolled, Exchange, Exchanged, Parked, Renew
from sync.ops import GENESIS, Batch, Op, encode

log = structlog.get_logger()

Apply = Callable[..., Awaitable[None]]

MAX_SEQS = 64
"""Of so many ops at once a box may ask the hash."""

APPLY: dict[str, Apply] = {
    "sacrifice": executors.apply_sacrifice,
    "video": uploads.apply_video,
    "verdict": processing.apply_verdict,
    "manifest": manifests.apply_manifest,
}
"""Which service takes in the records that boxes write. Of others there is the record alone."""


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
    audit.about(session, subject=box.id, actor=box.id, role=NODE)
    bearer, life_s = auth.node_token(platform, box.id, box.sign_key)
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
        if box.revoked:
            for new in fresh:
                await _park(session, new.op, QurbaniError("revoked"))
        elif fresh:
            await _apply_all(session, fresh, chain.site_id, now)
        parked = await _parked(session, box.id, message.batch.first, message.batch.last)
    await executors.seen(session, box.id, now)
    if box.revoked:
        return Exchanged(
            chain.acked, to_ms(now), message.cursor, parked=parked, hash=chain.hash, mark=message.mark, revoked=True
        )
    page = await executors.feed_page(session, box.site_id, message.cursor, message.mark)
    root = b""
    if not page.more and (page.changes or page.again or message.check):
        root = await executors.feed_root(session, box.site_id)
        parked = await _parked(session, box.id, 1, chain.acked)
    return Exchanged(
        chain.acked, to_ms(now), page.cursor, page.changes, page.more, parked,
        hash=chain.hash if message.batch or root else b"", mark=page.mark, again=page.again, digest=root,
    )  # fmt: skip


async def compare(session: AsyncSession, message: Compare, now: datetime, new_id: NewId) -> Compared:
    """Tell a box where it differs; what it was given to mend is counted. Raises ``unknown_node`` or ``revoked``."""
    box = await executors.trusted(session, message.node)
    hashes = [await _hash_at(session, box.id, seq) for seq in message.seqs[:MAX_SEQS]]
    if not message.asks:
        return Compared(hashes=hashes)
    answer = await executors.feed_compare(session, box.site_id, message.cursor, message.mark, message.asks)
    for bucket in answer.buckets:
        if bucket.records is not None:
            log.error("sync.diverged", node=str(box.id), prefix=bucket.prefix)
            session.add(Divergence(id=new_id(), node=box.id, prefix=bucket.prefix, noticed=now))
    return msgspec.structs.replace(answer, hashes=hashes)


async def renew(session: AsyncSession, message: Renew, platform: Platform, now: datetime) -> Enrolled:
    """Give a box a name of its own that found another history under its name.

    Raises ``unknown_node``, ``revoked``, or what :func:`sync.hub.check_renewal` raises.
    """
    box = await executors.trusted(session, message.node)
    chain = await _locked_chain(session, box.id, box.site_id)
    if await executors.heir(session, box, message) is None:
        held = await _hash_at(session, box.id, message.seq)
        hub.check_renewal(message, box.id, acked=chain.acked, held=held)
        log.error("sync.forked", node=str(box.id), seq=message.seq)
    return await executors.renew(session, box, message, platform, now)


async def acked(session: AsyncSession, node: UUID) -> int:
    """The highest contiguous ``seq`` that is held of a box."""
    chain = await session.get(Chain, node)
    return chain.acked if chain else 0


class Redrive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which quarantined ops to try again: all, those of one box, or one of them."""

    node: UUID | None = None
    seq: int | None = None


async def retry_parked(session: AsyncSession, now: datetime, which: Redrive | None = None) -> int:
    """Try ops that could not be applied once more; how many could be applied now. A box stays shut out meanwhile."""
    which = which or Redrive()
    query = (
        select(HeldOp, Chain.site_id)
        .join(Chain, Chain.node == HeldOp.node)
        .where(HeldOp.parked_code.is_not(None))
        .order_by(HeldOp.node, HeldOp.seq)
        .with_for_update(of=HeldOp)
    )
    if which.node is not None:
        query = query.where(HeldOp.node == which.node)
    if which.seq is not None:
        query = query.where(HeldOp.seq == which.seq)
    applied = 0
    for held, site in (await session.execute(query)).all():
        if (await executors.node(session, held.node)).revoked:
            continue
        patch = msgspec.msgpack.decode(held.patch)
        op = Op(held.node, held.seq, held.hlc, held.entity, held.key, patch, held.actor, held.prev)
        if await _apply(session, op, held.stamp, site, now):
            held.parked_code = held.parked_detail = None
            applied += 1
    return applied


async def divergences(session: AsyncSession) -> int:
    """How often a box was found to hold something else than it had been told."""
    return await session.scalar(select(func.count()).select_from(Divergence)) or 0


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
    """The hash of an op that the hub holds; empty for one that it does not."""
    if seq == 0:
        return GENESIS
    found = await session.scalar(select(HeldOp.hash).where(HeldOp.node == node, HeldOp.seq == seq))
    return found or b""


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
    await audit.record(
        session, "apply.hold", now=now, subject=chain.site_id, actor=chain.node, role=NODE,
        first=fresh[0].op.seq, last=last.op.seq, hash=last.hash.hex(),
    )  # fmt: skip


async def _apply_all(session: AsyncSession, fresh: Sequence[hub.Fresh], site: UUID, now: datetime) -> None:
    """Merge a batch at once; where one of its ops cannot be applied, one by one, so that only that one is parked."""
    try:
        async with session.begin_nested():
            await _merge_all(session, fresh, site, now)
    except Exception as error:
        if isinstance(error, QurbaniError) and error.code == "unavailable":
            raise
        for new in fresh:
            await _apply(session, new.op, new.stamp, site, now)


async def _merge_all(session: AsyncSession, fresh: Sequence[hub.Fresh], site: UUID, now: datetime) -> None:
    """As :func:`_merge` of each, but every record is read and written once.

    Its service is given it when it first changes, as ops about other records may lean on that, and as it is after the
    last op of the batch.
    """
    for new in fresh:
        merge.check(new.op)
    rows = await _locked_records(session, {_name(new.op) for new in fresh}, site)
    cells = {name: _cells(row.cells) for name, row in rows.items()}
    last = {_name(new.op): new for new in fresh}
    begun, changed = set[_Name](), set[_Name]()
    for new in fresh:
        name = _name(new.op)
        merged = merge.merge(cells[name], new.op, new.stamp)
        cells[name] = dict(merged.record)
        await _note(session, new.op, merged.conflicts, now)
        if merged.changed:
            changed.add(name)
        if name in changed and (name not in begun or new is last[name]):
            begun.add(name)
            values = merge.values(merged.record)
            if apply := APPLY.get(new.op.entity):
                await apply(session, new.op.key, values, node=new.op.node, site=site, now=now)
    for name, row in rows.items():
        row.cells = encode(cells[name])
    await session.flush()
    await _claim(session, fresh, site, now)


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
        await _park(session, op, known)
        return False
    return True


async def _park(session: AsyncSession, op: Op, error: QurbaniError) -> None:
    log.error("op.parked", node=str(op.node), seq=op.seq, code=error.code, detail=error.detail)
    held = await session.get_one(HeldOp, (op.node, op.seq))
    held.parked_code, held.parked_detail = error.code, error.detail
    await session.flush()


async def _merge(session: AsyncSession, op: Op, stamp: int, site: UUID, now: datetime) -> None:
    merge.check(op)
    record = await _locked_record(session, op, site)
    merged = merge.merge(_cells(record.cells), op, stamp)
    record.cells = encode(merged.record)
    await session.flush()
    await _note(session, op, merged.conflicts, now)
    await _claim(session, [hub.Fresh(op, b"", stamp)], site, now)
    if merged.changed and (apply := APPLY.get(op.entity)):
        await apply(session, op.key, merge.values(merged.record), node=op.node, site=site, now=now)


async def _claim(session: AsyncSession, fresh: Iterable[hub.Fresh], site: UUID, now: datetime) -> None:
    """Note whose record names what only one may name, such as an animal; a second one is a conflict."""
    claims = [(claim, new.stamp) for new in fresh for claim in merge.claims(new.op)]
    for claim, stamp in sorted(claims, key=lambda each: _name(each[0])):  # so that two boxes never wait for each other
        record = await _locked_record(session, claim, site)
        taken = merge.merge_claim(_cells(record.cells), claim, stamp)
        record.cells = encode(taken.record)
        await session.flush()
        await _note(session, claim, taken.conflicts, now)


_Name = tuple[str, UUID]


def _name(op: Op) -> _Name:
    return op.entity, op.key


async def _locked_records(session: AsyncSession, names: set[_Name], site: UUID) -> dict[_Name, Record]:
    """As :func:`_locked_record`, of many: in one order, so that nobody waits in a circle."""
    empty = encode({})
    new = [{"entity": entity, "key": key, "site_id": site, "cells": empty} for entity, key in sorted(names)]
    await session.execute(insert(Record).on_conflict_do_nothing(), new)
    query = (
        select(Record)
        .where(tuple_(Record.entity, Record.key).in_(sorted(names)))
        .order_by(Record.entity, Record.key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    rows = {(row.entity, row.key): row for row in await session.scalars(query)}
    if any(row.site_id != site for row in rows.values()):
        raise QurbaniError("bad_op", "a record is another site's")
    return rows


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
        again = {"settled": None, "noticed": now}
        opened = insert(Conflict).on_conflict_do_update(index_elements=["entity", "key", "field"], set_=again)
        await session.execute(opened, rows)


async def _parked(session: AsyncSession, node: UUID, first: int, last: int) -> list[Parked]:
    """The parked ops among these, also of a batch that is sent again because the first answer was lost."""
    query = (
        select(HeldOp.seq, HeldOp.parked_code, HeldOp.parked_detail)
        .where(HeldOp.node == node, HeldOp.seq.between(first, last), HeldOp.parked_code.is_not(None))
        .order_by(HeldOp.seq)
    )
    return [Parked(*row) for row in await session.execute(query)]
