"""Health tells the truth about each helper, and what does not need one goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.donors import service as donors
from cloud.donors.schemas import NewDonor
from demo.servers import Servers
from tests.cloud_hub import ADMIN, CloudHub, copied_room, hub_settings, running


def test_all_is_well(hub: CloudHub) -> None:
    assert hub.stranger.get("/health/live") == {"status": "ok"}
    assert hub.stranger.get("/health/ready") == {"postgres": "ok", "redis": "ok", "kafka": "ok"}
    assert hub.admin.get("/health/backlog").keys() == {"outbox"}
    hub.stranger.get("/health/backlog", status=401)


@pytest.fixture
def alone(servers: Servers, template: str, tmp_path: Path) -> Iterator[CloudHub]:
    """A hub without Redis and Kafka."""
    with copied_room(servers, template) as room:
        nothing_there = {"QURBANI_REDIS_URL": "redis://127.0.0.1:1/0", "QURBANI_KAFKA": "127.0.0.1:1"}
        with running(hub_settings(room, tmp_path, **nothing_there)) as hub:
            yield hub


def test_without_redis_and_kafka_the_hub_says_so_and_still_takes_orders_and_ops(alone: CloudHub) -> None:
    states = alone.stranger.get("/health/ready", status=503)
    assert states == {"postgres": "ok", "redis": "ConnectionError", "kafka": "KafkaConnectionError"}
    alone.stranger.get("/health/live")
    alone.stranger.post("/api/v1/auth/sign-in", {"email": ADMIN, "password": alone.password}, status=503)
    site = alone.site(A1="sheep")
    account = NewDonor("Amina Haddad", "amina@example.org", "correct horse battery", "fr")
    alone.run(lambda session: donors.register(session, alone.platform, account))
    (known,) = alone.sql("SELECT id FROM donors.donors")
    order = alone.allocated_order(alone.trusting(str(known)), site, "sheep", "Ahmed")
    assert order["animals"][0]["tag"] == "A1"
    alone.box(site).sync()


def test_an_address_that_is_not_there_is_a_problem_document_with_all_headers(hub: CloudHub) -> None:
    answer = hub.stranger.http.get("/nothing/here")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_interface_is_described_to_those_who_keep_the_hub(hub: CloudHub) -> None:
    document = hub.admin.get("/api-docs/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert {"/api/v1/orders", "/api/v1/sites", "/api/v1/auth/sign-in"} <= document["paths"].keys()
    for path in ("/api-docs", "/api-docs/openapi.json"):
        hub.stranger.get(path, status=401)
        hub.donor().get(path, status=403)
