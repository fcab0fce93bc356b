"""Mistakes of the kind that people make, to see whether the simulation would notice. All are planted here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec

from cloud.apply import service
from cloud.platform import inbox, outbox
from commands.simulated.maker import CLOUD_SHARE
from edge import db, room
from edge import feed as edge_feed
from edge import stick as edge_stick
from edge.capture import Capture
from edge.outbox import Outbox
from sync import bundle, feed, hlc, hub, merge
from sync.feed import Page
from sync.ops import Batch
from sync.session import Session

Patch = tuple[Any, str, Any]
"""What to change, its attribute, and the mistaken value."""


def saved_before_commit() -> list[Patch]:
    """The box says "saved" and commits with its next transaction."""

    @contextmanager
    def transaction(base: db.Tx, begin: str) -> Iterator[db.Tx]:
        is_read = begin == "BEGIN"
        if base.conn.in_transaction:
            if is_read:
                yield base
                return
            base.execute("COMMIT")
        base.execute(begin)
        try:
            yield base
            if is_read:
                base.execute("COMMIT")
        except BaseException:
            base.rollback()
            raise

    return [(db, "_transaction", transaction)]


def acked_beyond_a_gap() -> list[Patch]:
    """The hub takes a batch in although ops before it are missing."""
    honest = hub.accept

    def joint(batch: Batch, acked: int) -> int:
        return min(batch.last, max(acked, batch.first - 1))

    def accept(batch: Batch, key: Any, *, acked: int, held: bytes, **rest: int) -> list[hub.Fresh]:
        gap = batch.first > acked + 1
        acked, held = (batch.first - 1, batch.prev) if gap else (acked, held)
        return honest(batch, key, acked=acked, held=held, **rest)

    return [(hub, "joint", joint), (hub, "accept", accept)]


def cursor_before_records() -> list[Patch]:
    """The box moves its place in the feed in one transaction and takes the records in in another."""

    def apply(self: Outbox, page: Page) -> None:
        self._db.write(lambda tx: tx.execute("UPDATE link SET cursor = ?, mark = ?", [page.cursor, page.mark]))
        self._db.write(lambda tx: edge_feed.apply(tx, page))

    return [(Outbox, "apply", apply)]


def receipt_not_awaited() -> list[Patch]:
    """A video that was handed over is never offered again, whether the hub still has it or not."""

    def apply(tx: db.Tx, page: Page) -> None:
        sent = [row["id"] for row in tx.query("SELECT id FROM blob WHERE sent")]
        honest(tx, page)
        tx.execute(f"UPDATE blob SET sent = 1 WHERE id IN ({', '.join('?' * len(sent))})", sent)  # noqa: S608

    honest = edge_feed.apply
    return [(edge_feed, "apply", apply)]


def old_name_kept() -> list[Patch]:
    """A box that found another one under its name signs with a new key, and goes on under the old name."""
    honest = Capture.take_over

    def take_over(self: Capture, node: UUID, common: int, sign_file: str) -> None:
        old = self._db.rows("SELECT id FROM node")[0]["id"]
        honest(self, node, common, sign_file)
        self._db.write(lambda tx: tx.execute("UPDATE node SET id = ?", [old]))

    return [(Capture, "take_over", take_over)]


def branch_dropped() -> list[Patch]:
    """A box that takes another name leaves behind what it wrote since the other one was copied from it."""
    honest = Capture.take_over

    def take_over(self: Capture, node: UUID, common: int, sign_file: str) -> None:
        self._db.write(lambda tx: tx.execute("DELETE FROM op WHERE seq > ?", [common]))
        honest(self, node, common, sign_file)

    return [(Capture, "take_over", take_over)]


def last_writer_everywhere() -> list[Patch]:
    """Two people say different things about what is said once, and the later one wins unseen."""
    return [(merge, "_JOINS", merge._JOINS | {"write_once": merge._latest, "review": merge._latest})]


def last_arrival_wins() -> list[Patch]:
    """The write that the hub hears last wins, not the one that was made last."""
    return [(merge, "_JOINS", merge._JOINS | {"last_writer": lambda before, now: now})]


def fork_overwritten() -> list[Patch]:
    """The hub goes on with whatever a second box of the same name sends after the first one's ops."""
    honest = hub.accept

    def accept(batch: Batch, key: Any, *, acked: int, held: bytes, stamp: int, now_ms: int) -> list[hub.Fresh]:
        meet = hub.joint(batch, acked)
        found = [(batch.first - 1, batch.prev), *((op.seq, digest) for op, digest in hub.verify(batch, key))]
        return honest(batch, key, acked=acked, held=dict(found)[meet], stamp=stamp, now_ms=now_ms)

    return [(hub, "accept", accept)]


def tombstone_dropped() -> list[Patch]:
    """Records that are gone are left out of the feed."""
    honest = feed.page

    def page(since: int, rows: Any, **limits: int) -> feed.Page:
        return honest(since, [row for row in rows if row.fields is not None], **limits)

    return [(feed, "page", page)]


