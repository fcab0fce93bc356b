"""What boxes send, and what becomes of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import event

from cloud.apply import service
from shared.crypto import SigningKey
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from sync import hlc, tokens
from sync.calls import Call, Reply, refusal
from sync.hub import Batch
from sync.messages import BLOBS, EXCHANGE, MEDIA_TYPE, TOKEN, Exchange, Exchanged, from_wire, to_wire
from tests.cloud_hub import Box, CloudHub
from tests.unit.sync.chains import Chain


@pytest.fixture(scope="module")
def site(hub: CloudHub) -> str:
    return hub.site(S1="sheep")


@pytest.fixture
def box(hub: CloudHub, site: str) -> Box:
    return hub.box(site)


def animal(hub: CloudHub, site: str) -> str:
    found: str = hub.admin.get(f"/api/v1/sites/{site}/animals")[0]["id"]
    return found


def post(box: Box, batch: Batch | None, cursor: int = 0) -> Reply:
    return box.hub.send(Call("POST", EXCHANGE, box.bearer(), to_wire(Exchange(box.node, cursor, batch))))


def answered(reply: Reply) -> Exchanged:
    if error := refusal(reply):
        raise error
    return from_wire(reply.body, Exchanged)


def refused(reply: Reply) -> QurbaniError:
    error = refusal(reply)
    assert error is not None, "the hub should have refused this"
    return error


def ask_token(hub: CloudHub, proof: str) -> Reply:
    return hub.send(Call("POST", TOKEN, {"content-type": tokens.FORM}, tokens.to_form(proof)))


def parked(box: Box) -> list[tuple[int, str]]:
    query = "SELECT seq, parked_code FROM sync.ops WHERE node = :node AND parked_code IS NOT NULL ORDER BY seq"
    return box.hub.sql(query, node=box.node)


def state(box: Box, key: UUID) -> list[str]:
    return box.hub.sql("SELECT state FROM executors.sacrifices WHERE id = :key", key=key)


# Records


def test_what_a_box_did_becomes_the_hubs_record_and_moves_the_order(hub: CloudHub) -> None:
    site, donor = hub.site(S1="sheep"), hub.donor()
    order = hub.allocated_order(donor, site, "sheep", "Ahmed")
    box, key = hub.box(site), uuid4()
    box.write("sacrifice", key, box.opening(note="calm"))
    box.sync()
    assert state(box, key) == ["opened"]
    assert donor.get(f"/api/v1/orders/{order['id']}")["state"] == "allocated"
    box.write("sacrifice", key, {"state": "recorded"})
    box.write("sacrifice", key, {"state": "judged"})
    box.write("sacrifice", key, {"note": "very calm"})
    box.sync()
    assert box.acked == 4
    assert box.parked == {}
    assert hub.sql("SELECT state, note, node FROM executors.sacrifices WHERE id = :key", key=key) == [
        ("judged", "very calm", box.node),
    ]
    found = donor.get(f"/api/v1/orders/{order['id']}")
    assert [step["state"] for step in found["timeline"]] == ["placed", "paid", "allocated", "sacrificed"]


def test_a_batch_that_comes_again_changes_nothing_and_is_answered_alike(box: Box) -> None:
    key = uuid4()
    box.write("sacrifice", key, box.opening())
    box.write("nonsense", key, {"a": 1})
    box.write("sacrifice", key, {"state": "recorded"})
    first, again = answered(post(box, box.chain.batch())), answered(post(box, box.chain.batch()))
    part = answered(post(box, box.chain.batch(1, 2)))
    assert first.acked == again.acked == part.acked == 3
    assert first.parked == again.parked == part.parked
    assert [each.seq for each in first.parked] == [2]
    assert box.held() == [1, 2, 3]
    assert state(box, key) == ["recorded"]


def test_one_batch_from_many_connections_at_once_is_held_once(box: Box) -> None:
    key = uuid4()
    box.write("sacrifice", key, box.opening())
    for last in (1, 31, 61, 91):
        with ThreadPoolExecutor(6) as lines:
            acked = {answered(reply).acked for reply in lines.map(lambda _: post(box, box.chain.batch()), range(6))}
        assert acked == {last}
        assert box.held() == list(range(1, last + 1))
        for n in range(30):
            box.write("sacrifice", key, {"note": f"note {n}"})


def test_ops_after_a_gap_are_refused_and_the_box_is_told_where_to_go_on(box: Box) -> None:
    for _ in range(5):
        box.write("sacrifice", uuid4(), box.opening())
    answered(post(box, box.chain.batch(1, 2)))
    error = refused(post(box, box.chain.batch(4, 5)))
    assert (error.code, error.facts["acked"]) == ("gap", 2)
    assert box.held() == [1, 2]
    assert answered(post(box, box.chain.batch(2, 5))).acked == 5


def test_two_histories_of_one_box_are_told_apart_and_the_first_stays(box: Box) -> None:
    box.write("sacrifice", uuid4(), box.opening())
    clone = box.chain.clone()
    mine, theirs = uuid4(), uuid4()
    box.write("sacrifice", mine, box.opening())
    clone.write("sacrifice", theirs, box.opening())
    clone.write("sacrifice", theirs, {"note": "never"})
    answered(post(box, box.chain.batch()))
    error = refused(post(box, clone.batch()))
    assert (error.code, error.facts["seq"]) == ("fork", 2)
    assert state(box, theirs) == []
    assert state(box, mine) == ["opened"]


def test_ops_that_are_not_the_boxs_own_are_refused_whole(hub: CloudHub, site: str, box: Box) -> None:
    box.write("sacrifice", uuid4(), box.opening())
    good = box.chain.batch()
    altered = msgspec.structs.replace(good.lines[0], patch=good.lines[0].patch | {"note": "altered"})
    strangers = Chain(box.node, SigningKey.generate(), box.chain.ops).batch()
    unsigned = msgspec.structs.replace(good, sig=bytes(64))
    for batch in (msgspec.structs.replace(good, lines=[altered]), strangers, unsigned):
        assert refused(post(box, batch)).code == "bad_signature"
    other = hub.box(site)
    other.write("sacrifice", uuid4(), other.opening())
    assert refused(post(box, other.chain.batch())).code == "forbidden"
    assert box.held() == other.held() == []


# What cannot be applied


def test_what_cannot_be_applied_is_kept_with_its_reason_and_holds_up_nothing(hub: CloudHub, box: Box) -> None:
    elsewhere = hub.site(S9="sheep")
    foreign, good = uuid4(), uuid4()
    box.write("sacrifice", foreign, box.opening(animal_id=animal(hub, elsewhere)))
    box.write("sacrifice", foreign, box.opening(site_id=elsewhere))
    box.write("sacrifice", uuid4(), {"note": "of nothing"})
    box.write("sacrifice", uuid4(), box.opening(state="eaten"))
    box.write("sacrifice", uuid4(), box.opening(animal_id="a sheep"))
    box.write("sacrifice", uuid4(), box.opening(price=0))
    box.write("animal", UUID(animal(hub, str(box.site))), {"tag": "claimed at no site"})
    box.write("share", uuid4(), {"name": "for the hub to say"})
    box.write("verdict", uuid4(), {"video_id": str(uuid4()), "outcome": "authentic", "body": {}})
    box.write("no such thing", uuid4(), {"a": 1})
    box.write("sacrifice", good, box.opening())
    box.sync()
    assert box.acked == 11
    assert {seq: each.code for seq, each in box.parked.items()} == dict.fromkeys(range(1, 11), "bad_op")
    assert parked(box) == [(seq, "bad_op") for seq in range(1, 11)]
    assert state(box, good) == ["opened"]
    assert state(box, foreign) == []
    assert hub.admin.get(f"/api/v1/sites/{box.site}/animals")[0]["tag"] == "S1"
    assert hub.sql("SELECT count(*) FROM sync.records WHERE key = :key", key=foreign) == [0]


def test_a_box_writes_no_record_of_another_site(hub: CloudHub, box: Box) -> None:
    key = uuid4()
    box.write("sacrifice", key, box.opening())
    box.sync()
    intruder = hub.box(hub.site(S1="sheep"))
    intruder.write("sacrifice", key, {"note": "was here"})
    intruder.write("sacrifice", key, intruder.opening(state="recorded"))
    intruder.sync()
    assert [each.code for each in intruder.parked.values()] == ["bad_op", "bad_op"]
    assert hub.sql("SELECT state, note FROM executors.sacrifices WHERE id = :key", key=key) == [("opened", "")]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A hub with a bug in it."""

    async def stumble(session: Any, records: dict[UUID, dict[str, Any]], **_: Any) -> None:
        if any(fields.get("note") == "stone" for fields in records.values()):
            raise ZeroDivisionError("a bug of ours")
        await real(session, records, **_)

    real = service.APPLY["sacrifice"]
    monkeypatch.setitem(service.APPLY, "sacrifice", stumble)
    return monkeypatch


