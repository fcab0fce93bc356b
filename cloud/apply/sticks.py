"""Bundles that a person brought on a stick: the same exchanges and blobs as over the wire, and the answer back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.apply import service
from cloud.apply.receipts import give_receipt
from cloud.executors import service as executors
from cloud.platform.core import Platform
from cloud.storage.service import holds, open_store
from cloud.uploads import service as uploads
from shared import sealed
from shared.crypto import SealKey, VerifyKey
from shared.errors import QurbaniError
from shared.stick import StickFolder, boxes, to_box, to_hub
from shared.tus.folder import PlainFile
from sync import bundle
from sync.bundle import Carried, Receiver, Refused, Sender
from sync.messages import Exchange, Exchanged

Moved = Callable[[int], None]
T = TypeVar("T")


class Taken(msgspec.Struct, frozen=True):
    """What came of the bundle of one box. ``ops`` and ``blobs`` are those that the hub did not have before."""

    node: UUID
    acked: int = 0
    ops: int = 0
    blobs: int = 0
    known_blobs: int = 0
    refused: list[Refused] = []
    """What was not taken and why; ``bundle`` when it is none of it."""

    @property
    def is_whole(self) -> bool:
        return not self.refused


async def take(platform: Platform, stick: Path, moved: Moved) -> list[Taken]:
    """Take in the bundles of all boxes on a stick and write an answer to each. Safe to repeat and to interrupt.

    Raises ``no_bundle`` for a folder without any, ``stick_gone`` and ``unavailable``: run it again then.
    """
    taken = []
    for node in await asyncio.to_thread(boxes, stick):
        try:
            taken.append(await _Import(platform, stick, node, moved).run())
        except QurbaniError as error:
            if error.retry:
                raise
            taken.append(Taken(node, refused=[Refused("bundle", error.code, error.detail)]))
    if not taken:
        raise QurbaniError("no_bundle", f"no box has written a bundle into {stick}")
    return taken


class _Import:
    """One box's bundle on its way in: a :class:`sync.bundle.Hub` for a thread beside the event loop."""

    def __init__(self, platform: Platform, stick: Path, node: UUID, moved: Moved) -> None:
        self._platform = platform
        self._node = node
        self._inward = StickFolder(to_hub(stick, node), moved)
        self._outward = StickFolder(to_box(stick, node), moved)
        self._blobs = open_store(platform.settings)
        self._loop = asyncio.get_running_loop()
        self._new = self._known = 0

    async def run(self) -> Taken:
        async with self._platform.database.begin() as session:
            box = await executors.node(session, self._node)
            before = await service.acked(session, self._node)
        answer = await asyncio.to_thread(self._receive, VerifyKey(box.sign_key), SealKey(box.seal_key))
        return Taken(self._node, answer.acked, answer.acked - before, self._new, self._known, answer.refused)

    def _receive(self, sender: VerifyKey, to: SealKey) -> bundle.Answer:
        keys = self._platform.keys
        receiver = Receiver(self._node, sender, keys.unseal.public, partial(sealed.unseal, key=keys.unseal))
        received = bundle.receive(receiver, self._inward, self)
        bundle.answer(Sender(self._node, keys.sign, to, partial(sealed.seal, recipients=[to])), received, self._outward)
        return received.answer

    def exchange(self, message: Exchange) -> Exchanged:
        return self._transaction(lambda session: service.exchange(session, message, self._platform.clock.now()))

    def store(self, blob: Carried, pieces: Callable[[int], Iterator[bytes]]) -> None:
        self._transaction(lambda session: executors.trusted(session, self._node))
        if is_known := holds(self._platform.settings, blob.blob_id):
            self._known += 1
        else:
            self._copy(blob, pieces)
        self._transaction(lambda session: self._tell(session, blob))
        self._new += not is_known

    async def _tell(self, session: AsyncSession, blob: Carried) -> None:
        now = self._platform.clock.now()
        box = await executors.node(session, self._node)
        await uploads.blob_arrived(session, blob.blob_id, box.site_id, blob.size, now)
        await give_receipt(session, self._platform.keys, box.site_id, blob.blob_id, blob.size, now)

    def _copy(self, blob: Carried, pieces: Callable[[int], Iterator[bytes]]) -> None:
        """Goes on where an import before this one was cut."""
        part = self._blobs.part(f"{blob.blob_id}.stick")
        file = PlainFile(part)
        try:
            for piece in pieces(min(file.size, blob.size)):
                file.write(piece)
            found = file.finish()
        finally:
            file.close()
        if (found.blob_id, found.blob_size) != (blob.blob_id, blob.size):
            part.unlink()
            raise QurbaniError("damaged", f"the bytes of {blob.blob_id} on the stick are not what their name says")
        self._blobs.put(blob.blob_id, part)

    def _transaction(self, work: Callable[[AsyncSession], Coroutine[Any, Any, T]]) -> T:
        async def inside() -> T:
            async with self._platform.database.begin() as session:
                return await work(session)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result()
