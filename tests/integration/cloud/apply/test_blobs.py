"""Sealed blobs: resumed, checked by their hash, told once."""

from __future__ import annotations

import os
import random
from typing import Any
from uuid import uuid4

import pytest

from cloud.apply import plugins
from shared.errors import QurbaniError
from sync.calls import Call, Reply, drive
from sync.messages import BLOBS
from tests.cloud_hub import Box, CloudHub
from tests.unit.sync.world import Cut


def stored(hub: CloudHub, blob_id: str) -> bytes | None:
    path = hub.platform.settings.data_path / "blobs" / blob_id[:2] / blob_id
    return path.read_bytes() if path.exists() else None


def arrived(hub: CloudHub, blob_id: str) -> list[Any]:
    return hub.sql("SELECT arrived IS NOT NULL FROM uploads.blobs WHERE id = :id", id=blob_id)


@pytest.fixture
def box(hub: CloudHub) -> Box:
    return hub.box(hub.site(S1="sheep"))


def test_a_blob_is_stored_as_it_came_and_told(hub: CloudHub, box: Box) -> None:
    content = os.urandom(700_000)
    blob_id = box.seal(content)
    box.sync()
    assert box.sent_blobs == [blob_id]
    assert stored(hub, blob_id) == content
    assert arrived(hub, blob_id) == [True]


def test_bytes_that_are_not_what_their_name_says_are_not_taken(hub: CloudHub, box: Box) -> None:
    blob_id = box.seal(b"as sealed")
    blob, _ = box.blobs[blob_id]
    box.blobs[blob_id] = blob, b"as spoilt"
    refused = drive(box.session.run(), hub.send)
    assert refused[blob_id].code == "checksum_mismatch"
    assert stored(hub, blob_id) is None
    assert arrived(hub, blob_id) == []


def test_an_upload_belongs_to_its_box(hub: CloudHub, box: Box) -> None:
    other = hub.box(str(box.site))
    creation = {"tus-resumable": "1.0.0", "upload-length": "10"}
    created = hub.send(Call("POST", BLOBS, box.bearer(path=BLOBS) | creation))
    assert created.status == 201
    for who, status in ((box, 200), (other, 404)):
        headers = who.bearer("HEAD", created.headers["location"]) | {"tus-resumable": "1.0.0"}
        assert hub.send(Call("HEAD", created.headers["location"], headers)).status == status
    assert hub.send(Call("HEAD", created.headers["location"], {"tus-resumable": "1.0.0"})).status == 401
    assert hub.admin.http.post(BLOBS, headers=creation).status_code == 403


def test_the_last_byte_is_not_acknowledged_before_the_blob_is_told(
    hub: CloudHub, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_id = box.seal(os.urandom(1000))

    async def fail(*_: Any) -> None:
        raise QurbaniError("unavailable")

    with monkeypatch.context() as broken:
        broken.setattr(plugins.uploads, "blob_arrived", fail)
        with pytest.raises(QurbaniError, match="unavailable"):
            box.sync()
    assert box.sent_blobs == []
    box.sync()
    assert box.sent_blobs == [blob_id]
    assert arrived(hub, blob_id) == [True]


def test_a_line_that_fails_at_every_step_delivers_everything_once(hub: CloudHub, box: Box) -> None:
    luck = random.Random(20)

    def send(call: Call) -> Reply:
        fate = luck.random()
        if fate < 0.2:
            raise Cut
        if call.body and 0.2 <= fate < 0.35:
            hub.send(call)
        reply = hub.send(call)
        if fate > 0.8:
            raise Cut
        return reply

    keys = [uuid4() for _ in range(8)]
    for key in keys:
        box.write("sacrifice", key, box.opening())
        box.write("sacrifice", key, {"state": "recorded"})
    contents = {box.seal(os.urandom(300_000)) for _ in range(3)}
    failures = 0
    while box.acked < 16 or len(box.sent_blobs) < 3:
        try:
            drive(box.session.run(), send)
        except Cut:
            failures += 1
        except QurbaniError as error:
            if not error.retry:  # an agent would not try again either
                raise
    assert failures > 3
    assert box.held() == list(range(1, 17))
    assert hub.sql("SELECT count(*) FROM executors.sacrifices WHERE node = :node", node=box.node) == [8]
    assert set(box.sent_blobs) == contents
    assert all(arrived(hub, blob_id) == [True] for blob_id in contents)
