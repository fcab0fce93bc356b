"""A stick in memory that can be pulled out at any moment, and whoever carries it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from shared import sealed
from shared.crypto import SigningKey, UnsealKey
from shared.errors import QurbaniError
from sync import bundle, receipts
from sync.bundle import Answer, Carried, Exported, Received, Receiver, Sender
from sync.messages import Exchange, Exchanged
from tests.unit.sync.chains import HUB_KEY, KEY, NODE
from tests.unit.sync.world import Box, Hub

BOX_SEAL, HUB_SEAL = UnsealKey(b"e" * 32), UnsealKey(b"h" * 32)
PART = 1000


class MemoryStick:
    """A :class:`sync.bundle.Stick`. After ``moves`` further changes, or reads, it is pulled out."""

    def __init__(self, files: dict[str, bytes] | None = None, capacity: int = 1 << 40) -> None:
        self.files = files or {}
        self.capacity = capacity
        self.written: list[str] = []
        self.bytes_read = 0
        self.moves: int | None = None

    def names(self) -> list[str]:
        return sorted(self.files)

    def size(self, name: str) -> int | None:
        return len(self.files[name]) if name in self.files else None

    def read(self, name: str, offset: int, size: int) -> bytes:
        self._move()
        found = self.files.get(name, b"")[offset : offset + size]
        self.bytes_read += len(found)
        return found

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        data = b"".join(pieces)
        if len(data) > self.room() + len(self.files.get(name, b"")):
            raise QurbaniError("storage_full")
        try:
            self._move()
        except QurbaniError:
            self.files[f".{name}.part"] = data[: len(data) // 2]
            raise
        self.files[name] = data
        self.written.append(name)

    def remove(self, name: str) -> None:
        self._move()
        self.files.pop(name, None)

    def room(self) -> int:
        return self.capacity - sum(map(len, self.files.values()))

    def _move(self) -> None:
        if self.moves is not None:
            self.moves -= 1
            if self.moves < 0:
                raise QurbaniError("stick_gone")


class Desk:
    """A :class:`sync.bundle.Hub` over the hub in memory."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def exchange(self, message: Exchange) -> Exchanged:
        return self.hub.exchange(message)

    def store(self, blob: Carried, pieces: Callable[[int], Iterator[bytes]]) -> None:
        if blob.blob_id in self.hub.arrived:
            return
        data = b"".join(pieces(0))
        if hashlib.sha256(data).hexdigest() != blob.blob_id:
            raise QurbaniError("damaged", "not what its name says")
        self.hub.uploads[blob.blob_id], self.hub.lengths[blob.blob_id] = data, blob.size
        self.hub.arrived.append(blob.blob_id)
        receipt = receipts.Receipt(blob.blob_id, blob.size, self.hub.clock.wall_ms)
        self.hub.publish(receipts.ENTITY, receipts.key(blob.blob_id), receipts.sign(receipt, HUB_KEY))


class Courier:
    """Carries a stick between a box and its hub."""

    def __init__(self, capacity: int = 1 << 40) -> None:
        self.to_hub, self.to_box = MemoryStick(capacity=capacity), MemoryStick()

    def export(self, box: Box, *, answered: Answer | None = None) -> Exported:
        to = HUB_SEAL.public
        sender = Sender(NODE, KEY, to, partial(sealed.seal, recipients=[to]))
        return bundle.export(sender, box, box, self.to_hub, answered=answered, part_bytes=PART)

    def receive(self, hub: Hub) -> Received:
        receiver = Receiver(NODE, KEY.public, HUB_SEAL.public, partial(sealed.unseal, key=HUB_SEAL))
        received = bundle.receive(receiver, self.to_hub, Desk(hub))
        self.answer(received)
        return received

    def answer(self, received: Received, key: SigningKey = HUB_KEY) -> None:
        to = BOX_SEAL.public
        bundle.answer(Sender(NODE, key, to, partial(sealed.seal, recipients=[to])), received, self.to_box)

    def take_back(self, box: Box) -> Answer:
        receiver = Receiver(NODE, HUB_KEY.public, BOX_SEAL.public, partial(sealed.unseal, key=BOX_SEAL))
        return bundle.take_back(receiver, box, self.to_box)