def test_a_bug_of_ours_parks_the_op_that_meets_it_until_it_is_mended(
    hub: CloudHub, box: Box, broken: pytest.MonkeyPatch
) -> None:
    stone, good = uuid4(), uuid4()
    box.write("sacrifice", stone, box.opening(note="stone"))
    box.write("sacrifice", good, box.opening())
    box.sync()
    assert parked(box) == [(1, "internal")]
    assert (state(box, stone), state(box, good)) == ([], ["opened"])

    async def retry(session: Any) -> int:
        return await service.retry_parked(session, hub.platform.clock.now())

    hub.run(retry)
    assert parked(box) == [(1, "internal")]
    broken.undo()
    assert hub.run(retry) >= 1
    assert parked(box) == []
    assert state(box, stone) == ["opened"]


def test_one_op_at_fault_costs_its_neighbours_nothing(hub: CloudHub, box: Box) -> None:
    keys = [uuid4() for _ in range(60)]
    for n, key in enumerate(keys, 1):
        # The 20th has nothing that the hub could make a sacrifice of, the 41st a field that there is not.
        patch = {"note": "no more than this"} if n == 20 else box.opening(**{"nonsense": 1} if n == 41 else {})
        box.write("sacrifice", key, patch)
    box.sync()
    assert parked(box) == [(20, "bad_op"), (41, "bad_op")]
    found = hub.sql("SELECT id FROM executors.sacrifices WHERE node = :node", node=box.node)
    assert set(found) == {key for n, key in enumerate(keys, 1) if n not in (20, 41)}


