"""Being forgotten, and getting all that the hub holds of one."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from cloud.platform import given
from cloud.privacy import export, service
from cloud.privacy.schemas import Erase, EraseMe, Export
from shared.papers import Paper


@post("/api/v1/donors/{donor_id:uuid}/erase", status_code=200, roles=("admin",), opt={"raises": ("open_orders",)})
async def erase(
    donor_id: FromPath[UUID], data: JSONBody[Erase], platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Paper:
    """Erase a donor's data, for ever. The answer is the receipt: a signed paper."""
    return await service.erase(session, platform.keys, donor_id, data.reason, who.id, now)


@post("/api/v1/me/erase", status_code=200, roles=("donor",), limit="sign-in",
      opt={"raises": ("bad_credentials", "open_orders")})
async def erase_me(
    data: JSONBody[EraseMe], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> Paper:
    """Erase one's own data and account, for ever. The answer is the receipt: a signed paper."""
    return await service.erase_me(session, platform, who.id, data, now)


@get("/api/v1/erasures", roles=("admin", "auditor"))
async def erasures(session: given.Session) -> list[UUID]:
    """Who was erased, the latest first: after the hub was put back to a backup, these are to be erased again."""
    return await service.erased(session)


@get("/api/v1/erasures/{donor_id:uuid}", roles=("admin", "auditor"))
async def receipt(donor_id: FromPath[UUID], session: given.Session) -> Paper:
    """The receipt of an erasure."""
    return await service.receipt(session, donor_id)


@get("/api/v1/me/export", roles=("donor",), audited="always")
async def export_me(session: given.Session, who: given.Who) -> Response[Export]:
    """All that the hub holds of oneself."""
    return _file(await export.export(session, who.id))


@get("/api/v1/donors/{donor_id:uuid}/export", roles=("admin",))
async def export_donor(donor_id: FromPath[UUID], session: given.Session) -> Response[Export]:
    """All that the hub holds of a donor, to hand it to them."""
    return _file(await export.export(session, donor_id))


def _file(content: Export) -> Response[Export]:
    headers = {"Content-Disposition": 'attachment; filename="qurbani.json"', "Cache-Control": "no-store"}
    return Response(content, headers=headers)


ROUTES = [erase, erase_me, erasures, receipt, export_me, export_donor]
