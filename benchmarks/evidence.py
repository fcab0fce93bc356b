"""The check of one minute of 1080p, stage by stage: beside the least that it needs, and beside the naive way.

The least: seek to each second, decode one picture, scale it in the decoder; the bare model on 60 pictures; the bare
recogniser on the speech. The naive way: decode every picture at full size, scale each, look at 60, listen to everything
(a quarter of the pictures is done, and counted four times). Times are processor seconds, of children too, unless they
say wall: other work on the machine changes those little.

``QURBANI_BENCH_VIDEO`` names another clip; without it one is made (which takes a minute).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks import Row, Say
from models_tflite.loader import load_detector, load_transcriber
from models_tflite.store import Store
from shared.domain.verdict import Claim
from shared.errors import QurbaniError
from shared.evidence import sandbox
from shared.evidence.decode import Event
from shared.evidence.frames import Fit, Picture
from shared.evidence.media import Video
from shared.evidence.pipeline import validate
from shared.evidence.scene import Detector, look
from shared.evidence.sound import RATE, Samples, Sound, Span, speech
from shared.evidence.speech import Transcriber, hear

SECONDS, WIDTH, HEIGHT, FPS = 60, 1920, 1080, 25
CLAIM = Claim("Ahmed Benali")

T = TypeVar("T")


class Time(msgspec.Struct, frozen=True):
    """Seconds of processors, and of the clock on the wall."""

    processor: float
    wall: float


def run(say: Say) -> list[Row]:
    """Each of ours right beside what it is held against."""
    with TemporaryDirectory(prefix="qurbani-bench-") as folder:
        clip = Path(os.environ.get("QURBANI_BENCH_VIDEO") or made(Path(folder) / "clip.mp4", say))
        detector, transcriber = models()
        say("floor")
        least, floor = _timed(lambda: _decoded_sparsely(clip, detector.fit))
        ours, events = _timed(lambda: list(sandbox.decode(clip, detector.fit)))
        pictures = [event for event in events if isinstance(event, Picture)]
        pieces = [event.samples() for event in events if isinstance(event, Sound)]
        rows = [Row("probe and sample", "s", ours.processor, least.processor, "seek, decode, scale", goal=1.15)]
        say("detect")
        bare, _ = _timed(lambda: _invoked(detector, len(pictures)))
        looked, _ = _timed(lambda: [look(picture, detector) for picture in pictures])
        rows.append(Row("detect", "s", looked.processor, bare.processor, f"{len(pictures)} bare invokes", goal=1.15))
        say("transcribe")
        spans = speech(np.concatenate(pieces)).spans
        said, _ = _timed(lambda: list(transcriber.transcribe(spans)))
        heard, _ = _timed(lambda: hear(pieces, transcriber))
        rows.append(Row("transcribe", "s", heard.processor, said.processor, "recogniser on the speech", goal=1.15))
        say("whole check")
        whole, _ = _timed(lambda: validate(clip, [CLAIM], detector=detector, transcriber=transcriber))
        parts = [least, bare, said]
        total = Time(sum(each.processor for each in parts), sum(each.wall for each in parts))
        rows += [
            Row("the whole check", "s", whole.processor, total.processor, "the least of all three", goal=1.15),
            Row("the whole check, wall", "s", whole.wall, total.wall, "the least, one after the other", goal=0.72),
        ]
        say("naive")
        quarter, _ = _timed(lambda: _naive(clip, detector, SECONDS / 4))
        everything, _ = _timed(lambda: list(transcriber.transcribe([Span(0.0, floor)])))
        naive = 4 * quarter.processor + everything.processor
        rows.append(Row("the whole check", "s", whole.processor, naive, "the naive way", goal=0.125))
        say("memory")
        for engine, most in (("", 600), ("vosk", 600), ("whisper", 1000)):
            if peak := _peak(clip, engine):
                rows.append(Row(f"peak memory, {engine or 'no recogniser'}", "MB", peak, most, "goal", goal=1))
    return rows


def models() -> tuple[Detector, Transcriber]:
    """What would be used for English. Raises ``no_model``."""
    store = Store.from_environ(os.environ)
    detector, transcriber = load_detector(store), load_transcriber(store, language="en")
    if detector is None or transcriber is None:
        raise QurbaniError("no_model", "this needs a detector and a recogniser")
    return detector, transcriber


def made(path: Path, say: Say) -> Path:
    """A minute that pans over a picture full of edges, with something like a voice in the middle."""
    chance = np.random.default_rng(1)
    wide = np.kron(chance.integers(0, 256, (HEIGHT // 8, WIDTH // 4, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w", options={"movflags": "faststart"}) as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "g": str(2 * FPS)})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        for index in range(SECONDS * FPS):
            if index % (10 * FPS) == 0:
                say(f"making a clip, {index // FPS} of {SECONDS} s")
            left = index % WIDTH
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(wide[:, left : left + WIDTH]), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(video.encode(frame))
        for index, samples in enumerate(np.split(_murmur(), SECONDS * 10)):
            sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            sound.rate, sound.pts, sound.time_base = RATE, index * len(samples), Fraction(1, RATE)
            out.mux(audio.encode(sound))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


def _murmur() -> Samples:
    """Ten seconds with the pitch and the syllables of a voice, in a minute of faint noise."""
    seconds = np.arange(SECONDS * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * seconds) / k for k in range(2, 25))
    voice *= (0.6 + 0.4 * np.sin(2 * np.pi * 4 * seconds)) * ((seconds >= 20) & (seconds < 30))
    noise = np.random.default_rng(7).standard_normal(seconds.size)
    return (np.clip(0.3 * voice + 0.001 * noise, -1, 1) * 32767).astype(np.int16)


def _decoded_sparsely(clip: Path, fit: Fit) -> Samples:
    """One picture a second by seeking, and the sound; nothing is kept of the pictures."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"skip_loop_filter": "all"}
        stream.codec_context.skip_frame = "NONREF"
        for second in range(round((container.duration or 0) / av.time_base)):
            container.seek(second * av.time_base)
            for frame in container.decode(stream):
                if frame.time >= second - 0.1:
                    _scaled(frame, fit)
                    break
    return _sound(clip)


