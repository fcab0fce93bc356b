"""Accounts and their sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.platform import database
from cloud.platform.access import ROLES
from cloud.platform.personal import Personal


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("auth")


class Person(msgspec.Struct, frozen=True):
    """Whose account it is. ``email`` is in lower case."""

    email: str = ""
    name: str = ""


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


class Session(Base):
    """A signed-in browser (its secret is in the cookie) or program (its secret is the refresh token)."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    kind: Mapped[str] = mapped_column(Text)
    """``page`` or ``api``; the secret of one is no good as the other."""
    secret_hash: Mapped[bytes]
    agent: Mapped[str] = mapped_column(Text)
    """What its owner knows it by, such as ``Firefox, Android``."""
    created: Mapped[datetime]
    used: Mapped[datetime]
    ended: Mapped[datetime | None]


class Link(Base):
    """Something that one may do once by a link in a mail. What the link says is made of ``id`` and is kept nowhere."""

    __tablename__ = "links"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    purpose: Mapped[str] = mapped_column(Text)
    """The template of its letter."""
    expires: Mapped[datetime]
    used: Mapped[datetime | None]
