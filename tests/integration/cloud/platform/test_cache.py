"""What is read often comes out of Redis, to whom it belongs, and never after it has changed."""

from __future__ import annotations

import secrets

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncSession

from tests.cloud_hub import CloudHub, Person

ORDER = {"species": "sheep", "shares": [{"name": "Canary Benali", "language": "ar"}]}


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


def reads(result: str) -> float:
    return REGISTRY.get_sample_value("qurbani_cache_reads_total", {"result": result}) or 0


def test_a_donors_order_is_read_once_until_it_changes(hub: CloudHub, donor: Person) -> None:
    order = donor.post("/api/v1/orders", ORDER)
    address = f"/api/v1/orders/{order['id']}"
    first = donor.get(address)
    hits = reads("hit")
    assert [donor.get(address) for _ in range(10)] == [first] * 10
    assert reads("hit") >= hits + 9
    tag = donor.http.get(address).headers["etag"]
    assert donor.http.get(address, headers={"if-none-match": tag}).status_code == 304
    payment = {"key": secrets.token_hex(8), "minor": 25_000, "currency": "EUR", "method": "cash"}
    paid = hub.admin.post(f"{address}/payments", payment)
    assert donor.get(address) == paid != first


def test_nobody_gets_what_another_has_read_and_redis_holds_no_name(hub: CloudHub, donor: Person) -> None:
    order = donor.post("/api/v1/orders", ORDER)
    address = f"/api/v1/orders/{order['id']}"
    for _ in range(2):
        donor.get(address)
    hub.donor().get(address, status=404)
    hub.stranger.get(address, status=401)
    before = reads("hit")
    hub.admin.get(address)
    assert reads("hit") == before, "a look of staff must reach the audit"

    async def everything(_: AsyncSession) -> bytes:
        redis = hub.platform.redis
        return b"".join([await redis.get(name) or b"" async for name in redis.scan_iter("read:*")])

    held = hub.run(everything)
    assert len(held) > 500
    assert b"Canary" not in held


def test_metrics_tell_latencies_by_route_and_are_closed(hub: CloudHub) -> None:
    hub.stranger.get("/api/v1/prices")
    told = hub.stranger.http.get("/metrics").text
    assert 'qurbani_http_request_seconds_count{route="donors.prices",status="2xx"}' in told
    assert "qurbani_cache_reads_total" in told
    assert hub.stranger.http.get("/metrics", headers={"x-forwarded-for": "10.0.0.1"}).status_code == 404
