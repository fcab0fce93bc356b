"""A hub whose videos lie in a bucket."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cloud import main
from cloud.storage.service import open_store
from demo.answers import wait_for
from demo.servers import Servers
from sync.calls import drive
from tests.cloud_hub import CloudHub, copied_room, hub_settings, running
from tests.filmed import Filmed
from tests.s3 import BUCKET, s3

QUOTA = 2_000_000


@pytest.fixture(scope="module")
def hub(servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    folder = tmp_path_factory.mktemp("stored")
    with s3(folder) as address, copied_room(servers, template) as room:
        store = {"STORE": f"s3://{BUCKET}?endpoint={address}", "STORE_KEY": "key", "STORE_SECRET": "secret"}
        quotas = {"SITE_QUOTA_BYTES": str(QUOTA)}
        more = {f"QURBANI_{name}": value for name, value in (store | quotas).items()}
        with running(hub_settings(room, folder, **more), main.relay, main.consume, main.work) as hub:
            yield hub


@pytest.fixture(scope="module")
def film(hub: CloudHub) -> Filmed:
    film = Filmed(hub, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    return film


def test_a_video_is_kept_processed_and_played_from_a_bucket(hub: CloudHub, film: Filmed) -> None:
    assert hub.admin.http.get(film.url("original")).content == film.content
    whole = film.donor.http.get(film.url()).content
    assert film.donor.http.get(film.url(), headers={"range": "bytes=5000-5099"}).content == whole[5000:5100]
    store = open_store(hub.platform.settings)
    blobs = hub.sql("SELECT blob_id FROM uploads.copies WHERE video_id = :id", id=film.video)
    assert len(blobs) == 3
    assert all(store.has(blob_id) for blob_id in blobs)
    data = hub.platform.settings.data_path
    assert not (data / "blobs").exists()
    assert not list((data / "parts").iterdir()), "nothing is left of the work"


def test_the_first_byte_of_any_part_comes_soon(film: Filmed) -> None:
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        with film.donor.http.stream("GET", film.url(), headers={"range": "bytes=9000-"}) as answer:
            next(answer.iter_raw(1))
            took.append(time.perf_counter() - begun)
    assert min(took) < 0.2, took


def test_a_site_that_has_used_up_its_quota_keeps_its_videos(hub: CloudHub) -> None:
    film = Filmed(hub, "Ahmed Benali")
    within = film.box.seal(bytes(QUOTA - 1000))
    film.box.sync()
    assert film.box.sent_blobs == [within]
    beyond = film.box.seal(b"1" * 2000)
    (refused,) = drive(film.box.session.run(), hub.send).values()
    assert (refused.code, refused.kind.status) == ("over_quota", 507)
    assert beyond not in film.box.sent_blobs
    other = Filmed(hub, "Ahmed Benali")
    assert other.box.seal(b"2" * 2000) == (other.box.sync(), other.box.sent_blobs)[1][0], "another site has its own"
