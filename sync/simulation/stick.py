"""Sticks, and what befalls them on the way: pulled out, copied, altered, swapped, written on by others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from shared.crypto import SigningKey
from shared.errors import QurbaniError
from sync import bundle
from sync.bundle import Manifest
from sync.ops import encode

TO_HUB, TO_BOX = "to-hub", "to-box"
ROOM = 1 << 30


class Stick:
    """A stick with two folders for each box, in memory. What is written is there whole, or not at all."""

    def __init__(self, files: dict[tuple[UUID, str, str], bytes] | None = None) -> None:
        self.files = files or {}
        self.is_harmed = False
        """Whether somebody has meddled with it: then what is on it may be refused."""
        self.forged: set[tuple[UUID, int]] = set()
        """Bundles that no box has written."""
        self._left: int | None = None

    def folder(self, node: UUID, way: str) -> Folder:
        return Folder(self, node, way)

    def boxes(self) -> list[UUID]:
        return sorted({node for node, _, _ in self.files})

    def copy(self) -> Stick:
        copy = Stick(dict(self.files))
        copy.is_harmed, copy.forged = self.is_harmed, set(self.forged)
        return copy

    def pull(self, accesses: int | None) -> None:
        """Pull it out at the access after so many, or (None) put it back in."""
        self._left = accesses

    @property
    def is_out(self) -> bool:
        return self._left == 0

    def touch(self) -> None:
        """Before each access. Raises ``stick_gone``."""
        if self._left == 0:
            raise QurbaniError("stick_gone", "it was pulled out")
        if self._left is not None:
            self._left -= 1

    # What people do to it

    def alter(self, n: int) -> bool:
        """Change a byte of one file, or lose its end."""
        if not self.files:
            return False
        name = sorted(self.files)[n % len(self.files)]
        content, at = self.files[name], n % (len(self.files[name]) or 1)
        self.files[name] = content[:at] if n % 3 == 0 else content[:at] + b"\xff" + content[at + 1:]
        self.is_harmed = True
        return True

    def swap(self) -> bool:
        """Give the folders of two boxes each other's names."""
        if len(boxes := self.boxes()) < 2:
            return False
        other = {boxes[0]: boxes[1], boxes[1]: boxes[0]}
        self.files = {(other.get(node, node), way, name): file for (node, way, name), file in self.files.items()}
        self.is_harmed = True
        return True

    def forge(self, key: SigningKey) -> bool:
        """A stranger signs the newest bundle of a box anew, as the one after it."""
        manifests = sorted(name for name in self.files if name[2].startswith("manifest-") and name[1] == TO_HUB)
        if not manifests:
            return False
        node, way, name = manifests[-1]
        try:
            body, _ = msgspec.msgpack.decode(self.files[node, way, name], type=tuple[bytes, bytes])
            real = msgspec.msgpack.decode(body, type=Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False  # it has been altered before
        forged = msgspec.structs.replace(real, number=real.number + 1)
        for index in range(len(real.letters)):
            letter = self.files.get((node, way, real.letter(index)), b"")
            self.files[node, way, forged.letter(index)] = letter
        body = encode(forged)
        self.files[node, way, f"manifest-{forged.number:08}"] = encode((body, key.sign(bundle._SIGNED + body)))
        self.forged.add((node, forged.number))
        self.is_harmed = True
        return True


class Folder:
    """A :class:`sync.bundle.Stick`."""

    def __init__(self, stick: Stick, node: UUID, way: str) -> None:
        self._stick = stick
        self._node = node
        self._way = way

    def names(self) -> Sequence[str]:
        self._stick.touch()
        return sorted(name for node, way, name in self._stick.files if (node, way) == (self._node, self._way))

    def size(self, name: str) -> int | None:
        file = self._stick.files.get(self._at(name))
        return None if file is None else len(file)

    def read(self, name: str, offset: int, size: int) -> bytes:
        self._stick.touch()
        return self._stick.files.get(self._at(name), b"")[offset : offset + size]

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        whole = b"".join(pieces)
        self._stick.touch()
        self._stick.files[self._at(name)] = whole
        if self._way == TO_HUB and name.startswith("manifest-"):  # now a box has signed one of this number
            self._stick.forged.discard((self._node, int(name.removeprefix("manifest-"))))

    def remove(self, name: str) -> None:
        self._stick.touch()
        self._stick.files.pop(self._at(name), None)

    def room(self) -> int:
        return ROOM

    def _at(self, name: str) -> tuple[UUID, str, str]:
        return self._node, self._way, name
