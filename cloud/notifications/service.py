"""What people are told, and how far each notice has come."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.donors import service as donors
from cloud.guests import service as guests
from cloud.notifications import schemas
from cloud.notifications.mail import Letter
from cloud.notifications.models import Attempt, Notification
from cloud.platform import jobs
from cloud.platform.core import Platform
from cloud.platform.paging import Paging, page
from cloud.processing import service as processing
from shared.domain.notification import NOTIFICATION, OF_ACCOUNTS, TRUE_WHEN
from shared.errors import QurbaniError
from shared.events import NotificationWanted
from shared.pages.languages import choose
from shared.pages.look import Look

QUEUE = "notification"

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1_800, 7_200, 28_800, 86_400))
"""How long to wait after each attempt that was put off: a mail server that is down for a day loses nothing."""


_look = Look(Path(__file__).parent / "templates")


async def want(session: AsyncSession, wanted: NotificationWanted, now: datetime) -> None:
    """Note that somebody is to be told, and the job to do it; of an order once for each template and occasion.

    Raises ``bad_event`` for a template that there is not.
    """
    if wanted.template not in (OF_ACCOUNTS if wanted.order_id is None else TRUE_WHEN):
        raise QurbaniError("bad_event", f"there is no template {wanted.template}")
    row = {
        "id": wanted.notification_id,
        "donor_id": wanted.donor_id,
        "order_id": wanted.order_id,
        "template": wanted.template,
        "occasion": wanted.facts.get("occasion", ""),
        "facts": wanted.facts,
        "created": now,
    }
    added = await session.execute(
        insert(Notification).values(row).on_conflict_do_nothing().returning(Notification.id)
    )
    if added.first():
        await _enqueue(session, wanted.notification_id, 1, now)


async def letter(session: AsyncSession, platform: Platform, notification_id: UUID) -> Letter | None:
    """What to send, in the reader's language, from what is true now; None where there is nothing (more) to send."""
    notification = await session.get_one(Notification, notification_id)
    if notification.state != NOTIFICATION.first:
        return None
    if notification.order_id is None:
        return await _of_account(session, platform, notification)
    return await _of_order(session, platform, notification, notification.order_id)


async def _of_account(session: AsyncSession, platform: Platform, notification: Notification) -> Letter | None:
    told = await auth.letter(
        session, platform, notification.id, user_id=notification.donor_id, template=notification.template
    )
    return told and _written(notification, told.name, told.email, told.language, url=told.url, track="")


async def _of_order(
    session: AsyncSession, platform: Platform, notification: Notification, order_id: UUID
) -> Letter | None:
    if await _bar(session, notification):
        return None
    order = await donors.get(session, order_id)
    donor = await donors.donor(session, notification.donor_id)
    return _written(
        notification, donor.name, donor.email, donor.language, reference=order.reference,
        names=[share.name for share in order.shares], url=f"{platform.settings.base_url}/orders/{order.id}",
        why=notification.facts.get("why", ""), instead=notification.facts.get("instead", ""),
        track=await guests.in_letter(session, platform, order, notification.id),
    )  # fmt: skip


def _written(notification: Notification, name: str, email: str, wanted_language: str, **facts: Any) -> Letter:
    language = choose([wanted_language])
    subject, text, html = (
        _look.render(f"{notification.template}.{part}", language, reader=name, **facts)
        for part in ("subject", "txt", "html")
    )
    return Letter(notification.id, name, email, language, subject, text, html)


async def sent(session: AsyncSession, notification_id: UUID, attempt: int, now: datetime) -> None:
    """A mail server has taken it."""
    session.add(Attempt(notification_id=notification_id, number=attempt, at=now, answer="250"))
    await _end(session, notification_id, "sent", None, now)


async def skipped(session: AsyncSession, notification_id: UUID, now: datetime) -> None:
    """It is not true (any more), or not wanted, so nobody is told. One that has ended stays as it is."""
    notification = await session.get_one(Notification, notification_id)
    if notification.state == NOTIFICATION.first:
        await _end(session, notification_id, "skipped", await _bar(session, notification) or "not_true", now)


async def _bar(session: AsyncSession, notification: Notification) -> str | None:
    """Why a notification must not be sent now."""
    if notification.order_id is None:
        return None
    order = await donors.get(session, notification.order_id)
    if order.state not in TRUE_WHEN[notification.template]:
        return "not_true"
    if notification.template == "order_verified" and not await processing.is_done(session, order.id):
        return "not_true"
    agreed = await donors.has_given(session, notification.donor_id, "order_mail")
    return None if agreed else "no_consent"


async def not_sent(
    session: AsyncSession, notification_id: UUID, attempt: int, error: QurbaniError, now: datetime
) -> None:
    """An attempt was of no use: try again later, or give up where the server refuses for good or never answers."""
    address = (await auth.account(session, (await session.get_one(Notification, notification_id)).donor_id)).email
    answer = error.detail.replace(address, "...") if address else error.detail
    session.add(Attempt(notification_id=notification_id, number=attempt, at=now, answer=answer))
    if error.retry and attempt <= len(PAUSES):
        await _enqueue(session, notification_id, attempt + 1, now + PAUSES[attempt - 1])
    else:
        await _end(session, notification_id, "failed", error.code, now)


async def notifications(
    session: AsyncSession, asked: Paging, order_id: UUID | None = None
) -> list[schemas.Notification]:
    """A page of the notifications, of one order or of all, the newest first."""
    query = select(Notification)
    if order_id is not None:
        query = query.where(Notification.order_id == order_id)
    return [
        schemas.Notification(
            row.id, row.donor_id, row.order_id, row.template, row.state, row.reason, row.created, row.ended
        )
        for row, in await page(session, query, [Notification.id], asked, newest_first=True)
    ]


async def _enqueue(session: AsyncSession, notification_id: UUID, attempt: int, due: datetime) -> None:
    payload = {"notification_id": str(notification_id), "attempt": attempt}
    await jobs.enqueue(session, QUEUE, f"{notification_id}/{attempt}", payload, due)


async def _end(
    session: AsyncSession, notification_id: UUID, state: str, reason: str | None, now: datetime
) -> None:
    notification = await session.get_one(Notification, notification_id, with_for_update=True)
    notification.state = NOTIFICATION.move(notification.state, state)
    notification.reason, notification.ended = reason, now
