"""Each kind of break, planted by SQL in a world in which all is well, is found, and nothing else is."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cloud import main
from cloud.admin.breaks import RULES
from cloud.admin.service import Break, reconcile
from demo.answers import wait_for
from shared.ids import new_id
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed

ANIMAL = """INSERT INTO executors.animals (id, site_id, tag, species, pen, capacity)
    VALUES (:new_animal, :site, :new_animal, 'sheep', '', 1);"""
SACRIFICE = ANIMAL + """INSERT INTO executors.sacrifices
    (id, node, site_id, animal_id, executor_id, state, opened, note)
    VALUES (:new, :node, :site, :new_animal, :new, 'recorded', '{}', '');"""
OP = """INSERT INTO sync.ops (node, seq, hlc, stamp, entity, key, patch, actor, prev, hash, received)
    VALUES (:node, 999999, 1, 1, 'sacrifice', :new, '', '', '', '', now() - interval '1 hour');"""
BLOB = "INSERT INTO uploads.blobs (id) VALUES (:new);"
VIDEO = BLOB + """INSERT INTO uploads.videos
    (id, sacrifice_id, site_id, node, sha256, size, blob_id, media_type, captured, state, created, changed)
    SELECT :new, sacrifice_id, site_id, node, sha256, size, :new, media_type, captured, 'expected', created, changed
    FROM uploads.videos WHERE id = :video;"""
COPIED = VIDEO + """UPDATE uploads.videos SET state = 'preprocessed' WHERE id = :new;
    INSERT INTO uploads.copies (video_id, variant, blob_id, sha256, size, media_type, created)
    SELECT :new, variant, blob_id, sha256, size, media_type, created FROM uploads.copies WHERE video_id = :video;"""
CHECK = "INSERT INTO processing.checks (video_id, verdict_id, compared) VALUES (:new, :verdict, now());"
DOUBT = COPIED + CHECK + """UPDATE uploads.videos SET state = 'processed', outcome = 'review' WHERE id = :new;
    UPDATE processing.checks SET outcome = 'review', ended = now() WHERE video_id = :new;"""
UNTOLD = """DELETE FROM notifications.attempts WHERE notification_id IN
    (SELECT id FROM notifications.notifications WHERE order_id = :order);
    DELETE FROM notifications.notifications WHERE order_id = :order;"""
THAWED = "UPDATE executors.animals SET frozen = NULL WHERE id = :animal;"
EVENT = "(SELECT event_id FROM platform.outbox WHERE topic = 'video.initial-upload' AND key IN (:donor, :sacrifice))"

PLANTED = {
    "order_without_payment": "DELETE FROM donors.payments WHERE order_id = :order;",
    "order_without_shares": """INSERT INTO donors.orders (id, donor_id, species, state, created)
        VALUES (:new, :donor, 'sheep', 'placed', now());""",
    "order_behind_its_animals": UNTOLD + "UPDATE donors.orders SET state = 'sacrificed' WHERE id = :order;",
    "order_ahead_of_its_proof": ANIMAL + THAWED + """
        UPDATE executors.seats SET animal_id = :new_animal WHERE share_id = :share;""",
    "share_without_animal": THAWED + "DELETE FROM executors.seats WHERE share_id = :share;",
    "seat_without_share": ANIMAL + "INSERT INTO executors.seats VALUES (:new, :new_animal, 1, 1);",
    "animal_sacrificed_twice": SACRIFICE + "UPDATE executors.sacrifices SET animal_id = :animal WHERE id = :new;",
    "animal_of_another_site": "UPDATE executors.sacrifices SET site_id = :elsewhere WHERE id = :sacrifice;",
    "sacrifice_never_recorded": SACRIFICE + OP + "UPDATE executors.sacrifices SET state = 'opened' WHERE id = :new;",
    "sacrifice_without_video": SACRIFICE + OP,
    "sacrifice_verified_without_proof": SACRIFICE + "UPDATE executors.sacrifices SET verified = now() WHERE id = :new;",
    "video_of_no_sacrifice": VIDEO + "UPDATE uploads.videos SET sacrifice_id = :new, state = 'failed' WHERE id = :new;",
    "video_not_here": VIDEO,
    "video_here_unnoticed": VIDEO + "UPDATE uploads.blobs SET arrived = now() WHERE id = :new;",
    "video_without_copies": "DELETE FROM uploads.copies WHERE video_id = :video AND variant = 'poster';",
    "video_of_no_use": SACRIFICE + VIDEO
        + "UPDATE uploads.videos SET sacrifice_id = :new, state = 'failed', reason = 'damaged' WHERE id = :new;",
    "verdict_not_here": COPIED + CHECK + "UPDATE processing.checks SET verdict_id = NULL WHERE video_id = :new;",
    "act_not_looked_up": COPIED + CHECK + "UPDATE processing.checks SET compared = NULL WHERE video_id = :new;",
    "check_without_end": "UPDATE processing.checks SET ended = NULL WHERE video_id = :video;",
    "outcome_not_taken": "UPDATE processing.checks SET outcome = 'rejected' WHERE video_id = :video;",
    "proof_without_effect": SACRIFICE + COPIED
        + "UPDATE uploads.videos SET sacrifice_id = :new, state = 'processed', outcome = 'authentic' WHERE id = :new;",
    "doubt_without_review": DOUBT,
    "review_waits": SACRIFICE + DOUBT + """INSERT INTO processing.reviews
        (video_id, sacrifice_id, site_id, kind, automatic, opened)
        VALUES (:new, :new, :site, 'flagged', 'review', now());""",
    "notice_missing": UNTOLD,
    "notice_not_sent": "UPDATE notifications.notifications SET state = 'queued' WHERE order_id = :order;",
    "notice_refused": "UPDATE notifications.notifications SET state = 'failed' WHERE order_id = :order;",
    "notice_untrue": "UPDATE donors.orders SET state = 'paid' WHERE id = :order;",
    "hide_of_no_sacrifice": ANIMAL + """INSERT INTO executors.hides (id, node, site_id, animal_id)
        VALUES (:new, :node, :site, :new_animal);""",
    "meat_of_no_sacrifice": ANIMAL + """INSERT INTO executors.batches
        (id, node, site_id, animals, weight_g, packs, weighed)
        VALUES (:new, :node, :site, jsonb_build_array(:new_animal::text), 1, 1, '{}');""",
    "op_laid_aside": OP + "UPDATE sync.ops SET parked_code = 'bad_op' WHERE key = :new;",
    "event_laid_aside": f"UPDATE platform.outbox SET parked = 'too large' WHERE event_id IN {EVENT};",
    "event_not_sent": f"UPDATE platform.outbox SET sent = NULL WHERE event_id IN {EVENT};",
    "event_not_taken": f"DELETE FROM platform.inbox WHERE event_id IN {EVENT};",
    "job_laid_aside": "UPDATE platform.jobs SET state = 'parked' WHERE (queue, key) = ('videoUpload', :video);",
    "job_not_done": """UPDATE platform.jobs SET state = 'running', due = now() - interval '5 minutes'
        WHERE (queue, key) = ('videoUpload', :video);""",
}  # fmt: skip


@pytest.fixture(scope="module")
def film(busy_hub: CloudHub) -> Filmed:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge()
    noticed = "SELECT count(*) FROM notifications.notifications WHERE order_id = :order AND state = 'sent'"
    wait_for("the donor to be told", lambda: busy_hub.sql(noticed, order=UUID(film.order_id)) == [1])
    return film


def names(film: Filmed) -> dict[str, str]:
    """What stands in the planted statements, quoted. ``new`` is an id for everything that is planted."""
    known = {
        "order": film.order_id, "share": film.order["shares"][0]["id"], "animal": film.order["animals"][0]["id"],
        "sacrifice": film.sacrifice, "video": film.video, "verdict": film.verdict, "node": film.box.node,
        "site": film.site, "elsewhere": film.hub.site(), "donor": film.donor.id, "new": new_id(),
        "new_animal": new_id(),
    }  # fmt: skip
    return {name: f"'{id}'" for name, id in known.items()}


class RolledBackError(Exception):
    pass


def test_there_is_a_break_of_each_kind_to_find() -> None:
    assert PLANTED.keys() == {rule.kind for rule in RULES}


def test_each_break_is_found_and_nothing_else(busy_hub: CloudHub, film: Filmed) -> None:
    known = names(film)

    async def found(session: AsyncSession) -> set[tuple[str, str]]:
        soon = busy_hub.platform.clock.now() + timedelta(minutes=1)
        return {(each.kind, each.subject) async for each in reconcile(session, main.groups(), soon, timedelta(0))}

    async def plant(session: AsyncSession, kind: str) -> None:
        before = await found(session)
        for statement in PLANTED[kind].split(";")[:-1]:
            for name in sorted(known, key=len, reverse=True):
                statement = statement.replace(f":{name}", known[name])
            await session.execute(text(statement.replace(":", "\\:")))
        seen[kind] = await found(session) - before
        raise RolledBackError

    seen: dict[str, set[tuple[str, str]]] = {}
    for kind in PLANTED:
        with pytest.raises(RolledBackError):
            busy_hub.run(lambda session, kind=kind: plant(session, kind))
    assert {kind: [each for each, _ in breaks] for kind, breaks in seen.items()} == {kind: [kind] for kind in PLANTED}


def test_a_day_of_patience_is_given_to_what_takes_its_time(busy_hub: CloudHub, film: Filmed) -> None:
    late = Filmed(busy_hub, "Omar Said")
    late.tell()  # its bytes come later
    mine: list[Break] = []

    async def look(session: AsyncSession) -> None:
        for days in (0, 2):
            at = busy_hub.platform.clock.now() + timedelta(days=days)
            found = [each async for each in reconcile(session, main.groups(), at)]
            mine.extend(each for each in found if each.subject == str(late.video))

    busy_hub.run(look)
    assert [(each.kind, each.owner) for each in mine] == [("video_not_here", "site")]
