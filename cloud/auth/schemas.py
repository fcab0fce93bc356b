"""What goes in and out of the auth routes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

MIN_PASSWORD, MAX_PASSWORD = 15, 256
"""A password without a second factor has at least 15 characters (NIST SP 800-63B-4, section 3.1.1.2)."""

Email = Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Password = Annotated[str, msgspec.Meta(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Language = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
"""A BCP 47 tag, such as ``ar`` or ``fr-DZ``."""


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    password: Annotated[str, msgspec.Meta(max_length=MAX_PASSWORD)]


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: str


class Tokens(msgspec.Struct, frozen=True):
    """A bearer token, its life in seconds, and the token that gets the next pair, once."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a kind of token, not a secret


class Me(msgspec.Struct, frozen=True):
    id: UUID
    role: str
    name: str
    language: str
