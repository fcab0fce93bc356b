"""Every break that the books of the hub can show, on the way order, share, animal, sacrifice, video, verdict, notice.

Each is one query, so it sees one moment. They read the tables themselves, of all services, and not through their doors:
what a service has got wrong it would tell wrong. ``:settled`` is the moment by which what is under way should have
moved, ``:overdue`` the one by which a lease that ended must have been taken over; ``:topics`` and ``:groups`` pair the
topics with those who listen.
"""

# ruff: noqa: S608 - the queries are put together from the constants below

from __future__ import annotations

from typing import Literal

import msgspec

Owner = Literal["admin", "reviewer", "operator", "site", "donors", "executors", "uploads", "processing",
                "notifications", "platform"]  # fmt: skip
"""Who mends it: people (those who run the charity, who review, who run the hub, who are at the site), else the service
whose code or data is wrong."""


class Rule(msgspec.Struct, frozen=True):
    """A kind of break. ``query`` gives ``subject``, the id of what is broken, and ``detail``."""

    kind: str
    owner: Owner
    query: str


_BOUGHT = "('paid', 'allocated', 'sacrificed', 'verified', 'out_for_delivery', 'delivered')"
_SEATED = "('allocated', 'sacrificed', 'verified', 'out_for_delivery', 'delivered')"
_PROVED = "('verified', 'out_for_delivery', 'delivered')"
_RECORDED = "('recorded', 'judged')"

_SHARES = "donors.shares share LEFT JOIN executors.seats seat ON seat.share_id = share.id"
_PROOF = "SELECT FROM executors.sacrifices s WHERE s.animal_id = seat.animal_id AND s.verified IS NOT NULL"
_ACT = f"SELECT FROM executors.sacrifices s WHERE s.animal_id = seat.animal_id AND s.state IN {_RECORDED}"

_TOLD = """(SELECT key, min(received) AS at FROM sync.ops WHERE entity = 'sacrifice' GROUP BY key) told
    ON told.key = s.id"""


def _no_job(queue: str, key: str) -> str:
    """That nobody has it in hand, and it was not laid aside, which is a break of its own."""
    return f"NOT EXISTS (SELECT FROM platform.jobs WHERE queue = '{queue}' AND key LIKE {key} AND state <> 'done')"


