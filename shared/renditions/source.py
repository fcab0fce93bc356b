"""A video as it came: whatever a phone or a camera wrote, or something hostile.

Only known containers are opened, and never another file or address that the video may name: a playlist that
calls itself a video would otherwise make FFmpeg read whatever it lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import av
from av.container import InputContainer

from shared.errors import QurbaniError

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi"
MAX_PIXELS = 8192 * 4352
"""8K and a little; a frame that claims more is an attack on the memory."""


class Source:
    """An opened video: its container, its picture and its sound (None when there is none that can be decoded).

    Raises ``damaged_video`` when the file is no video. Used with ``with``; the file itself stays open.
    """

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        try:
            self.container: InputContainer = av.open(
                file, "r", options={"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
            )
        except av.FFmpegError as error:
            raise QurbaniError("damaged_video", f"the file cannot be opened as a video: {error}") from error
        self.video: Any = self._best("video")
        self.audio: Any = self._best("audio")
        if self.video is None:
            self.container.close()
            raise QurbaniError("damaged_video", "the file holds no video that can be decoded")
        self.video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self.video.thread_type = "AUTO"

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc: object) -> None:
        self.container.close()

    @property
    def seconds(self) -> float:
        """The length that the file claims; 0.0 when it does not say."""
        return (self.container.duration or 0) / av.time_base

    def first(self) -> Any:
        """The first frame of the picture. Raises ``damaged_video`` when not one can be decoded."""
        for _, frame in self.frames(self.video):
            return frame
        raise QurbaniError("damaged_video", "not one frame of the video can be decoded")

    def frames(self, *streams: Any) -> Iterator[tuple[Any, Any]]:
        """Each decoded frame with its stream, in the order of the file, from where the file stands.

        Packets that cannot be decoded are skipped, and the end of a cut file is its end.
        """
        for packet in self._packets(streams):
            try:
                for frame in packet.decode():
                    yield packet.stream, frame
            except av.InvalidDataError:
                continue
            except av.FFmpegError as error:
                raise QurbaniError("damaged_video", f"the video cannot be decoded: {error}") from error

    def seek(self, seconds: float) -> None:
        """Go to the key frame before ``seconds``; stay where the file cannot be searched."""
        try:
            self.container.seek(int(seconds * av.time_base))
        except av.FFmpegError:
            return

    def _packets(self, streams: tuple[Any, ...]) -> Iterator[Any]:
        try:
            yield from self.container.demux(*streams)
        except av.FFmpegError:
            return

    def _best(self, kind: Any) -> Any:
        stream = self.container.streams.best(kind)
        return stream if stream is not None and stream.codec_context is not None else None
