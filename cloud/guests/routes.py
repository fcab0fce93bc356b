"""Orders by a link, and certificates: for donors, and for people without an account."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from litestar import Response, delete, get, post
from litestar.params import FromPath, QueryParameter

from cloud.guests import certificates, links
from cloud.guests.schemas import Checked, GuestLink, Issued, Tracked
from cloud.platform import given
from cloud.platform.access import ANYONE, Principal

InLanguage = Annotated[Literal["ar", "fr", "en"], QueryParameter(name="language")]


@post("/api/v1/orders/{order_id:uuid}/links", roles=("donor",))
async def make_link(
    order_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> GuestLink:
    """A link to an order of one's own, for somebody without an account. It names nobody, and ends after 60 days."""
    return await links.make(session, platform, order_id, who.id, now)


@get("/api/v1/orders/{order_id:uuid}/links", roles=("donor", "admin"))
async def links_to(
    order_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> list[GuestLink]:
    """The links to an order, those of letters, too; the newest first."""
    return await links.of_order(session, platform, order_id, _own(who), now)


@delete("/api/v1/orders/{order_id:uuid}/links/{link_id:uuid}", roles=("donor", "admin"))
async def revoke_link(
    order_id: FromPath[UUID], link_id: FromPath[UUID], session: given.Session, who: given.Who, now: given.Now
) -> None:
    """End a link: from now on it shows nothing."""
    await links.revoke(session, order_id, link_id, _own(who), now)


@get("/api/v1/tracked/{token:str}", roles=(ANYONE,), limit="guest", audited="always")
async def tracked(
    token: FromPath[str], platform: given.Platform, session: given.Session, now: given.Now
) -> Tracked:
    """How far an order is, by a link. One that never was, has ended or was revoked is the same 404."""
    return await links.follow(session, platform, token, now)


@post("/api/v1/orders/{order_id:uuid}/certificate", status_code=200, roles=("donor",))
async def issue(
    order_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> Issued:
    """The certificate of an order of one's own that is done. Asking again gives the same one, as long as it stands."""
    return await certificates.issue(session, platform.settings, order_id, who.id, now)


@get("/api/v1/orders/{order_id:uuid}/certificate.pdf", roles=("donor",), audited="always",
     media_type="application/pdf")
async def certificate_pdf(
    order_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who,
    language: InLanguage = "en",
) -> Response[bytes]:
    """The certificate as a signed PDF, which `qurbani evidence paper FILE` checks without a network."""
    content = await certificates.pdf(session, platform, order_id, who.id, language)
    return Response(content, media_type="application/pdf", headers={
        "Content-Disposition": f'attachment; filename="certificate-{language}.pdf"', "Cache-Control": "no-store"})


@get("/api/v1/certificates/{code:str}", roles=(ANYONE,), limit="guest", audited="always")
async def check(code: FromPath[str], session: given.Session) -> Checked:
    """A certificate by its code: where, when, of which animal, and whether it stands. It names nobody."""
    return await certificates.check(session, code)


def _own(who: Principal) -> UUID | None:
    return who.id if who.role == "donor" else None


ROUTES = [make_link, links_to, revoke_link, tracked, issue, certificate_pdf, check]
