"""Redis loses everything every moment, and then is gone: nothing true lived there."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from redis import Redis

from demo.proxy import Proxy
from demo.servers import Servers
from shared.ids import new_id
from tests.cloud_hub import ADMIN, CloudHub, Person, copied_room, hub_settings, running

ORDER = {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]}
SECONDS = 5
EVERY_S = 0.2


@contextmanager
def linked(servers: Servers, template: str, tmp_path: Path) -> Iterator[tuple[CloudHub, Redis, Proxy]]:
    """A hub, its Redis database, and the link between the two."""
    with copied_room(servers, template) as room:
        at = urlsplit(room.redis_url)
        assert at.hostname
        with Proxy(at.hostname, at.port or 6379) as link:
            through = at._replace(netloc=at.netloc.replace(f"{at.hostname}:{at.port}", f"127.0.0.1:{link.port}"))
            chosen = msgspec.structs.replace(hub_settings(room, tmp_path), redis_url=through.geturl())
            with running(chosen) as hub, Redis.from_url(room.redis_url) as redis:
                yield hub, redis, link


def again_and_again(work: Callable[[], None], every_s: float, over: threading.Event) -> threading.Thread:
    def run() -> None:
        while not over.wait(every_s):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


class Customer:
    """Orders and pays under keys, each time twice, reads what came of it, and signs out elsewhere."""

    def __init__(self, hub: CloudHub) -> None:
        self.hub, self.donor = hub, hub.donor()
        self.statuses: Counter[int] = Counter()
        self.revoked: list[Person] = []
        self.orders: list[str] = []

    def once(self) -> None:
        key = {"idempotency-key": new_id().hex}
        first, second = (self.ask("POST", "/api/v1/orders", json=ORDER, headers=key) for _ in range(2))
        assert first.json() == second.json(), "a repeat had an effect of its own"
        order = first.json()["id"]
        self.orders.append(order)
        payment = {"key": new_id().hex, "minor": 25_000, "currency": "EUR", "method": "cash"}
        for _ in range(2):
            self.hub.admin.post(f"/api/v1/orders/{order}/payments", payment)
        # Whatever was remembered, this was committed before it is asked.
        assert self.ask("GET", f"/api/v1/orders/{order}").json()["state"] == "paid"
        elsewhere = self.hub.trusting(self.donor.id)
        self.ask("DELETE", f"/api/v1/auth/sessions/{session_of(elsewhere)}")
        self.revoked.append(elsewhere)
        for each in self.revoked[-3:]:
            assert each.http.get("/api/v1/orders").status_code == 401, "a token that was revoked was taken"

    def ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        answer = self.donor.http.request(method, path, **sent)
        self.statuses[answer.status_code] += 1
        return answer


def session_of(who: Person) -> str:
    return next(str(each["id"]) for each in who.get("/api/v1/auth/sessions") if each["current"])


def test_nothing_true_lives_in_redis(servers: Servers, template: str, tmp_path: Path) -> None:
    with linked(servers, template, tmp_path) as (hub, redis, link):
        customer, over = Customer(hub), threading.Event()
        flushing = again_and_again(redis.flushdb, EVERY_S, over)
        try:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                customer.once()
        finally:
            over.set()
            flushing.join()
        assert set(customer.statuses) == {200, 201, 204}

        link.cut()  # sign-in fails closed, and recording what happened stays open
        wrong = hub.stranger.http.post("/api/v1/auth/sign-in", json={"email": ADMIN, "password": hub.password})
        assert (wrong.status_code, wrong.json()["code"]) == (503, "unavailable")
        for _ in range(2):
            customer.once()
        assert set(customer.statuses) == {200, 201, 204}
        box = hub.box(hub.site(A1="sheep"))
        box.write("sacrifice", new_id(), box.opening())
        box.sync()
        assert box.acked == 1

        link.heal()
        told = {str(id) for id in hub.sql("SELECT id FROM donors.orders")}
        assert told == set(customer.orders)
        booked = hub.sql("SELECT order_id, count(*) FROM donors.payments GROUP BY order_id")
        assert {count for _, count in booked} == {1}
        assert len(booked) == len(customer.orders) > 3
