"""Where files come from: what boxes signed of their captures, and what the hub signs of its copies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.platform.core import Platform
from cloud.processing import models
from cloud.uploads import service as uploads
from shared.clock import to_ms
from shared.errors import QurbaniError
from shared.evidence.manifest import Capture, Derived, Manifest, Moment, Signer, read, sign
from sync.ops import HUB


class Told(msgspec.Struct, frozen=True):
    """The merged fields of a manifest; see :data:`shared.domain.fields.FIELDS`."""

    video_id: UUID
    text: str


async def apply_manifests(
    session: AsyncSession, records: Mapping[UUID, Mapping[str, Any]], *, node: UUID, site: UUID, now: datetime
) -> None:
    """Keep what a box signed of its captures; ``records`` are all fields of each, by its key.

    The same again changes nothing. Raises ``bad_op`` where one is not complete or speaks of another video,
    ``not_a_manifest``, ``bad_signature``, also where the key is not that of the box it names, which may be what this
    one was called before; then none is kept.
    """
    told = [_told(fields) for fields in records.values()]
    boxes = await executors.box_keys(session)
    videos = await uploads.known_videos(session, {each.video_id for each in told})
    rows = []
    for each in told:
        signed = read(each.text.encode())
        manifest, origin = signed.manifest, signed.manifest.origin
        box = boxes.get(manifest.node)
        if box is None or (box.site_id, box.sign_key) != (site, signed.key.raw):
            raise QurbaniError("bad_signature", "the manifest is not signed with the key of its box")
        video = videos.get(each.video_id)
        if video is None:
            raise QurbaniError("bad_op", "the manifest is of a video that nobody told of")
        about = (manifest.video, manifest.sha256, manifest.size)
        if about != (video.id, video.sha256, video.size) or video.site_id != site or not isinstance(origin, Capture):
            raise QurbaniError("bad_op", "the manifest is of another video")
        rows.append({
            "video_id": video.id, "node": manifest.node, "number": origin.number, "text": each.text, "told": now,
        })  # fmt: skip
    await session.execute(insert(models.Manifest).on_conflict_do_nothing(), rows)


def _told(fields: Mapping[str, Any]) -> Told:
    try:
        return msgspec.convert(fields, Told)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_op", f"manifest: {error}") from error


async def captured(session: AsyncSession, video_id: UUID) -> Moment | None:
    """When a video was recorded, as its box signed it; None as long as it has not."""
    row = await session.get(models.Manifest, video_id)
    origin = read(row.text.encode()).manifest.origin if row else None
    return origin.captured if isinstance(origin, Capture) else None


async def manifest(
    session: AsyncSession, platform: Platform, video_id: UUID, variant: str, donor_id: UUID | None, now: datetime
) -> str:
    """The manifest of a file of a video, for whoever may watch that file. Raises ``not_found``.

    The original's is what the box signed; of its copies the hub says here of what it made them.
    """
    copy = await uploads.permitted(session, video_id, variant, donor_id)
    if variant == "original":
        row = await session.get(models.Manifest, video_id)
        if row is None:
            raise QurbaniError("not_found", "the box has not signed this video")
        return row.text
    video = await uploads.video(session, video_id)
    size = {"width": str(copy.width), "height": str(copy.height)} if copy.width else {}
    made = Manifest(
        node=HUB,
        video=video_id,
        sha256=copy.sha256,
        size=copy.size,
        media_type=copy.media_type,
        origin=Derived(video.sha256, variant, size),
        versions={"software": metadata.version("qurbani")},
        signed_ms=to_ms(now),
    )
    return sign(platform.keys.sign, made).decode()


async def signers(session: AsyncSession, platform: Platform) -> dict[str, Signer]:
    """The public keys of the hub and of every box there ever was, and how far each has counted."""
    counted = models.Manifest
    query = select(counted.node, func.max(counted.number).label("last")).group_by(counted.node)
    last = {row.node: row.last for row in await session.execute(query)}
    boxes = await executors.box_keys(session)
    found = {
        str(node): Signer((box.sign_key.hex(),), last.get(node, 0), box.revoked is not None)
        for node, box in boxes.items()
    }
    return {str(HUB): Signer((platform.keys.sign.public.raw.hex(),)), **found}
