"""A database in trouble: every answer is true, and none is a 500."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from cloud.platform.core import Platform
from cloud.platform.database import Database
from shared.errors import QurbaniError
from tests.cloud_hub import CloudHub, Person

CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""

ORDER = {"species": "cow", "shares": [{"name": f"Name {n}", "language": "ar"} for n in range(7)]}


async def test_a_cancelled_query_is_cancelled_and_not_in_trouble(platform: Platform) -> None:
    async def wait() -> None:
        async with platform.database.begin() as session:
            await session.execute(text("SELECT pg_sleep(60)"))

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.3)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    database = Database("postgresql://127.0.0.1:1/nowhere")

    async def ask() -> None:
        async with database.begin() as session:
            await session.execute(text("SELECT 1"))

    with pytest.raises(QurbaniError, match="unavailable"):
        await ask()


def place(donor: Person, kept: list[str]) -> int:
    answer = donor.http.post("/api/v1/orders", json=ORDER)
    if answer.status_code == 201:
        kept.append(answer.json()["id"])
    return answer.status_code


def test_what_was_acknowledged_while_connections_were_cut_is_there(hub: CloudHub) -> None:
    donor, kept, done = hub.donor(), [], threading.Event()

    def cut_again_and_again() -> int:
        cuts = 0
        while not done.wait(0.2):
            cuts += len(hub.sql(CUT))
        return cuts

    with ThreadPoolExecutor(9) as people:
        cutting = people.submit(cut_again_and_again)
        statuses = Counter(people.map(lambda _: place(donor, kept), range(150)))
        done.set()
        assert cutting.result() > 5
    assert statuses.keys() <= {201, 503}, statuses
    assert statuses[503] > 0, "no request was ever hit"
    rows = hub.sql("""
        SELECT orders.id::text, count(*) FROM donors.orders JOIN donors.shares ON order_id = orders.id
        WHERE donor_id = :donor GROUP BY orders.id""", donor=donor.id)
    assert set(kept) <= {order for order, _ in rows}
    assert {shares for _, shares in rows} == {7}
    assert place(donor, kept) == 201
