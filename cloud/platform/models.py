"""The platform's own schema."""

from __future__ import annotations

from cloud.platform import database


class Base(database.Base):
    __abstract__ = True
    metadata = database.schema("platform")
