"""How far a site is, how its people record, and what somebody at the hub says to them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cloud.processing import checks
from cloud.processing import events as processing_events
from cloud.uploads import events as uploads_events
from shared import events
from shared.ids import new_id
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed

HEARD = "SELECT body FROM platform.outbox WHERE topic = 'video.processed-final' ORDER BY id"


def end(hub: CloudHub, film: Filmed) -> None:
    """The check of a film has ended, and whoever listens has heard of it."""
    hub.sql("UPDATE uploads.videos SET state = 'preprocessed' WHERE id = :id RETURNING 1", id=film.video)
    now = hub.platform.clock.now()
    hub.run(lambda session: checks.compared(session, film.video, [], now))

    async def hear(session: Any, event: Any, data: Any) -> None:
        await uploads_events.processed(session, event, data)
        await processing_events.processed(session, event, data)

    for body in hub.sql(HEARD):
        event, data = events.decode(body)
        if data.video_id == film.video:
            hub.run(lambda session, event=event, data=data: hear(session, event, data))


def again(film: Filmed) -> None:
    """Another take of the same sacrifice."""
    film.video, film.verdict, film.content = new_id(), new_id(), film.content + bytes(8)


def test_progress_is_what_is_so_and_coaching_counts_first_takes(hub: CloudHub) -> None:
    film = Filmed(hub, "Ahmed Benali")
    site, path = film.site, f"/api/v1/sites/{film.site}"
    karim = hub.admin.post(f"{path}/executors", {"name": "Karim", "language": "ar", "pin": "271828"})["id"]
    salim = hub.admin.post(f"{path}/executors", {"name": "Salim", "language": "ar", "pin": "271828"})["id"]

    def state() -> dict[str, Any]:
        told = hub.admin.get(f"{path}/progress")
        return {name: told[name] for name in ("recorded", "verified", "review", "again", "checking", "unfrozen")}

    nothing = dict.fromkeys(("recorded", "verified", "review", "again", "checking", "unfrozen"), 0)
    assert state() == nothing
    film.tell(by=karim)
    film.judge("rejected")
    assert state() == {**nothing, "recorded": 1, "checking": 1}
    end(hub, film)
    assert state() == {**nothing, "recorded": 1, "again": 1}
    assert hub.admin.get(f"{path}/coaching") == [
        {"executor_id": karim, "name": "Karim", "sacrifices": 1, "first_take": 0,
         "reasons": [{"code": "no_knife", "count": 1}]},
        {"executor_id": salim, "name": "Salim", "sacrifices": 0, "first_take": 0, "reasons": []},
    ]  # fmt: skip

    again(film)
    film.tell_video()
    film.judge("review")
    end(hub, film)
    assert state() == {**nothing, "recorded": 1, "review": 1}
    again(film)
    film.tell_video()
    film.judge()
    end(hub, film)
    assert state() == {**nothing, "recorded": 1, "verified": 1}
    first = hub.admin.get(f"{path}/coaching")[0]
    assert (first["sacrifices"], first["first_take"]) == (1, 0), "what was good at the third take was not at the first"
    assert hub.admin.get(f"{path}/progress")["day"]["remaining"] == 0
    assert hub.staff("auditor").get(f"{path}/progress")["site_id"] == site


def test_a_word_about_a_video_reaches_the_box(hub: CloudHub) -> None:
    film = Filmed(hub, "Ahmed Benali")
    film.tell()
    path = f"/api/v1/videos/{film.video}/feedback"
    hub.admin.ask("PUT", path, {"text": "Well done: every name was clear."})
    film.donor.ask("PUT", path, {"text": "Hello"}, status=403)
    hub.admin.ask("PUT", f"/api/v1/videos/{new_id()}/feedback", {"text": "Hello"}, status=404)
    film.box.sync()
    assert film.box.told("film")[UUID(str(film.video))]["feedback"] == "Well done: every name was clear."
    hub.admin.ask("PUT", path, {"text": "  "})
    film.box.sync()
    assert "feedback" not in film.box.told("film")[UUID(str(film.video))]
