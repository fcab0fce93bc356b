"""What goes in and out of the routes for those who have no account."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from cloud.donors.service import Step


class GuestLink(msgspec.Struct, frozen=True):
    """Whoever is handed ``url`` sees how far the order is, without an account and without anybody's name.

    ``url`` is empty for one that is no good any more.
    """

    id: UUID
    url: str
    created: datetime
    expires: datetime
    revoked: datetime | None


class Tracked(msgspec.Struct, frozen=True):
    """How far an order is, told to whoever has a link; nobody is named. ``sites`` are where its animals are."""

    reference: str
    species: str
    shares: int
    state: str
    timeline: list[Step]
    sites: list[str]
    timezone: str


class Shown(msgspec.Struct, frozen=True):
    """What a certificate says to everybody: ``shares`` of a ``species`` were ``sacrificed`` at ``site``, and when."""

    species: str
    shares: int
    site: str
    timezone: str
    sacrificed: datetime


class Checked(msgspec.Struct, frozen=True):
    """A certificate as anybody may check it. It does not ``stand`` where what it says turned out otherwise."""

    code: str
    stands: bool
    issued: datetime
    withdrawn: datetime | None
    shown: Shown


class Issued(msgspec.Struct, frozen=True):
    """A certificate as its donor gets it: anybody may check it at ``url``."""

    code: str
    url: str
    issued: datetime


class Certified(msgspec.Struct, frozen=True):
    """What is signed in a certificate, ``sha256`` the file before the signature. Names that are not to be shown are
    not among the ``names``; ``shares`` counts them all."""

    sha256: str
    code: str
    check: str
    order: str
    names: list[str]
    species: str
    shares: int
    site: str
    sacrificed: datetime
    issued: datetime
    language: str
