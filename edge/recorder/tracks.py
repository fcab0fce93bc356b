"""What comes out of a camera, as it goes into a film: its own packets wherever a film may hold them.

A camera that encodes (RTSP: H.264, HEVC, AAC) is never encoded again. What a film for browsers cannot hold (pictures
of a USB camera, G.711 sound) is encoded here, once, however many look at it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

import av
import av.error
import msgspec
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

US = Fraction(1, 1_000_000)

KEPT_VIDEO = ("h264", "hevc")
KEPT_AUDIO = ("aac", "opus", "mp3")

KEY_US = 2_000_000
"""How far key frames lie apart in what is encoded here: a film can begin at one only."""

_X264 = {"preset": "superfast", "tune": "zerolatency", "crf": "25", "maxrate": "4M", "bufsize": "8M"}


class Piece(msgspec.Struct, frozen=True):
    """An encoded packet of track ``track`` of ``tracks``. Times in microseconds; of which clock, the holder says."""

    tracks: Tracks
    track: int
    data: bytes
    pts: int
    dts: int
    duration: int
    is_key: bool

    @property
    def begins_picture(self) -> bool:
        return self.track == 0 and self.is_key


class Track(Protocol):
    """Turns what is read of one stream into pieces, on the stream's own clock."""

    def feed(self, packet: Packet) -> Iterator[Piece]: ...


class Tracks:
    """The tracks of one connection to a camera: the picture first, then the sound if there is any.

    ``streams`` are what a film's are made after; they outlive the connection.
    """

    def __init__(self) -> None:
        # A film that is never written: streams live in a container, and these must not die with the camera's.
        self._holder = av.open(io.BytesIO(), "w", format="mp4")
        self.streams: list[Stream] = []

    def picture(self, source: VideoStream) -> Track:
        if source.codec_context.name in KEPT_VIDEO:
            return self._kept(source)
        return self.drawing(source.width, source.height, source.average_rate or source.base_rate or Fraction(25))

    def sound(self, source: AudioStream) -> Track:
        if source.codec_context.name in KEPT_AUDIO:
            return self._kept(source)
        return self.speaking(source.rate, 1 if source.channels == 1 else 2)

    def drawing(self, width: int, height: int, rate: Fraction | int) -> Pictures:
        """A track for pictures that are encoded here."""
        stream = self._holder.add_stream("libx264", rate=max(1, round(rate)))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
        context.time_base, context.options = Fraction(1, 90_000), _X264
        context.open()
        return Pictures(self, self._add(stream), stream)

    def speaking(self, rate: int, channels: int) -> Sounds:
        """A track for sound that is encoded here."""
        stream = self._holder.add_stream("aac", rate=min(rate, 48_000), layout="mono" if channels == 1 else "stereo")
        stream.codec_context.bit_rate = 64_000 * channels
        stream.codec_context.open()
        return Sounds(self, self._add(stream), stream)

    def fix(self) -> None:
        """All tracks are there. Only now a film can be made after them."""
        self._holder.start_encoding()

    @property
    def has_sound(self) -> bool:
        return len(self.streams) > 1

    @property
    def shown(self) -> str:
        """Codec and size, for people."""
        picture = self.streams[0]
        assert isinstance(picture, VideoStream)
        context = picture.codec_context
        return f"{'h264' if context.name == 'libx264' else context.name} {context.width}x{context.height}"

    def _kept(self, source: VideoStream | AudioStream) -> Track:
        stream = self._holder.add_stream_from_template(source)
        return _Kept(self, self._add(stream))

    def _add(self, stream: Stream) -> int:
        self.streams.append(stream)
        return len(self.streams) - 1


class _Kept:
    def __init__(self, tracks: Tracks, number: int) -> None:
        self._tracks = tracks
        self._number = number

    def feed(self, packet: Packet) -> Iterator[Piece]:
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None or not packet.size or packet.time_base is None:
            return
        pts = packet.pts if packet.pts is not None else dts
        yield piece(self._tracks, self._number, packet, pts, dts, packet.time_base)


class Pictures:
    """Encodes pictures."""

    def __init__(self, tracks: Tracks, number: int, stream: VideoStream) -> None:
        self._tracks = tracks
        self._number = number
        self._stream = stream
        self._next_key = 0
        self._duration = int(1 / stream.codec_context.framerate / US)

    def feed(self, packet: Packet) -> Iterator[Piece]:
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:  # a bad cable spoils one picture, and not the connection
            return
        for frame in frames:
            if isinstance(frame, VideoFrame) and frame.pts is not None:
                yield from self.draw(frame, int(frame.pts * frame.time_base / US))

    def draw(self, frame: VideoFrame, time: int) -> Iterator[Piece]:
        """Encode a picture of the microsecond ``time``."""
        context = self._stream.codec_context
        ready = frame.reformat(context.width, context.height, "yuv420p")
        ready.pts, ready.time_base = time, US
        # Every picture of a Motion JPEG camera says that it is a key frame; the encoder would believe it.
        ready.pict_type = PictureType.I if time >= self._next_key else PictureType.NONE
        if time >= self._next_key:
            self._next_key = time + KEY_US
        for packet in self._stream.encode(ready):
            made = piece(self._tracks, self._number, packet, packet.pts, packet.dts, packet.time_base)
            yield msgspec.structs.replace(made, duration=self._duration)


class Sounds:
    """Encodes sound."""

    def __init__(self, tracks: Tracks, number: int, stream: AudioStream) -> None:
        self._tracks = tracks
        self._number = number
        self._stream = stream

    def feed(self, packet: Packet) -> Iterator[Piece]:
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return
        for frame in frames:
            if isinstance(frame, AudioFrame):
                yield from self.say(frame)

    def say(self, frame: AudioFrame) -> Iterator[Piece]:
        for packet in self._stream.encode(frame):
            yield piece(self._tracks, self._number, packet, packet.pts, packet.dts, packet.time_base)


def piece(tracks: Tracks, number: int, packet: Packet, pts: int, dts: int, base: Fraction) -> Piece:
    """A piece of the bytes of ``packet``, whose times are in ``base``."""
    times = [int(time * base / US) for time in (pts, dts, packet.duration or 0)]
    return Piece(tracks, number, bytes(packet), *times, is_key=bool(packet.is_keyframe))