def test_a_large_batch_takes_no_more_statements_than_a_small_one(hub: CloudHub, box: Box) -> None:
    def statements(count: int) -> int:
        for _ in range(count):
            key, video = uuid4(), uuid4()
            box.write("sacrifice", key, box.opening())
            box.write("video", video, {
                "sacrifice_id": str(key), "sha256": key.hex * 2, "size": 1, "blob_id": video.hex * 2, "blob_size": 1,
                "media_type": "video/mp4", "captured": {"wall_ms": 1, "mono_ms": 1, "boot": "b"},
            })  # fmt: skip
            body = msgspec.to_builtins(Verdict("review", "1"))
            box.write("verdict", uuid4(), {"video_id": str(video), "outcome": "review", "body": body})
        asked: list[str] = []
        engine = hub.platform.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", count_one := lambda *told: asked.append(told[2]))
        box.sync()
        event.remove(engine, "before_cursor_execute", count_one)
        return len(asked)

    statements(1)  # the first one also opens the session
    assert parked(box) == []
    assert statements(60) < statements(2) + 10  # whatever the hub does beside


def cases(hub: CloudHub, key: UUID) -> list[dict[str, Any]]:
    return [case for case in hub.admin.get("/api/v1/conflicts") if case["key"] == str(key)]


def test_conflicting_writes_are_kept_side_by_side_and_shown_with_their_authors(hub: CloudHub, box: Box) -> None:
    key, first, other = uuid4(), box.opening(), str(uuid4())
    box.write("sacrifice", key, first)
    box.chain.write("sacrifice", key, {"executor_id": other}, hlc=box._tick(), actor="Yusuf")
    box.sync()
    [case] = cases(hub, key)
    versions = [(each["value"], each["actor"], each["node"], each["is_shown"]) for each in case["versions"]]
    assert (case["field"], case["settled"]) == ("executor_id", None)
    assert versions == [
        (first["executor_id"], "box", str(box.node), True), (other, "Yusuf", str(box.node), False),
    ]
    assert hub.sql("SELECT executor_id FROM executors.sacrifices WHERE id = :key", key=key) == [
        UUID(first["executor_id"]),
    ]
    told = {"entity": "sacrifice", "key": str(key), "field": "executor_id", "decision": "Yusuf mistyped his name."}
    hub.admin.post("/api/v1/conflicts/settle", told, status=204)
    [case] = cases(hub, key)
    assert (case["settled"] is not None, case["decision"]) == (True, told["decision"])
    box.write("sacrifice", key, {"executor_id": str(uuid4())})
    box.sync()
    assert cases(hub, key)[0]["settled"] is None, "a further version opens it again"


