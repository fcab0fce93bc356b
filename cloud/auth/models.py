"""Accounts and their sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database
from cloud.platform.access import PROGRAMS, ROLES
from cloud.platform.personal import Personal


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("auth")


class Person(msgspec.Struct, frozen=True):
    """Whose account it is. ``email`` is in lower case; ``totp`` the secret of their app, empty where there is none."""

    email: str = ""
    name: str = ""
    totp: bytes = b""


class User(Personal, Base):
    """An account. A donor's account and donor record have the same id, and the same key."""

    kind = Person

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(f"role IN {ROLES}", name="role"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email_index: Mapped[bytes | None] = mapped_column(unique=True)
    """What the address is looked up by; None once the account was erased."""
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]
    confirmed: Mapped[datetime | None]
    """When somebody who reads the mail of the address has said so; nobody signs in before."""
    disabled: Mapped[datetime | None]
    second_factor: Mapped[datetime | None]
    """Since when codes of the app are asked for."""
    totp_step: Mapped[int] = mapped_column(BigInteger, default=0)
    """Of the newest code that was taken: it and those before are no good any more."""
    recovery: Mapped[list[str]] = mapped_column(default=list)
    """Hashes of the codes that help who has lost the phone."""


class Session(Base):
    """A signed-in browser (its secret is in the cookie) or program (its secret is the refresh token)."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    kind: Mapped[str] = mapped_column(Text)
    """``page`` or ``api``; the secret of one is no good as the other."""
    secret_hash: Mapped[bytes]
    prior_hash: Mapped[bytes | None]
    """Of the refresh token before, which may be shown again by who has not heard the answer."""
    device_key: Mapped[bytes | None]
    """The Ed25519 public key that a program proves its hold of with every call, if it gave one."""
    proved: Mapped[datetime | None]
    """When the second factor was last shown in it."""
    agent: Mapped[str] = mapped_column(Text)
    """What its owner knows it by, such as ``Firefox, Android``."""
    created: Mapped[datetime]
    used: Mapped[datetime]
    ended: Mapped[datetime | None]


class Program(Base):
    """A program with an account of its own. See :mod:`cloud.auth.programs`."""

    __tablename__ = "programs"
    __table_args__ = (CheckConstraint(f"role IN {PROGRAMS}", name="role"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes]
    """Of its key."""
    prior_hash: Mapped[bytes | None]
    """Of the key before, which goes on until ``prior_until``."""
    prior_until: Mapped[datetime | None]
    created: Mapped[datetime]
    revoked: Mapped[datetime | None]


class Link(Base):
    """Something that one may do once by a link in a mail. What the link says is made of ``id`` and is kept nowhere."""

    __tablename__ = "links"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    purpose: Mapped[str] = mapped_column(Text)
    """The template of its letter."""
    expires: Mapped[datetime]
    used: Mapped[datetime | None]
