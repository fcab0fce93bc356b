"""Versions meet: the first release's box with today's hub, and today's box with the first release's hub."""

from __future__ import annotations

from uuid import UUID, uuid4

from shared.clock import ManualClock
from shared.ids import new_id
from sync.calls import Call, Reply, drive
from sync.session import Identity, Session
from tests.cloud_hub import CloudHub
from tests.protocol import frozen_v1
from tests.unit.sync import world
from tests.unit.sync.chains import HUB_KEY, KEY, NODE


def test_the_first_box_is_served_by_todays_hub(hub: CloudHub) -> None:
    def send(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        reply = hub.send(Call(method, path, headers, body))
        return reply.status, dict(reply.headers), reply.body

    site = hub.site(S1="sheep")
    code = hub.admin.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
    animal = hub.admin.get(f"/api/v1/sites/{site}/animals")[0]["id"]
    box, key = frozen_v1.Box(send, code, uuid4), uuid4()
    box.sign_in(hub.platform.clock.read().wall_ms // 1000)
    opened = {"wall_ms": 1_780_000_000_000, "mono_ms": 5, "boot": "b"}
    patch = {"site_id": site, "animal_id": animal, "executor_id": str(uuid4()), "opened": opened, "state": "opened"}
    answer = box.exchange([[1, "sacrifice", key, patch, "box"], [2, "sacrifice", key, {"note": "calm"}, "box"]])
    assert "parked" not in answer
    assert hub.sql("SELECT state, note FROM executors.sacrifices WHERE id = :key", key=key) == [("opened", "calm")]
    assert {entity for entity, _ in box.records} == {"site", "animal"}
    assert answer["digest"] == box.root()
    blob_id = box.upload(b"a sealed video")
    answer = box.exchange([])
    assert box.records["receipt", bytes.fromhex(blob_id)[:16]]["size"] == 14
    assert answer["digest"] == box.root()


def test_todays_box_gets_along_with_the_first_hub() -> None:
    clock = ManualClock()
    box, hub = world.Box(clock), frozen_v1.Hub(NODE, KEY.public.raw, lambda: clock.wall_ms)

    def send(call: Call) -> Reply:
        return Reply(*hub.answer(call.method, call.path, call.headers, call.body))

    session = Session(Identity(NODE, KEY, HUB_KEY.public), box, box, clock, new_id)
    box.write("sacrifice", UUID(int=1), {"note": "first"})
    drive(session.run(), send)
    box.write("sacrifice", UUID(int=1), {"note": "second"})
    drive(session.run(), send)
    assert [line[3]["note"] for line in hub.lines] == ["first", "second"]
    assert hub.hashes == box.chain.hashes
    assert (box.acked, box.cursor, box.mark) == (2, 1, b"m" * 8)
    assert box.records_ == {("animal", UUID(int=7)): {"tag": "17"}}
    assert hub.asked[-1]["mark"] == b"m" * 8
