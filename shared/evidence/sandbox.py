"""Decodes a video in a confined process, and passes on only what can be."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator, Iterator
from typing import IO

from shared.domain.verdict import CAUSES
from shared.evidence import decode as in_process
from shared.evidence.confined import FAILURES, Channel, Done, Limits, Nonsense, Read, child, extend, told, why
from shared.evidence.decode import Event, Problem
from shared.evidence.frames import Fit, Picture
from shared.evidence.media import LONGEST_S, Probe, Video, readable
from shared.evidence.sound import RATE, Sound

OPENING_S = 8
"""Processor time within which a decoder knows what a video is, its own start included."""
SECOND_S = 2.0
"""Processor time for a second of video: 1080p takes a fiftieth of it here, and a small board ten times as long."""

LIMITS = Limits(opening_s=OPENING_S)


def decode(video: Video, fit: Fit | None, limits: Limits | None = None) -> Generator[Event, None, None]:
    """As :func:`shared.evidence.decode.decode`, in a child process within ``limits``."""
    limits = limits or LIMITS
    with readable(video) as file, child(__spec__.name, file, fit, limits) as (process, channel):
        try:
            for event in _served(channel, file, fit):
                if isinstance(event, Probe):
                    extend(process, limits, OPENING_S + round(SECOND_S * event.seconds))
                yield event
        except FAILURES as error:
            yield why(error, process, limits)


def _served(channel: Channel, file: IO[bytes], fit: Fit | None) -> Iterator[Event]:
    """Answer the child's reads and pass on its events until it is done.

    Whoever took over the child through a hole in a decoder can send anything, so only what can be is passed on.
    """
    pictures = heard = 0
    while True:
        message: Event | Read | Done = channel.receive(Event | Read | Done)
        match message:
            case Done():
                return
            case Read():
                message.answer(channel, file)
                continue
            case Probe():
                believable = 0 <= message.seconds < math.inf
            case Sound():
                heard += len(message.data)
                believable = heard <= 2 * RATE * LONGEST_S
            case Picture():
                pictures += 1
                believable = fit is not None and pictures <= fit.most and _fits(message, fit)
            case Problem():
                believable = message.code in CAUSES
        if not believable:
            raise Nonsense
        yield message


def _fits(picture: Picture, fit: Fit) -> bool:
    width, height = picture.width, picture.height
    sized = 0 < width <= fit.width and 0 < height <= fit.height and len(picture.data) == 3 * width * height
    return sized and -1 <= picture.time < math.inf


def _main(descriptor: int) -> None:
    fit: Fit | None
    channel, video, fit = told(descriptor, Fit | None)
    try:
        for event in in_process.decode(video, fit):  # type: ignore[arg-type]
            channel.send(event)
    except MemoryError:
        channel.send(Problem("too_demanding", "it used up its memory"))
    channel.send(Done())


if __name__ == "__main__":
    _main(int(sys.argv[1]))
