"""Sealed blobs: what goes in comes out, from any place; whatever is altered is seen."""

from __future__ import annotations

import hashlib
import io
import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.crypto import SealKey, UnsealKey
from shared.errors import QurbaniError
from shared.sealed import MAX_SEGMENT_SIZE, Blob, Header, SealedReader, Sealer

BOX, HUB, STRANGER = (UnsealKey(bytes([n]) * 32) for n in (1, 2, 3))
BOTH: list[SealKey] = [BOX.public, HUB.public]


def sealed(plain: bytes, segment_size: int = 16) -> bytes:
    out = io.BytesIO()
    sealer = Sealer.begin(out.write, BOTH, segment_size)
    sealer.write(plain)
    sealer.finish()
    return out.getvalue()


def opened(blob: bytes, key: UnsealKey = BOX) -> bytes:
    with SealedReader(io.BytesIO(blob), key) as reader:
        return reader.read()


def segments(blob: bytes) -> tuple[bytes, list[bytes]]:
    """Its header, and its segments as they lie in it."""
    header = Header.read(io.BytesIO(blob))
    step = header.segment_size + 28
    return blob[:header.size], [blob[at:at + step] for at in range(header.size, len(blob), step)]


def assert_refused(blob: bytes) -> None:
    with pytest.raises(QurbaniError) as caught:
        opened(blob)
    assert caught.value.code in ("damaged", "wrong_key")


@given(st.binary(max_size=200), st.integers(1, 70), st.lists(st.integers(0, 50), max_size=8))
@settings(max_examples=200, deadline=None)
def test_what_goes_in_comes_out(plain: bytes, segment_size: int, cuts: list[int]) -> None:
    out = io.BytesIO()
    sealer = Sealer.begin(out.write, BOTH, segment_size)
    rest = plain
    for cut in cuts:
        sealer.write(rest[:cut])
        rest = rest[cut:]
    sealer.write(memoryview(rest))
    blob = sealer.finish()
    raw = out.getvalue()

    assert opened(raw, BOX) == opened(raw, HUB) == plain
    assert blob == Blob(hashlib.sha256(plain).hexdigest(), len(plain), hashlib.sha256(raw).hexdigest(), len(raw))
    header = Header.read(io.BytesIO(raw))
    assert header.plain_size(len(raw)) == len(plain)
    assert header.blob_size(len(plain)) == len(raw)


@given(st.binary(max_size=120), st.integers(1, 40), st.data())
@settings(max_examples=150, deadline=None)
def test_a_reader_is_a_seekable_file(plain: bytes, segment_size: int, data: st.DataObject) -> None:
    ours = SealedReader(io.BytesIO(sealed(plain, segment_size)), HUB)
    theirs = io.BytesIO(plain)
    for _ in range(8):
        place, whence = data.draw(st.integers(-20, 140)), data.draw(st.sampled_from([0, 1, 2]))
        start = {0: 0, 1: theirs.tell(), 2: len(plain)}[whence]
        if start + place >= 0:
            assert ours.seek(place, whence) == theirs.seek(start + place)
        size = data.draw(st.integers(-1, 60))
        assert ours.read(size) == theirs.read(size)
        assert ours.tell() == theirs.tell()
    start, stop = sorted(data.draw(st.tuples(st.integers(0, 130), st.integers(0, 130))))
    assert b"".join(map(bytes, ours.pieces(start, stop))) == plain[start:stop]
    assert io.BufferedReader(SealedReader(io.BytesIO(sealed(plain, segment_size)), HUB)).read() == plain


def test_a_reader_cannot_seek_before_the_start() -> None:
    with pytest.raises(ValueError, match="cannot seek"):
        SealedReader(io.BytesIO(sealed(b"abc")), BOX).seek(-1)


@pytest.mark.parametrize("size", [0, 5, 16, 40])
def test_every_flipped_bit_is_seen(size: int) -> None:
    blob = bytearray(sealed(random.Random(size).randbytes(size)))
    for bit in range(len(blob) * 8):
        blob[bit // 8] ^= 1 << bit % 8
        assert_refused(bytes(blob))
        blob[bit // 8] ^= 1 << bit % 8
    assert opened(bytes(blob)) == random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 16, 40, 64])
def test_every_cut_and_every_extension_is_seen(size: int) -> None:
    blob = sealed(bytes(size))
    for end in range(len(blob)):
        assert_refused(blob[:end])
    for more in (1, 27, 28, 29, 44):
        assert_refused(blob + bytes(more))
    header, parts = segments(blob)
    assert_refused(header + b"".join(parts) + parts[-1])


def test_segments_stay_in_their_place() -> None:
    header, parts = segments(sealed(bytes(16 * 3 + 4)))
    assert len(parts) == 4
    for order in permutations(range(4)):
        if order != (0, 1, 2, 3):
            assert_refused(header + b"".join(parts[index] for index in order))
    for index in range(4):
        assert_refused(header + b"".join(parts[:index] + parts[index + 1:]))
        assert_refused(header + b"".join(parts[:index] + parts[index:index + 1] * 2 + parts[index + 1:]))


def test_segments_stay_in_their_blob() -> None:
    plain = bytes(range(56))
    (header, mine), (other_header, others) = segments(sealed(plain)), segments(sealed(plain))
    for index in range(len(mine)):
        assert_refused(header + b"".join([*mine[:index], others[index], *mine[index + 1:]]))
    assert_refused(other_header + b"".join(mine))


