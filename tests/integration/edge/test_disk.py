"""A disk that fills up: what is refused, what goes on, and what makes room again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import av
import httpx
import pytest

from edge.blobs import Blobs
from edge.node import Keys
from edge.vault import Vault
from shared.ids import new_id
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving

MIB = 1 << 20
VIDEO = os.urandom(4 * MIB)
LIMITS = {
    "QURBANI_EDGE_RESERVE_BYTES": str(16 * MIB),
    "QURBANI_EDGE_LOW_BYTES": str(40 * MIB),
    "QURBANI_EDGE_BALLAST_BYTES": str(8 * MIB),
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path) -> None:
    """Take every byte that is left, as a log that nobody watches would."""
    with path.open("wb", buffering=0) as junk:
        for size in (MIB, 4096, 1):
            try:
                while junk.write(bytes(size)):
                    pass
            except OSError:
                continue


def record(tablet: Tablet, animal: UUID) -> None:
    tablet.upload(tablet.open_sacrifice(animal), new_id(), VIDEO)


def refusal(tablet: Tablet, animal: UUID) -> httpx.Response | None:
    """What the box says when it does not take a video of this animal."""
    try:
        record(tablet, animal)
    except httpx.HTTPStatusError as error:
        return error.response
    return None


def captures_left(tablet: Tablet) -> int:
    return int(tablet.ask("GET", "/api/v1/status").json()["disk"]["captures_left"])


def pruned(box: Box) -> list[int]:
    """For each file, oldest first, whether its bytes have left the box: soon after it was noted that they would."""

    def settled() -> list[int] | None:
        rows = box.rows("SELECT id, pruned FROM blob ORDER BY rowid")
        lie = [(box.folder / "blobs" / row["id"][:2] / row["id"]).exists() for row in rows]
        return [row["pruned"] for row in rows] if lie == [not row["pruned"] for row in rows] else None

    return until(settled, 10, "every file to be where it should")


@pytest.mark.slow
def test_a_camera_of_the_box_on_a_disk_that_fills_up(small_disk: Path) -> None:
    """What was recorded until then is kept when it is told to end; nothing more is begun; records go on."""
    cameras = {"QURBANI_EDGE_CAMERAS": "gate=sim: shed=sim:", "QURBANI_EDGE_PREROLL_S": "1"}
    with serving(Hub()) as hub, running(small_disk, hub, animals=3, **LIMITS, **cameras) as (box, tablet, animals):
        until(lambda: all(each["ring_s"] > 1 for each in tablet.ask("GET", "/api/v1/cameras").json()))
        recordings = {"id": str(new_id()), "sacrifice_id": str(tablet.open_sacrifice(animals[0])), "camera": "gate"}
        tablet.ask("POST", "/api/v1/recordings", json=recordings)
        here = f"/api/v1/recordings/{recordings['id']}"
        until(lambda: tablet.ask("GET", here).json()["state"] == "running")
        fill(small_disk / "junk")
        full = time.monotonic()
        other = {**recordings, "id": str(new_id()), "camera": "shed"}
        refused = tablet.http.post(f"{box.url}/api/v1/recordings", json=other)
        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
        assert refused.json()["detail"] == "no room for this video; the ones that are here are safe"
        tablet.open_sacrifice(animals[1])
        until(lambda: time.monotonic() > full + 4)  # in which it has tried again
        tablet.ask("POST", f"{here}/stop", json={})
        until(lambda: tablet.ask("GET", here).json()["state"] == "kept", what="the end of the film")
        (row,) = box.rows("SELECT blob_id FROM video")
        key = Keys.load(Vault(small_disk / "keys")).seal
        with Blobs(small_disk / "blobs", key).opened(row["blob_id"]) as film, av.open(film) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert times[-1] > 1
        tablet.open_sacrifice(animals[2])


def test_records_go_on_when_videos_cannot(small_disk: Path) -> None:
    hub = Hub()
    with ExitStack() as stack:
        with serving(hub):
            box, tablet, animals = stack.enter_context(running(small_disk / "box", hub, animals=80, **LIMITS))
        # The hub is away, so nothing is confirmed and nothing may go.
        until((box.folder / "ballast").exists, what="the ballast")
        until(lambda: len(tablet.ask("GET", "/api/v1/animals").json()) == 80, what="the animals")
        record(tablet, animals.pop())
        told = captures_left(tablet)
        assert 5 <= told <= 13
        taken = 0
        while (refused := refusal(tablet, animals.pop())) is None:
            taken += 1
        assert abs(taken - told) <= 1, "what was told of the room was not so"
        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
        assert refused.json()["detail"] == "no room for this video; the ones that are here are safe"
        assert captures_left(tablet) == 0
        assert not any(pruned(box))

        fill(small_disk / "junk")
        left = len(animals)
        while animals:
            tablet.open_sacrifice(animals.pop())
        assert len(box.rows("SELECT id FROM sacrifice")) == 80
        assert left >= 60
        assert not (box.folder / "ballast").exists(), "no record has needed it: this has proved nothing"

        # Room again, from whoever took it and from what the hub confirms: the box goes on by itself.
        (small_disk / "junk").unlink()
        with serving(hub):
            until(lambda: all(row["sent"] for row in box.rows("SELECT sent FROM blob")), 60, what="the sync")
            until(lambda: any(pruned(box)), 60, what="room")
        gone = pruned(box)
        assert gone == sorted(gone, reverse=True), "the oldest go first"
        assert not all(gone)
        retake = box.rows("SELECT sacrifice_id FROM video ORDER BY rowid LIMIT 1")[0]["sacrifice_id"]
        tablet.upload(retake, new_id(), VIDEO)
        until((box.folder / "ballast").exists, what="the ballast")
        examined = box.command("doctor", check=False).stdout
        assert "WRONG" not in examined, examined
