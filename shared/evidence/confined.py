"""A process of its own for foreign bytes, so that they can break nothing but that.

The child has no file, no network and none of our environment. It asks for the bytes of the one video over a
socket, which the parent reads for it (so a sealed video works the same and its plaintext stays in memory).
Limits on memory and processor time end it; its end is a reason, not our end.
"""

from __future__ import annotations

import os
import pkgutil
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TypeVar

import av
import msgspec

from shared.evidence import seccomp
from shared.evidence.decode import Problem
from shared.seekable import Seekable

_ROOT = Path(__file__).parents[2]
_LONGEST_MESSAGE = 64 * 1024 * 1024
_LONGEST_READ = 4 * 1024 * 1024
_AHEAD = 2 * 1024 * 1024
"""Bytes of pictures that may wait for the detector, so that the two work at the same time."""


class Limits(msgspec.Struct, frozen=True):
    """``memory`` in bytes of address space, ``processor_s`` in seconds of processor time for the whole video,
    ``answer_s`` in seconds that the parent waits for the next event. ``opening_s`` is as much processor time as there
    is until the parent calls :func:`extend`, where it is less than ``processor_s``."""

    memory: int = 1536 * 1024 * 1024
    processor_s: int = 300
    answer_s: float = 60.0
    opening_s: int | None = None


class Read(msgspec.Struct, frozen=True, tag="read"):
    """The child wants these bytes of the video."""

    offset: int
    size: int

    def answer(self, channel: Channel, file: IO[bytes]) -> None:
        """Send them, as far as they can be had and a child may have at once."""
        file.seek(max(self.offset, 0))
        channel.send_bytes(file.read(min(max(self.size, 0), _LONGEST_READ)))


class Back(Read, frozen=True, tag="back"):
    """As ``Read``, of what the child has written."""


class Write(msgspec.Struct, frozen=True, tag="write"):
    """The child wants these bytes at this place of its target."""

    offset: int
    data: bytes

    def apply(self, target: IO[bytes], most: int) -> None:
        """Write them, if the target then has no more than ``most`` bytes. Raises :class:`Nonsense`."""
        if not 0 <= self.offset <= most - len(self.data):
            raise Nonsense
        target.seek(self.offset)
        target.write(self.data)


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The child has told everything."""


class Nonsense(Exception):
    """The child sent what it never would, were it still itself."""


FAILURES = (TimeoutError, msgspec.MsgspecError, Nonsense, EOFError, ConnectionError)
"""What talking to a child may raise; :func:`why` says what it means."""

T = TypeVar("T")


class Channel:
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
            raise Nonsense
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


class _Job(msgspec.Struct, frozen=True):
    """What the parent wants of the child: ``request`` is for its module to understand."""

    size: int
    request: msgspec.Raw
    limits: Limits


@contextmanager
def child(
    module: str, video: IO[bytes], request: Any, limits: Limits
) -> Iterator[tuple[subprocess.Popen[bytes], Channel]]:
    """A process that runs ``module`` with the number of its end of the channel; it is gone at the end.

    It is told the size of ``video`` and the ``request``, see :func:`told`.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(limits.answer_s)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _AHEAD)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(theirs.fileno())],
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
            channel = Channel(ours)
            with suppress(ConnectionError):  # it is gone already; whoever listens to it will learn why
                channel.send(_Job(video.seek(0, os.SEEK_END), msgspec.Raw(msgspec.msgpack.encode(request)), limits))
            yield process, channel
        finally:
            process.kill()
            process.wait()


def told(descriptor: int, kind: type[T] | Any, *loads: Callable[[], object]) -> tuple[Channel, Remote, T]:
    """In the child: the channel, the video, and the request, of ``kind``. From then on the process is confined;
    what it needs from the disk has to be loaded before, by ``loads``."""
    channel = Channel(socket.socket(fileno=descriptor))
    job: _Job = channel.receive(_Job)
    request: T = msgspec.msgpack.decode(job.request, type=kind)
    for load in (load_all, *loads):
        load()
    confine(job.limits)
    return channel, Remote(channel, job.size), request


class Remote(Seekable):
    """The video, as the child sees it: a file whose bytes lie with the parent."""

    asking: type[Read] = Read

    def __init__(self, channel: Channel, size: int = 0) -> None:
        super().__init__(size)
        self._channel = channel

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._position, 0)
        self._channel.send(self.asking(self._position, min(left, size if size >= 0 else left)))
        data = bytes(self._channel.receive_bytes())
        self._position += len(data)
        return data


class Target(Remote):
    """What the child writes, as the child sees it."""

    asking = Back

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._channel.send(Write(self._position, bytes(data)))
        self._position += len(data)
        self._size = max(self._size, self._position)
        return len(data)


def extend(process: subprocess.Popen[bytes], limits: Limits, processor_s: int) -> None:
    """Let a child go on for so much processor time in all; it cannot do so itself. Nothing where the system cannot."""
    if limits.opening_s is not None and hasattr(resource, "prlimit"):
        soft = min(processor_s, limits.processor_s)
        with suppress(OSError, ValueError):  # it has ended meanwhile
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (soft, limits.processor_s + 5))


def why(error: Exception, process: subprocess.Popen[bytes], limits: Limits) -> Problem:
    """What one of :data:`FAILURES`, met while talking to a child, says about it."""
    match error:
        case TimeoutError():
            return Problem("too_demanding", f"no answer within {limits.answer_s:.0f} s")
        case msgspec.MsgspecError() | Nonsense():
            return Problem("decoder_crashed", "it sent what cannot be")
        case _:
            return _post_mortem(process)


def _post_mortem(process: subprocess.Popen[bytes]) -> Problem:
    """Why a child that says no more is gone."""
    try:
        status = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return Problem("decoder_crashed", "it stopped talking")
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return Problem("too_demanding", "it used up its time or the machine's memory")
    return Problem("decoder_crashed", f"it ended with {status}")


def load_all() -> None:
    """PyAV imports parts of itself when it first needs them, which will be too late."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name != "av.__main__":
            import_module(module.name)


def confine(limits: Limits) -> bool:
    """From here on this process can compute and talk to its parent, and no more.

    Whether the kernel also took the system calls for anything else away (:mod:`shared.evidence.seccomp`).
    """
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    processor_s = min(limits.opening_s or limits.processor_s, limits.processor_s)
    resource.setrlimit(resource.RLIMIT_CPU, (processor_s, limits.processor_s + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is open stays open, and nothing can be opened any more: no file, no socket, no program.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    return seccomp.forbid()
