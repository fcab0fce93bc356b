"""What waits and what stands still, over the API and on its page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import jobs, letters, outbox
from demo.servers import Servers
from shared.events import NotificationWanted
from shared.ids import new_id
from tests.cloud_hub import Browser, CloudHub, copied_room, hub_settings, running
from tests.html import OF_ITS_OWN
from tests.integration.cloud.pages.test_csrf import signed_in

TOPIC = "notification.send"


@pytest.fixture(scope="module")
def still(servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    """A hub on which nothing runs beside the web: what a test leaves in its queues stays there."""
    with copied_room(servers, template) as room, running(hub_settings(room, tmp_path_factory.mktemp("still"))) as hub:
        yield hub


@pytest.fixture(scope="module")
def parked_op(still: CloudHub) -> str:
    """The box of an op that could not be applied."""
    site = still.site(A1="sheep")
    box = still.box(site)
    box.write("sacrifice", new_id(), {"site_id": site})
    box.sync()
    return str(box.node)


@pytest.fixture(autouse=True)
def left(still: CloudHub) -> dict[str, Any]:
    """A job that waits, and one of each kind of thing that was laid aside."""
    now = still.platform.clock.now()
    event = new_id()

    async def leave(session: AsyncSession) -> UUID:
        await jobs.enqueue(session, "sameAct", "waits", {}, now)
        await jobs.enqueue(session, "sameAct", f"parked {event}", {}, now)
        wanted = NotificationWanted(event, new_id(), new_id(), "order_verified", {})
        await outbox.publish(session, TOPIC, wanted, subject=event, now=now)
        [body] = await session.scalars(select(outbox.Outgoing.body).where(outbox.Outgoing.key == str(event)))
        await letters.lay_aside(
            session, TOPIC, "notifications", body, reason="<b>cannot</b> be swallowed", attempts=5, source="t/0/1")
        return event

    still.run(leave)
    still.sql("UPDATE platform.jobs SET state = 'parked', reason = 'no luck' WHERE key = :key RETURNING 1",
              key=f"parked {event}")
    still.sql("UPDATE platform.outbox SET parked = 'too large' WHERE key = :key RETURNING 1", key=str(event))
    return {"job": f"parked {event}", "event": str(event)}


@pytest.fixture(scope="module")
def admin(still: CloudHub) -> Browser:
    return signed_in(still, "admin")


def test_the_api_tells_what_waits_and_takes_one_thing_up(still: CloudHub, left: dict[str, Any]) -> None:
    standing = still.admin.get("/api/v1/queues")
    [queue] = standing["queues"]
    assert queue["name"] == "sameAct"
    assert queue["waiting"] > 0
    mine = {row["what"]: row for row in standing["aside"] if left["event"] in (row["about"], row["about"][7:])}
    assert set(mine) == {"event", "job"}
    job = {"what": "job", "id": mine["job"]["id"]}
    assert still.admin.post("/api/v1/queues/take-up", job) == {"taken": 1}
    assert still.sql("SELECT state, attempts FROM platform.jobs WHERE key = :key", key=left["job"]) == [("queued", 0)]
    still.admin.post("/api/v1/queues/take-up", job, status=404)
    still.admin.post("/api/v1/queues/take-up", {"id": job["id"]}, status=400)
    told = "SELECT facts->>'what' FROM platform.audit WHERE (action, subject, outcome) = ('admin.take_up', :id, 'done')"
    assert still.sql(told, id=job["id"]) == ["job"]


def test_donors_and_strangers_see_nothing_of_it_and_auditors_change_nothing(still: CloudHub) -> None:
    assert still.stranger.http.get("/api/v1/queues").status_code == 401
    donor = still.staff("donor").http
    assert [donor.get(path).status_code for path in ("/api/v1/queues", "/queues")] == [403, 403]
    auditor = still.staff("auditor")
    assert auditor.get("/api/v1/queues")["aside"]
    auditor.post("/api/v1/queues/take-up", {}, status=403)


def test_the_page_shows_each_thing_with_its_reason_and_takes_it_up_by_a_plain_form(
    still: CloudHub, admin: Browser, left: dict[str, Any], parked_op: str
) -> None:
    page = admin.get("/queues").text
    for said in ("too large", "&lt;b&gt;cannot", parked_op, "Search for the same act"):
        assert said in page, said
    assert not OF_ITS_OWN.search(page)
    [letter] = still.sql("SELECT id FROM platform.dead_letters WHERE event_id IN "
                         "(SELECT event_id FROM platform.outbox WHERE key = :key)", key=left["event"])
    done = admin.post("/queues", data={"what": "letter", "id": str(letter)})
    assert (done.status_code, done.url.path) == (200, "/queues")
    assert str(letter) not in done.text
    assert str(letter) in page
    assert done.text.count(f'name="csrf" value="{admin.token()}"') == done.text.count('method="post"') > 1
    op = {"what": "op", "id": parked_op, "seq": "1"}
    assert admin.post("/queues", data=op).status_code == 200
    assert parked_op in admin.get("/queues").text  # it still cannot be applied


def test_what_stands_still_is_a_break_that_has_an_owner(
    still: CloudHub, admin: Browser, parked_op: str
) -> None:
    found = {(each["kind"], each["owner"]) for each in still.admin.get("/api/v1/reconciliation")}
    assert {("op_laid_aside", "operator"), ("event_laid_aside", "operator")} <= found
    still.staff("donor").get("/api/v1/reconciliation", status=403)
    page = admin.get("/reconciliation").text
    assert "A record of a box could not be applied" in page
    assert "Whoever runs the hub" in page
    assert not OF_ITS_OWN.search(page)


def test_everything_at_once(still: CloudHub, admin: Browser) -> None:
    admin.post("/queues", data={})
    kinds = {row["what"] for row in still.admin.get("/api/v1/queues")["aside"]}
    assert kinds == set()
    assert still.sql("SELECT count(*) FROM platform.outbox WHERE sent IS NULL AND parked IS NULL")[0] > 0
    page = admin.get("/language/ar?to=/queues").text
    assert 'dir="rtl"' in page
    assert "قوائم الانتظار" in page
