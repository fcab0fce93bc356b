"""People decide what checks could not: over HTTP, through the broker, to the order and back to the box."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cloud.processing import reviews
from demo.answers import wait_for
from demo.mailbox import Mailbox
from shared.ids import new_id
from tests.cloud_hub import CloudHub, Person
from tests.filmed import CLOCK, Filmed, another, clip, seal

FILMED_ON = datetime.fromtimestamp(CLOCK["wall_ms"] / 1000, UTC).date() - timedelta(days=1)
"""A tenth of Dhu al-Hijja within whose days the films of the tests were made."""


@pytest.fixture(scope="module")
def second(busy_hub: CloudHub) -> Person:
    """Another admin."""
    return busy_hub.staff("admin")


def flagged(hub: CloudHub, outcome: Any = "review", *names: str, **made: Any) -> Filmed:
    """A video whose check has ended so."""
    film = Filmed(hub, *(names or ("Ahmed Benali",)), **made)
    film.tell()
    film.send()
    film.judge(outcome)
    wait_for("the outcome to be known", lambda: film.state() == "processed")
    return film


def case(film: Filmed) -> Any:
    path = f"/api/v1/reviews/{film.video}"
    wait_for("the review", lambda: film.hub.admin.http.get(path).is_success)
    return film.hub.admin.get(path)


def vote(person: Person, film: Filmed, what: str, note: str = "", **expect: Any) -> Any:
    return person.ask("PUT", f"/api/v1/reviews/{film.video}/vote", {"vote": what, "note": note}, **expect)


def waiting(person: Person) -> list[str]:
    return [each["video_id"] for each in person.get("/api/v1/reviews")]


def told(film: Filmed) -> Any:
    """What the box is told of its video."""
    film.box.sync()
    return film.box.told("film").get(film.video)


def test_one_person_approves_and_the_order_is_verified(busy_hub: CloudHub) -> None:
    film = flagged(busy_hub)
    found = case(film)
    assert (found["kind"], found["claimed"], found["reasons"][0]["code"]) == ("flagged", ["Ahmed Benali"], "no_knife")
    assert found["frames"][0]["knife"] == 0.7
    assert str(film.video) in waiting(busy_hub.admin)
    assert film.order_state() == "sacrificed"
    for _ in range(2):  # repeating it changes nothing
        assert vote(busy_hub.admin, film, "approve")["decision"] == "approved"
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    assert str(film.video) not in waiting(busy_hub.admin)
    wait_for("the box to be told", lambda: told(film) == {"outcome": "authentic"})
    assert busy_hub.admin.get(f"/api/v1/videos/{film.video}/check")["outcome"] == "authentic"
    events = busy_hub.sql("SELECT count(*) FROM platform.outbox WHERE topic = 'video.reviewed' AND "
                          "convert_from(body, 'UTF8')::json #>> '{data,video_id}' = :id", id=str(film.video))
    assert events == [1]
    assert vote(busy_hub.admin, film, "reject", status=409)["code"] == "conflict"


def test_to_reject_takes_two_people(busy_hub: CloudHub, second: Person) -> None:
    film = flagged(busy_hub)
    case(film)
    for _ in range(2):  # one person twice is one person
        assert vote(busy_hub.admin, film, "reject", "no animal")["decision"] is None
    assert film.state() == "processed"
    assert vote(second, film, "reject")["decision"] == "rejected"
    wait_for("the box to be told", lambda: told(film) == {"outcome": "rejected"})
    assert film.order_state() == "sacrificed"


def test_a_remedy_goes_to_the_site_in_words(busy_hub: CloudHub) -> None:
    film = flagged(busy_hub)
    case(film)
    assert vote(busy_hub.admin, film, "remedy", " ", status=400)["code"] == "bad_input"
    vote(busy_hub.admin, film, "remedy", "Film again with the knife in view.")
    wait_for("the box to be told", lambda: "remedy" in (told(film) or {}))
    assert told(film) == {"outcome": "review", "remedy": "Film again with the knife in view."}
    assert film.order_state() == "sacrificed"


def test_who_rejected_may_think_better_of_it(busy_hub: CloudHub) -> None:
    film = flagged(busy_hub)
    case(film)
    vote(busy_hub.admin, film, "reject")
    assert vote(busy_hub.admin, film, "approve")["decision"] == "approved"
    wait_for("the order to be verified", lambda: film.order_state() == "verified")


def test_an_act_that_proves_another_sacrifice_takes_two_to_approve(busy_hub: CloudHub, second: Person) -> None:
    """Found wanting when it came, so that it stood in nobody's way; the same act passed for another sacrifice since."""
    content = clip(seed=71)
    early = flagged(busy_hub, content=content)
    assert case(early)["needed"]["approve"] == 1
    late = flagged(busy_hub, "authentic", content=content)
    assert late.hub.admin.get(f"/api/v1/videos/{late.video}/check")["outcome"] == "authentic"
    assert case(early)["needed"]["approve"] == 2
    assert vote(busy_hub.admin, early, "approve")["decision"] is None
    assert early.order_state() == "sacrificed"
    assert vote(second, early, "approve")["decision"] == "approved"


