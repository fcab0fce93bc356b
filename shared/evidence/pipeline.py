"""One video from its bytes to its verdict."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import Literal

from shared.domain.verdict import Claim, Frame, Verdict
from shared.evidence import sandbox
from shared.evidence.decode import Event, Problem
from shared.evidence.frames import Fit, Picture
from shared.evidence.judge import Facts, judge
from shared.evidence.media import Probe, Video
from shared.evidence.names import match
from shared.evidence.scene import Detector, Sight, look
from shared.evidence.sound import RATE, Samples, Sound
from shared.evidence.speech import Transcriber, hear

Decode = Callable[[Video, Fit | None], Generator[Event, None, None]]
Progress = Callable[[Literal["detect", "transcribe"], float], None]
"""Told the stage and the share of it that is done; from two threads."""


def validate(
    video: Video,
    claims: Sequence[Claim],
    cohort: Sequence[Claim] = (),
    *,
    detector: Detector | None,
    transcriber: Transcriber | None,
    spoken: Sequence[str] = (),
    decode: Decode = sandbox.decode,
    progress: Progress = lambda stage, done: None,
) -> Verdict:
    """Whether ``video`` shows a sacrifice and names everyone in ``claims``. Never raises for a bad file.

    ``cohort`` are the other names expected at the site, ``spoken`` the languages spoken there (ISO 639-1). What
    is missing (a model, the sound) makes the verdict ``review``. Three things go on at once: ``decode`` works in
    its own process, the transcriber in a thread, the detector in the caller's.
    """
    return judge(examine(
        video, claims, cohort,
        detector=detector, transcriber=transcriber, spoken=spoken, decode=decode, progress=progress,
    ))  # fmt: skip


def examine(
    video: Video,
    claims: Sequence[Claim],
    cohort: Sequence[Claim] = (),
    *,
    detector: Detector | None,
    transcriber: Transcriber | None,
    spoken: Sequence[str] = (),
    decode: Decode = sandbox.decode,
    progress: Progress = lambda stage, done: None,
) -> Facts:
    """The facts that :func:`validate` judges; kept, they can be judged again by later rules."""
    with closing(decode(video, detector.fit if detector else None)) as events, ThreadPoolExecutor(1) as pool:
        found, pieces, problems, rest = _heard_first(events)
        heard = pool.submit(hear, pieces, transcriber, lambda done: progress("transcribe", done))
        frames = []
        for event in rest:
            if isinstance(event, Picture) and detector:
                frames.append(look(event, detector))
                progress("detect", event.time / found.seconds if found and found.seconds else 0.0)
            elif isinstance(event, Problem):
                problems.append(event.code)
        progress("detect", 1.0)
        hearing = heard.result()
    return Facts(
        seconds=_seconds(found, pieces, frames),
        problems=tuple(problems),
        has_picture=bool(found and found.video),
        sight=Sight(tuple(frames), detector.model, detector.rule) if detector else Sight(),
        hearing=hearing,
        shares=match(hearing.words, claims, cohort),
        spoken=tuple(spoken),
    )


def _heard_first(events: Iterator[Event]) -> tuple[Probe | None, list[Samples], list[str], Iterator[Event]]:
    """What the file is, all of its sound, the problems so far, and the events from the first picture on."""
    found: Probe | None = None
    pieces: list[Samples] = []
    problems: list[str] = []
    for event in events:
        match event:
            case Probe():
                found = event
            case Sound():
                pieces.append(event.samples())
            case Problem():
                problems.append(event.code)
            case Picture():
                return found, pieces, problems, chain([event], events)
    return found, pieces, problems, iter(())


def _seconds(found: Probe | None, pieces: Sequence[Samples], frames: Sequence[Frame]) -> float:
    """How long the video is: what it says of itself, or what was met of one that does not say."""
    if found and found.seconds:
        return found.seconds
    return max(sum(map(len, pieces)) / RATE, frames[-1].time if frames else 0.0)
