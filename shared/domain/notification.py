"""Telling a donor something, and when it may be said."""

from __future__ import annotations

from shared.domain.machine import Machine
from shared.domain.order import DONE

NOTIFICATION = Machine("notification", {
    "queued": ("sent", "failed", "skipped"),
    "sent": (),  # a mail server has taken it
    "failed": (),  # a mail server will never take it
    "skipped": (),  # it would not have been true, or was not wanted
})  # fmt: skip

TRUE_WHEN = {
    "order_verified": DONE,
    "video_restored": DONE,
    "order_corrected": ("sacrificed", "refunded"),
    "order_overdue": ("cancelled",),
    "order_remedied": ("refunded",),
    "share_moved": ("allocated", "sacrificed", *DONE),
}
"""The states of an order in which each template is true. Nothing is sent in any other."""

OF_ACCOUNTS = (
    "confirm_address", "address_taken", "reset_password", "password_changed", "invited", "second_factor_removed",
)  # fmt: skip
"""The templates that are about somebody's account."""
