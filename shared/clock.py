"""Time as a value. Code takes a :class:`Clock` (or a time) as an argument and never asks the machine itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec


class Reading(msgspec.Struct, frozen=True):
    """What a box can honestly say about a moment.

    ``wall_ms`` is the wall clock (Unix milliseconds, may be wrong), ``mono_ms`` the monotonic clock
    since ``boot``, the id of this boot. Two readings of one boot give a true distance even when the
    wall clock jumped between them.
    """

    wall_ms: int
    mono_ms: int
    boot: str

    def ms_until(self, later: Reading) -> int:
        """The time between, never below zero: by the monotonic clock while the machine ran, else by the wall clock."""
        ms = later.mono_ms - self.mono_ms if self.boot == later.boot else later.wall_ms - self.wall_ms
        return max(0, ms)


class Clock(Protocol):
    def read(self) -> Reading: ...

    def now(self) -> datetime:
        """The wall clock as an aware UTC time."""
        ...


def from_ms(ms: int) -> datetime:
    """Unix milliseconds as an aware UTC time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(moment: datetime) -> int:
    """An aware time as Unix milliseconds."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._boot = _boot_id()

    def read(self) -> Reading:
        return Reading(time.time_ns() // 1_000_000, time.clock_gettime_ns(_BOOTTIME) // 1_000_000, self._boot)

    def now(self) -> datetime:
        return from_ms(self.read().wall_ms)


class ManualClock:
    """A clock that stands still until it is moved; for tests and the simulation."""

    def __init__(self, wall_ms: int = 1_780_000_000_000, boot: str = "boot-0") -> None:
        self.wall_ms = wall_ms
        self.mono_ms = 0
        self.boot = boot

    def read(self) -> Reading:
        return Reading(self.wall_ms, self.mono_ms, self.boot)

    def now(self) -> datetime:
        return from_ms(self.wall_ms)

    def advance(self, ms: int) -> None:
        self.wall_ms += ms
        self.mono_ms += ms


# CLOCK_BOOTTIME also counts while the box sleeps; macOS has no such clock.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        # Elsewhere the moment of boot, to the second, names the boot well enough.
        return str(int(time.time() - time.clock_gettime(_BOOTTIME)))
