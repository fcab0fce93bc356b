"""How far each box has read its feed, so that what it does not know yet can be carried to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    cursor = sa.Column("cursor", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("nodes", cursor, schema="executors")
    op.add_column("nodes", sa.Column("mark", sa.LargeBinary(), nullable=False, server_default=""), schema="executors")
    op.alter_column("nodes", "cursor", server_default=None, schema="executors")
    op.alter_column("nodes", "mark", server_default=None, schema="executors")
