"""The door: what other services may ask of links and certificates."""

from __future__ import annotations

from cloud.guests.certificates import check, issue, pdf
from cloud.guests.certificates import of_order as certificate_of
from cloud.guests.links import follow, forget, in_letter, revoke
from cloud.guests.links import make as make_link
from cloud.guests.links import of_order as links_to
from cloud.guests.schemas import Checked, GuestLink, Issued, Tracked

__all__ = [
    "Checked",
    "GuestLink",
    "Issued",
    "Tracked",
    "certificate_of",
    "check",
    "follow",
    "forget",
    "in_letter",
    "issue",
    "links_to",
    "make_link",
    "pdf",
    "revoke",
]
