"""What the pages show."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Literal
from uuid import UUID

import msgspec

from cloud.processing.service import HeardName
from cloud.uploads.service import Ahead


class SignIn(msgspec.Struct, frozen=True):
    """The form of that name; ``to`` is the page that was asked for."""

    email: str = ""
    password: str = ""
    to: str = ""


class Film(msgspec.Struct, frozen=True):
    """A video that may be shown, its size in pixels, and which of the order's names are heard in it.

    ``seen`` is when the donor first opened it.
    """

    id: UUID
    width: int | None
    height: int | None
    heard: list[HeardName]
    seen: datetime | None


class Animal(msgspec.Struct, frozen=True):
    """An animal with shares of the order, on behalf of ``names``; ``film`` once it was found authentic.

    ``ahead`` is what the site sent before its video, where the site's own check was good: provisional.
    """

    species: str
    tag: str
    site: str
    names: list[str]
    film: Film | None
    ahead: Ahead | None = None


class Step(msgspec.Struct, frozen=True):
    """A state on the way of an order, and when it came to it."""

    state: str
    progress: Literal["done", "current", "todo"]
    time: datetime | None


class Order(msgspec.Struct, frozen=True):
    """``zone`` is that of the site, in which its times are told."""

    id: UUID
    reference: str
    state: str
    names: list[str]
    animals: list[Animal]
    steps: list[Step]
    zone: tzinfo

    @property
    def films(self) -> list[Film]:
        return [animal.film for animal in self.animals if animal.film]
