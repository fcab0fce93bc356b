"""A child process for foreign bytes: the same events, and an end that is only its own."""

from __future__ import annotations

import ast
import io
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from shared.errors import QurbaniError
from shared.evidence import decode, sandbox
from shared.evidence.confined import Channel, Limits, Nonsense
from shared.evidence.decode import Problem
from shared.evidence.frames import Fit, Picture
from shared.evidence.media import Probe
from shared.evidence.pipeline import Decode
from tests.film import babble, film

FIT = Fit(64, 64, "bgr24")
ROOT = Path(__file__).parents[4]

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", 4, sound=babble(4, 1, 3))


def children() -> list[int]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


class Meddling(io.BytesIO):
    """A video that does something to the child which is waiting for its bytes."""

    def __init__(self, data: bytes, meddle: Callable[[int], None], after: int = 0) -> None:
        super().__init__(data)
        self._meddle = meddle
        self._before = set(children())
        self._left = after

    def read(self, size: int | None = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            for child in set(children()) - self._before:
                self._meddle(child)
        return super().read(512 if size is None or size < 0 else min(size, 512))


def test_the_same_events_as_in_process(video: Path) -> None:
    assert list(sandbox.decode(video, FIT)) == list(decode.decode(video, FIT))
    assert list(sandbox.decode(video, None)) == list(decode.decode(video, None))


def test_a_damaged_file_gives_the_same_reasons(video: Path) -> None:
    for data in (b"", b"nothing", video.read_bytes()[:5000]):
        assert list(sandbox.decode(io.BytesIO(data), FIT)) == list(decode.decode(io.BytesIO(data), FIT))


@pytest.mark.parametrize("fault", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE])
def test_a_crash_of_the_decoder_is_a_reason(video: Path, fault: signal.Signals) -> None:
    meddling = Meddling(video.read_bytes(), lambda child: os.kill(child, fault))
    assert list(sandbox.decode(meddling, FIT)) == [Problem("decoder_crashed", f"it ended with {-fault}")]
    assert not set(children()) - meddling._before


def test_what_came_before_the_crash_is_kept(tmp_path: Path) -> None:
    long = film(tmp_path / "long.mp4", 60, options={"movflags": "faststart"})
    meddling = Meddling(long.read_bytes(), lambda child: os.kill(child, signal.SIGSEGV), after=40)
    events = list(sandbox.decode(meddling, FIT))
    assert isinstance(events[0], Probe)
    assert isinstance(events[-1], Problem)
    assert events[-1].code == "decoder_crashed"


def test_the_next_video_is_not_affected(video: Path) -> None:
    meddling = Meddling(video.read_bytes(), lambda child: os.kill(child, signal.SIGSEGV))
    list(sandbox.decode(meddling, FIT))
    assert sum(isinstance(event, Picture) for event in sandbox.decode(video, FIT)) == 4


def test_a_decoder_that_falls_silent_is_given_up(video: Path) -> None:
    meddling = Meddling(video.read_bytes(), lambda child: os.kill(child, signal.SIGSTOP))
    events = list(sandbox.decode(meddling, FIT, Limits(answer_s=0.3)))
    assert [event.code for event in events if isinstance(event, Problem)] == ["too_demanding"]
    assert not set(children()) - meddling._before


def test_memory_is_limited(video: Path) -> None:
    """With less than a decoder needs, a good video ends in a reason as well."""
    events = list(sandbox.decode(video, Fit(12000, 12000, "rgb24"), Limits(memory=700 * 1024 * 1024)))
    assert isinstance(events[-1], Problem)
    assert events[-1].code in ("too_demanding", "file_damaged")


def test_processor_time_is_limited(tmp_path: Path) -> None:
    heavy = film(tmp_path / "heavy.mp4", 60, rate=2, gop=1)
    events = list(sandbox.decode(heavy, Fit(3000, 3000, "rgb24"), Limits(processor_s=1)))
    assert [event.code for event in events if isinstance(event, Problem)] == ["too_demanding"]


def test_stopping_early_leaves_no_process(video: Path) -> None:
    before = set(children())
    events = sandbox.decode(video, FIT)
    next(events)
    assert set(children()) - before
    events.close()
    assert not set(children()) - before


