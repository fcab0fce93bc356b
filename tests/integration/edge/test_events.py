"""Tablets hear what changes, and go on after an interruption where they were cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from shared.ids import new_id
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving


@contextmanager
def following(box: Box, tablet: Tablet, after: int | None = None, **headers: str) -> Iterator[ClientConnection]:
    url = box.url.replace("http", "ws") + "/api/v1/events" + (f"?after={after}" if after is not None else "")
    authorization = {"Authorization": tablet.http.headers["Authorization"]}
    with connect(url, additional_headers={**authorization, **headers}) as socket:
        yield socket


def page(socket: ClientConnection) -> dict[str, Any]:
    return dict(msgspec.json.decode(socket.recv(timeout=60)))


def heard(socket: ClientConnection, *wanted: str) -> tuple[list[str], int]:
    """The entities of the events until each of ``wanted`` has come, and the cursor after them."""
    entities: list[str] = []
    while True:
        got = page(socket)
        entities += [event["entity"] for event in got["events"]]
        if set(wanted) <= set(entities):
            return entities, got["cursor"]


def test_events_come_once_and_in_order_over_interruptions(tmp_path: Path) -> None:
    with serving(Hub()) as hub, running(tmp_path, hub, animals=3) as (box, tablet, animals):
        with following(box, tablet) as socket:
            cursor = page(socket)["cursor"]
            tablet.ask("POST", f"/api/v1/animals/{animals[0]}/claim", json={"tablet": "one"})
            sacrifice = tablet.open_sacrifice(animals[0])
            entities, cursor = heard(socket, "claim", "sacrifice")
            assert entities == ["claim", "sacrifice"]
        # While nobody listens, and the box dies and comes back:
        tablet.upload(sacrifice, new_id(), b"some video" * 100)
        tablet.verdicts(sacrifice)
        until(lambda: tablet.sacrifice(sacrifice)["videos"][0]["place"] == "in_cloud")
        box.kill()
        box.start()
        with following(box, tablet, after=cursor) as socket:
            entities, reached = heard(socket, "video", "verdict", "blob")
            happened = box.rows(f"SELECT entity FROM event WHERE seq > {cursor} AND seq <= {reached} ORDER BY seq")
            assert entities == [row["entity"] for row in happened]
            assert Counter(entities) > Counter(["video", "verdict", "blob"])
            hub.publish("animal", new_id(), {"site_id": None, "tag": "new", "species": "goat", "pen": "B"})
            assert heard(socket, "site")[0] == ["site"]


def test_a_cursor_that_the_box_does_not_know_begins_anew(tmp_path: Path) -> None:
    with serving(Hub()) as hub, running(tmp_path, hub) as (box, tablet, _):
        with following(box, tablet, after=10**6) as socket:
            told = page(socket)
        assert (told["events"], told["is_whole"]) == ([], False)
        assert told["cursor"] < 10**6


def test_who_may_listen(tmp_path: Path) -> None:
    with serving(Hub()) as hub, running(tmp_path, hub) as (box, tablet, _):
        with pytest.raises(ConnectionClosed) as refused, following(box, tablet, Authorization="Bearer no") as socket:
            page(socket)
        assert refused.value.rcvd
        assert refused.value.rcvd.code == 4401
        cookie = {"Authorization": "", "Cookie": "session=" + tablet.http.headers["Authorization"].split()[1]}
        for origin in ("http://evil.example", "null"):
            with pytest.raises(InvalidStatus), following(box, tablet, **cookie, Origin=origin):
                pass
        with following(box, tablet, **cookie, Origin=box.url) as socket:
            page(socket)
            hub.publish("executor", tablet.executor, None)  # the hub takes the executor away
            with pytest.raises(ConnectionClosed) as closed:
                heard(socket, "the end")
            assert closed.value.rcvd
            assert closed.value.rcvd.code == 4401