def test_a_segment_is_found_damaged_only_where_it_is_damaged() -> None:
    blob = bytearray(sealed(bytes(range(64))))
    at = Header.read(io.BytesIO(blob)).place(2)
    blob[at + 20] ^= 1
    reader = SealedReader(io.BytesIO(blob), BOX)
    assert reader.read(32) == bytes(range(32))
    with pytest.raises(QurbaniError) as caught:
        reader.read(1)
    assert (caught.value.code, caught.value.facts) == ("damaged", {"segment": 2})
    reader.seek(48)
    assert reader.read() == bytes(range(48, 64))


def test_only_recipients_can_read() -> None:
    with pytest.raises(QurbaniError) as caught:
        opened(sealed(b"secret"), STRANGER)
    assert caught.value.code == "wrong_key"
    assert b"secret secret" not in sealed(b"secret secret")


def test_a_header_cannot_give_two_recipients_two_keys() -> None:
    """One whose entry wraps another file key is told so, even if the segments opened under it."""
    out = io.BytesIO()
    sealer = Sealer.begin(out.write, BOTH, 16)
    forged = Header(16, sealer.header.salt, sealer.header.commitment,
                    {**sealer.header.wrapped, HUB.public.id: HUB.public.wrap(b"another key".ljust(32))})
    with pytest.raises(QurbaniError, match="header"):
        SealedReader(io.BytesIO(forged.encode() + bytes(28)), HUB)


def test_a_hostile_header_cannot_ask_for_memory() -> None:
    header = Header(MAX_SEGMENT_SIZE + 1, bytes(32), bytes(32), {BOX.public.id: bytes(80)})
    with pytest.raises(QurbaniError, match="header"):
        Header.read(io.BytesIO(header.encode()))


@given(st.binary(max_size=150), st.binary(max_size=60), st.integers(1, 40), st.data())
@settings(max_examples=150, deadline=None)
def test_a_cut_blob_goes_on_from_its_last_true_segment(
    plain: bytes, other: bytes, segment_size: int, data: st.DataObject
) -> None:
    """Wherever it was cut or torn; and with other bytes than before, as a client may send."""
    raw = bytearray(sealed(plain, segment_size))
    header = Header.read(io.BytesIO(raw))
    end = data.draw(st.integers(header.size, len(raw)))
    torn = data.draw(st.integers(header.size, len(raw)))
    raw[torn:torn + 3] = bytes(byte ^ 255 for byte in raw[torn:torn + 3])
    file = io.BytesIO(raw[:end])

    sealer = Sealer.resume(lambda piece: file.write(piece), file, BOX)
    file.seek(sealer.blob_size)
    file.truncate()
    whole = min(end, torn) - header.size
    assert sealer.size == max(0, min(whole // (segment_size + 28), len(plain) // segment_size)) * segment_size
    sealer.write(other)
    blob = sealer.finish()

    wanted = plain[:sealer.size - len(other)] + other
    assert opened(file.getvalue(), HUB) == wanted
    assert blob.sha256 == hashlib.sha256(wanted).hexdigest()
    assert blob.blob_id == hashlib.sha256(file.getvalue()).hexdigest()


@given(st.binary(min_size=1, max_size=15), st.lists(st.integers(1, 6), max_size=5), st.data())
@settings(max_examples=150, deadline=None)
def test_tail_records_bring_back_what_no_segment_holds(plain: bytes, steps: list[int], data: st.DataObject) -> None:
    out, tail = io.BytesIO(), io.BytesIO()
    sealer = Sealer.begin(out.write, BOTH, 16)
    sealer.write(bytes(16))
    kept, ends = 0, [0]
    for step in steps:
        sealer.write(plain[kept:kept + step])
        if sealer.pending > kept:
            for piece in sealer.tail(kept):
                tail.write(piece)
            ends.append(tail.tell())
        kept = sealer.pending
    end = data.draw(st.integers(0, tail.tell()))
    assert plain not in tail.getvalue() or len(plain) < 4

    again = Sealer.resume(out.write, io.BytesIO(out.getvalue()), BOX)
    assert again.resume_tail(io.BytesIO(tail.getvalue()[:end])) == max(good for good in ends if good <= end)
    again.write(plain[again.pending:])
    again.finish()
    assert opened(out.getvalue()) == bytes(16) + plain


def test_a_tail_counts_only_for_its_segment_and_its_blob() -> None:
    out = io.BytesIO()
    sealer = Sealer.begin(out.write, BOTH, 16)
    sealer.write(b"abcd")
    record = b"".join(bytes(piece) for piece in sealer.tail(0))
    sealer.write(bytes(12))
    for blob in (out.getvalue(), sealed(b"")[:-28]):
        again = Sealer.resume(io.BytesIO().write, io.BytesIO(blob), BOX)
        assert again.resume_tail(io.BytesIO(record)) == 0
        assert again.pending == 0
    header, _ = segments(out.getvalue())
    for bit in range(len(record) * 8):
        flipped = bytearray(record)
        flipped[bit // 8] ^= 1 << bit % 8
        again = Sealer.resume(io.BytesIO().write, io.BytesIO(header), BOX)
        assert again.resume_tail(io.BytesIO(flipped)) == 0


def test_equal_plaintexts_make_different_blobs() -> None:
    assert len({sealed(b"the same") for _ in range(20)}) == 20
