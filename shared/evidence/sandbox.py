"""Decodes a video in a process of its own, so that foreign bytes can break nothing but that.

The child has no file, no network and none of our environment. It asks for the bytes of the one video over a
socket, which the parent reads for it (so a sealed video works the same and its plaintext stays in memory), and
sends back what it decoded. Limits on memory and processor time end it; its end is a reason, not our end.
"""

from __future__ import annotations

import io
import math
import os
import pkgutil
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TypeVar

import av
import msgspec

from shared.domain.verdict import CAUSES
from shared.evidence import decode as in_process
from shared.evidence.decode import Event, Problem
from shared.evidence.frames import MOST, Fit, Picture
from shared.evidence.media import LONGEST_S, Probe, Video, readable
from shared.evidence.sound import RATE, Sound

_ROOT = Path(__file__).parents[2]
_LONGEST_MESSAGE = 64 * 1024 * 1024
_LONGEST_READ = 4 * 1024 * 1024
_AHEAD = 2 * 1024 * 1024
"""Bytes of pictures that may wait for the detector, so that the two work at the same time."""


class Limits(msgspec.Struct, frozen=True):
    """``memory`` in bytes of address space, ``processor_s`` in seconds of processor time for the whole video,
    ``answer_s`` in seconds that the parent waits for the next event."""

    memory: int = 1536 * 1024 * 1024
    processor_s: int = 300
    answer_s: float = 60.0


class _Job(msgspec.Struct, frozen=True):
    size: int
    fit: Fit | None
    limits: Limits


class _Read(msgspec.Struct, frozen=True, tag="read"):
    offset: int
    size: int


class _Done(msgspec.Struct, frozen=True, tag="done"):
    pass


class _Nonsense(Exception):
    pass


T = TypeVar("T")


class _Channel:
    """Length-prefixed MessagePack over a socket. ``EOFError`` when the other end is gone."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def send(self, message: Any) -> None:
        self.send_bytes(msgspec.msgpack.encode(message))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(len(data).to_bytes(4, "big") + data)

    def receive(self, kind: type[T] | Any) -> T:
        return msgspec.msgpack.decode(self.receive_bytes(), type=kind)

    def receive_bytes(self) -> bytearray:
        length = int.from_bytes(self._exactly(4), "big")
        if length > _LONGEST_MESSAGE:
            raise _Nonsense
        return self._exactly(length)

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            count = self._socket.recv_into(rest)
            if not count:
                raise EOFError
            rest = rest[count:]
        return data


def decode(video: Video, fit: Fit | None, limits: Limits | None = None) -> Generator[Event, None, None]:
    """As :func:`shared.evidence.decode.decode`, in a child process within ``limits``."""
    limits = limits or Limits()
    with readable(video) as file, _child(limits) as (process, channel):
        try:
            channel.send(_Job(file.seek(0, os.SEEK_END), fit, limits))
            yield from _served(channel, file, fit)
        except TimeoutError:
            yield Problem("too_demanding", f"no answer within {limits.answer_s:.0f} s")
        except (msgspec.MsgspecError, _Nonsense):
            yield Problem("decoder_crashed", "it sent what cannot be")
        except (EOFError, ConnectionError):
            yield _post_mortem(process)


def _served(channel: _Channel, file: IO[bytes], fit: Fit | None) -> Iterator[Event]:
    """Answer the child's reads and pass on its events until it is done.

    Whoever took over the child through a hole in a decoder can send anything, so only what can be is passed on.
    """
    pictures = heard = 0
    while True:
        message: Event | _Read | _Done = channel.receive(Event | _Read | _Done)
        match message:
            case _Done():
                return
            case _Read():
                file.seek(max(message.offset, 0))
                channel.send_bytes(file.read(min(max(message.size, 0), _LONGEST_READ)))
                continue
            case Probe():
                believable = 0 <= message.seconds < math.inf
            case Sound():
                heard += len(message.data)
                believable = heard <= 2 * RATE * LONGEST_S
            case Picture():
                pictures += 1
                believable = fit is not None and pictures <= MOST and _fits(message, fit)
            case Problem():
                believable = message.code in CAUSES
        if not believable:
            raise _Nonsense
        yield message


def _fits(picture: Picture, fit: Fit) -> bool:
    width, height = picture.width, picture.height
    sized = 0 < width <= fit.width and 0 < height <= fit.height and len(picture.data) == 3 * width * height
    return sized and -1 <= picture.time < math.inf


def _post_mortem(process: subprocess.Popen[bytes]) -> Problem:
    try:
        status = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return Problem("decoder_crashed", "it stopped talking")
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return Problem("too_demanding", "it used up its time or the machine's memory")
    return Problem("decoder_crashed", f"it ended with {status}")


@contextmanager
def _child(limits: Limits) -> Iterator[tuple[subprocess.Popen[bytes], _Channel]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(limits.answer_s)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _AHEAD)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __spec__.name, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Keys and passwords live in our environment; the child gets none of it.
            env={"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1"},
            cwd="/",
        )
        theirs.close()
        try:
            yield process, _Channel(ours)
        finally:
            process.kill()
            process.wait()


class _Remote(io.RawIOBase):
    """The video, as the child sees it: a file whose bytes lie with the parent."""

    def __init__(self, channel: _Channel, size: int) -> None:
        self._channel = channel
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._position, 0)
        self._channel.send(_Read(self._position, min(left, size if size >= 0 else left)))
        data = bytes(self._channel.receive_bytes())
        self._position += len(data)
        return data


def _main(descriptor: int) -> None:
    channel = _Channel(socket.socket(fileno=descriptor))
    job: _Job = channel.receive(_Job)
    _load_all()
    _confine(job.limits)
    try:
        for event in in_process.decode(_Remote(channel, job.size), job.fit):  # type: ignore[arg-type]
            channel.send(event)
    except MemoryError:
        channel.send(Problem("too_demanding", "it used up its memory"))
    channel.send(_Done())


def _load_all() -> None:
    """PyAV imports parts of itself when it first needs them, which will be too late."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name != "av.__main__":
            import_module(module.name)


def _confine(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_s, limits.processor_s + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is open stays open, and nothing can be opened any more: no file, no socket, no program.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
