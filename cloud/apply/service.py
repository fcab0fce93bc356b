"""Taking in what boxes send. Everything of one exchange is one transaction, committed before the answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.apply import cases, sealing
from cloud.apply.models import Chain, Conflict, Divergence, HeldOp, Proof, Record
from cloud.auth import service as auth
from cloud.executors import service as executors
from cloud.platform import audit
from cloud.platform.access import NODE
from cloud.platform.core import Platform
from cloud.processing import service as processing
from cloud.uploads import service as uploads
from shared import trace
from shared.clock import from_ms, to_ms
from shared.crypto import VerifyKey
from shared.domain.fields import CLAIMS
from shared.errors import QurbaniError
from shared.ids import NewId
from sync import hub, merge, tokens
from sync.messages import Compare, Compared, Enrolled, Exchange, Exchanged, Parked, Renew
from sync.ops import GENESIS, HUB, Batch, Op, encode

log = structlog.get_logger()

Apply = Callable[..., Awaitable[None]]

TELL: dict[str, Apply] = {
    "animal": executors.tell_animals, "skin": executors.tell_hides, "batch": executors.tell_batches,
}  # fmt: skip
"""Who tells the site's boxes what the records that they write have come to."""

TAGGED = CLAIMS["animal", "tag"]

MAX_SEQS = 64
"""Of so many ops at once a box may ask the hash."""

APPLY: dict[str, Apply] = {
    "animal": executors.apply_animals,
    "sacrifice": executors.apply_sacrifices,
    "video": uploads.apply_videos,
    "manifest": processing.apply_manifests,
    "verdict": processing.apply_verdicts,
    "copy": uploads.apply_copies,
    "photo": uploads.apply_photos,
    "skin": executors.apply_hides,
    "batch": executors.apply_batches,
}
"""Which service takes in the records that boxes write, in the order in which they speak of each other.

Each is given those that changed, whole, by their keys, in the order in which they changed. Of other entities there is
the record alone.
"""


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
            await _park(session, [(new.op, QurbaniError("revoked")) for new in fresh])
        else:
            await _apply(session, fresh, chain.site_id, now)
            _log_traces(box.id, fresh)
        parked = await _parked(session, box.id, message.batch.first, message.batch.last)
    await executors.seen(session, box.id, message.cursor, message.mark, now)
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
    seq: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)] | None = None


