"""Opens a media file and says what is in it, before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import av
import av.error
import av.logging
import msgspec
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from shared.errors import QurbaniError

Video = Path | IO[bytes]
"""A file on disk, or anything seekable that reads like one (a sealed blob)."""

FORMATS = "mov,matroska,mpegts,mpeg,avi,flv,asf,ogg"
"""What cameras, phones and browsers write. Left out on purpose: everything that names other files or addresses
(playlists, ``concat``, ``sdp``), which a foreign file could use to read what is not its own."""

LONGEST_S = 900
"""Seconds that are looked at and listened to at the most: a longer video is not for a box to check."""

UNREADABLE = (av.error.FFmpegError, IndexError)
"""What PyAV raises for a file that is damaged; the second when a track turns up that was not announced."""

_READ_SIZE = 256 * 1024

# FFmpeg would write its opinion of a damaged file to stderr; we answer with a reason instead.
av.logging.set_level(None)


class VideoTrack(msgspec.Struct, frozen=True):
    """``rate`` is pictures per second, 0 when the file does not say."""

    codec: str
    width: int
    height: int
    rate: float


class AudioTrack(msgspec.Struct, frozen=True):
    """``rate`` is samples per second."""

    codec: str
    rate: int
    channels: int


class Probe(msgspec.Struct, frozen=True, tag="probe"):
    """What the file says of itself. A browser's live recording does not say its ``seconds``: see :func:`measured`."""

    container: str
    seconds: float
    video: VideoTrack | None
    audio: AudioTrack | None


@contextmanager
def opened(video: Video) -> Iterator[InputContainer]:
    """The open container. Raises ``file_empty``, ``not_a_video``, or ``not_found`` for a path that is none."""
    with readable(video) as file:
        if not file.seek(0, 2):
            raise QurbaniError("file_empty")
        file.seek(0)
        try:
            # A file object, never a name: FFmpeg then has no way to open anything but these bytes.
            container = av.open(
                file,
                "r",
                container_options={"format_whitelist": FORMATS},
                metadata_errors="ignore",
                buffer_size=_READ_SIZE,
            )
        except UNREADABLE as error:
            raise QurbaniError("not_a_video") from error
        with container:
            yield container


def probe(container: InputContainer) -> Probe:
    """What the file says of itself."""
    video, audio = video_stream(container), audio_stream(container)
    return Probe(
        container=container.format.name,
        seconds=max(container.duration or 0, 0) / av.time_base,
        video=VideoTrack(video.codec_context.name, video.width, video.height, float(video.average_rate or 0))
        if video else None,
        audio=AudioTrack(audio.codec_context.name, audio.sample_rate, audio.channels) if audio else None,
    )  # fmt: skip


def measured(container: InputContainer) -> float:
    """The seconds of a file that does not say them, read through without decoding; as far as :data:`LONGEST_S`."""
    first, last = None, 0.0
    try:
        for packet in container.demux():
            if packet.dts is not None and packet.time_base:
                time = float(packet.dts * packet.time_base)
                first = time if first is None else min(first, time)
                last = max(last, time + float((packet.duration or 0) * packet.time_base))
                if last - first > LONGEST_S:
                    break
    except UNREADABLE:
        pass  # as far as it goes; whoever decodes it will meet the place
    return last - (first or 0.0)


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first moving picture that can be decoded; a cover picture is none."""
    return next((stream for stream in container.streams.video
                 if stream.codec_context and not stream.disposition & Disposition.attached_pic), None)  # fmt: skip


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The first sound that can be decoded."""
    return next((stream for stream in container.streams.audio if stream.codec_context), None)


@contextmanager
def readable(video: Video) -> Iterator[IO[bytes]]:
    """The bytes of the video; what was opened here is closed again. Raises ``not_found``."""
    if not isinstance(video, Path):
        yield video
        return
    try:
        file = video.open("rb")
    except OSError as error:
        raise QurbaniError("not_found", f"{video}: {error.strerror}") from error
    with file:
        yield file
