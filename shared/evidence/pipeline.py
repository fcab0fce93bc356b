"""One video from its bytes to its verdict."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import Literal

from shared.domain.verdict import Claim, Verdict
from shared.evidence import sandbox
from shared.evidence.decode import Event, Problem
from shared.evidence.frames import Fit, Picture
from shared.evidence.judge import Facts, judge
from shared.evidence.media import Probe, Video
from shared.evidence.names import roll_call
from shared.evidence.scene import Detector, Sight, look
from shared.evidence.sound import RATE, Samples, Sound
from shared.evidence.speech import Transcriber, hear
from shared.evidence.stages import Done, Heard, Seen, detecting, transcribing

Decode = Callable[[Video, Fit | None], Generator[Event, None, None]]
Progress = Callable[[Literal["detect", "transcribe"], float], None]
"""Told the stage and the share of it that is done; from two threads."""

NOTHING = Done()
"""Nothing was found before, and nothing is kept."""


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
    done: Done = NOTHING,
) -> Verdict:
    """Whether ``video`` shows a sacrifice and names everyone in ``claims``. Never raises for a bad file.

    ``cohort`` are the other names expected at the site, ``spoken`` the languages spoken there (ISO 639-1). What
    is missing (a model, the sound) makes the verdict ``review``. Three things go on at once: ``decode`` works in
    its own process, the transcriber in a thread, the detector in the caller's. ``done`` is what was found in this
    video before; what these models have found in it already is not looked for again.
    """
    return judge(examine(
        video, claims, cohort, detector=detector, transcriber=transcriber, spoken=spoken, decode=decode,
        progress=progress, done=done,
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
    done: Done = NOTHING,
) -> Facts:
    """The facts that :func:`validate` judges; kept, they can be judged again by later rules."""
    seen = done.find(detecting(detector), Seen) if detector else None
    heard = done.find(transcribing(transcriber), Heard) if transcriber else None
    problems: tuple[str, ...] = ()
    if heard is None or (detector and seen is None):
        looking = detector if seen is None else None
        with closing(decode(video, looking.fit if looking else None)) as events:
            seen_now, heard_now, problems = _read(events, looking, None if heard else transcriber, progress, done)
        seen, heard = seen or seen_now, heard or heard_now
    found, roll = heard.found, roll_call(heard.hearing.readings, claims, cohort)
    return Facts(
        seconds=_seconds(heard, seen),
        problems=problems,
        has_picture=bool(found and found.video),
        sight=Sight(seen.frames, detector.model, detector.rule) if detector and seen else Sight(),
        hearing=heard.hearing,
        shares=roll.shares,
        spoken=tuple(spoken),
        strays=roll.strays,
    )


def _read(
    events: Iterator[Event],
    detector: Detector | None,
    transcriber: Transcriber | None,
    progress: Progress,
    done: Done,
) -> tuple[Seen, Heard, tuple[str, ...]]:
    """Listen and look as the bytes come; and the codes of what was wrong with them.

    What was found in a video that could be read is kept at once. Of one that could not, nothing is known for good: it
    may have been a lack of memory.
    """

    def listened(found: Probe | None, pieces: Sequence[Samples], whole: bool) -> Heard:
        hearing = hear(pieces, transcriber, lambda share: progress("transcribe", share))
        heard = Heard(found, hearing, sum(map(len, pieces)) / RATE)
        if transcriber and whole:
            done.keep(transcribing(transcriber), heard)
        return heard

    with ThreadPoolExecutor(1) as pool:
        found, pieces, problems, rest = _heard_first(events)
        heard = pool.submit(listened, found, pieces, not problems)
        frames = []
        for event in rest:
            if isinstance(event, Picture) and detector:
                frames.append(look(event, detector))
                progress("detect", event.time / found.seconds if found and found.seconds else 0.0)
            elif isinstance(event, Problem):
                problems.append(event.code)
        progress("detect", 1.0)
        seen = Seen(found, tuple(frames))
        if detector and not problems:
            done.keep(detecting(detector), seen)
        return seen, heard.result(), tuple(problems)


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


def _seconds(heard: Heard, seen: Seen | None) -> float:
    """How long the video is: what it says of itself, or what was met of one that does not say."""
    if heard.found and heard.found.seconds:
        return heard.found.seconds
    return max(heard.seconds, seen.frames[-1].time if seen and seen.frames else 0.0)