async def retry_parked(session: AsyncSession, now: datetime, which: Redrive | None = None) -> int:
    """Try ops that could not be applied once more; how many could be applied now. A box stays shut out meanwhile."""
    which = which or Redrive()
    query = (
        select(HeldOp.node, HeldOp.seq, HeldOp.hlc, HeldOp.entity, HeldOp.key, HeldOp.patch, HeldOp.actor, HeldOp.prev,
               HeldOp.stamp, Chain.site_id)
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
    parked = (await session.execute(query)).all()
    keys = await sealing.keys_for(session, ((row.entity, row.key) for row in parked))
    for (node, site), rows in groupby(parked, key=lambda row: (row.node, row.site_id)):
        if (await executors.node(session, node)).revoked:
            continue
        again = [
            hub.Fresh(Op(*row[:5], cases.patch(keys, row), row.actor, row.prev), b"", row.stamp)
            for row in rows
        ]
        free = [{"node": node, "seq": new.op.seq, "parked_code": None, "parked_detail": None} for new in again]
        await session.execute(update(HeldOp), free)
        applied += await _apply(session, again, site, now)
    return applied


async def divergences(session: AsyncSession) -> int:
    """How often a box was found to hold something else than it had been told."""
    return await session.scalar(select(func.count()).select_from(Divergence)) or 0


def _log_traces(node: UUID, fresh: Sequence[hub.Fresh]) -> None:
    """A line for each sacrifice of which these ops tell."""
    traces = Counter(trace.of_record(new.op.entity, new.op.key, new.op.patch) for new in fresh)
    for each, ops in traces.items():
        if each:
            log.info("ops.taken", node=str(node), ops=ops, trace=each)


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
    keys = await sealing.keys_for(session, ((new.op.entity, new.op.key) for new in fresh))
    await session.execute(insert(HeldOp), [
        {
            "node": new.op.node, "seq": new.op.seq, "hlc": new.op.hlc, "stamp": new.stamp, "entity": new.op.entity,
            "key": new.op.key, "patch": _closed(keys, new.op), "actor": new.op.actor, "prev": new.op.prev,
            "hash": new.hash, "sig": sig if new is last else None, "received": now,
        }
        for new in fresh
    ])  # fmt: skip
    chain.acked, chain.hash, chain.stamp = last.op.seq, last.hash, last.stamp
    await audit.record(
        session, "apply.hold", now=now, subject=chain.site_id, actor=chain.node, role=NODE,
        first=fresh[0].op.seq, last=last.op.seq, hash=last.hash.hex(),
    )  # fmt: skip


def _closed(keys: sealing.Keys, op: Op) -> bytes:
    return sealing.closed(keys, op.entity, op.key, encode(op.patch), HeldOp, op.node, op.seq)


async def _apply(session: AsyncSession, ops: Sequence[hub.Fresh], site: UUID, now: datetime) -> int:
    """Merge ops of one box and hand their records to the services; how many could be applied.

    Those that cannot be are parked, and hold up nothing.
    """
    sound: list[hub.Fresh] = []
    wrong: list[tuple[Op, QurbaniError]] = []
    for new in ops:
        try:
            merge.check(new.op)
        except QurbaniError as error:
            wrong.append((new.op, error))
        else:
            sound.append(new)
    await _park(session, wrong)
    return await _apply_sound(session, sound, site, now)


async def _apply_sound(session: AsyncSession, ops: Sequence[hub.Fresh], site: UUID, now: datetime) -> int:
    """All at once, and where that fails each half by itself, until those are found that it fails with."""
    if not ops:
        return 0
    try:
        async with session.begin_nested():
            await _merge(session, ops, site, now)
    except Exception as error:
        if isinstance(error, QurbaniError) and error.code == "unavailable":
            raise
        if half := len(ops) // 2:
            first = await _apply_sound(session, ops[:half], site, now)
            return first + await _apply_sound(session, ops[half:], site, now)
        # Whatever it is, it is this op's: the box's other ops must not wait until somebody has mended it.
        known = error if isinstance(error, QurbaniError) else QurbaniError("internal", repr(error))
        await _park(session, [(ops[0].op, known)])
    else:
        return len(ops)
    return 0


async def _park(session: AsyncSession, failed: Sequence[tuple[Op, QurbaniError]]) -> None:
    for op, error in failed:
        log.error("op.parked", node=str(op.node), seq=op.seq, code=error.code, detail=error.detail)
    if failed:
        await session.execute(update(HeldOp), [
            {"node": op.node, "seq": op.seq, "parked_code": error.code, "parked_detail": error.detail}
            for op, error in failed
        ])  # fmt: skip


async def _merge(session: AsyncSession, ops: Sequence[hub.Fresh], site: UUID, now: datetime) -> None:
    """Every record is read and written once, and its service is given it once, as it is after the last op."""
    claims = [(claim, new.stamp) for new in ops for claim in merge.claims(new.op)]
    writes = [*((new.op, new.stamp) for new in ops), *claims]
    records = await _locked_records(session, {_name(op) for op, _ in writes}, site)
    writes += await _listed(session, ops, site)
    changed: dict[str, dict[UUID, None]] = defaultdict(dict)
    disputed = set[tuple[str, UUID, str]]()
    for op, stamp in writes:
        merged = merge.take(records[_name(op)], op, stamp)
        records[_name(op)] = merged.record
        disputed |= {(op.entity, op.key, conflict.field) for conflict in merged.conflicts}
        if merged.changed:
            changed[op.entity][op.key] = None
    keys = await sealing.keys_for(session, records)
    await session.execute(update(Record), [
        {"entity": entity, "key": key, "cells": sealing.closed(keys, entity, key, encode(cells), Record, entity, key)}
        for (entity, key), cells in sorted(records.items())
    ])  # fmt: skip
    await _note(session, disputed, now)
    for entity, apply in APPLY.items():
        if keys := changed[entity]:
            told = {key: merge.values(records[entity, key]) for key in keys}
            await apply(session, told, node=ops[0].op.node, site=site, now=now)
    for entity, tell in TELL.items():  # at last, as it holds up whatever else the site is told
        if keys := changed[entity]:
            await tell(session, keys, site)


async def _listed(session: AsyncSession, ops: Sequence[hub.Fresh], site: UUID) -> list[tuple[Op, int]]:
    """What the hub's own list claims of the tags that these ops claim: it was there before any of them."""
    wanted = {claim.key: claim for new in ops for claim in merge.claims(new.op) if claim.entity == TAGGED}
    if not wanted:
        return []
    tagging = {new.op.key for new in ops if new.op.entity == "animal"}
    listed = await executors.listed_tags(session, site, tagging)
    return [
        (msgspec.structs.replace(wanted[tag], node=HUB, patch={"by": str(animal)}), 0)
        for tag, animal in listed.items() if tag in wanted
    ]  # fmt: skip


_Name = tuple[str, UUID]


def _name(op: Op) -> _Name:
    return op.entity, op.key


async def _locked_records(
    session: AsyncSession, names: set[_Name], site: UUID
) -> dict[_Name, Mapping[str, merge.Cell]]:
    """The records of these names, new or not; locked in one order, so that nobody waits in a circle.

    Raises ``bad_op`` where one is another site's.
    """
    new = [{"entity": entity, "key": key, "site_id": site, "cells": sealing.EMPTY} for entity, key in sorted(names)]
    await session.execute(insert(Record).on_conflict_do_nothing(), new)
    kinds: dict[str, list[UUID]] = defaultdict(list)
    for entity, key in names:
        kinds[entity].append(key)
    query = (
        select(Record.entity, Record.key, Record.site_id, Record.cells)
        .where(or_(*((Record.entity == entity) & Record.key.in_(keys) for entity, keys in kinds.items())))
        .order_by(Record.entity, Record.key)
        .with_for_update()
    )
    rows = (await session.execute(query)).all()
    if any(row.site_id != site for row in rows):
        raise QurbaniError("bad_op", "the record is another site's")
    keys = await sealing.keys_for(session, names)
    return {(row.entity, row.key): cases.cells(keys, row) for row in rows}


async def _note(session: AsyncSession, disputed: Iterable[tuple[str, UUID, str]], now: datetime) -> None:
    rows = [{"entity": entity, "key": key, "field": field, "noticed": now} for entity, key, field in sorted(disputed)]
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