def _sound(clip: Path) -> Samples:
    with av.open(str(clip)) as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        pieces = [piece.to_ndarray()[0] for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    return np.concatenate(pieces)


def _scaled(frame: Any, fit: Fit) -> NDArray[np.uint8]:
    scale = min(fit.width / frame.width, fit.height / frame.height)
    size = round(frame.width * scale), round(frame.height * scale)
    small: NDArray[np.uint8] = frame.reformat(*size, fit.pixels, interpolation="BILINEAR").to_ndarray()
    return small


def _naive(clip: Path, detector: Detector, until: float) -> None:
    """Every picture decoded, turned into an array of full size and scaled from there; one a second looked at."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(container.decode(stream)):
            if frame.time >= until:
                break
            full = frame.to_ndarray(format=detector.fit.pixels)
            small = _scaled(av.VideoFrame.from_ndarray(full, format=detector.fit.pixels), detector.fit)
            if index % FPS == 0:
                detector.detect(small)


def _invoked(detector: Detector, count: int) -> None:
    """The interpreters alone, on whatever lies in their inputs."""
    for member in getattr(detector, "_members", (detector,)):
        for _ in range(count):
            member._interpreter.invoke()


def _timed(work: Callable[[], T]) -> tuple[Time, T]:
    processor, wall = _processor_s(), time.perf_counter()
    result = work()
    return Time(_processor_s() - processor, time.perf_counter() - wall), result


def _processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak(clip: Path, engine: str) -> float | None:
    """Megabytes that a process of its own and its decoder held at most, when it checked the clip.

    None where there is no such recogniser here.
    """
    command = [sys.executable, "-m", __spec__.name, str(clip), engine]
    done = subprocess.run(command, capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else None


def _checked(clip: Path, engine: str) -> None:
    store = Store.from_environ(os.environ)
    language = "en" if engine == "whisper" else ""  # whichever language Vosk knows here: this asks for memory
    transcriber = load_transcriber(store, engine=engine, language=language) if engine else None
    decoder = [0.0]

    def watched(video: Video, fit: Fit | None) -> Generator[Event, None, None]:
        for event in sandbox.decode(video, fit):
            decoder.extend(_held(child) for child in _children())
            yield event

    validate(clip, [CLAIM], detector=load_detector(store), transcriber=transcriber, decode=watched)
    sys.stdout.write(f"{_held('self') + max(decoder)}\n")


def _children() -> list[str]:
    return [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def _held(process: str) -> float:
    """The most megabytes that a process has held; getrusage(2) also counts what forked it."""
    status = Path(f"/proc/{process}/status").read_text()
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    _checked(Path(sys.argv[1]), sys.argv[2])
