"""What boxes tell of videos, and what other services are told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Variant = Literal["original", "compressed", "messenger", "own", "poster", "still", "preview"]
"""``own`` is made for one donor. The last two are the box's, and provisional: they went ahead of the original."""


class Told(msgspec.Struct, frozen=True):
    """The merged fields of a video; see :data:`shared.domain.fields.FIELDS`."""

    sacrifice_id: UUID
    sha256: Hash
    size: Size
    blob_id: Hash
    blob_size: Size
    media_type: Annotated[str, msgspec.Meta(max_length=100)]
    captured: dict[str, Any]


class ToldCopy(msgspec.Struct, frozen=True):
    """The merged fields of a copy that a box made."""

    video_id: UUID
    variant: Literal["poster", "preview"]
    sha256: Hash
    size: Size
    blob_id: Hash
    blob_size: Size


class ToldPhoto(msgspec.Struct, frozen=True):
    """The merged fields of a photo."""

    of: UUID
    sha256: Hash
    size: Size
    blob_id: Hash
    blob_size: Size
    media_type: Literal["image/jpeg", "image/png"]


class Photo(msgspec.Struct, frozen=True):
    """A picture of the animal or hide ``of``; ``is_here`` says whether its bytes have arrived."""

    id: UUID
    of: UUID
    size: int
    media_type: str
    is_here: bool


class Video(msgspec.Struct, frozen=True):
    """``reason`` says why it ``failed``; ``outcome`` is what its check ended with."""

    id: UUID
    sacrifice_id: UUID
    site_id: UUID
    sha256: str
    size: int
    blob_id: str
    media_type: str
    state: str
    reason: str | None
    outcome: str | None


class NewFeedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A word to whoever recorded a video: it names nobody. An empty one takes it back."""

    text: Annotated[str, msgspec.Meta(max_length=500)]


class Copy(msgspec.Struct, frozen=True):
    """A file of a video in the store, sealed as ``blob_id``; ``sha256`` and ``size`` are of the plaintext."""

    variant: Variant
    blob_id: str
    sha256: str
    size: int
    media_type: str
    width: int | None = None
    height: int | None = None


class Ahead(msgspec.Struct, frozen=True):
    """What a box sent ahead of a video that is not checked at the hub yet: provisional, and marked as that."""

    video_id: UUID
    still: bool
    preview: bool


class Link(msgspec.Struct, frozen=True):
    """Where a file of a video can be had without a cookie, and ``until`` when."""

    url: str
    until: datetime


class Place(msgspec.Struct, frozen=True):
    """Where a video lies: ``hot`` (it can be watched), ``cold`` (in the archive) or ``returning`` (asked for).

    After it was brought back it stays at least ``until``; ``held`` says why it must not go at all.
    """

    place: Literal["hot", "cold", "returning"]
    until: datetime | None = None
    held: str | None = None


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(min_length=3, max_length=500)]


class Due(msgspec.Struct, frozen=True):
    """A video that was to go to the archive at ``due``; ``size`` is that of its original, in bytes."""

    video_id: UUID
    site_id: UUID
    created: datetime
    due: datetime
    size: int
