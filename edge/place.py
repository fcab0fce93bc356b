"""How far a video has come, told honestly: never further than the hub has signed for; and what it ended as."""

from __future__ import annotations

from typing import Literal

Place = Literal["on_box", "on_stick", "in_cloud", "verified", "seen"]
"""In the order of the way. What is still on a tablet, the tablet knows alone."""

PLACES: tuple[Place, ...] = ("on_box", "on_stick", "in_cloud", "verified", "seen")

PLACE = """
    CASE WHEN blob.confirmed_ms IS NULL THEN iif(blob.stick_ms IS NULL, 'on_box', 'on_stick')
         WHEN film.seen_ms IS NOT NULL THEN 'seen'
         WHEN film.outcome = 'authentic' THEN 'verified'
         ELSE 'in_cloud' END"""
"""Of a row of :data:`VIDEOS`. Without a receipt a video is here, whatever else the hub has said of it."""

VIDEOS = "video JOIN blob ON blob.id = video.blob_id LEFT JOIN film ON film.id = video.id"
"""Each video with its bytes, and with what the hub says of it (the record ``film`` of the site feed)."""

OUTCOME = "iif(film.remedy IS NULL, coalesce(film.outcome, verdict.outcome), 'rejected')"
"""Of a row of :data:`VIDEOS` with its verdict: the hub's word, where there is one, ends what the box's own check began.
What a person there asks for is to be done, whatever the check was."""