def quarantine_blocks() -> list[Patch]:
    """One op that cannot be merged fails the batch that it came in, and so holds up all that come after it."""
    honest = hub.accept

    def accept(batch: Batch, *rest: Any, **options: Any) -> list[hub.Fresh]:
        fresh = honest(batch, *rest, **options)
        for new in fresh:
            merge.check(new.op)
        return fresh

    return [(hub, "accept", accept)]


def sent_too_early() -> list[Patch]:
    """A video counts as sent when its upload begins."""
    honest = Session._send_piece

    def send_piece(self: Session, blob: Any) -> Any:
        self._store.sent(blob.blob_id)
        return (yield from honest(self, blob))

    return [(Session, "_send_piece", send_piece)]


def stamps_from_the_wall() -> list[Patch]:
    """An op is stamped by the box's wall clock alone."""
    return [(hlc, "tick", lambda last, now_ms: hlc.pack(now_ms))]


def stamps_unclamped() -> list[Patch]:
    """The hub believes a box whose clock is ahead."""
    return [(hlc, "admit", lambda last, stamp, now_ms: max(last + 1, stamp))]


def space_freed_without_receipt() -> list[Patch]:
    """A box that needs room lets any video go."""
    return [(room, "CONFIRMED", "NOT pruned")]


def signer_of_a_stick_trusted() -> list[Patch]:
    """The hub takes a bundle that anybody has signed."""

    def read_manifest(receiver: bundle.Receiver, *rest: Any) -> bundle.Manifest:
        anybody = SimpleNamespace(verify=lambda signature, message: None)
        return honest(msgspec.structs.replace(receiver, sender=anybody), *rest)

    honest = bundle._read_manifest
    return [(bundle, "_read_manifest", read_manifest)]


def stick_believed_to_arrive() -> list[Patch]:
    """What a box has written on a stick counts as sent."""
    honest = edge_stick._remember

    def remember(box: Any, exported: bundle.Exported) -> None:
        honest(box, exported)
        for blob in exported.blobs:
            box.db.write(lambda tx, id=blob.blob_id: tx.execute("UPDATE blob SET sent = 1 WHERE id = ?", [id]))

    return [(edge_stick, "_remember", remember)]


def bundle_counts_before_its_blobs() -> list[Patch]:
    """The manifest of a bundle names blobs that are not on the stick yet."""
    return [(bundle, "_write_blob", lambda *_: True)]


def ops_of_the_shut_out_dropped() -> list[Patch]:
    """The hub acknowledges what a box that is shut out sends, and does not keep it aside."""
    honest = service._park

    async def park(session: Any, failed: Any) -> None:
        await honest(session, [each for each in failed if each[1].code != "revoked"])

    return [(service, "_park", park)]


def shut_out_turned_away() -> list[Patch]:
    """The hub does not listen to a box that is shut out, so what it did stays on its disk."""
    return [(service.executors, "node", service.executors.trusted)]


def event_taken_twice() -> list[Patch]:
    """A consumer does not remember what it has taken, so what is sent again has its effect again."""

    async def take(session: Any, group: str, event_ids: Collection[UUID]) -> set[UUID]:
        return set(event_ids)

    return [(inbox, "take", take)]


def wiped_events_not_sent_again() -> list[Patch]:
    """What was sent counts as done, whatever became of the broker."""

    async def reopen(session: Any, groups: Any) -> int:
        return 0

    return [(outbox, "reopen", reopen)]


CLOUD_MUTANTS = (
    ops_of_the_shut_out_dropped, shut_out_turned_away, event_taken_twice, wiped_events_not_sent_again,
)  # fmt: skip
"""Mistakes in code that only the hub's own services run: their seeds play against these alone."""

MUTANTS: dict[str, Callable[[], list[Patch]]] = {
    plant.__name__.replace("_", "-"): plant
    for plant in (
        saved_before_commit, acked_beyond_a_gap, cursor_before_records, receipt_not_awaited, old_name_kept,
        branch_dropped, last_writer_everywhere, last_arrival_wins, fork_overwritten, tombstone_dropped,
        quarantine_blocks, sent_too_early, stamps_from_the_wall, stamps_unclamped, space_freed_without_receipt,
        signer_of_a_stick_trusted, stick_believed_to_arrive, bundle_counts_before_its_blobs, *CLOUD_MUTANTS,
    )
}  # fmt: skip


def share_of(name: str) -> int:
    """Of how many seeds one has to play against the hub's own services to notice a mistake (none for "")."""
    return 1 if name and MUTANTS[name] in CLOUD_MUTANTS else CLOUD_SHARE


def plant(name: str) -> list[Patch]:
    """Put a mistake into the production code of this process; what undoes it."""
    undo = []
    for owner, attribute, value in MUTANTS[name]():
        undo.append((owner, attribute, getattr(owner, attribute)))
        setattr(owner, attribute, value)
    return undo


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The production code with one mistake in it (none for ""), until the end of the block."""
    undo = plant(name) if name else []
    try:
        yield
    finally:
        for owner, attribute, value in undo:
            setattr(owner, attribute, value)