def test_what_another_video_has_proved_needs_nobody(busy_hub: CloudHub) -> None:
    film = flagged(busy_hub)
    case(film)
    first = str(film.video)
    film.video, film.verdict, film.content = new_id(), new_id(), another(film.content)
    film.sealed = seal(film.content, busy_hub.platform.keys.unseal.public)
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    assert first not in waiting(busy_hub.admin)


def test_two_people_do_not_get_the_same_video(busy_hub: CloudHub) -> None:
    for _ in range(2):
        case(flagged(busy_hub))
    now, first, other = busy_hub.platform.clock.now(), new_id(), new_id()

    def next_of(person: UUID, at: datetime) -> Any:
        return busy_hub.run(lambda session: reviews.take_next(session, person, at))

    mine = next_of(first, now)
    assert next_of(first, now) == mine, "it stays mine"
    assert next_of(other, now) not in (mine, None)
    assert next_of(other, now + 2 * reviews.LEASE) == mine, "until I have had it for too long"


def test_a_blind_look_tells_nothing_and_takes_two_to_take_back_what_was_said(
    busy_hub: CloudHub, mailbox: Mailbox, second: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "BLIND", 1.0)
    film = flagged(busy_hub, "authentic")
    found = case(film)
    assert (found["kind"], found["claimed"]) == ("blind", ["Ahmed Benali"])
    assert [found[name] for name in ("reasons", "doubts", "shares", "frames", "words", "earlier")] == [[]] * 6
    before = busy_hub.admin.get("/api/v1/reviews/figures")
    assert vote(busy_hub.admin, film, "remedy", "Again", status=400)["code"] == "bad_input"
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    assert vote(busy_hub.admin, film, "reject")["decision"] is None
    queue = second.http.get("/review", headers={"accept-language": "en"}).text
    assert "Somebody has rejected it" not in queue, "the next one does not know either"
    assert film.order_state() == "verified"
    assert vote(second, film, "reject")["decision"] == "rejected"
    after = busy_hub.admin.get("/api/v1/reviews/figures")
    assert (after["blind"] - before["blind"], after["agreed"] - before["agreed"]) == (1, 0)
    wait_for("the order to be taken back", lambda: film.order_state() == "sacrificed")
    wait_for("the box to be told", lambda: told(film) == {"outcome": "rejected"})
    assert film.donor.http.get(film.url()).status_code == 404
    mailbox.wait_for(lambda mail: film.is_told_by(mail) and "Rectification" in mail.subject, 30)


def test_a_donor_doubts_a_film_and_each_time_it_turns_out_otherwise_is_told(
    busy_hub: CloudHub, second: Person
) -> None:
    film = flagged(busy_hub, "authentic")
    dispute = f"/api/v1/videos/{film.video}/dispute"
    busy_hub.donor("Somebody Else").post(dispute, {"reason": "not_my_name"}, status=404)
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    for _ in range(2):
        film.donor.post(dispute, {"reason": "not_my_name"}, status=204)
    found = case(film)
    assert (found["kind"], found["doubted"], found["needed"]) == ("disputed", "not_my_name",
                                                                  {"approve": 1, "reject": 2})
    assert vote(busy_hub.admin, film, "approve")["decision"] == "approved"
    wait_for("the box to be told", lambda: told(film) == {"outcome": "authentic"})
    film.donor.post(dispute, {"reason": "not_real"}, status=204)
    for person in (busy_hub.admin, second):
        vote(person, film, "reject")
    wait_for("the order to be taken back", lambda: film.order_state() == "sacrificed")
    timeline = busy_hub.admin.get(f"/api/v1/orders/{film.order_id}")["timeline"]
    assert [(step["state"], step["why"]) for step in timeline][-3:] == [
        ("sacrificed", ""), ("verified", ""), ("sacrificed", "reversed")]
    assert film.donor.post(dispute, {"reason": "other"}, status=404)
    wait_for("the correction", lambda: notices(film) == [("order_corrected", "sent"), ("order_verified", "sent")])
    film.video, film.verdict, film.content = new_id(), new_id(), another(film.content)
    film.sealed = seal(film.content, busy_hub.platform.keys.unseal.public)
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified again", lambda: film.order_state() == "verified")
    wait_for("every word to have gone out", lambda: notices(film) == [
        ("order_corrected", "sent"), ("order_verified", "sent"), ("order_verified", "sent")])


