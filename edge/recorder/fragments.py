"""A film that plays however it ends: an MP4 of fragments, each of which stands for itself.

Fragments hold half a second. Each is handed out when it is whole; what comes before the first (the head) says what the
tracks are, and is the same for two films of cameras that send the same. So a film may be gone on with after a crash.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import av
from av.packet import Packet

from edge.recorder.tracks import US, Piece, Tracks

FRAGMENT_US = 500_000
"""What has not become a whole fragment is lost with the power; with what waits for its sound, less than two seconds."""

STEP_US = 1000
"""The least by which one packet follows another; finer than any picture, coarser than any track counts."""

_BOX = struct.Struct(">I4s")

_OPTIONS = {
    # frag_discont: times are those given, also where an earlier part of the film stands in another file.
    "movflags": "empty_moov+default_base_moof+skip_trailer+frag_discont",
    "avoid_negative_ts": "disabled",
    "frag_duration": str(FRAGMENT_US),
    "flush_packets": "1",
    # Sound that stays away holds the picture up no longer than this.
    "max_interleave_delta": "300000",
    "write_btrt": "0",
}


class Fragments:
    """Makes the film of ``tracks`` whose time begins at the microsecond ``origin``."""

    def __init__(self, tracks: Tracks, origin: int) -> None:
        self._out = _Out()
        self._film = av.open(self._out, "w", format="mp4", options=_OPTIONS)
        self._streams = [self._film.add_stream_from_template(stream) for stream in tracks.streams]
        self._origin = origin
        self._last = [-STEP_US] * len(self._streams)
        self._film.start_encoding()
        self.head = self._out.take()
        """What the film begins with."""

    def put(self, piece: Piece) -> bytes:
        """The fragments that this piece makes whole, mostly none. What comes before the origin is left out."""
        if piece.dts < self._origin:
            return b""
        packet = Packet(piece.data)
        packet.dts = max(piece.dts - self._origin, self._last[piece.track] + STEP_US)
        packet.pts = max(piece.pts - self._origin, packet.dts)
        packet.duration, packet.time_base, packet.is_keyframe = piece.duration, US, piece.is_key
        self._last[piece.track] = packet.dts
        packet.stream = self._streams[piece.track]
        self._film.mux_one(packet)
        return self._out.take()

    def close(self) -> bytes:
        """The last fragments."""
        self._film.close()
        return self._out.take()


class _Out:
    """What the muxer writes to; nothing of a fragment leaves before all of it is here."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        whole = bytes(self._held[: _end(self._held)])
        del self._held[: len(whole)]
        return whole


def _end(held: bytearray) -> int:
    """Where the last whole fragment, or the whole head, ends."""
    at = end = 0
    while at + _BOX.size <= len(held):
        size, kind = _BOX.unpack_from(held, at)
        at += size
        if at <= len(held) and kind in (b"moov", b"mdat"):
            end = at
    return end


def whole(film: BinaryIO) -> tuple[int, int]:
    """Where the head of a film ends, and where its last whole fragment does; 0 where there is none. Size in bytes."""
    size = film.seek(0, 2)
    head = end = 0
    for kind, after in _boxes(film, size):
        if kind == b"moov":
            head = end = after
        elif kind == b"mdat":
            end = after
    return head, end


def _boxes(film: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The whole boxes of the top level, each with its end."""
    at = 0
    while at + _BOX.size <= size:
        film.seek(at)
        length, kind = _BOX.unpack(film.read(_BOX.size))
        if length < _BOX.size or at + length > size:
            return
        at += length
        yield kind, at
