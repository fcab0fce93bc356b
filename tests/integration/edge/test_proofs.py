"""What a box makes of a video to go ahead of it over a slow line, and in which order all that leaves."""

from __future__ import annotations

import io
from contextlib import ExitStack
from pathlib import Path

import av
from PIL import Image

from shared.crypto import UnsealKey
from shared.ids import new_id
from shared.sealed import SealedReader
from tests import blank
from tests.box import running, until
from tests.hub import Hub, serving

HUB_OPENS = UnsealKey(b"h" * 32)


def test_a_poster_and_some_seconds_go_ahead_of_each_video(tmp_path: Path) -> None:
    hub = Hub()
    clip = blank.make(tmp_path / "clip.mp4", seconds=14).read_bytes()
    with ExitStack() as stack:
        with serving(hub):
            box, tablet, animals = stack.enter_context(running(tmp_path / "box", hub, animals=3))
        for content, animal in zip((clip, b"no video at all" * 100, clip + bytes(8)), animals, strict=True):
            sacrifice = tablet.open_sacrifice(animal)
            tablet.upload(sacrifice, new_id(), content)
            tablet.verdicts(sacrifice)
        until(lambda: not box.rows("SELECT id FROM job WHERE state = 'open'"), 60, what="what goes ahead")
        kinds = {row["blob_id"]: row["variant"] for row in box.rows("SELECT blob_id, variant FROM copy")}
        assert sorted(kinds.values()) == ["poster", "poster", "preview", "preview"], "none of what is no video"
        assert not list((box.folder / "uploads").glob("*.p*")), "nothing unfinished is left"
        with serving(hub):
            until(lambda: len(hub.arrived) == 7, 60, what="the sync")
            status = until(lambda: (now := tablet.ask("GET", "/api/v1/status").json())["sync"]["unsent_videos"] == 0
                           and now["sync"]["places"]["in_cloud"] == 3 and now)
        assert status["queue"] == {"waiting": 0, "parked": 0}
    assert [kinds.get(id, "original") for id in hub.arrived] == ["poster"] * 2 + ["preview"] * 2 + ["original"] * 3
    assert hub.entities()["copy"] == 4
    poster, preview = (hub.uploads[hub.arrived[at]] for at in (0, 2))
    with SealedReader(io.BytesIO(poster), HUB_OPENS) as plain:
        picture = Image.open(plain)
        assert (picture.format, picture.size) == ("JPEG", (480, 270))
    with SealedReader(io.BytesIO(preview), HUB_OPENS) as plain, av.open(plain) as film:
        assert film.streams.video[0].width == 320
        assert 9 < float(film.duration or 0) / av.time_base < 11
    assert len(poster) + len(preview) < 250_000
