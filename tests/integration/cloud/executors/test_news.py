"""Late orders for a box that no road reaches, as the hub writes them for somebody to carry."""

from __future__ import annotations

import io
from functools import partial

import pytest
from PIL import Image

from shared import codes, sealed
from shared.codes import Gathering
from shared.crypto import UnsealKey
from sync import news
from sync.bundle import Receiver
from sync.news import News
from tests.cloud_hub import Box, CloudHub

SEAL = UnsealKey(b"s" * 32)


def read(hub: CloudHub, box: Box, raw: bytes) -> News:
    receiver = Receiver(box.node, hub.platform.keys.sign.public, SEAL.public, partial(sealed.unseal, key=SEAL))
    return news.read(receiver, box.site, raw)


def fetched(hub: CloudHub, box: Box, name: str = "news") -> bytes:
    answer = hub.admin.http.get(f"/api/v1/nodes/{box.node}/{name}").raise_for_status()
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


def names(told: News) -> list[str]:
    return [change.fields["name"] for change in told.changes if change.entity == "share" and change.fields]


def test_what_a_box_has_not_been_told(hub: CloudHub) -> None:
    site = hub.site(S1="sheep", S2="sheep")
    box = hub.box(site)
    executor = hub.admin.post(f"/api/v1/sites/{site}/executors", {"name": "Yusuf", "language": "ar", "pin": "258013"})
    donor = hub.donor()
    hub.allocated_order(donor, site, "sheep", "Ahmed Benali")
    assert names(read(hub, box, fetched(hub, box))) == ["Ahmed Benali"], "it has not spoken yet"
    box.sync()
    box.sync()  # now it says how far it has read
    assert read(hub, box, fetched(hub, box)).changes == []

    hub.allocated_order(donor, site, "sheep", "Moussa Keïta")
    hub.admin.ask("DELETE", f"/api/v1/sites/{site}/executors/{executor['id']}")
    told = read(hub, box, fetched(hub, box))
    assert (told.since, told.mark) == (box.position().cursor, box.position().mark)
    assert names(told) == ["Moussa Keïta"]
    assert [change.fields for change in told.changes if change.entity == "executor"] == [None]
    assert donor.email not in str(told)
    assert {change.entity for change in told.changes} <= set(news.TOLD)


def test_the_codes_hold_the_same(hub: CloudHub) -> None:
    site = hub.site(S1="sheep")
    box = hub.box(site)
    hub.allocated_order(hub.donor(), site, "sheep", "Ahmed Benali")
    gathering, whole = Gathering(), None
    with Image.open(io.BytesIO(fetched(hub, box, "news.gif"))) as film:
        assert film.info["loop"] == 0
        for number in range(film.n_frames):
            film.seek(number)
            picture = film.convert("L")
            (text,) = codes.look(picture.tobytes(), picture.width)
            whole = gathering.add(text)
    assert isinstance(whole, bytes)
    assert names(read(hub, box, whole)) == ["Ahmed Benali"]


@pytest.mark.parametrize("name", ["news", "news.gif"])
def test_who_may_have_them(hub: CloudHub, name: str) -> None:
    box = hub.box(hub.site())
    path = f"/api/v1/nodes/{box.node}/{name}"
    hub.donor().get(path, status=403)
    hub.stranger.get(path, status=401)
    hub.admin.get(f"/api/v1/nodes/{box.site}/{name}", status=404)
    hub.admin.post(f"/api/v1/nodes/{box.node}/revoke")
    hub.admin.get(path, status=403)


def test_a_hub_that_was_put_back_says_so(hub: CloudHub) -> None:
    """It has allotted other cursors since: what it would write, the box would take for something else."""
    box = hub.box(hub.site(S1="sheep"))
    box.sync()
    box.sync()
    hub.sql("UPDATE executors.feed_marks SET mark = 'another' WHERE site_id = :site RETURNING 1", site=box.site)
    hub.admin.get(f"/api/v1/nodes/{box.node}/news", status=409)
