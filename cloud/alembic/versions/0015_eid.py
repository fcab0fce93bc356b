"""Where a site is, and when its Eid is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for column in (
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("eid_day", sa.Date(), nullable=True),
        sa.Column("eid_begins", sa.Time(), nullable=True),
        sa.Column("eid_days", sa.Integer(), nullable=False, server_default="4"),
    ):
        op.add_column("sites", column, schema="executors")
    op.alter_column("sites", "eid_days", server_default=None, schema="executors")