def test_an_animal_that_two_boxes_sacrifice_is_one_case_with_both(hub: CloudHub) -> None:
    site = hub.site(S1="sheep")
    boxes = [hub.box(site), hub.box(site)]
    keys = [uuid4(), uuid4()]
    for each, key in zip(boxes, keys, strict=True):
        each.write("sacrifice", key, each.opening())
        each.sync()
    [case] = cases(hub, UUID(animal(hub, site)))
    assert (case["entity"], case["field"]) == ("sacrificed", "by")
    assert {(each["value"], each["node"]) for each in case["versions"]} == {
        (str(key), str(each.node)) for each, key in zip(boxes, keys, strict=True)
    }
    assert [state(each, key) for each, key in zip(boxes, keys, strict=True)] == [["opened"], ["opened"]]


def test_money_skins_and_share_counts_are_never_overwritten(hub: CloudHub, box: Box) -> None:
    other = hub.box(str(box.site))
    sold = [{"buyer": who, "price": {"currency": "DZD", "minor": 900}} for who in ("Amar", "Badis")]
    told: list[tuple[str, str, UUID, list[Any]]] = [
        ("skin", "sold", uuid4(), sold),
        ("cash", "amount", uuid4(), [{"currency": "EUR", "minor": minor} for minor in (100, 200)]),
        ("sacrifice", "shares", uuid4(), [6, 7]),
    ]
    for entity, field, key, values in told:
        for each, value in zip((box, other), values, strict=True):
            each.write(entity, key, {field: value} | (each.opening() if entity == "sacrifice" else {}))
            each.sync()
            assert each.parked == {}
        [case] = [case for case in cases(hub, key) if case["field"] == field]
        shown = [(each["value"], each["node"]) for each in case["versions"]]
        assert sorted(shown, key=str) == sorted([(values[0], str(box.node)), (values[1], str(other.node))], key=str)
    box.write("sacrifice", uuid4(), box.opening(shares=8))
    box.write("cash", uuid4(), {"amount": {"minor": -1, "currency": "EUR"}})
    box.sync()
    assert {each.code for each in box.parked.values()} == {"bad_op"}


def test_quarantine_is_shown_and_taken_up_again(hub: CloudHub, box: Box, broken: pytest.MonkeyPatch) -> None:
    stone = uuid4()
    box.write("sacrifice", stone, box.opening(note="stone"))
    box.write("sacrifice", uuid4(), {"note": "of nothing"})
    box.sync()
    shown = hub.admin.get(f"/api/v1/quarantine?node={box.node}")
    assert [(each["seq"], each["code"]) for each in shown] == [(1, "internal"), (2, "bad_op")]
    assert shown[0]["patch"]["note"] == "stone"
    which = {"node": str(box.node)}
    assert hub.admin.post("/api/v1/quarantine/redrive", which) == {"applied": 0}
    broken.undo()
    assert hub.admin.post("/api/v1/quarantine/redrive", {**which, "seq": 2}) == {"applied": 0}
    assert hub.admin.post("/api/v1/quarantine/redrive", which) == {"applied": 1}
    assert state(box, stone) == ["opened"]
    assert [each["seq"] for each in hub.admin.get(f"/api/v1/quarantine?node={box.node}")] == [2]
    box.sync()  # a box that starts asks how it stands
    box.session._checked_ms = None
    box.sync()
    assert list(box.parked) == [2]
    for path in ("/api/v1/quarantine", "/api/v1/conflicts"):
        hub.donor().get(path, status=403)


def test_a_box_whose_clock_is_a_day_ahead_does_not_win_against_what_comes_after(hub: CloudHub, box: Box) -> None:
    now_ms = hub.platform.clock.read().wall_ms
    box.stamp = hlc.pack(now_ms + 86_400_000)
    box.write("sacrifice", uuid4(), box.opening())
    answered(post(box, box.chain.batch()))
    [stamp] = hub.sql("SELECT stamp FROM sync.ops WHERE node = :node", node=box.node)
    assert hlc.unpack(stamp)[0] <= hub.platform.clock.read().wall_ms + hlc.MAX_LEAD_MS


# Who may speak


def test_an_assertion_gets_a_token_once(hub: CloudHub, box: Box) -> None:
    proof = box.assertion()
    assert ask_token(hub, proof).status == 200
    assert refused(ask_token(hub, proof)).code == "bad_assertion"


@pytest.mark.parametrize(("change", "code"), [
    ({"node": uuid4()}, "unknown_node"),
    ({"key": SigningKey.generate()}, "bad_assertion"),
    ({"aud": "urn:qurbani:hub:0000000000000000"}, "bad_assertion"),
    ({"now_ms": 0}, "clock_skew"),
])
def test_an_assertion_that_proves_nothing_gets_no_token(
    hub: CloudHub, box: Box, change: dict[str, Any], code: str
) -> None:
    error = refused(ask_token(hub, box.assertion(**change)))
    assert error.code == code
    if code == "clock_skew":
        assert abs(error.facts["time_ms"] - hub.platform.clock.read().wall_ms) < 60_000


