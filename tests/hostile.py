"""Videos that somebody made to do harm, or that went through a lot. Every one is made here, from small good ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"meta")
SIDE = 16_384


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Where each box of an MP4 begins, and its type; those within others too."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8:
            return
        yield start, kind
        if kind in CONTAINERS:
            yield from boxes(data, start + 8, min(start + size, end))
        start += size


def cut(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut before each box, within its head and behind it."""
    for at, kind in boxes(data):
        for end in (at, at + 4, at + 8):
            yield f"cut at {end}, {kind.decode('latin1')}", data[:end]


def sizes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Each box as large as no box can be."""
    for at, kind in boxes(data):
        for size in (0, 1, 7, 2**31, 2**32 - 1):
            yield f"{kind.decode('latin1')} at {at} of {size}", data[:at] + struct.pack(">I", size) + data[at + 4 :]
        large = struct.pack(">I4sQ", 1, kind, 2**63 - 1)
        yield f"{kind.decode('latin1')} at {at} of 2^63", data[:at] + large + data[at + 16 :]


def mutations(data: bytes, count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Bits flipped, bytes replaced, stretches doubled, removed or filled with one value."""
    chance = np.random.default_rng(seed)
    for number in range(count):
        mutant = bytearray(data)
        for _ in range(int(chance.integers(1, 8))):
            at, length = int(chance.integers(len(mutant))), int(chance.integers(1, 64))
            match int(chance.integers(4)):
                case 0:
                    mutant[at] ^= 1 << int(chance.integers(8))
                case 1:
                    mutant[at : at + length] = chance.bytes(length)
                case 2:
                    mutant[at : at + length] *= 2
                case _:
                    mutant[at : at + length] = bytes([int(chance.choice([0, 0x7F, 0xFF]))]) * length
        yield f"mutation {seed}/{number}", bytes(mutant)


def nested(depth: int) -> bytes:
    """Boxes within boxes within boxes."""
    heads = b"".join(struct.pack(">I4s", (depth - at) * 8 & 0xFFFFFFFF, b"udta") for at in range(depth))
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov", heads)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def claims_to_be_large(data: bytes) -> bytes:
    """A good film whose head says that its pictures are 16384 x 16384."""
    mutant = bytearray(data)
    at = data.index(b"avc1", data.index(b"stsd")) + 4 + 24
    mutant[at : at + 4] = struct.pack(">HH", SIDE, SIDE)
    return bytes(mutant)


def large(side: int = SIDE) -> bytes:
    """A film whose head is modest, and whose one picture is not: black, so that it is small as a file."""
    row = bytes(side + 1)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b""),
        )
    )  # fmt: skip
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "gray"
        out.start_encoding()
        packet = av.Packet(picture)
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 1)
        packet.is_keyframe = True
        out.mux(packet)
    return file.getvalue()


def black(path: Path, hours: float, rate: int, *, says_so: bool) -> Path:
    """Hours of black: encoded once, the same packet written again and again."""
    live = {} if says_so else {"live": "1"}
    with av.open(str(path), "w", options=live) as out:
        stream = out.add_stream("libvpx", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, rate)
        packet = bytes(next(iter([*stream.encode(frame), *stream.encode(None)])))
        for index in range(round(hours * 3600 * rate)):
            again = av.Packet(packet)
            again.stream, again.pts, again.dts, again.time_base = stream, index, index, Fraction(1, rate)
            again.is_keyframe = True
            out.mux(again)
    return path


PLAYLISTS: dict[str, bytes] = {
    "m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "m3u8 of addresses": b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "mpd": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file:///etc/</BaseURL></MPD>',
    "reference movie": box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", box(
        b"rdrf", b"\0\0\0\0url \0\0\0\x12file:///etc/passwd")))),
    "zip": b"PK\x03\x04" + bytes(999),
    "html": b"<html><script>fetch('/')</script></html>" * 99,
}


def elsewhere(data: bytes) -> bytes:
    """A good film that says that its bytes are in another file (an alias in its ``dref``)."""
    at = data.index(b"url ", data.index(b"dref"))
    return data[:at] + b"alis\0\0\0\0" + data[at + 8 :]
