"""Proof for those who do not want to take our word for it."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get
from litestar.params import FromPath

from cloud.platform import given
from cloud.platform.access import ANYONE
from cloud.processing import manifests, service
from cloud.processing.schemas import Check
from shared.evidence.manifest import Signer


@get("/api/v1/signers", roles=(ANYONE,))
async def signers(platform: given.Platform, session: given.Session) -> dict[str, Signer]:
    """The public keys of hub and boxes, to be kept as a file for ``qurbani evidence verify --keys``."""
    return await manifests.signers(session, platform)


@get("/api/v1/videos/{video_id:uuid}/{variant:str}/manifest", roles=("donor", "admin", "auditor"), audited="always")
async def manifest(
    video_id: FromPath[UUID], variant: FromPath[str], platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Response[bytes]:
    """The signed manifest of a file of a video, byte for byte. Someone else's is as if it were not there."""
    donor = who.id if who.role == "donor" else None
    text = await manifests.manifest(session, platform, video_id, variant, donor, now)
    return Response(text.encode(), media_type="application/json", headers={"Cache-Control": "private, no-store"})


@get("/api/v1/videos/{video_id:uuid}/check", roles=("admin", "auditor"))
async def check(video_id: FromPath[UUID], session: given.Session) -> Check:
    """How the check of a video stands, and which earlier videos show the same act."""
    return await service.check_of(session, video_id)


ROUTES = [signers, manifest, check]
