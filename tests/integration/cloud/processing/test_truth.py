"""Whatever happens, in whichever order it is heard: nobody is told "done" that is not verified, inside and theirs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cloud.notifications import service as notifications
from cloud.processing import checks
from cloud.processing import events as processing_events
from cloud.processing import service as processing
from cloud.uploads import events as uploads_events
from shared import events
from shared.events import NotificationWanted
from shared.ids import new_id
from tests.cloud_hub import CloudHub, Person
from tests.filmed import CLOCK, Filmed

FILMED = datetime.fromtimestamp(CLOCK["wall_ms"] / 1000, UTC).date()
HEARD = """
    SELECT id, body FROM platform.outbox
    WHERE id > :after AND topic IN ('video.processed-final', 'video.reviewed') ORDER BY id"""


class Story(RuleBasedStateMachine):
    """One order on one animal. What may be said of it is reckoned here a second time, from what was heard alone."""

    def __init__(self, hub: CloudHub, people: tuple[Person, Person]) -> None:
        super().__init__()
        self.hub, self.people = hub, people
        self.found: str | None = None
        self.judged = self.was_outside = self.overridden = False
        self.is_inside = True
        self.codes: set[str] = set()

    @initialize()
    def film_it(self) -> None:
        self.heard = self.hub.sql("SELECT coalesce(max(id), 0) FROM platform.outbox")[0]
        self.film = Filmed(self.hub, "Ahmed Benali")
        self.order_id = UUID(self.film.order_id)
        place = "UPDATE executors.sites SET latitude = 36.75, longitude = 3.06 WHERE id = :id RETURNING 1"
        self.hub.sql(place, id=self.film.site)
        self.set_eid(is_inside=True)
        self.film.tell()
        self.film.sign(5_000)
        self.hub.sql("UPDATE uploads.videos SET state = 'preprocessed' WHERE id = :id RETURNING 1", id=self.film.video)
        for variant in ("compressed", "poster"):
            self.hub.sql("""
                INSERT INTO uploads.copies (video_id, variant, blob_id, sha256, size, media_type, created)
                VALUES (:id, :variant, 'none', 'none', 1, 'video/mp4', now()) RETURNING 1""",
                         id=self.film.video, variant=variant)
        link = self.film.donor.post(f"/api/v1/orders/{self.film.order_id}/links")
        self.token = link["url"].rsplit("/", 1)[1]
        self.notice = new_id()
        wanted = NotificationWanted(self.notice, UUID(self.film.donor.id), self.order_id, "order_verified", {})
        self.hub.run(lambda session: notifications.want(session, wanted, self.hub.platform.clock.now()))

    @rule(is_inside=st.booleans())
    def set_eid(self, is_inside: bool) -> None:
        """The moon was sighted on another day than was thought."""
        day = FILMED - timedelta(days=1 if is_inside else 10)
        self.hub.admin.ask("PUT", f"/api/v1/sites/{self.film.site}/eid", {"day": day.isoformat()})
        self.is_inside = is_inside

    @rule(outcome=st.sampled_from(["authentic", "authentic", "review", "rejected"]))
    def judge(self, outcome: Any) -> None:
        if not self.judged:
            self.judged, self.was_outside = True, not self.is_inside
            self.film.judge(outcome)
            now = self.hub.platform.clock.now()
            self.hub.run(lambda session: checks.compared(session, self.film.video, [], now))

    @rule()
    def hear(self) -> None:
        """The events arrive, whenever that is."""
        for id, body in self.hub.sql(HEARD, after=self.heard):
            self.heard = id
            event, data = events.decode(body)
            if data.video_id == self.film.video:
                self.hub.run(lambda session, event=event, data=data: self._hear(session, event, data))

    async def _hear(self, session: Any, event: events.Event, data: Any) -> None:
        if event.type == "video.processed-final":
            await uploads_events.processed(session, event, data)
            await processing_events.processed(session, event, data)
            self.found = "check" if data.outcome == "authentic" else None
        else:
            await uploads_events.reviewed(session, event, data)
            if data.decision != "remedy":
                self.found = "people" if data.decision == "approved" else None

    @rule(who=st.integers(0, 1), what=st.sampled_from(["approve", "reject", "reject", "remedy"]))
    def vote(self, who: int, what: str) -> None:
        path = f"/api/v1/reviews/{self.film.video}/vote"
        said = self.people[who].http.put(path, json={"vote": what, "note": "because"})
        assert said.status_code in (200, 400, 404, 409)
        if said.status_code == 200 and what == "approve":
            case = said.json()
            if case["decision"] == "approved" and case["kind"] != "blind" and (self.was_outside or not self.is_inside):
                self.overridden = True

    @rule()
    def override(self) -> None:
        """Somebody says why it counts outside of Eid."""
        path = f"/api/v1/sacrifices/{self.film.sacrifice}/override"
        said = self.people[0].http.put(path, json={"reason": "The prayer was early there."})
        assert said.status_code == (409 if self.is_inside else 200)
        self.overridden |= not self.is_inside

    @rule(is_donor=st.booleans())
    def doubt(self, is_donor: bool) -> None:
        who = self.film.donor if is_donor else self.people[0]
        said = who.http.post(f"/api/v1/videos/{self.film.video}/dispute", json={"reason": "not_real"})
        assert said.status_code in (204, 404, 409)

    @rule()
    def tell_again(self) -> None:
        """The site has something to add: what is done stays done."""
        self.film.box.write("sacrifice", self.film.sacrifice, {"note": "It went well.", "state": "judged"})
        self.film.box.sync()

    @rule()
    def call_off(self) -> None:
        """Too late: it was sacrificed."""
        self.hub.admin.post(f"/api/v1/orders/{self.film.order_id}/cancel", status=409)

    @invariant()
    def nothing_is_said_that_is_not_so(self) -> None:
        may = self.found is not None and (self.is_inside or self.overridden)
        is_done, letter = self.hub.run(self._said)
        if is_done:
            assert may, self.found
        assert (letter is not None) == is_done
        self.certified(is_done)
        state = self.film.donor.get(f"/api/v1/orders/{self.film.order_id}")["state"]
        assert (state == "verified") == (self.found is not None)

    def certified(self, is_done: bool) -> None:
        """A certificate is made, handed out and said to stand of what is done, and of nothing else."""
        order = f"/api/v1/orders/{self.film.order_id}"
        made = self.film.donor.http.post(f"{order}/certificate")
        assert made.status_code == (200 if is_done else 409)
        assert self.film.donor.http.get(f"{order}/certificate.pdf").status_code == (200 if is_done else 404)
        self.codes |= {made.json()["code"]} if is_done else set()
        standing = [code for code in self.codes if self.hub.stranger.get(f"/api/v1/certificates/{code}")["stands"]]
        assert len(standing) == is_done
        followed = self.hub.stranger.get(f"/api/v1/tracked/{self.token}")
        assert (followed["state"] == "verified") == is_done

    async def _said(self, session: Any) -> tuple[bool, Any]:
        return (await processing.is_done(session, self.order_id),
                await notifications.letter(session, self.hub.platform, self.notice))


@pytest.fixture(scope="module")
def people(hub: CloudHub) -> tuple[Person, Person]:
    return hub.admin, hub.staff("admin")


def play(hub: CloudHub, people: tuple[Person, Person], stories: int, steps: int) -> None:
    chosen = settings(
        max_examples=stories, stateful_step_count=steps, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(lambda: Story(hub, people), settings=chosen)


def test_nobody_is_told_what_is_not_so(hub: CloudHub, people: tuple[Person, Person]) -> None:
    play(hub, people, stories=3, steps=8)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nobody_is_told_what_is_not_so_in_many_stories(hub: CloudHub, people: tuple[Person, Person]) -> None:
    play(hub, people, stories=100, steps=25)
