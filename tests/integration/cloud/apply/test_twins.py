"""Clones, backups and rot, between the protocol's own box and a real hub on a real database: nothing is overwritten."""

from __future__ import annotations

import threading
import zlib
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from shared.crypto import SigningKey, VerifyKey
from shared.errors import QurbaniError
from sync import receipts
from sync.calls import Call, Reply, drive
from sync.messages import Enrolled, from_wire
from tests.cloud_hub import Box, CloudHub
from tests.unit.sync.chains import Chain


@pytest.fixture
def site(hub: CloudHub) -> str:
    return hub.site(S1="sheep", S2="sheep")


@pytest.fixture
def box(hub: CloudHub, site: str) -> Box:
    return hub.box(site)


def twin(box: Box) -> Box:
    """A box from a copy of the disk."""
    copy = Box(box.hub, box.identity.key, _enrolled(box))
    copy.chain = box.chain.clone()
    copy.acked, copy.cursor, copy.mark, copy.records_ = box.acked, box.cursor, box.mark, dict(box.records_)
    return copy


def _enrolled(box: Box) -> Any:
    return Enrolled(box.node, box.site, box.identity.hub.raw, bytes(32))


def held(box: Box, node: UUID) -> list[bytes]:
    return box.hub.sql("SELECT hash FROM sync.ops WHERE node = :node ORDER BY seq", node=node)


def divergences(hub: CloudHub, box: Box) -> int:
    [count] = hub.sql("SELECT count(*) FROM sync.divergences WHERE node = :node", node=box.node)
    return int(count)


def test_two_boxes_of_one_disk_both_go_on(hub: CloudHub, box: Box, site: str) -> None:
    box.write("sacrifice", uuid4(), box.opening())
    box.sync()
    clone, shared = twin(box), box.node
    for n in range(40):
        box.write("sacrifice", uuid4(), box.opening(note=f"ours {n}"))
        clone.write("sacrifice", uuid4(), clone.opening(note=f"the clone's {n}"))
    box.sync()
    clone.sync()
    assert (box.node, clone.node == shared) == (shared, False)
    assert held(box, box.node) == box.chain.hashes[1:]
    assert held(clone, clone.node) == clone.chain.hashes[1:]
    assert [op.patch["note"] for op in clone.chain.ops] == [f"the clone's {n}" for n in range(40)]
    parents = {node["id"]: node["parent"] for node in hub.admin.get(f"/api/v1/sites/{site}/nodes")}
    assert parents == {str(box.node): None, str(clone.node): str(box.node)}
    for each in (box, clone):
        each.write("sacrifice", uuid4(), each.opening())
        each.sync()
        assert each.acked == len(each.chain.ops)
    [case] = [case for case in hub.admin.get("/api/v1/conflicts")
              if case["key"] == hub.admin.get(f"/api/v1/sites/{site}/animals")[0]["id"]]
    assert {version["node"] for version in case["versions"]} <= {str(box.node), str(clone.node)}


def test_a_box_put_back_to_a_backup_goes_on_under_another_name(hub: CloudHub, box: Box) -> None:
    backup = twin(box)
    for _ in range(5):
        box.write("sacrifice", uuid4(), box.opening())
    box.sync()
    first, before = box.node, held(box, box.node)
    backup.sync()
    assert backup.node != first, "also before it has written anything"
    backup.write("sacrifice", uuid4(), backup.opening())
    backup.sync()
    assert held(box, first) == before
    assert (backup.acked, backup.parked) == (1, {})


