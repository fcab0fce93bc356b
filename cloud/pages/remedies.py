"""What is done where a sacrifice is doubted, or was not proved: the donor asks, people decide, and make up for it."""

from __future__ import annotations

from datetime import UTC
from typing import Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect

from cloud.donors import service as donors
from cloud.pages.frame import MAX_FORM_BYTES, AnyRequest, Page, page
from cloud.platform import given
from cloud.processing import service as processing


class Dispute(msgspec.Struct, frozen=True):
    """The form of a donor who doubts a film."""

    reason: processing.Doubt


class Remedy(msgspec.Struct, frozen=True):
    """The form of an admin: what is due for an order."""

    order_id: UUID
    what: Literal["again", "refund"]


class Approve(msgspec.Struct, frozen=True):
    """The form of an admin who lets a payment go back."""

    key: str


@post("/orders/{order_id:uuid}/videos/{video_id:uuid}/dispute", roles=("donor",),
      request_max_body_size=MAX_FORM_BYTES)
async def dispute(
    order_id: FromPath[UUID], video_id: FromPath[UUID], data: URLEncodedBody[Dispute], session: given.Session,
    who: given.Who, now: given.Now,
) -> Redirect:
    """Doubt a film: people look at it again."""
    await processing.dispute(session, video_id, data.reason, who.id, now)
    return Redirect(f"/orders/{order_id}", status_code=303)


@get("/remedies", roles=("admin", "auditor"))
async def remedies(request: AnyRequest, session: given.Session) -> Page:
    """The orders that wait for a remedy, and the payments that are to go back."""
    waiting, refunds = await donors.remedies(session), await donors.refunds(session)
    return page(request, "remedies.html", waiting=waiting, refunds=refunds, utc=UTC)


@post("/remedies", roles=("admin",), request_max_body_size=MAX_FORM_BYTES)
async def remedy(
    data: URLEncodedBody[Remedy], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> Redirect:
    """Another sacrifice, or the money."""
    await donors.remedy(session, data.order_id, data.what, who.id, now, platform.new_id)
    return Redirect("/remedies", status_code=303)


@post("/remedies/refunds", roles=("admin",), step_up=True, request_max_body_size=MAX_FORM_BYTES)
async def approve(
    data: URLEncodedBody[Approve], session: given.Session, who: given.Who, now: given.Now
) -> Redirect:
    """Let a payment go back that somebody else wants back."""
    await donors.approve_refund(session, data.key, who.id, now)
    return Redirect("/remedies", status_code=303)


HANDLERS = [dispute, remedies, remedy, approve]
