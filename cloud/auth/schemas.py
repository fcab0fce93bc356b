"""What goes in and out of the auth routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from cloud.platform.access import PROGRAMS, ROLES
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


DeviceKey = Annotated[str, msgspec.Meta(max_length=44)]
"""An Ed25519 public key in base64url, or nothing. Whoever gives one proves to hold it with every later call."""


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: str
    password: Password
    device_key: DeviceKey = ""


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Token
    password: Password
    device_key: DeviceKey = ""


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


class App(msgspec.Struct, frozen=True):
    """What an app for codes needs: the secret in base32, and the same as an address to be shown as a QR code."""

    secret: str
    uri: str


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The six digits that the app shows, or a recovery code."""

    code: Annotated[str, msgspec.Meta(max_length=40)]


class Proved(msgspec.Struct, frozen=True):
    """Recovery codes, only with the first code of an app. They are not shown again."""

    recovery_codes: list[str]


Role = Literal[ROLES]  # type: ignore[valid-type]


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    email: Email
    role: Role
    language: Language


class NewProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``name`` is what admins know it by; nobody's own."""

    name: Name
    role: Literal[PROGRAMS]  # type: ignore[valid-type]


class Key(msgspec.Struct, frozen=True):
    """The ``key`` of a program, to be sent as a bearer token. It is not shown again."""

    id: UUID
    key: str


class Program(msgspec.Struct, frozen=True):
    """A program as admins see it. ``prior_until`` is how long the key before the newest is good, if there was one."""

    id: UUID
    name: str
    role: str
    created: datetime
    prior_until: datetime | None
    revoked: datetime | None


class AccountChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    role: Role | None = None
    disabled: bool | None = None


class Listed(msgspec.Struct, frozen=True):
    """An account as admins see it; the moments say since when, or null."""

    id: UUID
    role: str
    name: str
    created: datetime
    confirmed: datetime | None
    disabled: datetime | None
    second_factor: datetime | None
