"""Instalments that fall due, and refunds that go back through the gateway."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cloud.donors import checkout, payments
from cloud.platform.jobs import Context, Job


async def fall_due(context: Context, payload: dict[str, Any]) -> None:
    platform = context.platform
    async with context.finish() as session:
        await payments.collect(session, UUID(payload["order_id"]), platform.clock.now(), platform.new_id)


async def pay_back(context: Context, payload: dict[str, Any]) -> None:
    """Killed between the gateway's answer and our commit it asks again; the gateway knows the request by its key."""
    platform = context.platform
    async with platform.database.begin() as session:
        payment = await payments.to_pay_back(session, payload["key"])
    await checkout.gateway(platform.settings).pay_back(payment)
    async with context.finish() as session:
        await payments.paid_back(session, payload["key"], platform.clock.now())


JOBS = [Job(payments.OVERDUE, fall_due), Job(payments.REFUND, pay_back)]
