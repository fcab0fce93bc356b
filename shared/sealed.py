"""Sealed blobs: the one form of a video on a box's disk, over the wire, on a USB stick and in the hub.

A blob is encrypted under a key of its own, which its header carries wrapped for each recipient (the box and
the hub). It can be sealed while it arrives, and read from any place. Two hashes name it: ``sha256`` of the
plaintext is the evidence; ``blob_id``, SHA-256 of the sealed bytes, is its address on disk and on the wire,
which anyone can check without a key. Integers are big-endian::

    blob       header, segment 0, segment 1, ... , final segment
    header     magic 8 | segment size 4 | recipients 1 | salt 32 | commitment 32 | recipient * n
    recipient  key id 8 | file key wrapped for it 80 (shared.crypto.SealKey)
    segment    nonce 12 | AES-256-GCM ciphertext | tag 16
    AAD        SHA-256 of the header 32 | index 8 | kind 1 | start 4

Every segment but the final one holds exactly ``segment size`` bytes; the final one holds the rest, which is
less and may be nothing. So the size of the plaintext follows from the size of the blob. The segments' key and
the commitment are HKDF-SHA256 (RFC 5869) of the file key with the salt.

The associated data does the work of the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015; Tink's
AES-GCM-HKDF streaming is close kin): it binds a segment to its blob, to its place and to being final or not, so
truncation, reordering, duplication and swaps between blobs fail like any flipped bit. Unlike there, the nonce
is random and not derived from the index. A crash throws away segments that were not yet on the disk, and other
bytes may then take their place; so may two copies of a cloned disk go on with one blob. A derived nonce would
then repeat under one key, which breaks GCM; a random one does not (NIST SP 800-38D allows 2^32 under one key; a
blob takes some thousands). GCM does not commit to its key, hence the commitment: no header can give two
recipients two keys under which one ciphertext reads as two different videos.

A *tail record* keeps the bytes of a segment that is not full yet, so that they can be acknowledged. It is
sealed under the same key, with a nonce and a kind of its own, and lies beside the blob, never in it::

    tail record  index 8 | start 4 | size 4 | nonce 12 | ciphertext | tag 16
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.crypto import FILE_KEY_SIZE, WRAPPED_SIZE, SealKey, UnsealKey
from shared.errors import QurbaniError

SEGMENT_SIZE = 1024 * 1024
MAX_SEGMENT_SIZE = 16 * 1024 * 1024
"""A reader holds one segment in memory; a header that asks for more is refused."""

Bytes = bytes | bytearray | memoryview


class Source(Protocol):
    """What blobs are read from: any seekable binary file."""

    def read(self, size: int, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int: ...

    def seek(self, offset: int, whence: int, /) -> int: ...


_MAGIC = b"QSEALED\x01"
_PREFIX = struct.Struct(">8sIB32s32s")
_RECIPIENT_SIZE = 8 + WRAPPED_SIZE
NONCE_SIZE = 12
_OVERHEAD = NONCE_SIZE + 16
_AAD = struct.Struct(">32sQBI")
_TAIL = struct.Struct(">QII")

_WHOLE_SEGMENT, _FINAL_SEGMENT, _TAIL_RECORD = 0, 1, 2


class Blob(msgspec.Struct, frozen=True):
    """What a finished blob is called: hex SHA-256 and size in bytes, of what it holds and of itself."""

    sha256: str
    size: int
    blob_id: str
    blob_size: int


class Header(msgspec.Struct, frozen=True):
    """The head of a blob. ``wrapped`` maps each recipient's key id to the file key wrapped for it."""

    segment_size: int
    salt: bytes
    commitment: bytes
    wrapped: dict[str, bytes]

    @classmethod
    def read(cls, source: Source) -> Self:
        """The header at the place where ``source`` stands. Raises ``damaged`` when there is none."""
        raw = source.read(_PREFIX.size)
        if len(raw) < _PREFIX.size or not raw.startswith(_MAGIC):
            raise QurbaniError("damaged", "this is not a sealed blob")
        _, segment_size, count, salt, commitment = _PREFIX.unpack(raw)
        entries = source.read(_RECIPIENT_SIZE * count)
        if not 0 < segment_size <= MAX_SEGMENT_SIZE or len(entries) < _RECIPIENT_SIZE * count:
            raise QurbaniError("damaged", "the header of this sealed blob is cut or altered")
        wrapped = {entries[at:at + 8].hex(): entries[at + 8:at + _RECIPIENT_SIZE]
                   for at in range(0, len(entries), _RECIPIENT_SIZE)}
        return cls(segment_size, salt, commitment, wrapped)

    def encode(self) -> bytes:
        prefix = _PREFIX.pack(_MAGIC, self.segment_size, len(self.wrapped), self.salt, self.commitment)
        return prefix + b"".join(bytes.fromhex(key_id) + wrapped for key_id, wrapped in self.wrapped.items())

    @property
    def size(self) -> int:
        return _PREFIX.size + _RECIPIENT_SIZE * len(self.wrapped)

    def place(self, index: int) -> int:
        """Where in the blob segment ``index`` begins."""
        return self.size + index * (self.segment_size + _OVERHEAD)

    def whole_segments(self, size: int) -> int:
        """How many of them the first ``size`` bytes of the blob hold."""
        return max(0, (size - self.size) // (self.segment_size + _OVERHEAD))

    def blob_size(self, plain_size: int) -> int:
        """Bytes of the blob that seals ``plain_size`` bytes."""
        whole, rest = divmod(plain_size, self.segment_size)
        return self.place(whole) + rest + _OVERHEAD

    def plain_size(self, blob_size: int) -> int:
        """Bytes of plaintext in a blob of ``blob_size`` bytes. Raises ``damaged`` when no blob has that size."""
        whole, rest = divmod(blob_size - self.size, self.segment_size + _OVERHEAD)
        if whole < 0 or rest < _OVERHEAD:
            raise QurbaniError("damaged", f"a sealed blob cannot end after {blob_size} bytes")
        return whole * self.segment_size + rest - _OVERHEAD

    def unwrap(self, key: UnsealKey) -> bytes:
        """The file key. Raises ``wrong_key`` when it was not wrapped for ``key``."""
        if key.public.id not in self.wrapped:
            raise QurbaniError("wrong_key", f"this blob was not sealed for key {key.public.id}")
        return key.unwrap(self.wrapped[key.public.id])


class Sealer:
    """Seals what is written to it, segment by segment.

    ``sink`` is called with each piece of the blob and has to use it up before it returns: the memory is used
    again. Of the plaintext one segment is held.
    """

    def __init__(self, sink: Callable[[Bytes], object], header: Header, file_key: bytes) -> None:
        self.header = header
        self.index = 0
        """The segment that is being filled."""
        self.pending = 0
        """How many bytes it holds by now."""
        self._sink = sink
        self._cipher = _Cipher(header, file_key)
        self._plain = memoryview(bytearray(header.segment_size))
        self._sealed = memoryview(bytearray(header.segment_size + _OVERHEAD))
        self._sha256 = hashlib.sha256()
        self._blob_sha256 = hashlib.sha256(header.encode())

    @classmethod
    def begin(cls, sink: Callable[[Bytes], object], recipients: Sequence[SealKey],
              segment_size: int = SEGMENT_SIZE) -> Self:
        """A new blob, under a fresh key; its header goes to ``sink`` at once."""
        file_key, salt = os.urandom(FILE_KEY_SIZE), os.urandom(32)
        _, commitment = _derive(file_key, salt)
        wrapped = {recipient.id: recipient.wrap(file_key) for recipient in recipients}
        header = Header(segment_size, salt, commitment, wrapped)
        sink(header.encode())
        return cls(sink, header, file_key)

    @classmethod
    def resume(cls, sink: Callable[[Bytes], object], source: Source, key: UnsealKey) -> Self:
        """Go on with an unfinished blob, from the last whole segment of ``source`` that proves true.

        Reads and opens all of it, as a hash cannot be saved. What follows in ``source`` after ``blob_size``
        bytes is not part of the blob and must be cut off. Raises ``damaged`` or ``wrong_key`` when not even
        the header can be used.
        """
        header = Header.read(source)
        sealer = cls(sink, header, header.unwrap(key))
        sealer._take_back(source)
        return sealer

    @property
    def size(self) -> int:
        """Bytes of plaintext taken so far."""
        return self.index * self.header.segment_size + self.pending

    @property
    def blob_size(self) -> int:
        """Bytes of the blob that ``sink`` has been given; only header and whole segments."""
        return self.header.place(self.index)

    def write(self, data: Bytes) -> None:
        view = memoryview(data)
        while len(view):
            taken = min(len(view), len(self._plain) - self.pending)
            self._plain[self.pending:self.pending + taken] = view[:taken]
            self.pending += taken
            view = view[taken:]
            if self.pending == len(self._plain):
                self._seal(_WHOLE_SEGMENT)
                self.index += 1
                self.pending = 0

    def finish(self) -> Blob:
        """Seal what is left as the final segment. Nothing may be written after it."""
        self._seal(_FINAL_SEGMENT)
        return Blob(self._sha256.hexdigest(), self.size,
                    self._blob_sha256.hexdigest(), self.header.blob_size(self.size))

    def tail(self, start: int) -> tuple[bytes, memoryview]:
        """The tail record of the pending bytes from ``start`` on, in two pieces to be used up at once."""
        sealed = self._cipher.seal(self._plain[start:self.pending], self._sealed, self.index, _TAIL_RECORD, start)
        return _TAIL.pack(self.index, start, len(sealed)), sealed

    def resume_tail(self, source: Source) -> int:
        """Take back the pending bytes from the tail records in ``source``; the size of those that were good.

        Records of an earlier segment are of no use any more: what they held is sealed in the blob.
        """
        end = 0
        while len(prefix := source.read(_TAIL.size)) == _TAIL.size:
            index, start, size = _TAIL.unpack(prefix)
            if (index, start) != (self.index, self.pending) or start + size >= len(self._sealed):
                break
            if source.readinto(self._sealed[:size]) < size:
                break
            try:
                plain = self._cipher.open(self._sealed[:size], self._plain[start:], index, _TAIL_RECORD, start)
            except QurbaniError:
                break
            self.pending += len(plain)
            end += _TAIL.size + size
        return end

    def _seal(self, kind: int) -> None:
        plain = self._plain[:self.pending]
        sealed = self._cipher.seal(plain, self._sealed, self.index, kind)
        self._sha256.update(plain)
        self._blob_sha256.update(sealed)
        self._sink(sealed)

    def _take_back(self, source: Source) -> None:
        while source.readinto(self._sealed) == len(self._sealed):
            try:
                plain = self._cipher.open(self._sealed, self._plain, self.index, _WHOLE_SEGMENT)
            except QurbaniError:
                return
            self._sha256.update(plain)
            self._blob_sha256.update(self._sealed)
            self.index += 1


class SealedReader(io.RawIOBase):
    """The plaintext of a blob as a seekable, read-only file; each segment is verified before a byte of it shows.

    ``source`` is any seekable binary file; it is not closed. Opening verifies the header and the final
    segment, so a blob that was cut is refused at once. Raises ``damaged`` (whose fact ``segment`` says where)
    or ``wrong_key``. Not for several threads at a time.
    """

    def __init__(self, source: Source, key: UnsealKey) -> None:
        super().__init__()
        self._source = source
        blob_size = source.seek(0, io.SEEK_END)
        source.seek(0, io.SEEK_SET)
        self.header = Header.read(source)
        self.size = self.header.plain_size(blob_size)
        self._cipher = _Cipher(self.header, self.header.unwrap(key))
        self._last = self.size // self.header.segment_size
        room = min(self.header.segment_size, self.size)
        self._plain = memoryview(bytearray(room))
        self._sealed = memoryview(bytearray(room + _OVERHEAD))
        self._held = -1
        self._place = 0
        self._segment(self._last)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        if place < 0:
            raise ValueError(f"cannot seek to {place}")
        self._place = place
        return place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; less only where the plaintext ends."""
        view = memoryview(buffer).cast("B")
        filled = 0
        for piece in self.pieces(self._place, self._place + len(view)):
            view[filled:filled + len(piece)] = piece
            filled += len(piece)
        self._place += filled
        return filled

    def pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """The plaintext from ``start`` up to, without, ``stop``, at most a segment at a time.

        Each piece has to be used up before the next is asked for.
        """
        stop = min(stop, self.size)
        while start < stop:
            index, offset = divmod(start, self.header.segment_size)
            piece = self._segment(index)[offset:offset + stop - start]
            yield piece
            start += len(piece)

    def _segment(self, index: int) -> memoryview:
        is_last = index == self._last
        size = self.size - index * self.header.segment_size if is_last else self.header.segment_size
        if index != self._held:
            self._held = -1
            self._source.seek(self.header.place(index), io.SEEK_SET)
            sealed = self._sealed[:self._source.readinto(self._sealed[:size + _OVERHEAD])]
            self._cipher.open(sealed, self._plain, index, _FINAL_SEGMENT if is_last else _WHOLE_SEGMENT)
            self._held = index
        return self._plain[:size]


def seal(plain: Bytes, recipients: Sequence[SealKey]) -> bytes:
    """A small blob at once."""
    sealed = io.BytesIO()
    sealer = Sealer.begin(sealed.write, recipients)
    sealer.write(plain)
    sealer.finish()
    return sealed.getvalue()


def unseal(sealed: bytes, key: UnsealKey) -> bytes:
    """What :func:`seal` sealed. Raises ``damaged`` or ``wrong_key``."""
    return SealedReader(io.BytesIO(sealed), key).read()


class _Cipher:
    """Seals and opens the segments of one blob."""

    def __init__(self, header: Header, file_key: bytes) -> None:
        key, commitment = _derive(file_key, header.salt)
        if not hmac.compare_digest(commitment, header.commitment):
            raise QurbaniError("damaged", "the header of this sealed blob has been altered")
        self._aead = AESGCM(key)
        self._header_digest = hashlib.sha256(header.encode()).digest()

    def seal(self, plain: memoryview, out: memoryview, index: int, kind: int, start: int = 0) -> memoryview:
        """Seal ``plain`` into the front of ``out``; returns the part of it that was used."""
        sealed = out[:len(plain) + _OVERHEAD]
        sealed[:NONCE_SIZE] = nonce = os.urandom(NONCE_SIZE)
        self._aead.encrypt_into(nonce, plain, self._aad(index, kind, start), sealed[NONCE_SIZE:])
        return sealed

    def open(self, sealed: memoryview, out: memoryview, index: int, kind: int, start: int = 0) -> memoryview:
        """The opposite of :meth:`seal`. Raises ``damaged``."""
        if len(sealed) < _OVERHEAD:
            raise QurbaniError("damaged", f"segment {index} is cut", segment=index)
        nonce, ciphertext = sealed[:NONCE_SIZE], sealed[NONCE_SIZE:]
        plain = out[:len(sealed) - _OVERHEAD]
        try:
            self._aead.decrypt_into(nonce, ciphertext, self._aad(index, kind, start), plain)
        except InvalidTag as error:
            raise QurbaniError("damaged", f"segment {index} is altered or misplaced", segment=index) from error
        return plain

    def _aad(self, index: int, kind: int, start: int) -> bytes:
        return _AAD.pack(self._header_digest, index, kind, start)


def _derive(file_key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The key of the segments and the commitment to it."""
    both = HKDF(SHA256(), 64, salt, b"qurbani sealed blob 1").derive(file_key)
    return both[:32], both[32:]
