"""What a camera sees now, as a JPEG, and its last seconds, as a small film: to frame by, and for the look before."""

from __future__ import annotations

import io

import av
import av.error
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge.recorder.fragments import Fragments
from edge.recorder.ring import Ring
from edge.recorder.tracks import Piece, Tracks

WIDTH = 960
QUALITY = 75

STALE_US = 3_000_000
"""Who has not looked for so long begins again at a key frame."""


class Still:
    """Decodes what has come since somebody last looked, and nothing while nobody does. For one thread."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._tracks: Tracks | None = None
        self._decoder: VideoCodecContext | None = None
        self._place = 0
        self._seen = -STALE_US
        self._jpeg = b""

    def jpeg(self) -> bytes:
        """Of the newest picture; empty as long as there is none."""
        newest = self._ring.newest
        if newest is None:
            return b""
        if newest.dts - self._seen > STALE_US:
            self._begin(newest.dts)
        pieces, self._place = self._ring.after(self._place)
        shown = None
        for piece in pieces:
            shown = self._shown(piece) or shown
        if shown is not None:
            self._jpeg = _jpeg(shown)
        self._seen = newest.dts
        return self._jpeg

    def _begin(self, now: int) -> None:
        place = self._ring.place(now)
        self._place = 0 if place is None else place
        self._tracks = self._decoder = None

    def _shown(self, piece: Piece) -> VideoFrame | None:
        if piece.track != 0:
            return None
        if piece.tracks is not self._tracks:
            if not piece.is_key:
                return None
            self._tracks, self._decoder = piece.tracks, _decoder(piece.tracks)
        assert self._decoder is not None
        try:
            frames = self._decoder.decode(av.Packet(piece.data))
        except av.error.FFmpegError:  # the next key frame mends it
            return None
        return frames[-1] if frames else None


def sample(ring: Ring, seconds: float) -> bytes:
    """A film of the last ``seconds``, or a little more: it begins at a key frame. Empty as long as there is none."""
    newest = ring.newest
    place = ring.place(newest.dts - int(seconds * 1e6)) if newest else None
    pieces = ring.after(place)[0] if place is not None else []
    pieces = [piece for piece in pieces if piece.tracks is pieces[0].tracks]
    if not pieces:
        return b""
    film = Fragments(pieces[0].tracks, pieces[0].dts)
    return b"".join([film.head, *map(film.put, pieces), film.close()])


def _decoder(tracks: Tracks) -> VideoCodecContext:
    stream = tracks.streams[0]
    assert isinstance(stream, VideoStream)
    kind = {"libx264": "h264"}.get(stream.codec_context.name, stream.codec_context.name)
    decoder = av.CodecContext.create(kind, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = stream.codec_context.extradata
    decoder.thread_count = 1
    return decoder


def _jpeg(frame: VideoFrame) -> bytes:
    width = min(frame.width, WIDTH) // 2 * 2
    height = frame.height * width // frame.width // 2 * 2
    out = io.BytesIO()
    frame.reformat(width, height).to_image().save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
