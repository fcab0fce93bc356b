"""For revisions that seal what lay in the clear: page by page, with keys made as they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

from cloud.platform import personal
from cloud.platform.keys import Keys

PAGE = 1000


class Sealer:
    """Changes rows of the database that is being migrated."""

    def __init__(self) -> None:
        self._there = op.get_bind()
        self._made: dict[UUID, bytes] = {}

    @cached_property
    def keys(self) -> Keys:
        """The hub's; not asked for by a database without such rows."""
        return Keys.load(context.config.attributes["settings"])

    def each(self, rows: str, change: str, changed: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Run ``change`` with what ``changed`` makes of each of ``rows``."""
        asked = sa.text(rows).columns(**{name: JSONB() for name in ("spellings", "fields", "body") if name in rows})
        for page in self._there.execute(asked).mappings().partitions(PAGE):
            self._there.execute(sa.text(change), [changed(row) for row in page])

    def fan_out(self, rows: str, change: str, made: Callable[[Mapping[str, Any]], list[dict[str, Any]]]) -> None:
        """Run ``change`` with each of what ``made`` makes of each of ``rows``."""
        for page in self._there.execute(sa.text(rows)).mappings().partitions(PAGE):
            if all_of_them := [each for row in page for each in made(row)]:
                self._there.execute(sa.text(change), all_of_them)

    def open(self, row: Mapping[str, Any], place: str) -> dict[str, Any]:
        """What was sealed in ``row``, which has its ``subject`` and that one's ``master`` and ``wrapped`` key, too."""
        key = self.keys.masters.unwrap(row["subject"], row["master"], row["wrapped"])
        return personal.opened(key, row["subject"], place.encode(), row["sealed"], dict)

    def seal(self, subject: UUID, place: str, value: object) -> bytes:
        """As :func:`cloud.platform.personal.seal`, with the key of ``subject``, which is made where there is none."""
        if subject not in self._made:
            self._made[subject] = self._key(subject)
        return personal.seal(self._made[subject], subject, place.encode(), value)

    def _key(self, subject: UUID) -> bytes:
        key = os.urandom(32)
        master, wrapped = self.keys.masters.wrap(subject, key)
        self._there.execute(
            sa.text("INSERT INTO platform.data_keys (subject, master, wrapped) VALUES (:subject, :master, :wrapped)"),
            {"subject": subject, "master": master, "wrapped": wrapped})
        return key


def rewrite(table: str, column: str) -> None:
    """Write a table anew: what a column that was dropped held, and what rows held before, stays in its file else."""
    op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE text USING {column} || ''")
