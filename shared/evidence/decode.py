"""A video as a stream of events: what it is, then its sound, then its pictures, then what was wrong with it.

The sound comes first because it is quick to read and slow to understand: the recogniser can start while the
pictures are still being decoded.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import msgspec

from shared.domain.verdict import CAUSES
from shared.errors import QurbaniError
from shared.evidence.frames import Fit, Picture, sample
from shared.evidence.media import LONGEST_S, Probe, Video, measured, opened, probe, readable
from shared.evidence.sound import Sound, listen


class Problem(msgspec.Struct, frozen=True, tag="problem"):
    """The video could not be read, or not to its end. ``code`` is one of ``shared.domain.verdict.CAUSES``."""

    code: str
    detail: str = ""


Event = Probe | Sound | Picture | Problem


def decode(video: Video, fit: Fit | None) -> Generator[Event, None, None]:
    """Everything there is to see (scaled to ``fit``; without one, nothing) and hear.

    Never raises for a bad file. What keeps its bytes from being read (a wrong path, a sealed file that was
    tampered with) is no fault of the video and is raised.
    """
    with readable(video) as file:
        try:
            with opened(file) as container:
                found = probe(container)
                if not found.seconds:
                    found = msgspec.structs.replace(found, seconds=measured(container))
            yield found
            if found.seconds > LONGEST_S:
                raise QurbaniError("too_long", f"it is {found.seconds / 60:.0f} minutes long, or more")
            with opened(file) as container:
                yield from _until_broken(listen(container))
            if fit is not None:
                with opened(file) as container:
                    yield from _until_broken(sample(container, fit))
        except QurbaniError as error:
            yield _problem(error)


def _until_broken(events: Iterator[Sound] | Iterator[Picture]) -> Iterator[Event]:
    """A broken sound track says nothing about the picture, so the problem is told and reading goes on."""
    try:
        yield from events
    except QurbaniError as error:
        if error.code == "too_long":
            raise
        yield _problem(error)


def _problem(error: QurbaniError) -> Problem:
    if error.code not in CAUSES:
        raise error
    return Problem(error.code, error.detail)
