"""Sacrifices outside the days and hours of Eid, and the word of a person that one counts all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.cloud_hub import CloudHub
from tests.filmed import CLOCK, Filmed

FILMED = datetime.fromtimestamp(CLOCK["wall_ms"] / 1000, UTC).date()


def test_what_was_outside_counts_only_by_a_word_and_a_reason(hub: CloudHub) -> None:
    film = Filmed(hub, "Ahmed Benali")
    hub.sql("UPDATE executors.sites SET latitude = 36.75, longitude = 3.06 WHERE id = :id RETURNING 1",
            id=UUID(film.site))
    outside = {"day": (FILMED - timedelta(days=10)).isoformat()}
    hub.admin.ask("PUT", f"/api/v1/sites/{film.site}/eid", outside)
    film.tell()
    film.sign(5_000)
    listed, path = f"/api/v1/sites/{film.site}/untimely", f"/api/v1/sacrifices/{film.sacrifice}/override"
    (found,) = hub.admin.get(listed)
    assert (found["sacrifice_id"], found["doubt"], found["override"]) == (str(film.sacrifice), "outside_eid", None)

    hub.admin.ask("PUT", path, {"reason": " "}, status=400)
    film.donor.ask("PUT", path, {"reason": "Because I say so."}, status=403)
    said = hub.admin.ask("PUT", path, {"reason": "The prayer was early there."})
    assert said["override"]["reason"] == "The prayer was early there."
    assert said["override"]["by"] == hub.admin.id
    assert hub.admin.get(listed) == [said]
    (action,) = hub.sql("""
        SELECT action FROM platform.audit
        WHERE subject = :id AND action LIKE '%override%' AND outcome = 'done'""", id=str(film.sacrifice))
    assert "override" in action

    inside = {"day": (FILMED - timedelta(days=1)).isoformat()}
    hub.admin.ask("PUT", f"/api/v1/sites/{film.site}/eid", inside)
    assert hub.admin.get(listed) == []
    assert hub.admin.ask("PUT", path, {"reason": "The prayer was early there."}, status=409)["code"] == "bad_transition"