def test_a_hub_put_back_gets_again_what_it_lost_and_tells_again(hub: CloudHub, box: Box, site: str) -> None:
    box.write("sacrifice", kept := uuid4(), box.opening())
    box.sync()
    [head] = hub.sql("SELECT cursor FROM executors.feed_heads WHERE site_id = :site", site=site)
    hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": "lost", "species": "goat"})
    lost = uuid4()
    box.write("sacrifice", lost, box.opening(note="in the lost hour"))
    blob_id = box.seal(b"sealed in the lost hour")
    box.sync()
    assert receipts.check(box.told("receipt")[receipts.key(blob_id)], box.identity.hub).size == 23
    for query in (
        "DELETE FROM executors.feed WHERE site_id = :site AND cursor > :head",
        "DELETE FROM executors.feed_marks WHERE site_id = :site AND cursor > :head",
        "UPDATE executors.feed_heads SET cursor = :head WHERE site_id = :site",
        "DELETE FROM executors.animals WHERE site_id = :site AND tag = 'lost'",
        "DELETE FROM executors.sacrifices WHERE site_id = :site AND note = 'in the lost hour'",
        "DELETE FROM sync.records WHERE site_id = :site AND entity <> 'sacrificed' AND key <> :kept",
        "DELETE FROM uploads.blobs WHERE id = :blob",
        "DELETE FROM sync.ops WHERE node = :node AND seq > 1",
        "UPDATE sync.chains SET acked = 1, hash = (SELECT hash FROM sync.ops WHERE node = :node AND seq = 1)"
        " WHERE node = :node",
    ):
        names = {"site": site, "head": head, "node": box.node, "blob": blob_id, "kept": kept}
        run(hub, query, **{name: value for name, value in names.items() if f":{name}" in query})
    for n in range(4):  # the same cursors, allotted again
        hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": f"since {n}", "species": "goat"})
    box.sync()
    box.sync()
    assert held(box, box.node) == box.chain.hashes[1:]
    assert hub.sql("SELECT note FROM executors.sacrifices WHERE id = :lost", lost=lost) == ["in the lost hour"]
    tags = {fields["tag"] for fields in box.told("animal").values()}
    assert tags == {"S1", "S2", *(f"since {n}" for n in range(4))}
    assert receipts.key(blob_id) in box.told("receipt"), "found in the store, and told again"
    assert hub.sql("SELECT count(*) FROM uploads.blobs WHERE id = :blob AND arrived IS NOT NULL", blob=blob_id) == [1]
    assert divergences(hub, box) == 0


def test_a_box_that_the_hub_has_forgotten_goes_on_under_its_name_with_a_new_code(hub: CloudHub, site: str) -> None:
    """It was enrolled in the hour that a hub lost which was put back to a backup."""
    box = hub.box(site)
    box.write("sacrifice", opened := uuid4(), box.opening(note="in the lost hour"))
    blob_id = box.seal(b"sealed and sent in the lost hour")
    box.sync()
    for query in (
        "UPDATE executors.enrolment_codes SET node_id = NULL WHERE node_id = :node",
        "DELETE FROM executors.sacrifices WHERE node = :node",
        "DELETE FROM executors.nodes WHERE id = :node",
        "DELETE FROM sync.ops WHERE node = :node",
        "DELETE FROM sync.chains WHERE node = :node",
    ):
        run(hub, query, node=box.node)
    for query, value in (("sync.records WHERE key = :it", opened), ("uploads.blobs WHERE id = :it", blob_id),
                         ("executors.feed WHERE key = :it", receipts.key(blob_id))):
        run(hub, f"DELETE FROM {query}", it=value)
    run(hub, "UPDATE executors.feed_marks SET mark = 'another' WHERE site_id = :site", site=site)
    box.session._token = ""
    with pytest.raises(QurbaniError, match="unknown_node"):
        box.sync()
    code = hub.admin.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
    assert hub.enrol(code, SigningKey.generate(), hub.box(site).node).status == 409, "the name is another box's"
    assert from_wire(hub.enrol(code, box.identity.key, box.node).body, Enrolled).node == box.node
    box.sync()
    assert held(box, box.node) == box.chain.hashes[1:]
    assert hub.sql("SELECT note FROM executors.sacrifices WHERE id = :id", id=opened) == ["in the lost hour"]
    assert receipts.key(blob_id) in box.told("receipt"), "the bytes were in the store, and are found again"
    again = hub.admin.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
    assert from_wire(hub.enrol(again, box.identity.key, box.node).body, Enrolled).node == box.node, "also needlessly"


def run(hub: CloudHub, query: str, **parameters: Any) -> None:
    from sqlalchemy import text

    async def work(session: AsyncSession) -> None:
        await session.execute(text(query), parameters)

    hub.run(work)


def test_rot_at_either_end_is_found_mended_and_counted(hub: CloudHub, box: Box, site: str) -> None:
    hub.site(**{f"A{n}": "sheep" for n in range(3)})
    box.sync()
    whole = dict(box.records_)
    [rotten, gone, *_] = [name for name in whole if name[0] == "animal"]
    box.records_[rotten] = {"tag": "rotten"}
    del box.records_[gone]
    hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": "news", "species": "goat"})
    box.sync()
    assert {name: box.records_[name] for name in whole} == whole
    found = divergences(hub, box)
    assert 1 <= found <= 2
    assert f"qurbani_sync_divergence_total {hub.sql('SELECT count(*) FROM sync.divergences')[0]}" in metrics(hub)
    run(hub, "UPDATE executors.feed SET fields = '{\"tag\": \"altered\"}' WHERE site_id = :site AND key = :key",
        site=site, key=rotten[1])
    box.session._checked_ms = None
    box.sync()
    assert (box.records_[rotten], divergences(hub, box)) == ({"tag": "altered"}, found + 1)
    box.sync()
    assert divergences(hub, box) == found + 1


