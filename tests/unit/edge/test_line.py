"""What a box sends over its line, and how fast."""

from __future__ import annotations

from uuid import UUID

import pytest

from edge import line
from edge.capture import Capture, Video
from edge.db import Database
from edge.node import Keys, Node
from edge.outbox import Outbox
from edge.settings import Settings
from shared.clock import ManualClock
from shared.errors import QurbaniError
from shared.ids import new_id
from sync.calls import Call
from sync.messages import BLOBS, EXCHANGE, Change
from sync.schedule import Line, windows

NOON_UTC_MS = 1_780_056_000_000


@pytest.fixture
def film(capture: Capture, sacrifice: UUID, node: Node, clock: ManualClock) -> str:
    """The blob of a large video; the site is five hours ahead of UTC, where it is noon."""
    clock.wall_ms = NOON_UTC_MS
    capture.apply_feed([Change(9, "site", node.site_id, {"name": "Mirpur", "timezone": "Asia/Karachi"})], 9)
    blob_id = "cd" * 32
    capture.keep_video(Video(new_id(), sacrifice, "ab" * 32, 10 << 20, blob_id, 10 << 20, "video/mp4"), new_id())
    return blob_id


@pytest.mark.parametrize(("rules", "goes"), [
    (Line(), True),
    (Line(metered=True), False),
    (Line(windows=windows("16:00-18:00")), True),
    (Line(windows=windows("11:00-13:00")), False),
])
def test_a_film_goes_when_the_line_allows_it_by_the_sites_own_time(
    db: Database, keys: Keys, capture: Capture, clock: ManualClock, film: str, rules: Line, goes: bool
) -> None:
    outbox = line.LineOutbox(db, keys, capture, clock, line=rules)
    assert [blob.blob_id for blob in outbox.outgoing()] == [film] * goes
    assert [blob.blob_id for blob in Outbox(db, keys, capture, clock).outgoing()] == [film], "a stick takes it anyhow"


def test_the_cap_holds_back_films_and_no_records() -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds
        slept.append(seconds)

    cap = line.Cap(Line(bytes_s=1000), now=lambda: now[0], sleep=sleep)
    for _ in range(10):
        cap.before(Call("PATCH", f"{BLOBS}/x", {}, bytes(5000)))
    assert 45 <= now[0] - 100 <= 50
    slept.clear()
    cap.before(Call("POST", EXCHANGE, {}, bytes(5000)))
    assert slept == []


def test_settings_that_say_no_time_are_named() -> None:
    with pytest.raises(QurbaniError, match=r"misconfigured.*QURBANI_SYNC_WINDOWS"):
        line.of(Settings(data="x", sync_windows="at night"))
    assert line.of(Settings(data="x", sync_cap_kbit_s=64)).bytes_s == 8000
