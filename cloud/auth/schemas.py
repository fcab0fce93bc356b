"""What goes in and out of the auth routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from cloud.platform.fields import Email, Language, Name, Password

Token = Annotated[str, msgspec.Meta(max_length=200)]
"""What stands in the link of a letter."""


class NewAccount(msgspec.Struct, frozen=True):
    """What somebody says of themselves."""

    name: Name
    email: Email
    password: Password
    language: Language


class Letter(msgspec.Struct, frozen=True):
    """To whom to write, in which language, and the address that the letter leads to."""

    name: str
    email: str
    language: str
    url: str


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    password: Password


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Token
    password: Password


class Forgotten(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Email


class Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``password`` is the new one."""

    token: Token
    password: Password


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    old: Password
    new: Password


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: str


class Tokens(msgspec.Struct, frozen=True):
    """A bearer token, its life in seconds, and the token that gets the next pair, once."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a kind of token, not a secret


class Account(msgspec.Struct, frozen=True):
    """All that is held of an account but its secrets; its ``sessions`` are those that have ended, too."""

    email: str
    name: str
    role: str
    language: str
    created: datetime
    sessions: list[PastSession]


class PastSession(msgspec.Struct, frozen=True):
    kind: str
    agent: str
    created: datetime
    used: datetime
    ended: datetime | None


class Me(msgspec.Struct, frozen=True):
    id: UUID
    role: str
    name: str
    language: str


class Session(msgspec.Struct, frozen=True):
    """Where somebody is signed in: ``kind`` is ``page`` (a browser) or ``api`` (a program); ``current`` is this one."""

    id: UUID
    kind: str
    agent: str
    created: datetime
    used: datetime
    current: bool
