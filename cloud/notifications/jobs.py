"""Sending mail."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import structlog

from cloud.notifications import mail, service
from cloud.platform.jobs import Context, Job
from shared.errors import QurbaniError

log = structlog.get_logger()


async def send(context: Context, payload: dict[str, Any]) -> None:
    """Hand one notification to the mail server.

    A worker that dies between the server's 250 and our commit sends it again, under the same Message-ID: no
    order of the two steps avoids both a lost and a doubled mail, and a lost one is worse.
    """
    platform, settings = context.platform, context.platform.settings
    notification_id, attempt = UUID(payload["notification_id"]), payload["attempt"]
    async with platform.database.begin() as session:
        letter = await service.letter(session, platform, notification_id)
    if letter is None:
        async with context.finish() as session:
            await service.skipped(session, notification_id, platform.clock.now())
        return
    message = mail.compose(letter, settings.mail_from, platform.clock.now())
    try:
        await asyncio.to_thread(mail.hand_over, message, settings.smtp_url)
    except QurbaniError as error:
        if error.code == "misconfigured":
            raise
        async with context.finish() as session:
            await service.not_sent(session, notification_id, attempt, error, platform.clock.now())
        return
    log.info("mail.taken", notification=str(notification_id), attempt=attempt)
    async with context.finish() as session:
        await service.sent(session, notification_id, attempt, platform.clock.now())


JOBS = [Job(service.QUEUE, send, slots=4)]
