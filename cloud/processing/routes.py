"""Proof for those who do not want to take our word for it, and the work of those who look at videos."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get, post, put
from litestar.params import FromPath, JSONBody

from cloud.platform import given
from cloud.platform.access import ANYONE
from cloud.processing import checks, manifests, overrides, progress, reviews
from cloud.processing.schemas import (
    Case,
    Check,
    Coaching,
    Doubted,
    Figures,
    NewDispute,
    NewOverride,
    NewVote,
    Progress,
    Untimely,
    Waiting,
)
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
    return await checks.check_of(session, video_id)


@post("/api/v1/videos/{video_id:uuid}/dispute", status_code=204, roles=("donor", "admin"))
async def dispute(
    video_id: FromPath[UUID], data: JSONBody[NewDispute], session: given.Session, who: given.Who, now: given.Now
) -> None:
    """Doubt a film that was found good, with a share of one's own in it: people look at it again."""
    await reviews.dispute(session, video_id, data.reason, who.id if who.role == "donor" else None, now)


@get("/api/v1/sites/{site_id:uuid}/progress", roles=("admin", "auditor"))
async def read_progress(site_id: FromPath[UUID], session: given.Session, now: given.Now) -> Progress:
    """How a site is doing, by what its boxes have told so far."""
    return await progress.progress(session, site_id, now)


@get("/api/v1/sites/{site_id:uuid}/coaching", roles=("admin", "auditor"))
async def coaching(site_id: FromPath[UUID], session: given.Session) -> list[Coaching]:
    """How the recordings of each person at a site went: how many were good at first take, and what was wrong."""
    return await progress.coaching(session, site_id)


@get("/api/v1/sites/{site_id:uuid}/untimely", roles=("admin", "auditor"))
async def untimely(site_id: FromPath[UUID], session: given.Session) -> list[Untimely]:
    """The sacrifices of a site that were not within the days and hours of Eid, as these are known now."""
    return await overrides.untimely(session, site_id)


@put("/api/v1/sacrifices/{sacrifice_id:uuid}/override", roles=("admin",), problems=("bad_transition",))
async def override(
    sacrifice_id: FromPath[UUID], data: JSONBody[NewOverride], session: given.Session, who: given.Who, now: given.Now
) -> Untimely:
    """Let a sacrifice count that was not within Eid, and say why."""
    return await overrides.override(session, sacrifice_id, data.reason, who.id, now)


@get("/api/v1/videos/{video_id:uuid}/dispute", roles=("donor", "admin", "auditor"))
async def doubt(video_id: FromPath[UUID], session: given.Session, who: given.Who) -> Doubted:
    """What came of a doubt in a film, and the answer to the donor."""
    return await reviews.doubt(session, video_id, who.id if who.role == "donor" else None)


@get("/api/v1/reviews", roles=("admin", "auditor"))
async def waiting(session: given.Session, who: given.Who, now: given.Now) -> list[Waiting]:
    """The videos that wait for a person, the most urgent first."""
    return await reviews.waiting(session, who.id, now)


@get("/api/v1/reviews/figures", roles=("admin", "auditor"))
async def figures(session: given.Session) -> Figures:
    """How many wait and for how long, and how often people agree with the checks."""
    return await reviews.figures(session)


@get("/api/v1/reviews/{video_id:uuid}", roles=("admin", "auditor"))
async def review(video_id: FromPath[UUID], session: given.Session) -> Case:
    """A video under review, with the evidence for it."""
    return await reviews.of(session, video_id)


@put("/api/v1/reviews/{video_id:uuid}/vote", roles=("admin",))
async def vote(
    video_id: FromPath[UUID], data: JSONBody[NewVote], session: given.Session, who: given.Who, now: given.Now
) -> Case:
    """Say what a video shows. Two people must reject it; one can approve it, or ask the site for a remedy."""
    return await reviews.vote(session, video_id, who.id, data, now)


ROUTES = [
    signers, manifest, check, dispute, doubt, read_progress, coaching, untimely, override, waiting, figures, review,
    vote,
]  # fmt: skip
