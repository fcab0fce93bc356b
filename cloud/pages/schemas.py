"""What the pages show."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Literal
from uuid import UUID

import msgspec

from cloud.donors import service as donors
from cloud.platform.fields import Password
from cloud.processing import service as processing
from cloud.processing.service import Case, HeardName, Waiting
from cloud.uploads.service import Ahead
from shared.domain.order import DONE


class SignIn(msgspec.Struct, frozen=True):
    """The form of that name; ``to`` is the page that was asked for."""

    email: str = ""
    password: Password = ""
    to: str = ""


class Register(msgspec.Struct, frozen=True):
    """The form of somebody who wants an account; the language is the page's."""

    name: str = ""
    email: str = ""
    password: str = ""
    order_mail: str = ""
    """Anything, where the box was ticked."""


class Consent(msgspec.Struct, frozen=True):
    """A purpose; ``agreed`` is empty for withdrawing."""

    purpose: donors.Purpose
    agreed: str = ""


class Row(msgspec.Struct, frozen=True):
    """A share as it was typed into the form of an order."""

    name: str = ""
    language: str = ""
    spelling: str = ""
    deceased: bool = False
    anonymous: bool = False
    phone: str = ""


class Filled(msgspec.Struct, frozen=True):
    """The form of an order as it was filled in; ``offer`` is the value of one, ``parts`` how many instalments."""

    id: UUID
    rows: list[Row]
    offer: str = ""
    parts: int = 1

    def with_rows(self, count: int, most: int) -> Filled:
        """The same with so many rows, of which new ones speak the language of the last."""
        empty = Row(language=self.rows[-1].language)
        rows = [*self.rows, empty][: max(1, min(count, most))]
        return msgspec.structs.replace(self, rows=rows)


class Offer(msgspec.Struct, frozen=True):
    """A price of the list, under the ``value`` that the form sends; ``site`` is empty for wherever there is room."""

    value: str
    price: donors.Price
    site: str


class Quoted(msgspec.Struct, frozen=True):
    """An order that may be placed, and what it costs: ``minor`` units of ``currency``."""

    new: donors.NewOrder
    minor: int
    currency: str


class Erase(msgspec.Struct, frozen=True):
    """The password of whoever wants to be forgotten."""

    password: Password = ""


class Chosen(msgspec.Struct, frozen=True):
    """A password beside the token of a link."""

    token: str = ""
    password: Password = ""


class Forgotten(msgspec.Struct, frozen=True):
    """The address to write to."""

    email: str = ""


class Code(msgspec.Struct, frozen=True):
    """A code of the app, or a recovery code; ``to`` is the page that was asked for."""

    code: str = ""
    to: str = ""


class ChangePassword(msgspec.Struct, frozen=True):
    """The password, and what is to be it."""

    old: Password = ""
    new: Password = ""


class Film(msgspec.Struct, frozen=True):
    """A video that may be shown, its size in pixels, and which of the order's names are heard in it.

    ``place`` is where it lies; only what is ``hot`` can be played. It opens at ``begin`` (seconds), which is where the
    first of these names is said when there are others', too. ``to_send`` says whether there is a copy that fits into a
    messenger, ``own`` how far the copy is in which no names but theirs are heard (nothing where there are no others).
    ``doubt`` is what came of it where somebody doubted it.
    ``seen`` is when the donor first opened it, ``by_hand`` whether people found it good where no check could.
    """

    id: UUID
    width: int | None
    height: int | None
    heard: list[HeardName]
    seen: datetime | None
    by_hand: bool = False
    place: str = "hot"
    begin: float = 0.0
    to_send: bool = False
    own: Literal["", "none", "asked", "made"] = ""
    doubt: processing.Doubted | None = None


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
    currency: str | None = None
    minor: int | None = None
    """What it costs; None as long as nothing was agreed."""
    moved: str | None = None
    """Why a share of it went to another animal, if one did: see :data:`cloud.executors.filling.Why`."""

    @property
    def is_done(self) -> bool:
        return self.state in DONE

    @property
    def films(self) -> list[Film]:
        return [animal.film for animal in self.animals if animal.film]


class Vote(msgspec.Struct, frozen=True):
    """The form of a reviewer."""

    vote: Literal["approve", "reject", "remedy"]
    note: str = ""


class Feedback(msgspec.Struct, frozen=True):
    """A word to whoever recorded a video; an empty one takes it back."""

    text: str = ""


class Queued(msgspec.Struct, frozen=True):
    """A video that waits for a person, with the name of its site and the site's zone."""

    waiting: Waiting
    site: str
    zone: tzinfo


class Reviewed(msgspec.Struct, frozen=True):
    """A video under review as its page shows it: ``votes`` of others, ``hints`` of what its check objected to.

    ``photos`` are those of the animal that are here, from when it came.
    """

    case: Case
    site: str
    zone: tzinfo
    tag: str
    species: str
    hints: list[str]
    photos: list[UUID]
    votes: list[processing.Vote]
    mine: processing.Vote | None