def notices(film: Filmed) -> list[tuple[str, str]]:
    found = film.hub.admin.get(f"/api/v1/notifications?order_id={film.order_id}")
    return sorted((each["template"], each["state"]) for each in found)


def test_the_queue_says_what_was_said(busy_hub: CloudHub, second: Person) -> None:
    """An approval that waits for a second person is no rejection."""
    content = clip(seed=72)
    early = flagged(busy_hub, content=content)
    case(early)
    flagged(busy_hub, "authentic", content=content)
    rejected = flagged(busy_hub)
    case(rejected)
    vote(busy_hub.admin, early, "approve")
    vote(busy_hub.admin, rejected, "reject")
    queue = {each["video_id"]: each for each in second.get("/api/v1/reviews")}
    said = {id: (queue[str(id)]["votes"], queue[str(id)]["rejected"]) for id in (early.video, rejected.video)}
    assert list(said.values()) == [(1, False), (1, True)]
    page = second.http.get("/review", headers={"accept-language": "en"}).text
    rows = {row.split('"', 1)[0]: row for row in page.split('href="/review/')[1:]}
    assert "Somebody has approved it" in rows[str(early.video)]
    assert "Somebody has rejected it" in rows[str(rejected.video)]


def test_few_of_the_decided_are_drawn_and_the_same_ones_again() -> None:
    ids = [uuid4() for _ in range(4_000)]
    drawn = [reviews._is_drawn(id) for id in ids]
    assert drawn == [reviews._is_drawn(id) for id in ids]
    assert 120 < sum(drawn) < 280


@pytest.mark.parametrize(("day", "uncertain_ms", "doubts"), [
    (FILMED_ON, 5_000, []),
    (FILMED_ON + timedelta(days=10), 5_000, ["outside_eid"]),
    (FILMED_ON, None, ["eid_unsure"]),
])  # fmt: skip
def test_what_was_not_surely_within_eid_waits_for_a_person_who_says_why(
    busy_hub: CloudHub, day: date, uncertain_ms: int | None, doubts: list[str]
) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    place = "UPDATE executors.sites SET latitude = 36.75, longitude = 3.06 WHERE id = :id RETURNING id"
    busy_hub.sql(place, id=film.site)
    busy_hub.admin.ask("PUT", f"/api/v1/sites/{film.site}/eid", {"day": day.isoformat()})
    film.tell()
    film.sign(uncertain_ms)
    film.judge()
    film.send()
    wait_for("the outcome to be known", lambda: film.state() == "processed")
    found = busy_hub.admin.get(f"/api/v1/videos/{film.video}/check")
    assert (found["outcome"], found["reasons"]) == ("review" if doubts else "authentic", doubts)
    if doubts:
        assert case(film)["doubts"] == doubts
        if doubts == ["outside_eid"]:
            assert vote(busy_hub.admin, film, "approve", status=400)["code"] == "bad_input"
        vote(busy_hub.admin, film, "approve", "The moon was sighted a day earlier there.")
    wait_for("the order to be verified", lambda: film.order_state() == "verified")


@pytest.mark.parametrize("role", ["donor", "auditor", "executor"])
def test_only_admins_decide(busy_hub: CloudHub, role: str) -> None:
    film = flagged(busy_hub)
    case(film)
    person = busy_hub.staff(role)
    assert vote(person, film, "approve", status=403)["code"] == "forbidden"
    assert person.http.get(f"/api/v1/reviews/{film.video}").status_code == (200 if role == "auditor" else 403)
