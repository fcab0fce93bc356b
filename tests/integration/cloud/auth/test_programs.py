"""Programs with an account of their own: one narrow role, a key that can be changed and taken away at once."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import pytest

from cloud.auth.programs import OVERLAP
from tests.cloud_hub import CloudHub, Person

PROGRAMS = "/api/v1/auth/programs"


def holding(hub: CloudHub, key: str) -> Person:
    return Person(hub.client(authorization=f"Bearer {key}"))


def made(hub: CloudHub, role: str = "bookkeeper") -> dict[str, Any]:
    found: dict[str, Any] = hub.admin.post(PROGRAMS, {"name": "The books", "role": role})
    return found


def test_a_program_does_what_its_role_may_and_nothing_else(hub: CloudHub) -> None:
    donor, books = hub.donor(), holding(hub, made(hub)["key"])
    order = donor.post("/api/v1/orders", {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]})["id"]
    payment = {"key": secrets.token_hex(8), "minor": 25_000, "currency": "EUR", "method": "transfer"}
    assert books.post(f"/api/v1/orders/{order}/payments", payment)["state"] == "paid"
    assert books.get(f"/api/v1/orders/{order}/ledger")
    for path in ("/api/v1/accounts", "/api/v1/auth/me", f"/api/v1/orders/{order}", "/api/v1/queues", PROGRAMS):
        books.get(path, status=403)
    books.post(PROGRAMS, {"name": "another", "role": "bookkeeper"}, status=403)
    told = hub.sql("SELECT role FROM platform.audit WHERE actor = (SELECT max(id::text)::uuid FROM auth.programs)"
                   " AND action = 'donors.pay' AND outcome = 'done'")  # fmt: skip
    assert told == ["bookkeeper"]
    watch = holding(hub, made(hub, "monitor")["key"])
    watch.get("/health/backlog")
    watch.post(f"/api/v1/orders/{order}/payments", payment, status=403)


def test_a_key_is_changed_without_a_gap_and_the_old_one_ends(
    hub: CloudHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(hub)
    second = hub.admin.post(f"{PROGRAMS}/{first['id']}/rotate")
    for key in (first["key"], second["key"]):
        holding(hub, key).get("/api/v1/refunds")
    third = hub.admin.post(f"{PROGRAMS}/{first['id']}/rotate")
    holding(hub, first["key"]).get("/api/v1/refunds", status=401)
    late = hub.platform.clock.now() + OVERLAP + timedelta(minutes=1)
    hub.sql("UPDATE auth.programs SET prior_until = :early WHERE id = :id RETURNING 1",
            early=late - 2 * OVERLAP, id=first["id"])  # fmt: skip
    holding(hub, second["key"]).get("/api/v1/refunds", status=401)
    holding(hub, third["key"]).get("/api/v1/refunds")


def test_who_is_revoked_is_out_at_the_next_request(hub: CloudHub) -> None:
    key = made(hub)
    program = holding(hub, key["key"])
    program.get("/api/v1/refunds")
    assert hub.admin.http.delete(f"{PROGRAMS}/{key['id']}").status_code == 204
    program.get("/api/v1/refunds", status=401)
    listed = {each["id"]: each for each in hub.admin.get(PROGRAMS)}
    assert listed[key["id"]]["revoked"]
    assert "key" not in listed[key["id"]]
    hub.admin.post(f"{PROGRAMS}/{hub.donor().id}/rotate", status=404)


def test_only_an_admin_with_a_second_factor_of_this_moment_gives_keys(hub: CloudHub) -> None:
    hub.staff("auditor").post(PROGRAMS, {"name": "x", "role": "monitor"}, status=403)
    hub.admin.post(PROGRAMS, {"name": "x", "role": "admin"}, status=400)
    stale = hub.staff("admin")
    hub.sql("UPDATE auth.sessions SET proved = proved - interval '11 minutes' WHERE user_id = :id RETURNING 1",
            id=stale.id)  # fmt: skip
    assert stale.post(PROGRAMS, {"name": "x", "role": "monitor"}, status=403)["code"] == "step_up_needed"


@pytest.mark.parametrize("forge", [
    lambda key: key[:-1], lambda key: key + "x", lambda key: "p.." + key[2:], lambda key: "p.", lambda key: key[2:],
    lambda key: key.rpartition(".")[0] + ".",
])  # fmt: skip
def test_what_is_no_key_lets_nobody_in(hub: CloudHub, forge: Any) -> None:
    holding(hub, forge(made(hub)["key"])).get("/api/v1/refunds", status=401)


def test_the_database_holds_no_key(hub: CloudHub) -> None:
    secret = made(hub)["key"].rpartition(".")[2]
    held = hub.sql("SELECT row_to_json(p)::text FROM auth.programs p")
    assert not [row for row in held if secret in row]
