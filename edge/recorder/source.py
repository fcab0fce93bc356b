"""One connection to a camera, through PyAV: what it sends, as pieces on the camera's own clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet

from edge.recorder import simulated
from edge.recorder.address import Address
from edge.recorder.tracks import US, Piece, Track, Tracks

OPEN_S, READ_S = 10.0, 5.0
"""How long a camera may take to answer, and how long it may then fall silent."""

_FAILURES = (av.error.FFmpegError, OSError, ValueError, IndexError)
"""What PyAV raises when a camera does not do as it should."""

# FFmpeg's own messages name the address of the camera, with its password.
av.logging.set_level(None)


class Lost(Exception):
    """The camera cannot be reached, or has fallen silent; the message is fit for people and logs."""


class Source:
    """An open connection. Each of ``feeds`` is to be read in a thread of its own; any may raise :class:`Lost`."""

    def __init__(self, tracks: Tracks, feeds: list[Iterator[Piece]], containers: list[InputContainer]) -> None:
        self.tracks = tracks
        self.feeds = feeds
        self._containers = containers

    def close(self) -> None:
        """Only when no feed is being read any more."""
        for container in self._containers:
            with suppress(*_FAILURES):
                container.close()


def connect(address: Address) -> Source:
    """Raises :class:`Lost`."""
    if address.kind == "sim" and not address.where:
        tracks = Tracks()
        return Source(tracks, [simulated.clock(tracks, address)], [])
    container = _open(address.where, *opening(address))
    if not container.streams.video:
        raise Lost("it sends no picture")
    picture = container.streams.video[0]
    if not picture.width:
        raise Lost("it does not say how large its picture is")
    tracks = Tracks()
    mine: dict[int, Track] = {picture.index: tracks.picture(picture)}
    if container.streams.audio:
        sound = container.streams.audio[0]
        mine[sound.index] = tracks.sound(sound)
    containers, feeds = [container], [_fed(_packets(container, mine, over_and_over=address.kind == "sim"), mine)]
    if microphone := address.options.get("sound"):
        with suppress(Lost):  # a camera without sound is worth more than none; the look before the act says it
            heard = _open(microphone, "alsa", {})
            ears: dict[int, Track] = {heard.streams.audio[0].index: tracks.sound(heard.streams.audio[0])}
            containers.append(heard)
            feeds.append(_fed(_packets(heard, ears), ears))
    tracks.fix()
    return Source(tracks, feeds, containers)


def opening(address: Address) -> tuple[str | None, dict[str, str]]:
    """The FFmpeg format and the options with which a camera is opened."""
    if address.kind == "rtsp":
        # Over TCP: a picture in which a lost datagram has left its mark is no proof.
        return None, {"rtsp_transport": "tcp", "rtsp_flags": "prefer_tcp"}
    if address.kind == "v4l2":
        wanted = {"size": "video_size", "rate": "framerate", "format": "input_format"}
        return "v4l2", {wanted[name]: value for name, value in address.options.items() if name in wanted}
    return None, {}


def _open(where: str, format: str | None, options: dict[str, str]) -> InputContainer:
    try:
        return av.open(where, "r", format=format, options=options, metadata_errors="ignore", timeout=(OPEN_S, READ_S))
    except _FAILURES as error:
        raise Lost(_why(error)) from None  # its message holds the address


def _why(error: Exception) -> str:
    """What went wrong, without the address."""
    if isinstance(error, av.error.ExitError):
        return "it does not answer"
    return getattr(error, "strerror", None) or type(error).__name__


def _fed(packets: Iterator[tuple[Packet, int]], tracks: dict[int, Track]) -> Iterator[Piece]:
    try:
        for packet, later in packets:
            for piece in tracks[packet.stream_index].feed(packet):
                yield _later(piece, later)
    except _FAILURES as error:
        raise Lost(_why(error)) from None


def _packets(
    container: InputContainer, tracks: dict[int, Track], *, over_and_over: bool = False
) -> Iterator[tuple[Packet, int]]:
    """The packets of the tracks; a file's at the pace at which it was filmed, each with how much later it is shown."""
    streams = [container.streams[index] for index in tracks]
    began, later, end = time.monotonic(), 0, 0
    while True:
        for packet in container.demux(streams):
            if over_and_over and packet.dts is not None:
                end = max(end, int((packet.dts + (packet.duration or 0)) * packet.time_base / US))
                due = began + (later + int(packet.dts * packet.time_base / US)) / 1e6
                time.sleep(max(0.0, due - time.monotonic()))
            yield packet, later
        if not over_and_over or not end:
            raise Lost("it has ended its stream")
        later, end = later + end, 0
        container.seek(0)


def _later(piece: Piece, us: int) -> Piece:
    if not us:
        return piece
    return Piece(piece.tracks, piece.track, piece.data, piece.pts + us, piece.dts + us, piece.duration, piece.is_key)
