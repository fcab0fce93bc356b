"""PostgreSQL is killed and started again while people order: what was acknowledged is there, and there once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from cloud.alembic.migrations import migrate
from demo.answers import wait_for
from demo.servers import Servers, postgres
from demo.servers.server import Server
from shared import settings
from shared.ids import new_id
from tests.cloud_hub import CloudHub, Person, hub_settings, running

ORDER = {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]}
PEOPLE = 4
BACK_S = 10
"""How soon after its database the hub has to serve again."""


class Load:
    """People who order, and ask again under the same key until they are told that it was taken."""

    def __init__(self, hub: CloudHub) -> None:
        self._hub = hub
        self.told: dict[str, str] = {}
        """Of each key, the order that was acknowledged."""
        self.refused: set[int] = set()
        self.cut = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._order, args=(hub.donor(),)) for _ in range(PEOPLE)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _order(self, who: Person) -> None:
        while not self._over.is_set():
            key = new_id().hex
            self.told[key] = self._insist(who, key)

    def _insist(self, who: Person, key: str) -> str:
        while True:
            try:
                answer = who.http.post("/api/v1/orders", json=ORDER, headers={"idempotency-key": key})
            except httpx.TransportError:
                self.cut += 1
                continue
            if answer.is_success:
                found: dict[str, Any] = answer.json()
                return str(found["id"])
            assert answer.json()["retry"] or answer.json()["code"] == "in_flight", answer.text
            self.refused.add(answer.status_code)
            time.sleep(0.05)


@contextmanager
def fragile(servers: Servers, tmp_path: Path) -> Iterator[tuple[CloudHub, Server]]:
    """A hub on a PostgreSQL of its own."""
    with TemporaryDirectory() as name, servers.room() as room:  # not tmp_path: the server runs as somebody else
        url, server = postgres.start(Path(name))
        try:
            server.wait()
            chosen = settings.load(type(hub_settings(room, tmp_path)), {
                **room.environ(), "QURBANI_DATABASE_URL": url, "QURBANI_DATA": str(tmp_path),
                "QURBANI_RATE_FACTOR": "1000", "QURBANI_SWEEP_S": "0.5",
            })  # fmt: skip
            asyncio.run(migrate(chosen))
            with running(chosen) as hub:
                yield hub, server
        finally:
            server.stop()


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_what_was_acknowledged_is_there_once_however_often_the_database_dies(
    servers: Servers, tmp_path: Path, kills: int
) -> None:
    with fragile(servers, tmp_path) as (hub, database):
        with Load(hub) as load:
            for number in range(kills):
                before = len(load.told)
                wait_for("some orders", lambda before=before: len(load.told) >= before + 5 or None, 30)
                if number % 3 == 2:
                    database.stop()  # an orderly restart tells every connection that it ends
                else:
                    database.kill()
                time.sleep(0.2)
                database.start()
                database.wait()
                began, told = time.monotonic(), len(load.told)
                wait_for("the next", lambda told=told: len(load.told) > told or None, BACK_S)
                assert time.monotonic() - began < BACK_S
        assert load.refused <= {409, 503}
        assert load.cut == 0, "the hub hung up instead of saying why"
        assert load.refused, "nobody noticed"
        held = {str(id) for id in hub.sql("SELECT id FROM donors.orders")}
        assert set(load.told.values()) == held
        assert len(load.told) == len(held), "two keys got one order"
        steps = hub.sql("SELECT order_id, count(*) FROM donors.steps GROUP BY order_id HAVING count(*) <> 1")
        assert steps == []
        assert {each.kind for each in hub.breaks()} <= {"event_not_sent"}  # no relay runs here
