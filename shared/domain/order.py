"""Orders, their shares, and the animals the shares are allocated to."""

from __future__ import annotations

from uuid import UUID

import msgspec

from shared.domain.machine import Machine

ORDER = Machine("order", {
    "placed": ("paid", "cancelled"),
    "paid": ("allocated", "cancelled", "refunded"),
    "allocated": ("sacrificed", "refunded"),
    "sacrificed": ("verified", "refunded"),
    "verified": ("out_for_delivery", "delivered", "sacrificed"),  # back: its proof did not hold
    "out_for_delivery": ("delivered", "sacrificed"),
    "delivered": ("sacrificed",),
    "cancelled": (),
    "refunded": (),
})  # fmt: skip

DONE = ("verified", "out_for_delivery", "delivered")
"""The states in which a donor may have been told that it is done."""

CAPACITY = {"sheep": 1, "goat": 1, "cow": 7, "buffalo": 7, "camel": 7}
"""Shares per animal: one for a sheep or goat, up to seven for the large ones (Sahih Muslim 1318)."""


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units (cents) of an ISO 4217 currency; never a float."""

    minor: int
    currency: str


class Share(msgspec.Struct, frozen=True):
    """One share: the name the sacrifice is on behalf of, its language (BCP 47) and other spellings of it."""

    id: UUID
    order_id: UUID
    name: str
    language: str
    spellings: tuple[str, ...] = ()
    animal_id: UUID | None = None


class Animal(msgspec.Struct, frozen=True):
    """An animal at a site. ``tag`` is what the ear says, ``pen`` where it stands."""

    id: UUID
    site_id: UUID
    tag: str
    species: str
    pen: str = ""

    @property
    def capacity(self) -> int:
        return CAPACITY[self.species]
