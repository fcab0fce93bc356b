"""Every change, every look at somebody else's data and every refusal has its entry; and what is done to them shows."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar
from sqlalchemy import text

from cloud import main
from cloud.platform import audit, audit_file
from cloud.platform.access import NODE
from cloud.platform.audit_chain import Chain, newest_checkpoint
from cloud.platform.core import Platform
from tests.cloud_hub import CloudHub, Person

ENTRIES = """
    SELECT action, role, outcome, coalesce(actor::text, ''), subject, facts FROM platform.audit
    WHERE id > :after ORDER BY id"""

WITHOUT_A_SESSION = {"auth.refresh"}
"""It commits before it refuses, and tells the audit itself."""


class Since:
    """The entries that were made after this was."""

    def __init__(self, hub: CloudHub) -> None:
        self.hub = hub
        self.after = hub.sql("SELECT coalesce(max(id), 0) FROM platform.audit")[0]

    def of(self, *actions: str) -> list[tuple[Any, ...]]:
        return [row for row in self.hub.sql(ENTRIES, after=self.after) if row[0] in actions]


@pytest.fixture
def since(hub: CloudHub) -> Since:
    return Since(hub)


@pytest.fixture(scope="module")
def donor(hub: CloudHub) -> Person:
    return hub.donor()


def test_what_people_change_is_told_with_who_and_on_what(hub: CloudHub, since: Since) -> None:
    donor = hub.donor()
    site = hub.site(S1="sheep")
    order = hub.allocated_order(donor, site, "sheep", "Amina")
    admin = hub.admin.get("/api/v1/auth/me")["id"]
    assert ("donors.register", "stranger", "done", "", donor.id, {}) in since.of("donors.register")
    assert ("donors.place", "donor", "done", donor.id, order["id"], {}) in since.of("donors.place")
    assert ("executors.add_site", "admin", "done", admin, site, {}) in since.of("executors.add_site")
    assert ("donors.pay", "admin", "done", admin, order["id"], {}) in since.of("donors.pay")
    assert ("executors.allocate", "admin", "done", admin, order["id"], {}) in since.of("executors.allocate")
    assert {"state": "paid"} in [row[5] for row in since.of("donors.move") if row[4] == order["id"]]
    signed_in = [row for row in since.of("auth.confirm") if row[3] == donor.id]
    assert [row[1:3] for row in signed_in] == [("donor", "done")]


def test_a_change_that_fails_has_no_entry_of_a_change(hub: CloudHub, since: Since) -> None:
    site = hub.site()
    animal = {"tag": "T1", "species": "sheep"}
    hub.admin.post(f"/api/v1/sites/{site}/animals", animal)
    hub.admin.post(f"/api/v1/sites/{site}/animals", animal, status=409)
    assert len(since.of("executors.add_animal")) == 1


def test_who_looks_at_others_is_told_and_who_looks_at_his_own_is_not(
    hub: CloudHub, donor: Person, since: Since
) -> None:
    order = hub.paid_order(donor, "sheep", "Amina")["id"]
    donor.get(f"/api/v1/orders/{order}")
    assert since.of("donors.order") == []
    for _ in range(3):
        hub.admin.get(f"/api/v1/orders/{order}")
    assert [(row[1], row[2], row[4]) for row in since.of("donors.order")] == [("admin", "seen", order)]


def test_who_is_turned_away_is_told(hub: CloudHub, donor: Person, since: Since) -> None:
    mine, foreign = hub.paid_order(hub.donor(), "sheep", "Amina")["id"], uuid4()
    donor.get(f"/api/v1/orders/{mine}", status=404)
    donor.get(f"/api/v1/orders/{foreign}", status=404)
    donor.get("/api/v1/sites", status=403)
    hub.stranger.post("/api/v1/auth/sign-in", {"email": donor.email, "password": "wrong password"}, status=401)
    hub.stranger.get("/api/v1/sites", status=401)
    refused = [row for row in since.of("donors.order", "executors.sites", "auth.sign_in") if row[2] == "refused"]
    assert [(row[0], row[3], row[4], row[5]) for row in refused] == [
        ("donors.order", donor.id, mine, {"code": "not_found"}),
        ("donors.order", donor.id, str(foreign), {"code": "not_found"}),
        ("executors.sites", donor.id, "", {"code": "forbidden"}),
        ("auth.sign_in", "", "", {"code": "bad_credentials"}),
    ]


def test_entries_name_nobody(hub: CloudHub, since: Since) -> None:
    donor = hub.donor(name="Canary Feather")
    hub.paid_order(donor, "sheep", "Canary Wing")
    hub.stranger.post("/api/v1/auth/sign-in", {"email": donor.email, "password": "Canary Beak"}, status=401)
    told = json.dumps(since.hub.sql(ENTRIES, after=since.after))
    assert "Canary" not in told
    assert donor.email not in told


OF_NOBODY = {"auth.me", "health.backlog", "pages.home", "pages.script"}
"""What staff may look at without a trace: there is nobody and no video in it."""


def test_no_route_changes_anything_without_an_entry(hub: CloudHub) -> None:
    silent = {
        name for name, handler in handlers(hub)
        if set(handler.http_methods) & {"POST", "PUT", "PATCH", "DELETE"} and not tells(handler)
        and set(handler.opt["roles"]) != {NODE}  # ops of boxes, told by batches
    }
    assert {name for name in silent if not name.startswith("tus.")} <= WITHOUT_A_SESSION


def test_no_look_of_staff_at_people_or_videos_goes_without_an_entry(hub: CloudHub) -> None:
    silent = {
        name for name, handler in handlers(hub)
        if "GET" in handler.http_methods and not tells(handler) and set(handler.opt["roles"]) & {"admin", "auditor"}
    }
    assert {name for name in silent if not name.startswith("_openapi.")} <= OF_NOBODY
    assert not [name for name, handler in handlers(hub) if handler.opt.get("audited") == "never"]


def handlers(hub: CloudHub) -> list[tuple[str, Any]]:
    app: Any = main.web(hub.platform)
    while not isinstance(app, Litestar):
        app = app.app
    return [
        (f"{handler.fn.__module__.split('.')[1]}.{handler.fn.__name__}", handler)
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        if handler.http_methods != {"OPTIONS"}
    ]


def tells(handler: Any) -> bool:
    """Whether its entry is written by the transaction that it asks for, or of a look by what it reads with."""
    by = {"session", "reading"} if handler.http_methods <= {"GET", "HEAD"} else {"session"}
    return bool(by & handler.parsed_fn_signature.parameters.keys())


@pytest.mark.parametrize(("harm", "kind"), [
    ("UPDATE platform.audit SET role = 'donor' WHERE seq = 7", "edited"),
    ("UPDATE platform.audit SET facts = '{\"a\": 1}' WHERE seq = 7", "edited"),
    ("DELETE FROM platform.audit WHERE seq = 7", "missing"),
    ("UPDATE platform.audit SET seq = CASE seq WHEN 7 THEN -8 ELSE -7 END WHERE seq IN (7, 8);"
     "UPDATE platform.audit SET seq = -seq WHERE seq < 0", "edited"),
    ("DELETE FROM platform.audit WHERE seq >= 7", "cut"),
])  # fmt: skip
async def test_what_the_databases_owner_does_to_the_audit_is_found_and_located(
    platform: Platform, harm: str, kind: str
) -> None:
    async with platform.database.begin() as session:
        for number in range(12):
            await audit.record(session, "test.act", now=platform.clock.now(), subject=uuid4(), number=number)
    assert await Chain(platform.database, platform.clock, platform.keys.sign, 60).link_page() == 12
    assert await _breaks(platform) == []
    async with platform.database.begin() as session:
        for statement in harm.split(";"):
            await session.execute(text(statement))
    assert (7, kind) in await _breaks(platform)


async def test_entries_are_linked_and_signed_while_they_come(platform: Platform) -> None:
    chain = Chain(platform.database, platform.clock, platform.keys.sign, 60)
    for number in range(3):
        async with platform.database.begin() as session:
            await audit.record(session, "test.act", now=platform.clock.now(), number=number)
        assert await chain.link_page() == 1
    assert await chain.link_page() == 0
    async with platform.database.begin() as session:
        assert (await newest_checkpoint(session)).seq == 1
    assert await _breaks(platform) == []


async def _breaks(platform: Platform) -> list[tuple[int, str]]:
    out = io.BytesIO()
    async with platform.database.begin() as session:
        await audit_file.write(session, out, platform.keys.sign.public)
    lines = out.getvalue().splitlines()
    return [(found.seq, found.kind) for found in audit_file.verify(lines, [], platform.keys.sign.public)]
