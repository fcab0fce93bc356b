"""Two halves that come at the same moment: whoever is second must see the first, and only one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.processing import checks
from cloud.uploads import service as uploads
from shared.ids import new_id
from tests.cloud_hub import CloudHub
from tests.filmed import CLOCK, Filmed

Work = Callable[[AsyncSession], Awaitable[Any]]


def together(hub: CloudHub, *works: Work) -> list[Any]:
    """Each in a transaction of its own, all begun before any has committed."""
    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(hub.run, works))


@pytest.fixture(scope="module")
def film(hub: CloudHub) -> Filmed:
    """A sacrifice that the hub was told of."""
    film = Filmed(hub, "Ahmed Benali")
    film.tell()
    return film


@pytest.mark.parametrize("run", range(5))
def test_record_and_bytes(hub: CloudHub, film: Filmed, run: int) -> None:
    film.video, now = new_id(), hub.platform.clock.now()
    blob_id = hashlib.sha256(film.video.bytes).hexdigest()
    fields = {
        "sacrifice_id": str(film.sacrifice), "sha256": "a" * 64, "size": 9, "blob_id": blob_id, "blob_size": 99,
        "media_type": "video/mp4", "captured": CLOCK,
    }  # fmt: skip
    node, site = film.box.node, film.box.site
    together(
        hub,
        lambda session: uploads.apply_videos(session, {film.video: fields}, node=node, site=site, now=now),
        lambda session: uploads.blob_arrived(session, blob_id, site, 99, now),
        lambda session: uploads.blob_arrived(session, blob_id, site, 99, now),
    )
    assert film.state() == "arrived"
    assert film.events("video.initial-upload") == 1


@pytest.mark.parametrize("run", range(5))
def test_verdict_and_comparison(hub: CloudHub, film: Filmed, run: int) -> None:
    film.video, now = new_id(), hub.platform.clock.now()
    film.tell(blob_id=hashlib.sha256(film.video.bytes).hexdigest())
    body = {"outcome": "review", "code": "1"}
    fields = {"video_id": str(film.video), "outcome": "review", "body": body}
    node, site = film.box.node, film.box.site
    together(
        hub,
        lambda session: checks.apply_verdicts(session, {new_id(): fields}, node=node, site=site, now=now),
        lambda session: checks.compared(session, film.video, (), now),
        lambda session: checks.compared(session, film.video, (), now),
    )
    assert film.events("video.processed-final") == 1


def test_two_animals_of_one_order(hub: CloudHub, film: Filmed) -> None:
    now = hub.platform.clock.now()
    for tag in range(6):
        hub.admin.post(f"/api/v1/sites/{film.site}/animals", {"tag": f"B{tag}", "species": "sheep"})
    for _ in range(3):
        order = hub.allocated_order(film.donor, film.site, "sheep", "Leila Toumi", "Omar Bello")
        sacrifices = [new_id() for _ in order["animals"]]
        for sacrifice, animal in zip(sacrifices, order["animals"], strict=True):
            film.box.write("sacrifice", sacrifice, {
                "site_id": film.site, "animal_id": animal["id"], "executor_id": str(new_id()), "opened": CLOCK,
                "state": "recorded",
            })  # fmt: skip
        film.box.sync()
        first, second = sacrifices
        verified = together(
            hub,
            lambda session, id=first: executors.verify(session, id, now),
            lambda session, id=second: executors.verify(session, id, now),
        )
        assert sorted(map(len, verified)) == [0, 1]
        assert hub.admin.get(f"/api/v1/orders/{order['id']}")["state"] == "verified"
