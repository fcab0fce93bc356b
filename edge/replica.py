"""A replica of a box: what lies in its folder, and what it is worth to whom.

::

    DIR/qurbani-replica/BOX/          BOX names the key that opens the box's videos: it stays when the box is renamed
        manifest-NNNNNNNN             the pieces of generation N, signed by the box; the newest that holds counts
        piece-NNNNNNNN                sealed: the pages of the database that changed, the keys, what uploads stand at
        blobs/AB/ABCD...              sealed videos, byte for byte as on the box
        uploads/ID                    the sealed bytes of an upload that has not ended yet
        recordings/ID-NNNN            those of a part of a recording that is under way
        models/...                    what looks and listens, as on the box: no secret

A generation is a piece with every page and those after it with what changed since. Nothing that a manifest names is
ever written again, only made longer, and the manifest is written last: so a replica that was torn in the middle of a
pass is the one of the pass before.

The pieces are sealed for one recipient, whose private key the operator keeps and no box has: who steals the replica,
or the replica and nothing else, reads nothing in it but how many videos there are, and how large.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Self
from uuid import UUID

import msgspec

from shared.crypto import SealKey, SigningKey, UnsealKey
from shared.errors import QurbaniError
from shared.files import replaced_whole, write_whole
from shared.sealed import SealedReader, Sealer, Source

ROOT = "qurbani-replica"
VERSION = 1

_SIGNED = b"qurbani/replica/1\0"
_PIECE = re.compile(r"piece-\d{8}")
_MANIFEST = re.compile(r"manifest-(\d{8})")
_LENGTH = struct.Struct(">I")


class Piece(msgspec.Struct, frozen=True):
    """A file of a generation: its name and SHA-256 (hex), and its size in bytes."""

    name: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One generation. ``wall_ms`` is when the box was like that, by its wall clock."""

    node: UUID
    number: int
    wall_ms: int
    pieces: list[Piece]
    version: int = VERSION


class Growing(msgspec.Struct, frozen=True):
    """A film that grows: the ``size`` of its sealed segments, what does not fill one yet, and an upload's own note."""

    info: bytes
    tail: bytes
    size: int


class Head(msgspec.Struct, frozen=True):
    """What a piece begins with. ``pages`` is the whole database's number of them, ``changed`` which ones follow.

    ``keys`` are the files of the key folder, ``settings`` the environment of the box, ``recordings`` the parts of those
    under way, by ``ID-NNNN``; the last piece's count.
    """

    page_size: int
    pages: int
    changed: list[int]
    keys: dict[str, bytes]
    uploads: dict[str, Growing]
    settings: dict[str, str]
    recordings: dict[str, Growing] = {}


class Folder:
    """The replica of one box."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "blobs"
        self.uploads = path / "uploads"
        self.recordings = path / "recordings"
        self.models = path / "models"

    @classmethod
    def of(cls, replica: Path, box: str) -> Self:
        """That of the box whose sealing key has the id ``box``."""
        return cls(replica / ROOT / box)

    def make(self) -> None:
        for folder in (self.path, self.blobs, self.uploads, self.recordings):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def blob(self, blob_id: str) -> Path:
        return self.blobs / blob_id[:2] / blob_id

    def numbers(self) -> list[int]:
        """Those of the manifests that lie here, the newest first."""
        return sorted((int(found[1]) for each in self._names() if (found := _MANIFEST.fullmatch(each))), reverse=True)

    def manifest(self, number: int) -> tuple[Manifest, bytes, bytes]:
        """A manifest, with the bytes that were signed and the signature. Raises ``damaged``."""
        try:
            body, signature = msgspec.msgpack.decode((self.path / _name(number)).read_bytes(), type=tuple[bytes, bytes])
            found = msgspec.msgpack.decode(body, type=Manifest)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise QurbaniError("damaged", f"{_name(number)} is cut or altered") from error
        is_plain = all(_PIECE.fullmatch(piece.name) for piece in found.pieces)
        if found.version != VERSION or found.number != number or not found.pieces or not is_plain:
            raise QurbaniError("damaged", f"{_name(number)} is not one of version {VERSION}")
        return found, body, signature

    def holds(self, manifest: Manifest) -> bool:
        """Whether it is ``manifest`` that lies here under its number."""
        try:
            return self.manifest(manifest.number)[0] == manifest
        except QurbaniError:
            return False

    def keep(self, manifest: Manifest, key: SigningKey) -> None:
        """Let ``manifest`` be the newest generation; durable when this returns."""
        body = msgspec.msgpack.encode(manifest)
        write_whole(self.path / _name(manifest.number), [msgspec.msgpack.encode([body, key.sign(_SIGNED + body)])])

    def write(self, number: int, head: Head, pages: Iterable[bytes], recipient: SealKey) -> Piece:
        """The piece of generation ``number``; durable when this returns."""
        name, first = f"piece-{number:08}", msgspec.msgpack.encode(head)
        with replaced_whole(self.path / name) as out:
            sealer = Sealer.begin(out.write, [recipient])
            sealer.write(_LENGTH.pack(len(first)) + first)
            for page in pages:
                sealer.write(page)
            blob = sealer.finish()
        return Piece(name, blob.blob_id, blob.blob_size)

    @contextmanager
    def piece(self, piece: Piece) -> Iterator[BufferedReader]:
        """The sealed bytes of a piece. Raises ``damaged`` unless they are those that its manifest names."""
        try:
            with (self.path / piece.name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != piece.sha256:
                    raise QurbaniError("damaged", f"{piece.name} is cut or altered")
                file.seek(0)
                yield file
        except FileNotFoundError as error:
            raise QurbaniError("damaged", f"{piece.name} is missing") from error

    def tidy(self, manifests: Iterable[Manifest]) -> None:
        """Remove the pieces and manifests, whole or half, that none of ``manifests`` needs."""
        pieces = {piece.name for each in manifests for piece in each.pieces}
        needed = pieces | {_name(each.number) for each in manifests}
        for name in self._names():
            if name not in needed and (self.path / name).is_file():
                (self.path / name).unlink()

    def _names(self) -> list[str]:
        return [each.name for each in self.path.iterdir()] if self.path.exists() else []


def check(body: bytes, signature: bytes, key: SigningKey) -> None:
    """Raises ``bad_signature`` unless the box with ``key`` signed the manifest ``body``."""
    key.public.verify(signature, _SIGNED + body)


class Opened:
    """A piece: its ``head``, and its pages once."""

    def __init__(self, source: Source, key: UnsealKey) -> None:
        """Raises ``wrong_key`` or ``damaged``."""
        self._plain = SealedReader(source, key)
        try:
            (length,) = _LENGTH.unpack(self._plain.read(_LENGTH.size))
            self.head = msgspec.msgpack.decode(self._plain.read(length), type=Head)
        except (struct.error, msgspec.MsgspecError) as error:
            raise QurbaniError("damaged", "a piece does not begin like one") from error

    def pages(self) -> Iterator[tuple[int, bytes]]:
        """Each with its place, from 0."""
        for place in self.head.changed:
            yield place, self._plain.read(self.head.page_size)


def boxes(replica: Path) -> list[str]:
    """The boxes of which there is a replica in a folder."""
    root = replica / ROOT
    return sorted(each.name for each in root.iterdir() if each.is_dir()) if root.is_dir() else []


def _name(number: int) -> str:
    return f"manifest-{number:08}"