def metrics(hub: CloudHub) -> str:
    return hub.stranger.http.get("/metrics").text


# What a box is told


def test_a_box_is_told_of_its_own_site_only_and_never_a_phone_number(hub: CloudHub) -> None:
    """Canaries: values that stand in the hub and must not be found in anything that a box receives."""
    here, elsewhere = hub.site(HERE1="sheep"), hub.site(CANARY_TAG="sheep")
    phone, email = "+213555000111222", f"canary-{uuid4().hex}@example.org"
    donors = hub.sql("SELECT count(*) FROM donors.donors")[0]
    hub.stranger.post("/api/v1/donors", {
        "name": "Canary Donor", "email": email, "password": uuid4().hex, "language": "fr", "phone": phone,
    })  # fmt: skip
    assert hub.sql("SELECT count(*) FROM donors.donors") == [donors + 1]
    person = hub.donor()
    hub.allocated_order(person, here, "sheep", "Ahmed Benali")
    hub.allocated_order(hub.donor(), elsewhere, "sheep", "Canary Name")
    box, received = hub.box(here), []

    def listen(call: Call) -> Reply:
        reply = hub.send(call)
        received.append(reply.body)
        received.append(zlib.decompress(reply.body) if reply.body[:1] == b"x" else b"")
        return reply

    drive(box.session.run(), listen)
    everything = b"".join(received)
    assert b"Ahmed Benali" in everything
    for canary in (phone, phone.lstrip("+"), email, "CANARY_TAG", "Canary Name", "Canary Donor", person.email):
        assert canary.encode() not in everything
    assert set(box.told("site")) == {UUID(here)}


def test_a_change_that_commits_during_a_slow_read_is_not_missed(hub: CloudHub, box: Box, site: str) -> None:
    """One change takes its cursor and is not committed yet; another asks for the next; meanwhile a box reads."""
    box.sync()
    holding, may_end = threading.Event(), threading.Event()

    async def slow(session: AsyncSession) -> None:
        await executors.feed_tell(session, UUID(site), [("animal", uuid4(), {"tag": "slow"})])
        holding.set()
        while not may_end.is_set():
            await _breathe()

    def later() -> None:
        hub.admin.post(f"/api/v1/sites/{site}/animals", {"tag": "quick", "species": "goat"})

    first = threading.Thread(target=hub.run, args=(slow,))
    second = threading.Thread(target=later)
    first.start()
    assert holding.wait(20)
    second.start()
    try:
        box.sync()
        seen = {fields["tag"] for fields in box.told("animal").values()}
        assert "quick" not in seen, "it has to come after the one that began before it"
    finally:
        may_end.set()
        first.join(30)
        second.join(30)
    box.sync()
    assert {"slow", "quick"} <= {fields["tag"] for fields in box.told("animal").values()}


async def _breathe() -> None:
    import asyncio

    await asyncio.sleep(0)


def test_a_receipt_is_the_hubs_and_comes_only_when_the_bytes_are_there(hub: CloudHub, box: Box) -> None:
    blob_id = box.seal(b"v" * 1000)
    box.sync()
    fields = box.told("receipt")[receipts.key(blob_id)]
    assert receipts.check(fields, VerifyKey(hub.platform.keys.sign.public.raw)).blob_id == blob_id
    never = box.seal(b"w" * 1000)
    box.blobs[never] = box.blobs[never][0], b"x" * 1000
    box.session.run().close()
    assert drive(box.session.run(), hub.send)[never].code == "checksum_mismatch"
    assert receipts.key(never) not in box.told("receipt")


def test_a_name_is_given_only_where_there_is_a_fork(hub: CloudHub, box: Box) -> None:
    box.write("sacrifice", uuid4(), box.opening())
    box.sync()
    forged = twin(box)
    forged.chain = Chain(box.node, box.identity.key, box.chain.ops)
    forged.sync()
    assert forged.node == box.node
    assert hub.sql("SELECT count(*) FROM executors.nodes WHERE parent = :node", node=box.node) == [0]
