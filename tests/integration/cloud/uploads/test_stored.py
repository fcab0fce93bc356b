"""A hub whose videos lie in a bucket, and go to another when they are old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cloud import main
from cloud.storage.blobs import prove
from cloud.storage.service import open_cold, open_store
from cloud.uploads import archive as archives
from demo.answers import wait_for
from demo.mailbox import Mailbox
from demo.servers import Servers
from shared.ids import new_id
from sync.calls import drive
from tests.cloud_hub import CloudHub, copied_room, hub_settings, running
from tests.filmed import Filmed
from tests.s3 import BUCKET, s3

QUOTA = 2_000_000


@pytest.fixture(scope="module")
def hub(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> Iterator[CloudHub]:
    folder = tmp_path_factory.mktemp("stored")
    with s3(folder) as address, copied_room(servers, template) as room:
        store = {"STORE": f"s3://{BUCKET}?endpoint={address}", "STORE_KEY": "key", "STORE_SECRET": "secret"}
        cold = {"COLD_STORE": f"s3://{BUCKET}/cold?endpoint={address}&storage_class=GLACIER_IR"}
        others = {"SITE_QUOTA_BYTES": str(QUOTA), "SMTP_URL": mailbox.url}
        more = {f"QURBANI_{name}": value for name, value in (store | cold | others).items()}
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
    assert len(blobs) == 4
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


# The archive


def archive(hub: CloudHub, film: Filmed, days: int, *, dry_run: bool = False) -> bool:
    """What ``qurbani cloud archive`` does so many days from now; whether it names the video."""
    now = hub.platform.clock.now() + timedelta(days=days)
    return film.video in {each.video_id for each in asyncio.run(main.archive(hub.platform.settings, now, dry_run))}


def whereabouts(hub: CloudHub, film: Filmed) -> dict[str, tuple[bool, bool]]:
    """Of each file of a video: whether it is in the hot store, and whether it is in the cold one and right."""
    hot, cold, found = open_store(hub.platform.settings), open_cold(hub.platform.settings), {}
    for variant, blob_id in hub.sql("SELECT variant, blob_id FROM uploads.copies WHERE video_id = :id", id=film.video):
        is_cold = cold.has(blob_id)
        if is_cold:
            with cold.open(blob_id) as blob:
                prove(blob_id, blob)
        found[variant] = hot.has(blob_id), is_cold
    return found


FILMS = ("original", "compressed", "messenger")
HOT = dict.fromkeys((*FILMS, "poster"), (True, False))
GONE = dict.fromkeys(FILMS, (False, True)) | {"poster": (True, False)}
BACK = dict.fromkeys(FILMS, (True, True)) | {"poster": (True, False)}


def test_an_old_video_goes_to_the_archive_and_comes_back_when_it_is_asked_for(
    hub: CloudHub, film: Filmed, mailbox: Mailbox
) -> None:
    played = film.donor.http.get(film.url())
    page, button = f"/orders/{film.order_id}", "/restore"
    assert not archive(hub, film, 88)
    assert archive(hub, film, 93, dry_run=True)
    hub.admin.ask("PUT", f"/api/v1/videos/{film.video}/hold", {"reason": "a dispute"})
    assert not archive(hub, film, 93), "who is held stays"
    assert hub.admin.get(f"/api/v1/videos/{film.video}/archive")["held"] == "a dispute"
    hub.admin.ask("DELETE", f"/api/v1/videos/{film.video}/hold")
    assert film.donor.http.put(f"/api/v1/videos/{film.video}/hold", json={"reason": "mine"}).status_code == 403
    assert whereabouts(hub, film) == HOT
    for _ in range(2):
        archive(hub, film, 93)
        assert whereabouts(hub, film) == GONE
    answer = film.donor.http.get(film.url())
    assert (answer.status_code, answer.json()["code"]) == (409, "archived")
    assert film.donor.http.get(film.url("poster")).status_code == 200
    assert button in film.donor.http.get(page).text
    assert film.donor.http.get(film.url("compressed") + "/link").status_code == 200
    assert hub.donor().http.post(f"/api/v1/videos/{film.video}/restore").status_code == 404

    asked = film.donor.http.post(f"{page}/videos/{film.video}/restore")
    assert (asked.status_code, asked.headers["location"]) == (303, page)
    wait_for("the video to be back", lambda: film.donor.http.get(film.url()).status_code == 200)
    assert film.donor.http.get(film.url()).content == played.content
    assert whereabouts(hub, film) == BACK
    assert button not in film.donor.http.get(page).text
    mailbox.wait_for(lambda mail: film.is_told_by(mail) and "archives" in mail.text, 30)
    assert not archive(hub, film, 13), "it stays for a while"
    archive(hub, film, 100)
    assert whereabouts(hub, film) == GONE


def test_the_night_does_it_by_itself_and_brings_what_is_stuck(hub: CloudHub, film: Filmed) -> None:
    (due,) = hub.sql("SELECT due FROM platform.jobs WHERE queue = 'archiveNight' AND state = 'queued'")
    assert due.hour == 2
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(days=1)
    film.donor.post(f"/api/v1/videos/{film.video}/restore")
    wait_for("the video to be back", lambda: film.donor.http.get(film.url()).status_code == 200)
    hub.sql("UPDATE uploads.videos SET hot_until = NULL, created = created - interval '100 days' RETURNING 1")
    hub.sql("UPDATE platform.jobs SET due = now() WHERE queue = 'archiveNight' RETURNING 1")
    wait_for("the video to go", lambda: whereabouts(hub, film) == GONE)
    lost = {"id": new_id(), "video": film.video, "asker": film.donor.id}
    hub.sql(
        "INSERT INTO uploads.restores (id, video_id, asked_by, asked) "
        "VALUES (:id, :video, :asker, now() - interval '2 hours') RETURNING 1", **lost)
    hub.run(lambda session: archives.night(session, hub.platform.settings, hub.platform.clock.now()))
    wait_for("the video to be back", lambda: film.donor.http.get(film.url()).status_code == 200)
