"""The numbered chain of the captures of this box, and what the box signs of each once it was checked."""

from __future__ import annotations

import json
from importlib import metadata
from uuid import UUID

from edge.db import Tx, one
from shared.clock import Reading
from shared.crypto import SigningKey
from shared.domain.verdict import Verdict
from shared.evidence.manifest import FIRST, Capture, Manifest, Moment, judged, sign, versions

ANSWER_MS = 30_000
"""The hub's time was never older than this when it was heard: the agent does not wait longer for an answer."""
DRIFT = 100e-6
"""Seconds that a cheap quartz goes wrong in a second, at most."""


def number(tx: Tx, video_id: UUID, now: Reading) -> None:
    """Give a video the next number of the chain, in the transaction that keeps it. Safe to repeat."""
    node = _node(tx)
    if one(tx, "SELECT 1 FROM manifest WHERE node = ? AND video_id = ?", node, video_id):
        return
    last = one(tx, """
        SELECT number, sha256 FROM manifest JOIN video ON video.id = video_id
        WHERE node = ? ORDER BY number DESC LIMIT 1""", node)
    tx.table("manifest").insert({
        "node": node,
        "number": last["number"] + 1 if last else 1,
        "video_id": str(video_id),
        "previous": last["sha256"] if last else FIRST,
        "uncertain_ms": uncertainty(tx, now),
    })  # fmt: skip


def vouch(tx: Tx, key: SigningKey, now: Reading, video_id: UUID, verdict: Verdict) -> str:
    """Sign what is known of a video, in the transaction that judges it; the file as text.

    A video from before there were numbers, or before the box took another name, gets its number here.
    """
    number(tx, video_id, now)
    row = one(tx, """
        SELECT manifest.*, sha256, size, media_type, captured FROM manifest JOIN video ON video.id = video_id
        WHERE node = ? AND video_id = ?""", _node(tx), video_id)
    assert row is not None, "it was numbered a moment ago"
    captured = Moment(**json.loads(row["captured"]), uncertain_ms=row["uncertain_ms"])
    manifest = Manifest(
        node=UUID(row["node"]),
        video=video_id,
        sha256=row["sha256"],
        size=row["size"],
        media_type=row["media_type"],
        origin=Capture(row["number"], row["previous"], captured),
        versions=versions(metadata.version("qurbani"), verdict),
        signed_ms=now.wall_ms,
        judged=judged(verdict),
    )
    text = sign(key, manifest).decode()
    tx.execute("UPDATE manifest SET text = ? WHERE node = ? AND number = ?", [text, row["node"], row["number"]])
    return text


def uncertainty(tx: Tx, now: Reading) -> int | None:
    """By how many milliseconds the wall clock may be off; None when it was not compared with the hub's since boot."""
    contact = one(tx, "SELECT contact_hub_ms, contact_mono_ms, contact_boot FROM link")
    if contact is None or contact["contact_boot"] != now.boot:
        return None
    elapsed = now.mono_ms - contact["contact_mono_ms"]
    off = abs(now.wall_ms - (contact["contact_hub_ms"] + elapsed))
    return off + ANSWER_MS + round(elapsed * DRIFT)


def _node(tx: Tx) -> str:
    return str(tx.execute("SELECT id FROM node").fetchone()[0])
