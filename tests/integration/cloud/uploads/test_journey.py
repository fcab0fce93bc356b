"""From a box to the donor's mailbox: every topic, every job, once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import av
import pytest
from PIL import Image

from demo.answers import wait_for
from demo.mailbox import Mailbox
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed, clip

TOPICS = ("video.initial-upload", "video.uploaded-preprocessed", "video.processed-final")

Step = Callable[[Filmed], None]
ORDERS: list[tuple[Step, ...]] = [
    (Filmed.tell, Filmed.judge, Filmed.send),
    (Filmed.tell, Filmed.send, Filmed.judge),
    (Filmed.send, Filmed.tell, Filmed.judge),
]


def processed(film: Filmed) -> bool:
    return film.state() == "processed"


@pytest.mark.parametrize("steps", ORDERS, ids=["bytes last", "verdict last", "bytes first"])
def test_whatever_comes_last_the_donor_is_told_once(
    busy_hub: CloudHub, mailbox: Mailbox, steps: tuple[Step, ...]
) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    for step in steps:
        step(film)
    mailbox.wait_for(film.is_told_by, 30)
    assert film.order_state() == "verified"
    assert [film.events(topic) for topic in TOPICS] == [1, 1, 1]
    wait_for("the notification to be marked", lambda: notices(busy_hub, film) == [("order_verified", "sent")])
    assert sum(map(film.is_told_by, mailbox.messages)) == 1


def notices(hub: CloudHub, film: Filmed) -> list[tuple[str, str]]:
    found = hub.admin.get(f"/api/v1/notifications?order_id={film.order_id}")
    return [(notice["template"], notice["state"]) for notice in found]


def test_the_copies_are_what_they_should_be_and_sealed(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Leila Toumi")
    film.tell()
    film.send()
    film.judge()
    wait_for("the check to end", lambda: processed(film))
    compressed = film.donor.http.get(film.url()).content
    assert compressed[4:8] == b"ftyp"
    with av.open(io.BytesIO(compressed)) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert video.streams.audio[0].codec_context.name == "aac"
    poster = film.donor.http.get(film.url("poster"))
    assert poster.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(poster.content)).size == (640, 360)
    assert film.donor.http.get(film.url("messenger")).content == compressed, "small as it is, it is the same file"
    assert busy_hub.admin.http.get(film.url("original")).content == film.content
    for blob_id in busy_hub.sql("SELECT blob_id FROM uploads.copies WHERE video_id = :id", id=film.video):
        lying = (busy_hub.platform.settings.data_path / "blobs" / blob_id[:2] / blob_id).read_bytes()
        assert not any(sign in lying for sign in (b"ftyp", b"moov", b"JFIF"))
    parts = busy_hub.platform.settings.data_path / "parts"
    assert not list(parts.glob(f"{film.video}*"))


def test_events_that_come_again_change_nothing(busy_hub: CloudHub, mailbox: Mailbox) -> None:
    film = Filmed(busy_hub, "Omar Bello")
    film.tell()
    film.send()
    film.judge()
    mailbox.wait_for(film.is_told_by, 30)
    before = footprint(busy_hub, film)
    # The broker hands out every event again, as after a crash between its acknowledgement and our mark.
    busy_hub.sql("UPDATE platform.outbox SET sent = NULL WHERE key IN (:donor, :sacrifice) RETURNING id",
                 donor=film.donor.id, sacrifice=str(film.sacrifice))
    other = Filmed(busy_hub, "Moussa Keita")
    other.tell()
    other.send()
    other.judge()
    mailbox.wait_for(other.is_told_by, 30)
    assert footprint(busy_hub, film) == before
    assert sum(map(film.is_told_by, mailbox.messages)) == 1


def footprint(hub: CloudHub, film: Filmed) -> list[Any]:
    """Everything that the events of one video bring about."""
    return [
        hub.sql("SELECT queue, key, state, attempts FROM platform.jobs WHERE key = :id", id=str(film.video)),
        hub.sql("SELECT variant, blob_id FROM uploads.copies WHERE video_id = :id ORDER BY 1", id=film.video),
        hub.sql("SELECT outcome, ended FROM processing.checks WHERE video_id = :id", id=film.video),
        hub.sql("SELECT id FROM notifications.notifications WHERE order_id = :id", id=film.order_id),
        hub.sql("SELECT state, at FROM donors.steps WHERE order_id = :id ORDER BY 1", id=film.order_id),
        [film.events(topic) for topic in TOPICS],
    ]


@pytest.mark.parametrize(("content", "reason"), [(b"", "file_empty"), (b"no video" * 99, "not_a_video")])
def test_an_original_that_is_no_video_fails_once_and_for_all(busy_hub: CloudHub, content: bytes, reason: str) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", content=content)
    film.tell()
    film.send()
    film.judge()
    assert failure(film) == reason
    job = busy_hub.sql("SELECT state, attempts FROM platform.jobs WHERE key = :id", id=str(film.video))
    assert job == [("done", 1)]
    assert film.order_state() == "sacrificed"


def test_bytes_that_are_not_what_the_box_recorded_fail(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell(sha256="0" * 64)
    film.send()
    assert failure(film) == "not_the_original"


def test_bytes_that_were_sealed_for_somebody_else_fail(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.sealed = film.sealed[:200] + bytes(16) + film.sealed[216:]
    film.tell()
    film.send()
    assert failure(film) in ("damaged", "wrong_key")


def failure(film: Filmed) -> str:
    """Why the video failed, as the admin is told."""

    def look() -> Any:
        failed = film.hub.admin.get("/api/v1/videos?state=failed")
        return next((video["reason"] for video in failed if video["id"] == str(film.video)), None)

    return str(wait_for("the video to fail", look))


def test_a_video_of_another_site_is_parked_and_holds_up_nothing(busy_hub: CloudHub) -> None:
    film, other = Filmed(busy_hub, "Ahmed Benali"), Filmed(busy_hub, "Ahmed Benali", content=clip(2))
    other.tell()
    film.tell(sacrifice_id=str(other.sacrifice))
    assert [parked.code for parked in film.box.parked.values()] == ["bad_op"]
    assert film.box.acked == 2
