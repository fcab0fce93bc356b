"""A video to be copied: its pictures and its sound, as far as they can be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
from av.container import InputContainer

from shared.errors import QurbaniError
from shared.evidence import media

MAX_PIXELS = 8192 * 4352
"""8K and a little; a frame that claims more is an attack on the memory."""


class Source:
    """An opened video: its picture, and its sound (None when there is none that can be decoded)."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self.video: Any = media.video_stream(container)
        self.audio: Any = media.audio_stream(container)
        if self.video is None:
            raise QurbaniError("file_damaged", "the file holds no picture that can be decoded")
        self.video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self.video.thread_type = "AUTO"

    @classmethod
    @contextmanager
    def opened(cls, video: media.Video) -> Iterator[Source]:
        """Raises ``file_empty``, ``not_a_video``, or ``file_damaged`` where there is no picture in it."""
        with media.opened(video) as container:
            yield cls(container)

    @property
    def seconds(self) -> float:
        """The length that the file claims; 0.0 when it does not say."""
        return (self._container.duration or 0) / av.time_base

    def first(self) -> Any:
        """The first frame of the picture. Raises ``file_damaged`` when not one can be decoded."""
        for _, frame in self.frames(self.video):
            return frame
        raise QurbaniError("file_damaged", "not one frame of the video can be decoded")

    def frames(self, *streams: Any) -> Iterator[tuple[Any, Any]]:
        """Each decoded frame with its stream, in the order of the file, from where the file stands.

        Packets that cannot be decoded are skipped, and the end of a cut file is its end.
        """
        for packet in self.packets(*streams):
            for frame in self.decoded(packet):
                yield packet.stream, frame

    def packets(self, *streams: Any) -> Iterator[Any]:
        """Each packet, in the order of the file; the end of a cut file is its end."""
        try:
            yield from self._container.demux(*streams)
        except av.FFmpegError:
            return

    def decoded(self, packet: Any) -> list[Any]:
        """The frames of a packet, none of one that cannot be decoded."""
        try:
            return list(packet.decode())
        except av.InvalidDataError:
            return []
        except av.FFmpegError as error:
            raise QurbaniError("file_damaged", f"the video cannot be decoded: {error}") from error

    def seek(self, seconds: float) -> None:
        """Go to the key frame before ``seconds``; stay where the file cannot be searched."""
        try:
            self._container.seek(int(seconds * av.time_base))
        except av.FFmpegError:
            return