def test_a_box_that_is_shut_out_is_told_nothing_and_what_it_sends_is_kept_aside(hub: CloudHub, box: Box) -> None:
    key, later = uuid4(), uuid4()
    box.write("sacrifice", key, box.opening())
    box.sync()
    hub.admin.post(f"/api/v1/nodes/{box.node}/revoke", status=204)
    hub.admin.post(f"/api/v1/sites/{box.site}/animals", {"tag": f"S{later}"[:30], "species": "sheep"})
    told = dict(box.records_)
    box.write("sacrifice", key, {"note": "after"})
    box.write("sacrifice", later, box.opening())
    blob_id = box.seal(b"a video")
    with pytest.raises(QurbaniError) as shut_out:
        box.sync()
    assert shut_out.value.code == "revoked"
    assert (box.acked, box.held()) == (3, [1, 2, 3]), "nothing is lost"
    assert parked(box) == [(2, "revoked"), (3, "revoked")]
    assert (state(box, key), state(box, later)) == (["opened"], [])
    assert box.records_ == told
    headers = box.bearer(path=BLOBS) | {"tus-resumable": "1.0.0", "upload-length": "10"}
    assert refused(hub.send(Call("POST", BLOBS, headers))).code == "revoked"
    assert box.sent_blobs == []
    hub.admin.post(f"/api/v1/nodes/{box.node}/reinstate", status=204)
    hub.run(lambda session: service.retry_parked(session, hub.platform.clock.now()))
    box.sync()
    assert (box.parked, parked(box), state(box, later)) == ({}, [], ["opened"])
    assert (box.sent_blobs, box.records_ == told) == ([blob_id], False)


def test_a_token_is_of_use_to_the_box_alone_and_at_its_time(hub: CloudHub, box: Box) -> None:
    body, headers = to_wire(Exchange(box.node, 0)), box.bearer()
    bearer, now_ms = headers["authorization"].removeprefix("Bearer "), hub.platform.clock.read().wall_ms

    def proof(key: SigningKey = box.identity.key, path: str = EXCHANGE, token: str = bearer, ms: int = now_ms) -> str:
        return tokens.possession(key, "POST", path, token, now_ms=ms)

    assert hub.send(Call("POST", EXCHANGE, headers, body)).status == 200
    stolen = ("", "x", "1.", proof(SigningKey.generate()), proof(path=TOKEN), proof(token="another"))
    for each in stolen:
        assert refused(hub.send(Call("POST", EXCHANGE, headers | {tokens.PROOF: each}, body))).code == "not_signed_in"
    for ms in (now_ms - tokens.PROOF_LIFE_MS - 1000, now_ms + 86_400_000):
        late = refused(hub.send(Call("POST", EXCHANGE, headers | {tokens.PROOF: proof(ms=ms)}, body)))
        assert (late.code, abs(late.facts["time_ms"] - now_ms) < 60_000) == ("clock_skew", True)


def test_people_do_not_speak_as_boxes_nor_boxes_as_people(hub: CloudHub, box: Box) -> None:
    body = to_wire(Exchange(box.node, 0))
    for person, status in ((hub.admin, 403), (hub.donor(), 403), (hub.stranger, 401)):
        headers = {"content-type": MEDIA_TYPE}
        assert person.http.post(EXCHANGE, content=body, headers=headers).status_code == status
    for path in ("/api/v1/orders", "/api/v1/sites", "/api/v1/auth/me"):
        assert hub.stranger.http.get(path, headers=box.bearer("GET", path)).status_code == 403
    other, headers = hub.box(str(box.site)), box.bearer()
    assert refused(hub.send(Call("POST", EXCHANGE, headers, to_wire(Exchange(other.node, 0))))).code == "forbidden"


@pytest.mark.parametrize("body", [b"", b"x", b"\x78\x9c\x00", to_wire(tokens.Token("a", 1))])
def test_what_is_no_exchange_is_refused(box: Box, body: bytes) -> None:
    assert refused(box.hub.send(Call("POST", EXCHANGE, box.bearer(), body))).code == "bad_input"


def test_more_than_a_message_is_not_read(box: Box) -> None:
    assert box.hub.send(Call("POST", EXCHANGE, box.bearer(), bytes(5 << 20))).status == 413
