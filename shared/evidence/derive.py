"""A derived copy of a video: its picture changed frame by frame, its sound as it was, the original untouched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import IO, Any, BinaryIO, Protocol

import msgspec
from av.video.frame import PictureType

from shared.errors import QurbaniError
from shared.evidence.enhance import Enhancement
from shared.evidence.media import LONGEST_S
from shared.evidence.redact import Redaction
from shared.renditions.muxer import muxer
from shared.renditions.sound import Sound
from shared.renditions.source import Source
from shared.renditions.upright import Upright

TOOL = "qurbani-derive/3"
"""The version of what makes the copies. Raised with every change that can change one."""

Recipe = Redaction | Enhancement
Progress = Callable[[float], None]
"""Told the share that is done."""

_CLOCK = Fraction(1, 90_000)
_QUALITY = {"crf": "20", "preset": "veryfast"}
_SOUND_RATE = 64_000
_KEY_S = 2.0


class Derived(msgspec.Struct, frozen=True, tag="derived"):
    """What was made: ``kind`` is the recipe's name, ``sound`` whether there is any, ``sound_copied`` whether it is
    the original's bit for bit (a container that cannot hold its kind gets AAC)."""

    kind: str
    tool: str
    settings: str
    width: int
    height: int
    seconds: float
    sound: bool
    sound_copied: bool


class Stage(Protocol):
    """Changes frames to frames of ``size``. ``put`` may hold some back, ``end`` gives the rest."""

    @property
    def size(self) -> tuple[int, int]: ...

    def put(self, frame: Any) -> Iterator[Any]: ...

    def end(self) -> Iterator[Any]: ...


def derive(video: IO[bytes], target: BinaryIO, recipe: Recipe, parent: str, progress: Progress) -> Derived:
    """Write the copy of ``video`` as an MP4 to ``target``, which is read back at the end.

    ``parent`` is the SHA-256 of the original; the copy names it and says in its metadata what it is. Raises
    ``file_empty``, ``not_a_video``, ``file_damaged`` when not one frame can be shown, and ``too_long``.
    """
    with Source.opened(video) as peeked:
        first = peeked.first()
        upright = Upright(first, max(first.width, first.height) * 2, peeked.video.sample_aspect_ratio)
    with Source.opened(video) as source, muxer(target) as out:
        if source.seconds > LONGEST_S:
            raise QurbaniError("too_long", f"it is {source.seconds / 60:.0f} minutes long")
        kind = type(recipe).__name__.lower()
        out.metadata["comment"] = f"derived copy ({kind}: {recipe.settings}) of sha256:{parent}, made by {TOOL}"
        picture = _Picture(out, source.video, recipe.stage(upright.width, upright.height))
        track = _track(out, source)
        for packet in source.packets(*filter(None, (source.video, source.audio))):
            if track and packet.stream is not source.video:
                track.put(packet)
                continue
            for frame in source.decoded(packet):
                picture.put(upright(frame))
                progress(min(frame.time / source.seconds, 1.0) if source.seconds and frame.time else 0.0)
        picture.end()
        if track:
            track.end()
    progress(1.0)
    return Derived(kind, TOOL, recipe.settings, *picture.size, picture.seconds,
                   bool(track and track.heard), bool(track and track.copied))  # fmt: skip


class _Picture:
    """Frames through the stage and into H.264."""

    def __init__(self, out: Any, source: Any, stage: Stage) -> None:
        self._out = out
        self._rate = source.average_rate or Fraction(30)
        self._stage = stage
        self.size = stage.size
        self._stream = out.add_stream("libx264", rate=self._rate, options=_QUALITY)
        self._stream.width, self._stream.height, self._stream.pix_fmt = *self.size, "yuv420p"
        self._stream.codec_context.time_base = _CLOCK
        self._stream.codec_context.gop_size = max(round(self._rate * _KEY_S), 1)
        self._last = -1.0

    @property
    def seconds(self) -> float:
        return self._last + float(1 / self._rate)

    def put(self, frame: Any) -> None:
        if frame.pts is not None and frame.time > self._last:
            self._last = frame.time
            self._encode(self._stage.put(frame))

    def end(self) -> None:
        self._encode(self._stage.end())
        self._out.mux(self._stream.encode(None))

    def _encode(self, frames: Iterator[Any]) -> None:
        for frame in frames:
            frame.pict_type = PictureType.NONE  # the encoder chooses its own key frames
            self._out.mux(self._stream.encode(frame))


class _Track(Protocol):
    """Takes the packets of the sound."""

    copied: bool

    @property
    def heard(self) -> bool: ...

    def put(self, packet: Any) -> None: ...

    def end(self) -> None: ...


def _track(out: Any, source: Source) -> _Track | None:
    if source.audio is None:
        return None
    fits = source.audio.codec_context.name in out.supported_codecs
    return _Copied(out, source) if fits else _Encoded(out, source)


class _Copied:
    """The packets as they are."""

    copied = True

    def __init__(self, out: Any, source: Source) -> None:
        self._out = out
        self._stream = out.add_stream_from_template(source.audio)
        self._last: int | None = None

    @property
    def heard(self) -> bool:
        return self._last is not None

    def put(self, packet: Any) -> None:
        if packet.dts is not None and (self._last is None or packet.dts > self._last):
            self._last = packet.dts
            packet.stream = self._stream
            self._out.mux(packet)

    def end(self) -> None:
        pass


class _Encoded:
    """A kind of sound that an MP4 cannot hold, as AAC."""

    copied = False

    def __init__(self, out: Any, source: Source) -> None:
        self._source = source
        self._sound = Sound(out, source.audio, _SOUND_RATE)

    @property
    def heard(self) -> bool:
        return self._sound.heard

    def put(self, packet: Any) -> None:
        for frame in self._source.decoded(packet):
            self._sound.put(frame)

    def end(self) -> None:
        self._sound.end()