RULES = [
    # order
    Rule("order_without_payment", "admin", f"""
        SELECT o.id AS subject, o.state AS detail FROM donors.orders o WHERE o.state IN {_BOUGHT}
        AND NOT EXISTS (SELECT FROM donors.payments WHERE order_id = o.id)"""),
    Rule("order_without_shares", "donors", """
        SELECT o.id AS subject, o.state AS detail FROM donors.orders o
        WHERE NOT EXISTS (SELECT FROM donors.shares WHERE order_id = o.id)"""),
    Rule("order_behind_its_animals", "executors", f"""
        SELECT o.id AS subject, o.state AS detail FROM donors.orders o
        WHERE (o.state = 'allocated' AND NOT EXISTS
                (SELECT FROM {_SHARES} WHERE share.order_id = o.id AND NOT EXISTS ({_ACT})))
           OR (o.state IN ('allocated', 'sacrificed') AND NOT EXISTS
                (SELECT FROM {_SHARES} WHERE share.order_id = o.id AND NOT EXISTS ({_PROOF})))"""),
    Rule("order_ahead_of_its_proof", "executors", f"""
        SELECT o.id AS subject, o.state AS detail FROM donors.orders o WHERE o.state IN {_PROVED}
        AND EXISTS (SELECT FROM {_SHARES} WHERE share.order_id = o.id
                    AND seat.animal_id IS NOT NULL AND NOT EXISTS ({_PROOF}))"""),
    # share
    Rule("share_without_animal", "executors", f"""
        SELECT share.id AS subject, o.state AS detail FROM {_SHARES} JOIN donors.orders o ON o.id = share.order_id
        WHERE o.state IN {_SEATED} AND seat.share_id IS NULL"""),
    Rule("seat_without_share", "executors", """
        SELECT seat.share_id AS subject, coalesce(o.state, '') AS detail FROM executors.seats seat
        LEFT JOIN donors.shares share ON share.id = seat.share_id LEFT JOIN donors.orders o ON o.id = share.order_id
        WHERE o.id IS NULL OR o.state IN ('cancelled', 'refunded')"""),
    # animal
    Rule("animal_sacrificed_twice", "site", """
        SELECT animal_id AS subject, string_agg(id::text, ' ' ORDER BY id) AS detail FROM executors.sacrifices
        GROUP BY animal_id HAVING count(*) > 1"""),
    Rule("animal_of_another_site", "site", """
        SELECT s.id AS subject, a.tag AS detail FROM executors.sacrifices s
        JOIN executors.animals a ON a.id = s.animal_id WHERE s.site_id <> a.site_id"""),
    # sacrifice
    Rule("sacrifice_never_recorded", "site", f"""
        SELECT s.id AS subject, s.state AS detail FROM executors.sacrifices s JOIN {_TOLD}
        WHERE s.state = 'opened' AND s.verified IS NULL AND told.at < :settled"""),
    Rule("sacrifice_without_video", "site", f"""
        SELECT s.id AS subject, s.state AS detail FROM executors.sacrifices s JOIN {_TOLD}
        WHERE s.state IN {_RECORDED} AND told.at < :settled
        AND NOT EXISTS (SELECT FROM uploads.videos WHERE sacrifice_id = s.id)"""),
    Rule("sacrifice_verified_without_proof", "processing", """
        SELECT s.id AS subject, s.state AS detail FROM executors.sacrifices s WHERE s.verified IS NOT NULL
        AND NOT EXISTS (SELECT FROM uploads.videos WHERE sacrifice_id = s.id AND outcome = 'authentic')"""),
    # video
    Rule("video_of_no_sacrifice", "uploads", """
        SELECT v.id AS subject, v.state AS detail FROM uploads.videos v
        WHERE NOT EXISTS (SELECT FROM executors.sacrifices WHERE id = v.sacrifice_id)"""),
    Rule("video_not_here", "site", """
        SELECT v.id AS subject, v.blob_id AS detail FROM uploads.videos v JOIN uploads.blobs b ON b.id = v.blob_id
        WHERE v.state = 'expected' AND b.arrived IS NULL AND v.created < :settled"""),
    Rule("video_here_unnoticed", "uploads", """
        SELECT v.id AS subject, v.blob_id AS detail FROM uploads.videos v JOIN uploads.blobs b ON b.id = v.blob_id
        WHERE v.state = 'expected' AND b.arrived IS NOT NULL"""),
    Rule("video_without_copies", "uploads", f"""
        SELECT v.id AS subject, v.state AS detail FROM uploads.videos v
        WHERE (v.state = 'arrived' AND v.changed < :settled AND {_no_job("videoUpload", "v.id::text")})
           OR (v.state IN ('preprocessed', 'processed') AND
               (SELECT count(*) FROM uploads.copies
                WHERE video_id = v.id AND variant IN ('original', 'compressed', 'poster')) < 3)"""),
    Rule("video_of_no_use", "site", """
        SELECT v.id AS subject, v.reason AS detail FROM uploads.videos v
        JOIN executors.sacrifices s ON s.id = v.sacrifice_id WHERE v.state = 'failed' AND s.verified IS NULL"""),
    # verdict
    Rule("verdict_not_here", "site", """
        SELECT v.id AS subject, v.state AS detail FROM uploads.videos v
        LEFT JOIN processing.checks c ON c.video_id = v.id
        WHERE v.state = 'preprocessed' AND c.verdict_id IS NULL AND v.changed < :settled"""),
    Rule("act_not_looked_up", "processing", f"""
        SELECT v.id AS subject, v.state AS detail FROM uploads.videos v
        LEFT JOIN processing.checks c ON c.video_id = v.id
        WHERE v.state = 'preprocessed' AND c.compared IS NULL AND v.changed < :settled
        AND {_no_job("sameAct", "v.id::text")}"""),
    Rule("check_without_end", "processing", """
        SELECT video_id AS subject, '' AS detail FROM processing.checks
        WHERE verdict_id IS NOT NULL AND compared IS NOT NULL AND ended IS NULL"""),
    Rule("outcome_not_taken", "uploads", """
        SELECT v.id AS subject, concat(c.outcome, ' / ', v.outcome) AS detail FROM processing.checks c
        JOIN uploads.videos v ON v.id = c.video_id LEFT JOIN processing.reviews r ON r.video_id = v.id
        WHERE coalesce(r.decided, c.ended) < :settled AND v.outcome IS DISTINCT FROM c.outcome"""),
    Rule("proof_without_effect", "executors", """
        SELECT v.id AS subject, s.id::text AS detail FROM uploads.videos v
        JOIN executors.sacrifices s ON s.id = v.sacrifice_id WHERE v.outcome = 'authentic' AND s.verified IS NULL"""),
    Rule("doubt_without_review", "processing", """
        SELECT c.video_id AS subject, c.outcome AS detail FROM processing.checks c
        WHERE c.outcome = 'review' AND c.ended < :settled
        AND NOT EXISTS (SELECT FROM processing.reviews WHERE video_id = c.video_id)"""),
    Rule("review_waits", "reviewer", """
        SELECT r.video_id AS subject, coalesce(r.deadline::text, '') AS detail FROM processing.reviews r
        JOIN executors.sacrifices s ON s.id = r.sacrifice_id
        WHERE r.decided IS NULL AND r.kind = 'flagged' AND s.verified IS NULL
        AND (r.opened < :settled OR r.deadline < :now)"""),
    # notice
    Rule("notice_missing", "notifications", f"""
        SELECT o.id AS subject, o.state AS detail FROM donors.orders o
        JOIN donors.steps step ON step.order_id = o.id AND step.state = 'verified'
        WHERE o.state IN {_PROVED} AND step.at < :settled
        AND NOT EXISTS
        (SELECT FROM notifications.notifications WHERE order_id = o.id AND template = 'order_verified')"""),
    Rule("notice_not_sent", "notifications", f"""
        SELECT n.id AS subject, n.template AS detail FROM notifications.notifications n
        WHERE n.state = 'queued' AND n.created < :settled AND {_no_job("notification", "n.id::text || '/%'")}"""),
    Rule("notice_refused", "admin", """
        SELECT n.id AS subject, n.reason AS detail FROM notifications.notifications n WHERE n.state = 'failed'"""),
    Rule("notice_untrue", "admin", f"""
        SELECT n.id AS subject, o.state AS detail FROM notifications.notifications n
        JOIN donors.orders o ON o.id = n.order_id
        WHERE n.state = 'sent' AND n.template = 'order_verified' AND o.state NOT IN {_PROVED}"""),
    # hides and meat
    Rule("hide_of_no_sacrifice", "site", f"""
        SELECT h.id AS subject, h.animal_id::text AS detail FROM executors.hides h WHERE NOT EXISTS
        (SELECT FROM executors.sacrifices s WHERE s.animal_id = h.animal_id AND s.state IN {_RECORDED})"""),
    Rule("meat_of_no_sacrifice", "site", f"""
        SELECT b.id AS subject, animal.id AS detail
        FROM executors.batches b, jsonb_array_elements_text(b.animals) animal(id) WHERE NOT EXISTS
        (SELECT FROM executors.sacrifices s WHERE s.animal_id = animal.id::uuid AND s.state IN {_RECORDED})"""),
    # what carries all that
    Rule("op_laid_aside", "operator", """
        SELECT key AS subject, concat(node, ' ', seq, ' ', parked_code) AS detail FROM sync.ops
        WHERE parked_code IS NOT NULL"""),
    Rule("event_laid_aside", "operator", """
        SELECT event_id AS subject, parked AS detail FROM platform.outbox WHERE parked IS NOT NULL UNION ALL
        SELECT id, concat("group", ' ', reason) FROM platform.dead_letters"""),
    Rule("event_not_sent", "operator", """
        SELECT event_id AS subject, topic AS detail FROM platform.outbox
        WHERE sent IS NULL AND parked IS NULL AND created < :settled"""),
    Rule("event_not_taken", "operator", """
        SELECT o.event_id AS subject, concat(o.topic, ' ', listens.group) AS detail FROM platform.outbox o
        JOIN unnest(cast(:topics AS text[]), cast(:groups AS text[])) listens(topic, "group") ON listens.topic = o.topic
        WHERE o.sent < :settled
        AND NOT EXISTS (SELECT FROM platform.inbox i WHERE i.event_id = o.event_id AND i.group = listens.group)
        AND NOT EXISTS
        (SELECT FROM platform.dead_letters d WHERE d.event_id = o.event_id AND d.group = listens.group)"""),
    Rule("job_laid_aside", "operator", """
        SELECT id AS subject, concat(queue, ' ', key, ': ', reason) AS detail FROM platform.jobs
        WHERE state = 'parked'"""),
    Rule("job_not_done", "operator", """
        SELECT id AS subject, concat(queue, ' ', key) AS detail FROM platform.jobs
        WHERE (state = 'queued' AND due < :settled) OR (state = 'running' AND due < :overdue)"""),
]  # fmt: skip
"""In the order of the way."""