def test_the_child_sees_none_of_our_environment(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QURBANI_SECRET", "hunter2")
    seen: list[bytes] = []
    meddling = Meddling(video.read_bytes(), lambda child: seen.append(Path(f"/proc/{child}/environ").read_bytes()))
    list(sandbox.decode(meddling, FIT))
    assert seen
    assert all(b"hunter2" not in environment for environment in seen)


FORBIDDEN = """
import ctypes, mmap, os, resource, socket, subprocess, sys, threading
from shared.evidence.confined import Limits, confine
told, parent, libc = [], os.getppid(), ctypes.CDLL(None, use_errno=True)
def refused(attempt):
    try:
        return attempt() == -1
    except (OSError, ValueError):
        return True
end = socket.socket(fileno=int(sys.argv[1]))
taken = confine(Limits())
thread = threading.Thread(target=lambda: told.append("thread"))
thread.start()
thread.join()
for attempt in (
    lambda: open("/etc/hostname"),
    socket.socket,
    lambda: subprocess.run([sys.executable]),
    lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)),
):
    told.append(refused(attempt))
if taken:
    for attempt in (
        os.fork,
        lambda: os.kill(parent, 0),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: os.stat("/"),
        lambda: os.listdir(0),
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        lambda: libc.ptrace(16, parent, 0, 0),
        lambda: libc.unshare(0x10000000),
    ):
        told.append(refused(attempt))
end.send(repr((taken, told)).encode())
"""


def test_the_child_can_open_no_file_no_socket_and_no_program() -> None:
    """Nor, where the kernel can take system calls away, fork, signal, trace, look around or run new code."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", FORBIDDEN, str(theirs.fileno())]
        subprocess.run(command, pass_fds=[theirs.fileno()], env={"OPENBLAS_NUM_THREADS": "1"}, cwd=ROOT, check=True)
        taken, told = ast.literal_eval(ours.recv(1000).decode())
    assert told == ["thread"] + [True] * (12 if taken else 4)
    supported = platform.machine() in ("x86_64", "aarch64") and Path("/proc/sys/kernel/seccomp").exists()
    assert taken or not supported


def test_plaintext_of_a_sealed_video_is_read_by_the_parent_only(video: Path) -> None:
    """The child has no descriptor but its end of the socket, so it cannot know where the bytes come from."""
    opened: list[set[str]] = []

    def look(child: int) -> None:
        folder = Path(f"/proc/{child}/fd")
        opened.append({os.readlink(link).split(":")[0] for link in folder.iterdir()})

    list(sandbox.decode(Meddling(video.read_bytes(), look), FIT))
    assert opened
    assert all(kinds <= {"/dev/null", "socket"} for kinds in opened)


class Sealed(io.BytesIO):
    """A video whose bytes turn out to have been tampered with."""

    def read(self, size: int | None = -1) -> bytes:
        raise QurbaniError("damaged", "chunk 3 does not open")


@pytest.mark.parametrize("way", [decode.decode, sandbox.decode], ids=["in process", "in the sandbox"])
def test_bytes_that_cannot_be_had_are_no_fault_of_the_video(video: Path, way: Decode) -> None:
    before = set(children())
    for source, code in ((Sealed(video.read_bytes()), "damaged"), (video.with_name("missing"), "not_found")):
        with pytest.raises(QurbaniError) as error:
            list(way(source, FIT))
        assert error.value.code == code
    assert not set(children()) - before


@pytest.mark.parametrize(
    "lie",
    [
        Picture(0.0, 9, 9, b"too little"),
        Picture(0.0, 640, 1, bytes(1920)),
        Picture(float("nan"), 1, 1, b"rgb"),
        Probe("mov", float("inf"), None, None),
        Problem("no_such_code"),
        {"type": "exec", "command": "id"},
    ],
)
def test_a_child_that_was_taken_over_is_not_believed(lie: object) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(theirs).send(lie)
        with pytest.raises((Nonsense, msgspec.MsgspecError)):
            list(sandbox._served(Channel(ours), io.BytesIO(), FIT))


def test_a_child_cannot_fill_the_memory_of_its_parent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send((2**31).to_bytes(4, "big"))
        with pytest.raises(Nonsense):
            list(sandbox._served(Channel(ours), io.BytesIO(), FIT))
